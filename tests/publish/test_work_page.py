"""The page of a work: the ribbon across a retracted title, tags with their strength and reasons, citations as a drawing and as
lists, how to cite it, and what it and the lists say to reference managers."""

from __future__ import annotations

import html
import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode

import pytest
from bs4 import BeautifulSoup
from datasette.app import Datasette
from datasette.utils import tilde_encode

from evidence.data_model import Doi
from evidence.export import page_citation
from evidence.export.wording import first_author
from evidence.linkage.retraction_notices import GRAVE
from evidence.publish import citation_network, serve, work_page_text
from tests import site_sample

HUB, LEAF = Doi("10.1001/archpsyc.56.6.573"), Doi("10.1016/j.cpr.2013.09.002")
MARKUP = 'The <i>effect</i> of "IPT" & <script>alert(1)</script> العلاج النفسي للاكتئاب'
MANY = 3_000

_served: dict[Path, Datasette] = {}


async def get(path: Path, address: str) -> Any:
    if path not in _served:
        _served[path] = Datasette([str(path)], config_dir=serve.site_folder())
        await _served[path].invoke_startup()
    return await _served[path].client.get(address, follow_redirects=True)


async def soup(path: Path, address: str) -> BeautifulSoup:
    answer = await get(path, address)
    assert answer.status_code == 200, answer.text[:500]
    return BeautifulSoup(answer.text, "html.parser")


def words(element: Any) -> str:
    """The text of an element as it is read."""
    return " ".join(element.get_text(" ").split())


async def rows_behind(path: Path, address: str) -> int:
    """How many works a list has."""
    page = await soup(path, address)
    return int(re.sub(r"\D", "", page.select_one(".count strong").get_text()))  # type: ignore[union-attr]


def changed(path: Path, change: Callable[[sqlite3.Connection], None]) -> Path:
    with closing(sqlite3.connect(path)) as conn, conn:
        change(conn)
    return path


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    return site_sample.make_sample(tmp_path / "evidence.db")


def cite(conn: sqlite3.Connection, *pairs: tuple[str, str]) -> None:
    conn.executemany("insert into cites (doi, cited, asserted_by) values (?, ?, 'publisher')", pairs)


def cited_by_thousands(conn: sqlite3.Connection) -> None:
    """3,000 works cite the hub: two of them old and retracted or doubted, one with markup and right-to-left text."""
    for number in range(MANY):
        year = 2000 + number % 20
        title, verdict, notice = f"Work {number}", "include" if number % 3 else "exclude", None
        if number == 0:
            year, notice = 1950, "retraction"
        if number == 1:
            year, notice = 1951, "expression-of-concern"
        if number == 2:
            year, title = 2026, MARKUP
        work = (f"10.5555/{number:04}", title, f"Nāme{number} AB, Other C", "J", str(year), "journal-article", verdict)
        site_sample.add_work(conn, (*work, notice))
    cite(conn, *((f"10.5555/{number:04}", HUB) for number in range(MANY)), ("10.5555/0000", "10.5555/0001"))
    cite(conn, (HUB, "10.1002/cpp.1774"), (HUB, "10.9999/elsewhere"))


# ---------------------------------------------------------------------- citations


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = site_sample.make_sample(tmp_path_factory.mktemp("hub") / "evidence.db")
    return changed(path, cited_by_thousands)


