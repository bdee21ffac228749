"""Reading `evidence.db`, for harvesting, judging, `explain`, `status` and reports. It never writes.

Every function takes an open connection, so that readers and the writer see the same state of a run in progress. Opening is
`connection`'s; works for exports are `select_works`'s; people's decisions are `read_decisions`'s.

A row of a history table is current while its `last_run` is empty.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evidence.crossref.normalise import indexed_at
from evidence.data_model import ABOUT_WORKS, Citation, Doi, Fact, Resolution
from evidence.database import changes_since_last_run, schema
from evidence.database.prisma_flow import Flow, Split, read_flow, read_split, read_update
from evidence.database.read_versions import state_named
from evidence.database.select_works import asked_days
from evidence.database.sql_helpers import Row, dict_rows, in_chunks, rows_for
from evidence.database.values_for_writer import ImportedRow
from evidence.errors import ConfigError
from evidence.providers.combine import ProviderRecord

# ---------------------------------------------------------------------- for harvesting and judging


def current_dois(conn: sqlite3.Connection) -> list[Doi]:
    """Every DOI with a current record, in order."""
    return [d for (d,) in conn.execute("select doi from snapshots where last_run is null order by doi")]


def judgement_bases(conn: sqlite3.Connection) -> Iterator[tuple[Doi, str, str | None]]:
    """Every DOI with a current record, the basis of its judgement (`""`: none), and the version of the code that last failed to
    understand the record (None: none did)."""
    yield from conn.execute(
        """
        select s.doi, coalesce(w.basis, ''), u.version from snapshots s
        left join works w on w.doi = s.doi left join unread u on u.doi = s.doi
        where s.last_run is null order by s.doi
        """
    )


def earlier_records(conn: sqlite3.Connection, doi: Doi) -> Iterator[tuple[str, str]]:
    """(digest, message JSON) of a work's records before the current one, the newest first."""
    sql = "select digest, message from snapshots where doi = ? and last_run is not null order by version desc"
    yield from conn.execute(sql, (doi,)).fetchall()


def current_records(conn: sqlite3.Connection, dois: Sequence[Doi]) -> Iterator[tuple[Doi, str, str]]:
    """(doi, digest, message JSON) of the current records of these works."""
    yield from in_chunks(
        conn, "select doi, digest, message from snapshots where last_run is null and doi in ({})", dois
    )


def provider_records(conn: sqlite3.Connection, dois: Sequence[Doi]) -> dict[Doi, list[ProviderRecord]]:
    """DOI → what other providers have on the work, under this DOI or an alias that leads to it. Works that no provider has are
    left out."""
    found: dict[Doi, list[ProviderRecord]] = {}
    sql = """
        select p.subject, p.provider, p.message, p.fetched_at
        from {j} join provider_records p on p.subject = j.value where p.last_run is null and p.provider <> 'clinicaltrials'
        union all
        select a.doi, p.provider, p.message, p.fetched_at
        from {j} join aliases a on a.doi = j.value join provider_records p on p.subject = a.alias
        where a.last_run is null and p.last_run is null
        union all
        select i.doi, 'file', i.message, r.started
        from {j} join imported_records i on i.doi = j.value join runs r on r.run = i.first_run where i.message <> ''
        union all
        select a.doi, 'file', i.message, r.started
        from {j} join aliases a on a.doi = j.value join imported_records i on i.doi = a.alias
            join runs r on r.run = i.first_run
        where a.last_run is null and i.message <> ''
    """
    for doi, provider, message, fetched_at in rows_for(conn, sql, dois):
        found.setdefault(Doi(doi), []).append(ProviderRecord(provider, message, fetched_at))
    return found


def imported_keys(conn: sqlite3.Connection, dois: Sequence[Doi]) -> set[Doi]:
    """Those of these DOIs and local ids that are known from imported files alone: their current record is such a one."""
    sql = """
        select doi from snapshots where last_run is null and json_extract(message, '$.imported') is not null and doi in ({})
    """
    return {Doi(doi) for (doi,) in in_chunks(conn, sql, dois)}


def never_at_crossref(conn: sqlite3.Connection, dois: Sequence[Doi]) -> set[Doi]:
    """Those of these DOIs and local ids under which only imported files had a record here, now and ever. What such a DOI leads to
    says nothing about the work that it may belong to in truth."""
    sql = """
        select doi from snapshots where doi in ({}) group by doi having count(*) = count(json_extract(message, '$.imported'))
    """
    return {Doi(doi) for (doi,) in in_chunks(conn, sql, dois)}


def imported_digests(conn: sqlite3.Connection, source: str, records: Sequence[str]) -> set[str]:
    """Those of these records of a source of imported files that are here."""
    sql = """
        select j.value from json_each(:records) j cross join imported_records i on (i.source, i.record) = (:source, j.value)
    """
    return {record for (record,) in conn.execute(sql, {"source": source, "records": json.dumps(list(records))})}


def rejects_here(conn: sqlite3.Connection, digests: Sequence[str]) -> bool:
    """Whether all of these rejects are here."""
    sql = "select count(*) from json_each(:digests) j cross join rejects r on r.digest = j.value"
    (count,) = conn.execute(sql, {"digests": json.dumps(sorted(set(digests)))}).fetchone()
    return int(count) == len(set(digests))


def source_row(conn: sqlite3.Connection, source: str) -> Row | None:
    """One row of `sources`; None when there is no such source."""
    return next(iter(dict_rows(conn, "select * from sources where source = :source", {"source": source})), None)


def imported_to_ask_about(conn: sqlite3.Connection) -> list[ImportedRow]:
    """The imported records that Crossref was not asked about, or knows no work for, in order."""
    sql = """
        select source, record, doi, stated_doi, status, problem, score, citation, message, place from imported_records
        where status not in ('resolved', 'repaired', 'matched') and message <> '' order by source, record
    """
    return [ImportedRow(*row) for row in conn.execute(sql)]


def records_like(conn: sqlite3.Connection, words: Sequence[str], most: int) -> list[str]:
    """The current records (JSON) of the works whose titles hold most of these words, the best first."""
    sql = """
        select s.message from works_fts f join works w on w.rowid = f.rowid
            join snapshots s on s.doi = w.doi and s.last_run is null
        where works_fts match ? order by f.rank limit ?
    """
    quoted = " OR ".join(f'"{word}"' for word in words)
    return [message for (message,) in conn.execute(sql, (f"title : ({quoted})", most))] if words else []


