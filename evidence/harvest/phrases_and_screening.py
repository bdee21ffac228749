"""Do the searches and the screening rules speak of the same thing? Each phrase of a search is screened as a title.

A search whose phrases never lead to a work that is included, or at least waits because of its words, finds works that all are
excluded. This module decides nothing about works.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from evidence.data_model import Doi, Work
from evidence.errors import ConfigError
from evidence.harvest.sources import Config, Search
from evidence.rules.screen import screen
from evidence.rules.taxonomy import Taxonomy

_NOBODYS = Doi("10.5555/phrase")
_MOST = 200
"""Pairs of a phrase and a word of `also` that are tried for one search."""


def refuse_other_topics(config: Config, taxonomy: Taxonomy, path: Path) -> None:
    """ConfigError when the works that some search looks for would all be excluded, or would wait without a word of theirs that
    tells why."""
    for source in config.sources:
        if isinstance(source, Search) and not speaks_of_topic(source, taxonomy):
            raise ConfigError(
                f"{path}: the search {source.id!r} and the screening rules speak of different things: read as titles, none of "
                f"its phrases is included or left open by a word ({_some(source.phrases)}). The topic is {taxonomy.topic.id!r} "
                f"({taxonomy.topic.about}); name another with `topic:`, or edit {taxonomy.topic.screen_path}"
            )


def speaks_of_topic(search: Search, taxonomy: Taxonomy) -> bool:
    """Whether one of the search's phrases, alone or beside a word of `also`, is included by the screening rules or left unsure
    because of its words."""
    for title in _titles(search):
        verdict = screen(Work(doi=_NOBODYS, title=title), taxonomy)
        if verdict.verdict == "include" or (verdict.verdict == "unsure" and verdict.matches):
            return True
    return False


def _titles(search: Search) -> Iterator[str]:
    phrases, also = [[_read_out(text) for text in texts] for texts in (search.phrases, search.also)]
    yield from phrases
    pairs = ((phrase, word) for phrase in phrases for word in also)
    for number, (phrase, word) in enumerate(pairs):
        if number == _MOST:
            return
        yield f"{phrase} {word}"


def _read_out(phrase: str) -> str:
    """A phrase as it would stand in a title: `psychotherap*` has no ending there, and rules mostly allow any."""
    return phrase.replace("*", "")


def _some(phrases: tuple[str, ...]) -> str:
    return ", ".join(f"“{phrase}”" for phrase in phrases[:3]) + (", …" if len(phrases) > 3 else "")
