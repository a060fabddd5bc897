"""Attention of ragged chunks over stored keys that they share, then over themselves.

What the kernel is told to do (`work`) needs no Triton, so nothing is imported here.
"""
