"""What other providers were asked about a work, and what they said, as text: where its abstract is from or why there is none,
who states each notice, who was asked about retractions.

The command line and the site say it with the same words. Rows of `read_queries` in, text out; no SQL, no terminal, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from evidence.data_model import ABOUT_WORKS, PROVIDER_LABELS, Evidence
from evidence.doi import is_local
from evidence.export.wording import abstract_source_label, day_in_words, in_words
from evidence.linkage.retraction_notices import GRAVE, same_act
from evidence.providers.combine import ABSTRACT_ORDER

Row = Mapping[str, Any]

CROSSREF = "crossref"
WITNESSES = (CROSSREF, "pubmed", "europepmc", "retraction-watch")
"""Who states retractions. OpenAlex takes its mark from others, so it is not among them."""

_WITNESS_LABELS = tuple((name, PROVIDER_LABELS[name]) for name in WITNESSES)

_CROSSREF_EVIDENCE: frozenset[Evidence] = frozenset(("updated-by", "update-to", "title"))
_NAMED = {
    PROVIDER_LABELS[name]: name for name in WITNESSES if name != CROSSREF
}  # as the records' readers write `source`
_STATED_BY = {"publisher": "the publisher", "retraction-watch": PROVIDER_LABELS["retraction-watch"]}
_EVIDENCE: dict[str, str] = {
    "updated-by": "from the work’s record",
    "update-to": "from the notice’s record",
    "title": "from the title alone",
    "retraction-watch": "from Retraction Watch’s file",
    "comments-corrections": "linked in a record of PubMed or Europe PMC",
    "publication-type": "from the publication type alone",
}


def provider_label(provider: str) -> str:
    """A provider's name at the beginning of a sentence or cell."""
    label = PROVIDER_LABELS.get(provider, provider)
    return label[:1].upper() + label[1:]


def answer_sentence(row: Row) -> str:
    """What a provider was asked about a work: a row of `provider_answers` as a sentence. A work without a row was not asked
    about."""
    label = provider_label(row["provider"])
    if row["state"] != "asked":
        before = f"; last answer {row['asked_at'][:10]}" if row["asked_at"] else ""
        why = f": {row['problem'].rstrip('.')}" if row["problem"] else ""
        return f"{label} could not be asked since {row['failed_since'][:10]}{why}{before}; next try {_next_try(row)}."
    what = "has a record" if row["found"] else "has no record"
    if row["problem"]:
        what = f"answered with another work, which was refused ({row['problem'].rstrip('.')})"
    return f"{label} {what} (asked {row['asked_at'][:10]})."


def abstract_line(source: str, day: str | None) -> str:
    """Whose abstract is shown, and the day (ISO) on which it was fetched: `Abstract: PubMed, 20 November 2026`."""
    parts = [abstract_source_label(source)]
    if source == "publisher":
        parts.append("as deposited with Crossref")
    return f"Abstract: {', '.join(parts + ([day_in_words(day)] if day else []))}"


def no_abstract(answers: Iterable[Row], doi: str = "") -> list[str]:
    """Why there is no abstract, in sentences: who has none, who could not be asked, who was not asked. `answers` are the rows of
    `provider_answers` about the work; a work with a local id has its record from an imported file, and not from Crossref."""
    rows = {row["provider"]: row for row in answers}
    none, others, not_asked = [PROVIDER_LABELS["file" if is_local(doi) else CROSSREF]], [], []
    for provider in ABSTRACT_ORDER:
        row = rows.get(provider)
        if row is None:
            not_asked += [PROVIDER_LABELS[provider]] if provider in ABOUT_WORKS else []
        elif row["state"] == "asked" and (row["found"] or not row["problem"]):
            none.append(PROVIDER_LABELS[provider])
        else:
            others.append(answer_sentence(row))
    return [
        f"No abstract: {in_words(none)} {'has' if len(none) == 1 else 'have'} none.",
        *others,
        *([f"Not asked: {in_words(not_asked)}."] if not_asked else []),
    ]


def witnesses(answers: Iterable[Row], statements: Sequence[Row], notices: Sequence[Row]) -> list[dict[str, str]]:
    """Who was asked about retractions of a work, a row for each of `WITNESSES`: `label`, `state` (asked, could not ask, not
    asked), `asked` (when, or why not) and `says` (the notices that it states).

    `answers` are the rows of `provider_answers` about the work with the row of Crossref (`read_queries.crossref_answer`),
    `statements` the rows of `updates` about it, `notices` its rows of `notices`.
    """
    rows = {row["provider"]: row for row in answers}
    found = []
    for witness in WITNESSES:
        row = rows.get(witness)
        label = provider_label(witness) + ("’s file" if witness == "retraction-watch" else "")
        state = row["state"] if row else "not asked"
        asked = "not asked: its record is from files" if witness == CROSSREF and row is None else _asked(row)
        said = _said_by(witness, statements, notices)
        found.append({"label": label, "state": state, "asked": asked, "says": said or _silence(row)})
    return found


