"""Other processes that read works: their answers are those of this process, and a process that fails costs no answer."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from evidence.data_model import Doi, Work
from evidence.harvest import reader_processes
from evidence.harvest.reader_processes import Reader, Readers
from evidence.rules.taxonomy import Taxonomy
from tests.edited_topic import add, edited

TITLE = "Interpersonal psychotherapy for depressed adolescents: a randomised trial"
ABSTRACT = "METHODS: 48 adolescents had group therapy or usual care. RESULTS: Depressive symptoms fell."
WORKS = [
    (Work(Doi(f"10.5555/{number}"), title=TITLE, abstract=ABSTRACT if number % 3 else None), "include", "It is.")
    for number in range(40)
]
TEXTS = [(work.doi, work.title, work.abstract) for work, _, _ in WORKS]


@pytest.fixture(autouse=True)
def small_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_processes, "CHUNK", 7)


@pytest.fixture(scope="module")
def after(tmp_path_factory: pytest.TempPathFactory) -> Taxonomy:
    """The bundled taxonomy with another word for a value."""
    return edited(tmp_path_factory.mktemp("rules") / "topic", format=add("group", "words", "usual care"))


@pytest.fixture
def opened(after: Taxonomy, book: Taxonomy) -> Any:
    """Two other processes."""
    opened = Readers(Reader(after, book.value_marks), 2)
    yield opened
    opened.close()


def asked_here(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many works each question had that this process answered: filled from now on."""
    counts: list[int] = []

    def counted(question: Callable[..., Any]) -> Callable[..., Any]:
        def ask(reader: Reader, works: Any) -> Any:
            counts.append(len(works))
            return question(reader, works)

        ask.__name__ = question.__name__
        return ask

    for question in (Reader.touched, Reader.judged):
        monkeypatch.setattr(Reader, question.__name__, counted(question))
    return counts


def answers_begun(monkeypatch: pytest.MonkeyPatch, go_on: Callable[[], bool] = lambda: True) -> threading.Semaphore:
    """Is released for each question that a process has begun to answer, which goes on when `go_on` says so."""
    begun = threading.Semaphore(0)
    answer = reader_processes._Process.answer

    def counted(process: Any, question: Any, works: Any) -> Any:
        begun.release()
        deadline = time.monotonic() + 60
        while not go_on():
            assert time.monotonic() < deadline
            time.sleep(0.001)
        return answer(process, question, works)

    monkeypatch.setattr(reader_processes._Process, "answer", counted)
    return begun


