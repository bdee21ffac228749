"""Asking about many works in one request, so that a list which leaves a work out never reads as "there is no record of it".

A list says "none" about a work only if it is whole: it has as many rows as it announces, and each is about a work that was asked
for. Otherwise the works that it leaves out are asked about again, together and then in halves, down to a single work, whose
answer is about that work alone.

It may not send a request or read a record: both are the client's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from evidence.http.failures import AttemptError
from evidence.providers.answers import Answer, Wanted

_TOO_MUCH = frozenset({400, 413, 414})
"""Statuses that may be the fault of a single work in a request, or of their number."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What one list of records says. `answers` are those about works that it has a record of, by subject; `whole`: it left out
    nothing; `strange` says what is wrong with its other rows, where there are any."""

    answers: Mapping[str, Answer] = field(default_factory=dict)
    whole: bool = True
    strange: str | None = None


def ask_in_batches(wanted: Sequence[Wanted], request: Callable[[Sequence[Wanted]], Listing]) -> tuple[Answer, ...]:
    """One answer for each of these works. `request` asks about some of them and raises AttemptError where it cannot."""
    answers: dict[str, Answer] = {}
    _ask(wanted, request, answers, again=False)
    return tuple(answers[one.subject] for one in wanted)


def _ask(
    wanted: Sequence[Wanted],
    request: Callable[[Sequence[Wanted]], Listing],
    answers: dict[str, Answer],
    *,
    again: bool,
) -> None:
    if not wanted:
        return
    try:
        listing = request(wanted)
    except AttemptError as failure:
        if failure.status in _TOO_MUCH and len(wanted) > 1:
            _ask_halves(wanted, request, answers)
        else:
            answers.update((one.subject, failed(one, failure)) for one in wanted)
        return
    answers.update(listing.answers)
    left = [one for one in wanted if one.subject not in answers]
    if listing.whole:
        answers.update((one.subject, Answer(one.subject, "none")) for one in left)
    elif len(wanted) == 1:
        answers.update((one.subject, _unexplained(one, listing)) for one in left)
    elif again or len(left) == len(wanted):
        _ask_halves(left, request, answers)
    else:
        _ask(left, request, answers, again=True)


def _ask_halves(
    wanted: Sequence[Wanted], request: Callable[[Sequence[Wanted]], Listing], answers: dict[str, Answer]
) -> None:
    half = (len(wanted) + 1) // 2
    _ask(wanted[:half], request, answers, again=True)
    _ask(wanted[half:], request, answers, again=True)


def failed(wanted: Wanted, failure: AttemptError) -> Answer:
    """The answer about a work that could not be asked about."""
    return Answer(wanted.subject, "failed", problem=failure.described, retry_after=failure.pause)


def _unexplained(wanted: Wanted, listing: Listing) -> Answer:
    """A list about one work that has no record of it, and is not whole."""
    if listing.strange is not None:
        return Answer(wanted.subject, "refused", problem=listing.strange)
    return Answer(wanted.subject, "failed", problem="200, but the list announces a record and has none")
