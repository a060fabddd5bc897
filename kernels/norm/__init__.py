"""RMSNorm, alone and after a residual addition: the kernels, and their references in PyTorch.

The references need no Triton, so nothing is imported here.
"""
