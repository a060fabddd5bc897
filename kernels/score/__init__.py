"""Scores of the candidates still alive: the kernel, and its reference in PyTorch.

The reference needs no Triton, so nothing is imported here.
"""
