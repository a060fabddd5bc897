"""The stub `_C.pyi` names what the extension holds: the same functions and classes, their parameters in order."""

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
    assert stub == {name: parameters(getattr(_C, name)) for name in public(_C) if name[0].islower()}


def test_stub_and_classes_agree():
    classes = [node for node in ast.parse(STUB.read_text()).body if isinstance(node, ast.ClassDef)]
    assert {node.name for node in classes} == {name for name in public(_C) if name[0].isupper()}
    for node in classes:
        bound = getattr(_C, node.name)
        stub = {f.name: [a.arg for a in f.args.args if a.arg != "self"] for f in node.body}
        assert stub == {
            name: parameters(getattr(bound, name)) if callable(getattr(bound, name)) else []
            for name in public(bound)
        }


def public(holder):
    return [name for name in dir(holder) if not name.startswith("_")]


def parameters(function):
    found = re.findall(r"(\w+): ", function.__doc__.splitlines()[0])
    return [name for name in found if name != "self"]
