"""One command line for both trainers: fields are options and YAML keys, and what is wrong is named."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from rranker.training.grpo import parse as parse_grpo
from rranker.training.options import option, parse_options
from rranker.training.sft.config import SftConfig
from rranker.training.sft.options import configured
from rranker.training.sft.options import parse as parse_sft


@dataclass
class One:
    save_every: int = option(200, "steps")
    way: str = option("up", "which way", ("up", "down"))


@dataclass
class Two:
    names: list[str] = option(["a"], "names")
    rate: float = option(1.0, "rate")
    loud: bool = option(False, "whether")


def read(*words: str) -> tuple[One, Two]:
    one, two = parse_options((One, Two), words, prog="it", description="Does it.")
    return one, two


def test_the_command_line_goes_over_yaml_and_yaml_over_defaults(tmp_path: Path) -> None:
    path = tmp_path / "it.yaml"
    path.write_text("save_every: 5\nrate: 1e-4\nnames: [x, y]\nloud: true\n")
    one, two = read("--config", str(path), "--save-every", "7")
    assert (one, two) == (One(7, "up"), Two(["x", "y"], 1e-4, True))
    assert read(f"--config={path}")[0].save_every == 5
    assert read("--loud", "--save_every", "3") == (One(3), Two(loud=True))
    assert read()[1].names is not read()[1].names


def test_yaml_sets_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RRANKER_TEST_OPTION", raising=False)
    (tmp_path / "it.yaml").write_text("env:\n  RRANKER_TEST_OPTION: 3\n")
    assert read("--config", str(tmp_path / "it.yaml")) == read()
    assert os.environ.pop("RRANKER_TEST_OPTION") == "3"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("way: sideways", "way is one of up, down, not 'sideways'"),
        ("wya: up", "keys that are no options: wya"),
        ("- up", "must map option names to values"),
        ("a: [", "is not YAML"),
        (None, "cannot be read"),
    ],
)
def test_a_wrong_file_is_named_with_its_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, message: str
) -> None:
    path = tmp_path / "it.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SystemExit):
        read("--config", str(path))
    said = capsys.readouterr().err
    assert message in said
    assert str(path) in said


@pytest.mark.parametrize("parse", [parse_sft, parse_grpo])
def test_an_unknown_option_is_refused_by_both(parse: object, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--nonsense", "1"])  # type: ignore[operator]
    assert "unrecognized arguments: --nonsense 1" in capsys.readouterr().err


def test_supervised_training_takes_yaml_and_its_old_names(tmp_path: Path) -> None:
    path = tmp_path / "sft.yaml"
    path.write_text("lr: 2e-3\nweights: [movies=0.25, games=1]\nsteps: 9\nattention: causal\n")
    options = parse_sft(["--config", str(path), "--stop-at", "4", "--save-every", "2"])
    assert (options.run.stop_at, options.run.save_every) == (4, 2)
    expected = SftConfig(lr=2e-3, weights={"movies": 0.25, "games": 1.0}, steps=9, attention="causal")
    assert configured(options) == expected
    assert configured(parse_sft([])) == SftConfig()


def test_reports_hold_every_option_by_its_own_name() -> None:
    arguments, _ = parse_grpo(["--use_cpu", "true", "--bf16", "false", "--gamma", "0.5", "--tasks", "a=2"])
    flat = arguments.flat()
    assert (flat["gamma"], flat["tasks"], flat["policy"], flat["resume"]) == (0.5, ["a=2"], "logits", False)
    assert len(flat) == 27