def indexed_times(conn: sqlite3.Connection, dois: Sequence[Doi]) -> dict[Doi, str | None]:
    """When Crossref last indexed the current records of these DOIs, as far as we know (None: not known). DOIs without a record
    here are left out."""
    sql = """
        select s.doi, coalesce(c.indexed, case when json_type(s.message, '$.indexed."date-time"') = 'text'
            and json_extract(s.message, '$.indexed."date-time"') glob '[12][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*'
            then json_extract(s.message, '$.indexed."date-time"') end),
            case when json_type(s.message, '$.indexed') = 'object' then json_extract(s.message, '$.indexed') end
        from snapshots s left join counters c on c.doi = s.doi
        where s.last_run is null and s.doi in ({})
    """
    return {
        doi: known or (indexed_at({"indexed": json.loads(stated)}) if stated else None)
        for doi, known, stated in in_chunks(conn, sql, dois)
    }


def current_resolutions(conn: sqlite3.Connection, source: str) -> list[Resolution]:
    """What the lines of a reference list are resolved to, in order; retired lines are left out."""
    rows = conn.execute(
        """
        select source, position, text, stated_doi, status, doi, problem, score from citations
        where source = ? and retired is null order by position
        """,
        (source,),
    )
    return [Resolution(Citation(*row[:4]), *row[4:]) for row in rows]


def notice_of(conn: sqlite3.Connection, doi: Doi) -> tuple[tuple[str, Doi | None], ...]:
    """What a record is a notice of: (kind, DOI of the study or None where it is not known); empty for a study."""
    row = conn.execute("select notice_of from works where doi = ?", (doi,)).fetchone()
    if row is None or row[0] is None:
        return ()
    kind, _, about = row[0].partition(":")
    return ((kind, Doi(about) if about else None),)


def works_to_judge_again(conn: sqlite3.Connection) -> list[Doi]:
    """The works whose judgement has no basis any more: other records changed what they cite, or whether they are notices."""
    sql = """
        select w.doi from works w join snapshots s on s.doi = w.doi and s.last_run is null where w.basis = '' order by w.doi
    """
    return [doi for (doi,) in conn.execute(sql)]


def gone_works(conn: sqlite3.Connection) -> list[Row]:
    """The works that Crossref has no record of any more, the latest first: doi, title, verdict, and as `gone` the day (ISO) on
    which that was first noticed."""
    sql = """
        select a.doi, w.title, w.verdict, substr(r.started, 1, 10) as gone
        from absences a join runs r on r.run = a.first_run left join works w on w.doi = a.doi
        where a.last_run is null order by a.first_run desc, a.doi
    """
    return list(dict_rows(conn, sql, {}))


def titles(conn: sqlite3.Connection, dois: Sequence[Doi]) -> dict[Doi, str]:
    """DOI → title, of the works that are here and have one."""
    sql = "select doi, title from works where title is not null and doi in ({})"
    return dict(in_chunks(conn, sql, dois))


def alias_targets(conn: sqlite3.Connection, dois: Sequence[Doi]) -> dict[Doi, Doi]:
    """Alias → the DOI it leads to, of those of these DOIs that are aliases."""
    sql = "select alias, doi from aliases where last_run is null and alias in ({})"
    return dict(in_chunks(conn, sql, dois))


def aliases_stamp(conn: sqlite3.Connection) -> tuple[int, int, int]:
    """Number of current aliases, of all aliases ever, and the last run that added one. Equal stamps mean equal aliases."""
    sql = "select count(*) filter (where last_run is null), count(*), coalesce(max(first_run), 0) from aliases"
    stamp: tuple[int, int, int] = conn.execute(sql).fetchone()
    return stamp


def former_dois(conn: sqlite3.Connection) -> list[Doi]:
    """The aliases under which a work was known here before."""
    sql = """
        select alias from aliases a where last_run is null and exists (select 1 from snapshots s where s.doi = a.alias)
        order by alias
    """
    return [alias for (alias,) in conn.execute(sql)]


def unknown_notice_targets(conn: sqlite3.Connection) -> dict[Doi, int]:
    """The DOIs that notices are about and that are neither a work nor an alias here, each with the run that wrote the latest
    record naming it."""
    sql = """
        select u.doi, max(s.first_run) from updates u join snapshots s on s.doi = u.said_by and s.last_run is null
        where u.evidence = 'update-to' and u.doi <> u.said_by
            and not exists (select 1 from works w where w.doi = u.doi)
            and not exists (select 1 from aliases a where a.alias = u.doi and a.last_run is null)
        group by u.doi order by u.doi
    """
    return dict(conn.execute(sql).fetchall())


def last_complete_run(conn: sqlite3.Connection, run: int) -> int:
    """The last complete run on Crossref before this one; 0 when there is none."""
    sql = "select coalesce(max(run), 0) from runs where run < ? and outcome = 'complete' and door = 'crossref'"
    return int(conn.execute(sql, (run,)).fetchone()[0])


def capsules(conn: sqlite3.Connection) -> list[Row]:
    """Every capsule that was written from this database, the newest first."""
    return list(dict_rows(conn, "select * from capsules order by capsule desc"))


def sync_count(conn: sqlite3.Connection) -> int:
    """How many runs on Crossref there were, this one included."""
    return int(conn.execute("select count(*) from runs where door = 'crossref'").fetchone()[0])


def works_no_longer_found(conn: sqlite3.Connection, run: int) -> list[Doi]:
    """The works that some source found until this run and does not find any more; works that have moved are left out."""
    sql = """
        select distinct doi from sightings
        where last_run = ? and doi not in (select alias from aliases where last_run is null) order by doi
    """
    return [doi for (doi,) in conn.execute(sql, (run,))]


def found_by_search(conn: sqlite3.Connection, dois: Sequence[Doi]) -> set[Doi]:
    """Which of these works are found by a search of sources.yaml."""
    sql = """
        select distinct s.doi from sightings s join sources o on o.source = s.source
        where o.kind = 'search' and s.last_run is null and o.retired is null and s.doi in ({})
    """
    return {d for (d,) in in_chunks(conn, sql, dois)}


def works_found_by(conn: sqlite3.Connection, source: str) -> list[Doi]:
    """The works that a source finds, in order."""
    sql = "select doi from sightings where source = ? and last_run is null order by doi"
    return [Doi(found) for (found,) in conn.execute(sql, (source,))]


def count_found_by(conn: sqlite3.Connection, source: str) -> int:
    """How many works a source finds."""
    sql = "select count(*) from sightings where source = ? and last_run is null"
    return int(conn.execute(sql, (source,)).fetchone()[0])


