"""Crossref records from files: the same verbs as `crossref`, without a network.

It reads JSON Lines (plain or gzip), the older `{"items": […]}` files of Crossref's public data file, saved answers of the
API, and plain lists. One pass over the files keeps aside, in a temporary file, the records that somebody asks for; only
their positions stay in memory, so a file of any size can be read. It judges nothing and writes no database.
"""

from __future__ import annotations

import gzip
import json
import re
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import IO, Any, overload

from evidence import answers, normalise, text
from evidence.errors import ConfigError, RecordError
from evidence.model import Doi, Found, Message, Page, Query, Window

SNAPSHOT = "records.jsonl.gz"
_BATCH = 50
_WORD = re.compile(r"[^\W\d_]{4,}|\d{4}")
_ENOUGH_OF_A_TITLE = 0.8


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line or entry that is no record, or one that cannot be read: where it stood, why, its text, and its DOI if any."""

    where: str
    reason: str
    text: str
    doi: Doi | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A search that will be asked: `accepts(message, title, abstract)` says whether a record counts as found."""

    query: Query
    accepts: Callable[[Message, str | None, str | None], bool]


def snapshot_files() -> tuple[Path, ...]:
    """The bundled snapshot."""
    return (Path(str(resources.files("evidence") / "snapshot" / SNAPSHOT)),)


