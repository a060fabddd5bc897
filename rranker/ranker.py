"""The facade: a model in, rankings out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, get_args

import torch

from .calls import CLOSED, Calls
from .choices import one_of
from .deprecated import renamed
from .engine.engine import Engine
from .engine.loading.arguments import as_device, as_devices, refuse_transformers_arguments
from .engine.loading.model import LoadedModel
from .engine.loading.objects import as_model
from .engine.loading.settings import AttentionMode
from .engine.requests import Reuse
from .methods import Relayout, method_class
from .ordering import check_seed
from .processes import building, check_process
from .prompts.truncation import Truncate
from .reasoning import reasoning_of
from .request import make_request
from .scorers import Scorer
from .scorers.engine_logits import EngineScorer
from .scorers.made import engine_scorer
from .scorers.replicas import Replicas, load_replicas
from .settings import check_setting_names

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class Ranker(Calls):
    """A language model that ranks. Safe to share between threads: their queries run together, in the same passes.

    A copy, or what `pickle` restores, is loaded anew with the same arguments. A Ranker does not survive `os.fork`: the
    child gets an error that says so.

    Args:
        model: a checkpoint folder, GGUF file, adapter folder or hub name (docs/loading.md); a transformers model with
            its `tokenizer`, used as it is, where it is, and left as it was; None is the bundled model.
        device: where it runs; None is the first GPU when there is one, else the CPU.
        devices: in place of `device`, several of one machine, each with a replica of the model; queries are shared out
            among them (docs/scale.md).
        dtype: of its weights; None is bfloat16 where the hardware multiplies it, else float32.
        method: `iranker` eliminates the worst round after round; `selection` takes the best round after round;
            `dranker` ranks in one shot; `pointwise` judges each candidate alone, by yes or no; `query_likelihood`
            asks how probable each candidate alone makes the query; `setwise`, `tournament` and `pairwise` compare a
            few at a time (docs/methods.md). Or the name of one that was registered
            (`rranker.methods.register`). None is what the model was trained for, and for one that was not trained to
            rank what measured best (docs/pretrained.md).
        attention_mode: `causal` (what pretrained checkpoints expect) or `block` (each candidate sees the query and
            itself only: each is encoded once, and the ranking does not depend on the input order); None is what
            the checkpoint was trained for.
        attention_backend: `reference`, `cpu`, `triton`, `varlen` (or `flash`) or `flashinfer`; None chooses by device.
        fused_kernels: norms, rotary embeddings and gates each in one launch of a kernel, in place of the model's own
            operators, where they compute the same; None is yes on CUDA and ROCm, no on the CPU.
        relayout: in causal attention, how a round's prompt follows from the last: `keep` keeps the survivors in
            their input order, `best_first` re-sorts those behind a gap, so that later rounds reuse more.
        reuse: in causal attention, `exact` encodes what stood behind an eliminated candidate anew, so that each round
            is what a fresh prompt of the survivors says; `keep` keeps it as it is, so that all is encoded once.
        speculate: guess several rounds ahead in one pass. Lossless up to the dtype's rounding, in float32
            exactly; switch it off only to compare.
        truncate: for text that does not fit the model: `end` and `middle` shorten it (reported in
            `Ranking.repairs`), `error` refuses.
        kv_cache_tokens: tokens whose keys and values are held at once, over all queries; reserved at once, on each
            device. None: on a GPU what 60 % of its free memory hold, on a CPU 65,536, and no more than 4 GiB.
        max_batch_tokens: about how many tokens share one forward pass; None is 32,768 on a GPU, on a CPU what suits
            the model (docs/engine.md).
        seed: of the layout order of candidates in block attention, and of what is drawn in thoughts.
        reasoning: of calls that do not say, as the next three: the model writes a thought before each verdict
            (docs/reasoning.md); it needs a language model.
        max_think_tokens: the longest thought; None is 256, with `format="r1_ranker"` 960.
        temperature: of thoughts; 0 takes the most probable token each time.
        top_p: of thoughts, with a temperature: tokens are drawn from the most probable that hold this much together.
        format: how prompts are worded: `text` or `r1_ranker` (the paper's own, answered in words); None is what the
            checkpoint was trained on.
        relevance: of calls that do not say; see `rank`.
        scorer: answers the method's questions in place of a model; the settings of the model are then ignored.

    Raises:
        FileNotFoundError: no such model, here or on the hub, or a file of it is missing.
        PermissionError: its owner on the hub has not let you in.
        UnsupportedModelError: the model computes something that the engine cannot reproduce.
        ValueError, TypeError: a wrong setting, or a damaged file; the message names it and says what to do.
        RuntimeError: this process was forked from one that had loaded a Ranker.
    """

    def __init__(  # noqa: PLR0913 (options of a loaded model, all but the first by keyword)
        self,
        model: str | Path | PreTrainedModel | None = None,
        *,
        tokenizer: PreTrainedTokenizerBase | None = None,
        device: str | torch.device | None = None,
        devices: Sequence[str | torch.device] | None = None,
        dtype: str | torch.dtype | None = None,
        method: str | None = None,
        attention_mode: AttentionMode | None = None,
        attention_backend: str | None = None,
        fused_kernels: bool | None = None,
        relayout: Relayout | None = None,
        reuse: Reuse | None = None,
        speculate: bool = True,
        truncate: Truncate = "end",
        kv_cache_tokens: int | None = None,
        max_batch_tokens: int | None = None,
        seed: int = 0,
        relevance: bool | None = None,
        reasoning: bool = False,
        max_think_tokens: int | None = None,
        temperature: float = 0.0,
        top_p: float = 1.0,
        format: str | None = None,
        scorer: Scorer | None = None,
        **old: Any,
    ) -> None:
        arguments = {
            name: value for name, value in locals().items() if name not in ("self", "old", "__class__")
        }
        if old:
            refuse_transformers_arguments(old)
            arguments |= renamed(old, Ranker.__init__, arguments)
            self.__init__(**arguments)  # type: ignore[misc]
            return
        self._arguments = arguments
        method = None if method is None else method_class(method).name
        one_of(relevance, "relevance", (None, True, False))
        one_of(fused_kernels, "fused_kernels", (None, True, False))
        one_of(reuse, "reuse", (None, *get_args(Reuse)))
        one_of(relayout, "relayout", (None, *get_args(Relayout)))
        one_of(attention_mode, "attention_mode", (None, *get_args(AttentionMode)))
        one_of(format, "format", (None, "text", "r1_ranker"))
        one_of(truncate, "truncate", get_args(Truncate))
        check_seed(seed)
        thinks = reasoning_of(reasoning, max_think_tokens, temperature, top_p)
        names = ("reasoning", "max_think_tokens", "temperature", "top_p")
        thoughts = {name: arguments[name] for name in names}
        self.load_seconds: dict[str, float] = {}
        """Where the time to get ready went: `weights` (reading the checkpoint) and `probe` (checking it), of all
        devices."""
        if scorer is not None:
            super().__init__(scorer, method, relevance, thoughts)
            return
        where = as_devices(device, devices, loaded=hasattr(model, "state_dict"))
        source, first, wanted = as_model(model, tokenizer, where[0], dtype)
        where = [first, *map(as_device, where[1:])]
        check_process()

        def load(on: torch.device) -> EngineScorer:
            with building():
                engine = Engine.load(
                    source,
                    device=on,
                    dtype=wanted,
                    attention_mode=attention_mode,
                    attention_backend=attention_backend,
                    kv_cache_tokens=kv_cache_tokens,
                    max_batch_tokens=max_batch_tokens,
                    speculate=speculate,
                    fused_kernels=fused_kernels,
                )
            for part, seconds in engine.load_seconds.items():
                self.load_seconds[part] = self.load_seconds.get(part, 0.0) + seconds
            return engine_scorer(
                engine,
                thinks,
                format,
                drafts=speculate,
                relayout=relayout or "best_first",
                truncate=truncate,
                seed=seed,
                reuse=reuse or "exact",
            )

        made = load(first) if len(where) == 1 else load_replicas(where, load)
        super().__init__(made, method, relevance, thoughts)

    @property
    def model(self) -> LoadedModel:
        """The checkpoint it ranks with, on the first device. Raises AttributeError where a caller's scorer answers."""
        scorer = self._scorer.scorers[0] if isinstance(self._scorer, Replicas) else self._scorer
        if not isinstance(scorer, EngineScorer):
            raise AttributeError("this Ranker was given a scorer, not a model")
        if scorer.closed:
            raise RuntimeError(CLOSED)
        return scorer.model

    def close(self) -> None:
        """Frees the model and the KV cache, on all devices. Ranking afterwards raises RuntimeError."""
        self._scorer.close()
        self._workers.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _load_again, (type(self), self._arguments)


def check_settings(settings: Mapping[str, Any]) -> None:
    """Raises what a call with these settings (`RankSettings`) would, before there is anything to rank."""
    check_setting_names(settings)
    of_query = {name: value for name, value in settings.items() if name != "method"}
    make_request("any", ["a", "b"], **of_query)
    if settings.get("method") is not None:
        method_class(settings["method"])


def _load_again(kind: type[Ranker], arguments: dict[str, Any]) -> Ranker:
    return kind(**arguments)
