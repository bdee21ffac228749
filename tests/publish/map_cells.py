"""What tests read in the pages of the evidence map: its cells, and the list of works behind one."""

from __future__ import annotations

import html
import re
from typing import Any

CELL = re.compile(r'<td><a href="(/map\?[^"]+)".*?<span class="n">([\d,]+)</span></a></td>', re.DOTALL)
PANEL_LIST = re.compile(r'<p class="panel-count"><a href="([^"]+)"><b>([\d,]+)</b>')


def cells_of(page: str) -> list[tuple[str, int]]:
    """(address, number) of each cell that has works."""
    return [(html.unescape(address), number(n)) for address, n in CELL.findall(page)]


async def list_of(ds: Any, address: str) -> tuple[str, int]:
    """The list that the panel of this cell links, and the number the panel shows."""
    panel = (await ds.client.get(address.replace("/map?", "/map/panel?", 1))).text
    found = PANEL_LIST.search(panel)
    assert found is not None, (address, panel)
    return html.unescape(found[1]), number(found[2])


async def length(ds: Any, address: str) -> int:
    """How many works a list has."""
    answer = await ds.client.get(html.unescape(address).replace("/works?", "/works.json?_size=0&", 1))
    assert answer.status_code == 200, address
    n: int = answer.json()["filtered_table_rows_count"]
    return n


def number(text: str) -> int:
    """A number as pages write it."""
    return int(text.replace(",", ""))
