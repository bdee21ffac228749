"""The time to resolve a long reference list from files, and whether the index changes a result.

    python -m benchmarks.reference_lists [--citations 2800] [--records 3000] [--every 20] [--strings FILE]

Citations without a DOI are looked up by their text among the records of a file, as `evidence sync --from` does. The comparison is
the algorithm of version 0.1, kept here: each citation is compared with every record, which is loaded and normalised again each
time. Only every Nth citation (`--every`) is compared, and the time is multiplied; the results of both must be equal.

With `--strings` the citations and works are real (rows that `evidence evaluate matching` reads); otherwise they are synthetic.
Every record has an abstract and a reference list of usual length, because reading these takes most of the time.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from evidence.crossref import normalise, records_from_files
from evidence.crossref.entries_of_files import title_words
from evidence.crossref.normalise import doi_of
from evidence.crossref.records_from_files import RecordFiles
from evidence.data_model import Citation, Doi, Message, Page, Query, RecordSource, Resolution, Window, Work
from evidence.errors import RecordError
from evidence.evaluation.citation_accuracy import lines
from evidence.harvest import reference_lists

TOPICS = """
    interpersonal psychotherapy depression adolescents treatment randomised controlled trial outcome symptoms women postpartum
    grief anxiety group cognitive behavioural medication remission relapse maintenance primary care bipolar disorder rhythm
    bulimia nervosa attachment social support culture refugees training supervision adherence alliance elderly bereavement
    veterans trauma suicide prevention college students insomnia pregnancy HIV Uganda Kenya internet telephone couples
