"""The citations of a work → a small drawing: what it cites on the left, the work in the middle, what cites it on the right.

Numbers and labels for a template, which writes the SVG: heights in pixels; widths are the template's, so that the drawing takes
the width of the page without its text becoming small. It knows no page, and reads what `citation_links` reads.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from evidence.data_model import Doi
from evidence.database import citation_links
from evidence.database.citation_links import CitationLinks, Linked
from evidence.database.sql_helpers import Row
from evidence.export.wording import first_author
from evidence.linkage.retraction_notices import GRAVE, RETRACTIONS

Mark = Literal["retracted", "doubted", "included", "other"]

ROW, HEAD, FOOT = 26, 30, 30
"""Heights in pixels: a work (a finger hits it), the titles above, and what is left over below."""
LEAST_ROWS = 2
_LONGEST_NAME, _LONGEST_SHORT_NAME, _LONGEST_TITLE = 20, 10, 27


@dataclass(frozen=True, slots=True)
class Node:
    """A work as drawn: `mark` says its state by shape, `warning` is the kind of a grave notice in words or None. `name` is the
    first author, if there is one, and `short_name` is for where there is no room for titles: the first author or the first words
    of the title."""

    doi: str
    name: str
    short_name: str
    year: str
    title: str
    short_title: str
    mark: Mark
    warning: str | None
    y: int

    @property
    def label(self) -> str:
        """`Mufson 1999`."""
        return " ".join(filter(None, (self.name or self.short_name, self.year)))


@dataclass(frozen=True, slots=True)
class Side:
    """One side of the drawing: `count` works in all, of which `nodes` are drawn."""

    nodes: tuple[Node, ...]
    count: int

    @property
    def more(self) -> int:
        return self.count - len(self.nodes)


@dataclass(frozen=True, slots=True)
class Network:
    """`across` are citations between the two sides (left y, right y), `left_arcs` and `right_arcs` those within one (y, y)."""

    height: int
    middle: int
    left: Side
    right: Side
    across: tuple[tuple[int, int], ...]
    left_arcs: tuple[tuple[int, int], ...]
    right_arcs: tuple[tuple[int, int], ...]


def of_work(conn: sqlite3.Connection, doi: Doi) -> tuple[CitationLinks, Network | None]:
    """The citations of a work, and their drawing."""
    links = citation_links.read(conn, doi)
    dois = [work["doi"] for side in drawn(links) for work in side]
    return links, network(links, citation_links.among(conn, sorted(set(dois))))


def drawn(links: CitationLinks) -> tuple[list[Row], list[Row]]:
    """The works that are drawn, cited and citing: those of the lists. A work that is both is drawn on both sides."""
    return links.cites.works, links.cited_by.works


def network(links: CitationLinks, pairs: Iterable[tuple[str, str]]) -> Network | None:
    """The drawing; `pairs` are the citations (citing, cited) among `drawn`. None for a work without citations here."""
    cited, citing = drawn(links)
    if not (cited or citing):
        return None
    rows = max(len(cited), len(citing), LEAST_ROWS)
    left = _side(cited, rows, links.cites)
    right = _side(citing, rows, links.cited_by)
    lefts, rights = ({node.doi: node.y for node in side.nodes} for side in (left, right))
    across, left_arcs, right_arcs = set(), set(), set()
    for one, other in pairs:
        if one in lefts and other in lefts:
            left_arcs.add(_ordered(lefts[one], lefts[other]))
        elif one in rights and other in rights:
            right_arcs.add(_ordered(rights[one], rights[other]))
        elif one in lefts and other in rights:
            across.add((lefts[one], rights[other]))
        elif one in rights and other in lefts:
            across.add((lefts[other], rights[one]))
    return Network(
        height=HEAD + rows * ROW + FOOT,
        middle=HEAD + rows * ROW // 2,
        left=left,
        right=right,
        across=tuple(sorted(across)),
        left_arcs=tuple(sorted(left_arcs)),
        right_arcs=tuple(sorted(right_arcs)),
    )


def _side(works: Sequence[Row], rows: int, linked: Linked) -> Side:
    """The works as nodes, the newest at the top, in the middle of the height."""
    top = HEAD + (rows - len(works)) * ROW // 2 + ROW // 2
    by_year = sorted(works, key=lambda work: (-(work["year"] or 0), first_author(work["authors"]), work["doi"]))
    return Side(tuple(_node(work, top + place * ROW) for place, work in enumerate(by_year)), linked.count)


def _node(work: Row, y: int) -> Node:
    title = work["title"] or work["doi"]
    name = first_author(work["authors"])
    return Node(
        doi=work["doi"],
        name=_cut(name, _LONGEST_NAME),
        short_name=_cut(name or title, _LONGEST_SHORT_NAME),
        year=str(work["year"] or ""),
        title=title,
        short_title=_cut(title, _LONGEST_TITLE),
        mark=_mark(work),
        warning=work["notice"].replace("-", " ") if work["notice"] in GRAVE else None,
        y=y,
    )


def _mark(work: Row) -> Mark:
    if work["notice"] in RETRACTIONS:
        return "retracted"
    if work["notice"] in GRAVE:
        return "doubted"
    return "included" if work["verdict"] == "include" else "other"


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"


def _ordered(one: int, other: int) -> tuple[int, int]:
    return min(one, other), max(one, other)
