"""What the site shows of providers beside Crossref: whose an abstract is, who was asked, who states a notice, identifiers."""

from __future__ import annotations

import html
import json
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from datasette.app import Datasette

from evidence import strict_yaml
from evidence.data_model import Doi
from evidence.database.writer import open_store
from evidence.harvest import sources
from evidence.harvest.sync import sync
from evidence.publish import serve
from evidence.rules.taxonomy import Taxonomy
from tests.builders import FakeRecordSource, message
from tests.provider_records import FakeProvider, europepmc, pubmed, registered, retraction_watch

GRIEF, TEENS, SCHOOLS = Doi("10.5555/grief"), Doi("10.5555/teens"), Doi("10.5555/schools")
ELSEWHERE, LISTED, DENIED = Doi("10.5555/elsewhere"), Doi("10.5555/listed"), Doi("10.5555/denied")
TITLES = {
    GRIEF: "Interpersonal psychotherapy for depressive symptoms of bereaved adults: a randomized controlled trial",
    TEENS: "Interpersonal psychotherapy for depressed adolescents",
    SCHOOLS: "Interpersonal psychotherapy given by nurses in rural schools",
    ELSEWHERE: "Interpersonal psychotherapy by telephone after childbirth",
    LISTED: "Interpersonal psychotherapy and nortriptyline in late life",
    DENIED: "Interpersonal psychotherapy with refugees in two camps",
}
REVIEW = f"""
sources:
  - id: by-name
    kind: search
    label: By name
    query: {{bibliographic: interpersonal psychotherapy}}
    phrases: [interpersonal psychotherap*]
  - id: article
    kind: references
    label: The article
    citations:
      - text: "{TITLES[GRIEF]}. 2012."
        doi: {GRIEF}
articles:
  - id: about
    title: About
    references: article
    claims:
      - id: eases
        says: It eases depression
        cites: [1]
        looks_at: {{outcome: [depressive-symptoms]}}
"""
BUSY = "the server answered 503"
WITNESSES = {GRIEF: "PubMed", ELSEWHERE: "Europe PMC", LISTED: "Retraction Watch"}


def providers() -> list[FakeProvider]:
    """Three works that one of three providers alone calls retracted, and answers of every kind."""
    retracted = [("RetractionIn", "Lancet. 2019 Mar 1;3:4", "30000001")]
    medline = FakeProvider(
        "pubmed",
        {
            GRIEF: pubmed(
                GRIEF, TITLES[GRIEF], "20000001", comments=retracted, registrations=["NCT01234567"],
                types=["Journal Article", "Randomized Controlled Trial"], mesh=[("Grief", True), ("Adult", False)],
            ),
            TEENS: pubmed(TEENS, TITLES[TEENS], "20000002", abstract=(), registrations=["NCT01234567"]),
        },
    )  # fmt: skip
    medline.refusing[DENIED] = "its title is “Bridges”"
    links = {"commentCorrection": [{"type": "Retraction in", "reference": "BMJ. 2020 May;1:2", "id": "30000002"}]}
    copy = {"url": "https://europepmc.org/articles/PMC1234567", "availabilityCode": "OA", "documentStyle": "html"}
    free: dict[str, Any] = {
        "pmcid": "PMC1234567",
        "license": "cc by",
        "isOpenAccess": "Y",
        "fullTextUrlList": {"fullTextUrl": [copy]},
        "grantsList": {"grant": [{"agency": "NIMH NIH HHS", "grantId": "R01 MH012345"}]},
        "pubTypeList": {"pubType": ["Journal Article"]},
    }
    europe = FakeProvider(
        "europepmc",
        {
            GRIEF: europepmc(GRIEF, TITLES[GRIEF], "20000001", **free),
            ELSEWHERE: europepmc(ELSEWHERE, TITLES[ELSEWHERE], "20000003", commentCorrectionList=links),
        },
    )
    openalex = FakeProvider("openalex", {})
    openalex.failing, openalex.retry_after = BUSY, 3 * 86400
    file = FakeProvider("retraction-watch", {LISTED: retraction_watch(LISTED, TITLES[LISTED])})
    study = registered("NCT01234567", "Talking, Compared With Waiting", ["Depressive symptoms"])
    return [medline, europe, openalex, file, FakeProvider("clinicaltrials", {"NCT01234567": study})]


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory, book: Taxonomy) -> Path:
    """A database after two syncs: with Crossref alone, and a day later with all providers."""
    folder = tmp_path_factory.mktemp("providers")
    (folder / "sources.yaml").write_text(REVIEW, encoding="utf-8")
    config = sources.check(strict_yaml.parse(REVIEW, "sources.yaml"))
    crossref = FakeRecordSource([message(doi, title, 2012) for doi, title in TITLES.items()])
    days: list[tuple[int, list[FakeProvider]]] = [(19, []), (20, providers())]
    for day, asked in days:
        with open_store(folder / "evidence.db", folder / "decisions.db") as store:
            clock = partial(datetime, 2026, 11, day, 6, tzinfo=UTC)
            sync(config, store, crossref, book, now=clock, providers=asked)
    return folder / "evidence.db"


