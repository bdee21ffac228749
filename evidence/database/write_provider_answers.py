"""Writing what other providers answered: their records, when each was asked about what, the log, and tables read from records.

Called by `writer` inside its transactions; nothing here begins or ends one.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Sequence

from evidence.database.values_for_writer import DataciteRow, ProviderStep
from evidence.providers.answers import Answer, Registration

_SET_ANSWER = """
    insert into provider_answers (provider, subject, state, found, problem, asked_at, failed_since, next_try, run)
    values (:provider, :subject, 'asked', :found, :problem, :at, null, null, :run)
    on conflict (provider, subject) do update set state = 'asked', found = excluded.found, problem = excluded.problem,
        asked_at = excluded.asked_at, failed_since = null, next_try = null, run = excluded.run
"""

_SET_FAILURE = """
    insert into provider_answers (provider, subject, state, found, problem, asked_at, failed_since, next_try, run)
    values (:provider, :subject, 'could not ask', null, :problem, null, :at, :next_try, :run)
    on conflict (provider, subject) do update set state = 'could not ask', problem = excluded.problem,
        failed_since = coalesce(failed_since, excluded.failed_since), next_try = excluded.next_try, run = excluded.run
"""


def write_step(conn: sqlite3.Connection, run: int, step: ProviderStep) -> list[str]:
    """Write the answers of one step; returns the subjects whose record is new or has changed.

    A record is kept until a newer one replaces it: a provider that has none any more, or cannot be asked, takes nothing away. The
    works with a new record, and those that an alias with one leads to, have no basis any more, so they are judged again.
    """
    changed = [
        answer.subject for answer in step.batch.answers if answer.state == "found" and _add(conn, run, step, answer)
    ]
    for answer in step.batch.answers:
        values = {
            "provider": step.provider,
            "subject": answer.subject,
            "found": int(answer.state == "found"),
            "problem": answer.problem,
            "at": step.asked_at,
            "next_try": step.next_tries.get(answer.subject),
            "run": run,
        }
        conn.execute(_SET_FAILURE if answer.state == "failed" else _SET_ANSWER, values)
    states = Counter(answer.state for answer in step.batch.answers)
    conn.execute(
        """
        insert into provider_requests (run, provider, asked, requests, found, none, refused, failed, asked_at)
        values (?, ?, ?, ?, ?, ?, ?, ?, ?)
        """,
        (run, step.provider, step.batch.asked, step.batch.requests, states["found"], states["none"], states["refused"],
         states["failed"], step.asked_at),
    )  # fmt: skip
    conn.execute(
        """
        update works set basis = '' where basis <> '' and doi in (
            select value from json_each(:changed) union
            select a.doi from json_each(:changed) j join aliases a on a.alias = j.value where a.last_run is null)
        """,
        {"changed": json.dumps(changed)},
    )
    return changed


def _add(conn: sqlite3.Connection, run: int, step: ProviderStep, answer: Answer) -> bool:
    """Add the record of an answer if it differs from the current one; returns whether it does."""
    message = answer.record or ""
    digest = hashlib.blake2b(message.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    key = (step.provider, answer.subject)
    version, current = conn.execute(
        "select coalesce(max(version), 0), max(iif(last_run is null, digest, null)) from provider_records"
        " where (provider, subject) = (?, ?)",
        key,
    ).fetchone()
    if current == digest:
        return False
    conn.execute(
        "update provider_records set last_run = ? where (provider, subject) = (?, ?) and last_run is null", (run, *key)
    )
    conn.execute(
        "insert into provider_records (provider, subject, version, digest, message, fetched_at, first_run)"
        " values (?, ?, ?, ?, ?, ?, ?)",
        (*key, version + 1, digest, message, step.asked_at, run),
    )
    return True


def set_registered_studies(conn: sqlite3.Connection, source: str, studies: Sequence[Registration]) -> None:
    """Replace what a registry says about studies, where it differs."""
    rows: set[tuple[object, ...]] = set()
    for study in studies:
        lists = (study.primary_outcomes, study.secondary_outcomes, study.result_pmids)
        lists_as_json = (json.dumps(one, ensure_ascii=False) for one in lists)
        rows.add(
            (
                study.number,
                study.title,
                study.status,
                study.enrolment,
                study.started,
                study.completed,
                *lists_as_json,
                source,
            )
        )
    _replace(conn, "registered_studies", "number", rows)


def set_datacite_works(conn: sqlite3.Connection, works: Sequence[DataciteRow]) -> None:
    """Replace what DataCite says about DOIs that are not Crossref's, where it differs."""
    _replace(conn, "datacite_works", "doi", set(works))


def _replace(conn: sqlite3.Connection, table: str, key: str, rows: set[tuple[object, ...]]) -> None:
    held = set(conn.execute(f"select * from {table}"))  # noqa: S608 - our own table names
    conn.executemany(f"delete from {table} where {key} = ?", [(row[0],) for row in held - rows])  # noqa: S608
    for row in rows - held:
        conn.execute(f"insert into {table} values ({', '.join('?' * len(row))})", row)  # noqa: S608
