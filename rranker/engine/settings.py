"""What a checkpoint says about how it wants to be run: the `rranker` key of its config.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

AttentionMode = Literal["causal", "block"]
FORMAT = 1


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """How a checkpoint was trained to rank. The defaults suit any pretrained causal language model.

    `attention`: `block` when each candidate sees the prefix and itself only, else `causal`. `readout`:
    `identifier` names a candidate by a token, `pointer` scores hidden states by a head saved beside the
    weights. `dialect`: the prompt's language. `max_candidate_tokens`: the longest candidate it knows.
    """

    attention: AttentionMode = "causal"
    readout: Literal["identifier", "pointer"] = "identifier"
    dialect: Literal["text", "compact"] = "text"
    max_candidate_tokens: int | None = None

    def __post_init__(self) -> None:
        for name, known in (
            ("attention", ("causal", "block")),
            ("readout", ("identifier", "pointer")),
            ("dialect", ("text", "compact")),
        ):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, not {getattr(self, name)!r}")

    @classmethod
    def read(cls, saved: Mapping[str, Any] | None) -> ModelSettings:
        """From config.json's `rranker` value, None when there is none. Raises ValueError on unknown entries."""
        entries = dict(saved or {})
        version = entries.pop("format", FORMAT)
        if version != FORMAT:
            raise ValueError(f"this checkpoint's rranker format is {version}, this release reads {FORMAT}")
        unknown = set(entries) - {f.name for f in fields(cls)}
        if unknown:
            raise ValueError(f"unknown entries under `rranker` in config.json: {', '.join(sorted(unknown))}")
        return cls(**entries)
