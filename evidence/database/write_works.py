"""Writing works: the row of `works`, the tables that belong to it, its authors and its full text.

Called by `writer` inside its transactions; nothing here begins or ends one. `record_columns` is also for exports.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter, itemgetter
from typing import Any

from evidence.author_names import cite_authors
from evidence.data_model import Doi, Judgement, Work
from evidence.database import changes_since_last_run, write_notices
from evidence.database.sql_helpers import chunks, in_chunks, placeholders
from evidence.database.values_for_writer import JudgedRecord, tag_row
from evidence.linkage.trial_numbers import own_trial_numbers

_COLUMNS = tuple(
    """
    title abstract authors container issued year kind verdict screened decided why judged_on conflict notice_of language
    publisher volume issue pages issn registrations url gone
    subtitle original_title short_title edition isbn article_number short_container publisher_place institution
    event event_place event_dates published_print published_online licence abstract_source abstract_at open_access
    references_deposited references_without_doi content cited_by basis
    """.split()  # noqa: SIM905 - one list to read beside the DDL
)

_COUNTED_AS_CHANGE = _COLUMNS[: _COLUMNS.index("gone") + 1]
"""Columns that count as a change of a work. A work that is cited once more, or judged again with the same result, has not
changed (`cited_by`, `basis`). Columns kept only for readers and exports do not count either: an upgrade that fills them would
be a change of every work. Nor does a `content` that was not known before."""

_UPSERT_WORK = f"""
    insert into works (doi, {", ".join(_COLUMNS)}, first_run, changed_run)
    values ({placeholders(("doi", *_COLUMNS, "first_run", "changed_run"))})
    on conflict (doi) do update set {", ".join(f"{c} = excluded.{c}" for c in _COLUMNS)},
        changed_run = case when ({", ".join(_COUNTED_AS_CHANGE)}, coalesce(content, excluded.content)) is
            ({", ".join("excluded." + c for c in _COUNTED_AS_CHANGE)}, excluded.content)
            then changed_run else excluded.changed_run end
    where ({", ".join(_COLUMNS)}) is not ({", ".join("excluded." + c for c in _COLUMNS)})
"""  # noqa: S608 - our own column names
_in_order = itemgetter("doi", *_COLUMNS, "run", "run")

_UPSERT_AUTHOR = """
    insert into authors (author, name, family, given, orcid, kind) values (?, ?, ?, ?, ?, ?)
    on conflict (author) do update set name = excluded.name, family = excluded.family, given = excluded.given,
        orcid = excluded.orcid, kind = excluded.kind
    where (name, family, given, orcid, kind) is not
        (excluded.name, excluded.family, excluded.given, excluded.orcid, excluded.kind)
"""
_ORCID = re.compile("[0-9]{4}-[0-9]{4}-[0-9]{4}-[0-9]{3}[0-9X]")

_COPIED = (
    "subtitle",
    "original_title",
    "short_title",
    "edition",
    "article_number",
    "short_container",
    "publisher_place",
    "institution",
    "published_print",
    "published_online",
    "references_deposited",
    "references_without_doi",
)
"""Columns of `works` that hold a field of the Work as it is."""
_copied = attrgetter(*_COPIED)

_CHILDREN = (
    "work_authors", "funders", "licences", "relations", "identifiers", "facts", "cites", "tags", "reasons",
)  # fmt: skip
"""Tables whose rows belong to one work each, and are replaced with it."""

_VERSIONS = ("vor", "unspecified", "am")

Credit = tuple[str, str, str | None, str | None]
"""An author's key and the name in a work: whole, family name, given names."""
AuthorRow = tuple[str, str, str | None, str | None, str | None, str]
"""A row of `authors`: that of the name, then ORCID and kind."""


def write_works(conn: sqlite3.Connection, run: int, records: Sequence[JudgedRecord]) -> None:
    """Write the works of these records with all their child rows and their full text; unchanged rows are left alone. Records
    that cannot be understood are left out."""
    pairs = [(r, r.work, r.judgement) for r in records if r.work is not None and r.judgement is not None]
    dois = [r.doi for r, _, _ in pairs]
    old = _indexed_text(conn, dois)
    facts = _counts_and_absences(conn, dois)
    rows = [_work_row(run, r, work, judgement, *facts[r.doi]) for r, work, judgement in pairs]
    new_text = {row["doi"]: (row["title"], row["abstract"], row["authors"], row["container"]) for row in rows}
    stale = sorted((rowid, *text) for doi, (rowid, text) in old.items() if new_text[doi] != text)
    conn.executemany(
        "insert into works_fts (works_fts, rowid, title, abstract, authors, container)"
        " values ('delete', ?, ?, ?, ?, ?)",
        stale,
    )
    conn.executemany(_UPSERT_WORK, map(_in_order, rows))
    _replace_children(conn, pairs, {doi for doi in dois if doi in old})
    _index_text(conn, [doi for doi in dois if doi not in old or new_text[doi] != old[doi][1]])


