"""The words of titles, authors and journals, by which a search knows other spellings and misspelt words.

A published copy has them as a table, made when it was published. Of a database that changes they are read from its works, in
the background: a search takes the words that were read last, so nobody waits for them. It knows no page.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from evidence.plain_text import fold
from evidence.publish.query_cache import CACHE
from evidence.rules.normal_forms import normal_form

TABLE: Final = "published_words"
"""The table of a published copy; its rows are those of `rows`."""

WORD: Final = re.compile(r"[^\W_]+")
SHORTEST_MISSPELT: Final = 5
"""Letters of a word that may be a misspelling or what was meant; shorter words have too many neighbours."""
QUICK: Final = 5_000
"""Works up to which a search waits for words: reading them takes a tenth of a second or two."""
REST: Final = 20
"""Words are not read again for this many times the time that reading them took."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """How many works have each word, the words with one normal form, and by their length those that a misspelt word may be."""

    counts: Mapping[str, int]
    by_form: Mapping[str, Sequence[str]]
    by_length: Mapping[int, Sequence[str]] = field(default_factory=dict)

    def near(self, length: int, most: int) -> list[str]:
        """The words whose length differs from this by at most so many letters."""
        return [word for n in range(length - most, length + most + 1) for word in self.by_length.get(n, ())]


NONE: Final = Vocabulary({}, {})


def read(conn: sqlite3.Connection) -> Vocabulary:
    """The vocabulary of a database. Takes seconds for 100,000 works, but for a published copy."""
    cursor = conn.cursor()
    cursor.row_factory = None
    if conn.execute("select 1 from sqlite_master where name = ?", (TABLE,)).fetchone():
        return _vocabulary(cursor.execute(f"select word, form, works from {TABLE}"))  # noqa: S608 - our own name
    return _vocabulary(rows(conn))


def rows(conn: sqlite3.Connection) -> list[tuple[str, str, int]]:
    """Each word of titles, authors and journals, its normal form, and how many works have it there."""
    counts: Counter[str] = Counter()
    cursor = conn.cursor()
    cursor.row_factory = None
    texts = "select coalesce(title, '') || ' ' || coalesce(authors, '') || ' ' || coalesce(container, '') from works"
    for (text,) in cursor.execute(texts):
        counts.update(set(WORD.findall(fold(text))))
    return [(word, normal_form(word), n) for word, n in counts.items()]


def _vocabulary(found: Any) -> Vocabulary:
    counts: dict[str, int] = {}
    by_form: defaultdict[str, list[str]] = defaultdict(list)
    by_length: defaultdict[int, list[str]] = defaultdict(list)
    for word, form, n in found:
        counts[word] = n
        by_form[form].append(word)
        if len(word) >= SHORTEST_MISSPELT - 1 and word.isalpha():
            by_length[len(word)].append(word)
    # Garbage collection looks at every list, but at no tuple of texts: at 200,000 lists for a tenth of a second.
    return Vocabulary(counts, {form: tuple(words) for form, words in by_form.items()}, dict(by_length))


@dataclass(slots=True)
class _Read:
    words: Vocabulary
    seconds: float
    until: float


class Kept:
    """The vocabularies that were read last, by database."""

    def __init__(self) -> None:
        self._last: dict[str, _Read] = {}

    async def get(self, db: Any, works: int) -> Vocabulary | None:
        """The vocabulary of a Datasette database with so many works, which may be that of some moments ago; None while none was
        ever read."""
        last = self._last.get(str(db.path))
        if last is not None and (not db.is_mutable or time.monotonic() < last.until):
            return last.words
        reading = asyncio.ensure_future(self._read(db))
        await asyncio.wait({reading}, timeout=None if works <= QUICK else 0)
        if reading.done():
            return reading.result()
        reading.add_done_callback(_retrieve)
        return None if last is None else last.words

    async def _read(self, db: Any) -> Vocabulary:
        started = time.monotonic()
        words: Vocabulary = await CACHE.get(db.path, "vocabulary", lambda: db.execute_fn(read))
        now = time.monotonic()
        self._last[str(db.path)] = _Read(words, now - started, now + REST * (now - started))
        return words


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Look at an error: asyncio complains of one that nobody saw."""
    if not task.cancelled():
        task.exception()


KEPT: Final = Kept()
"""The site's."""
