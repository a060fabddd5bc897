"""Whether a model is fused, and what the load check thinks of it."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch

from ..errors import SettingError, UnsupportedModelError
from .attach import unfuse
from .fuse import fuse


def wants_fused(setting: bool | None, on: torch.device) -> bool:
    """What `fused_kernels` means on a device. None: on CUDA and ROCm, where Triton is installed.

    Raises SettingError for True on a device that Triton's kernels do not run on, ImportError where it is missing.
    """
    if setting is None:
        return on.type == "cuda" and find_spec("triton") is not None
    if not setting:
        return False
    try:
        import triton
    except ModuleNotFoundError as error:
        raise ImportError("fused_kernels=True needs Triton: pip install 'rranker[triton]'") from error
    if on.type != "cuda" and not triton.knobs.runtime.interpret:
        raise SettingError(f"fused_kernels=True: the kernels run on CUDA and ROCm, not on {on.type}")
    return True


def fuse_judged(lm: Any, check: Callable[[], float]) -> Counter[str]:
    """Fuses `lm` and has `check` judge it, which raises what `self_check` raises of a model that it does not accept.

    Where the model passes only without its fused kernels, it goes on without, and a warning names those that failed.
    Returns what is fused. Raises what `check` raises of the model as it was.
    """
    fused = fuse(lm)
    try:
        check()
    except (UnsupportedModelError, SettingError) as error:
        unfuse(lm)
        check()
        failed = [name for name in fused if not _passes(lm, check, name)] or list(fused)
        warnings.warn(
            f"the fused kernels of {' and '.join(failed)} do not compute what the model does, so none is used, and it "
            f"runs slower than it could ({error})",
            stacklevel=3,
        )
        return Counter()
    return fused


def _passes(lm: Any, check: Callable[[], float], name: str) -> bool:
    """Whether the model passes with the modules of one class fused; leaves none fused."""
    fuse(lm)
    unfuse(lm, keep=(name,))
    try:
        check()
    except (UnsupportedModelError, SettingError):
        return False
    finally:
        unfuse(lm)
    return True
