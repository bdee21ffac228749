"""The reviewer's desk: what waits for whom, what a form means, what can be taken back.

It writes through `decide` alone, as `evidence decide` does, so that a word from the browser and one from the command line
are one kind of word. It knows no HTTP and no HTML; who somebody is, the site says.
"""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

from evidence import doi, strict_yaml
from evidence.database import queries
from evidence.decisions import identify, moment
from evidence.errors import ConfigError
from evidence.model import SAME_WORK, Decision, Doi, VerdictName
from evidence.review.decide import add_decisions, current_decisions
from evidence.rules import taxonomy
from evidence.rules.taxonomy import Taxonomy

ENVIRONMENT = "EVIDENCE_DESK"
"""What the variables that open the desk begin with. One that lies about in the shell must not open it."""

Queue = Literal["waiting", "again", "second"]
QUEUES: Mapping[Queue, str] = {"waiting": "To check", "again": "Look again", "second": "Second screening"}

READY: Mapping[VerdictName, tuple[str, ...]] = {
    "include": ("About interpersonal psychotherapy", "Interpersonal psychotherapy under another name"),
    "exclude": (
        "Not about interpersonal psychotherapy",
        "IPT stands for something else",
        "Mentions the therapy only in passing",
        "Not about research or practice",
    ),
    "unsure": ("The full text is needed", "A second reviewer is needed"),
}
"""Reasons to choose from; a reviewer's own come after them once they were given twice."""

OWN_REASONS = 3
PATIENCE = 0.5
"""Seconds that a page waits for a running sync before the word is left to it."""


