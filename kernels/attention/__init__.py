"""Attention over stored keys: many rows at once (`prefill`), few rows over many keys (`decode`).

What they are told to do (`work`) needs no Triton, so nothing is imported here.
"""
