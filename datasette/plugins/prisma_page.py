"""The PRISMA 2020 flow diagram, of now or of a past state (`?as_of=`: a date, a run or a version's name), and of the update after
an earlier state (`?since=`): `/prisma`, also as CSV, JSON and SVG, and as the CSV of the R package PRISMA2020.

`evidence.database.prisma_flow` counts the boxes, and `evidence.publish.prisma_drawing` draws them. This file links each number to
the list it counts. It counts nothing itself, except the trials and reviews among the included works of today.
"""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
from typing import Any, NamedTuple
from urllib.parse import urlencode

from datasette import hookimpl
from datasette.utils.asgi import BadRequest, Response

from evidence.database import prisma_flow, read_queries, read_versions
from evidence.errors import ConfigError
from evidence.export import prisma_report, prisma_template
from evidence.export.file_formats import guard
from evidence.publish import prisma_drawing, site_topic
from evidence.publish.prisma_drawing import Designed
from evidence.publish.query_cache import CACHE
from evidence.rules.topic import Topic

NAME = "evidence"

DESIGNED = """
    select count(*) from works
    where verdict = 'include' and doi in (select doi from shown_tags where facet = :facet
        and value in (select value from json_each(:designs)))
"""
REASONS_SHOWN = 8

PARTS = {
    "search": "searches",
    "database": "databases",
    "register": "registers",
    "list": "lists",
    "citation": "lists",
    "website": "websites",
    "organisation": "organisations",
}
"""How a record was found (`prisma_records.found_by`) → the box that counts it; all others are in `others`."""


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    return [
        (r"^/prisma$", prisma),
        (r"^/prisma\.csv$", prisma_csv),
        (r"^/prisma\.json$", prisma_json),
        (r"^/prisma\.svg$", prisma_svg),
        (r"^/prisma2020\.csv$", prisma2020_csv),
    ]


async def prisma(datasette: Any, request: Any) -> Response:
    asked, found, by_design = await flow_of_request(datasette, request)
    where = Addresses(datasette, found.run, asked.as_of, found.since, asked.since)
    context = {
        "as_of": asked.as_of,
        "state": asked.state,
        "since": asked.before,
        "versions": await datasette.get_database(NAME).execute_fn(read_versions.versions),
        "flow": found,
        "diagram": prisma_drawing.svg(found, by_design, where),
        "steps": prisma_drawing.steps(found, by_design, where),
        "sources": [{**source, "address": where.source(source)} for source in found.sources],
        "reasons": [(why, n, where.reason(why)) for why, n in found.reasons(REASONS_SHOWN)],
        "query": asked.query,
    }
    return Response.html(await datasette.render_template("prisma.html", context, request=request))


async def prisma_csv(datasette: Any, request: Any) -> Response:
    """The boxes, and below them the sources: `data` is the box's name in the PRISMA2020 R package."""
    asked, found, _ = await flow_of_request(datasette, request)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["key", "box", "n", "part_of", "data"])
    for box in found.boxes:
        writer.writerow([box["key"], box["box"], box["n"], box["part_of"], box["data"]])
    for source in found.sources:
        part = PARTS.get(source["found_by"], "others")
        writer.writerow([f"source:{source['source'] or ''}", guard(source["label"]), source["n"], part, None])
    return _csv(out.getvalue(), "prisma", asked)


async def prisma2020_csv(datasette: Any, request: Any) -> Response:
    """The template of the R package PRISMA2020, filled in."""
    asked, found, _ = await flow_of_request(datasette, request)
    return _csv(prisma_template.template_csv(found, await split_of(datasette, found)), "PRISMA2020", asked)


def _csv(text: str, stem: str, asked: Asked) -> Response:
    name = f"{stem}{'-' if asked.as_of or asked.since else ''}{asked.file_part}.csv"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(text, content_type="text/csv; charset=utf-8", headers=headers)


async def prisma_json(datasette: Any, request: Any) -> Response:
    asked, found, _ = await flow_of_request(datasette, request)
    return Response.json(
        prisma_report.as_json(found, await split_of(datasette, found), asked.as_of or None, asked.since or None)
    )


async def prisma_svg(datasette: Any, request: Any) -> Response:
    asked, found, by_design = await flow_of_request(datasette, request)
    text = prisma_drawing.svg(found, by_design, alone=prisma_report.title(asked.as_of, asked.since))
    return Response(str(text), content_type="image/svg+xml; charset=utf-8")


class Asked(NamedTuple):
    """What was asked for: the texts of `as_of` and `since` ("" for now, and for all), and the states that they name."""

    as_of: str
    since: str
    state: read_versions.PastState | None
    before: read_versions.PastState | None

    @property
    def query(self) -> str:
        """The same as a query string."""
        pairs = [(key, text) for key, text in (("as_of", self.as_of), ("since", self.since)) if text]
        return f"?{urlencode(pairs)}" if pairs else ""

    @property
    def file_part(self) -> str:
        """The same in the name of a file."""
        texts = [*([self.as_of] if self.as_of else []), *([f"since-{self.since}"] if self.since else [])]
        return re.sub(r"[^A-Za-z0-9.-]+", "-", "-".join(texts))


