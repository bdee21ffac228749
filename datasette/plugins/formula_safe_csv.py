"""Datasette's own CSV (tables, views, ready-made queries, SQL, rows), made safe for spreadsheets as every export is.

A text cell that a spreadsheet would run as a formula gets a `'` in front (`evidence.export.csv_files.guard`); numbers are
unchanged. `?_raw=on` gives the values as they are, for programs, in a file whose name says so. The pages and their rows stay
Datasette's: this file changes the cells on their way into a CSV, and sends many rows at once. The rows of a whole list of a
published copy are read by `evidence.publish.whole_lists`, which is several times as fast.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any

from datasette import hookimpl
from datasette.database import QueryInterrupted
from datasette.utils import tilde_decode
from datasette.utils.asgi import AsgiStream, AsgiWriter
from datasette.views.database import DatabaseView
from datasette.views.row import RowView
from datasette.views.table import TableView

from evidence.export.csv_files import guard, guard_row
from evidence.publish import whole_lists

RAW = "_raw"
"""The parameter that asks for values as they are."""


BLOCK = 1 << 16
"""Characters that are sent at once."""

StreamFunction = Callable[[Any], Awaitable[None]]


class BrokenOffError(BaseException):
    """A stream failed after its first page. No `Exception`, which Datasette would write into the file as if it were a last row:
    this one closes the connection, so that whoever downloads the file sees that it is not whole."""


class GuardedCsv:
    """Mixed into a view of Datasette, before it."""

    guarding = False
    as_file = False
    pages = 0

    async def as_csv(self, request: Any, database: str) -> Any:
        self.as_file, self.guarding = True, request.args.get(RAW) not in ("on", "1")
        answer = await super().as_csv(request, database)  # type: ignore[misc]
        if isinstance(answer, AsgiStream):
            answer.stream_fn = in_blocks(answer.stream_fn)
        name = answer.headers.get("content-disposition")
        if name and not self.guarding:
            answer.headers["content-disposition"] = f'{name.removesuffix(".csv" + chr(34))}-raw.csv"'
        return answer

    @contextmanager
    def whole_or_broken_off(self) -> Iterator[None]:
        done = False
        try:
            yield
            done = True
        finally:
            if not done and self.as_file and self.pages:
                raise BrokenOffError("the file could not be read to its end")

    async def data(self, request: Any, **options: Any) -> Any:
        """What the view shows, guarded if it becomes a CSV. A stream asks for each of its pages in this way."""
        with self.whole_or_broken_off():
            answer = await super().data(request, **options)  # type: ignore[misc]
        self.pages += 1
        if self.guarding and isinstance(answer, tuple):
            found = answer[0]
            found["columns"] = guard_row(found["columns"])
            if found.get("expanded_columns"):  # a cell of these is a mapping of its value and its label
                found["expanded_columns"] = guard_row(found["expanded_columns"])
                found["rows"] = [[guarded(cell) for cell in row] for row in found["rows"]]
            else:
                found["rows"] = [guard_row(row) for row in found["rows"]]
        return answer


def in_blocks(write_rows: StreamFunction) -> StreamFunction:
    """`write_rows` sends a message for each row, which takes longer than reading it; this sends one for many."""

    async def write(response: AsgiWriter) -> None:
        block = Block(response)
        await write_rows(block)
        await block.send()

    return write


class Block:
    """Text on its way to a response, sent when there is enough of it."""

    def __init__(self, response: AsgiWriter) -> None:
        self.response, self.parts, self.size = response, list[str](), 0

    async def write(self, text: str) -> None:
        self.parts.append(text)
        self.size += len(text)
        if self.size >= BLOCK:
            await self.send()

    async def send(self) -> None:
        text, self.parts, self.size = "".join(self.parts), [], 0
        if text:
            await self.response.write(text)


def guarded(cell: Any) -> Any:
    """A cell, so that no spreadsheet runs it; a cell with a label is a mapping of both."""
    if isinstance(cell, str):
        return guard(cell)
    return {name: guarded(inner) for name, inner in cell.items()} if isinstance(cell, dict) else cell


class Table(GuardedCsv, TableView):  # type: ignore[misc]
    """A whole list is read without pages where it can be: then Datasette makes a page of one row, checks everything by it, and
    writes the heading."""

    page: dict[str, Any] | None = None
    """What Datasette found for that page, once it has."""
    without_pages = False

    async def as_csv(self, request: Any, database: str) -> Any:
        table = tilde_decode(request.url_vars["table"])
        db = self.ds.get_database(route=database)
        if may_be_whole(request.args, self.ds) and await whole_lists.has_numbers(db, table):
            self.without_pages = True
            answer = await super().as_csv(request, database)
            if not isinstance(answer, AsgiStream) or self.page is None:
                return answer
            wanted = self.page
            found = await whole_lists.find(db, table, wanted["columns"], wanted["primary_keys"], wanted["query"])
            if found is not None:
                answer.stream_fn = then(answer.stream_fn, lambda: found.blocks(db, guarded=self.guarding))
                return answer
            self.without_pages, self.pages = False, 0
        return await super().as_csv(request, database)

    async def data(self, request: Any, **options: Any) -> Any:
        if not self.without_pages:
            return await super().data(request, **options)
        answer = await TableView.data(self, request, _size=1)
        if isinstance(answer, tuple) and answer[0].get("table") is not None:
            found = answer[0]
            self.page = {**found, "columns": list(found["columns"])}
            found["rows"], found["next"] = [], None
            if self.guarding:
                found["columns"] = guard_row(found["columns"])
        return answer


def may_be_whole(args: Any, datasette: Any) -> bool:
    """Whether these parameters ask for all rows of a list in the form that `whole_lists` writes."""
    size = args.get("_size") or "max"
    sizes = size == "max" or (size.isdecimal() and 0 < int(size) <= datasette.max_returned_rows)
    limited = datasette.setting("max_csv_mb")
    return bool(args.get("_stream") and sizes and not limited and not whole_lists.OTHERWISE.intersection(args))


def then(write_heading: StreamFunction, blocks: Callable[[], AsyncGenerator[str, None]]) -> StreamFunction:
    """Write what Datasette writes, and then these. A failure closes the connection."""

    async def write(response: AsgiWriter) -> None:
        await write_heading(response)
        try:
            async with aclosing(blocks()) as parts:
                async for text in parts:
                    await response.write(text)
        except (sqlite3.Error, QueryInterrupted) as error:
            raise BrokenOffError("the file could not be read to its end") from error

    return write


class Row(GuardedCsv, RowView):  # type: ignore[misc]
    pass


class Database(GuardedCsv, DatabaseView):  # type: ignore[misc]
    pass


@hookimpl(trylast=True)  # after the routes of all other plugins, such as /map.csv, and before Datasette's own
def register_routes(datasette: Any) -> list[tuple[str, Any]]:
    return [
        (r"/(?P<database>[^\/\.]+)\.(?P<format>csv)$", Database.as_view(datasette)),
        (r"/(?P<database>[^\/\.]+)/(?P<table>[^\/\.]+)\.(?P<format>csv)$", Table.as_view(datasette)),
        (r"/(?P<database>[^\/\.]+)/(?P<table>[^/]+?)/(?P<pks>[^/]+?)\.(?P<format>csv)$", Row.as_view(datasette)),
    ]
