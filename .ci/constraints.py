"""Prints the versions installed here of everything that the extras CI uses need, in pip's constraints format.

`make constraints` writes them to constraints.txt. What was only installed by hand, build tools, and the CUDA packages
that torch brings on some platforms are left out.
"""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

HEADER = """\
# What CI installs: every package of the extras dev, bench and train, with all they need in turn.
# Written by `make constraints` from the versions in .venv. To add a package: name it in pyproject.toml, install it
# (`.venv/bin/pip install -e ".[dev,bench,train]"`), run `make constraints` again."""
PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
EXTRAS = ("dev", "bench", "train")
BUILD_TOOLS = {"pip", "setuptools", "wheel", "pybind11"}
# torch's own wheel for Linux names the one triton it works with, and the CUDA packages.
CHOSEN_BY_TORCH = {"triton"}
CUDA = ("nvidia-", "cuda-")


def required() -> list[Requirement]:
    """What pyproject.toml says that rranker and its extras need."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    lists = [project["dependencies"], *(project["optional-dependencies"][extra] for extra in EXTRAS)]
    return [Requirement(line) for lines in lists for line in lines]


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
            raise SystemExit(
                f'{need.name} is not installed: pip install -e ".[{",".join(EXTRAS)}]"'
            ) from None
        # Without the local part: `2.13.0+cpu` is 2.13.0 elsewhere.
        found[key[0]] = Version(installed.version).public
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
