"""The DOIs of an export, kept out of memory."""

from __future__ import annotations

import tracemalloc

import pytest

from evidence.export.exported_dois import ExportedDois


def test_they_come_back_in_order_as_often_as_asked() -> None:
    dois = ExportedDois()
    wanted = [f"10.5555/ä-{number}" for number in range(50_000, 0, -1)]
    for doi in wanted:
        dois.add(doi)
    assert list(dois) == wanted
    assert list(dois) == wanted
    assert len(dois) == len(wanted)
    assert list(ExportedDois()) == []


@pytest.mark.slow
def test_many_take_no_more_memory_than_few() -> None:
    tracemalloc.start()
    try:
        dois = ExportedDois()
        for number in range(150_000):
            dois.add(f"10.5555/a-rather-long-identifier-of-an-article.{number}")
        assert sum(1 for _ in dois) == 150_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4_000_000
