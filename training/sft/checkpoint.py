"""A training state that resumes exactly, and the model folder that the engine loads."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from rranker.engine.loading.checkpoint import read_checkpoint
from rranker.engine.loading.item_factors import save_item_factors
from rranker.engine.loading.pointer_head import HEAD_FILE, load_head
from rranker.engine.loading.settings import AttentionMode, ModelSettings
from rranker.prompts.assemble import PromptFormat
from rranker.prompts.encoding import TextEncoder
from rranker.prompts.formats import prompt_formats
from rranker.training.policy.ranking_model import PointerHead, RankingModel
from rranker.writing import writing_failed


def settings_of(model: RankingModel, attention: AttentionMode = "block") -> ModelSettings:
    """What a checkpoint of `model` says about itself."""
    return ModelSettings(
        attention=attention,
        readout="pointer",
        prompt_format="encoder" if model.attends.bidirectional else "compact",
        max_candidate_tokens=256,
        pooling=model.head.pooling,
        query_prompt=model.prompts[0],
        document_prompt=model.prompts[1],
        method="iranker",
        context_bias=model.attends.context_bias,
    )


def list_format(model: RankingModel, tokenizer: Any) -> PromptFormat:
    """How prompts of `model` are laid out that ask about lists."""
    settings = settings_of(model)
    return prompt_formats(settings.prompt_format, TextEncoder(tokenizer), settings.prompts)["select"]


def save_model(
    model: RankingModel,
    tokenizer: Any,
    folder: str | Path,
    attention: AttentionMode = "block",
    settings: ModelSettings | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """A Hugging Face folder, with `pointer_head.safetensors` (fp32: the parameters of `PointerHead`).

    Item factors stay with the model. `settings`: of a model that ranks as the one they were read with, calibration and
    all; None: those of new weights, which no calibration was fitted to. `dtype`: of the language model's weights; None
    is the one that they have.
    """
    folder = Path(folder)
    lm = copy.deepcopy(model.lm).to(dtype or model.lm.dtype)
    lm.config.rranker = (settings or settings_of(model, attention)).entry()
    lm.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    head = {name: p.detach().float().contiguous() for name, p in model.head.named_parameters()}
    save_file(head, folder / HEAD_FILE)
    save_item_factors(model.item_factors, folder)


def load_model(folder: str | Path, dtype: torch.dtype = torch.float32) -> RankingModel:
    """The model that `save_model` wrote into a folder. Raises what `read_checkpoint` and `load_head` raise."""
    checkpoint = read_checkpoint(folder, dtype)
    settings, lm = checkpoint.settings, checkpoint.lm
    weights = load_head(checkpoint.folder, lm.config.hidden_size, settings.pooling)
    head = PointerHead.of(weights, settings.pooling)
    return RankingModel(lm, head, settings.context_bias, checkpoint.item_factors, settings.prompts)


def dtype_of(folder: str | Path) -> torch.dtype:
    """What a checkpoint's weights are saved in, and what is made of them then: float32 where it says nothing.

    Raises as `read_checkpoint` does.
    """
    named = getattr(read_checkpoint(folder, None).config, "dtype", None)
    return named if isinstance(named, torch.dtype) else torch.float32


def check_begun(out: Path, resume: bool) -> None:
    """Raises FileExistsError when a run would begin in another's folder, and ValueError when there is none to resume.

    Interrupted, a run that began beside another's state would be resumed from the other's weights.
    """
    has_state = (out / "state.pt").exists()
    if resume and not has_state:
        raise ValueError(f"there is nothing to resume in {out}: it has no state.pt")
    if has_state and not resume:
        raise FileExistsError(
            f"{out} has the state of a run already: go on with it by --resume, give another --out, or delete the folder"
        )


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Written beside and renamed: a kill in the middle, or a full disk, leaves the previous state whole."""
    part = path.with_suffix(".part")
    try:
        torch.save(state, part)
    except (OSError, RuntimeError):
        part.unlink(missing_ok=True)  # of a full disk, it takes the last room
        raise
    part.replace(path)


@contextmanager
def resumable(path: Path) -> Iterator[None]:
    """Writes `path`, beside a state that can be resumed from. Raises OSError, which says so, where that fails."""
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        if not writing_failed(error):
            raise
        raise OSError(
            f"{path} could not be written: {error}. Is the disk full? Once there is room, --resume goes on from the "
            "last state.pt, if there is one"
        ) from error
