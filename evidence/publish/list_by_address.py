"""The works of a list of the site, named by its address, without a running site: what `evidence export --list` takes.

The site itself answers, in this process and without a port: Datasette, with the site's own plugins, makes the list as it would
for a browser. So every filter, search and order means what it means on the site. This module writes nothing.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from evidence.data_model import Doi, Strength
from evidence.database import tag_filter
from evidence.database.connection import reading
from evidence.errors import ConfigError
from evidence.publish import listed_works, serve

_LISTS = ("/works", "/download/")


@dataclass(frozen=True, slots=True)
class Listed:
    """The works of a list in its order, and the strengths of tags that it asks for."""

    dois: tuple[Doi, ...]
    strengths: tuple[Strength, ...]


def read(db: Path, address: str) -> Listed:
    """The works of the list at an address of the site, or with the parameters of one (`year__gte=2015&_tag=design:rct`).
    ConfigError for an address that is no list of works, or whose parameters the site refuses."""
    pairs = parameters(address)
    if any(key == "as_of" for key, _ in pairs):
        raise ConfigError(f"--list {address}: the list of a past day is exported with --as-of")
    try:
        (dois,) = read_many(db, [pairs])
    except ConfigError as error:
        raise ConfigError(f"--list {address}: {error}") from None
    return Listed(dois, tag_filter.parse_strengths(",".join(text for key, text in pairs if key == "_strength")))


def read_many(db: Path, lists: Sequence[Sequence[tuple[str, str]]]) -> list[tuple[Doi, ...]]:
    """The works of several lists, each named by its parameters. ConfigError for parameters that the site refuses."""
    for pairs in lists:
        _refuse_unknown(db, pairs)
    found = []
    with reading(db) as conn:  # a database that cannot be read is reported in one sentence
        for statement, params in asyncio.run(_statements(db, lists)):
            try:
                found.append(tuple(Doi(doi) for doi, *_ in conn.execute(f"{statement}, doi", params)))
            except sqlite3.OperationalError as error:
                raise ConfigError(f"the list cannot be made: {error}") from None
    return found


def parameters(address: str) -> list[tuple[str, str]]:
    """The parameters of the list at an address, or those written alone; ConfigError for an address that is no list of works."""
    return parse_qsl(_parameters(address), keep_blank_values=True)


def _refuse_unknown(db: Path, pairs: Sequence[tuple[str, str]]) -> None:
    """ConfigError for a parameter that the site would pass over: a page shows that it is not filtered, a file does not."""
    with reading(db) as conn:
        columns = [name for _, name, *_ in conn.execute("pragma table_info(works)")]
    known = (*listed_works.SPECIAL_FILTERS, *listed_works.HOW_SHOWN)
    for key, _ in pairs:
        if key.startswith("_"):
            if key not in known and not key.startswith(("_search_", "_filter_")):
                raise ConfigError(f"the site has no filter {key!r}; it has {', '.join(known)}")
        elif (column := key.partition("__")[0]) not in columns:
            raise ConfigError(f"works have no column {column!r}; they have {', '.join(columns)}")
        elif (comparison := key.partition("__")[2]) and comparison not in listed_works.COMPARED:
            raise ConfigError(
                f"{key}: the site has no comparison {comparison!r}; it has {', '.join(listed_works.COMPARED)}"
            )


def _parameters(address: str) -> str:
    if "?" not in address and "://" not in address and not address.startswith("/"):
        return address
    parts = urlsplit(address)
    if parts.path and not any(part in parts.path for part in _LISTS):
        raise ConfigError(
            f"--list {address}: this is no list of works; copy the address of one, such as /evidence/works?verdict=include"
        )
    return parts.query


async def _statements(db: Path, lists: Sequence[Sequence[tuple[str, str]]]) -> list[tuple[str, dict[str, object]]]:
    from datasette.app import Datasette  # takes half a second, which no other command needs to wait for

    site = Datasette([str(db)], config_dir=serve.site_folder())
    await site.invoke_startup()
    found = []
    for pairs in lists:
        try:
            query = await listed_works.query(site, pairs)
        except listed_works.RefusedError as refused:
            raise ConfigError(str(refused)) from None
        found.append((query.statement, dict(query.params)))
    return found
