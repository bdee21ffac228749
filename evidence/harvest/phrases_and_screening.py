"""Do the searches and the screening rules speak of the same thing? Each phrase of a search is screened as if it were a work.

A search whose phrases never lead to a work that is included, or at least waits because of its words, finds works that all are
excluded. This module decides nothing about works.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

from evidence.data_model import Doi, Work
from evidence.errors import ConfigError
from evidence.harvest.sources import Config, Search
from evidence.rules.screen import SUFFICIENT_ABSTRACT, screen
from evidence.rules.taxonomy import Taxonomy

_NOBODYS = Doi("10.5555/phrase")
_ENDINGS = ("y", "", "s", "e", "ies", "ion", "ing", "ed", "al", "ral")
_MOST = 500
"""Pairs of a phrase and a word of the query, and of a phrase and a word of `also`, that are tried for one search."""


def refuse_other_topics(config: Config, taxonomy: Taxonomy, path: Path) -> None:
    """ConfigError when the works that some search looks for would all be excluded."""
    for source in config.sources:
        topic = taxonomy.topic
        if isinstance(source, Search) and not speaks_of_topic(source, taxonomy):
            raise ConfigError(
                f"{path}: the search {source.id!r} and the screening rules speak of different things: a work that says "
                f"only what its phrases and its query do ({_some(source.phrases)}) is excluded. The topic is "
                f"{topic.id!r} ({topic.about}); name another with `topic:`, or edit {topic.screen_path}"
            )


def speaks_of_topic(search: Search, taxonomy: Taxonomy) -> bool:
    """Whether one of the search's phrases, alone or beside a word of `also`, is included by the screening rules or left unsure
    because of its words. It is read as a title and as an abstract, because much is unsure where there is no abstract."""
    for text in _texts(search):
        abstract = f"{text}. " * (SUFFICIENT_ABSTRACT // len(text) + 1)
        if screen(Work(doi=_NOBODYS, title=text, abstract=abstract), taxonomy).verdict != "exclude":
            return True
    return False


def _texts(search: Search) -> Iterator[str]:
    phrases, also = [[new for text in texts for new in _spelled_out(text)] for texts in (search.phrases, search.also)]
    yield from phrases
    # A phrase may need a word beside it ("cognitive and interpersonal"), and the words that the search ranks by are such words.
    words = [word for _, query in search.query.fields for word in query.split()]
    yield from itertools.islice((f"{phrase} {word}" for word in words for phrase in phrases), _MOST)
    yield from itertools.islice((f"{phrase} {word}" for word in also for phrase in phrases), _MOST)


def _spelled_out(phrase: str) -> list[str]:
    """A phrase as it may stand in a work: `psychotherap*` with common endings."""
    return [phrase.replace("*", ending) for ending in _ENDINGS] if "*" in phrase else [phrase]


def _some(phrases: tuple[str, ...]) -> str:
    return ", ".join(f"“{phrase}”" for phrase in phrases[:3]) + (", …" if len(phrases) > 3 else "")
