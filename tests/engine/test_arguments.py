"""What users pass for a model, a device and a type: understood, or refused with the cure."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from rranker.engine.hardware import best_device
from rranker.engine.loading.arguments import as_device, as_dtype, as_source
from rranker.engine.loading.model import DEFAULT_MODEL

NO_CUDA = pytest.mark.skipif(torch.cuda.is_available(), reason="says what a machine without a GPU answers")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (None, None),
        ("float32", torch.float32),
        ("fp32", torch.float32),
        ("bf16", torch.bfloat16),
        ("torch.bfloat16", torch.bfloat16),
        ("half", torch.float16),
        (torch.float16, torch.float16),
    ],
)
def test_types_are_understood_by_the_names_in_use(given: Any, meant: Any) -> None:
    assert as_dtype(given) is meant


@pytest.mark.parametrize(
    "given", ["int8", "float8_e4m3fn", "float64", "auto", "", torch.int64, torch.float64]
)
def test_types_the_engine_does_not_run_in_are_refused(given: Any) -> None:
    with pytest.raises(ValueError, match=r"dtype must be 'float32', 'bfloat16' or 'float16', not"):
        as_dtype(given)


@pytest.mark.parametrize("given", ["int8", torch.int8, torch.qint8])
def test_int8_is_refused_with_the_reason(given: Any) -> None:
    with pytest.raises(ValueError, match=r"do not keep rankings \(measured: docs/loading\.md\)"):
        as_dtype(given)


@pytest.mark.parametrize("given", [32, float, ["float32"]])
def test_what_names_no_type_is_refused(given: Any) -> None:
    with pytest.raises(TypeError, match="dtype must be"):
        as_dtype(given)


def test_devices_are_understood() -> None:
    assert as_device("cpu") == as_device(torch.device("cpu")) == torch.device("cpu")
    assert as_device(None) == best_device()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("gpu", 'use "cuda"'),
        ("GPU:1", 'use "cuda:1"'),
        ("auto", "runs a whole model on one device.*leave it out to have it chosen"),
        ("cpu0", "device must be 'cpu' or 'cuda'"),
        ("meta", "holds no numbers"),
        ("xla", "cannot be used"),
        ("hpu", "cannot be used"),
        pytest.param("cuda", "cannot be used: .*Use 'cpu'", marks=NO_CUDA),
        pytest.param(0, "'cuda:0' cannot be used", marks=NO_CUDA),
        ("cuda:99", "cannot be used"),
    ],
)
def test_devices_that_are_not_here_are_refused_with_the_cure(given: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        as_device(given)


@pytest.mark.parametrize("given", [1.5, True, ["cpu"]])
def test_what_names_no_device_is_refused(given: Any) -> None:
    with pytest.raises(TypeError, match="device must be"):
        as_device(given)


def test_folders_and_hub_names_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert as_source(None) is None
    assert as_source(DEFAULT_MODEL) == as_source(str(DEFAULT_MODEL)) == DEFAULT_MODEL
    (tmp_path / "models" / "mine").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert as_source("~/models/mine") == as_source(Path("~/models/mine")) == tmp_path / "models" / "mine"
    assert as_source("models/mine/") == Path("models/mine")
    for name in ("gpt2", "Qwen/Qwen3-0.6B", "some-org/some-model"):
        assert as_source(name) == name


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("models/mnie", "did you mean 'models/mine'"),
        ("models/llama", "not looked up on the hub, because the folder 'models' exists"),
        ("modles/mine/final", "'modles' in it does not"),
        ("./models/other", "has no folder of that name"),
        ("~/nothing", "no such folder"),
        ("/nowhere/at/all", "'nowhere' in it does not"),
        (r"C:\models\mine", "no such folder"),
        (Path("org/name"), "no such folder"),
        ("weights.safetensors", "is a file: give the checkpoint folder"),
    ],
)
def test_a_missing_folder_is_said_at_once_and_never_looked_up_on_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: Any, says: str
) -> None:
    (tmp_path / "models" / "mine").mkdir(parents=True)
    (tmp_path / "weights.safetensors").touch()
    monkeypatch.chdir(tmp_path)
    began = time.perf_counter()
    with pytest.raises(FileNotFoundError, match=says):
        as_source(given)
    assert time.perf_counter() - began < 0.5


@pytest.mark.parametrize("given", [b"models/mine", 3, ["models/mine"]])
def test_what_names_no_model_is_refused(given: Any) -> None:
    with pytest.raises(TypeError, match="model must be a checkpoint folder or a hub name, not"):
        as_source(given)


def test_a_model_object_is_refused_in_words() -> None:
    with pytest.raises(TypeError, match=r"not the Linear itself.*save_pretrained"):
        as_source(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="model is empty"):
        as_source(" ")