""".split()  # noqa: SIM905
SHAPES = (
    "{a} for {b} in {c}: a {d} of {e}",
    "{a} and {b} in {c}",
    "The {a} of {b}: {c} and {d} after {e}",
    "{a} {b}: {c}",
)
JOURNALS = (
    "Journal of Affective Disorders",
    "Psychological Medicine",
    "American Journal of Psychiatry",
    "Psychotherapy",
)
SYLLABLES = (
    "ba",
    "den",
    "fro",
    "gal",
    "hin",
    "kor",
    "lem",
    "mar",
    "nis",
    "pol",
    "rud",
    "sta",
    "tur",
    "vel",
    "wes",
    "zan",
)
MISPRINTS = 0.1
"""The share of citations with a letter missing, and the share of citations whose work is not in the file."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--citations", type=int, default=2800)
    parser.add_argument("--records", type=int, default=3000)
    parser.add_argument("--every", type=int, default=20)
    parser.add_argument("--strings", type=Path)
    arguments = parser.parse_args()
    records: list[Message] = []
    if arguments.strings:
        texts, records = real(arguments.strings, arguments.citations, arguments.records)
    else:
        texts = made_up(arguments.citations, arguments.records, records.append)
    citations = [Citation("list", number, text, None) for number, text in enumerate(texts, start=1)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "records.jsonl"
        file.write_text("".join(json.dumps(record) + "\n" for record in records))
        size = file.stat().st_size
        print(f"{len(citations):,} citations, {len(records):,} records of {size / len(records):,.0f} bytes")
        asked = citations[:: arguments.every]
        indexed, verdicts = timed(file, citations, RecordFiles)
        brute, floor = timed(file, asked, Exhaustive)
    for name, seconds, of in (("index", indexed, citations), ("every record for every citation", brute, asked)):
        print(f"  {name}: {seconds[0]:.1f} s to read, {seconds[1]:.1f} s to settle {len(of):,}")
    ratio = sum(brute) * len(citations) / len(asked) / sum(indexed)
    same = [verdicts[c.position] == floor[c.position] for c in asked]
    print(f"  {ratio:.0f} times faster; {sum(same):,} of {len(same):,} verdicts compared are the same")
    counts = {
        status: sum(r.status == status for r in verdicts.values()) for status in {r.status for r in verdicts.values()}
    }
    print(f"  {', '.join(f'{n:,} {status}' for status, n in sorted(counts.items()))}")
    agree = same_candidates(records, texts, arguments.every)
    if not (all(same) and agree):
        raise SystemExit("the verdicts differ")


def timed(
    file: Path, citations: Sequence[Citation], kind: type[RecordFiles]
) -> tuple[tuple[float, float], dict[int, Resolution]]:
    """Processor seconds for reading the file and for resolving the citations, and the resolutions by position."""
    began = time.process_time()
    with kind([file], citations=[c.text for c in citations], everything=True) as crossref:
        read = time.process_time()
        way = by_product if isinstance(crossref, Exhaustive) else settle
        verdicts = {r.citation.position: r for r in way(citations, crossref)}
        return (read - began, time.process_time() - read), verdicts


def same_candidates(records: Sequence[Message], texts: Sequence[str], every: int) -> bool:
    """Whether the index finds the same candidate records for the citations as comparing each with each; prints both times."""
    titles = [title_words(normalise.title_and_abstract(record)[0] or "") for record in records]
    cited = list(map(title_words, texts))
    began = time.process_time()
    index = records_from_files._Citations(cited)
    found = [index.may_mean(words) for words in titles]
    between = time.process_time()
    asked = titles[::every]
    floor = [
        bool(t) and any(len(t & c) >= records_from_files._ENOUGH_OF_A_TITLE * len(t) for c in cited) for t in asked
    ]
    seconds = between - began, (time.process_time() - between) * len(titles) / len(asked)
    print(f"  which of {len(titles):,} titles may be cited: {seconds[0]:.2f} s, each with each {seconds[1]:.1f} s")
    return found[::every] == floor


def settle(citations: Sequence[Citation], crossref: RecordSource) -> Iterator[Resolution]:
    for settled in reference_lists.resolve(citations, crossref, {}):
        yield from settled.resolutions


# ---------------------------------------------------------------------- the comparison: version 0.1


class Exhaustive(RecordFiles):
    """Record files without an index: compares each citation with every record."""

    def scan(self, query: Query, window: Window | None = None, offset: int = 0, *, by_creation: bool = False) -> Page:
        wanted = title_words(" ".join(value for _, value in query.fields))
        ranked: list[tuple[float, Doi]] = []
        for doi in self._at:
            title, _ = normalise.title_and_abstract(self._load(doi))
            words = title_words(title or "")
            if words and (shared := len(words & wanted)):
                ranked.append((shared / len(words) + shared / 100, doi))
        best = sorted(ranked, key=lambda pair: (-pair[0], pair[1]))[: query.rows]
        return Page([{**self._load(doi), "score": score} for score, doi in best], len(best))


class Forgetful(reference_lists._Lookups):
    """Answers without a cache: loads and normalises a record each time it is compared."""

    def keep_items(self, items: Iterable[Message]) -> None:
        pass

    def work(self, doi: Doi) -> Work | None:
        found = self.found.get(doi)
        if found is None or found.message is None:
            return None
        try:
            return normalise.normalise(found.message)
        except RecordError:
            return None


def by_product(citations: Sequence[Citation], crossref: RecordSource) -> Iterator[Resolution]:
    for start in range(0, len(citations), reference_lists.PART):
        answers = Forgetful()
        for citation in citations[start : start + reference_lists.PART]:
            yield reference_lists._resolve_one(
                citation, reference_lists.candidate_dois(citation), crossref, answers, False
            )


# ---------------------------------------------------------------------- citations and records


def made_up(citations: int, records: int, take: Callable[[Message], object]) -> list[str]:
    """Synthetic citations: some have a misprint, and some cite works without a record. `take` is given each record when it is
    made, so that there need not be room for all."""
    chance = random.Random(1)
    cited = Counter(chance.randrange(records) for _ in range(citations) if chance.random() >= MISPRINTS)
    texts = []
    for number in range(records):
        work = made_up_work(number, chance)
        take(work)
        texts += [printed(work)] * cited[number]
    texts += [printed(made_up_work(records + number, chance)) for number in range(citations - len(texts))]
    chance.shuffle(texts)
    return [_misprinted(text, chance) if chance.random() < MISPRINTS else text for text in texts]


def _misprinted(text: str, chance: random.Random) -> str:
    place = chance.randrange(20, len(text))
    return text[:place] + text[place + 1 :]


def made_up_work(number: int, chance: random.Random) -> Message:
    words = {key: " ".join(chance.sample(TOPICS, chance.randint(1, 2))) for key in "abcde"}
    names = [("".join(chance.sample(SYLLABLES, 3))).title() for _ in range(3)]
    page = chance.randint(1, 900)
    return filled(
        {
            "DOI": f"10.5555/{number}",
            "type": "journal-article",
            "title": [chance.choice(SHAPES).format(**words).capitalize()],
            "container-title": [chance.choice(JOURNALS)],
            "author": [{"family": name, "given": "A. B.", "sequence": "additional"} for name in names],
            "issued": {"date-parts": [[chance.randint(1980, 2025)]]},
            "volume": str(chance.randint(1, 90)),
            "issue": str(chance.randint(1, 12)),
            "page": f"{page}-{page + 9}",
        },
        chance,
    )


def printed(work: Mapping[str, Any]) -> str:
    names = ", ".join(f"{author['family']} AB" for author in work["author"])
    return (
        f"{names}. {work['title'][0]}. {work['container-title'][0]}. {work['issued']['date-parts'][0][0]};"
        f"{work['volume']}({work['issue']}):{work['page']}."
    )


def real(strings: Path, citations: int, records: int) -> tuple[list[str], list[Message]]:
    """Real citations, and records of their works and of the works of further rows."""
    chance = random.Random(1)
    rows = [json.loads(line) for line in islice(lines(strings), max(citations, records))]
    works = {}
    for row in rows[:records]:
        fields = {"title": "atitle", "container-title": "jtitle", "volume": "volume", "page": "firstPage"}
        work = {key: row[name] for key, name in fields.items() if row.get(name)}
        work |= {"DOI": row["doi"], "type": "journal-article"}
        if row.get("firstAuthor"):
            work["author"] = [{"family": row["firstAuthor"]}]
        if doi := doi_of(work):
            works[doi] = filled(work, chance)
    return [row["reference"] for row in rows[:citations]], list(works.values())


def filled(work: Message, chance: random.Random) -> Message:
    """The record with an abstract and a reference list of usual length added."""
    cited = [
        {"key": f"ref{n}", "doi-asserted-by": "crossref", "DOI": f"10.5555/{chance.randrange(10**6)}", "year": "2001"}
        for n in range(math.ceil(chance.expovariate(1 / 25)))
    ]
    return work | {"abstract": f"<jats:p>{' '.join(chance.choices(TOPICS, k=180))}.</jats:p>", "reference": cited}


if __name__ == "__main__":
    main()
