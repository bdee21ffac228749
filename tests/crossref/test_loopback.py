"""The loopback Crossref itself, by a plain HTTP client: shapes as recorded, questions answered as Crossref answers them."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.loopback import Fault, LoopbackCrossref
from tests.loopback_works import issued, parse_filter, read_doi

WORKS: list[dict[str, Any]] = [
    {
        "DOI": "10.1016/j.cpr.2013.09.002",
        "title": ["Mechanisms of change in interpersonal therapy (IPT)"],
        "author": [{"given": "Joshua D.", "family": "Lipsitz"}, {"given": "John C.", "family": "Markowitz"}],
        "container-title": ["Clinical Psychology Review"],
        "ISSN": ["0272-7358"],
        "type": "journal-article",
        "volume": "33",
        "issued": {"date-parts": [[2013, 12]]},
        "indexed": {"date-time": "2026-10-02T09:00:00Z"},
        "is-referenced-by-count": 90,
    },
    {
        "DOI": "10.1002/cpp.1774",
        "title": ["Interpersonal psychotherapy: past, present, and future"],
        "author": [{"given": "John C.", "family": "Markowitz"}],
        "type": "journal-article",
        "issued": {"date-parts": [[2012, 2, 14]]},
        "indexed": {"date-time": "2026-11-20T09:00:00Z"},
        "abstract": "<jats:p>Words</jats:p>",
        "is-referenced-by-count": 120,
    },
    {
        "DOI": "10.1002/jclp.21857",
        "title": ["Couple therapy for depression"],
        "type": "book-chapter",
        "issued": {"date-parts": [[2012]]},
        "indexed": {"date-parts": [[2025, 1, 1]], "date-time": "2025-01-01T00:00:00Z"},
        "update-to": [{"DOI": "10.1002/cpp.1774", "type": "correction"}],
    },
    {"DOI": "10.5555/undated", "title": ["Undated therapy"], "issued": {"date-parts": [[None]]}},
]
LIPSITZ, MARKOWITZ, WHISMAN, UNDATED = (work["DOI"] for work in WORKS)


@pytest.fixture
def server() -> Iterator[LoopbackCrossref]:
    with LoopbackCrossref(WORKS) as running:
        yield running


@pytest.fixture
def client(server: LoopbackCrossref) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, trust_env=False, timeout=5) as plain:
        yield plain


def listed(client: httpx.Client, **params: str) -> list[str]:
    asked = {name.replace("_", "."): value for name, value in params.items()}
    message = client.get("/works", params=asked).raise_for_status().json()["message"]
    return [item["DOI"] for item in message["items"]]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("from-pub-date:2012-01-02", [LIPSITZ, MARKOWITZ]),
        ("until-pub-date:2012-01-01", [WHISMAN]),
        ("from-pub-date:2012-01-01,until-pub-date:2012-12-31", [MARKOWITZ, WHISMAN]),
        ("from-pub-date:2013", [LIPSITZ]),
        ("until-pub-date:2012-02", [MARKOWITZ, WHISMAN]),
        ("from-index-date:2026-10-02", [LIPSITZ, MARKOWITZ]),
        ("until-index-date:2026-10-02", [LIPSITZ, WHISMAN]),
        ("from-index-date:2026-10-02T10:00:00", [MARKOWITZ]),
        ("type:journal-article", [LIPSITZ, MARKOWITZ]),
        ("type:journal-article,type:book-chapter", [LIPSITZ, MARKOWITZ, WHISMAN]),
        ("type:book-chapter,until-pub-date:2000", []),
        ("has-abstract:true", [MARKOWITZ]),
        ("has-abstract:false,type:journal-article", [LIPSITZ]),
        ("issn:0272-7358", [LIPSITZ]),
        ("is-update:true", [WHISMAN]),
        ("update-type:correction", [WHISMAN]),
        (f"updates:{MARKOWITZ}", [WHISMAN]),
        (f"doi:{WHISMAN.upper()},doi:10.5555/none,doi:{LIPSITZ}", [WHISMAN, LIPSITZ]),
        (f"doi:{WHISMAN},doi:{LIPSITZ},from-index-date:2026-01-01", [LIPSITZ]),
    ],
)
def test_filters(client: httpx.Client, wanted: str, found: list[str]) -> None:
    assert listed(client, filter=wanted) == found


def test_ranking_is_by_shared_words_rare_ones_first(client: httpx.Client) -> None:
    assert listed(client, query_bibliographic="couple therapy") == [WHISMAN, LIPSITZ, UNDATED]
    assert listed(client, query_bibliographic="markowitz 2013")[0] == LIPSITZ
    assert listed(client, query_title="therapy", query_author="lipsitz") == [LIPSITZ]
    assert listed(client, query="words") == [MARKOWITZ]
    assert listed(client, query="xylophone") == []


def test_total_counts_every_record_that_shares_a_word(client: httpx.Client) -> None:
    message = client.get("/works", params={"query": "therapy", "rows": "1"}).json()["message"]
    assert (message["total-results"], len(message["items"]), message["items-per-page"]) == (3, 1, 1)
    assert message["items"][0]["score"] > 0
    assert message["query"] == {"start-index": 0, "search-terms": "therapy"}


def test_select_sort_and_offset(client: httpx.Client) -> None:
    params = {"select": "DOI,score", "query": "therapy", "sort": "issued", "order": "asc"}
    items = client.get("/works", params=params).json()["message"]["items"]
    assert [set(item) for item in items] == [{"DOI", "score"}] * 3
    assert listed(client, sort="is-referenced-by-count")[:2] == [MARKOWITZ, LIPSITZ]
    assert listed(client, sort="indexed", order="asc", filter="from-pub-date:1000", offset="1") == [LIPSITZ, MARKOWITZ]


@pytest.mark.parametrize(
    ("params", "kind", "words"),
    [
        (
            {"filter": "has-abstrct:true"},
            "filter-not-available",
            "Filter 'has-abstrct' specified but there is no such filter",
        ),
        (
            {"rows": "1001"},
            "integer-not-valid",
            "Integer specified as 1001 but must be a positive integer less than or",
        ),
        ({"rows": "things"}, "integer-not-valid", "Integer specified as things but must be a positive integer"),
        ({"sample": "101"}, "integer-not-valid", "Integer specified as 101 but must be a positive integer"),
        ({"select": "DOI,language"}, "select-not-available", "Select 'language' specified but there is no such select"),
        ({"sort": "things"}, "sort-not-available", "Sort 'things' specified"),
        ({"colour": "red"}, "parameter-not-allowed", "This route does not support colour"),
        ({"query.things": "red"}, "parameter-not-allowed", "This route does not support query.things"),
    ],
)
def test_refusals_have_the_recorded_shape(client: httpx.Client, params: dict[str, str], kind: str, words: str) -> None:
    answer = client.get("/works", params=params)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json;charset=utf-8"
    envelope = answer.json()
    assert (envelope["status"], envelope["message-type"]) == ("failed", "validation-failure")
    (failure,) = envelope["message"]
    assert failure["type"] == kind
    assert failure["message"].startswith(words)


def test_the_doi_filter_has_the_real_ones_traps(client: httpx.Client) -> None:
    assert parse_filter("doi:10.5555/a,b,type:book") == [("doi", "10.5555/a,b"), ("type", "book")]
    assert parse_filter("doi:10.5555/a:b:") == [("doi", "10.5555/a:b")]
    assert read_doi("10.5555/A b") == "10.5555/a"
    broken = client.get("/works", params={"filter": "doi:10.13/a"})
    assert (broken.status_code, broken.json()["message-type"]) == (500, "exception")


def test_dates_mean_their_earliest_day() -> None:
    assert issued({"issued": {"date-parts": [[2019]]}}) == "2019-01-01"
    assert issued({"issued": {"date-parts": [[2019, 5]]}}) == "2019-05-01"
    assert issued({"issued": {"date-parts": [[2019, 5, 3]]}}) == "2019-05-03"
    assert issued({"issued": {"date-parts": [[None]]}}) == issued({}) == ""


def test_a_single_work_an_alias_and_nothing(server: LoopbackCrossref, client: httpx.Client) -> None:
    server.aliases["10.26434/chemrxiv.5406907"] = "10.26434/chemrxiv.5406907.v5#?%"
    assert client.get(f"/works/{LIPSITZ}").json()["message"] == WORKS[0]
    assert client.get(f"/v1/works/{LIPSITZ.upper()}").json()["message-type"] == "work"
    moved = client.get("/works/10.26434%2Fchemrxiv.5406907")
    assert (moved.status_code, moved.content) == (301, b"")
    assert moved.headers["location"] == "/works/10.26434/chemrxiv.5406907.v5#?%"
    absent = client.get("/works/10.5555%2Fnone")
    assert (absent.status_code, absent.text) == (404, "Resource not found.")
    assert client.get("/members/98").status_code == 404


def test_agencies(server: LoopbackCrossref, client: httpx.Client) -> None:
    server.agencies["10.1430/8105"] = "mEDRA"
    answer = client.get("/works/10.1430%2F8105/agency").json()
    assert answer["message"] == {"DOI": "10.1430/8105", "agency": {"id": "medra", "label": "mEDRA"}}
    assert client.get(f"/works/{LIPSITZ}/agency").json()["message"]["agency"]["id"] == "crossref"
    assert client.get("/works/10.5555%2Fnone/agency").status_code == 404


def test_it_changes_while_it_runs(server: LoopbackCrossref, client: httpx.Client) -> None:
    assert listed(client, query="metacognitive") == []
    server.works["10.1097/nmd.0000000000000789"] = {
        "DOI": "10.1097/nmd.0000000000000789",
        "title": ["Metacognitive interpersonal therapy"],
    }
    assert listed(client, query="metacognitive") == ["10.1097/nmd.0000000000000789"]
    server.works["10.1097/nmd.0000000000000789"]["title"] = ["Renamed"]
    assert listed(client, query="metacognitive") == []
    server.works = {}
    assert listed(client) == []


def test_requests_are_logged_parsed(server: LoopbackCrossref, client: httpx.Client) -> None:
    client.get("/works", params={"filter": "doi:10.5555/a#b,doi:10.5555/c", "rows": "2"}, headers={"X-Word": "Yes"})
    client.get("/works/10.5555%2Fa%3Fb/agency?mailto=a%40b")
    first, second = server.requests
    assert (first.method, first.path, first.route, first.dois) == (
        "GET",
        "/works",
        "list",
        ("10.5555/a#b", "10.5555/c"),
    )
    assert first.headers["x-word"] == "Yes"
    assert (second.route, second.doi, second.params) == ("agency", "10.5555/a?b", {"mailto": "a@b"})
    server.forget()
    assert server.requests == []


@pytest.mark.parametrize("path", ["/works", "/works/10.5555%2Fx"])
def test_rate_headers(server: LoopbackCrossref, client: httpx.Client, path: str) -> None:
    kind = "array" if path == "/works" else "single"
    assert client.get(path).headers["x-api-pool"] == f"public-{kind}"
    assert client.get(path, params={"mailto": "a@b"}).headers["x-api-pool"] == f"polite-{kind}"
    server.rate = ("3", "1s")
    answer = client.get(path)
    assert (answer.headers["x-rate-limit-limit"], answer.headers["x-rate-limit-interval"]) == ("3", "1s")
    server.rate = None
    assert not [name for name in client.get(path).headers if name.startswith(("x-api", "x-rate"))]


def test_enforced_limits(client: httpx.Client, server: LoopbackCrossref) -> None:
    server.rate, server.enforce = ("2", "60s"), True
    assert [client.get("/works").status_code for _ in range(4)] == [200, 200, 429, 429]
    assert [client.get("/works/10.5555%2Fx").status_code for _ in range(3)] == [404, 404, 429]
    assert server.refused == 3


def test_faults_are_met_in_order_by_those_they_are_for(server: LoopbackCrossref, client: httpx.Client) -> None:
    server.script(
        [Fault("429", when=lambda request: request.route == "single", retry_after="3"), Fault("500"), Fault("504")]
    )
    answers = [client.get("/works"), client.get("/works/10.5555%2Fx"), client.get("/works"), client.get("/works")]
    assert [answer.status_code for answer in answers] == [500, 429, 504, 200]
    assert answers[1].headers["retry-after"] == "3"
    assert answers[2].text.startswith("<html>")
    server.script([Fault("403", times=None)])
    assert [client.get("/works").status_code for _ in range(3)] == [403] * 3


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault("timeout", seconds=1), httpx.ReadTimeout),
        (Fault("headers-only", seconds=1), httpx.ReadTimeout),
        (Fault("drop"), httpx.RemoteProtocolError),
        (Fault("reset"), (httpx.ReadError, httpx.RemoteProtocolError)),
        (Fault("truncated"), httpx.RemoteProtocolError),
        (Fault("truncated", seconds=1), json.JSONDecodeError),
        (Fault("html"), json.JSONDecodeError),
        (Fault("empty"), json.JSONDecodeError),
        (Fault("oversized", size=100_000), json.JSONDecodeError),
        (Fault("bomb", size=100_000), json.JSONDecodeError),
    ],
)
def test_broken_transfers(
    client: httpx.Client, server: LoopbackCrossref, fault: Fault, error: type[Exception] | tuple[type[Exception], ...]
) -> None:
    fault.times = 1
    server.script([fault])
    with pytest.raises(error):
        client.get("/works", timeout=0.2).json()
    assert client.get("/works").status_code == 200


def test_a_drip_goes_on_and_on(client: httpx.Client, server: LoopbackCrossref) -> None:
    server.script([Fault("drip", seconds=0.01)])
    with client.stream("GET", "/works") as answer:
        chunks = answer.iter_raw()
        first = next(chunks)
        blanks = b"".join(next(chunks) for _ in range(10))
    assert json.loads(first.rstrip())["status"] == "ok"
    assert blanks.strip() == b""


def test_compression(client: httpx.Client, server: LoopbackCrossref) -> None:
    server.script([Fault("gzip")])
    squeezed, plain = client.get("/works"), client.get("/works")
    assert squeezed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert squeezed.json() == plain.json()


def test_the_wrong_record(client: httpx.Client, server: LoopbackCrossref) -> None:
    server.script([Fault("wrong", doi=WHISMAN, times=2)])
    assert client.get("/works/10.5555%2Fx").json()["message"]["DOI"] == WHISMAN
    assert listed(client, filter=f"doi:{LIPSITZ}") == [WHISMAN]


def test_a_scroll_names_one_cursor_while_it_advances(client: httpx.Client) -> None:
    pages = [client.get("/works", params={"rows": "2", "cursor": "*"}).json()["message"]]
    for _ in range(2):
        pages.append(client.get("/works", params={"rows": "2", "cursor": pages[-1]["next-cursor"]}).json()["message"])
    assert len({page["next-cursor"] for page in pages}) == 1
    assert [[item["DOI"] for item in page["items"]] for page in pages] == [[LIPSITZ, MARKOWITZ], [WHISMAN, UNDATED], []]


def test_a_list_of_a_thousand_records(server: LoopbackCrossref, client: httpx.Client) -> None:
    server.works = {
        f"10.5555/{number}": WORKS[0] | {"DOI": f"10.5555/{number}", "abstract": f"therapy {number} " * 60}
        for number in range(3000)
    }
    params = {"query.bibliographic": "interpersonal therapy", "rows": "1000", "select": "DOI,title,abstract,score"}
    assert len(client.get("/works", params=params).content) > 500_000


def test_it_serves_a_file_from_a_process_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "works.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("\n".join(json.dumps(row) for row in (WORKS[0], {"provenance": "a test", "work": WORKS[1]})))
    command = [sys.executable, "-m", "tests.loopback", str(path), "--port", "0"]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            message = httpx.get(f"{url}/works", trust_env=False).json()["message"]
            assert [item["DOI"] for item in message["items"]] == [LIPSITZ, MARKOWITZ]
        finally:
            process.kill()