async def test_citations_are_drawn_and_listed_capped_and_every_number_agrees_with_the_list_behind_it(hub: Path) -> None:
    page = await soup(hub, f"/doi/{HUB}")
    section = page.select_one(".citation-links")
    assert section is not None
    drawing = section.select_one("svg.network")
    assert drawing is not None
    assert "Citing works, 12 of 3,001" in words(drawing)
    nodes = drawing.select("a:has(.node)")
    # cpp.1774 cites the hub in the sample, and the hub cites it here
    assert len(nodes) == 12 + 1
    counts = {}
    for link in section.select("h3 a"):
        counted = int(re.sub(r"\D", "", words(link)))
        counts[words(link)] = await rows_behind(hub, str(link["href"])) == counted
    outside = section.select_one("p.fine a[href*='/cites?']")
    assert outside is not None
    assert words(outside) == "all 2 cited DOIs"
    assert await rows_behind(hub, str(outside["href"])) == 2
    assert counts == {"It cites 1 work": True, "3,001 works cite it": True}
    more = section.select_one("ol + p a")
    assert more is not None
    assert words(more) == "and 2,989 more"
    assert len(section.select("ol.works-list")[1].select("li")) == 12
    assert len((await get(hub, f"/doi/{HUB}")).text) < 80_000


async def test_retracted_and_doubted_works_are_drawn_first_and_told_by_shape_and_word(hub: Path) -> None:
    page = await soup(hub, f"/doi/{HUB}")
    labels = {str(link["aria-label"]): link for link in page.select("svg.network a:has(.node)")}
    retracted = labels["Nāme0 1950: Work 0, retraction"]
    doubted = labels["Nāme1 1951: Work 1, expression of concern"]
    shapes = [one.select_one(".node path")["d"] for one in (retracted, doubted)]  # type: ignore[index]
    assert len(set(shapes)) == 2
    plain = labels["Markowitz 2012: Interpersonal Psychotherapy: Past, Present and Future"]
    assert plain.select_one(".node path") is None
    assert retracted["href"] == "/evidence/works/10~2E5555~2F0000"
    # They cite each other: an arc within the right side.
    assert len(page.select("svg.network .among path")) == 1


async def test_titles_with_markup_and_right_to_left_text_are_drawn_as_text(hub: Path) -> None:
    answer = (await get(hub, f"/doi/{HUB}")).text
    assert "<script>alert" not in answer and "<i>effect" not in answer
    page = BeautifulSoup(answer, "html.parser")
    titles = [title.get_text() for title in page.select("svg.network a > title")]
    assert MARKUP in titles
    own = await soup(hub, "/doi/10.5555/0002")
    heading = own.select_one("h1 > bdi")
    assert heading is not None
    assert heading.get_text() == MARKUP
    assert own.select_one('meta[name="citation_title"]')["content"] == MARKUP  # type: ignore[index]
    assert json.loads(own.select_one('script[type="application/ld+json"]').get_text())["headline"] == MARKUP  # type: ignore[union-attr]


def test_the_number_of_statements_does_not_grow_with_the_citations(hub: Path) -> None:
    asked: list[list[str]] = []
    with closing(sqlite3.connect(hub)) as conn:
        for doi in (HUB, LEAF):
            asked.append([])
            conn.set_trace_callback(asked[-1].append)
            citation_network.of_work(conn, doi)
        plans = [
            row[3]
            for statement in asked[0]
            for row in conn.execute(f"explain query plan {statement}")
            if row[3].startswith("SCAN")
        ]
    assert len(asked[0]) == len(asked[1]) > 0
    assert [plan for plan in plans if "json_each" not in plan and "j VIRTUAL" not in plan] == []


async def test_a_work_without_citations_says_so_and_draws_nothing(sample: Path) -> None:
    page = await soup(sample, "/doi/10.1097/nmd.0000000000000789")
    section = page.select_one(".citation-links")
    assert section is not None
    assert "No citations between this work and others in this database are known." in words(section)
    assert page.select("svg.network") == []
    elsewhere = await soup(sample, f"/doi/{LEAF}")
    assert "1 work that it cites is not in this database: the cited DOI ." in words(elsewhere)


