"""Crossref-shaped messages for tests, from real bibliographic facts; and a record source over them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from evidence import doi as spelling
from evidence.crossref.normalise import cited_by, doi_of, indexed_at, serialise
from evidence.data_model import Decision, Doi, LookupResult, Message, Page, Query, RecordStatus, RecordText, Window
from evidence.database.changes_since_last_run import ONLY_COUNTED, RunChanges, counts_by_kind
from evidence.export import change_note, paste

SMALL_YAML = """
sources:
  - id: article
    kind: references
    label: The article's references
    citations:
      - text: "Lipsitz J, Markowitz J. Mechanisms of change in interpersonal therapy (IPT). Clin Psychol Rev. 2013;33(8):1134-47."
        doi: 10.1016/j.cpr.2013.09.002
      - text: International Society of Interpersonal Psychotherapy. Overview of IPT.
      - text: "Fonagy P, Lemma A, Target M, et al. Dynamic interpersonal therapy for moderate to severe depression: a pilot randomized controlled and feasibility trial. Psychol Med. 2020;50(6):1010-1019."
        doi: 1017/S0033291719000928
  - id: by-name
    kind: search
    label: By name
    query: {bibliographic: interpersonal psychotherapy}
    phrases: [interpersonal psychotherap*, interpersonal therap*]
    years: 1974-
known: [10.1002/cpp.1774]
"""  # noqa: E501 - citations are one line each


def changes_text(rows: Sequence[dict[str, Any]]) -> str:
    """The part of `evidence report changes` on these changes (rows of `read_queries.changes`)."""
    return "\n".join(paste.as_text(change_note.changed(rows)))


def message(doi: str, title: str, year: int, **more: Any) -> Message:
    """A journal article as Crossref would deposit it; `more` adds or replaces fields."""
    return {
        "DOI": doi,
        "title": [title],
        "type": "journal-article",
        "issued": {"date-parts": [[year]]},
        "published": {"date-parts": [[year]]},
        "indexed": {"date-time": "2026-11-01T00:00:00Z", "date-parts": [[2026, 11, 1]]},
        "URL": f"https://doi.org/{doi}",
    } | more


def decision(doi: str, /, verdict: str | None = "exclude", by: str = "A. Reader", **more: Any) -> Decision:
    """A reviewer's verdict on a work (None: they take their verdict back); `more` replaces fields of the decision."""
    action = "verdict" if verdict else "withdraw"
    base = Decision(Doi(doi), action, verdict, None, None, "why", by, "2026-11-24T12:00:00Z", None, None)  # type: ignore[arg-type]
    return replace(base, **more)


def tagging(
    doi: str, /, facet: str, value: str, *, untag: bool = False, by: str = "A. Reader", **more: Any
) -> Decision:
    """A reviewer's tag on a work, or (with `untag`) their decision that it does not apply; a pair where `facet` is SAME_WORK."""
    return decision(doi, None, by, action="untag" if untag else "tag", facet=facet, value=value, **more)


def person(family: str, given: str) -> dict[str, str]:
    """One author."""
    return {"family": family, "given": given, "sequence": "additional"}


LIPSITZ = message(
    "10.1016/j.cpr.2013.09.002",
    "Mechanisms of change in interpersonal therapy (IPT)",
    2013,
    author=[person("Lipsitz", "Joshua D."), person("Markowitz", "John C.")],
    volume="33",
    issue="8",
    page="1134-1147",
    **{"container-title": ["Clinical Psychology Review"]},
)
FONAGY = message(
    "10.1017/s0033291719000928",
    "Dynamic interpersonal therapy for moderate to severe depression: "
    "a pilot randomized controlled and feasibility trial",
    2020,
    author=[person("Fonagy", "P."), person("Lemma", "A."), person("Target", "M.")],
    volume="50",
    issue="6",
    page="1010-1019",
    **{"container-title": ["Psychological Medicine"]},
)
MARKOWITZ = message(
    "10.1002/cpp.1774",
    "Interpersonal psychotherapy: past, present, and future",
    2012,
    author=[person("Markowitz", "J"), person("Weissman", "M")],
    volume="19",
    issue="2",
    page="99-105",
    **{"container-title": ["Clinical Psychology & Psychotherapy"]},
)
STANGIER = message(
    "10.1001/archgenpsychiatry.2011.67",
    "Cognitive therapy vs interpersonal psychotherapy in social anxiety disorder: a randomized controlled trial",
    2011,
    author=[person("Stangier", "U."), person("Schramm", "E.")],
    volume="68",
    issue="7",
    page="692-700",
    **{"container-title": ["Archives of General Psychiatry"]},
)
MALARIA = message(
    "10.1016/s0140-6736(00)03254-9",
    "Intermittent treatment for malaria and anaemia control at time of routine vaccinations in Tanzanian infants",
    2001,
)
WORKS: tuple[Message, ...] = (LIPSITZ, FONAGY, MARKOWITZ, STANGIER, MALARIA)