_served: dict[Path, Datasette] = {}


async def get(path: Path, address: str, **options: Any) -> Any:
    """What the site over `path` answers."""
    if path not in _served:
        _served[path] = Datasette([str(path)], config_dir=serve.site_folder())
        await _served[path].invoke_startup()
    return await _served[path].client.get(address, **options)


async def work_page(path: Path, doi: str) -> str:
    """The page of a work, without markup between words."""
    page = (await get(path, f"/doi/{doi}", follow_redirects=True)).text
    return " ".join(html.unescape(re.sub(r"</?(?:bdi|strong|mark|span)\b[^>]*>", "", page)).split())


def cells(page: str, label: str) -> list[list[str]]:
    """The rows of the table with this label, as the text of their cells."""
    table = page.split(f'aria-label="{label}"')[1].split("</table>")[0]
    rows = re.findall(r"<tr>(.*?)</tr>", table.partition("<tbody>")[2], re.S)
    return [
        [html.unescape(re.sub(r"<[^>]+>", "", c)).strip() for c in re.findall(r"<t[hd].*?</t[hd]>", r)] for r in rows
    ]


def changed(path: Path, folder: Path, *statements: str) -> Path:
    """A copy of the database with these statements run on it."""
    copy = folder / "evidence.db"
    with closing(sqlite3.connect(path)) as conn, closing(sqlite3.connect(copy)) as target:
        conn.backup(target)
        with target:
            for statement in statements:
                target.execute(statement)
    return copy


# ---------------------------------------------------------------------- the page of a work


async def test_an_abstract_says_whose_it_is_and_of_which_day_and_keeps_its_sections(reviewed: Path) -> None:
    page = await work_page(reviewed, GRIEF)
    assert "Abstract: PubMed, 20 November 2026." in page
    before, after = page.split("Abstract: PubMed", 1)
    assert "<p>METHODS: Sixty " not in before and "<p>METHODS: Sixty " in after and "<p>RESULTS: " in after


async def test_a_publishers_abstract_is_of_the_day_of_its_record(reviewed: Path, tmp_path: Path) -> None:
    words = "update works set abstract = 'One.', abstract_source = 'publisher', abstract_at = null where doi = '10.5555/teens'"
    page = await work_page(changed(reviewed, tmp_path, words), TEENS)
    assert "Abstract: the publisher, as deposited with Crossref, 19 November 2026." in page
    assert "No abstract" not in page


async def test_a_work_without_an_abstract_says_who_has_none_who_could_not_and_who_was_not_asked(
    reviewed: Path, tmp_path: Path
) -> None:
    page = await work_page(reviewed, TEENS)
    assert "No abstract: Crossref, PubMed and Europe PMC have none." in page
    assert f"OpenAlex could not be asked since 2026-11-20: {BUSY}; next try from 2026-11-23." in page
    assert "Not asked" not in page
    denied = await work_page(reviewed, DENIED)
    assert "No abstract: Crossref and Europe PMC have none. PubMed answered with another work" in denied
    forgotten = changed(reviewed, tmp_path, "delete from provider_answers")
    page = await work_page(forgotten, TEENS)
    assert "No abstract: Crossref has none. Not asked: PubMed, Europe PMC and OpenAlex." in page


