"""What an H100 should take, from bytes, operations and launches: predictions, made before anything was measured.

`python -m bench.gpu_model` prints the table in docs/kernels.md. A pass takes as long as its arithmetic, its reads and
writes, or its launches, whatever is longest; how close to the device's peaks each comes is stated in `Device`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bench.gpu_measure import FULL
from rranker.engine.memory import GPU_BATCH_TOKENS
from rranker.engine.speculation import LAUNCHES_A_LAYER, Speculation, pass_overhead


@dataclass(frozen=True)
class Device:
    """An H100 SXM. Rates are peaks of the data sheet times what is reached of them (assumed, not measured)."""

    peak: float = 989e12  # bf16, a second
    memory: float = 3.35e12  # bytes a second
    matmul: float = 0.65  # of peak, by cuBLAS, large products
    product_kernel: float = 0.55  # by our product with an epilogue
    attention: float = 0.40  # by our kernel, of the pairs it computes (padding counts)
    flash: float = 0.36  # by SDPA's flash-attn 2
    stream: float = 0.85  # of memory, by kernels that only read and write, and by a copy
    keys: float = 0.72  # of memory, by our kernel's reads of keys, cell by cell
    launch: float = 6.5e-6  # of one operator, from Python
    tail: float = 15e-6  # of an attention call: start, last tiles, merge
    host: float = 0.3e-3  # between two steps, beside questions
    question: float = 26e-6  # on the host, a question (`bench.host`)


@dataclass(frozen=True)
class Shape:
    """A decoder of the Qwen family."""

    name: str
    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    size: int
    normed_heads: bool  # Qwen3 normalises queries and keys, too

    @property
    def rotated(self) -> int:
        """Columns of queries and keys."""
        return (self.heads + self.kv_heads) * self.size

    @property
    def weights(self) -> int:
        """That a token is multiplied by, head and embedding left out."""
        own = self.hidden * (self.rotated + self.kv_heads * self.size + self.heads * self.size)
        return self.layers * (own + 3 * self.hidden * self.intermediate)

    def elementwise(self, fused: bool) -> int:
        """Bytes that a row's norms, residuals, RoPE and gate read and write in all layers, in bf16 with fp32 norms."""
        norm, rope, gate = (8, 4, 6) if fused else (34, 26, 10)
        residual = 0 if fused else 12  # done by the norm behind it
        each = (
            2 * norm * self.hidden + residual * self.hidden + rope * self.rotated + gate * self.intermediate
        )
        return self.layers * (each + (norm * self.rotated if self.normed_heads else 0))


QWEN25_3B = Shape("Qwen2.5-3B", 2048, 11008, 36, 16, 2, 128, normed_heads=False)
QWEN3_06B = Shape("Qwen3-0.6B", 1024, 3072, 28, 16, 8, 128, normed_heads=True)
H100 = Device()


@dataclass(frozen=True)
class Pass:
    """One forward pass: its rows, the (row, key) pairs its attention computes, and the questions in it."""

    rows: int
    pairs: float
    questions: int = 0


def pass_seconds(
    shape: Shape, work: Pass, *, fused: bool = False, graph: bool = False, sdpa: bool = False
) -> float:
    """Of the device or of its launches, whichever is longer; without what the host does between two passes."""
    arithmetic = 2 * work.rows * shape.weights / (H100.peak * H100.matmul)
    reading = 2 * shape.weights / (H100.memory * H100.stream)
    attention = 4 * work.pairs * shape.layers * shape.heads * shape.size
    attention /= H100.peak * (H100.flash if sdpa else H100.attention)
    rest = work.rows * shape.elementwise(fused) / (H100.memory * H100.stream)
    launches = 0.0 if graph else LAUNCHES_A_LAYER[fused] * shape.layers * H100.launch
    return max(max(arithmetic, reading) + attention + rest, launches)