async def flow_of_request(datasette: Any, request: Any) -> tuple[Asked, prisma_flow.Flow, list[Designed]]:
    """What was asked for, its flow, and the included trials and reviews (none for a past state or an update). BadRequest when a
    state is not known."""
    db = datasette.get_database(NAME)
    as_of, since = (request.args.get(name) or "" for name in ("as_of", "since"))

    def read(conn: sqlite3.Connection) -> tuple[Asked, int | None]:
        state = read_versions.state_named(conn, as_of, "as_of") if as_of else None
        before = read_versions.state_named(conn, since, "since") if since else None
        if before is not None:
            read_queries.earlier_run(conn, since, state.run if state else None)
        return Asked(as_of, since, state, before), state.run if state else None

    try:
        asked, run = await db.execute_fn(read)
    except ConfigError as error:
        raise BadRequest(str(error)) from None
    earlier = asked.before.run if asked.before else None
    found = await CACHE.get(
        db.path,
        ("flow", run, earlier),
        lambda: db.execute_fn(
            lambda conn: (
                prisma_flow.read_flow(conn, run) if earlier is None else prisma_flow.read_update(conn, run, earlier)
            )
        ),
    )
    return asked, found, [] if asked.query else await CACHE.get(db.path, "designs", lambda: designed(db))


async def split_of(datasette: Any, found: prisma_flow.Flow) -> prisma_flow.Split:
    """The flow in PRISMA's two columns."""
    db = datasette.get_database(NAME)
    split: prisma_flow.Split = await CACHE.get(
        db.path,
        ("split", found.run, found.since),
        lambda: db.execute_fn(lambda conn: read_queries.split_flow(conn, found)),
    )
    return split


async def designed(db: Any) -> list[Designed]:
    topic: Topic = await site_topic.of_database(db)
    values = {"trials": topic.trials, "reviews": topic.reviews}
    found = []
    for key, label, tags in topic.designs:
        params = {"facet": topic.design, "designs": json.dumps(values[key])}
        found.append((label, (await db.execute(DESIGNED, params)).single_value(), tags))
    return found


class Addresses:
    """Addresses of the lists behind the numbers: of now (`run` is None), or of the state `as_of`, after `run`; of an update, what
    came after the run `since`."""

    def __init__(self, datasette: Any, run: int | None, as_of: str, since: int | None, before: str) -> None:
        self._run, self._as_of_text = run, as_of
        self._since, self._before = since, before
        self._past = datasette.urls.path("/past")
        self._urls = datasette.urls

    def box(self, key: str) -> str | None:
        """Address of the list that a box counts; None for a box that only sums others, or compares two states."""
        if self._since is not None:
            return self._box_of_update(key)
        found = {"identified": {}, "others": {"found_by": "other"}, "again": {"found": "again"},
                 "unusable": {"doi__isnull": "1"}}  # fmt: skip
        for method, box in PARTS.items():
            held = found.get(box, {}).get("found_by")
            found[box] = {"found_by__in": f"{held},{method}"} if held else {"found_by": method}
        screened: dict[str, dict[str, str]] = {
            "screened": {"verdict__in": "include,exclude,unsure"}, "same_work": {"verdict": "duplicate"},
            "excluded": {"verdict": "exclude"}, "excluded_by_rule": {"verdict": "exclude", "decided": "rule"},
            "excluded_by_person": {"verdict": "exclude", "decided": "person"}, "waiting": {"verdict": "unsure"},
            "included": {"verdict": "include"},
        }  # fmt: skip
        if key in found:
            return self._records(found[key])
        if key in screened:
            return self._works(screened[key])
        if key in ("not_understood", "aliases"):
            return self._as_of({"verdict": "alias" if key == "aliases" else "not-understood"})
        if key == "decisions_to_check":
            if self._run is None:
                return self._address("decisions_to_check", {})
            return self._as_of({"verdict__in": "include,exclude", "conflict": "1"})
        return None

    def _box_of_update(self, key: str) -> str | None:
        if key == "previous_studies":
            return f"{self._past}?{urlencode([('as_of', self._before), ('verdict', 'include')])}"
        if key == "total_studies":
            return self._works({"verdict": "include"})
        return self._records({}) if key == "identified" else None

    def tagged(self, tags: str) -> str:
        """Address of the included works with these tags, written as a filter."""
        return self._works({"verdict": "include", "_tag": tags})

    def source(self, source: dict[str, Any]) -> str:
        """Address of the records identified through one source (a row of `prisma_flow.SOURCES_SQL`)."""
        named = {"source": source["source"]} if source["source"] else {"source__isnull": "1"}
        return self._records({**named, "found_by": source["found_by"]})

    def reason(self, why: str | None) -> str | None:
        """Address of the works excluded for one reason; None for "other reasons", and for those of an update."""
        if why is None or self._since is not None:
            return None
        if why == prisma_flow.BY_PERSON or why.startswith(prisma_flow.PERSONS_REASON):
            return self._works({"verdict": "exclude", "decided": "person"})
        return self._works({"verdict": "exclude", "decided": "rule", "why": why})

    def _records(self, filters: dict[str, str]) -> str:
        until = {} if self._run is None else {"first_run__lte": str(self._run)}
        after = {} if self._since is None else {"first_run__gt": str(self._since)}
        return self._address("prisma_records", {**filters, **until, **after})

    def _works(self, filters: dict[str, str]) -> str:
        return self._address("works", filters) if self._run is None else self._as_of(filters)

    def _as_of(self, filters: dict[str, str]) -> str:
        if self._run is None:
            return self._address("verdict_history", {**filters, "last_run__isnull": "1"})
        verdicts = filters.pop("verdict__in", filters.pop("verdict", "")).split(",")
        pairs = [("as_of", self._as_of_text), *(("verdict", verdict) for verdict in verdicts), *filters.items()]
        return f"{self._past}?{urlencode(pairs)}"

    def _address(self, table: str, filters: dict[str, str]) -> str:
        address = str(self._urls.table(NAME, table))
        return f"{address}?{urlencode(filters)}" if filters else address
