"""People's decisions over months: they hold for the work, whichever DOI it is kept under, and none is silently ignored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from evidence import current_decisions, strict_yaml
from evidence.data_model import SAME_WORK, Decision, Doi, Message
from evidence.database import read_queries
from evidence.database.connection import reading
from evidence.database.read_decisions import read_ledger
from evidence.database.writer import open_store
from evidence.errors import ConfigError
from evidence.harvest import rejudge, sources
from evidence.harvest.locked_run import rejudge_database
from evidence.harvest.progress import NoProgress
from evidence.harvest.run_outcome import Outcome
from evidence.harvest.sync import sync
from evidence.review import decisions_csv
from evidence.review.record_decision import add_decisions, import_decisions
from evidence.rules.taxonomy import Taxonomy
from tests.builders import LIPSITZ, MALARIA, MARKOWITZ, SMALL_YAML, STANGIER, WORKS, FakeRecordSource, tagging, texts

Clock = Callable[[], datetime]
DOI = Doi(str(STANGIER["DOI"]))
COPY = Doi("10.5555/stangier.again")
TWIN: Message = {**STANGIER, "DOI": COPY, "URL": f"https://doi.org/{COPY}"}
CONFIG = sources.check(strict_yaml.parse(SMALL_YAML, "s.yaml"))


class Review:
    """One copy of a review: a database, a ledger, and the rules and clock of its program."""

    def __init__(self, folder: Path, book: Taxonomy, clock: Clock) -> None:
        folder.mkdir(exist_ok=True)
        self.db, self.ledger, self.book, self.clock = folder / "evidence.db", folder / "decisions.db", book, clock

    def sync(self, *messages: Message) -> Outcome:
        with open_store(self.db) as store:
            return sync(CONFIG, store, FakeRecordSource(messages or WORKS), self.book, now=self.clock, full=True)

    def decide(self, doi: str, verdict: str | None = None, by: str = "A", **more: object) -> tuple[Decision, ...]:
        words, _ = add_decisions(
            self.db, self.ledger, self.book, self.clock, Doi(doi), verdict,  # type: ignore[arg-type]
            more.get("tags", ()), more.get("untags", ()), "why", by, withdrawn=more.get("withdrawn", ()),  # type: ignore[arg-type]
        )  # fmt: skip
        return words

    def judge(self) -> int:
        return rejudge_database(self.db, self.ledger, self.book, self.clock)[0]

    def verdicts(self) -> dict[str, tuple[str, str | None]]:
        with reading(self.db) as conn:
            return {
                doi: (verdict, same) for doi, verdict, same in conn.execute("select doi, verdict, same_as from works")
            }

    def conflict(self, doi: str) -> str | None:
        with reading(self.db) as conn:
            (found,) = conn.execute("select conflict from works where doi = ?", (doi,)).fetchone()
        return str(found) if found else None


@pytest.fixture
def review(tmp_path: Path, book: Taxonomy, clock: Clock) -> Review:
    return Review(tmp_path / "a", book, clock)


def test_a_second_doi_of_an_excluded_work_is_excluded_with_it(review: Review) -> None:
    review.sync()
    review.decide(DOI, "exclude")
    review.sync(*WORKS, TWIN)
    found = review.verdicts()
    assert sorted((found[DOI], found[COPY]), key=repr) in (
        [("duplicate", COPY), ("exclude", None)],
        [("duplicate", DOI), ("exclude", None)],
    )
    assert (review.sync(*WORKS, TWIN).rejudged, review.judge()) == (0, 0)  # and it stays so


def test_a_decision_on_the_copy_holds_for_the_record_that_counts(review: Review) -> None:
    review.sync(*WORKS, TWIN)
    (hidden,) = (doi for doi, (verdict, _) in review.verdicts().items() if verdict == "duplicate")
    review.decide(hidden, "exclude")
    assert {verdict for doi, (verdict, _) in review.verdicts().items() if doi in (DOI, COPY)} == {
        "exclude",
        "duplicate",
    }
    review.decide(hidden, withdrawn=[None])
    assert {verdict for doi, (verdict, _) in review.verdicts().items() if doi in (DOI, COPY)} == {
        "include",
        "duplicate",
    }


def test_different_decisions_on_two_records_that_are_one_work_are_a_conflict(review: Review) -> None:
    apart: dict[str, Message] = {"volume": "1", "page": "5-9", "title": ["Interpersonal psychotherapy, a note"]}  # type: ignore[dict-item]
    review.sync(*WORKS, {**TWIN, **apart, "issued": {"date-parts": [[1999]]}})
    review.decide(DOI, "include")
    review.decide(COPY, "exclude")
    assert review.conflict(DOI) is None
    with open_store(review.db) as store:  # the record is corrected: now it is plainly the same work
        sync(CONFIG, store, FakeRecordSource([*WORKS, {**TWIN, "indexed": {"date-time": "2026-11-24T00:00:00Z"}}]), review.book,
             now=review.clock)  # fmt: skip
    (stands,) = (
        doi for doi, (verdict, _) in review.verdicts().items() if doi in (DOI, COPY) and verdict != "duplicate"
    )
    assert "decided twice on this work" in (review.conflict(stands) or "")
    review.decide(stands, "exclude", by="A")  # having seen both
    assert review.conflict(stands) is None


def test_apart_is_never_bridged_by_a_third_record(review: Review) -> None:
    third: Message = {**STANGIER, "DOI": "10.5555/third", "URL": "https://doi.org/10.5555/third"}
    review.sync(*WORKS, TWIN, third)
    review.decide(DOI, untags=[(SAME_WORK, COPY)])
    found = review.verdicts()
    one_work = [{doi, same} for doi, (_, same) in found.items() if same]
    assert one_work and {DOI, COPY} not in one_work
    heads = {doi: same or doi for doi, (_, same) in found.items()}
    assert heads[DOI] != heads[COPY]
    review.decide("10.5555/third", tags=[(SAME_WORK, DOI)])
    review.decide("10.5555/third", tags=[(SAME_WORK, COPY)])
    heads = {doi: same or doi for doi, (_, same) in review.verdicts().items()}
    assert heads[DOI] != heads[COPY]


def without(book: Taxonomy, facet: str, value: str) -> Taxonomy:
    """The rules as they are once a value has left the taxonomy."""
    facets = tuple(
        replace(f, values=tuple(v for v in f.values if (f.facet, v.id) != (facet, value))) for f in book.facets
    )
    return replace(book, facets=facets, digest="f" * 16)


def test_a_tag_whose_value_left_the_taxonomy_is_kept_and_shown_and_harms_nothing(
    review: Review, book: Taxonomy
) -> None:
    review.sync()
    review.decide(DOI, tags=[("outcome", "cost")])
    review.book = without(book, "outcome", "cost")
    assert review.judge() > 0
    assert "outcome:cost: this value no longer exists" in (review.conflict(DOI) or "")
    with reading(review.db) as conn:
        assert conn.execute("select * from facets where facet = 'outcome' and value = 'cost'").fetchall() == []
        assert conn.execute("select * from tags where value = 'cost'").fetchall() == []
    with pytest.raises(ConfigError, match="outcome has no 'cost'"):
        review.decide(DOI, tags=[("outcome", "cost")])
    review.db.unlink()  # rebuilt from nothing
    review.sync()
    assert "no longer exists" in (review.conflict(DOI) or "")
    review.decide(DOI, withdrawn=[("outcome", "cost")])
    assert review.conflict(DOI) is None


def test_the_same_decision_twice_is_one(review: Review) -> None:
    review.sync()
    assert len(review.decide(DOI, "include")) == 1
    assert review.decide(DOI, "include") == ()
    assert len(read_ledger(review.ledger)) == 1
    review.decide(DOI, withdrawn=[None])
    assert len(review.decide(DOI, "include")) == 1  # after it was undone it says something again
    assert len({current_decisions.decision_id(d) for d in read_ledger(review.ledger)}) == 3


def test_the_same_decision_after_a_colleague_decided_otherwise_counts(review: Review) -> None:
    """It is no repetition: who decides it has seen what the colleague said, and holds to it."""
    review.sync()
    assert len(review.decide(DOI, "include", by="A")) == len(review.decide(DOI, "exclude", by="B")) == 1
    assert review.verdicts()[DOI] == ("exclude", None)
    assert len(review.decide(DOI, "include", by="A")) == 1
    assert review.verdicts()[DOI] == ("include", None)
    assert review.decide(DOI, "include", by="A") == ()


def test_decisions_follow_the_work_to_another_database_and_what_finds_no_work_is_named(
    review: Review, tmp_path: Path, book: Taxonomy, clock: Clock
) -> None:
    review.sync(*WORKS, TWIN)
    review.decide(DOI, "exclude")
    elsewhere = Review(tmp_path / "b", book, clock)
    elsewhere.sync(MARKOWITZ)
    words = read_ledger(review.ledger)
    assert import_decisions(elsewhere.db, elsewhere.ledger, book, clock, words) == 1
    assert import_decisions(elsewhere.db, elsewhere.ledger, book, clock, words) == 0
    with reading(elsewhere.db) as conn:
        assert read_queries.decided_but_not_here(conn) == [DOI]
    elsewhere.sync(*WORKS)
    assert elsewhere.verdicts()[DOI][0] == "exclude"
    with reading(elsewhere.db) as conn:
        assert read_queries.decided_but_not_here(conn) == []


def test_two_copies_that_exchange_their_ledgers_show_the_same(
    review: Review, tmp_path: Path, book: Taxonomy, clock: Clock
) -> None:
    other = Review(tmp_path / "b", book, clock)
    review.sync()
    other.sync()
    review.decide(DOI, "exclude", by="A")
    other.decide(DOI, "include", by="A")
    other.decide(DOI, tags=[("outcome", "cost")], by="B")
    mine, theirs = read_ledger(review.ledger), read_ledger(other.ledger)
    import_decisions(review.db, review.ledger, book, clock, theirs)
    import_decisions(other.db, other.ledger, book, clock, mine)
    assert review.verdicts() == other.verdicts()
    assert review.conflict(DOI) == other.conflict(DOI)
    assert "decided twice" in (review.conflict(DOI) or "")
    stands = review.verdicts()[DOI][0]
    review.decide(DOI, stands, by="A")  # the same again, but having seen the other
    assert (review.conflict(DOI), review.verdicts()[DOI][0]) == (None, stands)


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("made_at", "31/12/2019", "is not an ISO time"),
        ("made_at", "yesterday", "is not an ISO time"),
        ("value", "not a doi", "is not a valid DOI"),
        ("reason", "another", "was changed after it was exported"),
    ],
)
def test_an_imported_line_that_makes_no_sense_is_named(tmp_path: Path, column: str, value: str, problem: str) -> None:
    pair = tagging(DOI, SAME_WORK, COPY, by="A")
    cells = dict(zip(decisions_csv.COLUMNS, next(decisions_csv.csv_rows([pair])), strict=True)) | {column: value}
    file = tmp_path / "d.csv"
    file.write_text(",".join(decisions_csv.COLUMNS) + "\n" + ",".join(cells.values()) + "\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"d\.csv:2: .*{problem}"):
        decisions_csv.read_csv(file)


def test_a_csv_of_decisions_reads_back_as_it_was(tmp_path: Path, review: Review) -> None:
    review.sync()
    review.decide(DOI, "exclude")
    review.decide(DOI, "include", by="B")
    words = read_ledger(review.ledger)
    file = tmp_path / "d.csv"
    lines = [decisions_csv.COLUMNS, *decisions_csv.csv_rows(words)]
    file.write_text("\n".join(",".join(line) for line in lines), encoding="utf-8")
    assert tuple(decisions_csv.read_csv(file)) == words
    assert any(word.seen for word in words)


def test_judging_again_settles_in_one_run(review: Review) -> None:
    review.sync(*WORKS, TWIN)
    review.decide(COPY, "exclude")
    with open_store(review.db) as store:
        assert rejudge.rejudge_and_deduplicate(store, review.book, 1, NoProgress(), moved=True) == (0, 0)


def test_a_decision_on_a_ledger_that_was_restored_shows_at_once(review: Review) -> None:
    """The restored ledger gives the numbers of the decisions that it does not have again."""
    review.sync()
    review.decide(DOI, "include")
    older = read_ledger(review.ledger)
    backup = review.ledger.read_bytes()
    review.decide(str(MARKOWITZ["DOI"]), "exclude")
    review.ledger.write_bytes(backup)
    review.decide(DOI, "exclude")
    assert (review.verdicts()[DOI][0], len(read_ledger(review.ledger))) == ("exclude", len(older) + 1)
    assert review.verdicts()[str(MARKOWITZ["DOI"])][0] == "include"  # nobody has said anything of it any more


def test_a_withdrawal_on_another_copy_is_a_conflict(
    review: Review, tmp_path: Path, book: Taxonomy, clock: Clock
) -> None:
    """A decision, and the withdrawal of another one by somebody who did not know of it: both are reported."""
    other = Review(tmp_path / "b", book, clock)
    for copy in (review, other):
        copy.sync()
    review.decide(DOI, "exclude")
    other.decide(DOI, "include")
    other.decide(DOI, withdrawn=[None])
    words = read_ledger(other.ledger)
    import_decisions(review.db, review.ledger, book, clock, words)
    assert "exclude" in (review.conflict(DOI) or "") and "withdraw" in (review.conflict(DOI) or "")


def test_a_pair_that_was_withdrawn_on_another_copy_waits_for_a_person(
    review: Review, tmp_path: Path, book: Taxonomy, clock: Clock
) -> None:
    other = Review(tmp_path / "b", book, clock)
    pair = [(SAME_WORK, str(MARKOWITZ["DOI"]))]
    for copy in (review, other):
        copy.sync()
    review.decide(DOI, tags=pair)
    other.decide(DOI, tags=pair)
    other.decide(DOI, withdrawn=pair)
    import_decisions(review.db, review.ledger, book, clock, read_ledger(other.ledger))
    with reading(review.db) as conn:
        (waiting,) = read_queries.pairs_to_check(conn)
    assert "A: said that they are one work, and took that back" in waiting["reason"]


def test_a_later_decision_counts_though_two_records_are_two_works_again(review: Review) -> None:
    """Its reviewer had seen the first decision by way of the second, which is now on another work."""
    ticks, day = review.clock, [29]
    review.clock = lambda: ticks().replace(day=day[0])
    review.sync(*WORKS, TWIN)
    (hidden,) = (doi for doi, (verdict, _) in review.verdicts().items() if verdict == "duplicate")
    stands = ({DOI, COPY} - {Doi(hidden)}).pop()
    review.decide(stands, "include")
    day[0] = 28
    review.decide(hidden, "unsure")
    day[0] = 25  # a clock that is days behind
    review.decide(stands, "exclude")
    review.decide(DOI, untags=[(SAME_WORK, COPY)], by="B")
    found = review.verdicts()
    assert (found[stands][0], found[hidden][0]) == ("exclude", "unsure")


def decided_pair(review: Review, one: str, other: str) -> tuple[str, str]:
    with reading(review.db) as conn:
        first, second = sorted((one, other))
        return read_queries.pairs_decided_by_people(conn)[first, second]


def test_the_reason_of_a_pair_names_what_it_overrules_and_why_it_is_not_joined(review: Review) -> None:
    excluded, third = str(MALARIA["DOI"]), str(MARKOWITZ["DOI"])
    with open_store(review.db) as store:
        sync(CONFIG, store, FakeRecordSource(WORKS), review.book, now=review.clock, full=True, take=texts([MALARIA]))
    review.decide(DOI, tags=[(SAME_WORK, excluded)])
    assert decided_pair(review, DOI, excluded) == ("same", f"A: why (Not joined: {excluded} is excluded.)")
    assert review.judge() == 0  # and it stays so
    review.decide(DOI, tags=[(SAME_WORK, third)])
    review.decide(DOI, untags=[(SAME_WORK, third)], by="B")
    assert decided_pair(review, DOI, third) == ("apart", "B: why (People disagree: A: one work.)")
    between = str(LIPSITZ["DOI"])
    review.decide(DOI, tags=[(SAME_WORK, between)])
    review.decide(between, tags=[(SAME_WORK, third)])
    said = [decided_pair(review, between, doi) for doi in (DOI, third)]
    assert {verdict for verdict, _ in said} == {"same"}
    assert sum("(Not joined: " in reason and "two works, as people decided" in reason for _, reason in said) == 1


def test_a_pair_of_which_one_record_is_not_here_is_listed(
    review: Review, tmp_path: Path, book: Taxonomy, clock: Clock
) -> None:
    other = Review(tmp_path / "b", book, clock)
    review.sync(*WORKS, TWIN)
    review.decide(DOI, untags=[(SAME_WORK, COPY)])
    other.sync()
    import_decisions(other.db, other.ledger, book, clock, read_ledger(review.ledger))
    with reading(other.db) as conn:
        assert read_queries.decided_but_not_here(conn) == [COPY]
        assert len(conn.execute("select * from decisions_without_work").fetchall()) == 1


def test_a_database_that_is_made_anew_asks_for_every_work_that_was_decided_on(review: Review) -> None:
    """No source leads to the one any more, and of the other an old DOI is all that the decisions know."""
    with open_store(review.db) as store:
        sync(
            CONFIG,
            store,
            FakeRecordSource([*WORKS, TWIN]),
            review.book,
            now=review.clock,
            full=True,
            take=texts([MALARIA]),
        )
    review.decide(str(MALARIA["DOI"]), "include")
    review.decide(COPY, "exclude")
    review.db.unlink()
    with open_store(review.db) as store:
        crossref = FakeRecordSource(WORKS)
        crossref.aliases[COPY] = DOI
        sync(CONFIG, store, crossref, review.book, now=review.clock)
    found = review.verdicts()
    assert (found[str(MALARIA["DOI"])][0], found[DOI][0]) == ("include", "exclude")
    with reading(review.db) as conn:
        assert read_queries.decided_but_not_here(conn) == []


def test_records_that_were_set_apart_and_are_one_record_now_are_a_conflict(review: Review) -> None:
    review.sync(*WORKS, TWIN)
    review.decide(DOI, untags=[(SAME_WORK, COPY)])
    with open_store(review.db) as store:
        crossref = FakeRecordSource(WORKS)
        crossref.aliases[COPY] = DOI
        sync(CONFIG, store, crossref, review.book, now=review.clock, full=True)
    assert f"{COPY} are two works: both DOIs lead to one record now" in (review.conflict(DOI) or "")
    assert review.judge() == 0
    apart = review.conflict(DOI) or ""
    review.decide(DOI, "include", by="A")
    review.decide(DOI, "exclude", by="B")
    disagree = "People disagree on this work (A: include, B: exclude)."
    assert review.conflict(DOI) == f"{apart} {disagree}"  # one conflict does not hide the other
    review.decide(DOI, withdrawn=[(SAME_WORK, COPY)])
    assert review.conflict(DOI) == disagree
    review.decide(DOI, "include", by="B")
    assert review.conflict(DOI) is None


def test_a_pair_may_be_named_by_an_old_doi(review: Review) -> None:
    review.sync(*WORKS, TWIN)
    with open_store(review.db) as store:
        crossref = FakeRecordSource(WORKS)
        crossref.aliases[COPY] = DOI
        sync(CONFIG, store, crossref, review.book, now=review.clock, full=True)
    (word,) = review.decide(str(MARKOWITZ["DOI"]), tags=[(SAME_WORK, COPY)])
    assert word.value == DOI
    assert {same for doi, (_, same) in review.verdicts().items() if doi in (DOI, MARKOWITZ["DOI"])} - {None}
    with pytest.raises(ConfigError, match="no other work"):
        review.decide(DOI, tags=[(SAME_WORK, COPY)])


def test_a_repeated_decision_shows_in_a_restored_harvest(review: Review) -> None:
    review.sync()
    backup = review.db.read_bytes()
    review.decide(DOI, "exclude")
    review.db.write_bytes(backup)
    assert review.decide(DOI, "exclude") == ()
    assert review.verdicts()[DOI][0] == "exclude"
