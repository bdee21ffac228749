"""What an agent may ask of the site, and the answers: works found, a cell of the evidence map, why a work is here.

Answers hold what public pages show, with the address of each list that they count; raw records and abstracts that may not be
passed on are never in them. What is out of scope is refused with a ConfigError that says what exists. This module reads the
database; it knows no protocol.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from datasette.utils import tilde_encode
from pydantic import BaseModel, Field

from evidence import doi as dois
from evidence.data_model import SHOWN_STRENGTHS
from evidence.database import read_queries, select_works, tag_filter
from evidence.errors import ConfigError
from evidence.export import abstract_rights
from evidence.export.explanation import work_explanation
from evidence.linkage.retraction_notices import RETRACTIONS
from evidence.publish import bitset_counts, search_works
from evidence.publish.bitset_counts import WorkSets
from evidence.publish.vocabulary import Vocabulary
from evidence.rules.taxonomy import Taxonomy
from evidence.rules.topic import Topic

MOST_WORKS = 50
"""Works in one answer; the list behind its address has all."""

MOST_TAGS = 10
LONGEST_IDENTIFIER = 300

LISTED = """
    select w.doi, w.title, w.authors, w.container, w.year, w.notice
    from json_each(:rows) r cross join works w on w.rowid = r.value
"""
BY_RANK = f"{LISTED} order by r.key limit :most"
NEWEST_FIRST = f"{LISTED} order by w.year desc, w.doi limit :most"

TAGS = """
    select t.doi, t.facet || ':' || t.value from json_each(:dois) d join shown_tags t on t.doi = d.value
    order by t.doi, t.facet, t.value
"""
TITLE_ONLY = """
    select count(*) from shown_tags t join works w on w.doi = t.doi
    where t.facet = ? and t.value = ? and w.verdict = 'include' and w.judged_on = 'title'
"""


@dataclass(frozen=True, slots=True)
class Site:
    """What the answers are made from. `works` is the address of the list of works; `labels`: (facet, value) → label, in order."""

    works: str
    known: WorkSets
    retracted: int
    topic: Topic
    labels: Mapping[tuple[str, str], str]

    def page(self, doi: str) -> str:
        """The address of a work's page."""
        return f"{self.works}/{tilde_encode(doi)}"

    def list(self, *filters: tuple[str, str]) -> str:
        """The address of a list of included works."""
        return f"{self.works}?{urlencode([('verdict', 'include'), *filters])}"


class Work(BaseModel):
    """A work; `page` is its page here."""

    doi: str
    title: str | None
    authors: str | None
    journal: str | None
    year: int | None
    notice: str | None = Field(description="a retraction, correction or expression of concern, if there is one")
    tags: list[str] = Field(description="facet:value of the tags that title and abstract state or probably state")
    page: str
    doi_url: str | None


class FoundWorks(BaseModel):
    """Works that fit. `count` is how many do; `works` has the first of them."""

    count: int = Field(description="how many included works fit")
    works: list[Work]
    list_page: str = Field(description="the page of the site that lists all of them")


class Number(BaseModel):
    """A number of works and the page that lists them."""

    works: int
    list_page: str


class TagNumber(BaseModel):
    """A tag and the included works that have it; `screened_on_title_only`: those of them whose abstract could not be read."""

    tag: str
    label: str
    all: Number
    screened_on_title_only: Number


class Cell(BaseModel):
    """How many included works have both tags. It says how much was studied, not what was found."""

    first: TagNumber
    second: TagNumber
    both: Number
    randomised_trials: Number | None
    systematic_reviews: Number | None
    retracted: Number
    newest: list[Work]


class Tag(BaseModel):
    """A tag of a work: how sure it is, and the included works that have it too."""

    tag: str
    label: str
    strength: str = Field(description="stated, likely, or implied (its words are there, hardly about this study)")
    decided: str = Field(description="by rule or person")
    list_page: str


class Explained(BaseModel):
    """Why a work is included or not. `explanation` has verdict, tags and the text behind them, notices, and how it was found."""

    work: Work
    verdict: str
    why: str
    explanation: str
    tags: list[Tag]
    abstract: str | None
    abstract_note: str | None = Field(description="why the abstract is not in the answer")


def find_works(
    conn: sqlite3.Connection,
    site: Site,
    vocabulary: Vocabulary,
    taxonomy: Taxonomy | None,
    *,
    text: str = "",
    tags: Sequence[str] = (),
    since: int | None = None,
    until: int | None = None,
    most: int = 20,
) -> FoundWorks:
    """The included works that fit a search, tags and years: the best first, or without a search the newest."""
    _check_size("limit", most, MOST_WORKS)
    _check_size("tags", len(tags), MOST_TAGS, least=0)
    if len(text) > search_works.LONGEST:
        raise ConfigError(f"the search has {len(text)} characters; at most {search_works.LONGEST} are read")
    filters = tag_filter.parse_checked(list(tags), site.labels)
    works = site.known.columns["verdict"].get("include", 0)
    for wanted in filters:
        works &= site.known.either(wanted.facet, *wanted.values)
    if since is not None or until is not None:
        works &= site.known.in_years(since, until)
    asked = [("_tag", str(wanted)) for wanted in filters]
    asked += [("year__gte", str(since))] if since is not None else []
    asked += [("year__lte", str(until))] if until is not None else []
    text = " ".join(text.replace("\0", " ").split())
    if not text:
        newest = _listed(conn, site, NEWEST_FIRST, bitset_counts.rowids_of(works), most)
        return FoundWorks(count=works.bit_count(), works=newest, list_page=site.list(*asked))
    found = search_works.search(conn, text, vocabulary, taxonomy, site.known, ("include",), works)
    return FoundWorks(
        count=(found.works & works).bit_count(),
        works=_listed(conn, site, BY_RANK, found.rowids, most),
        list_page=site.list(*asked, ("_q", text)),
    )


