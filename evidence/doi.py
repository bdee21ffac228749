"""What a DOI is, how to read one from a field or from running text, and how to write it as a link.

It knows spelling only and may not ask whether a DOI is registered. Whatever it repairs is a *reading*, which
`harvest/reference_lists.py` verifies against a record before it is used.

A DOI is `10.`, a registrant (4–9 digits with optional `.digits`, or the ISBN-A form `10.978.…`), a slash and a suffix
with at least one letter or digit. Case folds in ASCII only, as ISO 26324 has it.

Choices:

* `parse` reads a whole field: with other words around the DOI it returns None. `find` and `candidates` look inside.
* A suffix holds no white space in `parse`; `exact` keeps it for a registered DOI; `candidates` offers a stated `%20`.
* Letters of any script and typographic dashes are kept, because such DOIs are registered; `candidates` also offers the
  reading with plain hyphens. The true hyphens U+2010 and U+2011 are always read as `-`; invisible characters are removed.
* Percent-encoding is decoded until nothing changes, so `%252F` is a slash and `parse` is idempotent.
* In a URL `?` starts a query and `#` a fragment; in a bare DOI both may belong to it. Any host is accepted, and view
  suffixes (`/full`, `.pdf`) are removed unless the host is a resolver.
* The double slash (`10.1037//…`) is kept: APA and Hogrefe register both forms. `candidates` offers the other one too.
* A short DOI (`10/gf4gqc`) is an alias of a DOI. It is read only where it cannot be a date or a fraction: after a resolver's
  address or `doi:`, or alone in a field and with a letter in it; after a resolver without its `10/` only with letters and
  digits. `is_short` recognises it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from urllib.parse import quote, unquote

from evidence.data_model import Doi
from evidence.unicode_repair import unescape

_PREFIX = r"10\.(?:\d{4,9}(?:\.\d+)*|97[89]\.\d{2,8})"
_EXACT = re.compile(rf"{_PREFIX}/\S.*", re.DOTALL)
_BARE = re.compile(rf"({_PREFIX})/(\S+)")
# What most fields hold. The rest of `parse` would give the same result.
_PLAIN_DOI = r"10\.[0-9]{4,9}/[A-Za-z0-9._-]*+(?:[A-Za-z0-9._\-/]*+|\([0-9]++\)[A-Za-z0-9._-]*+)(?<=[A-Za-z0-9])"
_PLAIN = re.compile(_PLAIN_DOI)
_PLAIN_LINES = re.compile(rf"(?:{_PLAIN_DOI}\n)++")
_SHORT = re.compile(r"10/[a-z0-9]{3,12}", re.IGNORECASE)
# What needs no encoding in a link: most DOIs.
_SAFE_SUFFIX = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9_.~-]+")

_RESOLVER = (
    r"(?:https?\s?:\s?/{0,2})?(?:www\.)?(?:dx\.)?doi\.(?:org|net|de|acm\.\w{2,4}|acm\.org|\w+\.(?:org|com|net))/"
)
_LABEL = (
    r"(?:info:doi/|urn:doi:|urn:(?=10[./])|digital object identifier[\s:]*"
    r"|doi(?: link| number)?[\s.:=#]*(?=10|[({]|http|www|dx\.|doi))"
)
_LEAD = re.compile(rf"\s*(?:({_RESOLVER})|{_LABEL})[\s/]*", re.IGNORECASE)
_HOST = re.compile(rf"(?:https?://)?[\w.-]+\.[a-z]{{2,}}(?::\d+)?/(?:[^\s?#]*?/)?(?={_PREFIX}(?:/|%2f))", re.IGNORECASE)
_QUERY_HOST = re.compile(rf"https?://\S+?[?&](?:\w*doi|id|query)=(?={_PREFIX}(?:/|%2f))", re.IGNORECASE)
_SHORT_BEHIND_RESOLVER = re.compile(r"(?:10/)?([a-z0-9]{3,12})", re.IGNORECASE)

_VIEW = re.compile(
    r"(?:/(?:full|fulltext|abstract|abs|pdf|epdf|pdfdirect|html|meta|summary|references|issuetoc|tables?|figures?)"
    r"(?:/(?:html|pdf))?|\.(?:pdf|full|abstract|short|html?)|\.full\.(?:pdf|html)|\.full-text)/?$",
    re.IGNORECASE,
)
# What comes before a DOI in the address of a publisher's page.
_PAGE = re.compile(r"https?://(?!(?:www\.)?(?:dx\.)?doi\.org/)[^\s<>]*/$|(?<!doi\.org)/doi/(?:\w+/)?$", re.IGNORECASE)
# Zero-width and directional marks, soft hyphen, byte-order mark, and the controls C0/C1 except white space.
_INVISIBLE = re.compile("[\u00ad\u034f\u061c\u115f\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff"
                        "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")  # fmt: skip
_HYPHENS = re.compile("[\u2010\u2011]")
_ESCAPED = re.compile(r"\\(?=[\[\]()<>{}_&%#/])")  # TeX and Markdown write `\_` and `\[`
_DASHES = re.compile("[\u2012-\u2015\u2043\u2212\ufe58\ufe63\uff0d\u00ac]")
_DECODINGS = 10
"""How often percent-encoding is decoded; nothing deposited is encoded more than three times."""
LONGEST_FIELD = 4096
"""Characters of a field that is read as one DOI, with its address: twice the length of the longest DOI."""
_PAIRS = {")": "(", "]": "[", "}": "{", ">": "<", "»": "«", "”": "“", "’": "‘", "）": "（", "】": "【"}
_TRAILING = ".,;:!?'\"*…´`“‘«|\\†‡§·。，；、"
_OPENING = re.compile(r"(?:(?!//)[(\[{<\"'“‘«/:]\s*+)*+")
_FIELD_NAME = re.compile(r"(?<!\s)\s*+\[(?:doi|pii)\]\.?$", re.IGNORECASE)
_FULL_WIDTH = {wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)}
_ASCII_LOWER = {upper: upper + 32 for upper in range(65, 91)}

# A SICI's angle brackets hold a colon or follow a page, and its version (`2.0.CO;2`) comes right after them.
_SICI_TAIL = re.compile(r"<[^<>\s]{1,60}>\d\.\d\.[A-Za-z]{2};\d(?:-[^\s,.;)\]}'\"<>])?")
_STARTS = re.compile(rf"(?<![0-9])(?<![0-9]\.)({_PREFIX})(?:/|%2f)", re.IGNORECASE)
_UNBROKEN = re.compile(r"\S+")
_SHORT_IN_TEXT = re.compile(
    rf"(?:(?<![\w.-]){_RESOLVER}(10(?:/|%2f))?([a-z0-9]{{3,12}})|\bdoi:\s*(10(?:/|%2f))([a-z0-9]{{3,12}}))(?![/.-]*+\w)",
    re.IGNORECASE,
)
_NEXT_DOI = re.compile(rf"[;,|&/]?(?:https?:|doi:|(?<=[;,|])(?={_PREFIX}/))", re.IGNORECASE)
_TWICE = re.compile(r"[/.;,:]?(?:https?://(?:dx\.)?doi\.org/|doi:)?")
_BETWEEN_TWICE = tuple(range(20, -1, -1))
"""The numbers of characters that `_TWICE` may match, largest first."""
_AFTERWORDS = re.compile(
    r"(?:&amp;|[&?])\w+=|\[(?:doi|pii)\]|(?:\.|(?<=\d))(?:PMID|PMCID|Epub|Available|Accessed|Retrieved|Received|Published"
    r"|Copyright|This|The|In|See)\b"
)
_QUERY = re.compile(r"\?\w+=\S*$")
_PMID = re.compile(r"(?<=\w)[\s.,;]*(?:PMID|PMCID)\b.*$", re.IGNORECASE)
_ENCODED_BLANK = re.compile(r"%(?:20|0a|0d|09)", re.IGNORECASE)
# What no registered DOI has: remains of TeX and markup, a replacement character, encoded white space.
_NEVER = re.compile(r"[\\{}`^|\ufffd¬]|\">|</|\]\(|%(?:20|0a|0d|09)|[;,|](?:https?:|doi:|10\.\d{4,9}/)", re.IGNORECASE)
_SPLIT = re.compile(r"(?<=[./_(\-])\s+(?=\w*\d)")
_LINE_END = re.compile(r"\s*\n\s*|\s+$")
_RESUMED = re.compile(r"[a-z]+\.\d{4}\.|\d+\.\d+[.\d]|\d{4,}\.\d|0\d+(?![\d.])|(?!PM)[A-Za-z]{1,3}\d{4,}")
_JOINABLE = re.compile(r"(?=[\w.()\-:;/]*\d)[\w(][\w.()\-:;/]*", re.ASCII)

_REGISTERS_DOUBLE_SLASH = ("10.1037", "10.1026", "10.1027")
"""APA and Hogrefe: DOIs such as 10.1037//0022-3514.49.1.233 are registered with both slashes."""
_ONLY_DOUBLE_SLASH = ("10.1026", "10.1027")