def rule_marks(conn: sqlite3.Connection, version: str) -> tuple[dict[tuple[str, str], str], str | None]:
    """(facet, value) → the mark of the rules by which works were last judged with this version of the code, and the basis of
    those judgements (None: this version has not judged yet)."""
    rows = conn.execute("select facet, value, mark, basis from rule_marks where version = ?", (version,)).fetchall()
    return {(facet, value): mark for facet, value, mark, _ in rows}, rows[0][3] if rows else None


def basis_of_judgements(conn: sqlite3.Connection) -> str | None:
    """The basis of the judgements of works that no person decided on; another one after an edit of the rules."""
    row = conn.execute("select max(basis) from rule_marks").fetchone()
    return None if row is None else row[0]


def texts_of(conn: sqlite3.Connection, dois: Sequence[Doi]) -> Iterator[tuple[Doi, str | None, str | None]]:
    """(DOI, title, abstract) of these works."""
    yield from in_chunks(conn, "select doi, title, abstract from works where doi in ({})", dois)


def judged_works(conn: sqlite3.Connection, dois: Sequence[Doi], values: Sequence[tuple[str, str]]) -> Iterator[Row]:
    """What these works were judged by, their screening verdict, and which of the values they have (`tags`: rows as of
    `values_for_writer.TagRow`), with the reasons. `facts` are those of providers that rules may ask for."""
    sql = """
        select doi, title, abstract, kind, container, notice_of, screened, why from works where doi in ({})
    """
    names = ("doi", "title", "abstract", "kind", "container", "notice_of", "screened", "why")
    rows = {
        row[0]: dict(zip(names, row, strict=True)) | {"tags": set(), "reasons": set(), "facts": []}
        for row in in_chunks(conn, sql, dois)
    }
    asked = set(values)
    sql = "select doi, facet, value, strength, certainty, how from tags where doi in ({})"
    for doi, facet, value, *how_sure in in_chunks(conn, sql, dois):
        if (facet, value) in asked:
            rows[doi]["tags"].add((facet, value, *how_sure))
    sql = "select doi, facet, value, rule, field, start, stop, quote from reasons where doi in ({})"
    for doi, facet, value, *match in in_chunks(conn, sql, dois):
        if (facet, value) in asked:
            rows[doi]["reasons"].add((facet, value, *match))
    sql = "select doi, kind, fact, source, major from facts where kind in ('publication-type', 'mesh') and doi in ({})"
    for doi, kind, fact, source, major in in_chunks(conn, sql, dois):
        rows[doi]["facts"].append(Fact(kind, fact, source, bool(major)))
    yield from rows.values()


def texts_in_copy(conn: sqlite3.Connection) -> list[tuple[Doi, bool, bool]]:
    """Every work of a published copy: (DOI, whether it was judged by an abstract that the copy leaves out, whether people decided
    on it or on a tag of it)."""
    sql = """
        select doi, abstract is null and abstract_source is not null,
            decided = 'person' or conflict is not null
                or exists (select 1 from decisions d where d.doi = works.doi and d.facet is not 'same-work')
                or exists (select 1 from tags t where t.doi = works.doi and t.decided = 'person')
        from works order by doi
    """
    return [(doi, bool(withheld), bool(decided)) for doi, withheld, decided in conn.execute(sql)]


def tag_values(conn: sqlite3.Connection) -> set[tuple[str, str]]:
    """Every (facet, value) that a work has as a tag."""
    return set(conn.execute("select distinct facet, value from tags"))


_AUTHORS = """
    (select group_concat(credited, '; ') from
        (select credited from work_authors a where a.doi = w.doi and a.role = 'author' order by position)) as authors
"""
_CANDIDATE = "(w.screened <> 'exclude' or w.decided = 'person')"


def duplicate_outlines(conn: sqlite3.Connection) -> Iterator[Row]:
    """Every work that is not excluded by rule, by DOI, with the fields by which possible duplicates are sought.

    Works that a person excluded are among them: another record of such a work is excluded with it.
    """
    yield from dict_rows(
        conn,
        f"""
        select w.doi, w.title, w.year, w.container, w.volume, w.pages, {_AUTHORS}
        from works w where {_CANDIDATE} order by w.doi
        """,  # noqa: S608 - our own words
    )


def duplicate_candidate(conn: sqlite3.Connection, doi: str) -> Row | None:
    """One of these works with all fields by which duplicates are found; None when it is not among them."""
    rows = dict_rows(
        conn,
        f"""
        select w.doi, w.title, w.year, w.container, w.volume, w.issue, w.pages, w.abstract,
            iif(w.notice_of is null, w.kind, 'notice') as kind, w.issn, {_AUTHORS},
            (select substr(json_extract(message, '$.created."date-time"'), 1, 10) from snapshots s
                where s.doi = w.doi and s.last_run is null) as registered
        from works w where w.doi = ? and {_CANDIDATE}
        """,  # noqa: S608 - our own words
        (doi,),
    )
    return next(rows, None)


def duplicate_candidates_among(conn: sqlite3.Connection, dois: Sequence[str]) -> dict[str, str]:
    """DOI → verdict of screening, of those of these works that are candidates for duplicates."""
    return dict(in_chunks(conn, f"select doi, screened from works w where doi in ({{}}) and {_CANDIDATE}", dois))  # noqa: S608


def screening_verdicts(conn: sqlite3.Connection, dois: Sequence[Doi]) -> dict[Doi, str]:
    """DOI → verdict of screening, before duplicates were merged."""
    return dict(in_chunks(conn, "select doi, screened from works where doi in ({})", dois))


def any_paired(conn: sqlite3.Connection, dois: Sequence[Doi]) -> bool:
    """Whether any of these works is in a pair of records that are, may be, or were decided not to be one work."""
    pairs = ("select 1 from duplicates where doi in ({})", "select 1 from duplicates where other in ({})")
    return any(next(iter(in_chunks(conn, sql, dois)), None) is not None for sql in pairs)


def previous_run_crashed(conn: sqlite3.Connection, run: int) -> bool:
    """Whether the run before this one crashed."""
    row = conn.execute("select outcome from runs where run < ? order by run desc limit 1", (run,)).fetchone()
    return row is not None and row[0] == "crashed"


def pairs_decided_by_people(conn: sqlite3.Connection) -> dict[tuple[str, str], tuple[str, str]]:
    """The pairs that a person decided on: (doi, other) → verdict, reason."""
    sql = "select doi, other, verdict, reason from duplicates where decided = 'person'"
    return {(doi, other): (verdict, reason) for doi, other, verdict, reason in conn.execute(sql)}


