"""Records of files judged by other processes: the database is the one that a single process makes."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from evidence.crossref import entries_of_files
from evidence.crossref.entries_of_files import RawLine
from evidence.data_model import Doi, Message
from evidence.database.writer import Store, open_store
from evidence.harvest import reader_processes, standing_searches
from evidence.harvest import rejudge as rejudge_module
from evidence.harvest.judge_records import RecordToJudge
from evidence.harvest.locked_run import FileInput, record_files, rejudge_database, run_sync
from evidence.harvest.progress import NoProgress
from evidence.harvest.read_ahead import look_ahead
from evidence.harvest.reader_processes import Reader
from evidence.harvest.sources import Config
from evidence.rules import topic
from evidence.rules.taxonomy import Taxonomy
from tests.builders import MALARIA, MARKOWITZ, STANGIER, decision, message
from tests.edited_topic import add, edited
from tests.killing import dumped

SAMPLES = Path(__file__).parents[1] / "samples"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
NOWHERE = Config(None, (), (), ())
PROCESSES = (0, 2)
STUDY, RETRACTION, PREPRINT = "10.5555/study", "10.5555/retraction", "10.5555/preprint"


def notice(doi: str, about: str, title: str = "Retraction: Interpersonal psychotherapy at sea") -> Message:
    return message(doi, title, 2021, **{"update-to": [{"DOI": about, "type": "retraction", "label": "Retraction"}]})


def records() -> list[Message]:
    """Bundled records with abstracts made of their titles, real records with every oddity, and notices before and after what
    they are about."""
    lines = gzip.decompress(topic.load().records_path.read_bytes()).decode().splitlines()[:100]
    found = [json.loads(line) for line in lines]
    for number, record in enumerate(found[::2]):
        titles = [other["title"][0] for other in found[number : number + 6]]
        record["abstract"] = f"<jats:p>{'. '.join(titles)}.</jats:p>"
    odd = [json.loads(line) for line in (SAMPLES / "crossref-works.jsonl").read_text(encoding="utf-8").splitlines()]
    return [
        notice(RETRACTION, STUDY),
        *found,
        message(STUDY, "Interpersonal psychotherapy at sea", 2019),
        *(record.get("work", record) for record in odd[:100]),
        message(PREPRINT, "Interpersonal psychotherapy on land", 2018, number=2**70, huge=float("nan")),
        notice("10.5555/second", PREPRINT, "Interpersonal psychotherapy on land"),
    ]


def changed(all_records: Sequence[Message]) -> list[Message]:
    """The records of a later day: some as they were, some with other texts, some twice, one that cannot be understood."""
    later = []
    for number, record in enumerate(all_records):
        copy: Any = json.loads(json.dumps(record))
        if number % 3 == 0 and copy.get("title"):
            copy["title"] = [f"{copy['title'][0]}: interpersonal psychotherapy for adolescents"]
        later += [record, copy] if number % 7 == 0 else [copy]
    return [*later, message("10.5555/broken", "", 2020) | {"title": {"not": "a title"}}]


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets how many other processes there are, for runs of any size; counts the records that they judged (`made`), those
    that they were asked about and that this process judged (`here`), and the lines of files that they looked at (`looked`)."""
    others = Counter[str]()
    answer = reader_processes._Process.answer

    def counted(self: Any, question: Any, works: Sequence[Any]) -> list[Any]:
        found: list[Any] = answer(self, question, works)
        others["looked" if question is Reader.looked else "made"] += judged_of(works)
        return found

    def judged_of(works: Sequence[Any]) -> int:
        """How many of the works are judged, and not only read; of lines, all."""
        if isinstance(works[0], RecordToJudge) or isinstance(works[0][0], RawLine):
            return len(works)
        return sum(new for _, new in works)

    def counted_here(name: str) -> None:
        asked = getattr(Reader, name)

        def here(reader: Reader, works: Sequence[Any]) -> list[Any]:
            others["here"] += judged_of(works)
            return asked(reader, works)  # type: ignore[no-any-return]

        here.__name__ = name
        monkeypatch.setattr(Reader, name, here)

    counted_here("made")
    counted_here("told")
    monkeypatch.setattr(reader_processes._Process, "answer", counted)
    monkeypatch.setattr(reader_processes, "CHUNK", 9)
    monkeypatch.setattr(reader_processes, "FROM_RECORDS", 1)
    monkeypatch.setattr(rejudge_module, "JUDGE_PART", 25)
    monkeypatch.setattr(standing_searches, "PART", 25)
    monkeypatch.setattr(entries_of_files, "PART_LINES", 25)

    def use(number: int) -> Counter[str]:
        monkeypatch.setattr(reader_processes, "_processes", lambda: number)
        others.clear()
        return others

    return use


