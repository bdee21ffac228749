"""What the site knows of itself: where it is, who publishes it, which data of which day it shows, and how to cite them.

`site:` in sources.yaml says where and who; the database says the rest. Nothing is made up: what is not given is None, and pages
say so. It reads one row of a database and shows no page.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from evidence import __version__
from evidence.errors import ConfigError
from evidence.export.wording import day_in_words
from evidence.harvest import sources
from evidence.harvest.sources import Article, Config, Published, Watch
from evidence.publish import downloads
from evidence.publish.query_cache import CACHE

_EDITION = """
    select r.run, substr(coalesce(r.finished, r.started), 1, 10) as day,
        (select count(*) from works where verdict = 'include') as works
    from runs r where r.outcome <> 'running' and r.door not in ('judge', 'providers', 'import') order by r.run desc limit 1
"""


def of_environment(environment: Mapping[str, str]) -> Published:
    """What sources.yaml says of the site (`EVIDENCE_SOURCES`, else the file in the working folder); nothing where it is missing
    or has a mistake, which `evidence check` reports."""
    found = _config(environment)
    return found.site if found else Published()


def articles(environment: Mapping[str, str]) -> tuple[Article, ...] | None:
    """The articles of the same file; None where it is missing or has a mistake."""
    found = _config(environment)
    return found.articles if found else None


def watches(environment: Mapping[str, str]) -> tuple[Watch, ...]:
    """The watches of the same file; none where it is missing or has a mistake."""
    found = _config(environment)
    return found.watches if found else ()


def base_address(datasette: Any, request: Any, environment: Mapping[str, str]) -> str:
    """The address of the site without a slash at the end: the public one, else that under which this request came."""
    public = of_environment(environment).address
    return public or str(datasette.absolute_url(request, datasette.urls.path("/"))).rstrip("/")


def _config(environment: Mapping[str, str]) -> Config | None:
    path = Path(environment.get("EVIDENCE_SOURCES") or "sources.yaml")
    try:
        return _read(path, path.stat().st_mtime_ns)
    except (OSError, ConfigError):
        return None


@lru_cache(maxsize=4)
def _read(path: Path, modified: int) -> Config:
    """`modified` (ns) is part of the cache key, so a changed file is read again."""
    return sources.load(path)


@dataclass(frozen=True, slots=True)
class Edition:
    """The data that the site shows: the last sync's number and day (2026-11-24), and the number of included works."""

    run: int
    day: str
    works: int

    @property
    def version(self) -> str:
        """The day and the number of the run: two syncs of one day differ."""
        return f"{self.day}, run {self.run}"


async def edition_of(db: Any) -> Edition | None:
    """Which data a Datasette database shows; None before the first sync has finished."""
    found = (await CACHE.get(db.path, "edition", lambda: db.execute(_EDITION))).first()
    return Edition(**dict(found)) if found else None


def citation(title: str, site: Published, edition: Edition | None) -> str:
    """The site as a reference; what is not known is left out."""
    data = f"Data of {day_in_words(edition.day)} (run {edition.run}), made with" if edition else "Made with"
    parts = (site.publisher, title, f"{data} evidence {__version__}", site.address)
    return ". ".join(part.rstrip(".") for part in parts if part) + ("" if site.address else ".")


def bibtex(title: str, site: Published, edition: Edition | None) -> str:
    """The same for a reference manager."""
    fields = {
        "author": f"{{{site.publisher}}}" if site.publisher else None,
        "title": f"{{{title}}}",
        "year": edition.day[:4] if edition else None,
        "version": edition.version if edition else None,
        "note": f"Made with evidence {__version__}",
        "url": site.address,
    }
    lines = (f"  {name} = {{{value if name == 'url' else _latex(value)}}}," for name, value in fields.items() if value)
    return "\n".join(("@misc{evidence_site,", *lines, "}"))


def _latex(text: str) -> str:
    return "".join(f"\\{character}" if character in "&%$#_" else character for character in text)


def dataset(
    title: str,
    description: str,
    site: Published,
    edition: Edition | None,
    *,
    base: str,
    metadata_licence: str,
    keywords: list[str],
) -> dict[str, Any]:
    """The whole as a schema.org Dataset (JSON-LD), each download with its absolute address below `base`."""
    licences = [licence for licence in (site.licence, metadata_licence) if licence]
    facts: dict[str, Any] = {
        "@context": "https://schema.org",
        "@type": "Dataset",
        "@id": f"{base}/about#dataset",
        "name": title,
        "description": description,
        "url": f"{base}/",
        "version": edition.version if edition else None,
        "dateModified": edition.day if edition else None,
        "license": licences[0] if len(licences) == 1 else licences,
        "isAccessibleForFree": True,
        "keywords": keywords,
        "inLanguage": "en",
        "publisher": {"@type": "Organization", "name": site.publisher} if site.publisher else None,
        "creator": {"@type": "Organization", "name": site.publisher} if site.publisher else None,
        "isBasedOn": "https://www.crossref.org/",
        "distribution": [
            {
                "@type": "DataDownload",
                "name": f"Included works as {name}",
                "contentUrl": f"{base}/download/{name}?verdict=include",
                "encodingFormat": offer.file.media_type,
            }
            for name, offer in downloads.offered().items()
        ],
    }
    return {name: value for name, value in facts.items() if value not in (None, [], "")}


def as_script(facts: Mapping[str, Any]) -> str:
    """JSON that can stand in a script element: nothing in it ends the element."""
    text = json.dumps(facts, ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
