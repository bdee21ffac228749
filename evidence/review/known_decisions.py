"""The ledger as a desk knows it: read once, and from then on only what was added to it.

It may not write to a database, and knows no reviewer.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from evidence.current_decisions import CurrentDecisions, at_current_dois
from evidence.data_model import Decision, Doi
from evidence.database import read_queries
from evidence.database.connection import reading
from evidence.database.read_decisions import ledger_stamp, read_ledger


@dataclass(frozen=True, slots=True)
class Known:
    """All decisions, oldest first, and those of them that count, at the DOIs that their works are kept under. Equal stamps mean
    equal decisions."""

    stamp: tuple[int, ...]
    ledger: tuple[Decision, ...]
    current: tuple[Decision, ...]
    verdicts: tuple[Decision, ...]
    """Those that count and are verdicts."""


class KnownDecisions:
    """The decisions of one ledger on the works of one database. Several threads may ask."""

    def __init__(self, db: Path, ledger: Path) -> None:
        self._db, self._ledger = db, ledger
        self._asking = threading.Lock()
        self._known = Known((), (), (), ())
        self._moved: dict[Doi, Doi] = {}
        self._set = CurrentDecisions()

    def now(self) -> Known:
        """What the ledger holds now. Decisions are only ever added, so those that are known are not read again, unless the file
        is another one or the aliases of works have changed."""
        with self._asking, reading(self._db) as conn:
            (inode, newest), aliases = ledger_stamp(self._ledger), read_queries.aliases_stamp(conn)
            stamp = (inode, *aliases, newest)
            before = self._known
            if stamp == before.stamp:
                return before
            if stamp[:-1] != before.stamp[:-1] or newest < before.stamp[-1]:
                before, self._moved, self._set = Known((0,), (), (), ()), {}, CurrentDecisions()
                self._known = before  # also when reading fails
            # One that somebody adds meanwhile is left to the next time.
            added = read_ledger(self._ledger, numbers=(before.stamp[-1], newest))
            self._moved |= read_queries.alias_targets(conn, [d for a in added for d in (a.doi, Doi(a.value or ""))])
            self._set.add(added, self._moved)
            ledger = (*before.ledger, *at_current_dois(added, self._moved))
            current = at_current_dois(self._set.current(), self._moved)
            self._known = Known(stamp, ledger, current, tuple(d for d in current if d.verdict))
            return self._known
