"""News by report, mail and watch: the same changes everywhere, each mailed once, none lost when a mail fails."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from datasette.app import Datasette

from evidence.database import read_net_change, writer
from evidence.database.prisma_flow import read_flow
from evidence.errors import BusyError, ConfigError, LockedError
from evidence.export import mail_message
from evidence.publish import listed_works, mailed, news, serve
from tests.builders import FONAGY, MARKOWITZ, SMALL_YAML, message
from tests.command_line import Run, runner
from tests.loopback import LoopbackCrossref
from tests.mail_server import SmtpServer, body, certificate, fake_sendmail, mails_of

ATOM = "{http://www.w3.org/2005/Atom}"
TO = "reader@university.edu"
WATCHED = (
    SMALL_YAML
    + """
watch:
  - name: Trials of IPT
    filter: _tag=design:rct
  - name: "Grief & loss"
    filter: title__contains=grief
"""
)
TRIAL = message(
    "10.5555/trial",
    "Interpersonal psychotherapy for grief: a randomized controlled trial",
    2026,
    abstract="We randomised 80 adults with depression to interpersonal psychotherapy or usual care.",
    indexed={"date-time": "2099-01-01T00:00:00Z", "date-parts": [[2099, 1, 1]]},
)


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], crossref: LoopbackCrossref
) -> Run:
    """The command line over a small review that has been synchronised once, with a sendmail that keeps the mails."""
    (tmp_path / "sources.yaml").write_text(WATCHED)
    for name in [name for name in os.environ if name.startswith("EVIDENCE_SMTP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", f"{fake_sendmail(tmp_path / 'bin')}{os.pathsep}{os.environ['PATH']}")
    run = runner(tmp_path, monkeypatch, capsys)
    assert run("sync", "--no-enrich").code == 0
    return run


def box() -> list[Any]:
    return mails_of(Path("bin"))


def retraction(of: dict[str, Any]) -> dict[str, Any]:
    return message(
        "10.5555/notice",
        f"Retraction: {of['title'][0]}",
        2026,
        **{"update-to": [{"DOI": of["DOI"], "type": "retraction", "updated": {"date-parts": [[2026, 11, 1]]}}]},
    )


# ---------------------------------------------------------------------- the note


def test_a_study_that_changed_twice_counts_once_and_the_sum_is_prismas(run: Run, crossref: LoopbackCrossref) -> None:
    doi = str(MARKOWITZ["DOI"])
    run("decide", doi, "exclude", "--because", "not a study", "--by", "A. Reader")
    run("decide", doi, "include", "--because", "it is one", "--by", "A. Reader")
    run("decide", str(FONAGY["DOI"]), "exclude", "--because", "another therapy", "--by", "A. Reader")
    crossref.works[str(TRIAL["DOI"])] = TRIAL
    run("sync", "--no-enrich")
    found = json.loads(run("report", "changes", "--since", "run:1", "-f", "json").out)
    included = found["included"]
    assert [row["doi"] for row in included["came"]] == ["10.5555/trial"]
    assert [(row["doi"], row["reason"].startswith("another therapy")) for row in included["left"]] == [
        (str(FONAGY["DOI"]), True)
    ]
    assert (included["before"], included["now"]) == (4, 4)
    assert found["headline"].endswith(": +1, −1")
    prisma = {row["key"]: row["n"] for row in json.loads(run("report", "prisma", "--json").out)}
    assert included["now"] == prisma["included"]
    with closing(sqlite3.connect("evidence.db")) as conn:
        runs = [0, *(run for (run,) in conn.execute("select run from runs order by run"))]
        for a in runs:
            for b in (later for later in runs if later >= a):
                net = read_net_change.net_change(conn, a, b)
                assert net.before == read_flow(conn, a)["included"]
                assert net.now == read_flow(conn, b)["included"] == net.before + len(net.came) - len(net.left)


def test_a_study_under_another_doi_neither_came_nor_left(run: Run, crossref: LoopbackCrossref) -> None:
    old, new = str(MARKOWITZ["DOI"]), "10.5555/renamed"
    crossref.works.pop(old)
    crossref.works[new] = MARKOWITZ | {"DOI": new}
    crossref.aliases[old] = new
    run("sync", "--no-enrich", "--full")
    found = json.loads(run("report", "changes", "--since", "run:1", "-f", "json").out)["included"]
    assert found["moved"] == [{"from": old, "to": new}]
    assert (found["came"], found["left"], found["before"], found["now"]) == ([], [], 4, 4)


@pytest.mark.slow
def test_the_note_since_a_version_has_its_name_and_its_tags(run: Run, crossref: LoopbackCrossref) -> None:
    assert run("version", "2").code == 0
    run("decide", str(FONAGY["DOI"]), "exclude", "--because", "another therapy", "--by", "A. Reader")
    crossref.works[str(TRIAL["DOI"])] = TRIAL
    run("sync", "--no-enrich")
    assert run("version", "3").code == 0
    found = json.loads(run("report", "changes", "--since", "2", "-f", "json").out)
    assert re.fullmatch(r"Version 3, \d{4}-\d\d-\d\d: \+1, −1", found["headline"])
    assert found["since"]["label"].startswith("version 2 (")
    assert found["cells"]["tags"] == "then"
    lost = [cell for cell in found["cells"]["changed"] if cell["left"]]
    assert lost, "the tags of a study that was excluded are known from the version"
    assert all(cell["before"] + cell["came"] - cell["left"] == cell["now"] for cell in found["cells"]["changed"])
    today = json.loads(run("report", "changes", "--since", "run:1", "-f", "json").out)["cells"]
    assert (today["tags"], today["left_without_tags"]) == ("today", 1)
    text = run("report", "changes", "--since", "2", "-f", "markdown").out
    assert text.startswith(f"# {found['headline']}\n")
    assert "with the tags of that version" in text
    assert "has no tags today" in run("report", "changes", "--since", "run:1").out


def test_the_note_of_a_past_state_is_what_it_was(run: Run, crossref: LoopbackCrossref) -> None:
    run("decide", str(FONAGY["DOI"]), "exclude", "--because", "another therapy", "--by", "A. Reader")
    then = json.loads(run("report", "changes", "--since", "run:1", "-f", "json").out)
    crossref.works[str(TRIAL["DOI"])] = TRIAL
    run("sync", "--no-enrich")
    again = json.loads(run("report", "changes", "--since", "run:1", "--as-of", "run:2", "-f", "json").out)
    for key in ("headline", "included", "flow", "since"):
        assert again[key] == then[key], key
    assert [row["change"] for row in again["changes"]] == [row["change"] for row in then["changes"]]
    assert "for the present state only" in run("report", "changes", "--since", "run:1", "--as-of", "run:2").out
    assert run("report", "changes", "--as-of", "run:2", "--mail", TO).code == 2


def test_living_items_that_only_people_know(run: Run) -> None:
    said = run("report", "changes", "--since", "2000-01-01").out
    assert "Not stated: reason, changes_to_objectives, schedule, next_search" in said
    Path("prisma-s.yaml").write_text("living:\n  schedule: every Monday\n  next_search: 2026-12-07\n")
    said = run("report", "changes", "--since", "2000-01-01").out
    assert "Next search (item L1): 2026-12-07" in said
    assert "every Monday" in said
    assert "Not stated: reason, changes_to_objectives, other_steps" in said


@pytest.mark.slow
@pytest.mark.parametrize("hostile", ["<script>alert(1)</script> & “x”", "a | b [c](javascript:x) `d` *e*"])
def test_what_a_title_contains_is_text_in_every_format(run: Run, crossref: LoopbackCrossref, hostile: str) -> None:
    title = f"Interpersonal psychotherapy {hostile}"
    crossref.works["10.5555/odd(1)<2>"] = message("10.5555/odd(1)<2>", title, 2026)
    run("sync", "--no-enrich")
    page = run("report", "changes", "-f", "html").out
    assert "<script" not in page
    assert page.count("<h1>") == page.count("</h1>") == 1
    markdown = run("report", "changes", "-f", "markdown").out
    assert "](javascript" not in markdown.replace("\\](javascript", "")
    assert "<script" not in markdown.replace("\\<script", "")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--since", "run:99"), "--since 'run:99' is not a valid date, run or version"),
        (("--since", "yesterday"), "--since 'yesterday' is not a valid date, run or version"),
        (("--since", "last-mail"), "--since last-mail needs --mail TO"),
        (("--watch", "Nothing"), "sources.yaml has no such watch; it has 'Trials of IPT', 'Grief & loss'"),
        (("--mail", "a@b.edu,c@d.edu"), "is not one e-mail address"),
        (("--mail", "-oQ/tmp@b.edu"), "is not one e-mail address"),
    ],
)
def test_one_bad_input_is_one_sentence(run: Run, arguments: tuple[str, ...], said: str) -> None:
    done = run("report", "changes", *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert box() == []


def test_the_exit_code_says_whether_anything_is_new(run: Run) -> None:
    assert run("report", "changes", "--exit-code").code == 0
    run("version", "1")
    nothing = run("report", "changes", "--since", "1", "--exit-code")
    assert (nothing.code, nothing.out) == (4, f"{nothing.out.splitlines()[0]}\nNothing is new or changed.\n")
    assert run("report", "changes", "--since", "1").code == 0


# ---------------------------------------------------------------------- mail


@pytest.mark.slow
def test_news_are_mailed_once_and_nothing_new_mails_nothing(run: Run, crossref: LoopbackCrossref) -> None:
    first = run("report", "changes", "--mail", TO)
    assert (first.code, first.out, first.err) == (0, "", "")
    assert len(box()) == 1
    assert run("report", "changes", "--mail", TO).code == 0
    run("sync", "--no-enrich")
    assert run("report", "changes", "--mail", TO, "--exit-code").code == 4
    assert len(box()) == 1, "a second sync with nothing new mails nothing"
    crossref.works[str(TRIAL["DOI"])] = TRIAL
    run("sync", "--no-enrich")
    run("report", "changes", "--mail", TO)
    (_, second) = box()
    assert second["To"] == TO
    assert second["Subject"].endswith(": +1, -0")
    for kind in ("plain", "html"):
        assert "10.5555/trial" in body(second, kind)
        assert str(MARKOWITZ["DOI"]) not in body(second, kind)
    assert Path("bin/arguments").read_text().splitlines() == [f"-i -- {TO}"] * 2
    run("report", "changes", "--mail", "other@university.edu")
    assert len(box()) == 3, "what one address has been told, another has not"


def test_the_mail_says_what_the_report_the_feed_and_the_summary_say(run: Run, crossref: LoopbackCrossref) -> None:
    run("report", "changes", "--mail", TO)
    crossref.works[str(TRIAL["DOI"])] = TRIAL
    crossref.works["10.5555/notice"] = retraction(MARKOWITZ)
    crossref.works[str(MARKOWITZ["DOI"])] = MARKOWITZ | {
        "updated-by": [{"DOI": "10.5555/notice", "type": "retraction", "updated": {"date-parts": [[2026, 11, 1]]}}]
    }
    summary = run("sync", "--no-enrich", "--full").out
    report = run("report", "changes")
    run("report", "changes", "--mail", TO)
    told = body(box()[-1], "plain")
    lines = [line for line in report.out.splitlines() if line.startswith("  ")]
    assert any("NOTICE retraction" in line for line in lines)
    assert [line.rstrip() for line in told.splitlines() if line.startswith("  ")] == lines
    assert next(line.strip() for line in lines if "NOTICE" in line) in summary
    counts = re.search(r"^Changes: (.*)\.$", summary, re.MULTILINE)
    assert counts is not None
    assert report.out.splitlines()[1] == f"{counts[1]}."
    rows = json.loads(run("report", "changes", "-f", "json").out)["changes"]
    assert len(rows) == sum(not line.startswith("   ") for line in lines)


@pytest.mark.slow
def test_a_mail_that_failed_is_in_the_next_one(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crossref: LoopbackCrossref
) -> None:
    run("report", "changes", "--mail", TO)
    crossref.works[str(TRIAL["DOI"])] = TRIAL
    run("sync", "--no-enrich")
    path = os.environ["PATH"]
    monkeypatch.setenv("PATH", f"{fake_sendmail(tmp_path / 'broken', 75)}{os.pathsep}{path}")
    failed = run("report", "changes", "--mail", TO)
    assert failed.code == 69
    assert failed.err.strip().endswith("ended with 75: queue file write error")
    run("decide", str(FONAGY["DOI"]), "exclude", "--because", "another therapy", "--by", "A. Reader")
    run("sync", "--no-enrich")
    monkeypatch.setenv("PATH", path)
    assert run("report", "changes", "--mail", TO).code == 0
    told = body(box()[-1], "plain")
    assert "10.5555/trial" in told
    assert str(FONAGY["DOI"]) in told
    assert run("report", "changes", "--mail", TO, "--exit-code").code == 4


def test_a_process_killed_between_sending_and_remembering_sends_the_same_mail_again(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(mailed, "remember", killed)
        assert run("report", "changes", "--mail", TO).code == 130
    assert run("report", "changes", "--mail", TO).code == 0
    one, two = box()
    assert one["Message-ID"] == two["Message-ID"]
    assert body(one, "plain") == body(two, "plain")
    assert run("report", "changes", "--mail", TO, "--exit-code").code == 4


def test_an_older_mail_by_hand_does_not_hide_what_was_not_mailed(run: Run, crossref: LoopbackCrossref) -> None:
    run("report", "changes", "--mail", TO)
    crossref.works[str(TRIAL["DOI"])] = TRIAL
    run("sync", "--no-enrich")
    run("decide", str(FONAGY["DOI"]), "exclude", "--because", "another therapy", "--by", "A. Reader")
    run("report", "changes", "--mail", TO, "--since", "run:2")
    assert "10.5555/trial" not in body(box()[-1], "plain")
    run("report", "changes", "--mail", TO)
    assert "10.5555/trial" in body(box()[-1], "plain")


def test_a_new_database_begins_anew_and_a_restored_one_goes_on(run: Run, crossref: LoopbackCrossref) -> None:
    run("report", "changes", "--mail", TO)
    held = json.loads(Path("evidence.db.mailed.json").read_text())
    assert list(held["mailed"]) == [TO]
    Path("evidence.db.mailed.json").write_text(json.dumps(held | {"database": "another"}))
    run("report", "changes", "--mail", TO)
    assert len(box()) == 2
    Path("evidence.db.mailed.json").write_text("{")
    broken = run("report", "changes", "--mail", TO)
    assert broken.code == 1
    assert "remove it" in broken.err


def test_a_mistake_in_sources_yaml_stops_the_mail_and_not_the_report(run: Run) -> None:
    Path("sources.yaml").write_text(WATCHED.replace("name: Trials of IPT", "nme: Trials of IPT"))
    done = run("report", "changes", "--mail", TO)
    assert done.code == 2
    assert "sources.yaml:" in done.err
    assert box() == []
    assert "sources.yaml could not be read" in run("report", "changes").out


def test_two_mails_at_once_are_one(run: Run) -> None:
    with (
        mailed.one_at_a_time(Path("evidence.db"), 0),
        pytest.raises(BusyError, match="another program is mailing"),
        mailed.one_at_a_time(Path("evidence.db"), 0),
    ):
        pass
    assert run("report", "changes", "--mail", TO).code == 0


def log_in(server: SmtpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the environment so that mail goes through this server, with a password."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("EVIDENCE_SMTP_USER", "me")
    monkeypatch.setenv("EVIDENCE_SMTP_PASSWORD", "s3cret-word")


def test_mail_through_a_server(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with SmtpServer(auth=True) as server:
        log_in(server, monkeypatch)
        monkeypatch.setenv("EVIDENCE_SMTP_FROM", "tracker@university.edu")
        assert run("report", "changes", "--mail", TO).code == 0
    assert server.kept.envelopes == [("tracker@university.edu", [TO])]
    (found,) = server.kept.messages
    assert found["From"] == "tracker@university.edu"
    assert found.get_content_type() == "multipart/alternative"
    assert "4 new works." in body(found, "plain")
    assert "<h1>" in body(found, "html")
    assert all(len(line) <= 1000 for line in server.kept.raw[0].split(b"\r\n"))
    assert any(line.startswith(b"AUTH ") for line in server.kept.lines)
    assert box() == []


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl, which makes the certificate, is not installed")
def test_password_and_mail_go_encrypted_and_to_nobody_without_a_trusted_certificate(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted, context = certificate(tmp_path)
    with SmtpServer(auth=True, tls=context) as server:
        log_in(server, monkeypatch)
        refused = run("report", "changes", "--mail", TO)
        assert refused.code == 69
        assert "certificate verify failed" in refused.err
        assert not any(line.startswith((b"AUTH", b"MAIL")) for line in server.kept.lines)
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        assert run("report", "changes", "--mail", TO).code == 0
    told = server.kept.lines
    assert [to for _, to in server.kept.envelopes] == [[TO]]
    assert told.index(b"(encrypted)") < next(n for n, line in enumerate(told) if line.startswith(b"AUTH"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("refuse", "reason"), [("RCPT", "550 no such mailbox"), ("DATA", "451 try later"), ("AUTH", "535")]
)
def test_a_server_that_refuses(run: Run, monkeypatch: pytest.MonkeyPatch, refuse: str, reason: str) -> None:
    with SmtpServer(refuse=refuse, auth=True) as server:
        log_in(server, monkeypatch)
        done = run("report", "changes", "--mail", TO)
        assert done.code == 69
        assert reason in done.err
        assert "s3cret-word" not in done.err + done.out
        assert not Path("evidence.db.mailed.json").exists()
    gone = run("report", "changes", "--mail", TO)
    assert gone.code == 69
    assert "the mail was not sent through" in gone.err


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"EVIDENCE_SMTP_HOST": "mail.invalid", "EVIDENCE_SMTP_PORT": "many"}, "EVIDENCE_SMTP_PORT 'many' is no port"),
        ({"EVIDENCE_SMTP_HOST": "mail.invalid", "EVIDENCE_SMTP_USER": "me"}, "EVIDENCE_SMTP_PASSWORD is not set"),
        ({"EVIDENCE_SMTP_FROM": "me\nBcc: all@x.org"}, "EVIDENCE_SMTP_FROM"),
    ],
)
def test_half_a_setting_is_a_mistake(
    run: Run, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], said: str
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    done = run("report", "changes", "--mail", TO)
    assert done.code == 2
    assert said in done.err


@pytest.mark.parametrize(
    "address",
    [
        "",
        "a",
        "a@b\n",
        "a@b.edu\nBcc: c@d.edu",
        "a@b.edu\r\nX: y",
        "<a@b.edu>",
        "A <a@b.edu>",
        "-f@b.edu",
        "a@b.edu,c@d.edu",
        "a b@c.edu",
    ],
)
def test_no_header_is_injected_by_an_address(address: str) -> None:
    with pytest.raises(ConfigError):
        mail_message.checked_address(address, "--mail")


def test_no_header_is_injected_by_a_title_or_a_watch(run: Run) -> None:
    sources = Path("sources.yaml")
    sources.write_text(SMALL_YAML + 'watch:\n  - name: "a\\nBcc: x@y.org"\n    filter: verdict=include\n')
    assert run("check").code == 2
    with closing(sqlite3.connect("evidence.db")) as conn, conn:
        content = json.loads(conn.execute("select content from topic").fetchone()[0])
        content["title"] = "A\r\nBcc: x@y.org\u2028 B"
        conn.execute("update topic set content = ?", (json.dumps(content),))
    sources.write_text(SMALL_YAML)
    assert run("report", "changes", "--mail", TO).code == 0
    (found,) = box()
    assert found["Bcc"] is None
    assert found["Subject"].startswith("A Bcc: x@y.org B: ")


def test_the_addresses_are_in_no_database(run: Run) -> None:
    run("report", "changes", "--mail", TO)
    for path in Path().glob("*.db*"):
        if not path.name.endswith((".mailed.json", ".lock")):
            assert TO.encode() not in path.read_bytes(), path


@pytest.mark.slow
def test_the_cron_line_of_the_docs(run: Run, crossref: LoopbackCrossref) -> None:
    """The line of docs/schedule.md, run by a shell: it prints nothing, and mails news only."""
    text = (Path(__file__).parents[2] / "docs" / "schedule.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^0 6 \* \* 1  cd /srv/review && (.*--mail.*)$", text, re.MULTILINE)
    script = Path("evidence")
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m evidence "$@"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    command = line.replace(".venv/bin/evidence sync", "./evidence sync --no-enrich").replace(".venv/bin/", "./")
    crossref.works[str(TRIAL["DOI"])] = TRIAL
    for expected in (1, 1):
        here = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False, env=here)
        assert (done.stdout, done.stderr) == ("", ""), done
        assert len(box()) == expected


# ---------------------------------------------------------------------- watches


def watch(run: Run, name: str, *more: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("report", "changes", "--watch", name, "-f", "json", *more).out)["watches"][0]
    return found


@pytest.mark.slow
def test_a_work_that_enters_by_its_tags_or_verdict_is_new_for_a_watch(run: Run, crossref: LoopbackCrossref) -> None:
    assert watch(run, "Trials of IPT", "--since", "2000-01-01")["entered"] == [], "what a watch begins with is no news"
    doi = str(MARKOWITZ["DOI"])
    run("decide", doi, "--tag", "design:rct", "--because", "it is one", "--by", "A. Reader")
    found = watch(run, "Trials of IPT", "--since", "run:1")
    assert [row["doi"] for row in found["entered"]] == [doi]
    assert found["now"] == found["before"] + 1
    assert watch(run, "grief-loss", "--since", "run:1")["entered"] == []
    report = run("report", "changes", "--since", "run:1").out
    assert "Watch: Trials of IPT" in report
    assert "Watch: Grief & loss" not in report
    run("decide", doi, "exclude", "--because", "not a study", "--by", "A. Reader")
    again = watch(run, "Trials of IPT", "--since", "run:2")
    assert ([row["doi"] for row in again["left"]], again["entered"]) == ([doi], [])
    assert watch(run, "Trials of IPT", "--since", "run:1")["entered"] == [], "what came and went between is no news"


@pytest.mark.slow
def test_a_sync_says_what_is_new_for_each_watch_and_mails_it_once(run: Run, crossref: LoopbackCrossref) -> None:
    crossref.works[str(TRIAL["DOI"])] = TRIAL
    summary = run("sync", "--no-enrich").out
    assert re.search(r"^Watch “Grief & loss”: \+1, −0, \d works? now\.$", summary, re.MULTILINE)
    assert re.search(r"^Watch “Trials of IPT”: \+1, −0, \d works? now\.$", summary, re.MULTILINE)
    assert run("report", "changes", "--mail", TO, "--watch", "Grief & loss").code == 0
    assert "Watch" not in run("sync", "--no-enrich").out
    (found,) = box()
    assert "Grief & loss, " in found["Subject"]
    assert body(found, "plain").count("10.5555/trial") == 1
    assert run("report", "changes", "--mail", TO, "--watch", "grief-loss", "--exit-code").code == 4
    assert run("report", "changes", "--mail", TO, "--since", "run:1").code == 0, "the whole report is told apart"
    assert len(box()) == 2


@pytest.mark.slow
def test_a_retraction_is_news_of_the_watches_that_have_the_work(run: Run, crossref: LoopbackCrossref) -> None:
    crossref.works[str(TRIAL["DOI"])] = TRIAL
    run("sync", "--no-enrich")
    notice = {"DOI": "10.5555/notice", "type": "retraction", "updated": {"date-parts": [[2026, 11, 1]]}}
    crossref.works["10.5555/notice"] = retraction(TRIAL)
    crossref.works[str(TRIAL["DOI"])] = TRIAL | {"updated-by": [notice]}
    run("sync", "--no-enrich", "--full")
    found = watch(run, "Grief & loss")
    assert [row["what"] for row in found["changes"]] == ["notice"]
    assert "touches" in found["changes"][0]
    assert "NOTICE retraction" in run("report", "changes", "--watch", "Grief & loss").out


def test_another_question_under_an_old_name_begins_anew(run: Run) -> None:
    before = watch(run, "Trials of IPT")["now"]
    sources = Path("sources.yaml")
    sources.write_text(WATCHED.replace("filter: _tag=design:rct", "filter: verdict=include"))
    found = watch(run, "Trials of IPT", "--since", "2000-01-01")
    assert found["now"] > before
    assert (found["entered"], found["left"]) == ([], [])
    assert found["started"]


def test_a_list_read_in_the_middle_of_a_run_is_news_when_the_run_has_ended(run: Run) -> None:
    """A mail that goes out while a sync is at work must not swallow what the sync has written so far."""
    run("report", "changes", "--mail", TO, "--watch", "grief-loss")
    with closing(sqlite3.connect("evidence.db")) as conn, conn:
        conn.execute(
            "insert into runs (run, started, outcome, door, version) "
            "values (7, '2099-01-01T00:00:00Z', 'running', 'crossref', '1')"
        )
        conn.execute("update works set title = 'About grief' where doi = ?", (str(MARKOWITZ["DOI"]),))
    assert run("report", "changes", "--mail", TO, "--watch", "grief-loss", "--exit-code").code == 4
    with closing(sqlite3.connect("evidence.db")) as conn, conn:
        conn.execute("update runs set outcome = 'complete', finished = '2099-01-01T00:01:00Z' where run = 7")
    assert run("report", "changes", "--mail", TO, "--watch", "grief-loss").code == 0
    assert str(MARKOWITZ["DOI"]) in body(box()[-1], "plain")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("watch_text", "line", "said"),
    [
        ("  - name: A\n    filter: _tag=design:nonsense\n", 3, "the rules have no tag design:nonsense"),
        ("  - name: A\n    filter: _colour=red\n", 3, "'_colour' is no filter"),
        ("  - name: A\n    filter: _sort=year\n", 3, "'_sort' is no filter"),
        ("  - name: A\n    filter: colour=red\n", 3, "works have no column 'colour'"),
        ("  - name: A\n    filter: year__nearly=2000\n", 3, "no comparison 'nearly'"),
        ("  - name: A\n    filter: _since=2026-01-01\n", 3, "leave _since out"),
        ("  - name: A\n    filter: grief\n", 3, "write it like _tag="),
        (
            "  - name: A\n    filter: verdict=include\n  - name: a\n    filter: verdict=include\n",
            4,
            "have the same address",
        ),
        ("  - name: '!'\n    filter: verdict=include\n", 2, "cannot be the name of a watch"),
        ("  - name: A\n    filters: verdict=include\n", 3, "filters"),
        ("  - name: A\n", 2, "filter"),
    ],
)
def test_a_mistake_in_a_watch_is_reported_with_its_line(run: Run, watch_text: str, line: int, said: str) -> None:
    text = f"{SMALL_YAML.rstrip()}\nwatch:\n"
    Path("sources.yaml").write_text(text + watch_text)
    done = run("check")
    assert done.code == 2, done.out
    assert done.err.startswith(f"evidence: sources.yaml:{len(text.splitlines()) + line - 1}: "), done.err
    assert said in done.err


def test_the_comparisons_are_datasettes() -> None:
    from datasette.filters import Filters

    assert set(listed_works.COMPARED) == {known.key for known in Filters._filters}


def test_an_address_copied_from_the_site_is_a_filter(run: Run) -> None:
    Path("sources.yaml").write_text(
        SMALL_YAML
        + "watch:\n  - name: A\n    filter: http://127.0.0.1:8001/evidence/works?verdict=include&year__gte=2013\n"
    )
    assert "1 source" not in run("check").out.replace("2 sources, 1 watch", "")
    assert watch(run, "A")["now"] >= 1


def test_watches_are_no_hindrance_where_they_cannot_be_kept(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*_: object, **__: object) -> None:
        raise LockedError("evidence.db: another program holds it")

    monkeypatch.setattr(writer, "note_watches", locked)
    done = run("report", "changes")
    assert done.code == 0
    assert run("report", "changes", "--watch", "grief-loss").code == 1
    assert news.watch_lines(Path("evidence.db"), Path("sources.yaml"), 1)[0].startswith("Warning, watches: ")


def test_the_feed_of_a_watch_has_a_stable_address_and_what_the_report_says(
    run: Run, crossref: LoopbackCrossref, tmp_path: Path
) -> None:
    crossref.works[str(TRIAL["DOI"])] = TRIAL
    run("sync", "--no-enrich")
    run("decide", str(MARKOWITZ["DOI"]), "--tag", "design:rct", "--because", "it is one", "--by", "A. Reader")
    found = watch(run, "Trials of IPT", "--since", "run:1")
    site = Datasette([str(tmp_path / "evidence.db")], config_dir=serve.site_folder())

    def get(address: str) -> Any:
        async def asked() -> Any:
            await site.invoke_startup()
            return await site.client.get(address)

        return asyncio.run(asked())

    answer = get("/watch/trials-of-ipt.atom")
    assert answer.status_code == 200
    feed = ElementTree.fromstring(answer.text)
    assert "Trials of IPT" in feed.findtext(f"{ATOM}title", "")
    told = [entry.findtext(f"{ATOM}title", "") for entry in feed.findall(f"{ATOM}entry")]
    assert sum("Interpersonal psychotherapy for grief" in title for title in told) == 1
    assert [title for title in told if title.startswith("[now in “Trials of IPT”] ")] == [
        f"[now in “Trials of IPT”] {MARKOWITZ['title'][0]}"
    ]
    assert {row["doi"] for row in found["entered"]} == {str(TRIAL["DOI"]), str(MARKOWITZ["DOI"])}
    ids = [entry.findtext(f"{ATOM}id") for entry in feed.findall(f"{ATOM}entry")]
    assert len(set(ids)) == len(ids)
    Path("sources.yaml").write_text(WATCHED.replace("_tag=design:rct", "_tag=design:rct&year__gte=1990"))
    assert get("/watch/trials-of-ipt.atom").status_code == 200, "another filter, the same address"
    assert get("/watch/nothing.atom").status_code == 404
    page = get("/changes").text
    assert 'href="/watch/grief-loss.atom"' in page
    assert "Grief &amp; loss" in page
