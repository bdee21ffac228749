"""What pages say about works to other programs: meta tags and JSON-LD on the page of a work, COinS spans in lists of works.

`evidence.export` makes the values (`embedded_metadata`, `context_objects`); templates write and escape them. The page of a work
has no span: Zotero would offer the works that it lists instead of the work.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

from datasette import hookimpl

from evidence.database import read_work_page
from evidence.export import context_objects, embedded_metadata

NAME = "evidence"


@hookimpl
def extra_template_vars(datasette: Any) -> dict[str, Any]:
    async def work_facts(row: Any) -> dict[str, Any]:
        """The meta tags and the JSON-LD of a work, from its row of `works`."""

        def read(conn: sqlite3.Connection) -> tuple[list[dict[str, Any]], str | None]:
            people = read_work_page.credited(conn, [row["doi"]]).get(row["doi"], [])
            return people, read_work_page.pmid(conn, row["doi"])

        people, pmid = await datasette.get_database(NAME).execute_fn(read)
        return {
            "tags": embedded_metadata.meta_tags(row, people, pmid=pmid),
            "json_ld": embedded_metadata.json_ld(row, people, pmid=pmid),
        }

    async def coins_of(rows: Iterable[Any]) -> dict[str, str]:
        """DOI → ContextObject, of the works in these rows."""
        shown = [row["doi"] for row in rows]

        def read(conn: sqlite3.Connection) -> dict[str, str]:
            people = read_work_page.credited(conn, shown)
            works = read_work_page.rows_of(conn, shown)
            return {work["doi"]: context_objects.context_object(work, people.get(work["doi"], ())) for work in works}

        found: dict[str, str] = await datasette.get_database(NAME).execute_fn(read)
        return found

    return {"work_facts": work_facts, "coins_of": coins_of}
