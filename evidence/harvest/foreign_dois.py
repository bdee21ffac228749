"""A DOI that another agency than Crossref registered → its record, where that agency can be asked.

Of the other agencies DataCite is asked, with the same client as `enrich`. An agency that cannot be asked, and an answer that
cannot be had, are said with the agency's name; neither is ever "no such work". May not compare a record with a citation.
"""

from __future__ import annotations

from evidence.crossref.answer_cache import CachedRecords
from evidence.data_model import Doi, Work
from evidence.errors import RecordError
from evidence.providers import datacite
from evidence.providers.answers import Provider, Wanted

KIND = "datacite"
"""What the cache calls answers of DataCite."""


class ForeignDois:
    """Asks DataCite through `client`; a `reference_lists.Foreign`. `cache` remembers its answers as it does those of Crossref."""

    def __init__(self, client: Provider, cache: CachedRecords | None = None) -> None:
        self._client = client
        self._cache = cache

    def __call__(self, agency: str, doi: Doi) -> Work | str:
        """The work, or a sentence that says why it is not known."""
        where = f"{doi} is registered with {agency}"
        if agency.casefold() != "datacite":
            return f"{where}, which is not asked here"
        record, problem = self._record(doi)
        if problem:
            return f"{where}, which could not be asked: {problem}"
        if record is None:
            return f"{where}, which shows no record of it"
        try:
            return datacite.work(record)
        except RecordError as error:
            return f"{where}, whose record cannot be read: {error}"

    def _record(self, doi: Doi) -> tuple[str | None, str | None]:
        """The record as sent, None where there is none; and why it could not be had. Failures are not remembered."""
        if self._cache is not None and (held := self._cache.recall(KIND, doi)) is not None:
            return held[0], None
        (answer,) = (one for batch in self._client.ask([Wanted(doi)]) for one in batch.answers)
        if answer.state in ("failed", "refused"):
            return None, answer.problem or answer.state
        if self._cache is not None:
            self._cache.remember(KIND, {doi: [answer.record]})
        return answer.record, None
