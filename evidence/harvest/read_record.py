"""One record, parsed or as text → what ingesting needs to know of it before its work is judged with all that others say.

The answer is the same in whatever process. May not open a database.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from evidence.crossref.normalise import (
    cited_by,
    doi_of,
    indexed_at,
    listed_aliases,
    missing_doi_reason,
    normalise,
    serialise,
    serialise_any,
)
from evidence.data_model import Doi, Message, RecordText
from evidence.errors import RecordError
from evidence.harvest.judge_records import Made, RecordToJudge, make
from evidence.http.json_body import parse_json
from evidence.rules.taxonomy import Taxonomy


class Told(NamedTuple):
    """What a record says beside its content: when it was indexed, how often its work is cited, and its other DOIs, if it can be
    understood. `made` is what is made of it without decisions and without what other providers have."""

    indexed: str | None
    cited_by: int | None
    aliases: tuple[Doi, ...]
    made: Made | None = None


@dataclass(frozen=True, slots=True)
class ReadRecord:
    """A record as text with its digest and what it says; `message` is the record, where this process has parsed it. `problem`
    says why it cannot be kept as the record of a work."""

    doi: Doi | None
    digest: str
    text: str
    told: Told
    message: Message | None = None
    problem: str | None = None


_NOTHING = Told(None, None, ())


def read(message: Message) -> ReadRecord:
    """A record that was parsed."""
    doi = doi_of(message)
    try:
        if doi is None:
            raise RecordError(missing_doi_reason(message))
        text, digest = serialise(message)
    except RecordError as error:
        text, digest = serialise_any(message)
        return ReadRecord(doi, digest, text, _told(message) if doi else _NOTHING, message, str(error))
    return ReadRecord(doi, digest, text, _told(message), message)


def tell(record: RecordText, new: bool, taxonomy: Taxonomy) -> Told:
    """What the text of a record says, and if its content is `new`, what is made of it."""
    message = parse_json(record.text.encode())
    if not new:
        return _told(message)
    made = make(RecordToJudge(record.doi, record.digest, record.text), taxonomy, message)
    return Told(indexed_at(message), cited_by(message), () if made[0] is None else listed_aliases(message), made)


def _told(message: Message) -> Told:
    """What a record says that is not judged here."""
    aliases = listed_aliases(message)
    return Told(indexed_at(message), cited_by(message), aliases if aliases and _is_understood(message) else ())


def _is_understood(message: Message) -> bool:
    try:
        normalise(message)
    except RecordError:
        return False
    return True
