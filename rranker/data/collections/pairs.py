"""Question and sentence on the same line of two files (Du et al. 2017, of SQuAD)."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

from rranker.files import fault, text_lines

from ..example import data_file
from ..questions import Question
from .mining import Asked, mined
from .texts import detokenised

NEIGHBOURS = 60  # lines; those of an article stand together


def squad_nqg(folder: str | Path | None = None) -> list[Question]:
    """Misses are sentences of the same 60 lines: mostly of the same article."""
    source = data_file("questions/squad_nqg/src-test.txt.gz", folder)
    target = data_file("questions/squad_nqg/tgt-test.txt", folder)
    questions: list[Asked] = []
    passages: dict[str, list[str]] = {}
    pairs = zip_longest(text_lines(source), text_lines(target))
    for number, (sentence, question) in enumerate(pairs):
        if sentence is None or question is None:
            short, other = (source, target) if sentence is None else (target, source)
            raise fault(short, number + 1, f"no line for that of {other}")
        block, text = str(number // NEIGHBOURS), detokenised(sentence[1])
        passages.setdefault(block, []).append(text)
        questions.append(Asked(detokenised(question[1]), (text,), block))
    return mined("squad_nqg", questions, passages)
