"""Exports: every format parses back to the values it was given, and no spreadsheet runs a cell."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import tracemalloc
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import rispy
from bibtexparser.entrypoint import parse_string
from bibtexparser.middlewares import LatexDecodingMiddleware, SeparateCoAuthors, SplitNameParts
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence import page_ranges
from evidence.crossref.normalise import normalise
from evidence.errors import ConfigError, RecordError
from evidence.export import csv_files, file_formats, parquet_file, tool_presets
from evidence.rules import topic
from tests import exported_files
from tests.data import SAMPLES, json_lines

TAXONOMY = Path(__file__).parents[2] / "evidence" / "topics" / "ipt"


TAG = {"facet": "design", "value": "rct", "strength": "stated", "tag_decided": "rule", "certainty": 0.96,
       "how": "Randomised trial: in the title (“trial”).", "words": "trial"}  # fmt: skip


def row(**changes: Any) -> dict[str, Any]:
    """One work with every key; values that are not given are absent."""
    absent = dict.fromkeys(file_formats.KEYS)
    return (
        absent
        | {
            "doi": "10.5555/trial.1",
            "title": "A trial of interpersonal psychotherapy",
            "verdict": "include",
            "decided": "rule",
            "why": "The title names interpersonal psychotherapy.",
            "judged_on": "title",
            "kind": "journal-article",
            "authors_full": [{"family": "Doe", "given": "Jane"}],
            "sources": ("ipt-by-name",),
            "tags": {},
        }
        | changes
    )


FULL = row(
    abstract="Background: 12 < 15.\nResults: fewer symptoms.",
    authors="Doe J, van der Berg C, Grief Study Group",
    authors_full=[
        {"family": "Doe", "given": "Jane", "suffix": "Jr", "role": "author"},
        {"family": "van der Berg", "given": "C.", "role": "author"},
        {"name": "Grief and Loss Study Group", "role": "author"},
        {"family": "Smith", "given": "Ann", "role": "editor"},
    ],
    container="Journal of Trials & Methods",
    publisher="A Press",
    issued="2019-05",
    year=2019,
    language="en",
    volume="12",
    issue="3",
    pages="101-110",
    issn=("1234-5678", "8765-4321"),
    registrations="NCT01234567",
    pmid="22018333; 31415926",
    pmcid="PMC3308108",
    openalex="W2741809807",
    publication_types="Journal Article",
    mesh="Grief; Depressive Disorder, Major",
    open_access="https://example.org/free.pdf",
    abstract_source="publisher",
    asked_pubmed="2026-11-24",
    url="https://doi.org/10.5555/trial.1",
    notice="correction",
    notice_details="correction 2020 10.5555/notice",
    cited_by=7,
    reasons="title: “interpersonal psychotherapy”",
    tags={"variant": ("ipt",), "outcome": ("depressive-symptoms", "quality-of-life")},
)


def read_csv(chunks: Iterator[str]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(chunks), newline=""), strict=True))


def read_ris(chunks: Iterator[str]) -> list[dict[str, Any]]:
    text = "".join(chunks)
    return list(rispy.loads(text.replace("\r\n", "\n")))


def read_bibtex(chunks: Iterator[str]) -> Any:
    library = parse_string("".join(chunks))
    assert not library.failed_blocks
    return library


# ---------------------------------------------------------------- CSV


def test_columns_are_the_documented_ones() -> None:
    (read,) = read_csv(file_formats.csv_rows([FULL]))
    assert list(read) == [column.name for column in file_formats.columns()]
    assert set(topic.load().facet_ids) <= set(read)
    for column in file_formats.columns():
        assert re.fullmatch(r"[^\n]+\.", column.description), column.name
    assert read["variant"] == "ipt" and read["outcome"] == "depressive-symptoms; quality-of-life"
    assert read["authors_full"] == "Doe, Jane, Jr; van der Berg, C.; Grief and Loss Study Group; Smith, Ann (ed.)"
    assert read["issn"] == "1234-5678; 8765-4321" and read["cited_by"] == "7" and read["format"] == ""


def test_another_taxonomy_has_its_own_columns() -> None:
    schools = replace(topic.load(), facets=(topic.TopicFacet("setting", "Where it took place"),))
    (read,) = read_csv(file_formats.csv_rows([row(tags={"setting": ("school",)})], file_formats.Layout(schools)))
    assert read["setting"] == "school" and "variant" not in read
    assert [column.name for column in file_formats.columns(schools)] == list(read)
    assert file_formats.columns(schools)[6].description == "Where it took place, joined by “; ”."


def test_no_rows_are_a_header() -> None:
    text = "".join(file_formats.csv_rows([]))
    assert text.startswith("doi,title,") and text.count("\r\n") == 1


@given(st.text(alphabet=st.sampled_from("ab ,;\"\r\n\t\u2028'=")), st.text(alphabet='a,"\r\n'))
def test_a_spreadsheet_reads_the_cells_as_they_are(title: str, container: str) -> None:
    rows = [row(title=title, container=container)] * 2
    for read in read_csv(file_formats.csv_rows(rows)):
        assert file_formats.unguard(read["title"]) == title
        assert file_formats.unguard(read["container"]) == container


@given(st.lists(st.text(alphabet=st.sampled_from("ab ,;\"\r\n\t\u2028'=")), min_size=2, max_size=6))
def test_cells_are_quoted_as_the_csv_module_does(cells: list[str]) -> None:
    out = io.StringIO(newline="")
    csv.writer(out).writerow(map(file_formats.guard, cells))
    assert ",".join(map(csv_files._cell, cells)) + "\r\n" == out.getvalue()


CELLS = st.one_of(
    st.none(),
    st.integers(),
    st.floats(),
    st.text(alphabet=st.sampled_from("ab ,;\"\r\n\t\0\u2028'=-+@\uff1dé")),
)


@given(
    st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=6)),
    st.booleans(),
)
def test_a_block_is_written_as_the_csv_module_does(rows: list[list[Any]], guarded: bool) -> None:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(csv_files.guard_row(row) if guarded else row for row in rows)
    assert csv_files.csv_block(rows, guarded=guarded) == out.getvalue()


def test_each_row_has_its_own_cells() -> None:
    values = [
        ("=1", 1999, ("a", "b")),
        ("J, of", 2001, ()),
        (None, None, ("=x",)),
        ('"q"', 2001, ("a",)),
        ("=1", 1999, ("b",)),
    ]
    rows = [{**FULL, "container": c, "year": y, "sources": s, "tags": {"variant": s}} for c, y, s in values * 3]
    read = list(csv.DictReader(io.StringIO("".join(file_formats.csv_rows(rows)))))
    assert [(row["container"], row["year"], row["sources"], row["variant"]) for row in read] == [
        (file_formats.guard(c or ""), str(y or ""), file_formats.guard("; ".join(s)), file_formats.guard("; ".join(s)))
        for c, y, s in values * 3
    ]


def test_lines_end_in_crlf_and_keep_line_breaks_in_cells() -> None:
    text = "".join(file_formats.csv_rows([FULL]))
    assert text.endswith("\r\n")
    assert read_csv(iter([text]))[0]["abstract"] == FULL["abstract"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠"])
def test_no_cell_begins_like_a_formula(start: str) -> None:
    hostile = start + "cmd|' /C calc'!A0"
    for write in (file_formats.csv_rows, file_formats.asreview):
        (read,) = read_csv(write([row(title=hostile)]))
        assert read["title"] == "'" + hostile
        assert file_formats.unguard(read["title"]) == hostile


def test_a_doi_and_an_ordinary_title_are_never_guarded() -> None:
    (read,) = read_csv(file_formats.csv_rows([row(title="'Asking for help': a study – now")]))
    assert read["doi"] == "10.5555/trial.1" and read["title"] == "'Asking for help': a study – now"


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
HOSTILE = st.builds(str.__add__, st.sampled_from(["=", "'=", "''@", "+1", "-", '"', ",", "\r\n", "\0", ";"]), TEXT)


@given(title=TEXT | HOSTILE, abstract=TEXT | HOSTILE, why=TEXT | HOSTILE)
@settings(max_examples=60, deadline=None)
def test_csv_parses_back(title: str, abstract: str, why: str) -> None:
    given_row = row(title=title, abstract=abstract, why=why)
    first, read = read_csv(file_formats.csv_rows([FULL, given_row]))
    assert first["doi"] == FULL["doi"]
    assert {name: file_formats.unguard(read[name]) for name in ("title", "abstract", "why")} == {
        "title": title,
        "abstract": abstract,
        "why": why,
    }
    assert not any(re.match(r"[=+\-@\t\r\n\0]", cell) for cell in read.values())


@pytest.mark.parametrize(
    ("column", "value", "written"),
    [
        ("pages", "3-15", "3–15"),
        ("issue", "1/2", "1–2"),
        ("issued", "2019-05", "2019–05"),
        ("issued", "2019-05-03", "2019-05-03"),
        ("pages", "S71-S79", "S71-S79"),
        ("volume", "12", "12"),
        ("title", "3-15", "3-15"),
    ],
)
def test_excel_gets_a_byte_order_mark_and_no_false_dates(column: str, value: str, written: str) -> None:
    text = "".join(file_formats.csv_rows([row(**{column: value})], file_formats.Layout(excel=True)))
    assert text.startswith("\ufeffdoi,")
    (read,) = read_csv(iter([text.removeprefix("\ufeff")]))
    assert read[column] == written
    (plain,) = read_csv(file_formats.csv_rows([row(**{column: value})]))
    assert plain[column] == value


def test_a_missing_key_is_an_error_not_an_empty_column() -> None:
    broken = row()
    del broken["volume"]
    with pytest.raises(KeyError, match="volume"):
        list(file_formats.csv_rows([broken]))


def test_asreview_labels() -> None:
    rows = [row(verdict=verdict, tags=FULL["tags"]) for verdict in ("include", "exclude", "unsure")]
    read = read_csv(file_formats.asreview(rows))
    assert [line["included"] for line in read] == ["1", "0", ""]
    assert read[0]["keywords"] == "variant:ipt; outcome:depressive-symptoms; outcome:quality-of-life"
    assert list(read[0])[:3] == ["record_id", "title", "abstract"]


@pytest.mark.slow
@pytest.mark.parametrize("name", file_formats.FORMATS)
def test_memory_use_does_not_grow_with_the_number_of_works(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        made = (row(doi=f"10.5555/{n}", abstract="long " * 200, tag_rows=[TAG]) for n in range(count))
        for chunk in file_formats.FORMATS[name](made):
            assert chunk
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    footer = 0
    if name == "parquet":
        exported_files.needs("pyarrow")
        monkeypatch.setattr(parquet_file, "GROUP", 60)
        footer = 9 * 20_000  # what the end of the file says of each further group of rows
    peak(10)
    assert peak(600) < peak(60) + 30_000 + footer


# ---------------------------------------------------------------- RIS

LINE = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=40).map(str.strip)
NAME = st.from_regex(r"[A-ZÀ-Þ][a-zà-þ'-]{1,8}( [A-Z][a-z]{1,6})?", fullmatch=True)
PERSON = st.fixed_dictionaries({"family": NAME, "given": NAME}) | st.fixed_dictionaries({"name": NAME})


def test_ris_has_the_layout_that_readers_expect() -> None:
    text = "".join(file_formats.ris([FULL]))
    assert text.startswith("TY  - JOUR\r\n") and text.endswith("ER  - \r\n\r\n")
    lines = text.removesuffix("\r\n\r\n").split("\r\n")
    assert all(re.match(r"[A-Z][A-Z0-9]  - ", line) for line in lines)
    assert "\n" not in text.replace("\r\n", "")
    assert "DA  - 2019/05//" in lines and "AB  - Background: 12 < 15. Results: fewer symptoms." in lines
    (read,) = read_ris(iter([text]))
    assert read["authors"] == ["Doe, Jane, Jr", "van der Berg, C.", "Grief and Loss Study Group"]
    assert read["secondary_authors"] == ["Smith, Ann"]
    assert read["keywords"] == ["variant:ipt", "outcome:depressive-symptoms", "outcome:quality-of-life"]
    assert (read["start_page"], read["end_page"], read["doi"]) == ("101", "110", "10.5555/trial.1")
    assert read["notes"][0].startswith("Verdict: include (by the rules, screened on title).")
    assert "Notice: correction" in read["notes"]


@given(title=LINE, abstract=LINE, container=LINE, people=st.lists(PERSON, max_size=4))
@settings(max_examples=60, deadline=None)
def test_ris_parses_back(title: str, abstract: str, container: str, people: list[dict[str, str]]) -> None:
    given_row = row(title=title, abstract=abstract, container=container, authors_full=people)
    _, read, _ = read_ris(file_formats.ris([FULL, given_row, FULL]))
    for key, value in (("title", title), ("abstract", abstract), ("secondary_title", container)):
        assert read.get(key, "") == value
    wanted = [p.get("name") or f"{p['family']}, {p['given']}" for p in people]
    assert read.get("authors", []) == wanted


@given(abstract=st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
@settings(max_examples=60, deadline=None)
def test_no_text_adds_a_line_to_ris(abstract: str) -> None:
    text = "".join(file_formats.ris([row(abstract=abstract + "\nER  - \nTY  - JOUR")]))
    assert sum(line.startswith(("TY  - ", "ER  - ")) for line in text.splitlines()) == 2
    assert len(read_ris(iter([text]))) == 1


# ---------------------------------------------------------------- BibTeX


def test_bibtex_reads_as_written() -> None:
    entry = read_bibtex(file_formats.bibtex([FULL])).entries[0]
    fields = {field.key: field.value for field in entry.fields}
    assert entry.entry_type == "article" and re.fullmatch(r"doe2019-[0-9a-f]{8}", entry.key)
    assert fields["author"] == "Doe, Jr, Jane and van der Berg, C. and {Grief and Loss Study Group}"
    assert fields["editor"] == "Smith, Ann"
    assert fields["journal"] == r"Journal of Trials \& Methods"
    assert (fields["pages"], fields["month"], fields["doi"]) == ("101--110", "5", "10.5555/trial.1")
    assert fields["abstract"] == "Background: 12 < 15. Results: fewer symptoms."


def test_a_bibtex_key_is_stable_and_unique() -> None:
    keys = [
        read_bibtex(file_formats.bibtex([row(doi=doi, year=2019)])).entries[0].key for doi in ("10.5555/1", "10.5555/2")
    ]
    again = read_bibtex(file_formats.bibtex([FULL, row(doi="10.5555/2", year=2019)])).entries[1].key
    assert keys[0] != keys[1] == again
    assert read_bibtex(file_formats.bibtex([row(authors_full=[])])).entries[0].key.startswith("work-")


@given(title=LINE, publisher=LINE)
@settings(max_examples=100, deadline=None)
def test_bibtex_parses_back(title: str, publisher: str) -> None:
    text = "".join(file_formats.bibtex([row(title=title, publisher=publisher), FULL]))
    library = read_bibtex(iter([text]))
    assert len(library.entries) == 2
    fields = {field.key: field.value for field in library.entries[0].fields}
    assert unescaped(fields.get("title", "")) == title
    assert unescaped(fields.get("publisher", "")) == publisher


WORDS = {
    "textbackslash": "\\",
    "textbraceleft": "{",
    "textbraceright": "}",
    "textasciitilde": "~",
    "textasciicircum": "^",
}


def unescaped(tex: str) -> str:
    """Decodes LaTeX's named characters, escaped special characters and empty groups, and nothing else."""
    return re.sub(r"\\([a-z]+)\{\}|\\([&%$#_])|\{\}", lambda m: WORDS[m[1]] if m[1] else m[2] or "", tex)


