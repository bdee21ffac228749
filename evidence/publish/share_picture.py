"""The picture that goes with a link to the site: the evidence map as discs, whose area is true to the number of works.

A PNG of 1200 × 630 pixels (what link previews show), written here without a graphics library and without text: the preview shows
the title of the page beside it. It reads no database.
"""

from __future__ import annotations

import math
import struct
import zlib

from evidence.publish.bitset_counts import WorkSets
from evidence.rules.topic import Topic

WIDTH, HEIGHT = 1200, 630
MARGIN = 70
BAND = 26
"""Height of the coloured band at the top."""
ROWS, COLUMNS = 8, 15
"""The rows and columns of the map with the most works."""

PAPER, ACCENT = (253, 253, 252), (11, 100, 100)
SHADES = 64
EMPTY = 12
"""Shade of the dot of an empty cell, of `SHADES`."""
DOT = 3.0


def draw(known: WorkSets, topic: Topic) -> bytes:
    """The picture of a database with these sets of works: the rows and columns of the topic's map with the most works."""
    included = known.columns["verdict"].get("include", 0)
    rows, columns = (
        [included & known.tags[facet, value] for value, _ in known.by_tag(facet, included)[:most]]
        for facet, most in zip(topic.map, (ROWS, COLUMNS), strict=True)
    )
    return png(discs([[(row & column).bit_count() for column in columns] for row in rows if columns]))


def discs(table: list[list[int]]) -> list[bytearray]:
    """Rows of pixels, each a shade between paper (0) and accent (`SHADES` - 1): a disc for each number, a dot for zero."""
    pixels = [bytearray(WIDTH) for _ in range(HEIGHT)]
    pixels[:BAND] = [bytearray([SHADES - 1]) * WIDTH for _ in range(BAND)]
    most = max((n for row in table for n in row), default=0)
    if not most:
        return pixels
    across = (WIDTH - 2 * MARGIN) / len(table[0])
    down = (HEIGHT - BAND - 2 * MARGIN) / len(table)
    largest = min(across, down) * 0.8  # the largest may reach into its neighbours, which are smaller
    for i, row in enumerate(table):
        for j, n in enumerate(row):
            x, y = MARGIN + across * (j + 0.5), BAND + MARGIN + down * (i + 0.5)
            radius = largest * math.sqrt(n / most) if n else DOT
            _disc(pixels, x, y, radius, SHADES - 1 if n else EMPTY)
    return pixels


def _disc(pixels: list[bytearray], x: float, y: float, radius: float, shade: int) -> None:
    """A filled circle with a smooth edge; where two overlap, the darker shade stays."""
    for v in range(max(0, int(y - radius - 1)), min(HEIGHT, int(y + radius + 2))):
        row = pixels[v]
        for u in range(max(0, int(x - radius - 1)), min(WIDTH, int(x + radius + 2))):
            covered = radius + 0.5 - math.hypot(u + 0.5 - x, v + 0.5 - y)
            if covered > 0:
                row[u] = max(row[u], round(shade * min(1.0, covered)))


def png(pixels: list[bytearray]) -> bytes:
    """Rows of shades as a PNG with a palette."""
    palette = bytes(
        round(paper + (accent - paper) * shade / (SHADES - 1))
        for shade in range(SHADES)
        for paper, accent in zip(PAPER, ACCENT, strict=True)
    )
    head = struct.pack(">IIBBBBB", len(pixels[0]), len(pixels), 8, 3, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in pixels), 9)
    chunks = ((b"IHDR", head), (b"PLTE", palette), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )
