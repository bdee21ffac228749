"""The CSV of Retraction Watch, as it is and as it can be broken. The rows are made up; their form is that of the file."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import pytest

from evidence.data_model import Notice
from evidence.errors import ConfigError, RecordError
from evidence.providers.answers import Answer, Wanted
from evidence.providers.records_from_files import RetractionWatchRecords
from evidence.providers.retraction_watch import describe, read_file

COLUMNS = [
    "Record ID",
    "Title",
    "Subject",
    "Institution",
    "Journal",
    "Publisher",
    "Country",
    "Author",
    "URLS",
    "ArticleType",
    "RetractionDate",
    "RetractionDOI",
    "RetractionPubMedID",
    "OriginalPaperDate",
    "OriginalPaperDOI",
    "OriginalPaperPubMedID",
    "RetractionNature",
    "Reason",
    "Paywalled",
    "Notes",
]
ROW = {
    "Record ID": "101",
    "Title": "A trial of a treatment",
    "Subject": "(HSC) Medicine - Psychiatry;",
    "ArticleType": "Clinical Study;",
    "RetractionDate": "1/25/2019 0:00",
    "RetractionDOI": "10.5555/notice.1",
    "RetractionPubMedID": "0",
    "OriginalPaperDate": "3/1/2015 0:00",
    "OriginalPaperDOI": "10.5555/Study.1",
    "OriginalPaperPubMedID": "1234567",
    "RetractionNature": "Retraction",
    "Reason": "+Error in Data;+Unreliable Results;",
    "Paywalled": "No",
}


def table(*rows: dict[str, str], columns: list[str] = COLUMNS, ending: str = "") -> str:
    """The text of a file with these rows, each `ROW` with other cells; `ending` follows the cells of each line."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([*columns, *([ending] if ending else [])])
    for row in rows:
        writer.writerow([({**ROW, **row}).get(column, "") for column in columns])
    return text.getvalue()


