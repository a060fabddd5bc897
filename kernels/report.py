"""Compiles every shipped configuration ahead of time, without a GPU, and reports what each one takes.

    python -m rranker.kernels.report             prints the table as JSON lines
    python -m rranker.kernels.report FILE.md     writes it into FILE.md, between the two marks

The table names the Triton and the sources (by a digest) that it was made with, so that tests need not compile what it
says already. TRITON_INTERPRET must not be set: under it, kernels are Python functions and there is nothing to compile.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from .builds import Build, builds

_MARKS = ("<!-- kernels-report: begin -->", "<!-- kernels-report: end -->")


@dataclass(frozen=True, slots=True)
class Compiled:
    """registers: per thread; spilled: bytes of a thread's local memory; shared: bytes per block.

    tensor_cores: the matrix instruction found in the assembly, or "".
    """

    kernel: str
    shape: str
    dtype: str
    kind: str
    tile: str
    warps: int
    stages: int
    matrix: bool
    registers: int
    spilled: int
    shared: int
    tensor_cores: str


def compile_all(processes: int = 2) -> list[Compiled]:
    """Compiles every shipped configuration, in processes of their own."""
    context = get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        return list(pool.map(compile_one, builds()))


def assembled(build: Build) -> Any:
    """One configuration, compiled ahead of time by Triton: `asm` holds its code at each stage."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    function = _kernel(build.kernel)
    types, aligned = build.signature(function.arg_names)
    source = ASTSource(function, types, build.constants, aligned)
    target = {
        "sm_90": GPUTarget("cuda", 90, 32),
        "sm_80": GPUTarget("cuda", 80, 32),
        "gfx942": GPUTarget("hip", "gfx942", 64),
    }[build.kind]
    # Fusing a multiplication with an addition is today's default; said aloud, since the default is to change.
    options = {"num_warps": build.warps, "num_stages": build.stages, "enable_fp_fusion": build.fusion}
    return triton.compile(source, target=target, options=options)


def compile_one(build: Build) -> Compiled:
    """Compiles one configuration and reads its registers, shared memory and instructions."""
    compiled = assembled(build)
    resources = _amd(compiled) if build.kind == "gfx942" else _nvidia(compiled)
    tile = " × ".join(
        str(value)
        for name, value in build.constants.items()
        if name.startswith("BLOCK_") and name != "BLOCK_D"
    )
    return Compiled(
        build.kernel.removesuffix("_kernel"), build.shape, build.dtype, build.kind, tile, build.warps, build.stages,
        build.matrix, *resources,
    )  # fmt: skip


def _kernel(name: str) -> Any:
    from .attention import kernel as attention
    from .gate import kernel as gate
    from .logprob import kernel as logprob
    from .norm import kernel as norm
    from .rotary import kernel as rotary
    from .score import kernel as score
    from .write import kernel as write

    modules = (attention, score, logprob, norm, rotary, gate, write)
    return next(getattr(module, name) for module in modules if hasattr(module, name))


def _nvidia(compiled: Any) -> tuple[int, int, int, str]:
    """From `cuobjdump -res-usage`, which Triton's wheel carries. STACK counts spills, in bytes."""
    import triton

    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(compiled.asm["cubin"])
        file.flush()
        usage = subprocess.run(
            [tool, "-res-usage", file.name], capture_output=True, text=True, check=True
        ).stdout
    registers, stack = (int(_found(rf"\b{word}:(\d+)", usage)) for word in ("REG", "STACK"))
    ptx = compiled.asm["ptx"]
    used = next((word for word in ("wgmma", "mma.sync") if word in ptx), "")
    return registers, stack, compiled.metadata.shared, used


def _amd(compiled: Any) -> tuple[int, int, int, str]:
    """From the metadata in the assembly. Private memory counts spills to memory, in bytes."""
    code = compiled.asm["amdgcn"]
    registers = int(_found(r"\.vgpr_count:\s+(\d+)", code))
    private = int(_found(r"\.private_segment_fixed_size:\s+(\d+)", code))
    return registers, private, compiled.metadata.shared, "mfma" if "v_mfma" in code else ""


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise RuntimeError(f"the compiler's report has no {pattern}")
    return match[1]


def origin() -> str:
    """What compiled configurations depend on: Triton's version, and a digest of all sources in this folder."""
    import triton

    folder, digest = Path(__file__).parent, hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(f"{file.relative_to(folder).as_posix()}\n{file.read_text(encoding='utf-8')}\n".encode())
    return f"Triton {triton.__version__}, sources {digest.hexdigest()[:16]}, no GPU needed."


def table(rows: list[Compiled]) -> str:
    """Markdown, one line a configuration."""
    lines = [
        "| kernel | for | dtype | GPU | tile | warps | stages | registers | spilled (B) | shared (B) | matrix unit |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        cells = (
            r.kernel, r.shape, r.dtype, r.kind, r.tile, r.warps, r.stages, r.registers, r.spilled, f"{r.shared:,}",
            r.tensor_cores,
        )  # fmt: skip
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Prints a JSON line a configuration, or writes the table into the file that `arguments` names."""
    if os.environ.get("TRITON_INTERPRET", "0") not in ("", "0"):
        raise SystemExit("unset TRITON_INTERPRET: interpreted kernels cannot be compiled")
    rows = compile_all()
    if not arguments:
        for row in rows:
            print(json.dumps(asdict(row)))
        return
    file = Path(arguments[0])
    before, _, rest = file.read_text(encoding="utf-8").partition(_MARKS[0])
    _, _, after = rest.partition(_MARKS[1])
    body = f"{_MARKS[0]}\n{origin()}\n\n{table(rows)}\n{_MARKS[1]}"
    file.write_text(before + body + after, encoding="utf-8")
    print(table(rows))


if __name__ == "__main__":
    main(sys.argv[1:])