class Archive:
    """A door over files (see `model.Door`). Use as a context manager: the temporary file goes with it.

    `dois` are the works that will be looked up, `citations` the texts that will be looked for without a DOI, and
    `everything` keeps every record. ConfigError when a file is missing or holds no JSON.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        name: str = "files",
        questions: Sequence[Question] = (),
        dois: Collection[Doi] = (),
        citations: Sequence[str] = (),
        everything: bool = False,
    ) -> None:
        self.name = name
        self.requests = self.bytes = 0
        self.read = 0
        self.unreadable: list[Unreadable] = []
        self._spool: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self._at: dict[Doi, tuple[int, int]] = {}
        self._hits: dict[Query, list[Doi]] = {question.query: [] for question in questions}
        try:
            self._keep(paths, questions, frozenset(dois), [_words(c) for c in citations], everything)
        except BaseException:
            self._spool.close()
            raise

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self._spool.close()

    def lookup(self, dois: Sequence[Doi], since: str | None = None) -> Iterator[tuple[Found, ...]]:
        """See `model.Door.lookup`. A record without an `indexed` date may have changed at any time, so it is given."""
        asked = list(dict.fromkeys(dois))
        for start in range(0, len(asked), _BATCH):
            batch: list[Found] = []
            for doi in asked[start : start + _BATCH]:
                where, message = self._located(doi) if doi in self._at else (None, None)
                if since is None:
                    batch.append(Found(doi, doi if message else None, message, where))
                elif message and (normalise.indexed_at(message) or since) >= since:
                    batch.append(Found(doi, doi, message, where))
            yield tuple(batch)

    def scan(self, query: Query, window: Window | None = None) -> Page:
        """See `model.Door.scan`; always complete. A query that was no `Question` is ranked by the words it shares."""
        if query in self._hits:
            hits = self._hits[query]
            return Page(_Spooled(self, hits), len(hits))
        wanted = _words(" ".join(value for _, value in query.fields))
        ranked: list[tuple[float, Doi]] = []
        for doi in self._at:
            title, _ = normalise.searchable(self._load(doi))
            words = _words(title or "")
            if words and (shared := len(words & wanted)):
                ranked.append((shared / len(words) + shared / 100, doi))
        best = sorted(ranked, key=lambda pair: (-pair[0], pair[1]))[: query.rows]
        return Page([{**self._load(doi), "score": score} for score, doi in best], len(best))

    def agency(self, doi: Doi) -> str | None:
        """Files do not know who registers a DOI."""
        return None

    @property
    def kept(self) -> Sequence[Message]:
        """Every record kept aside, loaded one at a time as it is looked at."""
        return _Spooled(self, list(self._at))

    def _keep(
        self,
        paths: Sequence[Path],
        questions: Sequence[Question],
        dois: frozenset[Doi],
        citations: Sequence[frozenset[str]],
        everything: bool,
    ) -> None:
        for path in paths:
            for where, entry in located(path):
                self.read += 1
                if isinstance(entry, Unreadable):
                    self.unreadable.append(entry)
                    continue
                doi = normalise.doi_of(entry)
                try:
                    if doi is None:
                        raise RecordError(normalise.without_doi(entry))
                    title, abstract = normalise.searchable(entry)
                    found = [q.query for q in questions if q.accepts(entry, title, abstract)]
                except RecordError as error:  # nobody can say whether it is wanted
                    self.unreadable.append(Unreadable(where, str(error), normalise.kept(entry)[0], doi))
                    continue
                if everything or found or doi in dois or _may_be_cited(title, citations):
                    self._put(doi, entry, found, where)

    def _put(self, doi: Doi, message: Message, found: Sequence[Query], where: str) -> None:
        """Of two records under one DOI the one indexed later stands, and of equals the one read later."""
        if doi in self._at and (normalise.indexed_at(self._load(doi)) or "") > (normalise.indexed_at(message) or ""):
            return
        for query in found:
            if doi not in self._at or doi not in self._hits[query]:
                self._hits[query].append(doi)
        raw = f"[{json.dumps(where)},{normalise.kept(message)[0]}]".encode()
        self._at[doi] = (self._spool.seek(0, 2), len(raw))
        self._spool.write(raw)

    def _load(self, doi: Doi) -> Message:
        return self._located(doi)[1]

    def _located(self, doi: Doi) -> tuple[str, Message]:
        """Where a kept record stands, and the record."""
        start, length = self._at[doi]
        self._spool.seek(start)
        where, message = json.loads(self._spool.read(length))
        return where, message


class _Spooled(Sequence[Message]):
    """Records of the temporary file, loaded one at a time as they are looked at."""

    def __init__(self, archive: Archive, dois: list[Doi]) -> None:
        self._archive, self._dois = archive, dois

    def __len__(self) -> int:
        return len(self._dois)

    @overload
    def __getitem__(self, index: int) -> Message: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Message]: ...
    def __getitem__(self, index: int | slice) -> Message | Sequence[Message]:
        if isinstance(index, slice):
            return _Spooled(self._archive, self._dois[index])
        return self._archive._load(self._dois[index])


def read(path: Path) -> Iterator[Message | Unreadable]:
    """The records of one file, one at a time; entries that are none come as `Unreadable`."""
    return (entry for _, entry in located(path))


def located(path: Path) -> Iterator[tuple[str, Message | Unreadable]]:
    """The records of one file, each with where it stands: the file, and its line there where lines are records."""
    with opened(path) as file:
        number, first = next(((n, line) for n, line in enumerate(file, start=1) if line.strip()), (0, b""))
        head = _parsed(first)
        if first and isinstance(head, (dict, list)):
            yield from _entries(head, f"{path}:{number}")
            yield from _lines(path, file, number + 1)
            return
        rest = first + file.read()
    if not rest.strip():
        return
    whole = _parsed(rest)
    if not isinstance(whole, (dict, list)):
        raise ConfigError(
            f"{path}: this is not JSON; give Crossref records as .jsonl, .jsonl.gz, or a .json(.gz) with a list of them"
        )
    yield from _entries(whole, str(path))


def _lines(path: Path, file: IO[bytes], first: int) -> Iterator[tuple[str, Message | Unreadable]]:
    for number, line in enumerate(file, start=first):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        value = _parsed(line)
        if isinstance(value, (dict, list)):
            yield from _entries(value, where)
        else:
            said = line.decode(errors="replace").strip()
            yield where, Unreadable(where, "this line is not a JSON record", said)


def _entries(value: Any, where: str) -> Iterator[tuple[str, Message | Unreadable]]:
    """A record, a list of them, or what wraps them: an API answer (`message`), `items`, or a labelled `work`."""
    if isinstance(value, list):
        for number, item in enumerate(value, start=1):
            yield from _entries(item, f"{where}, entry {number}")
    elif not isinstance(value, dict):
        yield where, Unreadable(where, "this entry is not a JSON object", normalise.kept(value)[0])
    elif "DOI" not in value and (inner := next((k for k in ("message", "items", "work") if k in value), None)):
        yield from _entries(value[inner], where)
    else:
        yield where, value


def _parsed(raw: bytes) -> Any:
    try:
        return answers.parsed(raw)
    except (ValueError, RecursionError):
        return None


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """A file, unpacked if it is gzipped; ConfigError when it cannot be read or is cut off."""
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            with gzip.open(raw) if zipped else raw as file:
                yield file  # type: ignore[misc]
    except (EOFError, gzip.BadGzipFile) as error:
        raise ConfigError(f"{path}: the gzip file is cut off or damaged ({error}); get it again") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror or error}); check the path") from None


def _words(value: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.fold(value)))


def _may_be_cited(title: str | None, citations: Sequence[frozenset[str]]) -> bool:
    if not citations or not title:
        return False
    words = _words(title)
    return bool(words) and any(len(words & cited) >= _ENOUGH_OF_A_TITLE * len(words) for cited in citations)
