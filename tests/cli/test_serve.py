"""`rranker serve`: its options reach the Ranker."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest

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
