"""Lists of works by their address: which parts of an address are filters, how a filter reads, the condition "added since", and
the works that a list holds.

Datasette is asked for the SQL of a list, so a file, a feed and a count of a list have the filters of its page, all of them. This
module shows no page and writes nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from urllib.parse import urlencode

from evidence.errors import ConfigError
from evidence.publish import bitset_counts, search_works

NAME: Final = "evidence"
Pairs = Sequence[tuple[str, str]]
"""The parameters of an address."""

COMPARISONS: Final = {"": "=", "exact": "=", "not": "≠", "gt": ">", "gte": "≥", "lt": "<", "lte": "≤"}
"""Signs for Datasette's comparisons; other comparisons are shown by name."""

COMPARED: Final = (
    *("exact", "not", "contains", "endswith", "startswith", "gt", "gte", "lt", "lte", "like", "notlike", "glob"),
    *("in", "notin", "arraycontains", "arraynotcontains", "date", "isnull", "notnull", "isblank", "notblank"),
)
"""Datasette's comparisons. It passes over others, and then shows a list that is not filtered."""

SPECIAL_FILTERS: Final = (
    "_search",
    "_searchmode",
    "_tag",
    "_strength",
    "_since",
    "_q",
    "_scope",
    "_cites",
    "_cited_by",
    "_through",
    "_where",
)
"""Filters whose names begin with an underscore; other such names change how a list is shown, not what is in it."""

HOW_SHOWN: Final = (
    *(
        "_sort",
        "_sort_desc",
        "_size",
        "_next",
        "_facet",
        "_facet_size",
        "_facet_tags",
        "_facet_date",
        "_facet_array",
        "_col",
    ),
    *("_nocol", "_shape", "_labels", "_nofacet", "_nocount", "_nosuggest", "_stream", "_dl", "_raw", "_header"),
)
"""Parameters of a list that change its order or how it is shown, but not what is in it."""

_ONLY_SQL: Final = (("_col", "doi"), ("_size", "1"), ("_shape", "objects"), ("_nofacet", "1"), ("_nocount", "1"))
_NOT_SQL: Final = frozenset({"_col", "_nocol", "_size", "_shape", "_next", "_facet", "_facet_tags", "_labels"})
_WHERE: Final = re.compile(r"select .*? from works where (.*)", re.DOTALL)

ADDED_SINCE: Final = """(first_run in (select run from runs where started >= :{day}) or doi in (
    select coalesce(a.doi, c.doi) from runs r cross join changes c on c.run = r.run and c.what = 'verdict'
    left join aliases a on a.alias = c.doi and a.last_run is null where r.started >= :{day}))"""
"""The condition on works that came into the database on a day (the parameter named `day`) or later, or were given another verdict
then: a work that waited for a decision is new on the list of the included works when it is included."""

FOUND: Final = "rowid in (select value from json_each(:{found}))"
"""The condition on works that a search found (the parameter named `found`: their row numbers, as JSON)."""


class RefusedError(Exception):
    """A list that Datasette refuses, with its status and what it said."""

    def __init__(self, said: str, status: int) -> None:
        super().__init__(said)
        self.status = status


@dataclass(frozen=True, slots=True)
class ListQuery:
    """The SQL of a list without its limit, the conditions in it (joined by `and`; empty: all works), and their parameters."""

    statement: str
    where: str
    params: Mapping[str, Any]


def is_filter(key: str) -> bool:
    """Whether a parameter decides what is in a list."""
    return not key.startswith("_") or "__" in key or key in SPECIAL_FILTERS or key.startswith("_search_")


def filters(pairs: Pairs) -> list[tuple[str, str]]:
    """The parameters that decide what is in a list, without empty ones."""
    return [(key, text) for key, text in pairs if text and is_filter(key)]


def says_verdict(pairs: Pairs) -> bool:
    """Whether an address says which verdicts it wants, by a filter or by the scope of a search."""
    return any(key == "verdict" or key.startswith("verdict__") or key in ("_q", "_where") for key, _ in pairs)


def filter_label(key: str, text: str) -> str:
    """A filter as people read it: "variant: ipt" for `_tag=variant:ipt`, "year ≥ 2010" for `year__gte=2010`."""
    if key == "_tag":
        return text.replace(":", ": ", 1).replace(",", " or ")
    if key == "_strength":
        return f"tags: {text.replace(',', ' or ')}"
    if key == "_since":
        return f"added since {text}"
    if key == "_q":
        return f"search: {text}"
    if key in ("_cites", "_cited_by"):
        return f"{key.strip('_').replace('_', ' ')} {text}"
    if key == "_scope":
        return f"in {search_works.scope_named(text).label}"
    if key.startswith("_"):
        return f"{key.strip('_')}: {text}"
    column, _, comparison = key.partition("__")
    if comparison in ("isnull", "notnull", "isblank", "notblank"):
        return f"{column} {'is empty' if comparison in ('isnull', 'isblank') else 'is not empty'}"
    return f"{column} {COMPARISONS.get(comparison, comparison)} {text}"


def parse_day(text: str) -> str:
    """A day (ISO) as `_since` wants it; ConfigError for anything else."""
    try:
        return date.fromisoformat(text.strip()).isoformat()
    except ValueError:
        raise ConfigError(f"{text!r} is not a valid date; write it as 2026-06-01") from None


async def query(datasette: Any, pairs: Iterable[tuple[str, str]]) -> ListQuery:
    """The SQL of the list of works with these parameters. Datasette checks them and the permission; RefusedError with what it
    said."""
    kept = [(key, text) for key, text in pairs if key not in _NOT_SQL]
    answer = await datasette.client.get(
        f"{datasette.urls.table(NAME, 'works', format='json')}?{urlencode([*kept, *_ONLY_SQL])}"
    )
    try:
        page = answer.json()
    except ValueError:  # Datasette answers some mistakes with a page, whatever was asked for
        raise RefusedError("A parameter in this address cannot be read.", max(answer.status_code, 400)) from None
    if answer.status_code != 200:
        raise RefusedError(str(page.get("error")), answer.status_code)
    statement, _, _ = page["query"]["sql"].rpartition(" limit ")
    found = _WHERE.fullmatch(statement.rpartition(" order by ")[0].rstrip())
    where = found[1] if found else ""
    own_sql = any(key == "_where" for key, _ in kept)  # may have an `or`
    return ListQuery(statement, f"({where})" if where and own_sql else where, page["query"]["params"])


async def works(datasette: Any, wanted: ListQuery, where: str) -> int:
    """The set of the works for which `where`, conditions of this list, holds."""
    db = datasette.get_database(NAME)
    return await bitset_counts.of_list(db, where, wanted.params, limit_ms=datasette.setting("sql_time_limit_ms"))


def split_verdicts(where: str) -> tuple[str, str]:
    """The conditions of a list on the verdict, and the others."""
    both: tuple[list[str], list[str]] = ([], [])
    for condition in bitset_counts.conditions(where):
        both[re.match(r'"?verdict"? ', condition) is None].append(condition)
    return " and ".join(both[0]), " and ".join(both[1])


VERDICTS_OF: Final = "select value from (select value, value as verdict from json_each(:_verdicts)) where {condition}"


def verdicts_sql(condition: str, params: Mapping[str, Any], known: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """A statement for those of the `known` verdicts for which a condition on the verdict holds, with its parameters."""
    used = {name: params[name] for name in bitset_counts.PARAMETER.findall(condition) if name in params}
    return VERDICTS_OF.format(condition=condition or "true"), {**used, "_verdicts": json.dumps(known)}
