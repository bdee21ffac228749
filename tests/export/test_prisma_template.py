"""The CSV for the R package PRISMA2020, read back by the package's own rules."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter

import pytest

from evidence.database import prisma_flow
from evidence.database.prisma_flow import Column, Flow, Split
from evidence.database.values_for_writer import HarvestedPage, Sighting
from evidence.database.writer import Store
from evidence.export import prisma_template
from tests.database.test_prisma_flow import DOIS, judgement, record, start

ROWS = re.findall(
    r"\w+",
    """
    NA previous_studies previous_reports NA database_results database_specific_results register_results
    register_specific_results NA website_results organisation_results citations_results duplicates
    excluded_automatic excluded_other records_screened records_excluded dbr_sought_reports
    dbr_notretrieved_reports other_sought_reports other_notretrieved_reports dbr_assessed dbr_excluded
    other_assessed other_excluded new_studies new_reports total_studies total_reports identification screening
    included total_studies_ma total_reports_ma
    """,
)
LISTS = ("database_specific_results", "register_specific_results", "dbr_excluded", "other_excluded")


def parsed_list(text: str) -> list[tuple[str, int]]:
    """`PRISMA_parse_reasons_`: split at `;`, the name is what stands before the first comma, the number what follows it."""
    if not re.search("[^0-9,]", text):
        return [("", int(text.replace(",", "")))]
    found = []
    for part in re.split("; ?", text):
        name = re.sub(",.*$", "", part)
        number = re.sub(".*?,([ 0-9,]*)|.*()", r"\1", part)
        found.append((name, int(re.sub("[^0-9.]", "", number))))
    return found


def read_as_the_package_does(text: str) -> dict[str, int | list[tuple[str, int]] | None]:
    """`PRISMA_data(read.csv(file))`: boxes by the first column; NA is a box that is left out."""
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == ["data", "node", "box", "description", "boxtext", "tooltips", "url", "n"]
    assert [row["data"] for row in rows] == ROWS
    found: dict[str, int | list[tuple[str, int]] | None] = {}
    for name in ROWS:
        (n,) = {row["n"] for row in rows if row["data"] == name}
        if name in LISTS:
            found[name] = parsed_list(n)
        elif name != "NA":
            found[name] = None if n == "NA" else int(re.sub("[^0-9.]", "", n))
    return found


def adds_up(n: dict[str, int | list[tuple[str, int]] | None], split: Split) -> None:
    def number(name: str) -> int:
        value = n[name]
        assert isinstance(value, int), name
        return value

    def total(name: str) -> int:
        value = n[name]
        assert isinstance(value, list)
        return sum(count for _, count in value)

    databases, others = split.columns
    assert total("database_specific_results") == number("database_results")
    assert total("register_specific_results") == number("register_results")
    removed = sum(map(number, ("duplicates", "excluded_automatic", "excluded_other")))
    identified = number("database_results") + number("register_results")
    assert identified - removed + databases.anew == number("records_screened")
    assert total("dbr_excluded") == number("records_excluded")
    assert number("records_screened") - number("records_excluded") == databases.waiting + databases.included
    assert number("other_assessed") - total("other_excluded") == others.waiting + others.included
    assert number("new_studies") == databases.included + others.included
    found_otherwise = sum(map(number, ("website_results", "organisation_results", "citations_results")))
    assert found_otherwise - others.duplicates - others.removed_otherwise + others.anew == number("other_assessed")
    before = n["previous_studies"] or 0
    assert isinstance(before, int)
    assert before + number("new_studies") - split.gone.total() == number("total_studies")


def flow_and_split(store: Store, run: int | None = None, since: int | None = None) -> tuple[Flow, Split]:
    flow = prisma_flow.read_flow(store.conn, run) if since is None else prisma_flow.read_update(store.conn, run, since)
    return flow, prisma_flow.read_split(store.conn, run, since or 0)


def review(store: Store) -> None:
    """Two months: searches and a reference list find works, some of them both."""
    run = start(store, 1)
    works = [record(DOIS[n], "d", judgement(v)) for n, v in enumerate(["include", "include", "exclude", "unsure"])]
    store.write_page(run, "by-name", HarvestedPage(works[:3], [Sighting(w.doi, "search") for w in works[:3]]))
    store.write_page(run, "by-variant", HarvestedPage([], [Sighting(DOIS[0], "search")]))
    store.write_page(run, "article", HarvestedPage(works[3:], [Sighting(DOIS[3], "x"), Sighting(DOIS[1], "x")]))
    store.finish_run(run, "complete", {}, "2026-01-01T01:00:00Z")
    run = start(store, 2)
    new = [
        record(DOIS[4], "d", judgement("exclude", why="wrong design, no trial; see 1,200 'others'")),
        record(DOIS[5], "d", judgement("include")),
    ]
    store.write_page(run, "by-name", HarvestedPage(new[:1], [Sighting(DOIS[4], "search")]))
    store.write_page(run, "article", HarvestedPage(new[1:], [Sighting(DOIS[5], "x")]))
    store.write_judgements(
        run, [record(DOIS[3], "d", judgement("include")), record(DOIS[1], "d", judgement("exclude"))]
    )
    store.finish_run(run, "complete", {}, "2026-02-01T01:00:00Z")


def test_the_package_reads_every_box_and_they_add_up(store: Store) -> None:
    review(store)
    flow, split = flow_and_split(store)
    n = read_as_the_package_does(prisma_template.template_csv(flow, split))
    adds_up(n, split)
    assert n["previous_studies"] is n["previous_reports"] is None
    assert n["database_specific_results"] == [("Crossref", 5)]
    assert (n["citations_results"], n["duplicates"], n["records_screened"], n["other_assessed"]) == (3, 1, 4, 2)
    assert n["dbr_excluded"] == [("because", 2), ("wrong design / no trial / see 1 200 ’others’", 1)]
    assert n["other_excluded"] == [("", 0)]
    assert [n[name] for name in ROWS if name.startswith(("dbr_sought", "dbr_not", "dbr_ass", "other_s"))] == [None] * 4


def test_the_boxes_of_an_update_add_up(store: Store) -> None:
    review(store)
    flow, split = flow_and_split(store, since=1)
    text = prisma_template.template_csv(flow, split)
    n = read_as_the_package_does(text)
    adds_up(n, split)
    expected = {
        "previous_studies": 2, "previous_reports": 2, "database_results": 1, "citations_results": 1, "duplicates": 0,
        "records_screened": 1, "records_excluded": 1, "other_assessed": 2, "new_studies": 2, "total_studies": 3,
    }  # fmt: skip
    assert {key: n[key] for key in expected} == expected
    assert "Records screened (1 of them known before)" in text


@pytest.mark.parametrize(
    ("reason", "written"),
    [
        ("a; b", "a / b"),
        ("a,b", "a / b"),
        ("Excluded: a\nb", "a b"),
        ("=1+1", "1+1"),
        ('O\'Brien said "no"', "O’Brien said ”no”"),
        (r"a\nb", "a/nb"),
        (";", "not named"),
        ("12 months, 1,000 people", "12 months / 1 000 people"),
    ],
)
def test_no_reason_is_split_or_breaks_the_drawing(reason: str, written: str) -> None:
    column = Column(excluded_by=Counter(rule=3), reasons=Counter({reason: 3}))
    flow = Flow(None, (), (), (), None)
    split = Split(column, Column(), 0, 0, Counter(), 0, 0, 0, 0)
    n = read_as_the_package_does(prisma_template.template_csv(flow, split))
    assert n["dbr_excluded"] == [(written, 3)]


def test_many_reasons_are_summed_up_and_equal_ones_are_one() -> None:
    reasons = Counter({f"reason {number:02}": 1 for number in range(20)} | {"same, reason": 2, "same; reason": 3})
    column = Column(excluded_by=Counter(rule=reasons.total()), reasons=reasons)
    split = Split(column, Column(), 0, 0, Counter(), 0, 0, 0, 0)
    n = read_as_the_package_does(prisma_template.template_csv(Flow(None, (), (), (), None), split))
    found = n["dbr_excluded"]
    assert isinstance(found, list)
    assert found[0] == ("same / reason", 5) and found[-1][0] == "Other reasons"
    assert len(found) == prisma_template.MOST_REASONS + 1 and sum(count for _, count in found) == 25
