"""Europe PMC: asks for works by DOI, a hundred in one request.

`hitCount` is not the number of rows: a list may be cut short, hold a preprint's record beside the article's, or two records of
one article. `batches` sees to it that no such list reads as "none". What a record says is read by `europepmc_records`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from evidence import doi as dois
from evidence.data_model import ProviderName
from evidence.errors import RecordError
from evidence.http.failures import AttemptError
from evidence.http.json_body import error_text, read_json
from evidence.http.transport import Service
from evidence.providers.agreement import choose, why_not_about
from evidence.providers.answers import Answer, Batch, Described, Wanted
from evidence.providers.batches import Listing, ask_in_batches
from evidence.providers.europepmc_records import describe, record_doi
from evidence.providers.provider_client import ProviderClient, distinct

SERVICE: Final = Service(
    "Europe PMC",
    "https://www.ebi.ac.uk/europepmc/webservices/rest",
    # No limit is published; "a few requests a second" is asked for.
    intervals={"search": 0.34},
)

STEP: Final = 100
"""DOIs of one request. They are sent as a form, because a query of this length does not fit into every address."""

ROWS: Final = 1000
"""Rows of one page: the most that Europe PMC gives."""

MAX_PAGES: Final = 20
"""Pages of one list that are read. A hundred DOIs have some hundred records."""

_BEST_SOURCES: Final = ("MED", "PMC")
"""Of two records of one work, that of PubMed has the headings and the links to notices."""


@dataclass(frozen=True, slots=True)
class _Page:
    rows: tuple[Mapping[str, Any], ...]
    hits: int
    cursor: str | None


class EuropePmcClient(ProviderClient):
    """See `ProviderClient`. `mailto` is sent in the User-Agent only."""

    name: ProviderName = "europepmc"
    service = SERVICE

    def ask(self, wanted: Sequence[Wanted]) -> Iterator[Batch]:
        """Ask about all of these, `STEP` at a time; a subject given twice is asked once."""
        subjects = distinct(wanted)
        for start in range(0, len(subjects), STEP):
            step, before = subjects[start : start + STEP], self.requests
            answers = ask_in_batches(step, self._list)
            yield Batch(answers, f"/searchPOST, {len(step)} DOIs", self.requests - before)

    def _list(self, wanted: Sequence[Wanted]) -> Listing:
        """What Europe PMC has about these works. AttemptError where it cannot be asked."""
        rows, hits = self._rows(" OR ".join(f'DOI:"{_quotable(one.subject)}"' for one in wanted))
        by_doi: dict[str, list[Mapping[str, Any]]] = {}
        for row in rows:
            by_doi.setdefault(dois.caseless(_doi(row) or ""), []).append(row)
        about = {one.subject: by_doi.pop(dois.caseless(one.subject), []) for one in wanted}
        strange = next((row for others in by_doi.values() for row in others), None)
        return Listing(
            {one.subject: answer for one in wanted if (answer := _answer(one, about[one.subject]))},
            whole=strange is None and sum(map(len, about.values())) >= hits,
            strange=None if strange is None else why_not_about(wanted[0], _doi(strange), None),
        )

    def _rows(self, query: str) -> tuple[list[Mapping[str, Any]], int]:
        """The rows of all pages of a list, and how many hits it announces."""
        rows: list[Mapping[str, Any]] = []
        seen: set[str] = set()
        cursor: str | None = "*"
        hits = 0
        while cursor is not None and cursor not in seen and len(seen) < MAX_PAGES:
            seen.add(cursor)
            form = (
                ("query", query),
                ("resultType", "core"),
                ("format", "json"),
                ("pageSize", str(ROWS)),
                ("cursorMark", cursor),
            )
            page = self._request("search", "/searchPOST", (), _read_page, form)
            if not isinstance(page, _Page):  # no route may be absent or redirect: the transport has raised
                raise AttemptError("the answer is no list")
            rows += page.rows
            hits = max(hits, page.hits)
            cursor = page.cursor if page.rows and len(rows) < hits else None
        return rows, hits


def _quotable(doi: str) -> str:
    """A DOI as it stands between quotation marks in a query."""
    return doi.replace("\\", "\\\\").replace('"', '\\"')


def _read_page(body: bytes) -> _Page:
    """A page of a list; AttemptError for anything else, an error under status 200 included."""
    value = read_json(body)
    results = value.get("resultList") if isinstance(value, dict) else None
    rows = results.get("result") if isinstance(results, dict) else None
    hits = value.get("hitCount") if isinstance(value, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows) or type(hits) is not int:
        raise AttemptError(f"200, but the answer is no list of records: {error_text(body)}", fault="unreadable")
    cursor = value.get("nextCursorMark")
    return _Page(tuple(rows), hits, cursor if isinstance(cursor, str) and cursor else None)


def _doi(row: Mapping[str, Any]) -> str | None:
    try:
        return record_doi(row)
    except RecordError:
        return None


def _answer(wanted: Wanted, rows: Sequence[Mapping[str, Any]]) -> Answer | None:
    """The answer from all records that have the DOI of the work; None without any."""
    records: list[tuple[Described, str]] = []
    unreadable = None
    for row in sorted(rows, key=_rank):
        text = json.dumps(row, ensure_ascii=False)
        try:
            records.append((describe(text), text))
        except RecordError as error:
            unreadable = Answer(wanted.subject, "failed", problem=f"200, but {error}")
    chosen = choose(wanted, records)
    return unreadable if unreadable and (chosen is None or chosen.state == "refused") else chosen


def _rank(row: Mapping[str, Any]) -> int:
    source = row.get("source")
    return _BEST_SOURCES.index(source) if source in _BEST_SOURCES else len(_BEST_SOURCES)
