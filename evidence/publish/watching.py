"""Watches: the saved questions of sources.yaml, the works that their lists have, and what is new for each.

A list is made by the site's own filters (`list_by_address`). Which works a watch had after which run is kept, because tags have
no history. What a watch begins with is no news.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from evidence.database import read_queries, read_watches, tag_filter, writer
from evidence.errors import ConfigError
from evidence.export.change_note import Row, WatchNews
from evidence.harvest.sources import Watch
from evidence.publish import list_by_address, listed_works
from evidence.rules.taxonomy import Taxonomy


def pairs_of(watch: Watch) -> list[tuple[str, str]]:
    """The parameters of the list of a watch: included works, where its filter does not say which verdict it wants."""
    pairs = listed_works.filters(list_by_address.parameters(watch.filter))
    return pairs if listed_works.says_verdict(pairs) else [("verdict", "include"), *pairs]


def check(watches: Sequence[Watch], book: Taxonomy, sources: Path, db: Path | None = None) -> None:
    """ConfigError, with file and line, for the first filter that the site would not take: a parameter it has not, or a tag that
    the rules have not. With a database, the site itself makes each list."""
    values = {(facet.facet, value.id) for facet in book.facets for value in facet.values}
    for watch in watches:
        try:
            given = list_by_address.parameters(watch.filter)
            if not given or any(not text for _, text in given):
                raise ConfigError(
                    "write it like _tag=variant:ipt-a&year__gte=2015, as in the address of a list of the site"
                )
            for key, text in given:
                if not listed_works.is_filter(key):
                    raise ConfigError(f"{key!r} is no filter: it does not change which works are in a list")
                if key == "_since":
                    raise ConfigError("a watch tells what is new by itself; leave _since out")
                if key == "_tag":
                    wanted = tag_filter.parse(text)
                    if missing := [value for value in wanted.values if (wanted.facet, value) not in values]:
                        raise ConfigError(f"the rules have no tag {wanted.facet}:{missing[0]}")
            if db is not None and db.exists():
                list_by_address.read_many(db, [pairs_of(watch)])
        except ConfigError as error:
            raise ConfigError(f"{sources}:{watch.line}: the watch {watch.name!r}: {error}") from None


def named(watches: Sequence[Watch], name: str, sources: Path) -> Watch:
    """The watch with this name or address; ConfigError names those that there are."""
    for watch in watches:
        if name in (watch.name, watch.slug):
            return watch
    there_are = ", ".join(repr(watch.name) for watch in watches) or "none"
    raise ConfigError(f"--watch {name!r}: {sources} has no such watch; it has {there_are}")


def note(db: Path, watches: Sequence[Watch], sources: Path) -> None:
    """Compare each watch with its list, and keep what differs. Nothing is done where there is no watch."""
    if not watches:
        return
    lists = []
    for watch in watches:
        try:
            pairs = pairs_of(watch)
        except ConfigError as error:
            raise ConfigError(f"{sources}:{watch.line}: the watch {watch.name!r}: {error}") from None
        lists.append(pairs)
    try:
        found = list_by_address.read_many(db, lists)
    except ConfigError as error:
        raise ConfigError(f"{sources}: a watch cannot be read: {error}; `evidence check` names it") from None
    rows = [(watch.name, watch.filter, dois) for watch, dois in zip(watches, found, strict=True)]
    writer.note_watches(db, rows)


def news(conn: sqlite3.Connection, watch: Watch, since: int, until: int, changes: Sequence[Row]) -> WatchNews:
    """What is new for a watch after the run `since`, up to the run `until`; `changes` are those of these runs."""
    began = read_watches.started(conn, watch.name)
    start = max(since, began if began is not None else until)
    late = read_queries.day_of_run(conn, start) if start > since else None
    before = read_watches.members(conn, watch.name, min(start, until))
    now = read_watches.members(conn, watch.name, until) if until > start else before
    entered, left = now - before, before - now
    told = {"new", "verdict", "duplicate"}
    about = before | now
    return WatchNews(
        name=watch.name,
        filter=watch.filter,
        before=len(before),
        now=len(now),
        entered=tuple(read_watches.titles(conn, entered)),
        left=tuple(read_watches.titles(conn, left)),
        changes=tuple(
            dict(row)
            for row in changes
            if row["doi"] in about and row["run"] > start and not (row["what"] in told and row["doi"] in entered | left)
        ),
        started=late,
    )