LONGEST = 2048
"""Characters of the longest DOI that Crossref registers; anything longer is not a DOI."""
MAX_CANDIDATES = 8
"""Readings of one stated DOI at most: each may cost a request."""

LOCAL = "local-"
"""How the local id of a work of an imported file begins. No DOI does."""
_LOCAL = re.compile(rf"{LOCAL}[0-9a-f]{{16}}", re.IGNORECASE)


def lower(raw: str) -> Doi:
    """The canonical case of a DOI, for storing: ASCII capitals become lower case, all other letters stay (ISO 26324), as in
    SQLite's `lower()`. Nothing else is changed or checked. Every module that folds a DOI's case uses this."""
    return Doi(raw.lower() if raw.isascii() else raw.translate(_ASCII_LOWER))


def caseless(raw: str) -> str:
    """A key for comparing the DOI in a response with the requested one, never for storing: a server may fold all of Unicode.

    Letters whose folded form has another length (`ß`, `ss`) stay, so that two spellings of a word do not become one.
    """
    if raw.isascii():
        return raw.lower()
    return "".join(folded if len(folded := char.casefold()) == 1 else char for char in raw)


def exact(raw: str) -> Doi | None:
    """A registered DOI exactly as an agency states it, in canonical case; only outer white space is removed. None for what
    is not a DOI."""
    raw = raw.strip()
    return lower(raw) if _EXACT.fullmatch(raw) else None


