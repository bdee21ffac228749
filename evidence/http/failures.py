"""One failed attempt at a request: what happened, how it is to be retried, and the error that it becomes.

Values and their texts only: it may not send, wait or read a body.
"""

from __future__ import annotations

from typing import Final, Literal, NoReturn, Self

from evidence.errors import RejectedError, UnavailableError

Fault = Literal["unreachable", "timeout", "server error", "unreadable"]
"""Failures of the server or the network, not of the request: the next request will likely fail too. `unreadable` is a body that
is not in the service's format, or cut short."""

MAX_WAIT: Final = 300.0
"""Seconds; a longer `Retry-After` is not waited for: the run ends with an error instead."""

MAX_SHOWN_URL = 160
"""Characters of an address in an error."""


class AttemptError(Exception):
    """One failed attempt. Internal to the clients: that of Crossref converts it with `raise_source_error`, a provider answers
    with `described` and `pause`.

    `tries`: how many attempts in all to make, None for as many as the client allows. `pause`: seconds the server asked for;
    else the back-off starts at `first_pause`, None for the usual one. `refused`: the server understood the request, and
    retrying will not help. `fault`: what is wrong with the server or the network, None when it is this request's own.
    `url` and `attempts` are set by `at`.
    """

    def __init__(
        self,
        text: str,
        *,
        status: int | None = None,
        tries: int | None = None,
        pause: float | None = None,
        first_pause: float | None = None,
        refused: bool = False,
        too_large: bool = False,
        fault: Fault | None = None,
    ) -> None:
        super().__init__(text)
        self.text = text
        self.status = status
        self.tries = 1 if refused else tries
        self.pause = pause
        self.first_pause = first_pause
        self.refused = refused
        self.too_large = too_large
        self.fault = fault
        self.url = "nothing"
        self.attempts = 0

    @property
    def no_response(self) -> bool:
        """Whether no response came at all."""
        return self.fault in ("unreachable", "timeout")

    @property
    def throttled(self) -> bool:
        """Whether the server says that requests come too fast."""
        return self.status in (408, 425, 429)

    @property
    def described(self) -> str:
        """What happened, at which URL and after how many attempts, in one line."""
        if self.refused:
            return f"{self.text} (asked {_short(self.url)})"
        times = "once" if self.attempts == 1 else f"{self.attempts} times"
        asked = f"asked {_short(self.url)}, {times}" if self.attempts else "not asked again in this run"
        return f"{self.text} ({asked})"

    def say(self, text: str) -> None:
        """Replace the text."""
        self.text = text
        self.args = (text,)

    def for_unsent(self, url: str) -> AttemptError:
        """The same failure for a request that is not sent because it would fail too."""
        again = AttemptError(self.text, status=self.status, fault=self.fault, pause=self.pause, refused=self.refused)
        return again.at(url, 0)

    def at(self, url: str, attempts: int) -> Self:
        """Add the URL, and how many attempts have failed."""
        self.url, self.attempts = url, attempts
        return self

    def raise_source_error(self) -> NoReturn:
        """Raise what callers of the client see: what happened, at which URL, after how many attempts, and what to do."""
        if self.refused:
            raise RejectedError(self.described) from self
        if self.pause is not None and self.pause > MAX_WAIT:
            remedy = f"the server asks to wait {self.pause:.0f} s, run again after that"
        elif self.no_response:
            remedy = "check the network and run again, or work from files with --offline"
        else:
            remedy = "run again later"
        raise UnavailableError(f"{self.described}; {remedy}") from self


def _short(address: str) -> str:
    """A URL cut to what a person can recognise: a batch of fifty DOIs fills a screen."""
    return address if len(address) <= MAX_SHOWN_URL else f"{address[:MAX_SHOWN_URL]}…"