def written(folder: Path, text: str | bytes, name: str = "retraction_watch.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def rows_of(*entries: dict[str, str]) -> str:
    """A list of rows as `describe` gets it."""
    return json.dumps([{**ROW, **entry} for entry in entries])


def test_a_row_becomes_an_entry_about_its_work(tmp_path: Path) -> None:
    file = read_file(written(tmp_path, table({}, {"Record ID": "102", "OriginalPaperDOI": "unavailable"})))
    assert [(e.record_id, e.doi, e.pmid, e.line) for e in file.entries] == [
        ("101", "10.5555/study.1", "1234567", 2),
        ("102", None, "1234567", 3),
    ]
    assert file.unread == ()
    assert json.loads(file.entries[0].record) == {column: ROW.get(column, "") for column in COLUMNS}


def test_an_entry_is_found_by_doi_or_by_pmid_where_it_has_no_doi(tmp_path: Path) -> None:
    other = {"Record ID": "102", "OriginalPaperDOI": "Unavailable"}
    elsewhere = {"Record ID": "103", "OriginalPaperDOI": "10.5555/another"}
    nowhere = {"Record ID": "104", "OriginalPaperDOI": "", "OriginalPaperPubMedID": "0"}
    file = read_file(written(tmp_path, table({}, other, elsewhere, nowhere)))
    assert [e.record_id for e in file.about("10.5555/STUDY.1", ["1234567"])] == ["101", "102"]
    assert [e.record_id for e in file.about("10.5555/study.1")] == ["101"]
    assert file.about("10.5555/none", ["0", "7"]) == ()
    ((entry, reason),) = file.refused("10.5555/study.1", ["1234567"])
    assert entry.record_id == "103" and "10.5555/another" in reason


def test_the_order_of_columns_a_mark_and_a_last_empty_column_do_not_matter(tmp_path: Path) -> None:
    plain = read_file(written(tmp_path, table({})))
    turned = table({}, columns=COLUMNS[::-1])
    assert read_file(written(tmp_path, "\ufeff" + turned)).about("10.5555/study.1")[0].pmid == "1234567"
    unnamed = table({}, {"Record ID": "102"}).replace("\r\n", ",\r\n")
    file = read_file(written(tmp_path, unnamed))
    assert file.unread == () and len(file.entries) == 2
    assert file.entries[0].record == plain.entries[0].record


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_file_in_windows_encoding_is_read(tmp_path: Path, mark: bytes) -> None:
    path = written(tmp_path, mark + table({"Title": "Étude – “one”"}).encode("cp1252"))
    (entry,) = read_file(path).about("10.5555/study.1")
    assert json.loads(entry.record)["Title"] == "Étude – “one”"


def test_a_gzipped_file_has_the_digest_of_its_text(tmp_path: Path) -> None:
    text = table({})
    packed = read_file(written(tmp_path, gzip.compress(text.encode()), "rw.csv.gz"))
    assert packed.digest == read_file(written(tmp_path, text)).digest
    assert packed.digest != read_file(written(tmp_path, table({"Paywalled": "Yes"}))).digest


def test_a_row_that_cannot_be_read_is_told_with_its_line(tmp_path: Path) -> None:
    lines = table({}, {"Record ID": " "}, {"RetractionNature": "?"}, {"Record ID": "105"}).split("\r\n")
    cut, long = "106,A trial", lines[1] + ",x,y"
    text = "\r\n".join([*lines[:4], cut, "", long, lines[4], f'107,"{"x" * 200_000}"', '108,"never closed'])
    file = read_file(written(tmp_path, text))
    assert [e.record_id for e in file.entries] == ["101", "105"]
    assert [(line, why.split()[0]) for line, why in file.unread] == [
        (3, "has"),
        (4, "has"),
        (5, "has"),
        (7, "has"),
        (9, "not"),
        (10, "has"),
    ]
    assert file.unread[0][1] == "has no Record ID" and file.unread[1][1] == "has no RetractionNature"
    assert file.unread[2][1] == "has 2 cells instead of 20"


def test_a_cell_may_hold_line_ends(tmp_path: Path) -> None:
    file = read_file(written(tmp_path, table({"Notes": "first\nsecond, third"}, {"Record ID": "102"})))
    assert [entry.line for entry in file.entries] == [2, 4]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "columns Record ID"),
        (b"<!DOCTYPE html><html><body>Not found</body></html>", "columns Record ID"),
        (table({}, columns=COLUMNS[:-4]).encode(), "RetractionNature"),
        (table().encode(), "no row"),
        (b"\x00\xff\xfe" * 1000, "columns"),
        (gzip.compress(table({}).encode())[:-20], "cut off"),
        (b'"' + b"x" * 200_000, "not a CSV"),
    ],
)
def test_a_file_that_is_not_the_csv_is_refused_with_a_remedy(tmp_path: Path, content: bytes, said: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(ConfigError, match=said) as error:
        read_file(path)
    assert str(path) in str(error.value)
    assert "give the file" in str(error.value) or "get it again" in str(error.value)


def test_a_missing_file_is_a_mistake_of_the_user(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="check the path"):
        read_file(tmp_path / "none.csv")


def test_rows_are_told_as_notices() -> None:
    described = describe(
        rows_of(
            {},
            {"Record ID": "102", "RetractionNature": "Expression of concern", "RetractionDate": "12/3/2018"},
            {"Record ID": "103", "RetractionNature": "Correction", "RetractionDOI": "unavailable"},
            {
                "Record ID": "104",
                "RetractionNature": "Reinstatement",
                "RetractionDOI": "https://doi.org/10.5555/STUDY.1",
            },
            {},
        )
    )
    assert (described.provider, described.record_id) == ("retraction-watch", "RW:101")
    assert (described.doi, described.title) == ("10.5555/study.1", "A trial of a treatment")
    assert described.notices == tuple(
        Notice(kind, doi, issued, "Retraction Watch", "retraction-watch", record_id)  # type: ignore[arg-type]
        for kind, doi, issued, record_id in (
            ("retraction", "10.5555/notice.1", "2019-01-25", "RW:101"),
            ("expression-of-concern", "10.5555/notice.1", "2018-12-03", "RW:102"),
            ("correction", None, "2019-01-25", "RW:103"),
            ("reinstatement", None, "2019-01-25", "RW:104"),
        )
    )


@pytest.mark.parametrize(
    ("stated", "issued"),
    [
        ("1/25/2019 0:00", "2019-01-25"),
        ("01/05/2019", "2019-01-05"),
        ("2019-01-25", "2019-01-25"),
        ("2019-01-25T00:00:00", "2019-01-25"),
        ("25/1/2019 0:00", None),
        ("2/30/2019 0:00", None),
        ("", None),
        ("unknown", None),
    ],
)
def test_dates_are_american_or_none(stated: str, issued: str | None) -> None:
    assert describe(rows_of({"RetractionDate": stated})).notices[0].issued == issued


@pytest.mark.parametrize(
    ("stated", "pmid"),
    [("0", None), ("", None), ("0.0", None), ("22018333.0", "22018333"), ("PMID: 22018333", "22018333"), ("x", None)],
)
def test_a_pmid_of_zero_is_none(tmp_path: Path, stated: str, pmid: str | None) -> None:
    (entry,) = read_file(written(tmp_path, table({"OriginalPaperPubMedID": stated}))).entries
    assert entry.pmid == pmid


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "[1]",
        "null",
        "[" * 100_000,
        '[{"Record ID": "1"}]',
        '[{"RetractionNature": "Retraction"}]',
        '[{"Record ID": 1, "RetractionNature": ["Retraction"]}]',
    ],
)
def test_what_is_not_a_list_of_rows_is_a_record_error(text: str) -> None:
    with pytest.raises(RecordError):
        describe(text)


