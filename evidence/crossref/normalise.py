"""A Crossref message → a Work. The only module that knows what a deposited record looks like.

It does not repair: names stay as deposited (but for a wrongly decoded encoding, which `plain_text` undoes), dates keep
their precision, what is absent is None. A record without a usable DOI, or whose title, abstract, authors or dates are of a
wrong type, raises RecordError; a wrong type in a lesser field leaves that field out. CSL-JSON items (a title that is a
string) are understood too, because files of records hold them. Sources: Crossref's REST API documentation and 14,700 real
records.
"""

from __future__ import annotations

import calendar
import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Literal

import orjson

from evidence import doi as dois
from evidence import plain_text
from evidence.data_model import (
    Author,
    Doi,
    Event,
    Funder,
    Licence,
    Message,
    Notice,
    Reference,
    Relation,
    Role,
    Work,
)
from evidence.errors import RecordError
from evidence.linkage import retraction_notices as notice_rules
from evidence.references import imported_record
from evidence.unicode_repair import without_surrogates

VOLATILE = frozenset(
    {
        "indexed",
        "deposited",
        "score",
        "is-referenced-by-count",
        "reference-count",
        "references-count",
        "cited-count",
        "citing-count",
        "subject",
        "_id",
    }
)
"""Top-level keys that change without an edit of the record (`subject` was Crossref's own, by journal)."""

MAX_INT = 2**63 - 1
"""The largest whole number that a database can hold."""

MAX_DEPTH = 200
"""Levels of objects and lists that are kept as such; deeper ones are kept as JSON text."""

MAX_SUBTITLES = 20
"""Subtitles that are read into a title; records have one or two."""

_UNHOLDABLE = re.compile("[\x00\ud800-\udfff\ufffd]")
"""Characters that cannot be in a DOI, or that some databases or servers cannot hold."""

_PLAIN_DOI = re.compile(r"10\.[0-9]{4,9}/[!-~]+")
"""A DOI of printable ASCII, as nearly all fields state it: there is nothing to clean or to repair."""

_DATES = ("published", "published-print", "published-online", "published-other", "posted", "content-created")
_CSL_KINDS = {
    "article-journal": "journal-article",
    "article": "posted-content",
    "chapter": "book-chapter",
    "paper-conference": "proceedings-article",
    "thesis": "dissertation",
}
_LESSER = {
    "original_title": "original-title",
    "short_title": "short-title",
    "edition": "edition-number",
    "article_number": "article-number",
    "short_container": "short-container-title",
    "publisher_place": "publisher-location",
}
"""Fields kept for display and exports; one of a wrong type is left out, because nothing depends on it."""
_ORCID = re.compile(r"(\d{4})-?(\d{4})-?(\d{4})-?(\d{3}[\dXx])(?!\d)")
_BEGINS_AS_DATE = re.compile(r"[12]\d{3}-\d\d-\d\d", re.ASCII)
_ISO_DATE = re.compile(r"(\d{4})(?:[-/.](\d{1,2})(?:[-/.](\d{1,2}))?)?(?![\d/.-])")
_REFERENCE_FIELDS = frozenset(
    (
        "author",
        "year",
        "article-title",
        "volume-title",
        "series-title",
        "journal-title",
        "volume",
        "issue",
        "first-page",
    )
)