@pytest.mark.parametrize(
    ("doi", "says"),
    [
        (GRIEF, "Retraction, 2019-03-01, stated by PubMed: PMID 30000001 (linked in"),
        (ELSEWHERE, "Retraction, 2020-05, stated by Europe PMC: PMID 30000002 (linked in"),
        (LISTED, "Retraction, 2019-03-01, stated by Retraction Watch: Retraction Watch’s record 7 (from"),
    ],
)
async def test_a_notice_says_who_states_it_and_names_the_notice(reviewed: Path, doi: str, says: str) -> None:
    page = await work_page(reviewed, doi)
    assert says in re.sub(r"</?a\b[^>]*>", "", page)
    if "PMID" in says:
        assert f'href="https://pubmed.ncbi.nlm.nih.gov/{says.partition("PMID ")[2][:8]}/"' in page


async def test_where_witnesses_disagree_both_are_said(reviewed: Path, tmp_path: Path) -> None:
    page = await work_page(reviewed, GRIEF)
    assert "Crossref, Europe PMC and Retraction Watch have no such notice." in page
    assert cells(page, "Who was asked about retractions") == [
        ["Crossref", "asked on 2026-11-20", "no notice"],
        ["PubMed", "asked on 2026-11-20", "retraction, 2019-03-01"],
        ["Europe PMC", "asked on 2026-11-20", "no notice"],
        ["Retraction Watch’s file", "asked on 2026-11-20", "no entry"],
    ]
    also = changed(
        reviewed, tmp_path,
        "insert into updates select said_by, doi, kind, doi, '2019-02-15', 'publisher', 'updated-by', null from updates "
        f"where said_by = '{GRIEF}'",
        f"update notices set source = 'PubMed; publisher', evidence = 'updated-by', issued = '2019-02-15' where doi = '{GRIEF}'",
    )  # fmt: skip
    page = await work_page(also, GRIEF)
    assert "Retraction, 2019-02-15, stated by PubMed (2019-03-01) and the publisher (2019-02-15)" in page
    assert "Europe PMC and Retraction Watch have no such notice." in page
    assert cells(page, "Who was asked about retractions")[0] == [
        "Crossref", "asked on 2026-11-20", "retraction, 2019-02-15",
    ]  # fmt: skip


async def test_who_could_not_be_asked_about_retractions_is_not_counted_as_saying_no(
    reviewed: Path, tmp_path: Path
) -> None:
    failing = changed(
        reviewed, tmp_path,
        f"update provider_answers set state = 'could not ask', problem = '{BUSY}', failed_since = '2026-11-21T06:00:00Z', "
        f"next_try = '2026-11-21T06:00:00Z' where provider = 'europepmc' and subject = '{GRIEF}'",
        f"delete from provider_answers where provider = 'retraction-watch' and subject = '{GRIEF}'",
        f"update sources set trouble = '{BUSY}' where kind = 'refresh'",
        "insert into runs (run, started, outcome, door, version, counts) values "
        "(90, '2026-11-22T06:00:00Z', 'partial', 'crossref', '0.1', '{}')",
    )  # fmt: skip
    page = await work_page(failing, GRIEF)
    assert "no such notice" not in page
    because = f"because {BUSY}; next try at the next sync; last answer on 2026-11-20"
    assert cells(page, "Who was asked about retractions") == [
        ["Crossref", f"not answered could not be asked since 2026-11-22, {because}", "no notice on 2026-11-20"],
        ["PubMed", "asked on 2026-11-20", "retraction, 2019-03-01"],
        ["Europe PMC", f"not answered could not be asked since 2026-11-21, {because}", "no notice on 2026-11-20"],
        ["Retraction Watch’s file", "not asked", "not known"],
    ]
    denied = cells(await work_page(failing, DENIED), "Who was asked about retractions")
    assert [row[2] for row in denied[1:]] == ["not known: it answered with another work", "no record", "no entry"]


