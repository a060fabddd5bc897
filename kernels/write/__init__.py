"""New keys and values into the store: the kernel, and its reference in PyTorch.

The reference needs no Triton, so nothing is imported here.
"""
