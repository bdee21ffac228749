"""Which records answer a question, as Crossref understands questions: filters, field queries, sorting, selecting.

The pure half of the loopback Crossref. Partial publication dates mean their earliest day; unknown filters, selects and
sorts are refused in Crossref's own words; ranking is this file's own (a bag of words weighted by rarity).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

Message = dict[str, Any]
Ranked = list[tuple[Message, float | None]]


class Refusal(Exception):  # noqa: N818
    """A request that Crossref answers with a validation failure."""

    def __init__(self, kind: str, value: str, words: str) -> None:
        super().__init__(words)
        self.failure = {"type": kind, "value": value, "message": words}


class Breakdown(Exception):  # noqa: N818
    """A request on which Crossref throws an exception of its own (500)."""


def filtered(known: Mapping[str, Message], text: str) -> list[Message]:
    """The records a `filter` lets through; the `doi` filter reads the mapping by key."""
    wanted: dict[str, list[str]] = {}
    for name, value in parse_filter(text):
        wanted.setdefault(name, []).append(value)
    for name in wanted:
        if name not in FILTERS:
            raise Refusal(
                "filter-not-available",
                name,
                f"Filter '{name}' specified but there is no such filter for this route. "
                f"Valid filters for this route are: {', '.join(sorted(FILTERS))}",
            )
    if "doi" in wanted:
        named = dict.fromkeys(read_doi(value) for value in wanted.pop("doi"))
        works: Sequence[Message] = [known[doi] for doi in named if doi in known]
    else:
        works = list(known.values())
    for name, values in wanted.items():
        test = FILTERS[name]
        works = [work for work in works if any(test(work, value) for value in values)]
    return list(works)


def ranked(params: Mapping[str, str], works: list[Message]) -> Ranked:
    """The records that share a word with every `query` and `query.x`, best first, with their scores."""
    asked = {name: value for name, value in params.items() if name == "query" or name.startswith("query.")}
    if not asked:
        return [(work, None) for work in works]
    scores = [0.0] * len(works)
    alive = [True] * len(works)
    for name, value in asked.items():
        terms = words(value)
        bags = [words(text_of(work, name)) & terms for work in works]
        seen = Counter(term for bag in bags for term in bag)
        weight = {term: math.log(1 + len(works) / count) for term, count in seen.items()}
        for index, bag in enumerate(bags):
            alive[index] = alive[index] and bool(bag)
            scores[index] += sum(weight[term] for term in sorted(bag))
    ranked = [(work, round(score, 6)) for work, score, keep in zip(works, scores, alive, strict=True) if keep]
    ranked.sort(key=lambda pair: (-pair[1], str(pair[0]["DOI"])))
    return [(work, score) for work, score in ranked]


def parse_filter(text: str) -> list[tuple[str, str]]:
    """`name:value` pairs as Crossref's own parser makes them: a piece without a colon belongs to the value before it,
    colons at the end of a value are lost."""
    pairs: list[tuple[str, str]] = []
    for piece in text.split(",") if text else ():
        name, colon, value = piece.partition(":")
        if colon:
            pairs.append((name, value.rstrip(":")))
        elif pairs:
            pairs[-1] = (pairs[-1][0], f"{pairs[-1][1]},{piece}")
    return pairs


def read_doi(value: str) -> str:
    """The DOI a `doi` filter reads: up to white space, and only under a prefix of plain digits. Crossref's own reader
    returns nothing for other prefixes, and then throws."""
    match = re.search(r"10\.[0-9]{4,}/\S+", value)
    if match is None:
        raise Breakdown("java.lang.NullPointerException")
    return match[0].lower()


def issued(work: Message, key: str = "issued") -> str:
    """The earliest day a possibly partial date can mean, ISO; "" without a date."""
    value = work.get(key) or {}
    parts = (value.get("date-parts") or [[]])[0] or []
    if not parts or parts[0] is None:
        return str(value.get("date-time", ""))[:10]
    year, month, day = (*[part or 1 for part in parts], 1, 1)[:3]
    return f"{int(year):04}-{int(month):02}-{int(day):02}"


def stamp(work: Message, key: str) -> str:
    """The moment of a `{"date-time": …}` field, or its day."""
    value = work.get(key) or {}
    return str(value.get("date-time") or issued(work, key))


@lru_cache(maxsize=200_000)
def words(text: str) -> frozenset[str]:
    """The lower-case words of a text."""
    return frozenset(re.findall(r"\w+", text.lower()))


def text_of(work: Message, query: str) -> str:
    """The text of a record that `query` or `query.<field>` looks at."""
    name = query.removeprefix("query.")
    names = FIELDS["bibliographic"] + ("abstract", "publisher") if name == "query" else FIELDS[name]
    return " ".join(_flat(work.get(part)) for part in names)


def _flat(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return " ".join(_flat(part) for part in value.values())
    if isinstance(value, Sequence):
        return " ".join(_flat(part) for part in value)
    return "" if value is None else str(value)


def first(value: Any) -> str:
    return str(value[0]) if isinstance(value, list) and value else str(value or "")


def _since(key: str) -> Callable[[Message, str], bool]:
    read = issued if key in DAYS else stamp
    return lambda work, value: bool(read(work, key)) and read(work, key) >= (value + "-01-01"[len(value) - 4 :])[:19]


def _until(key: str) -> Callable[[Message, str], bool]:
    read = issued if key in DAYS else stamp
    return lambda work, value: bool(read(work, key)) and read(work, key)[: len(value)] <= value


def _has(*keys: str) -> Callable[[Message, str], bool]:
    return lambda work, value: any(bool(work.get(key)) for key in keys) == (value.lower() in ("true", "t", "1"))


def _among(key: str) -> Callable[[Message, str], bool]:
    return lambda work, value: value.lower() in [str(one).lower() for one in work.get(key) or ()]


def _is(key: str) -> Callable[[Message, str], bool]:
    return lambda work, value: str(work.get(key, "")).lower() == value.lower()


def _nested(key: str, inner: str) -> Callable[[Message, str], bool]:
    return lambda work, value: any(str(one.get(inner, "")).lower() == value.lower() for one in work.get(key) or ())


DAYS = ("issued", "published", "published-print", "published-online")
FILTERS: dict[str, Callable[[Message, str], bool]] = {
    "doi": _is("DOI"),
    "type": _is("type"),
    "member": _is("member"),
    "prefix": _is("prefix"),
    "issn": _among("ISSN"),
    "isbn": _among("ISBN"),
    "container-title": _among("container-title"),
    "has-abstract": _has("abstract"),
    "has-references": _has("reference", "references-count", "reference-count"),
    "has-update": _has("updated-by"),
    "is-update": _has("update-to"),
    "has-relation": _has("relation"),
    "has-clinical-trial-number": _has("clinical-trial-number"),
    "update-type": _nested("update-to", "type"),
    "updates": _nested("update-to", "DOI"),
    "orcid": lambda work, value: any(
        str(author.get("ORCID", "")).endswith(value.rsplit("/", 1)[-1]) for author in work.get("author") or ()
    ),
    "relation.type": lambda work, value: value in (work.get("relation") or {}),
}
for _name, _key in {"pub": "issued", "issued": "issued", "index": "indexed", "deposit": "deposited", "update": "deposited",
                    "created": "created", "print-pub": "published-print", "online-pub": "published-online"}.items():  # fmt: skip
    FILTERS |= {f"from-{_name}-date": _since(_key), f"until-{_name}-date": _until(_key)}

FIELDS: dict[str, tuple[str, ...]] = {
    "bibliographic": (
        "title", "subtitle", "author", "container-title", "issued", "volume", "issue", "page", "ISSN", "DOI",
    ),
    "title": ("title", "subtitle"),
    "author": ("author",),
    "editor": ("editor",),
    "contributor": ("author", "editor", "translator", "chair"),
    "container-title": ("container-title",),
    "affiliation": ("author",),
    "publisher-name": ("publisher",),
    "funder-name": ("funder",),
}  # fmt: skip
PARAMETERS = ("query", "filter", "rows", "offset", "sample", "sort", "order", "select", "cursor", "mailto")
SORTS: dict[str, Callable[[Message], Any]] = {
    "issued": issued,
    "published": issued,
    "published-print": lambda work: issued(work, "published-print"),
    "published-online": lambda work: issued(work, "published-online"),
    "indexed": lambda work: stamp(work, "indexed"),
    "deposited": lambda work: stamp(work, "deposited"),
    "updated": lambda work: stamp(work, "deposited"),
    "created": lambda work: stamp(work, "created"),
    "is-referenced-by-count": lambda work: work.get("is-referenced-by-count") or 0,
    "references-count": lambda work: work.get("references-count") or 0,
}
SELECTS = frozenset(
    re.findall(
        r"\S+",
        """
    DOI ISBN ISSN URL abstract accepted alternative-id approved archive article-number assertion author chair
    clinical-trial-number container-title content-created content-domain created degree deposited editor event
    funder group-title indexed is-referenced-by-count issn-type issue issued license link member original-title
    page posted prefix published published-online published-print publisher publisher-location reference
    references-count relation resource score short-container-title short-title standards-body subject subtitle title
    translator type update-policy update-to updated-by volume
    """,
    )
)


def integer(params: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = params.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"\d{1,6}", text) or int(text) > most:
        raise Refusal(
            "integer-not-valid",
            text,
            f"Integer specified as {text} but must be a positive integer less than or equal to {most}. ",
        )
    return int(text)


def selected(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in SELECTS:
            raise Refusal(
                "select-not-available", name, f"Select '{name}' specified but there is no such select for this route."
            )
    return names


def in_order(found: Ranked, params: Mapping[str, str]) -> Ranked:
    name, order = params.get("sort"), params.get("order", "desc")
    if name in (None, "score", "relevance"):
        return found[::-1] if order == "asc" else found
    if name not in SORTS:
        raise Refusal("sort-not-available", name or "", f"Sort '{name}' specified but there is no such sort.")
    read = SORTS[name]
    return sorted(found, key=lambda pair: (read(pair[0]), str(pair[0]["DOI"])), reverse=order != "asc")
