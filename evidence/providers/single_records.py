"""Asking a provider for one record at a time: what the clients of OpenAlex, DataCite and ClinicalTrials.gov share.

A 404 of the provider is `none`. An unreadable 200 is asked again like any failure and then `failed`, never `none`; a record
that is about another work is `refused`. A provider that keeps asking to slow down is left alone for the rest of the run.

It sends through `evidence/http/transport.py` only and may not know a provider's fields.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from evidence.data_model import ProviderName
from evidence.errors import RecordError
from evidence.http.failures import AttemptError
from evidence.http.json_body import read_json
from evidence.http.rate_limit import STOP_AFTER
from evidence.http.transport import Params, Redirect, Service, Transport
from evidence.providers.answers import Answer, Batch, Described, Wanted

STEP = 20
"""Subjects of one batch: what a killed run may have to ask again."""


@dataclass(frozen=True, slots=True)
class _Read:
    """A readable record: its text as sent, and what it says."""

    text: str
    described: Described


class SingleRecordClient:
    """A client that asks for one record at a time; a context manager, and a `Provider`. The subclass gives `name`, the one
    route's name `route`, `path`, `problem` and `describe`.

    `base_url` points at a mirror or a test server. `mailto` goes into the User-Agent. `timeout` is seconds for a connection and
    for each wait for bytes; `sleep` and `clock` are those of rate limit and pauses; `on_wait` gets one sentence before each
    pause that follows a failure. ConfigError for an address that is none.
    """

    name: ProviderName
    edition: str | None = None
    route: ClassVar[str]
    params: ClassVar[Params] = ()

    def __init__(
        self,
        service: Service,
        base_url: str | None,
        mailto: str | None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        timeout: float = 60.0,
        tries: int = 5,
        on_wait: Callable[[str], None] | None = None,
    ) -> None:
        self._transport = Transport(
            service, base_url, mailto, sleep=sleep, clock=clock, timeout=timeout, tries=tries, on_wait=on_wait
        )
        self._throttled: list[AttemptError] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the counters stay."""
        self._transport.close()

    @property
    def requests(self) -> int:
        """Requests sent so far, retries too."""
        return self._transport.requests

    @property
    def bytes(self) -> int:
        """Bytes of responses received so far, compressed."""
        return self._transport.bytes

    def ask(self, wanted: Sequence[Wanted]) -> Iterator[Batch]:
        """Ask about all of these, `STEP` at a time; a subject given twice is asked once."""
        unique: dict[str, Wanted] = {}
        for one in wanted:
            unique.setdefault(one.subject, one)
        subjects = list(unique.values())
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
        if len(self._throttled) >= STOP_AFTER:
            last = self._throttled[-1]
            return Answer(wanted.subject, "failed", problem=last.for_unsent(last.url).described, retry_after=last.pause)
        try:
            found = self._transport.request(self.route, self.path(wanted.subject), self.params, _reader(self.describe))
        except AttemptError as failure:
            self._throttled = [*self._throttled, failure] if failure.throttled else []
            return Answer(wanted.subject, "failed", problem=failure.described, retry_after=failure.pause)
        self._throttled = []
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
