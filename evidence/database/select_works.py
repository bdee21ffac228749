"""Selecting works for exports, reports and downloads, and reading them with everything such a file needs. It never writes.

The filter for tags is `tag_filter`, for command line and site alike; here it becomes a query.
"""

from __future__ import annotations

import itertools
import json
import re
import sqlite3
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from sqlite_utils import Database

from evidence.data_model import SHOWN_STRENGTHS, Doi, Strength
from evidence.database import tag_filter
from evidence.database.sql_helpers import Row, dict_rows
from evidence.database.tag_filter import TagFilter
from evidence.database.values_for_writer import BOOKMARK_OVERLAP
from evidence.doi import is_local
from evidence.errors import ConfigError

_PART = 500
"""Works that are read at once."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which works an export or a report is about. All of `tags` must hold. `since` is an ISO date: works that are new, or whose
    record changed, on or after it. `text` is plain words, all of which must be in the work. Tags of other `strengths` neither
    count nor are exported."""

    verdicts: tuple[str, ...] = ("include",)
    tags: tuple[TagFilter, ...] = ()
    since: str | None = None
    text: str | None = None
    strengths: tuple[Strength, ...] = SHOWN_STRENGTHS


_AUTHORS = """
    select doi, family, given, suffix, case when family is null and given is null then credited end as name, role, orcid,
        affiliation
    from work_authors where doi in ({marks}) order by doi, position
"""

_NAME = """case when family is null and given is null then credited
            else coalesce(nullif(family, '') || ', ' || nullif(given, ''), nullif(family, ''), nullif(given, ''), '')
                || coalesce(', ' || nullif(suffix, ''), '')
            end"""

_ROLE = (
    "case role when 'editor' then ' (ed.)' when 'translator' then ' (trans.)' when 'chair' then ' (chair)' else '' end"
)

_NAMES = f"""
    select doi, group_concat(text, '; ') from (
        select doi, {_NAME} || {_ROLE} as text from work_authors where doi in ({{marks}}) order by doi, position)
    group by doi
"""  # noqa: S608 - our own column names, here and below

_OF_PEOPLE = {
    "orcids": f"""
        select doi, group_concat(text, '; ') from (
            select doi, {_NAME} || ': ' || orcid as text from work_authors
            where orcid is not null and doi in ({{marks}}) order by doi, position)
        group by doi
    """,  # noqa: S608
    "affiliations": f"""
        select doi, group_concat(text, ' | ') from (
            select doi, {_NAME} || ': ' || affiliation as text from work_authors
            where affiliation is not null and doi in ({{marks}}) order by doi, position)
        group by doi
    """,  # noqa: S608
}

_FUNDERS = """
    select doi, name, funder_doi, awards from funders where doi in ({marks}) order by doi, position
"""
"""Authors one by one; `_NAMES` gives them as the text that `authors.full_names` makes. A test compares the two."""

NOTICES = """
    select doi, group_concat(text, '; ') from (
        select doi, kind || coalesce(' ' || issued, '') || iif(notice_doi in (doi, stands_on), '', ' ' || notice_doi)
            || coalesce(' ' || replace(notice_id, '; ', ' '), '')
            || iif(stands_on = doi, '', case relation when 'record' then ' (on another record, '
                when 'article' then ' (on the article, ' when 'preprint' then ' (on its preprint, '
                else ' (on an earlier DOI, ' end || stands_on || ')') || iif(undone, ' (taken back)', '')
            || coalesce(' [stated by ' || replace(source, '; ', ', ') || ']', '') as text
        from {notices} where doi {among} order by doi, undone, issued, kind, notice_doi)
    group by doi
"""

IDENTIFIER_COLUMNS = {"pmid": "pmid", "pmcid": "pmcid", "openalex": "openalex", "registration": "registrations"}
FACT_COLUMNS = {"publication-type": "publication_types", "mesh": "mesh"}
"""Kinds of identifiers and facts (`data_model`) → the columns of an export that hold them."""

