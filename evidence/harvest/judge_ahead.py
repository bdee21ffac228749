"""Records of files that are about to be ingested, judged by other processes while those before them are written.

What they make of a record is used only where this process would make the same of it: where nobody decided on the work and no
other provider has it. So it is of nearly all new works. May not write to a database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack

from evidence.crossref.normalise import doi_of, serialise
from evidence.data_model import Doi, Message
from evidence.database.values_for_writer import JudgedRecord
from evidence.database.writer import Store
from evidence.errors import RecordError
from evidence.harvest.judge_records import Made, RecordToJudge, judged_record
from evidence.harvest.reader_processes import FROM_RECORDS, Reader, Readers, ahead, readers
from evidence.rules.taxonomy import Taxonomy


class JudgedAhead:
    """Records (by DOI: as parsed, and as text) whose judging has begun, with no decisions and nothing from other providers.
    `answers` waits for what is made of them, in their order."""

    def __init__(
        self, begun: Mapping[Doi, tuple[Message, RecordToJudge]], answers: Callable[[], Sequence[Made]]
    ) -> None:
        self._begun = begun
        self._answers = answers
        self._made: dict[Doi, Made] = {}

    def begun(self, doi: Doi, message: Message) -> RecordToJudge | None:
        """This very record as text, if its judging has begun."""
        parsed, record = self._begun.get(doi, (None, None))
        return record if parsed is message else None

    def judged(self, record: RecordToJudge) -> JudgedRecord | None:
        """The record, judged; None unless the judging of exactly this has begun."""
        if record.doi not in self._begun or self._begun[record.doi][1] != record:
            return None
        if not self._made:
            self._made = dict(zip(self._begun, self._answers(), strict=True))
        return judged_record(record, self._made[record.doi])


NOTHING_AHEAD = JudgedAhead({}, tuple)


def parts_judged_ahead(
    parts: Iterable[list[Message]], store: Store, taxonomy: Taxonomy
) -> Iterator[tuple[list[Message], JudgedAhead]]:
    """The same parts. From the one after `FROM_RECORDS` records on, the judging of each has begun when the one before it is
    given; the first parts are left to this process."""
    with ExitStack() as stack:  # the processes are needed until the last part has been used
        yield from ahead(_begun(parts, store, taxonomy, stack))


def _begun(
    parts: Iterable[list[Message]], store: Store, taxonomy: Taxonomy, stack: ExitStack
) -> Iterator[tuple[list[Message], JudgedAhead]]:
    """The parts, each with the judging that has begun. The processes stay open as long as `stack`."""
    opened: Readers | None = None
    count = 0
    for part in parts:
        if opened is None and count >= FROM_RECORDS:
            opened = stack.enter_context(readers(taxonomy, None, FROM_RECORDS))
        yield part, _begin(part, store, opened) if opened and opened.others else NOTHING_AHEAD
        count += len(part)


def _begin(part: Sequence[Message], store: Store, opened: Readers) -> JudgedAhead:
    """Have the records of a part judged whose content is new."""
    begun: dict[Doi, tuple[Message, RecordToJudge]] = {}
    for message in part:
        if (doi := doi_of(message)) is not None:
            try:
                text, digest = serialise(message)
            except RecordError:
                begun.pop(doi, None)  # an earlier record of the work: this one counts
                continue
            begun[doi] = (message, RecordToJudge(doi, digest, text))
    held = store.digests_and_bases(list(begun))
    new = {
        doi: (message, record) for doi, (message, record) in begun.items() if held.get(doi, ("",))[0] != record.digest
    }
    return JudgedAhead(new, opened.ask(Reader.made, [record for _, record in new.values()]))