def normalise(message: Message) -> Work:
    """The Work that a record describes; RecordError says why it cannot be understood."""
    doi = doi_of(message)
    if doi is None:
        raise RecordError(missing_doi_reason(message))
    title, abstract = title_and_abstract(message)
    imported = imported_record.is_imported(message)
    issued = _issued(message)
    authors = _authors(message)
    notices, updates = _updates(message, doi, title)
    kind, container = _kind(message), _first(message, "container-title")
    record = notice_rules.Facts(doi, title, kind, issued)
    notice_of = _notice_of(record, [*((doi, notice) for notice in notices), *updates], authors, container)
    cites, deposited, without_doi = _cites(message)
    lesser: dict[str, Any] = {field: _lesser(message, key) for field, key in _LESSER.items()}
    return Work(
        doi=doi,
        title=title,
        abstract=abstract,
        container=container,
        publisher=_first(message, "publisher"),
        issued=issued,
        year=int(issued[:4]) if issued else None,
        kind=kind,
        language=_first(message, "language"),
        volume=_first(message, "volume"),
        issue=_first(message, "issue"),
        pages=_first(message, "page") or _first(message, "article-number"),
        url=_web_address(message) if dois.is_local(doi) else dois.url(doi),
        issn=tuple(_lines(message.get("ISSN"))),
        isbn=tuple(dict.fromkeys(isbn.rpartition("/")[2] for isbn in _lines(message.get("ISBN")))),
        authors=authors,
        cited_by=cited_by(message),
        registrations=_registrations(message),
        notices=notices,
        updates=updates,
        notice_of=notice_of,
        relations=_relations(message),
        cites=cites,
        references_deposited=deposited,
        references_without_doi=without_doi,
        subtitle="; ".join(dict.fromkeys(filter(None, map(_oneline, _strings(message, "subtitle"))))) or None,
        **lesser,
        institution=_institution(message),
        published_print=_lesser_date(message.get("published-print")),
        published_online=_lesser_date(message.get("published-online")),
        event=_event(message),
        funders=_funders(message),
        licences=_licences(message),
        abstract_source=("file" if imported else "publisher") if abstract else None,
        identifiers=imported_record.identifiers(message) if imported else (),
    )


def _web_address(message: Message) -> str | None:
    """A page of a work without a DOI: the one that its record names, or PubMed's."""
    stated = message.get("URL")
    if isinstance(stated, str) and re.fullmatch(r"https?://[^\s\"<>]+", stated):
        return stated
    pmid = next((found.value for found in imported_record.identifiers(message) if found.kind == "pmid"), None)
    return f"https://pubmed.ncbi.nlm.nih.gov/{pmid}/" if pmid else None


def record_digest(message: Message) -> str:
    """32 hex digits that change exactly when the record's content does; key order and `VOLATILE` keys do not count."""
    return serialise(message)[1]


def serialise(message: Message) -> tuple[str, str]:
    """The record as JSON text, and its digest: the content sorted by key, then the volatile keys. Only `score` is left out: how
    well a record matches a query is no fact about the record. RecordError when it cannot be written: a number of thousands of
    digits, a thousand levels."""
    kept = message.copy()
    left = {key: kept.pop(key) for key in VOLATILE.intersection(kept)}
    left.pop("score", None)
    content, volatile = _encode(kept), _encode(left)
    digest = hashlib.blake2b(content, digest_size=16).hexdigest()
    comma = b"," if len(content) > 2 and len(volatile) > 2 else b""
    return (content[:-1] + comma + volatile[1:]).decode(), digest


def serialise_whole(message: Message) -> tuple[str, str]:
    """The record as JSON text, and its digest; of one that cannot be written whole, what can be kept of it."""
    try:
        return serialise(message)
    except RecordError:
        return serialise(json.loads(serialise_any(message)[0]))


