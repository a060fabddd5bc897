"""The page in a real browser: watched, clicked through, used by keyboard, and given hostile candidates."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import rranker
from rranker import Ranker
from tests.server.conftest import Server, serving

HOSTILE = [
    "<script>document.title = 'taken over'</script><img src=x onerror=\"document.title='taken over'\">",
    "</script><script>document.title = 'taken over'</script>",
    "\u202eturned around\u202c and \u2066isolated",
    "long " + "x" * 100_000,
    "plain text on tea",
]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUERY = "a </script><b>question</b> on tea"


@pytest.fixture(scope="module")
def ranking() -> rranker.Ranking:
    return rranker.rank(QUERY, HOSTILE, template="passage")


class Elements(HTMLParser):
    """Names of elements, the text of scripts, and attributes of frames."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.scripts: list[str] = []
        self.frames: list[dict[str, str | None]] = []
        self.addresses: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "action")]
        if tag == "iframe":
            self.frames.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        if self.names and self.names[-1] == "script":
            self.scripts.append(data)


def parsed(page: str) -> Elements:
    found = Elements()
    found.feed(page)
    return found


def test_no_text_of_a_candidate_is_markup(ranking: rranker.Ranking) -> None:
    found = parsed(ranking.to_html(QUERY))
    assert found.names.count("script") == 2
    assert not {"img", "b", "iframe", "link"} & set(found.names)
    assert found.addresses == []
    held = json.loads(found.scripts[0])
    assert held["query"] == QUERY
    assert [item["text"] for item in held["ranking"]["items"]] == [item.text for item in ranking]


def test_a_notebook_shows_the_same_page_in_a_frame_of_its_own(ranking: rranker.Ranking) -> None:
    (frame,) = parsed(ranking._repr_html_()).frames
    assert frame["srcdoc"] == ranking.to_html()
    assert frame["sandbox"] == "allow-scripts allow-downloads"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    pytest.importorskip("fastapi", reason="the extra `serve` is not installed")
    with Ranker() as loaded, serving(loaded, keys=("a key",)) as started:
        yield started


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(
            f"needs a browser: none of {', '.join(BROWSERS)} is on the PATH (apt-get install chromium)"
        )
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A tab in which nothing may go wrong, and nothing may be asked of elsewhere."""
    context = browser.new_context(viewport={"width": 1200, "height": 900}, accept_downloads=True)
    tab = context.new_page()
    tab.set_default_timeout(30_000)
    wrong: list[str] = []
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    tab.on("dialog", lambda dialog: wrong.append("a dialog"))
    yield tab
    context.close()
    assert [text for text in wrong if "401" not in text] == []


def texts(page: Any) -> list[str]:
    return [row.strip() for row in page.locator("#rows bdi.text").all_inner_texts()]


def test_a_query_is_asked_and_its_elimination_watched(page: Any, server: Server) -> None:
    page.goto(f"http://127.0.0.1:{server.port}/")
    page.get_by_role("button", name="Example").click()
    page.get_by_role("button", name="Rank").click()
    page.get_by_text("this server needs an API key").wait_for()
    page.get_by_label("API key").fill("a key")
    page.get_by_label("Query").press("Control+Enter")
    page.get_by_text(re.compile("5 candidates, 4 rounds in .* saved")).wait_for()
    candidates = page.get_by_label("Candidates").input_value().split("\n")
    expected = rranker.rank(page.get_by_label("Query").input_value(), candidates, template="passage")
    assert texts(page) == [item.text for item in expected]
    assert page.locator("#rows .number").all_inner_texts() == [
        f"{item.relevance:.3f}, score {item.score:.3f}" for item in expected
    ]
    # By keyboard to the beginning, and a round on: whoever left in it is at the bottom, marked.
    slider = page.get_by_role("slider", name="Round")
    slider.focus()
    slider.press("Home")
    assert page.locator("#shown").inner_text() == "0 of 4"
    assert texts(page) == candidates
    slider.press("ArrowRight")
    first = expected.rounds[0]
    assert texts(page)[-1] == candidates[first.excluded[0]]
    assert page.locator("#rows tr.leaving").count() == 1
    share = first.probabilities[first.alive.index(first.excluded[0])]
    assert page.locator("#rows tr.leaving .named").inner_text().startswith(f"{100 * share:.0f}")
    with page.expect_download() as download:
        page.get_by_role("button", name="JSON").click()
    assert [
        i["index"] for i in json.loads(Path(download.value.path()).read_text(encoding="utf-8"))["items"]
    ] == expected.order
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    assert Path(download.value.path()).read_text(encoding="utf-8").count("\n") == 6


def test_hostile_candidates_are_shown_as_text(page: Any, server: Server) -> None:
    page.goto(f"http://127.0.0.1:{server.port}/")
    title = page.title()
    page.get_by_label("API key").fill("a key")
    page.get_by_label("Query").fill(QUERY)
    page.get_by_label("Candidates").fill("\n".join(HOSTILE))
    page.get_by_role("button", name="Rank").click()
    page.get_by_text("5 candidates, 4 rounds in").wait_for()
    shown = texts(page)
    assert {HOSTILE[0], HOSTILE[1], "U+202Eturned aroundU+202C and U+2066isolated"} <= set(shown)
    (long,) = [text for text in shown if text.startswith("long")]
    assert len(long) < 500
    page.get_by_role("button", name="all 100,005 characters").click()
    assert HOSTILE[3] in texts(page)
    assert page.title() == title
    assert page.locator("#rows img, #rows script, #rows b").count() == 0
    assert page.locator("#query").inner_text() == QUERY


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (380, "dark")])
def test_the_saved_page_fits_wide_and_narrow_windows(
    width: int, scheme: str, page: Any, ranking: rranker.Ranking, tmp_path: Path
) -> None:
    path = tmp_path / "ranking.html"
    path.write_text(ranking.to_html(QUERY), encoding="utf-8")
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    page.goto(path.as_uri())
    assert page.locator("#rows tr").count() == len(HOSTILE)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    back = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (back == "rgb(255, 255, 255)") == (scheme == "light")
    page.get_by_role("button", name="Play").click()
    page.get_by_text("1 of 4").wait_for()
    page.get_by_role("button", name="Pause").click()


def test_thoughts_are_shown_on_demand_and_those_taken_stand_on_top(page: Any, tmp_path: Path) -> None:
    items = [
        rranker.RankedCandidate(rank, i, f"id {i}", f"text {i}", 1 / rank)
        for rank, i in enumerate((2, 0, 1), 1)
    ]
    rounds = (
        rranker.Round((0, 1, 2), (), (0.2, 0.1, 0.7), "The <b>third</b> one.", selected=(2,)),
        rranker.Round((0, 1), (), (0.6, 0.4), None, selected=(0, 1)),
    )
    path = tmp_path / "ranking.html"
    path.write_text(rranker.Ranking(tuple(items), rounds, method="selection").to_html(["a", "history"]))
    page.goto(path.as_uri())
    assert page.locator("#query").inner_text() == "a\nhistory"
    page.get_by_role("slider").press("ArrowLeft")
    assert texts(page) == ["text 2", "text 0", "text 1"]
    assert page.locator("#rows tr.taken").count() == 1
    assert not page.locator("#thought").is_visible()
    page.get_by_text("What the model thought").click()
    assert page.locator("#thought").inner_text() == "The <b>third</b> one."
