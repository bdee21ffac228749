"""Capsules: what is in one, what a public one leaves out, what is refused, and how other programs check it."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from filelock import FileLock

from evidence.database import schema
from evidence.database.connection import reading
from evidence.database.read_decisions import read_ledger
from evidence.errors import BusyError, ConfigError, StoreError
from evidence.export import bag_manifest, ro_crate
from evidence.export.capsule_summary import Capsule
from evidence.harvest import named_versions
from evidence.harvest.scanning_program import code_digest
from evidence.publish import capsule
from evidence.rules import taxonomy, topic
from tests import used_review
from tests.command_line import Run, runner
from tests.used_review import CONTACT, RAW, REVIEWER, SECRET, Review, digest


@pytest.fixture(scope="module")
def review(tmp_path_factory: pytest.TempPathFactory) -> Review:
    """A review that tests only read, but for the capsules noted in it."""
    return used_review.used_review(tmp_path_factory.mktemp("review") / "used")


@pytest.fixture(scope="module")
def whole(review: Review) -> Capsule:
    return review.write(review.folder / "whole")


@pytest.fixture(scope="module")
def public(review: Review) -> Capsule:
    return review.write(review.folder / "public", "public", hidden=True)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(tmp_path, monkeypatch, capsys)


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def bytes_below(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8"), newline="")))


# ---------------------------------------------------------------------- what is in it


def test_everything_a_state_rests_on_is_in_a_capsule(review: Review, whole: Capsule) -> None:
    data = whole.folder / "data"
    found = files_below(data)
    assert {"evidence.db", "decisions.db", "decisions.csv", "sources.yaml", "capsule.json"} <= found
    assert {"searches/searches.txt", "searches/flow.json", "exports/works.csv", "exports/datapackage.json"} <= found
    assert (data / "sources.yaml").read_bytes() == review.sources.read_bytes()
    rules = {path.name for path in (review.folder / "copy-rules").iterdir() if path.is_file()}
    assert {Path(name).name for name in found if name.startswith("rules/topic/")} == rules
    weights = {name for name in found if name.startswith("rules/weights/")}
    assert weights == {
        "rules/weights/cue_words.yaml",
        "rules/weights/decision.json",
        "rules/weights/sentence_roles.txt",
    }
    assert read_ledger(data / "decisions.db") == read_ledger(review.ledger) != ()
    with closing(sqlite3.connect(data / "evidence.db")) as kept, closing(sqlite3.connect(review.db)) as ours:
        for table in (*schema.RECORD_TABLES, *schema.DERIVED_TABLES):
            if table != "capsules":  # which were noted after they were written
                rows = f"select * from {table}"
                assert sorted(kept.execute(rows), key=repr) == sorted(ours.execute(rows), key=repr), table


def test_the_numbers_that_are_printed_are_those_of_the_files(whole: Capsule, public: Capsule) -> None:
    for written in (whole, public):
        paths = [path for path in written.folder.rglob("*") if path.is_file()]
        assert (written.files, written.size) == (len(paths), sum(path.stat().st_size for path in paths))
        with reading(written.folder / "data" / "evidence.db") as conn:
            assert conn.execute("select count(*) from works").fetchone() == (written.works,)
            lacking = conn.execute("select count(*) from works where abstract is null and abstract_source is not null")
            assert lacking.fetchone() == (0 if written.kind == "whole" else written.withheld,)
        exported = table(written.folder / "data" / "exports" / "works.csv")
        assert len(exported) == written.works
    assert whole.withheld == 2
    assert whole.decisions == len(read_ledger(whole.folder / "data" / "decisions.db"))


def test_every_file_is_described_with_its_checksum_and_size(whole: Capsule, public: Capsule) -> None:
    for written in (whole, public):
        data = written.folder / "data"
        described = used_review.described_files(written.folder)
        assert described.keys() == files_below(data) - {ro_crate.METADATA, ro_crate.PREVIEW}
        assert described == {name: (digest(data / name), (data / name).stat().st_size) for name in described}
        page, text = (data / ro_crate.PREVIEW).read_text("utf-8"), (written.folder / "README.txt").read_text("utf-8")
        for name in described:
            assert name in page and name in text
        for _, command in ro_crate.CHECKING:
            assert command in text


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs sha256sum")
def test_it_is_checked_without_this_program_by_the_commands_that_it_names(whole: Capsule, tmp_path: Path) -> None:
    folder = tmp_path / "copied"
    shutil.copytree(whole.folder, folder)
    (both, shown) = (command for _, command in ro_crate.CHECKING[:2])
    assert both in (folder / "README.txt").read_text("utf-8")
    assert subprocess.run(["sh", "-c", both], cwd=folder, capture_output=True, check=False).returncode == 0
    printed = subprocess.run(["sh", "-c", shown], cwd=folder, capture_output=True, check=True, text=True).stdout
    assert printed.split()[0] == whole.digest
    (folder / "data" / "sources.yaml").write_text("sources: []\n", encoding="utf-8")
    assert subprocess.run(["sh", "-c", both], cwd=folder, capture_output=True, check=False).returncode != 0


def test_the_digest_is_noted_in_the_review_and_listed(
    review: Review, whole: Capsule, public: Capsule, run: Run
) -> None:
    assert whole.digest == hashlib.sha256((whole.folder / bag_manifest.TAG_MANIFEST).read_bytes()).hexdigest()
    with reading(review.db) as conn:
        sql = "select name, kind, digest, files, bytes, run from capsules where name in ('whole', 'public')"
        rows = sorted(conn.execute(sql), reverse=True)
    newest = rows[0][-1]
    assert rows == [(c.folder.name, c.kind, c.digest, c.files, c.size, newest) for c in (whole, public)]
    said = run("--db", str(review.db), "capsule", "--list")
    assert said.code == 0
    assert whole.digest in said.out and public.digest in said.out and "to be passed on" in said.out


def test_facts_for_programs_name_what_made_it(review: Review, whole: Capsule) -> None:
    facts = json.loads((whole.folder / "data" / "capsule.json").read_text("utf-8"))
    assert facts["rules"] == {"topic": "ipt", "digest": review.book.digest}
    assert facts["program"]["code"] == code_digest()
    assert facts["program"]["sqlite"] == sqlite3.sqlite_version
    assert facts["state"]["works"] == whole.works


@pytest.mark.slow
def test_the_files_that_sources_yaml_names_are_named_with_their_checksums(tmp_path: Path) -> None:
    review = used_review.used_review(tmp_path / "used")
    listed = review.sources.read_text("utf-8") + (
        "  - {id: here, kind: file, label: Here, method: other, files: [theses.ris]}\n"
        "  - {id: gone, kind: file, label: Gone, method: other, files: [gone.ris]}\n"
    )
    review.sources.write_text(listed, encoding="utf-8")
    review.write(tmp_path / "c")
    rows = table(tmp_path / "c" / "data" / "imported-files.csv")
    path = review.sources.with_name("theses.ris")
    assert rows == [
        {"source": "here", "file": "theses.ris", "bytes": str(path.stat().st_size), "sha256": digest(path)},
        {"source": "gone", "file": "gone.ris", "bytes": "", "sha256": ""},
    ]


@pytest.mark.slow
def test_what_people_stated_of_the_searches_is_in_a_capsule(tmp_path: Path) -> None:
    review = used_review.used_review(tmp_path / "used")
    stated = review.sources.with_name("prisma-s.yaml")
    stated.write_text("peer_review: By a second librarian, with PRESS.\n", encoding="utf-8")
    review.write(tmp_path / "c")
    assert (tmp_path / "c" / "data" / "prisma-s.yaml").read_bytes() == stated.read_bytes()
    stated.write_text("peer_reviews: a mistake\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape("prisma-s.yaml:1")):
        review.write(tmp_path / "d")
    assert not (tmp_path / "d").exists()


def test_a_topic_that_borrows_facets_is_kept_with_the_files_of_its_lender(tmp_path: Path) -> None:
    here = topic.load("mindfulness")
    assert any(facet.borrowed for facet in here.facets)
    for name, path in capsule.rule_files(here).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / name)
    kept = topic.load_kept(tmp_path / capsule.TOPIC, tmp_path / capsule.LENDERS)
    assert all(facet.path.is_relative_to(tmp_path) for facet in kept.facets)
    assert taxonomy.load(kept).digest == taxonomy.load(here).digest
    shutil.rmtree(tmp_path / capsule.LENDERS)
    topic._topic.cache_clear()
    with pytest.raises(ConfigError, match="no topic 'ipt'"):  # never the caller's own
        topic.load_kept(tmp_path / capsule.TOPIC, tmp_path / capsule.LENDERS)


# ---------------------------------------------------------------------- what may be passed on


def test_a_public_capsule_has_nothing_that_a_published_copy_leaves_out(whole: Capsule, public: Capsule) -> None:
    there, here = bytes_below(whole.folder), bytes_below(public.folder)
    for words in (RAW, SECRET, CONTACT, REVIEWER):
        assert words.encode() in there, "the test would see it"
        assert words.encode() not in here, words
    assert not files_below(public.folder / "data") & {"decisions.db", "decisions.csv"}
    assert "Left out" not in (public.folder / "README.txt").read_text("utf-8").splitlines()[0]
    assert "2 abstracts that may not be passed on are left out" in (public.folder / "README.txt").read_text("utf-8")


def test_a_public_capsule_does_not_tell_of_those_for_oneself(
    review: Review, whole: Capsule, public: Capsule, tmp_path: Path
) -> None:
    later = review.write(tmp_path / "later", "public")
    with reading(later.folder / "data" / "evidence.db") as conn:
        listed = conn.execute("select digest, kind from capsules").fetchall()
    assert (public.digest, "public") in listed and {kind for _, kind in listed} == {"public"}
    assert whole.digest.encode() not in bytes_below(later.folder)


@pytest.mark.slow
def test_a_review_without_sources_and_decisions_has_a_capsule_too(tmp_path: Path) -> None:
    review = used_review.used_review(tmp_path / "used")
    bare = used_review.Review(review.folder, review.db, tmp_path / "none.db", tmp_path / "none.yaml", review.copy)
    with pytest.raises(ConfigError, match="`evidence judge` first"):  # its decisions are gone
        bare.write(tmp_path / "c")
    review.sources.unlink()
    written = review.write(tmp_path / "c")
    assert "sources.yaml" not in files_below(written.folder / "data")
    assert not (tmp_path / "none.db").exists()


def test_a_capsule_for_oneself_says_so_and_nobody_else_can_read_it(whole: Capsule, public: Capsule) -> None:
    for path in ("README.txt", "bag-info.txt", "data/ro-crate-preview.html", "data/ro-crate-metadata.json"):
        assert "not to be passed on: it holds the raw records, 2 abstracts" in (whole.folder / path).read_text("utf-8")
    assert stat.S_IMODE(whole.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(public.folder.stat().st_mode) == 0o755


def test_reviewers_are_named_in_a_public_capsule_unless_they_are_hidden(review: Review, tmp_path: Path) -> None:
    review.write(tmp_path / "named", "public")
    assert REVIEWER.encode() in bytes_below(tmp_path / "named")


# ---------------------------------------------------------------------- what is refused


def test_what_is_refused_leaves_nothing_behind(review: Review, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine", encoding="utf-8")
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    before = sorted(tmp_path.rglob("*"))
    for name in ("full", "file", "link"):
        with pytest.raises(ConfigError, match="already exists, and a capsule is never changed"):
            review.write(tmp_path / name)
    for place in (Path(), Path("..")):
        with pytest.raises(ConfigError, match="name a new folder in it"):
            review.write(place)
    with pytest.raises(ConfigError, match="cannot be made"):
        review.write(tmp_path / "file" / "below")
    with pytest.raises(ConfigError, match="--version '9': there is no such version; no version has been named yet"):
        review.write(tmp_path / "c", version="9")
    other = used_review.Review(review.folder, tmp_path / "no.db", review.ledger, review.sources, review.copy)
    with pytest.raises(ConfigError, match="there is no database yet"):
        other.write(tmp_path / "c")
    with FileLock(f"{review.db}.lock"), pytest.raises(BusyError):
        review.write(tmp_path / "c")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.slow
def test_a_review_that_is_still_to_be_judged_is_refused(tmp_path: Path) -> None:
    review = used_review.used_review(tmp_path / "used")
    review.copy.book = used_review.other_rules(tmp_path / "other")
    with pytest.raises(ConfigError, match="`evidence judge` first"):
        review.write(tmp_path / "c")
    assert not (tmp_path / "c").exists()
    review.copy.judge()
    assert review.write(tmp_path / "c").works


def test_an_empty_folder_is_taken_and_a_damaged_database_is_named(review: Review, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert review.write(tmp_path / "empty", "public").folder == tmp_path / "empty"
    broken = tmp_path / "broken.db"
    broken.write_bytes(review.db.read_bytes()[:30_000])
    other = used_review.Review(review.folder, broken, review.ledger, review.sources, review.copy)
    with pytest.raises(StoreError, match=r"broken\.db"):
        other.write(tmp_path / "c")
    assert not (tmp_path / "c").exists()


@pytest.mark.slow
def test_the_review_itself_is_as_it_was(tmp_path: Path) -> None:
    review = used_review.used_review(tmp_path / "used")
    with closing(sqlite3.connect(review.db)) as conn:
        before = list(conn.iterdump())
    ledger = review.ledger.read_bytes()
    review.write(tmp_path / "c")
    assert review.ledger.read_bytes() == ledger
    with closing(sqlite3.connect(review.db)) as conn:
        assert [line for line in conn.iterdump() if 'INTO "capsules"' not in line] == before


# ---------------------------------------------------------------------- versions


@pytest.mark.slow
def test_a_capsule_is_the_named_version_only_while_nothing_has_changed(tmp_path: Path) -> None:
    review = used_review.used_review(tmp_path / "used")

    def freeze(name: str) -> None:
        named_versions.freeze(review.db, review.ledger, review.book, review.copy.clock, name, "frozen", REVIEWER)

    freeze("first")
    freeze("second")
    written = review.write(tmp_path / "c", version="first")
    assert "It is version second" in written.state
    crate = json.loads((tmp_path / "c" / "data" / ro_crate.METADATA).read_text("utf-8"))
    root = next(entity for entity in crate["@graph"] if entity["@id"] == "./")
    assert root["version"] == "second" and "version second" in root["name"]
    assert json.loads((tmp_path / "c" / "data" / "capsule.json").read_text("utf-8"))["state"]["version"] == "second"
    assert review.copy.decide("10.5555/work.2", "exclude")
    with pytest.raises(ConfigError, match="--version 'first': runs, decisions or rules have changed since"):
        review.write(tmp_path / "d", version="first")
    later = review.write(tmp_path / "d")
    assert "It is the state of no named version" in later.state
    assert "earlier versions: first, second" in later.state
    with reading(review.db) as conn:
        assert conn.execute("select version from capsules order by capsule").fetchall() == [("second",), (None,)]


# ---------------------------------------------------------------------- the command


def test_the_command_says_what_it_wrote_and_how_to_check_it(review: Review, run: Run, tmp_path: Path) -> None:
    options = ("--db", str(review.db), "--sources", str(review.sources))
    said = run(*options, "capsule", "mine", "-o", "said.txt")
    assert (said.code, said.out) == (0, "")
    text = (tmp_path / "said.txt").read_text("utf-8")
    assert "It is for yourself: it has the raw records, 2 abstracts that may not be passed on" in text
    assert digest(tmp_path / "mine" / bag_manifest.TAG_MANIFEST) in text
    said = run(*options, "capsule", "theirs", "--public")
    assert said.code == 0 and "Left out: raw records" in said.out
    for wrong, words in (
        (("capsule",), "name a new folder"),
        (("capsule", "mine"), "already exists"),
        (("capsule", "x", "--hide-reviewers"), "--hide-reviewers is for --public"),
    ):
        said = run(*options, *wrong)
        assert said.code == 2 and words in said.err and said.err.count("\n") == 1
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
def test_a_review_that_cannot_note_the_digest_says_so(tmp_path: Path, run: Run) -> None:
    review = used_review.used_review(tmp_path / "used")
    with used_review.writing(review.db) as conn:
        conn.execute("create trigger no_more before insert on capsules begin select raise(abort, 'no more'); end")
    said = run("--db", str(review.db), "--sources", str(review.sources), "capsule", "c")
    assert said.code == 0 and "Digest: " in said.out
    assert "could not be noted in the database, so keep it yourself" in said.err


# ---------------------------------------------------------------------- other programs


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_other_programs_accept_it(whole: Capsule, public: Capsule, tmp_path: Path) -> None:
    """The validator of RO-Crates, its Python library, and the validator of bags (extra `formats`). The validator gets the context
    of RO-Crate from that library, so that no network is needed."""
    bagit = pytest.importorskip("bagit", reason="needs the extra `formats`")
    rocrate = pytest.importorskip("rocrate.rocrate", reason="needs the extra `formats`")
    pytest.importorskip("rocrate_validator", reason="needs the extra `formats`")
    script = Path(__file__).parents[2] / "scripts" / "validate_capsule.py"
    for written in (whole, public):
        bagit.Bag(str(written.folder)).validate()
        crate = rocrate.ROCrate(written.folder / "data")
        assert {entity.id for entity in crate.data_entities} == used_review.described_files(written.folder).keys()
        command = [sys.executable, str(script), str(written.folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        # Nothing is missing but what a review does not know of its publisher: a ROR identifier, and a contact point.
        assert [line for line in done.stdout.splitlines() if "rganization" not in line] == []
    path = Path(shutil.copytree(whole.folder, tmp_path / "broken")) / "data" / ro_crate.METADATA
    path.write_text(path.read_text("utf-8").replace('"datePublished"', '"dateModified"'), encoding="utf-8")
    command = [sys.executable, str(script), str(tmp_path / "broken")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "REQUIRED" in done.stdout, "the validator would see it"