async def test_a_record_from_files_was_not_asked_about_at_crossref(reviewed: Path, tmp_path: Path) -> None:
    path = changed(reviewed, tmp_path, "update runs set door = 'snapshot'")
    row = cells(await work_page(path, GRIEF), "Who was asked about retractions")[0]
    assert row == ["Crossref", "not asked: its record is from files", "not known"]


async def test_the_abstract_comes_before_the_tags_and_free_full_text_is_linked_at_the_top(reviewed: Path) -> None:
    page = await work_page(reviewed, GRIEF)
    places = [
        "https://europepmc.org/articles/PMC1234567",
        'id="abstract-heading"',
        'id="tags-heading"',
        'id="witnesses-heading"',
    ]
    assert sorted(map(page.index, places)) == [page.index(place) for place in places]
    assert (
        '<a class="full-text" href="https://europepmc.org/articles/PMC1234567" rel="noreferrer">free full text</a>'
        in page
    )
    assert "free full text" not in await work_page(reviewed, TEENS)


async def test_identifiers_facts_and_the_registered_study_are_shown_with_sources_and_links(reviewed: Path) -> None:
    page = await work_page(reviewed, GRIEF)
    for address, text, source in (
        ("https://pubmed.ncbi.nlm.nih.gov/20000001/", "20000001", "Europe PMC and PubMed"),
        ("https://pmc.ncbi.nlm.nih.gov/articles/PMC1234567/", "PMC1234567", "Europe PMC"),
        ("https://clinicaltrials.gov/study/NCT01234567", "NCT01234567", "PubMed"),
        ("https://europepmc.org/articles/PMC1234567", "https://europepmc.org/articles/PMC1234567", "Europe PMC"),
    ):
        assert f'<dd><a href="{address}" rel="noreferrer">{text}</a> {source}</dd>' in page, address
    for fact in ("Journal Article Europe PMC and PubMed", "Randomized Controlled Trial PubMed", "cc by Europe PMC",
                 "NIMH NIH HHS R01 MH012345 Europe PMC"):  # fmt: skip
        assert f"<dd>{fact}</dd>" in page, fact
    headings = page.split("<summary>MeSH headings (2)</summary>")[1].split("</details>")[0]
    assert "Grief main topic PubMed" in headings and "Adult PubMed" in headings
    study = page.split("Registered study</h2>")[1].split("</section>")[0]
    for text in (
        "Talking, Compared With Waiting",
        "completed",
        "<dd>120</dd>",
        "<dd>2016-07</dd>",
        "Depressive symptoms",
    ):
        assert text in study, text
    assert "as registered with ClinicalTrials.gov" in study


# ---------------------------------------------------------------------- the method page


async def test_each_row_of_the_providers_adds_up_to_the_works_that_are_asked_about(
    reviewed: Path, tmp_path: Path
) -> None:
    path = changed(
        reviewed, tmp_path,
        f"update works set verdict = 'exclude' where doi = '{SCHOOLS}'",
        f"delete from provider_answers where provider = 'europepmc' and subject = '{TEENS}'",
    )  # fmt: skip
    page = (await get(path, "/method")).text
    assert "Each row adds up to 5 works." in page
    found = {row[0]: row[1:] for row in cells(page, "What other providers were asked")}
    counts = {label: [int(cell.split()[0]) for cell in row[:5]] for label, row in found.items()}
    assert counts == {
        "Europe PMC": [2, 2, 0, 0, 1], "PubMed": [2, 2, 1, 0, 0], "OpenAlex": [0, 0, 0, 5, 0],
        "Retraction Watch": [1, 4, 0, 0, 0],
    }  # fmt: skip
    assert {label: sum(row) for label, row in counts.items()} == dict.fromkeys(counts, 5)
    assert [found[label][5] for label in counts] == ["2026-11-20", "2026-11-20", "never", "2026-11-20"]
    assert f"5 since 2026-11-20: {BUSY}" in found["OpenAlex"]
    assert "ClinicalTrials.gov was asked about 1 registration number: 1 with a record, 0 without" in page