@dataclass(frozen=True, slots=True)
class Words:
    """What a form asks to be said of one work: nothing of it is checked yet but its shape."""

    doi: Doi
    verdict: VerdictName | None
    tags: tuple[tuple[str, str], ...]
    untags: tuple[tuple[str, str], ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Act:
    """Words that a reviewer said of one work at one moment, and that stand."""

    doi: Doi
    made_at: str
    words: tuple[Decision, ...]


class Desk:
    """The desk over one database and one ledger. `reviewers` may sit at it; `token` lets the one of this machine in (None:
    they have accounts)."""

    def __init__(self, db: Path, ledger: Path, reviewers: Sequence[str], token: str | None) -> None:
        self.db, self.ledger, self.reviewers = db, ledger, tuple(reviewers)
        self._token = token
        self._book: Taxonomy | None = None
        self._order: tuple[int | None, list[Doi]] = (None, [])
        self._read: tuple[tuple[int, ...], tuple[Decision, ...], list[Decision]] = ((), (), [])

    @property
    def accounts(self) -> Mapping[str, str]:
        """Reviewer → the environment variable with the hash of their password; nobody where a token opens the desk."""
        return {} if self._token else {name: _account(n) for n, name in enumerate(self.reviewers)}

    def opens(self, token: str) -> str | None:
        """The reviewer whom this token lets in."""
        right = self._token is not None and secrets.compare_digest(token.encode(), self._token.encode())
        return self.reviewers[0] if right else None

    # ------------------------------------------------------------------ what waits

    def queue(self, name: Queue, reviewer: str) -> list[Doi]:
        """The works that wait for this reviewer there, the likeliest first. `waiting` has those that no word of theirs is on,
        `again` the conflicts, `second` those that somebody else decided and they have not."""
        said = self._verdicts()
        with queries.reading(self.db) as conn:
            moved = queries.representatives(conn, sorted({word.doi for word in said}))
            said = [replace(word, doi=moved.get(word.doi, word.doi)) for word in said]
            mine = {word.doi for word in said if word.reviewer == reviewer}
            if name == "waiting":
                waiting = queries.waiting(conn)
                return [found for found in self._likeliest(conn, waiting) if found in waiting and found not in mine]
            if name == "again":
                return sorted(queries.to_look_at_again(conn))
            others = dict.fromkeys(word.doi for word in said if word.doi not in mine)
            counting = queries.screened(conn, list(others))
            return [found for found in others if found in counting]

    def _likeliest(self, conn: sqlite3.Connection, waiting: Set[Doi]) -> list[Doi]:
        """`to_check` in its order, which looks at every citation of every work that waits: made anew after a sync, and when
        a work waits that did not. What people decide moves a few places only, and that may wait."""
        sync, order = queries.last_sync(conn), self._order[1]
        if self._order[0] != sync or not waiting <= set(order):
            order = queries.to_check(conn)
            self._order = (sync, order)
        return order

    def pairs(self) -> list[dict[str, Any]]:
        """The pairs of records that may be one work, as `pairs_to_check` has them, without those somebody has spoken of."""
        spoken = {frozenset((word.doi, word.value)) for word in self._words()[1] if word.facet == SAME_WORK}
        with queries.reading(self.db) as conn:
            return [row for row in queries.pairs_to_check(conn) if frozenset((row["doi"], row["other"])) not in spoken]

    def reasons(self, reviewer: str) -> dict[str, list[str]]:
        """Ready reasons for each verdict, with what this reviewer has written at least twice."""
        mine = [word for word in self._verdicts() if word.reviewer == reviewer]
        found: dict[str, list[str]] = {}
        for verdict, ready in READY.items():
            own = Counter(word.reason for word in mine if word.verdict == verdict and word.reason not in ready)
            found[verdict] = [*ready, *(reason for reason, n in own.most_common(OWN_REASONS) if n > 1)]
        return found

    def said(self, reviewer: str) -> list[Act]:
        """What this reviewer decided and has not undone, the newest first; within a second the ledger's order tells which."""
        words, stands = self._words()
        place = {identify(word): number for number, word in enumerate(words)}
        acts: dict[tuple[Doi, str], list[Decision]] = {}
        for word in stands:
            if word.reviewer == reviewer:
                acts.setdefault((word.doi, word.made_at), []).append(word)
        newest = sorted(
            acts, key=lambda act: (moment(act[1]), max(place[identify(word)] for word in acts[act])), reverse=True
        )
        return [Act(found, at, tuple(acts[found, at])) for found, at in newest]

    def kept_under(self, found: Doi) -> Doi:
        """The DOI that the work is kept under: another one where `found` has become an alias."""
        with queries.reading(self.db) as conn:
            return queries.canonical(conn, found)

    def of(self, found: Doi) -> list[Decision]:
        """Everybody's decisions on one work, under any of its DOIs, oldest first, those undone among them."""
        said = self._words()[0]
        with queries.reading(self.db) as conn:
            moved = queries.representatives(conn, [found, *sorted({word.doi for word in said})])
        here = moved.get(found, found)
        return [word for word in said if moved.get(word.doi, word.doi) == here]

    def _words(self) -> tuple[tuple[Decision, ...], list[Decision]]:
        """The ledger at the DOIs that its works are kept under, and what of it stands; read anew when it has a word more, or when
        a DOI leads elsewhere than before."""
        with queries.reading(self.db) as conn:
            newest = (*queries.newest_word(self.ledger), *queries.aliases_stamp(conn))
        if newest != self._read[0]:
            self._read = (newest, *current_decisions(self.db, queries.words(self.ledger)))
        return self._read[1:]

    def _verdicts(self) -> list[Decision]:
        return [word for word in self._words()[1] if word.verdict]

    # ------------------------------------------------------------------ what is said

    def decide(self, reviewer: str, words: Words) -> bool:
        """Say it. Returns whether it shows already; ConfigError when it makes no sense."""
        _, shows = add_decisions(
            self.db,
            self.ledger,
            self._rules(),
            _now,
            words.doi,
            words.verdict,
            words.tags,
            words.untags,
            words.reason,
            reviewer,
            patience=PATIENCE,
        )
        return shows

    def undo(self, reviewer: str, found: Doi, made_at: str) -> bool:
        """Take back what this reviewer said of the work at that moment; ConfigError when nothing of it stands."""
        found = self.kept_under(found)
        act = next((act for act in self.said(reviewer) if (act.doi, act.made_at) == (found, made_at)), None)
        if act is None:
            raise ConfigError("this decision has already been undone, or replaced by a newer one")
        subjects = [(word.facet, word.value) if word.facet and word.value else None for word in act.words]
        _, shows = add_decisions(
            self.db,
            self.ledger,
            self._rules(),
            _now,
            found,
            None,
            (),
            (),
            "undone at the desk",
            reviewer,
            withdrawn=subjects,
            patience=PATIENCE,
        )
        return shows

    def _rules(self) -> Taxonomy:
        if self._book is None:
            self._book = taxonomy.load()
        return self._book


def after(waiting: Sequence[Doi], current: Doi | None) -> Doi | None:
    """The next of `waiting` behind `current`, from the front again behind the last; None when no other waits."""
    at = waiting.index(current) if current in waiting else -1
    return next((found for found in (*waiting[at + 1 :], *waiting[: max(at, 0)]) if found != current), None)


def for_one(db: Path, ledger: Path, reviewer: str) -> tuple[dict[str, str], str]:
    """A desk on this machine: the environment variables that open it, and the page that lets `reviewer` in."""
    if not reviewer.strip():
        raise ConfigError("--reviewer must not be empty: a decision needs a name")
    token = secrets.token_urlsafe(32)
    return {ENVIRONMENT: _told(db, ledger, [reviewer.strip()], token)}, f"/desk/login?token={token}"


def for_accounts(db: Path, ledger: Path, file: Path) -> tuple[dict[str, str], str]:
    """A desk for people with passwords: the environment variables that open it, and the page to log in at. `file` is YAML,
    name: hash, as `datasette hash-password` prints it. ConfigError with the line of what is no such thing."""
    if importlib.util.find_spec("datasette_auth_passwords") is None:
        raise ConfigError(
            "--accounts needs datasette-auth-passwords; install it with pip install datasette-auth-passwords, or in a clone of "
            'evidence with pip install ".[accounts]"'
        )
    if not file.exists():
        raise ConfigError(f"{file}: there is no such file; it has one line per reviewer, `A. Reader: pbkdf2_sha256$…`")
    tree = strict_yaml.parse_file(file)
    if not isinstance(tree.data, dict) or not tree.data:
        raise ConfigError(f"{file}:1: must contain names and password hashes, such as `A. Reader: pbkdf2_sha256$…`")
    for name, held in tree.data.items():
        if not (name.strip() and isinstance(held, str) and held.startswith("pbkdf2_sha256$")):
            raise tree.complain((name,), "is not a password hash; `datasette hash-password` makes one")
    hashes = {_account(n): held for n, held in enumerate(tree.data.values())}
    return {ENVIRONMENT: _told(db, ledger, list(tree.data), None), **hashes}, "/-/login"


def opened() -> Desk | None:
    """The desk that `evidence serve` opened; None when it opened none: then the site has no route that writes."""
    told = os.environ.get(ENVIRONMENT)
    return _opened(told) if told else None


@lru_cache(maxsize=1)
def _opened(told: str) -> Desk:
    said = json.loads(told)
    return Desk(Path(said["db"]), Path(said["ledger"]), said["reviewers"], said["token"])


def read(fields: Mapping[str, Sequence[str]]) -> Words:
    """A submitted form: the `tag`s that are ticked against those that `had` been. ConfigError when it is not one of ours."""
    found = doi.parse(_one(fields, "doi"))
    if found is None:
        raise ConfigError("the form has no valid DOI; go back to the desk and try again")
    verdict = _one(fields, "verdict")
    if verdict and verdict not in get_args(VerdictName):
        raise ConfigError(f"{verdict!r} is not a valid verdict; choose include, exclude or unsure")
    had, ticked = (dict.fromkeys(_pair(text) for text in fields.get(name, ())) for name in ("had", "tag"))
    tags = [pair for pair in ticked if pair not in had]
    untags = [pair for pair in had if pair not in ticked]
    for name, said in (("same", tags), ("apart", untags)):
        if other := doi.parse(_one(fields, name)):
            said.append((SAME_WORK, other))
    reason = _one(fields, "reason").strip()
    if not (verdict or tags or untags):
        raise ConfigError("choose a verdict or change a tag")
    if not reason:
        raise ConfigError("give a reason: a decision needs one")
    return Words(found, verdict or None, tuple(tags), tuple(untags), reason)  # type: ignore[arg-type]


def _told(db: Path, ledger: Path, reviewers: Sequence[str], token: str | None) -> str:
    queries.check_ledger(ledger)
    said = {"db": str(db.absolute()), "ledger": str(ledger.absolute()), "reviewers": list(reviewers), "token": token}
    return json.dumps(said)


def _account(number: int) -> str:
    return f"{ENVIRONMENT}_ACCOUNT_{number}"


def _one(fields: Mapping[str, Sequence[str]], name: str) -> str:
    values = fields.get(name, ())
    return values[0] if values else ""


def _pair(text: str) -> tuple[str, str]:
    facet, colon, value = text.partition(":")
    if not (facet and colon and value):
        raise ConfigError(f"{text!r} is not a valid tag")
    return facet, value


def _now() -> datetime:
    return datetime.now(UTC)
