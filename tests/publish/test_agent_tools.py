"""What agents are told: every number is that of SQL and of the list behind its address, and what is out of scope is refused."""

from __future__ import annotations

import ast
import html
import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from datasette.app import Datasette
from datasette.plugins import pm

from evidence.errors import ConfigError
from evidence.publish import agent_answers, bitset_counts, serve, vocabulary
from evidence.rules import taxonomy, topic
from tests import site_sample
from tests.publish.site_server import served
from tests.publish.test_bitset_counts import make

SITE = serve.site_folder()
MISSING = "datasette-mcp is not installed (pip install -e '.[agents]')"
TRIALS = "('rct', 'cluster-rct')"
REVIEWS = "('meta-analysis', 'systematic-review')"
TAGGED = "doi in (select doi from tags where facet = ? and value = ? and strength in ('stated', 'likely'))"
SECRET = "raw-record-of-a-provider"
WITHHELD = "An abstract of another provider, about therapy and depression, that must not be passed on."


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made-up works, some retracted, some screened with an abstract."""
    path = make(tmp_path_factory.mktemp("agents") / "evidence.db", 5000, 5)
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("update works set judged_on = 'title+abstract' where rowid % 2")
        conn.execute("update works set notice = 'retraction' where rowid % 7 = 0")
        conn.execute("update works set notice = 'correction' where rowid % 7 = 1")
        conn.execute(
            "insert into notices (doi, kind, notice_doi, stands_on, relation, source, evidence) "
            "select doi, notice, doi || '.n', doi, 'own', 'publisher', 'updated-by' from works where notice is not null"
        )
    return path


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = site_sample.make_sample(tmp_path_factory.mktemp("agents") / "evidence.db")
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("update snapshots set message = ?", (json.dumps({"marker": SECRET}),))
        conn.execute(
            "insert into rejects (digest, doi, source, reason, message, first_run) values ('d', null, null, 'no DOI', ?, 1)",
            (SECRET,),
        )
        conn.execute(
            "update works set abstract = ?, abstract_source = 'pubmed' where doi = '10.1002/cpp.1774'", (WITHHELD,)
        )
        conn.execute(
            "update works set abstract = 'An open abstract.', abstract_source = 'publisher' where doi = ?",
            ("10.1016/j.cpr.2013.09.002",),
        )
        start = WITHHELD.index("therapy")
        conn.execute(
            "insert into reasons (doi, facet, value, rule, field, start, stop, quote) "
            "values ('10.1002/cpp.1774', 'variant', 'ipt', 'named', 'abstract', ?, ?, 'therapy')",
            (start, start + 7),
        )
        conn.executemany(
            "insert into identifiers (doi, kind, identifier, source) values (?, ?, ?, 'pubmed')",
            [
                ("10.1002/cpp.1774", "pmid", "22362621"),
                ("10.1002/cpp.1774", "registration", "NCT00000001"),
                ("10.1001/archpsyc.56.6.573", "registration", "NCT00000001"),
            ],
        )
    return path


class Asked:
    """The answers over a database, and the site to compare them with."""

    def __init__(self, path: Path) -> None:
        self.ds = Datasette([str(path)], config_dir=SITE)
        self.conn = sqlite3.connect(path)
        with closing(
            self.conn.execute("select facet, value, label from facets order by facet, position, value")
        ) as rows:
            labels = {(facet, value): label for facet, value, label in rows}
        known = bitset_counts.read_sets(self.conn)
        retracted = bitset_counts.retracted_of(bitset_counts.read_notices(self.conn, known))
        self.site = agent_answers.Site("/evidence/works", known, retracted, topic.load(), labels)
        self.vocabulary = vocabulary.read(self.conn)
        self.taxonomy = taxonomy.load(topic.load())

    def find(self, text: str = "", tags: tuple[str, ...] = (), **more: Any) -> agent_answers.FoundWorks:
        return agent_answers.find_works(
            self.conn, self.site, self.vocabulary, self.taxonomy, text=text, tags=tags, **more
        )

    def cell(self, first: str, second: str, **more: Any) -> agent_answers.Cell:
        return agent_answers.cell(self.conn, self.site, first, second, **more)

    def explain(self, identifier: str) -> agent_answers.Explained:
        return agent_answers.explain(self.conn, self.site, identifier)

    def one(self, sql: str, *values: object) -> int:
        return int(self.conn.execute(sql, values).fetchone()[0])

    async def rows(self, address: str) -> int:
        """How many works the page at an address lists."""
        await self.ds.invoke_startup()
        answer = await self.ds.client.get(address.replace("/works?", "/works.json?_size=0&"))
        return int(answer.json()["filtered_table_rows_count"])


@pytest.fixture
def ask(request: pytest.FixtureRequest) -> Iterator[Callable[[Path], Asked]]:
    opened: list[Asked] = []

    def asked(path: Path) -> Asked:
        opened.append(Asked(path))
        return opened[-1]

    yield asked
    for one in opened:
        one.conn.close()


# ---------------------------------------------------------------------- answers


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tags", "since", "until"),
    [
        ((), None, None),
        (("variant:a",), None, None),
        (("variant:a,b", "design:rct"), None, None),
        ((), 2005, 2012),
        (("outcome:u",), 2013, None),
        (("outcome:u", "population:men"), None, 2004),
    ],
)
async def test_works_found_by_tags_and_years_are_those_of_sql_and_of_the_list(
    crowd: Path, ask: Callable[[Path], Asked], tags: tuple[str, ...], since: int | None, until: int | None
) -> None:
    asked = ask(crowd)
    conditions, values = ["verdict = 'include'"], []
    for tag in tags:
        facet, _, of = tag.partition(":")
        conditions.append("(" + " or ".join([TAGGED] * len(of.split(","))) + ")")
        values += [text for value in of.split(",") for text in (facet, value)]
    conditions += [f"year >= {since}"] if since else []
    conditions += [f"year <= {until}"] if until else []
    where = " and ".join(conditions)
    found = asked.find(tags=tags, since=since, until=until, most=7)
    expected = asked.one(f"select count(*) from works where {where}", *values)
    assert expected > 7
    assert found.count == expected
    assert await asked.rows(found.list_page) == expected
    sql = f"select doi from works where {where} order by year desc, doi limit 7"
    assert [work.doi for work in found.works] == [doi for (doi,) in asked.conn.execute(sql, values)]
    for work in found.works:
        assert set(work.tags) == {
            f"{facet}:{value}"
            for facet, value in asked.conn.execute("select facet, value from shown_tags where doi = ?", (work.doi,))
        }


async def test_works_found_by_words_are_those_of_the_search_page(sample: Path, ask: Callable[[Path], Asked]) -> None:
    asked = ask(sample)
    for text in ("interpersonal", "mufson 1999", "adolescents", "no-such-word-here"):
        found = asked.find(text)
        assert found.count == await asked.rows(found.list_page), text
        page = (await asked.ds.client.get("/search", params={"q": text})).text
        titles = re.findall(r'<a class="work-title"[^>]*><bdi>([^<]*)', page)
        assert [work.title for work in found.works] == [html.unescape(title) for title in titles][:20]
    assert asked.find("mufson 1999").works[0].doi == "10.1001/archpsyc.56.6.573"


async def test_words_and_filters_hold_together(sample: Path, ask: Callable[[Path], Asked]) -> None:
    asked = ask(sample)
    found = asked.find("interpersonal", ("design:rct",))
    assert {work.doi for work in found.works} == {
        doi
        for (doi,) in asked.conn.execute(
            f"select doi from works where verdict = 'include' and {TAGGED} and title like '%interpersonal%'",
            ("design", "rct"),
        )
    }
    assert found.count == await asked.rows(found.list_page) == 3
    fewer = asked.find("interpersonal", ("design:rct",), most=1)
    assert (fewer.count, len(fewer.works), await asked.rows(fewer.list_page)) == (3, 1, 3)
    none = asked.find("interpersonal", ("design:rct",), until=1900)
    assert (none.count, none.works, await asked.rows(none.list_page)) == (0, [], 0)


@pytest.mark.slow
async def test_every_number_of_a_cell_is_that_of_sql_and_of_its_list(crowd: Path, ask: Callable[[Path], Asked]) -> None:
    asked = ask(crowd)
    for first, second in (("variant:a", "outcome:u"), ("variant:c", "population:women"), ("variant:b", "variant:d")):
        pairs = [tag.split(":") for tag in (first, second)]
        both = f"from works where verdict = 'include' and {TAGGED} and {TAGGED}"
        values = [*pairs[0], *pairs[1]]
        design = "and doi in (select doi from shown_tags where facet = 'design' and value in {})"
        found = asked.cell(first, second, most=5)
        assert found.randomised_trials is not None
        assert found.systematic_reviews is not None
        expected = {
            "both": (found.both, both, values),
            "trials": (found.randomised_trials, f"{both} {design.format(TRIALS)}", values),
            "reviews": (found.systematic_reviews, f"{both} {design.format(REVIEWS)}", values),
            "retracted": (found.retracted, f"{both} and notice = 'retraction'", values),
        }
        for n, (tag, pair) in enumerate(((found.first, pairs[0]), (found.second, pairs[1]))):
            of_tag = f"from works where verdict = 'include' and {TAGGED}"
            expected[f"{n} all"] = (tag.all, of_tag, pair)
            expected[f"{n} title"] = (tag.screened_on_title_only, f"{of_tag} and judged_on = 'title'", pair)
        for name, (number, sql, given) in expected.items():
            assert number.works == asked.one(f"select count(*) {sql}", *given) > 0, (first, second, name)
            assert await asked.rows(number.list_page) == number.works, (first, second, name)
        sql = f"select doi {both} order by year desc, doi limit 5"
        assert [work.doi for work in found.newest] == [doi for (doi,) in asked.conn.execute(sql, values)]


async def test_an_empty_cell_says_how_many_abstracts_could_not_be_read(
    sample: Path, ask: Callable[[Path], Asked]
) -> None:
    found = ask(sample).cell("variant:ipt-a", "outcome:anxiety")
    assert (found.both.works, found.newest) == (0, [])
    assert (found.first.all.works, found.first.screened_on_title_only.works) == (1, 1)


async def test_every_page_of_an_answer_exists(sample: Path, ask: Callable[[Path], Asked]) -> None:
    asked = ask(sample)
    await asked.ds.invoke_startup()
    for work in asked.find(most=50).works:
        assert (await asked.ds.client.get(work.page)).status_code == 200
        assert work.doi_url == f"https://doi.org/{work.doi}"


def test_a_work_is_explained_as_on_the_command_line(sample: Path, ask: Callable[[Path], Asked]) -> None:
    asked = ask(sample)
    for (doi,) in asked.conn.execute("select doi from works").fetchall():
        found = asked.explain(f"https://doi.org/{doi}")
        verdict, why = asked.conn.execute("select verdict, why from works where doi = ?", (doi,)).fetchone()
        assert (found.work.doi, found.verdict, found.why) == (doi, verdict, why)
        assert f"Verdict: {verdict}" in found.explanation
        tags = asked.conn.execute("select facet || ':' || value, strength from tags where doi = ?", (doi,)).fetchall()
        assert sorted((tag.tag, tag.strength) for tag in found.tags) == sorted(tags)
    assert asked.explain("PMID 22362621").work.doi == "10.1002/cpp.1774"


async def test_tags_of_a_work_lead_to_the_works_that_have_them(crowd: Path, ask: Callable[[Path], Asked]) -> None:
    asked = ask(crowd)
    doi = asked.find(tags=("variant:a", "design:rct")).works[0].doi
    for tag in asked.explain(doi).tags:
        n = asked.one(f"select count(*) from works where verdict = 'include' and {TAGGED}", *tag.tag.split(":"))
        assert await asked.rows(tag.list_page) == n


def test_an_abstract_is_passed_on_only_where_it_may_be(sample: Path, ask: Callable[[Path], Asked]) -> None:
    asked = ask(sample)
    held = asked.explain("10.1002/cpp.1774")
    assert (held.abstract, held.abstract_note) == (None, "it may not be passed on")
    assert "that must not be passed on" not in held.model_dump_json()
    assert "An abstract of another provider" not in held.model_dump_json()
    assert "abstract: “therapy”" in held.explanation  # the word that matched, as on the pages of a published copy
    passed = asked.explain("10.1016/j.cpr.2013.09.002")
    assert (passed.abstract, passed.abstract_note) == ("An open abstract.", None)
    none = asked.explain("10.1002/jclp.21857")
    assert (none.abstract, none.abstract_note) == (None, "no abstract is known")
    with closing(sqlite3.connect(":memory:")) as conn:
        asked.conn.backup(conn)
        conn.execute(
            "insert into facts (doi, kind, fact, source, major) values ('10.1002/cpp.1774', 'licence', 'cc by', 'openalex', 0)"
        )
        assert agent_answers.explain(conn, asked.site, "10.1002/cpp.1774").abstract == WITHHELD


# ---------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda a: a.find(tags=("variant:ipt-z",)), "variant has no 'ipt-z' (did you mean"),
        (lambda a: a.find(tags=("variant:ipt-z",)), "it has ipt, ipt-a, dit"),
        (lambda a: a.find(tags=("flavour:ipt",)), "there is no facet 'flavour'; the facets are"),
        (lambda a: a.find(tags=("ipt-a",)), "is not a valid tag; write it as facet:value"),
        (lambda a: a.find(tags=("variant:ipt",) * 11), "from 0 to 10 are allowed"),
        (lambda a: a.find(most=51), "from 1 to 50 are allowed"),
        (lambda a: a.find(most=0), "from 1 to 50 are allowed"),
        (lambda a: a.find("x" * 1001), "at most 1000"),
        (lambda a: a.cell("variant:ipt", "outcome:wealth"), "outcome has no 'wealth'; it has depressive-symptoms"),
        (lambda a: a.cell("variant:ipt,dit", "outcome:anxiety"), "variant has no 'ipt,dit'"),
        (lambda a: a.cell("variant:ipt", "outcome:anxiety", most=51), "from 1 to 50"),
        (lambda a: a.explain("10.9999/none"), "is not the DOI, PMID"),
        (lambda a: a.explain("grief"), "find_works searches by words"),
        (lambda a: a.explain(" "), "give a DOI"),
        (lambda a: a.explain("1" * 301), "give a DOI"),
        (
            lambda a: a.explain("NCT00000001"),
            "belongs to 2 works; ask about one of 10.1001/archpsyc.56.6.573, 10.1002/",
        ),
        (lambda a: a.explain("10.1000/182"), "is not the DOI, PMID"),  # a rejected record, which is no work
    ],
)
def test_what_is_out_of_scope_is_refused_by_name(
    sample: Path, ask: Callable[[Path], Asked], call: Callable[[Asked], object], said: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        call(ask(sample))
    assert said in str(refused.value)


# ---------------------------------------------------------------------- without and with datasette-mcp


def test_the_site_needs_nothing_of_the_protocol() -> None:
    tree = ast.parse((SITE / "plugins" / "agent_tools.py").read_text(encoding="utf-8"))
    at_load = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {name.name for node in at_load if isinstance(node, ast.Import) for name in node.names}
    names |= {node.module or "" for node in at_load if isinstance(node, ast.ImportFrom)}
    assert not [name for name in names if name.split(".")[0] in ("mcp", "datasette_mcp")]
    assert pm.has_plugin("agent_tools.py") or Datasette([], config_dir=SITE)
    assert pm.has_plugin("agent_tools.py")


async def server_of(path: Path) -> Any:
    datasette_mcp = pytest.importorskip("datasette_mcp", reason=MISSING)
    ds = Datasette([str(path)], config_dir=SITE)
    await ds.invoke_startup()
    return datasette_mcp.create_mcp_server(ds)


async def test_three_tools_are_offered_that_only_read(sample: Path) -> None:
    tools = {tool.name: tool for tool in await (await server_of(sample)).list_tools()}
    assert {"find_works", "cell", "explain"} <= set(tools)
    for name in ("find_works", "cell", "explain"):
        assert tools[name].annotations.read_only_hint is True
        assert len(tools[name].description) > 100
        assert tools[name].output_schema["properties"]
        assert "ctx" not in tools[name].input_schema["properties"]
    assert tools["find_works"].input_schema["properties"]["limit"]["maximum"] == agent_answers.MOST_WORKS


async def test_the_tools_give_the_answers(sample: Path, ask: Callable[[Path], Asked]) -> None:
    server, asked = await server_of(sample), ask(sample)
    for name, given, expected in (
        ("find_works", {"tags": ["variant:ipt"], "limit": 2}, asked.find(tags=("variant:ipt",), most=2)),
        ("find_works", {"text": "mufson 1999"}, asked.find("mufson 1999")),
        ("cell", {"first": "variant:ipt", "second": "outcome:anxiety"}, asked.cell("variant:ipt", "outcome:anxiety")),
        ("explain", {"identifier": "10.1002/cpp.1774"}, asked.explain("10.1002/cpp.1774")),
    ):
        answer = await server.call_tool(name, given)
        assert answer.structured_content == expected.model_dump(), name


async def test_the_tools_refuse_in_words(sample: Path) -> None:
    server = await server_of(sample)
    exceptions = pytest.importorskip("mcp.server.mcpserver.exceptions", reason=MISSING)
    for name, given, said in (
        ("find_works", {"tags": ["variant:ipt-z"]}, "variant has no 'ipt-z'"),
        ("find_works", {"limit": 51}, "less than or equal to 50"),
        ("find_works", {"tags": ["variant:ipt"] * 11}, "at most 10"),
        ("find_works", {"since": 99999}, "less than or equal to 9999"),
        ("cell", {"first": "variant:ipt", "second": "outcome:wealth"}, "it has depressive-symptoms"),
        ("explain", {"identifier": "snapshots"}, "find_works searches by words"),
    ):
        with pytest.raises(exceptions.ToolError) as refused:
            await server.call_tool(name, given)
        assert said in str(refused.value), name
        assert type(refused.value) is exceptions.ToolError  # and not a crash


async def test_a_site_that_shows_its_works_to_nobody_tells_agents_nothing(sample: Path) -> None:
    datasette_mcp = pytest.importorskip("datasette_mcp", reason=MISSING)
    ds = Datasette([str(sample)], config_dir=SITE, metadata={"databases": {"evidence": {"allow": {"id": "root"}}}})
    await ds.invoke_startup()
    server = datasette_mcp.create_mcp_server(ds)
    exceptions = pytest.importorskip("mcp.server.mcpserver.exceptions", reason=MISSING)
    for name, given in (
        ("find_works", {}),
        ("cell", {"first": "variant:ipt", "second": "outcome:anxiety"}),
        ("explain", {"identifier": "10.1002/cpp.1774"}),
    ):
        with pytest.raises(exceptions.ToolError, match="does not show its works"):
            await server.call_tool(name, given)


def call(address: str, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The result of a tool, asked for over HTTP as an agent does."""
    headers = {"accept": "application/json, text/event-stream"}

    def post(body: dict[str, Any]) -> httpx.Response:
        return httpx.post(f"{address}/-/mcp", json={"jsonrpc": "2.0", **body}, headers=headers, timeout=30)

    client = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    begun = post({"id": 1, "method": "initialize", "params": client})
    assert begun.status_code == 200, begun.text
    headers |= {"mcp-protocol-version": "2025-06-18"}
    if session := begun.headers.get("mcp-session-id"):
        headers |= {"mcp-session-id": session}
    post({"method": "notifications/initialized"})
    answer = post({"id": 2, "method": "tools/call", "params": {"name": name, "arguments": arguments}})
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()["result"]
    return result


