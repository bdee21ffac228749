"""What `evidence export` can be asked for: shapes, columns, tools, folders. Read back by other programs where there are any."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evidence.errors import ConfigError
from evidence.export import data_package, file_formats, parquet_file, tool_presets, workbook
from evidence.export.columns import Column, Layout
from evidence.export.data_package import File
from evidence.publish import list_by_address
from evidence.rules import topic
from tests import exported_files, site_sample
from tests.command_line import Run, runner
from tests.export.test_file_formats import FULL, read_csv, read_ris, row

VALUES = {"variant": ("ipt", "ipt-a"), "outcome": ("depressive-symptoms", "quality-of-life"), "design": ("rct",)}
TAG_ROWS = [
    {"facet": "outcome", "value": "depressive-symptoms", "strength": "stated", "tag_decided": "rule", "certainty": 0.96,
     "how": "Depressive symptoms: in the title (“depression”).", "words": "depression"},
    {"facet": "variant", "value": "ipt", "strength": "likely", "tag_decided": "person", "certainty": None, "how": None,
     "words": "=not a formula"},
]  # fmt: skip


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return site_sample.make_sample(tmp_path_factory.mktemp("sample") / "evidence.db")


@pytest.fixture
def run(sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("EVIDENCE_DB", str(sample))
    return runner(tmp_path, monkeypatch, capsys)


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


# ---------------------------------------------------------------- shapes and columns


def test_wide_has_a_column_of_0_and_1_for_each_value() -> None:
    rows = [row(tags={"variant": ("ipt-a",)}), FULL, row(tags={})]
    read = read_csv(file_formats.csv_rows(rows, Layout(values=VALUES, shape="wide")))
    assert [(r["variant_ipt"], r["variant_ipt_a"], r["outcome_quality_of_life"]) for r in read] == [
        ("0", "1", "0"), ("1", "0", "1"), ("0", "0", "0"),
    ]  # fmt: skip
    assert "variant" not in read[0] and "likely_tags" in read[0]
    names = list(read[0])
    assert all(re.fullmatch(r"[A-Za-z]\w{0,63}", name, re.ASCII) for name in names), "SPSS and R change other names"
    past = Layout(values=VALUES, shape="wide", past=True).columns()
    assert "variant_ipt_a_today" in [column.name for column in past]


@pytest.mark.parametrize("name", topic.shipped())
def test_no_topic_has_two_wide_columns_of_one_name(name: str) -> None:
    from evidence.rules import taxonomy

    book = taxonomy.load(topic.load(name))
    values = {facet.facet: tuple(value.id for value in facet.values) for facet in book.facets}
    wide = Layout(book.topic, values, shape="wide").columns()
    assert len({column.name for column in wide}) == len(wide) > 100


def test_two_wide_columns_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="variant_a_b"):
        Layout(values={"variant": ("a-b", "a_b")}, shape="wide").columns()


def test_long_has_a_row_a_tag_with_its_words() -> None:
    rows = [row(doi="10.5555/1", year=2020, tag_rows=TAG_ROWS), row(doi="10.5555/2", tag_rows=[])]
    read = read_csv(file_formats.csv_rows(rows, Layout(shape="long")))
    assert [
        (r["doi"], r["year"], r["facet"], r["value"], r["strength"], r["tag_decided"], r["certainty"]) for r in read
    ] == [
        ("10.5555/1", "2020", "outcome", "depressive-symptoms", "stated", "rule", "0.96"),
        ("10.5555/1", "2020", "variant", "ipt", "likely", "person", ""),
    ]
    assert [r["words"] for r in read] == ["depression", "'=not a formula"]


@pytest.mark.parametrize(
    ("shape", "names", "written"),
    [
        ("lists", "year,doi,design", "year,doi,design"),
        ("wide", "doi,variant", "doi,variant_ipt,variant_ipt_a"),
        ("wide", "doi,variant_ipt_a,doi", "doi,variant_ipt_a"),
        ("long", "value,doi,volume", "value,doi,volume"),
    ],
)
def test_columns_are_those_asked_for_in_their_order(shape: Any, names: str, written: str) -> None:
    layout = Layout(values=VALUES, shape=shape, names=tuple(names.split(",")))
    text = "".join(file_formats.csv_rows([row(tag_rows=TAG_ROWS)], layout))
    assert text.split("\r\n")[0] == written


def test_one_column_of_nothing_is_a_line_all_the_same() -> None:
    text = "".join(file_formats.csv_rows([row()] * 2, Layout(names=("volume",))))
    assert text == 'volume\r\n""\r\n""\r\n' and len(table(text)) == 2


@pytest.mark.parametrize(
    ("shape", "name"), [("lists", "desing"), ("long", "design"), ("lists", "facet"), ("wide", "variant_x")]
)
def test_an_unknown_column_is_refused(shape: Any, name: str) -> None:
    with pytest.raises(
        ConfigError, match=f"no column '{name}'" + (r" \(did you mean 'design'" if name == "desing" else "")
    ):
        Layout(values=VALUES, shape=shape, names=(name,)).columns()


def test_the_notes_have_verdict_and_tags_and_the_reasons_only_if_asked() -> None:
    for name in ("ris", "bibtex", "csl-json", "nbib", "endnote-xml"):
        form = file_formats.FORMATS[name]
        short, long = ("".join(map(str, form([FULL], Layout(with_reasons=asked)))) for asked in (False, True))
        assert "Verdict: include" in short and "outcome:quality-of-life" in short, name
        assert "Text behind verdict and tags" not in short, name
        assert "Text behind verdict and tags: title: “interpersonal psychotherapy”" in long, name
    (read,) = read_ris(file_formats.ris([FULL]))
    assert "Tags: variant:ipt; outcome:depressive-symptoms; outcome:quality-of-life" in read["notes"]


# ---------------------------------------------------------------- workbooks and Parquet


def test_a_workbook_keeps_text_as_text_and_numbers_as_numbers() -> None:
    hostile = ["=1+1", "@SUM(A1)", "007", "3-15", "https://example.org", "{=1}", "  kept  ", "a\x0bb"]
    rows = [row(title=text, year=2019, cited_by=3, doi=f"10.5555/{n}") for n, text in enumerate(hostile)]
    data = b"".join(workbook.workbook(rows))
    read = exported_files.sheet(data)
    assert [r["title"] for r in read] == [*hostile[:-1], "a_x000B_b"]
    assert {(r["year"], r["cited_by"], r["volume"]) for r in read} == {(2019, 3, None)}
    assert exported_files.sheet(data, "columns")[0] == {
        "column": "doi",
        "content": "DOI in lower case, without https://doi.org/; empty for a work of an imported file that has none.",
    }


def test_a_workbook_cuts_what_no_cell_can_hold_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "ROWS", 2)
    rows = [row(title="x" * 40_000), row(), row(doi="10.5555/third")]
    data = b"".join(workbook.workbook(rows))
    first, second = exported_files.sheet(data), exported_files.sheet(data, "works 2")
    assert len(first[0]["title"]) == workbook.LONGEST and first[0]["title"].endswith(workbook.CUT)
    assert (len(first), [r["doi"] for r in second]) == (2, ["10.5555/third"])


def test_parquet_without_pyarrow_says_how_to_get_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_file, "available", lambda: False)
    said = run("export", "-f", "parquet", "-o", "works.parquet")
    assert said.code == 2 and "pip install pyarrow" in said.err and not Path("works.parquet").exists()


# ---------------------------------------------------------------- other tools


def written_for(tool: str, rows: list[dict[str, Any]]) -> Iterator[str]:
    return (str(chunk) for chunk in tool_presets.PRESETS[tool].file(rows))


def test_asreview_gets_a_name_with_a_semicolon_as_one_name() -> None:
    people = [{"name": "A Faculty; A Department"}, {"family": "Doe", "given": "Jane"}]
    (read,) = read_csv(written_for("asreview", [row(authors_full=people)]))
    assert read["authors"] == "A Faculty, A Department; Doe, Jane"


def test_rayyan_gets_no_editor_as_an_author() -> None:
    (read,) = read_ris(written_for("rayyan", [FULL]))
    assert "secondary_authors" not in read and "tertiary_authors" not in read
    assert "Contributors: Smith, Ann (ed.)" in read["notes"] and len(read["authors"]) == 3


def test_eppi_gets_editors_where_it_reads_them_and_an_identifier() -> None:
    (read,) = read_ris(written_for("eppi", [{**FULL, "kind": "book"}]))
    assert read["secondary_authors"] == ["Smith, Ann"] and read["id"] == FULL["doi"]


def test_metapsy_has_its_columns_first_and_tells_studies_apart() -> None:
    rows = [
        row(doi=f"10.5555/{n}", year=2019, pmid=None, authors_full=[{"family": "Smith", "given": "A"}])
        for n in range(28)
    ]
    read = read_csv(written_for("metapsy", [*rows, row(authors_full=[])]))
    assert list(read[0])[:20] == [
        "study", "condition_arm1", "condition_arm2", "multi_arm1", "multi_arm2", "outcome_type", "instrument", "time",
        "time_weeks", "rating", "mean_arm1", "mean_arm2", "sd_arm1", "sd_arm2", "n_arm1", "n_arm2", "event_arm1", "event_arm2",
        "totaln_arm1", "totaln_arm2",
    ]  # fmt: skip
    studies = [r["study"] for r in read]
    assert studies[:3] == ["Smith, 2019", "Smith, 2019b", "Smith, 2019c"] and studies[25:] == [
        "Smith, 2019z", "Smith, 2019aa", "Smith, 2019ab", "10.5555/trial.1, n.d.",
    ]  # fmt: skip
    assert len(set(studies)) == len(studies)
    assert {r["mean_arm1"] for r in read} == {""}


@pytest.mark.parametrize(("records", "size"), [(3, 10**9), (1000, 10**9), (1000, 2500), (13, 10**9), (12, 10**9)])
def test_a_file_is_split_where_the_tool_wants_it(
    run: Run, monkeypatch: pytest.MonkeyPatch, records: int, size: int
) -> None:
    few = replace(tool_presets.PRESETS["covidence"], most_records=records, most_bytes=size)
    monkeypatch.setitem(tool_presets.PRESETS, "covidence", few)
    assert run("export", "--verdict", "all", "-f", "ris", "-o", "whole.ris").code == 0
    whole = Path("whole.ris").read_bytes()
    count = whole.count(b"TY  - ")
    assert count == 13
    said = run("export", "--verdict", "all", "--for", "covidence", "-o", "x.ris")
    assert said.code == 0, said.err
    files = sorted(Path().glob("x*.ris"), key=lambda path: (len(path.name), path.name))
    parts = [path.read_bytes() for path in files]
    assert b"".join(parts) == whole
    assert max(part.count(b"TY  - ") for part in parts) <= records
    assert all(len(part) <= size or part.count(b"TY  - ") == 1 for part in parts)
    assert (len(parts) == 1) == (records >= 13 and size >= len(whole))
    names = ["x.ris"] if len(files) == 1 else [f"x-{number}.ris" for number in range(1, len(files) + 1)]
    assert [path.name for path in files] == names
    to_stdout = run("export", "--verdict", "all", "--for", "covidence")
    if len(files) > 1:
        assert to_stdout.code == 2 and "name a file with -o" in to_stdout.err and to_stdout.out == ""
    else:
        assert to_stdout.code == 0 and to_stdout.out.count("TY  - ") == count
    assert not list(Path().glob(".evidence-*"))
    said = run("export", "--verdict", "all", "--for", "covidence", "-o", "out/")
    resources = json.loads(Path("out/datapackage.json").read_text(encoding="utf-8"))["resources"]
    assert [resource["records"] for resource in resources] == [part.count(b"TY  - ") for part in parts]


def test_covidence_takes_15000_records_and_50_megabytes() -> None:
    preset = tool_presets.PRESETS["covidence"]
    assert (preset.most_records, preset.most_bytes) == (15_000, 50_000_000)


# ---------------------------------------------------------------- what does not fit, and lists by address


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--excel", "-f", "ris"], "--excel is for --format csv"),
        (["--excel", "-f", "xlsx"], "--excel is for --format csv"),
        (["--shape", "wide", "-f", "bibtex"], "--shape wide is for tables"),
        (["--columns", "doi", "-f", "nbib"], "--columns is for tables"),
        (["--columns", "dio"], "did you mean 'doi'"),
        (["--with-reasons"], "--with-reasons is for formats with notes"),
        (["--encoding", "latin-1", "-f", "xlsx"], "--encoding cannot be chosen"),
        (["--encoding", "latin-1", "--for", "rayyan"], "--encoding cannot be chosen"),
        (["--for", "rayyan", "-f", "ris"], "not both"),
        (["--for", "metapsy", "--columns", "doi"], "--columns is for tables"),
        (["--list", "verdict=include", "--tag", "design:rct"], "leave out --tag"),
        (["--list", "nonsense__gte=3"], "no column 'nonsense'"),
        (["--list", "_sort=nonsense"], "--list _sort=nonsense"),
        (["--list", "_tags=design:rct"], "no filter '_tags'"),
        (["--list", "/map?rows=design"], "no list of works"),
        (["--list", "as_of=2020-01-01"], "--as-of"),
    ],
)
def test_an_option_that_does_not_fit_is_refused_with_a_remedy(run: Run, options: list[str], says: str) -> None:
    said = run("export", *options, "-o", "out")
    assert said.code == 2 and says in said.err, said.err
    assert not Path("out").exists()


async def listed(sample: Path, query: str) -> list[str]:
    from datasette.app import Datasette

    from evidence.publish import serve

    ds = Datasette([str(sample)], config_dir=serve.site_folder())
    await ds.invoke_startup()
    text = (await ds.client.get(f"/download/csv?{query}")).text
    return [one["doi"] for one in table(text)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "query",
    [
        "",
        "year__gte=2010",
        "_tag=design:rct&_sort=doi",
        "_sort_desc=container",
        "_q=depression",
        "verdict__not=exclude",
    ],
)
async def test_a_list_by_its_address_is_the_list_of_the_site(sample: Path, query: str) -> None:
    import asyncio

    found = await asyncio.to_thread(list_by_address.read, sample, f"https://example.org/evidence/works?{query}")
    assert list(found.dois) == await listed(sample, query)
    if "=" in query:
        again = await asyncio.to_thread(list_by_address.read, sample, query)
        assert again == found


# ---------------------------------------------------------------- folders


def package(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "datapackage.json").read_text(encoding="utf-8"))
    return found


def test_a_folder_has_the_data_and_their_description(run: Run) -> None:
    said = run("export", "--verdict", "all", "-o", "out/")
    assert said.code == 0, said.err
    folder = Path("out")
    assert sorted(path.name for path in folder.iterdir()) == [
        "csv-metadata.json",
        "datapackage.json",
        "tags.csv",
        "works.csv",
    ]
    described = {resource["path"]: resource for resource in package(folder)["resources"]}
    for name, resource in described.items():
        data = (folder / name).read_bytes()
        assert resource["hash"] == f"sha256:{hashlib.sha256(data).hexdigest()}" and resource["bytes"] == len(data)
    for name in ("works.csv", "tags.csv"):
        rows = table((folder / name).read_bytes().decode())
        assert described[name]["rows"] == len(rows) > 3
        assert [field["name"] for field in described[name]["schema"]["fields"]] == list(rows[0])
    assert described["tags.csv"]["schema"]["foreignKeys"][0]["reference"] == {"resource": "works", "fields": ["doi"]}
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert run("export", "--verdict", "all", "-o", "out").code == 0  # a folder by now
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert before.keys() == after.keys() and before["works.csv"] == after["works.csv"]


def test_a_folder_loses_what_an_earlier_export_made_and_nothing_else(run: Run) -> None:
    assert run("export", "-o", "out/").code == 0
    folder = Path("out")
    (folder / "mine.txt").write_text("mine")
    (folder / "tags.csv").write_text("edited by hand")
    assert run("export", "-f", "ris", "-o", "out/").code == 0
    assert sorted(path.name for path in folder.iterdir()) == ["datapackage.json", "mine.txt", "tags.csv", "works.ris"]
    assert [resource["path"] for resource in package(folder)["resources"]] == ["works.ris"]


def test_a_failed_export_leaves_a_folder_as_it_was(run: Run) -> None:
    assert run("export", "-o", "out/").code == 0
    before = {path.name: path.read_bytes() for path in Path("out").iterdir()}
    said = run("export", "--verdict", "all", "--encoding", "ascii", "-o", "out/")
    assert said.code == 2 and "ascii cannot write" in said.err
    assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == before


@pytest.mark.parametrize(
    "options",
    [[], ["--shape", "wide"], ["--shape", "long"], ["--columns", "title,doi,year"], ["--columns", "title"], ["--excel"],
     ["--query", "nothingtofind"], ["--as-of", "2026-11-21"]],
    ids=" ".join,
)  # fmt: skip
def test_frictionless_and_csvw_accept_a_folder(run: Run, options: list[str]) -> None:
    exported_files.needs("frictionless", "csvw")
    import warnings

    assert run("export", "--verdict", "all", *options, "-o", "out/").code == 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import frictionless
        from csvw import TableGroup

        report = frictionless.Package("out/datapackage.json").validate()
        assert report.valid, report.flatten(["title", "type", "message"])
        group = TableGroup.from_file("out/csv-metadata.json")
        counts = {str(one.url): len(list(one.iterdicts(log=None, strict=True))) for one in group.tables}
        group.check_referential_integrity(strict=True)
    assert counts == {
        resource["path"]: resource["rows"] for resource in package(Path("out"))["resources"] if "rows" in resource
    }


def test_frictionless_and_csvw_find_what_is_wrong(run: Run) -> None:
    exported_files.needs("frictionless", "csvw")
    import warnings

    assert run("export", "--verdict", "all", "-o", "out/").code == 0
    path = Path("out/works.csv")
    text = path.read_bytes().decode()
    year = table(text)[0]["year"]
    assert f",{year}," in text and ",include," in text
    path.write_bytes(text.replace(f",{year},", ",soon,").replace(",include,", ",perhaps,", 1).encode())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import frictionless
        from csvw import TableGroup

        found = {error[0] for error in frictionless.Package("out/datapackage.json").validate().flatten(["type"])}
        assert {"hash-count", "type-error"} <= found
        group = TableGroup.from_file("out/csv-metadata.json")
        with pytest.raises(ValueError, match="perhaps"):
            [list(one.iterdicts(strict=True)) for one in group.tables]


def test_the_description_of_every_column_is_typed() -> None:
    columns = (
        Column("doi", "A.", kind="doi"),
        Column("flag", "B.", kind="flag"),
        Column("verdict", "C.", allowed=("a", "b+c")),
    )
    file = File("works.csv", "Works", "text/csv", 1, "0", 2, columns, ("doi",))
    fields = json.loads(data_package.data_package("t", "d", "c", "utf-8", [file]))["resources"][0]["schema"]["fields"]
    assert fields[0]["constraints"] == {"required": True} and fields[1]["type"] == "boolean"
    assert fields[2]["constraints"] == {"enum": ["a", "b+c"]}
    (table_,) = json.loads(data_package.csvw("t", "utf-8", [file]))["tables"]
    assert table_["tableSchema"]["columns"][2]["datatype"] == {"base": "string", "format": r"a|b\+c"}


def test_works_without_a_pmid_are_counted_where_that_matters(run: Run) -> None:
    said = run("export", "-f", "nbib", "-o", "works.nbib")
    assert re.search(r"Without a PMID: \d+ works?\. Programs that know", said.err)
    assert "PMID" not in run("export", "-f", "ris", "-o", "works.ris").err


def test_a_pipe_gets_all_records(run: Run) -> None:
    said = run("export", "--for", "covidence", "-o", "/dev/null")
    assert said.code == 0, said.err
