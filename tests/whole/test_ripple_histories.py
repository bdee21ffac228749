"""What a work touches does not depend on the order in which notices arrived and went, and agrees with a small count of its own.

A history is a series of changes of a small Crossref and of two other witnesses: a study's record states a notice, the notice's
own record appears, Retraction Watch or PubMed list a retraction, a reference list gains or loses an entry, a second record of a
study is registered. Each may be taken back, but for those of `STAYS`: a provider that has no record any more takes nothing away.
A sync comes after some of them, in another place in each order. At the end every order must give the same ripples as one sync of
the final state from nothing. EVIDENCE_HISTORIES sets how many are played.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence import strict_yaml
from evidence.data_model import Doi
from evidence.database import read_queries
from evidence.database.connection import reading
from evidence.database.writer import open_store
from evidence.export.ripple_report import Numbers, Ripple, touches
from evidence.harvest import sources
from evidence.harvest.sync import sync
from evidence.publish import ripple
from evidence.rules import taxonomy
from tests.provider_records import FakeProvider, pubmed, retraction_watch
from tests.world import DAY, World

TITLES = (
    "Interpersonal psychotherapy for depressive symptoms in bereaved spouses: a randomized controlled trial",
    "Interpersonal psychotherapy and depressive symptoms: a systematic review and meta-analysis",
    "Interpersonal psychotherapy for anxiety and depressive symptoms after childbirth: a randomised trial",
    "Interpersonal psychotherapy for social anxiety and quality of life: a systematic review",
    "Teaching interpersonal psychotherapy",
)
YAML = f"""
sources:
  - id: list
    kind: references
    label: The article's references
    citations:
      - {{text: "Weissman A. {TITLES[0]}. A Journal. 1991;1:100-109.", doi: 10.5555/work.1}}
      - {{text: "Mufson A. {TITLES[1]}. A Journal. 1992;2:200-209.", doi: 10.5555/work.2}}
  - id: by-name
    kind: search
    label: By name
    query: {{bibliographic: interpersonal psychotherapy}}
    phrases: [interpersonal psychotherap*]
    years: 1974-
articles:
  - id: article
    title: The article
    references: list
    claims:
      - {{id: first, says: It helps, cites: [1]}}
      - {{id: both, says: It lasts, cites: [1, 2]}}
