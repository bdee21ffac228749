"""The article's page: every number leads to the list of exactly so many works, and no retraction is missed."""

from __future__ import annotations

import html
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from datasette.app import Datasette

from evidence import strict_yaml
from evidence.data_model import Doi, Message
from evidence.database import read_citations
from evidence.database.connection import reading
from evidence.database.writer import open_store
from evidence.export import claim_wording, reference_report
from evidence.harvest import sources, stored_verdicts
from evidence.harvest.sync import sync
from evidence.publish import claim_evidence, serve
from evidence.rules.taxonomy import Taxonomy
from tests import site_sample
from tests.builders import FakeRecordSource, message
from tests.command_line import runner
from tests.provider_records import FakeProvider, europepmc, pubmed, retraction_watch

BY_CROSSREF, BY_PUBMED, BY_EUROPEPMC, BY_WATCH, SOUND, LATER, SAME_YEAR, NEWER_RETRACTED = (
    Doi(f"10.5555/{name}")
    for name in ("a", "b", "c,with(comma)", "d", "sound", "later", "same-year", "newer-retracted")
)
TRIAL = "Interpersonal psychotherapy for depressive symptoms of {}: a randomized controlled trial"
TITLES = {
    BY_CROSSREF: TRIAL.format("nurses"),
    BY_PUBMED: TRIAL.format("farmers"),
    BY_EUROPEPMC: TRIAL.format("sailors"),
    BY_WATCH: TRIAL.format("miners"),
    SOUND: TRIAL.format("teachers"),
    LATER: TRIAL.format("drivers"),
    SAME_YEAR: TRIAL.format("cooks"),
    NEWER_RETRACTED: TRIAL.format("bakers"),
}
YEARS = {LATER: 2020, NEWER_RETRACTED: 2021}
CITED = (BY_CROSSREF, BY_PUBMED, BY_EUROPEPMC, BY_WATCH, SOUND)
WITNESSES = {BY_CROSSREF: "publisher", BY_PUBMED: "PubMed", BY_EUROPEPMC: "Europe PMC", BY_WATCH: "Retraction Watch"}
ABOUT = "looks_at: {outcome: [depressive-symptoms]}"
REVIEW = f"""
sources:
  - id: by-name
    kind: search
    label: By name
    query: {{bibliographic: interpersonal psychotherapy}}
    phrases: [interpersonal psychotherap*]
  - id: article
    kind: references
    label: The list
    citations:
{"".join(f"      - {{doi: {json.dumps(doi)}}}{chr(10)}" for doi in CITED)}      - text: A web page of a society.
articles:
  - id: about
    title: The <b>article</b>
    references: article
    claims:
      - {{id: crossref, says: One, cites: [1], {ABOUT}}}
      - {{id: pubmed, says: Two, cites: [2], {ABOUT}}}
      - {{id: europepmc, says: Three, cites: [3], {ABOUT}}}
      - {{id: watch, says: Four, cites: [4], {ABOUT}}}
      - {{id: sound, says: Five, cites: [5], {ABOUT}}}
      - {{id: several, says: Six, cites: [1, 4, 5, 6], {ABOUT}}}
      - {{id: page, says: Seven, cites: [6], {ABOUT}}}
      - {{id: nothing, says: Eight, cites: [], {ABOUT}}}
      - {{id: untagged, says: Nine, cites: [5]}}
      - {{id: unstudied, says: Ten, cites: [5], looks_at: {{outcome: [cost]}}}}
      - {{id: misspelt, says: Eleven, cites: [5], looks_at: {{outcome: [depressive-symptom]}}}}
"""


def records() -> list[Message]:
    found = [message(doi, title, YEARS.get(doi, 2012)) for doi, title in TITLES.items()]
    for record in found:
        if record["DOI"] in (BY_CROSSREF, NEWER_RETRACTED):
            notice = {"DOI": f"{record['DOI']}.r", "type": "retraction", "source": "publisher"}
            record["updated-by"] = [notice | {"updated": {"date-parts": [[2022, 1, 2]]}}]
    return found


def providers() -> list[FakeProvider]:
    """Each retraction is stated by one witness alone; the others know the work and say nothing."""
    gone = [("RetractionIn", "Lancet. 2019 Mar 1;3:4", "30000001")]
    links = {"commentCorrection": [{"type": "Retraction in", "reference": "BMJ. 2020 May;1:2", "id": "30000002"}]}
    medline: dict[str, str] = {
        doi: pubmed(doi, TITLES[doi], f"2000000{n}", comments=gone if doi == BY_PUBMED else [])
        for n, doi in enumerate(CITED[:4])
    }
    europe: dict[str, str] = {
        BY_EUROPEPMC: europepmc(BY_EUROPEPMC, TITLES[BY_EUROPEPMC], "20000002", commentCorrectionList=links)
    }
    return [
        FakeProvider("pubmed", medline),
        FakeProvider("europepmc", europe),
        FakeProvider("retraction-watch", {BY_WATCH: retraction_watch(BY_WATCH, TITLES[BY_WATCH])}),
    ]


