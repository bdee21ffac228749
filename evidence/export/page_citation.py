"""How to cite a page of the tracker: one line of text with the day of its data and the day on which it was read.

It cites the page, not the work that the page is about; for that there are the downloads. Pure: no clock, no request.
"""

from __future__ import annotations

from urllib.parse import quote

from evidence.export.wording import day_in_words


def short_path(doi: str) -> str:
    """The short address of a work's page below the site's own: `/doi/10.1002/cpp.1774`."""
    return f"/doi/{quote(doi, safe='/:;()!,@')}"


def cite_record(title: str | None, doi: str, site: str, address: str, *, synced: str | None, today: str) -> str:
    """A citation of the page on a work; `synced` and `today` are ISO days or times, `synced` None before the first sync."""
    data = f" Data of {day_in_words(synced)}." if synced else ""
    name = f"Record of “{title}” (doi:{doi})" if title else f"Record of doi:{doi}"
    return f"{site}. {name}.{data} Accessed {day_in_words(today)}. {address}"