def serialise_any(item: object) -> tuple[str, str]:
    """Any value in place of a record, as JSON text, and a digest to recognise it. Never an error: of an object that cannot be
    written whole, every field is kept that can be."""
    try:
        if isinstance(item, dict):
            return serialise(item)
        text = _encode(item).decode()
    except RecordError as error:
        if isinstance(item, dict) and len(item) > 1:
            parts = (
                f"{json.dumps(without_surrogates(str(key)))}:{serialise_any({'': value})[0][4:-1]}"
                for key, value in item.items()
            )
            text = f"{{{','.join(parts)}}}"
        elif isinstance(item, dict):
            text = json.dumps({without_surrogates(str(key)): f"({error})" for key in item})
        else:
            text = json.dumps(f"({error})")
    return text, hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _encode(value: object) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # a number beyond 64 bits, half a surrogate pair, or deep nesting: rare
        held = _holdable(value, 0)
    try:
        return orjson.dumps(held, option=orjson.OPT_SORT_KEYS)  # as the text would be written when it is read again
    except TypeError:
        return json.dumps(held, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _holdable(value: object, depth: int) -> object:
    """The value as JSON, SQLite and UTF-8 can hold it: NaN and infinity become null, half a surrogate pair U+FFFD, and what is
    nested deeper than `MAX_DEPTH` its JSON text. RecordError where that fails."""
    if isinstance(value, str):
        return without_surrogates(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (dict, list, tuple)):
        if depth >= MAX_DEPTH:
            try:
                return without_surrogates(json.dumps(value, sort_keys=True, ensure_ascii=False))
            except (RecursionError, ValueError):
                raise RecordError("it is nested too deep to be kept") from None
        if isinstance(value, dict):
            return {without_surrogates(str(key)): _holdable(item, depth + 1) for key, item in value.items()}
        return [_holdable(item, depth + 1) for item in value]
    if isinstance(value, int) and not _printable(value):
        raise RecordError("it holds a number too long to be kept")
    return value


def _printable(number: int) -> bool:
    """Python refuses to write a number of more than 4,300 digits."""
    return number.bit_length() < 14_000


def doi_of(message: object) -> Doi | None:
    """The record's own DOI as registered (a trailing full stop may belong to it), or the local id of an imported record; None
    where there is none."""
    if not isinstance(message, dict):
        return None
    return _registered(message.get("DOI")) or imported_record.key_of(message)


def _registered(stated: object) -> Doi | None:
    """The DOI in a field, as registered or in another spelling."""
    if not isinstance(stated, str) or len(stated) > dois.LONGEST:
        return None
    if _PLAIN_DOI.fullmatch(stated):
        return Doi(stated.lower())
    return None if _UNHOLDABLE.search(stated) else dois.exact(stated) or dois.parse(stated)


def missing_doi_reason(message: object) -> str:
    """Why a record has no usable DOI."""
    if not isinstance(message, dict):
        return f"the record is {_article(message)}, not a JSON object"
    stated = message.get("DOI")
    if isinstance(stated, str) and stated.strip():
        return f"{stated if len(stated) <= 80 else stated[:80] + '…'!r} is not a valid DOI"
    return f"its DOI is {_article(stated)}, not text" if stated else "the record has no DOI"


def score_of(message: object) -> float | None:
    """Crossref's relevance score of a ranked record; None without one."""
    score = message.get("score") if isinstance(message, dict) else None
    if isinstance(score, bool) or not isinstance(score, (int, float)) or abs(score) > MAX_INT:
        return None
    return float(score) if math.isfinite(score) else None


def indexed_at(message: Message) -> str | None:
    """When Crossref indexed the record: ISO date and time in UTC, or a date where only that is given."""
    indexed = message.get("indexed")
    if not isinstance(indexed, dict):
        return None
    moment = indexed.get("date-time")
    # Text that is no date would sort after every date, and its record would never be replaced.
    return moment if isinstance(moment, str) and _BEGINS_AS_DATE.match(moment) and moment.isascii() else _date(indexed)


def cited_by(message: Message) -> int | None:
    """How many works cite this one, as Crossref counted; None when the record does not say."""
    return _count(message.get("is-referenced-by-count"))


def listed_aliases(message: Message) -> tuple[Doi, ...]:
    """The other DOIs of this work that its record lists, each once; anything else is left out."""
    if not (listed := message.get("aliases")):
        return ()
    found = dict.fromkeys(filter(None, map(_registered, listed if isinstance(listed, list) else ())))
    return tuple(doi for doi in found if doi != doi_of(message))


def years_of(message: Message) -> frozenset[int]:
    """The years of all publication dates of a record, without normalising the rest: one printed in one year and online in
    another has both. An invalid date is left out."""
    found = set()
    for key in ("issued", *_DATES):
        try:
            day = _date(message.get(key))
        except RecordError:
            continue
        if day:
            found.add(int(day[:4]))
    return frozenset(found)


def title_and_abstract(message: Message) -> tuple[str | None, str | None]:
    """Title (with its subtitle) and abstract in plain text, from a whole record or a `select`-ed row."""
    title = _oneline(_first_of(message, "title"))
    for subtitle in filter(None, map(_oneline, islice(_strings(message, "subtitle"), MAX_SUBTITLES))):
        if title is None:
            title = subtitle
        elif plain_text.fold(subtitle) not in plain_text.fold(title):
            title = f"{title.rstrip(' :')}{' ' if title.rstrip()[-1] in '?!' else ': '}{subtitle}"
    abstracts = filter(None, map(plain_text.plain_text, _strings(message, "abstract")))
    return title, next(abstracts, None)


def _article(value: object) -> str:
    """The type of a value of a wrong type, for messages."""
    names = {"list": "a list", "str": "text", "NoneType": "null", "dict": "an object", "bool": "true or false"}
    return names.get(type(value).__name__, "a number")


def _strings(message: Message, key: str) -> Iterator[str]:
    """The texts under `key`, be it one string or a list of them; RecordError when it is something else."""
    value = message.get(key)
    if value is None:
        return
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, str):
            yield item
        elif isinstance(item, (dict, bool, list)):
            raise RecordError(f"`{key}` holds {_article(item)} where text belongs")
        elif item is not None and (said := _number(item)) is not None:
            yield said


