"""Europe PMC and PubMed on 127.0.0.1, as far as the clients use them: paths with functions that answer, for `ProviderLoopback`.

    with ProviderLoopback(europe_pmc([europepmc("10.5555/a", "A title")])) as server: ...
    with ProviderLoopback(pub_med([pubmed("10.5555/a", "A title", "7")])) as server: ...

The lists that are given may be changed while the server runs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from evidence.providers import pubmed_records
from tests.loopback_server import Request

describe = lru_cache(2000)(pubmed_records.describe)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


def europe_pmc(records: Sequence[str], *, page: int = 1000) -> Mapping[str, Callable[[Request], Any]]:
    """`searchPOST` over these records: DOIs in any case, pages of at most `page` rows, no cursor on the last one."""

    def search(request: Request) -> Any:
        form = request.form
        assert (request.method, form["resultType"], form["format"]) == ("POST", "core", "json")
        wanted = [re.sub(r"\\(.)", r"\1", doi).lower() for doi in _QUOTED.findall(form["query"])]
        assert " OR ".join('DOI:"…"' for _ in wanted) == _QUOTED.sub('"…"', form["query"])
        hits = [row for row in map(json.loads, records) if str(row.get("doi", "")).lower() in wanted]
        start = 0 if form["cursorMark"] == "*" else int(form["cursorMark"])
        stop = start + min(page, int(form["pageSize"]))
        more = {"nextCursorMark": str(stop)} if hits[start:stop] and stop < len(hits) else {}
        return {"version": "6.9", "hitCount": len(hits), "resultList": {"result": hits[start:stop]}, **more}

    return {"/searchPOST": search}


def pub_med(records: Sequence[str], *, unfound: Sequence[str] = ()) -> Mapping[str, Callable[[Request], Any]]:
    """`esearch` by DOI and `efetch` by PMID over these records. The DOIs `unfound` are not indexed."""

    def search(request: Request) -> Any:
        form = request.form
        assert (request.method, form["db"], form["retmode"]) == ("POST", "pubmed", "json")
        wanted = [doi.lower() for doi in _QUOTED.findall(form["term"])]
        assert " OR ".join('"…"[AID]' for _ in wanted) == _QUOTED.sub('"…"', form["term"])
        found = [one for one in map(describe, records) if (one.doi or "").lower() in wanted and one.doi not in unfound]
        pmids = [one.record_id for one in found][: int(form["retmax"])]
        return {"header": {"type": "esearch"}, "esearchresult": {"count": str(len(found)), "idlist": pmids}}

    def fetch(request: Request) -> str:
        form = request.form
        assert (request.method, form["db"], form["retmode"]) == ("POST", "pubmed", "xml")
        pmids = form["id"].split(",")
        by_pmid = {describe(text).record_id: text for text in records}
        found = "\n".join(by_pmid[pmid] for pmid in pmids if pmid in by_pmid)
        return f'<?xml version="1.0" ?>\n<!DOCTYPE PubmedArticleSet PUBLIC "a" "b">\n<PubmedArticleSet>{found}</PubmedArticleSet>'

    return {"/esearch.fcgi": search, "/efetch.fcgi": fetch}