def literal(raw: str) -> Doi | None:
    """The DOI that a field states, letter by letter: only an address or label before it is removed. Few DOIs are registered with
    such odd characters (`10.5555/a%7eb.`), so this reading is tried when that of `parse` has no record."""
    text = raw if len(raw) <= LONGEST_FIELD else ""
    while (lead := _LEAD.match(text)) and lead.end():
        text = text[lead.end() :]
    return exact(text) if len(text) <= LONGEST else None


def literals(text: str) -> tuple[Doi, ...]:
    """As `literal`, for each DOI in running text: up to the next white space, without the punctuation of the sentence."""
    found: dict[Doi, None] = {}
    end = 0
    for start in _STARTS.finditer(text):
        if start.start() >= end and (word := _UNBROKEN.match(text, start.start())):
            end = word.end()
            if len(word.group()) <= LONGEST and (doi := exact(_trim(word.group()))):
                found.setdefault(doi)
    return tuple(found)


def is_local(key: str) -> bool:
    """Whether the key of a work is no DOI but the local id of a work of an imported file."""
    return key.startswith(LOCAL)


def parse_key(raw: str | None) -> Doi | None:
    """The key of a work as a person writes it: its DOI, or its local id; None for anything else."""
    text = (raw or "").strip()
    return Doi(text.lower()) if _LOCAL.fullmatch(text) else parse(raw)


def shown(key: Doi) -> str:
    """A work as a text names it: the link of its DOI, or its local id."""
    return str(key) if is_local(key) else url(key)


def is_short(doi: Doi) -> bool:
    """Whether this is a short DOI (`10/gf4gqc`), which only doi.org can resolve."""
    return doi.startswith("10/")


