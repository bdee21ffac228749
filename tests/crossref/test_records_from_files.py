"""Files as a record source: every shape Crossref's records come in, and nothing unreadable passed over in silence."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evidence.crossref import entries_of_files, normalise, records_from_files
from evidence.crossref.entries_of_files import Unreadable, read_records, title_words
from evidence.crossref.records_from_files import ExpectedQuery, RecordFiles
from evidence.data_model import Doi, Message, Query
from evidence.errors import ConfigError
from evidence.rules import topic
from tests.builders import LIPSITZ, MALARIA, MARKOWITZ, STANGIER, message

QUERY = Query((("bibliographic", "interpersonal"),))


def lines(*messages: object) -> bytes:
    return b"".join(json.dumps(m).encode() + b"\n" for m in messages)


def kept(files: RecordFiles) -> list[Message]:
    """Every record that is kept, parsed; the digest is that of the record as it is stored."""
    found = [json.loads(record.text) for record in files.kept_records]
    assert [normalise.serialise(m) for m in found] == [(r.text, r.digest) for r in files.kept_records]
    return found


def about_ipt(_: object, title: str | None, __: str | None) -> bool:
    return "interpersonal psychotherapy" in (title or "").lower()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", lines(MARKOWITZ, STANGIER)),
        ("a.jsonl.gz", gzip.compress(lines(MARKOWITZ, STANGIER))),
        ("a.json", json.dumps({"items": [MARKOWITZ, STANGIER]}).encode()),
        ("a.json.gz", gzip.compress(json.dumps({"items": [MARKOWITZ, STANGIER]}, indent=1).encode())),
        ("a.json", json.dumps([MARKOWITZ, STANGIER], indent=2).encode()),
        ("a.json", json.dumps({"status": "ok", "message": {"items": [MARKOWITZ, STANGIER]}}).encode()),
        ("a.jsonl", lines({"status": "ok", "message": MARKOWITZ}, {"labels": [], "work": STANGIER})),
        ("a.txt", b"\n\n" + lines(MARKOWITZ) + b"\n" + lines(STANGIER)),
    ],
)
def test_every_shape_is_read(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert list(read_records(tmp_path / name)) == [MARKOWITZ, STANGIER]


def test_a_broken_line_is_kept_with_its_place_and_the_rest_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(lines(MARKOWITZ) + b'{"DOI": "10.5555/cut\n' + lines(7) + lines(STANGIER))
    found = list(read_records(file))
    assert [e for e in found if not isinstance(e, Unreadable)] == [MARKOWITZ, STANGIER]
    assert [e.where for e in found if isinstance(e, Unreadable)] == [f"{file}:2", f"{file}:3"]


@pytest.mark.parametrize("content", [b"not json", b"<html>\n</html>", b"\x00\x01\x02", b"7\n8\n"])
def test_what_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(ConfigError, match="not JSON"):
        list(read_records(tmp_path / "a.jsonl"))


def test_a_cut_gzip_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines(*[MARKOWITZ] * 50))[:-20])
    with pytest.raises(ConfigError, match="cut off or damaged"):
        list(read_records(tmp_path / "a.jsonl.gz"))
    with pytest.raises(ConfigError, match="cannot be read"):
        list(read_records(tmp_path / "none.jsonl"))
    (tmp_path / "empty.jsonl").write_bytes(b"")
    assert list(read_records(tmp_path / "empty.jsonl")) == []


def test_long_first_lines_are_told_from_the_beginning_of_a_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are not parsed for this."""
    monkeypatch.setattr(entries_of_files, "PART_BYTES", 20)
    pages, whole, rows = tmp_path / "pages.jsonl", tmp_path / "whole.json", tmp_path / "rows.json"
    pages.write_bytes(lines({"items": [MARKOWITZ, LIPSITZ]}, {"items": [STANGIER]}))
    whole.write_text(json.dumps([MARKOWITZ, LIPSITZ, STANGIER], indent=1))
    rows.write_text("[" + "\n,".join(map(json.dumps, (MARKOWITZ, LIPSITZ, STANGIER))) + "\n]")
    for file, places in ((pages, (":1", ":2")), (whole, ("",)), (rows, ("",))):
        assert list(read_records(file)) == [MARKOWITZ, LIPSITZ, STANGIER]
        assert [line.place for line in entries_of_files.lines_of([file])] == [f"{file}{place}" for place in places]