def show_absences(conn: sqlite3.Connection, run: int, dois: Sequence[Doi]) -> None:
    """Bring `works.gone` of these works up to date; it counts as a change of the work."""
    facts = _counts_and_absences(conn, dois)
    conn.executemany(
        "update works set gone = :gone, changed_run = :run where doi = :doi and gone is not :gone",
        [{"doi": doi, "gone": facts[doi][1], "run": run} for doi in dois],
    )


def delete_work(conn: sqlite3.Connection, doi: Doi) -> None:
    """Take one work out of the derived tables; its full text first, which is found by its rowid."""
    credits_before = _credits_of(conn, [doi])
    lost = _lost_names(conn, credits_before)
    for rowid, text in _indexed_text(conn, [doi]).values():
        conn.execute(
            "insert into works_fts (works_fts, rowid, title, abstract, authors, container)"
            " values ('delete', ?, ?, ?, ?, ?)",
            (rowid, *text),
        )
    conn.execute("delete from works where doi = ?", (doi,))
    _name_anew(conn, lost)
    _drop_unnamed(conn, credits_before)


def record_columns(work: Work) -> dict[str, Any]:
    """The columns of `works` that come from the record alone, for the table and for exports."""
    return {
        "title": work.title,
        "abstract": work.abstract,
        "authors": cite_authors(work.authors),
        "container": work.container,
        "issued": work.issued,
        "year": work.year,
        "kind": work.kind,
        "language": work.language,
        "publisher": work.publisher,
        "volume": work.volume,
        "issue": work.issue,
        "pages": work.pages,
        "issn": "; ".join(work.issn) or None,
        "registrations": "; ".join(work.registrations) or None,
        "url": work.url,
        "cited_by": work.cited_by,
        "isbn": "; ".join(work.isbn) or None,
        "event": work.event.name if work.event else None,
        "event_place": work.event.place if work.event else None,
        "event_dates": work.event.dates if work.event else None,
        "licence": _licence_of(work),
        "abstract_source": work.abstract_source,
        "abstract_at": work.abstract_at,
        "open_access": next((fact.value for fact in work.facts if fact.kind == "open-access"), None),
        "content": changes_since_last_run.content_digest(work),
        **dict(zip(_COPIED, _copied(work), strict=True)),
    }


def _counts_and_absences(conn: sqlite3.Connection, dois: Sequence[Doi]) -> dict[Doi, tuple[int | None, str | None]]:
    """Of each work: how often it is cited, where Crossref has counted since its record was written (else None), and the day (ISO)
    since which Crossref has no record of it (None: it has one)."""
    counts: dict[str, int | None] = {}
    gone: dict[str, str] = {}
    for chunk in chunks(dois):
        marks = placeholders(chunk)
        counts.update(conn.execute(f"select doi, cited_by from counters where doi in ({marks})", chunk))  # noqa: S608
        rows = conn.execute(
            f"""
            select a.doi, substr(r.started, 1, 10) from absences a join runs r on r.run = a.first_run
            where a.last_run is null and a.doi in ({marks})
            """,  # noqa: S608
            chunk,
        )
        gone.update(rows)
    return {doi: (counts.get(doi), gone.get(doi)) for doi in dois}


def _indexed_text(conn: sqlite3.Connection, dois: Sequence[Doi]) -> dict[str, tuple[int, tuple[Any, ...]]]:
    """DOI → rowid and the text of the full-text index, of the works that are here."""
    found: dict[str, tuple[int, tuple[Any, ...]]] = {}
    for chunk in chunks(dois):
        rows = conn.execute(
            f"select doi, rowid, title, abstract, authors, container from works where doi in ({placeholders(chunk)})",  # noqa: S608
            chunk,
        )
        found.update({doi: (rowid, tuple(text)) for doi, rowid, *text in rows})
    return found


def _index_text(conn: sqlite3.Connection, dois: Sequence[Doi]) -> None:
    # The index gathers words in memory, and writes what it has whenever a row comes before one that is there already.
    for chunk in chunks(dois):
        conn.execute(
            f"""
            insert into works_fts (rowid, title, abstract, authors, container)
            select rowid, title, abstract, authors, container from works where doi in ({placeholders(chunk)}) order by rowid
            """,  # noqa: S608
            chunk,
        )


