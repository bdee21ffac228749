"""The page to check references: the command's verdicts, on one's own site or with limits, and never anything stored."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from datasette.app import Datasette

from evidence.publish import serve, site_access
from tests import site_sample
from tests.builders import LIPSITZ, WORKS
from tests.loopback import LoopbackCrossref
from tests.loopback_server import Fault

TEXT = (
    "Lipsitz J, Markowitz J. Mechanisms of change in interpersonal therapy (IPT). Clin Psychol Rev. 2013;33(8):1134-47."
)
WRONG = TEXT.replace("2013", "2003") + " doi:10.1016/j.cpr.2013.09.002"


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return site_sample.make_sample(tmp_path_factory.mktemp("checks") / "evidence.db")


@pytest.fixture
def crossref(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LoopbackCrossref]:
    with LoopbackCrossref(WORKS) as server:
        monkeypatch.setenv("EVIDENCE_CROSSREF_URL", server.url)
        monkeypatch.setenv("EVIDENCE_CACHE", str(tmp_path / "answers.db"))
        monkeypatch.setenv(site_access.CHECKS, "yes")
        yield server


async def send(ds: Datasette, text: str, **more: str) -> Any:
    return await ds.client.post(
        "/check-references",
        content=urlencode({"references": text, **more}),
        headers={"content-type": "application/x-www-form-urlencoded"},
    )


async def site(sample: Path) -> Datasette:
    ds = Datasette([str(sample)], config_dir=serve.site_folder())
    await ds.invoke_startup()
    return ds


async def test_each_reference_gets_the_verdict_of_the_command(sample: Path, crossref: LoopbackCrossref) -> None:
    ds = await site(sample)
    form = await ds.client.get("/check-references")
    assert form.status_code == 200
    assert "set-cookie" not in form.headers
    page = await send(
        ds, f"1. {TEXT}\n2. {WRONG}\n3. Nobody N. <script>alert(1)</script> on nothing. J Nowhere. 2001;1:1."
    )
    assert page.status_code == 200
    assert "3 references: 1 found, 1 found, with errors, 1 with which no record agrees." in page.text
    assert "year: 2003 is printed, the record has 2013" in page.text
    assert "<script>alert" not in page.text
    assert "set-cookie" not in page.headers
    answer = await send(ds, f"1. {TEXT}\n2. {WRONG}", format="json")
    assert [(r["verdict"], r["doi"]) for r in json.loads(answer.text)] == [
        ("found", LIPSITZ["DOI"]),
        ("found-with-errors", LIPSITZ["DOI"]),
    ]
    assert "attachment" in answer.headers["content-disposition"]
    assert "is sent to Crossref and not kept" in (await ds.client.get("/about")).text
    with closing(sqlite3.connect(os.environ["EVIDENCE_CACHE"])) as conn:
        stored = conn.execute("select kind || question || body from answers where kind <> 'lookup'").fetchall()
    assert stored
    assert not [row for (row,) in stored if "1134-47" in row or "Nobody N" in row]


async def test_the_lines_that_were_not_checked_are_shown(sample: Path, crossref: LoopbackCrossref) -> None:
    page = await send(
        await site(sample), f"References\n\n1. {TEXT}\n\nFigure legends\nFigure 1. Flow <i>of</i> patients.\n"
    )
    assert "3 lines were read as headings, page headers or other text, and not checked:" in page.text
    assert "Figure 1. Flow &lt;i&gt;of&lt;/i&gt; patients." in page.text
    assert "not checked" not in (await send(await site(sample), TEXT)).text


async def test_a_server_that_cannot_be_asked_is_said(sample: Path, crossref: LoopbackCrossref) -> None:
    crossref.script([Fault("403", times=None)])
    page = await send(await site(sample), TEXT)
    assert "1 reference: 1 that could not be asked about." in page.text


@pytest.mark.parametrize(
    ("text", "said", "status"),
    [
        ("", "Paste one reference or more.", 400),
        ("x" * 200_001, "more than 200,000 bytes", 413),
        (
            "\n".join(f"{n}. Author{n} A. Title number {n} of a work. J Works. 2001;{n}:1-2." for n in range(1, 102)),
            "at most 100",
            400,
        ),
    ],
)
async def test_what_is_too_much_is_refused_before_anything_is_asked(
    sample: Path, crossref: LoopbackCrossref, text: str, said: str, status: int
) -> None:
    page = await send(await site(sample), text)
    assert page.status_code == status
    assert said in page.text
    assert crossref.requests == []


async def test_a_public_site_has_limits_for_each_address(
    sample: Path, crossref: LoopbackCrossref, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(site_access.CHECKS, "visitors")
    ds = await site(sample)
    codes = [(await send(ds, TEXT)).status_code for _ in range(site_access.CHECK_TRIES + 1)]
    assert codes == [200] * site_access.CHECK_TRIES + [429]


async def test_without_permission_there_is_no_page(
    sample: Path, crossref: LoopbackCrossref, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(site_access.CHECKS)
    ds = await site(sample)
    assert (await ds.client.get("/check-references")).status_code == 404
    assert "/check-references" not in (await ds.client.get("/")).text


async def test_a_form_of_another_site_is_refused(sample: Path, crossref: LoopbackCrossref) -> None:
    answer = await (await site(sample)).client.post(
        "/check-references",
        content=urlencode({"references": TEXT}),
        headers={"content-type": "application/x-www-form-urlencoded", "origin": "https://elsewhere.example"},
    )
    assert answer.status_code == 403
    assert crossref.requests == []
