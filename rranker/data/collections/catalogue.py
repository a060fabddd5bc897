"""Every collection by name, with its licence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..questions import Question
from .claims import climate_fever, healthver, wice
from .clarification import clariq
from .code_search import codesearch
from .medical import mediqa2019, medquad
from .multihop import hotpotqa_evidence, strategyqa
from .natural import multispanqa, nq_oracle, qed
from .pairs import squad_nqg
from .products import amazon_pqa, subjqa
from .reports import tatqa
from .sentences import selqa, trecqa, wikiqa
from .squad_format import covidqa_deepset, policyqa, squadshifts
from .stories import fairytaleqa


@dataclass(frozen=True)
class Collection:
    """A public collection of questions with texts.

    `licence` is what its owners state. `permissive` says that it allows commercial use, with attribution and, where it
    says so, under the same terms; a licence that nobody states does not.
    """

    name: str
    licence: str
    permissive: bool
    read: Callable[[str | Path | None], list[Question]]


_NOT_STATED = "not stated"

RECURRING = frozenset({"policyqa", "subjqa"})
"""Collections that ask the same of each website or product: the text that answers one question may answer another."""
COLLECTIONS: dict[str, Collection] = {
    name: Collection(name, licence, permissive, read)
    for name, licence, permissive, read in (
        ("amazon_pqa", "CDLA-Sharing-1.0", True, amazon_pqa),
        ("clariq", _NOT_STATED, False, clariq),
        ("climate_fever", _NOT_STATED, False, climate_fever),
        ("codesearch", "Computational Use of Data Agreement (C-UDA)", False, codesearch),
        ("covidqa_deepset", "Apache-2.0", True, covidqa_deepset),
        ("fairytaleqa", "Apache-2.0", True, fairytaleqa),
        ("healthver", _NOT_STATED, False, healthver),
        ("hotpotqa_evidence", "not stated for the sample; HotpotQA CC BY-SA 4.0", True, hotpotqa_evidence),
        ("medquad", "CC BY 4.0", True, medquad),
        ("mediqa2019", _NOT_STATED, False, mediqa2019),
        ("multispanqa", _NOT_STATED, False, multispanqa),
        ("nq_oracle", "MIT; Natural Questions CC BY-SA 3.0", True, nq_oracle),
        ("policyqa", "MIT", True, policyqa),
        ("qed", "CC BY-SA 3.0 and GFDL", True, qed),
        ("selqa", "Apache-2.0", True, selqa),
        ("squad_nqg", "MIT; SQuAD CC BY-SA 4.0", True, squad_nqg),
        ("squadshifts", "not stated in the repository; dataset card CC BY 4.0", True, squadshifts),
        ("strategyqa", "MIT", True, strategyqa),
        ("subjqa", _NOT_STATED, False, subjqa),
        ("tatqa", "CC BY 4.0", True, tatqa),
        ("trecqa", "questions public domain; sentences of TREC news, for research", False, trecqa),
        ("wice", "ODC-BY; Wikipedia CC BY-SA; web pages of Common Crawl", True, wice),
        ("wikiqa", "not stated; its owner's is for research", False, wikiqa),
    )
}


def collection_questions(name: str, folder: str | Path | None = None) -> list[Question]:
    """The questions of one collection, in the order of its files.

    `folder` is the data folder (default: `RRANKER_DATA`). Raises ValueError for an unknown name, and for a row that
    cannot be read (naming file and row); FileNotFoundError for a missing file.
    """
    if name not in COLLECTIONS:
        raise ValueError(f"no collection is called {name!r}; there are {', '.join(COLLECTIONS)}")
    return COLLECTIONS[name].read(folder)
