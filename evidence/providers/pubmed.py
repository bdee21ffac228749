"""PubMed: asks NCBI's E-utilities for works, by PMID where it is known, else by DOI.

`efetch` gives two hundred records by PMID. It leaves out unknown PMIDs without a word, so a record that is missing is searched
for by its DOI. `esearch` tells the PMIDs of a hundred DOIs, but not which belongs to which: the records that are then fetched do.
Only a search that found nothing, or whose records were all fetched, says "none". What a record says is read by
`pubmed_records`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from evidence import doi as dois
from evidence.data_model import ProviderName
from evidence.errors import RecordError
from evidence.http.failures import AttemptError
from evidence.http.json_body import read_json
from evidence.http.transport import Service
from evidence.providers import medline
from evidence.providers.agreement import choose, why_not_about
from evidence.providers.answers import Answer, Batch, Described, Wanted
from evidence.providers.batches import Listing, ask_in_batches, failed
from evidence.providers.provider_client import ProviderClient, distinct
from evidence.providers.pubmed_records import describe, split

INTERVAL: Final = 0.34
INTERVAL_WITH_KEY: Final = 0.11
"""Seconds between requests: three a second, or ten with an API key."""

SERVICE: Final = Service(
    "PubMed",
    "https://eutils.ncbi.nlm.nih.gov/entrez/eutils",
    intervals={"request": INTERVAL},
    accept="text/xml, application/xml, application/json",
)

STEP: Final = 200
"""Works of one batch, and records of one `efetch`: more is to be asked for by other ways."""

SEARCH: Final = 100
"""DOIs of one `esearch`."""

MOST: Final = 1000
"""PMIDs that one `esearch` may tell."""


@dataclass(frozen=True, slots=True)
class _Search:
    """What `esearch` tells: PMIDs, and how many there are in all."""

    pmids: tuple[str, ...]
    count: int


@dataclass(frozen=True, slots=True)
class _Record:
    text: str
    described: Described

    @property
    def pmid(self) -> str | None:
        return self.described.record_id

    @property
    def doi(self) -> str:
        return dois.caseless(self.described.doi or "")


class PubmedClient(ProviderClient):
    """See `ProviderClient`. `key` is an API key of NCBI."""

    name: ProviderName = "pubmed"
    service = SERVICE

    def service_for(self, mailto: str | None, key: str | None) -> Service:
        """With the address and the key as parameters, and the pace that is allowed with a key."""
        stated = (("tool", "evidence"), ("email", mailto), ("api_key", key))
        private = tuple((name, value) for name, value in stated if value)
        intervals = {"request": INTERVAL_WITH_KEY if key else INTERVAL}
        return replace(SERVICE, private_params=private, intervals=intervals)

    def ask(self, wanted: Sequence[Wanted]) -> Iterator[Batch]:
        """Ask about all of these, `STEP` at a time; a subject given twice is asked once."""
        subjects = distinct(wanted)
        for start in range(0, len(subjects), STEP):
            step, before = subjects[start : start + STEP], self.requests
            found = self._by_pmid([one for one in step if medline.pmid(one.pmid)])
            left = [one for one in step if one.subject not in found]
            found |= {one.subject: _unsearchable(one) for one in left if '"' in one.subject}
            left = [one for one in left if one.subject not in found]
            found |= {answer.subject: answer for answer in ask_in_batches(left, self._search)}
            asked = f"/efetch.fcgi and /esearch.fcgi, {len(step)} works"
            yield Batch(tuple(found[one.subject] for one in step), asked, self.requests - before)

    def _by_pmid(self, wanted: Sequence[Wanted]) -> dict[str, Answer]:
        """The answers about works whose PMID is known; nothing about those whose record did not come."""
        if not wanted:
            return {}
        try:
            records = {record.pmid: record for record in self._fetch([str(one.pmid) for one in wanted])}
        except AttemptError as failure:
            return {one.subject: failed(one, failure) for one in wanted}
        fetched = {one.subject: [records[one.pmid]] for one in wanted if one.pmid in records}
        answers = {one.subject: _answer(one, fetched.get(one.subject, ()), named=True) for one in wanted}
        return {subject: answer for subject, answer in answers.items() if answer}

    def _search(self, wanted: Sequence[Wanted]) -> Listing:
        """What PubMed has about works whose PMID is not known. AttemptError where it cannot be asked."""
        pmids: dict[str, None] = {}
        whole = True
        for start in range(0, len(wanted), SEARCH):
            part = wanted[start : start + SEARCH]
            form = (
                ("db", "pubmed"),
                ("retmode", "json"),
                ("retmax", str(MOST)),
                ("term", " OR ".join(f'"{one.subject}"[AID]' for one in part)),
            )
            search = self._request("request", "/esearch.fcgi", (), _read_search, form)
            if not isinstance(search, _Search):  # no route may be absent or redirect: the transport has raised
                raise AttemptError("the answer is no search")
            pmids |= dict.fromkeys(search.pmids)
            whole = whole and search.count <= len(search.pmids)
        records = [
            record for start in range(0, len(pmids), STEP) for record in self._fetch([*pmids][start : start + STEP])
        ]
        by_doi: dict[str, list[_Record]] = {}
        for record in records:
            by_doi.setdefault(record.doi, []).append(record)
        about = {one.subject: by_doi.pop(dois.caseless(one.subject), []) for one in wanted}
        strange = next((record for others in by_doi.values() for record in others), None)
        missing = pmids.keys() - {record.pmid for record in records}
        return Listing(
            {one.subject: answer for one in wanted if (answer := _answer(one, about[one.subject]))},
            whole=whole and not missing and strange is None,
            strange=None if strange is None else why_not_about(wanted[0], strange.described.doi, None),
        )

    def _fetch(self, pmids: Sequence[str]) -> list[_Record]:
        """The records with these PMIDs, as far as there are any. AttemptError where PubMed cannot be asked."""
        form = (("db", "pubmed"), ("retmode", "xml"), ("id", ",".join(pmids)))
        records = self._request("request", "/efetch.fcgi", (), _read_records, form)
        if not isinstance(records, list):  # see `_search`
            raise AttemptError("the answer is no list")
        return records


def _read_search(body: bytes) -> _Search:
    """What a response of `esearch` tells; AttemptError for anything else. An error is told under status 200, too."""
    value = read_json(body)
    result: Any = value.get("esearchresult") if isinstance(value, dict) else None
    said = (value.get("error") if isinstance(value, dict) else None) or (
        result.get("ERROR") if isinstance(result, dict) else None
    )
    pmids = result.get("idlist") if isinstance(result, dict) else None
    count = str(result.get("count")) if isinstance(result, dict) else ""
    if said or not isinstance(pmids, list) or not count.isdecimal() or not all(map(medline.pmid, map(str, pmids))):
        raise AttemptError(f"200, but the answer is no search: {said or 'no list of PMIDs'}", fault="unreadable")
    return _Search(tuple(map(str, pmids)), int(count))


def _read_records(body: bytes) -> list[_Record]:
    """The records of a response of `efetch`; AttemptError for anything but a whole list. One that cannot be read is left out:
    it was not asked about in vain, because a record that is missing is no "none"."""
    try:
        texts = split(body)
    except RecordError as error:
        raise AttemptError(f"200, but {error}", fault="unreadable") from error
    records = []
    for text in texts:
        try:
            records.append(_Record(text, describe(text)))
        except RecordError:
            continue
    return records


def _answer(wanted: Wanted, records: Sequence[_Record], *, named: bool = False) -> Answer | None:
    return choose(wanted, ((record.described, record.text) for record in records), named=named)


def _unsearchable(wanted: Wanted) -> Answer:
    """A search quotes the DOI and knows no way to write a quotation mark inside of it: it would find nothing, wrongly."""
    return Answer(wanted.subject, "failed", problem="PubMed cannot be searched for a DOI with a quotation mark")
