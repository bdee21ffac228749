"""What a work touches: counted by hand on a small database, the same in every place that says it, and honest about what is not
known."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from datasette.app import Datasette

from evidence.cli import cli
from evidence.data_model import Doi
from evidence.database.connection import reading
from evidence.database.writer import open_store
from evidence.export import ripple_report
from evidence.publish import ripple, serve
from tests import site_sample

ATOM = "{http://www.w3.org/2005/Atom}"
META = Doi("10.1176/appi.ajp.2015.15091141")
"""An included meta-analysis, no. 4 of the article."""
IPT_A = Doi("10.1001/archpsyc.56.6.573")
TRIAL = Doi("10.1001/archgenpsychiatry.2011.67")
MARKOWITZ, LIPSITZ, WAITING = Doi("10.1002/cpp.1774"), Doi("10.1016/j.cpr.2013.09.002"), Doi("10.1002/jclp.21857")
OLD, TWIN, PREPRINT = "10.5555/the.old.doi", "10.5555/a.twin", "10.5555/a.preprint"
ELSEWHERE = "10.5555/not.here"
ARTICLES = f"""
sources:
  - id: {site_sample.ARTICLE}
    kind: references
    label: The list
    citations: [{", ".join(f"{{text: Citation {n}}}" for n in range(1, 10))}]
articles:
  - id: one
    title: The article
    references: {site_sample.ARTICLE}
    claims:
      - {{id: alone, says: It helps, cites: [4]}}
      - {{id: with-others, says: It lasts, cites: [1, 4, 4, 9]}}
      - {{id: without, says: It is cheap, cites: [1, 9]}}
"""


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample, in which works cite the meta-analysis: by its DOI, by one that it has left, by that of a second record of it;
    and a second record of a citing work does. A preprint of it is a work of its own."""
    path = site_sample.make_sample(tmp_path_factory.mktemp("ripple") / "evidence.db")
    with closing(sqlite3.connect(path)) as conn, conn:
        for doi, title in (
            (TWIN, "The same again"),
            (PREPRINT, "The same as a preprint"),
            ("10.5555/b.twin", "Its twin"),
        ):
            site_sample.add_work(conn, (doi, title, "A", "J", "2015", "journal-article", "include", None))
        for doi, head in ((TWIN, META), ("10.5555/b.twin", LIPSITZ)):
            conn.execute("update works set verdict = 'duplicate', same_as = ? where doi = ?", (head, doi))
        conn.execute("insert into aliases (alias, doi, first_run) values (?, ?, 1)", (OLD, META))
        conn.execute("insert into relations (doi, kind, other) values (?, 'is-preprint-of', ?)", (PREPRINT, META))
        for citing, cited in (
            (TRIAL, META), (MARKOWITZ, OLD), (WAITING, TWIN), ("10.5555/b.twin", META), (TWIN, META), (META, MARKOWITZ),
            (TRIAL, ELSEWHERE),
        ):  # fmt: skip
            conn.execute("insert into cites (doi, cited, asserted_by) values (?, ?, 'publisher')", (citing, cited))
        conn.execute(
            "insert into tags (doi, facet, value, decided) values (?, 'design', 'systematic-review', 'rule')",
            (MARKOWITZ,),
        )
        conn.execute(
            "insert into decisions values (1, ?, 'tag', null, 'outcome', 'anxiety', 'it says so', 'A. Reader', "
            "'2026-11-21T10:00:00Z', 'unsaid')",
            (META,),
        )
    return path


