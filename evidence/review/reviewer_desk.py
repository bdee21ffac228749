"""The reviewers' desk: which works each reviewer still has to decide on, what a submitted form decides, and what can be undone.

It may not write to a database itself: it decides as `evidence decide` does, so that decisions from the browser and from the
command line are the same. It knows no HTTP and no HTML; the site says who the reviewer is.
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
from evidence.current_decisions import decision_id, parse_time
from evidence.data_model import SAME_WORK, Decision, Doi, VerdictName
from evidence.database import read_queries, tag_filter
from evidence.database.connection import reading
from evidence.database.read_decisions import check_ledger, ledger_stamp, read_ledger
from evidence.errors import ConfigError
from evidence.harvest.chosen_topic import topic_of_review
from evidence.review.record_decision import add_decisions, all_and_current_decisions
from evidence.rules import taxonomy
from evidence.rules.taxonomy import Taxonomy
from evidence.rules.topic import Topic

ENVIRONMENT = "EVIDENCE_DESK"
"""How the environment variables begin that configure a desk. `evidence serve` sets them; one from elsewhere must not open it."""

Queue = Literal["waiting", "linked", "again", "second"]
QUEUES: Mapping[Queue, str] = {
    "waiting": "Waiting for a decision",
    "linked": "Linked to an included work",
    "again": "Look again",
    "second": "Second screening",
}
"""The queues: as in addresses → as on the page."""

OWN_REASONS = 3
PATIENCE = 0.5
"""Seconds that a page waits for a running sync; then the decision shows only when the sync is done."""


@dataclass(frozen=True, slots=True)
class Submission:
    """What a submitted form decides on one work. Only the form of it is checked, not whether work and tags exist."""

    doi: Doi
    verdict: VerdictName | None
    tags: tuple[tuple[str, str], ...]
    untags: tuple[tuple[str, str], ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What one reviewer decided on one work at one time, without what has been withdrawn or replaced since."""

    doi: Doi
    made_at: str
    decisions: tuple[Decision, ...]


