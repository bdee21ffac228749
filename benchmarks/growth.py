"""How processor time and memory grow with the number of works, for each step, as a table and a drawing.

    python -m benchmarks.growth FOLDER [--sizes 1000 10000 100000] [--steps landing judging …] [--svg docs/growth.svg]

Each step runs in a process of its own; its processor time (with its children's) and the peak of its resident memory are added to
`FOLDER/growth.csv`, and the drawing is made from all that is there. Databases of synthetic works
(`benchmarks.synthetic_database`) are made in the folder and used again. Steps:

* `landing`: synthetic records of full length, normalised, judged, written and indexed as a sync does; without duplicates.
* `judging`: these works read, judged and tagged again, as after a changed program.
* `references`: as many citations without a DOI as works, resolved among as many records; of more than 100,000 citations so
  many are resolved, and the time of the others is reckoned from theirs.
* `duplicates`: pairs and clusters, a tenth of the works with a second record.
* `exporting`: `evidence export -f csv`. `publishing`: `evidence publish`.
* `slowest page`: of the published site, the page with the slowest median of five; its wall time, and the memory of the server.
* `parsing`: the floor: as many records of the same length parsed as JSON.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from benchmarks import duplicate_detection, page_times, reference_lists, store_records, synthetic_database
from evidence.crossref.normalise import serialise
from evidence.crossref.records_from_files import RecordFiles
from evidence.data_model import Citation, Doi, RecordText
from evidence.database.writer import open_store
from evidence.harvest import rejudge, sync
from evidence.harvest.progress import NoProgress
from evidence.harvest.sources import Config
from evidence.linkage.duplicate_clusters import build_clusters, find_pairs
from evidence.publish.immutable_copy import publish
from evidence.rules import taxonomy

SIZES = (1_000, 10_000, 100_000)
MOST_CITATIONS = 100_000
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 340, 300, 56, 34, 34
RIGHT = 96
"""Room for the names beside the ends of the lines."""
DASHES = ("none", "6 3", "2 2", "8 2 2 2", "10 4", "1 3", "4 1", "12 3 3 3")


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds of processor (of a page: of the clock) and peak resident memory of one step at one size."""

    step: str
    works: int
    seconds: float
    megabytes: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--steps", nargs="*", choices=STEPS, default=list(STEPS))
    parser.add_argument("--svg", type=Path)
    parser.add_argument(
        "--one", action="store_true", help="measure the one step at the one size here, and print it as JSON"
    )
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(one(arguments.folder, arguments.steps[0], arguments.sizes[0])))
        return
    arguments.folder.mkdir(parents=True, exist_ok=True)
    log = arguments.folder / "growth.csv"
    for size in arguments.sizes:
        for step in arguments.steps:
            keep(log, in_a_process(arguments.folder, step, size))
    if (log.exists() and arguments.svg) and (rows := measured(log)):
        arguments.svg.write_text(drawing(rows))
    print(table(measured(log)) if log.exists() else "nothing was measured")


# ---------------------------------------------------------------------- measuring


