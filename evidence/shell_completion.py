"""Completion for bash, zsh and fish: the scripts that shells load, and the words that a command cannot list by itself.

Click completes commands, options and choices. This module adds tags, from the database or else the topic, and what bash needs so
that a word with a colon is completed. It reads and never writes; whatever cannot be read completes to nothing, because a shell
that waits for a word is no place for an error.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
)

from evidence.errors import EvidenceError

VARIABLE = "_EVIDENCE_COMPLETE"
"""The environment variable by which a completion script asks the program for words."""


@add_completion_class
class WholeWords(BashComplete):
    """Bash takes a colon for the end of a word: `design:rct` reaches a completion as three words, and only what follows the last
    colon is replaced. Here the three are one word again, and an answer is cut after the colon."""

    def get_completion_args(self) -> tuple[list[str], str]:
        """The complete words before the cursor, and the one that is being typed."""
        words, incomplete = super().get_completion_args()
        joined: list[str] = []
        for word in (*words, incomplete):
            if joined and (word == ":" or joined[-1].endswith(":")):
                joined[-1] += word
            else:
                joined.append(word)
        self._cut = len(joined[-1].rpartition(":")[0]) + 1 if ":" in joined[-1] else 0
        return joined[:-1], joined[-1]

    def format_completion(self, item: CompletionItem) -> str:
        """The line that the script reads."""
        return f"{item.type},{item.value[self._cut :]}"


COMPLETIONS: dict[str, type[ShellComplete]] = {"bash": WholeWords, "zsh": ZshComplete, "fish": FishComplete}


def script(shell: str, command: click.Command) -> str:
    """The script that a shell loads to complete the words of the program."""
    return COMPLETIONS[shell](command, {}, "evidence", VARIABLE).source()


def tags(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The tags that begin with what was typed: facets up to the colon, then values; after a comma, another value."""
    options = ctx.find_root().params
    try:
        known = _values(options.get("db"), options.get("sources"))
    except (EvidenceError, OSError, sqlite3.Error):
        return []
    return list(_matching(known, incomplete))


def _matching(known: Mapping[str, Mapping[str, str]], incomplete: str) -> Iterator[CompletionItem]:
    facet, colon, rest = incomplete.partition(":")
    if not colon:
        for name, values in known.items():
            if name.startswith(facet):
                yield from (CompletionItem(f"{name}:{value}", help=label) for value, label in values.items())
        return
    done, comma, begun = rest.rpartition(",")
    for value, label in known.get(facet, {}).items():
        if value.startswith(begun) and value not in done.split(","):
            yield CompletionItem(f"{facet}:{done}{comma}{value}", help=label)


def _values(db: Path | None, sources: Path | None) -> dict[str, dict[str, str]]:
    """Facet → value → label: of the database, or without one of the topic that sources.yaml names."""
    found: dict[str, dict[str, str]] = {}
    if db is not None and db.exists():
        from evidence.database.connection import reading
        from evidence.database.read_queries import labelled_values

        with reading(db) as conn:
            found = {
                facet: {row["value"]: row["label"] for row in rows} for facet, rows in labelled_values(conn).items()
            }
    if not found:
        from evidence.harvest import sources as files
        from evidence.rules import taxonomy, topic

        book = taxonomy.load(files.topic_of(sources) if sources is not None and sources.exists() else topic.load())
        found = {facet.facet: {value.id: value.label for value in facet.values} for facet in book.facets}
    return found
