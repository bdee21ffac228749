"""Typed links for machines (signposting.org): the `Link` header of a work's page and of a list, and a list's link set (RFC 9264).

Facts in, text out. Nothing here reads a database.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from evidence import doi as dois
from evidence.data_model import Doi
from evidence.export import embedded_metadata
from evidence.export.file_formats import FORMATS

CITATION_FORMATS = ("ris", "bibtex", "csl-json")
DATA_FORMATS = ("csv", "jsonld")
"""What machines are led to: works for reference managers, and everything known of them."""
MOST_AUTHORS = 20
MOST_ITEMS = 10
"""Items in the header of a list. Proxies refuse an answer with headers above 4 or 8 kB; the link set has them all."""
SET_SIZE = 1000
"""Works in one link set; it names the next one."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link with its relation, and the media type of what it leads to."""

    target: str
    rel: str
    type: str | None = None

    def header(self) -> str:
        """One member of a `Link` header. Nothing in a target can end it."""
        target = quote(self.target, safe="/:?&=#%~+,;@!$()*'[]")
        return f'<{target}>; rel="{self.rel}"' + (f'; type="{self.type}"' if self.type else "")


def of_work(
    doi: str, kind: str | None, licence: str | None, orcids: Iterable[str], *, page: str, download: str
) -> list[Link]:
    """The links of a work's page. `page` is its address, and `download` is where files are (`…/download`)."""
    query = urlencode({"doi": doi})
    return [
        *([] if dois.is_local(doi) else [Link(dois.url(Doi(doi)), "cite-as")]),
        *(Link(f"https://orcid.org/{orcid}", "author") for orcid in list(dict.fromkeys(orcids))[:MOST_AUTHORS]),
        *(
            Link(f"{download}/{name}?{query}", "describedby", FORMATS[name].media_type)
            for name in (*CITATION_FORMATS, *DATA_FORMATS)
        ),
        Link(f"{page}.json", "describedby", "application/json"),
        Link(f"https://schema.org/{embedded_metadata.schema_type(kind)}", "type"),
        Link("https://schema.org/AboutPage", "type"),
        *([Link(licence, "license")] if licence and licence.startswith(("http://", "https://")) else []),
    ]


def of_list(works: Iterable[str], link_set: str, files: Iterable[Link], *, longer: bool) -> list[Link]:
    """The links of a list whose works have these addresses; `longer` is whether there are further ones."""
    items = list(works)
    whole = [Link(link_set, "linkset", "application/linkset+json")] if longer or len(items) > MOST_ITEMS else []
    return [
        *(Link(work, "item", "text/html") for work in items[:MOST_ITEMS]),
        *whole,
        *files,
        Link("https://schema.org/CollectionPage", "type"),
    ]


def header(links: Iterable[Link]) -> str:
    """The value of a `Link` header."""
    return ", ".join(link.header() for link in links)


def link_set(sets: Iterable[tuple[str, Iterable[Link]]]) -> dict[str, Any]:
    """(anchor, its links) as a link set in JSON."""
    return {"linkset": [{"anchor": anchor, **_by_relation(links)} for anchor, links in sets]}


def _by_relation(links: Iterable[Link]) -> Mapping[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for link in links:
        found.setdefault(link.rel, []).append({"href": link.target} | ({"type": link.type} if link.type else {}))
    return found