def _number(value: int | float) -> str | None:
    """A number in place of text (a volume, a page) as text; None for NaN, infinity, and one of thousands of digits."""
    if isinstance(value, int):
        return str(value) if _printable(value) else None
    return str(value) if math.isfinite(value) else None


def _first_of(message: Message, key: str) -> str | None:
    return next((value for value in _strings(message, key) if value.strip()), None)


def _first(message: Message, key: str) -> str | None:
    """The first text under `key` that is not empty, on one line."""
    value = message.get(key)
    if value is None:
        return None
    if isinstance(value, str):
        return plain_text.plain_line(value)
    return next(filter(None, map(plain_text.plain_line, _strings(message, key))), None)


def _oneline(markup: str | None) -> str | None:
    found = plain_text.plain_text(markup)
    return found.replace("\n", " ") if found else None


def _lines(values: object) -> Iterator[str]:
    """The texts of a list (or one text), each once; anything else in it is left out."""
    if values is None:
        return
    items = values if isinstance(values, list) else [values]
    yield from dict.fromkeys(filter(None, (plain_text.plain_line(item) for item in items if isinstance(item, str))))


def _count(value: object) -> int | None:
    counted = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_INT
    return value if counted else None  # type: ignore[return-value]  # `counted` says that it is an int


def _kind(message: Message) -> str | None:
    kind = _first(message, "type")
    return _CSL_KINDS.get(kind, kind) if kind else None


def _issued(message: Message) -> str | None:
    """Crossref's `issued`, or without it the earliest date of publication."""
    issued = _date(message.get("issued"))
    if issued:
        return issued
    return min(filter(None, (_date(message.get(key)) for key in _DATES)), default=None)


def _date(value: object) -> str | None:
    """An ISO date of the precision deposited; a month 13 or a 31 February is cut to what is valid."""
    if value is None:
        return None
    if isinstance(value, str):
        match = _ISO_DATE.match(value.strip())
        return _iso(match.groups()) if match else None
    if not isinstance(value, dict):
        raise RecordError(f"a date is {_article(value)}, not an object with date-parts")
    parts = value.get("date-parts")
    if isinstance(parts, list) and parts and isinstance(parts[0], list) and (iso := _iso(parts[0])):
        return iso
    return next(
        filter(None, (_date(value.get(key)) for key in ("date-time", "raw") if isinstance(value.get(key), str))), None
    )


_LONGEST_PART = 20
"""Characters of a year, month or day that was deposited as text."""


