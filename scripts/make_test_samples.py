"""Make the samples in tests/samples from the full test data: `python scripts/make_test_samples.py DATA`.

DATA is a folder with the full sets, as tests/samples/README.md names them. The same data make the same bytes. A sample
holds bibliographic facts, labels and short cases under permissive licences. It never holds an abstract: where a record
had one, a paragraph from `PARAGRAPHS` below takes its place. The files in tests/samples that were written by hand
(README.md, jats/) are left alone.
"""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
import sys
import tarfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from evidence.evaluation import citation_accuracy, published_accuracy
from evidence.evaluation import duplicate_accuracy as evaluation
from evidence.evaluation import screening_and_tagging_accuracy as accuracy
from evidence.linkage import duplicate_clusters
from evidence.rules import taxonomy
from evidence.rules.taxonomy import Taxonomy

SAMPLES = Path(__file__).resolve().parents[1] / "tests" / "samples"
Row = dict[str, Any]

PARAGRAPHS = (
    "<jats:p>We compared weekly interpersonal psychotherapy with a waiting list. Forty adults took part (n&lt;50).</jats:p>",
    (
        "<jats:title>Abstract</jats:title><jats:sec><jats:title>Background</jats:title><jats:p>Grief &amp; loss are common."
        "</jats:p></jats:sec><jats:sec><jats:title>Results</jats:title><jats:p>Scores fell by 4&#x2009;points (<jats:italic>p"
        "</jats:italic>&lt;0.05).</jats:p></jats:sec>"
    ),
    "<jats:p>\n   This paper has no method.\n   It gives two<jats:sup>nd</jats:sup> opinions.\n</jats:p>",
    "&lt;p&gt;Escaped twice: a &amp;lt; b.&lt;/p&gt;",
    "Plain text without markup, about H<sub>2</sub>O.",
    (
        '<jats:p>A rate of <mml:math xmlns:mml="http://www.w3.org/1998/Math/MathML"><mml:mi>x</mml:mi><mml:mo>=</mml:mo>'
        "<mml:mn>2</mml:mn></mml:math> was seen.</jats:p>"
    ),
)
"""Our own words, in the forms of markup in which abstracts are deposited. They stand where a record had an abstract."""

MEASURED = ("ipt-labelled.csv", "ipt-bibliography.jsonl", "rct-labelled.csv")
"""The samples on which the rules are measured."""
PERMISSIVE = ("MIT", "ISC", "Apache-2.0", "BSD-3")
DROPPED = frozenset({"abstract", "assertion", "description", "link", "content-domain", "resource", "deposited", "_id"})
"""Keys of a record that may hold a publisher's sentences, or that no test reads."""
REFERENCES = 5
HEADERS = {
    "content-type",
    "location",
    "x-api-pool",
    "x-concurrency-limit",
    "vary",
    "server",
    "exception-name",
    "status",
}


def crossref_works(data: Path) -> Iterator[Row]:
    """Records that together have every tag of the collection, each tag twice where there are so many."""
    rows = [row for row in _json_lines(data, "crossref-works.jsonl") if row["work"]["DOI"] != "<<DOI>>"]
    rows = [row for row in rows if row["provenance"]["licence"] in PERMISSIVE]
    rows = [{"tags": _tags(row), "work": _without_abstract(row["work"], place)} for place, row in enumerate(rows)]
    rows = [row for row in rows if len(_line(row)) < 3200]
    wanted = Counter(tag for row in rows for tag in row["tags"]) + Counter(
        f"type {row['work']['type']}" for row in rows
    )
    left = {tag: min(2, count) for tag, count in wanted.items()}
    taken = []
    while any(left.values()):
        best = max(rows, key=lambda row: (_gain(row, left) / (400 + len(_line(row))), row["work"]["DOI"]))
        rows.remove(best)
        for tag in (*best["tags"], f"type {best['work']['type']}"):
            left[tag] = max(0, left[tag] - 1)
        taken.append(best)
    spoilt = min(taken, key=lambda row: (len(_line(row)), row["work"]["DOI"]))
    yield from sorted(taken, key=lambda row: str(row["work"]["DOI"]))
    yield {"tags": [], "work": spoilt["work"] | {"DOI": "<<DOI>>"}}