FILES = (
    "".join(json.dumps(record) + "\n" for record in records()[::2]),
    # Lines that hold several records, that are no records, and that are broken.
    "\n".join(
        [
            json.dumps({"message": {"items": records()[1::2]}}),
            "",
            '{"DOI": "10.5555/cut',
            "7",
            '[{"title": ["No DOI"]}]',
        ]
    ),
    json.dumps({"items": [MARKOWITZ, STANGIER, *records()[5:60:3]]}, indent=1),
    "".join(json.dumps(record) + "\n" for record in [*changed(records())[::5], MALARIA]),
)


@pytest.mark.slow
@pytest.mark.parametrize("everything", [False, True])
def test_files_are_looked_at_by_several_processes_as_by_one(
    tmp_path: Path, small: Config, book: Taxonomy, processes: Any, everything: bool
) -> None:
    """With searches and a list of references, so that some records are wanted for what they are, and some only because others
    name them."""
    paths = tuple(tmp_path / f"{number}.json" for number in range(len(FILES)))
    for path, text in zip(paths, FILES, strict=True):
        path.write_text(text, encoding="utf-8")
    found = []
    for number in PROCESSES:
        folder = tmp_path / str(number)
        folder.mkdir()
        db, ledger = folder / "evidence.db", folder / "decisions.db"
        counts = processes(number)
        files = FileInput("files", paths, everything)
        for _ in range(2):  # the second time many are wanted because they are known
            outcome = run_sync(db, ledger, small, book, lambda: NOW, NoProgress(), files=files)
        assert counts["looked"] == 0 if not number else counts["looked"] > len(records())
        found.append((set(dumped(db)), outcome.read))
    assert sorted(found[0][0] ^ found[1][0]) == []
    assert found[0][1] == found[1][1] == outcome.read
    assert outcome.read is not None
    assert outcome.read > len(records())


@pytest.mark.parametrize(("lines", "length", "started"), [(30, 10, 0), (30, 200_000, 1), (600, 10, 1)])
def test_processes_are_started_for_many_lines_and_for_long_ones(
    book: Taxonomy, monkeypatch: pytest.MonkeyPatch, lines: int, length: int, started: int
) -> None:
    monkeypatch.setattr(reader_processes, "_processes", lambda: 1)
    record = json.dumps(message(STUDY, "x" * length, 2020)).encode()
    found = entries_of_files.parts_of(RawLine(str(number), record) for number in range(lines))
    with reader_processes.RecordReaders(book) as readers:
        looked = [one for part in look_ahead(found, readers, True) for line in part for one in line]
        assert readers.for_records(1).others == started
        whole = RawLine("whole", json.dumps([json.loads(record)] * 30).encode(), whole=True)
        (again,) = look_ahead([[whole]], readers, True)
        looked += [one for line in again for one in line]
    assert [one.doi for one in looked] == [STUDY] * (lines + 30)


def test_the_processes_end_when_all_files_are_read(
    tmp_path: Path, small: Config, book: Taxonomy, processes: Any
) -> None:
    """Unless all records are taken afterwards."""
    processes(1)
    file = tmp_path / "a.jsonl"
    file.write_text(FILES[0], encoding="utf-8")
    with open_store(tmp_path / "evidence.db") as store, reader_processes.RecordReaders(book) as readers:
        for everything in (False, True):
            with record_files(FileInput("files", (file,), everything), small, store, readers):
                assert readers.running == everything


def sync(folder: Path, name: str, of: Sequence[Message], book: Taxonomy) -> int:
    """Take these records into the database of the folder, as `evidence sync --from` does; returns how many works were judged
    again after they had been written."""
    file = folder.parent / f"{name}.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in of), encoding="utf-8")
    files = FileInput(name, (file,), everything=True)
    db, ledger = folder / "evidence.db", folder / "decisions.db"
    return run_sync(db, ledger, NOWHERE, book, lambda: NOW, NoProgress(), files=files).rejudged


