"""The evidence map, counted from sets of works: two facets against each other, a part of it in detail, and what may be hidden.

A `View` is what a reader asked for and is written in the address of the page. A `Line` is a row or column: a value of a
facet, or a folded group of values, which stands for the works with any of them. Only works that are included count, by their
stated and likely tags; with `implied`, works with tags that are only implied are counted beside them. An empty cell says
whether the abstracts of the works on its row and column could be read. This module may not read a database, and knows no
address and no HTML.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from evidence.data_model import SHOWN_STRENGTHS, STRENGTHS, Strength
from evidence.publish import bitset_counts
from evidence.publish.bitset_counts import WorkSets
from evidence.rules.topic import Topic

FOLD_ALL = "*"
"""In the address: every group is folded."""

GROUP = "*"
"""What the key of a folded group begins with. No value of a facet does."""

LATEST = 9999
"""A year that no work is newer than."""


@dataclass(frozen=True, slots=True)
class View:
    """What a reader asked for: the facets of rows and columns; facet → the values of which works must have one; years from and
    to; whether implied tags count too; labels of the groups that are folded (or FOLD_ALL); whether lines without works are left
    out; and the keys of the row and column whose works are shown beside the map (may be empty)."""

    rows: str
    columns: str
    filters: Mapping[str, tuple[str, ...]]
    since: int | None = None
    until: int | None = None
    implied: bool = False
    folded: tuple[str, ...] = ()
    hide_empty: bool = False
    row: str = ""
    column: str = ""

    @property
    def axes(self) -> tuple[str, str]:
        """The facets of rows and columns."""
        return self.rows, self.columns

    @property
    def strengths(self) -> tuple[Strength, ...]:
        """The strengths of the tags that count."""
        return STRENGTHS if self.implied else SHOWN_STRENGTHS

    @property
    def narrowed(self) -> bool:
        """Whether works are left out."""
        return bool(self.filters) or self.since is not None or self.until is not None

    def is_folded(self, label: str) -> bool:
        """Whether the group with this label is one line."""
        return label in self.folded or FOLD_ALL in self.folded

    def counted(self) -> View:
        """The same without what changes no number in a cell and no line."""
        return replace(self, row="", column="")

    def pairs(self, topic: Topic) -> list[tuple[str, str]]:
        """(name, text) for the address of a page; `read_view` reads it back."""
        given = {"rows": self.rows, "columns": self.columns}
        found = [(name, facet) for (name, facet), usual in zip(given.items(), topic.map, strict=True) if facet != usual]
        found += [(facet, ",".join(values)) for facet, values in self.filters.items()]
        found += [
            (name, str(year)) for name, year in (("since", self.since), ("until", self.until)) if year is not None
        ]
        found += [(name, "1") for name, on in (("implied", self.implied), ("hide_empty", self.hide_empty)) if on]
        found += [("folded", label) for label in self.folded]
        return found + [(name, key) for name, key in (("row", self.row), ("column", self.column)) if key]


@dataclass(frozen=True, slots=True)
class Line:
    """A row or column: what it is called in the address, its name and meaning, the values whose works it counts, the label of
    its group (may be empty), and whether it stands for all of that group."""

    key: str
    label: str
    meaning: str
    values: tuple[str, ...]
    group: str = ""
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Count:
    """Works of a line or cell; of them randomised trials, reviews that are no trials, and others; works that only implied tags
    add; and how many of all these were retracted."""

    works: int = 0
    trials: int = 0
    reviews: int = 0
    implied: int = 0
    retracted: int = 0

    @property
    def others(self) -> int:
        """Works that are neither trials nor reviews."""
        return self.works - self.trials - self.reviews

    @property
    def together(self) -> int:
        """Works with the implied ones: the length of the list."""
        return self.works + self.implied


@dataclass(frozen=True, slots=True)
class Cell(Count):
    """A cell. If it is empty: how many works have the tag of the row or of the column (`near`), and of how many of them only the
    title could be read (`unread`)."""

    near: int = 0
    unread: int = 0

    @property
    def nothing(self) -> str:
        """Why a cell is empty: `studied` where it is not, `none` where all abstracts were read, `partly` where some could not be,
        `titles` where none could."""
        if self.together:
            return "studied"
        if not self.unread:
            return "none"
        return "titles" if self.unread == self.near else "partly"


@dataclass(frozen=True, slots=True)
class Row:
    """A row: its line, the number of works in all, its cells in the order of the columns."""

    line: Line
    total: Count
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Map:
    """A map. `groups`: (label, how many columns, whether they are folded), in order, empty where columns have no groups; `most`:
    the largest number in a cell; `hidden_rows` and `hidden_columns`: lines without works that were left out; `unread`: works of
    `total` of which only the title could be read."""

    view: View
    rows: tuple[Row, ...]
    columns: tuple[Line, ...]
    column_totals: tuple[Count, ...]
    groups: tuple[tuple[str, int, bool], ...]
    total: Count
    unread: int
    most: int
    hidden_rows: int
    hidden_columns: int

    @property
    def retracted(self) -> bool:
        """Whether a cell has a retracted work."""
        return any(cell.retracted for row in self.rows for cell in row.cells)

    def has(self, nothing: str) -> bool:
        """Whether there is an empty cell of this kind (`Cell.nothing`)."""
        return any(cell.nothing == nothing for row in self.rows for cell in row.cells)


@dataclass(frozen=True, slots=True)
class DesignLine:
    """The works of a cell with one design: (year, works) in order, and how many have no year. `value` is empty for works
    whose design is unknown; `kind` is `trial`, `review` or `other`."""

    value: str
    kind: str
    works: int
    years: tuple[tuple[int, int], ...]
    undated: int


@dataclass(frozen=True, slots=True)
class Detail:
    """A cell in detail: its lines (a row or column that was not asked for is None), its numbers, its works as a set, its trials
    and its reviews (a work may be both), its designs with most works first, how many works have no year, and for each line how
    many works it has and of how many only the title could be read."""

    row: Line | None
    column: Line | None
    cell: Cell
    works: int
    trials: int
    reviews: int
    designs: tuple[DesignLine, ...]
    undated: int
    near: tuple[tuple[Line, int, int], ...]


@dataclass(frozen=True, slots=True)
class CellSets:
    """A cell as sets of works: all that its list has, those that were retracted, and those with a design that the topic counts as
    a trial or as a review (a work may be both)."""

    row: Line
    column: Line
    works: int
    retracted: int
    trials: int
    reviews: int


Values = Mapping[str, Sequence[Mapping[str, str]]]
"""Facet → its values in order, each with `value`, `label` and `meaning`."""


def filter_facets(topic: Topic, axes: Collection[str]) -> tuple[str, ...]:
    """The facets by which a map with these axes can be narrowed."""
    return tuple(facet for facet in topic.facet_ids if facet not in axes)


def read_view(args: Mapping[str, Sequence[str]], topic: Topic) -> View:
    """The view that the parameters of an address ask for; KeyError names a facet for the rows or columns that the topic has not.
    Other things that cannot be read are left out."""
    first = {name: texts[0].strip() for name, texts in args.items() if texts and texts[0].strip()}
    rows, columns = (first.get(name, usual) for name, usual in zip(("rows", "columns"), topic.map, strict=True))
    for facet in (rows, columns):
        topic.facet(facet)
    if rows == columns:
        # What was asked for stays; the other axis makes room.
        other = next((facet for facet in (*topic.map, *topic.facet_ids) if facet != rows), rows)
        rows, columns = (other, columns) if "columns" in first and "rows" not in first else (rows, other)
    filters = {}
    for facet in filter_facets(topic, (rows, columns)):
        values = dict.fromkeys(value.strip() for text in args.get(facet, ()) for value in text.split(","))
        values.pop("", None)
        if values:
            filters[facet] = tuple(values)
    labels = {FOLD_ALL, *(group.label for facet in topic.facets for group in facet.groups)}
    since, until = (int(year[:6]) if (year := first.get(name, "")).isdecimal() else None for name in ("since", "until"))
    return View(
        rows, columns, filters, since, until,
        implied=first.get("implied") == "1",
        folded=tuple(dict.fromkeys(label for label in args.get("folded", ()) if label in labels)),
        hide_empty=first.get("hide_empty") == "1",
        row=first.get("row", ""),
        column=first.get("column", ""),
    )  # fmt: skip


def lines_of(topic: Topic, facet: str, values: Values, view: View) -> list[Line]:
    """The rows or columns for a facet, in the order of its groups."""
    known = {value["value"]: value for value in values.get(facet, ())}
    found = []
    for label, inside in topic.in_groups(facet, known):
        if label and view.is_folded(label):
            found.append(_group(label, inside, known))
        else:
            found += [Line(value, known[value]["label"], known[value]["meaning"], (value,), label) for value in inside]
    return found


def line_named(topic: Topic, facet: str, values: Values, key: str) -> Line | None:
    """The line with this key, whether its group is folded or not; None when there is none."""
    known = {value["value"]: value for value in values.get(facet, ())}
    for label, inside in topic.in_groups(facet, known):
        if label and key == f"{GROUP}{label}":
            return _group(label, inside, known)
        if key in inside:
            return Line(key, known[key]["label"], known[key]["meaning"], (key,), label)
    return None


def _group(label: str, inside: Sequence[str], known: Mapping[str, Mapping[str, str]]) -> Line:
    meaning = ", ".join(known[value]["label"] for value in inside)
    return Line(f"{GROUP}{label}", label, meaning, tuple(inside), label, folded=True)


def list_pairs(view: View, lines: Iterable[tuple[str, Line]]) -> list[tuple[str, str]]:
    """(name, text) for the address of the list of the included works with the map's filters and, of each of these facets, a value
    of the line."""
    pairs = [("verdict", "include")]
    pairs += [("_tag", f"{facet}:{','.join(values)}") for facet, values in view.filters.items()]
    pairs += [("year__gte", str(view.since))] if view.since is not None else []
    pairs += [("year__lte", str(view.until))] if view.until is not None else []
    pairs += [("_strength", ",".join(STRENGTHS))] if view.implied else []
    return pairs + [("_tag", f"{facet}:{','.join(line.values)}") for facet, line in lines]


def view_of_list(pairs: Sequence[tuple[str, str]], topic: Topic) -> View | None:
    """The view with the cell that a list of works shows, by the filters in the list's address; None for a list that is no cell's.
    A filter by design is left out, because a cell has works of all designs."""
    found: dict[str, tuple[str, ...]] = {}
    numbers: dict[str, int] = {}
    included = implied = False
    for name, text in pairs:
        if name == "verdict" and text == "include":
            included = True
        elif name == "_strength" and {strength.strip() for strength in text.split(",")} == set(STRENGTHS):
            implied = True
        elif name in ("year__gte", "year__lte") and text.isdecimal() and name not in numbers:
            numbers[name] = int(text[:6])
        elif name == "_tag":
            facet, _, given = text.partition(":")
            values = tuple(dict.fromkeys(value.strip() for value in given.split(",")))
            if facet not in topic.facet_ids or facet in found or not all(values):
                return None
            found[facet] = values
        else:
            return None
    found.pop(topic.design, None)
    keys = {facet: key for facet, values in found.items() if (key := _key_of(topic, facet, values))}
    axes = [facet for facet in topic.map if facet in keys]
    axes += [facet for facet in reversed(keys) if facet not in axes]
    if not included or len(axes) < 2:
        return None
    rows, columns = axes[:2]
    filters = {facet: values for facet, values in found.items() if facet not in (rows, columns)}
    since, until = numbers.get("year__gte"), numbers.get("year__lte")
    return View(rows, columns, filters, since, until, implied=implied, row=keys[rows], column=keys[columns])


def _key_of(topic: Topic, facet: str, values: tuple[str, ...]) -> str:
    """The key of the line with these values; empty where there is none."""
    if len(values) == 1:
        return values[0]
    return next(
        (f"{GROUP}{group.label}" for group in topic.facet(facet).groups if set(group.values) == set(values)), ""
    )


def filters_in_words(topic: Topic, values: Values, view: View) -> str:
    """The filters of a view as one line; empty without filters."""
    labels = {(facet, value["value"]): value["label"] for facet in view.filters for value in values.get(facet, ())}
    parts = [
        f"{topic.facet(facet).name}: {' or '.join(labels.get((facet, value), value) for value in chosen)}"
        for facet, chosen in view.filters.items()
    ]
    parts += [f"from {view.since}"] if view.since is not None else []
    parts += [f"to {view.until}"] if view.until is not None else []
    return "; ".join([*parts, *(["with implied tags"] if view.implied else [])])


class _Counter:
    """The sets that a view needs, and the numbers of any set of works."""

    def __init__(self, topic: Topic, known: WorkSets, view: View, retracted: int) -> None:
        self.tags = known.tags
        self.all_tags = known.tagged(view.strengths)
        self.trials = known.either(topic.design, *topic.trials)
        self.reviews = known.either(topic.design, *topic.reviews)
        self.works = _chosen(known, view, self.tags)
        self.everything = _chosen(known, view, self.all_tags)
        self.retracted = retracted
        self.unread = self.everything & ~known.columns["judged_on"].get(bitset_counts.READ, 0)

    def line(self, facet: str, line: Line) -> tuple[int, int]:
        """The works of a line: by stated and likely tags, and by all that count."""
        shown, together = (bitset_counts.either(tags, facet, *line.values) for tags in (self.tags, self.all_tags))
        return shown & self.works, together & self.everything

    def count(self, shown: int, together: int) -> Count:
        works, trials = shown.bit_count(), (shown & self.trials).bit_count()
        reviews = (shown & self.reviews & ~self.trials).bit_count()
        return Count(works, trials, reviews, together.bit_count() - works, (together & self.retracted).bit_count())

    def cell(self, row: tuple[int, int], column: tuple[int, int]) -> Cell:
        together = row[1] & column[1]
        if not together:
            near = row[1] | column[1]
            return Cell(near=near.bit_count(), unread=(near & self.unread).bit_count())
        counted = self.count(row[0] & column[0], together)
        return Cell(counted.works, counted.trials, counted.reviews, counted.implied, counted.retracted)


def _chosen(known: WorkSets, view: View, tags: Mapping[tuple[str, str], int]) -> int:
    """The included works with the filters of a view, by these tags."""
    works = known.columns["verdict"].get("include", 0)
    for facet, values in view.filters.items():
        works &= bitset_counts.either(tags, facet, *values)
    if view.since is not None or view.until is not None:
        works &= known.in_years(view.since, view.until)
    return works


def count(topic: Topic, known: WorkSets, retracted: int, values: Values, view: View) -> Map:
    """The map of a view. `retracted`: the set of the works that were retracted."""
    counter = _Counter(topic, known, view, retracted)
    of_rows, of_columns = (
        [(line, counter.line(facet, line)) for line in lines_of(topic, facet, values, view)] for facet in view.axes
    )
    rows, columns = (
        [(line, sets) for line, sets in lines if sets[1] or not view.hide_empty] for lines in (of_rows, of_columns)
    )
    counted = tuple(
        Row(line, counter.count(*in_row), tuple(counter.cell(in_row, in_column) for _, in_column in columns))
        for line, in_row in rows
    )
    groups = _spans(line for line, _ in columns)
    return Map(
        view=view,
        rows=counted,
        columns=tuple(line for line, _ in columns),
        column_totals=tuple(counter.count(*in_column) for _, in_column in columns),
        groups=groups if any(label for label, *_ in groups) else (),
        total=counter.count(counter.works, counter.everything),
        unread=counter.unread.bit_count(),
        most=max((cell.together for row in counted for cell in row.cells), default=0),
        hidden_rows=len(of_rows) - len(rows),
        hidden_columns=len(of_columns) - len(columns),
    )


def _spans(lines: Iterable[Line]) -> tuple[tuple[str, int, bool], ...]:
    found: dict[str, tuple[int, bool]] = {}
    for line in lines:
        found[line.group] = (found.get(line.group, (0, False))[0] + 1, line.folded)
    return tuple((label, n, folded) for label, (n, folded) in found.items())


def detail(topic: Topic, known: WorkSets, retracted: int, values: Values, view: View) -> Detail | None:
    """The cell that a view names, or a whole row or column if it names only one; None if there is none of that name."""
    named = [
        line_named(topic, facet, values, key) if key else None
        for facet, key in zip(view.axes, (view.row, view.column), strict=True)
    ]
    if not any(named) or any(key and line is None for key, line in zip((view.row, view.column), named, strict=True)):
        return None
    counter = _Counter(topic, known, view, retracted)
    whole = (counter.works, counter.everything)
    sets = [counter.line(facet, line) if line else whole for facet, line in zip(view.axes, named, strict=True)]
    works = sets[0][1] & sets[1][1]
    near = [
        (line, in_line[1].bit_count(), (in_line[1] & counter.unread).bit_count())
        for line, in_line in zip(named, sets, strict=True)
        if line
    ]
    tags = counter.all_tags
    return Detail(
        row=named[0],
        column=named[1],
        cell=counter.cell(*sets),
        works=works,
        trials=(works & bitset_counts.either(tags, topic.design, *topic.trials)).bit_count(),
        reviews=(works & bitset_counts.either(tags, topic.design, *topic.reviews)).bit_count(),
        designs=_designs(topic, known, tags, values, works),
        undated=works.bit_count() - sum(n for _, n in known.by_column("year", works)),
        near=tuple(near),
    )


def cell_sets(topic: Topic, known: WorkSets, retracted: int, values: Values, view: View) -> Iterator[CellSets]:
    """The cells of a map, row by row, or those of the row and the column that the view names; none where it names a line that
    does not exist."""
    counter = _Counter(topic, known, view, retracted)
    trials, reviews = (
        bitset_counts.either(counter.all_tags, topic.design, *designs) for designs in (topic.trials, topic.reviews)
    )
    of_rows, of_columns = (
        [(line, counter.line(facet, line)[1]) for line in _lines(topic, facet, values, view, key)]
        for facet, key in zip(view.axes, (view.row, view.column), strict=True)
    )
    for row, in_row in of_rows:
        for column, in_column in of_columns:
            works = in_row & in_column
            yield CellSets(row, column, works, works & retracted, works & trials, works & reviews)


def _lines(topic: Topic, facet: str, values: Values, view: View, key: str) -> list[Line]:
    """All lines of a facet, or the one with a key."""
    if not key:
        return lines_of(topic, facet, values, view)
    line = line_named(topic, facet, values, key)
    return [line] if line else []


@dataclass(frozen=True, slots=True)
class CellOfWork:
    """A cell in which a work counts: its lines, its numbers as the map shows them, and as they would be without the work."""

    row: Line
    column: Line
    with_work: Count
    without: Count


def cells_of_work(topic: Topic, known: WorkSets, retracted: int, values: Values, number: int) -> tuple[CellOfWork, ...]:
    """The cells of the topic's map, unfolded, in which the work with this rowid counts; none for a work that is not included.

    A retracted work counts like any other, and is one of `retracted`: so a retraction alone changes no number of works. `without`
    is what remains when the work is taken out.
    """
    view = View(*topic.map, filters={})
    counter = _Counter(topic, known, view, retracted)
    own = counter.works & (1 << number)
    rows, columns = (
        [(line, sets) for line in lines_of(topic, facet, values, view) if (sets := counter.line(facet, line))[0] & own]
        for facet in view.axes
    )
    return tuple(
        CellOfWork(
            row,
            column,
            counter.count(*((in_row[0] & in_column[0],) * 2)),
            counter.count(*((in_row[0] & in_column[0] & ~own,) * 2)),
        )
        for row, in_row in rows
        for column, in_column in columns
    )


def _designs(
    topic: Topic, known: WorkSets, tags: Mapping[tuple[str, str], int], values: Values, works: int
) -> tuple[DesignLine, ...]:
    left = works
    found = []
    for value in (each["value"] for each in values.get(topic.design, ())):
        of_design = works & tags.get((topic.design, value), 0)
        left &= ~of_design
        kind = "trial" if value in topic.trials else "review" if value in topic.reviews else "other"
        if of_design:
            found.append(_design(known, value, kind, of_design))
    found.sort(key=lambda line: -line.works)
    return (*found, *([_design(known, "", "other", left)] if left else []))


def _design(known: WorkSets, value: str, kind: str, works: int) -> DesignLine:
    years = tuple(sorted(known.by_column("year", works)))
    n = works.bit_count()
    return DesignLine(value, kind, n, years, n - sum(dated for _, dated in years))


def newest(known: WorkSets, works: int, most: int) -> list[int]:
    """Rowids among which are the `most` newest of `works`: those of the last years, and those without a year only if there are
    too few."""
    found: list[int] = []
    for year in sorted(known.columns["year"], reverse=True):
        if len(found) >= most:
            return found
        if in_year := known.columns["year"][year] & works:
            works &= ~in_year
            found += bitset_counts.rowids_of(in_year)
    return found if len(found) >= most else [*found, *bitset_counts.rowids_of(works)]


def width_of(text: str, size: float = 12) -> float:
    """How wide a text may become in a picture, whatever sans-serif font the reader has: an upper bound for usual fonts."""
    return size * sum(_width(character) for character in text)


def _width(character: str) -> float:
    if unicodedata.combining(character):
        return 0
    if unicodedata.east_asian_width(character) in "WF":
        return 1.05
    return (
        0.95
        if character in "mwMW@%"
        else 0.75
        if character.isupper()
        else 0.36
        if character in "iljI.,:;'|()- "
        else 0.62
    )
