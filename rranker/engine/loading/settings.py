"""What a checkpoint says about how it wants to be run: the `rranker` key of its config.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from rranker.calibration import Calibration

from ...prompts import TEMPLATES
from ..readout import Pooling

AttentionMode = Literal["causal", "block"]
FORMAT = 1
LARGEST_BIAS = 10_000.0
"""Half precision still holds it beside the scores; e to the power of its negative is 0 in every type."""
_RENAMED = {"dialect": "prompt_format"}  # entries of checkpoints that earlier releases saved


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """How a checkpoint was trained to rank. The defaults suit any pretrained causal language model.

    `attention`: `block` when each candidate sees the prefix and itself only, else `causal`. `readout`:
    `identifier` names a candidate by a token, `pointer` scores hidden states by a head saved beside the
    weights. `pooling`: what a segment's state is to a pointer: its `last` token's, the `mean` over its tokens, or its
    first one's (`cls`). `query_prompt` and `document_prompt`: what an encoder was trained to find before queries and
    before texts ("query: "). `prompt_format`: how prompts are laid out. `max_candidate_tokens`: the longest candidate
    it knows. `method`: the ranking method it was trained to play; None when it was not, or is a pointer of an older
    release. `context_bias`: in block attention, added to the scaled attention scores (natural logarithms of weights)
    of every key outside a token's own segment; at -2 the rest of the prompt gets e⁻² of the weight it would.
    `calibration`: by template, what makes relevance of its scores; None when it was not calibrated.
    """

    attention: AttentionMode = "causal"
    readout: Literal["identifier", "pointer"] = "identifier"
    prompt_format: Literal["text", "compact", "encoder", "r1_ranker"] = "text"
    max_candidate_tokens: int | None = None
    pooling: Pooling = "last"
    query_prompt: str = ""
    document_prompt: str = ""
    method: str | None = None
    context_bias: float = 0.0
    calibration: Mapping[str, Calibration] | None = field(default=None, hash=False)

    def __post_init__(self) -> None:
        for name, known in (
            ("attention", ("causal", "block")),
            ("readout", ("identifier", "pointer")),
            ("prompt_format", ("text", "compact", "encoder", "r1_ranker")),
            ("pooling", get_args(Pooling)),
        ):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, not {getattr(self, name)!r}")
        longest = self.max_candidate_tokens
        if longest is not None and (type(longest) is not int or longest < 1):
            raise ValueError(f"max_candidate_tokens must be a whole number of at least 1, not {longest!r}")
        if self.method is not None and not isinstance(self.method, str):
            raise ValueError(f"method must be the name of a ranking method, not {self.method!r}")
        bias: object = self.context_bias
        if isinstance(bias, bool) or not isinstance(bias, int | float) or not abs(bias) <= LARGEST_BIAS:
            raise ValueError(
                f"context_bias must be a number from {-LARGEST_BIAS:,.0f} to {LARGEST_BIAS:,.0f}, not {bias!r}"
            )
        if self.context_bias and self.attention != "block":
            raise ValueError(
                f"context_bias {self.context_bias} goes with attention 'block', where a token has a segment of its "
                f"own, not with {self.attention!r}"
            )
        if self.pooling != "last" and (self.attention, self.readout) != ("block", "pointer"):
            raise ValueError(
                f"pooling {self.pooling!r} goes with attention 'block' and readout 'pointer', not with "
                f"{self.attention!r} and {self.readout!r}"
            )
        self._check_prompts()
        self._check_calibration()

    def calibration_for(self, template: str) -> Calibration | None:
        """What makes relevance of its scores in a task of this template; None when it was not calibrated for it.

        Text that fits a query is what passages come closest to, so `generic` goes by them unless it has its own.
        """
        known = self.calibration or {}
        return known.get(template, known.get("passage") if template == "generic" else None)

    @property
    def prompts(self) -> tuple[str, str]:
        """What opens a query, and a text."""
        return self.query_prompt, self.document_prompt

    def entry(self) -> dict[str, Any]:
        """What `read` takes: the `rranker` value of a config.json."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def read(cls, saved: object, path: Path) -> ModelSettings:
        """From the `rranker` value of the config.json at `path`, None when there is none.

        Raises ValueError, naming the file and the entry, for what this release does not know.
        """
        if saved is not None and not isinstance(saved, Mapping):
            raise ValueError(f"{path}: `rranker` must be an object, not {saved!r}")
        entries = dict(saved or {})
        for old, new in _RENAMED.items():
            if old in entries:
                if new in entries:
                    raise ValueError(
                        f"{path}: under `rranker`, {new!r} is given twice, the other time by its old name {old!r}"
                    )
                entries[new] = entries.pop(old)
        version = entries.pop("format", FORMAT)
        if version != FORMAT:
            raise ValueError(f"{path}: its rranker format is {version!r}, and this release reads {FORMAT}")
        unknown = set(entries) - {f.name for f in fields(cls)}
        if unknown:
            raise ValueError(f"{path}: unknown entries under `rranker`: {', '.join(sorted(unknown))}")
        try:
            if entries.get("calibration") is not None:
                entries["calibration"] = _read_calibration(entries["calibration"])
            return cls(**entries)
        except ValueError as error:
            raise ValueError(f"{path}: under `rranker`, {error}") from error

    def _check_prompts(self) -> None:
        for name in ("query_prompt", "document_prompt"):
            prompt: object = getattr(self, name)
            if not isinstance(prompt, str):
                raise ValueError(f"{name} must be a text, not {prompt!r}")
            if prompt and self.prompt_format != "encoder":
                raise ValueError(
                    f"{name} {prompt!r} goes with prompt_format 'encoder', not with {self.prompt_format!r}"
                )

    def _check_calibration(self) -> None:
        for template, calibration in (self.calibration or {}).items():
            if template not in TEMPLATES:
                raise ValueError(
                    f"calibration is by template, one of {', '.join(TEMPLATES)}, and there is none {template!r}"
                )
            if (calibration.source == "pointer") != (self.readout == "pointer"):
                raise ValueError(
                    f"calibration of {template!r}: source {calibration.source!r} does not go with readout "
                    f"{self.readout!r}"
                )


def _read_calibration(saved: object) -> dict[str, Calibration]:
    if not isinstance(saved, Mapping):
        raise ValueError(f"calibration must be an object with an entry for each template, not {saved!r}")
    found = dict[str, Calibration]()
    for template, entry in saved.items():
        try:
            found[template] = Calibration.read(entry)
        except ValueError as error:
            raise ValueError(f"calibration of {template!r}: {error}") from error
    return found
