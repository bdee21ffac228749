"""One record, what people decided on its work and what other providers have on it → what is written of it.

The answer is the same in whatever process. May not open a database.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from evidence import __version__
from evidence.crossref.normalise import normalise
from evidence.data_model import Decision, Doi, Message
from evidence.database.values_for_writer import JudgedRecord, WorkRows
from evidence.database.work_rows import rows_of
from evidence.errors import RecordError
from evidence.http.json_body import parse_json
from evidence.providers.combine import ProviderRecord, combine
from evidence.rules.judge import judge
from evidence.rules.taxonomy import Taxonomy

Made = tuple[WorkRows | None, str]
"""What is made of a record: its work and judgement as rows, and the basis of the judgement; of one that cannot be understood the
reason."""


@dataclass(frozen=True, slots=True)
class RecordToJudge:
    """A record as JSON text with its digest, and all that its judgement is made from but the rules: the decisions on the work,
    the records of other providers, and what the record is a notice of by all that the database holds (None: it tells itself)."""

    doi: Doi
    digest: str
    message: str
    decisions: tuple[Decision, ...] = ()
    added: tuple[ProviderRecord, ...] = ()
    notice_of: tuple[tuple[str, Doi], ...] | None = None


def judge_record(record: RecordToJudge, taxonomy: Taxonomy, message: Message | None = None) -> JudgedRecord:
    """Normalise and judge one record. `message` is the record, where it has been parsed already. One that cannot be understood
    has no rows, and its basis is the reason."""
    return judged_record(record, make(record, taxonomy, message))


def judged_record(record: RecordToJudge, made: Made) -> JudgedRecord:
    """The record with what was made of it."""
    return JudgedRecord(record.doi, record.digest, record.message, *made)


def make(record: RecordToJudge, taxonomy: Taxonomy, message: Message | None = None) -> Made:
    """What is made of the record, without the record: the answer of another process."""
    try:
        work = combine(normalise(parse_json(record.message.encode()) if message is None else message), record.added)
    except RecordError as error:
        return None, str(error)
    if record.notice_of is not None:
        work = replace(work, notice_of=record.notice_of)
    made_from = basis(taxonomy, record.decisions)
    return rows_of(work, judge(work, taxonomy, record.decisions), made_from), made_from


def basis(taxonomy: Taxonomy, decisions: Sequence[Decision]) -> str:
    """16 hex digits of what a judgement is made from: code version, rules and the decisions on that work."""
    return _basis(taxonomy.digest, repr(decisions) if decisions else "")


@lru_cache(maxsize=64)  # nearly all works have no decisions
def _basis(rules: str, on_work: str) -> str:
    return hashlib.sha256(f"{__version__}|{rules}|{on_work}".encode()).hexdigest()[:16]
