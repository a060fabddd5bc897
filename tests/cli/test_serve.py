"""`rranker serve`: its options reach the Ranker."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest

from rranker.cli.serve import url_of
from tests.cli.conftest import Run

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")


@pytest.mark.parametrize(("words", "wanted"), [([], None), (["--relevance"], True)])
def test_relevance_is_asked_for_on_behalf_of_all_requests(
    words: list[str], wanted: bool | None, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = dict[str, Any]()

    def load(**settings: Any) -> NoReturn:
        given.update(settings)
        raise ValueError("far enough")

    monkeypatch.setattr("rranker.cli.serve.load_ranker", load)
    monkeypatch.setattr("rranker.server.telemetry.log_to_stderr", lambda: None)
    done = run("serve", *words)
    assert "far enough" in done.stderr
    assert given["relevance"] is wanted


@pytest.mark.parametrize(("option", "named"), [("--seconds", "seconds"), ("--body-megabytes", "body_bytes")])
@pytest.mark.parametrize("value", ["inf", "nan", "0", "-1"])
def test_a_limit_that_bounds_nothing_is_refused_before_the_model_is_loaded(
    option: str, named: str, value: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rranker.server.telemetry.log_to_stderr", lambda: None)
    done = run("serve", f"{option}={value}", "--model", "no/such/folder")
    assert done.exit_code == 2
    assert f"the limit of {named} must be a number above 0, not {value}" in done.stderr.replace(".0", "")


def test_the_address_that_is_said_can_be_opened() -> None:
    assert url_of("127.0.0.1", 80) == "http://127.0.0.1:80"
    assert url_of("::1", 80) == "http://[::1]:80"
