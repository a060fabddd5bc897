"""Pytest plugin of `make asan`: the sanitised extension takes the place of the usual one."""

import glob
import importlib.util
import sys

PATTERN = "build/asan/rranker/_C*.so"


def pytest_configure() -> None:
    found = glob.glob(PATTERN)
    if not found:
        raise SystemExit(f"no sanitised extension at {PATTERN}; run `make asan`")
    spec = importlib.util.spec_from_file_location("rranker._C", found[0])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["rranker._C"] = module
    spec.loader.exec_module(module)
    import rranker

    rranker._C = module
    print(f"sanitised extension: {found[0]}")
