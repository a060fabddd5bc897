"""Settings of a GRPO run that cannot be, or would do nothing, are refused before anything is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from rranker.training.grpo import parse
from rranker.training.grpo.run import main
from tests.support.toy_runs import run
from tests.support.toys import options


def test_settings_that_could_lose_a_run_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="save_total_limit"):
        parse(options(tmp_path, tmp_path, save_total_limit=1))
    with pytest.raises(ValueError, match="multiple of 4"):
        parse(options(tmp_path, tmp_path, num_iterations=4, save_steps=6))
    with pytest.raises(ValueError, match=r"eval_steps, which save_steps follow .* multiple of 4"):
        run(options(tmp_path, tmp_path, steps_per_generation=4, save_steps=20, eval_steps=10, patience=2))


def test_passes_that_are_asked_for_are_taken_whole(pointer: Path, tmp_path: Path) -> None:
    words = [*options(pointer, tmp_path / "out", eval_strategy="no"), "--num_train_epochs", "2"]
    with pytest.raises(ValueError, match=r"max_steps 6 and num_train_epochs 2 both say how long"):
        parse(words)
    at = words.index("--max_steps")
    trainer = run(words[:at] + words[at + 2 :])
    assert trainer.state.global_step == 2 * 24 // 4
    assert parse(["--use_cpu", "true", "--bf16", "false"])[1].max_steps == 200


UNREAD = [({"top_p": 0.5}, "--top_p 0.5"), ({"top_k": 4, "min_p": 0.1}, "--top_k 4, --min_p 0.1"),
          ({"format_weight": 0.2}, "--format_weight 0.2"),
          ({"mask_truncated_completions": True}, "--mask_truncated_completions True")]  # fmt: skip


@pytest.mark.parametrize(("changes", "said"), UNREAD)
def test_what_texts_alone_are_drawn_by_is_refused_for_decisions(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=f"--policy logits does not read {said}: leave that out"):
        main(options(tmp_path / "nothing", tmp_path / "out", **changes))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("policy", ["logits", "text"])
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("reward_weights 2", "weighed by --format_weight"),
        ("sync_ref_model true", "no checkpoint would keep"),
        ("resume_from_checkpoint runs/other", "--resume true goes on"),
    ],
)
def test_what_no_policy_reads_is_refused_with_what_does_its_work(
    tmp_path: Path, policy: str, words: str, said: str
) -> None:
    name, value = words.split()
    given = {"policy": policy, "beta": 0.1, name: value}
    with pytest.raises(ValueError, match=f"--{name} .* is not read here: .*{said}"):
        main(options(tmp_path / "nothing", tmp_path / "out", **given))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("policy", ["logits", "text"])
def test_noise_that_makes_another_policy_of_the_one_that_draws_is_refused(
    tmp_path: Path, policy: str
) -> None:
    given = {"policy": policy, "neftune_noise_alpha": 5}
    with pytest.raises(
        ValueError, match=r"--neftune_noise_alpha 5 adds noise to embeddings, .* leave it out"
    ):
        main(options(tmp_path / "nothing", tmp_path / "out", **given))
    arguments, config = parse(options(tmp_path / "nothing", tmp_path / "out", **given))
    arguments.check(config, plays=False)  # what imitates draws nothing


@pytest.mark.parametrize(
    "words", ["temperature 0", "eval_cases 0", "cases 0", "num_generations 1", "gamma 2", "seed -1"]
)
def test_numbers_that_mean_nothing_are_refused(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    name, value = words.split()
    with pytest.raises(SystemExit):
        parse([f"--{name}", value])
    said = capsys.readouterr().err
    assert f"argument --{name}" in said
    assert f"not {value}" in said


def test_a_file_in_the_place_of_the_output_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ValueError, match=r"--output_dir names a folder to write to, and .* is a file"):
        main(options(tmp_path / "nothing", tmp_path / "out"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="says where a machine without CUDA trains")
@pytest.mark.parametrize("words", [[], ["--bf16", "false"]])
def test_a_mac_trains_on_its_cpu_where_the_engine_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: list[str]
) -> None:
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr("transformers.training_args.is_torch_mps_available", lambda: True)
    _, config = parse(["--output_dir", str(tmp_path / "out"), *words])
    assert config.device.type == "cpu"
