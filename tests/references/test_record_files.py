"""Files of records as databases and tools write them: every format, and files that are damaged."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from evidence import doi as dois
from evidence.crossref.normalise import normalise
from evidence.data_model import Doi, Work
from evidence.errors import ConfigError
from evidence.plain_text import fold
from evidence.references import record_files
from evidence.references.imported_record import local_id, message_of, name_of, with_key
from evidence.references.record_files import FileRecord, read_records
from tests.data import FULL, SAMPLES

IMPORTS = SAMPLES / "imports"
FORMATS = FULL / "formats"
TITLE = "Cognitive therapy vs interpersonal psychotherapy in social anxiety disorder: a randomized controlled trial"
BOOK = "Interpersonal psychotherapy of depression"
ABSTRACT = "Adults with social anxiety were offered interpersonal psychotherapy"
WITHOUT_ABSTRACT = {"pubmed.csv"}
WITHOUT_PUBLISHER = {"pubmed.csv", "asreview.csv", "covidence.csv"}
FIRST_PAGE_ONLY = {"psycinfo_ebsco.csv"}


def read(data: bytes, name: str) -> list[FileRecord]:
    """The records of a file."""
    return list(read_records(io.BytesIO(data), name)[1])


def work_of(record: FileRecord) -> Work:
    """The work that the tracker makes of a record."""
    fields = record.fields
    message = message_of(fields)
    stated = dois.parse(fields.doi) if fields.doi else None
    return normalise(with_key(message, stated or Doi(message["local-id"])))


@pytest.mark.parametrize("path", sorted(IMPORTS.iterdir()), ids=lambda path: path.name)
def test_each_format_gives_the_same_two_works(path: Path) -> None:
    first, second = map(work_of, read(path.read_bytes(), path.name))
    assert (first.title, first.doi) == (TITLE, "10.1001/archgenpsychiatry.2011.67")
    assert [author.family for author in first.authors] == ["Stangier", "Schramm"]
    assert [(author.given or "").strip(".") for author in first.authors] == ["U", "E"]
    assert (first.container or "").lower() == "archives of general psychiatry"
    printed = (first.year, first.volume, first.issue, first.pages)
    assert printed == (2011, "68", "7", "692" if path.name in FIRST_PAGE_ONLY else "692-700")
    assert first.kind in ("journal-article", None if path.suffix in (".csv", ".tsv") else "journal-article")
    if path.name not in WITHOUT_ABSTRACT:
        assert (first.abstract or "").startswith(ABSTRACT)
        assert first.abstract_source == "file"
    assert second.title == BOOK
    assert second.year == 1984
    assert dois.is_local(second.doi)
    assert second.url is None
    assert [author.family for author in second.authors] == ["Klerman", "Weissman", "Rounsaville", "Chevron"]
    assert (second.publisher == "Basic Books") is (path.name not in WITHOUT_PUBLISHER)


def test_a_local_id_is_the_same_whatever_the_punctuation_and_the_file() -> None:
    ids = {local_id(read(path.read_bytes(), path.name)[1].fields) for path in IMPORTS.iterdir()}
    assert ids == {local_id(read((IMPORTS / "ovid.ris").read_bytes(), "ovid.ris")[1].fields)}
    one, other = (
        read(f"TY  - JOUR\nTI  - {title}\nER  - \n".encode(), "a.ris")[0].fields for title in ("Grief", "Griefs")
    )
    assert local_id(one) != local_id(other)


def test_two_records_with_one_title_and_nothing_else_are_told_apart_by_their_abstract() -> None:
    text = "TY  - JOUR\nTI  - Abstracts\nAB  - One.\nER  - \n\nTY  - JOUR\nTI  - Abstracts\nAB  - Two.\nER  - \n"
    assert len({local_id(each.fields) for each in read(text.encode(), "a.ris")}) == 2


@pytest.mark.parametrize(
    ("written", "parts"),
    [
        ("Frank, Ellen", ("Frank", "Ellen", None)),
        ("Valle-Delgado,J. J. ", ("Valle-Delgado", "J. J.", None)),
        ("Frank E", ("Frank", "E", None)),
        ("Liu R.", ("Liu", "R.", None)),
        ("van der Berg J.-P.", ("van der Berg", "J.-P.", None)),
        ("Ellen Frank", ("Frank", "Ellen", None)),
        ("Jan vom Brocke", ("Brocke", "Jan vom", None)),
        ("Peter van den Bosch", ("van den Bosch", "Peter", None)),
        ("Reynolds, Charles F., III", ("Reynolds", "Charles F.", None)),
        ("World Health Organization", (None, None, "World Health Organization")),
        ("Paderborn University, Germany", (None, None, "Paderborn University, Germany")),
        ("WHO", (None, None, "WHO")),
    ],
)
def test_names(written: str, parts: tuple[str | None, str | None, str | None]) -> None:
    found = name_of(written)
    assert (found.get("family"), found.get("given"), found.get("name")) == parts


# ---------------------------------------------------------------------- damaged files


WHOLE = (IMPORTS / "rayyan.csv").read_bytes()
DAMAGED: list[tuple[str, bytes, str]] = [
    ("empty.csv", b"  \n", "is empty"),
    ("sheet.xlsx", b"PK\x03\x04rest", "save the sheet as “CSV UTF-8”"),
    ("paper.pdf", b"%PDF-1.7", "a PDF"),
    ("zipped.csv", b"\x1f\x8brest", "unpack it first"),
    ("binary.ris", bytes(range(256)), "is not text"),
    ("nul.ris", b"TY  - JOUR\n" + b"TI  - A title that is long enough\n" * 9 + b"AB  - \0\n", "nul.ris:11: there is a NUL"),
    ("page.ris", b"<!DOCTYPE html><html></html>", "a web page"),
    ("mixed.csv", "title\nÄrzte\n".encode() + "Ärzte\n".encode("cp1252"), "mixed.csv:3: a character is not in UTF-8"),
    ("cut.csv", "title\nÄrzte und Ä".encode()[:-1], "cut.csv:2: the file ends inside a character"),
    ("cut.ris.utf16", "TY  - JOUR\nTI  - A\n".encode("utf-16")[:-1], "not in UTF-16, or cut short"),
    ("twice.csv", b"Title,DOI,title\na,b,c\n", "twice.csv:1: two columns are called 'title'"),
    ("wide.csv", b"title,year\nA, comma,2011\n", "wide.csv:2: the row has 3 cells"),
    ("quote.csv", b'title,year\n"A title,2011\nB,2012\n', "a quotation mark is not closed"),
    ("short.csv", b"title,year,doi\nA,2011,\nB", "short.csv:3: the last row lacks 2 cells"),
    ("other.csv", b"colour,size\nred,3\n", "other.csv:1: the format is not known"),
    ("cut.ris", b"TY  - JOUR\nTI  - A\nER  -\n\nTY  - JOUR\nTI  - The file ends he", "cut.ris:5: this record has no end"),
    ("cut.txt", b"FN X\nVR 1.0\nPT J\nTI A\nER\n\nPT J\nTI The file ends he", "cut.txt:7: this record has no end"),
    ("cut.json", b'[{"title": "A"},\n {"title": ', "cut.json:2: the JSON is damaged or cut short"),
    ("list.json", b'["a"]', "list.json:1: not CSL-JSON"),
    ("brace.bib", b"@article{a,\n title = {A}\n}\n@article{b,\n {{{\n", "brace.bib:4: this entry is damaged"),
    ("cut.xml", b"<xml><records>\n<record><titles><title>A", "cut.xml:2: the XML cannot be read"),
    ("other.xml", b"<rss><item/></rss>", "not EndNote's XML"),
    (
        "bomb.xml",
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><xml><records><record>&b;</record></records></xml>',
        "the XML declares or uses an entity (a)",
    ),
    ("file.xml", b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><xml><records><record>&e;</record></records></xml>', "entity (e)"),
    ("deep.xml", b"<xml><records><record>" + b"<a>" * 99, "more than 40 levels"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "data", "said"), DAMAGED, ids=[name for name, _, _ in DAMAGED])
def test_a_damaged_file_says_where_and_what_to_do(name: str, data: bytes, said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        read(data, name)


ENDLESS = [
    ("line.ris", b"TY  - JOUR\nTI  - " + b"a" * 3000, "line.ris:2: the line has more than 2,000 characters"),
    ("record.ris", b"TY  - JOUR\n" + b"AB  - text\n" * 300, "record.ris:1: this record never ends"),
    ("junk.txt", b"PT J\nTI A\nER\n" + b"PT J\n" + b"   more\n" * 300, "junk.txt:4: this record never ends"),
    ("line.bib", b"@article{a,\n title = {" + b"a " * 1500, "line.bib:2: the line has more than 2,000 characters"),
    ("entry.bib", b"@article{a,\n title = {A\n" + b"more\n" * 500, "entry.bib:1: this entry never ends"),
    ("line.csv", b"title,year\n" + b"a" * 3000, "line.csv:2: the line has more than 2,000 characters"),
    ("cell.csv", b'title,year\n"A' + b"more\n" * 500, "a cell never ends"),
]


@pytest.mark.parametrize(("name", "data", "said"), ENDLESS, ids=[name for name, _, _ in ENDLESS])
def test_what_never_ends_is_refused_before_it_is_held_whole(
    name: str, data: bytes, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_files, "LONGEST_RECORD", 2000)
    with pytest.raises(ConfigError, match=re.escape(said)):
        read(data, name)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_table_is_read_in_any_usual_encoding(encoding: str, newline: str) -> None:
    text = newline.join(("Title;Year;DOI", "Ärzte für Müller – eine Übersicht;2011;10.1002/x.1", ""))
    (record,) = read(text.encode(encoding), "t.csv")
    assert record.fields.title == "Ärzte für Müller – eine Übersicht"
    assert record.line == 2


def test_what_a_spreadsheet_changed_is_named_and_never_guessed() -> None:
    text = "title,doi,pmid,pages,issue,authors\nA,1.0E+15,2.17E+07,15-Mar,03-Apr,Frank E\n'=B,10.1002/x.1,1,1–2,2,\n"
    first, second = read(text.encode(), "t.csv")
    assert first.fields.doi is None and first.fields.pmid is None
    assert (first.fields.pages, first.fields.issue) == ("3-15", "4-03")
    assert [doubt.partition(" '")[0] for doubt in first.doubts] == ["the DOI", "the PubMed identifier"]
    assert second.fields.title == "=B"  # the mark of our own exports against formulas
    assert (second.fields.pages, second.doubts) == ("1-2", ())


def test_a_formula_is_text() -> None:
    (record,) = read(b'title,abstract\n"=HYPERLINK(""http://x"")","@SUM(A1)"\n', "t.csv")
    assert record.fields.title == '=HYPERLINK("http://x")'
    assert record.fields.abstract == "@SUM(A1)"


def test_a_misplaced_start_of_record_does_not_split_it_and_lines_behind_its_end_are_none() -> None:
    text = "TY  - BOOK\nTY  - JOUR\nTI  - A title\nTY  - JOUR\nPB  - Somebody\nER  - \nNL  - J\n\n2.\n"
    text += "TY  - JOUR\nTI  - B\nER  - \n"
    first, second = read(text.encode(), "a.ris")
    assert (first.fields.title, first.fields.publisher, second.fields.title) == ("A title", "Somebody", "B")
    assert (first.line, second.line) == (1, 10)


def test_an_entry_with_braces_missing_is_read_line_by_line() -> None:
    text = "@article{a,\nTitle = {One},\nKeywords = {x, @type:Person}, y}, }\nYear = {2001},\n}\n@article{b, title={Two}}\n"
    first, second = read(text.encode(), "a.bib")
    assert (first.fields.title, first.fields.year, second.fields.title) == ("One", "2001", "Two")


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file() -> None:
    import tracemalloc

    record = "TY  - JOUR\nTI  - Title {n}\nAU  - Frank, Ellen\nAB  - " + "word " * 400 + "\nER  - \n\n"

    class Endless(io.RawIOBase):
        """3 MB of RIS that nobody holds in memory."""

        def __init__(self) -> None:
            self.at, self.held = 0, b""

        def readable(self) -> bool:
            return True

        def seekable(self) -> bool:
            return True

        def seek(self, offset: int, whence: int = 0) -> int:
            self.at, self.held = 0, b""
            return 0

        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            while len(self.held) < len(buffer) and self.at < 1_500:
                self.held += record.format(n=self.at).encode()
                self.at += 1
            part, self.held = self.held[: len(buffer)], self.held[len(buffer) :]
            buffer[: len(part)] = part
            return len(part)

    stream = io.BufferedReader(Endless())
    _, records = read_records(stream, "large.ris")
    tracemalloc.start()
    count = sum(1 for _ in records)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 1_500
    assert peak < 1_000_000


# ---------------------------------------------------------------------- the files of other projects


def _files(folder: str, *endings: str) -> Iterator[Path]:
    return (path for path in sorted((FORMATS / folder).glob("*")) if path.suffix in endings)


COUNTS = {
    "baseline_empty_values.ris": (4, 4),
    "baseline_reference_types.ris": (61, 0),
    "baseline_tag-notes_labels.ris": (32, 32),
    "baseline_tag_and_field_definitions.ris": (1, 1),
    "generic_bad_record_id.csv": (6, 6),
    "generic_labels.csv": (6, 6),
    "generic_partial_labels.csv": (6, 6),
    "generic_semicolon.csv": (2, 2),
    "generic_tab.csv": (2, 2),
    "missing_values.csv": (4, 4),
    "faulty_year.ris": (1, 1),
    "ris_issue_1099.txt": (7, 7),
    "ris_issue_992.txt": (19, 19),
    "web_of_science.txt": (10, 10),
    "citesource_issue_24.ris": (17, 17),
}
"""Records of each file, and those with content; files not named here have 6."""


@pytest.mark.skipif(not FORMATS.is_dir(), reason="the full sets are not here")
@pytest.mark.parametrize("folder", ["asreview", "synthesisr"])
def test_every_file_of_other_projects_has_its_records(folder: str) -> None:
    for path in sorted((FORMATS / folder).iterdir()):
        found = read(path.read_bytes(), path.name)
        counts = (len(found), sum(each.fields.has_content for each in found))
        assert counts == COUNTS.get(path.name, (6, 6)), path.name
        for each in found:
            if each.fields.has_content:
                work_of(each)
                assert not re.search(r"\b[A-Z][A-Z0-9]  - ", each.fields.abstract or ""), path.name


@pytest.mark.skipif(not FORMATS.is_dir(), reason="the full sets are not here")
def test_ris_is_read_as_jabref_reads_it() -> None:
    compared = 0
    for path in _files("jabref_ris", ".ris"):
        expected = path.with_suffix(".bib")
        if not expected.exists():
            continue
        compared += 1
        (ours,), (theirs,) = read(path.read_bytes(), path.name), read(expected.read_bytes(), expected.name)
        assert dois.find(ours.fields.doi or "") == dois.find(theirs.fields.doi or ""), path.name
        assert ours.fields.year == theirs.fields.year, path.name
        if path.stem != "RisImporterTest1":  # five titles in one record, which JabRef joins
            assert fold(ours.fields.title or "") == fold((theirs.fields.title or "").replace("--", "—")), path.name
        first, second = (work_of(each) for each in (ours, theirs))
        families = [author.family for author in first.authors if author.role == "author"]
        assert families == [author.family for author in second.authors][: len(families)], path.name
    assert compared >= 17


@pytest.mark.skipif(not FORMATS.is_dir(), reason="the full sets are not here")
def test_other_files_are_read_as_colrev_reads_them() -> None:
    compared = 0
    for path in _files("colrev", ".bib", ".ris", ".csv"):
        expected = path.with_name(f"{path.stem}_result.bib")
        if path.stem.endswith("_result") or not expected.exists():
            continue
        ours = {_without_stop(each.fields.title): each.fields for each in read(path.read_bytes(), path.name)}
        theirs = {_without_stop(each.fields.title): each.fields for each in read(expected.read_bytes(), expected.name)}
        assert len(ours) == len(theirs)
        for title, fields in theirs.items():
            if title not in ours:
                continue  # CoLRev makes a new title of book and chapter
            compared += 1
            mine = ours[title]
            stated = [dois.find(each.doi or "") for each in (mine, fields)]
            assert stated[0] == stated[1], path.name
            for name in ("year", "volume", "issue"):
                if getattr(fields, name) not in (None, "UNKNOWN"):
                    assert getattr(mine, name) == getattr(fields, name), (path.name, name)
            assert bool(mine.abstract) == bool(fields.abstract), path.name
    assert compared >= 11


def _without_stop(title: str | None) -> str:
    return fold((title or "").rstrip("."))
