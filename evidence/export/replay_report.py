"""The text of `evidence replay`: what is wrong with a capsule, in what its rebuilt tables differ, and what could not be rebuilt.

Values in, text out; no files, no SQL, no clock. It never says that a capsule is identical where a part of it was not compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from evidence import __version__
from evidence.database.compare_tables import HISTORY_COLUMNS, HISTORY_TABLES, Difference
from evidence.export.wording import count_noun
from evidence.harvest.rebuild import ReadAgain


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """A file of a capsule, and what is wrong with it."""

    file: str
    what: str


@dataclass(slots=True)
class Replayed:
    """What replaying a capsule gave. With `problems` nothing was rebuilt. `notes` say how this program differs from the one
    that made the capsule; `judged` is None where nothing was rebuilt. `differences` are of every table that was compared,
    `again` is of a public capsule."""

    folder: Path
    digest: str | None
    files: int
    problems: tuple[Problem, ...] = ()
    kind: Literal["whole", "public"] = "whole"
    made_at: str = ""
    made_with: str = ""
    notes: tuple[str, ...] = ()
    judged: int | None = None
    differences: list[Difference] = field(default_factory=list)
    again: ReadAgain | None = None

    @property
    def same(self) -> bool:
        """Whether every file is what it was and all that was compared is the same."""
        differ = sum(table.differ for table in self.differences) + (self.again.differ if self.again else 0)
        return not self.problems and not differ


def as_json(found: Replayed) -> dict[str, Any]:
    """The same as values."""
    return {**asdict(found), "folder": str(found.folder), "same": found.same, "replayed_with": __version__}


def report(found: Replayed) -> str:
    """The whole text."""
    return "\n".join(_lines(found))


def _lines(found: Replayed) -> Iterator[str]:
    if found.problems:
        yield from _damaged(found)
        return
    yield f"{found.folder}: {count_noun(found.files, 'file')}, every checksum agrees."
    yield f"Digest: {found.digest}"
    yield f"Made on {found.made_at[:10]} with evidence {found.made_with}, replayed with evidence {__version__}."
    yield from found.notes
    yield ""
    yield from (*_tables(found.differences), *_public(found.again)) if found.again else _whole(found)
    if not found.same and found.notes:
        yield "The differences may come from the other program: replay the capsule with the one that made it."


def _damaged(found: Replayed) -> Iterator[str]:
    first, *others = found.problems
    yield f"NOT what it was: {found.folder / first.file}: {first.what}."
    for problem in others:
        yield f"  {found.folder / problem.file}: {problem.what}."
    count = len(found.problems)
    yield f"{count_noun(count, 'problem')}. Nothing was rebuilt: take a copy of the capsule that is whole."


def _whole(found: Replayed) -> Iterator[str]:
    if found.judged is None:
        yield "Nothing was rebuilt, because the database or a record in it is not what it was when it came."
    else:
        works = count_noun(found.judged, "work")
        yield f"Rebuilt from the records, rules and decisions of the capsule alone: {works} judged."
    yield from _tables(found.differences)
    differ = [table for table in found.differences if table.differ]
    rows = sum(table.rows for table in found.differences)
    yield ""
    if differ:
        count = sum(table.differ for table in differ)
        many = f"{count_noun(count, 'row')} of {count_noun(len(differ), 'table')}"
        yield f"NOT identical: {many} differ{'s' if count == 1 else ''} ({', '.join(table.table for table in differ)})."
    else:
        yield f"Identical: {count_noun(rows, 'row')} of {count_noun(len(found.differences), 'table')}."
    if found.judged is not None:
        yield f"Not rebuilt, because they are history: {_history()}. Their checksums agree."


def _tables(differences: Sequence[Difference]) -> Iterator[str]:
    for table in differences:
        many = f"{count_noun(table.differ, 'row')} differ{'s' if table.differ == 1 else ''}"
        yield f"  {table.table:<20} {table.rows:>9,}  {many if table.differ else 'identical'}"
        yield from _first(table.first, table.differ)


def _history() -> str:
    columns = [f"{table}.{column}" for table, names in HISTORY_COLUMNS.items() for column in names]
    return ", ".join((*columns, *HISTORY_TABLES, "and all tables of records"))


def _public(again: ReadAgain) -> Iterator[str]:
    yield "A capsule to be passed on has no raw records, so its tables cannot be rebuilt. Verdicts and tags were derived again"
    yield f"from the titles and abstracts in it: {count_noun(again.read, 'work')} read."
    if again.differ:
        yield f"NOT the same: {count_noun(again.differ, 'work')} differ{'s' if again.differ == 1 else ''}."
        yield from _first(again.first, again.differ)
    else:
        yield "Their verdicts, tags and the text behind them are the same."
    if again.without_text:
        yield f"Could not be read again, because their abstract is left out: {count_noun(again.without_text, 'work')}."
    if again.decided:
        decided = count_noun(again.decided, "work")
        yield f"Not compared, because the ledger of decisions is left out: {decided} that people decided on."
    yield "Everything else is compared by its checksum alone. This is not a proof that the capsule can be rebuilt as a whole:"
    yield "only one for oneself (`evidence capsule` without --public) has what that needs."


def _first(first: Sequence[str], count: int) -> Iterator[str]:
    for sentence in first:
        yield f"      {sentence}"
    if count > len(first):
        yield f"      … and {count - len(first):,} more"
