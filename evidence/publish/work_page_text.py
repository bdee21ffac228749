"""Rows on one work → what its page shows, as plain text: identifiers, facts, publication, notices, tags with their reasons,
highlighted title and abstract.

Rows of `database.read_work_page` in, values for a template out. It writes no HTML, so nothing here needs escaping; only templates
do. No database, no request, no clock.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from typing import Any

from evidence import doi as dois
from evidence.data_model import PROVIDER_LABELS
from evidence.export import provider_wording
from evidence.export.wording import abstract_source_label, in_words
from evidence.linkage.identifiers import identifier_url
from evidence.linkage.retraction_notices import GRAVE, GRAVITY

IDENTIFIER_LABELS = {"pmid": "PMID", "pmcid": "PMCID", "openalex": "OpenAlex", "registration": "Registration"}
SOURCE_LABELS = PROVIDER_LABELS | {"text": "read in title or abstract"}
FACT_LABELS = {
    "publication-type": "Publication types",
    "funder": "Funders",
    "country": "Countries",
    "licence": "Licence",
    "open-access": "Free copy",
    "mesh": "MeSH headings",
}


def identifier(row: dict[str, Any]) -> dict[str, Any]:
    """An identifier with its label, its page (or None) and who states it."""
    return {
        "kind": row["kind"],
        "label": IDENTIFIER_LABELS[row["kind"]],
        "text": row["identifier"],
        "address": identifier_url(row["kind"], row["identifier"]),
        "source": sources_in_words(row["sources"]),
    }


def provider_facts(rows: Iterable[dict[str, Any]]) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """The facts that providers state, in the order of `FACT_LABELS`: kind, label and the facts, each with its text, who states
    it, a link if it is a web address, and whether it is a main topic."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        address = row["fact"] if is_web(row["fact"]) else None
        found.setdefault(row["kind"], []).append(
            {"text": row["fact"], "address": address, "major": row["major"], "source": sources_in_words(row["sources"])}
        )
    return [(kind, label, found[kind]) for kind, label in FACT_LABELS.items() if kind in found]


def registered_study(row: dict[str, Any]) -> dict[str, Any]:
    """What a registry says about the study, with its page there."""
    outcomes = json.loads(row["primary_outcomes"])
    source = SOURCE_LABELS.get(row["source"], row["source"])
    address = identifier_url("registration", row["number"])
    return {**row, "primary_outcomes": outcomes, "source": source, "address": address}


def sources_in_words(sources: str) -> str:
    """Who states something, from a JSON list of sources: `PubMed and Europe PMC`."""
    return in_words(list(dict.fromkeys(SOURCE_LABELS.get(source, source) for source in json.loads(sources))))


def notice_links(notice: dict[str, Any]) -> list[tuple[str, str | None]]:
    """The notice's identifiers beside its DOI, each with its page or None: `PMID 123`, `Retraction Watch’s record 7`."""
    found: list[tuple[str, str | None]] = []
    for stated in filter(None, (notice["notice_id"] or "").split("; ")):
        name, _, number = stated.partition(":")
        if name == "RW":
            found.append((f"Retraction Watch’s record {number}", None))
        else:
            found.append((f"{name} {number}", identifier_url("pmid", number) if name == "PMID" else None))
    return found


def abstract_line(row: Any, history: Sequence[dict[str, Any]]) -> str | None:
    """Whose abstract is shown, and of which day; None without one. The publisher's is of the day of the record."""
    source = row["abstract_source"] or "publisher"
    if not row["abstract"]:
        return None
    day = row["abstract_at"] or next((version["started"] for version in history if not version["last_run"]), None)
    return provider_wording.abstract_line(source, day)


def is_web(text: str) -> bool:
    """Whether a text is a web address."""
    return text.lower().startswith(("https://", "http://"))


ROLES = {"editor": "Editors", "translator": "Translators", "chair": "Chairs"}
VERSIONS = {"vor": "version of record", "am": "accepted manuscript", "tdm": "text mining"}
FACTS = (
    ("original_title", "Original title"),
    ("edition", "Edition"),
    ("isbn", "ISBN"),
    ("article_number", "Article number"),
    ("institution", "Institution"),
    ("published_online", "Published online"),
    ("published_print", "Published in print"),
)


def publication_facts(
    row: Any, people: list[dict[str, Any]], funders: list[dict[str, Any]], licences: list[dict[str, Any]]
) -> list[tuple[str, list[tuple[str, str | None]]]]:
    """Facts of publication: label → values, each a text and a link or None."""
    fields = dict(zip(row.keys(), row, strict=True))
    found: list[tuple[str, list[tuple[str, str | None]]]] = [
        (label, [(str(fields[key]), None)]) for key, label in FACTS if fields.get(key)
    ]
    where = ", ".join(filter(None, (fields.get("publisher"), fields.get("publisher_place"))))
    event = ", ".join(filter(None, (fields.get("event"), fields.get("event_place"), fields.get("event_dates"))))
    found += [(label, [(text, None)]) for label, text in (("Publisher", where), ("Conference", event)) if text]
    for role, label in ROLES.items():
        names = [", ".join(filter(None, (p["name"], p["suffix"]))) for p in people if p["role"] == role]
        found += [(label, [("; ".join(names), None)])] if names else []
    if funders:
        found.append(("Funding", [funder_text(funder) for funder in funders]))
    if licences:
        found.append(("Licence", [licence_text(licence) for licence in licences]))
    return found


