"""Exports of Rayyan, Covidence, ASReview and EPPI-Reviewer, or any table with a column of verdicts → what each reviewer decided.

It reads files and may not open a database: which work a row is about is found by `place_decisions`. A value that is not known is
named with its line, never guessed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from evidence.data_model import REASON_NOTES, VerdictName
from evidence.errors import ConfigError
from evidence.references import table_fields
from evidence.references.given_reference import Fields
from evidence.references.record_files import FileRecord, read_records

VERDICTS: Mapping[str, VerdictName] = {
    **dict.fromkeys(
        ("1", "1.0", "include", "included", "yes", "y", "i", "relevant", "true", "asreview_relevant"), "include"
    ),
    **dict.fromkeys(
        ("0", "0.0", "exclude", "excluded", "no", "n", "e", "irrelevant", "false", "asreview_irrelevant"), "exclude"
    ),
    **dict.fromkeys(("maybe", "undecided", "unsure", "?", "unclear", "conflict"), "unsure"),
}
"""The words of screening tools, in small letters → a verdict."""
_NONE = frozenset(
    {"", "-1", "-1.0", "nan", "none", "na", "n/a", "not seen", "asreview_not_seen", "d", "duplicate", "s", "unscreened"}
)
_VERDICT_COLUMNS = (
    "asreview label", "final included", "label included", "included label", "included final", "included", "include", "verdict",
    "decision", "screening decision", "vote", "status", "item status", "i e d s",
)  # fmt: skip
_REVIEWER_COLUMNS = (
    "reviewer",
    "reviewer name",
    "screener",
    "asreview user",
    "asreview user name",
    "decided by",
    "user",
)
_TIME_COLUMNS = ("asreview time", "made at", "decided at", "decided on", "screened on", "decision date", "time")
_REASON_COLUMNS = (
    "exclusion reason", "exclusion reasons", "reason", "reasons", "reason for exclusion", "reasons for exclusion",
)  # fmt: skip
_NOTE_COLUMNS = ("asreview note", "reviewer notes", "comment")
_LABEL_COLUMNS = ("labels", "tags", "asreview tags")
_ID_COLUMNS = ("local id", "id", "record id", "key", "our id")

_RAYYAN = re.compile(r"RAYYAN-INCLUSION:\s*\{(?P<held>[^}]*)\}")
_RAYYAN_ONE = re.compile(r"\"(?P<name>(?:[^\"\\]|\\.)*)\"\s*=>\s*\"(?P<verdict>[^\"]*)\"")
_RAYYAN_PART = re.compile(
    r"(?:RAYYAN-(?P<kind>LABELS|EXCLUSION-REASONS)|USER-NOTES):\s*(?P<text>.*?)(?=\s*\|\s*(?:RAYYAN-|USER-NOTES)|$)",
    re.S,
)
_RAYYAN_NOTES = re.compile(r"USER-NOTES:\s*\{(?P<held>.*?)\}", re.S)
_COVIDENCE_REASON = re.compile(r"Exclusion reason:\s*(?P<reason>[^;]+);")
_COVIDENCE_NOTE = re.compile(r"\((?P<time>[^()]*\d{4}[^()]*)\)\((?P<name>[^()]+)\):\s*(?P<note>[^;]*);?")
_ASREVIEW = re.compile(r"ASReview_(?:relevant|irrelevant|not_seen)", re.IGNORECASE)

LONGEST_JSON = 500_000_000


@dataclass(frozen=True, slots=True)
class ToolDecision:
    """What one reviewer decided on one record. `made_at` is an ISO time in UTC, None where the file has none; `key` is the DOI or
    local id of our own export, `labels` are as the tool has them."""

    line: int
    fields: Fields
    verdict: VerdictName | None
    reviewer: str | None
    reason: str | None
    notes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    made_at: str | None = None
    key: str | None = None

    @property
    def why(self) -> str | None:
        """The reason with the notes beside it, as it is kept; None where there is neither."""
        notes = "; ".join(self.notes)
        return f"{self.reason}{REASON_NOTES}{notes}" if self.reason and notes else self.reason or notes or None


@dataclass(frozen=True, slots=True)
class ReadTool:
    """What a file holds: the tool it is from, the decisions, how many rows have none, and sentences on what cannot be used."""

    tool: str
    decisions: tuple[ToolDecision, ...]
    without: int
    doubts: tuple[str, ...]


def read(path: Path, verdict: VerdictName | None = None) -> ReadTool:
    """The decisions in an export. `verdict` is that of a file that states none, such as the list of excluded records that
    Covidence exports. ConfigError with file and line when it cannot be read, or has no decision in it."""
    try:
        with path.open("rb") as stream:
            found = _eppi(stream, path.name, verdict) or _records(stream, path.name, verdict)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    if not found.decisions:
        raise ConfigError(
            f"{path}: no decision in it: no column or note says include or exclude; if all its records have one verdict, name it "
            "with --as"
        )
    return found


def _records(stream: BinaryIO, name: str, given: VerdictName | None) -> ReadTool:
    stream.seek(0)
    _, records = read_records(stream, name)
    tool, without = "a table", 0
    decisions: list[ToolDecision] = []
    doubts: list[str] = []
    for record in records:
        kind, read_one = _reader_of(record)
        tool = kind if kind != "a table" else tool
        made = list(read_one(record, given, lambda said, line=record.line: doubts.append(f"{name}:{line}: {said}")))  # type: ignore[misc]
        without += not made
        decisions += made
    return ReadTool(tool, tuple(_with_times(decisions, name, doubts)), without, tuple(doubts))


Doubt = Callable[[str], None]


def _reader_of(
    record: FileRecord,
) -> tuple[str, Callable[[FileRecord, VerdictName | None, Doubt], Iterator[ToolDecision]]]:
    headings = {table_fields.heading(each) for each in record.row}
    if any(_RAYYAN.search(note) for note in record.fields.notes):
        return "Rayyan", _rayyan
    if "covidence" in headings or any(_COVIDENCE_REASON.search(note) for note in record.fields.notes):
        return "Covidence", _covidence
    if any(each.startswith("asreview") for each in headings) or any(map(_ASREVIEW.search, record.fields.notes)):
        return "ASReview", _table
    return "a table", _table


def _rayyan(record: FileRecord, given: VerdictName | None, doubt: Doubt) -> Iterator[ToolDecision]:
    text = " | ".join(record.fields.notes)
    parts = {found["kind"] or "NOTES": found["text"].strip() for found in _RAYYAN_PART.finditer(text)}
    reasons = _listed(parts.get("EXCLUSION-REASONS"))
    held = _RAYYAN_NOTES.search(text)
    notes = (
        {
            found["name"]: found["verdict"]
            for found in _RAYYAN_ONE.finditer(held["held"].replace("[", "").replace("]", ""))
        }
        if held
        else {}
    )
    for found in _RAYYAN_ONE.finditer((_RAYYAN.search(text) or {"held": ""})["held"]):
        verdict = _verdict(found["verdict"], doubt)
        if verdict is None:
            continue
        reviewer = found["name"].replace('\\"', '"').strip()
        note = (notes[reviewer],) if notes.get(reviewer) else ()
        yield ToolDecision(
            record.line, record.fields, verdict, reviewer, "; ".join(reasons) if verdict == "exclude" and reasons else None, note,
            _listed(parts.get("LABELS")), key=_key(record),
        )  # fmt: skip


def _covidence(record: FileRecord, given: VerdictName | None, doubt: Doubt) -> Iterator[ToolDecision]:
    text = " ".join(record.fields.notes)
    found = _COVIDENCE_REASON.search(text)
    by = list(_COVIDENCE_NOTE.finditer(text))
    verdict = _verdict(_cell(record, _VERDICT_COLUMNS), doubt) or given or ("exclude" if found else None)
    if verdict is None:
        return
    yield ToolDecision(
        record.line, record.fields, verdict, None,
        found["reason"].strip() if found and verdict == "exclude" else None,
        tuple(f"{match['name']}: {match['note'].strip()}" for match in by),
        _listed(_cell(record, _LABEL_COLUMNS)), by[-1]["time"] if by else None, _key(record),
    )  # fmt: skip


def _table(record: FileRecord, given: VerdictName | None, doubt: Doubt) -> Iterator[ToolDecision]:
    stated = _cell(record, _VERDICT_COLUMNS)
    if stated is None:
        marks = [found.group() for note in record.fields.notes if (found := _ASREVIEW.search(note))]
        stated = marks[0] if marks else None
    verdict = _verdict(stated, doubt) or (given if stated is None else None)
    labels = _listed(_cell(record, _LABEL_COLUMNS))
    if verdict is None and not any(":" in label for label in labels):
        return
    reason = _cell(record, _REASON_COLUMNS)
    note = _cell(record, _NOTE_COLUMNS)
    yield ToolDecision(
        record.line, record.fields, verdict, _cell(record, _REVIEWER_COLUMNS), reason, (note,) if note else (), labels,
        _cell(record, _TIME_COLUMNS), _key(record),
    )  # fmt: skip


def _cell(record: FileRecord, names: Sequence[str]) -> str | None:
    """The first cell that is not empty under one of these headings."""
    held = {table_fields.heading(each): cell.strip() for each, cell in record.row.items()}
    return next((held[name] for name in names if held.get(name)), None)


def _key(record: FileRecord) -> str | None:
    return _cell(record, _ID_COLUMNS) or record.fields.accession


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip(" \"'") for part in re.split(r"[,;\n]", (text or "").strip("[]")) if part.strip(" \"'"))


def _verdict(stated: str | None, doubt: Doubt) -> VerdictName | None:
    word = (stated or "").strip().lower()
    if word in VERDICTS:
        return VERDICTS[word]
    if word not in _NONE:
        doubt(f"{stated!r} is no verdict that is known (include, exclude, maybe, 1, 0, …)")
    return None


# ---------------------------------------------------------------------- EPPI-Reviewer


def _eppi(stream: BinaryIO, name: str, given: VerdictName | None) -> ReadTool | None:
    """EPPI-Reviewer's JSON: items with codes, and the sets that the codes are from. `given` is the verdict of items without a
    code that includes or excludes. None for any other file."""
    start = stream.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n")
    stream.seek(0)
    if not start.startswith(b"{") or not re.search(rb"\"(?:CodeSets|References)\"\s*:", start):
        return None
    text = stream.read(LONGEST_JSON + 1)
    if len(text) > LONGEST_JSON:
        raise ConfigError(f"{name} is larger than {LONGEST_JSON // 1_000_000} MB; export fewer items at once")
    try:
        document = json.loads(text.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{name}: the JSON is damaged or cut short ({error}); export it again") from None
    codes = dict(_codes(document.get("CodeSets") or ()))
    decisions = []
    without = 0
    for number, item in enumerate(document.get("References") or (), start=1):
        made = _eppi_item(item, number, codes, given) if isinstance(item, dict) else None
        without += made is None
        decisions += [made] if made else []
    doubts: list[str] = []
    return ReadTool("EPPI-Reviewer", tuple(_with_times(decisions, name, doubts)), without, tuple(doubts))


def _codes(sets: Iterable[Any]) -> Iterator[tuple[int, tuple[str, str]]]:
    """Id of a code → its type in small letters (`include`, `exclude`, …) and its name."""
    for one in sets:
        if not isinstance(one, dict):
            continue
        if one.get("AttributeId") is not None:
            yield (
                int(one["AttributeId"]),
                (str(one.get("AttributeType") or "").lower(), str(one.get("AttributeName") or "")),
            )
        inner = one.get("Attributes")
        yield from _codes(inner.get("AttributesList") or () if isinstance(inner, dict) else ())


def _eppi_item(
    item: Mapping[str, Any], number: int, codes: Mapping[int, tuple[str, str]], given: VerdictName | None
) -> ToolDecision | None:
    kinds: dict[str, list[str]] = {"include": [], "exclude": []}
    notes, labels = [], []
    for code in item.get("Codes") or ():
        kind, called = codes.get(int(code.get("AttributeId") or 0), ("", ""))
        which = next((each for each in kinds if each in kind), None)
        if which:
            kinds[which].append(called)
        elif called:
            labels.append(called)
        if said := str(code.get("AdditionalText") or "").strip():
            notes.append(said)
    verdict: VerdictName | None = "exclude" if kinds["exclude"] else "include" if kinds["include"] else None
    if verdict is None and str(item.get("ItemStatus") or "").strip().upper() == "E":
        verdict = "exclude"
    verdict = verdict or given
    if verdict is None:
        return None

    def text(key: str) -> str | None:
        return str(item.get(key) or "").strip() or None

    fields = Fields(
        authors=table_fields.names(text("Authors")), year=text("Year"), title=text("Title"), container=text("ParentTitle"),
        volume=text("Volume"), issue=text("Issue"), pages=text("Pages"), doi=text("DOI"),
    )  # fmt: skip
    reasons = "; ".join(filter(None, kinds["exclude"])) or None
    by = text("EditedBy") or text("CreatedBy")
    return ToolDecision(
        number, fields, verdict, by, reasons, tuple(notes), tuple(labels), text("DateEdited") or text("DateCreated"),
        text("OldItemId")
    )  # fmt: skip


# ---------------------------------------------------------------------- times


_SLASHED = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})(?:[ T,]+(\d{1,2}):(\d{2})(?::(\d{2}))?\s*([AaPp][Mm])?)?")
_FORMS = ("%d-%b-%Y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%d-%b-%Y %H:%M", "%d %b %Y %H:%M",
"%Y/%m/%d", "%Y/%m/%d %H:%M", "%Y/%m/%d %H:%M:%S")  # fmt: skip


def _with_times(decisions: Sequence[ToolDecision], name: str, doubts: list[str]) -> Iterator[ToolDecision]:
    """The decisions with ISO times in UTC. Whether day or month comes first is read off the whole file; where nothing tells, the
    time is left out."""
    stated = [match for each in decisions if each.made_at and (match := _SLASHED.fullmatch(each.made_at.strip()))]
    firsts, seconds = [int(match[1]) for match in stated], [int(match[2]) for match in stated]
    dotted = any("." in match.group() for match in stated)
    day_first = True if dotted or any(n > 12 for n in firsts) else False if any(n > 12 for n in seconds) else None
    if day_first is True and any(n > 12 for n in seconds):
        day_first = None
    for each in decisions:
        if each.made_at is None:
            yield each
            continue
        moment = time_of(each.made_at, day_first)
        if moment is None:
            doubts.append(
                f"{name}:{each.line}: the time {each.made_at!r} cannot be read for certain, so it is not used"
            )
        yield replace(each, made_at=moment)


def time_of(stated: str, day_first: bool | None) -> str | None:
    """A time as tools write it, as an ISO time in UTC: ISO, seconds since 1970, `20/11/2026 10:15`, `20-Nov-2026`; None where it
    cannot be read for certain."""
    text = stated.strip()
    if re.fullmatch(r"\d{9,10}(?:\.\d+)?", text):
        return _iso(datetime.fromtimestamp(float(text), UTC))
    try:
        return _iso(datetime.fromisoformat(text.removesuffix(" UTC")))
    except ValueError:
        pass
    if found := _SLASHED.fullmatch(text):
        if day_first is None:
            return None
        first, second, year, hour, minute, seconds, half = found.groups()
        day, month = (first, second) if day_first else (second, first)
        hours = int(hour or 0) % 12 + (12 if (half or "").lower() == "pm" else 0) if half else int(hour or 0)
        try:
            return _iso(
                datetime(int(year), int(month), int(day), hours, int(minute or 0), int(seconds or 0), tzinfo=UTC)
            )
        except ValueError:
            return None
    for form in _FORMS:
        try:
            return _iso(datetime.strptime(text, form).replace(tzinfo=UTC))
        except ValueError:
            continue
    return None


def _iso(moment: datetime) -> str:
    moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
