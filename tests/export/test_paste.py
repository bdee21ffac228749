"""One document as plain text, Markdown and HTML: the same words, whatever they contain."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evidence.export import paste
from evidence.export.paste import Below, Heading, Items, Link, Paragraph, Table

HOSTILE = st.text(st.sampled_from("ab 1.)+-*_`<>&[]()|#\\\"'~!$\n"), min_size=1, max_size=20).filter(
    lambda text: text.strip()
)


def flat(text: str) -> str:
    return " ".join(text.split())


def read_html(page: str) -> str:
    return flat(html.unescape(re.sub(r"<[^>]*>", " ", page)))


@given(HOSTILE, HOSTILE, HOSTILE)
def test_html_has_no_markup_but_its_own(title: str, item: str, cell: str) -> None:
    blocks: list[paste.Block] = [
        Heading(1, title),
        Items(((item, Link(cell, 'https://x.org/"a'), Below(item)),)),
        Table((cell,), ((item,),)),
    ]
    page = "\n".join(paste.as_html(blocks))
    tags = set(re.findall(r"<\s*/?\s*([a-z0-9]+)", page))
    assert tags <= {"h1", "ul", "li", "a", "br", "table", "tr", "th", "td"}
    assert page.count("<a ") == 1
    assert 'href="https://x.org/&quot;a"' in page


@example(title="1", item="---", linked="~~~")
@example(title="1", item="-", linked="1")
@given(HOSTILE, HOSTILE, HOSTILE)
def test_markdown_says_what_it_was_given(title: str, item: str, linked: str) -> None:
    """Read by a parser of CommonMark: one heading, one list of one item, one link, and the words."""
    markdown_it: Any = pytest.importorskip("markdown_it")
    blocks: list[paste.Block] = [
        Heading(2, title),
        Paragraph((item,)),
        Items(((f"+ {item}", Link(linked, "https://x.org/a(b)")),)),
    ]
    tokens = markdown_it.MarkdownIt("commonmark").parse("\n".join(paste.as_markdown(blocks)))
    kinds = [token.type for token in tokens if token.type.endswith("_open")]
    assert kinds == ["heading_open", "paragraph_open", "bullet_list_open", "list_item_open", "paragraph_open"], kinds
    inline = [token for token in tokens if token.type == "inline"]
    links = [child for token in inline for child in token.children if child.type == "link_open"]
    assert len(links) == 1
    words = [
        flat("".join(child.content for child in token.children if child.type in ("text", "text_special")))
        for token in inline
    ]
    assert not {child.type for token in inline for child in token.children} & {
        "html_inline",
        "code_inline",
        "image",
        "em_open",
    }
    assert [word.replace(" ", "") for word in words] == [
        flat(title).replace(" ", ""), flat(item).replace(" ", ""), flat(f"+ {item}{linked}").replace(" ", ""),
    ]  # fmt: skip


def test_plain_text_puts_numbers_under_one_another() -> None:
    assert list(paste.as_text([Heading(2, "Cells"), Table(("cell", "now"), (("IPT", "1"), ("IPT-A", "12")))])) == [
        "Cells:",
        "* cell   now",
        "* IPT      1",
        "* IPT-A   12",
    ]
