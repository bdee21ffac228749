"""Builds the bundled snapshot: `python scripts/build_bundled_records.py tests/samples/bibliography-facts.jsonl.gz`.

It writes three files into `evidence/topics/ipt/bundled_records/`: `records.jsonl.gz` (one record in Crossref's format per line,
ordered by DOI), `where_found.csv` (the source of the facts of each record) and `not_bundled.csv` (every fact that looked
wrong, with the reason). It copies facts and changes only their format: a fact that is not in the input is absent from the
record, and no abstract is written. `README.md` in that folder describes the input and how reliable it is.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evidence import strict_yaml

ROOT = Path(__file__).resolve().parents[1]
ARTICLE = "article-references"
"""The source in sources.yaml whose citations complete the facts of the works they cite."""

SOURCE = "evidence snapshot, from bibliographic facts"
"""The value of `source`, where Crossref's records have "Crossref": these records were not deposited there in this form."""

TYPES = {"letter": "journal-article", "editorial": "journal-article", "correction": "journal-article"}
"""Kinds of journal article for which Crossref has no `type` of its own."""

REPOSITORY_PREFIXES = {"10.7916": "Columbia Academic Commons"}
"""DOI prefixes registered with DataCite. Crossref has no such records, so the snapshot leaves them out."""

DOI = re.compile(r"10\.\d{4,9}/\S*[^\s\-.,;:(\[]")
DASH = re.compile(r"\s*[\u2010-\u2015\u2212-]\s*")
CITATION = re.compile(
    r"(?P<authors>.+?)\. (?P<title>.+)\. (?P<container>[^.]+)\. "
    r"(?P<year>\d{4});(?P<volume>\d+)\((?P<issue>\d+)\):(?P<pages>[\d-]+)\."
)
INITIALS = r"(?:[A-Z]{1,4}|(?:[A-Z]\.[ -]?)+|[A-Z](?:-[A-Z])+|[A-Z]\.?)"
VANCOUVER = re.compile(rf"(?P<family>[^\W\d_][^,;.]*?) (?P<given>{INITIALS})")
APA_GIVEN = re.compile(r"[A-Z](?:\.[ -]?[A-Z])*\.?")
GENERATION = {"jr", "jr.", "sr", "sr.", "ii", "iii", "iv"}


@dataclass
class Record:
    """A record: its Crossref message, the sources of its facts, and the facts that were left out (fact, value, reason)."""

    doi: str
    seen: list[str]
    message: dict[str, Any] = field(default_factory=dict)
    left_out: list[tuple[str, str, str]] = field(default_factory=list)


def build(facts: Iterable[Mapping[str, Any]], citations: Iterable[str]) -> tuple[list[Record], list[tuple[str, ...]]]:
    """The records ordered by DOI, and the rows of not_bundled.csv (doi, fact, value, reason)."""
    rows = {row["doi"]: dict(row) for row in facts}
    refused = {doi: reason for doi in sorted(rows) if (reason := _refused(doi, rows))}
    left_out: list[tuple[str, ...]] = [(doi, "record", rows.pop(doi)["title"], why) for doi, why in refused.items()]
    filled = _fill_from_article(rows, citations)
    records = [_record(rows[doi]) for doi in sorted(rows)]
    for record in records:
        if record.doi in filled:
            record.seen.append(f"sources.yaml, {ARTICLE}: {', '.join(filled[record.doi])}")
        left_out.extend((record.doi, *gone) for gone in record.left_out)
    _link_corrections(rows, {record.doi: record for record in records})
    return records, sorted(left_out)


