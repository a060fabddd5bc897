"""Builds the C++ extension `rranker._C` and finds the packages; everything else is in pyproject.toml.

`RRANKER_SANITIZE=1` builds it with AddressSanitizer and UndefinedBehaviorSanitizer (`make asan` does so).
"""

import os
from glob import glob

from pybind11.setup_helpers import ParallelCompile, Pybind11Extension, build_ext
from setuptools import find_namespace_packages, setup
from setuptools.errors import CompileError, PlatformError

SANITIZE = ["-O1", "-g1", "-fno-omit-frame-pointer"]  # a report needs names and lines, not variables
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
HELP = """rranker's C++ extension could not be compiled: it needs a C++17 compiler and Python's headers.
  Debian, Ubuntu: apt-get install g++ python3-dev
  Fedora, RHEL:   dnf install gcc-c++ python3-devel
  macOS:          xcode-select --install
  Windows:        Visual Studio Build Tools, "Desktop development with C++"
The compiler used is that of $CXX when set. Its own message stands above."""


class Build(build_ext):
    def build_extensions(self) -> None:
        if self.compiler.compiler_type == "msvc":
            extension.extra_compile_args = ["/W3", "/O2", "/utf-8"]
        try:
            super().build_extensions()
        except (CompileError, PlatformError, FileNotFoundError) as error:
            raise SystemExit(f"{error}\n\n{HELP}") from error


sanitize = bool(os.environ.get("RRANKER_SANITIZE"))
# Whoever packages it for others chooses by CFLAGS.
optimise = [] if "-O" in os.environ.get("CFLAGS", "") else ["-O3"]
ParallelCompile("RRANKER_BUILD_JOBS", default=2).install()
extension = Pybind11Extension(
    "rranker._C",
    sorted(glob("csrc/*.cpp")),
    include_dirs=["csrc"],
    depends=sorted(glob("csrc/*.hpp")),
    cxx_std=17,
    extra_compile_args=["-Wall", "-Wextra", *(SANITIZE + SANITIZERS if sanitize else optimise)],
    extra_link_args=SANITIZERS if sanitize else [],
)

# In a checkout rranker/kernels and rranker/training are links to these folders. Where links became text files, as git
# and zip programs leave them on Windows, they are found all the same.
folders = {f"rranker.{name}": name for name in ("kernels", "training")}
# Haystack loads components by name only from its own namespace, where each integration has a folder.
found = find_namespace_packages(include=["rranker*", "haystack_integrations*"])
found += [f"rranker.{name}" for name in find_namespace_packages(include=["kernels*", "training*"])]

setup(
    packages=sorted(set(found)),
    package_dir=folders,
    ext_modules=[extension],
    cmdclass={"build_ext": Build},
)