def test_a_file_of_one_line_is_a_document(tmp_path: Path) -> None:
    """It may be long, so it is parsed once, and its records are looked at one by one."""
    file = tmp_path / "page.json"
    file.write_bytes(b"\n" + lines({"message": {"items": [MARKOWITZ, {"title": ["No DOI"]}]}}))
    assert [(line.place, line.whole) for line in entries_of_files.lines_of([file])] == [(f"{file}:2", True)]
    with RecordFiles([file], everything=True) as files:
        assert [u.where for u in files.unreadable] == [f"{file}:2, entry 2"]
        assert kept(files) == [MARKOWITZ]


def test_only_what_is_asked_for_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(lines(MARKOWITZ, STANGIER, MALARIA, LIPSITZ))
    question = ExpectedQuery(QUERY, about_ipt)
    with RecordFiles([file], questions=[question], dois=[Doi(LIPSITZ["DOI"])]) as files:
        assert files.read_count == 4
        assert [m["DOI"] for m in kept(files)] == [MARKOWITZ["DOI"], STANGIER["DOI"], LIPSITZ["DOI"]]
        page = files.scan(QUERY)
        assert [m["DOI"] for m in page.items] == [MARKOWITZ["DOI"], STANGIER["DOI"]]
        assert page.complete
        (batch,) = files.lookup([Doi(LIPSITZ["DOI"]), Doi(MALARIA["DOI"])])
        assert [(f.requested, f.message is not None) for f in batch] == [
            (LIPSITZ["DOI"], True),
            (MALARIA["DOI"], False),
        ]