@pytest.mark.parametrize(
    "address", ["/evidence/works?{}", "/evidence/works.json?_shape=array&{}", "/download/csl-json?{}"]
)
async def test_lists_and_files_narrow_to_the_works_that_cite_a_work_or_that_it_cites(
    sample: Path, address: str
) -> None:
    changed(sample, lambda conn: cite(conn, (HUB, LEAF), (LEAF, "10.1002/cpp.1774"), ("10.1002/cpp.1774", LEAF)))
    found = {
        direction: (await get(sample, address.format(urlencode({direction: LEAF.upper(), "verdict": "include"})))).text
        for direction in ("_cites", "_cited_by")
    }
    found = {direction: unquote(text) for direction, text in found.items()}  # a page names them in its ContextObjects
    assert HUB in found["_cites"] and "10.1002/cpp.1774" in found["_cites"]
    assert HUB not in found["_cited_by"] and "10.1002/cpp.1774" in found["_cited_by"]


async def test_the_filter_by_citation_is_named_removed_and_limited(sample: Path) -> None:
    page = await soup(sample, f"/evidence/works?_cites={HUB}")
    chosen = page.select_one(".tag.chosen")
    assert chosen is not None
    assert words(chosen) == f"cites {HUB} ✕"
    assert "_cites" not in str(chosen["href"])
    assert await rows_behind(sample, f"/evidence/works?_cites={HUB}&_cites={LEAF}") == 0
    many = "&".join(f"_cites=10.1/{n}" for n in range(51))
    assert (await get(sample, f"/evidence/works?{many}")).status_code == 400


@pytest.mark.parametrize(
    ("authors", "name"),
    [
        ("Mufson L, Weissman MM", "Mufson"),
        ("van der Berg J-P", "van der Berg"),
        ("Doe AB Jr, Roe C", "Doe"),
        ("STAR*D Group", "STAR*D Group"),
        ("王小明", "王小明"),
        ("Ōno Á", "Ōno"),
        ("World Health Organization", "World Health Organization"),
        ("", ""),
        (None, ""),
    ],
)
def test_a_work_is_labelled_by_its_first_author(authors: str | None, name: str) -> None:
    assert first_author(authors) == name


# ---------------------------------------------------------------------- notices


def noticed(kind: str, **values: Any) -> Callable[[sqlite3.Connection], None]:
    row = {"kind": kind, "notice_doi": f"10.1000/{kind}", "relation": "own", "issued": "2019-02-15", "source": "publisher",
           "evidence": "updated-by", "undone": 0} | values  # fmt: skip

    def change(conn: sqlite3.Connection) -> None:
        conn.execute(
            "insert into notices (doi, kind, notice_doi, stands_on, relation, issued, source, evidence, undone) "
            "values (:doi, :kind, :notice_doi, :doi, :relation, :issued, :source, :evidence, :undone)",
            row | {"doi": HUB},
        )

    return change


def disagreeing(conn: sqlite3.Connection) -> None:
    """The publisher and PubMed date the retraction differently, Europe PMC has none, Retraction Watch could not be asked."""
    noticed("retraction", source="PubMed; publisher")(conn)
    noticed("expression-of-concern", issued="2018-01-01")(conn)
    conn.executemany(
        "insert into updates (said_by, doi, kind, notice_doi, issued, source, evidence) values (?, ?, ?, ?, ?, ?, ?)",
        [
            (HUB, HUB, "retraction", "10.1000/retraction", "2019-02-15", "publisher", "updated-by"),
            (HUB, HUB, "retraction", HUB, "2019-03-01", "PubMed", "comments-corrections"),
        ],
    )
    conn.executemany(
        "insert into provider_answers (subject, provider, state, run, found, asked_at, failed_since) "
        "values (?, ?, ?, 1, ?, ?, ?)",
        [
            (HUB, "pubmed", "asked", 1, "2026-11-20T06:00:00Z", None),
            (HUB, "europepmc", "asked", 1, "2026-11-21T06:00:00Z", None),
            (HUB, "retraction-watch", "could not ask", None, None, "2026-11-20T06:00:00Z"),
        ],
    )