def in_a_process(folder: Path, step: str, size: int) -> Measured:
    """One step at one size, measured in a new process."""
    database(folder, size, step)
    line = [sys.executable, "-m", "benchmarks.growth", str(folder), "--one", "--steps", step, "--sizes", str(size)]
    answer = json.loads(subprocess.run(line, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    return Measured(step, size, answer["seconds"], answer["megabytes"])


def one(folder: Path, step: str, size: int) -> dict[str, float]:
    """Seconds and megabytes of a step; what the step needs is prepared before the clock starts."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        return STEPS[step](folder, Path(scratch), size)


def cost(work: Callable[[], object], of: int = resource.RUSAGE_SELF) -> dict[str, float]:
    """Processor seconds of a call, with its child processes, and the peak memory so far: of this process, or of its child."""
    began = store_records.Seconds.now()
    work()
    return {
        "seconds": (store_records.Seconds.now() - began).processor,
        "megabytes": resource.getrusage(of).ru_maxrss / 1024,
    }


def command(*line: str) -> dict[str, float]:
    """What `evidence` with these words costs."""
    words = [sys.executable, "-m", "evidence", *line]
    quiet = subprocess.DEVNULL
    return cost(lambda: subprocess.run(words, check=True, stdout=quiet, stderr=quiet), resource.RUSAGE_CHILDREN)


def database(folder: Path, size: int, step: str) -> Path:
    """The synthetic database of a size; made when a step needs it and it is not there."""
    db = folder / f"works-{size}.db"
    if step in ("exporting", "publishing", "slowest page") and not db.exists():
        synthetic_database.make(db, size)
    return db


def records(size: int) -> Iterator[dict[str, Any]]:
    """Synthetic records with abstracts and reference lists, each of another work."""
    chance = random.Random(size)
    for number in range(size):
        yield reference_lists.made_up_work(number, chance)


def texts(size: int) -> Iterator[RecordText]:
    """The same, as they are read from files."""
    for record in records(size):
        text, digest = serialise(record)
        yield RecordText(Doi(record["DOI"]), digest, text)


def parsing(_: Path, scratch: Path, size: int) -> dict[str, float]:
    file = scratch / "records.jsonl"
    with file.open("w") as out:
        out.writelines(json.dumps(record) + "\n" for record in records(size))

    def parse() -> None:
        with file.open() as lines:
            for line in lines:
                json.loads(line)

    return cost(parse)


def landing(folder: Path, _: Path, size: int) -> dict[str, float]:
    book = taxonomy.load()
    rejudge.find_duplicates = lambda *_, **__: 0  # type: ignore[attr-defined]
    db = landed(folder, size)
    db.unlink(missing_ok=True)

    def land() -> None:
        with open_store(db, db.with_suffix(".decisions")) as store:
            nowhere = Config(None, (), (), ())
            sync.sync(nowhere, store, store_records.NoSource(), book, now=lambda: datetime.now(UTC), take=texts(size))

    return cost(land)


def judging(folder: Path, scratch: Path, size: int) -> dict[str, float]:
    """The works of `landing`, which must have been measured before."""
    book = taxonomy.load()
    copy = shutil.copy(landed(folder, size), scratch / "evidence.db")
    with open_store(Path(copy), scratch / "decisions.db") as store:
        with store.conn:
            store.conn.execute("update works set basis = 'rules of before'")
        return cost(lambda: rejudge.rejudge_stale(store, book, 1, {}, NoProgress()))


def landed(folder: Path, size: int) -> Path:
    return folder / f"landed-{size}.db"


def references(_: Path, scratch: Path, size: int) -> dict[str, float]:
    file = scratch / "records.jsonl"
    with file.open("w") as out:
        few = min(size, MOST_CITATIONS)
        texts = reference_lists.made_up(few, size, lambda record: out.write(json.dumps(record) + "\n"))
    reading = 0.0

    def resolve() -> None:
        nonlocal reading
        began = store_records.Seconds.now()
        with RecordFiles([file], citations=texts, everything=True) as records:
            reading = (store_records.Seconds.now() - began).processor
            citations = [Citation("list", number, text, None) for number, text in enumerate(texts, start=1)]
            for _ in reference_lists.settle(citations, records):
                pass

    found = cost(resolve)
    return found | {"seconds": reading + (found["seconds"] - reading) * size / few}


def duplicates(_: Path, scratch: Path, size: int) -> dict[str, float]:
    works = duplicate_detection.StoredWorks(scratch / "works.db", duplicate_detection.synthetic_works(size))
    return cost(lambda: build_clusters(find_pairs(works), works))


def exporting(folder: Path, scratch: Path, size: int) -> dict[str, float]:
    db = database(folder, size, "exporting")
    return command("--db", str(db), "export", "-f", "csv", "-o", str(scratch / "works.csv"))


def publishing(folder: Path, scratch: Path, size: int) -> dict[str, float]:
    return command("--db", str(database(folder, size, "publishing")), "publish", str(scratch / "site"))


def slowest_page(folder: Path, scratch: Path, size: int) -> dict[str, float]:
    done = publish(database(folder, size, "slowest page"), scratch / "site", now=lambda: datetime.now(UTC))
    pages = page_times.ours(page_times.read(done.folder / "evidence.db"))
    with page_times.served(["sh", str(done.folder / "start")], environment=True) as server:
        middle = {
            name: statistics.median(server.ask(address())[0] for _ in range(5)) for name, address in pages.items()
        }
        return {"seconds": max(middle.values()), "megabytes": server.memory()}


STEPS: dict[str, Callable[[Path, Path, int], dict[str, float]]] = {
    "parsing": parsing,
    "landing": landing,
    "judging": judging,
    "references": references,
    "duplicates": duplicates,
    "exporting": exporting,
    "publishing": publishing,
    "slowest page": slowest_page,
}


# ---------------------------------------------------------------------- the table and the drawing


def keep(log: Path, new: Measured) -> None:
    """Write the measurement; one of the same step and size goes."""
    rows = [row for row in (measured(log) if log.exists() else []) if (row.step, row.works) != (new.step, new.works)]
    rows = sorted([*rows, new], key=lambda row: (list(STEPS).index(row.step), row.works))
    with log.open("w", newline="") as out:
        writer = csv.DictWriter(out, ["step", "works", "seconds", "megabytes"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            asdict(row) | {"seconds": f"{row.seconds:.3g}", "megabytes": f"{row.megabytes:.0f}"} for row in rows
        )


def measured(log: Path) -> list[Measured]:
    with log.open(newline="") as file:
        return [
            Measured(row["step"], int(row["works"]), float(row["seconds"]), float(row["megabytes"]))
            for row in csv.DictReader(file)
        ]


def growth(rows: Sequence[Measured]) -> list[tuple[Measured, float | None]]:
    """Each measurement with the power of the size by which its time grew since the next smaller one; 1 is linear."""
    found: list[tuple[Measured, float | None]] = []
    for row in rows:
        before = max(
            (r for r in rows if r.step == row.step and r.works < row.works), key=lambda r: r.works, default=None
        )
        power = None
        if before is not None:
            power = math.log(row.seconds / before.seconds) / math.log(row.works / before.works)
        found.append((row, power))
    return found


def table(rows: Sequence[Measured]) -> str:
    """A Markdown table."""
    lines = ["| step | works | seconds | growth | MB |", "|---|--:|--:|--:|--:|"]
    for row, power in growth(rows):
        said = "" if power is None else f"{power:.2f}"
        lines.append(f"| {row.step} | {row.works:,} | {row.seconds:,.3g} | {said} | {row.megabytes:,.0f} |")
    return "\n".join(lines)


def drawing(rows: Sequence[Measured]) -> str:
    """Two charts side by side, time and memory against works, both axes logarithmic; the dotted line is linear growth."""
    panels = [
        panel(rows, "Seconds", lambda row: row.seconds, 0),
        panel(rows, "Megabytes", lambda row: row.megabytes, LEFT + WIDTH + RIGHT),
    ]
    width, height = 2 * (LEFT + WIDTH + RIGHT), TOP + HEIGHT + BOTTOM
    said = "Time and memory against the number of works, with logarithmic axes; the numbers are in the table"
    style = "text{font:12px sans-serif;fill:currentColor}path,line{fill:none;stroke:currentColor}.grid{opacity:.2}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{said}">'
        f"<style>{style}svg{{color:#222;background:#fff}}</style>{''.join(panels)}</svg>\n"
    )


def panel(rows: Sequence[Measured], title: str, of: Callable[[Measured], float], x: float) -> str:
    """One chart."""
    values = [max(of(row), 1e-3) for row in rows]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    first, last = (math.log10(edge(row.works for row in rows)) for edge in (min, max))

    def across(works: float) -> float:
        return x + LEFT + (math.log10(works) - first) / max(last - first, 1e-9) * WIDTH

    def up(value: float) -> float:
        return TOP + HEIGHT - (math.log10(max(value, 1e-3)) - low) / max(high - low, 1) * HEIGHT

    parts = [f'<text x="{x + LEFT:.0f}" y="16" font-weight="bold">{title}</text>']
    for power in range(low, high + 1):
        y = up(10**power)
        parts.append(f'<line class="grid" x1="{x + LEFT:.0f}" x2="{x + LEFT + WIDTH:.0f}" y1="{y:.0f}" y2="{y:.0f}"/>')
        parts.append(f'<text x="{x + LEFT - 6:.0f}" y="{y + 4:.0f}" text-anchor="end">{10.0**power:,g}</text>')
    parts += [
        f'<text x="{across(works):.0f}" y="{TOP + HEIGHT + 20}" text-anchor="middle">{works:,}</text>'
        for works in sorted({row.works for row in rows})
    ]
    rise = 10 ** min(last - first, high - low)
    parts.append(
        f'<line class="grid" stroke-dasharray="2 4" x1="{across(10**first):.0f}" y1="{up(10**low):.0f}" '
        f'x2="{across(10**first * rise):.0f}" y2="{up(10**low * rise):.0f}"/>'
    )
    ends: list[tuple[float, float, str]] = []
    for dash, step in zip(DASHES, STEPS, strict=True):
        line = [row for row in rows if row.step == step]
        if line:
            points = " L".join(f"{across(row.works):.1f} {up(of(row)):.1f}" for row in line)
            parts.append(f'<path d="M{points}" stroke-width="1.6" stroke-dasharray="{dash}"/>')
            parts += [f'<circle cx="{across(row.works):.1f}" cy="{up(of(row)):.1f}" r="2.5"/>' for row in line]
            ends.append((across(line[-1].works), up(of(line[-1])), step))
    place: dict[float, float] = {}
    for at, y, step in sorted(ends):  # names move each other down only where their lines end at one size
        place[at] = max(place.get(at, -math.inf) + 13, y + 4)
        parts.append(f'<text x="{at + 7:.0f}" y="{place[at]:.0f}">{escape(step)}</text>')
    return "".join(parts)


if __name__ == "__main__":
    main()
