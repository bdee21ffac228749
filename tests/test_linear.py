"""Time grows with the text, not with its square: every reader over long runs of everything that a pattern may stumble over.

No clock is read. Each reader works through its texts in a process of its own, which the system ends after `CPU` seconds of
processor time. They take a few seconds; one pattern that goes over the rest of the text from every place in it takes
minutes on texts of this length, so the limit tells the two apart on any machine, however busy.
"""

from __future__ import annotations

import itertools
import resource
import string
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evidence import doi, plain_text
from evidence.crossref import normalise
from evidence.data_model import Author, Doi, Work
from evidence.linkage import citation_matching, field_comparison, same_work, title_similarity
from evidence.references import split_references
from evidence.rules import phrase_matching, screen, tag, taxonomy

pytestmark = pytest.mark.slow

CPU = 20
PARTS = 2
"""Processes that share the texts of a reader, so that the slowest of them stays well below the limit on a busy machine."""
LENGTH = 60_000
DOI = Doi("10.5555/x")
TOKENS = (
    " ", "-", "–", "<", ">", "&", "(", ")", "[", "{", "1", ".", ",", ";", "/", "\\", '"', "’", "_", "#", "?", "%", "%25", "\n",
    "\ue000", "\ue001", "\ue002", "\u200c", "\u0301\u0316", "a", "é", "<!--", "<![CDATA[", "<?a", "<i>", "<title>", "</title>",
    '<a b="', "<a b='<i> ", "<script>", "&lt;", "&#", "&#1", "10.1234/", "10.1234/a-\n1", "10.1234.", "doi.org/abc/", "https://",
    "/full", "PMID", "A B, ", "Ab and ", "vol 1 ", "for ", "for/", "interpersonal-", "placebo effect ", "et al ", "Ã±",
    "\\documentclass", "Σ", "(a (b) ", "retracted ", "<p>&#0", "depression, ", "depression and ", "mood disorder ",
    "IPT plus CBT, ", "cognitive therapy/", "IPT versus ", "interpersonal psychotherapy (IPT) ", "aged 12 to 18, ",
    "no depression. ",
)  # fmt: skip


def _with_rules(apply: Callable[[Work, taxonomy.Taxonomy], object]) -> Callable[[str], object]:
    rules = taxonomy.load()
    return lambda long: apply(Work(DOI, title=long, abstract=long), rules)


def _lesser(long: str) -> object:
    fields = dict.fromkeys(("page", "volume", "issue", "container-title", "issued"), long)
    people = [{"family": long, "given": long, "ORCID": long}]
    listed = {"relation": {"x": [{"id": long}]}, "update-to": [{"DOI": long, "updated": long, "type": long}]}
    return normalise.normalise({"DOI": DOI, **fields, **listed, "author": people, "reference": [{"DOI": long}]})


def _pair(long: str) -> object:
    one, two = (
        same_work.Candidate("k", None, long, long, "2000", long, "1", "1", long, long + end) for end in ("", " b")
    )
    return same_work.verdict(same_work.Comparison(same_work.comparable_record(one), same_work.comparable_record(two)))


def _cited(long: str) -> object:
    people = (Author(long, long), Author(name=long))
    work = Work(DOI, long, long, container=long, year=2000, volume=long, issue=long, pages=long, authors=people)
    return citation_matching.compare_citation(long, work)


READERS: dict[str, Callable[[], Callable[[str], object]]] = {
    "plain": lambda: plain_text.plain_text,
    "line": lambda: plain_text.plain_line,
    "fold": lambda: plain_text.fold,
    "find": lambda: doi.find,
    "parse": lambda: lambda long: (doi.parse(long), doi.candidates(long), doi.parse(long[:4000])),
    "lesser fields": lambda: _lesser,
    "references": lambda: lambda long: normalise.references({"reference": [{"unstructured": long}, {"author": long}]}),
    "titles": lambda: (
        lambda long: title_similarity.compare_titles(
            title_similarity.read_title(long, long), title_similarity.read_title("On " + long)
        )
    ),
    "people": lambda: field_comparison.read_people,
    "container": lambda: lambda long: field_comparison.read_container(long, long),
    "pair": lambda: _pair,
    "citation": lambda: _cited,
    "split references": lambda: split_references.split,
    "phrases": lambda: (
        phrase_matching.Phrases(("interpersonal psychotherap*", "interpersonal (therapy|group) <3> IPT")).first_hit
    ),
    "screening": lambda: _with_rules(lambda work, rules: screen.screen(work, rules)),
    "tagging": lambda: _with_rules(lambda work, rules: tag.tag(work, rules)),
}
SHORTER = {"tagging": 3, "pair": 2, "screening": 2}
"""Readers that ask a thousand things of a text get one that many times shorter; it is long enough to tell."""


def texts(length: int) -> Iterator[str]:
    """A long run of each token, alone before a word and inside a paragraph, so that nothing matches at once; and a text that
    defines one abbreviation after another."""
    for token in TOKENS:
        run = token * (length // len(token))
        yield f"{run} end"
        yield f"<p>interpersonal {run}</title> end"
    letters = itertools.product(string.ascii_uppercase, repeat=3)
    yield "".join(f"{a}a {b}a {c}a ({a}{b}{c}), " for a, b, c in itertools.islice(letters, length // 16))


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("reader", READERS)
def test_time_is_in_proportion_to_the_text(reader: str, part: int) -> None:
    command = [sys.executable, "-m", "tests.test_linear", reader, str(part)]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{reader}: {done.stdout.strip()[-60:]!r} took all of {CPU} s: {done.stderr[-2000:]}"


def main(reader: str, part: int) -> None:
    """Read every text of this part; the last beginning printed is of the one that was being read."""
    read = READERS[reader]()
    resource.setrlimit(resource.RLIMIT_CPU, (CPU, CPU))
    for long in itertools.islice(texts(LENGTH // SHORTER.get(reader, 1)), part, None, PARTS):
        print(ascii(long[:30]), flush=True)  # noqa: T201
        read(long)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
