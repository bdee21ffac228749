"""The reviewer's desk in the browser: queues, decision form, possible duplicates, own decisions, undo.

It has routes only when `evidence serve --reviewer` or `--accounts` opened a desk, and a published copy does not contain
this file. A signed cookie identifies the reviewer, set by the login link of this machine's reviewer or by
datasette-auth-passwords. Datasette's CSRF token protects the forms. `evidence.review.reviewer_desk` reads the forms and
stores the decisions.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import threading
from typing import Any, get_args
from urllib.parse import parse_qs, urlencode

from datasette import Forbidden, hookimpl
from datasette.utils.asgi import NotFound, Response

from evidence import doi as dois
from evidence.data_model import SAME_WORK
from evidence.errors import ConfigError, EvidenceError
from evidence.publish import site_topic
from evidence.review import agreement, pace, stopping_rule
from evidence.review import reviewer_desk as review_desk

NAME = "evidence"
LARGEST_FORM = 200_000
"""Bytes. The largest form of the desk, with all tags ticked, has about 10 kB."""
DECISIONS_SHOWN = 100
TAGS_SHOWN = 20
CONTEXT = 120
"""Characters shown before and after the text behind a tag."""
VERDICT_TEXTS = {"include": "Included", "exclude": "Excluded", "unsure": "Left unsure"}

WORK = "select * from works where doi = :doi"
TAG_VALUES = """
    select f.facet, f.value, f.label, f.meaning, t.strength, coalesce(t.strength <> 'implied', 0) as assigned from facets f
    left join tags t on t.doi = :doi and t.facet = f.facet and t.value = f.value
    order by f.facet, f.position, f.value
"""
LIKELY_TAG = """
    select w.doi, w.title, w.abstract, w.authors, w.container, w.year, t.facet, t.value, t.how, f.label, f.meaning
    from tags t join works w on w.doi = t.doi left join facets f on f.facet = t.facet and f.value = t.value
    where t.doi = :doi and t.facet = :facet and t.value = :value
"""
REASONS = """
    select facet, value, field, start, stop, quote from reasons where doi = :doi and facet = :facet and value = :value
    order by field desc, start
"""
TITLES = "select doi, title from works where doi in (select value from json_each(:dois))"
LISTED = """
    select doi, title, authors, container, year, why from works where doi in (select value from json_each(:dois))
"""

OTHER_PAGES = ("pairs", "tags", "several", "progress")
"""Pages of the desk with a form for each of many decisions; a decision leads back to them."""

SECRET = re.compile(r"(/desk/login\?).*")
"""The login link's query string."""

_writing = asyncio.Lock()
"""Decisions are written one at a time: each needs the lock that a sync also takes."""


class WithoutSecret(logging.Filter):
    """Takes the secret of the login link out of the lines of the access log."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(SECRET.sub(r"\1…", arg) if isinstance(arg, str) else arg for arg in record.args)
        return True


@hookimpl
def startup() -> None:
    log = logging.getLogger("uvicorn.access")
    if not any(isinstance(found, WithoutSecret) for found in log.filters):
        log.addFilter(WithoutSecret())
    desk = review_desk.desk_from_environment()
    if desk is not None:  # the rules take a second to load: not while a reviewer waits for the first decision
        threading.Thread(target=desk.warm, name="load-rules", daemon=True).start()


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    if review_desk.desk_from_environment() is None:
        return []
    return [
        (r"^/desk$", work_page),
        (r"^/desk/pairs$", pairs_page),
        (r"^/desk/tags$", tags_page),
        (r"^/desk/several$", several_page),
        (r"^/desk/progress$", progress_page),
        (r"^/desk/said$", decisions_page),
        (r"^/desk/login$", login),
        (r"^/desk/decide$", decide),
        (r"^/desk/decide-several$", decide_several),
        (r"^/desk/undo$", undo),
    ]


@hookimpl
def get_metadata() -> dict[str, Any]:
    """The accounts for datasette-auth-passwords. Metadata are public, so they name the environment variables with the hashes."""
    desk = review_desk.desk_from_environment()
    accounts = desk.accounts.items() if desk else ()
    hashes = {f"{name}_password_hash": {"$env": variable} for name, variable in accounts}
    return {"plugins": {"datasette-auth-passwords": hashes}} if hashes else {}


@hookimpl
def extra_template_vars(request: Any) -> dict[str, Any]:
    return {"desk": request is not None and current_reviewer(request) is not None}


def current_reviewer(request: Any) -> str | None:
    """The reviewer who sent the request; None for anyone else."""
    desk, actor = review_desk.desk_from_environment(), request.actor or {}
    return actor.get("id") if desk is not None and actor.get("id") in desk.reviewers else None


def reviewer_of(request: Any) -> tuple[review_desk.Desk, str]:
    """The desk and the reviewer who sent the request; Forbidden for anyone else."""
    desk, reviewer = review_desk.desk_from_environment(), current_reviewer(request)
    if desk is None or reviewer is None:
        raise Forbidden("The desk is for reviewers. Open the link that `evidence serve` printed, or log in.")
    return desk, reviewer


async def login(datasette: Any, request: Any) -> Response:
    """Exchanges the secret in the link that `evidence serve --reviewer` prints for a signed cookie, once. The address that the
    browser keeps is the desk's, without the secret."""
    desk = review_desk.desk_from_environment()
    response = Response.redirect(datasette.urls.path("/desk"))
    response.headers["cache-control"] = "no-store"
    if current_reviewer(request) is not None:
        return response
    reviewer = desk.use_token(request.args.get("token") or "") if desk and request.method == "GET" else None
    if reviewer is None:
        raise Forbidden(
            "This login link is not valid, or was used before: it opens the desk once. Go on in the browser that used it, or "
            "start `evidence serve` again for a new link."
        )
    response.set_cookie("ds_actor", datasette.sign({"a": {"id": reviewer}}, "actor"), httponly=True, samesite="strict")
    return response