"""
CONFIG = sources.check(strict_yaml.parse(YAML, "sources.yaml"))
BOOK = taxonomy.load()
STUDIES = tuple(Doi(f"10.5555/work.{n}") for n in range(1, len(TITLES) + 1))
KINDS = ("retraction", "expression-of-concern", "correction", "reinstatement")
ISSUED = {"retraction": [2026, 1, 1], "expression-of-concern": [2026, 2, 1], "correction": [2026, 3, 1],
          "reinstatement": [2026, 6, 1]}  # fmt: skip
GRAVE = {"retraction", "expression-of-concern"}

Event = tuple[str, int, Any]
study = st.integers(0, len(STUDIES) - 1)
events = st.one_of(
    st.tuples(st.sampled_from(["its record", "the notice"]), study, st.sampled_from(KINDS)),
    st.tuples(st.sampled_from(["Retraction Watch", "PubMed"]), study, st.none()),
    st.tuples(st.just("cites"), study, study).filter(lambda event: event[1] != event[2]),
    st.tuples(st.just("copy"), study, st.none()),
)
"""What may be so or not: who states which notice on which study, which study cites which, and which has a second record."""


STAYS = ("copy", "Retraction Watch")


def toggled(so: set[Event], event: Event) -> set[Event]:
    """What is so after an event: what was so is not, and what was not is, but for what stays."""
    return so | {event} if event[0] in STAYS else so ^ {event}


class Witnesses:
    """A tracker, and the world as far as it matters to what works touch: the set of events that are so."""

    def __init__(self, folder: Path) -> None:
        self.db = folder / "evidence.db"
        self.world = World()
        self.so: set[Event] = set()
        self.watch = FakeProvider("retraction-watch", {}, batch=50)
        self.pubmed = FakeProvider("pubmed", {doi: self.in_pubmed(n) for n, doi in enumerate(STUDIES)}, batch=50)
        self.editions = 0
        for title in TITLES:
            self.world.add(title=[title])

    def toggle(self, event: Event) -> None:
        """Make the event so, or take it back."""
        what, which, detail = event
        doi = STUDIES[which]
        self.so = toggled(self.so, event)
        if what == "copy":
            if self.copy_of(doi) not in self.world.records:
                copy = self.world.twin(doi)
                self.world.records[self.copy_of(doi)] = self.world.records.pop(copy) | {"DOI": self.copy_of(doi)}
                self.world.records[self.copy_of(doi)].pop("reference", None)
        elif what == "the notice":
            self.notice(doi, detail, there=event in self.so)
        elif what in ("its record", "cites"):
            self.record(doi)
        elif what == "Retraction Watch":
            self.watch.records = {
                STUDIES[n]: retraction_watch(STUDIES[n], TITLES[n], str(n + 1), day="1/1/2026")
                for name, n, _ in self.so
                if name == what
            }
        else:
            self.pubmed.records = {doi: self.in_pubmed(n) for n, doi in enumerate(STUDIES)}

    def in_pubmed(self, n: int) -> str:
        """PubMed's record of a study, which may say that it was retracted."""
        comments = (("RetractionIn", "J", str(900 + n)),) if ("PubMed", n, None) in self.so else ()
        return pubmed(STUDIES[n], TITLES[n], str(100 + n), abstract=(), comments=comments)

    @staticmethod
    def copy_of(doi: Doi) -> Doi:
        return Doi(doi.replace("10.5555/work", "10.7777/copy"))

    @staticmethod
    def notice_of(doi: Doi, kind: str) -> Doi:
        return Doi(f"10.6666/{kind}.{doi.rpartition('.')[2]}")

    def record(self, doi: Doi) -> None:
        """The study's own record, as the events have it."""
        record, n = self.world.records[doi], STUDIES.index(doi)
        stated = [
            {
                "DOI": self.notice_of(doi, kind),
                "type": kind,
                "updated": {"date-parts": [ISSUED[kind]]},
                "source": "publisher",
            }
            for kind in KINDS
            if ("its record", n, kind) in self.so
        ]
        cited = [other for other in range(len(STUDIES)) if ("cites", n, other) in self.so]
        # Odd numbers are cited by the DOI of the second record, whether it is registered yet or not.
        names = [self.copy_of(STUDIES[other]) if other % 2 else STUDIES[other] for other in cited]
        record.pop("updated-by", None)
        record.pop("reference", None)
        record |= {"updated-by": stated} if stated else {}
        record |= (
            {"reference": [{"key": name, "DOI": name, "doi-asserted-by": "publisher"} for name in names]}
            if names
            else {}
        )
        self.world.touch(doi)

    def notice(self, doi: Doi, kind: str, *, there: bool) -> None:
        name = self.notice_of(doi, kind)
        if not there:
            self.world.vanish(name)
        elif name in self.world.gone:
            self.world.come_back(name)
        else:
            made = self.world.notice(doi, kind)
            record = self.world.records.pop(made) | {"DOI": name}
            record["update-to"] = [
                {"DOI": doi, "type": kind, "updated": {"date-parts": [ISSUED[kind]]}, "source": "publisher"}
            ]
            self.world.records[name] = record
            self.world.touch(name)

    def sync(self) -> None:
        self.editions += 1
        self.watch.edition = str(self.editions)
        with open_store(self.db) as store:
            now = self.world.now
            outcome = sync(
                CONFIG, store, self.world, BOOK, now=lambda: now, full=True, providers=(self.watch, self.pubmed)
            )
        assert outcome.outcome == "complete", outcome.troubles

    def play(self, order: Sequence[Event], pauses: set[int]) -> None:
        """The events in this order, a sync after those in `pauses`, and one at the end when every witness is asked again."""
        for number, event in enumerate(order):
            self.toggle(event)
            if number in pauses:
                self.sync()
                self.world.now += DAY
        self.world.now += 400 * DAY
        self.sync()

    # ------------------------------------------------------------------ what is found, and what should be

    def found(self) -> dict[Doi, Ripple]:
        with reading(self.db) as conn:
            known = ripple.known_of(conn, CONFIG.articles)
            ripples = {doi: ripple.read(conn, doi, known) for doi in STUDIES}
        return {doi: one for doi, one in ripples.items() if one is not None}

    def expected(self) -> dict[Doi, dict[str, Any]]:
        """A count of its own, from the events that are so and from the plain rows of works and tags."""
        with reading(self.db) as conn:
            heads = dict(conn.execute("select doi, coalesce(same_as, doi) from works").fetchall())
            verdicts = dict(conn.execute("select doi, verdict from works").fetchall())
            tags: dict[str, set[tuple[str, str]]] = {}
            for doi, facet, value, strength in conn.execute("select doi, facet, value, strength from tags"):
                if strength != "implied":
                    tags.setdefault(doi, set()).add((facet, value))
        rows, columns = BOOK.topic.map
        trial, review = ({("design", value) for value in values} for values in (BOOK.topic.trials, BOOK.topic.reviews))
        included = [doi for doi, verdict in verdicts.items() if verdict == "include"]
        standing = {heads[doi]: self.kinds(n) for n, doi in enumerate(STUDIES)}

        def numbers(dois: list[str]) -> Numbers:
            return Numbers(
                len(dois),
                sum(bool(tags[doi] & trial) for doi in dois),
                sum(bool(tags[doi] & review) and not tags[doi] & trial for doi in dois),
                sum("retraction" in standing.get(doi, ()) for doi in dois),
            )

        found = {}
        for n, doi in enumerate(STUDIES):
            head = heads[doi]
            citing = {heads[STUDIES[who]] for what, who, whom in self.so if what == "cites" and whom == n
                      and (whom % 2 == 0 or self.copy_of(doi) in heads)} - {head}  # fmt: skip
            cells = {}
            for facet, row in tags.get(head, ()):
                for other, column in tags.get(head, ()):
                    if (facet, other) == (rows, columns) and head in included:
                        both = [one for one in included if {(rows, row), (columns, column)} <= tags.get(one, set())]
                        cells[row, column] = (numbers(both), numbers([one for one in both if one != head]))
            reviews = {one for one in citing if tags.get(one, set()) & review and one in included}
            found[doi] = {
                "doi": head,
                "kinds": standing[head],
                "reviews": reviews,
                "others": {one for one in citing if one in included} - reviews,
                "cells": cells,
                "claims": {0: ["first", "both"], 1: ["both"]}.get(n, []),
            }
        return found

    def kinds(self, n: int) -> set[str]:
        """The notices in force on a study: those that any witness states; a reinstatement reverses the earlier grave ones."""
        stated = {kind for what, which, kind in self.so if what in ("its record", "the notice") and which == n}
        stated |= {"retraction" for what, which, _ in self.so if what in ("Retraction Watch", "PubMed") and which == n}
        return stated - GRAVE if "reinstatement" in stated else stated


