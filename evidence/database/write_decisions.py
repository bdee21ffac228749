"""Writing decisions: the ledger of people's decisions, shown in `evidence.db` for readers.

Called by `writer`; `show` inside its transaction. A person waits for a decision, so all rows are compared inside SQLite, and
only the works that differ are read. It never writes to the ledger.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

from evidence.data_model import SAME_WORK, Doi
from evidence.database import connection
from evidence.database.sql_helpers import in_chunks, placeholders

_OF_A_DECISION = ("action", "verdict", "facet", "value", "reason", "reviewer", "made_at", "rule_said")
_SHOWN = ", ".join(("decision", "doi", *_OF_A_DECISION))
"""The columns of `decisions` in `evidence.db`."""

_DIFFER = f"""
    select coalesce(a.doi, l.doi), d.doi from ledger.decisions l
    left join decisions d on d.decision = l.decision left join aliases a on a.alias = l.doi and a.last_run is null
    where (coalesce(a.doi, l.doi), {", ".join(f"l.{name}" for name in _OF_A_DECISION)})
        is not (d.doi, {", ".join(f"d.{name}" for name in _OF_A_DECISION)})
    union all
    select null, d.doi from decisions d where not exists (select 1 from ledger.decisions l where l.decision = d.decision)
"""  # noqa: S608 - our own column names

# A decision that was stored twice (merged from two copies) is shown once.
_KEPT = f"""
    select min(decision), doi, {", ".join(_OF_A_DECISION)} from decisions where doi in ({{}})
    group by doi, {", ".join(_OF_A_DECISION)}, rules, record
"""  # noqa: S608 - our own column names


@dataclass(frozen=True, slots=True)
class Unshown:
    """Rows of `decisions` in `evidence.db` that are to go, rows that are to come, and the works that these are about, in order.
    Decisions on pairs do not count as about a work, unless the pair has become one record."""

    gone: frozenset[tuple[Any, ...]]
    new: frozenset[tuple[Any, ...]]
    works: tuple[Doi, ...]

    @property
    def rows(self) -> frozenset[tuple[Any, ...]]:
        """Both."""
        return self.gone | self.new


def unshown(conn: sqlite3.Connection, ledger: sqlite3.Connection, path: Path, ledger_path: Path) -> Unshown:
    """In what `evidence.db` (`conn`, at `path`) differs from the ledger. A ledger that was restored gives its numbers anew, so
    whole rows are compared."""
    differ = _works_that_may_differ(conn, ledger, path, ledger_path)
    aliases = dict(in_chunks(conn, "select alias, doi from aliases where last_run is null and doi in ({})", differ))
    kept = {
        (number, aliases.get(doi, doi), *rest)
        for number, doi, *rest in in_chunks(ledger, _KEPT, [*differ, *sorted(aliases)])
    }
    shown = set(in_chunks(conn, f"select {_SHOWN} from decisions where doi in ({{}})", differ))  # noqa: S608
    rows = kept ^ shown
    others = [value for _, _, _, _, facet, value, *_ in rows if facet == SAME_WORK]
    aliases |= dict(in_chunks(conn, "select alias, doi from aliases where last_run is null and alias in ({})", others))
    works = {
        Doi(doi)
        for _, doi, _, _, facet, value, *_ in rows
        if facet != SAME_WORK or aliases.get(value, value) == aliases.get(doi, doi)
    }
    return Unshown(frozenset(shown - kept), frozenset(kept - shown), tuple(sorted(works)))


def show(conn: sqlite3.Connection, found: Unshown) -> None:
    """Bring `decisions` in `evidence.db` to the ledger."""
    conn.executemany("delete from decisions where decision = ?", [(row[0],) for row in found.gone])
    values = placeholders(_SHOWN.split(", "))
    conn.executemany(f"insert into decisions ({_SHOWN}) values ({values})", sorted(found.new, key=itemgetter(0)))  # noqa: S608


def _works_that_may_differ(
    conn: sqlite3.Connection, ledger: sqlite3.Connection, path: Path, ledger_path: Path
) -> list[str]:
    """The DOIs with a row that the other database does not have under the same number. Both are read by a connection of its own,
    so that no transaction spans them."""
    if conn.in_transaction:  # what is not committed yet is seen by this connection alone
        rows = [*conn.execute("select doi from decisions"), *ledger.execute("select doi from decisions")]
        rows += conn.execute("select doi from aliases where last_run is null")
    else:
        with closing(connection.open_read_only(path)) as both:
            both.execute("attach database ? as ledger", (f"{ledger_path.absolute().as_uri()}?mode=ro",))
            rows = both.execute(_DIFFER).fetchall()
    return sorted({doi for row in rows for doi in row if doi})
