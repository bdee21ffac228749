"""The PRISMA 2020 flow diagram as SVG, for the site's page, its file and `evidence report prisma -f svg`.

It draws the boxes of a flow and counts nothing. Of an update, the studies of the previous version and the total are drawn too.
Each number may be a link to the list it counts. It reads no database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from markupsafe import Markup, escape

from evidence.database.prisma_flow import Flow

Line = tuple[str, int, str | None, int]
"""A line in a box: label, number, address or None, indent level."""
Step = tuple[str, list[Line], list[Line], bool]
"""A row of the diagram: see `steps`."""
Designed = tuple[str, int, str]
"""Included works of some designs: what they are called, how many they are, and their tags as a filter."""
LEFT, RIGHT, GAP, LINE = (50, 430), (540, 400), 40, 22
"""SVG units: the columns of the diagram (x, width), the space between rows, the height of a line."""
HEIGHTS = {"Identification": 94, "Previous": 66, "Included": 66, "Total": 44}
"""Minimum height of a row's text in SVG units, so that the vertical name of its stage fits beside it."""
STYLE = Markup(
    ".box { fill: #fff; stroke: #b9c3c2 } .aside { stroke-dasharray: 4 3 } .stage { fill: #e2efee } "
    ".stage-name { fill: #0b6464; font-weight: 600 } .arrows path { fill: none; stroke: #56646a; marker-end: url(#tip) } "
    "text { fill: #1b2529 }"
)


class Addresses(Protocol):
    """Addresses of the lists behind the numbers."""

    def box(self, key: str) -> str | None:
        """Address of the list that a box counts, if there is one."""

    def tagged(self, tags: str) -> str:
        """Address of the included works with these tags."""


@dataclass(frozen=True, slots=True)
class _Drawing:
    """What is drawn, in SVG units: boxes (x, y, width, height, lines, whether it is no step of the flow), the stages beside them
    (name, y, height), and arrows as paths."""

    boxes: tuple[tuple[int, int, int, int, Sequence[Line], bool], ...]
    stages: tuple[tuple[str, int, int], ...]
    arrows: tuple[str, ...]
    height: int


def steps(found: Flow, by_design: Sequence[Designed] = (), where: Addresses | None = None) -> list[Step]:
    """The flow from above: the stage, the lines of its box (may be none), those of the box beside it (may be none), and whether
    that one is a step of the flow. Without `where` no number is a link."""

    def lines(key: str) -> list[Line]:
        parts = [line for box in found.boxes if box["part_of"] == key and box["n"] for line in lines(box["key"])]
        label = next(box["box"] for box in found.boxes if box["key"] == key)
        return [(label, found[key], where.box(key) if where else None, found.depth(key)), *parts]

    tagged = [(label, n, where.tagged(tags) if where else None, 1) for label, n, tags in by_design]
    update = found.since is not None
    anew = [(label, n, address, 1) for label, n, address, _ in (lines("anew") if update and found["anew"] else [])]
    flow: list[Step] = [
        ("Identification", lines("identified"), lines("removed"), True),
        ("Screening", [*lines("screened"), *anew], lines("excluded"), True),
        ("Screening", [], lines("waiting"), True),
    ]
    if update:
        return [
            ("Previous", lines("previous_studies"), [], False),
            *flow,
            ("Included", lines("included"), [], False),
            ("Total", lines("total_studies"), lines("gone"), False),
        ]
    # Decisions to look at again are not a step of the flow.
    return [*flow, ("Included", [*lines("included"), *tagged], lines("decisions_to_check"), False)]


def svg(
    found: Flow,
    by_design: Sequence[Designed] = (),
    where: Addresses | None = None,
    *,
    alone: str | None = None,
) -> Markup:
    """The diagram. `alone` is the title of a file, which brings its own colours and font; inside a page the stylesheet has
    them."""
    made = _drawing(steps(found, by_design, where))
    width = RIGHT[0] + RIGHT[1] + 10
    own = Markup('xmlns="http://www.w3.org/2000/svg" font-family="system-ui, sans-serif" font-size="14" ')
    head = Markup(
        '<svg class="flow" {}viewBox="0 0 {} {}" width="{}" height="{}" role="group" aria-label="PRISMA 2020 flow diagram">\n'
    ).format(own if alone else "", width, made.height, width, made.height)
    if alone:
        head += Markup('<title>{}</title><rect width="100%" height="100%" fill="#fff"/><style>{}</style>').format(
            alone, STYLE
        )
    stages = Markup("").join(
        Markup(
            '<g transform="translate(0 {})"><rect class="stage" width="30" height="{}" rx="3"/><text class="stage-name" '
            'transform="translate(20 {}) rotate(-90)" text-anchor="middle">{}</text></g>\n'
        ).format(y, height, height / 2, name)
        for name, y, height in made.stages
    )
    arrows = Markup("").join(Markup('<path d="{}"/>').format(path) for path in made.arrows)
    tip = Markup(
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z"/></marker></defs>\n'
    )
    boxes = Markup("").join(map(_box, made.boxes))
    return head + tip + stages + boxes + Markup('<g class="arrows">{}</g>\n</svg>').format(arrows)


def _box(box: tuple[int, int, int, int, Sequence[Line], bool]) -> Markup:
    x, y, width, height, lines, aside = box
    texts = Markup("").join(
        Markup('<text x="{}" y="{}">{} (n = {})</text>').format(
            12 + 14 * depth,
            24 + LINE * number,
            label,
            Markup('<a href="{}">{}</a>').format(address, f"{n:,}") if address else escape(f"{n:,}"),
        )
        for number, (label, n, address, depth) in enumerate(lines)
    )
    return Markup('<g transform="translate({} {})"><rect class="box{}" width="{}" height="{}" rx="3"/>{}</g>\n').format(
        x, y, " aside" if aside else "", width, height, texts
    )


def _drawing(rows: Sequence[Step]) -> _Drawing:
    middle = LEFT[0] + LEFT[1] // 2
    boxes: list[Any] = []
    stages: list[tuple[str, int, int]] = []
    arrows: list[str] = []
    y, above = 10, 0
    for stage, left, right, beside in rows:
        first = not stages or stages[-1][0] != stage
        height = max(LINE * len(left), LINE * len(right), HEIGHTS.get(stage, 0) if first else 0) + 18
        if left:
            boxes.append((LEFT[0], y, LEFT[1], height, left, False))
            if above:
                arrows.append(f"M{middle} {above}V{y - 6}")
            # The studies of the previous version do not go through the flow again.
            above = 0 if stage == "Previous" else y + height
        if right:
            boxes.append((RIGHT[0], y, RIGHT[1], height, right, not beside))
        if beside:
            arrows.append(f"M{LEFT[0] + LEFT[1] if left else middle} {y + height // 2}H{RIGHT[0] - 6}")
        if not first:
            name, top, _ = stages.pop()
            stages.append((name, top, y + height - top))
        else:
            stages.append((stage, y, height))
        y += height + GAP
    return _Drawing(tuple(boxes), tuple(stages), tuple(arrows), y - GAP + 10)