def _iso(parts: Iterable[object]) -> str | None:
    """Year, month and day as far as they are valid."""
    numbers: list[int] = []
    for part in parts:
        if isinstance(part, str) and len(part) <= _LONGEST_PART and part.strip().isdecimal():
            numbers.append(int(part))
        elif isinstance(part, int) and not isinstance(part, bool) and part >= 0:
            numbers.append(part)
        else:
            break
    if not numbers or not 1000 <= numbers[0] <= 2999:
        return None
    iso = f"{numbers[0]:04d}"
    if len(numbers) > 1 and 1 <= numbers[1] <= 12:
        iso += f"-{numbers[1]:02d}"
        if len(numbers) > 2 and 1 <= (day := numbers[2]) <= 31:
            iso += f"-{day:02d}" if day <= 28 or day <= calendar.monthrange(numbers[0], numbers[1])[1] else ""
    return iso


def _objects(message: Message, key: str) -> Iterator[Mapping[str, Any]]:
    """The objects listed under `key`; RecordError when `key` holds something that is no list."""
    value = message.get(key)
    if value is None:
        return
    if not isinstance(value, list):
        raise RecordError(f"`{key}` is {_article(value)}, not a list")
    yield from (item for item in value if isinstance(item, dict))


def _authors(message: Message) -> tuple[Author, ...]:
    """Authors, then editors, translators and chairs, in order; exact duplicates once."""
    found = (
        _author(item, role) for role in _ROLES if message.get(role) is not None for item in _credited(message, role)
    )
    return tuple(dict.fromkeys(author for author in found if author is not None))


_ROLES: tuple[Role, ...] = ("author", "editor", "translator", "chair")


def _credited(message: Message, role: Role) -> Iterator[Mapping[str, Any]]:
    """The contributors in one role. Wrong types under author or editor are a RecordError; in other roles they are left out."""
    return _objects(message, role) if role in ("author", "editor") else _listed(message.get(role))


def _author(item: Mapping[str, Any], role: Role) -> Author | None:
    """One contributor; None without a name."""
    family, given = _line(item.get("family")), _line(item.get("given"))
    name = None if family or given else _line(item.get("name")) or _line(item.get("literal"))
    if not (family or given or name):
        return None
    if family and (particle := _line(item.get("non-dropping-particle"))):
        family = f"{particle} {family}"
    stated = item.get("ORCID")
    orcid = _ORCID.search(stated) if isinstance(stated, str) else None
    places = item.get("affiliation")
    named = (
        [_line(place.get("name")) for place in places if isinstance(place, dict)] if isinstance(places, list) else []
    )
    return Author(
        family,
        given,
        _line(item.get("suffix")),
        name,
        "-".join(orcid.groups()).upper() if orcid else None,
        role,
        "; ".join(dict.fromkeys(filter(None, named))) or None if named else None,
    )


def _line(value: object) -> str | None:
    return plain_text.plain_line(value) if isinstance(value, str) else None


def _listed(value: object) -> Iterator[Mapping[str, Any]]:
    """The objects in a list, or a single object; anything else is left out."""
    yield from (item for item in (value if isinstance(value, list) else [value]) if isinstance(item, dict))


def _lesser(message: Message, key: str) -> str | None:
    """The first text under a lesser field; numbers as text, anything else left out."""
    value = message.get(key)
    if value is None:
        return None
    for item in value if isinstance(value, list) else [value]:
        said = _number(item) if isinstance(item, int) and not isinstance(item, bool) else item
        if isinstance(said, str) and (line := _oneline(said)):
            return line
    return None


def _lesser_date(value: object) -> str | None:
    return _date(value) if isinstance(value, (dict, str)) else None


def _institution(message: Message) -> str | None:
    """Where a thesis was defended, a report written or a preprint is kept; several joined by `; `."""
    names = (_line(item.get("name")) for item in _listed(message.get("institution")))
    return "; ".join(dict.fromkeys(filter(None, names))) or None


def _event(message: Message) -> Event | None:
    """The conference, or None."""
    for item in _listed(message.get("event")):
        first, last = _lesser_date(item.get("start")), _lesser_date(item.get("end"))
        dates = "/".join(dict.fromkeys(filter(None, (first, last)))) or None
        event = Event(_oneline(_line(item.get("name"))), _line(item.get("location")), dates)
        if event.name or event.place or event.dates:
            return event
    return None


