"""What packages and visitors see: one version, pins for all that CI installs, links that lead somewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

import rranker

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("rranker/assets/**/*.md")]
READ_VERSION = """
import sys
from setuptools import Distribution
from setuptools.config.pyprojecttoml import apply_configuration
print(apply_configuration(Distribution(), "pyproject.toml").metadata.version)
assert not {"torch", "rranker"} & set(sys.modules)
"""


def test_the_version_of_packages_is_read_from_the_source_without_importing_it(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / name)
    source = (ROOT / "rranker/__init__.py").read_text(encoding="utf-8")
    (tmp_path / "rranker").mkdir()
    changed = source.replace(f'"{rranker.__version__}"', '"9.8.7"') + "\nraise ImportError('was imported')\n"
    (tmp_path / "rranker/__init__.py").write_text(changed, encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-c", READ_VERSION], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.stdout.strip() == "9.8.7", run.stderr


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def extras_of_ci() -> list[str]:
    (own,) = [
        need for need in map(Requirement, PROJECT["optional-dependencies"]["ci"]) if need.name == "rranker"
    ]
    return sorted(own.extras)


@pytest.mark.parametrize("extra", [None, *extras_of_ci()])
def test_constraints_pin_a_supported_version_of_all_that_ci_installs(extra: str | None) -> None:
    """After a change of pyproject.toml: install it, then `make constraints`."""
    needs = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    pinned = pins()
    for need in map(Requirement, needs):
        name = canonicalize_name(need.name)
        # torch's wheels name the triton that they work with.
        assert name in pinned or name == "triton", f"{name} is missing"
        assert name == "triton" or need.specifier.contains(pinned[name]), f"{name} {pinned[name]}"


def test_pins_run_on_every_patch_release_of_the_oldest_python() -> None:
    """A pin that needs Python 3.11.5 cannot be installed on a Debian that has 3.11.2."""
    needed = {name: requires_python(name, version) for name, version in pins().items()}
    assert not {
        name: which for name, which in needed.items() if which and "3.11.0" not in SpecifierSet(which)
    }


def requires_python(name: str, version: str) -> str | None:
    """What the installed release says; None where it says nothing, or another release is installed."""
    try:
        installed = distribution(name)
    except PackageNotFoundError:
        return None
    return installed.metadata["Requires-Python"] if Version(installed.version).public == version else None


def test_workflows_call_targets_of_the_makefile_and_workflows_that_exist() -> None:
    targets = set(
        re.findall(r"^([\w./-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    )
    called, commands = set(), list[str]()
    for path in (ROOT / ".github/workflows").glob("*.yml"):
        for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values():
            if used := job.get("uses"):
                assert (ROOT / used).is_file(), used
            steps = "\n".join(step.get("run", "") for step in job.get("steps", []))
            called |= set(re.findall(r"^make ([\w./-]+)", steps, flags=re.MULTILINE))
            commands += steps.splitlines()
    assert {"test", "lint", "asan"} <= called <= targets
    run = "\n".join(commands)
    # Modules of this repository, and files that are not made on the way.
    modules = set(re.findall(r"-m ((?:bench|rranker|training)[\w.]*)", run))
    assert "bench.gpu" in modules
    assert [name for name in modules if find_spec(name) is None] == []
    files = set(re.findall(r"(?<![\w/.])((?:\.ci|rranker|docs|tests)/[\w./-]+)", run))
    assert ".ci/release_notes.py" in files
    assert [name for name in files if not (ROOT / name).is_file()] == []


def test_wheels_are_built_for_every_python_of_ci_and_where_torch_has_its_own() -> None:
    """torch has none for Intel Macs: a wheel built there could not pass its own test."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["cibuildwheel"]
    jobs = {
        name: yaml.safe_load((ROOT / f".github/workflows/{name}.yml").read_text(encoding="utf-8"))["jobs"]
        for name in ("ci", "packages")
    }
    tested = jobs["ci"]["test"]["strategy"]["matrix"]["python"]
    named = [line.removeprefix("Programming Language :: Python :: ") for line in PROJECT["classifiers"]]
    assert set(tested) == {version for version in named if version.startswith("3.")}
    assert {f"cp{version.replace('.', '')}-*" for version in tested} == set(config["build"])
    assert config["macos"]["archs"] == ["arm64"]
    assert not [name for name in jobs["packages"]["wheels"]["strategy"]["matrix"]["os"] if "intel" in name]


@pytest.mark.parametrize(("version", "says"), [("0.1.0", "Triton kernels"), ("9.9.9", ""), ("0.1", "")])
def test_a_release_takes_its_notes_from_its_own_section(version: str, says: str) -> None:
    command = [sys.executable, ROOT / ".ci/release_notes.py", version]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (run.returncode == 0) == bool(says)
    assert says in run.stdout
    assert "## " not in run.stdout.replace("### ", "")
    assert says or f"CHANGELOG.md says nothing of {version}" in run.stderr


def links(page: Path) -> list[str]:
    """Links of a page to files of this repository, without code blocks."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    found = re.findall(r"\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"", text)
    return [link for pair in found for link in pair if link and "://" not in link]


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub writes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


def test_every_link_of_the_documentation_leads_to_a_file_and_a_heading() -> None:
    broken, followed = [], 0
    for page in PAGES:
        for link in links(page):
            path, _, anchor = link.partition("#")
            target = page.parent / path if path else page
            followed += 1
            if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
                broken.append(f"{page.relative_to(ROOT)}: {link}")
    assert followed > 20
    assert broken == []
