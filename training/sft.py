"""Supervised training of the small block-mode ranker: `python -m training.sft --out runs/sft`."""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rranker.prompts.compact import CompactDialect
from rranker.prompts.encoding import TextEncoder
from rranker.training.batch import Batch, training_batch
from rranker.training.checkpoint import save_model, save_state
from rranker.training.config import ModelConfig, SftConfig
from rranker.training.loss import language_loss, ranking_loss, targets
from rranker.training.model import RankingModel, build_model
from rranker.training.optim import MasterOptimizer
from rranker.training.sources import Sources
from rranker.training.tokenizer import load_tokenizer, train_tokenizer

LATE = ("squad", "trecdl", "classic")
"""Sources of long passages: they wait until short ones have taught what a match is."""

Maker = Callable[[int], list[tuple[str, Batch]]]


def mixture(sources: Sources, dialect: CompactDialect, config: SftConfig) -> Maker:
    """A function from a step's number to its named micro-batches: nothing else is remembered."""
    names, weights = list(config.weights), np.array(list(config.weights.values()))
    late = np.array([name in LATE for name in names])

    def make(step: int) -> list[tuple[str, Batch]]:
        rng = np.random.default_rng([config.seed, step])
        ease = max(0.0, 1 - step / max(config.steps * 0.35, 1))
        now = np.where(late, weights * (1 - ease), weights)
        batches = []
        for _ in range(config.accumulate):
            name = names[rng.choice(len(names), p=now / now.sum())]
            drawn = sources.draw(name, rng, ease)
            batches.append(
                (
                    name,
                    training_batch(
                        dialect,
                        drawn.cases,
                        rng,
                        candidate_tokens=drawn.candidate_tokens,
                        prefix_tokens=drawn.prefix_tokens,
                        budget=config.tokens,
                    ),
                )
            )
        return batches

    return make


def prefetched(make: Maker, start: int, stop: int, ahead: int = 2) -> Iterator[list[tuple[str, Batch]]]:
    """Batches of steps start…stop-1, made in a thread while the model works."""
    with ThreadPoolExecutor(1) as pool:
        waiting = [pool.submit(make, step) for step in range(start, min(start + ahead, stop))]
        for step in range(start, stop):
            batch = waiting.pop(0).result()
            if step + ahead < stop:
                waiting.append(pool.submit(make, step + ahead))
            yield batch


def train_step(
    model: RankingModel, batches: list[tuple[str, Batch]], config: SftConfig, step: int
) -> list[float]:
    """Adds up the gradients of a step's micro-batches; returns their ranking losses over the random one."""
    losses = []
    for micro, (name, batch) in enumerate(batches):
        hidden = model.hidden(batch.layout)
        wanted = targets(batch.task, batch.grades, batch.layout.alive)
        loss = ranking_loss(model.fitness(hidden, batch.layout), wanted)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise FloatingPointError(
                f"step {step}, source {name}: the loss is {value}; lower the learning rate"
            )
        random = batch.layout.alive.sum(-1).float().log().mean()
        losses.append(value / float(random))
        total = loss
        if config.lm_weight:
            total = total + config.lm_weight * language_loss(
                model, hidden, batch.layout, config.lm_share, seed=step * 64 + micro
            )
        (total / len(batches)).backward()
    return losses