@pytest.mark.slow
def test_several_processes_leave_the_same_database_as_one(tmp_path: Path, book: Taxonomy, processes: Any) -> None:
    first = records()
    found: list[list[set[str]]] = []
    for number in PROCESSES:
        folder = tmp_path / str(number)
        folder.mkdir()
        db = folder / "evidence.db"
        states = []
        judged = processes(number)
        sync(folder, "first", first, book)
        states.append(set(dumped(db)))
        assert judged["made"] == 0 if not number else judged["made"] > 0
        assert not number or judged["made"] + judged["here"] > len(first) // 2
        with open_store(db, folder / "decisions.db") as store:
            store.append_decisions([decision(STUDY, "include"), decision(str(first[20]["DOI"]), "exclude")])
        judged = processes(number)
        sync(folder, "later", changed(first), book)
        states.append(set(dumped(db)))
        assert judged["made"] == 0 if not number else judged["made"] > 0
        assert judged["made"] + judged["here"] < len(first)
        found.append(states)
    for one, several in zip(*found, strict=True):
        assert sorted(one ^ several) == []


@pytest.mark.slow
def test_works_judged_again_by_several_processes(tmp_path: Path, book: Taxonomy, processes: Any) -> None:
    first = records()
    after = edited(tmp_path / "rules", format=add("group", "words", "adolescen*"))
    found = []
    for number in PROCESSES:
        folder = tmp_path / str(number)
        folder.mkdir()
        db, ledger = folder / "evidence.db", folder / "decisions.db"
        processes(0)
        sync(folder, "first", first, book)
        with open_store(db, ledger) as store:
            store.append_decisions([decision(STUDY, "include")])
            with store.conn:
                store.conn.execute("update works set basis = 'program of before'")  # every work is judged whole
        judged = processes(number)
        count, _ = rejudge_database(db, ledger, after, lambda: NOW)
        assert count > len(first) // 2
        assert judged["made"] == 0 if not number else judged["made"] > 0
        assert judged.total() == count
        found.append(set(dumped(db)))
    assert sorted(found[0] ^ found[1]) == []


def test_a_notice_that_shows_itself_meanwhile_is_judged_as_one(
    tmp_path: Path, book: Taxonomy, processes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between asking and writing, other works are written: they may show that a record is a notice."""
    processes(0)
    sync(
        tmp_path, "first", [message(STUDY, "Interpersonal psychotherapy at sea", 2019), notice(RETRACTION, STUDY)], book
    )
    asked = Counter[str]()
    known = Store.notice_targets

    def not_known_at_first(self: Store, dois: Sequence[Doi]) -> dict[Doi, tuple[tuple[str, Doi], ...]]:
        asked.update(dois)
        return known(self, dois) if asked[RETRACTION] > 1 else {Doi(RETRACTION): ()}

    monkeypatch.setattr(Store, "notice_targets", not_known_at_first)
    with open_store(tmp_path / "evidence.db", tmp_path / "decisions.db") as store:
        with store.conn:
            store.conn.execute("update works set basis = 'program of before'")
        rejudge_module.rejudge_stale(store, book, 1, {}, NoProgress())
        found = store.conn.execute("select notice_of, why from works where doi = ?", (RETRACTION,)).fetchone()
    assert found == (
        f"retraction:{STUDY}",
        f"This is a notice (retraction) about {STUDY}, not the study itself.",
    )


@pytest.mark.parametrize("number", PROCESSES)
def test_what_others_made_is_not_used_where_a_person_decided(
    tmp_path: Path, book: Taxonomy, processes: Any, number: int
) -> None:
    """Other processes do not know the decision."""
    processes(number)
    db, ledger = tmp_path / "evidence.db", tmp_path / "decisions.db"
    with open_store(db, ledger) as store:
        store.append_decisions([decision(STUDY, "exclude")])
    rejudged = sync(
        tmp_path, "first", [message(STUDY, "Interpersonal psychotherapy at sea", 2019), *records()[1:5]], book
    )
    assert rejudged == 0
    with open_store(db, ledger) as store:
        found = store.conn.execute("select verdict, decided from works where doi = ?", (STUDY,)).fetchone()
    assert found == ("exclude", "person")