def newest_run(conn: sqlite3.Connection) -> int | None:
    """The number of the newest run, however it ended; None before the first."""
    found: int | None = conn.execute("select max(run) from runs").fetchone()[0]
    return found


def day_of_run(conn: sqlite3.Connection, run: int) -> str:
    """The day (ISO) on which a run began; of run 0, the state before the first, words in its place."""
    row = conn.execute("select substr(started, 1, 10) from runs where run = ?", (run,)).fetchone()
    return str(row[0]) if row else "before the first run"


def verdict_counts(conn: sqlite3.Connection) -> dict[str, int]:
    """Verdict → number of works."""
    return dict(conn.execute("select verdict, count(*) from works group by verdict order by verdict").fetchall())


# ---------------------------------------------------------------------- for asking other providers


def works_to_ask_about(conn: sqlite3.Connection, provider: str, now: str, stale: str) -> list[Row]:
    """The included and unsure works about which a provider is to be asked: doi, title, year, kind, and pmid where it is known.

    A work is due if the provider was never asked, if it could not be asked and the time of the next try has come, or if it was
    last asked before `stale`. Both times are ISO times in UTC. In order of the DOIs.
    """
    sql = """
        select w.doi, w.title, w.year, w.kind,
            (select min(identifier) from identifiers i where i.doi = w.doi and i.kind = 'pmid' and i.source <> 'openalex') as pmid
        from works w left join provider_answers p on p.subject = w.doi and p.provider = :provider
        where w.verdict in ('include', 'unsure') and w.doi not like 'local-%' and (p.subject is null
            or (p.state = 'could not ask' and coalesce(p.next_try, '') <= :now)
            or (p.state = 'asked' and p.asked_at < :stale))
        order by w.doi
    """
    return list(dict_rows(conn, sql, {"provider": provider, "now": now, "stale": stale}))


def registrations_to_ask_about(conn: sqlite3.Connection, provider: str, now: str, stale: str) -> list[str]:
    """The registration numbers of ClinicalTrials.gov of included and unsure works about which it is to be asked, in order; which
    are due is decided as in `works_to_ask_about`."""
    sql = """
        select distinct i.identifier from identifiers i join works w on w.doi = i.doi
        left join provider_answers p on p.subject = i.identifier and p.provider = :provider
        where i.kind = 'registration' and i.identifier glob 'NCT[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]'
            and w.verdict in ('include', 'unsure')
            and (p.subject is null or (p.state = 'could not ask' and coalesce(p.next_try, '') <= :now)
                or (p.state = 'asked' and p.asked_at < :stale))
        order by 1
    """
    return [number for (number,) in conn.execute(sql, {"provider": provider, "now": now, "stale": stale})]


def foreign_dois_to_ask_about(conn: sqlite3.Connection, provider: str, now: str, stale: str) -> list[str]:
    """The DOIs in reference lists that exist and that Crossref has no record of: another agency registered them. In order."""
    sql = """
        select distinct lower(c.stated_doi) from citations c
        left join provider_answers p on p.subject = lower(c.stated_doi) and p.provider = :provider
        where c.retired is null and c.status = 'not-in-crossref' and c.stated_doi glob '10.*/*'
            and (p.subject is null or (p.state = 'could not ask' and coalesce(p.next_try, '') <= :now)
                or (p.state = 'asked' and p.asked_at < :stale))
        order by 1
    """
    return [doi for (doi,) in conn.execute(sql, {"provider": provider, "now": now, "stale": stale})]


def provider_answers(conn: sqlite3.Connection, doi: Doi) -> list[Row]:
    """What each provider was asked about a work: the rows of `provider_answers`, in order. Those who were not asked have none."""
    return list(dict_rows(conn, "select * from provider_answers where subject = :doi order by provider", {"doi": doi}))


def crossref_answer(conn: sqlite3.Connection, doi: Doi) -> Row | None:
    """When Crossref was last asked about a work, as a row like those of `provider_answers`; None if it was never asked (the
    record is from files). The day is that of exports (`select_works.asked_days`). Every sync checks all known works; if it
    stops there, the source of known works says why."""
    day = asked_days(conn, [doi])[doi]["asked_crossref"]
    sql = """
        select trouble, coalesce(min(started) filter (where substr(started, 1, 10) > :day), max(started)) as since
        from (select max(trouble) as trouble from sources where kind = 'refresh'),
            (select started from runs where door = 'crossref' and outcome in ('complete', 'partial'))
        where trouble is not null group by trouble
    """
    failed = next(iter(dict_rows(conn, sql, {"day": day or ""})), None)
    if day is None and failed is None:
        return None
    gone = conn.execute("select 1 from works where doi = ? and gone is not null", (doi,)).fetchone()
    return {
        "provider": "crossref",
        "state": "could not ask" if failed else "asked",
        "found": None if day is None else int(gone is None),
        "problem": failed["trouble"] if failed else None,
        "asked_at": day,
        "failed_since": failed["since"] if failed else None,
        "next_try": None,
    }


def notice_statements(conn: sqlite3.Connection, doi: Doi) -> list[Row]:
    """What single records state of notices on a work, under any of its DOIs: rows of `updates`. Its `notices` are made of
    them. What a record states on another work counts no longer when no source holds the record any more."""
    sql = """
        select u.* from updates u where u.doi in (
            select :doi union select alias from aliases where doi = :doi and last_run is null
            union select stands_on from notices where doi = :doi)
            and (u.doi = u.said_by
                or not exists (select 1 from absences a where a.doi = u.said_by and a.last_run is null))
        order by u.issued, u.kind, u.evidence, u.source, u.said_by
    """
    return list(dict_rows(conn, sql, {"doi": doi}))


def abstract_sources(conn: sqlite3.Connection) -> list[Row]:
    """Where abstracts are from, a row for each source, the most first: `source` (as in `works.abstract_source`; None: no
    abstract), `concerned` (how many included and unsure works) and `works` (of all works)."""
    sql = """
        select abstract_source as source, count(*) filter (where verdict in ('include', 'unsure')) as concerned, count(*) as works
        from works group by abstract_source order by source is null, works desc, source
    """
    return list(dict_rows(conn, sql, {}))


