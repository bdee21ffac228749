"""The title of a list of works from its filters, as a person would write it: “Randomised trials of IPT-A, newest first”.

Filters and labels in, text out. It may not read a database, and it leaves no filter out: what has no place in the sentence stands
in parentheses, cut where it is long.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from evidence.database.tag_filter import TagFilter

Labels = Mapping[tuple[str, str], str]
"""(facet, value) → label."""

VERDICTS = {
    "include": "Included works",
    "exclude": "Excluded works",
    "unsure": "Works waiting for a decision",
    "duplicate": "Duplicate records",
}
LONGEST = 80
"""Characters of a search or a value; a list of chosen DOIs may be long."""
_ENDINGS = {
    "year": "year",
    "cited_by": "number of citations",
    "first_run": "day of finding",
    "changed_run": "last change",
}
_INVARIABLE = frozenset({"series", "theory", "research", "training", "development"})


def list_title(
    tags: Sequence[TagFilter],
    columns: Sequence[tuple[str, str]],
    others: Sequence[str],
    *,
    labels: Labels,
    design: str,
    intervention: str,
    search: str = "",
    sort: str | None = None,
    descending: str | None = None,
) -> str:
    """`tags` are the tag filters and `columns` the column filters (`year__gte`, `2010`); `others` are further ones, ready to be
    read. `design` and `intervention` are the facets that have a place in the sentence. `sort` and `descending` are the column by
    which the list is sorted, upwards or downwards."""
    left = dict(columns) if len(dict(columns)) == len(columns) else {}
    rest = [] if left else [f"{name}: {value}" for name, value in columns]
    verdict = left.pop("verdict", None)
    designs = next((tag for tag in tags if tag.facet == design), None)
    forms = next((tag for tag in tags if tag.facet == intervention), None)
    title = VERDICTS.get(verdict or "", "Works")
    if designs is not None:
        noun = _either([plural(_label(labels, design, value)) for value in designs.values])
        title = noun if verdict == "include" else f"{noun}, {_verdict_beside(verdict)}"
    elif verdict is None:
        title = "Works with any verdict"
    if verdict is not None and verdict not in VERDICTS:
        rest.append(f"verdict: {verdict}")
    if forms is not None:
        family = [label for (facet, _), label in labels.items() if facet == intervention]
        named = _either([short_label(_label(labels, intervention, value), family) for value in forms.values])
        title = f"{title} of {named}" if designs is not None and verdict == "include" else f"{title}: {named}"
    title += _years(left)
    if "notice__notblank" in left:
        del left["notice__notblank"]
        rest.append("retracted, corrected or doubted")
    rest += [
        f"{tag.facet.replace('_', ' ')}: {_either([_label(labels, tag.facet, value).lower() for value in tag.values])}"
        for tag in tags
        if tag is not designs and tag is not forms
    ]
    rest += [f"{name.replace('__', ' ').replace('_', ' ')}: {_cut(value)}" for name, value in left.items()]
    rest += others
    if search:
        title += f" with the words “{_cut(search)}”"
    beside = "; ".join(rest)
    return title + (f" ({beside})" if beside else "") + order(sort, descending)


def plural(label: str) -> str:
    """`Randomised trial` → Randomised trials; `Case report or series` → Case reports or series."""
    head, space, last = label.rpartition(" ")
    if last.lower() in _INVARIABLE:
        before, joint, after = label.partition(" or ")
        return f"{plural(before)}{joint}{after}" if joint else label
    if last.endswith("sis"):
        return f"{head}{space}{last[:-2]}es"
    if re.search("[^aeiou]y$", last):
        return f"{head}{space}{last[:-1]}ies"
    return label if last.endswith("s") else f"{label}s"


def short_label(label: str, family: Collection[str]) -> str:
    """The label without the explanation in parentheses, unless another label of the facet begins with what is left."""
    short = re.sub(r" \([^()]*\)$", "", label)
    alike = [other for other in family if other != label and re.match(rf"{re.escape(short)}(?!\w)", other)]
    return label if alike else short


def order(sort: str | None, descending: str | None) -> str:
    """How a list is sorted, to follow its title."""
    if descending:
        known = {"year": "newest first", "cited_by": "most cited first", "first_run": "latest found first"}
        return f", {known.get(descending) or f'by {_column(descending)}, descending'}"
    if sort and sort != "doi":
        return f", {'oldest first' if sort == 'year' else f'by {_column(sort)}'}"
    return ""


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _column(name: str) -> str:
    return _ENDINGS.get(name, name.replace("_", " "))


def _label(labels: Labels, facet: str, value: str) -> str:
    return labels.get((facet, value), value)


def _verdict_beside(verdict: str | None) -> str:
    return {"exclude": "excluded", "unsure": "waiting for a decision", "duplicate": "duplicate records"}.get(
        verdict or "", "any verdict" if verdict is None else f"verdict {verdict}"
    )


def _years(left: dict[str, str]) -> str:
    """The filters by year in words; they are taken out of `left`."""
    exact = left.pop("year", left.pop("year__exact", None))
    since, until = left.pop("year__gte", None), left.pop("year__lte", None)
    if exact is not None:
        return f" of {exact}"
    if since is not None and until is not None:
        return f", {since} to {until}"
    return f" since {since}" if since is not None else f" until {until}" if until is not None else ""


def _either(words: Sequence[str]) -> str:
    first, *others = words
    return " or ".join((first, *(other if _is_name(other) else other[:1].lower() + other[1:] for other in others)))


def _is_name(text: str) -> bool:
    return text[1:2].isupper() or text[1:2] == "-"