async def test_a_retraction_is_a_ribbon_before_the_title_with_witnesses_dates_and_disagreement(sample: Path) -> None:
    page = await soup(changed(sample, disagreeing), f"/doi/{HUB}")
    ribbon = page.select_one("article.work > .ribbon")
    assert ribbon is not None
    assert page.select_one(".ribbon ~ h1") is not None
    said = words(ribbon)
    assert said.startswith(
        "Retracted Retraction , 2019-02-15, stated by PubMed (2019-03-01) and the publisher (2019-02-15)"
    )
    assert "Sources disagree: The dates differ. Europe PMC has no such notice." in said
    assert "Expression of concern , 2018-01-01, stated by the publisher" in said
    assert "Retraction Watch" not in said, "who could not be asked is no witness against it"
    table = page.select_one(".witnesses")
    assert table is not None
    assert "asked on 2026-11-21" in words(table) and "could not be asked since 2026-11-20" in words(table)
    assert page.select_one("#witnesses-heading") is not None
    assert page.select_one(".banner-grave") is None, "it is said once"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "values", "word"),
    [
        ("expression-of-concern", {}, "Expression of concern"),
        ("withdrawal", {}, "Withdrawn"),
        ("partial-retraction", {}, "Retracted in part"),
        ("retraction", {"relation": "article"}, "Retracted: the article of which this is a preprint"),
        ("retraction", {"undone": 1}, None),
        ("retraction", {"relation": "preprint"}, None),
        ("correction", {}, None),
    ],
)
async def test_only_notices_that_warn_of_the_work_are_a_ribbon(
    sample: Path, kind: str, values: dict[str, Any], word: str | None
) -> None:
    page = await soup(changed(sample, noticed(kind, **values)), f"/doi/{HUB}")
    ribbon = page.select_one(".ribbon-word")
    assert (words(ribbon) if ribbon else None) == word
    assert (page.select_one(".banner-mild strong") is not None) == (word is None)


def test_every_grave_kind_has_its_word() -> None:
    assert set(work_page_text.GRAVE_WORDS) == GRAVE


# ---------------------------------------------------------------------- tags


async def test_each_tag_tells_its_strength_by_sign_and_word_and_its_reason_on_request(sample: Path) -> None:
    def by_person(conn: sqlite3.Connection) -> None:
        conn.execute("update tags set decided = 'person' where doi = ? and value = 'adolescents'", (HUB,))
        conn.execute("update tags set strength = 'likely' where doi = ? and value = 'rct'", (HUB,))

    path = changed(sample, by_person)
    page = await soup(path, f"/doi/{HUB}")
    chips = {words(chip): chip for chip in page.select(".chips .chip")}
    assert set(chips) == {
        "IPT-A stated", "Depressive symptoms stated", "Anxiety implied", "Randomised trial likely",
        "Adolescents decided by a reviewer",
    }  # fmt: skip
    signs = {said: str(chip.select_one("svg.sign")) for said, chip in chips.items()}
    assert len(set(signs.values())) == 4
    assert signs["IPT-A stated"] == signs["Depressive symptoms stated"]
    for chip in chips.values():
        assert (await get(path, str(chip["href"]))).status_code == 200
    folded = page.select("details.why")
    assert len(folded) == len(page.select(".tag-facets > div")) == 4
    assert not any(one.has_attr("open") for one in folded)
    everything = page.select_one(".all-reasons")
    assert everything is not None
    opened = await soup(path, str(everything["href"]).partition("#")[0])
    assert all(one.has_attr("open") for one in opened.select("details.why"))
    assert words(opened.select_one(".all-reasons")) == "Hide the text behind all tags"
    reasons = words(page.select_one(".tag-facets"))
    assert "interpersonal psychotherapy for depressed adolescents" in reasons and "Title only." in reasons
    assert "Decided by a reviewer." in reasons


# ---------------------------------------------------------------------- citing, for people and programs

ODD = "10.1002/(sici)1097-4679(199902)55:2<1::aid-jclp2>3.0.co;2-#?a=%b&c d"