def provider_states(conn: sqlite3.Connection) -> list[Row]:
    """What each provider was asked about the included and unsure works, a row for each of `ABOUT_WORKS`, those that were
    never asked too (the facts that come with the program only where they were used):
    `found`, `none` and `refused` (the last answer about the work), `could_not_ask` and since when (`failed_since`, with one
    `problem`), `not_asked`, and `asked_at`, the last answer of all. The counts of a row add up to the number of those works."""
    sql = """
        with concerned as (select doi from works where verdict in ('include', 'unsure')),
        answered as (
            select p.*, p.state = 'could not ask' as failed from provider_answers p join concerned c on c.doi = p.subject
        )
        select n.value as provider, count(*) filter (where not failed and found) as found,
            count(*) filter (where not failed and not found and problem is null) as none,
            count(*) filter (where not failed and not found and problem is not null) as refused,
            count(*) filter (where failed) as could_not_ask,
            min(failed_since) as failed_since, max(iif(failed, problem, null)) as problem,
            (select count(*) from concerned) - count(subject) as not_asked, max(asked_at) as asked_at
        from json_each(:names) n left join answered a on a.provider = n.value
        where n.value <> 'bundled' or subject is not null group by n.key order by n.key
    """
    return list(dict_rows(conn, sql, {"names": json.dumps(ABOUT_WORKS)}))


def other_provider_states(conn: sqlite3.Connection) -> list[Row]:
    """What the providers were asked that are not asked about works but about studies (ClinicalTrials.gov) or foreign DOIs
    (DataCite): counts as in `provider_states`, and `asked`, the number of subjects."""
    sql = """
        select provider, count(*) as asked, count(*) filter (where state = 'asked' and found) as found,
            count(*) filter (where state = 'asked' and not found) as none,
            count(*) filter (where state <> 'asked') as could_not_ask, min(failed_since) as failed_since,
            max(iif(state <> 'asked', problem, null)) as problem, max(asked_at) as asked_at
        from provider_answers where provider in ('clinicaltrials', 'datacite') group by provider order by provider
    """
    return list(dict_rows(conn, sql, {}))


def works_with_identifier(conn: sqlite3.Connection, kind: str, identifier: str) -> list[Doi]:
    """The works that have this identifier (see `linkage.identifiers`), in order; of records of one work only the one that
    represents it."""
    sql = """
        select distinct coalesce(w.same_as, w.doi) from identifiers i join works w on w.doi = i.doi
        where i.identifier = ? and i.kind = ? order by 1
    """
    return [doi for (doi,) in conn.execute(sql, (identifier, kind))]


def last_step_of(conn: sqlite3.Connection, provider: str) -> str | None:
    """What the log says a provider was last asked; None when it never was."""
    sql = "select asked from provider_requests where provider = ? order by request desc limit 1"
    row = conn.execute(sql, (provider,)).fetchone()
    return None if row is None else str(row[0])


def current_provider_records(conn: sqlite3.Connection, provider: str) -> Iterator[tuple[str, str]]:
    """(subject, record as sent) of the current records of a provider, in order."""
    sql = "select subject, message from provider_records where provider = ? and last_run is null order by subject"
    yield from conn.execute(sql, (provider,)).fetchall()


# ---------------------------------------------------------------------- for people


def canonical_doi(conn: sqlite3.Connection, doi: Doi) -> Doi:
    """The DOI that a work is kept under: `doi` itself, or the one it is an alias of."""
    row = conn.execute("select doi from aliases where alias = ? and last_run is null", (doi,)).fetchone()
    return Doi(row[0]) if row else doi


def representatives(
    conn: sqlite3.Connection, dois: Sequence[Doi], moving: Mapping[Doi, Doi] | None = None
) -> dict[Doi, Doi]:
    """Each of these DOIs, and every other record of its work, → the DOI that represents the work. Works with one record and no
    alias are left out. `moving` are aliases about to be written."""
    moving = moving or {}
    aliases = {old: moving.get(new, new) for old, new in alias_targets(conn, dois).items()}
    aliases |= {doi: moving[doi] for doi in dois if doi in moving}
    here = [aliases.get(doi, doi) for doi in dois]
    heads = dict(in_chunks(conn, "select doi, same_as from works where same_as is not null and doi in ({})", here))
    found = {doi: Doi(heads.get(aliases.get(doi, doi), aliases.get(doi, doi))) for doi in dois}
    members = in_chunks(conn, "select doi, same_as from works where same_as in ({})", sorted(set(found.values())))
    found |= {Doi(doi): Doi(head) for doi, head in members}
    grouped = {head for doi, head in found.items() if doi != head}
    return {doi: head for doi, head in (found | {head: head for head in grouped}).items() if head in grouped}


def merged_records(conn: sqlite3.Connection) -> dict[Doi, Doi]:
    """Every record that another one represents → the DOI of that one."""
    return dict(conn.execute("select doi, same_as from works where same_as is not null").fetchall())


def all_dois(conn: sqlite3.Connection, dois: Sequence[Doi]) -> set[Doi]:
    """Every DOI that leads to one of these works: those of its records, their aliases, and the given ones."""
    aliases = alias_targets(conn, dois)
    records = {*(aliases.get(doi, doi) for doi in dois), *representatives(conn, dois)}
    former = in_chunks(conn, "select alias from aliases where last_run is null and doi in ({})", sorted(records))
    return {*dois, *records, *(alias for (alias,) in former)}


def work_details(conn: sqlite3.Connection, doi: Doi) -> Row | None:
    """One row of `works` with its tags, reasons, sources, notices and citations; None when it is not here."""
    rows = list(dict_rows(conn, "select * from works where doi = :doi", {"doi": doi}))
    if not rows:
        return None
    found = rows[0]
    found["tags"] = list(
        dict_rows(
            conn,
            """
            select facet, value, decided, strength, certainty, how from tags where doi = :doi
            order by facet, strength = 'implied', value
            """,
            {"doi": doi},
        )
    )
    found["reasons"] = list(
        dict_rows(
            conn,
            """
            select facet, value, rule, field, start, stop, quote from reasons where doi = :doi
            order by facet = 'verdict' desc, facet, value, field, start
            """,
            {"doi": doi},
        )
    )
    found["sources"] = list(
        dict_rows(
            conn,
            """
            select s.source, o.label, s.via, s.rank, r.started as since, s.last_run is not null as gone
            from sightings s join sources o on o.source = s.source join runs r on r.run = s.first_run
            where s.doi = :doi order by s.source
            """,
            {"doi": doi},
        )
    )
    found["notices"] = list(
        dict_rows(conn, "select * from notices where doi = :doi order by issued, kind", {"doi": doi})
    )
    found["citations"] = list(
        dict_rows(
            conn, "select * from citations where doi = :doi and retired is null order by source, position", {"doi": doi}
        )
    )
    found["duplicates"] = list(
        dict_rows(conn, "select * from duplicates where :doi in (doi, other) order by doi, other", {"doi": doi})
    )
    found["aliases"] = [
        alias
        for (alias,) in conn.execute(
            "select alias from aliases where doi = ? and last_run is null order by alias", (doi,)
        )
    ]
    found["identifiers"] = list(
        dict_rows(
            conn,
            """
            select kind, identifier, group_concat(source, '; ') as sources from
                (select * from identifiers where doi = :doi order by source)
            group by kind, identifier order by kind, identifier
            """,
            {"doi": doi},
        )
    )
    found["asked"] = provider_answers(conn, doi)
    found["versions"] = list(dict_rows(conn, "select * from history where doi = :doi order by version", {"doi": doi}))
    return found


