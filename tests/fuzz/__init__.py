"""Random input at the library's doors: results keep their promises, and only documented exceptions come out.

`python -m tests.fuzz --seconds 600` runs longer than the tests do; see `--help`.
"""
