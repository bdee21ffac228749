"""What lives as long as the server is not looked at by garbage collection, which would delay some request."""

from __future__ import annotations

import gc
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from evidence.publish import vocabulary
from tests.module_from_file import module_from_file

PLUGIN = Path(__file__).parents[2] / "datasette" / "plugins" / "garbage_collection.py"


@pytest.fixture
def plugin() -> Iterator[Any]:
    yield module_from_file(PLUGIN)
    gc.unfreeze()


def test_what_is_made_at_the_start_is_frozen_once(plugin: Any) -> None:
    gc.unfreeze()
    before = [[number] for number in range(1_000)]
    plugin.startup()
    frozen = gc.get_freeze_count()
    assert frozen > len(before)
    later = [[number] for number in range(1_000)]
    plugin.startup()  # another server in this process, as in tests
    assert gc.get_freeze_count() == frozen
    assert later


def test_words_of_a_search_are_no_objects_for_garbage_collection() -> None:
    with closing(sqlite3.connect(":memory:")) as conn:
        conn.execute("create table works (title, authors, container)")
        titles = [(f"Therapy{number} therapies{number}",) for number in range(100)]
        conn.executemany("insert into works (title) values (?)", titles)
        words = vocabulary.read(conn)
    gc.collect()
    assert len(words.by_form) >= len(titles)
    assert not any(map(gc.is_tracked, words.by_form.values()))