def all_tags(conn: sqlite3.Connection) -> list[Row]:
    """Every tag: doi, title, facet, value, strength, how."""
    sql = """
        select t.doi, w.title, t.facet, t.value, t.strength, t.how from tags t join works w on w.doi = t.doi
    """
    return list(dict_rows(conn, sql, {}))


def labelled_values(conn: sqlite3.Connection) -> dict[str, list[Row]]:
    """Facet → its values in order, each with `value`, `label` and `meaning`."""
    found: dict[str, list[Row]] = {}
    for row in dict_rows(conn, "select facet, value, label, meaning from facets order by facet, position, value"):
        found.setdefault(row["facet"], []).append(row)
    return found


def values_of(conn: sqlite3.Connection, facets: Sequence[str]) -> list[tuple[str, str]]:
    """The values of these facets in the taxonomy, as (facet, value)."""
    sql = "select facet, value from facets where facet in (select value from json_each(?)) order by facet, position"
    return conn.execute(sql, (json.dumps(list(facets)),)).fetchall()


def likely_tags(conn: sqlite3.Connection, wanted: Sequence[tuple[str, str]]) -> list[tuple[Doi, str, str]]:
    """The tags (DOI, facet, value) of included works that are only likely, no person having decided, of these (facet, value): the
    least certain first, which are the nearest to being left out of lists."""
    sql = """
        select t.doi, t.facet, t.value from tags t join works w on w.doi = t.doi
        where t.strength = 'likely' and t.decided = 'rule' and w.verdict = 'include' and (t.facet, t.value) in
            (select json_extract(value, '$[0]'), json_extract(value, '$[1]') from json_each(?))
        order by t.certainty is null, t.certainty, w.year desc, t.doi, t.facet, t.value
    """
    return conn.execute(sql, (json.dumps([list(pair) for pair in wanted]),)).fetchall()


def cited_but_not_here(conn: sqlite3.Connection, least: int) -> list[Row]:
    """DOIs that at least `least` included works cite and that are not here, most cited first: doi, `cited_by` (a number) and
    `citing` (DOIs, separated by blanks)."""
    return list(
        dict_rows(
            conn,
            """
            select c.cited as doi, count(*) as cited_by, group_concat(c.doi, ' ') as citing
            from cites c join works w on w.doi = c.doi and w.verdict = 'include'
            where not exists (select 1 from snapshots s where s.doi = c.cited)
                and not exists (select 1 from aliases a where a.alias = c.cited and a.last_run is null)
            group by c.cited having count(*) >= :least order by cited_by desc, c.cited
            """,
            {"least": least},
        )
    )


def works_with_conflicts(conn: sqlite3.Connection) -> list[Row]:
    """The works with a `conflict`, duplicates included: doi, title, verdict and conflict."""
    sql = "select doi, title, verdict, conflict from works where conflict is not null order by doi"
    return list(dict_rows(conn, sql, {}))


def decided_but_not_here(conn: sqlite3.Connection) -> list[Doi]:
    """The DOIs that people decided on and that are no work here, because they were not harvested (yet)."""
    sql = """
        select doi from (select doi from decisions_without_work
            union select value from decisions_without_work where facet = 'same-work') d
        where not exists (select 1 from works w where w.doi = d.doi) and not exists
            (select 1 from aliases a join works w on w.doi = a.doi where a.alias = d.doi and a.last_run is null)
        order by doi
    """
    return [doi for (doi,) in conn.execute(sql)]


def known_dois(conn: sqlite3.Connection, dois: Sequence[Doi]) -> set[Doi]:
    """Those of these DOIs that a work has, as its own or as an alias."""
    distinct = list(dict.fromkeys(dois))
    works = in_chunks(conn, "select doi from works where doi in ({})", distinct)
    return {Doi(doi) for (doi,) in works} | set(alias_targets(conn, distinct))


def tags_from_people(conn: sqlite3.Connection) -> tuple[int, int]:
    """How many tags people gave or confirmed, and on how many works."""
    sql = "select count(*), count(distinct doi) from tags where decided = 'person'"
    tags, works = conn.execute(sql).fetchone()
    return tags, works


def waiting_ranked(conn: sqlite3.Connection) -> list[Doi]:
    """The works that wait for a decision, the likeliest to be relevant first."""
    return [found for (found,) in conn.execute("select doi from to_check")]


def ranking_points(conn: sqlite3.Connection, dois: Sequence[Doi]) -> dict[Doi, float]:
    """DOI → the points by which the view `to_check` ranks a waiting work, without those for its tags: an excluded work has lost
    its tags, so they do not compare works that were decided with works that wait."""
    sql = """
        select w.doi, 4 * exists (select 1 from reasons r where r.doi = w.doi and r.facet = 'verdict')
            + 2 * min(3, (select count(*) from works i where i.verdict = 'include' and i.doi in (
                select c.cited from cites c where c.doi = w.doi
                union select c.doi from cites c where c.cited = w.doi)))
            + 2 * exists (select 1 from sightings s join sources o on o.source = s.source
                where s.doi = w.doi and s.last_run is null and o.kind = 'references')
        from works w where w.doi in ({})
    """
    return dict(in_chunks(conn, sql, dois))


MOST_POINTS_OF_TAGS = 3.0
"""What the tags of a work add to its points in the view `to_check`, at most."""


def waiting_works(conn: sqlite3.Connection) -> set[Doi]:
    """The same works as a set, found by an index: ranking them is slow."""
    sql = f"select doi from works where ({schema.WAITING}) and verdict = 'unsure'"  # noqa: S608 - our own condition
    return {found for (found,) in conn.execute(sql)}


def works_with_decisions_to_check(conn: sqlite3.Connection) -> set[Doi]:
    """The works with a decision to look at again, whatever their verdict; duplicates are left out."""
    sql = f"select doi from works where ({schema.WAITING}) and conflict is not null"  # noqa: S608 - our own condition
    return {found for (found,) in conn.execute(sql)}