def asked_sentence(asked: Mapping[str, tuple[int, str]], works: int) -> str:
    """Who was asked about retractions of some works, and who was not; `asked` as `read_citations.asked_about` returns it."""
    told = []
    for name, label in _WITNESS_LABELS:
        n, day = asked.get(name, (0, ""))
        if n:
            told.append(f"{label} about {'all' if n == works else f'{n:,} of {works:,}'} ({day_in_words(day)})")
    others = in_words([label for name, label in _WITNESS_LABELS if name not in asked])
    if not told:
        return f"{others} have not been asked about retractions yet: this is what stored records say."
    return f"Asked about retractions: {in_words(told)}.{f' Not asked: {others}.' if others else ''}"


def notice_witnesses(notice: Row, statements: Sequence[Row], answers: Iterable[Row]) -> dict[str, str]:
    """Who states a notice (`stated_by`, with the dates where they differ), where it was found (`found_in`), and who was asked and
    has no such notice (`silent`, a sentence; empty if there is no one, and for kinds that do not warn). `dates_differ` is a
    sentence or empty."""
    agreeing = [row for row in statements if _states(row, notice)]
    dates = {row["issued"] for row in agreeing}
    labels: dict[str, set[str]] = {}
    for row in agreeing:
        labels.setdefault(_stated_by(row["source"]), set()).update([row["issued"]] if row["issued"] else [])
    for source in filter(None, (notice["source"] or "").split("; ")):
        labels.setdefault(_stated_by(source), set())
    if not labels:
        labels[PROVIDER_LABELS[CROSSREF]] = set()  # a title alone has no source
    stated = [
        f"{label} ({', '.join(sorted(days))})" if days and len(dates) > 1 else label
        for label, days in sorted(labels.items())
    ]
    silent = []
    if notice["kind"] in GRAVE and not notice["undone"] and notice["relation"] in ("own", "record"):
        for row in answers:
            knows = row["state"] == "asked" and (row["found"] or row["provider"] == "retraction-watch")
            if row["provider"] in WITNESSES and knows and not _is_witness(row["provider"], notice, agreeing):
                silent.append(PROVIDER_LABELS[row["provider"]])
    return {
        "stated_by": in_words(stated),
        "found_in": _EVIDENCE.get(notice["evidence"], ""),
        "silent": f"{in_words(silent)} {'has' if len(silent) == 1 else 'have'} no such notice." if silent else "",
        "dates_differ": "The dates differ." if len(set(filter(None, dates))) > 1 else "",
    }


def _next_try(row: Row) -> str:
    """A provider that does not say how long to wait is asked again by the next sync, whenever that is."""
    later = row["next_try"] and row["next_try"][:10] > row["failed_since"][:10]
    return f"from {row['next_try'][:10]}" if later else "at the next sync"


def _asked(row: Row | None) -> str:
    if row is None:
        return "not asked"
    if row["state"] == "asked":
        return f"asked on {row['asked_at'][:10]}"
    why = f", because {row['problem'].rstrip('.')}" if row["problem"] else ""
    before = f"; last answer on {row['asked_at'][:10]}" if row["asked_at"] else ""
    return f"could not be asked since {row['failed_since'][:10]}{why}; next try {_next_try(row)}{before}"


def _silence(row: Row | None) -> str:
    """What it means that a witness states no notice."""
    if row is None or not row["asked_at"]:
        return "not known"
    if row["problem"] and row["state"] == "asked":
        return "not known: it answered with another work"
    nothing = "no notice" if row["found"] else "no entry" if row["provider"] == "retraction-watch" else "no record"
    return nothing if row["state"] == "asked" else f"{nothing} on {row['asked_at'][:10]}"


def _said_by(witness: str, statements: Sequence[Row], notices: Sequence[Row]) -> str:
    """The notices that a witness states. Those that no statement is found for (a publisher may state one in the wrong direction)
    are taken from the merged ones."""
    own = [row for row in statements if _witness_of(row) == witness]
    merged = [
        notice
        for notice in notices
        if _is_witness(witness, notice, ()) and not any(_states(row, notice) for row in own)
    ]
    texts = [", ".join(filter(None, (_kind(row), row["issued"]))) for row in (*own, *merged)]
    return "; ".join(sorted(dict.fromkeys(texts)))


def _kind(row: Row) -> str:
    return str(row["kind"]).replace("-", " ")


def _states(statement: Row, notice: Row) -> bool:
    """Whether a statement is about this notice of the work: by the notice's identifier, else by its DOI, else by its kind."""
    if statement["kind"] not in same_act(notice["kind"]):
        return False
    if statement["notice_id"]:
        return statement["notice_id"] in (notice["notice_id"] or "").split("; ")
    return statement["notice_doi"] in (statement["doi"], statement["said_by"], notice["notice_doi"])


def _witness_of(statement: Row) -> str:
    """Which provider's record makes a statement."""
    return CROSSREF if statement["evidence"] in _CROSSREF_EVIDENCE else _NAMED.get(statement["source"] or "", "")


def _is_witness(witness: str, notice: Row, agreeing: Iterable[Row]) -> bool:
    """Whether a provider states this notice."""
    if any(_witness_of(row) == witness for row in agreeing):
        return True
    named = [_NAMED.get(source, CROSSREF) for source in filter(None, (notice["source"] or "").split("; "))]
    return witness in named or (witness == CROSSREF and notice["evidence"] in _CROSSREF_EVIDENCE)


def _stated_by(source: str | None) -> str:
    return _STATED_BY.get(source, source.replace("-", " ")) if source else PROVIDER_LABELS[CROSSREF]