@pytest.fixture(scope="module")
def retracted(tmp_path_factory: pytest.TempPathFactory, book: Taxonomy) -> Path:
    """A review of an article that cites four retracted works and a web page."""
    folder = tmp_path_factory.mktemp("retracted")
    (folder / "sources.yaml").write_text(REVIEW, encoding="utf-8")
    config = sources.check(strict_yaml.parse(REVIEW, "sources.yaml"))
    with open_store(folder / "evidence.db", folder / "decisions.db") as store:
        clock = partial(datetime, 2026, 11, 20, 6, tzinfo=UTC)
        sync(config, store, FakeRecordSource(records()), book, now=clock, providers=providers())
    return folder / "evidence.db"


MINDFUL_ARTICLE = """sources:
  - id: article
    kind: references
    label: What mindfulness does
    citations:
      - doi: 10.1001/jamapsychiatry.2019.4693
      - text: A web page of a clinic.
"""
MINDFUL_CLAIMS = """
articles:
  - id: mindful
    title: What mindfulness does
    references: article
    claims:
      - id: relapse
        says: MBCT prevents relapse
        cites: [1, 2]
        looks_at: {programme: [mbct], outcome: [relapse-recurrence, depressive-symptoms]}
      - id: anxiety
        says: Programmes reduce anxiety
        cites: [2]
        looks_at: {outcome: [anxiety]}
"""


