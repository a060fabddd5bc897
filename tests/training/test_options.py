"""One command line for both trainers: fields are options and YAML keys, and what is wrong is named."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
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
    parts = [getattr(arguments, part.name) for part in fields(arguments)]
    assert len(flat) == sum(len(fields(part)) for part in parts)  # no two have one name


@dataclass
class Three:
    size: int = option(3, "size", least=1)
    rate: float | None = option(None, "rate", above=0)
    share: float = option(0.5, "share", least=0, most=1)
    files: list[Path] | None = option(None, "files")
    loud: bool = option(True, "whether")
    name: str | None = option(None, "name")


def three(*words: str) -> Three:
    (found,) = parse_options((Three,), words, prog="it", description="Does it.")
    assert isinstance(found, Three)
    return found


OUT_OF_RANGE = [
    ("size", "0", "must be at least 1, not 0"),
    ("size", "-3", "must be at least 1, not -3"),
    ("rate", "0", "must be above 0, not 0"),
    ("rate", ".nan", "must be above 0, not nan"),
    ("share", "1.5", "must be at least 0 and at most 1, not 1.5"),
]


@pytest.mark.parametrize(("name", "value", "message"), OUT_OF_RANGE)
def test_a_number_out_of_its_range_is_refused_wherever_it_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, value: str, message: str
) -> None:
    path = tmp_path / "it.yaml"
    path.write_text(f"{name}: {value}\n")
    with pytest.raises(SystemExit):
        three("--config", str(path))
    assert f"{path}: {name} {message}" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        three(f"--{name}", value.removeprefix("."))
    assert f"argument --{name}: {message}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("size: 2.5", "size must be a whole number, not 2.5"),
        ("size: true", "size must be a whole number, not True"),
        ("size: [1, 2]", "size must be a whole number, not [1, 2]"),
        ("size: null", "size must be a whole number, not None"),
        ("share: high", "share must be a number, not 'high'"),
        ("loud: sideways", "loud must be true or false, not 'sideways'"),
        ("name: no", "name must be text (in quotes), not False"),
        ("name: 2024-01-01", "name must be text (in quotes), not datetime.date(2024, 1, 1)"),
        ("files: {a: 1}", "files must be text (in quotes), not {'a': 1}"),
        ("env: 3", "env must map names of environment variables to values, not be 3"),
        ("help: 3", "has keys that are no options: help"),
    ],
)
def test_a_value_of_another_type_is_refused_by_its_key_as_it_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    path = tmp_path / "it.yaml"
    path.write_text(text)
    with pytest.raises(SystemExit):
        three("--config", str(path))
    said = capsys.readouterr().err
    assert message in said
    assert str(path) in said


def test_values_of_yaml_are_those_that_the_command_line_would_make(tmp_path: Path) -> None:
    path = tmp_path / "it.yaml"
    path.write_text("size: 7\nrate: null\nshare: 1\nfiles: rows.jsonl\nloud: no\nname: 2024\n")
    expected = Three(7, None, 1.0, [Path("rows.jsonl")], False, "2024")
    words = ["--size", "7", "--share", "1", "--files", "rows.jsonl", "--loud", "no", "--name", "2024"]
    assert three("--config", str(path)) == three(*words) == expected


def test_one_value_of_an_option_that_takes_several_is_a_list_of_one(tmp_path: Path) -> None:
    path = tmp_path / "it.yaml"
    path.write_text("data: rows.jsonl\nweights: own=1\ncollections: qed\nstart: x\n")
    config = configured(parse_sft(["--config", str(path)]))
    assert config.data == [str(Path("rows.jsonl").resolve())]
    assert (config.weights, config.collections) == ({"own": 1.0}, ["qed"])
    path.write_text("data: rows.jsonl\ntasks: own\neval_tasks: passage-5\nreport_to: none\n")
    arguments, grpo = parse_grpo(["--config", str(path), "--use_cpu", "true", "--bf16", "false"])
    assert (arguments.data.data, arguments.data.tasks) == (["rows.jsonl"], ["own"])
    assert (arguments.evaluation.eval_tasks, grpo.report_to) == (["passage-5"], [])


@pytest.mark.parametrize("words", ["steps -1", "accumulate 0", "stop-at 0", "save_every 0", "tokens 0", "minutes 0",
                                   "lr 0", "lora_rank -1", "uniform 2", "passes nan", "seed -1"])  # fmt: skip
def test_supervised_training_refuses_numbers_that_mean_nothing(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name, value = words.split()
    with pytest.raises(SystemExit):
        parse_sft([f"--{name}", value])
    said = capsys.readouterr().err
    assert f"--{name}" in said
    assert f"not {value}" in said


def test_shares_are_numbers_and_a_validation_file_is_of_ones_own_data() -> None:
    with pytest.raises(ValueError, match=r"source=share \(squad=0\.5\), not 'movies'"):
        configured(parse_sft(["--weights", "movies"]))
    with pytest.raises(ValueError, match=r"leave --validation .*held\.jsonl out"):
        configured(parse_sft(["--validation", "held.jsonl"]))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--steps 5 --minutes 2", "--steps 5 and --minutes 2 each say"),
        ("--steps 5 --passes 3 --data rows.jsonl", "--steps 5 and --passes 3 each say"),
        ("--minutes 0.5 --passes 10 --data rows.jsonl", "--minutes 0.5 and --passes 10 each say"),
    ],
)
def test_how_long_a_run_is_is_said_once(words: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"{said} how long the run is: give one of them alone"):
        parse_sft(words.split())
    first, *rest = words.split(" --")
    name, value = first.removeprefix("--").split()
    (tmp_path / "run.yaml").write_text(f"{name}: {value}\n")
    with pytest.raises(ValueError, match=said):
        parse_sft(["--config", str(tmp_path / "run.yaml"), *(" --".join(["", *rest]).split())])


@pytest.mark.parametrize("words", ["--weights movies=1", "--data rows.jsonl --weights own=1 movies=1"])
def test_passes_are_of_ones_own_rows_alone(words: str) -> None:
    with pytest.raises(ValueError, match=r"--passes 3 counts how often rows of --data.*movies: give --steps"):
        configured(parse_sft(["--passes", "3", *words.split()]))
    configured(parse_sft(["--passes", "3", "--data", "rows.jsonl"]))


@pytest.mark.parametrize("inside", ["", "runs/sft"])
def test_a_file_in_the_place_of_the_output_folder_is_refused(tmp_path: Path, inside: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text("mine")
    with pytest.raises(ValueError, match=f"--out names a folder to write to, and {path} is a file"):
        parse_sft(["--out", str(path / inside)])
