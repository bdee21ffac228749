"""What a failed attempt becomes: the error that callers see, or one line for an answer."""

from __future__ import annotations

import pytest

from evidence.errors import RejectedError, UnavailableError
from evidence.http.failures import MAX_SHOWN_URL, AttemptError


def test_trouble_surfaces_as_what_callers_may_see() -> None:
    where = "https://api.crossref.org/works"
    with pytest.raises(RejectedError, match=r"^400: No\. \(asked https://api\.crossref\.org/works\)$"):
        AttemptError("400: No.", status=400, refused=True).at(where, 1).raise_source_error()
    with pytest.raises(UnavailableError, match=r"\(asked https://api\.crossref\.org/works, once\); run again later$"):
        AttemptError("504 (Gateway)", status=504).at(where, 1).raise_source_error()
    with pytest.raises(UnavailableError, match=r"5 times\); check the network and run again, or work .*--offline$"):
        AttemptError("no answer", fault="unreachable").at(where, 5).raise_source_error()
    with pytest.raises(UnavailableError, match="asks to wait 4000 s, run again after that"):
        AttemptError("429", status=429, pause=4000.0).at(where, 1).raise_source_error()


def test_one_line_says_what_happened_where_and_how_often() -> None:
    where = "https://api.example.org/works/1"
    assert AttemptError("400: No.", refused=True).at(where, 1).described == f"400: No. (asked {where})"
    assert AttemptError("504").at(where, 3).described == f"504 (asked {where}, 3 times)"
    assert AttemptError("504").at(where, 3).for_unsent(where).described == "504 (not asked again in this run)"
    long = AttemptError("504").at(where + "x" * 500, 1).described
    assert MAX_SHOWN_URL < len(long) < MAX_SHOWN_URL + 40


def test_a_text_is_replaced_everywhere() -> None:
    failure = AttemptError("the key is 123")
    failure.say("the key is …")
    assert (failure.text, str(failure)) == ("the key is …", "the key is …")
    assert "123" not in repr(failure)
