"""The gate of a gated MLP, its activation times the other half: the kernel, and its reference in PyTorch.

The reference needs no Triton, so nothing is imported here.
"""
