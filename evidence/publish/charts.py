"""Charts as SVG, drawn on the server: stacked bars, and dots with intervals. One axis, one mechanism for marks.

Across, everything is in per cent of the drawing and text keeps its size, so a chart fits a phone and a wide screen without a
script. A series differs from the others in shape or texture, never in colour alone; colours are the stylesheet's. A chart
always comes with the table of its numbers. This module knows no database and counts nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup, escape

Piece = tuple[str, str | None]
"""A text and the address that it leads to, if any."""

Cell = tuple[Piece, ...]

FILLS: Final = ("solid", "hatched", "pale")
"""How the parts of a bar are filled, from the bottom."""

MARKS: Final = (
    ("solid", "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0z"),
    ("hollow", "M-4-4h8v8h-8z"),
    ("hollow", "M0-5.5l5.5 9.5h-11z"),
)
"""The marks of the series of a chart of dots: a filled circle, a hollow square, a hollow triangle."""

SCALE: Final = 60
"""Per cent of the width that the scale from 0 to 1 takes; the figures are beside it."""

LABEL, ROW, TOP = 20, 19, 18
"""Heights in a chart of dots: of a label, of a dot, of the scale above."""


@dataclass(frozen=True, slots=True)
class Table:
    """The numbers of a chart; the first cell of a row is its heading."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing and the table of its numbers."""

    svg: Markup
    table: Table


@dataclass(frozen=True, slots=True)
class Bar:
    """`parts`: how many, from the bottom, filled as `FILLS`; `said`: the bar in words; `address`: where it leads, if anywhere;
    `marked`: its label is shown."""

    label: str
    parts: tuple[int, ...]
    said: str
    address: str | None = None
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Dot:
    """A share (0 to 1) with its interval, drawn with the mark of its `series`; `figures` is shown beside it."""

    series: int
    share: float
    interval: tuple[float, float]
    figures: str
    said: str


def cell(text: object, address: str | None = None) -> Cell:
    """A cell with one text."""
    return ((str(text), address),)


def bars(
    drawn: Sequence[Bar], name: str, said: str, *, height: int, top: int | None = None, lean: bool = False
) -> Markup:
    """Stacked bars. `name` is unique on the page; `said` is the chart in words; `top` is the highest value of the scale where
    several charts share it; `lean`: without a scale."""
    most = top or max((sum(bar.parts) for bar in drawn), default=0)
    ticks = value_ticks(most)
    highest = most if lean else max(ticks[-1], most, 1)
    step = 100 / max(len(drawn), 1)
    inside: list[Markup] = [_hatching(name)] if any(sum(bar.parts[1:2]) for bar in drawn) else []
    for tick in () if lean else ticks:
        y = height - height * tick / highest
        inside += [_tag("line", class_="grid", x1=0, x2="100%", y1=y, y2=y)]
        inside += [_tag("text", escape(f"{tick:,}"), class_="value", x=-6, y=y + 4, text_anchor="end")]
    for number, bar in enumerate(drawn):
        inside.append(_bar(bar, name, number * step, step, height, highest))
    inside.append(_tag("line", class_="base", x1=0, x2="100%", y1=height, y2=height))
    for number, bar in enumerate(drawn):
        if bar.marked:
            x, anchor = _anchored(number, len(drawn))
            inside.append(_tag("text", escape(bar.label), x=f"{x:.2f}%", y=height + 15, text_anchor=anchor))
    role = "group" if any(bar.address for bar in drawn) else "img"
    return _drawing("bars lean" if lean else "bars", height + 20, role, said, inside)


def dots(rows: Sequence[tuple[str, Sequence[Dot]]], said: str) -> Markup:
    """Dots with their intervals on a scale from 0 to 1; a row is a label and its dots, which are drawn below it."""
    height = TOP + sum(LABEL + ROW * len(inside) + 6 for _, inside in rows)
    inside: list[Markup] = []
    for label, anchor in (("0", "start"), ("0.25", "middle"), ("0.5", "middle"), ("0.75", "middle"), ("1", "end")):
        share = float(label)
        inside += [_tag("line", class_="grid", x1=_across(share), x2=_across(share), y1=TOP - 4, y2=height)]
        inside += [_tag("text", escape(label), x=_across(share), y=TOP - 7, text_anchor=anchor)]
    y = TOP
    for label, in_row in rows:
        inside.append(_tag("text", escape(label), class_="label", x=0, y=y + 14))
        y += LABEL
        for dot in in_row:
            inside.append(_dot(dot, y + ROW / 2))
            y += ROW
        y += 6
    return _drawing("dots", height, "img", said, inside)


