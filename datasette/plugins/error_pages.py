"""Pages for what is not there (404) and what visitors may not have (403), each with a way on; the same as JSON for `.json`.

It knows no rights: Datasette and `request_checks` refuse, and this file words the refusal. An error of the program (500) stays
Datasette's own page, since another page might fail for the same reason.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator
from typing import Any
from urllib.parse import unquote

from datasette import hookimpl
from datasette.utils import tilde_decode
from datasette.utils.asgi import Base400, Response
from datasette.views.base import DatasetteError
from markupsafe import Markup

from evidence import doi as dois
from evidence.publish import site_access

LONGEST = 80
"""Characters of an address that are offered as a search."""


@hookimpl(hookwrapper=True)
def handle_exception(datasette: Any, request: Any, exception: Exception) -> Generator[None, Any, None]:
    outcome = yield
    before_the_last(outcome, page_of_exception(datasette, request, exception))


@hookimpl(hookwrapper=True)
def forbidden(datasette: Any, request: Any, message: str) -> Generator[None, Any, None]:
    outcome = yield
    before_the_last(outcome, refusal(datasette, request, message))


def before_the_last(outcome: Any, answer: Any) -> None:
    """Put an answer after those of plugins that have a better one, and before Datasette's own, which is the last. Datasette takes
    the first that is not None."""
    if answer is not None:
        answers = outcome.get_result()
        outcome.force_result([*answers[:-1], answer, *answers[-1:]])


def page_of_exception(datasette: Any, request: Any, exception: Exception) -> Any:
    if isinstance(exception, Base400):
        status, said, title = exception.status, str(exception.args[0] if exception.args else ""), None
    elif isinstance(exception, DatasetteError) and exception.status < 500:
        status, title = exception.status, exception.title
        said = Markup(exception.message) if exception.message_is_html else exception.message  # noqa: S704 (Datasette's own)
    else:
        return None

    return None if request.path.endswith(".json") else page(datasette, request, status, said, title)


async def refusal(datasette: Any, request: Any, message: str) -> Any:
    if request.path.endswith(".json"):
        facts = {"ok": False, "error": message, "status": 403, "title": "Forbidden"}
        return Response.json(facts, status=403)
    return await page(datasette, request, 403, message, "Forbidden")


async def page(datasette: Any, request: Any, status: int, said: str, title: str | None) -> Any:
    """The page of an error, with what may be meant by its address."""
    wanted = wanted_in(request.path) if status == 404 else ""
    context = {
        "status": status,
        "error": said,
        "title": title,
        "ok": False,
        "wanted": wanted,
        "wanted_doi": dois.parse(wanted) if wanted else None,
        "refused": refused_thing(request) if status == 403 else None,
    }
    return Response.html(await datasette.render_template("error.html", context, request=request), status=status)


def wanted_in(path: str) -> str:
    """What an address that leads nowhere may have meant, as words to search for: a DOI whole, else its last part."""
    text = tilde_decode(path) if "~" in path else unquote(path)
    found = re.search(r"10\.\d{4,9}/\S+", text)
    last = found[0] if found else re.sub(r"\.\w{2,5}$", "", text.rstrip("/").rpartition("/")[2])
    words = last if found else re.sub(r"[^\w]+|_", " ", last).strip()
    return words[:LONGEST]


def refused_thing(request: Any) -> str | None:
    """What a visitor asked for that is never given: `sql`, or `raw` records."""
    if "sql" in request.args or "_where" in request.args:
        return "sql"
    names = set(request.path.split("/"))
    raw = any(name.partition(".")[0] in site_access.RAW_TABLES for name in names)
    return "raw" if raw and os.environ.get(site_access.PUBLIC) else None
