"""What an answer of Crossref means, on bytes alone: bodies read or refused, records checked, redirects understood."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.crossref import responses
from evidence.crossref.responses import ShortPageError
from evidence.data_model import Page
from evidence.http.failures import AttemptError


def body(message: Any, status: str = "ok") -> bytes:
    return json.dumps({"status": status, "message-type": "work", "message": message}).encode()


def test_an_envelope_is_opened() -> None:
    assert responses.parse_message(body({"DOI": "10.5555/a"})) == {"DOI": "10.5555/a"}
    assert responses.parse_message(b"\xef\xbb\xbf" + body({"DOI": "10.5555/ä"})) == {"DOI": "10.5555/ä"}
    assert responses.parse_message(b'{"message":{}}') == {}


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"<!DOCTYPE html><p>Hello", "a web page"),
        (b"\xef\xbb\xbf\r\n <html>", "a web page"),
        (b'{"status":"ok","message":{"items":[{"DOI":"10.5', "cut short or not JSON"),
        (b"\xff\xfe\x00", "cut short or not JSON"),
        (b'{"message":' + b"[" * 100_000, "cut short or not JSON"),
        (b"null", "not Crossref's"),
        (b"[1, 2]", "not Crossref's"),
        (b'{"DOI": "10.5555/a"}', "not Crossref's"),
        (b'{"status":"failed","message":[{"message":"No."}]}', r"not Crossref's \(No\.\)"),
    ],
)
def test_what_is_no_answer(sent: bytes, words: str) -> None:
    with pytest.raises(AttemptError, match=f"^200, but the answer is {words}") as caught:
        responses.parse_message(sent)
    assert not caught.value.refused


@settings(max_examples=200)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_read_or_refused(sent: bytes) -> None:
    """Nothing but `AttemptError` leaves the reading of a body."""
    try:
        message = responses.parse_message(sent)
        responses.parse_page(1, message)
        responses.parse_record("10.5555/a", message)
    except AttemptError as trouble:
        assert trouble.text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["message", "items", "total-results", "DOI", "agency", "label", "id", "status"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.slow
@settings(max_examples=200)
@given(JSON)
def test_any_json_is_read_or_refused(value: Any) -> None:
    for read in (
        lambda: responses.parse_message(json.dumps(value).encode()),
        lambda: responses.parse_page(20, value),
        lambda: responses.parse_record("10.5555/a", value),
        lambda: responses.parse_agency("10.5555/a", value),
    ):
        try:
            read()
        except AttemptError as trouble:
            assert trouble.text


def test_pages() -> None:
    items = [{"DOI": "10.5555/a"}, {"DOI": "10.5555/b"}]
    page = responses.parse_page(2, {"items": items, "total-results": 7, "facets": {}})
    assert (page.items, page.total, page.complete) == (tuple(items), 7, False)
    assert responses.parse_page(20, {"items": items, "total-results": 2}).complete
    assert responses.parse_page(20, {"items": [], "total-results": 0}).complete
    assert responses.parse_page(0, {"items": [], "total-results": 9}).total == 9
    assert responses.parse_page(0, {"items": items, "total-results": 9}).complete is False
    # More items than results is the server's arithmetic, not a page that holds rows back.
    assert responses.parse_page(20, {"items": items, "total-results": 1}).total == 2


def test_short_pages_are_trouble_that_keeps_what_it_has() -> None:
    items = [{"DOI": "10.5555/a"}, {"DOI": "10.5555/b"}]
    with pytest.raises(ShortPageError, match="2 works on a page where 5 are due") as caught:
        responses.parse_page(5, {"items": items, "total-results": 7})
    assert caught.value.page == Page(tuple(items), 7)
    assert caught.value.tries == 2
    with pytest.raises(AttemptError, match="0 works on a page where 5 are due") as empty:
        responses.parse_page(5, {"items": [], "total-results": 7})
    assert not isinstance(empty.value, ShortPageError)
    assert empty.value.tries is None


def test_an_item_that_is_no_object_does_not_cost_the_page() -> None:
    items: list[Any] = [{"DOI": "10.5555/a"}, None, "10.5555/b", []]
    assert list(responses.parse_page(4, {"items": items, "total-results": 4}).items) == items


@pytest.mark.parametrize(
    "message",
    [
        None,
        [],
        {},
        {"items": []},
        {"items": None, "total-results": 0},
        {"items": [], "total-results": None},
        {"items": [], "total-results": "0"},
        {"items": [], "total-results": True},
        {"items": [], "total-results": -1},
        {"items": [], "total-results": 2**63},
        {"items": {"DOI": "10.5555/a"}, "total-results": 1},
    ],
)
def test_no_pages(message: Any) -> None:
    with pytest.raises(AttemptError, match="no list of works"):
        responses.parse_page(20, message)


def test_records_are_checked_against_the_question() -> None:
    assert responses.parse_record("10.5555/a", {"DOI": "10.5555/A"}) == {"DOI": "10.5555/A"}
    with pytest.raises(AttemptError, match=r"another work \(10.5555/B instead of 10.5555/a\)"):
        responses.parse_record("10.5555/a", {"DOI": "10.5555/B"})
    nothing: tuple[Any, ...] = (None, {}, {"DOI": None}, {"DOI": ["10.5555/a"]}, [])
    for message in nothing:
        with pytest.raises(AttemptError, match="no work"):
            responses.parse_record("10.5555/a", message)


def test_agencies_are_named_by_label_else_by_id() -> None:
    both = {"DOI": "10.5555/A", "agency": {"id": "datacite", "label": "DataCite"}}
    assert responses.parse_agency("10.5555/a", both) == "DataCite"
    assert responses.parse_agency("10.5555/a", {"DOI": "10.5555/a", "agency": {"id": "istic"}}) == "istic"
    with pytest.raises(AttemptError, match="another DOI"):
        responses.parse_agency("10.5555/b", both)
    nameless: tuple[Any, ...] = (
        None,
        {},
        {"agency": None},
        {"agency": {}},
        {"agency": "crossref"},
        {"agency": {"label": 1}},
    )
    for message in nameless:
        with pytest.raises(AttemptError, match="no agency"):
            responses.parse_agency("10.5555/a", message)


@pytest.mark.parametrize(
    ("location", "below", "doi"),
    [
        ("/works/10.26434/chemrxiv.5406907.v5", "", "10.26434/chemrxiv.5406907.v5"),
        ("/works/10.26434%2Fchemrxiv.5406907.v5", "", "10.26434/chemrxiv.5406907.v5"),
        ("https://api.crossref.org:443/v1/works/10.5555/A", "", "10.5555/a"),
        ("/works/10.5555/a#b?c=d%20e", "", "10.5555/a#b?c=d%20e"),
        ("/works/10.5555%2Fa%23b%3Fc", "", "10.5555/a#b?c"),
        ("/works/10.5555/a?mailto=reader%40loopback.invalid", "", "10.5555/a"),
        ("/works/10.5555/a/agency", "/agency", "10.5555/a"),
        ("/works/10.5555/a/agency", "", "10.5555/a/agency"),
        ("/works/10.1234.5/a/works/b", "", "10.1234.5/a/works/b"),
    ],
)
def test_where_a_redirect_points(location: str, below: str, doi: str) -> None:
    assert responses.redirect_target(location, below) == doi


@pytest.mark.parametrize(
    "location", ["", "/", "/works", "/works/", "/works/10.5555", "/works/x/y", "https://login.invalid/?to=1"]
)
def test_redirects_to_no_work(location: str) -> None:
    with pytest.raises(AttemptError, match="which is no work"):
        responses.redirect_target(location, "")


def test_when_a_record_was_indexed() -> None:
    record = {"indexed": {"date-time": "2026-11-01T00:00:00Z"}}
    assert responses.indexed_since(record, "2026-11-01")
    assert responses.indexed_since(record, "2026-10")
    assert not responses.indexed_since(record, "2026-11-02")
    for silent in ({}, {"indexed": None}, {"indexed": {"date-parts": [[2020, 1, 1]]}}, {"indexed": "2020-01-01"}):
        assert responses.indexed_since(silent, "2026-11-02")