@given(title=st.text(st.sampled_from("aB1 \\%&$#_~-é"), max_size=25).map(str.strip))
@settings(max_examples=60, deadline=None)
def test_latex_itself_reads_the_escapes(title: str) -> None:
    """pylatexenc, which bibtexparser uses, reads a title like a LaTeX: an independent eye on the escapes.

    Without circumflex and braces, whose LaTeX names pylatexenc reads as U+02C6 and as nothing.
    """
    library = parse_string(
        "".join(file_formats.bibtex([row(title="x" + title)])), append_middleware=[LatexDecodingMiddleware()]
    )
    assert library.entries[0].fields_dict["title"].value == "x" + title


@given(people=st.lists(PERSON, min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_bibtex_names_split_back(people: list[dict[str, str]]) -> None:
    library = parse_string(
        "".join(file_formats.bibtex([row(authors_full=people)])),
        append_middleware=[SeparateCoAuthors(), SplitNameParts()],
    )
    parts = library.entries[0].fields_dict["author"].value
    read = [(unescaped(" ".join(p.von + p.last)), unescaped(" ".join(p.first))) for p in parts]
    assert read == [(p.get("family") or "{" + p["name"] + "}", p.get("given", "")) for p in people]


def test_names_with_and_or_a_comma_stay_one_name() -> None:
    people = [
        {"family": "Rosen and Sons", "given": "A"},
        {"family": "Doe, the elder", "given": "B"},
        {"family": "Gao Li"},
    ]
    entry = read_bibtex(file_formats.bibtex([row(authors_full=people)])).entries[0]
    assert entry.fields_dict["author"].value == "{Rosen and Sons}, A and {Doe, the elder}, B and {Gao Li}"


# ---------------------------------------------------------------- pages


@pytest.mark.parametrize(
    ("deposited", "first", "last", "whole"),
    [
        ("101-110", "101", "110", "101-110"),
        ("45-45", "45", "45", "45-45"),
        ("7", "7", None, "7"),
        ("e0-12", "e0-12", None, "e0-12"),  # one article's number
        ("e62551", "e62551", None, "e62551"),
        ("III-318", "III-318", None, "III-318"),
        ("e2017-123", "e2017-123", None, "e2017-123"),
        ("12, 34-36", "12", "36", "12, 34-36"),
        ("1-3, 10-11", "1", "11", "1-3, 10-11"),
        ("6-13, 16", "6", "16", "6-13, 16"),
        ("S12–S19", "S12", "S19", "S12-S19"),
        ("1134–47", "1134", "1147", "1134-1147"),
        ("E550-556", "E550", "E556", "E550-E556"),
        ("E12-34-E12-40", "E12-34", "E12-40", "E12-34-E12-40"),
        ("233-240.e2", "233", "240.e2", "233-240.e2"),
        ("192.e1-192.e6", "192.e1", "192.e6", "192.e1-192.e6"),
        ("511a-512", "511a", "512", "511a-512"),
        ("198-a-198", "198-a", "198", "198-a-198"),
        ("111-128_1", "111", "128", "111-128"),
        ("ix-xii", "ix", "xii", "ix-xii"),
        ("pp. 12--15", "12", "15", "12-15"),
        ("n/a-n/a", None, None, None),
        ("no-no", None, None, None),
        ("0-0", None, None, None),
        ("", None, None, None),
    ],
)
def test_every_format_has_the_same_first_and_last_page(
    deposited: str, first: str | None, last: str | None, whole: str | None
) -> None:
    """Read back by other programs. The CSV keeps what was deposited."""
    work = row(pages=deposited)
    (ris,) = read_ris(file_formats.ris([work]))
    assert (ris.get("start_page"), ris.get("end_page")) == (first, last)
    fields = {field.key: field.value for field in read_bibtex(file_formats.bibtex([work])).entries[0].fields}
    ranges = ", ".join(span.first + (f"--{span.last}" if span.last else "") for span in page_ranges.spans(deposited))
    assert fields.get("pages", "") == ranges
    assert fields.get("pages", "").replace("--", "-") == (whole or "")
    (item,) = json.loads("".join(file_formats.csl_json([work])))
    assert item.get("page") == whole
    assert read_csv(file_formats.csv_rows([work]))[0]["pages"] == deposited


@given(st.integers(1, 99999), st.integers(0, 400), st.sampled_from(["", "S", "e", "CD"]), st.sampled_from("-–—"))
def test_a_range_is_the_same_however_it_is_abbreviated(begin: int, more: int, letters: str, dash: str) -> None:
    first, last = str(begin), str(begin + more)
    wanted = (letters + first, letters + last)
    assert page_ranges.first_last(f"{letters}{first}{dash}{letters}{last}") == wanted
    assert page_ranges.first_last(f"{letters}{first} {dash} {last}") == wanted
    kept = next((n for n in range(len(first)) if first[n] != last[n]), len(first) - 1)
    if len(first) == len(last) and more < 100:
        assert page_ranges.first_last(f"{letters}{first}{dash}{last[kept:]}") == wanted


@given(st.text(max_size=20))
def test_no_text_breaks_the_parser_of_pages(text: str) -> None:
    first, last = page_ranges.first_last(text)
    assert first is not None or last is None
    assert all(span.first and span.last != "" for span in page_ranges.spans(text))


def test_identifiers_are_where_reference_managers_look_for_them() -> None:
    """In RIS, AN is the accession number, and C2 where EndNote has the PMCID of a journal article. A field for one identifier
    gets the surest."""
    (read,) = read_ris(file_formats.ris([FULL]))
    assert (read["accession_number"], read["custom2"]) == ("22018333", "PMC3308108")
    assert "Registrations: NCT01234567" in read["notes"]
    (chapter,) = read_ris(file_formats.ris([{**FULL, "kind": "book-chapter"}]))
    assert "custom2" not in chapter and "PMCID: PMC3308108" in chapter["notes"]
    fields = {field.key: field.value for field in read_bibtex(file_formats.bibtex([FULL])).entries[0].fields}
    assert (fields["pmid"], fields["pmcid"]) == ("22018333", "PMC3308108")
    (item,) = json.loads("".join(file_formats.csl_json([FULL])))
    assert (item["PMID"], item["PMCID"]) == ("22018333", "PMC3308108")
    assert item["custom"]["openalex"] == "W2741809807" and item["custom"]["mesh"] == FULL["mesh"]
    (line,) = read_csv(file_formats.csv_rows([FULL]))
    assert (line["pmid"], line["asked_pubmed"], line["asked_crossref"]) == ("22018333; 31415926", "2026-11-24", "")
    none = "".join(
        str(chunk) for name in ("ris", "bibtex", "csl-json") for chunk in file_formats.FORMATS[name]([row()])
    )
    assert not re.search(r"AN  -|C2  -|pmc?id", none, re.IGNORECASE)


def test_a_link_with_a_semicolon_stays_one_link() -> None:
    (read,) = read_ris(file_formats.ris([row(url="https://doi.org/10.1002/(sici)1097;2-x")]))
    assert read["urls"] == ["https://doi.org/10.1002/(sici)1097%3B2-x"]


# ---------------------------------------------------------------- CSL-JSON

CSL_KEYS = {
    *("id", "type", "title", "container-title", "publisher", "volume", "issue", "page", "DOI", "URL", "language"),
    *(
        "abstract",
        "author",
        "editor",
        "issued",
        "ISSN",
        "keyword",
        "note",
        "ISBN",
        "edition",
        "title-short",
        "original-title",
    ),
    *("PMID", "PMCID", "container-title-short", "publisher-place", "available-date", "custom"),
}


def assert_csl(item: dict[str, Any]) -> None:
    """The part of the CSL-JSON 1.0 schema that these items can break."""
    assert set(item) <= CSL_KEYS
    assert {"id", "type"} <= set(item)
    for key, value in item.items():
        if key in ("author", "editor"):
            assert all(person and set(person) <= {"family", "given", "suffix", "literal"} for person in value)
        elif key in ("issued", "available-date"):
            ((year, *rest),) = value["date-parts"]
            date(year, *[*rest, 1, 1][:2])
        else:
            assert isinstance(value, dict if key == "custom" else str)


def test_csl_json_is_valid() -> None:
    items = json.loads("".join(file_formats.csl_json([FULL, row()])))
    for item in items:
        assert_csl(item)
    assert items[0]["issued"] == {"date-parts": [[2019, 5]]}
    assert items[0]["author"][2] == {"literal": "Grief and Loss Study Group"}
    assert items[0]["type"] == "article-journal" and "issued" not in items[1]


@given(st.lists(st.tuples(TEXT, TEXT, st.lists(PERSON, max_size=3)), max_size=3))
@settings(max_examples=40, deadline=None)
def test_csl_json_parses_back(works: list[tuple[str, str, list[dict[str, str]]]]) -> None:
    rows = [row(title=title, abstract=abstract, authors_full=people) for title, abstract, people in works]
    items = json.loads("".join(file_formats.csl_json(rows)))
    for item, (title, abstract, people) in zip(items, works, strict=True):
        assert_csl(item)
        assert (item["title"], item["abstract"]) == (title, abstract)
        assert item.get("author", []) == [{"literal": p["name"]} if "name" in p else p for p in people]


@pytest.mark.parametrize("name", file_formats.FORMATS)
def test_absent_facts_are_left_out(name: str) -> None:
    if name == "parquet":
        exported_files.needs("pyarrow")
    text = exported_files.text_of(name, b"".join(file_formats.encode(file_formats.FORMATS[name]([row(tag_rows=[])]))))
    assert name in ("jsonl", "parquet", "xlsx") or ("None" not in text and "null" not in text)
    if name in ("jsonl", "xlsx"):
        found = (
            json.loads(text)
            if name == "jsonl"
            else exported_files.sheet(b"".join(file_formats.encode(file_formats.FORMATS[name]([row(tag_rows=[])]))))[0]
        )
        assert found["volume"] is None and found["year"] is None and found["doi"] == "10.5555/trial.1"


@pytest.mark.parametrize("name", [*file_formats.FORMATS, *tool_presets.PRESETS])
def test_a_work_without_a_doi_is_named_by_its_local_id_and_no_doi_is_made_up(name: str) -> None:
    if name == "parquet":
        exported_files.needs("pyarrow")
    written = file_formats.FORMATS[name] if name in file_formats.FORMATS else tool_presets.PRESETS[name].file
    work = row(doi=None, local_id="local-0123456789abcdef", tag_rows=[TAG])
    text = exported_files.text_of(name, b"".join(file_formats.encode(written([work]))))
    assert "local-0123456789abcdef" in text
    assert name in ("jsonl", "parquet", "xlsx") or "None" not in text
    assert "doi.org/local" not in text and "[doi]" not in text


# ---------------------------------------------------------------- real records


@pytest.fixture(scope="module")
def real_rows(data: Path) -> list[dict[str, Any]]:
    """Every record of the collection as a row, without those that cannot be normalised."""
    rows = []
    for deposited in json_lines(data, "crossref-works.jsonl"):
        with contextlib.suppress(RecordError):
            work = asdict(normalise(deposited["work"]))
            known = {key: work[key] for key in work.keys() & set(file_formats.KEYS) - {"authors", "event", "funders"}}
            rows.append(row(**known, authors_full=work["authors"]))
    return rows


def flat(text: str | None) -> str:
    return " ".join((text or "").splitlines())


def test_real_records_survive_every_format(real_rows: list[dict[str, Any]], data: Path) -> None:
    assert len(real_rows) > (75 if data == SAMPLES else 1500)
    for got, given_row in zip(read_ris(file_formats.ris(real_rows)), real_rows, strict=True):
        assert (got.get("title", ""), got.get("abstract", "")) == (
            flat(given_row["title"]),
            flat(given_row["abstract"]),
        )
        assert (got.get("start_page"), got.get("end_page")) == page_ranges.first_last(given_row["pages"])
        assert got["doi"] == given_row["doi"]
        assert got.get("urls", []) == ([given_row["url"].replace(";", "%3B")] if given_row["url"] else [])
    entries = read_bibtex(file_formats.bibtex(real_rows)).entries
    for entry, given_row in zip(entries, real_rows, strict=True):
        fields = {field.key: field.value for field in entry.fields}
        assert unescaped(fields.get("title", "")) == flat(given_row["title"])
        assert fields["doi"] == given_row["doi"]
    for line, given_row in zip(read_csv(file_formats.csv_rows(real_rows)), real_rows, strict=True):
        for key in ("title", "abstract", "container", "publisher", "pages"):
            assert file_formats.unguard(line[key]) == (given_row[key] or "")
    for item, given_row in zip(json.loads("".join(file_formats.csl_json(real_rows))), real_rows, strict=True):
        assert_csl(item)
        assert item["id"] == given_row["doi"]


# ---------------------------------------------------------------- encodings


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "latin-1"])
def test_chunks_encode_as_one_text(encoding: str) -> None:
    chunks = ["Grüße, ", "naïve ", "Müller\r\n"]
    assert b"".join(file_formats.encode(chunks, encoding)) == "".join(chunks).encode(encoding)


