"""The site's metadata.yaml, filled in for a topic: titles, facets, descriptions and ready-made queries.

The file has `$name` where the text depends on the topic; `words` lists the names. A dollar sign before anything else stays, as
in a JSON path. Nothing is read from a database here: the caller knows the topic.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from evidence.rules.topic import Topic

FACETS = "$facets"
"""A key under `columns:` that stands for a column for each facet, and an entry under `facets:` that stands for the facets by
which lists are counted."""

_NAME = re.compile(r"\$(?:\{([a-z_]+)\}|([a-z_]+))")


def read(site: Path, topic: Topic) -> dict[str, Any]:
    """The metadata in the site's folder, filled in."""
    found: dict[str, Any] = fill(yaml.safe_load((site / "metadata.yaml").read_text(encoding="utf-8")), topic)
    return found


def fill(metadata: Any, topic: Topic) -> Any:
    """Metadata with every `$name` filled in; what has none is as it was, so that filling in twice does nothing."""
    return _filled(metadata, topic, words(topic))


def permissions(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Only who may see what: every `allow` with the keys that lead to it."""
    kept: dict[str, Any] = {}
    for key, value in metadata.items():
        if key == "allow":
            kept[key] = value
        elif isinstance(value, dict) and (inner := permissions(value)):
            kept[key] = inner
    return kept


def words(topic: Topic) -> dict[str, str]:
    """What the names stand for. `trials` and `reviews` are lists of SQL, `…_name` and `a_…` are for running text."""
    rows, columns = map(topic.facet, topic.map)
    intervention = topic.facet(topic.intervention)
    return {
        "title": topic.title,
        "description": topic.description,
        "search": topic.search.replace("'", "''"),
        "intervention": intervention.id,
        "an_intervention": intervention.a_name,
        "rows": rows.id,
        "columns": columns.id,
        "rows_name": rows.name,
        "columns_name": columns.name,
        "a_row": rows.a_name,
        "a_column": columns.a_name,
        "pair_rows": topic.pairs[0],
        "pair_columns": topic.pairs[1],
        "pair_rows_name": topic.facet(topic.pairs[0]).name,
        "pair_columns_name": topic.facet(topic.pairs[1]).name,
        "design": topic.design,
        "trials": _sql_list(topic.trials),
        "reviews": _sql_list(topic.reviews),
        "facet_list": " or ".join(filter(None, (", ".join(topic.facet_ids[:-1]), topic.facet_ids[-1]))),
        "other_tags": "".join(map(_tags_column, (f for f in topic.facet_ids if f not in topic.map))),
    }


def counted_facets(topic: Topic) -> tuple[str, ...]:
    """The facets by which lists of works are counted: those of the map, and the designs."""
    return tuple(dict.fromkeys(facet for facet in (*topic.map, topic.design) if facet))


def _filled(value: Any, topic: Topic, known: dict[str, str]) -> Any:
    if isinstance(value, str):
        return _NAME.sub(lambda found: known.get(found[1] or found[2], found[0]), value)
    if isinstance(value, list):
        facets = [{"tags": facet} for facet in counted_facets(topic)]
        return [new for old in value for new in (facets if old == FACETS else [_filled(old, topic, known)])]
    if isinstance(value, dict):
        columns = {facet.id: f"{facet.holds}, separated by semicolons." for facet in topic.facets}
        filled: dict[Any, Any] = {}
        for key, inner in value.items():
            filled |= columns if key == FACETS else {_filled(key, topic, known): _filled(inner, topic, known)}
        return filled
    return value


def _sql_list(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)


def _tags_column(facet: str) -> str:
    return (  # the facet's id is checked where the topic is read
        "(select group_concat(value, '; ') from (select t.value from shown_tags t where t.doi = w.doi\n"
        f"    and t.facet = '{facet}' order by t.value)) as {facet},\n  "
    )
