"""Files of reference managers, documents and pasted text become references, in order and none lost."""

from __future__ import annotations

import io
import json
import zipfile
from xml.sax.saxutils import escape

import pytest

from evidence.errors import ConfigError
from evidence.references.given_reference import Fields, citation
from evidence.references.read_references import read

BIB = r"""
@string{jcp = {Journal of Clinical Psychology}}
% a comment
@article{whisman2012,
  title = {Couple {Therapy} for Depression},
  author = "Whisman, Mark and M{\"u}ller, Steven and others",
  journal = jcp, year = 2012, volume = {68}, number={5}, pages={526--535},
  doi = {10.1002/jclp.21857}
}
@book{key2, title={Interpersonal psychotherapy of depression}, author={Klerman, Gerald}, publisher={Basic Books}, year={1984}}
@article{broken, title = {A title without an end
"""

RIS = """TY  - JOUR\r
AU  - Whisman, Mark\r
AU  - Beach, Steven\r
TI  - Couple therapy\r
for depression\r
JO  - J Clin Psychol\r
PY  - 2012/05//\r
VL  - 68\r
IS  - 5\r
SP  - 526\r
EP  - 535\r
DO  - 10.1002/jclp.21857\r
ER  -\r
TY  - BOOK\r
A1  - Klerman, Gerald\r
T1  - Interpersonal psychotherapy of depression\r
Y1  - 1984\r
"""

NBIB = """PMID- 22504610
DP  - 2012 May
TI  - Couple therapy for
      depression.
PG  - 526-35
LID - 10.1002/jclp.21857 [doi]
FAU - Whisman, Mark A
JT  - Journal of clinical psychology
VI  - 68
IP  - 5

PMID- 1
TI  - Another one.
"""

CSL = [
    {
        "id": "w",
        "title": "Couple therapy for depression",
        "author": [{"family": "Whisman", "given": "Mark"}, {"literal": "A Group"}],
        "issued": {"date-parts": [[2012, 5]]},
        "container-title": "J Clin Psychol",
        "volume": 68,
        "page": "526-535",
        "DOI": "10.1002/jclp.21857",
    },
    {"title": "A report"},
]


def document(*paragraphs: str, extra: str = "") -> bytes:
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    body = "".join(f"<w:p><w:r><w:t>{escape(p)}</w:t></w:r></w:p>" for p in paragraphs)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr(
            "word/document.xml", f'{extra}<w:document xmlns:w="{space}"><w:body>{body}</w:body></w:document>'
        )
    return packed.getvalue()


def test_bibtex_with_strings_accents_and_a_damaged_entry() -> None:
    kind, given, _ = read(BIB.encode(), "library.bib")
    assert kind == "bibtex"
    assert [g.key for g in given[:2]] == ["whisman2012", "key2"]
    assert given[0].text == (
        "Whisman M, Müller S. Couple Therapy for Depression. Journal of Clinical Psychology. 2012;68(5):526-535."
    )
    assert given[0].doi == "10.1002/jclp.21857"
    assert "Basic Books" in given[1].text
    assert len(given) == 3
    assert "A title without an end" in given[2].text


def test_two_bibtex_entries_with_the_same_key_are_two_references() -> None:
    text = "@article{a, title={One title}}\n@article{a, title={Another title}}\n"
    assert [g.text for g in read(text.encode(), "x.bib")[1]] == ["One title.", "Another title."]


def test_ris_with_continued_lines_and_a_missing_end() -> None:
    kind, given, _ = read(RIS.encode(), "export.ris")
    assert kind == "ris"
    assert given[0].fields == Fields(
        authors=("Whisman, Mark", "Beach, Steven"),
        year="2012",
        title="Couple therapy for depression",
        container="J Clin Psychol",
        volume="68",
        issue="5",
        pages="526-535",
        doi="10.1002/jclp.21857",
        date="2012-05",
        kind="journal-article",
    )
    assert given[1].text == "Klerman G. Interpersonal psychotherapy of depression. 1984."


def test_pubmed_format() -> None:
    kind, given, _ = read(NBIB.encode(), "pubmed.nbib")
    assert kind == "nbib"
    assert (given[0].key, given[0].doi) == ("22504610", "10.1002/jclp.21857")
    assert given[0].text == (
        "Whisman MA. Couple therapy for depression. Journal of clinical psychology. 2012;68(5):526-35."
    )
    assert given[1].text == "Another one."


