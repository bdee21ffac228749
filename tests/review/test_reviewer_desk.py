"""The reviewer's desk: who may sit at it, what its forms do to the ledger, and that no other site can write."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from datasette.app import Datasette
from markupsafe import escape

from evidence.current_decisions import current_decisions
from evidence.data_model import SAME_WORK, Decision, Doi
from evidence.database import read_decisions, read_queries, write_decisions
from evidence.database.connection import open_evidence
from evidence.database.read_decisions import read_ledger
from evidence.database.run_lock import locked
from evidence.database.writer import append_to_ledger
from evidence.errors import ConfigError
from evidence.harvest import sources
from evidence.harvest.locked_run import FileInput, rejudge_database, run_sync
from evidence.harvest.progress import NoProgress
from evidence.publish import immutable_copy, serve, site_access
from evidence.review import reviewer_desk, stopping_rule
from evidence.review.record_decision import add_decisions, all_and_current_decisions
from evidence.review.stopping_rule import Together
from evidence.rules import topic
from evidence.rules.tag import tag
from evidence.rules.taxonomy import Taxonomy
from tests.builders import decision

SHIPPED = Path(__file__).resolve().parents[2] / "sources.yaml"
REVIEWER, OTHER = "A. Reader", "B. Reader"
EXCLUDED, UNSURE = "Not about interpersonal psychotherapy", "The full text is needed"
TOKEN = re.compile(r'name="csrftoken" value="([^"]+)"')


@pytest.fixture(scope="module")
def harvested(tmp_path_factory: pytest.TempPathFactory, book: Taxonomy) -> Path:
    """The bundled works, judged."""
    folder = tmp_path_factory.mktemp("desk")
    files = FileInput("snapshot", topic.load().snapshot())
    db = folder / "evidence.db"
    run_sync(db, folder / "decisions.db", sources.load(SHIPPED), book, reviewer_desk._now, NoProgress(), files=files)
    return db


@pytest.fixture
def db(harvested: Path, tmp_path: Path) -> Path:
    for file in harvested.parent.glob("*.db*"):
        shutil.copy(file, tmp_path / file.name)
    return tmp_path / "evidence.db"


@pytest.fixture
def the_desk(db: Path, monkeypatch: pytest.MonkeyPatch) -> reviewer_desk.Desk:
    """The desk of `REVIEWER`, opened as `evidence serve` opens it."""
    told, _ = reviewer_desk.local_desk(db, ledger(db), REVIEWER)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    opened = reviewer_desk.desk_from_environment()
    assert opened is not None
    return opened


def ledger(db: Path) -> Path:
    return db.with_name("decisions.db")


async def site(db: Path) -> Datasette:
    ds = Datasette([str(db)], config_dir=serve.site_folder())
    await ds.invoke_startup()
    return ds


class Browser:
    """A visitor with cookies, who fills in forms that a page has shown."""

    def __init__(self, ds: Datasette, reviewer: str | None) -> None:
        cookies = {} if reviewer is None else {"ds_actor": ds.sign({"a": {"id": reviewer}}, "actor")}
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=ds.app()), base_url="http://site", cookies=cookies, follow_redirects=True
        )
        self.token = ""

    async def get(self, address: str) -> httpx.Response:
        answer = await self._client.get(address)
        if found := TOKEN.search(answer.text):
            self.token = found[1]
        return answer

    async def post(self, address: str, **fields: Any) -> httpx.Response:
        return await self._client.post(address, data={"csrftoken": self.token, **fields})


def verdict(db: Path, doi: str) -> tuple[str, str]:
    with closing(open_evidence(db)) as conn:
        return conn.execute("select verdict, decided from works where doi = ?", (doi,)).fetchone()  # type: ignore[no-any-return]


def shown_doi(page: httpx.Response) -> str:
    found = re.search(r'<form class="decision".*?name="doi" value="([^"]+)"', page.text, re.DOTALL)
    assert found is not None, page.text[:3000]
    return found[1]


def had(page: httpx.Response) -> list[str]:
    return re.findall(r'name="had" value="([^"]+)"', page.text)


def test_a_decision_on_an_old_doi_is_one_on_its_work(db: Path, the_desk: reviewer_desk.Desk) -> None:
    with closing(sqlite3.connect(db)) as conn:
        (found,) = conn.execute("select doi from works where verdict = 'include' order by doi limit 1").fetchone()
    assert the_desk.decide(REVIEWER, reviewer_desk.Submission(Doi(found), "exclude", (), (), EXCLUDED))
    assert [word.doi for word in the_desk.decisions_on(Doi(found))] == [found]
    with closing(sqlite3.connect(db)) as conn, conn:
        run = conn.execute("select max(run) from runs").fetchone()[0]
        conn.execute("insert into aliases (alias, doi, first_run) values (?, '10.1002/cpp.1774', ?)", (found, run))
    assert [word.doi for word in the_desk.decisions_on(Doi("10.1002/cpp.1774"))] == ["10.1002/cpp.1774"]
    assert [act.doi for act in the_desk.decided_by(REVIEWER)] == ["10.1002/cpp.1774"]
    assert the_desk.canonical_doi(Doi(found)) == "10.1002/cpp.1774"
    assert the_desk.undo(REVIEWER, the_desk.decided_by(REVIEWER)[0].name)[1]
    assert the_desk.decided_by(REVIEWER) == []


# ---------------------------------------------------------------------- who may


async def test_without_a_desk_there_is_no_route_that_writes(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(reviewer_desk.ENVIRONMENT, raising=False)
    stranger = Browser(await site(db), REVIEWER)
    for path in ("/desk", "/desk/decide", "/desk/undo", "/desk/login?token=x"):
        assert (await stranger.get(path)).status_code == 404
        assert (await stranger.post(path)).status_code in (403, 404, 405)
    assert "Desk" not in (await stranger.get("/")).text


async def test_only_reviewers_can_use_the_desk(db: Path, the_desk: reviewer_desk.Desk) -> None:
    ds = await site(db)
    for who in (None, "M. Allory", ""):
        visitor = Browser(ds, who)
        for path in (
            "/desk",
            "/desk/pairs",
            "/desk/tags",
            "/desk/several",
            "/desk/progress",
            "/desk/said",
            "/desk/login?token=guess",
            "/desk/login",
        ):
            assert (await visitor.get(path)).status_code == 403, (who, path)
        assert "/desk" not in (await visitor.get("/")).text
        await visitor.get("/evidence")
        assert (
            await visitor.post("/desk/decide", doi="10.1002/jclp.21857", verdict="include", reason="x")
        ).status_code == 403
    forged = Browser(ds, None)
    forged._client.cookies["ds_actor"] = REVIEWER
    assert (await forged.get("/desk")).status_code == 403
    assert read_ledger(ledger(db)) == ()


async def test_the_printed_link_logs_in_once(db: Path, the_desk: reviewer_desk.Desk) -> None:
    ds = await site(db)
    visitor = Browser(ds, None)
    link = f"/desk/login?token={the_desk._token}"
    assert the_desk.use_token("") is None
    assert the_desk.use_token("é") is None
    assert (await visitor._client.head(link)).status_code in (403, 405)  # a look ahead does not use it up
    page = await visitor.get(link)
    assert (page.status_code, str(page.url)) == (200, "http://site/desk")
    cookie = page.history[0].headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert str(the_desk._token) not in (await visitor.get("/-/metadata.json")).text
    assert str(the_desk._token) not in page.text
    again = await visitor.get(link)  # the cookie is enough
    assert (again.status_code, str(again.url), "set-cookie" in again.history[0].headers) == (
        200,
        "http://site/desk",
        False,
    )
    stranger = Browser(ds, None)
    refused = await stranger.get(link)
    assert (refused.status_code, "was used before" in refused.text) == (403, True)
    assert (await stranger.get("/desk")).status_code == 403


@pytest.mark.slow
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://other.example"},
        {"origin": "http://site:8002"},
        {"origin": "null"},
        {"origin": "http://site.other.example"},
        {"origin": "http://site@other.example"},
        {"referer": "https://other.example/http://site/"},
        {"origin": "https://other.example", "referer": "http://site/desk"},
        {"origin": "https://other.example", "authorization": "Bearer x"},
    ],
)
async def test_a_form_from_elsewhere_is_refused_even_with_a_good_token(
    db: Path, the_desk: reviewer_desk.Desk, headers: dict[str, str]
) -> None:
    browser = Browser(await site(db), REVIEWER)
    doi = shown_doi(await browser.get("/desk"))
    fields = {"csrftoken": browser.token, "doi": doi, "verdict": "include", "reason": "x", "back": "waiting"}
    for path in ("/desk/decide", "/desk/undo", "/-/logout"):
        answer = await browser._client.post(path, data=fields, headers=headers)
        assert (answer.status_code, "not sent from a page of this site" in answer.text) == (403, True), path
    assert read_ledger(ledger(db)) == ()
    for own in ({"origin": "http://site"}, {"origin": "https://site:443"}, {"referer": "http://site/desk"}):
        assert (await browser._client.post("/desk/decide", data=fields, headers=own)).status_code == 200, own


async def test_a_bearer_token_does_not_stand_for_the_token_of_the_form(db: Path, the_desk: reviewer_desk.Desk) -> None:
    browser = Browser(await site(db), REVIEWER)
    doi = shown_doi(await browser.get("/desk"))
    for sent in ("Bearer x", "bearer x"):
        fields = {"doi": doi, "verdict": "include", "reason": "x", "csrftoken": "guess"}
        answer = await browser._client.post("/desk/decide", data=fields, headers={"authorization": sent})
        assert answer.status_code == 403
    assert read_ledger(ledger(db)) == ()


async def test_a_form_of_another_site_is_refused(db: Path, the_desk: reviewer_desk.Desk) -> None:
    browser = Browser(await site(db), REVIEWER)
    doi = shown_doi(await browser.get("/desk"))
    good = browser.token
    for token in ("", "guess", good[:-1]):
        browser.token = token
        assert (await browser.post("/desk/decide", doi=doi, verdict="include", reason="x")).status_code == 403
    plain = await browser._client.post(
        "/desk/decide", content=f"doi={doi}&verdict=include&reason=x", headers={"content-type": "text/plain"}
    )
    assert plain.status_code == 403
    assert (await browser.get(f"/desk/decide?doi={doi}&verdict=include&reason=x")).status_code == 403
    assert read_ledger(ledger(db)) == ()


# ---------------------------------------------------------------------- what it does


async def test_a_verdict_is_in_the_ledger_shows_at_once_and_the_next_work_follows(
    db: Path, the_desk: reviewer_desk.Desk
) -> None:
    browser = Browser(await site(db), REVIEWER)
    waiting = the_desk.queue("waiting", REVIEWER)
    assert len(waiting) > 2
    first = shown_doi(await browser.get("/desk"))
    assert first == waiting[0]
    after = await browser.post("/desk/decide", doi=first, verdict="exclude", reason=f" {EXCLUDED} ", back="waiting")
    assert after.history[0].status_code == 303
    assert shown_doi(after) == waiting[1]
    assert "Last decision: Excluded" in after.text
    assert verdict(db, first) == ("exclude", "person")
    (word,) = read_ledger(ledger(db))
    assert (word.doi, word.verdict, word.reason, word.reviewer, word.rule_said) == (
        first,
        "exclude",
        EXCLUDED,
        REVIEWER,
        "unsure",
    )
    assert the_desk.queue("waiting", REVIEWER) == waiting[1:]
    page = await browser.get(f"/doi/{first}")
    assert "Reviewers’ decisions" in page.text
    assert EXCLUDED in page.text
    assert "Reviewers’ decisions" in (await browser.get("/changes")).text


async def test_an_unsure_work_waits_for_other_reviewers_only(db: Path, the_desk: reviewer_desk.Desk) -> None:
    browser = Browser(await site(db), REVIEWER)
    waiting = the_desk.queue("waiting", REVIEWER)
    await browser.get("/desk")
    await browser.post("/desk/decide", doi=waiting[0], verdict="unsure", reason=UNSURE, back="waiting")
    assert the_desk.queue("waiting", REVIEWER) == waiting[1:]
    assert the_desk.queue("waiting", OTHER) == waiting
    assert verdict(db, waiting[0]) == ("unsure", "person")


@pytest.mark.slow
async def test_undo_withdraws_and_goes_back_to_the_work(db: Path, the_desk: reviewer_desk.Desk) -> None:
    browser = Browser(await site(db), REVIEWER)
    waiting = the_desk.queue("waiting", REVIEWER)
    await browser.get("/desk")
    for doi in waiting[:2]:
        await browser.post("/desk/decide", doi=doi, verdict="include", reason="x", back="waiting")
    for doi in reversed(waiting[:2]):
        act = the_desk.decided_by(REVIEWER)[0]
        assert act.doi == doi
        back = await browser.post("/desk/undo", decision=act.name, back="waiting")
        assert shown_doi(back) == doi
        assert verdict(db, doi) == ("unsure", "rule")
    assert the_desk.decided_by(REVIEWER) == []
    assert len(read_ledger(ledger(db))) == 4  # nothing is ever removed
    assert the_desk.queue("waiting", REVIEWER) == waiting
    again = await browser.post("/desk/undo", decision=act.name)
    assert (again.status_code, "already" in again.text) == (409, True)


@pytest.mark.slow
async def test_an_old_page_does_not_undo_another_decision_than_it_shows(db: Path, the_desk: reviewer_desk.Desk) -> None:
    browser = Browser(await site(db), REVIEWER)
    first, second = the_desk.queue("waiting", REVIEWER)[:2]
    await browser.get("/desk")
    page = await browser.post("/desk/decide", doi=first, verdict="include", reason="x", back="waiting")
    fields = dict(re.findall(r'name="(decision|last|back)" value="([^"]*)"', page.text[page.text.index("undo-form") :]))
    assert fields == {"decision": the_desk.decided_by(REVIEWER)[0].name, "last": "1", "back": "waiting"}
    # The second decision is saved before the undo that the first page offers arrives, as by a key pressed in between.
    await browser.post("/desk/decide", doi=second, verdict="exclude", reason="y", back="waiting")
    refused = await browser.post("/desk/undo", **fields)
    assert (refused.status_code, "Nothing was undone" in refused.text) == (409, True)
    assert [entry.doi for entry in the_desk.decided_by(REVIEWER)] == [second, first]
    for nothing in ({}, {"last": "1"}, {"decision": ""}, {"decision": "0" * 16}, {"doi": second}):
        assert (await browser.post("/desk/undo", **nothing)).status_code == 409, nothing
    # “Your decisions” names each, and any of them can be undone there.
    listed = await browser.get("/desk/said")
    assert re.findall(r'name="decision" value="([^"]+)"', listed.text) == [
        e.name for e in the_desk.decided_by(REVIEWER)
    ]
    assert 'name="last"' not in listed.text
    await browser.post("/desk/undo", decision=fields["decision"], back="said")
    assert [entry.doi for entry in the_desk.decided_by(REVIEWER)] == [second]
    other = Browser(await site(db), OTHER)
    assert (await other.get("/desk")).status_code == 403  # and nobody else's


@pytest.mark.slow
async def test_a_page_of_another_window_replaces_no_decision_that_it_does_not_show(
    db: Path, the_desk: reviewer_desk.Desk
) -> None:
    browser = Browser(await site(db), REVIEWER)
    doi = shown_doi(await browser.get("/desk"))
    fields = {"doi": doi, "back": "waiting", "shown": ""}
    await browser.post("/desk/decide", verdict="include", reason="read it", **fields)
    stale = await browser.post("/desk/decide", verdict="exclude", reason="y", **fields)
    assert (stale.status_code, "in another window you decided to include it (read it)" in stale.text) == (400, True)
    assert shown_doi(stale) == doi
    assert [word.verdict for word in read_ledger(ledger(db))] == ["include"]
    twice = await browser.post("/desk/decide", verdict="include", reason="read it", **fields)  # a form sent twice
    assert twice.status_code == 200
    shown = re.search(r'name="shown" value="([^"]+)"', stale.text)
    assert shown is not None
    await browser.post("/desk/decide", **fields | {"verdict": "exclude", "reason": "y", "shown": shown[1]})
    assert [word.verdict for word in read_ledger(ledger(db))] == ["include", "exclude"]


@pytest.mark.slow
async def test_several_works_are_decided_and_undone_in_one_act(db: Path, the_desk: reviewer_desk.Desk) -> None:
    browser = Browser(await site(db), REVIEWER)
    waiting = the_desk.queue("waiting", REVIEWER)
    chosen, left = waiting[:-1], waiting[-1]
    listed = await browser.get("/desk/several")
    assert re.findall(r'type="checkbox" name="doi" value="([^"]+)"', listed.text) == waiting
    fields = {"doi": chosen, "verdict": "exclude", "reason": EXCLUDED}
    asked = await browser.post("/desk/decide-several", step="confirm", **fields)
    assert f"Exclude these {len(chosen)} works?" in asked.text
    assert re.findall(r'type="hidden" name="doi" value="([^"]+)"', asked.text) == chosen
    with closing(open_evidence(db)) as conn:
        for (title,) in conn.execute("select title from works where doi in (?, ?)", chosen):
            assert title in asked.text
    assert read_ledger(ledger(db)) == ()  # asking saves nothing
    changed = await browser.post("/desk/decide-several", step="change", **fields)
    assert re.findall(r'name="doi" value="([^"]+)" checked', changed.text) == chosen
    saved = await browser.post("/desk/decide-several", step="save", **fields)
    assert f"Last decision: Excluded {len(chosen)} works together" in saved.text
    assert re.findall(r'type="checkbox" name="doi" value="([^"]+)"', saved.text) == [left]
    assert [verdict(db, doi) for doi in waiting] == [("exclude", "person")] * len(chosen) + [("unsure", "rule")]
    (act,) = the_desk.decided_by(REVIEWER)
    assert act.dois == tuple(chosen)
    again = await browser.post("/desk/decide-several", step="save", **fields | {"doi": waiting})
    assert (again.status_code, "is not waiting for your decision any more" in again.text) == (400, True)
    assert len(read_ledger(ledger(db))) == len(chosen)  # all or none
    await browser.post("/desk/undo", decision=act.name, last="1", back="several")
    assert the_desk.decided_by(REVIEWER) == []
    assert the_desk.queue("waiting", REVIEWER) == waiting
    assert [verdict(db, doi) for doi in waiting] == [("unsure", "rule")] * len(waiting)


@pytest.mark.slow
async def test_what_is_missing_for_several_is_said_and_kept(db: Path, the_desk: reviewer_desk.Desk) -> None:
    browser = Browser(await site(db), REVIEWER)
    waiting = the_desk.queue("waiting", REVIEWER)
    await browser.get("/desk/several")
    for fields, problem in (
        ({"verdict": "exclude", "reason": "typed"}, "Choose at least one work"),
        ({"doi": waiting[:2], "reason": "typed"}, "Choose a verdict"),
        ({"doi": waiting[:2], "verdict": "perhaps", "reason": "typed"}, "Choose a verdict"),
        ({"doi": waiting[:2], "verdict": "exclude", "reason": " "}, "Give a reason"),
        ({"doi": [f"10.5555/{n}" for n in range(101)], "verdict": "exclude", "reason": "typed"}, "at most 100 works"),
    ):
        for step in ("confirm", "save"):
            answer = await browser.post("/desk/decide-several", step=step, **fields)
            assert (answer.status_code, problem in answer.text) == (400, True), (fields, step)
        kept = [doi for doi in fields.get("doi", ()) if doi in waiting]
        assert re.findall(r'name="doi" value="([^"]+)" checked', answer.text) == kept
    assert read_ledger(ledger(db)) == ()
    found = await browser.get("/desk/several?words=couple+THERAPY&all=1")
    assert re.findall(r'name="doi" value="([^"]+)" checked', found.text) == ["10.1002/jclp.21857"]
    assert "No waiting work has these words" in (await browser.get("/desk/several?words=%22%3E%3Cscript%3E")).text


def test_of_several_works_what_was_replaced_since_stays(db: Path, the_desk: reviewer_desk.Desk, book: Taxonomy) -> None:
    waiting = the_desk.queue("waiting", REVIEWER)
    the_desk.decide_together(REVIEWER, reviewer_desk.Batch(tuple(waiting), "exclude", EXCLUDED))
    (act,) = the_desk.decided_by(REVIEWER)
    say(db, book, waiting[0], "include", REVIEWER, "read it")
    newer, rest = the_desk.decided_by(REVIEWER)
    assert (newer.dois, rest.dois) == ((waiting[0],), tuple(waiting[1:]))
    with pytest.raises(ConfigError, match="replaced by a newer one"):
        the_desk.undo(REVIEWER, act.name)
    the_desk.undo(REVIEWER, rest.name)
    assert [entry.name for entry in the_desk.decided_by(REVIEWER)] == [newer.name]


@pytest.mark.slow
def test_works_decided_one_by_one_are_undone_one_by_one(
    db: Path, the_desk: reviewer_desk.Desk, book: Taxonomy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reviewer_desk, "_now", lambda: datetime(2026, 11, 24, 9, tzinfo=UTC))
    waiting = the_desk.queue("waiting", REVIEWER)
    for _ in range(2):  # the second time with microseconds, because the second is taken
        for doi in waiting:
            say(db, book, doi, "exclude", REVIEWER, "x")
        assert [entry.dois for entry in the_desk.decided_by(REVIEWER)] == [(doi,) for doi in reversed(waiting)]
        for entry in the_desk.decided_by(REVIEWER):
            the_desk.undo(REVIEWER, entry.name)


async def test_ticked_and_unticked_tags_are_decisions(db: Path, the_desk: reviewer_desk.Desk) -> None:
    browser = Browser(await site(db), REVIEWER)
    doi = "10.1002/cpp.1774"
    page = await browser.get(f"/desk?doi={doi}")
    before = had(page)
    assert "variant:ipt" in before
    kept = [pair for pair in before if pair != "variant:ipt"]
    after = await browser.post(
        "/desk/decide", doi=doi, verdict="", reason="read", had=before, tag=[*kept, "outcome:cost"], back="waiting"
    )
    assert shown_doi(after) == doi  # tags alone do not move on
    assert set(had(after)) == {*kept, "outcome:cost"}
    said = {(word.action, word.facet, word.value) for word in read_ledger(ledger(db))}
    assert said == {("untag", "variant", "ipt"), ("tag", "outcome", "cost")}
    act = the_desk.decided_by(REVIEWER)[0]
    back = await browser.post("/desk/undo", decision=act.name, back="waiting")
    assert had(back) == before


@pytest.mark.slow
async def test_an_invalid_form_is_shown_again_with_what_was_typed(db: Path, the_desk: reviewer_desk.Desk) -> None:
    browser = Browser(await site(db), REVIEWER)
    doi = shown_doi(await browser.get("/desk"))
    for fields, problem in (
        ({"verdict": "exclude", "reason": " "}, "give a reason"),
        ({"verdict": "", "reason": "typed"}, "choose a verdict or change a tag"),
        ({"verdict": "perhaps", "reason": "typed"}, "not a valid verdict"),
        ({"verdict": "", "reason": "typed", "tag": "variant:nonsense"}, "has no &#39;nonsense&#39;"),
        ({"verdict": "", "reason": "typed", "tag": "nonsense"}, "is not a valid tag"),
    ):
        answer = await browser.post("/desk/decide", doi=doi, back="waiting", **fields)
        assert answer.status_code == 400, fields
        assert problem in answer.text, fields
        assert shown_doi(answer) == doi
        assert f'value="{str(fields["reason"]).strip() or fields["reason"]}"' in answer.text
    assert (await browser.post("/desk/decide", doi="no doi", verdict="include", reason="x")).status_code == 400
    assert (await browser.post("/desk/decide", doi="10.5555/none", verdict="include", reason="x")).status_code == 404
    assert (await browser.get("/desk?doi=10.5555/none")).status_code == 404
    huge = await browser.post("/desk/decide", doi=doi, verdict="include", reason="x" * 300_000)
    assert huge.status_code == 403
    assert read_ledger(ledger(db)) == ()


@pytest.mark.slow
async def test_works_on_which_reviewers_disagree_are_under_look_again(
    db: Path, the_desk: reviewer_desk.Desk, book: Taxonomy
) -> None:
    browser = Browser(await site(db), REVIEWER)
    doi = the_desk.queue("waiting", REVIEWER)[0]
    say(db, book, doi, "include", OTHER)
    assert the_desk.queue("second", REVIEWER) == [doi]
    blind = await browser.get("/desk?queue=second")
    assert shown_doi(blind) == doi
    assert OTHER not in blind.text
    after = await browser.post("/desk/decide", doi=doi, verdict="exclude", reason="x", back="second")
    assert "No works need a second screening" in after.text
    again = await browser.get("/desk?queue=again")
    assert shown_doi(again) == doi
    assert f"People disagree on this work ({REVIEWER}: exclude, {OTHER}: include)" in again.text
    done = await browser.post("/desk/decide", doi=doi, verdict="include", reason="seen together", back="again")
    assert "No decisions to look at again" in done.text
    assert verdict(db, doi) == ("include", "person")


async def test_pairs_are_decided(db: Path, the_desk: reviewer_desk.Desk) -> None:
    first, other = "10.1002/cpp.1774", "10.1016/j.cpr.2013.09.002"
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute("insert into duplicates values (?, ?, 'doubtful', 'rule', 'the titles are alike')", (first, other))
    browser = Browser(await site(db), REVIEWER)
    assert "the titles are alike" in (await browser.get("/desk/pairs")).text
    after = await browser.post("/desk/decide", doi=first, same=other, reason="Read both records", back="pairs")
    assert "No possible duplicates are waiting" in after.text
    (word,) = read_ledger(ledger(db))
    assert (word.action, word.facet, word.value) == ("tag", SAME_WORK, other)
    assert "duplicate" in {verdict(db, first)[0], verdict(db, other)[0]}
    act = the_desk.decided_by(REVIEWER)[0]
    await browser.post("/desk/undo", decision=act.name, back="pairs")
    assert "duplicate" not in {verdict(db, first)[0], verdict(db, other)[0]}


def test_two_reviewers_at_once_both_decide(db: Path, the_desk: reviewer_desk.Desk) -> None:
    """Two servers or programs, one ledger: every decision is kept, and the work shows that they disagree."""
    waiting = the_desk.queue("waiting", REVIEWER)
    other = reviewer_desk.Desk(db, ledger(db), [OTHER], "y")
    for opened in (the_desk, other):
        opened.warm()

    def work(opened: reviewer_desk.Desk, by: str, given: Any) -> None:
        for doi in waiting:
            opened.decide(by, reviewer_desk.Submission(doi, given, (), (), "x"))
        opened.undo(by, opened.decided_by(by)[0].name, only_last=True)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(work, the_desk, REVIEWER, "include"), pool.submit(work, other, OTHER, "exclude")]:
            done.result()
    assert len(read_ledger(ledger(db))) == 2 * len(waiting) + 2
    for by, opened in ((REVIEWER, other), (OTHER, the_desk)):  # each sees what the other did
        assert [entry.doi for entry in opened.decided_by(by)] == list(reversed(waiting[:-1]))
    assert set(waiting[:-1]) <= set(the_desk.queue("again", REVIEWER))


@pytest.mark.slow
def test_a_server_killed_while_it_saves_has_saved_all_of_an_act_or_nothing(
    db: Path, the_desk: reviewer_desk.Desk
) -> None:
    waiting = the_desk.queue("waiting", REVIEWER)
    program = f"""
