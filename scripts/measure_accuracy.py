"""Measures the rules on labelled records and writes evidence/topics/ipt/accuracy.csv, which the site shows.

    python scripts/measure_accuracy.py [FOLDER]        # default: ../shared/data

FOLDER has the texts; `labelled_texts` says where the labels are. Run it after every change of a rule, a word or a weight; a test
fails when the table was made with others. `--check` compares and writes nothing. The rows of `BROUGHT` need texts that are in no
collection: bring them by DOI and title as CSV or JSON Lines in FOLDER. Without them, their rows stay as they were measured last,
with the rules of then, and the site says so.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from labelled_texts import Texts, count_labels, titles_alone

from evidence.evaluation import published_accuracy
from evidence.evaluation.published_accuracy import Figure
from evidence.evaluation.screening_and_tagging_accuracy import labelled_records, measure_screening, measure_trials
from evidence.rules import taxonomy
from evidence.rules.taxonomy import Taxonomy

SCREENED = "2,849 records of trial databases, labelled by their sources; the screening rules were written with them"
WORKS = "263 works on IPT or similar therapies with condensed abstracts, labelled by two readers; learnt from"
TRIALS = "527 MEDLINE records with publication types; learnt from"
ON_IPT = "45 genuine abstracts on IPT, labelled by two readers, at first sight"
ON_IPT_TITLES = "the titles alone of 45 works on IPT labelled by their abstracts, at first sight"
ON_OTHERS = "60 genuine abstracts on other psychotherapies, labelled by two readers, at first sight"
ON_OTHERS_LATER = "61 later genuine abstracts on other psychotherapies, labelled by two readers, at first sight"
BROUGHT = {
    "first_sight_ipt": (ON_IPT, ON_IPT_TITLES),
    "first_sight_psychotherapy": (ON_OTHERS,),
    "first_sight_psychotherapy_2": (ON_OTHERS_LATER,),
}
"""The labels whose texts are in no collection, and what is measured on them."""
FIRST_SIGHT = "120 genuine abstracts on mental health, labelled by two readers, at first sight"
FIRST_TITLES = "the titles alone of 120 works labelled by their abstracts, at first sight"
REGISTERED = "16 registrations of trials of IPT, labelled by two readers, at first sight"
OF_ANY_STUDY = ("outcome", "format", "population", "condition", "comparator", "design")


def figures(folder: Path, rules: Taxonomy) -> Iterator[Figure]:
    """The rows of the table."""
    texts = Texts(folder)
    yield from _brought(texts, rules)
    first_sight = texts.labelled("first_sight")
    yield from published_accuracy.tag_figures(first_sight, rules, FIRST_SIGHT, OF_ANY_STUDY)
    yield from published_accuracy.tag_figures(titles_alone(first_sight), rules, FIRST_TITLES, OF_ANY_STUDY)
    yield from published_accuracy.tag_figures(
        texts.labelled("registrations"), rules, REGISTERED, ("variant", "comparator")
    )
    works = labelled_records(_find(folder, "ipt-bibliography.jsonl"))
    yield from published_accuracy.tag_figures(works, rules, WORKS, ("variant", "problem_area"))
    for labelled, records in ((SCREENED, labelled_records(_find(folder, "ipt-labelled.csv"))), (WORKS, works)):
        yield from published_accuracy.screening_figures(measure_screening(records, rules), labelled, rules.digest)
    trials = labelled_records(_find(folder, "rct-labelled.csv"))
    yield published_accuracy.trial_figure(measure_trials(trials, rules), TRIALS, rules.digest)


def _brought(texts: Texts, rules: Taxonomy) -> Iterator[Figure]:
    """The rows of `BROUGHT`: a set is measured where all its texts are there; else its rows stay as they were."""
    for name, labelled in BROUGHT.items():
        rows = texts.labelled(name)
        if len(rows) < count_labels(name):
            yield from (figure for figure in published_accuracy.read_table() if figure.labelled in labelled)
        elif ON_IPT in labelled:
            yield from published_accuracy.tag_figures(rows, rules, ON_IPT, rules.topic.facet_ids)
            yield from published_accuracy.screening_figures(measure_screening(rows, rules), ON_IPT, rules.digest)
            yield from published_accuracy.tag_figures(titles_alone(rows), rules, ON_IPT_TITLES, rules.topic.facet_ids)
        else:
            yield from published_accuracy.tag_figures(rows, rules, labelled[0], OF_ANY_STUDY)


def _find(folder: Path, name: str) -> Path:
    packed = folder / f"{name}.gz"
    return packed if packed.exists() else folder / name


def main() -> None:
    arguments = [a for a in sys.argv[1:] if a != "--check"]
    folder = Path(arguments[0]) if arguments else Path(__file__).parents[2] / "shared" / "data"
    made = tuple(figures(folder, taxonomy.load()))
    if "--check" in sys.argv:
        raise SystemExit(
            0
            if made == published_accuracy.read_table()
            else "evidence/topics/ipt/accuracy.csv is not what the rules measure today"
        )
    published_accuracy.write_table(made)
    print(f"{published_accuracy.TABLE.name}: {len(made)} lines")


if __name__ == "__main__":
    main()