def test_the_byte_order_mark_is_written_at_most_once() -> None:
    def written(encoding: str) -> bytes:
        return b"".join(file_formats.encode(file_formats.csv_rows([row()], file_formats.Layout(excel=True)), encoding))

    assert written("utf-8").startswith(b"\xef\xbb\xbfdoi")
    assert written("utf-8-sig").startswith(b"\xef\xbb\xbfdoi")
    assert written("utf-16").decode("utf-16").startswith("doi")
    assert written("cp1252").startswith(b"doi")


@pytest.mark.parametrize(
    "name", ["utf-9", "rot13", "base64", "idna", "punycode", "unicode_escape", "undefined", "", "a\0b"]
)
def test_an_unknown_encoding_is_refused_before_any_byte(name: str) -> None:
    with pytest.raises(ConfigError, match="unknown encoding"):
        file_formats.encode(["x"], name)


def test_an_unwritable_character_is_refused_or_replaced_on_request() -> None:
    with pytest.raises(ConfigError, match=r"cannot write 'ő' \(U\+0151\).*iso8859-1:replace"):
        list(file_formats.encode(["Erdős"], "latin-1"))
    assert b"".join(file_formats.encode(["Erdős"], "latin-1:replace")) == b"Erd?s"
    with pytest.raises(ConfigError, match="cannot write"):
        list(file_formats.encode(["\ud800"], "utf-8"))
    with pytest.raises(ConfigError, match="only `replace`"):
        file_formats.encode(["x"], "latin-1:ignore")


