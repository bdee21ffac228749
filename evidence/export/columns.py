"""The columns of an export: their names, what they hold, and in which shape a table has them.

A table is written as CSV, as a workbook, as Parquet or as JSON lines; all of these have the columns and the rows that this module
gives them, so that they agree. `lists` has a row a work, with all values of a facet in one column; `wide` has a column of 0 and 1
for each value; `long` has a row a tag. This module may not read a database, a file or the clock, and knows no file format.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from evidence.errors import ConfigError

if TYPE_CHECKING:
    from evidence.rules.topic import Topic

Row = Mapping[str, Any]
"""One work: `KEYS` → str, int or None, except: `authors_full` is a list of mappings (family, given, suffix, name, role);
`funders_full`, which may be missing, a list of mappings (name, doi, awards); `sources` a tuple of ids; `tags` a mapping facet →
tuple of values; `likely_tags` and `implied_tags` a tuple of `facet:value`; `issn`, `isbn` and `registrations` one str or a
tuple. `pmid` and `pmcid` may name several, the surest first, joined by “; ”. `as_of` is the past date of the row, and missing in
a row of today. `tag_rows`, for the formats that ask for it, is a list of mappings (facet, value, strength, tag_decided,
certainty, how, words); `tag_places` and `tag_decisions` come with it (`select_works.add_tag_rows`)."""

Kind = Literal[
    "text", "doi", "integer", "number", "year", "date", "partial-date", "list", "parts", "people", "url", "flag"
]
"""What the values of a column are. `list`: values that a text joins by “; ” and no value has in it; `parts`: values that may
have it in them; `partial-date`: 2019, 2019-05 or 2019-05-03; `flag`: 0 or 1."""

Shape = Literal["lists", "wide", "long"]
SHAPES: tuple[Shape, ...] = get_args(Shape)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its name, a sentence on what it holds (the documentation prints it), the key of its values in the rows
    if that is not the name, what the values are, and which ones there can be (empty: any)."""

    name: str
    description: str
    row_key: str = ""
    kind: Kind = "text"
    allowed: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The key of its values in a row."""
        return self.row_key or self.name


_BEFORE_TAGS = (
    Column(
        "doi",
        "DOI in lower case, without https://doi.org/; empty for a work of an imported file that has none.",
        kind="doi",
    ),
    Column("title", "Title in plain text, as deposited."),
    Column("authors", "Authors in one line, as cited."),
    Column("year", "Year of first publication.", kind="year"),
    Column("container", "Journal, book or proceedings in which the work appeared."),
    Column(
        "verdict",
        "include, exclude, unsure (waiting for a decision) or duplicate.",
        allowed=("include", "exclude", "unsure", "duplicate"),
    ),
)
_ASKED = tuple(
    Column(f"asked_{key}", f"Date on which {name} last answered about this work; empty if it never did.", kind="date")
    for key, name in (
        ("crossref", "Crossref"),
        ("pubmed", "PubMed"),
        ("europepmc", "Europe PMC"),
        ("retraction_watch", "the file of Retraction Watch"),
    )
)
_AFTER_TAGS = (
    Column(
        "likely_tags", "Which of the tags are likely rather than stated, as facet:value, joined by “; ”.", kind="list"
    ),
    Column(
        "implied_tags",
        "Which of the tags are only implied, as facet:value, joined by “; ”; empty unless asked for.",
        kind="list",
    ),
    Column("why", "The reason for the verdict, in one sentence."),
    Column("decided", "Who decided the verdict: rule or person (a reviewer).", allowed=("rule", "person")),
    Column(
        "judged_on",
        "The text that was screened: title, title+abstract, or nothing.",
        allowed=("title", "title+abstract", "nothing"),
    ),
    Column("notice", "The most serious notice about the work, such as a retraction or a correction."),
    Column("gone", "Date since which Crossref has no record of the work; empty if it has one.", kind="date"),
    Column(
        "notice_details",
        "Every notice with its date, DOI or other number, the DOI it was issued for if that is another, and who states it; "
        "joined by “; ”.",
        kind="list",
    ),
    *_ASKED,
    Column("reasons", "The text in title and abstract behind the verdict and the tags."),
    Column("kind", "Crossref's type of work, such as journal-article."),
    Column(
        "issued",
        "Date of first publication, as precise as deposited: 2019, 2019-05 or 2019-05-03.",
        kind="partial-date",
    ),
    Column("volume", "Volume."),
    Column("issue", "Issue."),
    Column("pages", "Pages or article number."),
    Column("issn", "ISSNs of the journal, joined by “; ”.", kind="list"),
    Column("publisher", "Publisher."),
    Column("publisher_place", "Where the publisher is."),
    Column("isbn", "ISBNs of the book or proceedings, joined by “; ”.", kind="list"),
    Column("edition", "Edition of a book, as deposited."),
    Column("article_number", "Article number, for articles without pages."),
    Column("subtitle", "Subtitle as deposited; the title includes it."),
    Column("original_title", "Title in the original language, if the title is a translation."),
    Column("short_title", "Short title as deposited."),
    Column("short_container", "Abbreviated title of the journal."),
    Column("institution", "University of a thesis, institution of a report, or server of a preprint."),
    Column("event", "Conference at which the work was presented."),
    Column("event_place", "Place of the conference."),
    Column("event_dates", "Dates of the conference: one date, or the first and the last joined by a slash."),
    Column("published_print", "Date of print publication, as precise as deposited.", kind="partial-date"),
    Column("published_online", "Date of online publication, as precise as deposited.", kind="partial-date"),
    Column("licence", "Link to the licence of the text.", kind="url"),
    Column("funders", "Funders as “Name (DOI; awards: numbers)”, joined by “; ”.", kind="parts"),
    Column("language", "Language of the work as deposited, such as en."),
    Column(
        "registrations",
        "Registration numbers of the study: deposited, listed by PubMed, or read in title and abstract; joined by “; ”.",
        kind="list",
    ),
    Column("pmid", "PubMed identifier.", kind="list"),
    Column("pmcid", "Identifier in PubMed Central, such as PMC3308108.", kind="list"),
    Column("openalex", "OpenAlex identifier, such as W2741809807.", kind="list"),
    Column("publication_types", "Publication types in PubMed or Europe PMC, joined by “; ”.", kind="list"),
    Column("mesh", "MeSH headings, joined by “; ”.", kind="list"),
    Column("open_access", "Link to a freely readable copy.", kind="url"),
    Column("cited_by", "Number of works that cite this one, as last counted by Crossref.", kind="integer"),
    Column("url", "Link to the work.", kind="url"),
    Column("sources", "Reference lists, searches and imported files that found the work, joined by “; ”.", kind="list"),
    Column("local_id", "Of a work without a DOI: its id in this tracker, by which commands and decisions name it."),
    Column(
        "authors_full",
        "All contributors as “Family, Given, Suffix”, joined by “; ”; editors are marked (ed.), translators (trans.), chairs of "
        "a conference (chair).",
        kind="people",
    ),
    Column("orcids", "ORCID iDs as “Family, Given: number”, joined by “; ”."),
    Column("affiliations", "Affiliations as “Family, Given: affiliation”, joined by “ | ”."),
    Column(
        "abstract_source",
        "Where the abstract is from: publisher (deposited with Crossref), pubmed, europepmc, openalex or file (an imported one); "
        "also where the abstract itself is left out.",
    ),
    Column("abstract", "Abstract in plain text, if there is one that may be passed on."),
)


LONG = (
    Column("facet", "The facet of the tag, such as design."),
    Column("value", "The value of the tag, such as rct."),
    Column("strength", "How strongly the text says so.", allowed=("stated", "likely", "implied")),
    Column("tag_decided", "Who gave the tag: rule or person (a reviewer).", allowed=("rule", "person")),
    Column(
        "certainty",
        "How probable it is that the tag is right, from 0 to 1; empty where a person gave it.",
        kind="number",
    ),
    Column("how", "What says so, in one sentence."),
    Column(
        "words",
        "The words behind the tag, joined by “ | ”, as the text has them; a reviewer's reason where a person gave it.",
    ),
)
"""The columns of a table with a row a tag, in the rows of `tag_rows`."""

_BESIDE_TAG = ("as_of", "doi", "local_id", "title", "year", "verdict")
"""The columns about its work that a row a tag has unless others are asked for."""

_ABOUT_TAGS = ("likely_tags", "implied_tags")

_AS_OF = (
    Column("as_of", "The date of the export: the row shows the work at the end of that day.", kind="date"),
    Column("same_as", "For a duplicate on that date: the DOI of the record that represented the work."),
)
_PAST = {
    "why": "The reason for the verdict, if it is known for that date: for exclusions by rule, and for verdicts that are "
    "unchanged.",
    "cited_by": "Number of works that cite this one, in the record of that date.",
}
_TODAY = {
    "likely_tags": "Which of the tags of today are likely rather than stated, as facet:value, joined by “; ”.",
    "implied_tags": "Which of the tags of today are only implied, as facet:value, joined by “; ”; empty unless asked for.",
    "reasons": "The text behind the verdict and the tags today, if record and verdict are unchanged.",
    **{column.name: f"{column.description} As of today." for column in _ASKED},
}


@dataclass(frozen=True, slots=True)
class Layout:
    """What a file has of each work, and how.

    `topic` (None: the default one) names the facets, `values` the values of each. `past` is for an export as of a past date: it
    adds that date, and the names of columns that hold today's values end in `_today`; with `past_tags` (of a version), tags are
    not among these. `names` are the columns that are wanted, in their order (empty: all of the shape). `excel` is for a CSV that
    Excel opens. `with_reasons` puts the text behind verdict and tags into the notes of formats that have notes. For linked data:
    `labels` has what each (facet, value) is called, and `address` is that of the site (None: not known), below which tags have
    their IRIs.
    """

    topic: Topic | None = None
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    past: bool = False
    shape: Shape = "lists"
    names: tuple[str, ...] = ()
    excel: bool = False
    with_reasons: bool = False
    labels: Mapping[tuple[str, str], str] = field(default_factory=dict)
    address: str | None = None
    past_tags: bool = False

    def columns(self) -> tuple[Column, ...]:
        """The columns of a table. ConfigError for a name that no column has."""
        facets = columns_of_facets(self.topic)
        lists = _lists(facets, past=self.past, past_tags=self.past_tags)
        if self.shape == "long":
            offered = {column.name: column for column in (*lists, *LONG) if column.key not in (*facets, *_ABOUT_TAGS)}
            usual = [offered[name] for name in _BESIDE_TAG if name in offered] + list(LONG)
            return tuple(usual) if not self.names else _chosen(self.names, offered, {})
        if self.shape == "lists":
            return lists if not self.names else _chosen(self.names, {column.name: column for column in lists}, {})
        flags = {facet: self._flags(facet, column) for facet, column in facets.items()}
        wide = [flag for column in lists for flag in flags.get(column.key, (column,))]
        names = [column.name for column in wide]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ConfigError(
                f"two columns of the wide table would be called {twice[0]}; export the shape lists or long"
            )
        spread = {column.name: flags[column.key] for column in lists if column.key in flags}
        return tuple(wide) if not self.names else _chosen(self.names, {column.name: column for column in wide}, spread)

    def _flags(self, facet: str, holds: Column) -> tuple[Column, ...]:
        end, of_today = ("_today", " As of today.") if self.past and not self.past_tags else ("", "")
        return tuple(
            Column(
                re.sub(r"\W", "_", f"{facet}_{value}", flags=re.ASCII) + end,
                f"1 if the work has the tag {facet}:{value}, else 0.{of_today}",
                f"{facet}:{value}",
                "flag",
            )
            for value in self.values.get(facet, ())
        )

    def rows(self, rows: Iterable[Row]) -> Iterator[dict[str, Any]]:
        """The rows of the table, with a value for the key of each column. Of a row a work with `long`: as many as it has tags."""
        facets = tuple(columns_of_facets(self.topic))
        absent: dict[str, Any] = dict.fromkeys(facets)
        if self.shape == "wide":
            absent |= {f"{facet}:{value}": 0 for facet in facets for value in self.values.get(facet, ())}
        for row in rows:
            if self.shape == "long":
                yield from ({"local_id": None, **row, **tag} for tag in row["tag_rows"])
                continue
            full = {"local_id": None, **row, **absent, **row["tags"]}
            if self.shape == "wide":
                full |= {f"{facet}:{value}": 1 for facet, values in row["tags"].items() for value in values}
            yield full


def columns(topic: Topic | None = None, *, past: bool = False) -> tuple[Column, ...]:
    """All columns of the shape `lists` for a topic (None: the default one)."""
    return Layout(topic, past=past).columns()


def columns_of_facets(topic: Topic | None) -> dict[str, Column]:
    """Facet → its column in the shape `lists`, in the order of the topic."""
    topic = topic or _default_topic()
    return {facet.id: Column(facet.id, f"{facet.holds}, joined by “; ”.", kind="list") for facet in topic.facets}


def _lists(facets: Mapping[str, Column], *, past: bool, past_tags: bool) -> tuple[Column, ...]:
    of_today = (*_BEFORE_TAGS, *facets.values(), *_AFTER_TAGS)
    if not past:
        return of_today
    of_then = (*facets, *_ABOUT_TAGS) if past_tags else ()
    return (*_AS_OF, *(column if column.name in of_then else _past(column, facets) for column in of_today))


def _past(column: Column, facets: Mapping[str, Column]) -> Column:
    """The column in an export as of a past date. That of tags is renamed to `…_today`, because only versions keep their tags."""
    if column.name in facets:
        return replace(
            column, name=f"{column.name}_today", description=f"{column.description} As of today.", row_key=column.name
        )
    if (said := _TODAY.get(column.name)) is not None:
        return replace(column, name=f"{column.name}_today", description=said, row_key=column.name)
    return replace(column, description=_PAST.get(column.name, column.description))


def _chosen(
    names: Sequence[str], offered: Mapping[str, Column], spread: Mapping[str, Sequence[Column]]
) -> tuple[Column, ...]:
    """The columns of these names, each once. A name in `spread` means several columns."""
    found: dict[str, Column] = {}
    for name in names:
        if name not in offered and name not in spread:
            near = difflib.get_close_matches(name, [*offered, *spread], n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise ConfigError(f"--columns: there is no column {name!r}{hint}; docs/exports.md has the list")
        found |= {column.name: column for column in spread.get(name) or (offered[name],)}
    return tuple(found.values())


def structured(value: Any, kind: Kind) -> Any:
    """A value of a row as a format with lists has it: a list for `list` and `parts`, otherwise the value."""
    if kind not in ("list", "parts"):
        return value
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, (tuple, list)) else value.split("; ")


def _default_topic() -> Topic:
    from evidence.rules import topic as topics  # reads YAML, which most commands need not

    return topics.load()


KEYS = (*(column.name for column in (*_BEFORE_TAGS, *_AFTER_TAGS) if column.name != "local_id"), "tags")
"""The keys that every row must have; an absent fact is None. A row without a DOI has a `local_id`."""