def _funders(message: Message) -> tuple[Funder, ...]:
    """Funders in order, each once, with all the awards deposited for it."""
    awards: dict[tuple[str | None, Doi | None], dict[str, None]] = {}
    for item in _listed(message.get("funder")):
        doi = _registered(item.get("DOI"))
        name = _line(item.get("name"))
        numbers = [*_lines(item.get("award"))]
        for award in _listed(item.get("award-info")):
            numbers += _lines(award.get("award-number"))
        if name or doi or numbers:
            awards.setdefault((name, doi), {}).update(dict.fromkeys(numbers))
    return tuple(Funder(name, doi, tuple(numbers)) for (name, doi), numbers in awards.items())


def _licences(message: Message) -> tuple[Licence, ...]:
    """Licences in order, each once."""
    found = (
        Licence(
            url, _line(item.get("content-version")), _lesser_date(item.get("start")), _count(item.get("delay-in-days"))
        )
        for item in _listed(message.get("license"))
        if (url := _line(item.get("URL")))
    )
    return tuple(dict.fromkeys(found))


def _registrations(message: Message) -> tuple[str, ...]:
    """Trial registry numbers, upper case without blanks: `NCT03797326`, `ISRCTN12345678`."""
    numbers = (_line(item.get("clinical-trial-number")) for item in _objects(message, "clinical-trial-number"))
    return tuple(dict.fromkeys("".join(number.split()).upper() for number in numbers if number))


def _updates(
    message: Message, doi: Doi, title: str | None
) -> tuple[tuple[Notice, ...], tuple[tuple[Doi, Notice], ...]]:
    """The notices that this record states on its own work, and on other works, as deposited.

    `updated-by` is about this work, and so is `update-to` when it names this DOI. A statement without a usable DOI is about
    this work unless the title is a notice's.
    """
    own: dict[Notice, None] = {}
    others: dict[tuple[Doi, Notice], None] = {}
    for key in ("updated-by", "update-to"):
        for item in _objects(message, key):
            notice = _notice(item, key)
            if key == "update-to" and notice.notice_doi not in (None, doi):
                others.setdefault((notice.notice_doi, replace(notice, notice_doi=doi)))
            elif notice.notice_doi or not notice_rules.title_notice(title):
                own.setdefault(notice)
    kind = notice_rules.title_status(title)
    if kind and not any(notice.kind == kind for notice in own):
        own.setdefault(Notice(kind, None, None, None, "title"))
    return tuple(own), tuple(others)


def _notice(item: Mapping[str, Any], evidence: Literal["updated-by", "update-to"]) -> Notice:
    return Notice(
        kind=notice_rules.update_kind((_line(item.get("type")), _line(item.get("label")))),
        notice_doi=_registered(item.get("DOI")),
        issued=_date(item.get("updated")),
        source=_line(item.get("source")),
        evidence=evidence,
    )


def _notice_of(
    record: notice_rules.Facts,
    stated: Sequence[tuple[Doi, Notice]],
    authors: tuple[Author, ...],
    container: str | None,
) -> tuple[tuple[str, Doi | None], ...]:
    """What this record is a notice of, as far as it shows by itself; the DOI is None where only its title, or a journal as author
    of "Retracted: …", shows that it is one."""
    statements = [
        notice_rules.Statement(record.doi, about, n.kind, n.notice_doi or record.doi, n.issued, n.source, n.evidence)
        for about, n in stated
    ]
    found = notice_rules.notice_of(record, statements)
    if found:
        return tuple((kind, Doi(about)) for kind, about in found)
    if any(statement.evidence != "title" for statement in statements):
        return ()
    kind = notice_rules.title_notice(record.title, certain=True)
    # A journal may be the author of "Retracted: …".
    if not kind and (status := notice_rules.title_status(record.title)):
        names = (" ".join(filter(None, (a.given, a.family or a.name))) for a in authors)
        kind = status if container and container in names else None
    return ((kind, None),) if kind else ()