def works_linked_to_included(conn: sqlite3.Connection) -> list[Doi]:
    """The works that the rules left out and that belong to an included work (the view `linked_to_included`): those that share a
    registration first, then the newest."""
    sql = """
        select doi from linked_to_included
        group by doi order by max(link like 'registration %') desc, max(year) desc, doi
    """
    return [found for (found,) in conn.execute(sql)]


def last_sync_run(conn: sqlite3.Connection) -> int | None:
    """The number of the last sync (a run that asked for records); None before the first."""
    row: tuple[int | None] = conn.execute(
        "select max(run) from runs where door not in ('judge', 'providers', 'import')"
    ).fetchone()
    return row[0]


def pairs_to_check(conn: sqlite3.Connection) -> list[Row]:
    """The pairs of records that may be one work."""
    return list(dict_rows(conn, "select * from pairs_to_check order by doi, other", {}))


FOUND_THEN = """s.first_run <= :run and coalesce(s.last_run > :run, 1) and not exists (
                    select 1 from sighting_gaps g where (g.source, g.doi) = (s.source, s.doi) and g.first_run <= :run
                        and g.last_run > :run)"""
"""That a source found a work, after the run `:run`."""


def searches_as_run(conn: sqlite3.Connection, run: int | None = None) -> list[Row]:
    """Every search as run, one row for each query and kind of record source: what PRISMA-S asks to report. `depth`, on the
    newest row of a search, is how deep its results were read (a row of `searches_read`); `backfill`, where records are those of
    Crossref's public data file, is what was read of it. With `run`, the searches up to that run, as they were then; how deep they
    had read then is not known."""
    found = list(
        dict_rows(
            conn,
            """
            select o.source, o.label, q.query, q.filters, json_extract(o.spec, '$.phrases') as phrases,
                json_extract(o.spec, '$.also') as also, json_extract(o.spec, '$.years') as years,
                min(q.asked_at) as first_asked, max(q.asked_at) as last_asked, count(*) as requests,
                sum(q.scanned) as scanned, r.door, max(q.run) as run,
                (select count(*) from sightings s where s.source = o.source and s.last_run is null) as works
            from requests q join sources o on o.source = q.source join runs r on r.run = q.run
            group by o.source, q.query, q.filters, r.door order by o.source, first_asked
            """
            if run is None
            else f"""
            select o.source, h.label, q.query, q.filters, json_extract(coalesce(q.spec, o.spec), '$.phrases') as phrases,
                json_extract(coalesce(q.spec, o.spec), '$.also') as also,
                json_extract(coalesce(q.spec, o.spec), '$.years') as years, min(q.asked_at) as first_asked,
                max(q.asked_at) as last_asked, count(*) as requests, sum(q.scanned) as scanned, r.door, max(q.run) as run,
                (select count(*) from sightings s where s.source = o.source and {FOUND_THEN}) as works
            from requests q join sources o on o.source = q.source join runs r on r.run = q.run
                join source_history h on h.source = o.source and h.first_run <= :run and coalesce(h.last_run > :run, 1)
            where q.run <= :run
            group by o.source, q.query, q.filters, r.door order by o.source, first_asked
            """,  # noqa: S608 - our own condition
            {"run": run},
        )
    )
    for row in found:
        row["backfill"] = None
        if row["door"] == "backfill":
            (said,) = conn.execute(
                "select json_extract(counts, '$.backfill') from runs where run = ?", (row["run"],)
            ).fetchone()
            row["backfill"] = json.loads(said) if said else None
    if run is not None:
        return [row | {"depth": None} for row in found]
    depths = {row["source"]: row for row in search_depths(conn)}
    for row in reversed(found):
        row["depth"] = depths.pop(row["source"], None) if row["door"] == "crossref" else None
    return found


def imports_as_run(conn: sqlite3.Connection, run: int | None = None) -> list[Row]:
    """Every source of imported files, as PRISMA-S asks: source, label, method, `imports` (files, database, date and search of
    each), and the number of its records and works. With `run`, as after that run; which files had been imported then is not
    known of a source that got more since, so it has no `imports`."""
    if run is not None:
        return _imports_then(conn, run)
    sql = """
        select o.source, o.label, o.method, json_extract(o.spec, '$.imports') as imports,
            (select count(*) from imported_records i where i.source = o.source) as records,
            (select count(*) from sightings s where s.source = o.source and s.last_run is null) as works
        from sources o where o.method is not null order by o.source
    """
    return [row | {"imports": json.loads(row["imports"] or "[]")} for row in dict_rows(conn, sql, {})]


def _imports_then(conn: sqlite3.Connection, run: int) -> list[Row]:
    sql = f"""
        select o.source, h.label, h.method,
            case when not exists (select 1 from imported_records i where i.source = o.source and i.first_run > :run)
                then json_extract(o.spec, '$.imports') end as imports,
            (select count(*) from imported_records i where i.source = o.source and i.first_run <= :run) as records,
            (select count(*) from sightings s where s.source = o.source and {FOUND_THEN}) as works
        from sources o join source_history h on h.source = o.source and h.first_run <= :run
            and coalesce(h.last_run > :run, 1)
        where h.method is not null
            and exists (select 1 from imported_records i where i.source = o.source and i.first_run <= :run)
        order by o.source
    """  # noqa: S608 - our own condition
    return [row | {"imports": json.loads(row["imports"] or "[]")} for row in dict_rows(conn, sql, {"run": run})]


def backfilled(conn: sqlite3.Connection, asked: str) -> dict[tuple[str, int, int], tuple[int, int]]:
    """The files of Crossref's public data file of which this was asked: name, size and time → records, and those that matched."""
    sql = "select name, size, modified, records, matched from backfilled_files where asked = ? order by name, size, modified"
    return {
        (name, size, modified): (records, matched)
        for name, size, modified, records, matched in conn.execute(sql, (asked,))
    }


def last_backfill(conn: sqlite3.Connection) -> dict[str, Any] | None:
    """What the last backfill that ended said of the files it read; None before the first."""
    sql = """
        select json_extract(counts, '$.backfill') from runs where door = 'backfill' and outcome in ('complete', 'partial')
        order by run desc limit 1
    """
    row = conn.execute(sql).fetchone()
    said: dict[str, Any] | None = json.loads(row[0]) if row and row[0] else None
    return said


def backfilled_keys(conn: sqlite3.Connection) -> set[tuple[str, int, int]]:
    """The files of Crossref's public data file that were read (name, size and time), whatever was asked of them."""
    return {
        (name, size, modified)
        for name, size, modified in conn.execute("select name, size, modified from backfilled_files")
    }