def test_seventy_thousand_rows_are_read(tmp_path: Path) -> None:
    header, row, *_ = table({"Author": "A B;" * 8, "Institution": "A Department, A University;" * 4}).split("\r\n")
    rows = (row.replace("101,", f"{n},", 1).replace("Study.1", f"Study.{n}") for n in range(70_000))
    path = written(tmp_path, "\r\n".join([header, *rows]))
    assert len(read_file(path).entries) == 70_000


def answer(
    path: Path, doi: str = "10.5555/study.1", title: str = "A trial of a treatment", pmid: str | None = None
) -> Answer:
    (batch,) = RetractionWatchRecords(path).ask([Wanted(doi, title, 2015, "journal-article", pmid)])
    return batch.answers[0]


def test_a_work_is_answered_about_by_its_doi_and_title(tmp_path: Path) -> None:
    path = written(tmp_path, table({}, {"Record ID": "102", "OriginalPaperDOI": "unavailable"}))
    assert answer(path).state == "found"
    assert answer(path, "10.5555/none", pmid="7").state == "none"
    by_pmid = answer(path, "10.5555/old", pmid="1234567")
    assert json.loads(by_pmid.record or "")[0]["Record ID"] == "102"
    other = answer(path, title="Sleep and shift work in nurses")
    assert (other.state, other.problem) == (
        "refused",
        "entry 101: the record has another title (“A trial of a treatment”)",
    )
    wrong = answer(written(tmp_path, table({})), "10.5555/other", pmid="1234567")
    assert (wrong.state, "is about 10.5555/study.1" in str(wrong.problem)) == ("refused", True)


def test_a_row_that_cannot_be_read_is_no_proof_that_there_is_none(tmp_path: Path) -> None:
    path = written(tmp_path, table({"OriginalPaperDOI": "10.5555/fine"}, {"RetractionNature": "?", "Record ID": "9"}))
    found = answer(path, pmid="1234567")
    assert (found.state, found.problem) == ("failed", "line 3 of the file names the work and cannot be read")
    assert answer(path, "10.5555/study.12", title="Another trial").state == "none"
    assert RetractionWatchRecords(path).unread == (f"{path}, line 3: has no RetractionNature; this row is not read",)
