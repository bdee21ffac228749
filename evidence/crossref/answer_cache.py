"""A record source that remembers its answers for some days, in a file of its own.

People check the same reference list again and again while they correct it. What was asked lately is answered from the file,
and `answered_at` says when it was asked. The databases of a review know nothing of it, and a harvest never uses it.

Of each question only a digest is stored: what somebody pastes is not kept. Errors are never remembered. A cache that cannot be
opened or written is left out: it may make a check slower, never wrong.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from evidence.data_model import Doi, LookupResult, Page, Query, RecordSource, RecordStatus, Window, iso_time
from evidence.kept_on_disk import VARIABLE, cache_folder

log = logging.getLogger(__name__)

MAX_AGE = timedelta(days=7)
"""Age from which an answer is asked for again: a retraction should not go unseen for longer."""

_SCHEMA = """
create table if not exists answers (
    place text not null, kind text not null, question text not null, answered_at text not null, body blob not null,
    primary key (place, kind, question)
) without rowid
"""


def default_path(environment: Mapping[str, str]) -> Path | None:
    """Where answers are kept: EVIDENCE_CACHE, else the user's cache folder; None where EVIDENCE_CACHE says no."""
    folder = cache_folder(environment)
    chosen = environment.get(VARIABLE)
    return folder and (Path(chosen) if chosen else folder / "crossref-answers.db")


class CachedRecords:
    """`source` with a memory (see `data_model.RecordSource`). `place` tells apart the servers that may be asked. `fresh` asks
    everything again, and remembers the answers. Use as a context manager."""

    def __init__(
        self,
        source: RecordSource,
        path: Path,
        place: str,
        *,
        fresh: bool = False,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.name = source.name
        self.authoritative = source.authoritative
        self.answered_at: dict[str, str] = {}
        """When each DOI or search text that was answered from memory had been asked (ISO time)."""
        self._source = source
        self._place = place
        self._fresh = fresh
        self._now = now
        self._conn = _open(path, iso_time(now() - MAX_AGE))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._conn is not None:
            self._conn.close()

    @property
    def requests(self) -> int:
        """Requests that the source has sent."""
        return self._source.requests

    @property
    def bytes(self) -> int:
        """Bytes that the source has received."""
        return self._source.bytes

    @property
    def date(self) -> datetime | None:
        """The provider's time; None while everything was answered from memory."""
        return self._source.date

    def lookup(self, dois: Sequence[Doi], since: str | None = None) -> Iterator[tuple[LookupResult, ...]]:
        """See `data_model.RecordSource.lookup`. With `since` nothing is answered from memory."""
        if since is not None:
            yield from self._source.lookup(dois, since)
            return
        known = {doi: body for doi in dict.fromkeys(dois) if (body := self.recall("lookup", doi)) is not None}
        if known:
            yield tuple(LookupResult(doi, body[0] and Doi(body[0]), body[1]) for doi, body in known.items())
        missing = [doi for doi in dict.fromkeys(dois) if doi not in known]
        for batch in self._source.lookup(missing) if missing else ():
            self.remember("lookup", {found.requested: [found.record_doi, found.message] for found in batch})
            yield batch

    def check(self, dois: Sequence[Doi]) -> Iterator[tuple[RecordStatus, ...]]:
        """See `data_model.RecordSource.check`; never from memory."""
        return self._source.check(dois)

    def scan(self, query: Query, window: Window | None = None, offset: int = 0, *, by_creation: bool = False) -> Page:
        """See `data_model.RecordSource.scan`. Only searches for a citation are remembered."""
        if not query.for_citation or window is not None or offset or by_creation:
            return self._source.scan(query, window, offset, by_creation=by_creation)
        question = query.fields[0][1]
        if (body := self.recall("scan", question)) is not None:
            return Page(body[1], body[0])
        page = self._source.scan(query)
        if page.ranks is None:
            self.remember("scan", {question: [page.total, list(page.items)]})
        return page

    def agency(self, doi: Doi) -> str | None:
        """See `data_model.RecordSource.agency`."""
        if (body := self.recall("agency", doi)) is not None:
            return str(body[0]) if body[0] else None
        found = self._source.agency(doi)
        self.remember("agency", {doi: [found]})
        return found

    def recall(self, kind: str, question: str) -> list[Any] | None:
        """The answer of this kind that is remembered and not too old; None where there is none."""
        if self._conn is None or self._fresh:
            return None
        with suppress(sqlite3.Error):
            row = self._conn.execute(
                "select answered_at, body from answers where place = ? and kind = ? and question = ? and answered_at >= ?",
                (self._place, kind, _digest(question), iso_time(self._now() - MAX_AGE)),
            ).fetchone()
            if row is not None:
                self.answered_at.setdefault(question, row[0])
                body: list[Any] = orjson.loads(row[1])
                return body
        return None

    def remember(self, kind: str, answers: dict[Any, list[Any]]) -> None:
        """Keep these answers, by their questions."""
        if self._conn is None:
            return
        when = iso_time(self._now())
        rows = [
            (self._place, kind, _digest(str(question)), when, orjson.dumps(body)) for question, body in answers.items()
        ]
        with suppress(sqlite3.Error), self._conn:
            self._conn.executemany("insert or replace into answers values (?, ?, ?, ?, ?)", rows)


def _digest(question: str) -> str:
    return hashlib.sha256(question.encode("utf-8", "surrogatepass")).hexdigest()


def _open(path: Path, oldest: str) -> sqlite3.Connection | None:
    """The cache file, without its old answers; None, with a word in the log, where it cannot be used."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        conn = sqlite3.connect(path, timeout=5)
    except (OSError, sqlite3.Error) as error:
        log.warning("%s cannot be used (%s); every reference is asked about", path, error)
        return None
    try:
        with conn:
            conn.execute(_SCHEMA)
            conn.execute("delete from answers where answered_at < ?", (oldest,))
    except sqlite3.Error as error:
        conn.close()
        log.warning("%s cannot be used (%s); every reference is asked about. It may be deleted.", path, error)
        return None
    return conn
