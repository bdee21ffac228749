"""Checks the RO-Crate of a capsule with `rocrate-validator`, without a network (extra `formats`): validate_capsule.py DIR

Prints what is required or recommended and missing, a line each. The validator reads the context of RO-Crate from its cache,
which is filled with the one that the library `rocrate` has.
"""

from __future__ import annotations

import io
import sys
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any

import urllib3
from requests.adapters import HTTPAdapter
from requests_cache import CachedSession
from rocrate_validator import models, services

CONTEXT = "https://w3id.org/ro/crate/1.2/context"
PROFILE = "https://www.researchobject.org/ro-crate/specification/1.2/index.html"


class Given(HTTPAdapter):
    """Answers every request with the context, without a network."""

    def send(self, request: Any, *_: Any, **__: Any) -> Any:
        context = files("rocrate").joinpath("data/ro-crate.jsonld").read_bytes()
        headers = {"Content-Type": "application/ld+json"}
        answer = urllib3.HTTPResponse(
            io.BytesIO(context), headers, 200, preload_content=False, request_url=request.url, request_method="GET"
        )
        return self.build_response(request, answer)


def fill(cache: Path) -> None:
    """Put the context into the validator's cache, under the headers with which it asks."""
    session = CachedSession(str(cache), backend="sqlite", expire_after=-1)
    session.mount("https://", Given())
    for url in (CONTEXT, PROFILE):
        session.get(url, headers={"Accept": "application/ld+json"})
    session.close()


def main(folder: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        fill(Path(place) / "cache")
        asked = services.ValidationSettings(
            rocrate_uri=folder,
            profile_identifier="ro-crate-1.2",
            requirement_severity=models.Severity.RECOMMENDED,
            cache_path=Path(place) / "cache",
            offline=True,
        )
        for issue in services.validate(asked).get_issues():
            print(issue.severity.name, " ".join((issue.message or "").split()))


if __name__ == "__main__":
    main(sys.argv[1])
