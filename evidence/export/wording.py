"""Small pieces of text that the reports and the command line share: a number with its noun, a work's name, a short list."""

from __future__ import annotations

import re
from collections.abc import Sequence

MOST_NAMED = 5
"""How many works or sources one line names."""

LONGEST_NAME = 24
"""How many characters of a citation's text stand for its author."""

_MOST_INITIALS = 4
_SUFFIXES = frozenset({"Jr", "Sr", "II", "III", "IV"})

_NOTICE_PARTICIPLES = {
    "retraction": "retracted",
    "partial-retraction": "retracted in part",
    "withdrawal": "withdrawn",
    "removal": "removed",
    "expression-of-concern": "under an expression of concern",
    "reinstatement": "reinstated",
}

_VERDICTS = {
    "include": "included",
    "exclude": "excluded",
    "unsure": "waiting for a decision",
    "duplicate": "duplicate record",
}

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
)  # fmt: skip


def count_noun(count: int, noun: str) -> str:
    """`1 work`, `2 works`, `1,200 works`: a regular noun in the singular or plural."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def work_name(doi: str, title: str | None) -> str:
    """`10.1000/x: Title`, or the DOI alone where no title is known."""
    return f"{doi}: {title}" if title else doi


def short_citation(authors: str | None, year: int | None, otherwise: str) -> str:
    """`Cuijpers 2016`: the family name of the first author and the year; without an author, the beginning of `otherwise`."""
    family = first_author(authors)
    if not family:
        beginning = re.split(r"[.:?!]\s", otherwise, maxsplit=1)[0]
        family = beginning if len(beginning) <= LONGEST_NAME else f"{beginning[:LONGEST_NAME].rsplit(' ', 1)[0]} …"
    return f"{family} {year}" if year else family


def first_author(authors: str | None) -> str:
    """The family name of the first of the authors as cited (`Mufson L, Weissman MM`), or the name of a group; empty without."""
    words = (authors or "").split(", ")[0].split()
    while len(words) > 1 and words[-1].rstrip(".") in _SUFFIXES:
        words.pop()
    if len(words) > 1 and words[-1].isupper() and len(words[-1]) <= _MOST_INITIALS:
        words.pop()
    return " ".join(words)


def notice_participle(kind: str) -> str:
    """What a work is by a notice: `retracted`, `withdrawn`, `under an expression of concern`, …; `corrected` by all others."""
    return _NOTICE_PARTICIPLES.get(kind, "corrected")


def first_few(names: Sequence[str]) -> str:
    """`a; b; c`, or of a long list the first names and the number of the others: `a; b; c; d; e and 2 more`."""
    more = len(names) - MOST_NAMED
    return "; ".join(names[:MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def in_words(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def day_in_words(iso: str) -> str:
    """The day of an ISO time or date: `20 November 2026`."""
    year, month, day = iso[:10].split("-")
    return f"{int(day)} {_MONTHS[int(month) - 1]} {year}"


def decided_by(decided: str) -> str:
    """Who decided, from the column `decided` (`rule` or `person`)."""
    return "by a reviewer" if decided == "person" else "by the rules"


def verdict_label(verdict: str) -> str:
    """A verdict as the site names it: `included`, `waiting for a decision`, …; any other text as it is."""
    return _VERDICTS.get(verdict, verdict)


def screened_on(judged_on: str) -> str:
    """The text that was screened, from the column `judged_on`: `title`, `title and abstract` or `nothing`."""
    return judged_on.replace("+", " and ")


def abstract_source_label(source: str | None) -> str:
    """Where an abstract is from, from the column `abstract_source`: `the publisher`, `PubMed`, …"""
    from evidence.data_model import PROVIDER_LABELS  # the command line imports this module before any command needs it

    return "the publisher" if source == "publisher" else PROVIDER_LABELS.get(source or "", source or "nowhere")