def train(
    config: SftConfig,
    out: Path,
    model: RankingModel,
    tokenizer: Any,
    make: Maker,
    *,
    resume: bool = False,
    save_every: int = 200,
    log_every: int = 10,
    stop_at: int | None = None,
) -> None:
    """Runs to `config.steps` (or stops at `stop_at`), leaving `out/state.pt` and `out/final`."""
    out.mkdir(parents=True, exist_ok=True)
    if config.precision == "bf16":
        model.lm.to(torch.bfloat16)
    optimizer = MasterOptimizer(model, config)
    start = 0
    if resume and (out / "state.pt").exists():
        state = torch.load(out / "state.pt", weights_only=True)
        optimizer.load_state_dict(state["optimizer"])
        start = int(state["step"])
    (out / "config.json").write_text(json.dumps(config.to_dict(), indent=1))
    stop = min(stop_at or config.steps, config.steps)
    seen: dict[str, list[float]] = {}
    tokens, clock = 0, time.perf_counter()
    for step, batches in enumerate(prefetched(make, start, stop), start=start):
        for (name, batch), loss in zip(batches, train_step(model, batches, config, step), strict=True):
            seen.setdefault(name, []).append(loss)
            tokens += len(batch.layout.ids)
        norm = optimizer.step(step)
        if (step + 1) % log_every == 0:
            seconds = time.perf_counter() - clock
            means = " ".join(f"{name} {np.mean(values):.3f}" for name, values in sorted(seen.items()))
            print(
                f"step {step + 1}/{config.steps} norm {norm:.2f} {tokens / seconds:.0f} tok/s | {means}",
                flush=True,
            )
            seen, tokens, clock = {}, 0, time.perf_counter()
        if (step + 1) % save_every == 0 or step + 1 == stop:
            save_state(out / "state.pt", {"step": step + 1, "optimizer": optimizer.state_dict()})
            save_model(model, tokenizer, out / "latest")
    save_model(model, tokenizer, out / "final")


def steps_for(minutes: float, config: SftConfig, model: RankingModel, make: Maker, trials: int = 6) -> int:
    """How many steps fit, by timing a few: the schedule then counts steps, so a paused run loses nothing."""
    train_step(model, make(0), config, 0)
    began = time.perf_counter()
    for step in range(1, 1 + trials):
        train_step(model, make(step), config, step)
    each = (time.perf_counter() - began) / trials
    model.zero_grad(set_to_none=True)
    return max(config.warmup + 1, int(minutes * 60 / (each * 1.08)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/sft"))
    parser.add_argument(
        "--minutes", type=float, default=40.0, help="sets the number of steps by measured speed"
    )
    parser.add_argument("--steps", type=int, help="the number of steps itself")
    parser.add_argument("--lr", type=float, default=SftConfig.lr)
    parser.add_argument("--layers", type=int, default=ModelConfig.num_hidden_layers)
    parser.add_argument("--tokens", type=int, default=SftConfig.tokens, help="per micro-batch, at most")
    parser.add_argument("--accumulate", type=int, default=SftConfig.accumulate)
    parser.add_argument("--optimizer", choices=("adamw", "muon"), default=SftConfig.optimizer)
    parser.add_argument("--precision", choices=("bf16", "fp32"), default=SftConfig.precision)
    parser.add_argument("--save-every", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tokenizer", type=Path, help="a tokenizer folder, instead of training one")
    parser.add_argument("--resume", action="store_true", help="go on from OUT/state.pt with OUT's settings")
    options = parser.parse_args()

    sources = Sources()
    folder = options.tokenizer or options.out / "tokenizer"
    if not folder.exists():
        train_tokenizer(sources.texts(), ModelConfig.vocab_size).save_pretrained(folder)
    tokenizer = load_tokenizer(folder)
    if options.resume:
        saved = json.loads((options.out / "config.json").read_text())
        saved = {**saved, "model": ModelConfig(**saved["model"]), "betas": tuple(saved["betas"])}
        config = SftConfig(**saved)
    else:
        names = ("lr", "tokens", "accumulate", "optimizer", "precision", "seed")
        architecture = ModelConfig(num_hidden_layers=options.layers, vocab_size=len(tokenizer))
        config = SftConfig(model=architecture, **{name: getattr(options, name) for name in names})
    model = build_model(config.model, config.seed)
    make = mixture(sources, CompactDialect(TextEncoder(tokenizer)), config)
    if not options.resume:
        if config.precision == "bf16":
            model.lm.to(torch.bfloat16)
        steps = options.steps or steps_for(options.minutes, config, model, make)
        config = SftConfig(**{**vars(config), "steps": steps})
        make = mixture(sources, CompactDialect(TextEncoder(tokenizer)), config)
        model = build_model(config.model, config.seed)
    print(
        f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters, {config.steps} steps",
        flush=True,
    )
    train(config, options.out, model, tokenizer, make, resume=options.resume, save_every=options.save_every)


if __name__ == "__main__":
    main()
