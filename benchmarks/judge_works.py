"""The speed of judging: works per second of `judge`, on text about IPT and on text about something else.

    python -m benchmarks.judge_works [WORKS]

The text is composed of stock sentences, so this measures the cost per character, not the accuracy.
"""

from __future__ import annotations

import random
import sys
import time

from evidence.data_model import Doi, Work
from evidence.rules import taxonomy
from evidence.rules.judge import judge

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


def main() -> None:
    """Print works per second of processor time for both kinds of text. A first pass compiles the terms and is not counted."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    began = time.process_time()
    rules = taxonomy.load()
    print(f"loading the taxonomy: {time.process_time() - began:.2f} s")
    for name, ours, share in (("not about IPT", False, 1.0), ("about IPT", True, 0.3)):
        batch = works(int(count * share), ours)
        for work in batch[:50]:
            judge(work, rules)
        began = time.process_time()
        for work in batch:
            judge(work, rules)
        rate = len(batch) / (time.process_time() - began)
        print(f"{name}: {rate:,.0f} works/s ({sum(len(w.abstract or '') for w in batch) / len(batch):.0f} characters)")


if __name__ == "__main__":
    main()
