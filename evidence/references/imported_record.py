"""A record of an imported file → a message in the shape of Crossref's, by which the work is kept, read and judged like any other.

A record without a DOI is known by a local id, made of what it says: the same record has the same id in every import and in every
copy of a review. Pure: values in, values out. It may not decide which work a record describes.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, Final

from evidence import doi as dois
from evidence.data_model import Doi, Identifier
from evidence.plain_text import fold
from evidence.references.given_reference import Fields

Message = dict[str, Any]

IMPORTED: Final = "imported"
"""The key that marks a message made here; no record of Crossref has it."""
LOCAL_ID: Final = "local-id"
"""The key of the local id, in a message without a DOI."""

_PARTICLES = frozenset(
    "van von der den de di da du del della la le dos das ter ten zu zum zur af av bin ibn al el".split()  # noqa: SIM905
)
_GROUP = re.compile(
    r"\b(?:group|network|collaborat\w*|consortium|team|associat\w*|organi[sz]ation|committee|society|institute?|universit\w*"
    r"|college|centre|center|department|ministry|agency|council|federation|foundation|investigators|task force|hospital|trust"
    r"|service|office|board|college|academy|who)\b",
    re.IGNORECASE,
)
_PMID = re.compile(r"[1-9]\d{0,8}", re.ASCII)
_PMCID = re.compile(r"PMC[1-9]\d{0,8}", re.ASCII)
_INITIALS = re.compile(r"(?:[A-ZÀ-Þ]\.?[ -]?){1,4}")
_SUFFIX = re.compile(r"(?:Jr|Sr|II|III|IV|2nd|3rd)\.?", re.IGNORECASE)


def local_id(fields: Fields) -> Doi:
    """The id of a record without a DOI: of its title, contributors, date and place in print, folded, so that capitals, accents
    and punctuation make no difference. Where these do not tell one record from another, its abstract and database number do."""
    read = map(name_of, (*fields.authors, *fields.editors))
    names = [_folded(name.get("family") or name.get("name")) for name in read]
    said = [_folded(text) for text in (fields.title, fields.container, fields.volume, fields.issue, fields.pages)]
    known_by = [*said, fields.year or "", *names]
    if sum(map(bool, known_by)) < 3:
        known_by += [_folded(fields.abstract), fields.pmid or "", fields.accession or "", fields.url or ""]
    text = json.dumps(known_by, ensure_ascii=False)
    return Doi(dois.LOCAL + hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16])


def _folded(text: str | None) -> str:
    return " ".join(re.findall(r"\w+", fold(text or "")))


def record_digest(fields: Fields) -> str:
    """What a record of a source is recognised by when its file is read again: all that is kept of it."""
    text = json.dumps(message_of(fields), ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]


def message_of(fields: Fields) -> Message:
    """The message of a record, without a DOI and with the local id that it has if none is found (`with_key`)."""
    found: dict[str, Any] = {
        "type": fields.kind,
        "title": [_title(fields.title)] if fields.title else None,
        "abstract": fields.abstract,
        "author": [name_of(author) for author in fields.authors],
        "editor": [name_of(editor) for editor in fields.editors],
        "issued": {"date-parts": [[int(part) for part in (fields.date or fields.year or "").split("-")]]}
        if fields.date or fields.year
        else None,
        "container-title": [fields.container] if fields.container else None,
        "volume": fields.volume,
        "issue": fields.issue,
        "page": fields.pages,
        "publisher": fields.publisher,
        "publisher-location": fields.place,
        "edition-number": fields.edition,
        "language": fields.language,
        "ISSN": list(fields.issn),
        "ISBN": list(fields.isbn),
        "URL": fields.url,
        "PMID": fields.pmid,
        "PMCID": fields.pmcid,
        "stated-doi": fields.doi,
        "accession": fields.accession,
        "keywords": list(fields.keywords),
    }
    kept = {name: value for name, value in found.items() if value}
    return {IMPORTED: True, LOCAL_ID: local_id(fields), **kept}


def with_key(message: Message, key: Doi) -> Message:
    """The message under the DOI or local id that its work is kept under."""
    rest = {name: value for name, value in message.items() if name not in (LOCAL_ID, "DOI")}
    return {**rest, (LOCAL_ID if dois.is_local(key) else "DOI"): key}


def is_imported(message: object) -> bool:
    """Whether a message was made here."""
    return isinstance(message, dict) and message.get(IMPORTED) is True


def key_of(message: Message) -> Doi | None:
    """The local id of a message made here; None for any other."""
    stated = message.get(LOCAL_ID)
    return (
        dois.parse_key(stated) if is_imported(message) and isinstance(stated, str) and dois.is_local(stated) else None
    )


def identifiers(message: Message) -> tuple[Identifier, ...]:
    """The PubMed identifiers that a record states."""
    pmid, pmcid = (message.get(name) for name in ("PMID", "PMCID"))
    found = [Identifier("pmid", pmid, "file")] if isinstance(pmid, str) and _PMID.fullmatch(pmid) else []
    if isinstance(pmcid, str) and _PMCID.fullmatch(pmcid.upper()):
        found.append(Identifier("pmcid", pmcid.upper(), "file"))
    return tuple(found)


def _title(title: str) -> str:
    """Databases end titles with a full stop; an abbreviation or an ellipsis keeps its own."""
    return title[:-1] if re.search(r"[^\W\d_]{4,}[)\]\"']?\.$", title) and not title.endswith("..") else title


def name_of(written: str) -> dict[str, str]:
    """A name as files have it (`Frank, Ellen`, `Frank E`, `Ellen Frank`, `Frank, E., Jr.`) in Crossref's parts. One that cannot
    be told apart is kept whole."""
    parts = [part.strip() for part in written.split(",") if part.strip()]
    if len(parts) == 3 and any(map(_SUFFIX.fullmatch, parts[1:])):
        suffix = next(part for part in parts[1:] if _SUFFIX.fullmatch(part))
        given = next(part for part in parts[1:] if part != suffix)
        return {"family": parts[0], "given": given, "suffix": suffix}
    if len(parts) >= 2 and not _GROUP.search(parts[0]):
        return {"family": parts[0], "given": " ".join(parts[1:])}
    words = written.split()
    if len(parts) != 1 or len(words) < 2 or len(words) > 6 or _GROUP.search(written):
        return {"name": written}
    if _INITIALS.fullmatch(words[-1]):
        first = next(n for n in range(len(words) - 1, -1, -1) if n == 0 or not _INITIALS.fullmatch(words[n - 1]))
        if first > 0:
            return {"family": " ".join(words[:first]), "given": " ".join(words[first:])}
    start = len(words) - 1
    while start > 1 and words[start - 1].lower() in _PARTICLES:
        start -= 1
    return {"family": " ".join(words[start:]), "given": " ".join(words[:start])}