def test_csl_json() -> None:
    kind, given, _ = read(json.dumps(CSL).encode(), "zotero.json")
    assert kind == "csl-json"
    assert given[0].text == "Whisman M, A Group. Couple therapy for depression. J Clin Psychol. 2012;68:526-535."
    assert given[1].text == "A report."


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (BIB, "bibtex"),
        (RIS, "ris"),
        (NBIB, "nbib"),
        (json.dumps(CSL), "csl-json"),
        ("<ol><li>Klerman. A. 1984.</ol>", "html"),
    ],
)
def test_the_format_of_stdin_follows_from_its_content(text: str, kind: str) -> None:
    assert read(text.encode(), "stdin")[0] == kind


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_the_usual_encodings_are_read(encoding: str) -> None:
    given = read("@article{a, title={Müdigkeit und Trauer}}".encode(encoding), "x.bib")[1]
    assert given[0].text == "Müdigkeit und Trauer."


def test_the_reference_list_of_a_word_document() -> None:
    data = document(
        "Grief in late life",
        "As shown before (Klerman, 1984).",
        "References",
        "Klerman, G. (1984). Interpersonal psychotherapy of depression. Basic Books.",
        "",
        "Whisman, M., & Beach, S. (2012). Couple therapy for depression. J Clin Psychol, 68(5), 526–535.",
    )
    kind, given, _ = read(data, "manuscript.docx")
    assert kind == "docx"
    assert [g.text[:10] for g in given] == ["Klerman, G", "Whisman, M"]


def test_the_reference_list_of_a_web_page() -> None:
    page = """<!doctype html><html><head><title>x</title><style>p{}</style></head><body><p>Text before.</p>
    <h2>References</h2><ol><li>Klerman G. <i>Interpersonal</i> psychotherapy of depression. Basic Books; 1984.
    <li>Whisman M. Couple therapy for depression. J Clin Psychol. 2012;68:526-35. <a href="https://doi.org/10.1002/jclp.21857">CrossRef</a>
    </ol><script>var a = "<li>not a reference</li>"</script></body></html>"""
    given = read(page.encode(), "page.html")[1]
    assert len(given) == 2
    assert given[0].text == "Klerman G. Interpersonal psychotherapy of depression. Basic Books; 1984."
    assert "10.1002/jclp.21857" in given[1].text


@pytest.mark.parametrize(
    ("data", "name", "said"),
    [
        (b"", "empty.txt", "has no reference"),
        (b"\x00\x01\x02", "x.txt", "is not text"),
        (b"not a zip", "x.docx", "is not a Word document"),
        (b"PK\x03\x04broken", "x.docx", "is not a Word document"),
        (b"{", "x.json", "is not JSON"),
        (b"[1, 2]", "x.json", "is not CSL-JSON"),
        (b"a,b", "x.csv", "this format is not read"),
        (b"%PDF-1.7", "x.pdf", "copy the reference list, and paste it"),
        (b"%PDF-1.7 \xe2\xe3", "stdin", "is a PDF, which is not read"),
        (b"", "x.pdf", "is a PDF, which is not read"),
        (document("A", extra='<!DOCTYPE a [<!ENTITY b "c">]>'), "x.docx", "declares XML entities"),
    ],
)
def test_a_bad_file_is_refused_with_a_remedy(data: bytes, name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read(data, name)


def test_a_document_that_unpacks_to_gigabytes_is_not_unpacked() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("word/document.xml", b" " * 100_000_001)
    with pytest.raises(ConfigError, match="too large"):
        read(packed.getvalue(), "bomb.docx")


def test_a_citation_of_fields_leaves_out_what_is_not_there() -> None:
    assert citation(Fields()) == ""
    assert citation(Fields(title="Grief.", year="2010")) == "Grief. 2010."


def test_the_lines_that_are_read_as_no_reference_are_returned() -> None:
    lines = ["References", "1. Klerman G. Interpersonal psychotherapy of depression. Basic Books; 1984.", "Figure legends",
             "Figure 1. Flow."]  # fmt: skip
    text = read("\n".join(lines).encode(), "pasted.txt")
    assert (len(text.references), text.left_out) == (1, ("References", "Figure legends", "Figure 1. Flow."))
    assert read(document(*lines), "x.docx").left_out == ("Figure legends", "Figure 1. Flow.")
    page = "".join(f"<p>{line}</p>" for line in lines)
    assert read(f"<html>{page}</html>".encode(), "x.html").left_out == ("Figure legends", "Figure 1. Flow.")
    assert read(BIB.encode(), "x.bib").left_out == ()


def test_pubmed_format_without_a_pmid() -> None:
    """As exports write it: an empty line ends a record. An empty line within an abstract does not."""
    text = "TI  - One work\nAB  - Aim.\n\n      Results.\nLID - 10.5555/one [doi]\n\nIS  - 1234-5679 (Print)\nTI  - Another\n\n"
    given = read(text.encode(), "x.nbib").references
    assert [g.fields.title for g in given] == ["One work", "Another"]
    assert given[0].doi == "10.5555/one"
