"""Reading the ledger of reviewers' decisions (`decisions.db`). It never writes; `writer` appends.

`evidence.current_decisions` says which decisions count.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import fields
from pathlib import Path

from evidence.data_model import SAME_WORK, Decision, Doi
from evidence.database import connection, schema
from evidence.errors import StoreError

_COLUMNS = ", ".join(field.name for field in fields(Decision))
_NAMING = """
    select decision from decisions where doi in (select value from json_each(:works))
    union select decision from decisions where facet = :pair and value in (select value from json_each(:works))
"""


def select_decisions(
    conn: sqlite3.Connection,
    *,
    works: Collection[Doi] | None = None,
    facet: str | None = None,
    numbers: tuple[int, int] | None = None,
) -> tuple[Decision, ...]:
    """The decisions of an open ledger, oldest first: all, or those that name one of the DOIs `works` (also as the other record of
    a pair), those on tags of one facet, those with a number above the first of `numbers` and up to the second."""
    conditions = ["decision > :after and decision <= :until"] if numbers else []
    conditions += ["facet = :facet"] if facet is not None else []
    conditions += [f"decision in ({_NAMING})"] if works is not None else []
    where = f"where {' and '.join(conditions)}" if conditions else ""
    after, until = numbers or (0, 0)
    values = {
        "after": after,
        "until": until,
        "facet": facet,
        "works": json.dumps(sorted(works or ())),
        "pair": SAME_WORK,
    }
    rows = conn.execute(f"select {_COLUMNS} from decisions {where} order by decision", values)  # noqa: S608
    return tuple(Decision(*(*row[:-1], tuple(json.loads(row[-1])))) for row in rows)


def read_ledger(
    ledger: Path, *, works: Collection[Doi] | None = None, numbers: tuple[int, int] | None = None
) -> tuple[Decision, ...]:
    """The decisions of the ledger, as `select_decisions` selects them; none when there is no file yet. It waits for no writer."""
    if not ledger.exists():
        return ()
    with _opened(ledger) as conn:
        return select_decisions(conn, works=works, numbers=numbers) if conn else ()


def ledger_stamp(ledger: Path) -> tuple[int, int]:
    """Inode of the ledger and number of its newest decision (0, 0 without a ledger). Decisions are only ever added, so equal
    stamps mean equal contents."""
    if not ledger.exists():
        return (0, 0)
    with _opened(ledger) as conn:
        number = conn.execute("select coalesce(max(decision), 0) from decisions").fetchone()[0] if conn else 0
    return (ledger.stat().st_ino, number)


def check_ledger(ledger: Path) -> None:
    """StoreError when there is a file at this path that is no ledger, or not one that this version can read."""
    if ledger.exists():
        connection.open_examined(ledger, schema.decisions)[0].close()


@contextmanager
def _opened(ledger: Path) -> Iterator[sqlite3.Connection | None]:
    """A connection to the ledger for reading; None when it is still without tables. StoreError when it cannot be read."""
    conn, state = connection.open_examined(ledger, schema.decisions)
    with closing(conn):
        try:
            yield None if state == "new" else conn
        except sqlite3.Error as error:
            raise StoreError(f"{ledger}: cannot be read ({error}); name the ledger with --decisions") from None