def texts(messages: Iterable[Message]) -> list[RecordText]:
    """Records as a file of records gives them."""
    return [RecordText(doi, digest, text) for m in messages if (doi := doi_of(m)) for text, digest in [serialise(m)]]


class FakeRecordSource:
    """A `data_model.RecordSource` over messages in memory. Ranks by words shared; `asked` keeps every request."""

    def __init__(self, messages: Sequence[Message] = WORKS, name: str = "crossref") -> None:
        self.name = name
        self.authoritative = name == "crossref"
        self.requests = self.bytes = 0
        self.date: datetime | None = None
        self.messages = {spelling.lower(str(m["DOI"])): m for m in messages}
        self.aliases: dict[str, str] = {}
        self.agencies: dict[str, str] = {}
        self.asked: list[tuple[Any, ...]] = []

    def lookup(self, dois: Sequence[Doi], since: str | None = None) -> Iterator[tuple[LookupResult, ...]]:
        self.asked.append(("lookup", tuple(dois), since))
        batch = []
        for doi in dois:
            answered = Doi(self.aliases.get(doi, doi))
            found = self.messages.get(answered)
            if since is None:
                batch.append(LookupResult(doi, answered if found else None, found))
            elif found and answered == doi and found["indexed"]["date-time"] >= since:
                batch.append(LookupResult(doi, doi, found))
        yield tuple(batch)

    def check(self, dois: Sequence[Doi]) -> Iterator[tuple[RecordStatus, ...]]:
        self.asked.append(("check", tuple(dois)))
        here = [(doi, self.messages[doi]) for doi in dois if doi in self.messages and doi not in self.aliases]
        yield tuple(RecordStatus(doi, indexed_at(m), cited_by(m)) for doi, m in here)

    def scan(self, query: Query, window: Window | None = None, offset: int = 0, *, by_creation: bool = False) -> Page:
        self.asked.append(("scan", query, window))
        words = {word for _, value in query.fields for word in value.lower().split()}
        ranked = sorted(
            (
                (len(words & set(m["title"][0].lower().replace(",", "").split())), doi)
                for doi, m in self.messages.items()
            ),
            key=lambda pair: (-pair[0], pair[1]),
        )
        inside = [(n, self.messages[doi]) for n, doi in ranked if n and within(self.messages[doi], window)]
        if by_creation:
            inside.sort(key=lambda pair: (created(pair[1]), str(pair[1]["DOI"])))
        return Page([{**m, "score": float(n)} for n, m in inside[offset : offset + query.rows]], len(inside))

    def agency(self, doi: Doi) -> str | None:
        self.asked.append(("agency", doi))
        return self.agencies.get(doi)


def created(message: Message) -> str:
    """The day a record was created, ISO; a message that does not say was created on one day of 2015."""
    return str(message.get("created", {}).get("date-time", "2015-06-01"))[:10]


def within(message: Message, window: Window | None) -> bool:
    """Whether a record is one of those that a window is limited to."""
    if window is None:
        return True
    day, indexed = created(message), str(message.get("indexed", {}).get("date-time", ""))[:10]
    return (
        (window.created_from is None or window.created_from <= day)
        and (window.created_until is None or day <= window.created_until)
        and (window.indexed_from is None or window.indexed_from <= indexed)
    )


def summarised(rows: list[dict[str, Any]]) -> RunChanges:
    """The changes of a run (rows of `read_queries.changes`) as its summary has them."""
    named = [row for row in rows if row["what"] not in ONLY_COUNTED]
    return RunChanges(counts_by_kind(rows), named)
