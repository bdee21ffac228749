"""The parts of Crossref's public data file, scanned by several processes, each with its own interpreter; given back in order.

A process that is killed takes its part with it: the others are started again, and the parts that are missing are scanned once
more. A part that ends the processes each time is scanned here. A process ends with the program that started it, however that
ended.

May not open a database.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait

from evidence.crossref.public_data_file import Part
from evidence.harvest.reader_processes import reduce_garbage_collection
from evidence.harvest.scan_parts import ScannedPart, Scanner, Wanted

AHEAD = 3
"""Parts for each process that are given out before the first of them is back: a slow one does not stop the others."""

TRIES = 3
"""How often a part that ended the processes is given to new ones."""

_scanner: Scanner | None = None


def scanned_in_order(parts: Sequence[Part], wanted: Wanted, workers: int) -> Generator[tuple[Part, ScannedPart]]:
    """The parts with what each holds, in their order, scanned by so many processes."""
    if workers == 1 or len(parts) < 2:
        here = Scanner(wanted)
        for part in parts:
            yield part, here.scan(part)
        return
    left, tries = deque(parts), 0
    while left:
        before = len(left)
        try:
            yield from _by_one_pool(left, wanted, min(workers, len(left)))
        except BrokenProcessPool:
            tries = 1 if len(left) < before else tries + 1
        if left and tries >= TRIES:
            part = left.popleft()
            tries = 0
            yield part, Scanner(wanted).scan(part)


def _by_one_pool(left: deque[Part], wanted: Wanted, workers: int) -> Iterator[tuple[Part, ScannedPart]]:
    """The same, until a process is killed. What was given back is removed from `left`."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(wanted,))
    try:
        given: deque[Future[ScannedPart]] = deque()
        while left:
            while len(given) < min(len(left), workers * AHEAD):
                given.append(pool.submit(scan_in_process, left[len(given)]))
            scanned = given.popleft().result()
            yield left.popleft(), scanned
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin(wanted: Wanted) -> None:
    """What a process does first. Ctrl-C ends the program that asks, and with it this one."""
    global _scanner
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _scanner = Scanner(wanted)
    reduce_garbage_collection()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def scan_in_process(part: Part) -> ScannedPart:
    """What a process of the pool does with a part."""
    assert _scanner is not None  # noqa: S101 - `_begin` came first
    return _scanner.scan(part)