def _replace_children(
    conn: sqlite3.Connection, pairs: Sequence[tuple[JudgedRecord, Work, Judgement]], known: set[Doi]
) -> None:
    """Write the rows of the tables that belong to a work; `known` are the works that have some."""
    again = [(doi,) for doi in sorted(known)]
    credits_before = _credits_of(conn, sorted(known))
    moved = dict(conn.execute("select alias, doi from aliases where last_run is null").fetchall())
    if again:
        for table in _CHILDREN:
            conn.executemany(f"delete from {table} where doi = ?", again)  # noqa: S608 - our own table names
        conn.executemany("delete from updates where said_by = ?", again)
    credits_now: dict[Credit, None] = {}
    credited_as: list[tuple[Any, ...]] = []
    updates: list[tuple[Any, ...]] = []
    funders: list[tuple[Any, ...]] = []
    licences: list[tuple[Any, ...]] = []
    relations: list[tuple[Any, ...]] = []
    identifiers: list[tuple[Any, ...]] = []
    facts: list[tuple[Any, ...]] = []
    cites: list[tuple[Any, ...]] = []
    tags: list[tuple[Any, ...]] = []
    reasons: list[tuple[Any, ...]] = []
    for record, work, judgement in pairs:
        doi = record.doi
        for position, author in enumerate(work.authors, start=1):
            credited = author.name or ", ".join(p for p in (author.family, author.given) if p)
            key = author.orcid or credited
            credits_now[key, credited, author.family, author.given] = None
            credited_as.append(
                (doi, position, key, credited, author.family, author.given, author.role, author.affiliation,
                 author.suffix, author.orcid)
            )  # fmt: skip
        funders += [
            (doi, n, f.name, f.doi, json.dumps(f.awards, ensure_ascii=False) if f.awards else "[]")
            for n, f in enumerate(work.funders, 1)
        ]
        licences += [
            (doi, n, licence.url, licence.version, licence.starts, licence.delay_days)
            for n, licence in enumerate(work.licences, 1)
        ]
        updates += [
            (doi, about, n.kind, n.notice_doi or doi, n.issued, n.source, n.evidence, n.notice_id)
            for about, n in [*((doi, notice) for notice in work.notices), *work.updates]
        ]
        relations += [(doi, r.kind, r.other, r.asserted_by) for r in work.relations]
        own = own_trial_numbers(work.registrations, (work.title, work.abstract))
        identifiers += [(doi, "registration", number, source) for number, source in own.items()]
        identifiers += [(doi, one.kind, one.value, one.source) for one in work.identifiers]
        facts += [(doi, fact.kind, fact.value, fact.source, int(fact.major)) for fact in work.facts]
        cites += _cited(work, moved)
        tags += [(doi, t.decided, *tag_row(t)) for t in judgement.tags]
        reasons += [
            (doi, "verdict", judgement.verdict, m.rule, m.field, m.start, m.stop, m.quote) for m in judgement.matches
        ]
        reasons += [
            (doi, t.facet, t.value, m.rule, m.field, m.start, m.stop, m.quote)
            for t in judgement.tags
            for m in t.matches
        ]
    removed = credits_before - credits_now.keys()
    lost = _lost_names(conn, removed)
    _add_names(conn, [credit for credit in credits_now if credit[0] not in lost])  # `work_authors` refers to `authors`
    run_many = conn.executemany
    run_many("insert into work_authors values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", credited_as)
    run_many("insert into funders values (?, ?, ?, ?, ?)", funders)
    run_many("insert into licences values (?, ?, ?, ?, ?, ?)", licences)
    run_many("insert into updates values (?, ?, ?, ?, ?, ?, ?, ?)", updates)
    run_many("insert or ignore into relations values (?, ?, ?, ?)", relations)
    run_many("insert or ignore into identifiers values (?, ?, ?, ?)", identifiers)
    run_many("insert or ignore into facts values (?, ?, ?, ?, ?)", facts)
    # In the order of the key: fewer pages of the file are touched.
    run_many("insert into cites values (?, ?, ?)", sorted(cites))
    run_many(
        "insert into tags (doi, decided, facet, value, strength, certainty, how) values (?, ?, ?, ?, ?, ?, ?)", tags
    )
    run_many("insert or ignore into reasons values (?, ?, ?, ?, ?, ?, ?, ?)", reasons)
    _name_anew(conn, lost)
    _drop_unnamed(conn, removed)