_IDENTIFIERS = """
    select doi, kind, group_concat(identifier, '; ') from (
        select doi, kind, identifier from identifiers where doi in (select value from json_each(:dois))
        group by doi, kind, identifier order by doi, kind, min(source = 'openalex'), identifier)
    group by doi, kind
"""
_FACTS = """
    select doi, kind, group_concat(fact, '; ') from (
        select distinct doi, kind, fact from facts
        where kind in ('publication-type', 'mesh') and doi in (select value from json_each(:dois)) order by doi, kind, fact)
    group by doi, kind
"""
_LICENCES = """
    select doi, json_group_array(licence) from (
        select doi, fact as licence from facts where kind = 'licence' and doi in (select value from json_each(:dois))
        union
        select doi, url from licences where doi in (select value from json_each(:dois))
            and coalesce(version, 'unspecified') in ('vor', 'unspecified')
            and coalesce(starts, '') <= (select max(started) from runs)
        order by 1, 2)
    group by doi
"""
"""The licences that are stated for each work: by providers, and those deposited with Crossref for the version of record that had
begun at the last run."""

ASKED_COLUMNS = {"pubmed": "asked_pubmed", "europepmc": "asked_europepmc", "retraction-watch": "asked_retraction_watch"}
"""Providers → the columns that say when each last answered about a work. `asked_crossref` is read from `_ASKED_CROSSREF`."""
_ASKED = """
    select subject, provider, substr(asked_at, 1, 10) from provider_answers
    where asked_at is not null and subject in (select value from json_each(:dois))
"""
_ASKED_CROSSREF = """
    with refresh as (select date(bookmark, :overlap) as day from sources where kind = 'refresh' and bookmark is not null),
    checked as (
        select day, (select max(run) from runs where door = 'crossref' and substr(started, 1, 10) <= day) as run from refresh
    )
    select w.doi, nullif(max(
        coalesce((select substr(r.started, 1, 10) from snapshots s join runs r on r.run = s.first_run
            where s.doi = w.doi and s.last_run is null and r.door in ('crossref', 'import')), ''),
        coalesce((select day from checked where w.first_run <= checked.run), '')), '')
    from works w where w.doi in (select value from json_each(:dois))
        and not (exists (select 1 from imported_records i where i.doi = w.doi)
            and exists (select 1 from snapshots s where s.doi = w.doi and s.last_run is null
                and json_extract(s.message, '$.imported') is not null))
"""
"""The day on which Crossref last answered about each work: its current record was read, or all known works were checked to the
end. The bookmark of that check lies `BOOKMARK_OVERLAP` before its run. About a work that is known from an imported file alone
it has no answer."""

_ONE_TEXT = {**_OF_PEOPLE, "notice_details": NOTICES.format(notices="notices", among="in ({marks})")}
"""Columns of an export that hold several facts of a work on one line."""


def selected_works(conn: sqlite3.Connection, selection: Selection) -> Iterator[Row]:
    """The works of a selection, newest first, as `full_rows` gives them."""
    yield from full_rows(conn, selected_dois(conn, selection), selection.strengths)


def selected_dois(conn: sqlite3.Connection, selection: Selection) -> Iterator[Doi]:
    """The works of a selection, newest first, as SQLite sorts them: they are never all in memory."""
    where = ["w.verdict in (select value from json_each(:verdicts))"]
    clauses, tags = tag_filter.sql_conditions(selection.tags, "w.doi", selection.strengths)
    where += clauses
    values: Row = {"verdicts": json.dumps(selection.verdicts), **tags}
    if selection.since:
        where.append("w.changed_run in (select run from runs where started >= :since)")
        values["since"] = selection.since
    if selection.text is not None:
        where.append("w.rowid in (select rowid from works_fts where works_fts match :text)")
        values["text"] = full_text_query(selection.text)
    sql = f"select w.doi from works w where {' and '.join(where)} order by w.year desc, w.doi"  # noqa: S608
    for (doi,) in conn.execute(sql, values):
        yield Doi(doi)


def full_rows(
    conn: sqlite3.Connection,
    dois: Iterable[Doi],
    strengths: Sequence[Strength] = SHOWN_STRENGTHS,
    *,
    flat: bool = False,
    tag_rows: bool = False,
) -> Iterator[Row]:
    """These works in this order with everything that an export needs, as dictionaries; few are in memory at once. KeyError for a
    DOI that is not here.

    A row has the columns of `works` and: `local_id` (a work that has one has no `doi`), `authors_full` (a list of
    dictionaries, or with `flat` one text, which saves a third of the time), `tags` (facet → values; those of these
    `strengths`), `likely_tags` and `implied_tags` (those of them, as `facet:value`), `sources`, `reasons` (one text),
    `funders`, `funders_full`, `orcids`, `affiliations`, `notice_details`, those of `IDENTIFIER_COLUMNS` and `FACT_COLUMNS`
    (one text each), `stated_licences`, those of `asked_days`, and with `tag_rows` the tags one by one (`add_tag_rows`). The
    abstract is there whether or not it may be passed on.
    """
    remaining = iter(dois)
    while part := list(itertools.islice(remaining, _PART)):
        found = _complete(conn, part, strengths, flat)
        yield from _with_tag_rows(conn, list(found), strengths) if tag_rows else found


