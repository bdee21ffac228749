"""`prisma-s.yaml` → what only people know of a review's searches and of its living mode; every error names file and line.

PRISMA-S and PRISMA-LSR ask for facts that no database has: who reviewed the search, whether authors were contacted, when the
review is to end. The file stands beside `sources.yaml` and every key may be left out: a report then says which key would state
the item. It may not open a connection or a database.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from evidence import strict_yaml
from evidence.strict_yaml import YamlText, validated

FILE = "prisma-s.yaml"

_ORCID = re.compile(r"\d{4}-\d{4}-\d{4}-\d{3}[\dX]")
_Text = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who made or ran the searches."""

    name: str
    orcid: str | None = None


@dataclass(frozen=True, slots=True)
class Statements:
    """What the file states. `items` are the texts on items of PRISMA-S, `living` those on items of PRISMA-LSR, both by key;
    `given` says whether there is a file."""

    authors: tuple[Person, ...] = ()
    question: str | None = None
    protocol: str | None = None
    report: str | None = None
    items: Mapping[str, str] = field(default_factory=dict)
    living: Mapping[str, str] = field(default_factory=dict)
    given: bool = False


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Person(_Strict):
    name: _Text
    orcid: _Text | None = None


class _Living(_Strict):
    reason: _Text | None = None
    schedule: _Text | None = None
    next_search: _Text | None = None
    other_steps: _Text | None = None
    retirement: _Text | None = None
    trigger: _Text | None = None
    changes_to_objectives: _Text | None = None
    changes_to_methods: _Text | None = None
    changes_to_results: _Text | None = None
    authors: _Text | None = None


class _Items(_Strict):
    multi_database: _Text | None = None
    registries: _Text | None = None
    online_resources: _Text | None = None
    citation_searching: _Text | None = None
    contacts: _Text | None = None
    other_methods: _Text | None = None
    limits: _Text | None = None
    search_filters: _Text | None = None
    prior_work: _Text | None = None
    updates: _Text | None = None
    peer_review: _Text | None = None
    deduplication: _Text | None = None


class _File(_Items):
    authors: list[_Person] = []
    question: _Text | None = None
    protocol: _Text | None = None
    report: _Text | None = None
    living: _Living = _Living()


ITEMS = tuple(_Items.model_fields)
"""The keys on items of PRISMA-S."""

LIVING = tuple(_Living.model_fields)
"""The keys under `living:`."""


def beside(sources: Path) -> Statements:
    """The statements in the prisma-s.yaml beside a sources.yaml; none where there is no such file."""
    path = sources.with_name(FILE)
    return load(path) if path.exists() else Statements()


def load(path: Path) -> Statements:
    """The checked statements at `path`; ConfigError with file, line and remedy."""
    return check(strict_yaml.parse_file(path))


def check(text: YamlText) -> Statements:
    """The checked statements of parsed YAML (see `load`)."""
    if not isinstance(text.data, dict):
        raise text.complain((), "expected keys such as `peer_review:`; the documentation of exports shows every key")
    file = validated(_File, text, remedy="add it (the documentation of exports shows every key)")
    for i, person in enumerate(file.authors):
        if person.orcid is not None and not _ORCID.fullmatch(person.orcid):
            raise text.complain(
                ("authors", i, "orcid"), f"{person.orcid!r} is no ORCID iD; write it like 0000-0002-1825-0097"
            )
    living = file.living.model_dump()
    return Statements(
        tuple(Person(each.name, each.orcid) for each in file.authors),
        file.question,
        file.protocol,
        file.report,
        {key: value for key in ITEMS if (value := getattr(file, key))},
        {key: value for key in LIVING if (value := living[key])},
        given=True,
    )
