"""Builds the decisions that come with the bundled snapshot: `python scripts/build_bundled_decisions.py`.

It writes `evidence/topics/ipt/bundled_records/decisions.csv`, in the form of `evidence decisions export`, from the bibliography
that two readers labelled independently (`../shared/data`, or `--from FOLDER`). Without it, it says so and changes nothing. Each
reading is a reviewer: it decides the verdict on each work of the snapshot that both read, and the tags that both gave. Where only
one gave a tag of the facets in `DISPUTED`, one says that the work has it and the other that it has not; in the other facets
nothing is written. The readers' texts are not copied.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from evidence import doi as dois
from evidence.data_model import Decision
from evidence.review import decisions_csv
from evidence.rules import taxonomy, topic

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"
LABELLED = "ipt-bibliography.jsonl.gz"

READINGS = {"reading 1": ("relevant", "labels"), "reading 2": ("relevant_second_reader", "labels_second_reader")}
"""The reviewers, and where their verdict and their tags are in a row."""
DISPUTED = frozenset({"design", "outcome"})
"""Facets in which a difference between the readings is a conflict to show. In the others most differences come from how far a
reader filled a facet in (whether "adults" goes without saying), not from the work."""
MADE_AT = "2026-11-01T00:00:00Z"
"""The day of the labels is not known: this is the first day of the month in which the snapshot was gathered."""
READ = {
    "title+abstract": "Read in the title and a condensed abstract.",
    "title": "Read in the title.",
}


def build(rows: Iterable[Mapping[str, Any]], snapshot: set[str], known: set[tuple[str, str]]) -> list[Decision]:
    """The decisions on works of the snapshot, by DOI. `known` are the facets and values of the taxonomy."""
    usable = {
        dois.lower(row["doi"]): row
        for row in rows
        if row.get("doi") and not row["title_is_placeholder"] and all(key in row for key in sum(READINGS.values(), ()))
    }
    return [decision for doi in sorted(usable.keys() & snapshot) for decision in _on_work(doi, usable[doi], known)]


def _on_work(doi: str, row: Mapping[str, Any], known: set[tuple[str, str]]) -> Iterator[Decision]:
    tags = {
        reader: {(facet, value) for facet, values in row[labels].items() for value in values} & known
        for reader, (_, labels) in READINGS.items()
    }
    both, either = set.intersection(*tags.values()), set.union(*tags.values())
    decided = sorted(both | {tag for tag in either if tag[0] in DISPUTED})
    for reader, (relevant, _) in READINGS.items():
        yield _decision(doi, reader, row, "verdict", "include" if row[relevant] else "exclude")
        for tag in decided:
            yield _decision(doi, reader, row, "tag" if tag in tags[reader] else "untag", None, *tag)


def _decision(
    doi: str,
    reader: str,
    row: Mapping[str, Any],
    action: Any,
    verdict: Any,
    facet: str | None = None,
    value: str | None = None,
) -> Decision:
    return Decision(
        dois.lower(doi), action, verdict, facet, value, READ[row["label_basis"]], reader, MADE_AT, None, None
    )


def main() -> None:
    """Write the file, or say why not."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--from", dest="folder", type=Path, default=SHARED, help="the folder with the full test sets")
    source = parser.parse_args().folder / LABELLED
    if not source.exists():
        print(f"{source}: not there; nothing changed")
        return
    ipt = topic.load("ipt")
    records = gzip.decompress(ipt.records_path.read_bytes()).decode().splitlines()
    rows = map(json.loads, gzip.decompress(source.read_bytes()).decode().splitlines())
    decisions = build(rows, {json.loads(line)["DOI"] for line in records}, set(taxonomy.load(ipt).tags))
    ipt.decisions_path.write_bytes("".join(decisions_csv.csv_lines(decisions)).encode())
    print(f"{ipt.decisions_path.name}: {len(decisions)} decisions on {len({d.doi for d in decisions})} works")


if __name__ == "__main__":
    main()
