"""Changes of works → an Atom feed (RFC 4287), and what an HTTP request for it needs: entity tag, date, and "not modified".

Ids depend neither on the site's address nor on later changes, so a reader never shows an old entry as new: the id of an entry is
made from the run and the change as they were announced, that of a feed from its filters. Abstracts are not in a feed, because
many may not be passed on. Rows in, text out; no SQL, no Datasette.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any, Final
from xml.etree import ElementTree

from evidence.doi import is_local
from evidence.export import changes_report

ATOM: Final = "http://www.w3.org/2005/Atom"
CONTENT_TYPE: Final = "application/atom+xml; charset=utf-8"

NOT_XML = re.compile("[^\\t\\n\\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 forbids, even escaped."""
DIRECTION_MARKS = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""Unicode direction marks: in a feed reader, an unclosed one would reverse the text after it."""


@dataclass(frozen=True, slots=True)
class About:
    """What a feed says of itself. `identity` and `filters` make its id; `address` is its own, `page` that of the list it follows;
    `updated` is for a feed without entries."""

    title: str
    subtitle: str
    identity: str
    filters: Sequence[tuple[str, str]]
    address: str
    page: str
    updated: str


def feed(about: About, rows: Sequence[Mapping[str, Any]], addresses: Sequence[str]) -> str:
    """The feed of these changes, the newest first; `addresses` are those of their works' pages."""
    root = element("feed")
    root.append(element("id", urn("feed", about.identity, *(f"{k}={v}" for k, v in sorted(about.filters)))))
    root.append(element("title", about.title))
    root.append(element("subtitle", about.subtitle))
    root.append(element("link", rel="self", type="application/atom+xml", href=about.address))
    root.append(element("link", rel="alternate", type="text/html", href=about.page))
    root.append(element("updated", max((row["updated"] for row in rows), default=about.updated)))
    author = element("author")
    author.append(element("name", "evidence"))
    root.append(author)
    for row, address in zip(rows, addresses, strict=True):
        root.append(entry(row, address))
    ElementTree.register_namespace("", ATOM)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True)


def entry(row: Mapping[str, Any], address: str) -> ElementTree.Element:
    """One change as an entry: what happened and the title, a short citation as summary, the tags as categories. Of a notice, the
    summary begins with what the work touches today (`touches`), and a link leads to the page of it (`ripple`)."""
    found = element("entry")
    # A copy without reviewers' names has other reasons.
    after = "" if row["what"] == "reopened" else row["after"] or ""
    found.append(
        element(
            "id", urn(row["started"], str(row["change"]), row["announced"], row["what"], row["before"] or "", after)
        )
    )
    happened = "" if row["what"] == "new" else f"[{changes_report.change_label(row)}] "
    found.append(element("title", happened + (row["title"] or row["doi"])))
    found.append(element("link", rel="alternate", type="text/html", href=address))
    if row.get("ripple"):
        found.append(element("link", rel="related", type="text/html", title="What it touches", href=row["ripple"]))
    found.append(element("published", row["updated"]))
    found.append(element("updated", row["updated"]))
    author = element("author")
    author.append(element("name", row["authors"] or "no authors given"))
    found.append(author)
    where = " ".join(str(part) for part in (row["container"], row["year"]) if part)
    named = "no DOI" if is_local(row["doi"]) else f"doi:{row['doi']}"
    said = ". ".join(part for part in (where, row["tags"], named) if part)
    found.append(element("summary", " ".join(filter(None, (row.get("touches"), said)))))
    for tag in (row["tags"] or "").split("; "):
        if tag:
            found.append(element("category", term=tag))
    return found


def urn(*parts: str) -> str:
    """A name for what these parts identify."""
    return uuid.uuid5(uuid.NAMESPACE_OID, "|".join(parts)).urn


def element(name: str, text: str | None = None, **attributes: str) -> ElementTree.Element:
    """An Atom element, with characters removed that XML forbids or that would disturb a feed reader."""
    made = ElementTree.Element(f"{{{ATOM}}}{name}", {key: NOT_XML.sub("", value) for key, value in attributes.items()})
    if text is not None:
        made.text = DIRECTION_MARKS.sub("", NOT_XML.sub("\ufffd", text))
    return made


def validators(body: str, changed: str) -> dict[str, str]:
    """The headers by which a reader asks later whether there is anything new. `changed` is when the database last changed (UTC,
    ISO)."""
    moment = datetime.fromisoformat(changed.replace("Z", "+00:00")).astimezone(UTC)
    return {
        "etag": f'"{hashlib.sha256(body.encode()).hexdigest()[:32]}"',
        "last-modified": format_datetime(moment.replace(microsecond=0), usegmt=True),
        "cache-control": "no-cache",
    }


def not_modified(known: Mapping[str, str], if_none_match: str | None, if_modified_since: str | None) -> bool:
    """Whether the reader has this already (RFC 9110, 13.1): `known` are its `validators`. An entity tag outweighs a date."""
    if if_none_match is not None:
        tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
        return "*" in tags or known["etag"] in tags
    if if_modified_since is None:
        return False
    try:
        since = parsedate_to_datetime(if_modified_since)
        return parsedate_to_datetime(known["last-modified"]) <= (since if since.tzinfo else since.replace(tzinfo=UTC))
    except (ValueError, TypeError):
        return False