def test_other_processes_answer_as_this_one_does(
    opened: Readers, after: Taxonomy, book: Taxonomy, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Reader(after, book.value_marks)
    touched, judged = here.touched(TEXTS), here.judged(WORKS)
    assert touched == [work.doi for work, _, _ in WORKS if work.abstract]
    assert any(partial and partial.tags for partial in judged)
    counts = asked_here(monkeypatch)
    begun = answers_begun(monkeypatch)
    asked: Any = ((Reader.touched, TEXTS, touched), (Reader.judged, WORKS, judged))
    for question, works, expected in asked:
        answers = opened.ask(question, works)
        for _ in range(2):
            assert begun.acquire(timeout=60)
        assert answers() == expected
        assert sum(counts) <= len(WORKS) - 2 * reader_processes.CHUNK, "each process answered a question"
        counts.clear()


def test_what_no_process_has_begun_is_answered_here(
    opened: Readers, after: Taxonomy, book: Taxonomy, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = Reader(after, book.value_marks).judged(WORKS)
    counts = asked_here(monkeypatch)
    left = len(WORKS) - 2 * reader_processes.CHUNK
    begun = answers_begun(monkeypatch, lambda: sum(counts) >= left)
    answers = opened.ask(Reader.judged, WORKS)
    for _ in range(2):
        assert begun.acquire(timeout=60)
    assert answers() == expected
    assert sum(counts) == left


@pytest.mark.slow
def test_a_process_that_is_killed_leaves_nothing_unanswered(
    opened: Readers, after: Taxonomy, book: Taxonomy, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = Reader(after, book.value_marks).judged(WORKS)
    assert opened.ask(Reader.judged, WORKS)() == expected
    counts = asked_here(monkeypatch)
    processes = [opened._idle.get() for _ in range(2)]
    for process in processes:
        assert process is not None
        process._process.kill()
        opened._idle.put(process)
    assert opened.ask(Reader.judged, WORKS)() == expected
    assert sum(counts) == len(WORKS)


@pytest.mark.slow
def test_a_process_that_cannot_load_the_same_rules_is_not_asked(
    after: Taxonomy, book: Taxonomy, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Reader(after, book.value_marks)
    expected = here.judged(WORKS)
    file = after.topic.facet("format").path
    written = file.read_text(encoding="utf-8")
    file.write_text(written.replace("usual care", "seldom care"), encoding="utf-8")
    opened = Readers(here, 1)
    try:
        counts = asked_here(monkeypatch)
        assert opened.ask(Reader.judged, WORKS)() == expected
        assert sum(counts) == len(WORKS)
    finally:
        opened.close()
        file.write_text(written, encoding="utf-8")


@pytest.mark.slow
def test_the_folder_in_which_somebody_works_is_no_part_of_the_program(
    tmp_path: Path, after: Taxonomy, book: Taxonomy, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "evidence.py").write_text("raise SystemExit(1)")
    monkeypatch.chdir(tmp_path)
    reader = Reader(after, book.value_marks)
    process = reader_processes._Process(reader)
    try:
        assert process.answer(Reader.touched, TEXTS) == reader.touched(TEXTS)
    finally:
        process.close()


def test_a_process_finds_the_modules_of_the_current_folder_where_this_one_does(
    tmp_path: Path, after: Taxonomy, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    start: Any = subprocess.Popen

    def noted(*command: Any, env: dict[str, str], **more: Any) -> Any:
        started.append(env["PYTHONPATH"])
        return start(*command, env=env, **more)

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    monkeypatch.setattr(subprocess, "Popen", noted)
    reader_processes._Process(Reader(after, {})).close()
    assert [path.split(os.pathsep)[0] for path in started] == [str(tmp_path)]


def test_a_process_that_was_suspended_goes_on_where_it_was(
    after: Taxonomy, book: Taxonomy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with Ctrl-Z and `fg`, while it writes an answer that is longer than a pipe can hold."""
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    reader, works = Reader(after, book.value_marks), TEXTS * 2_000
    process = reader_processes._Process(reader)
    asks, tells = process._process.stdin, process._process.stdout
    assert asks is not None
    assert tells is not None
    threads = ThreadPoolExecutor(1)
    try:
        reader_processes._send(asks, process._rules)
        reader_processes._send(asks, ("touched", works))
        select.select([tells], [], [])  # it has begun to write
        time.sleep(0.2)
        process._process.send_signal(signal.SIGSTOP)
        time.sleep(0.1)
        process._process.send_signal(signal.SIGCONT)
        time.sleep(0.1)
        answer = threads.submit(reader_processes._receive, tells)
        assert answer.result(timeout=30) == reader.touched(works)
    finally:
        process._process.kill()
        process.close()
        threads.shutdown()


def test_the_processes_end_when_they_are_no_longer_needed(opened: Readers) -> None:
    opened.ask(Reader.touched, TEXTS)()
    processes = [opened._idle.get() for _ in range(2)]
    for process in processes:
        opened._idle.put(process)
    opened.close()
    assert [process and process._process.returncode for process in processes] == [0, 0]


def test_few_works_start_no_process(after: Taxonomy, book: Taxonomy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a process was started"))
    with reader_processes.readers(after, book.value_marks, reader_processes.FROM_WORKS - 1) as opened:
        assert len(opened.ask(Reader.judged, WORKS)()) == len(WORKS)


def test_one_core_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    assert reader_processes._processes() == 0
