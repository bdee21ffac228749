"""Decisions as CSV and back, for spreadsheets and version control. It may not open a database."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

from evidence import doi
from evidence.current_decisions import decision_id, infer_seen
from evidence.data_model import SAME_WORK, Decision
from evidence.errors import ConfigError

COLUMNS = (*(field.name for field in fields(Decision)), "id")
"""One row is one decision; an empty cell is None. `seen` has the `id` of each decision before it, separated by blanks."""

_VERDICTS = ("include", "exclude", "unsure")


def csv_rows(decisions: Sequence[Decision]) -> Iterator[tuple[str, ...]]:
    """The rows of the CSV without its header, as text."""
    for decision in decisions:
        cells = [str(getattr(decision, column) or "") for column in COLUMNS[:-2]]
        yield (*cells, " ".join(decision.seen), decision_id(decision))


def csv_lines(decisions: Sequence[Decision]) -> Iterator[str]:
    """The CSV line by line, the header first, with line ends."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    for row in itertools.chain([COLUMNS], csv_rows(decisions)):
        writer.writerow(row)
        yield text.getvalue()
        text.seek(0)
        text.truncate()


def is_own(path: Path) -> bool:
    """Whether a file is a CSV of decisions as written here, by its headings: not an export of another tool."""
    try:
        with path.open("rb") as file:
            first = file.readline(10_000).decode("utf-8-sig", errors="replace")
    except OSError:
        return True  # `read_csv` says what is wrong with it
    headings = {cell.strip().strip('"').lower() for cell in first.split(",")}
    return {"action", "made_at"} <= headings or {"doi", "action"} <= headings


def read_csv(path: Path) -> list[Decision]:
    """The decisions of a CSV file; ConfigError with file and line at the first row that is not valid."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if missing := [
                c for c in ("doi", "action", "reason", "reviewer", "made_at") if c not in (reader.fieldnames or ())
            ]:
                raise ConfigError(
                    f"{path}:1: the columns {', '.join(missing)} are missing; `evidence decisions export` writes them all"
                )
            found = [_decision(row, f"{path}:{reader.line_num}") for row in reader]
            return found if "seen" in (reader.fieldnames or ()) else list(infer_seen(found))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: not a UTF-8 CSV file ({error}); save it as “CSV UTF-8”") from None


def _decision(row: dict[str, str], where: str) -> Decision:
    values = {column: (row.get(column) or "").strip() or None for column in COLUMNS}
    stated, seen = values.pop("id"), tuple((values.pop("seen") or "").split())
    parsed = doi.parse_key(values["doi"])
    if parsed is None:
        raise ConfigError(f"{where}: {values['doi']!r} is not a valid DOI")
    action, verdict = values["action"], values["verdict"]
    if action not in ("verdict", "tag", "untag", "withdraw"):
        raise ConfigError(f"{where}: the action {action!r} is not one of verdict, tag, untag, withdraw")
    tagged = bool(values["facet"] and values["value"])
    if (
        (action == "verdict") != (verdict in _VERDICTS)
        or bool(values["facet"]) != bool(values["value"])
        or (action != "withdraw" and (action == "verdict") == tagged)
    ):
        raise ConfigError(
            f"{where}: a verdict names {', '.join(_VERDICTS)}; a tag or untag names facet and value instead; what is "
            "withdrawn is a facet and value, or neither: the verdict"
        )
    if not (values["reason"] and values["reviewer"] and values["made_at"]):
        raise ConfigError(f"{where}: reason, reviewer and made_at must not be empty")
    if values["facet"] == SAME_WORK:
        other = doi.parse_key(values["value"])
        if other is None:
            raise ConfigError(
                f"{where}: {values['value']!r} is not a valid DOI; a same-work decision names the other record"
            )
        values["value"] = other
    decision = Decision(**{**values, "doi": parsed, "made_at": _time(values["made_at"], where), "seen": seen})  # type: ignore[arg-type]
    if stated and stated != decision_id(decision):
        raise ConfigError(
            f"{where}: this line was changed after it was exported; to import it as a new decision, empty its `id`"
        )
    return decision


def _time(text: str, where: str) -> str:
    """An ISO time as the ledger has it, in UTC; a time without a zone is UTC. ConfigError for any other text."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{where}: made_at {text!r} is not an ISO time; write it like 2026-11-24T09:30:00Z") from None
    found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    return found.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if found.microsecond else "%Y-%m-%dT%H:%M:%SZ")