def key(series: Sequence[str], *, of_bars: bool, name: str) -> Markup:
    """What the fills or marks stand for. `name` is unique on the page."""
    entries = []
    for number, label in enumerate(series):
        if of_bars:
            drawn = _filled(name, number, x=0, y=1, width=12, height=12)
            inside = [_hatching(name), drawn] if FILLS[number] == "hatched" else [drawn]
        else:
            inside = [_mark(number, 7, 7)]
        icon = _tag("svg", *inside, class_="chart key", width=14, height=14, aria_hidden="true")
        entries.append(_tag("span", icon, Markup(" "), escape(label)))
    return Markup(" ").join(entries)


def value_ticks(most: int, at_most: int = 4) -> list[int]:
    """Round numbers from 0 to the first that is not below `most`."""
    size = 1
    while True:
        for step in (size, 2 * size, 5 * size):
            count = -(-most // step)
            if count <= at_most:
                return [step * number for number in range(max(count, 1) + 1)]
        size *= 10


def year_ticks(first: int, last: int, at_most: int = 7) -> Collection[int]:
    """The years that are labelled on an axis: round ones, and always the last."""
    size = 1
    while True:
        for step in (size, 2 * size, 5 * size):
            if (last - first) / step <= at_most:
                round_ones = range(-(-first // step) * step, last + 1, step)
                return {last, *(year for year in round_ones if last - year >= 0.8 * step)}
        size *= 10


def _bar(bar: Bar, name: str, x: float, step: float, height: int, highest: int) -> Markup:
    """A bar; one with an address is a link from the whole of its height. The table has the same links for the keyboard."""
    inside = [_tag("title", escape(bar.said))]
    if bar.address:
        inside.append(_tag("rect", class_="hit", x=f"{x:.2f}%", y=0, width=f"{step:.2f}%", height=height))
    y = float(height)
    for number, n in enumerate(bar.parts):
        if n:
            size = height * n / highest
            y -= size
            inside.append(
                _filled(name, number, x=f"{x + step * 0.1:.2f}%", y=y, width=f"{step * 0.8:.2f}%", height=size)
            )
    if bar.address:
        return _tag("a", *inside, href=bar.address, aria_label=bar.said, tabindex=-1)
    return _tag("g", *inside) if any(bar.parts) else Markup("")


def _dot(dot: Dot, y: float) -> Markup:
    low, high = dot.interval
    return _tag(
        "g",
        _tag("title", escape(dot.said)),
        _tag("line", class_="interval", x1=_across(low), x2=_across(high), y1=y, y2=y),
        _mark(dot.series, _across(dot.share), y),
        _tag("text", escape(dot.figures), class_="figures", x=f"{SCALE + 4}%", y=y + 4),
    )


def _mark(series: int, x: object, y: float) -> Markup:
    kind, path = MARKS[series]
    return _tag("svg", _tag("path", class_=f"mark {kind}", d=path), x=x, y=y, overflow="visible")


def _filled(name: str, part: int, **place: object) -> Markup:
    fill = FILLS[part]
    return _tag("rect", class_=fill, **({"fill": f"url(#{name}-hatch)"} if fill == "hatched" else {}), **place)


def _hatching(name: str) -> Markup:
    pattern = _tag(
        "pattern",
        _tag("rect", class_="ground", width=4, height=4),
        _tag("path", class_="lines", d="M-1 1l2-2M0 4l4-4M3 5l2-2"),
        id=f"{name}-hatch",
        width=4,
        height=4,
        patternUnits="userSpaceOnUse",
    )
    return _tag("defs", pattern)


def _anchored(number: int, count: int) -> tuple[float, str]:
    """Where the label of a bar is: within the drawing at its ends."""
    step = 100 / count
    if count == 1 or 0 < number < count - 1:
        return (number + 0.5) * step, "middle"
    return (0.0, "start") if number == 0 else (100.0, "end")


def _across(share: float) -> str:
    return f"{SCALE * share:.2f}%"


def _drawing(kind: str, height: float, role: str, said: str, inside: Iterable[Markup]) -> Markup:
    return _tag("svg", *inside, class_=f"chart {kind}", width="100%", height=height, role=role, aria_label=said)


def _tag(name: str, *inside: Markup, **attributes: object) -> Markup:
    """An element; a name in Python such as `class_` or `text_anchor` is `class` or `text-anchor`. Values are escaped."""
    given = Markup("").join(
        Markup(' {}="{}"').format(
            key.rstrip("_").replace("_", "-"), f"{value:.4g}" if isinstance(value, float) else value
        )
        for key, value in attributes.items()
    )
    return Markup("<{0}{1}>{2}</{0}>").format(name, given, Markup("").join(inside))
