"""A small Crossref in memory that changes as the years do, and what a database of it should hold.

`World` is a `data_model.RecordSource`: records appear, change, move to another DOI, vanish and come back; answers fail or the
program is killed at a chosen request. `expected_notices` is the model that the database is compared with. It knows nothing of the
code under test.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from evidence.data_model import Doi, LookupResult, Message, Page, Query, RecordStatus, Window
from evidence.errors import UnavailableError

TOPICS = (
    "depressed adolescents", "bereaved spouses", "women after childbirth", "bulimia nervosa", "panic attacks",
    "veterans with trauma", "older adults", "primary care patients", "couples in conflict", "dysthymic disorder",
    "bipolar illness", "refugees in camps", "social anxiety", "migraine and low mood", "cancer survivors",
    "medical students", "prison inmates", "caregivers of relatives",
)  # fmt: skip
FAMILIES = ("Klerman", "Weissman", "Mufson", "Frank", "Stuart", "Bolton", "Verdeli", "Swartz", "Wilfley")
REFERENCE_LIST = """
sources:
  - id: list
    kind: references
    label: The article's references
    citations:
      - {text: "Klerman. Interpersonal psychotherapy for bereaved spouses. A Journal. 1991;1:100-109.", doi: 10.5555/work.1}
      - {text: "Weissman. Interpersonal psychotherapy for women after childbirth. A Journal. 1992;2:200-209.", doi: 10.5555/work.2}