def test_a_citation_without_a_doi_finds_its_candidate(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(lines(MALARIA, MARKOWITZ, STANGIER))
    text = "Markowitz J, Weissman M. Interpersonal psychotherapy: past, present, and future. 2012;19(2):99-105."
    with RecordFiles([file], citations=[text]) as files:
        page = files.scan(Query((("bibliographic", text),), rows=20))
        assert [m["DOI"] for m in page.items] == [MARKOWITZ["DOI"]]


def test_of_two_records_under_one_doi_the_later_indexed_stands(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    late = message("10.5555/a", "Later", 2020, indexed={"date-time": "2026-05-05T00:00:00Z"})
    early = message("10.5555/A", "Earlier", 2020, indexed={"date-time": "2026-04-04T00:00:00Z"})
    for order in ([late, early], [early, late]):
        file.write_bytes(lines(*order))
        with RecordFiles([file], everything=True) as files:
            assert [m["title"] for m in kept(files)] == [["Later"]]


def test_half_a_surrogate_pair_costs_its_character_only(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(
        b'{"DOI": "10.5555/a", "title": ["Half \\ud83d here"]}\n{"DOI": "10.5555/b", "title": ["caf\xe9"]}\n'
    )
    with RecordFiles([file], everything=True) as files:
        assert [m["title"] for m in kept(files)] == [["Half \ufffd here"], ["caf\ufffd"]]


def test_records_without_a_doi_are_said(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(lines({"title": ["No DOI"]}, MARKOWITZ))
    with RecordFiles([file], everything=True) as files:
        assert [u.reason for u in files.unreadable] == ["the record has no DOI"]


def test_the_snapshot_is_bundled() -> None:
    (path,) = topic.load().snapshot()
    assert path.name == records_from_files.SNAPSHOT
    assert len(list(read_records(path))) > 400


def test_complaints_name_the_line_of_their_own_file(tmp_path: Path) -> None:
    one, two, three = (tmp_path / name for name in ("one.jsonl", "two.jsonl", "three.json"))
    one.write_bytes(lines(MARKOWITZ, STANGIER, {"title": ["No DOI"]}))
    two.write_bytes(b"\n\n" + lines(LIPSITZ) + b"\n{broken\n" + lines({"items": [MALARIA, {"title": ["No DOI"]}, 7]}))
    three.write_text(json.dumps([MARKOWITZ, {"title": ["No DOI"]}], indent=1))
    with RecordFiles([one, two, three], everything=True) as files:
        assert [u.where for u in files.unreadable] == [
            f"{one}:3", f"{two}:5", f"{two}:6, entry 2", f"{two}:6, entry 3", f"{three}, entry 2",
        ]  # fmt: skip
        assert files.read_count == 10


def test_more_can_be_wanted_after_a_look_at_what_was_kept(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(lines(MARKOWITZ, STANGIER, {"title": ["No DOI"]}, MALARIA, LIPSITZ))
    with RecordFiles([file], dois=[Doi(LIPSITZ["DOI"])]) as files:
        files.keep_also([Doi(STANGIER["DOI"])], ["Interpersonal psychotherapy: past, present, and future"])
        assert [m["DOI"] for m in kept(files)] == [LIPSITZ["DOI"], MARKOWITZ["DOI"], STANGIER["DOI"]]
        assert (files.read_count, len(files.unreadable)) == (5, 1)
        page = files.scan(Query((("bibliographic", "psychotherapy: past, present, and future"),), rows=20))
        assert page.items[0]["DOI"] == MARKOWITZ["DOI"]


WORD = st.sampled_from(
    ["anxiety", "depression", "grief", "group", "interpersonal", "trial", "women", "2012", "of", "J"]
)
TITLE = st.lists(WORD, max_size=9).map(" ".join)


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TITLE, max_size=12), st.lists(TITLE, max_size=6), st.integers(1, 5))
def test_the_index_finds_what_looking_at_every_record_finds(
    tmp_path: Path, titles: list[str], citations: list[str], rows: int
) -> None:
    """Records under a few DOIs, so that some replace others."""
    file = tmp_path / "a.jsonl"
    file.write_bytes(lines(*(message(f"10.5555/{n % 8}", title, 2000) for n, title in enumerate(titles))))
    texts = [title_words(c) for c in citations]
    with RecordFiles([file], citations=citations) as files:
        meant = {
            f"10.5555/{n % 8}"
            for n, words in enumerate(map(title_words, titles))
            if words and any(len(words & text) >= 0.8 * len(words) for text in texts)
        }
        assert {m["DOI"] for m in kept(files)} == meant
    with RecordFiles([file], everything=True) as files:
        for citation, text in zip(citations, texts, strict=True):
            ranked = []
            for record in kept(files):
                words = title_words(str(record["title"][0]))
                if shared := len(words & text):
                    ranked.append((-(shared / len(words) + shared / 100), record["DOI"]))
            page = files.scan(Query((("bibliographic", citation),), rows=rows))
            assert [(-m["score"], m["DOI"]) for m in page.items] == sorted(ranked)[:rows]
            assert page.ranks == tuple((m["DOI"], m["score"]) for m in page.items[:])


VOCABULARY = [f"word{letter}{other}" for letter in "abcdefghijklmnop" for other in "abcdefghijklmnop"]


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 700),
    st.sampled_from([3, 40, len(VOCABULARY)]),
    st.sampled_from([0.0, 1.0, 2.0]),
    st.integers(1, 25),
    st.integers(0, 2**32),
)
def test_the_best_titles_are_those_of_scoring_every_one(
    records: int, vocabulary: int, skew: float, rows: int, seed: int
) -> None:
    """Few words are in most titles and most words in few. Titles repeat, so scores are equal; some have no words; some records
    are dropped, and some come or go after the first question."""
    chance = random.Random(seed)
    weights = [1 / rank**skew for rank in range(1, vocabulary + 1)]

    def drawn(most: int) -> frozenset[str]:
        return frozenset(chance.choices(VOCABULARY[:vocabulary], weights, k=chance.randint(0, most)))

    index = records_from_files._Titles()
    live: dict[int, tuple[str, frozenset[str]]] = {}

    def drop_one() -> None:
        number = chance.choice(list(live))
        index.drop(number)
        del live[number]

    for part in (records, records // 3):
        for _ in range(part):
            _, words = chance.choice(list(live.values())) if live and chance.random() < 0.2 else ("", drawn(12))
            doi = f"10.5555/{chance.randrange(10**6)}.{len(index.dois)}"
            live[index.add(Doi(doi), words)] = doi, words
            if chance.random() < 0.1:
                drop_one()
        for _ in range(5):
            if live and chance.random() < 0.3:
                drop_one()
            wanted = drawn(30) | {"strange"}
            scored = (
                (-(shared / len(words) + shared / 100), doi)
                for doi, words in live.values()
                if (shared := len(words & wanted))
            )
            assert [(-score, doi) for doi, score in index.best(wanted, rows)] == sorted(scored)[:rows]