class Desk:
    """The desk of one database and one ledger. `reviewers` may use it. `token` authenticates the reviewer on this machine (None:
    reviewers have accounts)."""

    def __init__(self, db: Path, ledger: Path, reviewers: Sequence[str], token: str | None) -> None:
        self.db, self.ledger, self.reviewers = db, ledger, tuple(reviewers)
        self._token, self._used = token, False
        self._book: Taxonomy | None = None
        self._order: tuple[int | None, list[Doi]] = (None, [])
        self._likely: tuple[object, list[tuple[Doi, str, str]]] = (None, [])
        self._linked: tuple[object, list[Doi]] = (None, [])
        self._cached: tuple[tuple[int, ...], tuple[Decision, ...], list[Decision]] = ((), (), [])

    @property
    def accounts(self) -> Mapping[str, str]:
        """Reviewer → the environment variable with the hash of their password; empty where a token is used instead."""
        return {} if self._token else {name: _account(n) for n, name in enumerate(self.reviewers)}

    def use_token(self, token: str) -> str | None:
        """The reviewer whom this token authenticates; None when it is not valid, or was used before."""
        if self._token is None or not secrets.compare_digest(token.encode(), self._token.encode()) or self._used:
            return None
        self._used = True
        return self.reviewers[0]

    # ------------------------------------------------------------------ what waits for a decision

    def queue(self, name: Queue, reviewer: str) -> list[Doi]:
        """The works of this queue for this reviewer. `waiting`: works waiting for a decision, without those this reviewer has
        given a verdict on, the likeliest to be relevant first. `linked`: works that the rules left out and that belong to
        an included work, without those that anybody has given a verdict on. `again`: works with a decision to look at again.
        `second`: works that others have given a verdict on and this reviewer has not."""
        given = self._verdicts()
        with reading(self.db) as conn:
            heads = read_queries.representatives(conn, sorted({d.doi for d in given}))
            given = [replace(d, doi=heads.get(d.doi, d.doi)) for d in given]
            mine = {d.doi for d in given if d.reviewer == reviewer}
            if name == "waiting":
                waiting = read_queries.waiting_works(conn)
                return [found for found in self._ranked(conn, waiting) if found in waiting and found not in mine]
            if name == "linked":
                decided = {d.doi for d in given}
                return [found for found in self._linked_works(conn) if found not in decided]
            if name == "again":
                return sorted(read_queries.works_with_decisions_to_check(conn))
            others = dict.fromkeys(d.doi for d in given if d.doi not in mine)
            known = read_queries.screening_verdicts(conn, list(others))
            return [found for found in others if found in known]

    def _ranked(self, conn: sqlite3.Connection, waiting: Set[Doi]) -> list[Doi]:
        """The view `to_check` in its order. Ranking reads every citation of every waiting work, so it is done again only
        after a sync, or when a work waits that did not before: a decision moves only a few places."""
        sync, order = read_queries.last_sync_run(conn), self._order[1]
        if self._order[0] != sync or not waiting <= set(order):
            order = read_queries.waiting_ranked(conn)
            self._order = (sync, order)
        return order

    def _linked_works(self, conn: sqlite3.Connection) -> list[Doi]:
        """The works of the view `linked_to_included`. It reads the citations of all included works, so the list is made again
        only after a sync or an edit of the rules."""
        state = (read_queries.last_sync_run(conn), read_queries.basis_of_judgements(conn))
        if self._linked[0] != state:
            self._linked = (state, read_queries.works_linked_to_included(conn))
        return self._linked[1]

    def pairs_to_check(self) -> list[dict[str, Any]]:
        """The rows of the view `pairs_to_check` (records that may be one work), without the pairs that somebody has decided
        on."""
        decided = {frozenset((d.doi, d.value)) for d in self._decisions()[1] if d.facet == SAME_WORK}
        with reading(self.db) as conn:
            return [
                row for row in read_queries.pairs_to_check(conn) if frozenset((row["doi"], row["other"])) not in decided
            ]

    def tags_to_check(self, topic: Topic) -> list[tuple[Doi, str, str]]:
        """The tags (DOI, facet, value) that are only likely and that the map and the counts of trials rest on, the most doubtful
        first; without those that somebody has decided on."""
        decided = {(d.doi, d.facet, d.value) for d in self._decisions()[1]}
        with reading(self.db) as conn:
            # All works are looked up, so the list is made again only after a sync or an edit of the rules.
            judged = (read_queries.last_sync_run(conn), read_queries.basis_of_judgements(conn))
            if self._likely[0] != judged:
                known = read_queries.values_of(conn, topic.map)
                designs = [(topic.design, value) for value in topic.trials]
                self._likely = (judged, read_queries.likely_tags(conn, [*known, *designs]))
        return [tag for tag in self._likely[1] if tag not in decided]

    def reasons(self, reviewer: str, topic: Topic) -> dict[str, list[str]]:
        """Reasons to choose from for each verdict: those of the topic, then those that this reviewer has written at least
        twice."""
        mine = [d for d in self._verdicts() if d.reviewer == reviewer]
        found: dict[str, list[str]] = {}
        for verdict in get_args(VerdictName):
            ready = topic.reasons_for(verdict)
            own = Counter(d.reason for d in mine if d.verdict == verdict and d.reason not in ready)
            found[verdict] = [*ready, *(reason for reason, n in own.most_common(OWN_REASONS) if n > 1)]
        return found

    def decided_by(self, reviewer: str) -> list[Entry]:
        """What this reviewer decided and has not undone, the newest first; within one second in the order of the ledger."""
        ledger, current = self._decisions()
        place = {decision_id(d): number for number, d in enumerate(ledger)}
        entries: dict[tuple[Doi, str], list[Decision]] = {}
        for decision in current:
            if decision.reviewer == reviewer:
                entries.setdefault((decision.doi, decision.made_at), []).append(decision)
        newest = sorted(
            entries,
            key=lambda key: (parse_time(key[1]), max(place[decision_id(d)] for d in entries[key])),
            reverse=True,
        )
        return [Entry(found, at, tuple(entries[found, at])) for found, at in newest]

    def canonical_doi(self, found: Doi) -> Doi:
        """The DOI that the work is kept under: another one when `found` is an alias."""
        with reading(self.db) as conn:
            return read_queries.canonical_doi(conn, found)

    def decisions_on(self, found: Doi) -> list[Decision]:
        """All decisions on any record of a work, oldest first, including those that were undone."""
        ledger = self._decisions()[0]
        with reading(self.db) as conn:
            heads = read_queries.representatives(conn, [found, *sorted({d.doi for d in ledger})])
        return [d for d in ledger if heads.get(d.doi, d.doi) == heads.get(found, found)]

    def _decisions(self) -> tuple[tuple[Decision, ...], list[Decision]]:
        """All decisions at the DOIs that their works are kept under, and those of them that count; read again when the ledger
        or the aliases have changed."""
        with reading(self.db) as conn:
            newest = (*ledger_stamp(self.ledger), *read_queries.aliases_stamp(conn))
        if newest != self._cached[0]:
            self._cached = (newest, *all_and_current_decisions(self.db, read_ledger(self.ledger)))
        return self._cached[1:]

    def _verdicts(self) -> list[Decision]:
        return [d for d in self._decisions()[1] if d.verdict]

    # ------------------------------------------------------------------ deciding

    def decide(self, reviewer: str, form: Submission) -> bool:
        """Decide. Returns whether the decision shows already; ConfigError when it is not valid."""
        _, shows = add_decisions(
            self.db,
            self.ledger,
            self._rules(),
            _now,
            form.doi,
            form.verdict,
            form.tags,
            form.untags,
            form.reason,
            reviewer,
            patience=PATIENCE,
        )
        return shows

    def undo(self, reviewer: str, found: Doi, made_at: str) -> bool:
        """Withdraw what this reviewer decided on the work at that time. Returns whether that shows already; ConfigError when
        nothing is left of it."""
        found = self.canonical_doi(found)
        entry = next((e for e in self.decided_by(reviewer) if (e.doi, e.made_at) == (found, made_at)), None)
        if entry is None:
            raise ConfigError("this decision has already been undone, or replaced by a newer one")
        subjects = [(d.facet, d.value) if d.facet and d.value else None for d in entry.decisions]
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
            named = Path(os.environ.get("EVIDENCE_SOURCES") or "sources.yaml")
            self._book = taxonomy.load(topic_of_review(named, self.db))
        return self._book