async def test_sources_of_abstracts_add_up_to_all_works_and_lead_to_as_many(reviewed: Path, tmp_path: Path) -> None:
    path = changed(
        reviewed, tmp_path,
        f"update works set abstract = 'One.', abstract_source = 'publisher' where doi = '{TEENS}'",
        f"update works set verdict = 'exclude' where doi = '{SCHOOLS}'",
    )  # fmt: skip
    page = (await get(path, "/method")).text
    rows = cells(page, "Where abstracts are from")
    assert rows == [["The publisher", "1", "1"], ["PubMed", "1", "1"], ["None", "3", "4"], ["Together", "5", "6"]]
    assert [sum(int(row[n]) for row in rows[:-1]) for n in (1, 2)] == [5, 6]
    links = re.findall(r'href="([^"]*abstract_source[^"]*)">(\d+)<', page)
    assert len(links) == 3
    for address, n in links:
        listed = await get(path, html.unescape(address).replace("?", ".json?_shape=array&"))
        assert len(listed.json()) == int(n), address


async def test_the_method_page_of_a_database_without_providers_says_that_none_was_asked(
    reviewed: Path, tmp_path: Path
) -> None:
    page = (await get(changed(reviewed, tmp_path, "delete from provider_answers"), "/method")).text
    assert [row[5:] for row in cells(page, "What other providers were asked")] == [["6", "never"]] * 4


# ---------------------------------------------------------------------- marked everywhere


@pytest.mark.parametrize("doi", WITNESSES)
async def test_a_work_that_one_provider_alone_calls_retracted_is_marked_everywhere(
    reviewed: Path, monkeypatch: pytest.MonkeyPatch, doi: Doi
) -> None:
    monkeypatch.setenv("EVIDENCE_SOURCES", str(reviewed.with_name("sources.yaml")))
    badge = '<span class="badge notice-grave">retraction</span>'
    listed = (await get(reviewed, f"/evidence/works?{urlencode({'doi': doi})}")).text
    assert badge in listed, WITNESSES[doi]
    assert badge in (await get(reviewed, f"/evidence/works?{urlencode({'doi': doi, 'verdict': 'include'})}")).text
    marked = (await get(reviewed, "/evidence/works.json?_shape=array&notice=retraction&_size=max")).json()
    assert {row["doi"] for row in marked} == set(WITNESSES)
    exported = (await get(reviewed, f"/download/csv?{urlencode({'doi': doi})}")).text
    assert "retraction" in exported.splitlines()[1]
    news = (await get(reviewed, "/changes")).text.split("Retractions, corrections and expressions of concern")[1]
    assert html.escape(TITLES[doi]) in news and badge in news