def abstract_elsewhere(row: Any, found: list[dict[str, Any]]) -> tuple[str, str | None] | None:
    """Whose the abstract is that a published copy has not, and a page that shows it; None for a work that has its abstract, or
    none anywhere."""
    if row["abstract"] is not None or not row["abstract_source"]:
        return None
    page = identifier_url(found[0]["kind"], found[0]["identifier"]) if found else None
    own = row["url"] if dois.is_local(row["doi"]) else dois.url(row["doi"])
    return abstract_source_label(row["abstract_source"]), page or own


def funder_text(funder: dict[str, Any]) -> tuple[str, str | None]:
    """A funder with its award numbers, and the link of its DOI or None."""
    awards = ", ".join(json.loads(funder["awards"]))
    text = f"{funder['name'] or funder['funder_doi'] or 'Funder not named'}{f' ({awards})' if awards else ''}"
    return text, dois.url(funder["funder_doi"]) if funder["funder_doi"] else None


def licence_text(licence: dict[str, Any]) -> tuple[str, str | None]:
    """A licence with the version it covers and its start date, and its link if that is a web address."""
    version, starts = VERSIONS.get(licence["version"] or ""), licence["starts"]
    limits = ", ".join(filter(None, (version, starts and f"from {starts}")))
    url = licence["url"]
    return f"{url}{f' ({limits})' if limits else ''}", url if is_web(url) else None


def of_field(reasons: Iterable[dict[str, Any]], field: str) -> list[dict[str, Any]]:
    """The reasons that are in the title, or those in the abstract."""
    return [reason for reason in reasons if reason["field"] == field]


def tags_by_facet(tags: Iterable[dict[str, Any]], reasons: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Facet → its tags, each with its reasons, the word for its strength and the name of its sign (`said`, `sign`)."""
    found: dict[str, list[dict[str, Any]]] = {}
    for tag in tags:
        own = [r for r in reasons if (r["facet"], r["value"]) == (tag["facet"], tag["value"])]
        by_person = tag["decided"] == "person"
        said = (
            f"{tag['strength']}, decided by a reviewer"
            if by_person and tag["strength"] != "stated"
            else tag["strength"]
        )
        found.setdefault(tag["facet"], []).append(
            {
                **tag,
                "reasons": by_field(own),
                "how": sentence(tag["how"]),
                "sign": "person" if by_person else tag["strength"],
                "said": "decided by a reviewer" if by_person and tag["strength"] == "stated" else said,
            }
        )
    return found


def sentence(how: str | None) -> str | None:
    """How a tag was found, without the tag's name before it, as a sentence."""
    said = how and (how.partition(": ")[2] or how)
    return f"{said[:1].upper()}{said[1:]}" if said else None


def notices(
    rows: Iterable[dict[str, Any]], statements: Sequence[dict[str, Any]], answers: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The notices of a work with who states them, their identifiers (`ids`), and whether they warn of the work itself (`grave`);
    those that do come first, the gravest at the beginning, each with its `word`."""
    found = [
        {
            **row,
            **provider_wording.notice_witnesses(row, statements, answers),
            "ids": notice_links(row),
            "grave": row["kind"] in GRAVE and not row["undone"] and row["relation"] != "preprint",
            "word": GRAVE_WORDS.get(row["kind"]),
        }
        for row in rows
    ]
    return sorted(found, key=lambda row: (not row["grave"], GRAVITY.index(row["kind"]) if row["grave"] else 0))


GRAVE_WORDS = {
    "retraction": "Retracted",
    "partial-retraction": "Retracted in part",
    "withdrawal": "Withdrawn",
    "removal": "Removed",
    "expression-of-concern": "Expression of concern",
}
"""What the ribbon across the title says."""


def by_field(reasons: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Reasons of one tag or verdict, one entry per field, with its quotes and their rules or roles in order and without
    repeats."""
    found: dict[str, dict[str, Any]] = {}
    for reason in reasons:
        entry = found.setdefault(reason["field"], {"field": reason["field"], "quotes": {}, "rules": {}})
        entry["quotes"][reason["quote"]] = entry["rules"][reason["rule"]] = None
    return [entry | {"quotes": list(entry["quotes"]), "rules": list(entry["rules"])} for entry in found.values()]


def highlighted(text: str | None, reasons: Sequence[dict[str, Any]]) -> list[tuple[str, list[str]]]:
    """`text` split at the start and stop of every quote: pieces in order, each with the tags or verdict it is the reason for.

    The pieces joined are the text. A quote that is not at its place (the rules ran on an older record) is not highlighted.
    """
    if text is None:
        return []
    fitting = [r for r in reasons if text[r["start"] : r["stop"]] == r["quote"] and r["start"] < r["stop"]]
    edges = sorted({0, len(text), *(r["start"] for r in fitting), *(r["stop"] for r in fitting)})
    pieces = []
    for start, stop in itertools.pairwise(edges):
        names = sorted({f"{r['facet'].replace('_', ' ')}: {r['value']}" for r in fitting
                        if r["start"] <= start and stop <= r["stop"]})  # fmt: skip
        pieces.append((text[start:stop], names))
    return pieces


def paragraphs(pieces: Iterable[tuple[str, list[str]]]) -> list[list[tuple[str, list[str]]]]:
    """The pieces of `highlighted` in paragraphs, divided at line breaks. A labelled section is one, with its label."""
    found: list[list[tuple[str, list[str]]]] = [[]]
    for text, names in pieces:
        first, *rest = text.split("\n")
        found[-1] += [(first, names)] if first else []
        found += [[(line, names)] if line else [] for line in rest]
    return [paragraph for paragraph in found if paragraph]
