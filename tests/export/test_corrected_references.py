"""A corrected file differs from the given one in the wrong fields and in nothing else."""

from __future__ import annotations

import difflib
import json
from dataclasses import replace

import pytest

from evidence.data_model import Author, CitationError, Doi, Work
from evidence.export.corrected_references import correct
from evidence.harvest.check_references import CheckedReference
from evidence.references.read_references import read

WORK = Work(
    Doi("10.1002/jclp.21857"),
    title="Couple therapy for depression",
    year=2012,
    volume="68",
    pages="526-535",
    authors=(Author(family="Whisman", given="Mark"), Author(family="Beach", given="Steven")),
)
ALL = (
    CitationError("author", "Smith", "Whisman"),
    CitationError("year", "2005", "2012"),
    CitationError("volume", "7", "68"),
    CitationError("page", "1", "526-535"),
    CitationError("doi", "1002/jclp", "10.1002/jclp.21857"),
)


def corrected(
    text: str, name: str, errors: tuple[CitationError, ...] = ALL, number: int = 1
) -> tuple[list[str], tuple[str, ...]]:
    """The lines that differ, each with - or +, and the changes said."""
    data = text.encode()
    checked = [
        CheckedReference(given, "found-with-errors", "", WORK, errors)
        if given.number == number
        else CheckedReference(given, "nothing-agrees", "")
        for given in read(data, name)[1]
    ]
    new, changes = correct(data, name, checked)
    diff = difflib.ndiff(text.splitlines(keepends=True), new.splitlines(keepends=True))
    return [line.strip("\r\n") for line in diff if line[0] in "+-"], changes


def test_bibtex_keeps_comments_order_and_braces() -> None:
    text = """% my library
@article{other, title={Grief, year = {1999}, and loss}, year={1999}}
@article{w,
  title  = {Couple {Therapy} in 2005},
  author = "Smith, Ann",
  year   = {2005}, volume = 7,
  pages  = {1--9}
}
"""
    lines, changes = corrected(text, "x.bib", number=2)
    assert sorted(lines) == sorted(
        ["+   doi = {10.1002/jclp.21857},", '-   author = "Smith, Ann",', "+   author = {Whisman, Mark and Beach, Steven},",
         "-   year   = {2005}, volume = 7,", "+   year   = {2012}, volume = {68},", "-   pages  = {1--9}",
         "+   pages  = {526--535}"]
    )  # fmt: skip
    assert len(changes) == len(ALL)
    assert "reference 2 (w): year 2005 → 2012" in changes


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_ris_keeps_every_other_line(newline: str) -> None:
    text = newline.join(
        ["TY  - JOUR", "AU  - Smith, Ann", "AU  - Jones, Bob", "TI  - Couple therapy", "  for depression", "PY  - 2005/03//",
         "VL  - 7", "SP  - 1", "EP  - 9", "N1  - my note", "ER  - ", "", "TY  - BOOK", "PY  - 2005", "ER  - ", ""]
    )  # fmt: skip
    lines, _ = corrected(text, "x.ris")
    assert sorted(lines) == sorted(
        ["- AU  - Smith, Ann", "- AU  - Jones, Bob", "+ AU  - Whisman, Mark", "+ AU  - Beach, Steven", "- PY  - 2005/03//",
         "+ PY  - 2012/03//", "- VL  - 7", "+ VL  - 68", "- SP  - 1", "+ SP  - 526", "- EP  - 9", "+ EP  - 535",
         "+ DO  - 10.1002/jclp.21857"]
    )  # fmt: skip


def test_pubmed_format_keeps_every_other_line() -> None:
    first = (
        "PMID- 1\nDP  - 2005 May\nTI  - Couple therapy for\n      depression.\nVI  - 7\nPG  - 1-9\nFAU - Smith, Ann\n"
    )
    text = f"{first}\nPMID- 2\nVI  - 7\n"
    lines, _ = corrected(text, "x.nbib")
    assert sorted(lines) == sorted(
        ["- DP  - 2005 May", "+ DP  - 2012 May", "- VI  - 7", "+ VI  - 68", "- PG  - 1-9", "+ PG  - 526-535",
         "- FAU - Smith, Ann", "+ FAU - Whisman, Mark", "+ FAU - Beach, Steven", "+ LID - 10.1002/jclp.21857 [doi]"]
    )  # fmt: skip


def test_csl_json_keeps_every_other_value() -> None:
    items = [
        {"id": "a", "title": "T", "author": [{"family": "Smith"}], "issued": {"date-parts": [[2005]]}, "note": "mine"},
        {"id": "b"},
    ]
    data = json.dumps(items).encode()
    given = read(data, "x.json")[1]
    new, _ = correct(data, "x.json", [CheckedReference(given[0], "found-with-errors", "", WORK, ALL)])
    assert json.loads(new) == [
        {
            "id": "a",
            "title": "T",
            "author": [{"family": "Whisman", "given": "Mark"}, {"family": "Beach", "given": "Steven"}],
            "issued": {"date-parts": [[2012]]},
            "note": "mine",
            "volume": "68",
            "page": "526-535",
            "DOI": "10.1002/jclp.21857",
        },
        {"id": "b"},
    ]


def test_the_editors_of_a_book_do_not_become_authors_of_its_chapter() -> None:
    chapter = replace(WORK, authors=(*WORK.authors, Author(family="Gurman", given="Alan", role="editor")))
    data = json.dumps([{"id": "a", "author": [{"family": "Smith"}]}]).encode()
    given = read(data, "x.json")[1]
    new, changes = correct(data, "x.json", [CheckedReference(given[0], "found-with-errors", "", chapter, ALL[:1])])
    assert [author["family"] for author in json.loads(new)[0]["author"]] == ["Whisman", "Beach"]
    assert changes == ("reference 1 (a): author Smith → Whisman, Mark; Beach, Steven",)


def test_text_changes_what_has_one_place_and_says_what_it_left() -> None:
    text = "Smith A. Couple therapy for depression. J Clin Psychol. 2005;7:1–9.\n"
    lines, changes = corrected(text, "x.txt", ALL[:4])
    assert lines == [
        "- Smith A. Couple therapy for depression. J Clin Psychol. 2005;7:1–9.",
        "+ Smith A. Couple therapy for depression. J Clin Psychol. 2012;68:526-535.",
    ]
    assert changes[0] == "reference 1: author Smith → Whisman (not changed: correct it yourself)"


def test_a_reference_that_leads_to_another_work_stays_as_it_is() -> None:
    text = "@article{a, title={T}, year={2005}}\n"
    given = read(text.encode(), "x.bib")[1]
    assert correct(text.encode(), "x.bib", [CheckedReference(given[0], "other-work", "", leads_to=WORK)]) == (text, ())
