"""The command line: what is printed, to stdout or stderr, and the exit code."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click
import pytest
from filelock import FileLock

from evidence import cli
from evidence.harvest import sources
from tests.builders import FONAGY, MARKOWITZ, SMALL_YAML, STANGIER
from tests.command_line import Run, runner
from tests.loopback import LoopbackCrossref


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Call the console script in an empty folder."""
    return runner(tmp_path, monkeypatch, capsys)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "sources.yaml"
    path.write_text(SMALL_YAML)
    return path


def commands(command: click.Command = cli.cli, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every command, group and subcommand, with its full name such as `evidence report prisma`."""
    yield " ".join(("evidence", *path)), command
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from commands(inner, (*path, name))


def parsed(arguments: list[str], command: click.Command = cli.cli) -> str:
    """The names of the command that these arguments call. Its arguments and options are parsed; nothing is run."""
    context = command.make_context(command.name, list(arguments))
    if isinstance(command, click.Group):
        _, rest, _ = command.make_parser(context).parse_args(list(arguments))
        name, inner, rest = command.resolve_command(context, rest)
        assert inner is not None
        return f"{name} {parsed(rest, inner)}".strip()
    return ""


@pytest.mark.parametrize(("typed", "command"), list(commands()), ids=[typed for typed, _ in commands()])
def test_every_help_text_ends_with_an_example_that_parses(run: Run, typed: str, command: click.Command) -> None:
    said = run(*typed.split()[1:], "--help").out
    assert "..." not in said.partition("Commands:")[2], "a command is not described in one short sentence"
    _, heading, examples = said.partition("\n  Example")
    assert heading, said
    _, *lines = examples.splitlines()
    assert lines
    for line in lines:
        first, *arguments = shlex.split(line)
        assert first == "evidence"
        assert f"evidence {parsed(arguments)}".startswith(typed), line


def test_the_demo_from_an_empty_folder(run: Run) -> None:
    said = run("demo", "--no-serve")
    assert said.code == 0, said.err
    assert "9 citations: 7 resolved, 1 repaired, 1 without a DOI" in said.out
    assert said.err == ""
    tagged = sqlite3.connect("evidence.db").execute(
        "select count(distinct doi) from tags join works using (doi) where verdict = 'include'"
    )
    assert tagged.fetchone()[0] >= 150
    again = run("sync", "--offline", "--json")
    assert again.code == 2  # there is no sources.yaml here: the demo used the starter
    assert "evidence init" in again.err
    assert run("init").code == 0
    again = run("sync", "--offline")
    assert again.code == 0
    assert "Nothing new: no record, verdict or tag has changed." in again.out


def people_s_tags() -> int:
    """How many tags of the database in this folder come from people."""
    found: int = (
        sqlite3.connect("evidence.db").execute("select count(*) from tags where decided = 'person'").fetchone()[0]
    )
    return found


@pytest.mark.slow
def test_the_demo_has_what_two_readers_decided(run: Run) -> None:
    first = run("demo", "--no-serve")
    assert first.code == 0, first.err
    added = re.search(r"([\d,]+) decisions by reading 1 and reading 2 added: ([\d,]+) tags on [\d,]+ works", first.out)
    assert added, first.out
    assert int(added[2].replace(",", "")) == people_s_tags() > 300
    again = run("demo", "--no-serve")
    assert "Decisions by reading 1 and reading 2 were there already" in again.out and "Nothing new" in again.out
    assert "reading 1 and reading 2:" in run("decisions", "agreement").out
    assert "People disagree on outcome:" in run("decisions", "conflicts").out
    assert len(run("decisions", "export").out.splitlines()) == 1 + int(added[1].replace(",", ""))
    assert "no work in the database" not in run("status").out


@pytest.mark.slow
def test_the_demo_leaves_what_a_person_decided_as_it_is(run: Run) -> None:
    assert run("demo", "--no-serve", "--without-decisions").code == 0
    assert people_s_tags() == 0
    assert len(run("decisions", "export").out.splitlines()) == 1, "only the header"
    doi = "10.1001/archgenpsychiatry.2011.67"
    assert run("decide", doi, "--untag", "comparator:cbt", "--because", "not compared", "--by", "A. Reviewer").code == 0
    own = run("decisions", "export").out.splitlines()[1]
    assert run("demo", "--no-serve", "--without-decisions").code == 0
    assert run("decisions", "export").out.splitlines()[1:] == [own]
    assert run("demo", "--no-serve").code == 0
    assert own in run("decisions", "export").out.splitlines()
    assert f"{doi}  People disagree on comparator:cbt" in run("decisions", "conflicts").out
    sql = "select count(*) from tags where doi = ? and facet = 'comparator' and value = 'cbt'"
    assert sqlite3.connect("evidence.db").execute(sql, (doi,)).fetchone()[0] == 0, "the later decision counts"


def test_a_topic_without_decisions_has_a_demo_too(run: Run) -> None:
    assert run("init", "--topic", "mindfulness").code == 0
    said = run("demo", "--no-serve")
    assert said.code == 0, said.err
    assert "from people" not in said.out and people_s_tags() == 0


def test_sync_over_http_and_again(run: Run, crossref: LoopbackCrossref, small: Path) -> None:
    first = run("sync")
    assert first.code == 0, first.err
    assert first.out.startswith("3 citations: 1 resolved, 1 repaired, 1 without a DOI; 4 records matched the searches.")
    asked = len(crossref.requests)
    second = run("sync")
    assert "Nothing new" in second.out
    assert len(crossref.requests) - asked <= 4


def test_an_unreachable_crossref_mentions_offline(run: Run, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVIDENCE_CROSSREF_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(time, "sleep", lambda _: None)
    said = run("sync")
    assert said.code == 1
    assert "--offline" in said.out
    assert "partial" in said.out


def test_records_from_a_file(run: Run, small: Path, tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    file.write_text("\n".join([json.dumps(MARKOWITZ), json.dumps(FONAGY), "{broken", json.dumps({"title": ["x"]})]))
    said = run("sync", "--from", str(file))
    assert said.code == 0
    assert "4 records read" in said.out
    assert "2 new works" in said.out
    assert "2 records could not be read" in said.out
    everything = run("sync", "--from", str(file), "--all", "--json")
    assert json.loads(everything.out)["outcome"] == "complete"


def test_a_mistake_is_one_sentence_and_exit_code_2(run: Run, small: Path, tmp_path: Path) -> None:
    small.write_text(SMALL_YAML.replace("kind: search", "kind: serch"))
    (tmp_path / "page.html").write_text("<html></html>")
    for arguments, words in (
        (("sync", "--offline"), "sources.yaml:"),
        (("check",), "did you mean 'search'"),
        (("sync", "--all"), "--from"),
        (("explain", "10.5555/none"), "there is no database yet"),
        (("explain", "nonsense"), "is not a valid DOI"),
        (("export", "--since", "yesterday"), "2026-01-31"),
        (("export", "--tag", "variant"), "facet:value"),
        (("status",), "there is no database yet"),
        (("serve",), "there is no database yet"),
    ):
        said = run(*arguments)
        assert said.code == 2, arguments
        assert said.err.startswith("evidence: ")
        assert words in said.err
        assert len(said.err.splitlines()) == 1
        assert said.out == ""
    small.write_text(SMALL_YAML)
    said = run("sync", "--from", "page.html")
    assert (said.code, "not JSON" in said.err) == (2, True)
    assert run("sync", "--from", "none.jsonl").code == 2
    assert run("nonsense").code == 2


def test_no_site_is_announced_at_another_port_without_a_database(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = run("serve", "--port", str(taken.getsockname()[1]))
    assert (said.code, len(said.err.splitlines())) == (2, 1)
    assert "there is no database yet" in said.err


def test_init_names_the_file_it_cannot_write(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    said = run("init", "file/review")
    assert (said.code, "cannot be written" in said.err) == (2, True)
    assert run("init", "review").code == 0
    assert "already exists" in run("init", "review").err


def test_init_writes_the_files_of_a_topic(run: Run, tmp_path: Path) -> None:
    said = run("init", "one", "--topic", "mindfullness")
    assert (said.code, said.err) == (
        2,
        "evidence: there is no topic 'mindfullness'; choose one of ipt, mindfulness, blank\n",
    )
    assert not (tmp_path / "one").exists()
    assert run("init", "two", "--topic", "mindfulness").out.startswith(
        "Wrote two/sources.yaml. Edit it, then: evidence check"
    )
    assert [path.name for path in (tmp_path / "two").iterdir()] == ["sources.yaml"]
    assert run("init", "own", "--topic", "blank").out.startswith(
        "Wrote own/sources.yaml and own/topic. Edit them, then:"
    )
    assert {path.name for path in (tmp_path / "own" / "topic").iterdir()} == {
        "topic.yaml", "screen.yaml", "intervention.yaml",
    }  # fmt: skip
    (tmp_path / "own" / "sources.yaml").unlink()
    assert "own/topic: already exists" in run("init", "own", "--topic", "blank").err


def test_check_names_the_topic_and_what_does_not_fit_it(run: Run, tmp_path: Path) -> None:
    assert run("init").code == 0
    assert "Topic: ipt, Living evidence on interpersonal psychotherapy." in run("check").out
    file = tmp_path / "sources.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(f"topic: mindfulness\n{text}", encoding="utf-8")
    said = run("check")
    assert (said.code, said.out) == (2, "")
    assert "the search 'ipt-by-name' and the screening rules speak of different things" in said.err
    file.write_text(f"topic: nowhere\n{text}", encoding="utf-8")
    assert run("check").err == (
        "evidence: sources.yaml:1: 'nowhere' is not a topic that comes with the program; name one of ipt, mindfulness, "
        "or a folder with a topic.yaml\n"
    )
    (tmp_path / "nowhere").mkdir()
    assert "'nowhere' is a folder without topic.yaml" in run("check").err
    file.write_text(f"topic: [ipt]\n{text}", encoding="utf-8")
    assert "`topic:` must be text" in run("check").err


def test_two_syncs_at_once(run: Run, small: Path, tmp_path: Path) -> None:
    with FileLock(str(tmp_path / "evidence.db.lock")):
        said = run("sync", "--offline")
    assert said.code == 75
    assert "another evidence sync" in said.err


def test_a_file_that_is_not_a_database_is_refused_and_unchanged(run: Run, small: Path, tmp_path: Path) -> None:
    (tmp_path / "evidence.db").write_text("my diary\n" * 100)
    said = run("sync", "--offline")
    assert said.code == 1
    assert "not a SQLite database" in said.err
    assert (tmp_path / "evidence.db").read_text() == "my diary\n" * 100


def test_a_damaged_database_is_reported_in_one_sentence(
    run: Run, crossref: LoopbackCrossref, small: Path, tmp_path: Path
) -> None:
    run("sync")
    db = tmp_path / "evidence.db"
    with closing(sqlite3.connect(db)) as conn:
        (root, size) = conn.execute(
            "select rootpage, page_size from sqlite_master, pragma_page_size where name = 'works'"
        ).fetchone()
        conn.execute("pragma wal_checkpoint(truncate)")
    whole = db.read_bytes()
    db.write_bytes(whole[: (root - 1) * size] + b"\xff" * size + whole[root * size :])
    for command in (("status",), ("export",), ("explain", str(STANGIER["DOI"])), ("report", "changes")):
        said = run(*command)
        assert said.code == 1, command
        assert "cannot be read" in said.err, command
        assert "Traceback" not in said.err


def test_explain_decide_and_judge(run: Run, crossref: LoopbackCrossref, small: Path) -> None:
    run("sync")
    said = run("explain", "https://doi.org/" + str(STANGIER["DOI"]).upper())
    assert "Verdict: include (by the rules, screened on title)" in said.out
    assert "[interpersonal psychotherapy]" in said.out
    assert "Found through:" in said.out
    doi = str(STANGIER["DOI"])
    decided = run("decide", doi, "exclude", "--tag", "variant:ipt-g", "--because", "comparator", "--by", "A. Reader")
    assert decided.code == 0, decided.err
    said = run("explain", doi)
    assert "Verdict: exclude (by a reviewer" in said.out
    assert "variant: ipt-g (stated, by a reviewer)" in said.out
    assert "Nothing to judge" in run("judge").out
    assert "No tag has appeared" in run("judge", "--report", "tags.csv").out
    assert "from Crossref" in run("status").out  # judging again is no harvest
    assert run("decide", doi, "--because", "x", "--by", "A").code == 2
    assert "has no 'ipt-z'" in run("decide", doi, "--tag", "variant:ipt-z", "--because", "x", "--by", "A").err
    assert "no such work" in run("decide", "10.5555/none", "include", "--because", "x", "--by", "A").err


def test_tags_are_explained_and_exported_with_their_strength(
    run: Run, crossref: LoopbackCrossref, small: Path, tmp_path: Path
) -> None:
    run("sync")
    doi = str(STANGIER["DOI"])
    with closing(sqlite3.connect("evidence.db")) as conn, conn:
        conn.execute("delete from tags")
        conn.executemany(
            "insert into tags values (?, ?, ?, 'rule', ?, ?, ?)",
            [
                (doi, "variant", "ipt", "stated", 0.99, None),
                (doi, "outcome", "anxiety", "likely", 0.8, "Anxiety: finding (“anxiety”)."),
                (doi, "outcome", "cost", "implied", 0.3, "Cost: title only."),
            ],
        )
    said = run("explain", doi).out
    assert "outcome: anxiety (likely, by the rules)\n      Anxiety: finding (“anxiety”).\n" in said
    tags = {tag["value"]: tag for tag in json.loads(run("explain", doi, "--json").out)["tags"]}
    assert (tags["cost"]["strength"], tags["cost"]["certainty"], tags["cost"]["how"]) == (
        "implied", 0.3, "Cost: title only.",
    )  # fmt: skip

    def exported(*options: str) -> list[tuple[str, str, str, str]]:
        table = csv.DictReader(io.StringIO(run("export", *options).out))
        return [(r["variant"], r["outcome"], r["likely_tags"], r["implied_tags"]) for r in table if r["doi"] == doi]

    assert exported() == [("ipt", "anxiety", "outcome:anxiety", "")]
    assert exported("--strength", "stated") == [("ipt", "", "", "")]
    assert exported("--strength", "stated,likely,implied") == [
        ("ipt", "anxiety; cost", "outcome:anxiety", "outcome:cost")
    ]
    assert exported("--tag", "outcome:cost") == []
    assert len(exported("--tag", "outcome:cost", "--strength", "implied")) == 1
    assert exported("--as-of", "2999-01-01", "--tag", "outcome:anxiety", "--strength", "stated") == []
    assert "KW  - outcome:anxiety" in run("export", "--format", "ris").out
    assert "outcome:anxiety" not in run("export", "--format", "bibtex", "--strength", "stated").out
    refused = run("export", "--strength", "sure")
    assert (refused.code, "is not a strength of a tag" in refused.err) == (2, True)


def test_a_decision_can_be_withdrawn(run: Run, crossref: LoopbackCrossref, small: Path) -> None:
    run("sync")
    doi = str(STANGIER["DOI"])
    before = run("explain", doi).out
    run("decide", doi, "exclude", "--tag", "variant:ipt-g", "--because", "slip", "--by", "A. Reader")
    refused = run("decide", doi, "--withdraw", "verdict", "--because", "x", "--by", "B. Reader")
    assert (refused.code, "B. Reader has no decision on its verdict" in refused.err) == (2, True)
    said = run(
        "decide", doi, "--withdraw", "verdict", "--withdraw", "variant:ipt-g", "--because", "slip", "--by", "A. Reader"
    )
    assert said.out.startswith("2 decisions by A. Reader")
    assert run("explain", doi).out == before
    assert "nothing to undo" in run("decide", doi, "--withdraw", "verdict", "--because", "x", "--by", "A. Reader").err
    assert run("decisions", "export", "-o", "d.csv").code == 0
    assert "0 decisions added" in run("decisions", "import", "d.csv").out
    both = run("decide", doi, "--tag", "variant:ipt", "--untag", "variant:ipt", "--because", "x", "--by", "A. Reader")
    assert "at once" in both.err


def test_decisions_on_pairs_of_records(run: Run, crossref: LoopbackCrossref, small: Path) -> None:
    second = STANGIER | {"DOI": "10.5555/second.registration"}
    crossref.works[str(second["DOI"])] = second
    assert "1 duplicate record." in run("sync").out
    doi, other = str(STANGIER["DOI"]), str(second["DOI"])
    assert f"Duplicate of https://doi.org/{doi}, the record that represents the work." in run("explain", other).out
    assert len(run("export").out.splitlines()) == 5
    assert run("decide", doi, "--apart", other, "--because", "two papers", "--by", "A. Reader").code == 0
    assert len(run("export").out.splitlines()) == 6
    assert "apart (by a reviewer)" in run("explain", other).out
    assert "no other work" in run("decide", doi, "--same", "10.5555/none", "--because", "x", "--by", "A").err
    assert "No conflicts" in run("decisions", "conflicts").out


@pytest.mark.slow
def test_disagreeing_reviewers_and_changed_texts_are_conflicts(
    run: Run, crossref: LoopbackCrossref, small: Path
) -> None:
    run("sync")
    doi, other = str(STANGIER["DOI"]), str(FONAGY["DOI"])
    for reviewer, verdict in (("A. Reader", "include"), ("B. Reader", "exclude")):
        run("decide", doi, verdict, "--because", "x", "--by", reviewer)
    run("decide", other, "include", "--because", "x", "--by", "A. Reader")
    run("decide", other, "include", "--because", "x", "--by", "B. Reader")
    assert run("decisions", "conflicts").out.splitlines() == [
        f"https://doi.org/{doi}  People disagree on this work (A. Reader: include, B. Reader: exclude)."
    ]
    assert run("decisions", "agreement").out == (
        "A. Reader and B. Reader: 2 works, same verdict 0.50 (0.09 to 0.91), kappa 0.00 (-0.81 to 0.81), "
        "AC1 0.38 (-0.11 to 0.88), PABAK 0.25 (-0.36 to 0.86)\n"
    )
    run("decide", doi, "exclude", "--because", "seen together", "--by", "A. Reader")
    assert run("decisions", "conflicts").out == "No conflicts.\n"
    crossref.works[other] = FONAGY | {
        "title": ["Dynamic interpersonal therapy: corrected title"],
        "indexed": {"date-time": "2999-01-01T00:00:00Z"},
    }
    assert f"1 decision to look at again (`evidence decisions conflicts`): {other}." in run("sync").out
    assert "to look at again" not in run("sync").out
    assert "has changed since" in run("decisions", "conflicts").out
    assert "Decisions to look at again: 1." in run("status").out
    assert "Verdict: include (by a reviewer" in run("explain", other).out


def test_decisions_are_exported_and_imported_as_csv(
    run: Run, crossref: LoopbackCrossref, small: Path, tmp_path: Path
) -> None:
    run("sync")
    run("decide", str(STANGIER["DOI"]), "exclude", "--because", 'comparator, "only"', "--by", "A. Reader")
    assert run("decisions", "export", "-o", "d.csv").code == 0
    (row,) = csv.DictReader(io.StringIO((tmp_path / "d.csv").read_text()))
    assert (row["doi"], row["verdict"], row["reason"]) == (STANGIER["DOI"], "exclude", 'comparator, "only"')
    (tmp_path / "decisions.db").unlink()
    assert run("judge").code == 0
    assert "Verdict: include" in run("explain", str(STANGIER["DOI"])).out
    assert "1 decision added" in run("decisions", "import", "d.csv").out
    assert "0 decisions added" in run("decisions", "import", "d.csv").out
    assert "Verdict: exclude" in run("explain", str(STANGIER["DOI"])).out
    (tmp_path / "bad.csv").write_text("doi,action,verdict,reason,reviewer,made_at\n10.1/x,verdict,maybe,r,b,n\n")
    assert "bad.csv:2" in run("decisions", "import", "bad.csv").err


def test_export(run: Run, crossref: LoopbackCrossref, small: Path, tmp_path: Path) -> None:
    run("sync")
    rows = list(csv.DictReader(io.StringIO(run("export").out)))
    assert len(rows) == 4
    assert {row["doi"] for row in rows} >= {FONAGY["DOI"], STANGIER["DOI"]}
    only = list(csv.DictReader(io.StringIO(run("export", "--tag", "variant:dit", "--query", "severe").out)))
    assert [row["doi"] for row in only] == [FONAGY["DOI"]]
    assert list(csv.DictReader(io.StringIO(run("export", "--since", "2999-01-01").out))) == []
    said = run("export", "--format", "ris", "-o", "out.ris")
    assert (said.code, said.out, said.err) == (0, "", "4 works written to out.ris.\n")
    assert (tmp_path / "out.ris").read_text().count("ER  - ") == 4
    assert run("export", "--excel", "-o", "x.csv").code == 0
    assert (tmp_path / "x.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    assert "it has" in run("export", "--tag", "variant:nope").err
    assert run("export", "-o", "no/such/folder.csv").code == 2
    assert run("export", "--encoding", "klingon").code == 2
    assert list(tmp_path.glob(".*")) == []


def test_status(run: Run, crossref: LoopbackCrossref, small: Path) -> None:
    run("sync")
    said = run("status")
    assert "Last run: complete" in said.out
    assert "Citation 2 of article (no DOI)" in said.out
    assert json.loads(run("status", "--json").out)["works"] == {"include": 4}


@pytest.mark.slow
def test_a_version_answers_every_report_or_refuses(run: Run, crossref: LoopbackCrossref, small: Path) -> None:
    assert run("version", "1").code == 2  # nothing to name yet
    run("sync")
    assert "has been named yet" in run("version").out
    before = {name: run("report", name, *more).out for name, *more in (
        ("prisma",), ("prisma-s", "--as-of", "run:1"), ("changes", "--since", "2000-01-01"))}  # fmt: skip
    works = run("export", "--columns", "doi,verdict").out
    claims, currency = (run("report", name).out for name in ("claims", "currency"))
    made = run("version", "1", "--note", "as sent", "--by", "Ann")
    assert (made.code, "4 included" in made.out) == (0, True)
    doi = works.splitlines()[1].partition(",")[0]
    assert run("decide", doi, "exclude", "--because", "read", "--by", "Ann").code == 0
    assert run("report", "prisma", "--as-of", "1").out == before["prisma"] != run("report", "prisma").out
    assert run("report", "prisma-s", "--as-of", "1").out == before["prisma-s"]
    changed = run("report", "changes", "--since", "2000-01-01", "--as-of", "1")
    assert changed.out.splitlines()[0] == f"Version 1, {before['changes'].splitlines()[0]}"
    assert "1 changed verdict" in run("report", "changes", "--since", "2000-01-01").out
    assert run("export", "--columns", "doi,verdict", "--as-of", "1").out == works
    assert run("report", "claims", "--as-of", "1").out == claims
    assert run("report", "currency", "--as-of", "1").out == currency != run("report", "currency").out
    assert "written to then/evidence.db" in run("rewind", "1", "then").out
    past = run("--db", "then/evidence.db", "report", "prisma")
    assert (past.out, past.err.startswith("As of version 1 (")) == (before["prisma"], True)
    assert "is only read" in run("--db", "then/evidence.db", "sync").err
    update = run("report", "prisma", "--since", "1").out
    assert "      4  Studies included in previous version of review" in update
    assert "      1  Studies of previous version no longer included" in update
    assert "      3  Total studies included in review" in update
    form = run("report", "prisma", "-f", "csv", "--since", "1").out
    assert {row["data"]: row["n"] for row in csv.DictReader(form.splitlines())}["total_studies"] == "3"
    assert json.loads(run("report", "prisma", "-f", "json", "--since", "1").out)["since_run"] == 1
    assert run("report", "prisma", "-f", "svg").out.startswith("<svg ")
    assert [row["note"] for row in json.loads(run("version", "-f", "json").out)] == ["as sent"]
    for wrong in (
        ("version", "1"), ("version", "2026-01-01"), ("version", "2", "--list"), ("report", "claims", "--as-of", "run:1"),
        ("report", "currency", "--as-of", "2026-01-01"), ("rewind", "2", "then"),
        ("report", "prisma", "--since", "soon"), ("report", "changes", "--as-of", "x"),
        ("report", "prisma", "--since", "run:2", "--as-of", "1"), ("report", "prisma-s", "--as-of", "run:99"),
    ):  # fmt: skip
        said = run(*wrong)
        assert (said.code, said.out, said.err.count("\n")) == (2, "", 1), wrong


def test_reports(run: Run, crossref: LoopbackCrossref, small: Path) -> None:
    run("sync")
    assert "4  Studies included" in run("report", "prisma").out
    assert "0  Studies included" in run("report", "prisma", "--as-of", "1999-12-31").out
    assert {"key": "included", "n": 4}.items() <= next(
        box for box in json.loads(run("report", "prisma", "--json").out) if box["key"] == "included"
    ).items()
    assert "--as-of 'soon' is not a valid date" in run("report", "prisma", "--as-of", "soon").err
    refused = run("export", "--as-of", "soon")
    assert (refused.code, refused.out) == (2, "")
    assert "--as-of 'soon' is not a valid date" in refused.err
    assert len(run("export", "--as-of", "1999-12-31").out.splitlines()) == 1
    now, then = (
        list(csv.DictReader(run("export", *more).out.splitlines())) for more in ((), ("--as-of", "2099-12-31"))
    )
    assert [row["doi"] for row in now] == [row["doi"] for row in then]
    said = run("report", "prisma-s").out
    assert "query: query.bibliographic=interpersonal psychotherapy" in said
    assert "title or abstract contains: interpersonal psychotherap*, interpersonal therap*" in said
    assert "Crossref REST API" in said
    assert "years 1974–" in said
    said = run("report", "changes").out
    assert re.match(r"\d{4}-\d\d-\d\d: \+4, −0\n4 new works\.\n\nNew works \(4\):\n", said)
    assert said.count("\n  included: 10.") == 4
    assert run("report", "changes", "--tags").out == said
    assert len(json.loads(run("report", "changes", "--since", "2000-01-01", "-f", "json").out)["changes"]) == 4
    assert "Nothing is new" in run("report", "changes", "--since", "2999-01-01").out


def test_publish(run: Run, crossref: LoopbackCrossref, small: Path, tmp_path: Path) -> None:
    run("sync")
    said = run("publish", "site")
    assert said.code == 0, said.err
    assert said.out.startswith("4 works")
    assert (tmp_path / "site" / "current" / "start").exists()
    assert "no database yet" in run("--db", "none.db", "publish", "site").err
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.doc").write_text("x")
    assert run("publish", "mine").code == 2


def test_snowball(run: Run, crossref: LoopbackCrossref, small: Path) -> None:
    cited = [{"key": "1", "DOI": "10.5555/classic"}, {"key": "2", "DOI": str(STANGIER["DOI"])}]
    for work in (MARKOWITZ, FONAGY):
        crossref.works[str(work["DOI"])] = work | {"reference": cited}
    run("sync")
    said = run("snowball")
    assert said.err == ""
    assert said.out == "    2  https://doi.org/10.5555/classic\n"
    assert json.loads(run("snowball", "--json").out)[0]["citing"].split() == [MARKOWITZ["DOI"], FONAGY["DOI"]]
    assert "No work" in run("snowball", "-k", "3").out


def test_check_counts_online(run: Run, crossref: LoopbackCrossref, small: Path) -> None:
    assert "2 sources, no mistakes" in run("check").out
    assert "By name" in run("check", "--online").out


@pytest.mark.slow
def test_as_a_module_and_as_a_pipe(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "evidence"]
    version = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.startswith("evidence, version ")
    subprocess.run([*command, "demo", "--no-serve"], cwd=tmp_path, check=True, capture_output=True)
    piped = subprocess.run(
        f"{sys.executable} -m evidence export --verdict all | head -n 1",
        shell=True,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert piped.stdout.startswith("doi,")
    assert piped.stderr == ""


def test_a_public_site_has_no_reviewers_desk(run: Run, crossref: LoopbackCrossref, small: Path, tmp_path: Path) -> None:
    run("sync")
    (tmp_path / "accounts.yaml").write_text("A. Reader: secret\n")
    for options, said in (
        (("--public", "--reviewer", "A. Reader"), "give only one of"),
        (("--accounts", "accounts.yaml", "--reviewer", "A. Reader"), "give only one of"),
        (("--reviewer", "  "), "must not be empty"),
        (("--reviewer", "A. Reader", "--port", "99999"), "a port is a number"),
    ):
        answer = run("serve", *options)
        assert (answer.code, said in answer.err) == (2, True), options
        assert "Reviewer's desk:" not in answer.err


class StdinBytes:
    """A stdin with these bytes, for `monkeypatch`."""

    def __init__(self, content: bytes) -> None:
        self.buffer = io.BufferedReader(io.BytesIO(content))


def test_read_prints_a_json_line_for_each_record_without_a_database(run: Run, tmp_path: Path) -> None:
    records = [
        {"id": "a", "title": "Interpersonal psychotherapy for depression", "abstract": None},
        {"id": 2, "title": "Cognitive therapy", "abstract": "We gave 20 adults cognitive therapy.", "doi": "10.1/x"},
    ]
    (tmp_path / "records.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    said = run("read", "records.jsonl")
    assert said.code == 0, said.err
    lines = [json.loads(line) for line in said.out.splitlines()]
    assert [line["id"] for line in lines] == ["a", 2]
    assert lines[0]["verdict"] == "include"
    assert {"facet": "variant", "value": "ipt"}.items() <= lines[0]["tags"][0].items()
    assert [path.name for path in tmp_path.iterdir()] == ["records.jsonl"]


def test_read_of_stdin_shows_a_page(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sys, "stdin", StdinBytes(b"Interpersonal psychotherapy for depression\n\nWe treated 20 adults.\n")
    )
    said = run("read", "-", "-f", "text")
    assert said.code == 0, said.err
    assert "[Interpersonal psychotherapy] for [depression]" in said.out
    assert "title, aim (0–42)" in said.out


def test_read_stops_at_a_bad_line_with_its_number(run: Run, tmp_path: Path) -> None:
    (tmp_path / "records.jsonl").write_text('{"id": 1, "title": "a"}\n{"id": 2,\n')
    said = run("read", "records.jsonl")
    assert said.code == 2
    assert said.out.count("\n") == 1
    assert said.err.startswith("evidence: records.jsonl:2: ")


def test_read_uses_the_topic_that_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A mindfulness-based intervention for tinnitus\n")
    facets = {tag["facet"] for tag in json.loads(run("read", "a.txt", "--topic", "mindfulness").out)["tags"]}
    assert facets
    said = run("read", "a.txt", "--topic", "nothing")
    assert said.code == 2
    assert "nothing" in said.err


def test_read_writes_a_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Interpersonal psychotherapy\n")
    said = run("read", "a.txt", "-o", "out.jsonl")
    assert (said.code, said.out) == (0, "")
    assert json.loads((tmp_path / "out.jsonl").read_text())["verdict"] == "include"


def test_the_services_of_the_command_are_those_of_sources_yaml() -> None:
    """The command line names them again, because it imports nothing that its help does not need."""
    assert cli.SERVICES == sources.SERVICES


@pytest.mark.slow
def test_a_sync_with_nothing_new_and_no_watches_needs_nothing_of_the_site(tmp_path: Path) -> None:
    """Importing what lists works takes longer than such a sync."""
    code = """if True:
        from evidence.cli import cli
        for words in (["init", "."], ["sync", "--offline"]):
            cli(words, standalone_mode=False)
    """
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
    again = """if True:
        import sys
        from evidence.cli import cli
        cli(["-q", "sync", "--offline"], standalone_mode=False)
        print(*sorted(name for name in sys.modules if name.startswith(("datasette", "evidence.publish."))), file=sys.stderr)
    """
    done = subprocess.run([sys.executable, "-c", again], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert "Nothing new" in done.stdout
    assert done.stderr.strip() == ""
