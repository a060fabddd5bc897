"""What goes wrong while a model is checked is blamed on its cause: memory, a setting, a package, or the model."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from rranker import Ranker
from rranker.engine.attention import attention_backend
from rranker.engine.attention.reference import ReferenceAttention
from rranker.engine.attention.varlen import FlashVarlen, VarlenAttention
from rranker.engine.errors import SettingError, UnsupportedModelError
from rranker.engine.runner import ModelRunner
from rranker.engine.self_check import self_check
from tests.support.architectures import tiny_model


def broken(error: Any) -> Any:
    """A model one of whose layers does `error()` in place of its work."""
    lm = tiny_model("llama")
    lm.model.layers[1].mlp.forward = lambda _: error()
    return lm


def check(lm: Any, backend: Any = None, slots: int = 64) -> float:
    return self_check(lm, ModelRunner(lm, backend or ReferenceAttention(), slots), "causal")


def test_memory_that_runs_out_stays_what_it_is() -> None:
    with pytest.raises(RuntimeError, match="can't allocate memory") as error:
        check(broken(lambda: torch.empty(1 << 50)))
    assert not isinstance(error.value, UnsupportedModelError)

    def raises(error: type[Exception]) -> Any:
        raise error("of memory")

    for kind in (MemoryError, torch.OutOfMemoryError):
        with pytest.raises(kind, match="of memory"):
            check(broken(lambda kind=kind: raises(kind)))


def test_what_model_code_cannot_do_is_the_models_and_keeps_its_cause() -> None:
    with pytest.raises(
        UnsupportedModelError, match="cannot be driven by the engine: ZeroDivisionError"
    ) as error:
        check(broken(lambda: 1 // 0))
    assert isinstance(error.value.__cause__, ZeroDivisionError)


def test_settings_that_do_not_suit_are_settings() -> None:
    with pytest.raises(
        SettingError, match=r"flash-attn computes in float16 and bfloat16, not torch\.float32"
    ):
        check(tiny_model("llama"), VarlenAttention(FlashVarlen(lambda *_, **__: None)))
    with pytest.raises(SettingError, match=r"kv_cache_tokens is too small .* takes \d+ tokens"):
        Ranker(kv_cache_tokens=4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_overflow_is_called_so_in_every_dtype(dtype: torch.dtype) -> None:
    lm = tiny_model("llama").to(dtype)
    with torch.no_grad():
        lm.model.norm.weight.fill_(torch.finfo(dtype).max)
    with pytest.raises(SettingError, match=f"overflows in {str(dtype).removeprefix('torch.')}"):
        check(lm)


def test_weights_of_zeros_are_called_so() -> None:
    lm = tiny_model("llama")
    with torch.no_grad():
        lm.lm_head.weight.zero_()
    with pytest.raises(UnsupportedModelError, match="the same logit: its weights are zeros"):
        check(lm)


@pytest.mark.parametrize(
    ("source", "kind", "says"),
    [
        (None, ImportError, r"pip install 'rranker\[flashinfer\]'"),
        ("raise ImportError('undefined symbol: _ZN3c104cuda')", ImportError, "undefined symbol"),
        ("import of_nobody", ModuleNotFoundError, "of_nobody"),
    ],
)
def test_a_missing_package_is_told_from_a_broken_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str | None, kind: type[Exception], says: str
) -> None:
    if source is not None:
        (tmp_path / "flashinfer.py").write_text(source)
    elif find_spec("flashinfer"):
        pytest.skip("FlashInfer is installed")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(kind, match=says):
        attention_backend("flashinfer")
