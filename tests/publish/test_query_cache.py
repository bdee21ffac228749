"""What is kept, what is computed again, and that a change is never missed."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.publish.query_cache import DATABASES, Cache


def make(path: Path, mode: str = "delete") -> Path:
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute(f"pragma journal_mode = {mode}")
        conn.execute("create table t (x)")
    return path


def change(path: Path) -> None:
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("insert into t values (1)")


class Counter:
    """Answers 1, 2, 3, …: each time that it is asked."""

    def __init__(self, before: Callable[[], None] = lambda: None) -> None:
        self.times, self.before = 0, before

    async def __call__(self) -> int:
        self.before()
        self.times += 1
        return self.times


@pytest.mark.parametrize("mode", ["delete", "wal"])
async def test_an_answer_is_kept_until_somebody_commits(tmp_path: Path, mode: str) -> None:
    path, cache, count = make(tmp_path / "a.db", mode), Cache(), Counter()
    for expected in range(1, 6):  # at once: there is no time during which a second change would not be seen
        assert [await cache.get(path, "k", count) for _ in range(3)] == [expected] * 3
        change(path)
    assert await cache.get(path, "other", count) == 6


async def test_a_writer_that_keeps_its_connection_is_seen(tmp_path: Path) -> None:
    path, cache, count = make(tmp_path / "a.db", "wal"), Cache(), Counter()
    with closing(sqlite3.connect(path)) as conn:
        for expected in (1, 2, 3):
            assert [await cache.get(path, "k", count) for _ in range(2)] == [expected] * 2
            conn.execute("insert into t values (1)")
            assert await cache.get(path, "k", count) == expected  # not yet committed
            conn.commit()


async def test_another_file_under_the_same_name_is_a_change(tmp_path: Path) -> None:
    path, cache, count = make(tmp_path / "a.db"), Cache(), Counter()
    assert [await cache.get(path, "k", count) for _ in range(2)] == [1, 1]
    make(tmp_path / "b.db").replace(path)
    assert [await cache.get(path, "k", count) for _ in range(2)] == [2, 2]


async def test_a_missing_file_a_locked_one_and_none_are_computed_each_time(tmp_path: Path) -> None:
    cache, count = Cache(), Counter()
    locked = make(tmp_path / "locked.db")
    with closing(sqlite3.connect(locked)) as conn:
        conn.execute("begin exclusive")
        for database in (locked, tmp_path / "missing.db", None):
            assert await cache.get(database, "k", count) != await cache.get(database, "k", count)


async def test_an_answer_made_while_the_file_changed_is_not_kept(tmp_path: Path) -> None:
    path, cache = make(tmp_path / "a.db"), Cache()
    count = Counter(lambda: change(path))
    assert [await cache.get(path, "k", count) for _ in range(2)] == [1, 2]


async def test_visitors_share_one_wait(tmp_path: Path) -> None:
    path, cache = make(tmp_path / "a.db"), Cache()
    gate, times = asyncio.Event(), 0

    async def slow() -> int:
        nonlocal times
        times += 1
        await gate.wait()
        return 7

    asked = [asyncio.create_task(cache.get(path, "k", slow)) for _ in range(5)]
    await asyncio.sleep(0)
    assert await cache.get(path, "another", Counter()) == 1
    asked[0].cancel()  # the first of them goes away
    asked.append(asyncio.create_task(cache.get(path, "k", slow)))
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*asked[1:]) == [7] * 5
    assert asked[0].cancelled()
    assert times == 1
    assert await cache.get(path, "k", slow) == 7


async def test_nobody_waits_for_an_answer_of_another_state(tmp_path: Path) -> None:
    path, cache, count = make(tmp_path / "a.db"), Cache(), Counter()
    gate = asyncio.Event()

    async def before() -> int:
        await gate.wait()
        return -1

    first = asyncio.create_task(cache.get(path, "k", before))
    await asyncio.sleep(0)
    change(path)
    assert await cache.get(path, "k", count) == 1
    gate.set()
    assert await first == -1
    assert await cache.get(path, "k", count) == 1


async def test_an_error_is_everybodys_and_is_not_kept(tmp_path: Path) -> None:
    path, cache, count = make(tmp_path / "a.db"), Cache(), Counter()

    async def fails() -> int:
        await asyncio.sleep(0)
        raise ValueError("no")

    said = await asyncio.gather(*(cache.get(path, "k", fails) for _ in range(3)), return_exceptions=True)
    assert [str(error) for error in said] == ["no"] * 3
    assert await cache.get(path, "k", count) == 1


def test_what_another_event_loop_left_is_computed_again(tmp_path: Path) -> None:
    path, cache, count = make(tmp_path / "a.db"), Cache(), Counter()

    async def leave() -> None:
        asking = asyncio.create_task(cache.get(path, "k", asyncio.Event().wait))
        await asyncio.sleep(0)
        asking.cancel()

    asyncio.run(leave())
    assert [asyncio.run(cache.get(path, "k", count)) for _ in range(2)] == [1, 1]


async def test_few_files_are_held_open(tmp_path: Path) -> None:
    cache, count = Cache(), Counter()
    paths = [make(tmp_path / f"{n}.db") for n in range(DATABASES + 3)]
    first = [await cache.get(path, "k", count) for path in paths]
    assert len(cache._watched) == DATABASES
    change(paths[0])
    assert await cache.get(paths[0], "k", count) > max(first)
    assert await cache.get(paths[-1], "k", count) == first[-1]


@given(st.lists(st.integers(0, 8), max_size=40), st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_it_never_holds_more_than_its_size_nor_a_wrong_answer(
    tmp_path_factory: pytest.TempPathFactory, keys: list[int], size: int
) -> None:
    cache, path = Cache(size), make(tmp_path_factory.mktemp("cache") / "a.db")

    async def walk() -> None:
        for key in keys:

            async def square(key: int = key) -> int:
                return key * key

            assert await cache.get(path, key, square) == key * key
            assert len(cache._answers) <= size

    asyncio.run(walk())
