"""The filter for tags: `design:rct,cluster-rct` means either value, and of several filters all must hold.

The one grammar of `--tag` on the command line and `_tag` in the site's lists, downloads and feed, and of `--strength` and
`_strength`, which say how sure a tag must be. Text in, SQL conditions out; it may not read a database.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from evidence.data_model import SHOWN_STRENGTHS, STRENGTHS, Strength
from evidence.errors import ConfigError

MOST_FILTERS = 50
"""The most filters of one request: each is a condition of its own in the SQL."""


@dataclass(frozen=True, slots=True)
class TagFilter:
    """Works with any of these values of a facet."""

    facet: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.facet}:{','.join(self.values)}"


def parse_tag(raw: str) -> tuple[str, str]:
    """(facet, value) of one tag written as `facet:value`; ConfigError for anything else."""
    facet, _, value = raw.partition(":")
    if not (facet and value):
        raise ConfigError(f"{raw!r} is not a valid tag; write it as facet:value, such as design:rct")
    return facet, value


def parse(raw: str) -> TagFilter:
    """`facet:value[,value…]`; ConfigError for anything else."""
    facet, _, rest = raw.partition(":")
    values = tuple(dict.fromkeys(value.strip() for value in rest.split(",")))
    if not facet.strip() or not all(values):
        raise ConfigError(
            f"{raw!r} is not a valid tag; write it as facet:value, such as design:rct, or facet:value,value for either of them"
        )
    return TagFilter(facet.strip(), values)


def parse_strengths(raw: str | None) -> tuple[Strength, ...]:
    """The strengths in `stated,likely`, any of which a tag must have; without text those that lists show. ConfigError for a word
    that is no strength."""
    wanted = {word.strip() for word in (raw or "").split(",")} - {""}
    if unknown := sorted(wanted.difference(STRENGTHS)):
        raise ConfigError(
            f"{unknown[0]!r} is not a strength of a tag; write one or more of {', '.join(STRENGTHS)}, such as stated,likely"
        )
    return tuple(strength for strength in STRENGTHS if strength in wanted) or SHOWN_STRENGTHS


def parse_checked(texts: Sequence[str], known: Iterable[tuple[str, str]]) -> list[TagFilter]:
    """The filters of a URL or a command line; ConfigError when one is not written like a filter or asks for a (facet, value) that
    is not among the `known`."""
    if len(texts) > MOST_FILTERS:
        raise ConfigError(f"{len(texts)} tags are asked for; at most {MOST_FILTERS} can be")
    filters = [parse(text) for text in texts]
    check_filters(filters, values_by_facet(known))
    return filters


def values_by_facet(known: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """(facet, value) → facet → its values, in their order."""
    found: dict[str, list[str]] = {}
    for facet, value in known:
        found.setdefault(facet, []).append(value)
    return found


def check_filters(filters: Sequence[TagFilter], known: Mapping[str, Sequence[str]]) -> None:
    """ConfigError when a filter asks for a tag that is not in the taxonomy, naming the nearest one. `known`: facet → values."""
    for wanted in filters:
        for value in wanted.values:
            check_tag(wanted.facet, value, known)


def check_tag(facet: str, value: str, known: Mapping[str, Sequence[str]]) -> None:
    """ConfigError when the taxonomy does not have this tag, naming the nearest one. `known`: facet → values."""
    if facet not in known:
        raise ConfigError(
            f"{facet}:{value}: there is no facet {facet!r}{_nearest(facet, known)}; the facets are {', '.join(known)}"
        )
    if value not in known[facet]:
        raise ConfigError(
            f"{facet}:{value}: {facet} has no {value!r}{_nearest(value, known[facet])}; it has {', '.join(known[facet])}"
        )


def _nearest(written: str, known: Mapping[str, Sequence[str]] | Sequence[str]) -> str:
    plain = {re.sub(r"\W|_", "", name).casefold(): name for name in known}
    found = difflib.get_close_matches(re.sub(r"\W|_", "", written).casefold(), plain, n=1)
    return f" (did you mean {plain[found[0]]!r}?)" if found else ""


def sql_conditions(
    filters: Sequence[TagFilter], doi: str = "doi", strengths: Sequence[Strength] = SHOWN_STRENGTHS
) -> tuple[list[str], dict[str, str]]:
    """One condition for each filter, to be joined by `and`, and their parameters. `doi` is the column of the work's DOI; tags of
    other `strengths` do not count."""
    sure = ", ".join(f"'{strength}'" for strength in strengths)
    clauses = []
    params: dict[str, str] = {}
    for number, wanted in enumerate(filters):
        names = [f"tag_value_{number}_{place}" for place in range(len(wanted.values))]
        placeholders = ", ".join(f":{name}" for name in names)
        sql = f"select doi from tags where facet = :tag_facet_{number} and value in ({placeholders})"  # noqa: S608 - only numbers and strengths are pasted
        sql += f" and strength in ({sure})"
        clauses.append(f"{doi} in ({sql})")
        params |= {f"tag_facet_{number}": wanted.facet, **dict(zip(names, wanted.values, strict=True))}
    return clauses, params