# ---------------------------------------------------------------------- pages


async def work_page(datasette: Any, request: Any) -> Response:
    desk, reviewer = reviewer_of(request)
    queue = queue_of(request.args.get("queue"))
    waiting = await asyncio.to_thread(desk.queue, queue, reviewer)
    asked = dois.parse_key(request.args.get("doi"))
    wanted = await asyncio.to_thread(desk.canonical_doi, asked) if asked else waiting[0] if waiting else None
    return await show(datasette, request, queue, wanted, waiting)


async def show(
    datasette: Any,
    request: Any,
    queue: review_desk.Queue,
    wanted: Any,
    waiting: Any,
    problem: str | None = None,
    form: Any = None,
) -> Response:
    """One work with the decision form. After a `problem`, the form is filled again with `form`, the fields as sent."""
    desk, reviewer = reviewer_of(request)
    db = datasette.get_database(NAME)
    work = (await db.execute(WORK, {"doi": wanted})).first() if wanted else None
    if wanted and work is None:
        raise NotFound(f"{wanted} is not in this database")
    entries = await asyncio.to_thread(desk.decided_by, reviewer)
    history = await asyncio.to_thread(desk.decisions_on, wanted) if wanted else []
    mine = any(decision.doi == wanted and decision.verdict for entry in entries for decision in entry.decisions)
    values = [dict(row) for row in await db.execute(TAG_VALUES, {"doi": wanted})]
    if form:
        ticked = set(form.get("tag", ()))
        values = [value | {"ticked": f"{value['facet']}:{value['value']}" in ticked} for value in values]
    facets: dict[str, list[dict[str, Any]]] = {}
    for value in values:
        facets.setdefault(value["facet"], []).append({"ticked": bool(value["assigned"])} | value)
    topic = await site_topic.of_database(db)
    page = {
        "work": work,
        "columns": list(work.keys()) if work is not None else [],
        "facets": topic.in_order(facets),
        "assigned": [value["label"] for value in values if value["assigned"]],
        "history": history,
        "shown": await asyncio.to_thread(desk.decided_on, reviewer, wanted) if wanted else "",
        **await criteria(desk),
        "progress": await asyncio.to_thread(desk.progress, reviewer, entries, len(waiting))
        if queue == "waiting"
        else None,
        # A second reviewer should not see the first reviewer's decision.
        "blind": queue == "second" and not mine,
        "standard_reasons": await asyncio.to_thread(desk.reasons, reviewer, topic),
        "next": review_desk.next_waiting(waiting, wanted),
        "place": waiting.index(wanted) + 1 if wanted in waiting else None,
        "problem": problem,
        "form": {name: values[0] for name, values in (form or {}).items() if values},
        **await header_data(datasette, request, queue, len(waiting), entries),
    }
    status = 400 if problem else 200
    return Response.html(await datasette.render_template("desk.html", page, request=request), status=status)