async def test_the_map_and_the_claims_mark_what_pubmed_alone_calls_retracted(
    reviewed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVIDENCE_SOURCES", str(reviewed.with_name("sources.yaml")))
    page = (await get(reviewed, "/map?implied=1")).text
    cell = r'<td><a href="([^"]+)" aria-label="[^"]*, 1 retracted"(?:(?!</a>).)*<path class="retracted"'
    marked = re.findall(cell, page, re.S)
    assert marked
    assert "some of them retracted" in page
    for address in marked:
        assert (
            '<span class="badge notice-grave">retraction</span>' in (await get(reviewed, html.unescape(address))).text
        )
    assert "1 retracted" in (await get(reviewed, "/map.svg?implied=1")).text
    lines = (await get(reviewed, "/map.csv?implied=1")).text.splitlines()
    assert lines[0].split(",")[5] == "retracted"
    assert sum(int(line.split(",")[5]) for line in lines[1:]) == len(marked)
    article = (await get(reviewed, "/article/article")).text
    assert article.count('<span class="badge notice-grave">retraction</span>') >= 2, "in the claim and the citation"
    address, n = re.findall(r'<a href="([^"]+)">(\d+) retracted</a>', article)[0]
    listed = (await get(reviewed, html.unescape(address).replace("/works?", "/works.json?_shape=array&"))).json()
    assert GRIEF in {row["doi"] for row in listed} and len(listed) == int(n)


async def test_a_work_that_a_reinstatement_brought_back_is_not_counted_as_retracted(
    reviewed: Path, tmp_path: Path
) -> None:
    undone = changed(
        reviewed, tmp_path, "update notices set undone = 1", "update works set notice = null"
    )  # fmt: skip
    assert "retracted" not in (await get(undone, "/map?implied=1")).text.split('<table class="map">')[1]


# ---------------------------------------------------------------------- the search box


@pytest.mark.parametrize(
    "typed",
    [
        "PMID:20000001", "pmid 20000001", "20000001", " 20000001 ", "https://pubmed.ncbi.nlm.nih.gov/20000001/",
        "PMC1234567", "PMCID: PMC1234567", "10.5555/grief", "https://doi.org/10.5555/GRIEF", "doi:10.5555/grief",
    ],
)  # fmt: skip
@pytest.mark.parametrize("box", ["/evidence/works?_search=", "/evidence/search?q="])
async def test_an_identifier_in_the_search_box_leads_to_its_work(reviewed: Path, box: str, typed: str) -> None:
    answer = await get(reviewed, box + urlencode({"": typed})[1:])
    assert (answer.status_code, answer.headers.get("location")) == (302, "/evidence/works/10~2E5555~2Fgrief")


async def test_registrations_openalex_and_former_dois_lead_to_works_too(reviewed: Path, tmp_path: Path) -> None:
    path = changed(
        reviewed, tmp_path,
        f"insert into identifiers values ('{TEENS}', 'openalex', 'W2741809807', 'openalex')",
        f"insert into identifiers values ('{TEENS}', 'registration', 'ISRCTN12345678', 'text')",
        f"insert into aliases (alias, doi, first_run) values ('10.5555/former', '{TEENS}', 1)",
    )  # fmt: skip
    for typed in ("W2741809807", "https://openalex.org/W2741809807", "ISRCTN12345678", "10.5555/former"):
        answer = await get(path, f"/evidence/works?{urlencode({'_search': typed})}")
        assert answer.headers.get("location") == "/evidence/works/10~2E5555~2Fteens", typed
    several = await get(path, "/evidence/works?_search=nct01234567")
    listed = await get(path, several.headers["location"].replace("/works?", "/works.json?_shape=array&"))
    assert {row["doi"] for row in listed.json()} == {GRIEF, TEENS}


async def test_other_searches_and_unknown_identifiers_stay_searches(reviewed: Path) -> None:
    for typed in ("depressed adolescents", "2012", "99999999", "PMID:99999999", "10.5555/nowhere", "W999999999"):
        answer = await get(reviewed, f"/evidence/works?{urlencode({'_search': typed})}")
        assert answer.status_code == 200, typed
    data = await get(reviewed, "/evidence/works.json?_search=PMID:20000001&_shape=array")
    assert (data.status_code, json.loads(data.text)) == (200, [])
    assert (await get(reviewed, "/evidence/tags?_search=PMID:20000001")).status_code == 200


# ---------------------------------------------------------------------- implied tags

IMPLIED = "its words are there, but the text hardly says it about this study"


@pytest.mark.parametrize(
    "address",
    ["/map?implied=1", "/map", "/map.svg?implied=1", "/method", "/evidence/works?_strength=stated,likely,implied",
     "/evidence/works/10~2E5555~2Fgrief"],
)  # fmt: skip
async def test_every_page_that_has_implied_tags_says_what_that_means(reviewed: Path, address: str) -> None:
    assert IMPLIED in (await get(reviewed, address)).text
