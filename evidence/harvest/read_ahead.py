"""Records of files, looked at, read and judged by other processes while those before them are kept or written.

What they make of a record is used only where this process would make the same of it: where nobody decided on the work and no
other provider has it. So it is of nearly all new works. May not write to a database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from evidence.crossref.entries_of_files import PART_BYTES, LookedAt, RawLine, Unreadable, look
from evidence.data_model import RecordText
from evidence.database.writer import Store
from evidence.harvest.read_record import ReadRecord
from evidence.harvest.reader_processes import FROM_RECORDS, Reader, RecordReaders, ahead

Answers = Callable[[], Iterable[Iterable[LookedAt | Unreadable]]]


def look_ahead(
    parts: Iterable[Sequence[RawLine]], readers: RecordReaders, everything: bool
) -> Iterator[Iterable[Iterable[LookedAt | Unreadable]]]:
    """What is in the lines of each part. When it is given, other processes look at the next part, if these are many."""
    for answers in ahead(_looking(part, readers, everything) for part in parts):
        yield answers()


def _looking(part: Sequence[RawLine], readers: RecordReaders, everything: bool) -> Answers:
    """Have the lines looked at: here, one after the other, where they are few, or so long that they could not be shared."""
    if not part[0].whole and max(len(line.raw) for line in part) < PART_BYTES:
        large = sum(len(line.raw) for line in part) >= PART_BYTES  # few long lines take as much time as many short ones
        asked = readers.for_records(FROM_RECORDS if large else len(part))
        if asked.others:
            return asked.ask(Reader.looked, [(line, everything) for line in part])
    return partial(map, partial(look, searches=readers.accepts), part)


def read_ahead(
    parts: Iterable[Sequence[RecordText]], store: Store, readers: RecordReaders
) -> Iterator[list[ReadRecord]]:
    """The records of each part. When they are given, other processes read those of the next, if these are many."""
    for reading in ahead(_reading(part, store, readers) for part in parts):
        yield reading()


def _reading(part: Sequence[RecordText], store: Store, readers: RecordReaders) -> Callable[[], list[ReadRecord]]:
    """Have the records of a part read, and those judged whose content is new."""
    held = store.digests_and_bases([record.doi for record in part])
    asked = [(record, held.get(record.doi, ("",))[0] != record.digest) for record in part]
    answers = readers.for_records(len(part)).ask(Reader.told, asked)
    return lambda: [
        ReadRecord(doi, digest, text, told) for (doi, digest, text), told in zip(part, answers(), strict=True)
    ]