def add_identifiers_and_facts(conn: sqlite3.Connection | sqlite3.Cursor, rows: Mapping[str, Row]) -> None:
    """Add to rows of an export (by DOI) what providers state: identifiers, facts and `stated_licences`."""
    values = {"dois": json.dumps(list(rows))}
    for row in rows.values():
        stated = dict.fromkeys((*IDENTIFIER_COLUMNS.values(), *FACT_COLUMNS.values()))
        row |= stated | {"registrations": row.get("registrations"), "stated_licences": ()}
    for sql, names in ((_IDENTIFIERS, IDENTIFIER_COLUMNS), (_FACTS, FACT_COLUMNS)):
        for doi, kind, text in conn.execute(sql, values).fetchall():
            rows[doi][names[kind]] = text
    for doi, licences in conn.execute(_LICENCES, values).fetchall():
        rows[doi]["stated_licences"] = tuple(json.loads(licences))


def asked_days(conn: sqlite3.Connection | sqlite3.Cursor, dois: Sequence[str]) -> dict[str, dict[str, str | None]]:
    """DOI → the columns `asked_…`: the day (ISO) on which Crossref and each provider of `ASKED_COLUMNS` last answered about the
    work; None for one that never did."""
    values = {"dois": json.dumps(list(dois)), "overlap": f"+{BOOKMARK_OVERLAP.days} days"}
    found: dict[str, dict[str, str | None]] = {
        doi: dict.fromkeys(("asked_crossref", *ASKED_COLUMNS.values())) for doi in dois
    }
    for doi, day in conn.execute(_ASKED_CROSSREF, values).fetchall():
        found[doi]["asked_crossref"] = day
    for doi, provider, day in conn.execute(_ASKED, values).fetchall():
        if provider in ASKED_COLUMNS:
            found[doi][ASKED_COLUMNS[provider]] = day
    return found


def abstracts_of_providers(conn: sqlite3.Connection) -> Iterator[tuple[Doi, str | None, tuple[str, ...]]]:
    """The works whose abstract was not deposited with Crossref: DOI, where the abstract is from, and the licences stated."""
    sources = dict(
        conn.execute("select doi, abstract_source from works where abstract is not null and abstract_source is not 'publisher'")
        .fetchall()
    )  # fmt: skip
    licences = dict(conn.execute(_LICENCES, {"dois": json.dumps(list(sources))}).fetchall())
    for doi, source in sources.items():
        yield Doi(doi), source, tuple(json.loads(licences.get(doi, "[]")))


def check_selection(conn: sqlite3.Connection, selection: Selection) -> None:
    """ConfigError when a selection asks for a tag that the taxonomy does not have, or its text has no word in it."""
    tag_filter.check_filters(selection.tags, values_of_facets(conn))
    if selection.text is not None:
        full_text_query(selection.text)


def full_text_query(text: str) -> str:
    """The text as a query for FTS5, as the site's search box takes it: each word in quotes, so that `IPT-A` or `or` is a word and
    not an operator; text in quotation marks is a phrase. ConfigError when it has no word: the full-text index knows letters
    and digits only.
    """
    # NUL ends a query. Half a surrogate pair (a byte of the command line that is not UTF-8) cannot be stored as text.
    words = " ".join(re.sub("[\0\ud800-\udfff]", " ", text).split())
    if not any(map(_in_words, words)):
        raise ConfigError(
            f"--query {text!r}: there is no word in it; write the words to look for, such as --query 'grief'"
        )
    with closing(sqlite3.connect(":memory:")) as conn:
        return str(Database(conn, execute_plugins=False).quote_fts(words))


def named(key: str) -> Row:
    """The columns of an export that name a work: its `doi`, or the `local_id` of one that has none."""
    return {"doi": None, "local_id": key} if is_local(key) else {"doi": key, "local_id": None}


