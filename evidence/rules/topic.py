"""The folder of a topic → a checked, frozen `Topic`: what a review is about, apart from its rules.

`topic.yaml` names the facets and their files, the axes of the map, which designs count as trials and as reviews, and the words
of the site about the topic. `docs/topics.md` describes the keys. A database keeps a copy (`to_json`), from which the site
reads it. This module may not read the rules themselves (`taxonomy` does), nor the sources (`harvest.sources` does): it knows
where they are. What `topic_file` read it keeps on disk, so that pydantic and YAML are imported only for a topic that is new.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from evidence.errors import ConfigError
from evidence.rules.kept_rules import kept_reading
from evidence.text_files import read_text

SHIPPED = Path(__file__).parents[1] / "topics"
"""The folder of the topics that come with the program, one folder each."""

DEFAULT = "ipt"
"""The topic of a sources.yaml that names none."""

BLANK = "blank"
"""The folder of a topic that is yet to be written, which `evidence init` copies. It cannot be named as a topic."""

FILE = "topic.yaml"
SCREEN_FILE = "screen.yaml"
PHRASES_FILE = "shared_phrases.yaml"
SOURCES_FILE = "sources.yaml"
ACCURACY_FILE = "accuracy.csv"
VALUE_WEIGHTS_FILE = "value_weights.json"
RECORDS = "bundled_records/records.jsonl.gz"
FACTS = "bundled_records/facts.jsonl.gz"
DECISIONS = "bundled_records/decisions.csv"

_OF_TABLES = (
    "doi", "title", "abstract", "authors", "container", "year", "kind", "notice", "gone", "why", "judged_on", "decided", "url",
    "verdict", "tags", "likely_tags", "implied_tags", "reasons", "works", "trials", "reviews",
)  # fmt: skip
_OF_PAGES = (
    "since", "until", "implied", "as_of", "page", "screen", "rows", "columns", "row", "column", "folded", "hide_empty",
    "against",
)  # fmt: skip
RESERVED = frozenset((*_OF_TABLES, *_OF_PAGES))
"""Names that a facet may not have: in tables, exports or addresses they stand for something else."""


_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Group:
    """Values of a facet that are shown together under one heading."""

    label: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TopicFacet:
    """A facet of the topic: its id, what a column of its values holds, the groups of its values (may be empty), its file, and
    whether that is another topic's."""

    id: str
    holds: str
    groups: tuple[Group, ...] = ()
    path: Path = field(default=Path(), compare=False)
    borrowed: bool = field(default=False, compare=False)

    @property
    def name(self) -> str:
        """The facet in running text: `problem area`."""
        return self.id.replace("_", " ")

    @property
    def names(self) -> str:
        """The same for several: `problem areas`, `modalities`."""
        return f"{self.name[:-1]}ies" if self.name.endswith("y") else f"{self.name}s"

    @property
    def a_name(self) -> str:
        """The same with its article: `a variant`, `an outcome`."""
        return f"{'an' if self.name[0] in 'aeiou' else 'a'} {self.name}"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic. `about` continues a sentence ("a study of …"). `search` is a word that finds works of the topic. `intervention`
    is the id of a facet; `map` and `pairs` each are two, for the rows and the columns of the map, and for a table of pairs of
    tags where a reader names no facets. `design` is the facet of `trials` and `reviews`, empty where the topic counts neither.
    `reasons`: (verdict, ready-made reasons). Folder and files are empty in a topic that was read from a database."""

    id: str
    title: str
    about: str
    description: str
    site_name: str
    search: str
    facets: tuple[TopicFacet, ...]
    intervention: str
    map: tuple[str, str]
    pairs: tuple[str, str]
    design: str
    trials: tuple[str, ...]
    reviews: tuple[str, ...]
    reasons: tuple[tuple[str, tuple[str, ...]], ...]
    folder: Path = field(default=Path(), compare=False)

    @property
    def facet_ids(self) -> tuple[str, ...]:
        """The ids of the facets, in the order in which people see them."""
        return tuple(facet.id for facet in self.facets)

    def facet(self, name: str) -> TopicFacet:
        """The facet with this id; KeyError when there is none."""
        return {facet.id: facet for facet in self.facets}[name]

    def in_order(self, by_facet: Mapping[str, _T]) -> dict[str, _T]:
        """The same with the facets in the topic's order; what is of no facet of the topic comes last."""
        place = {facet: number for number, facet in enumerate(self.facet_ids)}
        return dict(sorted(by_facet.items(), key=lambda entry: place.get(entry[0], len(place))))

    def in_groups(self, facet: str, values: Iterable[str]) -> list[tuple[str, list[str]]]:
        """Values of a facet by group: (heading, values). Values in no group come last, under an empty heading."""
        left = dict.fromkeys(values)
        found = []
        for group in self.facet(facet).groups:
            inside = [value for value in group.values if value in left]
            left = {value: None for value in left if value not in inside}
            found.append((group.label, inside))
        return [(label, inside) for label, inside in (*found, ("", list(left))) if inside]

    def to_json(self) -> str:
        """All of it but the files, as JSON that `from_json` reads."""
        kept = asdict(self)
        for of in (kept, *kept["facets"]):
            for name in ("path", "folder", "borrowed"):
                of.pop(name, None)
        return json.dumps(kept, ensure_ascii=False, sort_keys=True)

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
    def records_path(self) -> Path:
        """Records that come with the topic, for use without a network; a topic need not have any."""
        return self.folder / RECORDS

    def snapshot(self) -> tuple[Path, ...]:
        """The files of the records that come with the topic; ConfigError when there are none."""
        if not self.records_path.exists():
            raise ConfigError(
                f"the topic {self.id!r} comes with no records; ask Crossref with `evidence sync`, or read files with "
                "`evidence sync --from FILE`"
            )
        return (self.records_path,)

    def bundled_facts(self) -> tuple[Path, ...]:
        """The file of facts from other providers that comes with the records; nothing where there is none."""
        path = self.folder / FACTS
        return (path,) if path.exists() else ()

    @property
    def decisions_path(self) -> Path:
        """Decisions on the records that come with the topic, for `evidence demo`; a topic need not have any."""
        return self.folder / DECISIONS

    @property
    def trial_filter(self) -> str:
        """The tag filter for randomised trials, such as `design:rct,cluster-rct`; empty where the topic counts none."""
        return _tag_filter(self.design, self.trials)

    @property
    def review_filter(self) -> str:
        """The tag filter for systematic reviews; empty where the topic counts none."""
        return _tag_filter(self.design, self.reviews)

    @property
    def designs(self) -> tuple[tuple[str, str, str], ...]:
        """What is counted apart among included works: (key, what it is called, the tag filter); empty where the topic counts
        neither trials nor reviews."""
        named = (
            ("trials", "randomised trials", self.trial_filter),
            ("reviews", "systematic reviews and meta-analyses", self.review_filter),
        )
        return tuple(entry for entry in named if entry[2])

    def reasons_for(self, verdict: str) -> tuple[str, ...]:
        """The ready-made reasons for a verdict; empty where there are none."""
        return dict(self.reasons).get(verdict, ())


