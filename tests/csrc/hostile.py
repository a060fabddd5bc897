"""Units that, repeated, lead a careless parser into a quadratic step, and candidate texts that join in."""

HOSTILE_UNITS = (
    "[3] > ",
    "[",
    "[1",
    "[ ",
    "1. ",
    "1. 1. ",
    "<think>",
    "</think>",
    "9",
    "a",
    "title 1 ",
    "title 1\n",
    "］",
    "titletitle",
    "passage ",
    "A ",
    "\n",
    " \n",
    "<answer>",
    "1:1",
    "x\n",
    "é",
    "a1",
    "aaaaaaaaaaaaaaaaa\n",
)
HOSTILE_TEXTS = [*(f"title {i}" for i in range(18)), "aa", "a" * 300]
