"""The page to check references (`/check-references`): paste a list, get a verdict on each, as `evidence check-references` gives.

Open where `evidence serve` says so: on a site of one's own machine, and with --allow-checks on a public one, with limits. Nothing
that is pasted is stored; Crossref's answers are, for a week, under a digest of what was asked. One list is checked at a time,
because Crossref limits what one client may ask.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs

from datasette import hookimpl
from datasette.utils.asgi import Response

from evidence.crossref import answer_cache
from evidence.errors import ConfigError, EvidenceError
from evidence.export import reference_report
from evidence.harvest import check_references, sources
from evidence.publish import site_access
from evidence.references import read_references

PATH = "/check-references"
MOST = 100
"""References in one list."""
LARGEST = 200_000
"""Bytes of a pasted list."""
WAITING = 5
"""Lists that may wait for their turn."""
TRIES = 2
"""How often a request to Crossref is sent: a person waits for the page."""

DOWNLOADS = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json; charset=utf-8",
    "markdown": "text/markdown; charset=utf-8",
}


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    return [(rf"^{PATH}$", page)] if site_access.CHECKS in os.environ else []


@hookimpl
def extra_template_vars() -> dict[str, Any]:
    return {"can_check_references": site_access.CHECKS in os.environ}


@hookimpl
def menu_links(datasette: Any) -> list[dict[str, str]]:
    if site_access.CHECKS not in os.environ:
        return []
    return [{"href": datasette.urls.path(PATH), "label": "Check references"}]


@hookimpl
def skip_csrf(scope: Any) -> bool | None:
    """The form changes nothing and needs no cookie; that it comes from a page of this site is checked for every form."""
    return True if scope.get("path", "").endswith(PATH) else None


class Turns:
    """Who waits for a check, and who has had theirs."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.waiting = 0
        self.made = site_access.Attempts(site_access.CHECK_TRIES, site_access.CHECK_WINDOW)


TURNS = Turns()


async def page(datasette: Any, request: Any) -> Response:
    if request.method != "POST":
        return await shown(datasette, request, {"text": ""})
    body = await request.post_body()
    if len(body) > LARGEST:
        return await shown(
            datasette, request, {"problem": f"That is more than {LARGEST:,} bytes. Check it in parts."}, 413
        )
    form = {name: values[-1] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
    text, form_of = form.get("references", "").strip(), form.get("format", "html")
    context: dict[str, Any] = {"text": text}
    if not text:
        return await shown(datasette, request, context | {"problem": "Paste one reference or more."}, 400)
    try:
        _, given, left_out = read_references.read(text.encode(), "the pasted text")
    except ConfigError as error:
        return await shown(datasette, request, context | {"problem": str(error)}, 400)
    if len(given) > MOST:
        problem = f"These are {len(given)} references; at most {MOST} can be checked here at once. The command has no such limit."
        return await shown(datasette, request, context | {"problem": problem}, 400)
    if (refusal := refused(request)) is not None:
        return await shown(datasette, request, context | {"problem": refusal}, 429)
    TURNS.waiting += 1
    try:
        async with TURNS.lock:
            checked = await asyncio.to_thread(ask, given)
    except EvidenceError as error:
        return await shown(datasette, request, context | {"problem": str(error)}, 502)
    finally:
        TURNS.waiting -= 1
    if form_of in DOWNLOADS:
        suffix = "md" if form_of == "markdown" else form_of
        headers = {"content-disposition": f'attachment; filename="references-checked.{suffix}"'}
        body_text = "".join(reference_report.REPORTS[form_of](checked, left_out))
        return Response(body_text, headers=headers, content_type=DOWNLOADS[form_of])
    verdicts = [
        {
            "given": each.given,
            "verdict": each.verdict,
            "words": reference_report.verdict_words(each),
            "lines": list(reference_report.details(each)),
        }
        for each in checked
    ]
    context |= {
        "verdicts": verdicts,
        "summary": reference_report.summary(checked),
        "left_out": reference_report.left_out_sentence(left_out),
        "left_out_lines": list(reference_report.left_out_lines(left_out)),
        "not_invented": reference_report.not_invented(checked),
    }
    return await shown(datasette, request, context)


def refused(request: Any) -> str | None:
    """Why this list is not checked now; None where it is."""
    if TURNS.waiting >= WAITING:
        return "Other lists are being checked. Try again in a minute."
    if os.environ.get(site_access.CHECKS) == "visitors":
        address = (request.scope.get("client") or ("unknown",))[0]
        if seconds := TURNS.made.start([str(address)], time.monotonic()):
            minutes = -(-seconds // 60)
            return f"{site_access.CHECK_TRIES} lists an hour can be checked from one address; wait {minutes} minutes."
    return None


def ask(given: Any) -> tuple[check_references.CheckedReference, ...]:
    """The verdicts, from Crossref and, for its DOIs, DataCite."""
    mailto = None
    with suppress(ValueError):  # `evidence` itself refuses a wrong address; a visitor cannot mend it
        mailto = sources.contact_address(os.environ.get("EVIDENCE_MAILTO", ""))
    return check_references.run(
        given,
        url=os.environ.get("EVIDENCE_CROSSREF_URL") or None,
        mailto=mailto,
        datacite_url=os.environ.get("EVIDENCE_DATACITE_URL") or None,
        cache=answer_cache.default_path(os.environ),
        tries=TRIES,
    )


async def shown(datasette: Any, request: Any, context: dict[str, Any], status: int = 200) -> Response:
    limited = os.environ.get(site_access.CHECKS) == "visitors"
    context = {"most": MOST, "hourly": site_access.CHECK_TRIES if limited else None, "address": PATH} | context
    return Response.html(
        await datasette.render_template("check_references.html", context, request=request), status=status
    )
