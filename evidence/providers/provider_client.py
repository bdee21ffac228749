"""What the clients of all providers share: the connection, its counters, and when to leave a provider alone.

It sends through `evidence/http/transport.py` only and may not know a provider's fields.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar, Self, TypeVar

from evidence.data_model import ProviderName
from evidence.http.failures import AttemptError
from evidence.http.rate_limit import STOP_AFTER
from evidence.http.transport import Params, Redirect, Service, Transport
from evidence.providers.answers import Batch, Wanted

T = TypeVar("T")
Reader = Callable[[bytes], T]
"""What makes a value of a body; see `Transport.request`."""


class ProviderClient:
    """A client of one provider; a context manager, and a `Provider`. The subclass gives `name`, `service` and `ask`.

    `base_url` points at a mirror or a test server. `mailto` goes into the User-Agent, and is sent with each request where the
    provider wants it; `key` is an API key, of those that give out any. Neither is shown anywhere. `timeout` is seconds for a
    connection and for each wait for bytes; `sleep` and `clock` are those of rate limit and pauses; `on_wait` gets one sentence
    before each pause that follows a failure. ConfigError for an address that is none.
    """

    name: ProviderName
    service: ClassVar[Service]
    edition: str | None = None

    def __init__(
        self,
        base_url: str | None = None,
        mailto: str | None = None,
        key: str | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        timeout: float = 60.0,
        tries: int = 5,
        on_wait: Callable[[str], None] | None = None,
    ) -> None:
        self._transport = Transport(
            self.service_for(mailto, key),
            base_url,
            mailto,
            sleep=sleep,
            clock=clock,
            timeout=timeout,
            tries=tries,
            on_wait=on_wait,
        )
        self._throttled: list[AttemptError] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def service_for(self, mailto: str | None, key: str | None) -> Service:
        """The service as it is asked by somebody with this address and key."""
        return self.service

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
        """Ask about all of these, a batch at a time; a subject given twice is asked once."""
        raise NotImplementedError

    def _request(
        self, route: str, path: str, params: Params, read: Reader[T], form: Params | None = None
    ) -> T | Redirect | None:
        """`Transport.request`. A provider that keeps asking to slow down is left alone for the rest of the run: the failure is
        raised again without asking."""
        if len(self._throttled) >= STOP_AFTER:
            last = self._throttled[-1]
            raise last.for_unsent(last.url)
        try:
            found = self._transport.request(route, path, params, read, form)
        except AttemptError as failure:
            self._throttled = [*self._throttled, failure] if failure.throttled else []
            raise
        self._throttled = []
        return found


def distinct(wanted: Sequence[Wanted]) -> list[Wanted]:
    """These subjects, each once: the first of those that are given twice."""
    unique: dict[str, Wanted] = {}
    for one in wanted:
        unique.setdefault(one.subject, one)
    return list(unique.values())