def parse(raw: str | None) -> Doi | None:
    """The DOI in a field, in any of the usual spellings; None when the field is not exactly one DOI."""
    if not raw or len(raw) > LONGEST_FIELD:
        return None
    if read := simple(raw):
        return read
    text = _unwrap(_clean(raw))
    lead = _LEAD.match(text)
    resolver = bool(lead and lead.group(1))
    while lead and lead.end():  # `doi:https://doi.org/…` and `http://doi.org/urn:doi:…` have two
        text = _unwrap(text[lead.end() :])
        lead = _LEAD.match(text)
        resolver = resolver or bool(lead and lead.group(1))
    if resolver:
        text = _cut_url(text)
    elif host := _HOST.match(text) or _QUERY_HOST.match(text):
        text = _VIEW.sub("", _trim(_cut_url(text[host.end() :].replace("&", "?"))))
    text = _trim(_PMID.sub("", _QUERY.sub("", _trim(_decode(text)).rstrip())))
    if (found := _BARE.fullmatch(text)) and not _NEVER.search(text):
        return _canonical(*found.groups())
    return _short(text, resolver)


def simple(raw: str) -> Doi | None:
    """The DOI in a field in the simplest spelling, which most fields have: what `parse` gives for it, sooner. None for any other
    field, which may hold a DOI all the same."""
    if not _PLAIN.fullmatch(raw) or raw.count("10.") > 1:
        return None
    doi = raw.lower()
    return None if "pmid" in doi or "pmcid" in doi else Doi(doi)


def simple_each(fields: Sequence[str]) -> list[Doi | None]:
    """As `simple`, for each of many fields at once: a reference list has hundreds."""
    joined = "".join([f"{field}\n" for field in fields])
    if joined.count("\n") != len(fields):
        return [simple(field) for field in fields]
    found: list[Doi | None] = []
    at = 0
    while at < len(joined):
        run = _PLAIN_LINES.match(joined, at)
        end = run.end() if run else joined.index("\n", at) + 1
        lines = joined[at:end].lower()
        if run and lines.count("10.") == lines.count("\n") and "pmid" not in lines and "pmcid" not in lines:
            found += map(Doi, lines[:-1].split("\n"))
        else:
            found += map(simple, joined[at : end - 1].split("\n"))
        at = end
    return found


def candidates(raw: str) -> tuple[Doi, ...]:
    """Readings of a stated DOI to look up, best first: exact ones, then repairs. At most `MAX_CANDIDATES`."""
    seen: dict[Doi, None] = {}
    if len(raw) > LONGEST_FIELD:
        return ()
    for reading in _readings(_clean(raw)):
        if reading is not None:
            seen.setdefault(reading)
    for reading in tuple(seen):
        for variant in _variants(reading):
            seen.setdefault(variant)
    return tuple(seen)[:MAX_CANDIDATES]


def find(text: str) -> tuple[Doi, ...]:
    """Every DOI in running text, in order, each once. Line breaks inside a DOI are removed where that is safe."""
    text = _clean(text, keep_lines=True)
    found: list[tuple[int, Doi]] = []
    end = 0
    for start in _STARTS.finditer(text):
        if start.start() < end:
            continue
        length, suffix = _suffix(text, start.end())
        if _PAGE.search(text, max(0, start.start() - 200), start.start()):
            suffix = _VIEW.sub("", _trim(suffix))
        doi = _canonical(start.group(1), suffix)
        if doi is not None:
            end = start.end() + length
            found.append((start.start(), doi))
    shorts = ((match.start(), _short_from(match)) for match in _SHORT_IN_TEXT.finditer(text))
    found.extend((start, doi) for start, doi in shorts if doi is not None)
    return tuple(dict.fromkeys(doi for _, doi in sorted(found)))


def url(doi: Doi) -> str:
    """The link that opens a DOI, encoded so that any browser sends exactly this DOI. A local id has none: ask `is_local`
    first."""
    prefix, _, suffix = doi.partition("/")
    if _SAFE_SUFFIX.fullmatch(suffix):
        return f"https://doi.org/{doi}"
    # Clients resolve dot segments and drop empty ones; an encoded slash prevents that.
    plain = not any(part in {".", "..", ""} for part in suffix.split("/"))
    return f"https://doi.org/{prefix}/{quote(suffix, safe='/:;()@!$*,=+' if plain else ':;()@!$*,=+')}"


def _canonical(prefix: str, suffix: str) -> Doi | None:
    """Prefix and suffix as one DOI; a DOI written twice is read once. None when nothing readable is left."""
    suffix = _trim(suffix)
    if not any(char.isalnum() for char in suffix):
        return None
    return Doi(_once(lower(f"{prefix}/{suffix}")))