"""  # noqa: E501 - citations are one line each
"""The beginning of a sources.yaml: an article that cites the first two studies of a `World`."""
START = datetime(2026, 1, 5, 6, tzinfo=UTC)
DAY = timedelta(days=1)


class Killed(BaseException):
    """The program was killed: nothing after this may have happened."""


class World:
    """Crossref in memory. `now` is its own clock: it stamps what is created and indexed."""

    name = "crossref"
    authoritative = True

    def __init__(self) -> None:
        self.now = START
        self.records: dict[str, Message] = {}
        self.aliases: dict[str, str] = {}
        self.abstracts: dict[str, str] = {}
        """Abstracts that PubMed has, by DOI."""
        self.moved_at: dict[str, str] = {}
        self.gone: dict[str, Message] = {}
        self.made = 0
        self.requests = self.bytes = 0
        self.fail_at: int | None = None
        self.fail_for = 0
        self.kill_at: int | None = None
        self.before_kill: Callable[[], None] = lambda: None

    # ------------------------------------------------------------------ what happens in the world

    def add(self, *, relevant: bool = True, dated: bool = True, **more: Any) -> str:
        """A new study (or, not relevant, something that shares a word with one)."""
        self.made += 1
        n = self.made
        doi = f"10.5555/work.{n}"
        topic = TOPICS[n % len(TOPICS)]
        title = f"Interpersonal psychotherapy for {topic}" if relevant else f"Psychotherapy research and {topic}"
        if n >= len(TOPICS):
            title = f"{title} in region {chr(65 + n // len(TOPICS))}"
        self.records[doi] = {
            "DOI": doi,
            "title": [title],
            "type": "journal-article",
            "author": [{"family": FAMILIES[n % len(FAMILIES)], "given": f"A{chr(97 + n % 26)}na"}],
            "container-title": ["A Journal"],
            "volume": str(n),
            "page": f"{100 * n}-{100 * n + 9}",
            "is-referenced-by-count": 0,
            "created": self._stamp(),
        } | (
            {"issued": {"date-parts": [[1990 + n % 30]]}, "published": {"date-parts": [[1990 + n % 30]]}}
            if dated
            else {}
        )
        self.records[doi] |= more
        self.touch(doi)
        return doi

    def twin(self, doi: str) -> str:
        """A second record of the same work."""
        self.made += 1
        copy = f"10.7777/copy.{self.made}"
        keep = {k: v for k, v in self.records[doi].items() if k not in ("update-to", "updated-by", "aliases")}
        self.records[copy] = keep | {"DOI": copy, "created": self._stamp()}
        self.touch(copy)
        return copy

    def notice(self, about: str, kind: str) -> str:
        """A notice in the database's own field, which says that it retracts, corrects … the work `about`."""
        self.made += 1
        doi = f"10.6666/notice.{self.made}"
        title = self.records[about]["title"][0] if about in self.records else "Interpersonal psychotherapy"
        self.records[doi] = {
            "DOI": doi,
            "title": [f"{kind.capitalize()} notice: {title}"],
            "type": "journal-article",
            "created": self._stamp(),
            "issued": {"date-parts": [[2026]]},
            "published": {"date-parts": [[2026]]},
            "update-to": [{"DOI": about, "type": kind, "updated": self._stamp(), "source": "publisher"}],
        }
        self.touch(doi)
        return doi

    def say(self, doi: str, notice: str, kind: str) -> None:
        """The study's own record now says that it was retracted, corrected …"""
        said = {"DOI": notice, "type": kind, "updated": self._stamp(), "source": "retraction-watch"}
        self.records[doi]["updated-by"] = [*self.records[doi].get("updated-by", []), said]
        self.touch(doi)

    def unsay(self, doi: str, other: str | None = None) -> None:
        """This record no longer states any notice; with `other`, none that names this DOI."""
        record = self.records[doi]
        for key in ("updated-by", "update-to"):
            kept = [said for said in record.pop(key, []) if other not in (None, said["DOI"])]
            if kept:
                record[key] = kept
        self.touch(doi)

    def edit(self, doi: str) -> None:
        """A new version of the record: another given name and one more citation."""
        record = self.records[doi]
        if record.get("author"):
            record["author"] = [{**record["author"][0], "given": f"Edit{chr(97 + self.made % 26)}"}]
        record["is-referenced-by-count"] = record.get("is-referenced-by-count", 0) + 1
        self.made += 1
        self.touch(doi)

    def count(self, doi: str) -> None:
        """Cited once more; no edit, not indexed again."""
        record = self.records[doi]
        record["is-referenced-by-count"] = record.get("is-referenced-by-count", 0) + 1

    def alias(self, old: str, new: str, *, listed: bool) -> None:
        """`old` becomes an alias of `new`; `listed`: the record of `new` says so."""
        self.records.pop(old)
        self.aliases[old] = new
        self.moved_at[old] = self._stamp()["date-time"]
        if listed:
            self.records[new]["aliases"] = [*self.records[new].get("aliases", []), old]
        self.touch(new)

    def vanish(self, doi: str) -> None:
        """Crossref no longer has the record."""
        self.gone[doi] = self.records.pop(doi)

    def come_back(self, doi: str) -> None:
        """A record that had vanished is there again."""
        self.records[doi] = self.gone.pop(doi)
        self.touch(doi)

    def touch(self, doi: str) -> None:
        """The record is indexed again."""
        self.now += timedelta(minutes=1)
        self.records[doi]["indexed"] = self._stamp()

    def _stamp(self) -> Message:
        return {
            "date-time": self.now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "date-parts": [[self.now.year, self.now.month, self.now.day]],
        }

    def prime(self, doi: str) -> str:
        """The DOI that `doi` leads to today."""
        while doi in self.aliases:
            doi = self.aliases[doi]
        return doi

    # ------------------------------------------------------------------ the record source

    @property
    def date(self) -> datetime:
        """What time it is at the provider."""
        return self.now

    def _asked(self) -> None:
        self.requests += 1
        if self.kill_at is not None and self.requests >= self.kill_at:
            self.kill_at = None
            self.before_kill()
            raise Killed
        if self.fail_at is not None and self.fail_at <= self.requests < self.fail_at + self.fail_for:
            raise UnavailableError("Crossref kept failing (asked nothing, once); run again later")

    def lookup(self, dois: Sequence[Doi], since: str | None = None) -> Iterator[tuple[LookupResult, ...]]:
        for start in range(0, len(dois), 5):
            self._asked()
            batch = []
            for doi in dois[start : start + 5]:
                answered = Doi(self.prime(doi))
                found = self.records.get(answered)
                batch.append(LookupResult(doi, answered if found else None, dict(found) if found else None))
            yield tuple(batch)

    def check(self, dois: Sequence[Doi]) -> Iterator[tuple[RecordStatus, ...]]:
        for start in range(0, len(dois), 10):
            self._asked()
            yield tuple(
                RecordStatus(doi, found["indexed"]["date-time"], found.get("is-referenced-by-count"))
                for doi in dois[start : start + 10]
                if (found := self.records.get(doi)) is not None
            )

    def scan(self, query: Query, window: Window | None = None, offset: int = 0, *, by_creation: bool = False) -> Page:
        self._asked()
        words = {word for _, value in query.fields for word in value.lower().split()}
        ranked = sorted(
            (
                (-len(words & set(m["title"][0].lower().split())), doi)
                for doi, m in self.records.items()
                if _within(m, window)
            ),
        )
        found = [self.records[doi] | {"score": -n} for n, doi in ranked if n]
        if by_creation:
            found.sort(key=lambda m: (m["created"]["date-time"], m["DOI"]))
        return Page(tuple(found[offset : offset + query.rows]), len(found))

    def agency(self, doi: Doi) -> str | None:
        self._asked()
        return None


def _within(message: Message, window: Window | None) -> bool:
    if window is None:
        return True
    created, indexed = message["created"]["date-time"][:10], message["indexed"]["date-time"][:10]
    return (
        (window.created_from is None or window.created_from <= created)
        and (window.created_until is None or created <= window.created_until)
        and (window.indexed_from is None or window.indexed_from <= indexed)
    )


def copy_databases(folder: Path, aside: Path) -> None:
    """What is on disk now, log included; as it would be found after a kill."""
    aside.mkdir(exist_ok=True)
    for old in aside.iterdir():
        old.unlink()
    for file in folder.glob("*.db*"):
        if not file.name.endswith(("-shm", ".lock")):
            shutil.copyfile(file, aside / file.name)


def put_back(aside: Path, folder: Path) -> None:
    """The files of `aside` in place of those of `folder`."""
    for file in folder.glob("*.db*"):
        file.unlink()
    for file in aside.iterdir():
        shutil.copyfile(file, folder / file.name)