async def pairs_page(datasette: Any, request: Any) -> Response:
    desk, reviewer = reviewer_of(request)
    entries = await asyncio.to_thread(desk.decided_by, reviewer)
    page = {
        "pairs": await asyncio.to_thread(desk.pairs_to_check),
        **await header_data(datasette, request, None, None, entries),
    }
    return Response.html(await datasette.render_template("desk_duplicates.html", page, request=request))


async def tags_page(datasette: Any, request: Any) -> Response:
    desk, reviewer = reviewer_of(request)
    entries = await asyncio.to_thread(desk.decided_by, reviewer)
    db = datasette.get_database(NAME)
    waiting = await asyncio.to_thread(desk.tags_to_check, await site_topic.of_database(db))
    likely = []
    for tag in waiting[:TAGS_SHOWN]:
        params = dict(zip(("doi", "facet", "value"), tag, strict=True))
        found = (await db.execute(LIKELY_TAG, params)).first()
        if found is not None:
            reasons = [dict(row) for row in await db.execute(REASONS, params)]
            likely.append({**dict(found), "passages": passages(dict(found), reasons)})
    page = {
        "likely": likely,
        "more": max(0, len(waiting) - TAGS_SHOWN),
        **await header_data(datasette, request, None, None, entries),
    }
    return Response.html(await datasette.render_template("desk_tags.html", page, request=request))


def passages(work: dict[str, Any], reasons: list[dict[str, Any]]) -> list[tuple[str, str, str, str]]:
    """The text behind a tag with what stands around it: (field, before, text, after). Text that is no longer at its place is
    shown alone."""
    found = []
    for reason in reasons:
        text, start, stop = work.get(reason["field"]) or "", reason["start"], reason["stop"]
        at_place = text[start:stop] == reason["quote"]
        before, after = (text[:start], text[stop:]) if at_place else ("", "")
        before = before if len(before) <= CONTEXT else f"…{before[-CONTEXT:]}"
        after = after if len(after) <= CONTEXT else f"{after[:CONTEXT]}…"
        found.append((reason["field"], before, reason["quote"], after))
    return found


async def criteria(desk: review_desk.Desk) -> dict[str, Any]:
    """The criteria of the review, or why its rules cannot be read: the page is shown without them."""
    try:
        return {"criteria": await asyncio.to_thread(desk.criteria)}
    except EvidenceError as error:
        return {"criteria": (), "criteria_problem": str(error)}


async def several_page(datasette: Any, request: Any) -> Response:
    """The works that wait, to choose several and give them one verdict for one reason."""
    words, all_of_them = request.args.get("words") or "", bool(request.args.get("all"))
    return await show_several(datasette, request, words, all_of_them)


async def show_several(
    datasette: Any,
    request: Any,
    words: str,
    all_of_them: bool = False,
    problem: str | None = None,
    form: dict[str, list[str]] | None = None,
    confirm: review_desk.Batch | None = None,
) -> Response:
    """The list to choose from; or, to `confirm`, the chosen works alone. After a `problem` it is filled with `form`, the fields
    as sent."""
    desk, reviewer = reviewer_of(request)
    waiting = await asyncio.to_thread(desk.queue, "waiting", reviewer)
    db = datasette.get_database(NAME)
    rows = {row["doi"]: dict(row) for row in await db.execute(LISTED, {"dois": json.dumps(waiting)})}
    wanted = words.casefold().split()
    found = [
        rows[doi]
        for doi in waiting
        if doi in rows and all(word in f"{rows[doi]['title']} {rows[doi]['container']}".casefold() for word in wanted)
    ]
    sent = form or {}
    ticked = {str(doi) for doi in map(dois.parse, sent.get("doi", ())) if doi}
    shown = found[: review_desk.LARGEST_BATCH]
    topic = await site_topic.of_database(db)
    entries = await asyncio.to_thread(desk.decided_by, reviewer)
    page = {
        "listed": [rows[doi] for doi in confirm.dois if doi in rows] if confirm else shown,
        "matching": len(found),
        "title_words": words,
        "confirm": confirm,
        "ticked": {work["doi"] for work in shown} if all_of_them else ticked,
        "problem": problem,
        "form": {name: values[0] for name, values in sent.items() if values},
        "standard_reasons": await asyncio.to_thread(desk.reasons, reviewer, topic),
        **await criteria(desk),
        **await header_data(datasette, request, None, None, entries),
    }
    status = 400 if problem else 200
    return Response.html(await datasette.render_template("desk_several.html", page, request=request), status=status)