def _once(doi: str) -> str:
    """The first half of a DOI that is written twice, perhaps with a separator; else the DOI."""
    for between in _BETWEEN_TWICE:
        half, rest = divmod(len(doi) - between, 2)
        if not rest and half > 3 and doi[:half] == doi[-half:] and _TWICE.fullmatch(doi, half, half + between):
            return doi[:half]
    return doi


def _clean(raw: str, *, keep_lines: bool = False) -> str:
    """The text with entities replaced, invisible characters removed, plain hyphens, and single blanks (or lines)."""
    text = unescape(unescape(raw)) if "&" in raw else raw
    text = _ESCAPED.sub("", _HYPHENS.sub("-", _INVISIBLE.sub("", text)).translate(_FULL_WIDTH))
    return text if keep_lines else " ".join(text.split())


def _decode(text: str) -> str:
    """Percent-encoding decoded until nothing changes; left as it is where it is not UTF-8 or contains white space."""
    for _ in range(_DECODINGS):
        if "%" not in text:
            break
        try:
            decoded = unquote(text, errors="strict")
        except UnicodeDecodeError:
            return text
        spaced = sum(map(str.isspace, decoded)) > sum(map(str.isspace, text))
        if decoded == text or spaced or _INVISIBLE.search(decoded):
            return text
        text = decoded
    return text


def _cut_url(text: str) -> str:
    """The path of a URL: up to its query, and up to its fragment unless `#` is the last character, as in a SICI."""
    return re.split(r"\?|#(?=[^\s.,;)\]])", text, maxsplit=1)[0]


def _unwrap(text: str) -> str:
    """Without outer white space, opening brackets and quotes."""
    text = text.strip(" \t\n")
    return text[_OPENING.match(text).end() :]  # type: ignore[union-attr]  # it matches nothing, too


def _trim(text: str) -> str:
    """Without trailing punctuation and without closing brackets that have no opening one."""
    text = _FIELD_NAME.sub("", text.strip())
    end = len(text)
    counts: dict[str, int] = {}  # of the brackets met at the end: how often each stands before `end`
    while end:
        last = text[end - 1]
        opener = _PAIRS.get(last)
        for bracket in (opener, last) if opener else ():
            counts.setdefault(bracket, text.count(bracket, 0, end))
        spaces = last in _TRAILING or last == "/" or bool(opener and counts[opener] < counts[last])
        if not spaces and last not in "([{<" and not (last == "-" and end > 1 and text[end - 2] == "-"):
            break
        end -= 1
        if last in counts:
            counts[last] -= 1
        while spaces and end and text[end - 1].isspace():
            end -= 1
    return text[:end]


def _short(text: str, marked: bool) -> Doi | None:
    """A short DOI, `marked` by a resolver or label, or alone in a field."""
    text = _trim(text)
    if _SHORT.fullmatch(text) and (marked or not text[3:].isdigit()):
        return lower(text)
    bare = _SHORT_BEHIND_RESOLVER.fullmatch(text) if marked else None
    if bare and not bare.group(1).isdigit() and not bare.group(1).isalpha():
        return lower(f"10/{bare.group(1)}")
    return None


def _short_from(match: re.Match[str]) -> Doi | None:
    """The short DOI in a match of `_SHORT_IN_TEXT`."""
    resolver_slash, resolver_code, label_slash, label_code = match.groups()
    return _short(_decode((resolver_slash or label_slash or "") + (resolver_code or label_code)), True)


def _suffix(text: str, start: int) -> tuple[int, str]:
    """How many characters of `text` from `start` the suffix takes, and the suffix decoded."""
    position, parts, whole = start, [""], True
    while True:
        piece = _piece(text, position)
        position += len(piece)
        if whole:
            before_blank = _ENCODED_BLANK.split(piece, maxsplit=1)
            parts += [before_blank[0]] if before_blank[0] else []
            whole = len(before_blank) == 1
        gap = _LINE_END.match(text, position)
        follow = _JOINABLE.match(text, gap.end()) if gap else None
        if not gap or not follow or not _broken(parts[-1][-1:], follow.group()):
            break
        position = gap.end()
    joined = "".join(parts)
    suffix = _decode(joined)
    # Decoded characters (`%3C`, `%3Ftoken=`) are read by the same rules.
    return position - start, _piece(suffix, 0) if suffix != joined else joined


