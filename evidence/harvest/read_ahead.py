"""Records of files that are about to be ingested, read and judged by other processes while those before them are written.

What they make of a record is used only where this process would make the same of it: where nobody decided on the work and no
other provider has it. So it is of nearly all new works. May not write to a database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack

from evidence.data_model import RecordText
from evidence.database.writer import Store
from evidence.harvest.read_record import ReadRecord
from evidence.harvest.reader_processes import Reader, Readers, ahead, readers
from evidence.rules.taxonomy import Taxonomy


def read_ahead(
    parts: Iterable[list[RecordText]], store: Store, taxonomy: Taxonomy
) -> Iterator[Callable[[], list[ReadRecord]]]:
    """The records of each part, to be called for. When one is given, the reading of the next has begun, if these are many."""
    with ExitStack() as stack:  # the processes are needed until the last part has been used
        yield from ahead(_begun(parts, store, taxonomy, stack))


def _begun(
    parts: Iterable[list[RecordText]], store: Store, taxonomy: Taxonomy, stack: ExitStack
) -> Iterator[Callable[[], list[ReadRecord]]]:
    """The parts, whose reading has begun. The processes stay open as long as `stack`."""
    opened: Readers | None = None
    for part in parts:
        if opened is None:
            opened = stack.enter_context(readers(taxonomy, None, len(part)))
        yield _begin(part, store, opened)


def _begin(part: Sequence[RecordText], store: Store, opened: Readers) -> Callable[[], list[ReadRecord]]:
    """Have the records of a part read, and those judged whose content is new."""
    held = store.digests_and_bases([record.doi for record in part])
    asked = [(record, held.get(record.doi, ("",))[0] != record.digest) for record in part]
    answers = opened.ask(Reader.told, asked)
    return lambda: [
        ReadRecord(doi, digest, text, told) for (doi, digest, text), told in zip(part, answers(), strict=True)
    ]
