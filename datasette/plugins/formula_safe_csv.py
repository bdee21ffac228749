"""Datasette's own CSV (tables, views, ready-made queries, SQL, rows), made safe for spreadsheets as every export is.

A text cell that a spreadsheet would run as a formula gets a `'` in front (`evidence.export.csv_files.guard`); numbers are
unchanged. `?_raw=on` gives the values as they are, for programs, in a file whose name says so. The pages and their rows stay
Datasette's: this file changes the cells on their way into a CSV, and sends many rows at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from datasette import hookimpl
from datasette.utils.asgi import AsgiStream, AsgiWriter
from datasette.views.database import DatabaseView
from datasette.views.row import RowView
from datasette.views.table import TableView

from evidence.export.csv_files import guard, guard_row

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
    pass


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
