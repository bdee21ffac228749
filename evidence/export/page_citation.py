"""How to cite a page of the tracker: one line of text with the day of its data and the day on which it was read.

It cites the page, not the work that the page is about; for that there are the downloads. Pure: no clock, no request.
"""

from __future__ import annotations

from urllib.parse import quote

from evidence.doi import is_local
from evidence.export.wording import day_in_words


def short_path(doi: str) -> str:
    """The short address of a work's page below the site's own: `/doi/10.1002/cpp.1774`; that of a work without a DOI is not
    shorter than any other."""
    return f"/evidence/works/{doi}" if is_local(doi) else f"/doi/{_quoted(doi)}"


def ripple_path(doi: str) -> str:
    """The address of the page on what a work touches: `/ripple/10.1002/cpp.1774`."""
    return f"/ripple/{_quoted(doi)}"


def _quoted(doi: str) -> str:
    return quote(doi, safe="/:;()!,@")


def cite_record(title: str | None, doi: str, site: str, address: str, *, synced: str | None, today: str) -> str:
    """A citation of the page on a work; `synced` and `today` are ISO days or times, `synced` None before the first sync."""
    data = f" Data of {day_in_words(synced)}." if synced else ""
    named = f"no DOI, {doi}" if is_local(doi) else f"doi:{doi}"
    name = f"Record of “{title}” ({named})" if title else f"Record of {named}"
    return f"{site}. {name}.{data} Accessed {day_in_words(today)}. {address}"
