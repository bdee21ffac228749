"""Builds the facts of the bundled snapshot: `python scripts/build_bundled_facts.py`.

It writes `evidence/topics/ipt/bundled_records/facts.jsonl.gz`: identifiers of works of the snapshot, from the full test sets
(`../shared/data`, or `--from FOLDER`). Without these it says so and changes nothing. Only facts are copied, never a sentence. A
row counts only if its DOI is that of a work of the snapshot and its title agrees; where two rows state different identifiers of
one kind, none of the kind is taken. `README.md` in that folder says how far to trust each.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evidence import doi as dois
from evidence.linkage.identifiers import read_identifier
from evidence.linkage.trial_numbers import own_trial_numbers
from evidence.providers.agreement import why_not_about
from evidence.providers.answers import Wanted

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"
FOLDER = ROOT / "evidence" / "topics" / "ipt" / "bundled_records"
FILE = "facts.jsonl.gz"

_PMID_PAGE = re.compile(r"pubmed(?:hh)?\.(?:\w+\.)*gov/(?:\S*[?&]id=)?(\d+)|/pubmed/(\d+)", re.IGNORECASE)
_PMC_PAGE = re.compile(r"/articles/(PMC\d+)", re.IGNORECASE)
_OWN_FILE = re.compile(r"xml_files/(PMC\d+)\.nxml")
_NOTED = re.compile(r"(?<!reference list of )\b(PMID ?\d+|PMC\d+)\b")


@dataclass(frozen=True, slots=True)
class Stated:
    """An identifier that a row states for a work: `seen` is the page or the data file that has it."""

    doi: str
    title: str
    kind: str
    value: str
    source: str
    seen: str


def build(titles: Mapping[str, str], folder: Path) -> list[dict[str, Any]]:
    """The lines of the file, ordered by DOI. `titles` are those of the snapshot by DOI, `folder` has the sets."""
    by_doi: dict[str, list[Stated]] = {}
    for stated in (*_pages(folder), *_labelled(folder), *_open_articles(folder)):
        doi = dois.lower(stated.doi)
        wanted = Wanted(doi, titles.get(doi))
        if doi in titles and stated.title and why_not_about(wanted, doi, stated.title) is None:
            by_doi.setdefault(doi, []).append(stated)
    return [line for doi in sorted(by_doi) if (line := _line(doi, by_doi[doi]))]


def _line(doi: str, found: list[Stated]) -> dict[str, Any] | None:
    """What is stated about one work, or None where rows contradict each other in everything."""
    values: dict[str, set[str]] = {}
    for one in found:
        values.setdefault(one.kind, set()).add(one.value)
    kept = [one for one in found if one.kind == "registration" or len(values[one.kind]) == 1]
    identifiers = dict.fromkeys((one.kind, one.value, one.source) for one in kept)
    return (
        {
            "doi": doi,
            "identifiers": [dict(zip(("kind", "value", "source"), one, strict=True)) for one in identifiers],
            "publication_types": [],
            "seen_in": " | ".join(dict.fromkeys(one.seen for one in kept)),
        }
        if kept
        else None
    )


def _pages(folder: Path) -> Iterator[Stated]:
    """Identifiers in the addresses of pages from which the facts of one work alone were read."""
    rows = [
        (dois.lower(row["doi"]), row["title"], row["source_url"])
        for name in ("bibliography-facts.jsonl", "ipt-bibliography.jsonl.gz")
        for row in map(json.loads, _text(folder / name).splitlines())
        if row.get("doi") and row.get("source_url")
    ]
    works: dict[str, set[str]] = {}
    for doi, _, page in rows:
        works.setdefault(page, set()).add(doi)
    for doi, title, page in rows:
        pmid, pmcid = _PMID_PAGE.search(page), _PMC_PAGE.search(page)
        if len(works[page]) == 1 and (pmid or pmcid):
            named = f"PMID:{pmid[1] or pmid[2]}" if pmid else pmcid[1] if pmcid else ""
            yield from _read(doi, title, named, page)


def _labelled(folder: Path) -> Iterator[Stated]:
    """Identifiers noted in the labelled studies, and registration numbers in their abstracts."""
    for row in csv.DictReader(io.StringIO(_text(folder / "ipt-labelled.csv.gz"), newline="")):
        if not row["doi"]:
            continue
        own = [match[1] for match in _OWN_FILE.finditer(row["source"])]
        for named in (*own, *(match[1] for match in _NOTED.finditer(row["notes"]))):
            yield from _read(row["doi"], row["title"], named, row["source"])
        for number in own_trial_numbers((), (row["abstract"],)):
            yield Stated(row["doi"], row["title"], "registration", number, "text", row["source"])


def _open_articles(folder: Path) -> Iterator[Stated]:
    """PMCIDs and registration numbers of the open articles whose abstracts have labelled sections."""
    for row in map(json.loads, _text(folder / "reading" / "sentence-roles.jsonl.gz").splitlines()):
        if row.get("doi"):
            seen = f"jayded/evidence-inference xml_files/{row['pmcid']}.nxml"
            yield from _read(row["doi"], row["title"], row["pmcid"], seen)
            for number in own_trial_numbers((), (row["abstract"],)):
                yield Stated(row["doi"], row["title"], "registration", number, "text", seen)


def _read(doi: str, title: str, named: str, seen: str) -> Iterator[Stated]:
    """PMIDs and PMCIDs are both given by the National Library of Medicine, so their source is PubMed."""
    if found := read_identifier(named):
        yield Stated(doi, title, *found, "pubmed", seen)


def _text(path: Path) -> str:
    raw = path.read_bytes()
    return (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8-sig")


def titles_of_snapshot() -> dict[str, str]:
    """The title of each work of the snapshot, by DOI."""
    records = map(json.loads, _text(FOLDER / "records.jsonl.gz").splitlines())
    return {record["DOI"]: record["title"][0] for record in records}


def main() -> None:
    """Write the file, or say why not."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--from", dest="folder", type=Path, default=SHARED, help="the folder with the full test sets")
    folder: Path = parser.parse_args().folder
    if not folder.is_dir():
        print(f"{folder}: no test sets there; nothing changed")
        return
    lines = build(titles_of_snapshot(), folder)
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (FOLDER / FILE).write_bytes(gzip.compress(text.encode(), mtime=0))
    kinds = [one["kind"] for line in lines for one in line["identifiers"]]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds)))
    print(f"{FILE}: {len(lines)} works ({counts})")


if __name__ == "__main__":
    main()
