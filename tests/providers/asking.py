"""What the tests of clients share: a provider that is asked, with every way in which asking can go wrong."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from evidence.http.transport import MAX_BODY
from evidence.providers.answers import Answer, Provider, Wanted
from tests.loopback_server import Fault

PASSING = {
    "429": Fault("429", retry_after="3"),
    "429 without Retry-After": Fault("429"),
    "500": Fault("500"),
    "503": Fault("503", retry_after="2"),
    "504": Fault("504"),
    "truncated": Fault("truncated"),
    "truncated without a length": Fault("truncated", seconds=1.0),
    "html": Fault("html"),
    "empty": Fault("empty"),
    "null": Fault("raw", body=b"null", headers={"Content-Length": "4"}),
    "404 of a network": Fault("raw", status=404, body=b"<html></html>", headers={"Content-Length": "13"}),
    "drop": Fault("drop"),
    "reset": Fault("reset"),
    "hang": Fault("timeout", seconds=2.0),
    "huge": Fault("oversized", size=MAX_BODY + 1),
    "gzip bomb": Fault("bomb", size=MAX_BODY + 1),
    "gzip": Fault("gzip"),
}
"""Faults that pass: asked again, the provider gives the true answer."""

_SLOW = ("hang", "truncated without a length")


def patience(request: pytest.FixtureRequest) -> float:
    """After how many seconds a client gives up: soon in a test of a server that does not answer (the parameter `name`), and not
    because the machine is busy in any other."""
    callspec = getattr(request.node, "callspec", None)
    return 0.5 if callspec and callspec.params.get("name") in _SLOW else 20.0


def copy(fault: Fault, times: int | None) -> Fault:
    """The same fault for another number of requests: a fault counts down as it is met."""
    return Fault(
        fault.kind,
        times,
        None,
        fault.retry_after,
        fault.seconds,
        fault.size,
        fault.doi,
        fault.status,
        fault.headers,
        fault.body,
    )


def answers(provider: Provider, wanted: Iterable[Wanted | str]) -> dict[str, Answer]:
    """All answers by subject; every subject is answered once."""
    subjects = [one if isinstance(one, Wanted) else Wanted(one) for one in wanted]
    found = [answer for batch in provider.ask(subjects) for answer in batch.answers]
    assert sorted(answer.subject for answer in found) == sorted({one.subject for one in subjects})
    return {answer.subject: answer for answer in found}
