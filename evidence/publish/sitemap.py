"""The text of robots.txt and of the sitemap (sitemaps.org, protocol 0.9), with absolute addresses.

The protocol allows 50,000 addresses in a file; an index names the files. Only what is for visitors is in it. Addresses in, text
out: this module reads no database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from xml.sax.saxutils import escape

PART = 20_000
"""Works in one file: about 3 MB. The protocol allows 50,000 addresses and 50 MB."""

PAGES = ("/", "/map", "/currency", "/changes", "/method", "/prisma", "/about", "/api", "/evidence", "/evidence/works")
"""The pages that every site has, without a parameter."""

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_SCHEMA = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'

LINK_PREVIEWS = ("Twitterbot", "facebookexternalhit", "LinkedInBot", "Slackbot-LinkExpanding")
"""Robots that read only what a person shares; they may read lists too."""


def robots(*, shared: bool, address: str | None, path: Callable[[str], str]) -> str:
    """robots.txt. `shared` is whether the site is for everybody; `path` adds the site's own prefix to a path."""
    if not shared:
        return "# This site is not for everybody.\nUser-agent: *\nDisallow: /\n"
    lines = [
        "# Lists with filters have millions of addresses, and downloads make work: please read what is in the sitemap.",
        "User-agent: *",
        f"Disallow: {path('/')}*?",
        *(f"Disallow: {path(place)}" for place in ("/download/", "/-/", "/search", "/past", "/linkset", "/ripple")),
        "",
        *(f"User-agent: {robot}" for robot in LINK_PREVIEWS),
        f"Disallow: {path('/download/')}",
    ]
    if address:
        lines += ["", f"Sitemap: {address}/sitemap.xml"]
    return "\n".join((*lines, ""))


def index(address: str, works: int) -> str:
    """The sitemap of sitemaps for a site with this many included works."""
    parts = ("pages", *(f"works-{number + 1}" for number in range(-(-works // PART))))
    lines = (f"<sitemap><loc>{escape(f'{address}/sitemap-{part}.xml')}</loc></sitemap>\n" for part in parts)
    return f"{_HEAD}<sitemapindex {_SCHEMA}>\n{''.join(lines)}</sitemapindex>\n"


def urls(address: str, pages: Iterable[tuple[str, str | None]]) -> str:
    """One file: (path, day of the last change or None)."""
    lines = (
        f"<url><loc>{escape(address + page)}</loc>{f'<lastmod>{day}</lastmod>' if day else ''}</url>\n"
        for page, day in pages
    )
    return f"{_HEAD}<urlset {_SCHEMA}>\n{''.join(lines)}</urlset>\n"
