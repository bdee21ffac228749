"""Three tools for agents, where the plugin `datasette-mcp` is installed beside the site: `find_works`, `cell`, `explain`.

What may be asked and what is answered is `evidence.publish.agent_answers`'s. Without datasette-mcp nothing calls this file, and
it imports nothing of it or of its protocol until it is called. It has no `from __future__ import annotations`: the tools are
described to agents by the types of their parameters, which are known only inside the hook.
"""

import sqlite3
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from datasette import hookimpl
from datasette.utils import sqlite_timelimit
from datasette.utils.asgi import Forbidden, Request
from pydantic import Field

from evidence.errors import ConfigError
from evidence.publish import agent_answers, bitset_counts, search_works, site_topic, vocabulary
from evidence.publish.query_cache import CACHE
from evidence.rules import taxonomy

NAME = "evidence"
T = TypeVar("T")

LABELS = "select facet, value, label from facets order by facet, position, value"
SEEN_BY = (("view-table", (NAME, "works")), ("view-database", NAME), "view-instance")
"""Who may see the list of works may ask."""

TIME_LIMIT_FACTOR = 4
"""An answer may take this many times the time limit of a page (`sql_time_limit_ms`)."""

Year = Annotated[int | None, Field(ge=1000, le=9999)]
Most = Annotated[int, Field(ge=1, le=agent_answers.MOST_WORKS)]


@hookimpl(optionalhook=True)
def register_mcp_tools(datasette: Any, mcp: Any) -> None:
    from mcp.server.mcpserver import Context
    from mcp.server.mcpserver.exceptions import ToolError
    from mcp.types import ToolAnnotations

    reads = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)

    async def answer(ctx: Any, make: Callable[[sqlite3.Connection, agent_answers.Site], T]) -> T:
        """What `make` makes of the database, for who asks; ToolError where that is refused."""
        request = request_of(ctx)
        try:
            await datasette.ensure_permissions(request.actor if request else None, SEEN_BY)
            db = datasette.get_database(NAME)
            site = await site_of(datasette, db, request)
            limit = TIME_LIMIT_FACTOR * datasette.setting("sql_time_limit_ms")

            def limited(conn: sqlite3.Connection) -> T:
                with sqlite_timelimit(conn, limit):
                    return make(conn, site)

            found: T = await db.execute_fn(limited)
            return found
        except Forbidden:
            raise ToolError("This site does not show its works to who asks.") from None
        except ConfigError as error:
            raise ToolError(str(error)) from None
        except sqlite3.OperationalError as error:
            if error.args == ("interrupted",):
                raise ToolError("This takes too long; ask for less.") from None
            raise

    @mcp.tool(annotations=reads)
    async def find_works(
        ctx: Context,
        text: Annotated[str, Field(max_length=search_works.LONGEST)] = "",
        tags: Annotated[list[str], Field(max_length=agent_answers.MOST_TAGS)] = [],  # noqa: B006 - the default in the schema
        since: Year = None,
        until: Year = None,
        limit: Most = 20,
    ) -> agent_answers.FoundWorks:
        """Find included works. `text`: words, author and year, or a pasted reference. `tags`: each `facet:value`, or
        `facet:value,value` for either; all must fit, such as ["variant:ipt-a", "design:rct,cluster-rct"]; an unknown tag is
        refused with those that exist. `since` and `until`: years of publication. Without `text` the newest come first. Cite
        `page` of a work and `list_page` of a number. A work that is not found here may still exist."""
        db = datasette.get_database(NAME)
        words = await words_of(db)
        return await answer(
            ctx,
            lambda conn, site: agent_answers.find_works(
                conn, site, *words, text=text, tags=tags, since=since, until=until, most=limit
            ),
        )

    @mcp.tool(annotations=reads)
    async def cell(ctx: Context, first: str, second: str, limit: Most = 10) -> agent_answers.Cell:
        """Count the included works that have two tags, each `facet:value`, such as "variant:ipt-a" and "outcome:anxiety": a cell
        of the evidence map. It says how much was studied, not whether anything works. Where no work has both, see
        `screened_on_title_only`: works whose abstract could not be read may have more tags than are known."""
        return await answer(ctx, lambda conn, site: agent_answers.cell(conn, site, first, second, most=limit))

    @mcp.tool(annotations=reads)
    async def explain(
        ctx: Context, identifier: Annotated[str, Field(max_length=agent_answers.LONGEST_IDENTIFIER)]
    ) -> agent_answers.Explained:
        """Why a work is included, excluded or waiting: its verdict, its tags and the text behind them, notices such as a
        retraction, and how it was found. `identifier`: a DOI, PMID, PMCID, OpenAlex identifier or registration number."""
        return await answer(ctx, lambda conn, site: agent_answers.explain(conn, site, identifier))


def request_of(ctx: Any) -> Request | None:
    """The request of who asks, with its actor, as Datasette knows it; None for a call inside the program."""
    try:
        scope = getattr(ctx.request_context.request, "scope", None)
    except ValueError:  # there is no request
        return None
    return Request(scope, None) if isinstance(scope, dict) else None


async def site_of(datasette: Any, db: Any, request: Request | None) -> agent_answers.Site:
    def address(path: str) -> str:
        return str(datasette.absolute_url(request, path)) if request else path

    labels = await CACHE.get(db.path, "agents' labels", lambda: labels_of(db))
    return agent_answers.Site(
        works=address(datasette.urls.table(NAME, "works")),
        known=await bitset_counts.of_database(db),
        retracted=await bitset_counts.retracted(db),
        topic=await site_topic.of_database(db),
        labels=labels,
    )


async def labels_of(db: Any) -> dict[tuple[str, str], str]:
    return {(facet, value): label for facet, value, label in await db.execute(LABELS)}


async def words_of(db: Any) -> tuple[vocabulary.Vocabulary, taxonomy.Taxonomy | None]:
    """What a search is read with, as on the search page."""
    words = await vocabulary.KEPT.get(db, (await bitset_counts.of_database(db)).works.bit_count())
    files = site_topic.with_files(await site_topic.of_database(db))
    return words or vocabulary.NONE, taxonomy.load(files) if files else None