async def test_the_page_can_be_cited_with_the_day_of_its_data_by_an_address_that_leads_to_it(sample: Path) -> None:
    work = (ODD, MARKUP, "A B", "J", "2021", "journal-article", "include", None)
    changed(sample, lambda conn: site_sample.add_work(conn, work, first_run=2))
    page = await soup(sample, f"/doi/{HUB}")
    said = words(page.select_one(".to-copy"))
    assert re.fullmatch(
        r"IPT evidence\. Record of “Efficacy of interpersonal psychotherapy for depressed adolescents” "
        rf"\(doi:{re.escape(HUB)}\)\. Data of \d+ \w+ \d{{4}}\. Accessed \d+ \w+ \d{{4}}\. http://localhost/doi/{re.escape(HUB)}",
        said,
    )
    address = page_citation.short_path(ODD)
    assert words((await soup(sample, address)).select_one(".to-copy")).endswith(f"http://localhost{address}")


def test_before_the_first_sync_no_day_is_invented() -> None:
    said = page_citation.cite_record(None, "10.1/x", "Site", "http://x/doi/10.1/x", synced=None, today="2026-11-03")
    assert said == "Site. Record of doi:10.1/x. Accessed 3 November 2026. http://x/doi/10.1/x"


async def test_each_download_holds_the_work_alone(sample: Path) -> None:
    page = await soup(sample, f"/doi/{HUB}")
    links = {words(link): str(link["href"]) for link in page.select(".downloads a")}
    assert list(links) == ["RIS", "BibTeX", "CSL-JSON"]
    assert (await get(sample, links["RIS"])).text.count("ER  - ") == 1
    assert (await get(sample, links["BibTeX"])).text.count("@article{") == 1
    assert [item["DOI"] for item in (await get(sample, links["CSL-JSON"])).json()] == [HUB]


def described(conn: sqlite3.Connection) -> None:
    conn.execute(
        """update works set issn = '0033-2917; 1469-8978', volume = '50', issue = '6', pages = '1010-9', publisher = 'Press',
            short_container = 'AGP', published_online = '1999-01-02', language = 'en', notice = 'retraction',
            open_access = 'https://example.org/a.PDF?x=1', abstract = 'One.' where doi = ?""",
        (HUB,),
    )
    conn.execute(
        "insert into identifiers (doi, kind, identifier, source) values (?, 'pmid', '10359461', 'pubmed')", (HUB,)
    )
    conn.executemany("insert or ignore into authors values (?, ?, ?, ?, null, ?)", [
        ("a1", "Mufson, Laura", "Mufson", "Laura", "person"), ("g", "STAR*D Study Group", None, None, "group"),
    ])  # fmt: skip
    conn.execute("delete from work_authors where doi = ?", (HUB,))
    conn.executemany(
        "insert into work_authors (doi, position, author, credited, family, given, role) values (?, ?, ?, ?, ?, ?, 'author')",
        [(HUB, 1, "a1", "Mufson, Laura", "Mufson", "Laura"), (HUB, 2, "g", "STAR*D Study Group", None, None)],
    )