@dataclass(frozen=True)
class List:
    """Tokens of a query: `prefix`, `count` candidates of `length`, and `suffix` of a question."""

    prefix: int
    count: int
    length: int
    suffix: int

    @property
    def tokens(self) -> int:
        return self.prefix + self.count * self.length


def passes(
    shape: Shape, query: List, queries: int, held: float = 0.9, *, fused: bool = False
) -> Iterator[Pass]:
    """The passes of so many queries together, by the engine's own admission and account of guesses.

    A guess holds with the probability `held`, drawn from a fixed seed.
    """
    rng = np.random.default_rng(0)
    overhead = pass_overhead("cuda", shape.weights, shape.layers, fused=fused)
    rows_a_step, waiting, running = GPU_BATCH_TOKENS, queries, list[tuple[Speculation, int]]()
    while waiting or running:
        admitted = min(waiting, max(1, rows_a_step // (query.tokens + query.suffix)))
        waiting -= admitted
        share = overhead / (len(running) + admitted)
        rows = pairs = questions = 0.0
        left = list[tuple[Speculation, int]]()
        for account, rounds in running:
            depth = account.depth(rounds, share)
            used = 1
            while used < depth and rng.random() < held:
                used += 1
            account.update(depth, used, share)
            seen = query.prefix + (rounds + 1) * query.length
            rows, questions = rows + depth * query.suffix, questions + depth
            pairs += depth * query.suffix * (seen + query.suffix / 2)
            if rounds > used:
                left.append((account, rounds - used))
        for _ in range(
            admitted
        ):  # the first question comes with the candidates; there is nothing to guess by yet
            rounds = query.count - 1
            account = Speculation(query.suffix, query.tokens + rounds * (share + query.suffix))
            account.update(1, 1, share)
            rows, questions = rows + query.tokens + query.suffix, questions + 1
            pairs += query.prefix**2 / 2 + query.suffix * query.tokens
            pairs += query.count * query.length * (query.prefix + query.length / 2)
            if rounds > 1:
                left.append((account, rounds - 1))
        running = left
        yield Pass(int(rows), pairs, int(questions))


def all_rounds(shape: Shape, query: List, queries: int, *, fused: bool = False, graph: bool = False) -> float:
    """Seconds; graphs where a step only asks, and up to 2,048 rows."""
    total = 0.0
    for step in passes(shape, query, queries, fused=fused):
        replayed = graph and step.rows <= 2048
        total += pass_seconds(shape, step, fused=fused, graph=replayed)
        total += H100.host + step.questions * H100.question
    return total


def one_forward(shape: Shape, query: List, queries: int, together: int = 4, *, fused: bool = False) -> float:
    """Seconds of plain forwards over every query's whole prompt, `together` at a time."""
    length = query.tokens + query.suffix
    work = Pass(together * length, together * length * length / 2)
    return queries / together * pass_seconds(shape, work, fused=fused, sdpa=True)


def prefill() -> tuple[float, float]:
    """Our time over flash-attn's: of candidates over shared prefixes, and of one causal prompt.

    Pairs that are computed for a row: ours packs the rows of eight heads into full tiles and reads keys by 64; the
    other pads 100 rows to 128 and keys by 128.
    """
    prefix, length = FULL.prefix, FULL.candidate
    ours = _up(prefix, 64) + length / 2 + 32
    theirs = _up(length, 128) / length * _up(prefix + length, 128)
    return ours / H100.attention / (theirs / H100.flash), H100.flash / H100.attention


def decode() -> float:
    """Bandwidth of 64 rollouts over prompts of their own, over a copy's."""
    tokens = 4 * FULL.queries * (FULL.prefix + FULL.candidates * FULL.candidate + 64)
    size = tokens * 2 * FULL.heads[1] * FULL.head_dim * 2
    took = size / (H100.memory * H100.keys) + H100.tail
    return size / took / (H100.memory * H100.stream)


def logprob() -> tuple[float, float]:
    """Milliseconds of the forward: ours, and logits in memory."""
    operations, logits = 2.0 * FULL.rows * FULL.vocabulary * FULL.hidden, FULL.rows * FULL.vocabulary
    # Written in bf16, widened, log-softmax (read twice), exponentials, their product, its sum.
    moved = logits * (2 + 6 + 12 + 8 + 12 + 4)
    ours = operations / (H100.peak * H100.product_kernel)
    theirs = operations / (H100.peak * H100.matmul) + moved / (H100.memory * H100.stream)
    return ours * 1e3, theirs * 1e3


def _up(n: int, to: int) -> int:
    return -(-n // to) * to


def end_to_end() -> Iterator[tuple[str, str, str, float]]:
    """All rounds over one plain forward, of Qwen2.5-3B's shape, in the sizes of `bench.gpu`."""
    ways = {"eager": (False, False), "eager, replayed": (False, True), "fused, replayed": (True, True)}
    for queries in (1, 16):
        for suffix in (FULL.suffix, 8):
            query = List(FULL.prefix, 50, FULL.candidate, suffix)
            forward = one_forward(QWEN25_3B, query, queries, min(queries, 4))
            for way, (fused, graph) in ways.items():
                steps = list(passes(QWEN25_3B, query, queries, fused=fused))
                asked = f"{len(steps)} passes, {sum(step.questions for step in steps)} questions"
                took = all_rounds(QWEN25_3B, query, queries, fused=fused, graph=graph)
                name = f"n = 50, {queries} together, questions of {suffix} tokens, {way}"
                against = f"one eager forward {forward:.2f} s"
                if fused:
                    same = one_forward(QWEN25_3B, query, queries, min(queries, 4), fused=True)
                    against += f"; a fused one {same:.2f} s"
                yield name, f"{took:.2f} s, {asked}", against, took / forward


def items() -> Iterator[tuple[str, str, str, float]]:
    """Items a second of Qwen3-0.6B's shape, full; 300 tokens for each item, or for a list of ten."""
    full, quoted = GPU_BATCH_TOKENS, 1200
    for way, fused in (("eager", False), ("fused, replayed", True)):
        alone = pass_seconds(QWEN3_06B, Pass(full, full * 150.0), fused=fused) + H100.host
        listed = List(100, 10, 20, 8)
        together = 64 * listed.count / all_rounds(QWEN3_06B, listed, 64, fused=fused, graph=fused)
        for what, rate in (
            ("each item in a prompt of 300 tokens, judged alone", full / 300 / alone),
            ("ten items in a list of 300 tokens, all rounds", together),
        ):
            name = f"Qwen3-0.6B, {what}, {way}"
            yield (
                name,
                f"{rate:,.0f} items/s",
                f"SGLang, as quoted: {quoted:,} items/s",
                rate / quoted,
            )


def lines() -> list[str]:
    """The table, in Markdown."""
    candidates, causal = prefill()
    ours, theirs = logprob()
    read = decode()
    rows = [
        ("prefill of candidates over shared prefixes", "", "SDPA (flash), prefixes copied", 1 / candidates),
        ("prefill of one causal prompt of 8,192 tokens", "", "SDPA (flash)", 1 / causal),
        (
            "decode, a prompt each: bandwidth",
            f"{read * H100.memory * H100.stream / 1e12:.1f} TB/s",
            "a copy",
            read,
        ),
        ("logprob, forward", f"{ours:.0f} ms", f"materialised logits {theirs:.0f} ms", theirs / ours),
        *end_to_end(),
        *items(),
    ]
    head = ["| predicted, not measured | ours | against | ratio |", "|---|---|---|---:|"]
    return [*head, *(f"| {name} | {mine} | {other} | {ratio:.2f} |" for name, mine, other, ratio in rows)]


def main() -> None:
    print("\n".join(lines()))


if __name__ == "__main__":
    main()
