"""What the site's charts show: works per year, trials of each intervention over time, the accuracy of the rules.

Counts are of the sets of works that the lists behind the links have; accuracy is what was published with the rules. Drawing is
`charts`'s. It reads no database.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from markupsafe import Markup

from evidence.evaluation.published_accuracy import Figure
from evidence.export.wording import count_noun
from evidence.publish import charts
from evidence.publish.bitset_counts import WorkSets
from evidence.publish.charts import Bar, Cell, Chart, Dot, Table, cell
from evidence.rules.topic import Topic

LONGEST_AXIS = 80
"""Years on an axis at most; earlier works are in its first bar."""


@dataclass(frozen=True, slots=True)
class Years:
    """Included works per year: the chart, the works in it, and those without a year (with the address of their list)."""

    chart: Chart
    dated: int
    undated: int
    undated_address: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Panel:
    """One of several charts with one scale: an intervention with its trials."""

    label: str
    trials: int
    address: str
    svg: Markup


@dataclass(frozen=True, slots=True)
class Panels:
    """Trials of each intervention that has any, most first; `without`: the labels of those that have none;
    `undated`: trials with an intervention and without a year; `most`: trials in the highest bar of any panel."""

    panels: tuple[Panel, ...]
    table: Table
    without: tuple[str, ...]
    undated: int
    most: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Accuracy:
    """The figures of one labelled set: the set in words, the chart, notes on how it was counted."""

    labelled: str
    chart: Chart
    notes: tuple[str, ...]


def years(known: WorkSets, topic: Topic, works_list: str) -> Years | None:
    """Included works per year, in parts (from the bottom: trials, reviews, others); None when no included work has a year."""
    included = known.columns["verdict"].get("include", 0)
    trials = included & known.either(topic.design, *topic.trials)
    reviews = included & known.either(topic.design, *topic.reviews) & ~trials
    span = _Span.of(known, included)
    if span is None:
        return None
    drawn, rows = [], []
    for place in span.places:
        works = span.works(place) & included
        n, of_trials, of_reviews = (part.bit_count() for part in (works, works & trials, works & reviews))
        parts = (of_trials, of_reviews, n - of_trials - of_reviews)
        address = _list(works_list, [], span.filter(place))
        said = f"{span.label(place)}: {count_noun(n, 'work')}"
        said += f" ({count_noun(parts[0], 'trial')}, {count_noun(parts[1], 'review')})" if n else ""
        drawn.append(Bar(span.label(place), parts, said, address, place in span.ticks()))
        if n:
            rows.append((cell(span.label(place)), cell(f"{n:,}", address), *(cell(f"{part:,}") for part in parts)))
    undated = included & ~span.dated
    said = f"Included works per year of publication, {span.first} to {span.last}, by design"
    undated_address = _list(works_list, [], [("year__isnull", "1")])
    table = Table(("Year", "Works", "Trials", "Reviews", "Other"), tuple(reversed(rows)))
    dated = (included & span.dated).bit_count()
    chart = Chart(charts.bars(drawn, "years", said, height=150), table)
    return Years(chart, dated, undated.bit_count(), undated_address, span.first, span.last)


def trials_over_time(known: WorkSets, topic: Topic, labels: Mapping[str, str], works_list: str) -> Panels | None:
    """The trials of each intervention per year. `labels`: value of the topic's intervention → its label, in order. None where the
    topic counts no trials, or none has an intervention and a year."""
    included = known.columns["verdict"].get("include", 0)
    trials = included & known.either(topic.design, *topic.trials)
    of_value = {value: trials & known.either(topic.intervention, value) for value in labels}
    shown = sorted(
        (value for value, works in of_value.items() if works), key=lambda value: -of_value[value].bit_count()
    )
    every = 0
    for value in shown:
        every |= of_value[value]
    span = _Span.of(known, every)
    if not topic.design or span is None:
        return None
    of_trials = f"{topic.design}:{','.join(topic.trials)}"
    per_year = {value: [of_value[value] & span.works(place) for place in span.places] for value in shown}
    most = max(works.bit_count() for row in per_year.values() for works in row)
    panels, rows = [], []
    for value in shown:
        tags = [f"{topic.intervention}:{value}", of_trials]
        drawn, dated = [], []
        for place, works in zip(span.places, per_year[value], strict=True):
            n, label = works.bit_count(), span.label(place)
            # Without links: thousands of bars would make the page heavy, and the table has them.
            drawn.append(
                Bar(label, (n,), f"{label}, {count_noun(n, 'trial')}", marked=place in (span.places[0], span.last))
            )
            dated += [(f"{label}: {n}", _list(works_list, tags, span.filter(place)))] if n else []
        total = of_value[value].bit_count()
        none = (of_value[value] & ~span.dated).bit_count()
        no_year = cell(none, _list(works_list, tags, [("year__isnull", "1")])) if none else cell(0)
        rows.append((cell(labels[value]), cell(total, _list(works_list, tags)), tuple(dated), no_year))
        said = f"Trials of {labels[value]} per year, {span.first} to {span.last}"
        svg = charts.bars(drawn, f"trials-{value}", said, height=48, top=most, lean=True)
        panels.append(Panel(labels[value], total, _list(works_list, tags), svg))
    without = tuple(label for value, label in labels.items() if value not in shown)
    table = Table((topic.facet(topic.intervention).name.capitalize(), "Trials", "By year", "No year"), tuple(rows))
    undated = (every & ~span.dated).bit_count()
    return Panels(tuple(panels), table, without, undated, most, span.first, span.last)


def accuracy(figures: Sequence[Figure]) -> list[Accuracy]:
    """Precision and recall by question, a chart for each labelled set. Its table has the tags by strength too, which are drawn in
    `by_strength`."""
    found = []
    for labelled, inside in _by_set(figures).items():
        rows = [(_question(figure), _dots(figure)) for figure in inside if not figure.strength]
        said = f"Precision and recall with 95 % confidence intervals. {labelled}"
        notes = dict.fromkeys(_note(figure, len(rows)) for figure in inside if figure.note)
        table = Table(("Question", "Precision", "Recall"), tuple(_figure_row(figure) for figure in inside))
        found.append(Accuracy(labelled, Chart(charts.dots(rows, said), table), tuple(notes)))
    return found


def by_strength(figures: Sequence[Figure], strengths: Sequence[str]) -> Accuracy | None:
    """The precision of the tags of each strength in the first labelled set that has any; None when none has."""
    for labelled, inside in _by_set(figure for figure in figures if figure.strength).items():
        rows: dict[str, list[Figure]] = {}
        for figure in inside:
            rows.setdefault(_question(figure, strength=False), []).append(figure)
        drawn = [
            (question, [_dot(figure, "precision", strengths.index(figure.strength)) for figure in of if figure.said])
            for question, of in rows.items()
        ]
        said = f"Precision of tags by strength with 95 % confidence intervals. {labelled}"
        table = Table(
            ("Facet", *strengths),
            tuple(
                (cell(question), *(cell(_share(figure, "precision")) for figure in of)) for question, of in rows.items()
            ),
        )
        return Accuracy(labelled, Chart(charts.dots(drawn, said), table), ())
    return None


def by_value(
    facet: str, values: Sequence[tuple[str, str]], measured: Mapping[tuple[str, str], Figure]
) -> list[tuple[str, Markup]]:
    """Precision and recall of the values of a facet: (labelled set, drawing) of each set. `values`: (value, label). The table
    with the definitions of the tags has the same figures."""
    sets: dict[str, list[tuple[str, list[Dot]]]] = {}
    for value, label in values:
        figure = measured.get((facet, value))
        if figure and (dots := _dots(figure)):
            sets.setdefault(figure.labelled, []).append((label, dots))
    said = f"Precision and recall of {facet.replace('_', ' ')} tags with 95 % confidence intervals. "
    return [(labelled, charts.dots(rows, said + labelled)) for labelled, rows in sets.items()]


def _by_set(figures: Iterable[Figure]) -> dict[str, list[Figure]]:
    found: dict[str, list[Figure]] = {}
    for figure in figures:
        found.setdefault(figure.labelled, []).append(figure)
    return found


def _question(figure: Figure, *, strength: bool = True) -> str:
    name = figure.question.replace("_", " ").capitalize()
    if figure.value:
        name += f", {figure.value.replace('+', ' and ')}{' only' if figure.value == 'title' else ''}"
    return f"{name}, {figure.strength}" if strength and figure.strength else name


def _note(figure: Figure, rows: int) -> str:
    """How the figure was counted, with the question where the set has several and the note is of this one."""
    shared = figure.note.startswith("precision counts")
    return figure.note if shared or rows == 1 else f"{_question(figure)}: {figure.note}"


def _dots(figure: Figure) -> list[Dot]:
    return [
        *([_dot(figure, "precision", 0)] if figure.said else []),
        *([_dot(figure, "recall", 1)] if figure.sought else []),
    ]


def _parts(figure: Figure, what: str) -> tuple[str, str, int, int]:
    if what == "precision":
        return figure.precision, figure.precision_range, figure.right, figure.said
    return figure.recall, figure.recall_range, figure.found, figure.sought


def _dot(figure: Figure, what: str, series: int) -> Dot:
    share, interval, part, whole = _parts(figure, what)
    low, _, high = interval.partition("-")
    said = f"{_question(figure)}: {what} {share} ({low} to {high}), {part:,} of {whole:,}"
    return Dot(series, float(share), (float(low), float(high)), f"{share}, {part:,} of {whole:,}", said)


def _share(figure: Figure, what: str) -> str:
    share, interval, part, whole = _parts(figure, what)
    return f"{share} ({interval.replace('-', ' to ')}); {part:,} of {whole:,}" if whole else "–"


def _figure_row(figure: Figure) -> tuple[Cell, ...]:
    return (cell(_question(figure)), cell(_share(figure, "precision")), cell(_share(figure, "recall")))


def _list(works_list: str, tags: Sequence[str], filters: Sequence[tuple[str, str]] = ()) -> str:
    """The address of the list of included works with these tags and filters."""
    return f"{works_list}?{urlencode([('verdict', 'include'), *(('_tag', tag) for tag in tags), *filters])}"


@dataclass(frozen=True, slots=True)
class _Span:
    """The years of some works, each a place on an axis. `sets`: year → works; the first place stands for all years up to it where
    there are more than `LONGEST_AXIS`."""

    sets: Mapping[int, int]
    places: range
    earlier: bool
    dated: int

    @classmethod
    def of(cls, known: WorkSets, works: int) -> _Span | None:
        sets = {year: inside for year, of in known.columns["year"].items() if (inside := of & works)}
        if not sets:
            return None
        first, last = min(sets), max(sets)
        start = max(first, last - LONGEST_AXIS + 1)
        dated = 0
        for of in known.columns["year"].values():
            dated |= of
        return cls(sets, range(start, last + 1), start > first, dated)

    @property
    def first(self) -> int:
        return min(self.sets)

    @property
    def last(self) -> int:
        return self.places[-1]

    def ticks(self) -> set[int]:
        return set(charts.year_ticks(self.places[0], self.last))

    def label(self, place: int) -> str:
        return f"to {place}" if self._is_several(place) else str(place)

    def filter(self, place: int) -> list[tuple[str, str]]:
        return [("year__lte", str(place))] if self._is_several(place) else [("year", str(place))]

    def works(self, place: int) -> int:
        if not self._is_several(place):
            return self.sets.get(place, 0)
        found = 0
        for year, of in self.sets.items():
            found |= of if year <= place else 0
        return found

    def _is_several(self, place: int) -> bool:
        return self.earlier and place == self.places[0]
