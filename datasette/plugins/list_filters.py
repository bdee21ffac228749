"""Two filters of a list of works: `?_since=2026-06-01`, what was added since, and `?_q=…&_scope=…`, what a search finds.

Gives every page the names of the filters in an address. Works on the table `works` and on any view with a column `doi`. This
file only reads the database.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from datasette import hookimpl
from datasette.filters import FilterArguments
from datasette.utils.asgi import BadRequest

from evidence.errors import ConfigError
from evidence.publish import bitset_counts, listed_works, search_site

OF_VIEWS = "doi in (select doi from works where {condition})"


@hookimpl
def filters_from_request(
    request: Any, database: str, table: str, datasette: Any
) -> Callable[[], Awaitable[FilterArguments | None]]:
    async def inner() -> FilterArguments | None:
        days, searches = ([text for text in request.args.getlist(name) if text] for name in ("_since", "_q"))
        if not days and not searches:
            return None
        db = datasette.get_database(database)
        if "doi" not in await db.table_columns(table):
            raise BadRequest(f"The rows of {table} are not works: _since and _q have no meaning here")
        form = "{condition}" if table == "works" else OF_VIEWS
        clauses, params, words = [], {}, []
        for number, text in enumerate(days):
            name = f"since_{number}"
            clauses.append(form.format(condition=listed_works.ADDED_SINCE.format(day=name)))
            params[name] = day_of(text)
            words.append(listed_works.filter_label("_since", text))
        for number, text in enumerate(searches):
            name = f"found_{number}"
            clauses.append(form.format(condition=listed_works.FOUND.format(found=name)))
            found = await search_site.found(db, text, request.args.get("_scope"))
            params[name] = json.dumps(bitset_counts.rowids_of(found.works))
            words.append(listed_works.filter_label("_q", text))
        return FilterArguments(clauses, params, words)

    return inner


def day_of(text: str) -> str:
    try:
        return listed_works.parse_day(text)
    except ConfigError as error:
        raise BadRequest(str(error)) from None


@hookimpl
def extra_template_vars() -> dict[str, Any]:
    return {"active_filters": active_filters, "filter_label": listed_works.filter_label}


def active_filters(request: Any) -> list[tuple[str, str]]:
    """The filters in a list's address, as (parameter, value)."""
    return [
        (key, text)
        for key in request.args
        if listed_works.is_filter(key) and key != "_searchmode" and (key != "_scope" or request.args.get("_q"))
        for text in request.args.getlist(key)
        if text
    ]
