"""The text of a `topic.yaml` → a checked `Topic`. Every error names file, line and remedy.

`topic` imports this module only when a topic is not kept on disk: pydantic and YAML take longer to import than a short command.
This module may not look for topics: `topic` knows where they are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from evidence import strict_yaml
from evidence.rules.topic import DEFAULT, FILE, RESERVED, SHIPPED, Group, Topic, TopicFacet, load_kept, shipped
from evidence.strict_yaml import Loc, YamlText, nearest, validated


def read(written: str, folder: Path, lenders: Path) -> Topic:
    """The topic of this text of a `topic.yaml` in `folder`; it may use facets of the topics in `lenders`."""
    text = strict_yaml.parse(written, str(folder / FILE))
    file = validated(_File, text, remedy=_SHAPE)
    facets = tuple(_facet(text, ("facets", place), entry, folder, lenders) for place, entry in enumerate(file.facets))
    ids = [facet.id for facet in facets]
    for place, name in enumerate(ids):
        if name in ids[:place]:
            raise text.complain(("facets", place, "id"), f"the facet {name!r} is there twice; keep one of them")
    pairs = file.pairs or file.map
    for loc, name in (
        (("intervention",), file.intervention),
        (("map", "rows"), file.map.rows),
        (("map", "columns"), file.map.columns),
        (("pairs", "rows"), pairs.rows),
        (("pairs", "columns"), pairs.columns),
        (("designs", "facet"), file.designs.facet if file.designs else ids[0]),
    ):
        if name not in ids:
            raise text.complain(loc, f"there is no facet {name!r}{nearest(name, ids)}")
    for verdict in file.reasons:
        if verdict not in _VERDICTS:
            raise text.complain(("reasons", verdict), f"there is no verdict {verdict!r}{nearest(verdict, _VERDICTS)}")
    designs = file.designs or _DesignsEntry(facet="")
    return Topic(
        id=file.id,
        title=file.title,
        about=file.about,
        description=file.description,
        site_name=file.site.name,
        search=file.site.search,
        facets=facets,
        intervention=file.intervention,
        map=(file.map.rows, file.map.columns),
        pairs=(pairs.rows, pairs.columns),
        design=designs.facet,
        trials=tuple(designs.trials),
        reviews=tuple(designs.reviews),
        reasons=tuple((verdict, tuple(texts)) for verdict, texts in file.reasons.items()),
        folder=folder,
    )


def check_values(topic: Topic, known: Mapping[str, Collection[str]]) -> None:
    """ConfigError unless the values that the topic names are among those of their facets (`known`: facet → values)."""
    text = strict_yaml.parse_file(topic.folder / FILE)
    for key, values in (("trials", topic.trials), ("reviews", topic.reviews)):
        for place, value in enumerate(values):
            _refuse_unknown_value(text, ("designs", key, place), value, topic.design, known)
    for place, facet in enumerate(topic.facets):
        seen: set[str] = set()
        for number, group in enumerate(facet.groups):
            for at, value in enumerate(group.values):
                loc = ("facets", place, "groups", number, "values", at)
                _refuse_unknown_value(text, loc, value, facet.id, known)
                if value in seen:
                    raise text.complain(loc, f"{value!r} is already in a group of this facet; keep one of them")
                seen.add(value)


def _facet(text: YamlText, loc: Loc, entry: _FacetEntry, folder: Path, lenders: Path) -> TopicFacet:
    if (entry.file is None) == (entry.from_ is None):
        raise text.complain(
            loc,
            f"the facet {entry.id!r} needs either `file:`, its file in this folder, or `from:`, a topic that has it",
        )
    if entry.id in RESERVED:
        raise text.complain((*loc, "id"), f"{entry.id!r} is reserved for the program; choose another id")
    groups = tuple(Group(group.label, tuple(group.values)) for group in entry.groups)
    if entry.file is not None:
        return TopicFacet(entry.id, entry.holds or f"Values of the facet {entry.id}", groups, folder / entry.file)
    source, known = entry.from_ or "", shipped(lenders)
    if source not in known or (lenders / source).resolve() == folder.resolve():
        raise text.complain((*loc, "from"), f"no topic {source!r} comes with the program{nearest(source, known)}")
    theirs = {facet.id: facet for facet in load_kept(lenders / source, lenders).facets}
    if entry.id not in theirs:
        raise text.complain((*loc, "id"), f"the topic {source!r} has no facet {entry.id!r}{nearest(entry.id, theirs)}")
    borrowed = theirs[entry.id]
    return TopicFacet(entry.id, entry.holds or borrowed.holds, groups or borrowed.groups, borrowed.path, True)


def _refuse_unknown_value(
    text: YamlText, loc: Loc, value: str, facet: str, known: Mapping[str, Collection[str]]
) -> None:
    if value not in known.get(facet, ()):
        raise text.complain(loc, f"the facet {facet!r} has no value {value!r}{nearest(value, known.get(facet, ()))}")


def _facet_id(value: str) -> str:
    if not (value.isidentifier() and value.isascii() and value == value.lower()):
        raise ValueError(
            f"{value!r} cannot be a column's name; write lower-case letters, digits and `_`, such as problem_area"
        )
    return value


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


_VERDICTS = ("include", "exclude", "unsure")
_Text = Annotated[str, Field(min_length=1)]
_Texts = Annotated[list[_Text], Field(min_length=1)]
_FacetId = Annotated[str, AfterValidator(_facet_id)]
_SHAPE = f"{SHIPPED / DEFAULT / FILE} shows every key"


class _SiteEntry(_Strict):
    name: _Text
    search: _Text


class _GroupEntry(_Strict):
    label: _Text
    values: _Texts


class _FacetEntry(_Strict):
    id: _FacetId
    file: _Text | None = None
    from_: _Text | None = Field(default=None, alias="from")
    holds: _Text | None = None
    groups: list[_GroupEntry] = []


class _MapEntry(_Strict):
    rows: _Text
    columns: _Text


class _DesignsEntry(_Strict):
    facet: str
    trials: list[_Text] = []
    reviews: list[_Text] = []


class _File(_Strict):
    id: strict_yaml.Id
    title: _Text
    about: _Text
    description: _Text
    site: _SiteEntry
    facets: Annotated[list[_FacetEntry], Field(min_length=1)]
    intervention: _Text
    map: _MapEntry
    pairs: _MapEntry | None = None
    designs: _DesignsEntry | None = None
    reasons: dict[str, _Texts] = {}