import os, sys
from pathlib import Path
from evidence.database import writer
from evidence.review import record_decision, reviewer_desk
moment = sys.argv[1]
if moment == "before":  # the rows are written and not committed
    insert = writer._decision_row
    left = [{len(waiting)}]
    def row(decision):
        left[0] -= 1
        return insert(decision) if left[0] else os._exit(9)
    writer._decision_row = row
else:  # the ledger has it, the works have not been judged again
    record_decision.locked = lambda *given: os._exit(9)
desk = reviewer_desk.Desk(Path({str(db)!r}), Path({str(ledger(db))!r}), [{REVIEWER!r}], "x")
desk.decide_together({REVIEWER!r}, reviewer_desk.Batch(tuple({[str(doi) for doi in waiting]!r}), "exclude", "x"))
"""
    for moment, kept in (("before", 0), ("after", len(waiting))):
        ended = subprocess.run([sys.executable, "-c", program, moment], check=False)
        assert ended.returncode == 9
        assert len(read_ledger(ledger(db))) == kept, moment
        assert the_desk.queue("waiting", REVIEWER) == ([] if kept else waiting)
    (act,) = the_desk.decided_by(REVIEWER)
    assert act.dois == tuple(waiting)
    assert [verdict(db, doi)[1] for doi in waiting] == ["rule"] * len(waiting)
    the_desk.undo(REVIEWER, act.name, only_last=True)  # the next act shows what was kept, too
    assert the_desk.queue("waiting", REVIEWER) == waiting


def judged_unsure(db: Path, count: int) -> list[str]:
    """Works that wait for a decision: this many, which the rules included, are made unsure."""
    with closing(sqlite3.connect(db)) as conn, conn:
        sql = "select doi from works where verdict = 'include' order by doi limit ?"
        found = [doi for (doi,) in conn.execute(sql, (count,))]
        conn.executemany(
            "update works set verdict = 'unsure', screened = 'unsure' where doi = ?", [(d,) for d in found]
        )
    return found


def decided(doi: str, verdict: Any, made_at: str, by: str = REVIEWER, reason: str = "x") -> Decision:
    return Decision(Doi(doi), "verdict", verdict, None, None, reason, by, made_at, None, None, "unsure")


async def test_the_progress_page_says_how_far_a_screening_is(db: Path, the_desk: reviewer_desk.Desk) -> None:
    works = judged_unsure(db, 120)
    browser = Browser(await site(db), REVIEWER)
    assert "Nothing can be said yet" in (await browser.get("/desk/progress")).text
    waiting = len(the_desk.queue("waiting", REVIEWER))
    verdicts = ["include"] * 40 + ["exclude"] * 70
    append_to_ledger(
        ledger(db),
        [
            decided(doi, given, f"2026-11-24T09:{n // 2:02}:{30 * (n % 2):02}Z")
            for n, (doi, given) in enumerate(zip(works, verdicts, strict=False))
        ],
    )
    far = the_desk.how_far()
    assert far.screening.relevant == tuple(given == "include" for given in verdicts)
    assert far.waiting == waiting - 110 == far.screening.left + far.passed_over
    page = (await browser.get("/desk/progress")).text
    # The works of the sync have not been judged again, so they still wait there; the ledger says what is decided.
    assert f"<dd>{len(verdicts)} works, 40 relevant</dd>" in page
    assert f"110 of {110 + len(the_desk.queue('waiting', REVIEWER))} decided, about" in page
    assert "a mean of 30 seconds" in page
    assert f"{stopping_rule.in_words(far.error or 0)}" in page


def test_who_decided_what_together_and_who_disagrees_is_known_to_the_stopping_rule(
    db: Path, the_desk: reviewer_desk.Desk
) -> None:
    works = judged_unsure(db, 30)
    single = [decided(doi, "include", f"2026-11-24T09:00:{n:02}Z") for n, doi in enumerate(works[:10])]
    batch = [decided(doi, "exclude", "2026-11-24T09:10:00.123456Z") for doi in works[10:15]]
    unsure = [decided(works[15], "unsure", "2026-11-24T09:20:00Z")]
    other = [decided(works[0], "exclude", "2026-11-24T09:30:00Z", OTHER)]
    ruled = [replace(decided(works[16], "include", "2026-11-24T09:40:00Z"), rule_said="include")]
    append_to_ledger(ledger(db), [*single, *batch, *unsure, *other, *ruled])
    far = the_desk.how_far()
    assert far.screening.relevant == (True,) * 9
    assert far.screening.together == (Together(9, 5, 0),)
    assert far.disputed == 2
    assert far.screening.unsettled == 2 + far.passed_over


def test_works_clearly_higher_on_the_list_than_those_decided_are_passed_over(
    db: Path, the_desk: reviewer_desk.Desk
) -> None:
    works = judged_unsure(db, 40)
    with closing(sqlite3.connect(db)) as conn, conn:
        for table in ("reasons", "cites"):
            conn.execute(f"delete from {table}")
        conn.execute("update sightings set last_run = first_run")
        conn.executemany(
            "insert into reasons (doi, facet, value, rule, field, start, stop, quote) "
            "values (?, 'verdict', 'unsure', 'x', 'title', 0, 1, 'x')",
            [(doi,) for doi in works[30:35]],
        )
    low, high = works[:10], works[30:35]
    append_to_ledger(ledger(db), [decided(doi, "include", f"2026-11-24T09:00:{n:02}Z") for n, doi in enumerate(low)])
    assert the_desk.how_far().passed_over == len(high)
    append_to_ledger(ledger(db), [decided(doi, "include", f"2026-11-24T10:00:{n:02}Z") for n, doi in enumerate(high)])
    assert the_desk.how_far().passed_over == 0


def test_the_points_are_those_of_the_list_without_its_tags(db: Path) -> None:
    judged_unsure(db, 60)
    with closing(open_evidence(db)) as conn:
        listed = conn.execute("select doi, likely, tags from to_check").fetchall()
        found = read_queries.ranking_points(conn, [Doi(doi) for doi, *_ in listed])
    assert len({likely for _, likely, _ in listed}) > 2
    for doi, likely, tags in listed:
        counted = 0.5 * min(tags, 6)
        assert found[Doi(doi)] == likely - counted
        assert counted <= read_queries.MOST_POINTS_OF_TAGS


async def test_agreement_is_shown_to_reviewers(db: Path, the_desk: reviewer_desk.Desk) -> None:
    browser = Browser(await site(db), REVIEWER)
    assert "No work has decisions by two reviewers" in (await browser.get("/desk/progress")).text
    for by, given in ((REVIEWER, "include"), ("<b>", "exclude")):
        append_to_ledger(ledger(db), [decided("10.1002/cpp.1774", given, "2026-11-24T09:00:00Z", by)])
    page = (await browser.get("/desk/progress")).text
    assert "<bdi>&lt;b&gt;</bdi> and <bdi>A. Reader</bdi>" in page
    shown = re.findall(r'<td data-label="([^"]+)">([^<]+)</td>', page)
    assert [name for name, _ in shown] == ["Works", "Same verdict", "Cohen’s kappa", "Gwet’s AC1", "PABAK"]
    assert [value for _, value in shown[:2]] == ["1", "0.00 (0.00 to 0.79)"]


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/desk/pairs", "/desk/tags", "/desk", "/desk/several"])
async def test_no_reason_is_filled_in_that_nobody_gave(db: Path, the_desk: reviewer_desk.Desk, path: str) -> None:
    with closing(sqlite3.connect(db)) as conn, conn:
        pair = ("10.1002/cpp.1774", "10.1016/j.cpr.2013.09.002")
        conn.execute("insert into duplicates values (?, ?, 'doubtful', 'rule', 'the titles are alike')", pair)
    page = await Browser(await site(db), REVIEWER).get(path)
    fields = re.findall(r'<input type="text"[^>]*name="reason"[^>]*>', page.text)
    assert fields
    assert all("required" in field and re.search(r'value="[^"]', field) is None for field in fields)


async def test_the_criteria_are_in_sight(db: Path, the_desk: reviewer_desk.Desk, book: Taxonomy) -> None:
    page = await Browser(await site(db), REVIEWER).get("/desk")
    for found in book.verdicts.values:
        assert f"<strong>{found.label}</strong>: {escape(found.means)}" in page.text
        assert all(str(escape(rule.because)) in page.text for rule in found.rules if rule.because)


def test_the_rules_are_loaded_before_the_first_decision(
    the_desk: reviewer_desk.Desk, book: Taxonomy, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[object] = []

    def load(topic: object) -> Taxonomy:
        loaded.append(topic)
        return book

    monkeypatch.setattr("evidence.rules.taxonomy.load", load)
    the_desk.warm()
    assert len(loaded) == 1
    the_desk.decide(REVIEWER, reviewer_desk.Submission(the_desk.queue("waiting", REVIEWER)[0], "exclude", (), (), "x"))
    assert len(loaded) == 1


async def test_a_server_whose_rules_are_broken_starts_and_says_so_at_the_first_decision(
    the_desk: reviewer_desk.Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "broken.yaml").write_text("topic: nothing-of-this-name\n")
    monkeypatch.setenv("EVIDENCE_SOURCES", str(tmp_path / "broken.yaml"))
    waiting = the_desk.queue("waiting", REVIEWER)
    the_desk.warm()
    assert "could not be loaded" in caplog.text
    browser = Browser(await site(the_desk.db), REVIEWER)
    assert "The rules cannot be read" in (await browser.get("/desk")).text
    refused = await browser.post("/desk/decide", doi=waiting[0], verdict="exclude", reason="x")
    assert (refused.status_code, "nothing-of-this-name" in refused.text) == (400, True)
    assert the_desk.decided_by(REVIEWER) == []


async def test_likely_tags_are_confirmed_or_refused_the_most_doubtful_first(
    db: Path, the_desk: reviewer_desk.Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "evidence.rules.judge.tag", lambda *given: tuple(replace(found, strength="stated") for found in tag(*given))
    )
    with closing(sqlite3.connect(db)) as conn, conn:
        sql = """
            select t.doi, t.facet, min(t.value) from tags t join works w on w.doi = t.doi
            where w.verdict = 'include' and t.facet = ? group by t.doi order by t.doi limit 2
        """
        conn.execute("update tags set strength = 'stated'")
        tags = [row for facet in ("outcome", "condition") for row in conn.execute(sql, (facet,))]
        for number, row in enumerate(tags):
            conn.execute(
                "update tags set strength = 'likely', certainty = ?, how = ? where (doi, facet, value) = (?, ?, ?)",
                (0.9 - number / 10, f"Sentence {number}.", *row),
            )
    first, second = tags[1], tags[0]  # the less certain one comes first; nobody is asked about conditions
    assert the_desk.tags_to_check(topic.load()) == [first, second]
    browser = Browser(await site(db), REVIEWER)
    page = await browser.get("/desk/tags")
    assert page.text.index("Sentence 1.") < page.text.index("Sentence 0.")
    assert "<mark>" in page.text
    answer = {"reason": "Read title and abstract", "back": "tags"}
    await browser.post("/desk/decide", doi=first[0], tag=":".join(first[1:]), **answer)
    after = await browser.post("/desk/decide", doi=second[0], had=":".join(second[1:]), **answer)
    assert "No likely tags are waiting" in after.text
    confirmed, refused = read_ledger(ledger(db))
    assert [(d.action, d.facet, d.value) for d in (confirmed, refused)] == [("tag", *first[1:]), ("untag", *second[1:])]
    with closing(open_evidence(db)) as conn:
        sql = "select decided, strength, certainty, how from tags where (doi, facet, value) = (?, ?, ?)"
        assert conn.execute(sql, first).fetchall() == [("person", "stated", None, None)]
        assert conn.execute(sql, second).fetchall() == []


async def test_a_decision_during_a_sync_is_kept_and_shows_later(
    db: Path, the_desk: reviewer_desk.Desk, book: Taxonomy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reviewer_desk, "PATIENCE", 0.01)
    browser = Browser(await site(db), REVIEWER)
    doi = shown_doi(await browser.get("/desk"))
    with locked(db):
        after = await browser.post("/desk/decide", doi=doi, verdict="include", reason="x", back="waiting")
    assert "A sync is running" in after.text
    assert shown_doi(after) != doi
    assert verdict(db, doi) == ("unsure", "rule")
    assert doi not in the_desk.queue("waiting", REVIEWER)
    rejudge_database(db, ledger(db), book, reviewer_desk._now)
    assert verdict(db, doi) == ("include", "person")


async def test_hostile_text_is_escaped(db: Path, the_desk: reviewer_desk.Desk) -> None:
    bad = '"><script>window.ran=1</script>\u202e'
    browser = Browser(await site(db), REVIEWER)
    doi = shown_doi(await browser.get("/desk"))
    pages = [await browser.post("/desk/decide", doi=doi, verdict="unsure", reason=bad, back=bad)]
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute("update works set title = ?, abstract = ?, conflict = ? where doi = ?", (bad, bad * 9, bad, doi))
    pages += [
        await browser.get(path)
        for path in (f"/desk?doi={doi}", "/desk/said", "/desk?queue=again", f"/doi/{doi}", "/changes")
    ]
    for page in pages:
        assert page.status_code == 200
        assert "<script>window" not in page.text
        assert "script-src 'self'" in page.headers["content-security-policy"]


def test_of_decisions_within_a_second_the_last_is_the_newest(
    db: Path, the_desk: reviewer_desk.Desk, book: Taxonomy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reviewer_desk, "_now", lambda: datetime(2026, 11, 24, 9, tzinfo=UTC))
    works = ["10.1002/cpp.1774", "10.1002/jclp.21857", "10.1016/j.cpr.2013.09.002"]
    for reason, order in (("first", works), ("then", works[::-1])):
        for doi in order:
            say(db, book, doi, "unsure", REVIEWER, reason)
        assert [act.doi for act in the_desk.decided_by(REVIEWER)] == order[::-1]


def test_reasons_written_twice_are_offered(db: Path, the_desk: reviewer_desk.Desk, book: Taxonomy) -> None:
    dois = the_desk.queue("waiting", REVIEWER)
    for doi in dois[:2]:
        say(db, book, doi, "exclude", REVIEWER, "A letter only")
    say(db, book, dois[2], "exclude", REVIEWER, "Said once")
    assert the_desk.reasons(REVIEWER, topic.load())["exclude"] == [
        *topic.load().reasons_for("exclude"),
        "A letter only",
    ]
    assert the_desk.reasons(OTHER, topic.load())["exclude"] == [*topic.load().reasons_for("exclude")]


def test_a_replaced_ledger_is_read_again(db: Path, the_desk: reviewer_desk.Desk, book: Taxonomy) -> None:
    first, second = the_desk.queue("waiting", REVIEWER)[:2]
    say(db, book, first, "exclude", REVIEWER)
    assert [act.doi for act in the_desk.decided_by(REVIEWER)] == [first]
    kept = ledger(db).rename(db.with_name("kept.db"))
    for log in db.parent.glob("decisions.db-*"):
        log.unlink()
    say(db, book, second, "exclude", REVIEWER)
    assert [act.doi for act in the_desk.decided_by(REVIEWER)] == [second]
    assert kept.exists()


@pytest.mark.slow
def test_a_save_reads_of_the_ledger_what_is_about_its_work(
    db: Path, the_desk: reviewer_desk.Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = the_desk.queue("waiting", REVIEWER)[:3]
    with closing(open_evidence(db)) as conn:
        others = [doi for (doi,) in conn.execute("select doi from works where verdict = 'include' order by doi")]
    held = [decision(doi, "include", OTHER, made_at=f"2026-11-0{n + 1}T00:00:00Z") for doi in others for n in range(4)]
    append_to_ledger(ledger(db), [*held, decision(second, "exclude", OTHER)])
    the_desk.warm()
    the_desk.decide(
        REVIEWER, reviewer_desk.Submission(first, "exclude", (), (), "x")
    )  # shows all that was not shown yet
    the_desk.decided_by(REVIEWER)
    read: list[Decision] = []
    compared: list[object] = []

    def reading_one(*values: Any) -> Decision:
        read.append(Decision(*values))
        return read[-1]

    def comparing(*given: Any) -> Any:
        compared.append(given)
        return unshown(*given)

    unshown = write_decisions.unshown
    monkeypatch.setattr(read_decisions, "Decision", reading_one)
    monkeypatch.setattr(write_decisions, "unshown", comparing)
    for doi in (second, third):
        read.clear()
        compared.clear()
        form = reviewer_desk.Submission(doi, "include", (), (), "x")
        assert the_desk.decide(REVIEWER, form, the_desk.decided_on(REVIEWER, doi))
        assert verdict(db, doi) == ("include", "person")
        assert len(compared) == 1
        assert the_desk.decided_by(REVIEWER)[0].doi == doi
        assert {made.doi for made in read} == {doi}
        assert len(read) <= 5
    with closing(open_evidence(db)) as conn:
        assert conn.execute("select count(*) from decisions").fetchone() == (len(held) + 4,)
    everything, current = all_and_current_decisions(db, read_ledger(ledger(db)))
    known = the_desk._known.now()
    assert (known.ledger, list(known.current)) == (everything, current)


@pytest.mark.parametrize(
    ("waiting", "current", "following"),
    [
        ("abc", "a", "b"), ("abc", "c", "a"), ("abc", "x", "a"), ("abc", None, "a"), ("a", "a", None), ("", "a", None),
    ],
)  # fmt: skip
def test_the_next_goes_round(waiting: str, current: str | None, following: str | None) -> None:
    assert reviewer_desk.next_waiting([Doi(c) for c in waiting], Doi(current) if current else None) == following


# ---------------------------------------------------------------------- accounts, and the public


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    utils = pytest.importorskip("datasette_auth_passwords.utils", reason="datasette-auth-passwords is not installed")
    file = tmp_path / "accounts.yaml"
    file.write_text(f"{REVIEWER}: {utils.hash_password('correct horse')}\n{OTHER}: {utils.hash_password('staple')}\n")
    yield file, "correct horse"


@pytest.mark.slow
async def test_people_with_passwords_log_in(
    db: Path, accounts: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, password = accounts
    told, page = reviewer_desk.accounts_desk(db, ledger(db), file)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    ds = await site(db)
    browser = Browser(ds, None)
    await browser.get(page)
    assert "Invalid username or password" in (await browser.post(page, username=REVIEWER, password="staple")).text
    assert (await browser.get("/desk")).status_code == 403
    await browser.get(page)
    await browser.post(page, username=REVIEWER, password=password)
    assert shown_doi(await browser.get("/desk"))
    assert "pbkdf2" not in (await browser.get("/-/metadata.json")).text
    assert (await Browser(ds, None).get("/desk/login?token=None")).status_code == 403


class At(Browser):
    """A visitor whose browser has this address."""

    def __init__(self, ds: Datasette, client: str) -> None:
        super().__init__(ds, None)
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=ds.app(), client=(client, 1)),
            base_url="https://site",
            follow_redirects=True,
        )

    async def try_password(self, name: str, password: str) -> httpx.Response:
        await self.get("/-/login")
        return await self.post("/-/login", username=name, password=password)


async def accounts_site(db: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> Datasette:
    for name, value in reviewer_desk.accounts_desk(db, ledger(db), file)[0].items():
        monkeypatch.setenv(name, value)
    return await site(db)


@pytest.mark.slow
async def test_many_tries_at_a_password_are_refused(
    db: Path, accounts: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, password = accounts
    ds = await accounts_site(db, file, monkeypatch)
    app = ds.app()
    monkeypatch.setattr(ds, "app", lambda: app)  # one server, many visitors
    working = At(ds, "10.0.0.1")
    await working.try_password(REVIEWER, password)
    assert (await working.get("/desk")).status_code == 200
    guesser = At(ds, "10.0.0.2")
    for n in range(site_access.TRIES):
        wrong = await guesser.try_password(f"nobody {n}", "guess")  # one address, many names
        assert (wrong.status_code, "Invalid username or password" in wrong.text) == (200, True)
    refused = await guesser.try_password(REVIEWER, password)
    assert (refused.status_code, "Too many tries" in refused.text) == (429, True)
    assert 0 < int(refused.headers["retry-after"]) <= site_access.WINDOW + 1
    assert (await guesser.get("/desk")).status_code == 403
    for n in range(site_access.TRIES):  # one name, many addresses
        await At(ds, f"10.0.1.{n}").try_password(OTHER, "guess")
    assert (await At(ds, "10.0.0.3").try_password(OTHER, "staple")).status_code == 429
    assert (await working.get("/desk")).status_code == 200  # who is logged in stays so
    assert (await At(ds, "10.0.0.4").try_password(REVIEWER, password)).status_code == 200
    huge = await At(ds, "10.0.0.5").post("/-/login", username=REVIEWER, password="x" * 20_000)
    assert huge.status_code == 413


@pytest.mark.slow
async def test_logging_out_ends_it(db: Path, accounts: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    file, password = accounts
    visitor = At(await accounts_site(db, file, monkeypatch), "10.0.0.1")
    logged_in = await visitor.try_password(REVIEWER, password)
    (cookie,) = (
        value for value in logged_in.history[0].headers.get_list("set-cookie") if value.startswith("ds_actor=")
    )
    assert {"HttpOnly", "Secure"} <= {part.strip() for part in cookie.split(";")}
    assert (await visitor.get("/desk")).status_code == 200
    visitor.token, good = "guess", visitor.token
    await visitor.post("/-/logout")
    assert (await visitor.get("/desk")).status_code == 200  # another site cannot log a reviewer out
    visitor.token = good
    await visitor.post("/-/logout")
    assert "ds_actor" not in visitor._client.cookies
    assert (await visitor.get("/desk")).status_code == 403
    # Another site cannot log somebody in as somebody else, either.
    fields = {"username": OTHER, "password": "staple"}
    foreign = await visitor._client.post("/-/login", data=fields, headers={"origin": "https://other.example"})
    assert foreign.status_code == 403
    assert "ds_actor" not in visitor._client.cookies


def test_accounts_that_cannot_be_are_named(db: Path, tmp_path: Path) -> None:
    pytest.importorskip("datasette_auth_passwords", reason="datasette-auth-passwords is not installed")
    file = tmp_path / "accounts.yaml"
    with pytest.raises(ConfigError, match="there is no such file"):
        reviewer_desk.accounts_desk(db, ledger(db), file)
    file.write_text("A. Reader: secret\n")
    with pytest.raises(ConfigError, match=r"accounts.yaml:1: is not a password hash"):
        reviewer_desk.accounts_desk(db, ledger(db), file)
    file.write_text("")
    with pytest.raises(ConfigError, match="names and password hashes"):
        reviewer_desk.accounts_desk(db, ledger(db), file)


@pytest.mark.slow
def test_a_published_copy_has_no_desk(db: Path, tmp_path: Path) -> None:
    folder = immutable_copy.publish(db, tmp_path / "site", decisions=ledger(db), now=reviewer_desk._now).folder
    assert not [path for path in (folder / "site").rglob("*") if "desk" in path.name]
    assert not list(folder.rglob("decisions.db"))
    assert "auth" not in (folder / "requirements.txt").read_text()


def say(db: Path, book: Taxonomy, doi: str, what: Any, by: str, reason: str = "x") -> None:
    add_decisions(db, ledger(db), book, reviewer_desk._now, Doi(doi), what, (), (), reason, by)
    assert any(word.reviewer == by for word in current_decisions(read_ledger(ledger(db))))
