"""A search of a Datasette database, with its topic, its vocabulary and its sets of works, as the search page and lists need it.

It only reads.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from evidence.publish import bitset_counts, search_works, site_topic, vocabulary
from evidence.rules import taxonomy


async def found(db: Any, text: str, scope: str | None, among: int | None = None) -> search_works.Found:
    """What a search finds among the works of a scope (its name in an address), and the best of those that are also `among` others
    (None: of all)."""
    return (await found_with_contexts(db, text, scope, among, contexts=False))[0]


async def found_with_contexts(
    db: Any, text: str, scope: str | None, among: int | None = None, *, contexts: bool = True
) -> tuple[search_works.Found, dict[int, str]]:
    """The same, with the words around what was found in the abstracts of the best works."""
    files = site_topic.with_files(await site_topic.of_database(db))
    sets = await bitset_counts.of_database(db)
    words = await vocabulary.KEPT.get(db, sets.works.bit_count())
    verdicts = search_works.scope_named(scope).verdicts

    def search(conn: sqlite3.Connection) -> tuple[search_works.Found, dict[int, str]]:
        of_topic = taxonomy.load(files) if files else None
        works = search_works.search(conn, text, words or vocabulary.NONE, of_topic, sets, verdicts, among)
        return works, search_works.contexts(conn, works) if contexts else {}

    answer: tuple[search_works.Found, dict[int, str]] = await db.execute_fn(search)
    return answer


async def knows_words(db: Any) -> bool:
    """Whether a search of this database recognises misspelt words by now."""
    return await vocabulary.KEPT.get(db, (await bitset_counts.of_database(db)).works.bit_count()) is not None
