"""Make the reference benchmark: citations of real works, right ones, chimeras, and works that the index does not have.

    python scripts/make_reference_benchmark.py        # writes benchmarks/references/citations.jsonl.gz and index.txt

A chimera is a right citation with one part replaced by that of another work. The facts are those of the bundled records; the
strings are this script's own, in four citation styles. The same seed makes the same file.
"""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evidence import page_ranges
from evidence.crossref.entries_of_files import read_records
from evidence.crossref.normalise import normalise
from evidence.data_model import Author, Work
from evidence.rules import topic

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks" / "references"
EACH = 500
"""Citations of each kind."""
ABSENT_SHARE = 5
"""Every so many works are left out of the index."""
SEED = 2026


@dataclass(frozen=True)
class Cited:
    """What a citation prints."""

    authors: tuple[Author, ...]
    year: int
    title: str
    container: str
    volume: str
    issue: str | None
    pages: str


def works() -> list[Work]:
    """The bundled articles that have all that a citation prints."""
    found = []
    for message in read_records(topic.load().records_path):
        if not isinstance(message, dict):
            continue
        work = normalise(message)
        named = bool(work.authors) and all(author.family for author in work.authors)
        if (
            named
            and work.year
            and work.title
            and work.container
            and work.volume
            and work.pages
            and len(work.title) > 25
        ):
            found.append(work)
    return sorted(found, key=lambda work: work.doi)


def cited(work: Work) -> Cited:
    """A right citation of a work."""
    place = (work.volume or "", work.issue, work.pages or "")
    return Cited(work.authors, work.year or 0, work.title or "", work.container or "", *place)


def vancouver(c: Cited) -> str:
    names = ", ".join(f"{a.family} {_initials(a, '')}".strip() for a in c.authors[:6])
    more = ", et al" if len(c.authors) > 6 else ""
    issue = f"({c.issue})" if c.issue else ""
    return f"{names}{more}. {_ended(c.title)} {c.container}. {c.year};{c.volume}{issue}:{c.pages}."


def apa(c: Cited) -> str:
    names = [f"{a.family}, {_initials(a, '. ')}".strip().rstrip(",") for a in c.authors[:20]]
    listed = ", ".join(names[:-1]) + f", & {names[-1]}" if len(names) > 1 else names[0]
    issue = f"({c.issue})" if c.issue else ""
    return f"{listed} ({c.year}). {_ended(c.title)} {c.container}, {c.volume}{issue}, {c.pages.replace('-', '–')}."


def ieee(c: Cited) -> str:
    names = [f"{_initials(a, '. ')} {a.family}".strip() for a in c.authors[:6]]
    listed = f"{names[0]} et al." if len(c.authors) > 6 else " and ".join(names)
    issue = f", no. {c.issue}" if c.issue else ""
    return f"{listed}, “{c.title.rstrip('.')},” {c.container}, vol. {c.volume}{issue}, pp. {c.pages.replace('-', '–')}, {c.year}."


def harvard(c: Cited) -> str:
    names = [f"{a.family}, {_initials(a, '.')}" for a in c.authors[:3]]
    listed = f"{names[0]} et al." if len(c.authors) > 3 else " and ".join(names)
    issue = f"({c.issue})" if c.issue else ""
    return f"{listed} ({c.year}) ‘{c.title.rstrip('.')}’, {c.container}, {c.volume}{issue}, pp. {c.pages}."


STYLES: tuple[Callable[[Cited], str], ...] = (vancouver, apa, ieee, harvard)


def _initials(author: Author, mark: str) -> str:
    parts = (author.given or "").replace(".", " ").replace("-", " ").split()
    return "".join(part[0].upper() + mark for part in parts).strip()


def _ended(title: str) -> str:
    return title if title[-1] in ".?!" else f"{title}."


def rows() -> Iterator[dict[str, Any]]:
    """The citations. `doi` is what the citation states, `truth` the work that it means, None where nothing can be said."""
    known = works()
    absent = {work.doi for work in known[::ABSENT_SHARE]}
    present = [work for work in known if work.doi not in absent]
    chance = random.Random(SEED)  # a repeatable choice, not a secret

    def pair() -> tuple[Work, Work]:
        while True:
            one, other = chance.sample(present, 2)
            names = {author.family for author in one.authors} & {author.family for author in other.authors}
            if not names and one.title != other.title and one.volume != other.volume:
                return one, other

    kinds: dict[str, Callable[[Cited, Cited], Cited]] = {
        "right": lambda a, b: a,
        "title of another": lambda a, b: replace(a, title=b.title),
        "authors of another": lambda a, b: replace(a, authors=b.authors),
        "year seven off": lambda a, b: replace(a, year=a.year - 7),
        "place of another": lambda a, b: replace(a, volume=b.volume, issue=b.issue, pages=b.pages),
        "DOI of another": lambda a, b: b,
    }
    for kind, change in kinds.items():
        for number in range(EACH):
            one, other = pair()
            text = STYLES[number % len(STYLES)](change(cited(one), cited(other)))
            truth = other if kind == "DOI of another" else one
            yield {"kind": kind, "text": f"{text} doi:{one.doi}", "doi": one.doi, "truth": truth.doi}
    for number in range(EACH):
        work = chance.choice(present)
        yield {
            "kind": "right, no DOI",
            "text": STYLES[number % len(STYLES)](cited(work)),
            "doi": None,
            "truth": work.doi,
        }
    missing = [work for work in known if work.doi in absent]
    for number in range(EACH):
        text = STYLES[number % len(STYLES)](cited(chance.choice(missing)))
        yield {"kind": "absent from the index", "text": text, "doi": None, "truth": None}
    ranged = [work for work in present if page_ranges.first_last(work.pages)[1]]
    for number in range(EACH):
        work = chance.choice(present)
        text = STYLES[number % len(STYLES)](replace(cited(work), year=(work.year or 0) - 1))
        yield {"kind": "a year early", "text": f"{text} doi:{work.doi}", "doi": work.doi, "truth": work.doi}
    for number in range(EACH):
        work = chance.choice(ranged)
        text = STYLES[number % len(STYLES)](replace(cited(work), pages=_longer(work.pages)))
        yield {"kind": "another last page", "text": f"{text} doi:{work.doi}", "doi": work.doi, "truth": work.doi}


def _longer(pages: str | None) -> str:
    """The same first page and another last one."""
    first, last = page_ranges.first_last(pages)
    letters, digits = re.fullmatch(r"(\D*)(\d+).*", last or "").groups()  # type: ignore[union-attr]
    return f"{first}-{letters}{int(digits) + 3}"


def main() -> None:
    """Write the citations, and the DOIs of the works that the index has."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows())
    with (FOLDER / "citations.jsonl.gz").open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as file:
        file.write(lines.encode())
    known = works()
    absent = {work.doi for work in known[::ABSENT_SHARE]}
    (FOLDER / "index.txt").write_text(
        "".join(f"{work.doi}\n" for work in known if work.doi not in absent), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
