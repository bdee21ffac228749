"""Query cache, emptied when the database changes.

A change is what SQLite says it is: `pragma data_version`, read on a connection of the cache's own, tells of every commit by
anybody else. An answer during whose computation somebody committed is given out and not kept. This module knows no table and
no page.
"""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import weakref
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from pathlib import Path
from typing import Any, TypeVar, cast

T = TypeVar("T")
Version = tuple[int, int]

DATABASES = 8
"""Databases that are watched at once; a site serves one or two."""


class Cache:
    """At most `size` answers; the least recently used are dropped first. To be used in one thread, that of the event loop."""

    def __init__(self, size: int = 256) -> None:
        self._size = size
        self._answers: OrderedDict[Hashable, tuple[Version, asyncio.Task[Any]]] = OrderedDict()
        self._watched: OrderedDict[str, tuple[int, int, sqlite3.Connection]] = OrderedDict()
        self._numbers = itertools.count()
        weakref.finalize(self, _close, self._watched)

    async def get(self, database: str | Path | None, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """The answer to `key` as the database file is now: a kept one, or that of `make`.

        Who asks while the same answer is being computed waits for it, and gets its error if it has one; errors are not kept.
        Nothing is kept of a database in memory (None), of one that is missing, nor of one that is locked at this moment.
        """
        version = self._version(database)
        if version is None:
            return await make()
        name = (str(database), key)
        known = self._answers.get(name)
        if known is None or known[0] != version or _abandoned(known[1]):
            task = asyncio.ensure_future(self._compute(database, name, version, make))
            task.add_done_callback(_retrieve)
            self._answers[name] = known = (version, task)
            while len(self._answers) > self._size:
                self._answers.popitem(last=False)
        self._answers.move_to_end(name)
        # A reader who goes away must not cancel what others wait for.
        return cast(T, await asyncio.shield(known[1]))

    async def _compute(
        self, database: str | Path | None, name: Hashable, version: Version, make: Callable[[], Awaitable[T]]
    ) -> T:
        keep = False
        try:
            answer = await make()
            keep = self._version(database) == version
            return answer
        finally:
            known = self._answers.get(name)
            if not keep and known is not None and known[1] is asyncio.current_task():
                del self._answers[name]

    def _version(self, database: str | Path | None) -> Version | None:
        """A pair that changes with every commit to the file and when another takes its name; None when it cannot be told."""
        if database is None:
            return None
        try:
            inode = Path(database).stat().st_ino
            number, known, conn = self._watched.get(str(database), (0, -1, None))
            if conn is None or known != inode:
                number, conn = self._watch(str(database), inode)
            self._watched.move_to_end(str(database))
            (version,) = conn.execute("pragma data_version").fetchone()
        except (OSError, sqlite3.Error):
            return None
        return number, version

    def _watch(self, database: str, inode: int) -> tuple[int, sqlite3.Connection]:
        uri = f"{Path(database).absolute().as_uri()}?mode=ro"
        # Datasette may run the event loop in another thread than the one that imported this.
        conn = sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False)
        if database in self._watched:
            self._watched.pop(database)[2].close()
        number = next(self._numbers)
        self._watched[database] = (number, inode, conn)
        while len(self._watched) > DATABASES:
            self._watched.popitem(last=False)[1][2].close()
        return number, conn


def _abandoned(task: asyncio.Task[Any]) -> bool:
    """Whether nobody will finish this: it was cancelled, or its event loop is not the one that runs."""
    return task.cancelled() or (not task.done() and task.get_loop() is not asyncio.get_running_loop())


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Look at an error, or asyncio complains when all who waited for it have gone."""
    if not task.cancelled():
        task.exception()


def _close(watched: OrderedDict[str, tuple[int, int, sqlite3.Connection]]) -> None:
    for _, _, conn in watched.values():
        conn.close()


CACHE = Cache()
"""The site's: each plugin is a file of its own, and all share this one."""
