"""The drawing of a claim's timeline: where the mark of each work goes. Numbers in, numbers and path data out; it knows no page.

All timelines of an article share one axis, so that they can be compared. Works are stacked above the axis by year, a mark for
each, and those that the article cites stand below it. Where a year has more works than fit, every stack is drawn as a bar.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WIDTH = 360
MARGIN = 14
STEP = 8.2
"""The height of one mark in a stack, in SVG user units."""
MOST = 14
"""Marks in a stack; years with more are drawn as bars of the same height."""
CITED_LANE, LABEL_LANE = 15, 14

KINDS = ("earlier", "newer", "review", "trial", "retracted")
"""The kinds of marks above the axis, from below: a stack begins with the first."""


Mark = tuple[int, str, int]
"""(year, kind of mark, how many works)."""


@dataclass(frozen=True, slots=True)
class Axis:
    """The years from `first` to `last` across the drawing."""

    first: int
    last: int

    @property
    def step(self) -> float:
        """The width of a year."""
        return (WIDTH - 2 * MARGIN) / max(self.last - self.first + 1, 1)

    def x(self, year: float) -> float:
        """The middle of a year."""
        return round(MARGIN + (year - self.first + 0.5) * self.step, 2)

    def ticks(self) -> list[tuple[float, int]]:
        """(x, year) of the years that are written: as many as can be read."""
        span = self.last - self.first
        every = next((n for n in (1, 2, 5, 10, 20, 50) if span / n <= 6), 100)
        return [(self.x(year), year) for year in range(self.first, self.last + 1) if year % every == 0]


@dataclass(frozen=True, slots=True)
class Timeline:
    """A drawing. `paths`: (kind of mark, path data). `line`: the height of the axis. `newer_from`: where what is newer than the
    cited works begins (None: nowhere). `years`: (x of the left edge, what a year holds, in words). `said`: the whole in words."""

    height: float
    line: float
    width: float
    step: float
    newer_from: float | None
    paths: tuple[tuple[str, str], ...]
    years: tuple[tuple[float, str], ...]
    ticks: tuple[tuple[float, int], ...]
    most: int | None
    said: str


def axis_of(marks: Iterable[Mark]) -> Axis | None:
    """The axis on which all these marks have a place; None without marks."""
    years = {year for year, _, _ in marks}
    return Axis(min(years), max(years)) if years else None


def draw(marks: Sequence[Mark], since: int | None, axis: Axis) -> Timeline | None:
    """The timeline of a claim with these marks (`ClaimEvidence.marks`); None where there is nothing to draw."""
    if not marks:
        return None
    counts: Counter[tuple[int, str]] = Counter()
    stacks: Counter[int] = Counter()
    for year, kind, n in marks:
        counts[year, kind] += n
        if kind in KINDS:
            stacks[year] += n
    most = max(stacks.values(), default=0)
    bars = most > MOST or axis.step < 3
    rows = min(most, MOST)
    line = round(rows * STEP + 8, 2)
    unit = min(STEP, axis.step)
    paths: dict[str, str] = {}
    for year in sorted(stacks):
        below = 0
        for kind in KINDS:
            n = counts[year, kind]
            if bars:
                height = MOST * STEP / most
                paths[kind] = paths.get(kind, "") + _bar(axis, year, line - height * below, height * n)
            else:
                for place in range(below, below + n):
                    y = line - 3 - (place + 0.5) * STEP
                    paths[kind] = paths.get(kind, "") + _mark(kind, axis.x(year), y, unit / 2)
            below += n
    for kind in ("cited", "cited-retracted"):
        for (year, of_kind), n in sorted(counts.items()):
            if of_kind == kind:
                # Works of one year stand side by side, closer where there is no room.
                for place in range(n):
                    x = axis.x(year) + (place - (n - 1) / 2) * min(7, WIDTH / 4 / n)
                    x = min(max(x, CITED_LANE / 2), WIDTH - CITED_LANE / 2)
                    paths[kind] = paths.get(kind, "") + _mark(kind, x, line + CITED_LANE / 2 + 1, 4)
    return Timeline(
        height=round(line + CITED_LANE + LABEL_LANE, 2),
        line=line,
        width=WIDTH,
        step=round(axis.step, 2),
        newer_from=None if since is None else round(axis.x(since) + axis.step / 2, 2),
        paths=tuple((kind, data) for kind, data in paths.items() if data),
        years=tuple(
            (round(axis.x(year) - axis.step / 2, 2), f"{year}: {_words(counts, year)}")
            for year in sorted({year for year, _ in counts})
        ),
        ticks=tuple(axis.ticks()),
        most=most if bars else None,
        said=_said(counts, since),
    )


_NAMES = {
    "cited": "cited",
    "cited-retracted": "cited and retracted",
    "trial": "newer trial",
    "review": "newer review",
    "newer": "newer work of another design",
    "earlier": "other work",
    "retracted": "retracted work",
}


def _words(counts: Counter[tuple[int, str]], year: int) -> str:
    return ", ".join(f"{n} {_plural(name, n)}" for kind, name in _NAMES.items() if (n := counts[year, kind]))


def _plural(name: str, n: int) -> str:
    if n == 1 or name.startswith("cited"):
        return name
    first, of, rest = name.partition(" of ")
    return f"{first}s{of}{rest}"


def _said(counts: Counter[tuple[int, str]], since: int | None) -> str:
    """The timeline in words, for those who do not see it."""
    cited = sorted(year for (year, kind), n in counts.items() if kind.startswith("cited") for _ in range(n))
    newer = {year for year, kind in counts if since is not None and year > since and kind in KINDS}
    n_newer = sum(n for (year, kind), n in counts.items() if year in newer and kind in KINDS)
    earlier = sum(n for (_, kind), n in counts.items() if kind in KINDS) - n_newer
    retracted = sum(n for (_, kind), n in counts.items() if kind.endswith("retracted"))
    nothing = ["nothing newer"] if cited else []
    parts = [
        f"cited: {', '.join(map(str, cited))}" if cited else "no cited work with a year",
        *([f"newer: {n_newer:,}, {min(newer)} to {max(newer)}"] if newer else nothing),
        *([f"other works: {earlier:,}"] if earlier else []),
        *([f"retracted: {retracted:,}"] if retracted else []),
    ]
    return f"Timeline. {'; '.join(parts)}"


def _bar(axis: Axis, year: int, bottom: float, height: float) -> str:
    if not height:
        return ""
    wide = axis.step * 0.7
    return f"M{axis.x(year) - wide / 2:.2f} {bottom:.2f}h{wide:.2f}v{-height:.2f}h{-wide:.2f}z"


def _mark(kind: str, x: float, y: float, r: float) -> str:
    """The outline of one mark: its shape tells the kind, and not its colour alone."""
    if kind == "review":
        r *= 1.15
        return f"M{x:.2f} {y - r:.2f}l{r:.2f} {r:.2f}l{-r:.2f} {r:.2f}l{-r:.2f} {-r:.2f}z"
    if kind in ("retracted", "cited-retracted"):
        r = max(r, 3) * 0.9
        cross = f"M{x - r:.2f} {y - r:.2f}l{2 * r:.2f} {2 * r:.2f}m0 {-2 * r:.2f}l{-2 * r:.2f} {2 * r:.2f}"
        return cross if kind == "retracted" else cross + _mark("ring", x, y, 6)
    r *= {"earlier": 0.55, "newer": 0.55, "trial": 0.86}.get(kind, 1)
    return f"M{x - r:.2f} {y:.2f}a{r:.2f} {r:.2f} 0 1 0 {2 * r:.2f} 0a{r:.2f} {r:.2f} 0 1 0 {-2 * r:.2f} 0"
