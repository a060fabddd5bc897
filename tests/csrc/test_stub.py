"""The stub `_C.pyi` names what the extension holds: the same functions, with the same parameters in order."""

import ast
import re
from pathlib import Path

from rranker import _C

STUB = Path(__file__).parents[2] / "rranker/_C.pyi"


def test_stub_and_extension_agree():
    stub = {
        node.name: [argument.arg for argument in node.args.args]
        for node in ast.parse(STUB.read_text()).body
        if isinstance(node, ast.FunctionDef)
    }
    bound = {
        name: re.findall(r"(\w+): ", getattr(_C, name).__doc__.splitlines()[0])
        for name in dir(_C)
        if not name.startswith("_")
    }
    assert stub == bound
