"""Rules of the house that no single layer holds: import cost, names on the path, the length of files."""

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("bench", "csrc", "examples", "haystack_integrations", "kernels", "rranker", "tests", "training")
LONGEST = 300


def in_root(*arguments: str) -> str:
    """Output of this Python, started in the checkout's root as a user would."""
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def loaded_by(statement: str) -> set[str]:
    """Top-level packages in `sys.modules` after one statement."""
    code = (
        f"{statement}\nimport json, sys\nprint(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    )
    return set(json.loads(in_root("-c", code)))


@pytest.mark.parametrize(
    "statement",
    [
        "import rranker",
        "from rranker import Candidate, Ranking",
        "import rranker.request, rranker.permutations, rranker.rewards, rranker.methods",
        "import rranker; rranker.metrics.evaluate({'q': {'a': 1}}, {'q': {'a': 1.0}})",
    ],
)
def test_plain_layers_load_no_framework(statement):
    assert not loaded_by(statement) & {"torch", "transformers", "tokenizers", "pandas", "triton"}


def test_ranking_and_the_kernels_references_need_no_triton():
    """Which macOS, Windows and PyTorch's build for CPUs do without; None in `sys.modules`: it is not installed."""
    folders = sorted(path.parent.name for path in (ROOT / "kernels").glob("*/reference.py"))
    assert len(folders) > 5
    imports = ", ".join(f"rranker.kernels.{name}.reference" for name in folders)
    rank = "rranker.rank('who wrote Emma?', ['It rained.', 'Jane Austen wrote Emma.'], template='passage')"
    code = f"import sys; sys.modules['triton'] = None; import rranker, {imports}; print({rank}.order)"
    assert in_root("-c", code) == "[1, 0]\n"


def test_the_kernels_folder_hides_no_other_package():
    """transformers imports Hugging Face's `kernels` when it is there, also from this root, where `kernels/` is.

    A folder without `__init__.py` gives way to an installed package of its name; one with it would win.
    """
    assert not (ROOT / "kernels/__init__.py").exists(), (
        "it would hide the installed `kernels` from transformers"
    )
    code = """
import json, kernels, transformers, transformers.integrations.hub_kernels
from kernels import LayerRepository, get_kernel, use_kernel_forward_from_hub  # what transformers takes from it
from transformers import AutoModelForCausalLM, AutoTokenizer
import importlib.util
print(json.dumps([kernels.__file__, importlib.util.find_spec("rranker.kernels.attention.kernel").origin]))
"""
    theirs, ours = map(Path, json.loads(in_root("-c", code)))
    assert (
        theirs.resolve()
        == Path(metadata.distribution("kernels").locate_file("kernels/__init__.py")).resolve()
    )
    assert ours.resolve() == (ROOT / "kernels/attention/kernel.py").resolve()


@pytest.mark.parametrize("module", ["training.sft", "rranker.training.sft"])
def test_training_starts_from_the_root(module):
    assert f"usage: python -m {module} " in in_root("-m", module, "--help")


def test_an_unknown_name_is_an_attribute_error():
    import rranker

    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = rranker.nothing
    assert set(rranker.__all__) <= set(dir(rranker))


def own_files():
    found = [p for folder in FOLDERS for p in (ROOT / folder).rglob("*")]
    return [ROOT / "setup.py", *(p for p in found if p.suffix in (".py", ".pyi", ".cpp", ".hpp"))]


def test_no_file_is_long():
    files = own_files()
    assert len(files) > 100
    lengths = {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in files}
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}
