"""Asking a provider for one record at a time: what the clients of OpenAlex, DataCite and ClinicalTrials.gov share.

A 404 of the provider is `none`. An unreadable 200 is asked again like any failure and then `failed`, never `none`; a record
that is about another work is `refused`. A provider that keeps asking to slow down is left alone for the rest of the run.

It sends through `evidence/http/transport.py` only and may not know a provider's fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from evidence.errors import RecordError
from evidence.http.failures import AttemptError
from evidence.http.json_body import read_json
from evidence.http.transport import Params, Redirect
from evidence.providers.answers import Answer, Batch, Described, Wanted
from evidence.providers.batches import failed
from evidence.providers.provider_client import ProviderClient, distinct

STEP = 20
"""Subjects of one batch: what a killed run may have to ask again."""


@dataclass(frozen=True, slots=True)
class _Read:
    """A readable record: its text as sent, and what it says."""

    text: str
    described: Described


class SingleRecordClient(ProviderClient):
    """A client that asks for one record at a time; see `ProviderClient`. The subclass gives `name`, the one route's name
    `route`, `path`, `problem` and `describe`."""

    route: ClassVar[str]
    params: ClassVar[Params] = ()

    def ask(self, wanted: Sequence[Wanted]) -> Iterator[Batch]:
        """Ask about all of these, `STEP` at a time; a subject given twice is asked once."""
        subjects = distinct(wanted)
        for start in range(0, len(subjects), STEP):
            step, before = subjects[start : start + STEP], self.requests
            answers = tuple(self._answer(one) for one in step)
            yield Batch(answers, f"{self.path('')}…, {len(step)} of them", self.requests - before)

    def path(self, subject: str) -> str:
        """The path of the record, percent-encoded."""
        raise NotImplementedError

    def describe(self, text: str) -> Described:
        """What a record says; RecordError for one that cannot be read."""
        raise NotImplementedError

    def problem(self, wanted: Wanted, described: Described) -> str | None:
        """Why a record is not about the wanted subject; None when it is."""
        raise NotImplementedError

    def moved(self, wanted: Wanted, location: str) -> str:
        """Why a redirect to that address is no answer, where the service has routes that redirect."""
        raise NotImplementedError

    def _answer(self, wanted: Wanted) -> Answer:
        try:
            found = self._request(self.route, self.path(wanted.subject), self.params, _reader(self.describe))
        except AttemptError as failure:
            return failed(wanted, failure)
        if found is None:
            return Answer(wanted.subject, "none")
        if isinstance(found, Redirect):
            return Answer(wanted.subject, "refused", problem=self.moved(wanted, found.location))
        if (problem := self.problem(wanted, found.described)) is not None:
            return Answer(wanted.subject, "refused", problem=problem)
        return Answer(wanted.subject, "found", record=found.text)


def _reader(describe: Callable[[str], Described]) -> Callable[[bytes], _Read]:
    """What reads a record → what reads the body that it is; AttemptError for a body that is none."""

    def read(body: bytes) -> _Read:
        read_json(body)  # says what is wrong with a body that is no JSON at all
        text = body.decode("utf-8-sig", "replace")
        try:
            return _Read(text, describe(text))
        except RecordError as error:
            raise AttemptError(f"200, but {error}", fault="unreadable") from error

    return read