@pytest.fixture(scope="module", params=["ipt", "mindfulness"])
def demo(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The bundled records of a topic with an article, as `evidence demo` makes them."""
    folder = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as monkeypatch:
        run = runner(folder, monkeypatch, Silent())  # type: ignore[arg-type]
        assert run("init", "--topic", request.param).code == 0
        if request.param == "mindfulness":
            path = folder / "sources.yaml"
            text = path.read_text(encoding="utf-8").replace("sources:\n", MINDFUL_ARTICLE, 1)
            path.write_text(text + MINDFUL_CLAIMS, encoding="utf-8")
        assert run("demo", "--no-serve").code == 0
    yield folder / "evidence.db"


class Silent:
    """Stands in for pytest's capture, which a fixture of a module cannot have."""

    def readouterr(self) -> Any:
        return type("Captured", (), {"out": "", "err": ""})()


async def site(db: Path, monkeypatch: pytest.MonkeyPatch, claims: Path | None = None) -> tuple[Datasette, str]:
    """The site over `db`, and the article's page without what surrounds it."""
    monkeypatch.setenv("EVIDENCE_SOURCES", str(claims or db.with_name("sources.yaml")))
    ds = Datasette([str(db)], config_dir=serve.site_folder())
    await ds.invoke_startup()
    answer = await ds.client.get("/article", follow_redirects=True)
    assert answer.status_code == 200
    return ds, answer.text.partition("<main")[2].partition("</main>")[0]


def cards(page: str) -> dict[str, str]:
    """Claim → its card."""
    found = page.partition('<ol class="claims">')[2].partition('<ol class="citations">')[0].split('<li id="claim-')[1:]
    return {card.partition('"')[0]: card for card in found}


def verdict(card: str) -> str:
    """The sentence on a card, as text."""
    text = re.search(r'<p class="claim-verdict[^>]*>(.*?)</p>', card, re.DOTALL)
    assert text is not None
    return html.unescape(re.sub(r"<[^>]+>", "", text[1]))


async def check_numbers(ds: Datasette, page: str) -> int:
    """Follows each link to a list; how many there were. A link of words (“the cited work”) is one work."""
    links = set(
        re.findall(r'<a (?:class="[^"]*" )?href="(/evidence/(?:works|citations)\?[^"]+)"[^>]*>([^<]*)</a>', page)
    )
    for address, text in links:
        number = re.match(r"[\d,]+", text)
        expected = int(number[0].replace(",", "")) if number else 1
        listed = (await ds.client.get(html.unescape(address))).text
        count = re.search(r'role="status"><strong>([\d,]+) (?:row|work)', listed)
        assert count is not None, address
        assert int(count[1].replace(",", "")) == expected, (text, html.unescape(address))
    return len(links)


@pytest.mark.slow
async def test_each_number_of_the_bundled_review_is_the_length_of_its_list(
    demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ds, page = await site(demo, monkeypatch)
    assert await check_numbers(ds, page) > 10
    for card in cards(page).values():
        assert ">0<" not in card and not re.search(r"\b0 \w", verdict(card))


@pytest.mark.slow
async def test_each_number_is_the_length_of_its_list_where_works_were_retracted(
    retracted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ds, page = await site(retracted, monkeypatch)
    assert await check_numbers(ds, page) > 20
    assert "<b>article</b>" not in page and "&lt;b&gt;article&lt;/b&gt;" in page


async def test_a_retraction_of_a_cited_work_comes_first_whoever_states_it(
    retracted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, page = await site(retracted, monkeypatch)
    found = cards(page)
    for name, doi in zip(("crossref", "pubmed", "europepmc", "watch"), WITNESSES, strict=True):
        assert verdict(found[name]).startswith("The cited work was retracted; it is about this;"), name
        assert "claim-warned" in found[name]
        tile = page.partition('<ol class="strip">')[2].split("<li>")[1 + CITED.index(doi)]
        assert 'class="status-bad"' in tile and "✕" in tile and "<strong>retraction</strong>" in tile
        one = page.partition('<ol class="citations">')[2].split('<li id="citation-')[1 + CITED.index(doi)]
        assert "<strong>Retraction</strong>" in one and WITNESSES[doi] in one
    assert verdict(found["several"]).startswith(
        "2 of 3 cited works were retracted; 3 of 3 cited works are about this; 1 citation"
    )
    assert "claim-warned" not in found["sound"] and "retracted;" not in verdict(found["sound"]).partition("newer")[0]
    assert "4 of these were retracted." in html.unescape(re.sub(r"<[^>]+>", "", page))
    summary = "6 have newer trials than the article cites, none has newer systematic reviews and 5 rest on a work that"
    assert f"Of 11 claims, {summary} was retracted or doubted." in page


async def test_each_citation_has_the_verdict_of_check_references(
    retracted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ds, page = await site(retracted, monkeypatch)
    with reading(retracted) as conn:
        verdicts = stored_verdicts.of_list(conn, "article")
    assert [each.verdict for each in verdicts] == ["retracted"] * 4 + ["found", "nothing-agrees"]
    items = re.findall(r'<li id="citation-\d+".*?</li>', page, re.DOTALL)
    for item, each in zip(items, verdicts, strict=True):
        assert reference_report.verdict_words(each) in item
    assert html.escape(reference_report.summary(verdicts)) in page
    assert "does not mean that the reference is invented" in page
    rows = json.loads((await ds.client.get("/article/article.json")).text)
    assert [row["verdict"] for row in rows] == [each.verdict for each in verdicts]
    assert (await ds.client.get("/article/article.csv")).text.startswith("file,n,key,verdict,")
    markdown = await ds.client.get("/article/article.md")
    assert "attachment" in markdown.headers["content-disposition"]
    assert "**found, but retracted (2022-01-02)**" in markdown.text
    assert (await ds.client.get("/article/absent.json")).status_code == 404


async def test_newer_is_a_later_year_and_says_what_cannot_be_told(
    retracted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, page = await site(retracted, monkeypatch)
    card = cards(page)["sound"]
    assert verdict(card) == (
        "The cited work is about this; 2 newer trials; no newer review; 1 of the newer works was retracted."
    )
    assert "Newer: published after 2012, the year of the cited work." in card
    text = html.unescape(re.sub(r"<[^>]+>", "", card))
    assert "Whether 5 other works of 2012 are newer cannot be told by the year." in text
    assert "abstracts were not available for" in text


async def test_claims_without_anything_to_count_say_so(retracted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, page = await site(retracted, monkeypatch)
    found = {name: verdict(card) for name, card in cards(page).items()}
    assert found["page"] == "The citation could not be identified; 8 trials here; no review here."
    assert found["nothing"] == "The article cites nothing for this; 8 trials here; no review here."
    assert found["untagged"] == "Nothing could be counted."
    assert "names no tags in sources.yaml" in cards(page)["untagged"]
    assert found["unstudied"].endswith("; no included work is tagged with this.")
    assert found["misspelt"] == "Nothing could be counted."
    assert "outcome:depressive-symptom" in cards(page)["misspelt"]
    for name in ("page", "nothing"):
        assert "No cited work has a year, so nothing can be called newer." in cards(page)[name]


async def test_who_was_asked_about_retractions_is_said(retracted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, page = await site(retracted, monkeypatch)
    said = re.search(r"Asked about retractions: [^<]*", page)
    assert said is not None
    assert "PubMed about 4 of 5 (20 November 2026)" in said[0]
    assert "Europe PMC about 1 of 5" in said[0]
    assert "Retraction Watch about all" in said[0]
    assert "Crossref about all" in said[0]


def test_a_cited_work_under_an_earlier_doi_or_in_another_record_is_still_counted(
    retracted: Path, tmp_path: Path
) -> None:
    """The list names a DOI that redirects, and a record that the review holds to be a duplicate of another."""
    path = tmp_path / "evidence.db"
    with closing(sqlite3.connect(retracted)) as old, closing(sqlite3.connect(path)) as new:
        old.backup(new)
        new.execute("insert into aliases (alias, doi, first_run) values ('10.5555/former', ?, 1)", (SOUND,))
        new.execute("update citations set doi = '10.5555/former' where doi = ?", (SOUND,))
        new.execute("update works set verdict = 'duplicate', same_as = ? where doi = ?", (LATER, BY_WATCH))
        new.commit()
    articles = sources.check(strict_yaml.parse(REVIEW, "sources.yaml")).articles
    with reading(path) as conn:
        ((_, claims),) = claim_evidence.read_all(conn, articles)
        rows = read_citations.citations(conn, "article")
    assert [row["known"] for row in rows] == [*CITED, None]
    assert rows[3]["record"] == LATER
    by_id = {claim.id: claim.counts for claim in claims}
    assert by_id["sound"].cited.n == by_id["sound"].cited_about.n == 1
    # The newest record of the cited study is of 2020, so that the study itself is not among what is newer.
    assert by_id["watch"].since == 2020
    assert dict(by_id["watch"].cited.filters) == {"doi__in": json.dumps([LATER])}
    assert [kind for kind, _ in by_id["watch"].notices] == ["retraction"]


def test_the_command_line_says_what_the_page_says(
    retracted: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runner(retracted.parent, monkeypatch, capsys)
    text = run("report", "claims").out
    told = json.loads(run("report", "claims", "--json").out)
    with reading(retracted) as conn:
        found = claim_evidence.read_all(conn, sources.load(retracted.with_name("sources.yaml")).articles)
    assert told == claim_wording.as_json(found)
    for claim in told[0]["claims"]:
        assert claim["verdict"] in text
        for one in claim["not_known"]:
            assert one in text
    assert told[0]["claims"][0]["counts"]["newer_trials"] == 2
    assert "no. 6: no DOI, A web page of a society." in text


async def test_page_and_command_line_use_the_same_sentences(retracted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, page = await site(retracted, monkeypatch)
    with reading(retracted) as conn:
        ((_, claims),) = claim_evidence.read_all(conn, sources.load(retracted.with_name("sources.yaml")).articles)
    for claim in claims:
        assert verdict(cards(page)[claim.id]) == f"{claim_wording.plain(claim_wording.sentence(claim.counts))}."


@pytest.mark.slow
async def test_the_table_behind_a_timeline_has_all_works_of_its_claim(
    demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newer years and the row of those before make up all works with a year."""
    monkeypatch.setenv("EVIDENCE_SOURCES", str(demo.with_name("sources.yaml")))
    with reading(demo) as conn:
        ((_, claims),) = claim_evidence.read_all(conn, sources.load(demo.with_name("sources.yaml")).articles)
    for claim in claims:
        counts = claim.counts
        assert sum(row.works.n for row in claim.years) == counts.works.n - counts.undated.n
        assert sum(row.works.n for row in claim.years if row.year is not None) == (
            counts.newer.n if counts.since is not None else counts.works.n - counts.undated.n
        )
        drawn = [kind for _, kind, n in claim.marks for _ in range(n)]
        newer = [kind for kind in drawn if kind in ("trial", "review", "newer")]
        assert len(newer) == counts.newer.n - counts.newer_retracted.n
        cited = sum(1 for kind in drawn if kind.startswith("cited"))
        assert len(drawn) - cited == counts.works.n - counts.undated.n - counts.cited_among


async def test_a_long_list_has_small_squares_that_are_still_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = site_sample.make_sample(tmp_path / "evidence.db")
    with closing(sqlite3.connect(path)) as conn:
        conn.executemany(
            "insert into citations (source, position, text, status, first_run) values (?, ?, 'A <i>text', 'not-found', 1)",
            [(site_sample.ARTICLE, n) for n in range(10, 60)],
        )
        conn.commit()
    _, page = await site(path, monkeypatch, claims=tmp_path / "none.yaml")
    strip = page.partition('<ol class="strip strip-small">')[2].partition("</ol>")[0]
    assert strip.count("<li>") == 59
    assert strip.count('<span class="sign">!</span><span class="unseen">DOI does not exist</span>') == 50
    assert "<i>" not in strip
