"""Many works or records, read and judged by several processes: one process uses one core.

Each is a fresh interpreter that loads the same taxonomy and answers through its pipes. It gets texts or records and gives
judgements; it opens no database, as that has one writer. What none has begun when its answer is needed is answered here, and so
is what one leaves unanswered, because it could not start or was killed: that changes nothing. A process ends when its pipe is
closed, so none outlives a killed run.

May not open a database.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any, TypeVar

from evidence.crossref.entries_of_files import Accepts, LookedAt, RawLine, Unreadable, look_and_write
from evidence.data_model import Doi, RecordText, Work
from evidence.harvest.judge_records import Made, RecordToJudge, make
from evidence.harvest.read_record import Told, tell
from evidence.harvest.sources import Search
from evidence.harvest.standing_searches import expected_queries
from evidence.rules import taxonomy as taxonomies
from evidence.rules.judge import PartialJudgement, judge_changed_values
from evidence.rules.taxonomy import SCREEN, Taxonomy, TouchedTexts, ValueKey

FROM_WORKS = 5_000
"""Works from which other processes are started for reading a few values again: for fewer, starting them takes as long."""
FROM_RECORDS = 500
"""The same for records that are judged whole, which takes some times as long for each."""
MOST_PROCESSES = 8
CHUNK = 100
"""Works a question."""
GC_EVERY = 250_000
"""Objects made before a collection is tried (Python's own: 700)."""

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")
Item = TypeVar("Item")
JudgedText = tuple[Doi, str | None, str | None]
JudgedWork = tuple[Work, str, str]
"""A work, its verdict and why it has it."""

_SIZE = 8
"""Bytes before each value in a pipe, which say how long it is."""
_SERVE = "from evidence.harvest.reader_processes import serve; serve()"


def reduce_garbage_collection() -> None:
    """For a run over many works: the rules' objects live as long as the program, and records have no cycles, so collecting
    every few pages is wasted time."""
    gc.freeze()
    gc.set_threshold(GC_EVERY)


class Reader:
    """What can be asked: to look at lines of files and judge records, and what is to be known of works after an edit of rules.
    `before` are the marks of the values before it, `searches` those that the lines are looked at for."""

    def __init__(
        self, taxonomy: Taxonomy, before: Mapping[ValueKey, str] | None = None, searches: Sequence[Search] = ()
    ) -> None:
        self.taxonomy = taxonomy
        self.before = before or {}
        self.searches = searches
        self.accepts = [question.accepts for question in expected_queries(searches)]

    @cached_property
    def changed(self) -> frozenset[ValueKey]:
        """The values that the edit changed."""
        return self.taxonomy.values_changed_since(self.before)

    @cached_property
    def screening(self) -> bool:
        """Whether screening rules are among them."""
        return any(facet == SCREEN for facet, _ in self.changed)

    @cached_property
    def _texts(self) -> TouchedTexts:
        return TouchedTexts(self.changed, self.before, self.taxonomy.value_marks)

    def made(self, records: Sequence[RecordToJudge]) -> list[Made]:
        """What is made of each of these records."""
        return [make(record, self.taxonomy) for record in records]

    def looked(self, lines: Sequence[tuple[RawLine, bool]]) -> list[list[LookedAt | Unreadable]]:
        """What is in each of these lines; with each, whether every record is wanted."""
        return [look_and_write(line, self.accepts, everything) for line, everything in lines]

    def told(self, records: Sequence[tuple[RecordText, bool]]) -> list[Told]:
        """What each of these records says, and what is made of those that are new."""
        return [tell(record, new, self.taxonomy) for record, new in records]

    def touched(self, works: Sequence[JudgedText]) -> list[Doi]:
        """Those of these works (DOI, title, abstract) whose judgement may be another now."""
        return [doi for doi, title, abstract in works if self.screening or self._texts.touched(title, abstract)]

    def judged(self, works: Sequence[JudgedWork]) -> list[PartialJudgement | None]:
        """For each of these works what is made of it now; None where its verdict may change."""
        return [judge_changed_values(work, verdict, why, self.taxonomy, self.changed) for work, verdict, why in works]


class Readers:
    """A reader in this process, and with `processes` others that do its work."""

    def __init__(self, here: Reader, processes: int) -> None:
        self.here = here
        self.others = processes
        self._idle: SimpleQueue[_Process | None] = SimpleQueue()
        for _ in range(processes):
            self._idle.put(_Process(here))
        # A thread for each process writes the question and waits for the answer.
        self._threads = ThreadPoolExecutor(processes) if processes else None

    def ask(
        self, question: Callable[[Reader, Sequence[Asked]], list[Answer]], works: Sequence[Asked]
    ) -> Callable[[], list[Answer]]:
        """Ask this method of `Reader` about works. Call the result for the answers, in the order of the works: other
        processes read meanwhile."""
        if self._threads is None:
            return partial(question, self.here, works)
        parts = [works[start : start + CHUNK] for start in range(0, len(works), CHUNK)]
        asked = [(part, self._threads.submit(self._answer, question, part)) for part in parts]

        def answers() -> list[Answer]:
            # From the end: the first were begun first.
            here = {
                number: question(self.here, part)
                for number, (part, answer) in reversed(list(enumerate(asked)))
                if answer.cancel()
            }
            found = (here[number] if number in here else answer.result() for number, (_, answer) in enumerate(asked))
            return list(chain.from_iterable(found))

        return answers

    def _answer(
        self, question: Callable[[Reader, Sequence[Asked]], list[Answer]], works: Sequence[Asked]
    ) -> list[Answer]:
        process = self._idle.get()
        try:
            if process is not None:
                try:
                    return process.answer(question, works)
                except (OSError, EOFError, pickle.PickleError):
                    process.close()
                    process = None
            return question(self.here, works)
        finally:
            self._idle.put(process)

    def close(self) -> None:
        """End the other processes."""
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
        while not self._idle.empty():
            if process := self._idle.get():
                process.close()


def ahead(items: Iterable[Item]) -> Iterator[Item]:
    """The same items, of which the next is always made before one is given: other processes work on it meanwhile."""
    made: deque[Item] = deque()
    for item in items:
        made.append(item)
        if len(made) > 1:
            yield made.popleft()
    yield from made


@contextmanager
def readers(taxonomy: Taxonomy, before: Mapping[ValueKey, str] | None, works: int) -> Iterator[Readers]:
    """The readers for so many works: other processes only where these save more time than it takes to start them. `before` is
    None for whole records."""
    many = works >= (FROM_RECORDS if before is None else FROM_WORKS)
    opened = Readers(Reader(taxonomy, before), _processes() if many else 0)
    try:
        yield opened
    finally:
        opened.close()


class RecordReaders:
    """The readers for the records of files: other processes are started when many records are asked about at once, and end with
    `close`."""

    def __init__(self, taxonomy: Taxonomy, searches: Sequence[Search] = ()) -> None:
        self._here = Reader(taxonomy, None, searches)
        self._alone = Readers(self._here, 0)
        self._opened: Readers | None = None

    def __enter__(self) -> RecordReaders:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def running(self) -> bool:
        """Whether other processes have been started."""
        return self._opened is not None

    @property
    def accepts(self) -> Sequence[Accepts]:
        """The searches that lines are looked at for."""
        return self._here.accepts

    def for_records(self, count: int) -> Readers:
        """The readers to ask about so many records."""
        if self._opened is None and count >= FROM_RECORDS:
            self._opened = Readers(self._here, _processes())
        return self._opened or self._alone

    def close(self) -> None:
        """End the other processes, if there are any; they are started again when they are needed."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None


def _processes() -> int:
    """How many other processes are worth it: one for each core but this process's own."""
    return min(cores() - 1, MOST_PROCESSES)


def cores() -> int:
    """How many cores this program may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Process:
    """Another interpreter that answers questions. It is told the rules with the first question."""

    def __init__(self, here: Reader) -> None:
        self._rules: Any = (here.taxonomy.topic, here.taxonomy.digest, here.before, here.searches)
        path = os.pathsep.join(folder or str(Path.cwd()) for folder in sys.path)  # as this process finds modules
        self._process = subprocess.Popen(  # noqa: S603 (our own interpreter)
            [sys.executable, "-P", "-c", _SERVE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path},
        )

    def answer(
        self, question: Callable[[Reader, Sequence[Asked]], list[Answer]], works: Sequence[Asked]
    ) -> list[Answer]:
        """The answer; OSError or EOFError when the process has ended."""
        asks, tells = self._process.stdin, self._process.stdout
        assert asks is not None and tells is not None  # noqa: S101 (both are pipes)
        if self._rules is not None:
            _send(asks, self._rules)
            self._rules = None
        _send(asks, (question.__name__, works))
        found: list[Answer] = _receive(tells)
        return found

    def close(self) -> None:
        """End the process: it ends by itself when its pipes are closed."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:  # it has ended, and something was still to be written
                    continue
        self._process.wait()


def _send(pipe: IO[bytes], value: object) -> None:
    """Send a value at once: what is written bit by bit waits for the interpreter's lock each time."""
    data = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.write(len(data).to_bytes(_SIZE))
    pipe.write(data)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> Any:
    """The next value that the other side sends; EOFError when it has ended."""
    size = int.from_bytes(pipe.read(_SIZE))
    data = pipe.read(size)
    if not size or len(data) < size:
        raise EOFError
    return pickle.loads(data)  # noqa: S301 (our own process)


def serve() -> None:
    """Answer the questions that come by standard input until it is closed: what another process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the run that asks, and with it this process
    # With PYTHONUNBUFFERED, what Python has opened loses the rest of an answer when the process is suspended while it writes.
    asked, told = sys.stdin.buffer, open(sys.stdout.fileno(), "wb", closefd=False)  # noqa: SIM115 - open until the end
    sys.stdout = sys.stderr  # nothing but answers goes into the pipe
    topic, digest, before, searches = _receive(asked)
    taxonomy = taxonomies.load(topic)
    if taxonomy.digest != digest:  # the files have been edited since
        return
    reader = Reader(taxonomy, before, searches)
    reduce_garbage_collection()
    while True:
        try:
            question, works = _receive(asked)
        except EOFError:
            return
        _send(told, getattr(reader, question)(works))
        del works  # not kept while nothing is asked