def funder_text(name: str | None, doi: str | None, awards: Sequence[str]) -> str:
    """`Name (DOI; awards: numbers)`."""
    about = "; ".join(filter(None, (doi if name else None, f"awards: {', '.join(awards)}" if awards else None)))
    return f"{name or doi or 'Funder not named'}{f' ({about})' if about else ''}"


def values_of_facets(conn: sqlite3.Connection) -> dict[str, list[str]]:
    """Facet → its values in their order."""
    return tag_filter.values_by_facet(conn.execute("select facet, value from facets order by facet, position"))


def labels_of_values(conn: sqlite3.Connection) -> dict[tuple[str, str], str]:
    """(facet, value) → what the value is called."""
    return {(facet, value): label for facet, value, label in conn.execute("select facet, value, label from facets")}


def add_tags(
    rows: Mapping[str, Row], tags: Iterable[tuple[str, str, str, Strength]], strengths: Sequence[Strength]
) -> dict[str, set[str]]:
    """Add tags (DOI, facet, value, strength) of these `strengths` to the rows of an export (by DOI): to `tags`, and to
    `likely_tags` or `implied_tags`. Returns the others: DOI → `facet:value`."""
    left_out: dict[str, set[str]] = {}
    for doi, facet, value, strength in tags:
        if strength not in strengths:
            left_out.setdefault(doi, set()).add(f"{facet}:{value}")
            continue
        row = rows[doi]
        row["tags"][facet] = (*row["tags"].get(facet, ()), value)
        if strength != "stated":
            row[f"{strength}_tags"] = (*row[f"{strength}_tags"], f"{facet}:{value}")
    return left_out


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the text of a work that speaks for a tag, or a fact stated beside it. `field`: title, abstract, or where the
    fact is stated; `start` and `stop` count characters (code points) of that field; `role` is the part that the words play."""

    field: str
    start: int
    stop: int
    quote: str
    role: str


@dataclass(frozen=True, slots=True)
class DecidedBy:
    """Who gave a tag, when (ISO, UTC) and why."""

    reviewer: str
    made_at: str
    reason: str


def add_tag_rows(
    conn: sqlite3.Connection | sqlite3.Cursor, rows: Mapping[str, Row], strengths: Sequence[Strength]
) -> None:
    """Add to rows of an export (by DOI) their tags one by one.

    `tag_rows`: for each tag of these `strengths`, in the order of facet and value, a mapping of facet, value, strength,
    `tag_decided` (rule or person), certainty, `how` (a sentence) and `words` (the quoted text, joined by ` | `). `tag_places`:
    (facet, value) → its `Place`s, in order; the verdict's under ("verdict", verdict). `tag_decisions`: (facet, value) →
    `DecidedBy` of a tag that a reviewer gave, and of the verdict under ("verdict", verdict)."""
    dois = json.dumps(list(rows))
    for row in rows.values():
        row |= {"tag_rows": [], "tag_places": {}, "tag_decisions": {}}
    for doi, facet, value, *place in conn.execute(_PLACES, (dois,)).fetchall():
        rows[doi]["tag_places"].setdefault((facet, value), []).append(Place(*place))
    for doi, key, decided in _decided(conn.execute(_DECISIONS, (dois,)).fetchall()):
        rows[doi]["tag_decisions"][key] = decided
    for doi, facet, value, strength, decided, certainty, how in conn.execute(_TAG_ROWS, (dois,)).fetchall():
        if strength in strengths:
            places = rows[doi]["tag_places"].get((facet, value), ())
            said = " | ".join(dict.fromkeys(place.quote for place in places)) or None
            found = (facet, value, strength, decided, certainty, how, said)
            rows[doi]["tag_rows"].append(dict(zip(TAG_ROW, found, strict=True)))


def _decided(decisions: Iterable[Sequence[str]]) -> Iterator[tuple[str, tuple[str, str], DecidedBy]]:
    """For each work and each tag, or verdict, that a reviewer gave: the decision that counts. That is the last one among each
    reviewer's latest (`current_decisions`)."""
    latest: dict[tuple[str, str, str], dict[str, Sequence[str]]] = {}
    for decision in decisions:
        doi, facet, value, _, _, reviewer, *_ = decision
        of = latest.setdefault((doi, facet, value), {})
        of.pop(reviewer, None)  # so that the last one is the latest
        of[reviewer] = decision
    for (doi, facet, value), by_reviewer in latest.items():
        for _, _, _, action, verdict, reviewer, made_at, reason in by_reviewer.values():
            if action == "verdict" or (action == "tag" and facet):
                key = (facet, value) if facet else ("verdict", verdict)
                yield doi, key, DecidedBy(reviewer, made_at, reason)