def shown(found: Ripple) -> dict[str, Any]:
    return {
        "doi": found.doi,
        "kinds": {row["kind"] for row in found.in_force},
        "reviews": {row["doi"] for row in found.reviews},
        "others": {row["doi"] for row in found.others},
        "cells": {(cell.row, cell.column): (cell.with_work, cell.without) for cell in found.cells},
        "claims": [claim.claim for claim in found.claims or ()],
    }


def timeless(found: Ripple) -> Ripple:
    """Without what is a history and not a state: what was announced, rowids, days of asking, and who was silent then."""

    def plain(rows: Sequence[Any]) -> tuple[Any, ...]:
        return tuple({name: value for name, value in row.items() if name != "number"} for row in rows)

    work = plain([found.work])[0] if found.work else None
    return replace(found, announced=(), witnesses=(), work=work, reviews=plain(found.reviews), others=plain(found.others),
                   related=plain(found.related), not_included={}, recorded_since=None, earlier=False)  # fmt: skip


@contextmanager
def tracker() -> Iterator[Witnesses]:
    folder = Path(tempfile.mkdtemp(prefix="ripples-"))
    try:
        yield Witnesses(folder)
    finally:
        shutil.rmtree(folder)


def final(order: Sequence[Event]) -> list[Event]:
    """The events that are so at the end, in an order of their own."""
    so: set[Event] = set()
    for event in order:
        so = toggled(so, event)
    return sorted(so, key=repr)


def compare(order: Sequence[Event], other_order: Sequence[Event], pauses: set[int], other_pauses: set[int]) -> None:
    with tracker() as one, tracker() as other, tracker() as scratch:
        one.play(order, pauses)
        other.play(other_order, other_pauses)
        scratch.play(final(order), set())
        found = [each.found() for each in (one, other, scratch)]
        for each, ripples in zip((one, other, scratch), found, strict=True):
            assert each.so == one.so
            assert {doi: shown(touched) for doi, touched in ripples.items()} == each.expected()
        first, *others = ({doi: timeless(touched) for doi, touched in ripples.items()} for ripples in found)
        for again in others:
            for doi in STUDIES:
                pairs = (
                    (field.name, getattr(first[doi], field.name), getattr(again[doi], field.name))
                    for field in fields(Ripple)
                )
                differ = {name: (this, that) for name, this, that in pairs if this != that}
                assert not differ, repr((doi, differ))
        with reading(one.db) as conn:
            announced = [
                row for row in read_queries.changes(conn, "2000-01-01") if row["what"] in ("notice", "notice-ended")
            ]
            ripple.add_touches(conn, announced, CONFIG.articles)
        for row in announced:
            if row["doi"] in found[0]:
                assert row["touches"] == touches(found[0][row["doi"]])


@pytest.mark.slow
def test_two_orders_of_the_same_notices_give_the_same_ripples() -> None:
    """A retraction stated by four witnesses of whom two fall silent; a reinstatement that goes; citations that come late."""
    order: list[Event] = [
        ("its record", 0, "retraction"), ("the notice", 0, "retraction"), ("Retraction Watch", 0, None), ("PubMed", 0, None),
        ("cites", 1, 0), ("cites", 2, 1), ("copy", 1, None), ("its record", 0, "reinstatement"), ("cites", 3, 0),
        ("the notice", 2, "correction"), ("PubMed", 3, None), ("its record", 0, "reinstatement"), ("PubMed", 3, None),
        ("its record", 0, "retraction"), ("the notice", 0, "retraction"),
    ]  # fmt: skip
    compare(order, order[::-1], {0, 5, 9}, {2, 6, 7, 12})


@pytest.mark.slow
@settings(max_examples=int(os.environ.get("EVIDENCE_HISTORIES", "25")))
@given(st.lists(events, max_size=14), st.randoms(use_true_random=False), st.sets(st.integers(0, 13), max_size=4),
       st.sets(st.integers(0, 13), max_size=4))  # fmt: skip
def test_what_a_work_touches_does_not_depend_on_the_order(
    order: list[Event], dice: Any, one: set[int], other: set[int]
) -> None:
    compare(order, dice.sample(order, len(order)), one, other)
