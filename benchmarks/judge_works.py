"""The speed of judging: works per second of processor time, beside one regular expression for each value in the same run.

    python -m benchmarks.judge_works [FILE] [--works 1000]

FILE (JSON Lines, gzipped or not, with `title` and `abstract`) has genuine text; works without an abstract are left out. Without a
file only composed text is judged: stock sentences about IPT or about something else, which show the cost of a character. The
floor is a search for the label of every value, each with a compiled regular expression. Garbage is collected as seldom as in a
run over many works. Limit: 700 genuine abstracts a second, tagged whatever their verdict.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from evidence.data_model import Doi, Work
from evidence.harvest.reader_processes import reduce_garbage_collection
from evidence.rules import taxonomy
from evidence.rules.judge import judge
from evidence.rules.tag import tag
from evidence.rules.taxonomy import Taxonomy

LIMIT = 700.0
"""Fewest genuine abstracts a second on one core."""

OTHER = [
    "Background: We examined the course of symptoms in a cohort of outpatients with chronic illness.",
    "Methods: Participants were recruited from three clinics and completed questionnaires at baseline and after twelve months.",
    "Results: Scores on the main scale decreased by four points, and quality of life improved in both groups of patients.",
    "Conclusions: Our findings suggest that early assessment may help clinicians to plan care; limitations are discussed.",
    "Secondary outcomes included blood pressure, body mass index, sleep, use of services and satisfaction with treatment.",
    "The intervention consisted of weekly sessions with a nurse, who was supervised by a physician of the same department.",
    "Regression models were adjusted for age, sex, education and centre, and missing values were imputed five times.",
    "Adverse events were rare, and no differences between the arms were found in an intention-to-treat analysis.",
]
OURS = [
    "Interpersonal psychotherapy (IPT) was compared with cognitive behavioural therapy in depressed outpatients.",
    "Patients were randomised to sixteen weekly sessions of IPT or to usual care; depression was rated on the HAM-D.",
    "IPT addresses grief, role disputes, role transitions and interpersonal deficits, and was given individually or in groups.",
    "Remission was more frequent with IPT than with usual care, and social functioning improved up to six-month follow-up.",
]


def works(count: int, ours: bool) -> list[Work]:
    """`count` works with abstracts of about 1,500 characters, one sentence in three about IPT if `ours`."""
    chance = random.Random(7)
    made = []
    for number in range(count):
        sentences = [chance.choice(OURS if ours and chance.random() < 0.35 else OTHER) for _ in range(14)]
        title = (
            "Interpersonal psychotherapy for major depression"
            if ours
            else "A cohort of outpatients with chronic illness"
        )
        made.append(
            Work(
                doi=Doi(f"10.1000/{number}"),
                title=f"{title} {number}",
                abstract=" ".join(sentences),
                kind="journal-article",
            )
        )
    return made


def genuine(file: Path, count: int) -> list[Work]:
    """`count` works with the texts of a file, repeated as often as needed."""
    raw = file.read_bytes()
    lines = (gzip.decompress(raw) if file.suffix == ".gz" else raw).decode().split("\n")
    records = [record for line in lines if line.strip() and (record := json.loads(line)).get("abstract")]
    chosen = [records[number % len(records)] for number in range(count)]
    return [
        Work(Doi(f"10.1000/{number}"), title=record.get("title"), abstract=record["abstract"], kind="journal-article")
        for number, record in enumerate(chosen)
    ]


def rate(batch: Sequence[Work], judged: Callable[[Work], object]) -> float:
    """Works per second of processor time. The first ones are not counted: they fill caches."""
    for work in batch[:50]:
        judged(work)
    began = time.process_time()
    for work in batch:
        judged(work)
    return len(batch) / (time.process_time() - began)


def floor_of(rules: Taxonomy) -> Callable[[Work], object]:
    """A search for the label of every value, each with a regular expression of its own."""
    labels = [value.label.split(" (")[0] for value in rules.values]
    patterns = [re.compile(re.escape(label), re.IGNORECASE) for label in labels]
    return lambda work: [pattern.search(f"{work.title}\n{work.abstract}") for pattern in patterns]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--works", type=int, default=1000)
    arguments = parser.parse_args()
    began = time.process_time()
    rules = taxonomy.load()
    reduce_garbage_collection()
    print(f"loading the taxonomy: {time.process_time() - began:.2f} s")
    batches = {
        "composed, not about IPT": works(arguments.works, ours=False),
        "composed, about IPT": works(arguments.works // 3, ours=True),
    }
    if arguments.file:
        batches["genuine"] = genuine(arguments.file, arguments.works)
    missed = False
    for name, batch in batches.items():
        judged, tagged, floor = (
            rate(batch, do) for do in (lambda w: judge(w, rules), lambda w: tag(w, rules), floor_of(rules))
        )
        characters = sum(len(work.abstract or "") for work in batch) / len(batch)
        print(
            f"{name} ({characters:.0f} characters): {judged:,.0f} works/s judged, {tagged:,.0f} tagged; floor {floor:,.0f}"
        )
        missed |= name == "genuine" and tagged < LIMIT
    sys.exit(missed)


if __name__ == "__main__":
    main()
