"""People's decisions ↔ CSV, so that they can be read in Excel and live in version control. No database here."""

from __future__ import annotations

import csv
import io
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from evidence import doi
from evidence.errors import ConfigError
from evidence.model import Decision

COLUMNS = tuple(field.name for field in fields(Decision))
"""One row is one decision; the columns are the ledger's own. Empty is absent."""

_VERDICTS = ("include", "exclude", "unsure")


@dataclass(frozen=True, slots=True)
class Entry:
    """A decision read from a file, and where it stood."""

    decision: Decision
    where: str


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two reviewers on the works both decided: `observed` is the share they agree on, `kappa` that beyond chance."""

    first: str
    second: str
    works: int
    observed: float
    kappa: float | None


def rows(decisions: Sequence[Decision]) -> Iterator[tuple[str, ...]]:
    """The rows of the CSV, as text."""
    for decision in decisions:
        yield tuple(str(getattr(decision, column) or "") for column in COLUMNS)


def lines(decisions: Sequence[Decision]) -> Iterator[str]:
    """The CSV, line by line, the header first."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    for row in itertools.chain([COLUMNS], rows(decisions)):
        writer.writerow(row)
        yield text.getvalue()
        text.seek(0)
        text.truncate()


def agreement(decisions: Sequence[Decision]) -> list[Agreement]:
    """How far each two reviewers agree on the works both gave a verdict. `decisions` are the words that stand
    (`judge.standing`).

    Cohen's kappa (1960) over include, exclude and unsure; None where chance alone would agree on everything.
    """
    verdicts: dict[str, dict[str, str]] = {}
    for decision in decisions:
        if decision.verdict:
            verdicts.setdefault(decision.reviewer, {})[decision.doi] = decision.verdict
    found = []
    for first, second in itertools.combinations(sorted(verdicts), 2):
        both = sorted(verdicts[first].keys() & verdicts[second].keys())
        if not both:
            continue
        pairs = [(verdicts[first][doi], verdicts[second][doi]) for doi in both]
        observed = sum(a == b for a, b in pairs) / len(both)
        shares = [Counter(side) for side in zip(*pairs, strict=True)]
        chance = sum(shares[0][v] * shares[1][v] for v in _VERDICTS) / len(both) ** 2
        kappa = (observed - chance) / (1 - chance) if chance < 1 else None
        found.append(Agreement(first, second, len(both), observed, kappa))
    return found


def read(path: Path) -> list[Entry]:
    """The decisions of a CSV file, checked; ConfigError with file and line at the first that makes no sense."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if missing := [
                c for c in ("doi", "action", "reason", "reviewer", "made_at") if c not in (reader.fieldnames or ())
            ]:
                raise ConfigError(
                    f"{path}:1: the columns {', '.join(missing)} are missing; `evidence decisions export` writes them all"
                )
            return [Entry(_decision(row, f"{path}:{reader.line_num}"), f"{path}:{reader.line_num}") for row in reader]
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: not a UTF-8 CSV file ({error}); save it as “CSV UTF-8”") from None


def _decision(row: dict[str, str], where: str) -> Decision:
    values = {column: (row.get(column) or "").strip() or None for column in COLUMNS}
    parsed = doi.parse(values["doi"])
    if parsed is None:
        raise ConfigError(f"{where}: {values['doi']!r} is no DOI")
    action, verdict = values["action"], values["verdict"]
    if action not in ("verdict", "tag", "untag", "withdraw"):
        raise ConfigError(f"{where}: the action {action!r} is none of verdict, tag, untag, withdraw")
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
    return Decision(**{**values, "doi": parsed})  # type: ignore[arg-type]