def _tags(row: Row) -> list[str]:
    return [
        tag for tag in row["tags"] if not tag.startswith("has_") or tag in ("has_event", "has_review", "has_aliases")
    ]


def _gain(row: Row, left: Mapping[str, int]) -> int:
    return sum(left[tag] > 0 for tag in (*row["tags"], f"type {row['work']['type']}"))


def _without_abstract(work: Row, place: int) -> Row:
    kept = {key: value for key, value in work.items() if key not in DROPPED}
    if work.get("reference"):
        kept["reference"] = work["reference"][:REFERENCES]
    if isinstance(work.get("author"), list) and len(work["author"]) > 60:
        kept["author"] = work["author"][:60]
    if work.get("abstract"):
        kept["abstract"] = PARAGRAPHS[place % len(PARAGRAPHS)]
    return kept


def recorded_exchanges(data: Path) -> Iterator[Row]:
    """One exchange for each kind of answer: status, route, form of the body, spelling of the headers, cut off or whole."""
    seen: Counter[tuple[object, ...]] = Counter()
    for row in _json_lines(data, "crossref-http-recorded.jsonl"):
        headers = {name: value for name, value in row["headers"].items() if _kept(name)}
        path = row["uri"].split("?")[0].removeprefix("https://api.crossref.org").removeprefix("/v1")
        body = _short_body(row)
        single = path.startswith("/works/10.") and path.count("/") == 3
        limits = tuple(sorted(name for name in headers if "rate" in name))
        form = (
            "JSON"
            if body.lstrip()[:1] in "{["
            else "Base64"
            if "\n" in row["body"] and _decoded(row["body"])
            else "text"
        )
        kind = (row["status"], path == "/works", single, form, row["body_truncated"], limits, headers.get("x-api-pool"))
        if len(body) > 2450 or _has_abstract(body) or seen[kind] >= _wanted(row):
            continue
        seen[kind] += 1
        kept = {"uri": row["uri"].split("&pid=")[0], "status": row["status"], "headers": headers, "body": body}
        yield kept | {"body_truncated": row["body_truncated"]}


def _kept(name: str) -> bool:
    return name.lower() in HEADERS or "rate" in name.lower()


def _wanted(row: Row) -> int:
    return 1 if row["body_truncated"] else 2 if row["status"] in (200, 400, 404) else 9


def _decoded(body: str) -> str | None:
    try:
        return base64.b64decode(body.replace("\n", ""), validate=True).decode("utf-8", "replace")
    except ValueError:
        return None


def _has_abstract(body: str) -> bool:
    return any(
        mark in text.casefold()
        for text in (body, _decoded(body) or "")
        for mark in ('"abstract"', "jats:", "<abstract")
    )


def _short_body(row: Row) -> str:
    """A cut body is cut earlier; a whole answer loses abstracts and all but its first items and references."""
    body: str = row["body"]
    if row["body_truncated"]:
        return body[:400]
    if row["status"] != 200:
        return body
    try:
        parsed = json.loads(body)
    except ValueError:
        return body
    _shorten(parsed)
    return json.dumps(parsed, ensure_ascii=False, separators=(",", ":"))


def _shorten(value: object) -> None:
    if isinstance(value, dict):
        for key in DROPPED & value.keys():
            del value[key]
        for key, most in (("items", 2), ("reference", 2), ("author", 5), ("descendants", 3)):
            if isinstance(value.get(key), list):
                del value[key][most:]
        for inner in value.values():
            _shorten(inner)
    elif isinstance(value, list):
        for inner in value:
            _shorten(inner)


def reference_strings(data: Path) -> Iterator[Row]:
    """Every 140th citation with its work, and for each the other citation whose work resembles it most."""
    rows = list(_json_lines(data, "reference-strings.jsonl"))
    read = citation_accuracy.labelled_citations(json.dumps(row) for row in rows)
    index = citation_accuracy.Index(row.work for row in read if row.work)
    by_doi = {row.work.doi: number for number, row in reversed([*enumerate(read)]) if row.work}
    taken: dict[int, None] = {}
    for number in range(0, len(rows), 140):
        taken[number] = None
        for near in index.search(read[number].text, without=read[number].truth)[:1]:
            taken[by_doi[near.doi]] = None
    for number in sorted(taken):
        yield {key: value for key, value in rows[number].items() if key != "pmid"}


