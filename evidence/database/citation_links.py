"""Citations between works of the database: how many, the first of them, who cites whom among these, and the conditions by which
a list holds the works that cite a work (`_cites`) or that it cites (`_cited_by`).

Citations are those in reference lists that publishers deposited with Crossref (the table `cites`). It only reads.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from evidence.data_model import Doi
from evidence.database.sql_helpers import Row, dict_rows
from evidence.linkage.retraction_notices import GRAVE

Direction = Literal["_cites", "_cited_by"]
"""As a list's address names it: `_cites=DOI` are the works that cite this DOI, `_cited_by=DOI` those that it cites."""

LISTED = 12
"""Works of each direction that are read."""

_THERE: Mapping[Direction, str] = {
    "_cites": "select doi from cites where cited = {value}",
    "_cited_by": "select cited from cites where doi = {value}",
}
_COUNT: Mapping[Direction, str] = {
    "_cites": "select count(*) from cites where cited = :doi",  # whoever cites is a work: `cites.doi` refers to one
    "_cited_by": "select count(*) from cites c join works w on w.doi = c.cited where c.doi = :doi",
}
_FIRST = """
    select doi, title, authors, container, year, verdict, notice from works where doi in ({there})
    order by notice is null or notice not in (select value from json_each(:grave)), verdict <> 'include', year desc, doi
    limit :limit
"""
_ELSEWHERE = """
    select count(*) from cites c where c.doi = :doi and not exists (select 1 from works w where w.doi = c.cited)
"""
_AMONG = """
    select c.doi, c.cited from json_each(:dois) j cross join cites c on c.doi = j.value
    where c.cited in (select value from json_each(:dois))
"""


@dataclass(frozen=True, slots=True)
class Linked:
    """The works of one direction: `count` is how many they are, `works` the first `LISTED`: those with a retraction or an
    expression of concern, then the included ones, the newest first."""

    count: int
    works: list[Row]


@dataclass(frozen=True, slots=True)
class CitationLinks:
    """What a work cites and is cited by; `elsewhere` counts the cited works that are not here."""

    cites: Linked
    cited_by: Linked
    elsewhere: int


def read(conn: sqlite3.Connection, doi: Doi) -> CitationLinks:
    """The citations of a work."""
    (elsewhere,) = conn.execute(_ELSEWHERE, {"doi": doi}).fetchone()
    return CitationLinks(_linked(conn, "_cited_by", doi), _linked(conn, "_cites", doi), elsewhere)


def among(conn: sqlite3.Connection, dois: Sequence[str]) -> list[tuple[str, str]]:
    """(citing, cited) of the citations between these works."""
    return conn.execute(_AMONG, {"dois": json.dumps(list(dois))}).fetchall()


def sql_condition(direction: Direction, parameter: str) -> str:
    """The condition on a list's column `doi`, with the name of the parameter that holds the other work's DOI."""
    return f"doi in ({_THERE[direction].format(value=':' + parameter)})"


def _linked(conn: sqlite3.Connection, direction: Direction, doi: Doi) -> Linked:
    there = _THERE[direction].format(value=":doi")
    values = {"doi": doi, "limit": LISTED, "grave": json.dumps(sorted(GRAVE))}
    (count,) = conn.execute(_COUNT[direction], {"doi": doi}).fetchone()
    return Linked(count, list(dict_rows(conn, _FIRST.format(there=there), values)))