def next_waiting(waiting: Sequence[Doi], current: Doi | None) -> Doi | None:
    """The work after `current` in `waiting`, from the front again after the last; None when no other waits."""
    at = waiting.index(current) if current in waiting else -1
    return next((found for found in (*waiting[at + 1 :], *waiting[: max(at, 0)]) if found != current), None)


def local_desk(db: Path, ledger: Path, reviewer: str) -> tuple[dict[str, str], str]:
    """A desk for one reviewer on this machine: the environment variables that configure it, and the page at which `reviewer` logs
    in."""
    if not reviewer.strip():
        raise ConfigError("--reviewer must not be empty: a decision needs a name")
    token = secrets.token_urlsafe(32)
    return {ENVIRONMENT: _configuration(db, ledger, [reviewer.strip()], token)}, f"/desk/login?token={token}"


def accounts_desk(db: Path, ledger: Path, file: Path) -> tuple[dict[str, str], str]:
    """A desk for reviewers with passwords: the environment variables that configure it, and the page to log in at. `file` is
    YAML, name: hash, as `datasette hash-password` prints it. ConfigError with the line that is not valid."""
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
    return {ENVIRONMENT: _configuration(db, ledger, list(tree.data), None), **hashes}, "/-/login"


def desk_from_environment() -> Desk | None:
    """The desk that `evidence serve` configured; None without one: then the site has no route that writes."""
    configuration = os.environ.get(ENVIRONMENT)
    return _desk(configuration) if configuration else None


@lru_cache(maxsize=1)
def _desk(configuration: str) -> Desk:
    values = json.loads(configuration)
    return Desk(Path(values["db"]), Path(values["ledger"]), values["reviewers"], values["token"])


def parse_form(fields: Mapping[str, Sequence[str]]) -> Submission:
    """The fields of a submitted form; tags are the difference between `tag` (ticked) and `had` (ticked before). ConfigError when
    the form is not valid."""
    found = doi.parse(_one(fields, "doi"))
    if found is None:
        raise ConfigError("the form has no valid DOI; go back to the desk and try again")
    verdict = _one(fields, "verdict")
    if verdict and verdict not in get_args(VerdictName):
        raise ConfigError(f"{verdict!r} is not a valid verdict; choose include, exclude or unsure")
    had, ticked = (
        dict.fromkeys(tag_filter.parse_tag(text) for text in fields.get(name, ())) for name in ("had", "tag")
    )
    tags = [pair for pair in ticked if pair not in had]
    untags = [pair for pair in had if pair not in ticked]
    for name, changed in (("same", tags), ("apart", untags)):
        if other := doi.parse(_one(fields, name)):
            changed.append((SAME_WORK, other))
    reason = _one(fields, "reason").strip()
    if not (verdict or tags or untags):
        raise ConfigError("choose a verdict or change a tag")
    if not reason:
        raise ConfigError("give a reason: a decision needs one")
    return Submission(found, verdict or None, tuple(tags), tuple(untags), reason)  # type: ignore[arg-type]


def _configuration(db: Path, ledger: Path, reviewers: Sequence[str], token: str | None) -> str:
    check_ledger(ledger)
    values = {"db": str(db.absolute()), "ledger": str(ledger.absolute()), "reviewers": list(reviewers), "token": token}
    return json.dumps(values)


def _account(number: int) -> str:
    return f"{ENVIRONMENT}_ACCOUNT_{number}"


def _one(fields: Mapping[str, Sequence[str]], name: str) -> str:
    values = fields.get(name, ())
    return values[0] if values else ""


def _now() -> datetime:
    return datetime.now(UTC)
