"""The folder of a topic → a checked, frozen `Topic`: what a review is about, apart from its rules.

`topic.yaml` names the facets and their files, the axes of the map, which designs count as trials and as reviews, and the words
of the site about the topic. `docs/topics.md` describes the keys. This module may not read the rules themselves (`taxonomy`
does), nor the sources (`harvest.sources` does): it knows where they are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from evidence import strict_yaml
from evidence.errors import ConfigError
from evidence.strict_yaml import Loc, YamlText, nearest, validated

SHIPPED = Path(__file__).parents[1] / "topics"
"""The folder of the topics that come with the program, one folder each."""

DEFAULT = "ipt"
"""The topic of a sources.yaml that names none."""

FILE = "topic.yaml"
SCREEN_FILE = "screen.yaml"
PHRASES_FILE = "shared_phrases.yaml"
SOURCES_FILE = "sources.yaml"
ACCURACY_FILE = "accuracy.csv"

RESERVED = ("screen", "verdict", "same-work")
"""Names that a facet may not have: they stand for verdicts and for duplicates in the tables."""


@dataclass(frozen=True, slots=True)
class Group:
    """Values of a facet that are shown together under one heading."""

    label: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TopicFacet:
    """A facet of the topic: its id, its file, what a column of its values holds, and the groups of its values (may be
    empty)."""

    id: str
    path: Path
    holds: str
    groups: tuple[Group, ...] = ()


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic. `about` continues a sentence ("a study of …"). `intervention`, `rows` and `columns` are ids of facets; `design`
    is the facet of `trials` and `reviews`, empty where the topic counts neither. `reasons`: (verdict, ready-made reasons)."""

    id: str
    folder: Path
    title: str
    about: str
    description: str
    site_name: str
    search: str
    facets: tuple[TopicFacet, ...]
    intervention: str
    rows: str
    columns: str
    design: str
    trials: tuple[str, ...]
    reviews: tuple[str, ...]
    reasons: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def facet_ids(self) -> tuple[str, ...]:
        """The ids of the facets, in the order in which people see them."""
        return tuple(facet.id for facet in self.facets)

    @property
    def screen_path(self) -> Path:
        """The file of the screening rules."""
        return self.folder / SCREEN_FILE

    @property
    def phrases_path(self) -> Path:
        """The file of the named lists that rules share; a topic need not have one."""
        return self.folder / PHRASES_FILE

    @property
    def accuracy_path(self) -> Path:
        """The table of the measured accuracy of the topic's rules; a topic need not have one."""
        return self.folder / ACCURACY_FILE

    @property
    def trial_filter(self) -> str:
        """The tag filter for randomised trials, such as `design:rct,cluster-rct`; empty where the topic counts none."""
        return _tag_filter(self.design, self.trials)

    @property
    def review_filter(self) -> str:
        """The tag filter for systematic reviews; empty where the topic counts none."""
        return _tag_filter(self.design, self.reviews)

    def reasons_for(self, verdict: str) -> tuple[str, ...]:
        """The ready-made reasons for a verdict; empty where there are none."""
        return dict(self.reasons).get(verdict, ())

    def check_values(self, known: Mapping[str, Collection[str]]) -> None:
        """ConfigError unless the values that the topic names are among those of their facets (`known`: facet → values)."""
        text = strict_yaml.parse_file(self.folder / FILE)
        for key, values in (("trials", self.trials), ("reviews", self.reviews)):
            for place, value in enumerate(values):
                _refuse_unknown_value(text, ("designs", key, place), value, self.design, known)
        for place, facet in enumerate(self.facets):
            seen: set[str] = set()
            for number, group in enumerate(facet.groups):
                for at, value in enumerate(group.values):
                    loc = ("facets", place, "groups", number, "values", at)
                    _refuse_unknown_value(text, loc, value, facet.id, known)
                    if value in seen:
                        raise text.complain(loc, f"{value!r} is already in a group of this facet; keep one of them")
                    seen.add(value)


def shipped() -> tuple[str, ...]:
    """The names of the topics that come with the program."""
    return tuple(sorted(path.parent.name for path in SHIPPED.glob(f"*/{FILE}")))


