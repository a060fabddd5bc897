"""The wheel of `pip wheel .`: what it holds, and that it runs where nothing else of this repository is."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = (
    "pyproject.toml",
    "setup.py",
    "LICENSE",
    "LICENSE-WEIGHTS",
    "README.md",
    "csrc",
    "rranker",
    "kernels",
    "training",
    "haystack_integrations",
)
EXTENSION = f"_C{sysconfig.get_config_var('EXT_SUFFIX')}"
# By the build tools that are installed, as `make test` has them: otherwise pip downloads them.
BUILD_TOOLS = all(find_spec(name) for name in ("setuptools", "pybind11"))
WHEEL = (
    *(sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--quiet"),
    *(("--no-build-isolation", "--no-index") if BUILD_TOOLS else ()),
    "-w",
)
FILES = (
    *("rranker/py.typed", "rranker/_C.pyi", "rranker/metrics/evaluate.py", "rranker/training/sft/run.py"),
    *(
        "rranker/kernels/attention/kernel.py",
        "rranker/assets/default/config.json",
        "rranker/assets/default/tokenizer.json",
    ),
)
PROBE = """
import importlib.util, json, sys
import rranker
from rranker.metrics import evaluate
figures = evaluate({"q": {"a": 1, "b": 0}}, {"q": {"a": 0.5, "b": 0.9}}, ["nDCG@10", "RR"])
heavy = [name for name in ("torch", "transformers") if name in sys.modules]
parents = [importlib.util.find_spec(f"rranker.{name}.{module}").origin
           for name, module in (("kernels", "launch"), ("training", "sft"))]
order = rranker.rank("who wrote Emma?", ["Emma is a name.", "Jane Austen wrote Emma in 1815."]).order
print(json.dumps({"file": rranker.__file__, "figures": dict(figures), "heavy": heavy, "parents": parents,
                  "order": sorted(order)}))
"""


def start(*command: str | Path, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    # Without the caller's PYTHONPATH, so that the checkout cannot stand in for the wheel.
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables
    return subprocess.run(
        [str(c) for c in command], cwd=cwd, env=clean, capture_output=True, text=True, check=False
    )


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    done = start(*command, cwd=cwd, **variables)
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy without build outputs, as a clean clone has none."""
    folder = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        if (ROOT / name).is_dir():  # with their times: what is newer than what, as in the checkout
            ignored = shutil.ignore_patterns("__pycache__", "*.so")
            shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


def build(copy: Path, out: Path) -> Path:
    # The same setup.py has compiled the extension here: it is compiled again only where a source is newer than that.
    built = copy / f"build/lib.{sysconfig.get_platform()}-{sys.implementation.cache_tag}/rranker"
    built.mkdir(parents=True, exist_ok=True)
    shutil.copy2(ROOT / "rranker" / EXTENSION, built)
    run(*WHEEL, out, cwd=copy)
    (made,) = out.iterdir()
    return made


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("copy") / "source"
    shutil.copytree(source, copy, symlinks=True)
    return build(copy, tmp_path_factory.mktemp("out"))


def test_without_a_compiler_the_error_says_what_to_install(source: Path, tmp_path: Path) -> None:
    done = start(*WHEEL, tmp_path / "out", cwd=source, CC="no-such-compiler", CXX="no-such-compiler")
    assert done.returncode != 0
    said = done.stdout + done.stderr
    for words in ("needs a C++17 compiler", "apt-get install g++ python3-dev", "xcode-select --install"):
        assert words in said


@pytest.mark.slow  # builds the wheel, once
def test_what_the_wheel_holds(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    folders = {name.split("/")[0] for name in names}
    assert folders == {
        "rranker",
        "haystack_integrations",
        next(f for f in folders if f.endswith(".dist-info")),
    }
    # A namespace: an `__init__.py` above our folder would hide the integrations of others.
    own = "haystack_integrations/components/rankers/rranker/"
    assert {name for name in names if name.startswith("haystack_integrations")} == {
        own + "__init__.py",
        own + "ranker.py",
    }
    assert set(FILES) <= set(names)
    assert f"rranker/{EXTENSION}" in names
    assets = {
        f"rranker/{p.relative_to(ROOT / 'rranker')}" for p in (ROOT / "rranker/assets/default").iterdir()
    }
    assert assets <= set(names)
    assert not [name for name in names if name.endswith((".cpp", ".hpp", ".o")) or "tests/" in name]


@pytest.mark.slow  # builds the wheel, once
def test_the_wheel_runs_in_a_fresh_environment(wheel: Path, tmp_path: Path) -> None:
    """Its dependencies come from this environment through a .pth file: they are read, not installed again."""
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv/bin/python"
    site = Path(
        run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip()
    )
    install = ("install", "--no-deps", "--no-index", "--quiet", wheel)
    run(sys.executable, "-m", "pip", "--python", python, *install, cwd=tmp_path)
    # A folder named in a .pth file is searched, but its own .pth files (an editable rranker's) are not run.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    told = json.loads(run(python, "-c", PROBE, cwd=tmp_path))
    assert Path(told["file"]).is_relative_to(site)
    assert all(Path(origin).is_relative_to(site / "rranker") for origin in told["parents"])
    assert told["figures"] == {"nDCG@10": pytest.approx(0.6309, abs=1e-4), "RR": 0.5}
    assert told["heavy"] == []
    assert told["order"] == [0, 1]
    run(python, "-m", "rranker.training.sft", "--help", cwd=tmp_path)


@pytest.mark.slow  # builds the wheel, twice
def test_where_links_came_as_text_files_the_wheel_holds_the_same(
    wheel: Path, source: Path, tmp_path: Path
) -> None:
    """Git on Windows writes them so, unless told otherwise; so do programs that unpack a zip there."""
    copy = tmp_path / "source"
    shutil.copytree(source, copy, symlinks=True)
    for name in ("kernels", "training"):
        link = copy / "rranker" / name
        link.unlink()
        link.write_text(f"../{name}")
    with zipfile.ZipFile(wheel) as usual, zipfile.ZipFile(build(copy, tmp_path / "out")) as found:
        assert sorted(found.namelist()) == sorted(usual.namelist())
