"""What a family of ranking tasks says to a model; each family fills one in, in a file of its own."""

from __future__ import annotations

from dataclasses import dataclass

from .segments import Kind


@dataclass(frozen=True, slots=True)
class Template:
    """The words of one task family.

    `instruction` opens the prompt of a general language model; `brief` is the (often empty) one that models
    trained in the compact format know. Both give way to the caller's own instruction. `worst` and `best` open the
    answer to a question about a list. Of one candidate, an `item`, `fits` asks whether it fits, and `invites` asks for
    the query (or history) that goes with it. `search`: the query's own words are what is looked for.
    """

    name: str
    instruction: str
    brief: str
    query_heading: str
    history_heading: str
    list_heading: str
    worst: str
    best: str
    item: str
    fits: str
    invites: str
    search: bool = False

    def question(self, kind: Kind) -> str:
        """The words of one kind of question."""
        return {"exclude": self.worst, "select": self.best, "judge": self.fits, "likelihood": self.invites}[
            kind
        ]
