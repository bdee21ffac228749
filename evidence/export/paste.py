"""A short document, written once and read as plain text, Markdown or HTML: headings, paragraphs, lists and tables with links.

Values in, text out. It knows no review: `change_note` fills it.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Link:
    """Words that lead to an address."""

    text: str
    address: str


@dataclass(frozen=True, slots=True)
class Below:
    """A sentence on a line of its own, under the words before it."""

    text: str


Part = str | Link | Below
Words = tuple[Part, ...]
"""A piece of running text."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; level 1 is the title."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph."""

    words: Words


@dataclass(frozen=True, slots=True)
class Items:
    """A list; `mark` begins each line of it in plain text."""

    items: tuple[Words, ...]
    mark: str = "* "


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the first column is text, the others may be numbers."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


Block = Heading | Paragraph | Items | Table


def words(*parts: Part) -> Words:
    """Running text of these parts."""
    return parts


def as_text(blocks: Sequence[Block]) -> Iterator[str]:
    """The document in plain text, a line at a time, without line ends."""
    for number, block in enumerate(blocks):
        match block:
            case Heading(level, text):
                yield from [""] * bool(number)
                yield text if level == 1 else f"{text}:"
            case Paragraph(parts):
                yield _plain_text(parts)
            case Items(items, mark):
                for each in items:
                    yield f"{mark}{_plain_text(each)}"
                    yield from (f"    {_flat(part.text)}" for part in each if isinstance(part, Below))
            case Table(header, rows):
                yield from _columns((header, *rows))


def as_markdown(blocks: Sequence[Block]) -> Iterator[str]:
    """The document in Markdown, a line at a time, without line ends."""
    for number, block in enumerate(blocks):
        yield from [""] * bool(number)
        match block:
            case Heading(level, text):
                yield f"{'#' * level} {markdown(text)}"
            case Paragraph(parts):
                yield _at_line_start(_markdown_words(parts))
            case Items(items):
                yield from (f"* {_at_line_start(_markdown_words(each))}" for each in items)
            case Table(header, rows):
                yield f"| {' | '.join(map(markdown, header))} |"
                yield f"|{'---|' * len(header)}"
                yield from (f"| {' | '.join(map(markdown, row))} |" for row in rows)


def as_html(blocks: Sequence[Block]) -> Iterator[str]:
    """The document as a part of a page in HTML, a line at a time, without line ends; everything in it is escaped."""
    for block in blocks:
        match block:
            case Heading(level, text):
                yield f"<h{level}>{html.escape(text)}</h{level}>"
            case Paragraph(parts):
                yield f"<p>{_html_words(parts)}</p>"
            case Items(items):
                yield "<ul>"
                yield from (f"<li>{_html_words(each)}</li>" for each in items)
                yield "</ul>"
            case Table(header, rows):
                yield "<table>"
                yield f"<tr>{''.join(f'<th>{html.escape(cell)}</th>' for cell in header)}</tr>"
                yield from (f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
                yield "</table>"


def markdown(text: str) -> str:
    """A text on one line, so that Markdown shows it as it is."""
    flat = _flat(text)
    for sign in "\\`*_[]<>|#!":
        flat = flat.replace(sign, f"\\{sign}")
    return flat.replace("&", "&amp;")


def _at_line_start(line: str) -> str:
    """A line that Markdown takes for text: `+ a work` and `1. a work` are no lists, `---` is no rule, `~~~` no code."""
    return re.sub(r"^(?:(\d{1,9})(?=[.)](?:\s|$))|(?=[-+=~]))", r"\1\\", line)


def _plain_text(parts: Words) -> str:
    return _flat("".join(part if isinstance(part, str) else part.text for part in parts if not isinstance(part, Below)))


def _flat(text: str) -> str:
    return " ".join(text.split())


def _markdown_words(parts: Words) -> str:
    # A link's spaces are kept by the text around it.
    written = []
    for part in parts:
        if isinstance(part, Below):
            written.append(f"\\\n  {markdown(part.text)}")
            continue
        text, before, after = (part.text if isinstance(part, Link) else part), "", ""
        if isinstance(part, str):
            before, after = " " * part[:1].isspace(), " " * (part[-1:].isspace() and bool(part.strip()))
        shown = markdown(text)
        if isinstance(part, Link):
            address = "".join(f"%{ord(sign):02X}" if sign in "()<> |\\" else sign for sign in part.address)
            shown = f"[{shown}]({address})"
        written.append(f"{before}{shown}{after}")
    return "".join(written)


def _html_words(parts: Words) -> str:
    written = []
    for part in parts:
        match part:
            case Link(text, address):
                written.append(f'<a href="{html.escape(address)}">{html.escape(text)}</a>')
            case Below(text):
                written.append(f"<br>{html.escape(text)}")
            case str():
                written.append(html.escape(part))
    return "".join(written)


def _columns(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """The rows with the cells of a column under one another."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        yield f"* {'  '.join(cells)}".rstrip()