def checked_references(data: Path) -> Iterator[Row]:
    """Every fourteenth reference that Crossref checked by hand, with its matcher's answer and score."""
    for row in [*_json_lines(data, "reference-matching.jsonl")][::14]:
        record = {key: value for key, value in row["record"].items() if key != "matcher"}
        yield {"kind": row["kind"], "record": record}


def labelled_titles(data: Path) -> Iterator[Row]:
    """Titles with their label: every relevant one, and irrelevant ones of every kind that is mistaken for the field."""
    kinds: Counter[str] = Counter()
    for row in _table(data, "ipt-labelled.csv"):
        kinds[row["hard_negative"]] += 1
        rare = row["label_relevant"] == "0" and kinds[row["hard_negative"]] <= 18
        if row["title"] and (row["label_relevant"] == "1" or rare):
            yield {key: row[key] for key in ("id", "doi", "title", "label_relevant", "hard_negative")}


def trial_titles(data: Path) -> Iterator[Row]:
    """Every fourth MEDLINE record: its title, and whether MEDLINE calls it a randomised trial."""
    for row in [*_table(data, "rct-labelled.csv")][::4]:
        yield {key: row[key] for key in ("pmid", "doi", "title", "is_rct_medline")}


def bibliography_titles(data: Path) -> Iterator[Row]:
    """Every second work that two readers labelled, by its title; facets without a value are left out."""
    rows = [row for row in _json_lines(data, "ipt-bibliography.jsonl") if "labels_second_reader" in row]
    for row in [row for row in rows if not row["title_is_placeholder"]][::2]:
        kept = {key: row[key] for key in ("doi", "title", "relevant", "relevant_second_reader")}
        for key in ("labels", "labels_second_reader"):
            kept[key] = {facet: values for facet, values in row[key].items() if values or facet == "variant"}
        yield kept


def doi_cases(data: Path) -> Iterator[Row]:
    """The cases that everybody agrees on and that stand under a permissive licence."""
    for row in _table(data, "doi-cases.csv"):
        if row["use"] == "core" and row["licence"] in PERMISSIVE:
            yield row


def real_dois(data: Path) -> Iterator[str]:
    """Every fifth DOI, and every one with a character that is rare in DOIs."""
    for number, doi in enumerate((data / "crossref-dois-999.txt").read_text(encoding="utf-8").split()):
        if number % 5 == 0 or not all(sign.isalnum() or sign in "./-_()" for sign in doi):
            yield doi


def markup_cases(data: Path) -> Iterator[Row]:
    """The cases under a permissive licence, and two titles."""
    for row in _table(data, "text/markup_cases.csv"):
        if "(MIT)" in row["source"] or row["source"].startswith(("hypothesis/", "CrossRef/")):
            yield row


def date_cases(data: Path) -> Iterator[Row]:
    """The dates in Crossref's form."""
    for row in _table(data, "dates/date_cases.csv"):
        if row["input"].startswith("{") and row["licence"] in PERMISSIVE:
            yield row


