"""Lists of the works that cite a work or that it cites: `?_cites=DOI`, `?_cited_by=DOI`, on the list of works and its downloads.

The page of a work links to them, so that a list is there for every number it shows. `evidence.database.citation_links` has the
conditions.
"""

from __future__ import annotations

from typing import Any, get_args

from datasette import hookimpl
from datasette.filters import FilterArguments
from datasette.utils.asgi import BadRequest

from evidence import doi as dois
from evidence.database import citation_links, tag_filter

WORDS: dict[citation_links.Direction, str] = {"_cites": "citing", "_cited_by": "cited by"}


@hookimpl
def filters_from_request(request: Any, database: str, table: str) -> FilterArguments | None:
    if (database, table) != ("evidence", "works"):
        return None
    clauses, params, words = [], {}, []
    for direction in get_args(citation_links.Direction):
        for number, typed in enumerate(text for text in request.args.getlist(direction) if text):
            name = f"{direction.strip('_')}_{number}"
            clauses.append(citation_links.sql_condition(direction, name))
            params[name] = dois.lower(typed)
            words.append(f"{WORDS[direction]} {typed}")
    if len(clauses) > tag_filter.MOST_FILTERS:
        raise BadRequest(f"{len(clauses)} works are asked about; at most {tag_filter.MOST_FILTERS} can be")
    return FilterArguments(clauses, params, words) if clauses else None
