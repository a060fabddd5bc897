"""Rotary position embedding of queries and keys: the kernel, and its reference in PyTorch.

The reference needs no Triton, so nothing is imported here.
"""
