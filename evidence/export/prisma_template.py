"""The PRISMA 2020 flow as the CSV that the R package PRISMA2020 reads, and the web form that is built on it.

The rows, their order and their words are those of the package's template (`prisma2020_template.csv`, under the MIT licence
beside it); only `n` is filled in, and `boxtext` where the template's words would say something that is not so. The package
splits a list at `;`, takes the text before the first comma as the name, and has no way to escape either; so names and reasons
are written without them.

Values in, text out; no SQL, no terminal, no clock. `database.prisma_flow` counts.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Mapping
from functools import cache
from importlib import resources

from evidence.database.prisma_flow import Column, Flow, Split, most_first

NA = "NA"
"""What the package leaves out, or shows as not available: a number that is not known here."""

MOST_REASONS = 8
"""How many reasons are named; all others are one."""

_UNKNOWN = (
    "dbr_sought_reports",
    "dbr_notretrieved_reports",
    "dbr_assessed",
    "other_sought_reports",
    "other_notretrieved_reports",
    "total_studies_ma",
    "total_reports_ma",
)
"""Full texts are neither retrieved nor read here, and nothing is pooled: who did that fills these in."""

_DIGITS = re.compile(r"(?<=\d),(?=\d{3})")
_SEPARATORS = re.compile(r"\s*[,;]\s*")


def template_csv(flow: Flow, split: Split) -> str:
    """The CSV. `split` is of the same runs as the flow: of an update (`flow.since`), it counts what came after the previous
    version, which has boxes of its own."""
    out = io.StringIO()
    template = csv.DictReader(io.StringIO(_template()))
    writer = csv.DictWriter(out, template.fieldnames or (), lineterminator="\n")
    writer.writeheader()
    numbers, texts = _numbers(flow, split), _texts(split)
    for row in template:
        writer.writerow(row | {"boxtext": texts.get(row["data"], row["boxtext"]), "n": numbers.get(row["data"], 0)})
    return out.getvalue()


@cache
def _template() -> str:
    return resources.files("evidence.export").joinpath("prisma2020_template.csv").read_text(encoding="utf-8")


def _numbers(flow: Flow, split: Split) -> dict[str, int | str]:
    databases, others = split.columns
    found = databases.identified + others.identified
    update = flow.since is not None
    return dict.fromkeys(_UNKNOWN, NA) | {
        "previous_studies": split.previous if update else NA,
        "previous_reports": split.previous_reports if update else NA,
        "database_results": found["search"] + found["database"],
        "database_specific_results": _sources(flow, ("search", "database")),
        "register_results": found["register"],
        "register_specific_results": _sources(flow, ("register",)),
        "website_results": found["website"],
        "organisation_results": found["organisation"],
        "citations_results": found["list"] + found["citation"] + found["other"],
        "duplicates": databases.duplicates,
        "excluded_automatic": 0,
        "excluded_other": databases.removed_otherwise,
        "records_screened": databases.screened,
        "records_excluded": databases.excluded,
        "dbr_excluded": _reasons(databases),
        "other_assessed": others.screened,
        "other_excluded": _reasons(others),
        "new_studies": split.new,
        "new_reports": split.new_reports,
        "total_studies": split.total,
        "total_reports": split.total_reports,
    }


def _texts(split: Split) -> dict[str, str]:
    """The words of boxes whose template would say something else than is counted."""
    texts = {
        "dbr_excluded": "Reasons for excluding records",
        "other_assessed": _screened("Records screened", split.others),
        "other_excluded": "Records excluded",
    }
    if split.databases.anew:
        texts["records_screened"] = _screened("Records screened", split.databases)
    if split.others.identified["other"]:
        texts["citations_results"] = "Citation searching and other methods"
    return texts


def _screened(text: str, column: Column) -> str:
    return f"{text} ({column.anew} of them known before)" if column.anew else text


def _sources(flow: Flow, methods: tuple[str, ...]) -> str | int:
    """The databases or registers: Crossref with all its searches, and each source of imported files."""
    named = Counter[str]()
    for row in flow.sources:
        if row["found_by"] in methods:
            named["Crossref" if row["found_by"] == "search" else _plain(row["label"])] += row["n"]
    return _listed(named)


def _reasons(column: Column) -> str | int:
    reasons = Counter[str]()
    for why, n in column.reasons.items():
        reasons[_plain(why.removeprefix("Excluded: "))] += n
    found = most_first(reasons)
    named = Counter(dict(found[:MOST_REASONS]))
    named["Other reasons"] += sum(n for _, n in found[MOST_REASONS:])
    return _listed(+named)


def _listed(named: Mapping[str, int]) -> str | int:
    """`Name, n; Name, n`; 0 where there is nothing to list, which the package shows as one number."""
    return "; ".join(f"{name}, {n}" for name, n in named.items()) or 0


def _plain(text: str) -> str:
    """A name or reason without what the package takes for a separator, for the end of a text of Graphviz, or a spreadsheet for a
    formula."""
    text = _SEPARATORS.sub(" / ", _DIGITS.sub(" ", " ".join(text.split())))
    text = text.replace("'", "’").replace('"', "”").replace("\\", "/").replace("@@", "@")
    return text.strip(" /").lstrip("=+-@＝＋－＠’ ") or "not named"