# ---------------------------------------------------------------- strength


def test_every_format_for_people_says_which_tags_are_not_stated() -> None:
    """Read back by other programs: RIS and BibTeX in notes, CSL-JSON in a list, CSV in columns."""
    work = row(
        tags={"variant": ("ipt",), "outcome": ("anxiety", "cost"), "design": ("rct",)},
        likely_tags=("outcome:anxiety", "design:rct"),
        implied_tags=("outcome:cost",),
    )
    (ris,) = read_ris(file_formats.ris([work]))
    fields = {field.key: field.value for field in read_bibtex(file_formats.bibtex([work])).entries[0].fields}
    (item,) = json.loads("".join(file_formats.csl_json([work])))
    for note in (" ".join(ris["notes"]), fields["note"], item["note"]):
        assert "likely rather than stated: outcome:anxiety; design:rct" in note
        assert "only implied: outcome:cost" in note
    assert item["custom"] == {"likely-tags": ["outcome:anxiety", "design:rct"], "implied-tags": ["outcome:cost"]}
    (cells,) = read_csv(file_formats.csv_rows([work]))
    assert (cells["likely_tags"], cells["implied_tags"]) == ("outcome:anxiety; design:rct", "outcome:cost")


def test_a_work_with_stated_tags_alone_has_no_note_on_strength() -> None:
    assert "implied" not in "".join(file_formats.ris([FULL])) and "likely" not in "".join(file_formats.bibtex([FULL]))
