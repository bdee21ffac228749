"""The reviewer's desk in the browser. Without a desk (`evidence serve --reviewer` or `--accounts`) there is no route here, and
a published copy has no such file at all.

Who somebody is, the signed cookie says: of the one reviewer of this machine, whom a link with a secret lets in, or of
datasette-auth-passwords. That a form is ours, Datasette's CSRF token says. What a form means, `evidence.desk` says.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, get_args
from urllib.parse import parse_qs, urlencode

from datasette import Forbidden, hookimpl
from datasette.utils.asgi import NotFound, Response

from evidence import desk as rooms
from evidence import doi as dois
from evidence.errors import ConfigError, EvidenceError
from evidence.model import SAME_WORK

NAME = "evidence"
LARGEST_FORM = 200_000
"""Bytes; the largest form we make has all tags, some 10 kB."""
ACTS_SHOWN = 100
SAID = {"include": "Included", "exclude": "Excluded", "unsure": "Left unsure"}

WORK = "select * from works where doi = :doi"
VALUES = """
    select f.facet, f.value, f.label, f.meaning, t.doi is not null as said from facets f
    left join tags t on t.doi = :doi and t.facet = f.facet and t.value = f.value
    order by f.facet, f.position, f.value
"""
TITLES = "select doi, title from works where doi in (select value from json_each(:dois))"

_writing = asyncio.Lock()
"""Words are said one after another: each needs the lock that a sync holds too."""


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    if rooms.opened() is None:
        return []
    return [
        (r"^/desk$", work_page),
        (r"^/desk/pairs$", pairs_page),
        (r"^/desk/said$", said_page),
        (r"^/desk/login$", login),
        (r"^/desk/decide$", decide),
        (r"^/desk/undo$", undo),
    ]


@hookimpl
def get_metadata() -> dict[str, Any]:
    """The accounts for datasette-auth-passwords. The hashes stay in the environment: metadata are public."""
    desk = rooms.opened()
    held = {f"{name}_password_hash": {"$env": held} for name, held in desk.accounts.items()} if desk else {}
    return {"plugins": {"datasette-auth-passwords": held}} if held else {}


@hookimpl
def extra_template_vars(request: Any) -> dict[str, Any]:
    return {"desk": request is not None and sitting(request) is not None}


def sitting(request: Any) -> str | None:
    """The reviewer who asks, or None: somebody else, or nobody we know."""
    desk, actor = rooms.opened(), request.actor or {}
    return actor.get("id") if desk is not None and actor.get("id") in desk.reviewers else None


def reviewer_of(request: Any) -> tuple[rooms.Desk, str]:
    """The desk and who sits at it; Forbidden to everybody else."""
    desk, reviewer = rooms.opened(), sitting(request)
    if desk is None or reviewer is None:
        raise Forbidden("The desk is for reviewers. Open the link that `evidence serve` printed, or log in.")
    return desk, reviewer


async def login(datasette: Any, request: Any) -> Response:
    """The link that `evidence serve --reviewer` prints: from its secret to a signed cookie."""
    desk = rooms.opened()
    reviewer = desk.opens(request.args.get("token") or "") if desk else None
    if reviewer is None:
        raise Forbidden(
            "This link is not of the server that runs now. Open the one that `evidence serve` printed last."
        )
    response = Response.redirect(datasette.urls.path("/desk"))
    response.set_cookie("ds_actor", datasette.sign({"a": {"id": reviewer}}, "actor"), httponly=True, samesite="lax")
    return response


# ---------------------------------------------------------------------- pages


async def work_page(datasette: Any, request: Any) -> Response:
    desk, reviewer = reviewer_of(request)
    queue = queue_of(request.args.get("queue"))
    waiting = await asyncio.to_thread(desk.queue, queue, reviewer)
    asked = dois.parse(request.args.get("doi"))
    wanted = await asyncio.to_thread(desk.kept_under, asked) if asked else waiting[0] if waiting else None
    return await show(datasette, request, queue, wanted, waiting)


async def show(
    datasette: Any,
    request: Any,
    queue: rooms.Queue,
    wanted: Any,
    waiting: Any,
    problem: str | None = None,
    form: Any = None,
) -> Response:
    """One work with the form beside it. After a `problem`, `form` (the fields as sent) fills it again."""
    desk, reviewer = reviewer_of(request)
    db = datasette.get_database(NAME)
    work = (await db.execute(WORK, {"doi": wanted})).first() if wanted else None
    if wanted and work is None:
        raise NotFound(f"No source has led to {wanted}")
    acts = await asyncio.to_thread(desk.said, reviewer)
    history = await asyncio.to_thread(desk.of, wanted) if wanted else []
    mine = any(act.doi == wanted and any(word.verdict for word in act.words) for act in acts)
    values = [dict(row) for row in await db.execute(VALUES, {"doi": wanted})]
    if form:
        ticked = set(form.get("tag", ()))
        values = [value | {"ticked": f"{value['facet']}:{value['value']}" in ticked} for value in values]
    facets: dict[str, list[dict[str, Any]]] = {}
    for value in values:
        facets.setdefault(value["facet"], []).append({"ticked": bool(value["said"])} | value)
    page = {
        "work": work,
        "columns": list(work.keys()) if work is not None else [],
        "facets": facets,
        "said": [value["label"] for value in values if value["said"]],
        "history": history,
        # Whoever reads a second time should not know what the first reader found.
        "blind": queue == "second" and not mine,
        "ready": await asyncio.to_thread(desk.reasons, reviewer),
        "next": rooms.after(waiting, wanted),
        "place": waiting.index(wanted) + 1 if wanted in waiting else None,
        "problem": problem,
        "form": {name: values[0] for name, values in (form or {}).items() if values},
        **await around(datasette, request, queue, len(waiting), acts),
    }
    status = 400 if problem else 200
    return Response.html(await datasette.render_template("desk.html", page, request=request), status=status)


async def pairs_page(datasette: Any, request: Any) -> Response:
    desk, reviewer = reviewer_of(request)
    acts = await asyncio.to_thread(desk.said, reviewer)
    page = {
        "pairs": await asyncio.to_thread(desk.pairs),
        **await around(datasette, request, None, None, acts),
    }
    return Response.html(await datasette.render_template("desk_pairs.html", page, request=request))


async def said_page(datasette: Any, request: Any) -> Response:
    desk, reviewer = reviewer_of(request)
    acts = await asyncio.to_thread(desk.said, reviewer)
    shown = acts[:ACTS_SHOWN]
    page = {
        "acts": shown,
        "works": len({act.doi for act in acts}),
        "titles": await titles(datasette, [act.doi for act in shown]),
        **await around(datasette, request, None, None, acts),
    }
    return Response.html(await datasette.render_template("desk_decisions.html", page, request=request))


async def around(
    datasette: Any, request: Any, queue: rooms.Queue | None, length: int | None, acts: list[rooms.Act]
) -> dict[str, Any]:
    """What stands above every page of the desk: the queues with their lengths, and what was said last."""
    desk, reviewer = reviewer_of(request)
    lengths = {
        name: length
        if name == queue and length is not None
        else len(await asyncio.to_thread(desk.queue, name, reviewer))
        for name in rooms.QUEUES
    }
    last = acts[0] if acts else None
    return {
        "reviewer": reviewer,
        "queue": queue,
        "queues": [(name, label, lengths[name]) for name, label in rooms.QUEUES.items()],
        "pairs_waiting": len(await asyncio.to_thread(desk.pairs)),
        "last": last,
        "last_title": (await titles(datasette, [last.doi])).get(last.doi) if last else None,
        "in_words": in_words,
    }


async def titles(datasette: Any, wanted: list[Any]) -> dict[str, str | None]:
    rows = await datasette.get_database(NAME).execute(TITLES, {"dois": json.dumps(wanted)})
    return {row["doi"]: row["title"] for row in rows}


def in_words(act: rooms.Act) -> str:
    """What an act says: "Excluded; variant: ipt-g added"."""
    parts = []
    for word in act.words:
        if word.verdict:
            parts.append(SAID[word.verdict])
        elif word.facet == SAME_WORK:
            parts.append(f"{'The same work as' if word.action == 'tag' else 'Another work than'} {word.value}")
        else:
            parts.append(f"{word.facet}: {word.value} {'added' if word.action == 'tag' else 'taken away'}")
    return "; ".join(parts)


# ---------------------------------------------------------------------- forms


async def decide(datasette: Any, request: Any) -> Response:
    desk, reviewer = reviewer_of(request)
    fields = await fields_of(request)
    back = fields.get("back", [""])[0]
    queue = queue_of(back)
    waiting = [] if back == "pairs" else await asyncio.to_thread(desk.queue, queue, reviewer)
    try:
        words = rooms.read(fields)
        async with _writing:
            shows = await asyncio.to_thread(desk.decide, reviewer, words)
    except ConfigError as error:
        wanted = dois.parse(fields.get("doi", [""])[0])
        if back == "pairs" or wanted is None:
            return await failed(datasette, request, str(error), 400)
        return await show(datasette, request, queue, wanted, waiting, str(error), fields)
    except EvidenceError as error:
        return await failed(datasette, request, str(error), 503)
    if not shows:
        late(datasette, request)
    if back == "pairs":
        return Response.redirect(datasette.urls.path("/desk/pairs"), status=303)
    following = rooms.after(waiting, words.doi) if words.verdict else words.doi
    return Response.redirect(address(datasette, queue, following), status=303)


async def undo(datasette: Any, request: Any) -> Response:
    desk, reviewer = reviewer_of(request)
    fields = await fields_of(request)
    found = dois.parse(fields.get("doi", [""])[0])
    if found is None:
        return await failed(datasette, request, "The form names no work.", 400)
    try:
        async with _writing:
            shows = await asyncio.to_thread(desk.undo, reviewer, found, fields.get("made_at", [""])[0])
    except ConfigError as error:
        return await failed(datasette, request, str(error), 409)
    except EvidenceError as error:
        return await failed(datasette, request, str(error), 503)
    if not shows:
        late(datasette, request)
    back = fields.get("back", [""])[0]
    if back in ("said", "pairs"):
        return Response.redirect(datasette.urls.path(f"/desk/{back}"), status=303)
    return Response.redirect(address(datasette, queue_of(back), found), status=303)


async def fields_of(request: Any) -> dict[str, list[str]]:
    """The fields of a submitted form; Datasette has compared its token by now."""
    if request.method != "POST":
        raise Forbidden("This address takes forms only.")
    body = await request.post_body()
    if len(body) > LARGEST_FORM:
        raise Forbidden("The form is too large.")
    return parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)


async def failed(datasette: Any, request: Any, problem: str, status: int) -> Response:
    page = {"title": "Nothing was decided", "error": problem, "status": status}
    return Response.html(await datasette.render_template("error.html", page, request=request), status=status)


def late(datasette: Any, request: Any) -> None:
    message = (
        "A sync is running, or another program holds the database. What you said is kept, and shows on the site when that is "
        "done."
    )
    datasette.add_message(request, message, datasette.WARNING)


def queue_of(text: str | None) -> rooms.Queue:
    return text if text in get_args(rooms.Queue) else "waiting"  # type: ignore[return-value]


def address(datasette: Any, queue: rooms.Queue, found: Any) -> str:
    pairs = [("queue", queue), *([("doi", str(found))] if found else [])]
    return f"{datasette.urls.path('/desk')}?{urlencode(pairs)}"