def _piece(text: str, start: int) -> str:
    """The run of characters from `start` that can belong to one DOI."""
    open_brackets: list[str] = []
    position = start
    while position < len(text):
        char = text[position]
        if (
            char.isspace()
            or char in '"“”„«»‹›…|\\^`{}\ufffd，。；、：）（】【'
            or (ord(char) > 0x24F and not _kept(char))
        ):
            break
        if char == "<":
            sici = _SICI_TAIL.match(text, position)
            if not sici:
                break
            position = sici.end()
            break
        if char in "([":
            open_brackets.append(char)
        elif char in ")]":
            if not open_brackets or open_brackets[-1] != _PAIRS[char]:
                break
            open_brackets.pop()
        elif char == ">":
            break
        if _NEXT_DOI.match(text, position) or _AFTERWORDS.match(text, position):
            break
        position += 1
    return text[start:position]


def _kept(char: str) -> bool:
    """Whether a character beyond Latin belongs to a DOI: dashes, Greek and Cyrillic letters. Other scripts are text after it."""
    return (bool(_DASHES.match(char)) and char not in "\u2014\u2015") or 0x370 <= ord(char) <= 0x52F


def _broken(so_far: str, follow: str) -> bool:
    """Whether a line break between `so_far` and `follow` (which has a digit) is inside a DOI."""
    if not so_far or so_far.endswith("/"):
        return True
    if so_far[-1] in "-_(":
        return True
    # After a full stop a sentence or a numbered entry may begin; only a token that looks like the rest of a DOI continues it.
    return so_far.endswith(".") and bool(_RESUMED.match(follow))


def _readings(text: str) -> Iterator[Doi | None]:
    """Readings of one stated string, from exact to speculative."""
    yield parse(text)
    yield parse(_SPLIT.sub("", text))
    yield from find(text.replace(" ", "\n"))  # a blank may have been a line break
    if "%20" in text:
        spaced = unquote(text)
        if start := re.search(rf"{_PREFIX}/", spaced):
            yield exact(_trim(spaced[start.start() :]))
    dense = re.sub(r"\s+", "", text)
    yield parse(dense)
    yield parse(re.sub(r"(?<=[a-z])-\s+(?=[a-z])", "", text))
    plain = re.sub(r"[{}`\\]", "", dense)
    yield parse(plain)
    plain = re.sub(r"^.*?(?:doi\.org/|doi[:.=]?|doi\()", "", plain, flags=re.IGNORECASE)
    yield parse(_repair_prefix(plain))
    yield from find(_repair_prefix(plain))


def _repair_prefix(text: str) -> str:
    """The text with a missing or misspelt `10.` before a registrant restored."""
    text = text.lstrip(":/.([<\"' ")
    text = re.sub(r"^(?:[1lI][0oO]|[oO0])[.,:;·-]+(?=\d{4,9}(?:\.\d+)*/)", "10.", text)
    text = re.sub(r"^10(?=\d{4,5}/)", "10.", text)
    text = re.sub(r"^(10\.\d{4,5})(?:[,:;|]|//?\\|\\/|\.(?=[a-z]))/*(?=\w)", r"\1/", text)
    # A registrant alone: the suffix must not look like a date or a fraction (`2020/01/02`).
    return re.sub(r"^(?=\d{4,5}/{1,2}(?=\S*[A-Za-z(.-])\S{4})", "10.", text)


def _variants(doi: Doi) -> Iterator[Doi]:
    """Other spellings under which the same DOI may be registered."""
    prefix, _, suffix = doi.partition("/")
    if suffix.startswith("/") and prefix not in _ONLY_DOUBLE_SLASH:
        yield Doi(f"{prefix}/{suffix.lstrip('/')}")
    if _DASHES.search(suffix):
        yield Doi(f"{prefix}/{_DASHES.sub('-', suffix)}")
        yield Doi(f"{prefix}/{suffix.replace('¬', '')}")
    if view := _VIEW.search(suffix):
        yield Doi(f"{prefix}/{suffix[: view.start()]}")
    if prefix in _REGISTERS_DOUBLE_SLASH and not suffix.startswith("/"):
        yield Doi(f"{prefix}//{suffix}")