async def progress_page(datasette: Any, request: Any) -> Response:
    desk, reviewer = reviewer_of(request)
    entries = await asyncio.to_thread(desk.decided_by, reviewer)
    waiting = await asyncio.to_thread(desk.queue, "waiting", reviewer)
    far = await asyncio.to_thread(desk.how_far)
    page = {
        "progress": await asyncio.to_thread(desk.progress, reviewer, entries, len(waiting)),
        "far": far,
        "error": stopping_rule.in_words(far.error) if far.error is not None else None,
        "to_go": await asyncio.to_thread(lambda: far.works_to_go) if far.error is not None else None,
        "target": stopping_rule.TARGET,
        "factor": stopping_rule.FACTOR,
        "enough_for_pace": pace.ENOUGH,
        "agreement": await asyncio.to_thread(desk.agreement),
        "in_words": agreement.in_words,
        **await header_data(datasette, request, None, None, entries),
    }
    return Response.html(await datasette.render_template("desk_progress.html", page, request=request))


async def decisions_page(datasette: Any, request: Any) -> Response:
    desk, reviewer = reviewer_of(request)
    entries = await asyncio.to_thread(desk.decided_by, reviewer)
    shown = entries[:DECISIONS_SHOWN]
    page = {
        "entries": shown,
        "works": len({doi for entry in entries for doi in entry.dois}),
        "titles": await titles(datasette, [doi for entry in shown for doi in entry.dois]),
        **await header_data(datasette, request, None, None, entries),
    }
    return Response.html(await datasette.render_template("desk_decisions.html", page, request=request))


async def header_data(
    datasette: Any, request: Any, queue: review_desk.Queue | None, length: int | None, entries: list[review_desk.Entry]
) -> dict[str, Any]:
    """What _desk_header.html shows: the queues with their lengths, and the reviewer's last decision."""
    desk, reviewer = reviewer_of(request)
    topic = await site_topic.of_database(datasette.get_database(NAME))
    lengths = {
        name: length
        if name == queue and length is not None
        else len(await asyncio.to_thread(desk.queue, name, reviewer))
        for name in review_desk.QUEUES
    }
    last = entries[0] if entries else None
    return {
        "reviewer": reviewer,
        "queue": queue,
        "queues": [(name, label, lengths[name]) for name, label in review_desk.QUEUES.items()],
        "pairs_waiting": len(await asyncio.to_thread(desk.pairs_to_check)),
        "tags_waiting": len(await asyncio.to_thread(desk.tags_to_check, topic)),
        "last": last,
        "last_title": (await titles(datasette, [last.doi])).get(last.doi) if last else None,
        "describe_entry": describe_entry,
    }


async def titles(datasette: Any, wanted: list[Any]) -> dict[str, str | None]:
    """DOI → title of these works."""
    rows = await datasette.get_database(NAME).execute(TITLES, {"dois": json.dumps(wanted)})
    return {row["doi"]: row["title"] for row in rows}


def describe_entry(entry: review_desk.Entry) -> str:
    """The decisions of one submitted form as text, such as "Excluded; variant: ipt-g added"."""
    parts = []
    together = f" {len(entry.dois)} works together" if len(entry.dois) > 1 else ""
    for decision in entry.decisions[:1] if together else entry.decisions:
        if decision.verdict:
            parts.append(f"{VERDICT_TEXTS[decision.verdict]}{together}")
        elif decision.facet == SAME_WORK:
            parts.append(f"{'Same work as' if decision.action == 'tag' else 'Different work from'} {decision.value}")
        else:
            facet = (decision.facet or "").replace("_", " ")
            added = "confirmed" if decision.rule_said == "said" else "added"
            parts.append(f"{facet}: {decision.value} {added if decision.action == 'tag' else 'removed'}")
    return "; ".join(parts)


# ---------------------------------------------------------------------- forms