def duplicate_records(data: Path, name: str, most: int = 18) -> Iterator[Row]:
    """Works with more than one record, spread over the set, and records of different works that resemble each other."""
    with tarfile.open(data / "dedup" / f"{name}.tar.gz") as archive:
        texts = {Path(member.name).name: _member(archive, member) for member in archive if member.isfile()}
    rows = {row["ID"]: row for row in csv.DictReader(io.StringIO(texts[evaluation.RECORDS], newline=""))}
    gold = csv.DictReader(io.StringIO(texts[evaluation.GOLD], newline=""))
    clusters = [keys for row in gold if (keys := [key for key in row["merged_ids"].split(";") if key in rows])]
    home = {key: number for number, keys in enumerate(clusters) for key in keys}
    candidates, _ = evaluation.read_records(texts[evaluation.RECORDS])
    several = [number for number, keys in enumerate(clusters) if len(keys) > 1]
    taken = set(several[:: max(1, len(several) // most)])
    alike = [
        pair
        for pair in duplicate_clusters.find_pairs(candidates)
        if home.get(pair.first, -1) != home.get(pair.second, -2)
    ]
    chosen = {key for number in taken for key in clusters[number]}
    chosen |= {key for pair in alike[: most // 2] for key in (pair.first, pair.second)}
    chosen |= {key for number, keys in enumerate(clusters) if set(keys) & chosen for key in clusters[number]}
    columns = ("ID", "ENTRYTYPE", "title", "author", "year", "journal", "booktitle", "volume", "number", "pages", "doi")
    for key in (key for key in rows if key in chosen):
        row = {column: rows[key].get(column) or "" for column in columns}
        yield row | {"cluster": home.get(key, f"alone {key}")}


def hard_pairs(data: Path) -> Row:
    """The pairs of real records, without abstracts."""
    document = json.loads((data / "dedup" / "hard-pairs.json").read_text(encoding="utf-8"))
    document["cases"] = [case for case in document["cases"] if not case["id"].startswith("smith_2020")]
    for case in document["cases"]:
        for side in ("record_a", "record_b"):
            case[side].pop("abstract", None)
    return document  # type: ignore[no-any-return]


def figures(folder: Path, book: Taxonomy) -> list[published_accuracy.Figure]:
    """What the rules measure on the titles. The rules' digest is not in it."""
    labelled, works, trials = (accuracy.labelled_records(folder / name) for name in MEASURED)
    of_labelled, of_works, of_trials = MEASURED
    found = [
        *published_accuracy.screening_figures(accuracy.measure_screening(labelled, book), of_labelled, ""),
        *published_accuracy.screening_figures(accuracy.measure_screening(works, book), of_works, ""),
        published_accuracy.trial_figure(accuracy.measure_trials(trials, book), of_trials, ""),
        *published_accuracy.tag_figures(works, book, of_works, book.topic.facet_ids),
    ]
    return [replace(figure, rules="") for figure in found]


def main(data: Path, out: Path = SAMPLES) -> None:
    """Write every sample, and say how large each is."""
    for folder in ("text", "dates", "dedup"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    for name, rows in JSON_LINES.items():
        (out / name).write_text("".join(f"{_line(row)}\n" for row in rows(data)), encoding="utf-8")
    for name, rows in TABLES.items():
        _write_table(out / name, [*rows(data)])
    for name in DEDUP:
        _write_table(out / "dedup" / f"{name}.csv", [*duplicate_records(data, name)])
    (out / "dedup" / "hard-pairs.json").write_text(
        json.dumps(hard_pairs(data), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    _write_gzipped(out / "bibliography-facts.jsonl.gz", _text(data, "bibliography-facts.jsonl"))
    published_accuracy.write_table(figures(out, taxonomy.load()), out / "accuracy.csv")
    (out / "crossref-dois.txt").write_text("".join(f"{doi}\n" for doi in real_dois(data)), encoding="utf-8")
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        print(f"{path.stat().st_size:>8}  {path.relative_to(out)}")


JSON_LINES: Mapping[str, Callable[[Path], Iterable[Row]]] = {
    "crossref-works.jsonl": crossref_works,
    "crossref-http-recorded.jsonl": recorded_exchanges,
    "reference-strings.jsonl": reference_strings,
    "reference-matching.jsonl": checked_references,
    "ipt-bibliography.jsonl": bibliography_titles,
}
TABLES: Mapping[str, Callable[[Path], Iterable[Row]]] = {
    "ipt-labelled.csv": labelled_titles,
    "rct-labelled.csv": trial_titles,
    "doi-cases.csv": doi_cases,
    "text/markup_cases.csv": markup_cases,
    "dates/date_cases.csv": date_cases,
}
DEDUP = ("cytology_screening", "digital_work", "haematology", "respiratory", "special_cases", "stroke")


def _json_lines(data: Path, name: str) -> Iterator[Row]:
    yield from map(json.loads, filter(str.strip, _text(data, name).split("\n")))


def _table(data: Path, name: str) -> Iterator[Row]:
    yield from csv.DictReader(io.StringIO(_text(data, name), newline=""))


def _text(data: Path, name: str) -> str:
    packed = data / f"{name}.gz"
    return (gzip.decompress(packed.read_bytes()) if packed.exists() else (data / name).read_bytes()).decode("utf-8-sig")


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    content = archive.extractfile(member)
    return content.read().decode("utf-8-sig") if content else ""


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def _write_gzipped(path: Path, text: str) -> None:
    with path.open("wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=9, mtime=0) as file:
        file.write(text.encode())


def _write_table(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python scripts/make_test_samples.py DATA")
    main(Path(sys.argv[1]))
