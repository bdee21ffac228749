"""How current the reviews of the evidence map's cells are: a page of all cells, a page for each cell, and both as CSV and JSON.

An address has the map's parameters (`evidence_map.read_view`); with a row and a column it is a cell's. `against` names another
review than the newest to compare the trials with. `evidence.publish.currency` counts and `evidence.export.currency_report` has
the words; this file writes addresses and chooses how much of a large cell is shown.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from datasette import hookimpl
from datasette.utils.asgi import BadRequest, NotFound, Response

from evidence.database import read_currency
from evidence.export import currency_report
from evidence.export.currency_values import (
    CAUTION,
    METHOD,
    STATES,
    CellDetail,
    CellNumbers,
    State,
    TrialLine,
    band,
    per_cent,
)
from evidence.export.wording import count_noun
from evidence.publish import bitset_counts, charts, currency, evidence_map, listed_works, site_topic
from evidence.publish.charts import Bar, Chart, Table, cell
from evidence.publish.currency import Loaded
from evidence.publish.evidence_map import View
from evidence.publish.query_cache import CACHE, Cache
from evidence.rules.topic import Topic

NAME = "evidence"

COUNTED = Cache(32)
"""A cache of its own: there are as many views as readers think of, and they must not push out what every page needs."""

SHOWN_REVIEWS, SHOWN_TRIALS = 30, 200
"""Columns and rows of the matrix on a page; the CSV has all."""

SHOWN_PAIRS = 12
"""Reviews up to which the page has the overlap of each two: 66 pairs."""

SERIES: tuple[tuple[str, tuple[State, ...]], ...] = (
    ("in the review's list", ("listed",)),
    ("not in it", ("newer", "lacking")),
    ("not known", ("list-unknown", "same-time", "undated", "no-review")),
)
"""The parts of a bar, from the bottom: what it is called, and the states of its trials."""

LONGEST_AXIS = 80
"""Years on an axis at most; earlier trials are in its first bar."""


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    return [
        (r"^/currency$", currency_page),
        (r"^/currency\.csv$", as_csv),
        (r"^/currency\.json$", as_json),
    ]


@hookimpl
def extra_template_vars(datasette: Any, request: Any, template: str) -> dict[str, Any]:
    async def currency_of_list() -> str | None:
        """The page about the cell whose list of works this is; None for another list."""
        topic = await site_topic.of_database(datasette.get_database(NAME))
        pairs = [
            (key, text)
            for key in request.args
            for text in request.args.getlist(key)
            if text and listed_works.is_filter(key)
        ]
        view = evidence_map.view_of_list(pairs, topic)
        return address(datasette, topic, view) if view and topic.trials and topic.reviews else None

    return {"currency_of_list": currency_of_list} if template.startswith("table") else {}


async def currency_page(datasette: Any, request: Any) -> Response:
    loaded = await load(datasette)
    view = view_of(request, loaded.topic)
    if not (view.row and view.column):
        page = {"page": await about_cells(datasette, loaded, view)}
        return Response.html(await datasette.render_template("currency.html", page, request=request))
    detail = await detail_of(datasette, view, request.args.get("against"))
    page = {"page": about_cell(datasette, loaded, view, detail)}
    return Response.html(await datasette.render_template("currency_cell.html", page, request=request))


async def as_csv(datasette: Any, request: Any) -> Response:
    return await as_file(datasette, request, "csv", "text/csv; charset=utf-8")


async def as_json(datasette: Any, request: Any) -> Response:
    return await as_file(datasette, request, "json", "application/json; charset=utf-8")


async def as_file(datasette: Any, request: Any, kind: str, content_type: str) -> Response:
    """What the page with the same parameters shows, all of it: every cell, or the citation matrix of one."""
    loaded = await load(datasette)
    view = view_of(request, loaded.topic)
    of_cells, of_cell = currency_report.WRITERS[kind]
    asked = currency.asked(loaded.topic, loaded.values, view)
    if view.row and view.column:
        detail = await detail_of(datasette, view, request.args.get("against"))
        name, text = "currency-of-cell", "".join(of_cell(detail, asked))
    else:
        view = replace(view, folded=())
        name, text = "currency", "".join(of_cells(await cells_of(datasette, view), asked))
    headers = {"content-disposition": f'attachment; filename="{name}.{kind}"'} if kind == "csv" else {}
    return Response(text, content_type=content_type, headers=headers)


def view_of(request: Any, topic: Topic) -> View:
    """What the address asks for; BadRequest for a facet that the topic has not."""
    try:
        return evidence_map.read_view({name: request.args.getlist(name) for name in request.args}, topic)
    except KeyError as error:
        raise BadRequest(f"There is no facet {error}; the facets are {', '.join(topic.facet_ids)}.") from None


async def load(datasette: Any) -> Loaded:
    """What counting needs, read once for each state of the database."""
    db = datasette.get_database(NAME)
    topic, sets = await site_topic.of_database(db), await bitset_counts.of_database(db)

    async def read() -> currency.Reviews:
        return currency.Reviews(await db.execute_fn(lambda conn: read_currency.read(conn, topic)))

    known = await CACHE.get(db.path, "reviews and their lists", read)
    return Loaded(topic, sets, await bitset_counts.retracted(db), await site_topic.values_of(db), known)


async def cells_of(datasette: Any, view: View) -> list[CellNumbers]:
    """The cells of a view that have trials or reviews."""
    db = datasette.get_database(NAME)

    async def count() -> list[CellNumbers]:
        # What is counted is loaded in here: if somebody commits meanwhile, the answer is not kept.
        loaded = await load(datasette)
        # In a thread of the database: at 100,000 works it takes seconds, and other visitors must not wait.
        found: list[CellNumbers] = await db.execute_fn(lambda _: list(currency.of_cells(loaded, view)))
        return found

    return await COUNTED.get(db.path, ("cells", *key_of(view)), count)


async def detail_of(datasette: Any, view: View, against: str | None) -> CellDetail:
    """The cell that a view names; NotFound for one that there is not, and for a review that it does not have."""
    db = datasette.get_database(NAME)
    chosen = against.strip().lower() if against else None

    async def count() -> CellDetail | None:
        loaded = await load(datasette)
        counted: CellDetail | None = await db.execute_fn(lambda conn: currency.of_cell(conn, loaded, view, chosen))
        return counted

    found = await COUNTED.get(db.path, ("cell", chosen, *key_of(view)), count)
    if found is None:
        raise NotFound("There is no such cell of the evidence map, or it has no such review.")
    return found


def key_of(view: View) -> tuple[Any, ...]:
    """What tells a view from others."""
    return (*view.axes, *view.filters.items(), view.since, view.until, view.implied, view.folded, view.row, view.column)


async def about_cells(datasette: Any, loaded: Loaded, view: View) -> dict[str, Any]:
    """All cells, for the template."""
    topic = loaded.topic
    cells = await cells_of(datasette, view)
    rows = [
        {
            "numbers": numbers,
            "address": address(datasette, topic, replace(view, row=numbers.row[0], column=numbers.column[0])),
            "unknown": sum(numbers.of(state) for state in SERIES[2][1] if state != "no-review"),
            "cca": share(numbers.overlap.cca),
            "adjusted": share(numbers.overlap.adjusted) if numbers.overlap.later else "",
        }
        for numbers in cells
    ]
    with_review = [numbers for numbers in cells if numbers.reviews]
    return {
        **about(datasette, loaded, view),
        "rows": rows,
        "with_review": len(with_review),
        "without_any_list": sum(1 for numbers in with_review if numbers.without_list == numbers.reviews),
    }


def about_cell(datasette: Any, loaded: Loaded, view: View, detail: CellDetail) -> dict[str, Any]:
    """One cell, for the template."""
    topic, numbers = loaded.topic, detail.numbers
    compared = detail.compared
    newest = numbers.newest.number if numbers.newest else None
    row, column = (
        evidence_map.line_named(topic, facet, loaded.values, key)
        for facet, key in zip(view.axes, (view.row, view.column), strict=True)
    )
    lines = [(facet, line) for facet, line in zip(view.axes, (row, column), strict=True) if line]

    def list_address(*more: tuple[str, str]) -> str:
        pairs = [*evidence_map.list_pairs(view, lines), *more]
        return f"{datasette.urls.table(NAME, 'works')}?{urlencode(pairs)}"

    matrix = detail.matrix[:SHOWN_REVIEWS]
    in_matrix = [line for line in detail.trials if line.listed_by]
    in_matrix.sort(key=lambda line: line.work.date, reverse=True)
    against = {"against": compared.work.doi} if compared and compared.numbers.number != newest else {}
    return {
        **about(datasette, loaded, view, against),
        "detail": detail,
        "numbers": numbers,
        "label": currency_report.label_of(numbers),
        "compared": compared,
        "is_newest": compared is not None and compared.numbers.number == newest,
        "doubts": currency_report.against_newest(numbers),
        "newest_words": currency_report.newest_in_words(numbers),
        "list_words": currency_report.list_in_words(compared.numbers) if compared else "",
        "lacks_words": currency_report.LACKS if compared and compared.numbers.trials.get("lacking") else "",
        "counted_words": currency_report.counted_in_words(numbers),
        "not_known": currency_report.not_known(numbers),
        "overlap_words": currency_report.overlap_in_words(numbers.overlap),
        "by_state": [
            (state, words, lines_of)
            for state, words in STATES.items()
            if (lines_of := [line for line in detail.trials if line.state == state])
        ],
        "shown_trials": SHOWN_TRIALS,
        "reviews": [
            {
                "line": line,
                "compared": compared is not None and line.numbers.number == compared.numbers.number,
                "address": address(
                    datasette, topic, view, {} if line.numbers.number == newest else {"against": line.work.doi}
                ),
            }
            for line in detail.reviews
        ],
        "matrix": matrix,
        "matrix_rows": in_matrix[:SHOWN_TRIALS],
        "matrix_cut": len(detail.matrix) > len(matrix) or len(in_matrix) > SHOWN_TRIALS,
        "matrix_all": (len(in_matrix), len(detail.matrix)),
        "pairs": [
            {
                "first": detail.matrix[pair.first],
                "second": detail.matrix[pair.second],
                "pair": pair,
                "cca": share(pair.cca),
                "adjusted": share(pair.adjusted) if pair.later else "",
            }
            for pair in (detail.pairs if len(detail.matrix) <= SHOWN_PAIRS else ())
        ],
        "chart": chart(detail),
        "chart_key": charts.key([name for name, _ in SERIES], of_bars=True, name="currency-key"),
        "map_address": page_address(datasette, topic, view),
        "works_address": list_address(("_sort_desc", "year")),
        "trials_address": list_address(("_tag", topic.trial_filter)),
        "reviews_address": list_address(("_tag", topic.review_filter)),
    }


def of_state(detail: CellDetail, state: State) -> list[TrialLine]:
    """The trials that stand so to the review."""
    return [line for line in detail.trials if line.state == state]


def about(datasette: Any, loaded: Loaded, view: View, more: dict[str, str] | None = None) -> dict[str, Any]:
    """What both pages have."""
    topic = loaded.topic
    asked = currency.asked(topic, loaded.values, view)
    labels = {value["value"]: value["label"] for value in loaded.values.get(topic.design, ())}
    query = urlencode([*view.pairs(topic), *(more or {}).items()])
    return {
        "view": view,
        "names": tuple(topic.facet(facet).name for facet in view.axes),
        "filters": asked.filters,
        "split_by_design": asked.split_by_design,
        "counts_any": bool(topic.trials and topic.reviews),
        "trial_designs": [labels.get(value, value) for value in topic.trials],
        "review_designs": [labels.get(value, value) for value in topic.reviews],
        "all_cells": address(datasette, topic, view.counted()),
        "map": page_address(datasette, topic, view.counted()),
        "query": f"?{query}" if query else "",
        "caution": CAUTION,
        "method": METHOD,
    }


def share(value: Any) -> str:
    """A CCA with its band; empty where it is not defined."""
    return "" if value is None else f"{per_cent(value)} ({band(value)})"


def address(datasette: Any, topic: Topic, view: View, more: dict[str, str] | None = None) -> str:
    """The page with this view."""
    query = urlencode([*view.pairs(topic), *(more or {}).items()])
    return f"{datasette.urls.path('/currency')}{'?' if query else ''}{query}"


def page_address(datasette: Any, topic: Topic, view: View) -> str:
    """The evidence map with this view."""
    query = urlencode(view.pairs(topic))
    return f"{datasette.urls.path('/map')}{'?' if query else ''}{query}"


def chart(detail: CellDetail) -> Chart | None:
    """The trials of each year, by how they stand to the review; None where none has a year."""
    part_of = {state: part for part, (_, states) in enumerate(SERIES) for state in states}
    counts: Counter[tuple[int, int]] = Counter(
        (int(line.work.date[:4]), part_of[line.state]) for line in detail.trials if line.work.date
    )
    if not counts:
        return None
    years = {year for year, _ in counts}
    reviewed = int(detail.compared.work.date[:4]) if detail.compared and detail.compared.work.date else None
    last = max(years | {reviewed or 0})
    first = max(min(years | ({reviewed} if reviewed else set())), last - LONGEST_AXIS + 1)
    drawn, rows = [], []
    for year in range(first, last + 1):
        inside = [other for other in years if other == year or (year == first and other < first)]
        parts = tuple(sum(counts[other, part] for other in inside) for part in range(len(SERIES)))
        label = f"{'to ' if inside and min(inside) < first else ''}{year}"
        words = [f"{n} {name}" for (name, _), n in zip(SERIES, parts, strict=True) if n]
        here = ", the year of the review" if year == reviewed else ""
        said = f"{label}{here}: {count_noun(sum(parts), 'trial')}{f' ({chr(44).join(words)})' if words else ''}"
        near_review = reviewed is not None and year != reviewed and abs(year - reviewed) <= (last - first) / 6
        marked = year == reviewed or (year in (first, last) and not near_review)
        drawn.append(Bar(f"{year} ▲ review" if year == reviewed else label, parts, said, marked=marked))
        if sum(parts) or year == reviewed:
            heading = f"{label} (the review)" if year == reviewed else label
            rows.append((cell(heading), cell(sum(parts)), *(cell(part) for part in parts)))
    said = f"Trials per year, {first} to {last}, by how they stand to the review{f' of {reviewed}' if reviewed else ''}"
    table = Table(("Year", "Trials", *(name.capitalize() for name, _ in SERIES)), tuple(reversed(rows)))
    return Chart(charts.bars(drawn, "currency", said, height=120), table)
