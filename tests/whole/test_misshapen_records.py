"""One bad record stops one record: every field with every JSON value, wherever a record enters.

Whatever a record holds, the sync ends, its neighbours land, it is itself in `works` or in `rejects` with where it stood, and
a second sync adds nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evidence import strict_yaml
from evidence.crossref.client import CrossrefClient
from evidence.crossref.normalise import cited_by, indexed_at
from evidence.data_model import Doi, LookupResult, Message, Page, Query, RecordStatus, Window
from evidence.database import read_queries
from evidence.database.writer import Store, open_store
from evidence.harvest import sources
from evidence.harvest.locked_run import FileInput, run_sync
from evidence.harvest.progress import NoProgress
from evidence.harvest.run_outcome import Outcome
from evidence.harvest.sources import Config
from evidence.harvest.sync import sync
from evidence.rules.taxonomy import Taxonomy
from tests.builders import LIPSITZ, MARKOWITZ, STANGIER, WORKS, message, person
from tests.loopback import LoopbackCrossref

pytestmark = pytest.mark.slow

BY_NAME = """
sources:
  - id: by-name
    kind: search
    label: By name
    query: {bibliographic: interpersonal psychotherapy}
    phrases: [interpersonal psychotherap*, interpersonal therap*]
    years: 1974-
"""
FOLLOWED = f"""
sources:
  - id: followed
    kind: references
    label: A followed list
    of: {MARKOWITZ["DOI"]}