def from_json(written: str) -> Topic:
    """The topic that `to_json` wrote, without files."""
    kept: dict[str, Any] = json.loads(written)
    facets = tuple(
        TopicFacet(facet["id"], facet["holds"], tuple(Group(g["label"], tuple(g["values"])) for g in facet["groups"]))
        for facet in kept.pop("facets")
    )
    reasons = tuple((verdict, tuple(texts)) for verdict, texts in kept.pop("reasons"))
    rest: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in kept.items()}
    return Topic(facets=facets, reasons=reasons, **rest)


def shipped(within: Path = SHIPPED) -> tuple[str, ...]:
    """The names of the topics that come with the program, or that are in another folder of topics."""
    return tuple(sorted({path.parent.name for path in within.glob(f"*/{FILE}")} - {BLANK}))


def another_topic(db: Path, stored: str, named: str) -> str:
    """The error message for a database with works of another topic. It is refused, and not judged again: its tags and the
    decisions on them are values of other facets, and every verdict would be announced as changed."""
    return (
        f"{db}: its works are of the topic {stored!r}, and sources.yaml names {named!r}; change `topic:` back, or work in "
        "another folder, with a database and decisions of its own"
    )


def load(name: str | Path = DEFAULT, beside: Path | None = None) -> Topic:
    """The topic with this name among those shipped, or in this folder (see `find`); ConfigError with file, line and remedy."""
    try:
        return _load_folder(find(name, beside))
    except ValueError as error:
        raise ConfigError(str(error)) from None


def load_kept(folder: Path, lenders: Path) -> Topic:
    """The topic in this folder, whose `from:` names topics in the folder `lenders` and not those that come with the program: for
    a topic that was kept with all that it uses."""
    return _load_folder(folder, lenders)


def find(name: str | Path, beside: Path | None = None) -> Path:
    """The folder of the topic with this name among those shipped, or this folder; ValueError with the remedy when there is
    none.

    A relative folder is looked up in `beside` (the folder of sources.yaml), or in the current one. A shipped name goes first;
    `./ipt` is always a folder.
    """
    if isinstance(name, str) and name in shipped():
        return SHIPPED / name
    folder = (beside or Path()) / name
    if not (folder / FILE).exists():
        what = f"is a folder without {FILE}" if folder.is_dir() else "is not a topic that comes with the program"
        raise ValueError(f"{str(name)!r} {what}; name one of {', '.join(shipped())}, or a folder with a {FILE}")
    return folder


def _load_folder(folder: Path, lenders: Path = SHIPPED) -> Topic:
    written = read_text(folder / FILE, f"copy one from {SHIPPED / DEFAULT}")
    return _topic(written, folder, lenders, tuple([(name, _bytes(lenders / name / FILE)) for name in shipped(lenders)]))


def _bytes(path: Path) -> bytes:
    """What a file holds; nothing where it cannot be read, which is told if the file is needed."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


@lru_cache(maxsize=8)
def _topic(written: str, folder: Path, lenders: Path, lent: tuple[tuple[str, bytes], ...]) -> Topic:
    """The topic of this text of a `topic.yaml` in `folder`. It may use facets of the topics in `lenders`: `lent` are their names
    and files. It is kept on disk."""

    def read() -> Topic:
        from evidence.rules import topic_file  # imports pydantic and YAML

        return topic_file.read(written, folder, lenders)

    return kept_reading("topic_files", (written, str(folder), str(lenders), lent), read)


def _tag_filter(facet: str, values: tuple[str, ...]) -> str:
    return f"{facet}:{','.join(values)}" if values else ""
