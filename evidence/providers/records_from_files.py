"""Records of other providers from files, as if the provider had been asked: for work without a network, and for Retraction Watch.

A file may hold what a provider sent (the JSON of Europe PMC, OpenAlex, DataCite or ClinicalTrials.gov, the XML of PubMed), one
record a line, or the CSV of Retraction Watch; it may be gzipped. Whose record it is shows in the record itself. A file proves
nothing about works that it does not hold: these are not asked about. Only the CSV of Retraction Watch is a whole: a work that is
not in it has no notice there.

It reads files; it may not open a connection, and it reads records by the modules of their providers.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from evidence import doi as dois
from evidence.data_model import ProviderName
from evidence.errors import ConfigError, RecordError
from evidence.providers.agreement import choose, why_not_about
from evidence.providers.answers import Answer, Batch, Described, Wanted
from evidence.providers.combine import describe
from evidence.providers.pubmed_records import split
from evidence.providers.retraction_watch import read_file

PART: Final = 500
"""Works that one batch answers about."""

_LISTS: Final = (("resultList", "result"), ("studies",), ("results",))
"""Where an answer of a provider has its list of records."""


class RecordsFromFiles:
    """The records of one provider that files hold. It answers only about what they hold."""

    requests = 0
    bytes = 0

    def __init__(self, name: ProviderName, records: Sequence[tuple[Described, str]]) -> None:
        self.name = name
        digest = hashlib.sha256("\n".join(text for _, text in records).encode("utf-8", "surrogatepass")).hexdigest()
        self.edition: str | None = f"files with {len(records):,} of its records, digest {digest[:12]}"
        self._by_key: dict[str, list[tuple[Described, str]]] = {}
        for described, text in records:
            for key in _keys(described):
                self._by_key.setdefault(key, []).append((described, text))

    def ask(self, wanted: Sequence[Wanted]) -> Iterator[Batch]:
        """The records about these subjects, those of other works refused."""
        answers = [answer for one in wanted if (answer := self._answer(one))]
        for start in range(0, len(answers), PART):
            yield Batch(tuple(answers[start : start + PART]), str(self.edition), 0)

    def close(self) -> None:
        """There is nothing to close."""

    def _answer(self, wanted: Wanted) -> Answer | None:
        by_doi = self._by_key.get(_key(wanted.subject))
        if by_doi and (study := next((text for described, text in by_doi if described.registration), None)):
            return Answer(wanted.subject, "found", study)
        return choose(wanted, by_doi or self._by_key.get(f"pmid:{wanted.pmid}") or [], named=not by_doi)


class RetractionWatchRecords:
    """The CSV of Retraction Watch, which is a whole: every work is answered about."""

    name: ProviderName = "retraction-watch"
    requests = 0
    bytes = 0

    def __init__(self, path: Path) -> None:
        self._file = read_file(path)
        self.unread = tuple(f"{path}, line {line}: {why}; this row is not read" for line, why in self._file.unread)
        """A sentence for each row that cannot be read."""
        self.edition: str | None = f"the file {path.name}, digest {self._file.digest[:12]}"

    def ask(self, wanted: Sequence[Wanted]) -> Iterator[Batch]:
        """The entries about these works."""
        for start in range(0, len(wanted), PART):
            yield Batch(tuple(map(self._answer, wanted[start : start + PART])), str(self.edition), 0)

    def close(self) -> None:
        """There is nothing to close."""

    def _answer(self, wanted: Wanted) -> Answer:
        pmids = (wanted.pmid,) if wanted.pmid else ()
        refusals = [reason for _, reason in self._file.refused(wanted.subject, pmids)]
        about = []
        for entry in self._file.about(wanted.subject, pmids):
            reason = why_not_about(wanted, entry.doi or wanted.subject, entry.title)
            if reason is None:
                about.append(entry.record)
            else:
                refusals.append(f"entry {entry.record_id}: {reason}")
        if about:
            return Answer(wanted.subject, "found", f"[{','.join(about)}]")
        if (line := self._file.unread_about(wanted.subject, pmids)) is not None:
            return Answer(
                wanted.subject, "failed", problem=f"line {line} of the file names the work and cannot be read"
            )
        if refusals:
            return Answer(wanted.subject, "refused", problem=refusals[0])
        return Answer(wanted.subject, "none")


def read_files(paths: Sequence[Path]) -> tuple[list[RecordsFromFiles | RetractionWatchRecords], list[str]]:
    """The providers whose records these files hold, and a sentence for each record that cannot be read. ConfigError for a file
    that cannot be opened or holds no record of a known provider."""
    by_provider: dict[ProviderName, list[tuple[Described, str]]] = {}
    found: list[RecordsFromFiles | RetractionWatchRecords] = []
    unread: list[str] = []
    for path in paths:
        body = _read(path)
        if b"RetractionNature" in body[:4000]:
            watch = RetractionWatchRecords(path)
            found.append(watch)
            unread += watch.unread
            continue
        before = sum(map(len, by_provider.values())) + len(unread)
        for number, (provider, text) in enumerate(_records(body, path), start=1):
            try:
                by_provider.setdefault(provider, []).append((describe(provider, text), text))
            except RecordError as error:
                unread.append(f"{path}, record {number}: {error}")
        if sum(map(len, by_provider.values())) + len(unread) == before:
            raise ConfigError(
                f"{path}: holds no record of Europe PMC, PubMed, OpenAlex, DataCite, ClinicalTrials.gov or Retraction Watch"
            )
    found += [RecordsFromFiles(name, records) for name, records in by_provider.items() if records]
    return found, unread


def _read(path: Path) -> bytes:
    try:
        body = path.read_bytes()
        return gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
    except (OSError, EOFError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from None


def _records(body: bytes, path: Path) -> Iterator[tuple[ProviderName, str]]:
    """Each record in a file: whose it is, and its text."""
    if body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        try:
            yield from (("pubmed", text) for text in split(body))
        except RecordError as error:
            raise ConfigError(f"{path}: {error}") from None
        return
    for value in _json_values(body, path):
        for record in _flat(value):
            if (provider := _provider_of(record)) is not None:
                yield provider, json.dumps(record, ensure_ascii=False)


def _json_values(body: bytes, path: Path) -> Iterable[Any]:
    """The JSON value of a file, or one of each line."""
    text = body.decode("utf-8-sig", "replace")
    try:
        return [json.loads(text)]
    except ValueError:
        pass
    values = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                values.append(json.loads(line))
            except ValueError as error:
                raise ConfigError(f"{path}, line {number}: neither JSON nor XML ({error})") from None
    return values


def _flat(value: Any) -> Iterator[dict[str, Any]]:
    """The records in a JSON value: itself, the entries of a list, or those of a provider's answer."""
    if isinstance(value, list):
        for one in value:
            yield from _flat(one)
    elif isinstance(value, dict):
        for names in _LISTS:
            inner: Any = value
            for name in names:
                inner = inner.get(name) if isinstance(inner, dict) else None
            if isinstance(inner, list):
                yield from _flat(inner)
                return
        yield value


def _provider_of(record: dict[str, Any]) -> ProviderName | None:
    """Whose record this is, by fields that only that provider's records have."""
    if "protocolSection" in record:
        return "clinicaltrials"
    if str(record.get("id", "")).startswith("https://openalex.org/"):
        return "openalex"
    if isinstance(record.get("data"), dict) and "attributes" in record["data"]:
        return "datacite"
    if (
        record.get("source") in ("MED", "PMC", "PPR", "AGR", "CBA", "CTX", "ETH", "HIR", "PAT", "PRE")
        and "id" in record
    ):
        return "europepmc"
    if isinstance(record.get("identifiers"), list) and "doi" in record:
        return "bundled"
    return None


def _keys(described: Described) -> Iterator[str]:
    if described.registration is not None:
        yield described.registration.number.upper()
        return
    if described.doi:
        yield _key(described.doi)
    for one in described.identifiers:
        if one.kind == "pmid":
            yield f"pmid:{one.value}"


def _key(subject: str) -> str:
    return dois.caseless(subject) if subject.startswith("10.") else subject.upper()
