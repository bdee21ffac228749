"""The measure of duplicate finding: it counts pairs, names the wrong and the missed, and says what it cannot read."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest

from evidence.errors import ConfigError
from evidence.evaluation.duplicate_accuracy import GOLD, RECORDS, Result, evaluate, evaluate_file, read_records, render

HEAD = "ID,title,author,year,journal,volume,number,pages,doi\n"
TITLE = "Mechanisms of change in interpersonal therapy (IPT)"
MECHANISMS = "{id}," + TITLE + ',"Lipsitz, J. and Markowitz, J. C.",2013,{journal},33,8,{pages},\n'
LONG = MECHANISMS.format(id="a", journal="Clinical Psychology Review", pages="1134-1147")
SHORT = MECHANISMS.format(id="b", journal="Clin Psychol Rev", pages="1134-47")
ELSEWHERE = MECHANISMS.format(id="c", journal="Clin Psychol Rev", pages="12")
COUPLE = (
    'd,Couple therapy for depression,"Whisman, M. and Beach, S.",2012,J Clin Psychol,68,5,526-535,10.1002/jclp.21857\n'
)


def write(folder: Path, records: str, gold: str | None = None) -> Path:
    path = folder / "records.csv"
    path.write_text(records, encoding="utf-8")
    if gold is not None:
        (folder / GOLD).write_text(gold, encoding="utf-8")
    return path


def test_pairs_right_wrong_and_missed(tmp_path: Path) -> None:
    result = evaluate_file(write(tmp_path, HEAD + LONG + SHORT + ELSEWHERE + COUPLE, "merged_ids\na;c\n"))
    assert (result.records, result.right, result.doubtful) == (4, 0, 1)
    assert [(pair.first.key, pair.second.key) for pair in result.wrong] == [("a", "b")]
    assert [(pair.first.key, pair.second.key, pair.waits) for pair in result.missed] == [("a", "c", True)]
    assert (result.counts.precision, result.counts.recall, result.counts.f1) == (0.0, 0.0, 0.0)
    told = render(result)
    assert "records.csv: 4 records, 1 pairs merged, 1 left to a person" in told
    assert "precision 0.00% (1 wrong), recall 0.00% (1 missed), F1 0.00%" in told
    assert "wrong: Titles, authors, years, containers, volumes, issues and pages agree." in told
    assert (
        "missed (left to a person): Titles, authors, years, containers, volumes and issues agree; the pages differ"
        in told
    )
    assert "[a] Lipsitz, J. and Markowitz, J. C. | 2013 | Mechanisms of change" in told


def test_a_perfect_score_and_ids_nobody_has(tmp_path: Path) -> None:
    result = evaluate_file(write(tmp_path, HEAD + LONG + SHORT + COUPLE, "merged_ids\na;b\nd;z\n"))
    assert (result.right, result.wrong, result.missed, result.unknown) == (1, (), (), ("z",))
    assert (result.counts.precision, result.counts.recall, result.counts.f1) == (1.0, 1.0, 1.0)
    assert "1 id of the gold standard is not among the records: z" in render(result)


def test_without_gold_it_lists_what_it_would_merge(tmp_path: Path) -> None:
    result = evaluate_file(write(tmp_path, HEAD + LONG + SHORT))
    assert not result.judged
    assert result.counts.precision is result.counts.recall is result.counts.f1 is None
    assert "without a gold standard nothing is measured" in render(result)
    assert "\nmerged: Titles, authors" in render(result)


def test_gold_elsewhere_beats_gold_beside(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + LONG + SHORT, "merged_ids\n")
    assert len(evaluate_file(path).wrong) == 1
    other = tmp_path / "gold.csv"
    other.write_text("merged_ids\na;b\n", encoding="utf-8")
    assert evaluate_file(path, other).right == 1


def test_gold_in_a_column_and_other_names_for_columns(tmp_path: Path) -> None:
    text = (
        "Record ID,Title,Authors,Publication Year,Source,Volume,Issue,Pages,Cluster\n"
        + LONG.replace("\n", "1\n")
        + SHORT.replace("\n", "1\n")
        + "e,Untitled,,,,,,,\n"
    )
    path = tmp_path / "export.csv.gz"
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + text.encode()))
    assert evaluate_file(path).right == 1


def test_records_without_ids_are_known_by_their_line() -> None:
    candidates, clusters = read_records("title,doi\nCouple therapy,10.1002/jclp.21857\nGroup therapy,\n")
    assert [candidate.key for candidate in candidates] == ["2", "3"]
    assert candidates[1].doi is None
    assert clusters is None


def test_an_archive_of_records_and_gold(tmp_path: Path) -> None:
    path = tmp_path / "set.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in ((RECORDS, HEAD + LONG + SHORT), (GOLD, "merged_ids\na;b\n")):
            member = tarfile.TarInfo(f"set/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    assert evaluate_file(path).right == 1


def test_pairs_are_judged_one_by_one(tmp_path: Path) -> None:
    one = {"ID": "1", "title": "Couple therapy for depression", "author": "Whisman, M. and Beach, S.", "year": "2012"}
    cases = [
        {"id": "twins", "record_a": one, "record_b": {**one, "doi": "10.1002/jclp.21857"}, "expected_duplicate": True},
        {
            "record_a": one,
            "record_b": {**one, "ID": None, "title": "Erratum: " + one["title"]},
            "expected_duplicate": True,
        },
        {"record_a": one, "record_b": {**one, "year": None, "author": None}, "expected_duplicate": False},
    ]
    path = tmp_path / "pairs.json"
    path.write_text(json.dumps({"cases": cases}), encoding="utf-8")
    result = evaluate_file(path)
    assert (result.records, result.right, result.wrong) == (6, 1, ())
    assert [pair.first.key for pair in result.missed] == ["2/record_a"]
    assert "missed: not compared, or taken for two works" in render(result)


def test_long_lists_are_cut_and_say_so() -> None:
    candidates, _ = read_records(HEAD + "".join(COUPLE.replace("d,", f"{key},", 1) for key in "abcd"))
    told = render(evaluate(candidates, []), show=2)
    assert "wrong: and 4 more" in told


def test_joined_by_way_of_others_is_told() -> None:
    candidates, _ = read_records(HEAD + LONG)
    result = Result("x", 2, 0, (), (), 0)
    assert result.counts.precision is None
    assert "n/a" in render(result)
    assert evaluate(candidates, None).judged is False


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("x.csv", b"a,b\n1,2\n", "x.csv:1: no column with titles or DOIs"),
        ("x.csv", b"", "x.csv:1: no column with titles or DOIs"),
        ("x.csv", b"ID,title\n1,A\n1,B\n", "x.csv:3: the id '1' is already on an earlier line"),
        ("x.csv", b"title\n\xff\n", "x.csv: cannot be read"),
        ("x.csv", b"title\n" + b"a" * 200_000 + b"\n", "x.csv:2: not CSV"),
        ("x.csv.gz", b"title\n", "x.csv.gz: cannot be read"),
        ("x.tar.gz", b"title\n", "x.tar.gz: cannot be read"),
        ("x.json", b"{", "x.json: not a list of cases"),
        ("x.json", b'{"cases": [{"record_a": {}}]}', "x.json: not a list of cases"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes, complaint: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=complaint.replace(".", r"\.")):
        evaluate_file(path)


def test_files_that_are_missing_or_hold_no_gold(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        evaluate_file(tmp_path / "nowhere.csv")
    with pytest.raises(ConfigError, match="no column `merged_ids`"):
        evaluate_file(write(tmp_path, HEAD + LONG, "ids\na;b\n"))
    empty = tmp_path / "empty.tar.gz"
    with tarfile.open(empty, "w:gz"):
        pass
    with pytest.raises(ConfigError, match=f"holds no {RECORDS}"):
        evaluate_file(empty)