def test_over_http_addresses_are_whole_and_no_raw_record_leaves_a_public_site(sample: Path) -> None:
    pytest.importorskip("datasette_mcp", reason=MISSING)
    with served(sample, serve.environment("127.0.0.1", public=True), public=True) as address:
        found = call(address, "find_works", {"tags": ["variant:ipt"]})["structuredContent"]
        assert found["list_page"].startswith(f"{address}/evidence/works?verdict=include")
        assert httpx.get(found["works"][0]["page"]).status_code == 200
        assert httpx.get(found["list_page"]).status_code == 200
        for name, arguments in (
            ("find_works", {"limit": 50}),
            ("find_works", {"text": SECRET}),
            ("cell", {"first": "variant:ipt", "second": "outcome:anxiety"}),
            ("explain", {"identifier": "10.1002/cpp.1774"}),
            ("explain", {"identifier": "10.1016/j.cpr.2013.09.002"}),
        ):
            result = call(address, name, arguments)
            assert not result.get("isError"), result
            assert SECRET not in json.dumps({**result, "structuredContent": {**result["structuredContent"], "list_page": ""}}
                                            if name == "find_works" else result).replace(f"q={SECRET}", "")  # fmt: skip
            assert "must not be passed on" not in json.dumps(result)
        # The plugin's own tools, which are not ours to take away.
        for table in ("snapshots", "rejects", "provider_records"):
            asked = {"database": "evidence", "sql": f"select * from {table}"}
            refused = call(address, "execute_sql", asked)
            assert refused["isError"] is True
            assert SECRET not in json.dumps(refused)
        answer = httpx.post(f"{address}/-/mcp", json={}, headers={"host": "attacker.example"})
        assert answer.status_code == 421
        answer = httpx.post(f"{address}/-/mcp", json={}, headers={"origin": "https://attacker.example"})
        assert answer.status_code == 403
