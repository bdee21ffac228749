"""The transport as any service uses it: POST, private parameters, routes, texts of failures."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from evidence.http.failures import AttemptError
from evidence.http.json_body import read_json
from evidence.http.transport import Redirect, Service, Transport
from tests.loopback_server import Fault, Reply, Request
from tests.provider_loopback import ProviderLoopback

SERVICE = Service(
    "Example",
    "https://api.example.org",
    intervals={"one": 0.5, "many": 0.0, "other": 0.0},
    absent_routes=frozenset({"one"}),
    redirect_routes=frozenset({"one"}),
    private_params=(("api_key", "s3cret/key"), ("email", "reader@loopback.invalid")),
)
XML = replace(SERVICE, accept="application/xml")


def transport(server: ProviderLoopback, service: Service = SERVICE, tries: int = 2) -> Transport:
    return Transport(service, server.url, sleep=lambda _: None, clock=lambda: 0.0, timeout=5.0, tries=tries)


def echo(request: Request) -> dict[str, object]:
    return {"method": request.method, "query": request.params, "form": request.form}


def test_a_form_is_posted_with_what_is_private_in_it() -> None:
    with ProviderLoopback({"/search": echo}) as server:
        client = transport(server)
        form = [("query", "a & b = ü"), ("page", "2")]
        found = client.request("many", "/search", [("v", "1")], read_json, form)
        private = dict(SERVICE.private_params)
        assert found == {"method": "POST", "query": {"v": "1"}, "form": dict(form) | private}
        assert client.request("many", "/search", [("q", "a")], read_json) == {
            "method": "GET",
            "query": {"q": "a"} | private,
            "form": {},
        }
        client.close()


def test_a_post_is_tried_again() -> None:
    with ProviderLoopback({"/search": echo}) as server:
        client = transport(server)
        server.script([Fault("503")])
        client.request("many", "/search", (), read_json, [("q", "a")])
        assert [(request.method, request.form["q"]) for request in server.requests] == [("POST", "a")] * 2
        client.close()


def test_what_is_private_is_in_no_error_and_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    said = b"key s3cret/key (s3cret%2Fkey) of reader@loopback.invalid"
    with ProviderLoopback({"/a": Reply(400, said), "/b": Reply(403, said)}) as server:
        client = transport(server)
        for path, form in (("/a", None), ("/a", [("q", "x")]), ("/b", None), ("/b", None)):
            with pytest.raises(AttemptError) as caught:
                client.request("many", path, [("p", "1")], read_json, form)
            shown = f"{caught.value.described} {caught.value!r}"
            assert "key … (…) of …" in shown
            assert "p=1" in shown
            assert ("q=x" in shown) is (form is not None)
            assert "s3cret" not in shown
            assert "reader" not in shown
        client.close()
    assert "s3cret" not in caplog.text
    assert "s3cret" not in repr(SERVICE)


@pytest.mark.parametrize("route", ["one", "many"])
def test_absence_and_redirects_are_answers_where_the_service_says_so(route: str) -> None:
    moved = Reply(302, b"", "", {"Location": "https://elsewhere.example/v2/a?api_key=s3cret"})
    with ProviderLoopback({"/a": moved}) as server:
        client = transport(server)
        if route == "one":
            assert client.request(route, "/none", (), read_json) is None
            assert client.request(route, "/a", (), read_json) == Redirect(moved.headers["Location"])
        else:
            with pytest.raises(AttemptError, match=r"404: There is no such record\."):
                client.request(route, "/none", (), read_json)
            with pytest.raises(AttemptError, match=r"has moved to https://elsewhere\.example/v2: correct its address$"):
                client.request(route, "/a", (), read_json)
        client.close()


def test_a_web_page_is_no_absence_and_names_the_service() -> None:
    with ProviderLoopback(missing=Reply(404, b"<!DOCTYPE html><html></html>", "text/html")) as server:
        for service in (SERVICE, XML):
            client = transport(server, service)
            with pytest.raises(AttemptError, match="something stands between us and Example"):
                client.request("one", "/none", (), read_json)
            client.close()


def test_xml_of_a_service_that_answers_in_xml_is_an_absence() -> None:
    with ProviderLoopback(missing=Reply(404, b"<?xml version='1.0'?><ERROR>no</ERROR>", "text/xml")) as server:
        client = transport(server, XML)
        assert client.request("one", "/none", (), read_json) is None
        assert server.requests[0].headers["accept"] == "application/xml"
        client.close()
        client = transport(server)
        with pytest.raises(AttemptError, match="a web page"):
            client.request("one", "/none", (), read_json)
        client.close()


def test_the_reader_gets_the_bytes_and_may_ask_again() -> None:
    bodies: list[bytes] = []

    def read(body: bytes) -> str:
        bodies.append(body)
        if len(bodies) == 1:
            raise AttemptError("200, but not yet")
        return body.decode()

    with ProviderLoopback({"/x": "<a>ü</a>"}) as server:
        client = transport(server, XML)
        assert client.request("many", "/x", (), read) == "<a>ü</a>"
        assert bodies == ["<a>ü</a>".encode()] * 2
        client.close()


def test_a_long_wait_says_how_long_and_nothing_is_sent_meanwhile() -> None:
    with ProviderLoopback() as server:
        client = transport(server, tries=5)
        server.script([Fault("429", retry_after="7200")])
        for _ in range(3):
            with pytest.raises(AttemptError) as caught:
                client.request("one", "/a", (), read_json)
            assert (caught.value.pause, caught.value.throttled) == (7200.0, True)
        assert client.requests == 1
        client.close()


def test_routes_fail_apart() -> None:
    """A route of several that fails stops alone; the others are still asked."""
    with ProviderLoopback({"/b": {}}) as server:
        client = transport(server, tries=1)
        server.script([Fault("500", times=None, when=lambda request: request.path == "/a")])
        for _ in range(5):
            with pytest.raises(AttemptError):
                client.request("one", "/a", (), read_json)
        assert client.requests == 3
        assert client.request("many", "/b", (), read_json) == {}
        client.close()
