"""What the site counted, kept until the database file changes: pages that look at every work cost that once per sync.

It knows no table and no page. It never answers from before a change: the file's and its write-ahead log's sizes and times are
the stamp of an answer, and an answer made while they moved, or within a second of a write, is not kept. Who asks what
somebody else is asking already, of the same state, waits for that answer.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from pathlib import Path
from typing import Any, TypeVar, cast

T = TypeVar("T")
Stamp = tuple[tuple[int, int], ...]

SETTLED_NS = 1_000_000_000
"""Age of a write (ns) from which a second one would show in the file's time: clocks of file systems tick coarsely."""


class Memory:
    """At most `size` answers, the least used forgotten first. Not shared between threads."""

    def __init__(self, size: int = 256) -> None:
        self._size = size
        self._kept: OrderedDict[Hashable, tuple[Stamp, Any]] = OrderedDict()
        self._under_way: dict[Hashable, asyncio.Task[Any]] = {}

    async def get(self, database: str | Path | None, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """The answer to `key`, from memory or from `make`, whose error is that of all who wait for it. A database in memory
        (None) is always asked."""
        stamp = stamp_of(database)
        if stamp is None:
            return await make()
        known = self._kept.get((str(database), key))
        if known is not None and known[0] == stamp:
            self._kept.move_to_end((str(database), key))
            answer: T = known[1]
            return answer
        if not settled(stamp):
            return await self._made(database, key, stamp, make)
        asked = (str(database), key, stamp)
        task = self._under_way.get(asked)
        if task is None or task.done() or task.get_loop() is not asyncio.get_running_loop():
            task = self._under_way[asked] = asyncio.ensure_future(self._made(database, key, stamp, make))
            task.add_done_callback(lambda done: self._forget(asked, done))
        return cast(T, await asyncio.shield(task))  # a visitor who goes away takes the answer from nobody

    async def _made(
        self, database: str | Path | None, key: Hashable, stamp: Stamp, make: Callable[[], Awaitable[T]]
    ) -> T:
        answer = await make()
        if stamp_of(database) == stamp and settled(stamp):
            self._kept[str(database), key] = (stamp, answer)
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        return answer

    def _forget(self, asked: Hashable, done: asyncio.Task[Any]) -> None:
        if self._under_way.get(asked) is done:
            del self._under_way[asked]
        if not done.cancelled():
            done.exception()  # asked for, lest asyncio complains when all who waited have gone

    def keeps(self, database: str | Path | None) -> bool:
        """Whether an answer made now would be kept: not in memory, and not while somebody writes."""
        stamp = stamp_of(database)
        return stamp is not None and settled(stamp)


def stamp_of(database: str | Path | None) -> Stamp | None:
    """Times (ns) and sizes (bytes) of the file and of its write-ahead log, if it has one; None without a file."""
    if database is None:
        return None
    found = []
    for path in (Path(database), Path(f"{database}-wal")):
        try:
            state = path.stat()
        except FileNotFoundError:
            continue
        found.append((state.st_mtime_ns, state.st_size))
    return tuple(found) or None


def settled(stamp: Stamp) -> bool:
    """Whether the last write is old enough that the next one would change the stamp."""
    return time.time_ns() - max(changed for changed, _ in stamp) > SETTLED_NS


MEMORY = Memory()
"""The site's: plugins live in files of their own and share this one."""
