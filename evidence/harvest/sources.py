"""`sources.yaml` → checked, frozen values; every error names file, line and remedy.

May not open a connection or a database: mistakes are found before any request. The names of Crossref's filters and field
queries are habanero's.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import asdict, dataclass, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from evidence import doi, strict_yaml
from evidence.data_model import Citation, Doi, ProviderName, Query
from evidence.errors import ConfigError
from evidence.rules import topic as topics
from evidence.rules.phrase_matching import Phrases
from evidence.rules.topic import Topic
from evidence.strict_yaml import Loc, YamlText, nearest, validated

REFRESH_SOURCE = "known-works"
FILES_SOURCE = "files"
RESERVED = {REFRESH_SOURCE, FILES_SOURCE}
"""Ids of the sources that `sync` adds: the refresh of known works, and records taken whole from files."""

SERVICES: tuple[ProviderName, ...] = ("europepmc", "pubmed", "openalex", "datacite", "clinicaltrials")
"""The other providers that are asked over the network, in the order of asking."""

LONGEST_NAME = 80
"""Characters of a watch's name at most."""

_DOTTED = ("license", "full-text", "award", "relation")
_WINDOW_FILTERS = re.compile(r"(from|until)-(index|pub|issued|print-pub|online-pub|created)-date|doi|updates")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_WEB_ADDRESS = re.compile(r"https?://[^\s/?#@<>\"]+(/[^\s?#<>\"]*)?")
_EXAMPLE_ADDRESS = re.compile(r"@(.*\.)?example(\.[a-z]+)?$|@localhost$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ReferenceList:
    """A reference list: its citations as printed, or `of`, the DOI whose deposited list is followed."""

    id: str
    label: str
    citations: tuple[Citation, ...]
    of: Doi | None

    kind = "references"

    @property
    def spec(self) -> str:
        """What the database keeps of this entry, as canonical JSON."""
        return _json({"of": self.of, "citations": [[c.text, c.stated_doi] for c in self.citations]})


@dataclass(frozen=True, slots=True)
class Search:
    """A standing search: a ranked query to Crossref, whose results are filtered here by `phrases` (one must occur) and, where
    given, `also` (one of these too)."""

    id: str
    label: str
    query: Query
    phrases: tuple[str, ...]
    years: tuple[int | None, int | None]
    also: tuple[str, ...] = ()

    kind = "search"

    @property
    def spec(self) -> str:
        """What the database keeps of this entry, as canonical JSON; another text means another search."""
        return _json(
            {
                "query": dict(self.query.fields),
                "filter": {name: list(values) for name, values in self.query.filters},
                "phrases": list(self.phrases),
                "also": list(self.also),
                "years": list(self.years),
            }
        )


Method = Literal["database", "register", "website", "organisation", "citation", "other"]
METHODS: tuple[Method, ...] = get_args(Method)
"""The methods by which PRISMA 2020 counts identified records; `citation` is citation searching."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What PRISMA-S asks of a search that was run elsewhere: the database with its platform, the day of the search (ISO), and the
    search as it was run. `files` are the names of its files."""

    files: tuple[str, ...]
    database: str | None = None
    date: str | None = None
    search: str | None = None


@dataclass(frozen=True, slots=True)
class FileSource:
    """Records of files: what a search in another database, a register or by hand brought. `paths` are the files; `by` says
    whether sources.yaml names the source or a command imported it; `earlier` are imports before this one."""

    id: str
    label: str
    paths: tuple[Path, ...]
    method: Method
    imported: Imported
    by: Literal["sources.yaml", "command"] = "sources.yaml"
    earlier: tuple[Imported, ...] = ()

    kind = "files"

    @property
    def spec(self) -> str:
        """What the database keeps of this entry, as canonical JSON."""
        held = [asdict(each) for each in dict.fromkeys((*self.earlier, self.imported))]
        return _json({"by": self.by, "imports": held})


def imported_by_command(
    identifier: str | None,
    label: str,
    paths: tuple[Path, ...],
    method: Method,
    imported: Imported,
    checked: Config | None,
) -> FileSource:
    """The source of files that a command names. ConfigError for an id that sources.yaml has, or that is none, and for a day that
    is none."""
    found = identifier or slug_of(label) or "imported"
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", found):
        raise ConfigError(f"--id {found!r} is no id; write small letters, digits and hyphens, such as psycinfo-2026")
    if found in RESERVED:
        raise ConfigError(f"--id {found!r} is reserved for the program; choose another")
    if any(source.id == found for source in (checked.sources if checked else ())):
        raise ConfigError(f"{found!r} is a source of sources.yaml; name another with --id")
    if imported.date is not None and not is_day(imported.date):
        raise ConfigError(f"--date {imported.date!r} is not a valid date; write it like 2026-01-31")
    if not label.strip():
        raise ConfigError("--name must not be empty: it is the name of the source in every report")
    named = replace(imported, files=tuple(path.name for path in paths))
    return FileSource(found, label.strip(), paths, method, named, "command")


def imports_of(spec: str) -> tuple[Imported, ...]:
    """The imports of a source of files, from its spec in the database."""
    held = json.loads(spec).get("imports", ())
    return tuple(Imported(tuple(each["files"]), each["database"], each["date"], each["search"]) for each in held)


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim of an article in our own words: the citations (1-based) it rests on, the cells of the map it speaks of."""

    id: str
    says: str
    cites: tuple[int, ...]
    looks_at: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Article:
    """An article whose claims are followed; `references` names the reference list that is its own."""

    id: str
    title: str
    references: str
    claims: tuple[Claim, ...]


@dataclass(frozen=True, slots=True)
class Watch:
    """A saved question: a list of works whose news are told apart. `filter` is as written, the parameters of the list's address;
    `line` is where it is written."""

    name: str
    filter: str
    line: int = 0

    @property
    def slug(self) -> str:
        """The name in an address: small letters, digits and hyphens."""
        return slug_of(self.name)


@dataclass(frozen=True, slots=True)
class Published:
    """What a published site says of itself. `address` is where visitors find it, without a slash at the end; `contact` is an
    e-mail address or a web address, for visitors (that of `Config` is for providers only); `licence` is a web address."""

    address: str | None = None
    publisher: str | None = None
    contact: str | None = None
    licence: str | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """A whole sources.yaml. `contact` is the address that providers may write to, or None (Crossref's public pool). `topic` is as
    written: a name or a folder (see `topic_of`). `enrich` are the other providers that a sync asks about the works, and
    `retraction_watch` is the file of Retraction Watch, or None."""

    contact: str | None
    sources: tuple[ReferenceList | Search | FileSource, ...]
    known: tuple[Doi, ...]
    articles: tuple[Article, ...]
    topic: str = topics.DEFAULT
    enrich: tuple[ProviderName, ...] = SERVICES
    retraction_watch: Path | None = None
    site: Published = Published()
    watches: tuple[Watch, ...] = ()


def load(path: Path) -> Config:
    """The checked configuration at `path`; ConfigError with file, line and remedy."""
    checked = check(strict_yaml.parse_file(path, "`evidence init` writes a starter sources.yaml"))
    listed = checked.retraction_watch
    placed = (
        replace(source, paths=tuple(path.parent / each for each in source.paths))
        if isinstance(source, FileSource)
        else source
        for source in checked.sources
    )
    return replace(checked, sources=tuple(placed), retraction_watch=path.parent / listed if listed else None)


def topic_of(path: Path) -> Topic:
    """The topic that the sources.yaml at `path` names, or the default one; ConfigError with file, line and remedy."""
    text = strict_yaml.parse_file(path, "`evidence init` writes a starter sources.yaml")
    written = text.data.get("topic") if isinstance(text.data, dict) else None
    try:
        topics.find(written or topics.DEFAULT, path.parent)
    except (ValueError, TypeError) as error:
        raise text.complain(("topic",), str(error)) from None
    return topics.load(written or topics.DEFAULT, path.parent)


def check(text: YamlText) -> Config:
    """The checked configuration of parsed YAML (see `load`)."""
    if not isinstance(text.data, dict):
        raise text.complain((), "expected `sources:` with a list under it; `evidence init` writes a starter file")
    file = validated(_File, text, remedy=_REMEDY)
    sources: list[ReferenceList | Search | FileSource] = []
    lines: dict[str, int] = {}
    for i, entry in enumerate(file.sources):
        source = _source(text, ("sources", i), entry)
        if source.id in lines:
            raise text.complain(
                ("sources", i, "id"),
                f"the id {source.id!r} is already taken on line {lines[source.id]}; ids are keys in the database, "
                "give this entry another",
            )
        lines[source.id] = text.line(("sources", i, "id"))
        sources.append(source)
    known = tuple(_doi(text, ("known", i), raw) for i, raw in enumerate(file.known))
    articles = tuple(_article(text, ("articles", i), a, sources) for i, a in enumerate(file.articles))
    _unique(text, "articles", [a.id for a in articles])
    return Config(
        _contact(text, file.contact),
        tuple(sources),
        known,
        articles,
        file.topic or topics.DEFAULT,
        _enrich(text, file.enrich),
        Path(file.retraction_watch) if file.retraction_watch else None,
        _site(text, file.site),
        _watches(text, file.watch),
    )


def contact_address(raw: str) -> str:
    """An e-mail address for Crossref's polite pool; ValueError with the remedy for an invalid or made-up one."""
    if not _EMAIL.fullmatch(raw):
        raise ValueError(f"{raw!r} is not an e-mail address; write yours, or leave `contact` out")
    if _EXAMPLE_ADDRESS.search(raw) or raw == "you@your-institution.edu":
        raise ValueError(f"{raw!r} is an example, and Crossref blocks made-up addresses; write yours or leave it out")
    return raw


@cache
def filter_names() -> frozenset[str]:
    """The filters Crossref's /works route knows, spelled as Crossref spells them (habanero's list)."""
    from habanero import Crossref  # costs a tenth of a second and an HTTP stack: only when a filter is written

    names = (name.replace("_", "-") for name in Crossref().filter_names(type="works"))
    return frozenset(re.sub(rf"^({'|'.join(_DOTTED)})-", r"\1.", name) for name in names)


_USUAL_FIELDS = frozenset({"author", "bibliographic", "container-title", "title"})
"""Field queries that need no look at habanero's list."""


@cache
def field_query_names() -> frozenset[str]:
    """The `query.…` fields Crossref knows, without the prefix (habanero's list)."""
    from habanero.field_queries import VALID_FIELD_QUERIES  # as costly as above: only for an unusual field

    return frozenset(name.removeprefix("query.") for name in VALID_FIELD_QUERIES)


def _not_reserved(value: str) -> str:
    if value in RESERVED:
        raise ValueError(f"{value!r} is reserved for the program; choose another")
    return value


_Id = Annotated[strict_yaml.Id, AfterValidator(_not_reserved)]
_Text = Annotated[str, Field(min_length=1)]
_Words = Annotated[list[_Text], Field(min_length=1)]


_REMEDY = "add it (the file that `evidence init` writes shows every key)"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _SiteEntry(_Strict):
    address: _Text | None = None
    publisher: _Text | None = None
    contact: _Text | None = None
    licence: _Text | None = None


class _WatchEntry(_Strict):
    name: _Text
    filter: _Text


class _File(_Strict):
    topic: str | None = None
    contact: str | None = None
    sources: Annotated[list[dict[str, Any]], Field(min_length=1)]
    known: list[str] = []
    articles: list[dict[str, Any]] = []
    enrich: str | list[_Text] = "yes"
    retraction_watch: _Text | None = None
    site: _SiteEntry = _SiteEntry()
    watch: list[_WatchEntry] = []


class _CitationEntry(_Strict):
    text: _Text | None = None
    doi: _Text | None = None


class _ReferencesEntry(_Strict):
    id: _Id
    kind: str
    label: _Text
    citations: list[_CitationEntry] = []
    of: _Text | None = None


class _SearchEntry(_Strict):
    id: _Id
    kind: str
    label: _Text
    query: Annotated[dict[str, _Text], Field(min_length=1)]
    phrases: _Words
    also: list[_Text] = []
    filter: dict[str, _Text | _Words] = {}
    years: str | None = None


class _FileEntry(_Strict):
    id: _Id
    kind: str
    label: _Text
    files: _Words
    method: _Text = "database"
    database: _Text | None = None
    date: _Text | None = None
    search: _Text | None = None


class _ClaimEntry(_Strict):
    id: _Id
    says: _Text
    cites: list[int] = []
    looks_at: dict[str, _Words] = {}


class _ArticleEntry(_Strict):
    id: _Id
    title: _Text
    references: _Text
    claims: list[_ClaimEntry] = []


def _source(text: YamlText, loc: Loc, entry: dict[str, Any]) -> ReferenceList | Search | FileSource:
    kind = entry.get("kind")
    if kind == "references":
        return _reference_list(text, loc, validated(_ReferencesEntry, text, loc, remedy=_REMEDY))
    if kind == "search":
        return _search(text, loc, validated(_SearchEntry, text, loc, remedy=_REMEDY))
    if kind == "file":
        return _file_source(text, loc, validated(_FileEntry, text, loc, remedy=_REMEDY))
    if kind is None:
        raise text.complain(loc, "this source has no `kind:`; write `kind: references`, `kind: search` or `kind: file`")
    raise text.complain((*loc, "kind"), f"unknown kind {kind!r}{nearest(kind, {'references', 'search', 'file'})}")


def _file_source(text: YamlText, loc: Loc, entry: _FileEntry) -> FileSource:
    method = next((each for each in METHODS if each == entry.method), None)
    if method is None:
        raise text.complain(
            (*loc, "method"),
            f"unknown method {entry.method!r}{nearest(entry.method, set(METHODS))}; one of {', '.join(METHODS)}",
        )
    if entry.date is not None and not is_day(entry.date):
        raise text.complain((*loc, "date"), f"{entry.date!r} is not a day; write it like 2026-01-31")
    imported = Imported(tuple(Path(name).name for name in entry.files), entry.database, entry.date, entry.search)
    return FileSource(entry.id, entry.label, tuple(map(Path, entry.files)), method, imported)


def is_day(written: str) -> bool:
    """Whether this is a day, written as YYYY-MM-DD."""
    try:
        return date.fromisoformat(written).isoformat() == written
    except ValueError:
        return False


def _reference_list(text: YamlText, loc: Loc, entry: _ReferencesEntry) -> ReferenceList:
    if bool(entry.citations) == bool(entry.of):
        raise text.complain(loc, "a reference list has either `citations:` (as printed) or `of:` (a DOI), one of them")
    of = _doi(text, (*loc, "of"), entry.of) if entry.of else None
    for i, cited in enumerate(entry.citations):
        if not (cited.text or cited.doi):
            raise text.complain(
                (*loc, "citations", i), "this citation is empty; write its `text:` as printed, its `doi:`, or both"
            )
        if cited.doi and not doi.candidates(cited.doi):
            raise text.complain(
                (*loc, "citations", i, "doi"),
                f"{cited.doi!r} contains no DOI, not even a damaged one; write what the list prints, or leave `doi:` out",
            )
    citations = tuple(
        Citation(entry.id, i, c.text or _address(c.doi or ""), c.doi) for i, c in enumerate(entry.citations, start=1)
    )
    return ReferenceList(entry.id, entry.label, citations, of)


def _address(stated: str) -> str:
    """The text of a citation that has only a DOI: its URL, or the string itself if it is damaged."""
    parsed = doi.parse(stated)
    return doi.url(parsed) if parsed and not doi.is_short(parsed) else stated


def _search(text: YamlText, loc: Loc, entry: _SearchEntry) -> Search:
    for name in entry.query:
        if name not in _USUAL_FIELDS and name not in field_query_names():
            raise text.complain(
                (*loc, "query", name),
                f"Crossref has no field query {name!r}{nearest(name, field_query_names())}",
            )
    filters: list[tuple[str, tuple[str, ...]]] = []
    for written, value in entry.filter.items():
        here = (*loc, "filter", written)
        if written not in filter_names():
            raise text.complain(here, f"Crossref has no filter {written!r}{nearest(written, filter_names())}")
        if _WINDOW_FILTERS.fullmatch(written):
            raise text.complain(
                here, f"{written!r} is set by the program itself; to limit the years write `years: 1974-`"
            )
        values = (value,) if isinstance(value, str) else tuple(value)
        if bad := next((v for v in values if "," in v or ":" in v), None):
            raise text.complain(here, f"{bad!r} has a comma or colon, which Crossref's filters cannot carry; remove it")
        filters.append((written, values))
    for key, phrases in (("phrases", entry.phrases), ("also", entry.also)):
        for i, phrase in enumerate(phrases):
            try:
                Phrases([phrase])
            except ValueError as error:
                raise text.complain((*loc, key, i), str(error)) from None
    query = Query(tuple(entry.query.items()), tuple(filters))
    years = _years(text, (*loc, "years"), entry.years)
    return Search(entry.id, entry.label, query, tuple(entry.phrases), years, tuple(entry.also))


def _years(text: YamlText, loc: Loc, written: str | None) -> tuple[int | None, int | None]:
    if written is None:
        return None, None
    found = re.fullmatch(r"\s*(\d{4})?\s*([-–]?)\s*(\d{4})?\s*", written)
    if not found or not (found[1] or found[3]) or not (found[2] or found[1]):
        raise text.complain(loc, f"cannot read the years {written!r}; write 1974-, 1974-2020, -2020 or 2019")
    first = int(found[1]) if found[1] else None
    last = int(found[3]) if found[3] else (None if found[2] else first)
    if first is not None and last is not None and first > last:
        raise text.complain(loc, f"the years {written!r} run backwards; write {last}-{first}")
    return first, last


def _article(
    text: YamlText, loc: Loc, raw: dict[str, Any], sources: list[ReferenceList | Search | FileSource]
) -> Article:
    entry = validated(_ArticleEntry, text, loc, remedy=_REMEDY)
    lists = {s.id: s for s in sources if isinstance(s, ReferenceList)}
    if entry.references not in lists:
        raise text.complain(
            (*loc, "references"),
            f"no reference list has the id {entry.references!r}{nearest(entry.references, lists)}",
        )
    cited = len(lists[entry.references].citations)
    for i, claim in enumerate(entry.claims):
        if bad := [n for n in claim.cites if not 1 <= n <= cited]:
            raise text.complain(
                (*loc, "claims", i, "cites"),
                f"the list has {cited} citations; {bad[0]} is none of them, counting from 1",
            )
    claims = tuple(
        Claim(c.id, c.says, tuple(c.cites), tuple((f, tuple(v)) for f, v in c.looks_at.items())) for c in entry.claims
    )
    _unique(text, f"claims of {entry.id}", [c.id for c in claims])
    return Article(entry.id, entry.title, entry.references, claims)


def _enrich(text: YamlText, written: str | list[str]) -> tuple[ProviderName, ...]:
    if isinstance(written, str):
        if written not in ("yes", "no"):
            raise text.complain(
                ("enrich",), f"{written!r} is neither yes nor no; write one of them, or a list of {', '.join(SERVICES)}"
            )
        return SERVICES if written == "yes" else ()
    for i, name in enumerate(written):
        if name not in SERVICES:
            raise text.complain(("enrich", i), f"no provider has the name {name!r}{nearest(name, SERVICES)}")
    return tuple(name for name in SERVICES if name in written)


def _contact(text: YamlText, written: str | None) -> str | None:
    try:
        return contact_address(written) if written else None
    except ValueError as error:
        raise text.complain(("contact",), str(error)) from None


def _site(text: YamlText, written: _SiteEntry) -> Published:
    for key in ("address", "licence"):
        value = getattr(written, key)
        if value and not _WEB_ADDRESS.fullmatch(value):
            raise text.complain(
                ("site", key), f"{value!r} is not a web address; write it like https://tracker.example.edu"
            )
    contact = written.contact
    if contact and not _WEB_ADDRESS.fullmatch(contact) and not _EMAIL.fullmatch(contact):
        raise text.complain(("site", "contact"), f"{contact!r} is neither an e-mail address nor a web address")
    if contact and _EXAMPLE_ADDRESS.search(contact):
        raise text.complain(("site", "contact"), f"{contact!r} is an example; write yours or leave it out")
    address = written.address.rstrip("/") if written.address else None
    return Published(address, written.publisher, contact, written.licence)


def _watches(text: YamlText, written: list[_WatchEntry]) -> tuple[Watch, ...]:
    found: dict[str, Watch] = {}
    for i, entry in enumerate(written):
        watch = Watch(entry.name.strip(), entry.filter.strip(), text.line(("watch", i, "filter")))
        here = ("watch", i, "name")
        if not watch.slug or not watch.name.isprintable() or len(watch.name) > LONGEST_NAME:
            raise text.complain(
                here, f"{entry.name!r} cannot be the name of a watch; write one short line, like: Trials of IPT-A"
            )
        if watch.slug in found:
            raise text.complain(
                here,
                f"{watch.name!r} and {found[watch.slug].name!r} have the same address {watch.slug!r}; name one otherwise",
            )
        found[watch.slug] = watch
    return tuple(found.values())


def slug_of(name: str) -> str:
    """A name as part of an address or an id: small letters, digits and hyphens."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def _doi(text: YamlText, loc: Loc, raw: str) -> Doi:
    parsed = doi.parse(raw)
    if parsed is None:
        raise text.complain(loc, f"{raw!r} is not a valid DOI; write it like 10.1176/appi.ajp.2015.15091141")
    return parsed


def _unique(text: YamlText, what: str, ids: list[str]) -> None:
    for value in ids:
        if ids.count(value) > 1:
            raise text.complain((what,), f"the id {value!r} is used twice in {what}; ids must differ")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


__all__ = [
    "Article",
    "Claim",
    "Config",
    "ConfigError",
    "Published",
    "ReferenceList",
    "Search",
    "Watch",
    "check",
    "contact_address",
    "field_query_names",
    "filter_names",
    "load",
    "topic_of",
]
