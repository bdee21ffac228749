"""The marks of the evidence map have an area that is true to the count."""

from __future__ import annotations

import re
from pathlib import Path

from jinja2 import Environment

MARK = 28
TEMPLATES = Path(__file__).parents[2] / "datasette" / "templates"


def side_of(name: str, works: int, most: int) -> float:
    """The side of the mark that the template draws for `works` where the largest cell has `most`."""
    text = (TEMPLATES / name).read_text(encoding="utf-8")
    found = re.search(r"{% set side = (.*?) %}", text)
    assert found is not None
    expression = Environment(autoescape=True).compile_expression(found[1])
    return float(str(expression(c={"side": round((works / most) ** 0.5, 3)}, svg={"mark": MARK})))


def test_one_work_has_a_65th_of_the_area_of_65_works() -> None:
    for name in ("_map_macros.html", "evidence_map.svg"):
        share = (side_of(name, 1, 65) / side_of(name, 65, 65)) ** 2
        assert abs(share - 1 / 65) < 0.0005, name
