"""One verdict for each reference: what is wrong is named, and what could not be asked is never counted as clean."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from evidence import cli
from evidence.crossref.client import CrossrefClient
from evidence.data_model import Doi, Notice
from evidence.errors import SourceError
from evidence.export import reference_report
from evidence.harvest import check_references
from evidence.harvest.check_references import CheckedReference, check
from evidence.references.given_reference import GivenReference
from evidence.references.read_references import read
from tests.builders import FONAGY, LIPSITZ, MARKOWITZ, STANGIER, WORKS, FakeRecordSource, message, person
from tests.command_line import Run, runner
from tests.loopback import LoopbackCrossref
from tests.loopback_server import Fault
from tests.provider_loopback import ProviderLoopback

LIPSITZ_TEXT = (
    "Lipsitz J, Markowitz J. Mechanisms of change in interpersonal therapy (IPT). Clin Psychol Rev. 2013;33(8):1134-47."
)
MARKOWITZ_TEXT = (
    "Markowitz J, Weissman M. Interpersonal psychotherapy: past, present, and future. "
    "Clin Psychol Psychother. 2012;19(2):99-105."
)
STANGIER_TEXT = (
    "Stangier U, Schramm E. Cognitive therapy vs interpersonal psychotherapy in social anxiety disorder: a randomized controlled "
    "trial. Arch Gen Psychiatry. 2011;68(7):692-700."
)
RETRACTED = message(
    "10.5555/retracted",
    "Sleep and grief after the loss of a partner in old age",
    2015,
    author=[person("Miller", "Ann")],
    volume="3",
    page="10-19",
    **{
        "container-title": ["Journal of Grief"],
        "updated-by": [
            {"DOI": "10.5555/notice", "type": "retraction", "label": "Retraction", "source": "publisher",
             "updated": {"date-parts": [[2019, 3, 1]]}},
        ],
    },
)  # fmt: skip
RETRACTED_TEXT = "Miller A. Sleep and grief after the loss of a partner in old age. J Grief. 2015;3:10-9."


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(tmp_path, monkeypatch, capsys)


def given(*texts: str | tuple[str, str]) -> tuple[GivenReference, ...]:
    pairs = [(t, None) if isinstance(t, str) else t for t in texts]
    return tuple(GivenReference(n, text, doi) for n, (text, doi) in enumerate(pairs, start=1))


def verdicts(references: Sequence[GivenReference], *messages: Any) -> list[CheckedReference]:
    return list(check(references, FakeRecordSource((*WORKS, RETRACTED, *messages))))


def test_each_kind_of_verdict() -> None:
    found = verdicts(
        given(
            (LIPSITZ_TEXT, str(LIPSITZ["DOI"])),
            (LIPSITZ_TEXT.replace("2013", "2003"), str(LIPSITZ["DOI"])),
            (LIPSITZ_TEXT, "1016/j.cpr.2013.09.002"),
            RETRACTED_TEXT,
            (MARKOWITZ_TEXT, str(STANGIER["DOI"])),
            "Nobody N. A treatise on matters that no record has ever touched. J Nowhere. 2001;1:1-2.",
            (
                LIPSITZ_TEXT.replace(
                    "Mechanisms of change in interpersonal therapy (IPT)", "Grief and mourning in primates"
                ),
                str(LIPSITZ["DOI"]),
            ),
        )
    )
    assert [each.verdict for each in found] == [
        "found", "found-with-errors", "found-with-errors", "retracted", "other-work", "nothing-agrees", "other-work",
    ]  # fmt: skip
    assert [(e.field, e.given, e.found) for e in found[1].errors] == [("year", "2003", "2013")]
    assert [(e.field, e.given, e.found) for e in found[2].errors] == [("doi", "1016/j.cpr.2013.09.002", LIPSITZ["DOI"])]
    assert [(n.kind, n.issued, n.source) for n in found[3].notices] == [("retraction", "2019-03-01", "publisher")]
    assert found[4].leads_to is not None
    assert found[4].leads_to.doi == STANGIER["DOI"]
    assert [work.doi for work in found[4].candidates][:1] == [MARKOWITZ["DOI"]]
    assert found[5].work is None
    assert found[6].leads_to is not None


def test_a_retraction_that_was_revoked_does_not_count() -> None:
    reinstated = {
        **RETRACTED,
        "updated-by": [
            *RETRACTED["updated-by"],
            {
                "DOI": "10.5555/again",
                "type": "reinstatement",
                "updated": {"date-parts": [[2020, 1, 1]]},
                "source": "publisher",
            },
        ],
    }
    assert [each.verdict for each in check(given(RETRACTED_TEXT), FakeRecordSource([reinstated]))] == ["found"]


def test_a_notice_that_another_provider_has_counts() -> None:
    notice = Notice("expression-of-concern", None, "2021-05-01", "retraction-watch", "retraction-watch", "RW:1")
    (found,) = check(given(LIPSITZ_TEXT), FakeRecordSource(), known_notices=lambda doi: [notice])
    assert (found.verdict, found.notices[0].kind) == ("retracted", "expression-of-concern")


def test_a_doi_of_another_agency_is_not_counted_as_clean() -> None:
    source = FakeRecordSource()
    source.agencies["10.5281/zenodo.1234567"] = "DataCite"
    (found,) = check(given(("Somebody A. A data set about sleep. Zenodo; 2019.", "10.5281/zenodo.1234567")), source)
    assert found.verdict == "could-not-ask"
    assert "DataCite" in found.reason


DATASET_DOI = "10.5281/zenodo.1234567"
DATASET = {
    "data": {
        "id": DATASET_DOI,
        "attributes": {
            "doi": DATASET_DOI,
            "titles": [{"title": "Data on the sleep of bereaved people in old age"}],
            "creators": [
                {"name": "Miller, Ann", "nameType": "Personal"},
                {"name": "Sleep Group", "nameType": "Organizational"},
            ],
            "publisher": "Zenodo",
            "publicationYear": 2019,
            "types": {"resourceTypeGeneral": "Dataset"},
        },
    }
}
DATASET_TEXT = "Miller A, Sleep Group. Data on the sleep of bereaved people in old age. Zenodo; 2019."


def ask_both(
    crossref: LoopbackCrossref, datacite: ProviderLoopback, *texts: Any, **more: Any
) -> tuple[CheckedReference, ...]:
    """The verdicts, where DataCite is on 127.0.0.1 too."""
    options: dict[str, Any] = {"url": crossref.url, "datacite_url": datacite.url, "sleep": lambda _: None} | more
    return check_references.run(given(*texts), **options)


def test_a_doi_of_datacite_is_compared_with_its_record_there(tmp_path: Path) -> None:
    missing = "10.5281/zenodo.7654321"
    with LoopbackCrossref(WORKS) as crossref, ProviderLoopback({f"/dois/{DATASET_DOI}": DATASET}) as datacite:
        crossref.agencies |= {DATASET_DOI: "DataCite", missing: "DataCite", "10.1400/12345": "mEDRA"}
        texts = (
            (DATASET_TEXT, DATASET_DOI),
            (DATASET_TEXT.replace("2019", "2009"), DATASET_DOI),
            DATASET_DOI,
            (MARKOWITZ_TEXT, DATASET_DOI),
            (DATASET_TEXT, missing),
            ("Rossi A. Sul sonno e sul lutto nella vecchiaia. Riv Psicol. 2010;3:4-9.", "10.1400/12345"),
            (LIPSITZ_TEXT, str(LIPSITZ["DOI"])),
        )
        found = ask_both(crossref, datacite, *texts, cache=tmp_path / "cache.db")
        asked = len(datacite.requests)
        again = ask_both(crossref, datacite, *texts, cache=tmp_path / "cache.db")
        assert len(datacite.requests) == asked == 2  # each DOI once, and none when it was asked about lately
    assert [each.verdict for each in found] == [
        "found", "found-with-errors", "found", "other-work", "could-not-ask", "could-not-ask", "found",
    ]  # fmt: skip
    assert found[0].work is not None
    assert (found[0].work.doi, found[0].work.container) == (DATASET_DOI, "Zenodo")
    assert [(e.field, e.given, e.found) for e in found[1].errors] == [("year", "2009", "2019")]
    assert found[3].leads_to is not None
    assert (found[3].leads_to.doi, [w.doi for w in found[3].candidates]) == (DATASET_DOI, [MARKOWITZ["DOI"]])
    assert found[4].reason == f"{missing} is registered with DataCite, which shows no record of it"
    assert found[5].reason == "10.1400/12345 is registered with mEDRA, which is not asked here"
    assert [each.verdict for each in again] == [each.verdict for each in found]


@pytest.mark.parametrize("kind", ["500", "429", "403", "truncated", "html", "empty", "drop", "reset", "wrong"])
def test_no_error_of_datacite_reads_as_an_answer_or_is_remembered(kind: Any, tmp_path: Path) -> None:
    other = {
        "data": {"id": "10.5281/zenodo.1", "attributes": {"doi": "10.5281/zenodo.1", "titles": [{"title": "Another"}]}}
    }
    routes = {f"/dois/{DATASET_DOI}": DATASET, "/dois/10.5281/zenodo.1": other}
    with LoopbackCrossref(WORKS) as crossref, ProviderLoopback(routes) as datacite:
        crossref.agencies[DATASET_DOI] = "DataCite"
        datacite.script([Fault(kind, times=None, doi="/dois/10.5281/zenodo.1")])
        texts = ((DATASET_TEXT, DATASET_DOI), (LIPSITZ_TEXT, str(LIPSITZ["DOI"])))
        found = ask_both(crossref, datacite, *texts, tries=2, cache=tmp_path / "cache.db")
        assert [each.verdict for each in found] == ["could-not-ask", "found"]
        assert "DataCite" in found[0].reason
        datacite.forget()
        again = ask_both(crossref, datacite, *texts, tries=2, cache=tmp_path / "cache.db")
        assert [each.verdict for each in again] == ["found", "found"]


def test_nobody_is_asked_about_a_doi_of_datacite_with_files(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    file.write_text("".join(json.dumps(m) + "\n" for m in WORKS))
    with ProviderLoopback({f"/dois/{DATASET_DOI}": DATASET}) as datacite:
        (found,) = check_references.run(given((DATASET_TEXT, DATASET_DOI)), files=[file], datacite_url=datacite.url)
        assert datacite.requests == []
    assert found.verdict == "nothing-agrees"
    assert "does not say whether it exists" in found.reason


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["500", "504", "429", "403", "truncated", "html", "empty", "drop", "reset", "oversized", "short"]
)
def test_no_error_reads_as_found_or_as_nothing(kind: Any) -> None:
    """Each request about one of the references fails, for ever; the others are found."""
    references = given((LIPSITZ_TEXT, str(LIPSITZ["DOI"])), MARKOWITZ_TEXT, (STANGIER_TEXT, str(STANGIER["DOI"])))
    with LoopbackCrossref(WORKS) as server:
        server.script([Fault(kind, times=None, size=500_000_000 if kind == "oversized" else 0)])
        with CrossrefClient(server.url, sleep=lambda _: None, tries=2) as client:
            assert {each.verdict for each in check(references, client)} == {"could-not-ask"}


def test_one_failing_search_costs_one_verdict() -> None:
    references = given((LIPSITZ_TEXT, str(LIPSITZ["DOI"])), MARKOWITZ_TEXT, STANGIER_TEXT)
    with LoopbackCrossref(WORKS) as server:
        server.script([Fault("500", times=None, when=lambda r: "past, present" in str(r.params))])
        with CrossrefClient(server.url, sleep=lambda _: None, tries=2) as client:
            found = list(check(references, client))
    assert [each.verdict for each in found] == ["found", "could-not-ask", "found"]


@pytest.mark.slow
def test_a_hundred_pasted_references_take_few_requests_and_none_when_asked_again(tmp_path: Path) -> None:
    """The index of a hundred works, cited without a DOI by their true text."""
    works = [
        message(
            f"10.5555/work.{n}",
            f"Outcome number {n} of psychotherapy in clinic {n * 7}",
            2000 + n % 20,
            author=[person(f"Author{n}", "A")],
            volume=str(n + 1),
            page=f"{n * 10 + 1}-{n * 10 + 9}",
            **{"container-title": ["Journal of Outcomes"]},
        )
        for n in range(100)
    ]
    texts = [
        f"Author{n} A. {w['title'][0]}. J Outcomes. {2000 + n % 20};{n + 1}:{n * 10 + 1}-{n * 10 + 9}."
        for n, w in enumerate(works)
    ]
    with LoopbackCrossref(works) as server:
        options: dict[str, Any] = {"url": server.url, "cache": tmp_path / "cache.db", "sleep": lambda _: None}
        cold = check_references.run(given(*texts), **options)
        requests = len(server.requests)
        warm = check_references.run(given(*texts), **options)
        again = len(server.requests) - requests
        check_references.run(given(*texts), fresh=True, **options)
        fresh = len(server.requests) - requests - again
    assert Counter(each.verdict for each in cold) == {"found": 100}
    assert [(e.verdict, e.work and e.work.doi) for e in warm] == [(e.verdict, e.work and e.work.doi) for e in cold]
    assert (requests <= 110, again) == (True, 0)
    assert fresh == requests
    assert all(each.asked_at for each in warm)
    assert not any(each.asked_at for each in cold)


def test_errors_are_not_remembered(tmp_path: Path) -> None:
    with LoopbackCrossref(WORKS) as server:
        options: dict[str, Any] = {"url": server.url, "cache": tmp_path / "cache.db", "sleep": lambda _: None}
        server.script([Fault("500", times=5)])
        assert check_references.run(given(MARKOWITZ_TEXT), **options)[0].verdict == "could-not-ask"
        assert check_references.run(given(MARKOWITZ_TEXT), **options)[0].verdict == "found"


def test_a_cache_that_cannot_be_used_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "cache.db").write_bytes(b"this is no database" * 100)
    with LoopbackCrossref(WORKS) as server:
        found = check_references.run(
            given(MARKOWITZ_TEXT), url=server.url, cache=tmp_path / "cache.db", sleep=lambda _: None
        )
    assert found[0].verdict == "found"


def test_the_deposited_list_of_a_work(tmp_path: Path) -> None:
    citing = message(
        "10.5555/review",
        "A review of reviews",
        2020,
        reference=[{"unstructured": LIPSITZ_TEXT}, {"unstructured": MARKOWITZ_TEXT}],
    )
    file = tmp_path / "records.jsonl"
    file.write_text("".join(json.dumps(m) + "\n" for m in (*WORKS, citing)))
    found = check_references.run(None, Doi("10.5555/review"), files=[file])
    assert [(each.given.number, each.verdict) for each in found] == [(1, "found"), (2, "found")]
    with pytest.raises(SourceError, match="no reference list was deposited"):
        check_references.run(None, Doi(str(FONAGY["DOI"])), files=[file])


def test_the_command_writes_every_format(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    file.write_text("".join(json.dumps(m) + "\n" for m in (*WORKS, RETRACTED)))
    pasted = tmp_path / "pasted.txt"
    pasted.write_text(f"1. {LIPSITZ_TEXT}\n2. {RETRACTED_TEXT}\n")
    said = run("check-references", str(pasted), "--from", str(file))
    assert said.code == 1
    assert "2. FOUND, BUT RETRACTED (2019-03-01)" in said.out
    assert "2 references: 1 found; 1 found, with a notice on them." in said.out
    rows = json.loads(run("check-references", str(pasted), "--from", str(file), "-f", "json").out)
    assert [set(row) >= {"n", "text", "verdict", "doi", "errors", "notices", "candidates"} for row in rows] == [
        True,
        True,
    ]
    for form in ("csv", "markdown", "html"):
        assert "10.5555/retracted" in run("check-references", str(pasted), "--from", str(file), "-f", form).out
    pasted.write_text(f"1. {LIPSITZ_TEXT}\n")
    assert run("check-references", str(pasted), "--from", str(file)).code == 0
    assert run("check-references").code == 2
    assert run("check-references", str(tmp_path / "absent.bib")).code == 2
    without_list = run("check-references", "--of", str(FONAGY["DOI"]), "--from", str(file))
    assert without_list.code == 3
    assert "no reference list was deposited" in without_list.err


def test_the_command_says_which_lines_it_did_not_check(run: Run, tmp_path: Path) -> None:
    """JSON and CSV stay the list that they are, and --fix the file; stderr has the lines."""
    file = tmp_path / "records.jsonl"
    file.write_text("".join(json.dumps(m) + "\n" for m in WORKS))
    pasted = tmp_path / "pasted.txt"
    pasted.write_text(f"References\n\n1. {LIPSITZ_TEXT}\n2. {MARKOWITZ_TEXT}\n\nFigure legends\n")
    sentence = "2 lines were read as headings, page headers or other text, and not checked:"
    more: tuple[str, ...]
    for more in ((), ("-f", "markdown"), ("-f", "html")):
        said = run("check-references", str(pasted), "--from", str(file), *more)
        assert sentence in said.out
        assert sentence not in said.err
    for more in (("-f", "json"), ("-f", "csv"), ("--fix",)):
        said = run("check-references", str(pasted), "--from", str(file), *more)
        assert f"{sentence}\n   References\n   Figure legends\n" in said.err
        assert "not checked" not in said.out
    assert len(json.loads(run("check-references", str(pasted), "--from", str(file), "-f", "json").out)) == 2


def test_the_command_offers_every_report() -> None:
    assert set(cli.REFERENCE_REPORTS) == set(reference_report.REPORTS)


def test_the_command_says_3_when_crossref_cannot_be_asked(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pasted = tmp_path / "pasted.txt"
    pasted.write_text(LIPSITZ_TEXT)
    with LoopbackCrossref(WORKS) as server:
        monkeypatch.setenv("EVIDENCE_CROSSREF_URL", server.url)
        monkeypatch.setenv("EVIDENCE_CACHE", "no")
        server.script([Fault("403", times=None)])
        said = run("check-references", str(pasted))
    assert said.code == 3
    assert "COULD NOT ASK" in said.out


def test_a_bibtex_file_is_checked_by_its_fields() -> None:
    text = """@article{l, title={Mechanisms of change in interpersonal therapy (IPT)},
    author={Lipsitz, Joshua and Markowitz, John}, journal={Clinical Psychology Review}, year={2003}, volume={33},
    pages={1134--1147}, doi={10.1016/j.cpr.2013.09.002}}"""
    (found,) = check(read(text.encode(), "x.bib")[1], FakeRecordSource())
    assert [(e.field, e.given, e.found) for e in found.errors] == [("year", "2003", "2013")]


def test_several_files_are_checked_together_each_with_its_own_numbers(run: Run, tmp_path: Path) -> None:
    records = tmp_path / "records.jsonl"
    records.write_text("".join(json.dumps(m) + "\n" for m in WORKS))
    for name, text in (("a.txt", LIPSITZ_TEXT), ("b.txt", MARKOWITZ_TEXT.replace("2012", "1999"))):
        (tmp_path / name).write_text(f"1. {text}\n")
    said = run("check-references", "a.txt", "b.txt", "--from", str(records), "-f", "json")
    rows = json.loads(said.out)
    assert [(r["file"], r["n"], r["doi"]) for r in rows] == [
        ("a.txt", 1, LIPSITZ["DOI"]),
        ("b.txt", 1, MARKOWITZ["DOI"]),
    ]
    assert rows[1]["verdict"] == "found-with-errors"
