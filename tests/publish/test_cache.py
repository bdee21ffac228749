"""What is kept, what is asked again, and that a change is never missed."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.publish.cache import SETTLED_NS, Memory, stamp_of


def settle(path: Path) -> None:
    """Make the last write look old enough."""
    for file in (path, Path(f"{path}-wal")):
        if file.exists():
            old = file.stat().st_mtime_ns - 2 * SETTLED_NS
            os.utime(file, ns=(old, old))


class Asked:
    def __init__(self) -> None:
        self.times = 0

    async def __call__(self) -> int:
        self.times += 1
        return self.times


async def test_an_answer_is_kept_until_the_file_changes(tmp_path: Path) -> None:
    path, memory, ask = tmp_path / "a.db", Memory(), Asked()
    path.write_bytes(b"one")
    settle(path)
    assert [await memory.get(path, "k", ask) for _ in range(3)] == [1, 1, 1]
    path.write_bytes(b"two")
    settle(path)
    assert [await memory.get(path, "k", ask) for _ in range(3)] == [2, 2, 2]
    assert await memory.get(path, "other", ask) == 3


async def test_a_write_to_the_log_is_a_change(tmp_path: Path) -> None:
    path, memory, ask = tmp_path / "a.db", Memory(), Asked()
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("pragma journal_mode = wal")
        conn.execute("create table t (x)")
        conn.commit()
        settle(path)
        before = stamp_of(path)
        assert [await memory.get(path, "k", ask) for _ in range(2)] == [1, 1]
        conn.execute("insert into t values (1)")
        conn.commit()
        assert stamp_of(path) != before
        assert await memory.get(path, "k", ask) == 2


async def test_a_fresh_file_a_missing_one_and_none_are_asked_each_time(tmp_path: Path) -> None:
    memory, ask = Memory(), Asked()
    fresh = tmp_path / "fresh.db"
    fresh.write_bytes(b"now")
    for database in (fresh, tmp_path / "missing.db", None):
        assert await memory.get(database, "k", ask) != await memory.get(database, "k", ask)


async def test_an_answer_made_while_the_file_changed_is_not_kept(tmp_path: Path) -> None:
    path, memory, ask = tmp_path / "a.db", Memory(), Asked()
    path.write_bytes(b"one")
    settle(path)

    async def slow() -> int:
        path.write_bytes(b"longer")
        settle(path)
        return await ask()

    assert await memory.get(path, "k", slow) == 1
    assert await memory.get(path, "k", ask) == 2


async def test_visitors_share_one_wait(tmp_path: Path) -> None:
    path, memory = tmp_path / "a.db", Memory()
    path.write_bytes(b"one")
    settle(path)
    gate, times = asyncio.Event(), 0

    async def slow() -> int:
        nonlocal times
        times += 1
        await gate.wait()
        return 7

    async def other() -> int:
        return 8

    asked = [asyncio.create_task(memory.get(path, "k", slow)) for _ in range(5)]
    await asyncio.sleep(0)
    assert await memory.get(path, "another", other) == 8
    asked[0].cancel()  # the first of them goes away
    asked.append(asyncio.create_task(memory.get(path, "k", slow)))
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*asked[1:]) == [7] * 5
    assert asked[0].cancelled()
    assert times == 1
    assert await memory.get(path, "k", slow) == 7
    assert memory._under_way == {}


async def test_nobody_waits_for_an_answer_of_another_state(tmp_path: Path) -> None:
    path, memory, ask = tmp_path / "a.db", Memory(), Asked()
    path.write_bytes(b"one")
    settle(path)
    gate = asyncio.Event()

    async def before() -> int:
        await gate.wait()
        return -1

    first = asyncio.create_task(memory.get(path, "k", before))
    await asyncio.sleep(0)
    path.write_bytes(b"longer")
    settle(path)
    assert await memory.get(path, "k", ask) == 1
    gate.set()
    assert await first == -1
    assert await memory.get(path, "k", ask) == 1


async def test_an_error_is_everybodys_and_is_not_kept(tmp_path: Path) -> None:
    path, memory, ask = tmp_path / "a.db", Memory(), Asked()
    path.write_bytes(b"one")
    settle(path)

    async def fails() -> int:
        await asyncio.sleep(0)
        raise ValueError("no")

    said = await asyncio.gather(*(memory.get(path, "k", fails) for _ in range(3)), return_exceptions=True)
    assert [str(error) for error in said] == ["no"] * 3
    assert await memory.get(path, "k", ask) == 1


@given(st.lists(st.integers(0, 8), max_size=40), st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_it_never_holds_more_than_its_size_nor_a_wrong_answer(keys: list[int], size: int) -> None:
    memory = Memory(size)
    path = Path(__file__)  # any file that is old enough

    async def walk() -> None:
        for key in keys:

            async def make(key: int = key) -> int:
                return key * key

            assert await memory.get(path, key, make) == key * key
            assert len(memory._kept) <= size

    asyncio.run(walk())
