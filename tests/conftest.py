"""Without a GPU, Triton's kernels run as Python functions. Triton reads this once, when it is first imported."""

import os

# Before NumPy is imported. The interpreter's matrices are small: threads only get in each other's way.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
