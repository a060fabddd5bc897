"""GGUF files loaded while others are read: the stand-ins that a load puts into the `gguf` module reach nobody else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any

import gguf
import pytest
import torch
import transformers as t

from rranker.engine.loading.checkpoint import read_checkpoint, read_config
from tests.support.checkpoints import small_tokenizer
from tests.support.gguf_files import tiny_llama, write_gguf

WIDTHS = (96, 160)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One of each width of the feed-forward layers."""
    root, tokenizer = tmp_path_factory.mktemp("gguf"), small_tokenizer()
    return [
        write_gguf(root / f"{width}.gguf", tiny_llama(tokenizer, intermediate_size=width), tokenizer)
        for width in WIDTHS
    ]


def before_a_config_is_read(monkeypatch: pytest.MonkeyPatch, action: Any) -> None:
    """Has `action` called inside a load, where the stand-ins are in place."""
    read = t.AutoConfig.from_pretrained

    def and_then(*given: Any, **more: Any) -> Any:
        action()
        return read(*given, **more)

    monkeypatch.setattr(t.AutoConfig, "from_pretrained", and_then)


def test_loads_that_overlap_read_each_its_own_file(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    both = Barrier(2)

    def meet() -> None:
        with suppress(BrokenBarrierError):  # loads that take turns do not meet
            both.wait(timeout=1)

    before_a_config_is_read(monkeypatch, meet)
    own = gguf.GGUFReader, gguf.get_tensor_name_map
    with ThreadPoolExecutor(2) as threads:
        loads = list(threads.map(lambda file: read_checkpoint(file, torch.float32), files))
    for load, width in zip(loads, WIDTHS, strict=True):
        assert load.config.intermediate_size == width
        assert load.lm.model.layers[0].mlp.up_proj.weight.shape[0] == width
    assert (gguf.GGUFReader, gguf.get_tensor_name_map) == own


def test_whoever_opens_another_file_during_a_load_gets_that(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    own, opened = gguf.GGUFReader, []
    before_a_config_is_read(
        monkeypatch, lambda: opened.extend(gguf.GGUFReader(file) for file in (*files, str(files[1])))
    )
    read_config(files[0])
    widths = [reader.fields["llama.feed_forward_length"].contents() for reader in opened]
    assert widths == [*WIDTHS, WIDTHS[1]]
    assert [type(reader) is own for reader in opened] == [False, True, True]


def test_a_load_that_fails_leaves_the_library_as_it_was(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = gguf.GGUFReader, gguf.get_tensor_name_map

    def fail() -> None:
        assert own[0] is not gguf.GGUFReader
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        before_a_config_is_read(patch, fail)
        with pytest.raises(KeyboardInterrupt):
            read_config(files[0])
    assert (gguf.GGUFReader, gguf.get_tensor_name_map) == own
    assert read_config(files[1]).intermediate_size == WIDTHS[1]  # nor is the turn kept
