"""Records what leaves the tracker: exported files and published copies, with the works in them.

So that a later retraction can say in which of them the work was. The file or copy is written first; that it cannot be recorded
is said, and is no reason to fail. What visitors download from the site is not recorded: the site never writes.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from evidence import __version__
from evidence.data_model import SHOWN_STRENGTHS, Doi, iso_time
from evidence.database import writer
from evidence.database.select_works import Selection
from evidence.database.values_for_writer import Export
from evidence.errors import StoreError


def record_export(
    db: Path,
    output: Path | None,
    format_: str,
    selection: Selection,
    dois: Iterable[Doi],
    now: datetime,
    as_of: str | None = None,
    listed: str | None = None,
) -> str | None:
    """Record a file or folder of works, by its name without the folders above; returns a sentence where that was not possible.
    `listed` is the address of the site's list that was exported, in place of a selection."""
    name = _storable(output.name) if output is not None else None
    return _record(
        db, Export(iso_time(now), "export", name, format_, filters_of(selection, as_of, listed), dois, __version__)
    )


def record_published(db: Path, version: str, included: Iterable[Doi], now: datetime) -> str | None:
    """Record a published copy, by the name of its version; returns a sentence where that was not possible."""
    return _record(db, Export(iso_time(now), "publish", version, None, {}, included, __version__))


def filters_of(selection: Selection, as_of: str | None = None, listed: str | None = None) -> dict[str, object]:
    """What was asked for, under the names of the options; what was not asked for is left out. The order in which tags and
    verdicts were named makes no difference."""
    if listed is not None:
        return {"list": _storable(listed)}
    given = {
        "verdict": sorted(set(selection.verdicts)),
        "tag": sorted(set(map(str, selection.tags))),
        "strength": [] if selection.strengths == SHOWN_STRENGTHS else list(selection.strengths),
        "since": selection.since,
        "query": _storable(selection.text) if selection.text else None,
        "as-of": as_of,
    }
    return {name: value for name, value in given.items() if value}


def _storable(text: str) -> str:
    """The text with bytes of the command line that are not UTF-8 written out: SQLite does not take them."""
    return text.encode("utf-8", "backslashreplace").decode()


def _record(db: Path, entry: Export) -> str | None:
    try:
        writer.record_export(db, entry)
    except StoreError as error:
        return (
            f"Not recorded among the exports, so a later retraction cannot say that its work was in this one: {error}"
        )
    return None