async def decide(datasette: Any, request: Any) -> Response:
    desk, reviewer = reviewer_of(request)
    fields = await fields_of(request)
    back = fields.get("back", [""])[0]
    queue = queue_of(back)
    waiting = [] if back in OTHER_PAGES else await asyncio.to_thread(desk.queue, queue, reviewer)
    try:
        form = review_desk.parse_form(fields)
        async with _writing:
            is_visible = await asyncio.to_thread(desk.decide, reviewer, form, fields.get("shown", [None])[0])
    except ConfigError as error:
        wanted = dois.parse_key(fields.get("doi", [""])[0])
        if back in OTHER_PAGES or wanted is None:
            return await error_page(datasette, request, str(error), 400)
        return await show(datasette, request, queue, wanted, waiting, str(error), fields)
    except EvidenceError as error:
        return await error_page(datasette, request, str(error), 503)
    if not is_visible:
        add_delay_message(datasette, request)
    if back in OTHER_PAGES:
        return Response.redirect(datasette.urls.path(f"/desk/{back}"), status=303)
    following = review_desk.next_waiting(waiting, form.doi) if form.verdict else form.doi
    return Response.redirect(address(datasette, queue, following), status=303)


async def decide_several(datasette: Any, request: Any) -> Response:
    """Shows the chosen works and asks again; saves them when that was confirmed."""
    desk, reviewer = reviewer_of(request)
    fields = await fields_of(request)
    words = fields.get("words", [""])[0]
    step = fields.get("step", [""])[0]
    try:
        form = review_desk.parse_batch(fields)
        if step == "change":
            return await show_several(datasette, request, words, form=fields)
        if step != "save":
            return await show_several(datasette, request, words, form=fields, confirm=form)
        async with _writing:
            is_visible = await asyncio.to_thread(desk.decide_together, reviewer, form)
    except ConfigError as error:
        return await show_several(datasette, request, words, problem=str(error), form=fields)
    except EvidenceError as error:
        return await error_page(datasette, request, str(error), 503)
    if not is_visible:
        add_delay_message(datasette, request)
    return Response.redirect(several_address(datasette, words), status=303)


async def undo(datasette: Any, request: Any) -> Response:
    """Undoes the decision that the form names. The form of the last decision (`last`) says so: it is refused when another one has
    been saved since."""
    desk, reviewer = reviewer_of(request)
    fields = await fields_of(request)
    name, only_last = (fields.get(field, [""])[0] for field in ("decision", "last"))
    try:
        async with _writing:
            entry, is_visible = await asyncio.to_thread(desk.undo, reviewer, name, only_last=bool(only_last))
    except ConfigError as error:
        return await error_page(datasette, request, str(error), 409)
    except EvidenceError as error:
        return await error_page(datasette, request, str(error), 503)
    if not is_visible:
        add_delay_message(datasette, request)
    back = fields.get("back", [""])[0]
    if back in ("said", *OTHER_PAGES):
        return Response.redirect(datasette.urls.path(f"/desk/{back}"), status=303)
    return Response.redirect(address(datasette, queue_of(back), entry.doi), status=303)


async def fields_of(request: Any) -> dict[str, list[str]]:
    """The fields of a submitted form. Datasette has already checked its CSRF token."""
    if request.method != "POST":
        raise Forbidden("This address accepts submitted forms only.")
    body = await request.post_body()
    if len(body) > LARGEST_FORM:
        raise Forbidden("The form is too large.")
    return parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)


async def error_page(datasette: Any, request: Any, problem: str, status: int) -> Response:
    title = "Nothing was undone" if request.path.endswith("/undo") else "The decision was not saved"
    page = {
        "title": title,
        "error": f"{problem[:1].upper()}{problem[1:]}.".replace("..", "."),
        "status": status,
        "at_desk": True,
    }
    return Response.html(await datasette.render_template("error.html", page, request=request), status=status)


def add_delay_message(datasette: Any, request: Any) -> None:
    message = (
        "A sync is running, or another program is using the database. Your decision is saved; it appears on the site when "
        "that is done."
    )
    datasette.add_message(request, message, datasette.WARNING)


def several_address(datasette: Any, words: str) -> str:
    query = f"?{urlencode({'words': words})}" if words else ""
    return f"{datasette.urls.path('/desk/several')}{query}"


def queue_of(text: str | None) -> review_desk.Queue:
    return text if text in get_args(review_desk.Queue) else "waiting"  # type: ignore[return-value]


def address(datasette: Any, queue: review_desk.Queue, found: Any) -> str:
    pairs = [("queue", queue), *([("doi", str(found))] if found else [])]
    return f"{datasette.urls.path('/desk')}?{urlencode(pairs)}"