def cell(conn: sqlite3.Connection, site: Site, first: str, second: str, *, most: int = 10) -> Cell:
    """The included works with two tags, written as `facet:value`; on the map these are a row and a column."""
    _check_size("limit", most, MOST_WORKS)
    pairs = [tag_filter.parse_tag(tag.strip()) for tag in (first, second)]
    for facet, value in pairs:
        tag_filter.check_tag(facet, value, tag_filter.values_by_facet(site.labels))
    both = site.known.columns["verdict"].get("include", 0)
    for facet, value in pairs:
        both &= site.known.either(facet, value)
    tagged = [("_tag", f"{facet}:{value}") for facet, value in pairs]
    topic = site.topic

    def of_designs(named: Sequence[str]) -> Number | None:
        values = [value for value in named if (topic.design, value) in site.labels]
        if not values:
            return None
        works = both & site.known.either(topic.design, *values)
        return Number(
            works=works.bit_count(), list_page=site.list(*tagged, ("_tag", f"{topic.design}:{','.join(values)}"))
        )

    return Cell(
        first=_tag_number(conn, site, *pairs[0]),
        second=_tag_number(conn, site, *pairs[1]),
        both=Number(works=both.bit_count(), list_page=site.list(*tagged)),
        randomised_trials=of_designs(topic.trials),
        systematic_reviews=of_designs(topic.reviews),
        retracted=Number(
            works=(both & site.retracted).bit_count(),
            list_page=site.list(*tagged, ("notice__in", json.dumps(list(RETRACTIONS)))),
        ),
        newest=_listed(conn, site, NEWEST_FIRST, bitset_counts.rowids_of(both), most),
    )


def explain(conn: sqlite3.Connection, site: Site, identifier: str) -> Explained:
    """Why the work with this DOI, PMID, PMCID or registration number is included or not."""
    if not 0 < len(identifier.strip()) <= LONGEST_IDENTIFIER:
        raise ConfigError("give a DOI, PMID, PMCID, OpenAlex identifier or registration number")
    named = search_works.works_named(conn, identifier.strip())
    if not named:
        raise ConfigError(
            f"{identifier!r} is not the DOI, PMID, PMCID, OpenAlex identifier or registration number of a work in this database; "
            "find_works searches by words"
        )
    if len(named) > 1:
        raise ConfigError(f"{identifier!r} belongs to {len(named)} works; ask about one of {', '.join(named)}")
    found = read_queries.work_details(conn, dois.lower(named[0]))
    if found is None:
        raise ConfigError(f"{identifier!r} is known as a record, but not as a work")
    abstract = found["abstract"]
    stated: dict[str, Any] = {}
    select_works.add_identifiers_and_facts(conn, {found["doi"]: stated})
    note = None
    if abstract is None:
        note = "no abstract is known" if found["abstract_source"] is None else "it may not be passed on"
    elif not abstract_rights.may_redistribute(found["abstract_source"], stated["stated_licences"]):
        abstract, note = None, "it may not be passed on"
    text = work_explanation({**found, "abstract": abstract})  # the words around a match are a part of the abstract
    shown = [f"{tag['facet']}:{tag['value']}" for tag in found["tags"] if tag["strength"] in SHOWN_STRENGTHS]
    return Explained(
        work=_work(site, found, sorted(shown)),
        verdict=found["verdict"],
        why=found["why"],
        explanation=text,
        tags=[
            Tag(
                tag=f"{tag['facet']}:{tag['value']}",
                label=site.labels.get((tag["facet"], tag["value"]), tag["value"]),
                strength=tag["strength"],
                decided=tag["decided"],
                list_page=site.list(("_tag", f"{tag['facet']}:{tag['value']}")),
            )
            for tag in found["tags"]
        ],
        abstract=abstract,
        abstract_note=note,
    )


def _check_size(name: str, size: int, most: int, least: int = 1) -> None:
    if not least <= size <= most:
        raise ConfigError(f"{name}: {size} is out of range; from {least} to {most} are allowed")


def _listed(conn: sqlite3.Connection, site: Site, sql: str, rowids: Sequence[int], most: int) -> list[Work]:
    cursor = conn.execute(sql, {"rows": json.dumps(list(rowids)), "most": most})
    names = [column[0] for column in cursor.description]
    rows = [dict(zip(names, row, strict=True)) for row in cursor]
    tags: dict[str, list[str]] = {}
    for doi, tag in conn.execute(TAGS, {"dois": json.dumps([row["doi"] for row in rows])}):
        tags.setdefault(doi, []).append(tag)
    return [_work(site, row, tags.get(row["doi"], [])) for row in rows]


def _work(site: Site, row: Mapping[str, Any], tags: list[str]) -> Work:
    return Work(
        doi=row["doi"],
        title=row["title"],
        authors=row["authors"],
        journal=row["container"],
        year=row["year"],
        notice=row["notice"],
        tags=tags,
        page=site.page(row["doi"]),
        doi_url=None if dois.is_local(row["doi"]) else dois.url(row["doi"]),
    )


def _tag_number(conn: sqlite3.Connection, site: Site, facet: str, value: str) -> TagNumber:
    included = site.known.columns["verdict"].get("include", 0)
    tag = ("_tag", f"{facet}:{value}")
    (title_only,) = conn.execute(TITLE_ONLY, (facet, value)).fetchone()
    return TagNumber(
        tag=tag[1],
        label=site.labels[facet, value],
        all=Number(works=(included & site.known.either(facet, value)).bit_count(), list_page=site.list(tag)),
        screened_on_title_only=Number(works=title_only, list_page=site.list(tag, ("judged_on", "title"))),
    )