def load(name: str | Path = DEFAULT, beside: Path | None = None) -> Topic:
    """The topic with this name among those shipped, or in this folder; ConfigError with file, line and remedy.

    A relative folder is looked up in `beside` (the folder of sources.yaml), or in the current one. A shipped name goes first;
    `./ipt` is always a folder.
    """
    if isinstance(name, str) and name in shipped():
        return _load_folder(SHIPPED / name)
    folder = (beside or Path()) / name
    if not (folder / FILE).exists():
        what = f"has no {FILE}" if folder.is_dir() else "is neither a topic that comes with the program nor a folder"
        raise ConfigError(f"{str(name)!r} {what}; name one of {', '.join(shipped())}, or a folder with a {FILE}")
    return _load_folder(folder)


def _load_folder(folder: Path) -> Topic:
    path = folder / FILE
    return _topic(strict_yaml.read_text(path, f"copy one from {SHIPPED / DEFAULT}"), folder)


@lru_cache(maxsize=8)
def _topic(written: str, folder: Path) -> Topic:
    """The topic of this text of a `topic.yaml` in `folder`."""
    text = strict_yaml.parse(written, str(folder / FILE))
    file = validated(_File, text, remedy=_SHAPE)
    facets = tuple(_facet(text, ("facets", place), entry, folder) for place, entry in enumerate(file.facets))
    ids = [facet.id for facet in facets]
    for place, name in enumerate(ids):
        if name in ids[:place]:
            raise text.complain(("facets", place, "id"), f"the facet {name!r} is there twice; keep one of them")
    for loc, name in (
        (("intervention",), file.intervention),
        (("map", "rows"), file.map.rows),
        (("map", "columns"), file.map.columns),
        (("designs", "facet"), file.designs.facet if file.designs else ids[0]),
    ):
        if name not in ids:
            raise text.complain(loc, f"there is no facet {name!r}{nearest(name, ids)}")
    for verdict in file.reasons:
        if verdict not in _VERDICTS:
            raise text.complain(("reasons", verdict), f"there is no verdict {verdict!r}{nearest(verdict, _VERDICTS)}")
    designs = file.designs or _DesignsEntry(facet="")
    return Topic(
        id=folder.resolve().name,
        folder=folder,
        title=file.title,
        about=file.about,
        description=file.description,
        site_name=file.site.name,
        search=file.site.search,
        facets=facets,
        intervention=file.intervention,
        rows=file.map.rows,
        columns=file.map.columns,
        design=designs.facet,
        trials=tuple(designs.trials),
        reviews=tuple(designs.reviews),
        reasons=tuple((verdict, tuple(reasons)) for verdict, reasons in file.reasons.items()),
    )


def _facet(text: YamlText, loc: Loc, entry: _FacetEntry, folder: Path) -> TopicFacet:
    if (entry.file is None) == (entry.from_ is None):
        raise text.complain(
            loc,
            f"the facet {entry.id!r} needs either `file:`, its file in this folder, or `from:`, a topic that has it",
        )
    if entry.id in RESERVED:
        raise text.complain((*loc, "id"), f"{entry.id!r} is reserved for the program; choose another id")
    groups = tuple(Group(group.label, tuple(group.values)) for group in entry.groups)
    if entry.file is not None:
        return TopicFacet(entry.id, folder / entry.file, entry.holds or f"Values of the facet {entry.id}", groups)
    source = entry.from_ or ""
    if source not in shipped() or (SHIPPED / source).resolve() == folder.resolve():
        raise text.complain((*loc, "from"), f"no topic {source!r} comes with the program{nearest(source, shipped())}")
    theirs = {facet.id: facet for facet in _load_folder(SHIPPED / source).facets}
    if entry.id not in theirs:
        raise text.complain((*loc, "id"), f"the topic {source!r} has no facet {entry.id!r}{nearest(entry.id, theirs)}")
    borrowed = theirs[entry.id]
    return TopicFacet(entry.id, borrowed.path, entry.holds or borrowed.holds, groups or borrowed.groups)


def _refuse_unknown_value(
    text: YamlText, loc: Loc, value: str, facet: str, known: Mapping[str, Collection[str]]
) -> None:
    if value not in known.get(facet, ()):
        raise text.complain(loc, f"the facet {facet!r} has no value {value!r}{nearest(value, known.get(facet, ()))}")


def _tag_filter(facet: str, values: tuple[str, ...]) -> str:
    return f"{facet}:{','.join(values)}" if values else ""


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
    title: _Text
    about: _Text
    description: _Text
    site: _SiteEntry
    facets: Annotated[list[_FacetEntry], Field(min_length=1)]
    intervention: _Text
    map: _MapEntry
    designs: _DesignsEntry | None = None
    reasons: dict[str, _Texts] = {}