@pytest.fixture
def db(sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, with claims of the article in sources.yaml."""
    (tmp_path / "sources.yaml").write_text(ARTICLES)
    monkeypatch.setenv("EVIDENCE_SOURCES", str(tmp_path / "sources.yaml"))
    return Path(shutil.copy(sample, tmp_path / "evidence.db"))


def retract(db: Path, doi: str = META, kind: str = "retraction", run: int = 2) -> None:
    with closing(sqlite3.connect(db)) as conn, conn:
        row = (doi, kind, "10.5555/notice")
        conn.execute(
            "insert into notices (doi, kind, notice_doi, stands_on, relation, issued, source, evidence) "
            "values (?1, ?2, ?3, ?1, 'own', '2026-11-20', 'publisher', 'updated-by')",
            row,
        )
        conn.execute(
            "insert into notice_history (doi, kind, notice_doi, stands_on, relation, evidence, first_run) "
            "values (?1, ?2, ?3, ?1, 'own', 'updated-by', ?4)",
            (*row, run),
        )
        conn.execute("update works set notice = ? where doi = ?", (kind, doi))
        conn.execute(
            "insert into changes (run, doi, what, after, verdict) values (?, ?, 'notice', ?, 'include')",
            (run, doi, f"{kind} 10.5555/notice"),
        )


def read(db: Path, doi: str = META) -> ripple_report.Ripple:
    with reading(db) as conn:
        found = ripple.read(conn, Doi(doi), ripple.known_of(conn, ripple.articles_of(db.with_name("sources.yaml"))))
    assert found is not None
    return found


def run(db: Path, *arguments: str, code: int = 0) -> str:
    line = ["--db", str(db), "--sources", str(db.with_name("sources.yaml")), *arguments]
    done = CliRunner().invoke(cli, line)
    if code:
        assert (type(done.exception).__name__, getattr(done.exception, "exit_code", None)) == ("ConfigError", code)
        return str(done.exception)
    assert done.exit_code == 0, done.output
    return done.stdout


async def site(db: Path) -> Datasette:
    ds = Datasette([str(db)], config_dir=serve.site_folder())
    await ds.invoke_startup()
    return ds


async def page(ds: Datasette, address: str) -> str:
    answer = await ds.client.get(address, follow_redirects=True)
    assert answer.status_code == 200, answer.text
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", answer.text)).split())


def dois(rows: Any) -> list[str]:
    return sorted(row["doi"] for row in rows)


# ---------------------------------------------------------------------- what is counted


def test_what_cites_any_record_or_former_doi_of_a_work_cites_it(db: Path) -> None:
    found = read(db)
    assert found.names == (META, TWIN, OLD)
    assert dois(found.reviews) == [MARKOWITZ]
    assert dois(found.others) == sorted([TRIAL, LIPSITZ]), "the second record of a citing work stands for that work"
    assert found.not_included == {"unsure": 1}
    assert dois(found.related) == [PREPRINT]
    assert [(one.source, [n for n, _ in one.lines]) for one in found.lists] == [(site_sample.ARTICLE, [4])]
    assert [(c.claim, c.citations, c.positions, c.alone) for c in found.claims or ()] == [
        ("alone", 1, (4,), True),
        ("with-others", 3, (4,), False),
    ]
    assert [row["reason"] for row in found.decisions] == ["it says so"]
    for name in (OLD, TWIN):
        assert read(db, name) == found


def test_a_citing_work_that_is_no_longer_included_is_no_longer_among_the_included(db: Path) -> None:
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute("update works set verdict = 'exclude' where doi = ?", (TRIAL,))
        conn.execute("update tags set strength = 'implied' where doi = ? and value = 'systematic-review'", (MARKOWITZ,))
    found = read(db)
    assert (dois(found.reviews), dois(found.others)) == ([], sorted([LIPSITZ, MARKOWITZ]))
    assert found.not_included == {"exclude": 1, "unsure": 1}


def test_for_how_many_works_it_is_not_known_whether_they_cite_it_is_said(db: Path) -> None:
    with closing(sqlite3.connect(db)) as conn:
        included = [doi for (doi,) in conn.execute("select doi from works where verdict = 'include'")]
        with_list = {doi for (doi,) in conn.execute("select distinct doi from cites")}
    unknown = [doi for doi in included if doi not in with_list]
    found = read(db)
    assert found.lists_known == ripple_report.Lists(len(included), len(unknown), 2, 0)
    assert f"No list is known of {len(unknown)} of the {len(included)} included works (0 of the 2 reviews)" in run(
        db, "report", "ripple", META
    )


async def test_cells_are_those_of_the_map_with_the_work_and_of_a_map_from_which_it_was_taken(db: Path) -> None:
    """`with` is what the map shows; `without` is what it shows when somebody has excluded the work."""
    retract(db, IPT_A)
    ds = await site(db)
    before = await cells_of_map(ds)
    for doi in (META, IPT_A, TRIAL, MARKOWITZ, Doi("10.1371/journal.pone.0019044")):
        found = read(db, doi)
        with closing(sqlite3.connect(db)) as conn, conn:
            conn.execute("update works set verdict = 'exclude' where doi = ?", (doi,))
        after = await cells_of_map(ds)
        with closing(sqlite3.connect(db)) as conn, conn:
            conn.execute("update works set verdict = 'include' where doi = ?", (doi,))
        changed = {cell for cell, numbers in before.items() if numbers != after[cell]}
        assert {(cell.row, cell.column) for cell in found.cells} == changed
        for cell in found.cells:
            assert before[cell.row, cell.column] == as_numbers(cell.with_work)
            assert after[cell.row, cell.column] == as_numbers(cell.without)
        assert found.emptied == sum(after[cell][0] == 0 for cell in changed)


async def cells_of_map(ds: Datasette) -> dict[tuple[str, str], tuple[int, ...]]:
    rows = csv.DictReader(io.StringIO((await ds.client.get("/map.csv")).text))
    axes = (rows.fieldnames or ())[:2]
    names = ("works", "trials", "reviews", "retracted")
    return {(row[axes[0]], row[axes[1]]): tuple(int(row[name]) for name in names) for row in rows}


def as_numbers(numbers: ripple_report.Numbers) -> tuple[int, ...]:
    return numbers.works, numbers.trials, numbers.reviews, numbers.retracted


def test_a_retraction_alone_changes_no_number_of_works(db: Path) -> None:
    before = read(db).cells
    retract(db)
    after = read(db).cells
    assert before
    for old, new in zip(before, after, strict=True):
        assert old.with_work.works == new.with_work.works
        assert (old.with_work.retracted + 1, old.without.retracted) == (new.with_work.retracted, new.without.retracted)


def test_a_work_that_is_not_included_or_has_no_tag_on_an_axis_is_in_no_cell(db: Path) -> None:
    assert read(db, WAITING).cells == read(db, LIPSITZ).cells == ()
    assert "not included" in ripple_report.cells_sentence(read(db, WAITING))
    assert "counts in no cell" in ripple_report.cells_sentence(read(db, LIPSITZ))


# ---------------------------------------------------------------------- exports


def test_exports_and_published_copies_that_had_it_are_named_with_what_was_known_then(db: Path, tmp_path: Path) -> None:
    run(db, "export", "--tag", "design:meta-analysis", "-o", str(tmp_path / "before.csv"))
    run(db, "export", "--tag", "design:rct", "-o", str(tmp_path / "without.csv"))
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute(
            "insert into runs (run, started, outcome, door, version) "
            "values (3, '2026-11-28T06:00:00Z', 'complete', 'crossref', '1'), "
            "(4, '2026-11-29T06:00:00Z', 'running', 'crossref', '1')"
        )
    retract(db, run=3)
    run(db, "export", "-o", str(tmp_path / "after.csv"))
    found = read(db)
    assert [(row["name"], row["knew"]) for row in found.exports] == [("after.csv", ["retraction"]), ("before.csv", [])]
    assert found.other_exports == 1
    lines = [ripple_report.export_line(row, found.in_force) for row in found.exports]
    assert lines[0].endswith("state of run 3, while run 4 had not ended. Retraction known then.")
    assert "“before.csv” (tag design:meta-analysis; verdict include): 1 work" in lines[1]
    assert lines[1].endswith("state of run 2. Retraction not known then.")
    assert "It was not in 1 more recorded exports and published copies." in run(db, "report", "ripple", META)
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute("update notice_history set first_run = 4 where doi = ?", (META,))
    assert [row["knew"] for row in read(db).exports] == [None, []]
    assert "cannot be said" in ripple_report.known_then(read(db).exports[0], found.in_force)


def test_what_was_exported_under_a_former_doi_counts(db: Path) -> None:
    run(db, "export")
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute("update exported_works set doi = ? where doi = ?", (OLD, META))
    assert len(read(db).exports) == 1


def test_that_earlier_exports_were_not_recorded_is_said_where_there_were_syncs_before(db: Path) -> None:
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute("update _sqlite_migrations set applied_at = '2026-11-20 05:59:59.5+00:00'")
    assert not read(db).earlier
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute(
            "update _sqlite_migrations set applied_at = '2026-11-20 12:00:00.5+00:00' where name = 'm017_exports'"
        )
    assert "made before 2026-11-20 were not recorded: whether it was in them is not known." in run(
        db, "report", "ripple", META
    )


async def test_visitors_see_no_exported_file(db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(db, "export", "--query", "secret interpersonal", "-o", str(tmp_path / "secret.csv"))
    run(db, "export", "-o", str(tmp_path / "secret.csv"))
    ds = await site(db)
    assert "secret.csv" in await page(ds, f"/ripple/{META}")
    for name, value in serve.environment("127.0.0.1", public=True).items():
        monkeypatch.setenv(name, value)
    ds = await site(db)
    host = {"host": "localhost"}
    for address in (f"/ripple/{META}", f"/ripple.json?doi={META}", f"/ripple.csv?doi={META}", "/changes", "/feed.atom"):
        answer = await ds.client.get(address, headers=host)
        assert answer.status_code == 200
        assert "secret" not in answer.text, address
    assert "Exported files are the reviewers’ own" in (await ds.client.get(f"/ripple/{META}", headers=host)).text
    assert (await ds.client.get("/evidence/exports", headers=host)).status_code == 403
    sql = "select coalesce(name, '') || coalesce(filters, '') from exports"
    assert {name for (name,) in await ds.get_database("evidence").execute(sql)} == {""}


# ---------------------------------------------------------------------- standing


def test_nothing_known_is_said_with_who_was_asked(db: Path) -> None:
    said = ripple_report.standing(read(db))
    assert said == [
        "No retraction, expression of concern or correction of it is known.",
        "If it were retracted, this is what it would touch.",
    ]
    assert "About retractions: Crossref (" in run(db, "report", "ripple", META)


def test_notices_in_force_reversed_and_withdrawn_are_told_apart(db: Path) -> None:
    retract(db)
    assert ripple_report.standing(read(db)) == ["Retraction, 2026-11-20, stated by the publisher: 10.5555/notice."]
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute("update notices set undone = 1 where doi = ?", (META,))
    said = ripple_report.standing(read(db))
    assert "reversed by a later reinstatement" in said[0]
    assert said[-1].startswith("If it were retracted")
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute("delete from notices where doi = ?", (META,))
        conn.execute(
            "insert into changes (run, doi, what, before, verdict) "
            "values (2, ?, 'notice-ended', 'retraction 10.5555/notice', 'include')",
            (META,),
        )
    assert (
        ripple_report.standing(read(db))[0]
        == "Retraction withdrawn, announced on 2026-11-24: no record states it any more."
    )


def test_a_doi_that_is_only_cited_touches_who_cites_it(db: Path) -> None:
    found = read(db, ELSEWHERE)
    assert (found.work, dois(found.others), found.cells) == (None, [TRIAL], ())
    assert ripple_report.standing(found)[0].startswith("It is not in this database")
    assert "10.5555/not.here: not in this database" in run(db, "report", "ripple", ELSEWHERE)


def test_a_doi_that_nothing_knows_and_a_mistake_are_refused(db: Path) -> None:
    assert "no such work" in run(db, "report", "ripple", "10.5555/nobody", code=2)
    assert "is not a valid DOI" in run(db, "report", "ripple", "ten", code=2)
    assert "no work in" in run(db, "report", "ripple", "PMID:123456", code=2)


def test_without_sources_yaml_claims_are_not_known_and_that_is_said(db: Path) -> None:
    db.with_name("sources.yaml").write_text("sources: [")
    assert read(db).claims is None
    assert "Which claims of articles cite it is not known" in run(db, "report", "ripple", META)
    assert json.loads(run(db, "report", "ripple", META, "-f", "json"))["claims"] is None
    unknown = [
        row for row in csv.reader(io.StringIO(run(db, "report", "ripple", META, "-f", "csv"))) if row[0] == "not known"
    ]
    assert any("claims" in row[4] for row in unknown)


def test_a_new_database_touches_nothing(tmp_path: Path) -> None:
    with open_store(tmp_path / "evidence.db"):
        pass
    assert "no such work" in run(tmp_path / "evidence.db", "report", "ripple", META, code=2)


# ---------------------------------------------------------------------- the same in every place


SENTENCE = (
    "It touches 1 included review and 2 other included works that cite it, 1 reference list, 2 claims (for 1 of them nothing "
    "else is cited), 1 cell of the evidence map{exports} and 1 decision."
)


async def test_every_place_that_announces_a_retraction_says_what_it_touches(db: Path, tmp_path: Path) -> None:
    run(db, "export", "-o", str(tmp_path / "works.csv"))
    retract(db)
    ours, everybody = SENTENCE.format(exports=", 1 export"), SENTENCE.format(exports="")
    report = run(db, "report", "ripple", META)
    assert ours in report
    lines = run(db, "report", "changes").splitlines()
    at = next(number for number, line in enumerate(lines) if "NOTICE retraction" in line)
    assert lines[at + 1].strip() == ours
    changes = json.loads(run(db, "report", "changes", "-f", "json"))["changes"]
    assert [row["touches"] for row in changes if row["doi"] == META] == [ours]
    assert [row for row in changes if row["what"] not in ("notice", "notice-ended") and "touches" in row] == []
    ds = await site(db)
    assert ours in await page(ds, f"/ripple/{META}")
    assert f"{everybody} What it touches" in await page(ds, "/changes")
    feed = ElementTree.fromstring((await ds.client.get("/feed.atom")).text)
    (entry,) = [
        e for e in feed.findall(f"{ATOM}entry") if (e.findtext(f"{ATOM}title") or "").startswith("[retraction]")
    ]
    assert (entry.findtext(f"{ATOM}summary") or "").startswith(everybody)
    (link,) = [one for one in entry.findall(f"{ATOM}link") if one.attrib["rel"] == "related"]
    assert ours in await page(ds, link.attrib["href"].removeprefix("http://localhost"))


async def test_page_and_files_say_what_the_command_says(db: Path) -> None:
    run(db, "export")
    retract(db)
    ds = await site(db)
    for doi in (META, IPT_A, WAITING, ELSEWHERE, "10.1371/journal.pone.0019044"):
        shown = await page(ds, f"/ripple/{doi}")
        found = read(db, doi)
        for sentence in (ripple_report.touches(found), *ripple_report.standing(found)):
            assert sentence in shown
        for row in (*found.reviews, *found.others, *found.related):
            assert row["title"] in shown
        for cell in found.cells:
            works = ripple_report.change(cell.with_work.works, cell.without.works)
            named = rf"{re.escape(cell.row_label)} × {re.escape(cell.column_label)}"
            assert re.search(rf"{named} (empty without it )?{works} ", shown)
        for form, name in (("csv", "csv"), ("json", "json"), ("md", "markdown")):
            answer = (await ds.client.get(f"/ripple.{form}?doi={doi}")).text
            assert answer.replace("\r\n", "\n") == run(db, "report", "ripple", doi, "-f", name).replace("\r\n", "\n")


def test_the_formats_hold_the_same(db: Path, tmp_path: Path) -> None:
    retract(db)
    run(db, "export")
    found = read(db)
    told = json.loads(run(db, "report", "ripple", META, "-f", "json"))
    assert (dois(told["reviews"]), dois(told["other_included_works"])) == (dois(found.reviews), dois(found.others))
    assert told["cells"] == [
        {
            "row": "ipt", "column": "depressive-symptoms",
            "with": {"works": 2, "trials": 0, "reviews": 1, "retracted": 1},
            "without": {"works": 1, "trials": 0, "reviews": 0, "retracted": 0},
        }
    ]  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(run(db, "report", "ripple", META, "-f", "csv"))))
    counted = {
        kind: sum(row["touched"] == kind for row in rows) for kind in dict.fromkeys(row["touched"] for row in rows)
    }
    assert counted == {
        "review": 1, "included work": 2, "related work": 1, "reference list": 1, "claim": 2, "cell": 1, "export": 1,
        "not known": 3, "decision": 1,
    }  # fmt: skip
    target = tmp_path / "ripple.md"
    assert run(db, "report", "ripple", META, "-f", "markdown", "-o", str(target)) == ""
    assert "| IPT × Depressive symptoms | 2 → 1 | 0 | 1 → 0 | 1 → 0 |" in target.read_text()


# ---------------------------------------------------------------------- the page


@pytest.mark.slow
async def test_the_page_is_linked_from_ribbon_notices_and_works_without_one(db: Path) -> None:
    retract(db)
    ds = await site(db)
    address = f'href="/ripple/{META}"'
    work = (await ds.client.get(f"/doi/{META}", follow_redirects=True)).text
    ribbon = re.search(r'<div class="ribbon.*?</div>', work, re.DOTALL)
    assert ribbon is not None
    assert address in ribbon[0]
    corrected = (await ds.client.get("/doi/10.1371/journal.pone.0019044", follow_redirects=True)).text
    assert 'href="/ripple/10.1371/journal.pone.0019044"' in corrected
    assert (
        f'href="/ripple/{MARKOWITZ}">What a retraction of it would touch'
        in (await ds.client.get(f"/doi/{MARKOWITZ}", follow_redirects=True)).text
    )
    assert address in (await ds.client.get(f"/article/{site_sample.ARTICLE}")).text
    for link in re.findall(r'href="(/[^"]*)"', (await ds.client.get(f"/ripple/{META}")).text):
        answer = await ds.client.get(html.unescape(link), follow_redirects=True)
        assert answer.status_code == 200, link


async def test_other_names_lead_to_the_page_and_unknown_ones_are_not_found(db: Path) -> None:
    ds = await site(db)
    assert (await ds.client.get(f"/ripple/{META.upper()}")).status_code == 200
    for name in (OLD, TWIN):
        answer = await ds.client.get(f"/ripple/{name}")
        assert (answer.status_code, answer.headers["location"]) == (302, f"/ripple/{META}")
    assert (await ds.client.get("/ripple/10.5555/nobody")).status_code == 404
    assert (await ds.client.get("/ripple.json?doi=10.5555/nobody")).status_code == 404
    for query in ("", "?doi=", "?doi=ten"):
        assert (await ds.client.get(f"/ripple.csv{query}")).status_code == 400


async def test_what_people_wrote_is_text(db: Path) -> None:
    evil = '<script>alert("x")</script> | `*`'
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute("update works set title = ?", (evil,))
        conn.execute("update decisions set reason = ?", (evil,))
        conn.execute("update citations set text = ?", (f"={evil}",))
        conn.execute("update sources set label = ?", (evil,))
    ds = await site(db)
    text = (await ds.client.get(f"/ripple/{META}")).text
    assert "<script>alert" not in text
    assert "<script>" not in run(db, "report", "ripple", META, "-f", "markdown")
    for row in csv.reader(io.StringIO(run(db, "report", "ripple", META, "-f", "csv"))):
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in row)
