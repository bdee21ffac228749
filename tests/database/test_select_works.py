"""What `--query` looks for."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.database.select_works import full_text_query
from evidence.errors import ConfigError

TEXT = "Grief in interpersonal psychotherapy: IPT-A or not"


def found(query: str, text: str = TEXT) -> bool:
    with closing(sqlite3.connect(":memory:")) as conn:
        conn.execute('create virtual table t using fts5 (x, tokenize="porter unicode61 remove_diacritics 2")')
        conn.execute("insert into t values (?)", (text,))
        return bool(conn.execute("select 1 from t where t match ?", (full_text_query(query),)).fetchall())


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("grief", True), ("not psychotherapy", True), ("IPT-A", True), ("grief NOT psychotherapy", True), ("grief x", False),
        ("psychotherapy interpersonal", True), ('"interpersonal psychotherapy"', True), ('"psychotherapy interpersonal"', False),
        ('grief "interpersonal\npsychotherapy"', True), ('"interpersonal psychotherapy', True), ("grief —", True),
        ('grief ""', True),
    ],
)  # fmt: skip
def test_words_and_phrases_are_looked_for(query: str, expected: bool) -> None:
    assert found(query) == expected


@given(st.text(alphabet=st.one_of(st.sampled_from('ab "*()^:-+\n\0'), st.characters())))
def test_any_text_is_a_query_or_refused(text: str) -> None:
    try:
        found(text)
    except ConfigError as error:
        assert "there is no word in it" in str(error)
