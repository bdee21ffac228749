"""Reading versions, and turning what a person types after `--as-of` or `--since` into a past state of the review.

A past state is what the tables say after one run: every row of a history table names the run it begins with. Nothing is written
into a run that has ended, so a state stays as it is. It never writes.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from evidence.data_model import SHOWN_STRENGTHS, Strength
from evidence.database.prisma_flow import run_of_day
from evidence.database.sql_helpers import Row, dict_rows
from evidence.database.tag_filter import TagFilter
from evidence.errors import ConfigError

LONGEST_NAME = 80
"""Characters of a version's name at most."""

_VERSIONS = """
    select v.version, v.name, v.run, v.made_at, v.made_by, v.note, v.topic, v.rules, v.program, v.decisions,
        v.decisions_digest, v.included, v.excluded, v.unsure, r.started as run_started, r.outcome
    from versions v join runs r on r.run = v.run order by v.version
"""
_OF_VERSION = "{0}.first_version <= :version and coalesce({0}.last_version > :version, 1)"


@dataclass(frozen=True, slots=True)
class PastState:
    """What the review was after the run `run`. `day` (ISO) is its date, `name` the version's name if it was asked for by one,
    `label` how it is named in a sentence; `version` is the number of the version, whose tags are kept, else None."""

    run: int
    day: str
    name: str | None
    label: str
    version: int | None = None


def is_date(text: str) -> bool:
    """Whether this is a date written as YYYY-MM-DD."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def checked_name(text: str) -> str:
    """The name for a new version; ConfigError when it would be read as a date or a run, or is not one short line."""
    name = text.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise ConfigError(
            f"{text!r} cannot be the name of a version; a name is one line of at most {LONGEST_NAME} characters, like 3"
        )
    if is_date(name) or _run_number(name) is not None:
        raise ConfigError(
            f"{name!r} would be read as a date or a run after --as-of; name the version otherwise, like 3 or 2026-update"
        )
    return name


def versions(conn: sqlite3.Connection) -> list[Row]:
    """All versions, oldest first."""
    return list(dict_rows(_cursor(conn), _VERSIONS))


def state_named(conn: sqlite3.Connection, text: str, option: str = "--as-of") -> PastState:
    """The state that a person asks for by a date (YYYY-MM-DD: after the last run that had started by the end of that day, UTC),
    by the name of a version, or by a run (`run:12`, or its bare number where no version has that name). ConfigError names the
    versions that there are. `option` is what the text was given for."""
    text = text.strip()
    if is_date(text):
        return PastState(run_of_day(conn, text), text, None, text)
    known = versions(conn)
    for row in known:
        if row["name"] == text:
            day = row["made_at"][:10]
            return PastState(row["run"], day, text, f"version {text} ({day})", row["version"])
    number = _run_number(text)
    if number is None and text.isascii() and text.isdigit():
        number = int(text[:18])
    if number is not None and (found := _state_of_run(conn, number)):
        return found
    raise ConfigError(
        f"{option} {text!r} is not a valid date, run or version; write a date like 2026-01-31, a run like run:12 or a "
        f"version's name; {known_versions(row['name'] for row in known)}"
    )


def version_named(conn: sqlite3.Connection, name: str) -> Row:
    """The version with this name: a row of `versions`. ConfigError names those that there are."""
    known = versions(conn)
    found = next((row for row in known if row["name"] == name.strip()), None)
    if found is None:
        raise ConfigError(f"{name!r} is not a version; {known_versions(row['name'] for row in known)}")
    return found


def known_versions(names: Iterable[str]) -> str:
    """The end of a sentence that says which versions there are; of many, the last."""
    there = [*names][-20:]
    return (
        f"the versions are: {', '.join(there)}" if there else "no version has been named yet (`evidence version NAME`)"
    )


def tags_in_version(
    conn: sqlite3.Connection, version: int, dois: Iterable[str]
) -> Iterator[tuple[str, str, str, Strength, str]]:
    """The tags of these works in a version: DOI, facet, value, strength, and who decided (rule or person), in that order."""
    rows = _cursor(conn).execute(
        f"""
        select t.doi, t.tags from json_each(:dois) j cross join version_tags t on t.doi = j.value
        where {_OF_VERSION.format("t")} order by t.doi
        """,  # noqa: S608 - our own text
        {"version": version, "dois": json.dumps(list(dois))},
    )
    for doi, text in rows:
        lists = json.loads(text)
        by_person = set(lists.pop("person", ()))
        found = [(tag, strength) for strength, tags in lists.items() for tag in tags]
        for tag, strength in sorted(found):
            facet, _, value = tag.partition(":")
            yield doi, facet, value, strength, "person" if tag in by_person else "rule"


def tag_conditions(
    filters: Sequence[TagFilter], doi: str, version: int, strengths: Sequence[Strength] = SHOWN_STRENGTHS
) -> tuple[list[str], Row]:
    """As `tag_filter.sql_conditions`, by the tags that the works had in a version."""
    clauses = []
    params: Row = {"version": version, "tag_strengths": json.dumps(list(strengths))} if filters else {}
    for number, wanted in enumerate(filters):
        clauses.append(
            f"""{doi} in (select t.doi from version_tags t, json_each(:tag_strengths) s, json_each(t.tags, '$.' || s.value) e
                where {_OF_VERSION.format("t")} and e.value in (select value from json_each(:tags_{number})))"""  # noqa: S608
        )
        params[f"tags_{number}"] = json.dumps([f"{wanted.facet}:{value}" for value in wanted.values])
    return clauses, params


def _state_of_run(conn: sqlite3.Connection, run: int) -> PastState | None:
    row = _cursor(conn).execute("select substr(started, 1, 10), outcome from runs where run = ?", (run,)).fetchone()
    if row is None:
        return None
    if row[1] == "running":
        raise ConfigError(f"run {run} has not ended: what it says may still change; ask again when it has")
    return PastState(run, row[0], None, f"run {run} ({row[0]})")


def _run_number(text: str) -> int | None:
    found = re.fullmatch(r"run:\s*([0-9]{1,18})", text)
    return int(found[1]) if found else None


def _cursor(conn: sqlite3.Connection) -> sqlite3.Cursor:
    cursor = conn.cursor()
    cursor.row_factory = None  # the site's connection makes rows of another type
    return cursor