def _relations(message: Message) -> tuple[Relation, ...]:
    """Deposited links, DOIs in canonical form."""
    value = message.get("relation")
    found: dict[Relation, None] = {}
    for kind, targets in sorted(value.items()) if isinstance(value, dict) else ():  # as in the stored record
        for target in targets if isinstance(targets, list) else [targets]:
            stated = target.get("id") if isinstance(target, dict) else None
            if not isinstance(stated, str) or not (other := plain_text.plain_line(stated)):
                continue
            doi = _registered(stated) if target.get("id-type") in ("doi", None) else None
            found.setdefault(Relation(_line(kind) or "relation", doi or other, _line(target.get("asserted-by"))))
    return tuple(found)


def _cites(message: Message) -> tuple[tuple[tuple[Doi, str | None], ...], int | None, int | None]:
    """The cited DOIs, each once, how many entries the list has, and how many of these have no readable DOI; None, None where no
    list was deposited. The text of the entries is left to `reference_lists`, because few lists are followed."""
    entries = message.get("reference")
    if entries is None:
        return (), None, None
    found: dict[Doi, str | None] = {}
    with_doi = 0
    stating = [item for item in _objects(message, "reference") if isinstance(item.get("DOI"), str)]
    for item, simple in zip(stating, dois.simple_each([item["DOI"] for item in stating]), strict=True):
        if doi := simple if simple and len(simple) <= dois.LONGEST else _reference_doi(item):
            with_doi += 1
            if doi not in found:
                asserted = item.get("doi-asserted-by")
                found[doi] = asserted if asserted in _ASSERTERS else _line(asserted)
    # `reference-count` is no list: some records have a count above zero and no entries.
    return (tuple(found.items()), len(entries), len(entries) - with_doi) if entries else ((), None, None)


_ASSERTERS = ("publisher", "crossref")
"""Who asserts nearly every reference's DOI: not cleaned, to save time."""


def references(message: Message) -> tuple[Reference, ...]:
    """The deposited reference list in order, with readable text; positions count from 1."""
    return tuple(
        Reference(
            position,
            doi := _reference_doi(item),
            _line(item.get("doi-asserted-by")),
            _reference_text(item),
            None if doi is None or dois.lower(item["DOI"]) == doi else item["DOI"],
        )
        for position, item in enumerate(_entries(message), start=1)
    )


def _entries(message: Message) -> Iterator[Mapping[str, Any]]:
    """The entries of the deposited list. One that is no object keeps its position: text is taken as printed."""
    value = message.get("reference")
    if value is not None and not isinstance(value, list):
        raise RecordError(f"`reference` is {_article(value)}, not a list")
    yield from (item if isinstance(item, dict) else {"unstructured": item} for item in value or ())


def _reference_doi(item: Mapping[str, Any]) -> Doi | None:
    """The asserted DOI; of a malformed one (blanks inside, twice, a URL) the best candidate."""
    stated = item.get("DOI")
    if not isinstance(stated, str) or len(stated) > dois.LONGEST:
        return None
    if read := dois.simple(stated):
        return read
    if _UNHOLDABLE.search(stated):
        return None
    return dois.parse(stated) or next(iter(dois.candidates(stated)), None)


def _reference_text(item: Mapping[str, Any]) -> str | None:
    """The reference as printed, or put together from its fields. Cleaned once: lists have thousands of entries."""
    printed = item.get("unstructured")
    if isinstance(printed, str) and (cleaned := plain_text.plain_line(printed)):
        return cleaned
    fields = {
        key: value.strip(". ") for key, value in item.items() if key in _REFERENCE_FIELDS and isinstance(value, str)
    }
    title = fields.get("article-title") or fields.get("volume-title") or fields.get("series-title")
    issue, page, year = fields.get("issue"), fields.get("first-page"), fields.get("year")
    where = f"{fields.get('volume', '')}{f'({issue})' if issue else ''}{f':{page}' if page else ''}"
    parts = (
        fields.get("author"),
        f"({year})" if year else None,
        title,
        f"{fields.get('journal-title', '')} {where}".strip(),
    )
    return plain_text.plain_line(". ".join([part for part in parts if part]))
