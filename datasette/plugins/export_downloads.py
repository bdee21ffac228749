"""Any list of works as a file: `/download/ris?verdict=include&_tag=variant:ipt-a` takes the filters of the list of works.

Datasette decides which works are in the list, and `evidence.export.file_formats` writes the file; this plugin knows neither
filters nor formats. Rows are streamed in the list's order, so memory does not grow with the file.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sqlite3
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from datasette import hookimpl
from datasette.utils import sqlite_timelimit
from datasette.utils.asgi import NotFound, Response

from evidence.data_model import Doi, Strength
from evidence.database import tag_filter
from evidence.database.connection import open_evidence
from evidence.database.select_works import full_rows
from evidence.export import abstract_rights, file_formats
from evidence.publish import downloads, listed_works, site_details

NAME = "evidence"
BATCH = 200
"""Works per chunk sent to the network."""

TIME_LIMIT_FACTOR = 4
"""Sorting a whole list may take this many times the time limit of a page (`sql_time_limit_ms`)."""


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    return [(r"^/download/(?P<format>[a-z-]+)$", download)]


@hookimpl
def extra_template_vars() -> dict[str, Any]:
    return {"download_formats": {name: offer.description for name, offer in downloads.offered().items()}}


async def download(datasette: Any, request: Any, send: Any) -> Response | None:
    formats = downloads.offered()
    wanted = formats.get(request.url_vars["format"])
    path = datasette.get_database(NAME).path
    if wanted is None or path is None:
        raise NotFound(f"Files come in these formats: {', '.join(formats)}")
    dois, error = await dois_of_list(datasette, request.query_string)
    if error is not None:
        return Response.text(error, status=400)
    # The list has already refused strengths that do not exist.
    strengths = tag_filter.parse_strengths(",".join(request.args.getlist("_strength")))

    async def body() -> AsyncGenerator[bytes, None]:
        with ThreadPoolExecutor(max_workers=1) as thread:  # a SQLite connection stays in the thread that opened it
            loop = asyncio.get_running_loop()
            chunks = await loop.run_in_executor(thread, file_chunks, Path(path), dois, strengths, wanted)

            def next_batch() -> asyncio.Future[list[bytes]]:
                return loop.run_in_executor(thread, lambda: list(itertools.islice(chunks, BATCH)))

            try:
                sent = await next_batch()
                while sent:
                    following = next_batch()  # prepared while this one is sent
                    yield b"".join(sent)
                    sent = await following
            finally:
                await loop.run_in_executor(thread, chunks.close)

    name = "work" if len(dois) == 1 and wanted.file.records == "works" else wanted.file.records
    end = f"-{wanted.shape}" if wanted.shape != "lists" else ""
    headers = {
        "content-type": wanted.file.content_type,
        "content-disposition": f'attachment; filename="{name}{end}.{wanted.file.extension}"',
    }
    # Datasette's own stream takes text alone.
    raw = [(key.encode(), value.encode()) for key, value in headers.items()]
    await send({"type": "http.response.start", "status": 200, "headers": raw})
    async with aclosing(body()) as parts:
        async for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
    return None


async def dois_of_list(datasette: Any, query: str) -> tuple[list[Doi], str | None]:
    """The DOIs of a list of works in its order, or Datasette's error message about the filters. The SQL of the list is run once
    for all rows instead of page by page."""
    try:
        wanted = await listed_works.query(datasette, parse_qsl(query, keep_blank_values=True))
    except listed_works.RefusedError as error:
        return [], str(error)
    limit = TIME_LIMIT_FACTOR * datasette.setting("sql_time_limit_ms")

    def all_dois(conn: sqlite3.Connection) -> list[Doi]:
        cursor = conn.cursor()
        cursor.row_factory = None
        with sqlite_timelimit(conn, limit):
            # Ties are broken by DOI, as on the pages of the list.
            return [Doi(doi) for doi, *_ in cursor.execute(f"{wanted.statement}, doi", wanted.params)]

    try:
        return await datasette.get_database(NAME).execute_fn(all_dois), None
    except sqlite3.OperationalError as error:
        return [], f"The list could not be sorted: {error}"


def file_chunks(
    path: Path, dois: list[Doi], strengths: tuple[Strength, ...], wanted: downloads.Offer
) -> Generator[bytes, None, None]:
    """The file in chunks, without abstracts that may not be passed on; the connection closes after the last one."""
    conn = open_evidence(path)
    try:
        address = site_details.of_environment(os.environ).address
        layout, form = downloads.layout(conn, wanted, address=address), wanted.file
        found = full_rows(conn, dois, strengths, flat=form.flat, tag_rows=form.needs_tag_rows(layout))
        yield from file_formats.encode(form(abstract_rights.LeavingOut().rows(found), layout))
    finally:
        conn.close()
