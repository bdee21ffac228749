"""Who gets what from the site: other host names, raw records, odd addresses, tries at a password."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from datasette.app import Datasette

from evidence.database import schema
from evidence.errors import ConfigError
from evidence.publish import immutable_copy, serve, site_access
from evidence.review import reviewer_desk
from tests import site_sample
from tests.publish.site_server import served


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return site_sample.make_sample(tmp_path_factory.mktemp("access") / "evidence.db")


async def site(db: Path) -> Datasette:
    ds = Datasette([str(db)], config_dir=serve.site_folder())
    await ds.invoke_startup()
    return ds


# ---------------------------------------------------------------------- permissions in metadata.yaml


@pytest.mark.parametrize("asked", [{"tables": {"RUNS": {"allow": {"id": "root"}}}}, {"allow": {"id": "root"}}])
async def test_whom_metadata_allows_a_table_is_kept(sample: Path, asked: dict[str, Any]) -> None:
    metadata = yaml.safe_load((serve.site_folder() / "metadata.yaml").read_text(encoding="utf-8"))
    database = metadata["databases"]["evidence"]
    database["tables"] |= asked.get("tables", {})
    database |= {key: value for key, value in asked.items() if key != "tables"}
    ds = Datasette([str(sample)], config_dir=serve.site_folder(), metadata=metadata)
    await ds.invoke_startup()
    assert (await ds.client.get("/evidence/runs.json")).status_code == 403
    root = {"ds_actor": ds.sign({"a": {"id": "root"}}, "actor")}
    assert (await ds.client.get("/evidence/runs.json", cookies=root)).status_code == 200
    assert (await ds.client.get("/evidence/works.json")).status_code == (403 if "allow" in asked else 200)
    assert len((await ds.client.get("/-/metadata.json")).json()["databases"]["evidence"]["tables"]) > 10


# ---------------------------------------------------------------------- host names


@pytest.mark.slow
def test_on_this_machine_the_site_answers_to_its_own_names_only(sample: Path) -> None:
    environment = serve.environment("127.0.0.1", ["Desk.example.edu"])
    with served(sample, environment) as address:
        port = address.rsplit(":", 1)[1]
        for host in (
            "localhost",
            f"localhost:{port}",
            "127.0.0.1:1",
            f"[::1]:{port}",
            "desk.example.edu",
            "LOCALHOST.",
        ):
            assert httpx.get(f"{address}/evidence.json", headers={"host": host}).status_code == 200, host
        for host in (
            "attacker.example", f"attacker.example:{port}", "localhost.attacker.example", "192.168.0.7", "", "a@localhost",
            "127.0.0.1.attacker.example", "localhost:port", "localhost, attacker.example",
        ):  # fmt: skip
            for path in ("/", "/evidence/snapshots.json", "/static/evidence.css", "/-/versions.json"):
                answer = httpx.get(address + path, headers={"host": host})
                assert answer.status_code in (400, 421), (host, path)
                assert answer.text.count("\n") <= 1
        answer = httpx.post(f"{address}/desk/decide", headers={"host": "attacker.example"})
        assert (answer.status_code, "does not answer to that host name" in answer.text) == (421, True)


@pytest.mark.parametrize(
    ("host", "others", "public", "answered", "refused"),
    [
        ("localhost", (), True, ("localhost", "[::1]:8001"), ("tracker.example.edu", "10.0.0.5")),
        ("::1", (), False, ("[::1]:8001",), ("tracker.example.edu",)),
        ("127.0.0.5", (), False, ("127.0.0.5", "localhost"), ("127.0.0.6",)),
        ("127.0.0.1", ("a.example", "b.example:8001"), False, ("a.example", "b.example", "A.example:99"), ("c.example",)),
        ("0.0.0.0", (), False, ("10.0.0.5:8001", "[fe80::1]", "localhost"), ("attacker.example", "10.0.0.5.example")),
        ("tracker.example.edu", (), False, ("tracker.example.edu", "127.0.0.1"), ("attacker.example",)),
        ("0.0.0.0", ("tracker.example.edu",), True, ("tracker.example.edu",), ("attacker.example",)),
    ],
)  # fmt: skip
def test_host_names_follow_from_the_address_to_listen_on(
    host: str, others: tuple[str, ...], public: bool, answered: tuple[str, ...], refused: tuple[str, ...]
) -> None:
    allowed = site_access.hosts_in(serve.environment(host, others, public=public))
    for name in answered:
        assert site_access.host_is_allowed(name, allowed), name
    for other in (*refused, None, ""):
        assert not site_access.host_is_allowed(other, allowed), other


def test_a_public_site_on_a_network_answers_to_every_name() -> None:
    assert site_access.hosts_in(serve.environment("0.0.0.0", public=True)) == ()


@pytest.mark.parametrize("name", ["", "https://desk.example.edu", "a,b", "a b", "user@desk", "desk:port", "/"])
def test_what_is_no_host_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="give a host name"):
        serve.environment("127.0.0.1", [name])


# ---------------------------------------------------------------------- the login link


@pytest.mark.slow
def test_no_log_has_the_secret_of_the_login_link(sample: Path, tmp_path: Path) -> None:
    desk, page = reviewer_desk.local_desk(sample, tmp_path / "decisions.db", "A. Reader")
    secret = page.partition("token=")[2]
    with served(sample, {**desk, **serve.environment("127.0.0.1")}, log=tmp_path / "log") as address:
        for _ in range(2):
            assert httpx.get(address + page).status_code in (302, 403)
        assert httpx.get(address + page + "x").status_code == 403
    log = (tmp_path / "log").read_text()
    assert "/desk/login" in log
    assert secret not in log


# ---------------------------------------------------------------------- raw records


@pytest.fixture
def with_raw(sample: Path, tmp_path: Path) -> Path:
    """The sample with a raw record in each of the tables that hold them."""
    db = tmp_path / "evidence.db"
    with closing(sqlite3.connect(sample)) as conn:
        conn.execute("vacuum into ?", (str(db),))
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute("update snapshots set message = ?", (RAW,))
        conn.execute(
            "insert into rejects (digest, doi, source, reason, message, first_run) values ('d', null, null, 'no DOI', ?, 1)",
            (RAW,),
        )
        columns = [row[1] for row in conn.execute("pragma table_info(provider_records)")]
        known = {"provider": "pubmed", "subject": "11", "message": RAW, "first_run": 1, "last_run": None}
        values = [known.get(column, "1") for column in columns]
        marks = ", ".join("?" * len(columns))
        conn.execute(f"insert into provider_records values ({marks})", values)
    return db


RAW = '{"marker": "raw-record-of-a-provider"}'
QUERIES = (
    "select message from {}",
    "select * from {}",
    "select substr(message, 1, 40) from main.{}",
    'select "message" from (select * from {} as inner_one)',
    "with other as (select * from {}) select max(message) from other",
    "select message from {} where message like '%raw-record%' order by message",
    "select group_concat(message) from {}",
)


@pytest.mark.slow
async def test_no_raw_record_leaves_a_public_site(with_raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_site = await site(with_raw)
    assert RAW.replace('"', '\\"') in (await open_site.client.get("/evidence/snapshots.json?_shape=array")).text
    for name, value in serve.environment("127.0.0.1", public=True).items():
        monkeypatch.setenv(name, value)
    ds = Datasette([str(with_raw)], config_dir=serve.site_folder())  # SQL is allowed here, as to a plugin
    await ds.invoke_startup()
    for table in site_access.RAW_TABLES:
        for address in (f"/evidence/{table}", f"/evidence/{table}.json", f"/evidence/{table}.csv?_stream=on"):
            assert (await ds.client.get(address, headers={"host": "localhost"})).status_code == 403, address
        for query in QUERIES:
            sql = query.format(table)
            found = await ds.get_database("evidence").execute(sql)
            assert not any("raw-record" in str(value) for row in found.rows for value in row), sql
            answer = await ds.client.get("/evidence.json", params={"sql": sql}, headers={"host": "localhost"})
            assert "raw-record" not in answer.text.replace(query, "").replace("raw-record%", ""), sql
    front = await ds.client.get("/evidence", headers={"host": "localhost"})
    assert not [table for table in site_access.RAW_TABLES if f'href="/evidence/{table}"' in front.text]
    for page in (
        "/",
        "/evidence/works",
        "/doi/10.1002/cpp.1774",
        "/prisma",
        "/changes",
        "/map",
        "/method",
        "/past?as_of=2026-11-21",
        "/past.json?as_of=2026-11-21",
        "/past/csv?as_of=2026-11-21",
    ):
        answer = await ds.client.get(page, headers={"host": "localhost"}, follow_redirects=True)
        assert answer.status_code == 200, page
        assert "raw-record" not in answer.text


def test_the_views_read_no_raw_record(with_raw: Path) -> None:
    with closing(sqlite3.connect(with_raw)) as conn:
        site_access.hide_raw_records(conn)
        for (view,) in conn.execute("select name from sqlite_master where type = 'view'").fetchall():
            for row in conn.execute(f'select * from "{view}"').fetchall():
                assert not any("raw-record" in str(value) for value in row), view


def test_every_column_that_a_copy_leaves_out_is_hidden_from_visitors_too() -> None:
    found = {(table, "message") for table in schema.WORKING_TABLES}  # not copied at all
    assert set(immutable_copy.LEFT_OUT) | found == site_access.RAW_COLUMNS


@pytest.mark.slow
def test_a_public_site_in_a_process_of_its_own_has_no_raw_record(with_raw: Path) -> None:
    with served(with_raw, serve.environment("127.0.0.1", public=True), public=True) as address:
        for path in ("/evidence/snapshots", "/evidence/rejects.json", "/evidence/provider_records.csv"):
            assert httpx.get(address + path).status_code == 403, path
        assert httpx.get(f"{address}/evidence.json?sql=select+message+from+snapshots").status_code == 403
        assert httpx.get(f"{address}/evidence.db").status_code in (403, 404)
        assert httpx.get(f"{address}/evidence/works.json").status_code == 200


# ---------------------------------------------------------------------- tries at a password


def test_tries_are_counted_for_each_key_and_forgotten_with_time() -> None:
    tries = site_access.Attempts(tries=2, window=60.0)
    assert [tries.start(["a"], now) for now in (0.0, 10.0)] == [0, 0]
    assert tries.start(["a"], 20.0) == 41
    assert tries.start(["b", "a"], 20.0) == 41  # refused for one key, not counted for the other
    assert [tries.start(["b"], now) for now in (20.0, 20.0)] == [0, 0]
    assert tries.start(["a"], 60.5) == 0
    tries.succeeded(["b"])
    assert tries.start(["b"], 61.0) == 0


# ---------------------------------------------------------------------- odd addresses

ODD = (
    "x", "-1", "0", "99999999999999999999999", "1e400", "%00", "%FF%FE", "{", "[]", "1", ":", "variant:", "2026-02-30",
    "9999-12-31", "NEAR(", "%22", "%F0%9F%98%80", "x" * 3000,
)  # fmt: skip
PARAMETERS = (
    "_sort", "_sort_desc", "_next", "_size", "_facet", "_facet_tags", "_facet_array", "_facet_date", "_facet_size",
    "_search", "_search_title", "_tag", "_strength", "_through", "_where", "_col", "_nocol", "_shape", "_timelimit", "year__gt",
    "year__in", "year__arraycontains", "title__glob", "doi__nope", "nope", "verdict", "as_of", "page", "variant", "run",
)  # fmt: skip


@pytest.mark.slow
# Datasette leaves coroutines of its facets unawaited when it cannot read a parameter.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "page",
    ["/evidence/works", "/evidence/works.json", "/map", "/map.svg", "/past", "/changes", "/feed.atom", "/prisma", "/prisma.svg"],
)  # fmt: skip
async def test_no_parameter_is_an_error_of_the_server(sample: Path, page: str) -> None:
    ds = await site(sample)
    narrow = (
        PARAMETERS if "/works" in page or "/past" in page else (*PARAMETERS[:3], *PARAMETERS[9:14], *PARAMETERS[-7:])
    )
    failed = []
    for name in narrow:
        for text in ODD if "json" not in page else ODD[:12]:
            answer = await ds.client.get(f"{page}?{name}={text}")
            if answer.status_code >= 500:
                failed.append((name, text[:30], answer.status_code))
    assert failed == []


@pytest.mark.parametrize(
    "page",
    [
        "/evidence/works",
        "/evidence/works.json",
        "/evidence/works.csv",
        "/evidence/tags?_facet=facet",
        "/evidence/trials",
    ],
)
async def test_a_form_sent_to_a_list_or_a_query_is_refused_with_a_way_on(sample: Path, page: str) -> None:
    answer = await (await site(sample)).client.post(page, data={"title": "x"})
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert "it takes no forms" in answer.text
    assert answer.headers["content-type"].partition(";")[0] == ("application/json" if ".json" in page else "text/html")


@pytest.mark.parametrize("page", ["/evidence/works", "/evidence/works.json", "/download/csv", "/feed.atom"])
async def test_at_most_50_tags_are_asked_for_at_once(sample: Path, page: str) -> None:
    ds = await site(sample)
    with closing(sqlite3.connect(sample)) as conn:
        facet, value = conn.execute("select facet, value from facets limit 1").fetchone()
    tags = [f"_tag={facet}:{value}"] * 51
    assert (await ds.client.get(f"{page}?{'&'.join(tags[:50])}")).status_code == 200
    many = await ds.client.get(f"{page}?{'&'.join(tags)}")
    assert (many.status_code, "at most 50" in many.text) == (400, True)
