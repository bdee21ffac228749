"""Which other providers a run asks, and how each is reached: addresses and keys from the environment.

It opens and closes clients; it may not ask them anything.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from evidence.data_model import ProviderName
from evidence.providers.answers import Provider

log = logging.getLogger(__name__)

TRIES = 3
"""Tries of one request. A provider that fails is asked again by the next run, so a sync does not wait long for it."""


_CLIENTS: Mapping[ProviderName, str] = {
    "europepmc": "EuropePmcClient",
    "pubmed": "PubmedClient",
    "openalex": "OpenAlexClient",
    "datacite": "DataCiteClient",
    "clinicaltrials": "ClinicalTrialsClient",
}
"""The client in the module of each service, which is imported when it is asked: most commands ask none."""

_KEYS: Mapping[str, str] = {"pubmed": "NCBI_API_KEY", "openalex": "OPENALEX_API_KEY"}
"""The environment variables of the keys that providers give out; both work without one."""


@dataclass(frozen=True, slots=True)
class ChosenProviders:
    """What a run is to ask: names of services, the e-mail address that they may write to, environment variables with addresses
    and keys, the file of Retraction Watch, and files with records of any provider."""

    names: tuple[ProviderName, ...] = ()
    mailto: str | None = None
    environment: Mapping[str, str] | None = None
    retraction_watch: Path | None = None
    files: tuple[Path, ...] = ()

    @property
    def any(self) -> bool:
        """Whether there is anything to ask."""
        return bool(self.names or self.retraction_watch or self.files)


NO_PROVIDERS = ChosenProviders()


@contextmanager
def opened(
    chosen: ChosenProviders,
    *,
    sleep: Callable[[float], None] = time.sleep,
    on_wait: Callable[[str], None] | None = None,
) -> Iterator[Sequence[Provider]]:
    """The chosen providers, closed afterwards. ConfigError when an address or a file cannot be used."""
    environment = chosen.environment or {}
    with ExitStack() as stack:
        made: list[Provider] = []
        for name in chosen.names:
            key = environment.get(_KEYS.get(name, "")) or None
            url = environment.get(f"EVIDENCE_{name.upper()}_URL") or None
            client = getattr(import_module(f"evidence.providers.{name}"), _CLIENTS[name])
            made.append(client(url, chosen.mailto, key, sleep=sleep, tries=TRIES, on_wait=on_wait))
            stack.callback(made[-1].close)
        from evidence.providers.records_from_files import RetractionWatchRecords, read_files

        unread: list[str] = []
        if chosen.retraction_watch:
            watch = RetractionWatchRecords(chosen.retraction_watch)
            made.append(watch)
            unread += watch.unread
        if chosen.files:
            found, unread_records = read_files(chosen.files)
            made += found
            unread += unread_records
        for sentence in unread:
            log.warning("%s", sentence)
        yield made