def _credits_of(conn: sqlite3.Connection, dois: Sequence[str]) -> set[Credit]:
    found: set[Credit] = set()
    for chunk in chunks(dois):
        sql = f"select author, credited, family, given from work_authors where doi in ({placeholders(chunk)})"  # noqa: S608
        found.update(conn.execute(sql, chunk))
    return found


def _lost_names(conn: sqlite3.Connection, removed: Collection[Credit]) -> set[str]:
    """The authors whose name is one of these, which works had and do not have any more."""
    return {
        author
        for author, *name in _authors(conn, sorted({one[0] for one in removed}))
        if (author, *name[:3]) in removed
    }


def _add_names(conn: sqlite3.Connection, added: Iterable[Credit]) -> None:
    """Give authors the best of the name that they have and those that works have now. The one they have is the best of all
    others: who wrote much is named in thousands of works, which are not read again."""
    named: dict[str, list[Credit]] = {}
    for credit in added:
        named.setdefault(credit[0], []).append(credit)
    here = {row[0]: row for row in _authors(conn, list(named))}
    for author, row in here.items():
        named[author].append(row[:4])
    conn.executemany(_UPSERT_AUTHOR, [row for row in map(_best_name, named.values()) if row != here.get(row[0])])


def _name_anew(conn: sqlite3.Connection, authors: Collection[str]) -> None:
    """Give these authors the best of the names that works have now."""
    named: dict[str, list[Credit]] = {}
    sql = "select author, credited, family, given from work_authors where author in ({})"
    for author, credited, family, given in in_chunks(conn, sql, sorted(authors)):
        named.setdefault(author, []).append((author, credited, family, given))
    conn.executemany(_UPSERT_AUTHOR, map(_best_name, named.values()))


def _drop_unnamed(conn: sqlite3.Connection, removed: Collection[Credit]) -> None:
    """Drop the authors of these names whom no work names any more."""
    conn.executemany(
        "delete from authors where author = ? and not exists (select 1 from work_authors w where w.author = authors.author)",
        [(author,) for author in sorted({author for author, *_ in removed})],
    )


def _authors(conn: sqlite3.Connection, authors: Sequence[str]) -> Iterator[AuthorRow]:
    """The rows of those of these authors who are here."""
    sql = "select author, name, family, given, orcid, kind from authors where author in ({})"
    return in_chunks(conn, sql, authors)


def _best_name(names: Sequence[Credit]) -> AuthorRow:
    """The row of an author: the fullest of these names, then the first in the alphabet, so that the order in which they were
    written does not matter."""
    author, name, family, given = names[0] if len(names) == 1 else min(names, key=_rank)
    orcid = author if _ORCID.fullmatch(author) else None
    return author, name, family, given, orcid, "group" if family is None and given is None else "person"


def _rank(credit: Credit) -> tuple[int, str, bool, str, bool, str]:
    _, name, family, given = credit
    return -len(name), name, family is not None, family or "", given is not None, given or ""


def _work_row(
    run: int, record: JudgedRecord, work: Work, judgement: Judgement, counted: int | None, gone: str | None
) -> dict[str, Any]:
    return {
        "doi": record.doi,
        "run": run,
        "verdict": judgement.verdict,
        "screened": judgement.verdict,
        "decided": judgement.decided,
        "why": judgement.why,
        "judged_on": judgement.judged_on,
        "conflict": judgement.conflict,
        "notice_of": write_notices.notice_text(work.notice_of),
        "gone": gone,
        **record_columns(work),  # `cited_by` too, unless Crossref has counted since
        "cited_by": work.cited_by if counted is None else counted,
        "basis": record.basis,
    }


def _cited(work: Work, moved: Mapping[str, str]) -> list[tuple[str, str, str | None]]:
    """The rows of `cites`, under the DOIs that the cited works are kept under."""
    doi = work.doi
    if moved.keys().isdisjoint(cited for cited, _ in work.cites):
        return [(doi, cited, asserted_by) for cited, asserted_by in work.cites if cited != doi]
    direct = {cited: asserted_by for cited, asserted_by in work.cites if cited not in moved}
    by_alias = {moved[cited]: asserted_by for cited, asserted_by in reversed(work.cites) if cited in moved}
    return [(doi, cited, asserted_by) for cited, asserted_by in (by_alias | direct).items() if cited != doi]


def _licence_of(work: Work) -> str | None:
    """The URL of the licence that matters to a reader: of the version of record first, the latest to begin. A licence for text
    mining alone does not count."""
    for version in _VERSIONS:
        found = [licence for licence in work.licences if (licence.version or "unspecified") == version]
        if found:
            return max(found, key=lambda licence: licence.starts or "").url
    return None