async def test_the_page_says_all_known_facts_to_reference_managers(sample: Path) -> None:
    page = await soup(changed(sample, described), f"/doi/{HUB}")
    said: dict[str, list[str]] = {}
    for tag in page.select('head > meta[name^="citation_"]'):
        said.setdefault(str(tag["name"]).removeprefix("citation_"), []).append(str(tag["content"]))
    assert said == {
        "title": ["Efficacy of interpersonal psychotherapy for depressed adolescents"],
        "author": ["Mufson, Laura", "STAR*D Study Group,"],
        "publication_date": ["1999"], "online_date": ["1999/01/02"],
        "journal_title": ["Archives of General Psychiatry"], "journal_abbrev": ["AGP"],
        "volume": ["50"], "issue": ["6"], "firstpage": ["1010"], "lastpage": ["1019"],
        "issn": ["0033-2917", "1469-8978"], "publisher": ["Press"], "language": ["en"],
        "doi": [HUB], "pmid": ["10359461"], "public_url": [f"https://doi.org/{HUB}"],
        "pdf_url": ["https://example.org/a.PDF?x=1"], "abstract": ["One."],
    }  # fmt: skip
    facts = json.loads(page.select_one('script[type="application/ld+json"]').get_text())  # type: ignore[union-attr]
    assert facts["@type"] == "ScholarlyArticle"
    assert facts["creativeWorkStatus"] == "Retracted"
    assert facts["isAccessibleForFree"] is True
    assert facts["isPartOf"] == {
        "@type": "PublicationIssue", "issueNumber": "6", "isPartOf": {
            "@type": "PublicationVolume", "volumeNumber": "50", "isPartOf": {
                "@type": "Periodical", "name": "Archives of General Psychiatry", "issn": ["0033-2917", "1469-8978"]}},
    }  # fmt: skip
    assert (facts["pageStart"], facts["pageEnd"]) == ("1010", "1019")
    assert facts["author"][1] == {"@type": "Organization", "name": "STAR*D Study Group"}


async def test_the_page_of_a_work_has_no_span_that_would_be_saved_instead_of_it(hub: Path) -> None:
    assert "Z3988" not in (await get(hub, f"/doi/{HUB}")).text


def spans(text: str) -> list[dict[str, list[str]]]:
    """The ContextObjects of a page, parsed as OpenURL keys and values; each must be hidden."""
    found = re.findall(r'<span class="Z3988" title="([^"]*)" hidden></span>', text)
    assert len(found) == text.count("Z3988")
    return [parse_qs(html.unescape(one), strict_parsing=True, keep_blank_values=True) for one in found]


@pytest.mark.parametrize(
    "address", ["/evidence/works?_size=5", "/evidence/works?_size=max&_nocol=title", "/search?q=interpersonal"]
)
async def test_lists_carry_each_work_that_they_show_for_reference_managers(sample: Path, address: str) -> None:
    def hostile(conn: sqlite3.Connection) -> None:
        described(conn)
        conn.execute("update works set title = ? where doi = ?", (f"interpersonal {MARKUP}", LEAF))
        conn.execute("insert into works_fts(works_fts) values ('rebuild')")

    answer = await get(changed(sample, hostile), address)
    found = spans(answer.text)
    page = BeautifulSoup(answer.text, "html.parser")
    shown = page.select(".works-table tbody tr, .works-list li")
    assert len(found) == len(shown) > 3
    assert len({one["rft_id"][0] for one in found}) == len(found)
    for one, row in zip(found, shown, strict=True):
        assert one["ctx_ver"] == ["Z39.88-2004"]
        assert one["rft_val_fmt"] == ["info:ofi/fmt:kev:mtx:journal"]
        doi = one["rft_id"][0].removeprefix("info:doi/")
        title = row.select_one(".work-title")
        assert title is not None
        assert str(title["href"]).endswith(tilde_encode(doi)), "each span stands in the row of its work"
        assert "_nocol" in address or one["rft.atitle"] == [" ".join(title.get_text().split())]
    by_doi = {one["rft_id"][0].removeprefix("info:doi/"): one for one in found}
    if HUB in by_doi:
        assert by_doi[HUB]["rft.au"] == ["Mufson, Laura", "STAR*D Study Group,"]
        assert (by_doi[HUB]["rft.aulast"], by_doi[HUB]["rft.aufirst"]) == (["Mufson"], ["Laura"])
        assert (by_doi[HUB]["rft.pages"], by_doi[HUB]["rft.issn"]) == (["1010-1019"], ["0033-2917"])
    if LEAF in by_doi:
        assert by_doi[LEAF]["rft.atitle"] == [f"interpersonal {MARKUP}"]
