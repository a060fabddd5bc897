"""Prints the versions installed here of everything that the extra `ci` needs, in pip's constraints format.

`make constraints` writes them to constraints.txt. What was only installed by hand, build tools, and the CUDA packages
that torch brings on some platforms are left out.
"""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

HEADER = """\
# What CI installs: every package of the extra `ci`, with all they need in turn.
# Written by `make constraints` from the versions in .venv. To add a package: name it in pyproject.toml, install it
# (`.venv/bin/pip install -e ".[ci]"`), run `make constraints` again."""
PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
EXTRA = "ci"
# Distributions keep to one patch release: Debian 12 has 3.11.2, and pip finds no way out of a pin that needs 3.11.5.
OLDEST_PYTHON = "3.11.0"
BUILD_TOOLS = {"pip", "setuptools", "wheel", "pybind11"}
# torch's own wheel for Linux names the one triton it works with, and the CUDA packages.
CHOSEN_BY_TORCH = {"triton"}
CUDA = ("nvidia-", "cuda-")


def required() -> list[Requirement]:
    """What pyproject.toml says that rranker needs, and its extra, with those it names in turn."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]
    found = [Requirement(line) for line in (*project["dependencies"], *extras[EXTRA])]
    for need in found:  # grows as it goes
        if need.name == project["name"]:
            found += [Requirement(line) for extra in sorted(need.extras) for line in extras[extra]]
    return [need for need in found if need.name != project["name"]]


def versions(needs: list[Requirement]) -> dict[str, str]:
    """The installed version of every package that these need here, and that those need, by normalised name."""
    found: dict[str, str] = {}
    waiting, seen = list(needs), set()
    while waiting:
        need = waiting.pop()
        key = (canonicalize_name(need.name), frozenset(need.extras))
        if key in seen or (need.marker and not need.marker.evaluate()):
            continue
        seen.add(key)
        try:
            installed = distribution(need.name)
        except PackageNotFoundError:
            raise SystemExit(f'{need.name} is not installed: pip install -e ".[{EXTRA}]"') from None
        # Without the local part: `2.13.0+cpu` is 2.13.0 elsewhere.
        found[key[0]] = Version(installed.version).public
        supported = SpecifierSet(installed.metadata.get("Requires-Python") or "")
        if OLDEST_PYTHON not in supported:
            raise SystemExit(
                f"{need.name} {installed.version} needs Python {supported}: install a release of it that runs on "
                f"{OLDEST_PYTHON}, too"
            )
        for line in installed.requires or ():
            inner = Requirement(line)
            if not inner.marker or any(inner.marker.evaluate({"extra": e}) for e in need.extras or {""}):
                inner.marker = None
                waiting.append(inner)
    return found


if __name__ == "__main__":
    pinned = versions(required())
    print(HEADER)
    for package in sorted(pinned.keys() - BUILD_TOOLS - CHOSEN_BY_TORCH):
        if not package.startswith(CUDA):
            print(f"{package}=={pinned[package]}")