"""
ODD = "10.5555/odd"
MARK = "a publisher to know the odd one by"
NEIGHBOURS = tuple(work for work in WORKS if "interpersonal" in work["title"][0].lower())


def nested(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 7, 2**63, -(2**70), 10**5000, 1.5, math.nan, math.inf, 1e308, "", " ", "x", "2012", "9" * 5000,
    "\ud800", "half \udc00 a pair", "nul \x00 here", "\ufffd", "10.1234/\ud83d", "10.1234/a\x00b", "<p>&#" + "9" * 5000,
    [], {},
    [None], [True], [0], [math.nan], [""], ["x"], ["\ud800"], [[]], [["x"]], [[None]], [[2**70]], [["9" * 5000]], [{}],
    [{"a": 1}], {"a": 1}, {"\ud800": "\ud800"}, {"a": {"b": [None, {"c": math.inf}]}}, {"date-parts": None},
    {"date-parts": [["9" * 5000]]},
    {"date-parts": [[10**5000]]}, {"date-time": 7}, {"date-time": "\ud800"}, nested(300), nested(20_000),
)  # fmt: skip
PLAIN = (
    "title", "subtitle", "abstract", "container-title", "publisher", "issued", "published", "published-print", "posted",
    "created", "indexed", "type", "language", "volume", "issue", "page", "article-number", "URL", "ISSN", "ISBN", "author",
    "editor", "is-referenced-by-count", "score", "clinical-trial-number", "updated-by", "update-to", "relation",
    "reference", "alias",
    "_id", "update-policy", "unknown-to-all", "aliases", "translator", "chair", "original-title", "short-title", "edition-number",
    "institution", "event", "funder", "license", "degree", "archive", "group-title", "subtype", "assertion", "published-other",
)  # fmt: skip
INSIDE = {
    "author": ("family", "given", "suffix", "name", "literal", "ORCID", "affiliation", "non-dropping-particle"),
    "editor": ("family",),
    "clinical-trial-number": ("clinical-trial-number", "registry"),
    "updated-by": ("DOI", "type", "label", "updated", "source"),
    "update-to": ("DOI", "type", "label", "updated", "source"),
    "translator": ("family", "given"),
    "institution": ("name",),
    "event": ("name", "location", "start", "end"),
    "funder": ("DOI", "name", "award", "award-info"),
    "license": ("URL", "content-version", "start", "delay-in-days"),
    "reference": ("DOI", "doi-asserted-by", "unstructured", "article-title", "year", "author", "key"),
}
"""Lists of objects, and what they hold."""


def odd(number: int | str = "", **fields: Any) -> Message:
    """A record that would be found, with some fields replaced."""
    doi = f"{ODD}.{number}"
    more = {"publisher": f"{MARK} {number}.", "abstract": "Interpersonal psychotherapy was compared with itself."}
    return message(doi, "Interpersonal psychotherapy, an odd record", 2015, **more) | fields


def shapes() -> Iterator[dict[str, Any]]:
    """Every field with every value, and every field of a listed object."""
    for value in VALUES:
        yield from ({field: value} for field in PLAIN if field != "publisher")
        yield from ({field: [{"family": "A", inner: value}]} for field, all_ in INSIDE.items() for inner in all_)
        yield {"author": [{"family": "A", "affiliation": [{"name": value}]}]}
        yield {"relation": {"is-preprint-of": value}}
        yield {"relation": {"is-preprint-of": [{"id": value}]}}
        yield {"relation": {"is-preprint-of": [{"id": "10.5555/y", "id-type": value, "asserted-by": value}]}}
    yield {"relation": {"\ud800": [{"id": "10.5555/y"}]}}


def shown(value: Any) -> str:
    """The value for a person, `...` where it is too long or too deep for Python to print."""
    try:
        return repr(value)
    except (RecursionError, ValueError):
        return "..."


class MisshapenSource:
    """A record source in memory that gives its messages whatever they are; those without a DOI only in a page."""

    def __init__(self, items: Sequence[Any], name: str = "crossref", extra: Sequence[Any] = ()) -> None:
        self.name = name
        self.authoritative = name == "crossref"
        self.requests = self.bytes = 0
        self.date: datetime | None = None
        self.items = [*items, *extra]
        self.by_doi = {m["DOI"]: m for m in items}

    def lookup(self, dois: Sequence[Doi], since: str | None = None) -> Iterator[tuple[LookupResult, ...]]:
        yield tuple(LookupResult(d, d if d in self.by_doi else None, self.by_doi.get(d)) for d in dois)

    def check(self, dois: Sequence[Doi]) -> Iterator[tuple[RecordStatus, ...]]:
        yield tuple(
            RecordStatus(d, indexed_at(self.by_doi[d]), cited_by(self.by_doi[d])) for d in dois if d in self.by_doi
        )

    def scan(self, query: Query, window: Window | None = None, offset: int = 0, *, by_creation: bool = False) -> Page:
        return Page(self.items[offset : offset + query.rows], len(self.items))

    def agency(self, doi: Doi) -> str | None:
        return None


@pytest.fixture
def by_name() -> Config:
    return sources.check(strict_yaml.parse(BY_NAME, "s.yaml"))


def size(store: Store) -> dict[str, int]:
    tables = (
        "works",
        "snapshots",
        "rejects",
        "sightings",
        "citations",
        "work_authors",
        "relations",
        "notices",
        "cites",
    )
    return {table: store.conn.execute(f"select count(*) from {table}").fetchone()[0] for table in tables}


def dois(store: Store, table: str) -> set[str]:
    return {doi for (doi,) in store.conn.execute(f"select doi from {table} where doi is not null")}


def check(
    store: Store, outcome: Outcome, wanted: Sequence[str], neighbours: Sequence[Message] = NEIGHBOURS, broken: int = 0
) -> None:
    assert outcome.outcome == "complete", outcome.troubles
    assert {work["DOI"] for work in neighbours} <= dois(store, "works")
    assert set(wanted) <= dois(store, "works") | dois(store, "rejects")
    assert store.conn.execute("select count(*) from rejects where place is null").fetchone() == (0,)
    assert store.conn.execute("select count(*) from rejects where not json_valid(message)").fetchone() == (broken,)


def twice(store: Store, run: Callable[[], Outcome], wanted: Sequence[str]) -> None:
    check(store, run(), wanted)
    before = size(store)
    assert run().written.rejects == 0
    assert size(store) == before


def test_every_field_with_every_value_in_a_search_page_and_a_batch(
    store: Store, by_name: Config, book: Taxonomy, clock: Callable[[], datetime]
) -> None:
    records = [odd(number, **fields) for number, fields in enumerate(shapes())]
    for start in range(0, len(records), 900):
        part = records[start : start + 900]
        crossref = MisshapenSource([NEIGHBOURS[0], *part, *NEIGHBOURS[1:]])
        twice(store, lambda d=crossref: sync(by_name, store, d, book, now=clock), [m["DOI"] for m in part])  # type: ignore[misc]


@pytest.mark.parametrize("stated", [v for v in VALUES if v != "x"], ids=lambda v: type(v).__name__)
def test_a_record_without_a_usable_doi_is_kept_with_its_rank(
    store: Store, by_name: Config, book: Taxonomy, clock: Callable[[], datetime], stated: Any
) -> None:
    crossref = MisshapenSource(NEIGHBOURS, extra=[odd(1, DOI=stated), MALFORMED])
    twice(store, lambda: sync(by_name, store, crossref, book, now=clock), [])
    places = {place for (place,) in store.conn.execute("select place from rejects where doi is null")}
    assert places == {f"search by-name, rank {len(NEIGHBOURS) + number}" for number in (1, 2)}
    assert store.conn.execute("select count(*) from rejects where message like ?", (f"%{MARK}%",)).fetchone() == (1,)


def test_a_database_of_an_earlier_version_learns_where_rejects_stood(tmp_path: Path) -> None:
    path = tmp_path / "evidence.db"
    with open_store(path) as store:
        store.conn.execute("alter table rejects drop column place")
        store.conn.execute("delete from _sqlite_migrations where name = 'm006_rejects_where'")
        store.conn.execute(
            "insert into runs (run, started, outcome, door, version) values (1, '2026', 'complete', 'x', '0')"
        )
        store.conn.execute("insert into rejects (digest, reason, message, first_run) values ('d', 'r', '{}', 1)")
        store.conn.commit()
    with open_store(path) as store:
        assert store.conn.execute("select reason, place from rejects").fetchall() == [("r", None)]


MALFORMED = ["no", "record", {"at": "all"}]

ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([v for v in VALUES if "..." not in shown(v)]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6) | st.sampled_from(PLAIN), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.dictionaries(st.sampled_from(("DOI", *PLAIN)), ANY, max_size=3), max_size=5), st.lists(ANY, max_size=2)
)
def test_any_record_ends_in_works_or_in_rejects(
    tmp_path_factory: pytest.TempPathFactory, book: Taxonomy, fields: list[dict[str, Any]], items: list[Any]
) -> None:
    moment = datetime(2026, 11, 24)  # noqa: DTZ001 - only printed
    records = [odd(number) | {k: v for k, v in more.items() if k != "DOI"} for number, more in enumerate(fields)]
    broken = [odd(f"b{number}") | more for number, more in enumerate(fields) if "DOI" in more]
    crossref = MisshapenSource([*records, *NEIGHBOURS], extra=[*broken, *items])
    conf = sources.check(strict_yaml.parse(BY_NAME, "s.yaml"))
    with open_store(tmp_path_factory.mktemp("shapes") / "evidence.db") as store:
        outcome = sync(conf, store, crossref, book, now=lambda: moment)
        apart = {m["DOI"] for m in records} - dois(store, "works") - dois(store, "rejects")
        # One that reads well and does not match, by its words or its years, is no business of this search.
        matching = ("title", "subtitle", "abstract", "issued", "published", "published-print", "posted")
        assert all(any(key in fields[int(doi.rpartition(".")[2])] for key in matching) for doi in apart)
        check(store, outcome, [])
        before = size(store)
        sync(conf, store, crossref, book, now=lambda: moment)
        assert size(store) == before


@pytest.mark.parametrize("everything", [True, False], ids=["--all", "only what is asked for"])
def test_every_field_with_every_value_in_a_file(
    tmp_path: Path, by_name: Config, book: Taxonomy, clock: Callable[[], datetime], everything: bool
) -> None:
    file = tmp_path / "a.jsonl"
    lines = [line for number, more in enumerate(shapes()) if (line := written(odd(number, **more))) is not None]
    lines += [written(odd("x", DOI=None)) or "", '["no record"]', "7", "{broken"]
    file.write_text("\n".join([json.dumps(NEIGHBOURS[0]), *lines, *map(json.dumps, NEIGHBOURS[1:])]), "utf-8")
    db, ledger = tmp_path / "evidence.db", tmp_path / "decisions.db"
    sizes = []
    for _ in range(2):
        crossref = FileInput("files", (file,), everything)
        outcome = run_sync(db, ledger, by_name, book, clock, NoProgress(), files=crossref)
        with open_store(db, ledger) as store:
            wanted = [json.loads(line)["DOI"] for line in lines if line.startswith('{"DOI": "')]
            check(store, outcome, wanted, broken=1)
            sizes.append(size(store))
            places = [place for (place,) in store.conn.execute("select place from rejects")]
            assert all(place.startswith(f"{file}:") for place in places)
            assert f"{file}:{len(lines) + 1}" in places
    assert sizes[0] == sizes[1]


def written(record: Message) -> str | None:
    try:
        return json.dumps(record)
    except (RecursionError, ValueError):  # Python cannot write it; the in-memory tests have it
        return None


def test_every_field_with_every_value_in_a_followed_reference_list(
    store: Store, book: Taxonomy, clock: Callable[[], datetime]
) -> None:
    followed = sources.check(strict_yaml.parse(FOLLOWED, "s.yaml"))
    entries: list[Any] = [{"DOI": LIPSITZ["DOI"], "unstructured": "Lipsitz"}, *VALUES, {"DOI": STANGIER["DOI"]}]
    entries += [{"key": "x", inner: value} for inner in INSIDE["reference"] for value in VALUES]
    records = [odd(number, **fields) for number, fields in enumerate(shapes())][::7]
    entries += [{"DOI": record["DOI"], "unstructured": record["DOI"]} for record in records]
    crossref = MisshapenSource([MARKOWITZ | {"reference": entries}, LIPSITZ, STANGIER, *records])
    outcome = sync(followed, store, crossref, book, now=clock)
    check(store, outcome, [m["DOI"] for m in records], [LIPSITZ, STANGIER])
    assert store.conn.execute("select count(*) from citations").fetchone() == (len(entries),)
    before = size(store)
    sync(followed, store, crossref, book, now=clock)
    assert size(store) == before


@pytest.mark.parametrize(
    "value", [v for v in VALUES if v is not None and not isinstance(v, list)], ids=lambda v: type(v).__name__
)
def test_a_followed_record_whose_list_is_none_is_said_and_kept(
    store: Store, book: Taxonomy, clock: Callable[[], datetime], value: Any
) -> None:
    followed = sources.check(strict_yaml.parse(FOLLOWED, "s.yaml"))
    outcome = sync(followed, store, MisshapenSource([MARKOWITZ | {"reference": value}]), book, now=clock)
    assert "cannot be understood" in outcome.troubles[0][1]
    assert dois(store, "rejects") == {MARKOWITZ["DOI"]}


@pytest.mark.timeout(300)
def test_five_megabytes_in_any_text_are_read(
    store: Store, by_name: Config, book: Taxonomy, clock: Callable[[], datetime]
) -> None:
    long = "lorem ipsum dolor – " * 262_144
    fields: list[dict[str, Any]] = [
        {"abstract": long},
        {"title": [long]},
        {"author": [person(long, long)], "page": long, "DOI": f"{ODD}.{long}"[:5_000_000]},
        {"unknown": long, "indexed": {"date-time": long}},
    ]
    records = [odd(number, **more) for number, more in enumerate(fields)]
    crossref = MisshapenSource([*records, *NEIGHBOURS])
    twice(store, lambda: sync(by_name, store, crossref, book, now=clock), [f"{ODD}.0", f"{ODD}.1", f"{ODD}.3"])
    ((reason, place),) = store.conn.execute("select reason, place from rejects")
    assert reason.startswith(f"'{ODD}.lorem ipsum") and reason.endswith("…' is not a valid DOI") and len(reason) < 120
    assert place == "search by-name, rank 3"


@pytest.mark.parametrize("stated", [None, 7, "", "\ufffd", ["10.5555/x"], {}])
def test_over_http_an_answer_without_a_doi_costs_its_own_work_only(
    store: Store, by_name: Config, book: Taxonomy, clock: Callable[[], datetime], stated: Any
) -> None:
    strange = odd(1)
    with LoopbackCrossref([*NEIGHBOURS, strange]) as server:
        server.works[strange["DOI"]]["DOI"] = stated
        with CrossrefClient(server.url, sleep=lambda _: None, clock=lambda: 0.0) as crossref:
            outcome = sync(by_name, store, crossref, book, now=clock)
            check(store, outcome, [])
            assert store.conn.execute("select count(*) from rejects").fetchone()[0] >= 1


def test_a_known_work_that_is_answered_without_a_doi_is_not_gone(
    store: Store, by_name: Config, book: Taxonomy, clock: Callable[[], datetime]
) -> None:
    known = odd(1)
    with LoopbackCrossref([*NEIGHBOURS, known]) as server, CrossrefClient(server.url, sleep=lambda _: None) as crossref:
        check(store, sync(by_name, store, crossref, book, now=clock), [known["DOI"]])
        server.works[known["DOI"]] = known | {"DOI": None, "title": ["Another title"]}
        check(store, sync(by_name, store, crossref, book, now=clock), [])
    assert read_queries.gone_works(store.conn) == []
    assert known["DOI"] in dois(store, "works")
    held = store.conn.execute("select doi, place, reason from rejects where doi is not null").fetchall()
    assert held == [(known["DOI"], f"asked for by {known['DOI']}", "the record has no DOI")]


def test_the_list_of_a_record_without_a_doi_is_not_followed(
    store: Store, book: Taxonomy, clock: Callable[[], datetime]
) -> None:
    followed = sources.check(strict_yaml.parse(FOLLOWED, "s.yaml"))
    with LoopbackCrossref([MARKOWITZ, LIPSITZ]) as server, CrossrefClient(server.url, sleep=lambda _: None) as crossref:
        entry = {"DOI": LIPSITZ["DOI"], "unstructured": "Lipsitz"}
        server.works[MARKOWITZ["DOI"]] = MARKOWITZ | {"DOI": 7, "reference": [entry]}
        outcome = sync(followed, store, crossref, book, now=clock)
    assert [said for said in outcome.troubles if "its DOI is a number, not text" in said[1]] == outcome.troubles != []
    assert dois(store, "rejects") == {MARKOWITZ["DOI"]}
    assert dois(store, "works") == set()
