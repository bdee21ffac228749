"""How fast `evidence backfill` reads Crossref's public data file, beside plain decompression of the same files.

    python -m benchmarks.backfill RECORDS.jsonl.gz FOLDER --gigabytes 2 --workers 2

RECORDS are real records, one a line (or under `work`). From them FOLDER is filled with a synthetic part of the true shape:
files of 3,000 to 5,000 records, drawn at random so that a record has as many bytes on average as in the whole file, each with
its own DOI, dates and counts. The first record of each file has a title that the bundled searches want: as many have to match.
First every process time is measured in pairs on one core: a file decompressed, the same file scanned. Then all of FOLDER is
scanned by `--workers` processes. What the whole file would take follows from both.
"""

from __future__ import annotations

import argparse
import gzip
import random
import re
import shutil
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import orjson

from evidence.crossref import public_data_file
from evidence.crossref.public_data_file import DECOMPRESSOR, Part, parts_of
from evidence.data_model import Doi
from evidence.harvest import sources
from evidence.harvest.reader_processes import reduce_garbage_collection
from evidence.harvest.scan_parts import Scanner, Wanted
from evidence.harvest.scan_processes import scanned_in_order
from evidence.harvest.sources import Search

RECORDS, COMPRESSED = 180_000_000, 208e9
"""Records and bytes of the public data file of 2026."""
MEAN_BYTES = 6_100
"""Bytes of a record unzipped: 1.1 TB in all."""
KNOWN = 3_000
"""Wanted DOIs: the known works of a middling review."""
SEED = 19
WANTED_TITLE = "Interpersonal psychotherapy for depression"
OF_TODAY = {key: {"date-parts": [[2026, 1, 5]]} for key in ("issued", "published")}
"""The searches want no record from before 1974."""


def read(path: Path) -> list[dict[str, object]]:
    """The records of a file."""
    with gzip.open(path) as file:
        rows = [orjson.loads(line) for line in file]
    return [row.get("work", row) for row in rows]


def weights(sizes: list[int]) -> list[float]:
    """Weights by which drawn records have `MEAN_BYTES` on average: short ones weigh more, as far as it takes."""
    low, high = 0.0, 1e-2
    for _ in range(60):
        middle = (low + high) / 2
        drawn = [2.718281828 ** (-middle * size) for size in sizes]
        mean = sum(w * s for w, s in zip(drawn, sizes, strict=True)) / sum(drawn)
        low, high = (middle, high) if mean > MEAN_BYTES else (low, middle)
    return drawn


def made(records: list[bytes], size: float, folder: Path) -> None:
    """Fill a folder with files until these have so many bytes."""
    chance = random.Random(SEED)
    drawn_by = weights([len(record) for record in records])
    folder.mkdir(parents=True, exist_ok=True)
    written, number = (
        sum(path.stat().st_size for path in folder.glob("*.jsonl.gz")),
        len(list(folder.glob("*.jsonl.gz"))),
    )
    digits = re.compile(rb"(?<=[\d.])\d{3}(?=\d)")
    while written < size:
        path = folder / f"{number:05}.jsonl.gz"
        with gzip.open(path.with_suffix(".part"), "wb", compresslevel=6) as file:
            wanted = orjson.loads(records[number % len(records)]) | {"title": [WANTED_TITLE], **OF_TODAY}
            file.write(orjson.dumps(wanted) + b"\n")
            for record in chance.choices(records, drawn_by, k=chance.randint(3_000, 5_000)):
                other = str(chance.randrange(100, 1000)).encode()
                file.write(digits.sub(other, record) + b"\n")
        path.with_suffix(".part").rename(path)
        written, number = written + path.stat().st_size, number + 1


def decompressed(part: Part) -> int:
    """Bytes of a part, decompressed by the same library in the same steps, and dropped."""
    total = 0
    with Path(part.file).open("rb") as raw, public_data_file._open_gzip(raw) as file:
        while read := file.read(public_data_file.BLOCK):
            total += len(read)
    return total


def paired(parts: list[Part], scanner: Scanner) -> Iterator[tuple[float, float, int, int]]:
    """For each part: process times of decompressing and of scanning it, its bytes unzipped, its records."""
    for number, part in enumerate(parts):
        order = (0, 1) if number % 2 else (1, 0)
        took = [0.0, 0.0]
        size = records = 0
        for which in order:
            begun = time.process_time()
            if which:
                records = scanner.scan(part).records
            else:
                size = decompressed(part)
            took[which] = time.process_time() - begun
        yield took[0], took[1], size, records


def main() -> None:
    """Make the part, measure, and print what follows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("records", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gigabytes", type=float, default=0.05)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", action="store_true", help="leave FOLDER for the next time")
    chosen = parser.parse_args()
    records = read(chosen.records)
    made([orjson.dumps(record).replace(b"/", rb"\/") for record in records], chosen.gigabytes * 1e9, chosen.folder)
    parts = parts_of([chosen.folder])
    config = sources.load(Path(__file__).parents[1] / "sources.yaml")
    searches = tuple(source for source in config.sources if isinstance(source, Search))
    wanted = Wanted(searches, frozenset(Doi(f"10.9999/known.{n:07}") for n in range(KNOWN)))
    scanner = Scanner(wanted)
    reduce_garbage_collection()  # as each process of a backfill does
    pairs = list(paired(parts[: chosen.pairs], scanner))
    size, count = sum(p[2] for p in pairs), sum(p[3] for p in pairs)
    zipped = sum(part.size for part in parts[: chosen.pairs])
    ratios = [plain / scan for plain, scan, _, _ in pairs]
    plain, scan = statistics.median(p[0] / p[3] for p in pairs), statistics.median(p[1] / p[3] for p in pairs)
    print(
        f"{DECOMPRESSOR}; {len(parts)} files, {sum(p.size for p in parts) / 1e9:.2f} GB; {size / count:,.0f} bytes a record, "
        f"{zipped / count:,.0f} zipped ({size / zipped:.1f} to 1; the true file: {COMPRESSED / RECORDS:,.0f})"
    )
    spread = f"{statistics.median(ratios):.2f} of plain decompression ({min(ratios):.2f} to {max(ratios):.2f})"
    print(f"one core, process time, {len(pairs)} pairs: {spread}")
    print(f"decompressed {1 / plain:,.0f} records/s, scanned {1 / scan:,.0f} records/s")
    begun, total, matched = time.perf_counter(), 0, 0
    for _, scanned in scanned_in_order(parts, wanted, chosen.workers):
        total, matched = total + scanned.records, matched + scanned.matched
    took = time.perf_counter() - begun
    print(
        f"{chosen.workers} processes: {len(parts) / took:.2f} files/s, {total / took:,.0f} records/s, "
        f"{sum(p.size for p in parts) / took / 1e6:,.0f} MB/s from the disk; "
        f"{matched} matched, of {len(parts)} that have to"
    )
    for cores in (2, 8, 32):
        hours = RECORDS * scan / cores / 3600
        disk = COMPRESSED / hours / 3600 / 1e6
        print(f"{cores} cores: {hours:.1f} h for {RECORDS:,} records, if the disk gives {disk:,.0f} MB/s")
    if not chosen.keep:
        shutil.rmtree(chosen.folder)


if __name__ == "__main__":
    main()
