"""Bodies of responses on bytes alone: JSON that can be stored, what a failure says, web pages."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.http import json_body
from evidence.http.failures import AttemptError


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (rb"\ud83d\ude00", "😀"),
        (rb"cut \ud83d", "cut \ufffd"),
        (rb"\ude00 cut", "\ufffd cut"),
        (rb"\uD83D\uD83D\uDE00", "\ufffd😀"),
        (rb"\\ud83d", "\\ud83d"),
        (rb"\\\ud83d", "\\\ufffd"),
        (rb"\u00e9 \/ \"", 'é / "'),
        (b"\xe9t\xc3\xa9", "\ufffdté"),
        (b"\xed\xa0\x80", "\ufffd\ufffd\ufffd"),
    ],
)
def test_half_characters_are_marked_and_the_rest_kept(sent: bytes, read: str) -> None:
    assert json_body.parse_json(b'{"title":["' + sent + b'"]}') == {"title": [read]}
    assert read.encode()


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (b"[NaN, Infinity, -Infinity, 1e999, 1.5]", [None, None, None, None, 1.5]),
        (b"[" + b"9" * 5000 + b", 7]", ["9" * 5000, 7]),
        (b"[9223372036854775808]", [2**63]),
        (b'["\\ud83d", "\xff", "\\ud83d\\ude00"]', ["\ufffd", "\ufffd", "\U0001f600"]),
    ],
)
def test_what_json_cannot_say_costs_its_place_only(sent: bytes, read: Any) -> None:
    assert json_body.parse_json(sent) == read


def test_what_is_nested_too_deep_is_kept_as_its_text() -> None:
    deep = b"[" * 5000 + b'"]\\""' + b"]" * 5000
    first, second = json_body.parse_json(b'[{"a": ' + deep + b'}, {"b": 1}]')
    assert second == {"b": 1}
    levels, inside = 0, first["a"]
    while isinstance(inside, list):
        levels, inside = levels + 1, inside[0]
    assert levels == json_body.MAX_DEPTH - 2
    assert "[" * levels + inside + "]" * levels == deep.decode()


NUMBERS = st.one_of(
    st.integers(),
    st.integers(2**63 - 2, 2**64 + 2),
    st.integers(-(2**63) - 2, -(2**63) + 2),
    st.floats(),
    st.sampled_from([10**18, 10**19, 10**30, -0.0, 1e22, 5e-324]),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, st.text(), st.text("0123456789", min_size=15, max_size=25)),
    lambda inside: st.lists(inside) | st.dictionaries(st.text(max_size=3), inside),
)


@settings(max_examples=400, deadline=None)
@given(VALUES, st.booleans(), st.integers(0, 600), st.integers(0), st.binary(max_size=2))
def test_the_quick_reader_reads_what_the_careful_one_reads(
    value: Any, escaped: bool, levels: int, place: int, odd: bytes
) -> None:
    """Nested so deep, and with some bytes in any place."""
    body = b"[" * levels + json.dumps(value, ensure_ascii=escaped).encode(errors="surrogatepass") + b"]" * levels
    place %= len(body) + 1
    for sent in (body, body[:place] + odd + body[place:]):
        try:
            expected = json_body._parsed_with_care(sent)
        except (ValueError, RecursionError) as error:
            with pytest.raises(type(error)):
                json_body.parse_json(sent)
        else:
            # The texts tell 1 from 1.0 and from true.
            assert repr(json_body.parse_json(sent)) == repr(expected)


def test_digits_in_a_text_do_not_call_for_the_careful_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the keys of references that Crossref makes."""
    monkeypatch.setattr(json_body, "_parsed_with_care", lambda _: pytest.fail("it is slower"))
    record = {"key": "2023030208482955500_10.1000/1-R1", "n": 2**59, "year": [[2020, 1]], "f": 0.1234567890123456789}
    assert json_body.parse_json(json.dumps({"reference": [record] * 300}).encode()) == {"reference": [record] * 300}


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b" \n", "empty"),
        (b"<p>Log in", "a web page"),
        (b'{"id": "W1', "cut short or not JSON"),
        (b"[" * 100_000, "cut short or not JSON"),
    ],
)
def test_what_is_no_json_is_a_failure_of_the_server(sent: bytes, words: str) -> None:
    with pytest.raises(AttemptError, match=f"^200, but the answer is {words}$") as caught:
        json_body.read_json(sent)
    assert (caught.value.fault, caught.value.refused) == ("unreadable", False)


@pytest.mark.parametrize(
    ("sent", "page", "page_among_xml"),
    [
        (b"\xef\xbb\xbf\r\n <!DOCTYPE html><p>", True, True),
        (b"<HTML lang='en'>", True, True),
        (b'<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "">', True, True),
        (b'<?xml version="1.0"?>\n<!DOCTYPE PubmedArticleSet>', True, False),
        (b"<ERROR>no such id</ERROR>", True, False),
        (b"<htmlish/>", True, False),
        (b'{"message": "<html>"}', False, False),
        (b"", False, False),
    ],
)
def test_web_pages(sent: bytes, page: bool, page_among_xml: bool) -> None:
    assert json_body.is_web_page(sent) is page
    assert json_body.is_web_page(sent, xml=True) is page_among_xml


@settings(max_examples=200)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_have_a_text_and_are_a_page_or_not(sent: bytes) -> None:
    assert 0 < len(json_body.error_text(sent)) <= json_body.MAX_ERROR_TEXT
    json_body.is_web_page(sent)
    json_body.is_web_page(sent, xml=True)


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b'{"message":[{"type":"a","value":"b","message":"First."},{"message":"Second. "}]}', "First.; Second."),
        (b'{"message":{"name":"class X","description":"X: it broke","stack":["a"]}}', "X: it broke"),
        (b'{"message":{"message":"it broke"}}', "it broke"),
        (b'{"message":"slow down"}', "slow down"),
        (b'{"errors":[{"status":"404","title":"Not there."}]}', "Not there."),
        (b'{"error":"Spent","message":"Wait an hour."}', "Wait an hour."),
        (b'{"detail":{"code":7}}', "{'code': 7}"),
        (b"[1]", "[1]"),
        (b'"no"', '"no"'),
        (b"Resource not found.", "Resource not found."),
        (b"<html>\n<head><title>504 Gateway</title></head>\n<h1>504 Gateway</h1></html>", "504 Gateway 504 Gateway"),
        (b"", "no message"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"x" * 10_000, "x" * 600),
    ],
)
def test_the_servers_own_words(sent: bytes, words: str) -> None:
    assert json_body.error_text(sent) == words
