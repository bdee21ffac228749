"""Any list of works as a file: `/download/ris?verdict=include&_tag=variant:ipt-a` takes the filters of the list of works.

Datasette decides which works are in the list, and `evidence.export.file_formats` writes the file; this plugin knows neither
filters nor formats. Rows are streamed in the list's order, so memory does not grow with the file.
"""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from datasette import hookimpl
from datasette.utils import sqlite_timelimit
from datasette.utils.asgi import AsgiStream, NotFound, Response

from evidence.data_model import Doi, Strength
from evidence.database import schema, tag_filter
from evidence.database.connection import open_evidence
from evidence.database.select_works import full_rows
from evidence.export import abstract_rights, file_formats
from evidence.publish import listed_works

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
    return {"download_formats": {name: wanted.description for name, wanted in file_formats.FORMATS.items()}}


async def download(datasette: Any, request: Any, send: Any) -> Response | None:
    wanted = file_formats.FORMATS.get(request.url_vars["format"])
    path = datasette.get_database(NAME).path
    if wanted is None or path is None:
        raise NotFound(f"Files come in these formats: {', '.join(file_formats.FORMATS)}")
    dois, error = await dois_of_list(datasette, request.query_string)
    if error is not None:
        return Response.text(error, status=400)
    # The list has already refused strengths that do not exist.
    strengths = tag_filter.parse_strengths(",".join(request.args.getlist("_strength")))

    async def stream(out: Any) -> None:
        with ThreadPoolExecutor(max_workers=1) as thread:  # a SQLite connection stays in the thread that opened it
            loop = asyncio.get_running_loop()
            chunks = await loop.run_in_executor(thread, file_chunks, Path(path), dois, strengths, wanted)

            def next_batch() -> asyncio.Future[str]:
                return loop.run_in_executor(thread, lambda: "".join(itertools.islice(chunks, BATCH)))

            try:
                text = await next_batch()
                while text:
                    following = next_batch()  # prepared while this one is sent
                    await out.write(text)
                    text = await following
            finally:
                await loop.run_in_executor(thread, chunks.close)

    name = "works" if len(dois) != 1 else "work"
    headers = {"content-disposition": f'attachment; filename="{name}.{wanted.extension}"'}
    await AsgiStream(stream, headers=headers, content_type=f"{wanted.media_type}; charset=utf-8").asgi_send(send)
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
    path: Path, dois: list[Doi], strengths: tuple[Strength, ...], wanted: file_formats.Format
) -> Generator[str, None, None]:
    """The file in chunks, without abstracts that may not be passed on; the connection closes after the last one."""
    conn = open_evidence(path)
    try:
        rows = abstract_rights.LeavingOut().rows(full_rows(conn, dois, strengths, flat=wanted.flat))
        yield from wanted(rows, schema.read_topic(conn))
    finally:
        conn.close()