def _refused(doi: str, rows: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Why no record is made from this row; None if one is."""
    if not DOI.fullmatch(doi):
        return "the DOI is cut off or malformed"
    prefix, _, suffix = doi.partition("/")
    if prefix in REPOSITORY_PREFIXES:
        return f"the DOI of a repository copy ({REPOSITORY_PREFIXES[prefix]}, a DataCite prefix), not a Crossref record"
    if suffix.startswith("/") and f"{prefix}{suffix}" in rows:
        return f"the same work stands under its DOI with one slash, {prefix}{suffix}"
    if not rows[doi].get("title") or rows[doi]["title"].startswith("["):
        return "the title is a placeholder, not the work's own"
    return None


def _record(row: Mapping[str, Any]) -> Record:
    """A row of facts as a record in Crossref's format."""
    record = Record(row["doi"], [row.get("source_url") or row["seen_in"]])
    message = record.message
    message["DOI"] = row["doi"]
    message["URL"] = f"https://doi.org/{row['doi']}"
    message["type"] = TYPES.get(row["type"], row["type"])
    message["title"] = [row["title"]]
    container = row.get("container")
    if container and row["type"] == "book":
        record.left_out.append(("container-title", container, "a book stands in no container; this is its publisher"))
    elif container:
        message["container-title"] = [container]
    if authors := _authors(row, record):
        message["author"] = [
            {**author, "sequence": "additional" if position else "first"} for position, author in enumerate(authors)
        ]
    if issued := _date(row, record):
        message["issued"] = {"date-parts": [issued]}
        message["published"] = {"date-parts": [issued]}
    for key, fact in (("volume", "volume"), ("issue", "issue"), ("publisher", "publisher"), ("language", "language")):
        if row.get(fact):
            message[key] = row[fact]
    if row.get("pages"):
        message["page"] = DASH.sub("-", row["pages"]).strip("-")
    message["source"] = SOURCE
    return record


def _date(row: Mapping[str, Any], record: Record) -> list[int] | None:
    """[year] or [year, month]; a month without a year is left out."""
    month = row.get("month")
    if not row.get("year"):
        if month:
            record.left_out.append(("issued", f"month {month}", "a month without a year"))
        return None
    return [int(row["year"]), int(month)] if month else [int(row["year"])]


def _authors(row: Mapping[str, Any], record: Record) -> list[dict[str, str]]:
    """The authors in Crossref's format, in order; empty when a given name and a family name may be exchanged."""
    if text := row.get("authors_text"):
        people = _from_text(text)
        if people is None:
            record.left_out.append(("author", text, "not certain who is who, or cut short (“et al.”)"))
        return people or []
    names = ("given", "family")
    people = [{key: person[key] for key in names if person.get(key)} for person in row.get("authors") or ()]
    for person in people:
        if _exchanged(person.get("given", ""), person["family"]):
            shown = "; ".join(f"{p['family']}, {p.get('given', '')}".rstrip(", ") for p in people)
            record.left_out.append(("author", shown, f"given and family name look exchanged at “{person['family']}”"))
            return []
    return people


def _exchanged(given: str, family: str) -> bool:
    """Whether given and family name look exchanged: initials as a family name, or as a given name a generation (Jr) or a name in
    capitals, which are used for family names."""
    initials = re.fullmatch(INITIALS, family) is not None and given != ""
    capitals = len(given) > 3 and given.isalpha() and given.isupper() and not family.isupper()
    return initials or capitals or given.lower() in GENERATION


def _from_text(text: str) -> list[dict[str, str]] | None:
    """The authors of a text such as `Family AB; Family C` or `Family, A. B., & Family, C`; None if it is ambiguous."""
    if "et al" in text or "..." in text:
        return None
    parts = text.split("; ") if ";" in text else text.split(", ")
    vancouver = [VANCOUVER.fullmatch(part.strip()) for part in parts]
    if all(vancouver):
        return [{"given": m["given"].strip(), "family": m["family"]} for m in vancouver if m]
    tokens = re.sub(r",? & ", ", ", text).split(", ") if ";" not in text else parts
    pairs = [p.split(", ") for p in tokens] if ";" in text else [tokens[i : i + 2] for i in range(0, len(tokens), 2)]
    if all(len(pair) == 2 and APA_GIVEN.fullmatch(pair[1]) and not APA_GIVEN.fullmatch(pair[0]) for pair in pairs):
        return [{"given": given, "family": family} for family, given in pairs]
    return None


def _fill_from_article(rows: dict[str, dict[str, Any]], citations: Iterable[str]) -> dict[str, list[str]]:
    """Add absent facts to the cited works from the printed citations; returns doi → names of the added facts."""
    by_title = {_key(row["title"]): row for row in rows.values()}
    filled: dict[str, list[str]] = {}
    for text in citations:
        printed = CITATION.fullmatch(text)
        row = by_title.get(_key(printed["title"])) if printed else None
        if printed is None or row is None:
            continue
        gaps = [name for name in ("container", "year", "volume", "issue", "pages") if not row.get(name)]
        row.update({name: printed[name] for name in gaps})
        if gaps:
            filled[row["doi"]] = gaps
    return filled


def _key(title: str) -> str:
    return re.sub(r"\W+", " ", title.casefold()).strip()


def _link_corrections(rows: Mapping[str, Mapping[str, Any]], records: Mapping[str, Record]) -> None:
    """Write `corrected_by` in both directions, as Crossref does: `updated-by` in the work, `update-to` in the notice."""
    for doi, row in rows.items():
        if notice := row.get("corrected_by"):
            records[doi].message["updated-by"] = [{"DOI": notice, "type": "correction", "label": "Correction"}]
            if notice in records:
                records[notice].message["update-to"] = [{"DOI": doi, "type": "correction", "label": "Correction"}]


def lines(records: Iterable[Record]) -> Iterator[str]:
    """The records as JSON Lines, in their order."""
    for record in records:
        yield json.dumps(record.message, ensure_ascii=False, separators=(",", ":")) + "\n"


def provenance(records: Iterable[Record]) -> Iterator[tuple[str, str, str]]:
    """The rows of where_found.csv: the DOI, the sources of the facts, and the facts that the record has."""
    for record in records:
        held = " ".join(key for key in record.message if key not in ("DOI", "URL", "source"))
        yield record.doi, " | ".join(record.seen), held


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()


def files(facts: Path, sources: Path) -> dict[str, bytes]:
    """File name → content of the three files. The gzip header has no name and no time, so that the bytes are reproducible."""
    raw = facts.read_bytes()
    text = (gzip.decompress(raw) if facts.suffix == ".gz" else raw).decode("utf-8")
    rows = [json.loads(line) for line in text.split("\n") if line.strip()]
    listed = strict_yaml.parse_file(sources).data["sources"]
    citations = [entry["text"] for source in listed if source["id"] == ARTICLE for entry in source["citations"]]
    records, left_out = build(rows, citations)
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, compresslevel=9, mtime=0) as file:
        file.writelines(line.encode() for line in lines(records))
    return {
        "records.jsonl.gz": packed.getvalue(),
        "where_found.csv": _table(("doi", "seen", "facts"), provenance(records)),
        "not_bundled.csv": _table(("doi", "fact", "value", "reason"), left_out),
    }


def main() -> None:
    """Write the files and print their sizes."""
    parser = argparse.ArgumentParser(description="Build the bundled snapshot from bibliographic facts.")
    parser.add_argument("facts", type=Path, help="bibliographic facts, one JSON object per line, plain or gzipped")
    parser.add_argument(
        "--sources", type=Path, default=ROOT / "sources.yaml", help="the reference list that completes facts"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=ROOT / "evidence" / "topics" / "ipt" / "bundled_records",
        help="the folder to write to",
    )
    arguments = parser.parse_args()
    for name, content in files(arguments.facts, arguments.sources).items():
        (arguments.out / name).write_bytes(content)
        count = gzip.decompress(content).count(b"\n") if name.endswith(".gz") else content.count(b"\n") - 1
        print(f"{arguments.out / name}: {count} rows, {len(content):,} bytes")


if __name__ == "__main__":
    main()
