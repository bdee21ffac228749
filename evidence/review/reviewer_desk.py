"""The reviewers' desk: which works each reviewer still has to decide on, what a submitted form decides, and what can be undone.

It may not write to a database itself: it decides as `evidence decide` does, so that decisions from the browser and from the
command line are the same. It knows no HTTP and no HTML; the site says who the reviewer is.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import os
import secrets
import sqlite3
import threading
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from statistics import median
from typing import Any, Literal, get_args

from evidence import doi, strict_yaml
from evidence.current_decisions import decision_id, parse_time
from evidence.data_model import SAME_WORK, Decision, Doi, VerdictName
from evidence.database import read_queries, rewound, tag_filter
from evidence.database.connection import reading
from evidence.database.read_decisions import check_ledger
from evidence.errors import ConfigError, EvidenceError
from evidence.harvest.chosen_topic import topic_of_review
from evidence.review.agreement import PairAgreement, pairwise_agreement
from evidence.review.known_decisions import KnownDecisions
from evidence.review.pace import Pace, in_words, pace
from evidence.review.record_decision import (
    OnWork,
    add_together,
    made_in_one_act,
    rehearse,
)
from evidence.review.stopping_rule import ERROR, Screening, Together, stated_error, works_until_stated
from evidence.rules import taxonomy
from evidence.rules.taxonomy import Taxonomy
from evidence.rules.topic import Topic

log = logging.getLogger(__name__)

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
LATEST_DECIDED = 20
"""Of how many works, those decided last, the median place on the list is what others are passed over against."""
LARGEST_BATCH = 100
"""Works that one act may decide on: as many as one page lists, so that each title can be read."""
WARMED_WORKS = 20
"""How many waiting works `warm` rehearses: enough for the patterns that the first decisions need."""
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
class Batch:
    """What a submitted form decides on several works."""

    dois: tuple[Doi, ...]
    verdict: VerdictName
    reason: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What one reviewer decided in one act, on one work or on several together, without what has been withdrawn or replaced
    since."""

    made_at: str
    decisions: tuple[Decision, ...]

    @property
    def dois(self) -> tuple[Doi, ...]:
        """The works, in the order of the ledger."""
        return tuple(dict.fromkeys(decision.doi for decision in self.decisions))

    @property
    def doi(self) -> Doi:
        """The work; of several the first."""
        return self.decisions[0].doi

    @property
    def name(self) -> str:
        """16 hexadecimal digits that an undo names it by, made of the identifiers of its decisions: when one of them is undone or
        replaced, what is left has another name."""
        return hashlib.sha256(" ".join(sorted(map(decision_id, self.decisions))).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Progress:
    """How many of the works that waited a reviewer has decided on, how many are `left`, and their pace, where it is known."""

    decided: int
    left: int
    pace: Pace | None

    @property
    def time_left(self) -> str | None:
        """`about 20 minutes`; None where the pace is not known or nothing is left."""
        return in_words(self.pace.minutes_for(self.left)) if self.pace and self.left else None


@dataclass(frozen=True, slots=True)
class HowFar:
    """A screening as the stopping rule sees it, of which `waiting` works nobody has decided on. Some may be relevant and are
    counted as relevant works that were not found: `disputed` ones were left unsure, or reviewers disagree on them; `passed_over`
    ones stand clearly higher on the list than those decided last."""

    screening: Screening
    waiting: int
    disputed: int
    passed_over: int

    @property
    def error(self) -> float | None:
        """The error with which enough works are found (`stated_error`); None where there is nothing to say: no relevant work was
        found in order, or none is left."""
        return stated_error(self.screening) if self.waiting and any(self.screening.relevant) else None

    @property
    def is_enough(self) -> bool:
        """Whether it can be said that enough works are found."""
        return self.error is not None and self.error <= ERROR

    @property
    def works_to_go(self) -> int | None:
        """`works_until_stated`."""
        return works_until_stated(self.screening)


@dataclass(frozen=True, slots=True)
class Criterion:
    """What a verdict of screening stands for in this review, in words: `means`, and what each of its rules looks for."""

    verdict: str
    label: str
    means: str
    because: tuple[str, ...]


class Desk:
    """The desk of one database and one ledger. `reviewers` may use it. `token` authenticates the reviewer on this machine (None:
    reviewers have accounts)."""

    def __init__(self, db: Path, ledger: Path, reviewers: Sequence[str], token: str | None) -> None:
        self.db, self.ledger, self.reviewers = db, ledger, tuple(reviewers)
        self._token, self._used = token, False
        self._book: Taxonomy | None = None
        self._loading = threading.Lock()
        self._far: tuple[object, HowFar] | None = None
        self._order: tuple[int | None, list[Doi]] = (None, [])
        self._likely: tuple[object, list[tuple[Doi, str, str]]] = (None, [])
        self._linked: tuple[object, list[Doi]] = (None, [])
        self._known = KnownDecisions(db, ledger)

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
        verdicts = self._known.now().verdicts
        with reading(self.db) as conn:
            heads = read_queries.merged_records(conn)
            given = [(heads.get(d.doi, d.doi), d.reviewer) for d in verdicts]
            mine = {found for found, by in given if by == reviewer}
            if name == "waiting":
                waiting = read_queries.waiting_works(conn)
                return [found for found in self._ranked(conn, waiting) if found in waiting and found not in mine]
            if name == "linked":
                decided = {found for found, _ in given}
                return [found for found in self._linked_works(conn) if found not in decided]
            if name == "again":
                return sorted(read_queries.works_with_decisions_to_check(conn))
            others = dict.fromkeys(found for found, _ in given if found not in mine)
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
        decided = {frozenset((d.doi, d.value)) for d in self._known.now().current if d.facet == SAME_WORK}
        with reading(self.db) as conn:
            return [
                row for row in read_queries.pairs_to_check(conn) if frozenset((row["doi"], row["other"])) not in decided
            ]

    def tags_to_check(self, topic: Topic) -> list[tuple[Doi, str, str]]:
        """The tags (DOI, facet, value) that are only likely and that the map and the counts of trials rest on, the most doubtful
        first; without those that somebody has decided on."""
        decided = {(d.doi, d.facet, d.value) for d in self._known.now().current}
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
        mine = [d for d in self._known.now().verdicts if d.reviewer == reviewer]
        found: dict[str, list[str]] = {}
        for verdict in get_args(VerdictName):
            ready = topic.reasons_for(verdict)
            own = Counter(d.reason for d in mine if d.verdict == verdict and d.reason not in ready)
            found[verdict] = [*ready, *(reason for reason, n in own.most_common(OWN_REASONS) if n > 1)]
        return found

    def decided_by(self, reviewer: str) -> list[Entry]:
        """What this reviewer decided and has not undone, the newest first; within one second in the order of the ledger."""
        known = self._known.now()
        place = {decision_id(d): number for number, d in enumerate(known.ledger)}
        mine = sorted(((place[decision_id(d)], d) for d in known.current if d.reviewer == reviewer), key=itemgetter(0))
        acts: dict[str, dict[Doi, list[tuple[int, Decision]]]] = {}
        for number, decision in mine:
            acts.setdefault(decision.made_at, {}).setdefault(decision.doi, []).append((number, decision))
        entries = []
        for made_at, by_work in acts.items():
            together = [each for decisions in by_work.values() for each in decisions]
            parts = [together] if made_in_one_act([d for _, d in together]) else list(by_work.values())
            for part in parts:
                last = (_second(made_at), max(number for number, _ in part))
                entries.append((last, Entry(made_at, tuple(d for _, d in part))))
        return [entry for _, entry in sorted(entries, key=itemgetter(0), reverse=True)]

    def progress(self, reviewer: str, entries: Sequence[Entry], left: int) -> Progress:
        """How far this reviewer is with the works that waited for a decision, of which `left` are left. `entries` are those of
        `decided_by`."""
        # A decision on a work that waited says that the rules left it unsure.
        done = {d.doi for d in self._known.now().verdicts if d.reviewer == reviewer and d.rule_said == "unsure"}
        acts = [
            (parse_time(entry.made_at), len(entry.dois)) for entry in entries if any(d.verdict for d in entry.decisions)
        ]
        return Progress(len(done), left, pace(acts))

    def how_far(self) -> HowFar:
        """How far the works that waited for a decision are screened, by all reviewers together, as the stopping rule sees it."""
        known = self._known.now()
        with reading(self.db) as conn:
            # The citations of all waiting works are read, so it is found again only after a decision, a sync or an edit.
            state = (known.stamp, read_queries.last_sync_run(conn), read_queries.basis_of_judgements(conn))
            if self._far is not None and self._far[0] == state:
                return self._far[1]
            heads = read_queries.representatives(conn, sorted({d.doi for d in known.ledger}))
            verdicts: dict[Doi, set[str]] = {}
            for d in known.current:
                if d.verdict:
                    verdicts.setdefault(heads.get(d.doi, d.doi), set()).add(d.verdict)
            works = read_queries.screening_verdicts(conn, sorted(verdicts))
            first: dict[Doi, Decision] = {}
            for d in known.ledger:  # a decision on a work that waited says that the rules left it unsure
                found = heads.get(d.doi, d.doi)
                if d.verdict and d.rule_said == "unsure" and found in works:
                    first.setdefault(found, d)
            waiting = sorted(read_queries.waiting_works(conn) - verdicts.keys())
            acts: dict[tuple[str, str], list[Doi]] = {}
            first = dict(sorted(first.items(), key=lambda entry: _second(entry[1].made_at)))
            for found, d in first.items():
                acts.setdefault((d.made_at, d.reviewer), []).append(found)
            relevant: list[bool] = []
            together: list[Together] = []
            unsettled = 0
            for dois in acts.values():
                settled = [found for found in dois if verdicts[found] in ({"include"}, {"exclude"})]
                unsettled += len(dois) - len(settled)
                answers = ["include" in verdicts[found] for found in settled]
                if len(dois) > 1 and made_in_one_act([first[found] for found in dois]):
                    together.append(Together(len(relevant), len(answers), sum(answers)))
                else:
                    relevant += answers
            latest = list(first)[-LATEST_DECIDED:]
            points = read_queries.ranking_points(conn, [*waiting, *latest])
        passed_over = 0
        if latest:
            usual = median(points[found] for found in latest) + read_queries.MOST_POINTS_OF_TAGS
            passed_over = sum(points[found] > usual for found in waiting)
        screening = Screening(tuple(relevant), len(waiting) - passed_over, tuple(together), unsettled + passed_over)
        self._far = (state, HowFar(screening, len(waiting), unsettled, passed_over))
        return self._far[1]

    def agreement(self) -> list[PairAgreement]:
        """How far each two reviewers agree."""
        return pairwise_agreement(self._known.now().current)

    def criteria(self) -> tuple[Criterion, ...]:
        """What each verdict stands for, from the screening rules of the topic."""
        found = []
        for verdict in self._rules().verdicts.values:
            because = dict.fromkeys(rule.because for rule in verdict.rules if rule.because)
            found.append(Criterion(verdict.id, verdict.label, verdict.means, tuple(because)))
        return tuple(found)

    def canonical_doi(self, found: Doi) -> Doi:
        """The DOI that the work is kept under: another one when `found` is an alias."""
        with reading(self.db) as conn:
            return read_queries.canonical_doi(conn, found)

    def decisions_on(self, found: Doi) -> list[Decision]:
        """All decisions on any record of a work, oldest first, including those that were undone."""
        ledger = self._known.now().ledger
        with reading(self.db) as conn:
            heads = read_queries.merged_records(conn)
            found = read_queries.canonical_doi(conn, found)
        return [d for d in ledger if heads.get(d.doi, d.doi) == heads.get(found, found)]

    # ------------------------------------------------------------------ deciding

    def decide(self, reviewer: str, form: Submission, shown: str | None = None) -> bool:
        """Decide. Returns whether the decision shows already; ConfigError when it is not valid.

        `shown` is what the page said of the reviewer's own decisions on the work (`decided_on`). Where they have decided
        otherwise since, in another window, nothing is decided: they would replace what they do not see.
        """
        if shown is not None and form.verdict and self.decided_on(reviewer, form.doi) != shown:
            own = self._own_verdict(reviewer, form.doi)
            if own is None or (own.verdict, own.reason) != (form.verdict, form.reason):
                said = f"to {own.verdict} it ({own.reason})" if own else "to undo your decision"
                raise ConfigError(
                    f"in another window you decided {said} since this page was shown; this page now shows it: save again "
                    "if you mean it"
                )
        return self._add([OnWork(form.doi, form.verdict, form.tags, form.untags)], form.reason, reviewer)

    def decided_on(self, reviewer: str, found: Doi) -> str:
        """The identifier of this reviewer's current verdict on a work; empty where there is none."""
        own = self._own_verdict(reviewer, found)
        return decision_id(own) if own else ""

    def _own_verdict(self, reviewer: str, found: Doi) -> Decision | None:
        found = self.canonical_doi(found)
        return next(
            (d for d in reversed(self._known.now().verdicts) if d.reviewer == reviewer and d.doi == found), None
        )

    def decide_together(self, reviewer: str, form: Batch) -> bool:
        """Give several works one verdict for one reason, in one act that is undone as one. Returns whether it shows already.

        ConfigError when a work is not among those waiting for this reviewer any more: then nothing is decided.
        """
        waiting = set(self.queue("waiting", reviewer))
        if gone := [found for found in form.dois if found not in waiting]:
            raise ConfigError(
                f"nothing was saved: {gone[0]} is not waiting for your decision any more"
                + (f", and {len(gone) - 1} more" if len(gone) > 1 else "")
                + "; choose again from the list as it is now"
            )
        return self._add([OnWork(found, form.verdict) for found in form.dois], form.reason, reviewer)

    def undo(self, reviewer: str, name: str, *, only_last: bool = False) -> tuple[Entry, bool]:
        """Withdraw the entry of this reviewer with this name (`Entry.name`). Returns it, and whether that shows already.

        ConfigError when nothing is left of it; and with `only_last`, when the reviewer has decided something else since. A page
        that offers to undo the last decision may be older than the last decision.
        """
        entries = self.decided_by(reviewer)
        entry = next((entry for entry in entries if name and entry.name == name), None)
        if entry is None:
            raise ConfigError("this decision has already been undone, or replaced by a newer one")
        if only_last and entry != entries[0]:
            raise ConfigError(
                "nothing was undone: another decision has been saved since this page was shown. “Your decisions” lists each with "
                "its own Undo"
            )
        withdrawn: dict[Doi, list[tuple[str, str] | None]] = {}
        for d in entry.decisions:
            withdrawn.setdefault(d.doi, []).append((d.facet, d.value) if d.facet and d.value else None)
        on_works = [OnWork(found, withdrawn=tuple(subjects)) for found, subjects in withdrawn.items()]
        return entry, self._add(on_works, "undone at the desk", reviewer)

    def _add(self, on_works: Sequence[OnWork], reason: str, reviewer: str) -> bool:
        _, shows = add_together(
            self.db, self.ledger, self._rules(), _now, on_works, reason, reviewer, patience=PATIENCE
        )
        return shows

    def warm(self) -> None:
        """Load the rules and the ledger, and rehearse decisions on a few waiting works, so that the first decision need not wait
        for it. What goes wrong here goes wrong again at the first decision, which then says so."""
        try:
            book = self._rules()
            with reading(self.db) as conn:
                waiting = sorted(read_queries.waiting_works(conn))[:WARMED_WORKS]
            rehearse(self.db, waiting, book)
            self._known.now()
        except EvidenceError as error:
            log.warning("The rules could not be loaded before the first decision: %s", error)

    def _rules(self) -> Taxonomy:
        with self._loading:
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
    found = doi.parse_key(_one(fields, "doi"))
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
        if other := doi.parse_key(_one(fields, name)):
            changed.append((SAME_WORK, other))
    reason = _one(fields, "reason").strip()
    if not (verdict or tags or untags):
        raise ConfigError("choose a verdict or change a tag")
    if not reason:
        raise ConfigError("give a reason: a decision needs one")
    return Submission(found, verdict or None, tuple(tags), tuple(untags), reason)  # type: ignore[arg-type]


def parse_batch(fields: Mapping[str, Sequence[str]]) -> Batch:
    """The fields of a submitted form on several works. ConfigError when the form is not valid."""
    chosen = tuple(dict.fromkeys(found for text in fields.get("doi", ()) if (found := doi.parse_key(text))))
    if not chosen:
        raise ConfigError("choose at least one work")
    if len(chosen) > LARGEST_BATCH:
        raise ConfigError(f"choose at most {LARGEST_BATCH} works at once")
    verdict, reason = _one(fields, "verdict"), _one(fields, "reason").strip()
    if verdict not in get_args(VerdictName):
        raise ConfigError("choose a verdict: include, exclude or unsure")
    if not reason:
        raise ConfigError("give a reason: a decision needs one")
    return Batch(chosen, verdict, reason)  # type: ignore[arg-type]


def _configuration(db: Path, ledger: Path, reviewers: Sequence[str], token: str | None) -> str:
    rewound.refuse(db)
    check_ledger(ledger)
    values = {"db": str(db.absolute()), "ledger": str(ledger.absolute()), "reviewers": list(reviewers), "token": token}
    return json.dumps(values)


def _account(number: int) -> str:
    return f"{ENVIRONMENT}_ACCOUNT_{number}"


def _one(fields: Mapping[str, Sequence[str]], name: str) -> str:
    values = fields.get(name, ())
    return values[0] if values else ""


def _second(made_at: str) -> datetime:
    """The second of a time: only decisions on several works, and repeated ones, have a more exact time."""
    return parse_time(made_at).replace(microsecond=0)


def _now() -> datetime:
    return datetime.now(UTC)