TAG_ROW = ("facet", "value", "strength", "tag_decided", "certainty", "how", "words")
"""The keys of the mappings in `tag_rows`."""
TAGS_ONE_BY_ONE = ("tag_rows", "tag_places", "tag_decisions")
"""What `add_tag_rows` adds."""
_TAG_ROWS = """
    select doi, facet, value, strength, decided, certainty, how from tags
    where doi in (select value from json_each(?)) order by 1, 2, 3
"""
_PLACES = """
    select doi, facet, value, field, start, stop, quote, rule from reasons
    where doi in (select value from json_each(?)) order by doi, facet, value, field, start, stop
"""
_DECISIONS = """
    select doi, coalesce(facet, ''), coalesce(value, ''), action, verdict, reviewer, made_at, reason from decisions
    where action in ('verdict', 'tag', 'untag', 'withdraw') and doi in (select value from json_each(?))
    order by made_at, decision
"""


def _with_tag_rows(conn: sqlite3.Connection, rows: list[Row], strengths: Sequence[Strength]) -> list[Row]:
    add_tag_rows(conn, {row["doi"] or row["local_id"]: row for row in rows}, strengths)
    return rows


def reasons_text(words: str, left_out: Collection[str]) -> str | None:
    """The text behind the verdict and tags of a work on one line, without that of the tags `left_out` (as `facet:value`). `words`
    are JSON: `facet:value “quote”`."""
    return "; ".join(sorted({text for text in json.loads(words) if text.partition(" “")[0] not in left_out})) or None


def _complete(
    conn: sqlite3.Connection, keys: Sequence[Doi], strengths: Sequence[Strength], flat: bool
) -> Iterator[Row]:
    marks = ", ".join("?" * len(keys))
    rows = {r["doi"]: r for r in dict_rows(conn, f"select * from works where doi in ({marks})", keys)}  # noqa: S608
    for row in rows.values():
        row |= {"authors_full": "" if flat else [], "tags": {}, "sources": (), "reasons": None}
        row |= {"likely_tags": (), "implied_tags": ()}
        row |= {"funders": (), "funders_full": [], **dict.fromkeys(_ONE_TEXT)}
    add_identifiers_and_facts(conn, rows)
    for doi, days in asked_days(conn, keys).items():
        rows[doi] |= days
    if flat:
        for doi, names in conn.execute(_NAMES.format(marks=marks), keys):
            rows[doi]["authors_full"] = names
    else:
        for author in dict_rows(conn, _AUTHORS.format(marks=marks), keys):
            rows[author.pop("doi")]["authors_full"].append(author)
    for name, sql in _ONE_TEXT.items():
        for doi, text in conn.execute(sql.format(marks=marks), keys):
            rows[doi][name] = text
    for doi, name, funder, listed in conn.execute(_FUNDERS.format(marks=marks), keys):
        row, awards = rows[doi], json.loads(listed)
        row["funders"] = (*row["funders"], funder_text(name, funder, awards))
        row["funders_full"].append({"name": name, "doi": funder, "awards": awards})
    left_out = add_tags(
        rows,
        conn.execute(
            f"select doi, facet, value, strength from tags where doi in ({marks}) order by 1, 2, 3",  # noqa: S608
            keys,
        ),
        strengths,
    )
    for doi, source in conn.execute(
        f"select doi, source from sightings where last_run is null and doi in ({marks}) order by 1, 2",  # noqa: S608
        keys,
    ):
        row = rows[doi]
        row["sources"] = (*row["sources"], source)
    # One row for each work: every row that comes out of SQLite costs a stream as much as making it.
    for doi, words in conn.execute(
        f"""
        select doi, json_group_array(facet || ':' || value || ' “' || quote || '”') from reasons
        where doi in ({marks}) group by doi
        """,  # noqa: S608
        keys,
    ):
        rows[doi]["reasons"] = reasons_text(words, left_out.get(doi, ()))
    for key in keys:
        yield rows[key] | named(key)


def _in_words(character: str) -> bool:
    """Whether the tokenizer (unicode61) takes the character as part of a word."""
    category = unicodedata.category(character)
    return category[0] in "LN" or category == "Co"