def backfill_records(conn: sqlite3.Connection, last: int) -> Iterator[tuple[str, str]]:
    """The records of a backfill that are still to become works, up to this one: place and JSON, as they were found."""
    yield from conn.execute("select place, message from backfill_records where record <= ? order by record", (last,))


def last_backfill_record(conn: sqlite3.Connection) -> int:
    """The number of the last record that a backfill found and that is still to become a work; 0 without one."""
    return int(conn.execute("select coalesce(max(record), 0) from backfill_records").fetchone()[0])


def search_depths(conn: sqlite3.Connection) -> list[Row]:
    """How deep the results of each search were last read: the rows of the view `searches_read`."""
    return list(dict_rows(conn, "select * from searches_read order by source", {}))


def flow(conn: sqlite3.Connection, as_of: str | None = None, since: str | None = None) -> Flow:
    """The PRISMA 2020 flow of today, or as of a date, run or version, as a person types it. With `since`, it is the flow of the
    update after that earlier state. ConfigError when the earlier state is not the earlier one."""
    state = state_named(conn, as_of) if as_of else None
    run = state.run if state else None
    if since is None:
        return read_flow(conn, run)
    return read_update(conn, run, earlier_run(conn, since, run))


def split_flow(conn: sqlite3.Connection, found: Flow) -> Split:
    """The same flow in PRISMA's two columns."""
    return read_split(conn, found.run, found.since or 0)


def earlier_run(conn: sqlite3.Connection, since: str, run: int | None) -> int:
    """The run that `--since` names; ConfigError when it is later than that of `--as-of`."""
    before = state_named(conn, since, "--since").run
    if run is not None and before > run:
        raise ConfigError(f"--since {since} is later than --as-of; name the earlier state after --since")
    return before


def changes(
    conn: sqlite3.Connection,
    since: str | None = None,
    *,
    run: int | None = None,
    until: int | None = None,
    tags: bool = False,
    after: int | None = None,
    left_out: Sequence[changes_since_last_run.ChangeKind] = (),
) -> list[Row]:
    """Announced changes of works, the most serious first (see `changes_since_last_run`): since a day (ISO), of one run, of the
    runs after `after`, or (none of these) of the last sync that ended and of all runs after it. `until` is the last run that
    counts. Changes of tags only with `tags`; those of the kinds `left_out` never.

    A row has `change` (its number), run, `announced` (a day), doi (the one its work is kept under now), what, before, after,
    `verdict` (of the work after the change), and title and year as they are today.
    """
    which = "c.run = :run" if run is not None else "r.started >= :since" if since else "c.run >= :last"
    if after is not None:
        which = "c.run > :after"
    sql = f"""
        select c.change, c.run, substr(r.started, 1, 10) as announced, coalesce(a.doi, c.doi) as doi, c.what, c.before,
            c.after, c.verdict, w.title, w.year
        from changes c join runs r on r.run = c.run left join aliases a on a.alias = c.doi and a.last_run is null
            left join works w on w.doi = coalesce(a.doi, c.doi)
        where {which}
            and c.what not in (select value from json_each(:left_out)) and (:until is null or c.run <= :until)
        order by (select key from json_each(:kinds) where value = c.what), c.verdict is not 'include', c.verdict is not 'unsure',
            w.year desc, c.doi, c.change
    """  # noqa: S608 - our own conditions
    last = None if run is not None or since or after is not None else last_finished_sync(conn, until)
    values = {"run": run, "since": since, "last": last or 0}
    values["left_out"] = json.dumps([*left_out, *([] if tags else [changes_since_last_run.ON_REQUEST])])
    values |= {"until": until, "after": after}
    return list(dict_rows(conn, sql, values | {"kinds": json.dumps(changes_since_last_run.KINDS)}))


def run_changes(conn: sqlite3.Connection, run: int, *, tags: bool = False) -> changes_since_last_run.RunChanges:
    """The changes that a run announced, as its summary needs them; changes of tags only with `tags`."""
    counts = dict(conn.execute("select what, count(*) from changes where run = ? group by what", (run,)).fetchall())
    if not tags:
        counts.pop(changes_since_last_run.ON_REQUEST, None)
    named = changes(conn, run=run, tags=tags, left_out=changes_since_last_run.ONLY_COUNTED)
    return changes_since_last_run.RunChanges(changes_since_last_run.in_order(counts), named)


def last_finished_sync(conn: sqlite3.Connection, until: int | None = None) -> int | None:
    """The number of the last sync that ended, complete or partial, up to the run `until`; None before the first."""
    sql = "select max(run) from runs where door not in ('judge', 'providers', 'import') and outcome in ('complete', 'partial')"
    sql += " and (? is null or run <= ?)"
    row: tuple[int | None] = conn.execute(sql, (until, until)).fetchone()
    return row[0]


def any_without_content(conn: sqlite3.Connection) -> bool:
    """Whether the content of any work is not known yet: an older version judged it last."""
    sql = "select 1 from works w where w.content is null and not exists (select 1 from unread u where u.doi = w.doi) limit 1"
    return conn.execute(sql).fetchone() is not None


def status(conn: sqlite3.Connection) -> Row:
    """What `evidence status` shows: last run, works by verdict, sources with trouble, citations that need a person."""
    runs = list(
        dict_rows(
            conn, "select * from runs where door not in ('judge', 'providers', 'import') order by run desc limit 1", {}
        )
    )
    last = runs[0] if runs else None
    if last:
        last["counts"] = json.loads(last["counts"])
    return {
        "last_run": last,
        "works": verdict_counts(conn),
        "waiting": len(waiting_works(conn)),
        "decisions_to_check": conn.execute("select count(*) from decisions_to_check").fetchone()[0],
        "notices": dict(
            conn.execute(
                """
                select notice, count(*) from works where notice is not null and verdict in ('include', 'unsure')
                group by 1
                """
            ).fetchall()
        ),
        "rejects": conn.execute("select count(*) from rejects").fetchone()[0],
        "gone": gone_works(conn),
        "sources": list(
            dict_rows(
                conn,
                """
                select o.source, o.kind, o.label, o.bookmark, o.trouble, o.warning, count(s.doi) as works
                from sources o left join sightings s on s.source = o.source and s.last_run is null
                where o.retired is null group by o.source order by o.kind, o.source
                """,
                {},
            )
        ),
        "searches": search_depths(conn),
        "providers": provider_states(conn),
        "abstracts": abstract_sources(conn),
        "citations": list(dict_rows(conn, "select * from citations_to_check order by source, position", {})),
        "decisions_without_work": decided_but_not_here(conn),
    }
