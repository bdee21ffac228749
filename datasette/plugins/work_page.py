"""The page of one work, its short address (`/doi/10.1002/cpp.1774`), and the tags shown in the list of works.

The page gathers what the tables hold on one DOI and highlights the text behind verdict and tags in title and abstract. A DOI
that has become an alias redirects to the work's page. This file returns plain text; only templates write HTML, and they escape.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import unquote

from datasette import hookimpl
from datasette.utils import tilde_decode, tilde_encode
from datasette.utils.asgi import NotFound, Response

from evidence import doi as dois
from evidence import page_ranges
from evidence.data_model import PROVIDER_LABELS, Strength
from evidence.database import read_queries
from evidence.export import provider_wording
from evidence.export.wording import abstract_source_label, in_words
from evidence.linkage.identifiers import identifier_url
from evidence.publish import site_metadata, site_topic

NAME = "evidence"

TAGS = """
    select t.facet, t.value, t.decided, t.strength, t.how, coalesce(f.label, t.value) as label, f.meaning, f.position
    from tags t left join facets f on f.facet = t.facet and f.value = t.value
    where t.doi = :doi order by t.facet, t.strength = 'implied', f.position, t.value
"""
REASONS = """
    select facet, value, rule, field, start, stop, quote from reasons where doi = :doi
    order by facet, value, field, start, stop, rule
"""
NOTICES = """
    select n.kind, n.notice_doi, n.notice_id, n.issued, n.source, n.evidence, n.stands_on, n.relation, n.undone, w.doi as known
    from notices n left join works w on w.doi = n.stands_on
    where n.doi = :doi order by n.undone, n.issued, n.kind, n.notice_doi
"""
SOURCES = """
    select s.source, coalesce(o.label, s.source) as label, o.kind, s.via, s.rank, s.score, s.first_run, s.last_run,
        r.started
    from sightings s left join sources o on o.source = s.source left join runs r on r.run = s.first_run
    where s.doi = :doi order by s.last_run is not null, o.kind, s.source
"""
CITED_IN = """
    select c.source, coalesce(o.label, c.source) as label, c.position, c.text, c.stated_doi, c.status
    from citations c left join sources o on o.source = c.source
    where c.doi = :doi and c.retired is null order by c.source, c.position
"""
RELATIONS = """
    select r.kind, r.other, r.asserted_by, w.title, w.doi as known
    from relations r left join aliases a on a.alias = r.other and a.last_run is null
    left join works w on w.doi = coalesce(a.doi, r.other)
    where r.doi = :doi order by r.kind, r.other
"""
SAME_STUDY = """
    select w.doi, w.title, w.authors, w.year, w.verdict, w.notice, group_concat(a.number, ', ') as numbers
    from registrations a join registrations b on b.number = a.number and b.doi <> a.doi join works w on w.doi = b.doi
    where a.doi = :doi and w.verdict <> 'duplicate'
    group by w.doi order by w.verdict <> 'include', w.year, w.doi limit 200
"""
IDENTIFIERS = """
    select kind, identifier, json_group_array(source) as sources from
        (select * from identifiers where doi = :doi order by source)
    group by kind, identifier order by instr('pmid pmcid openalex registration', kind), identifier
"""
PROVIDER_FACTS = """
    select kind, fact, max(major) as major, json_group_array(source) as sources from
        (select * from facts where doi = :doi order by source)
    group by kind, fact order by kind, major desc, fact
"""
REGISTERED_STUDIES = """
    select s.number, s.title, s.status, s.enrolment, s.started, s.completed, s.primary_outcomes, s.source
    from registered_studies s
    where s.number in (select identifier from identifiers where doi = :doi and kind = 'registration') order by s.number
"""
INCLUDED_LINKS = "select included, included_title, link from linked_to_included where doi = :doi"
RECORDS = """
    select w.doi, w.title, w.container, w.year, w.notice, d.verdict, d.decided, d.reason
    from duplicates d join works w on w.doi = case when d.doi = :doi then d.other else d.doi end
    where :doi in (d.doi, d.other) order by d.verdict = 'apart', d.verdict, w.doi
"""
CITES = """
    select w.doi, w.title, w.authors, w.year, w.verdict, w.notice from cites c join works w on w.doi = c.cited
    where c.doi = :doi order by w.verdict <> 'include', w.year desc, w.doi limit 200
"""
CITED_BY = """
    select w.doi, w.title, w.authors, w.year, w.verdict, w.notice from cites c join works w on w.doi = c.doi
    where c.cited = :doi order by w.verdict <> 'include', w.year desc, w.doi limit 200
"""
CITED_OUTSIDE = """
    select count(*) from cites c where c.doi = :doi and not exists (select 1 from works w where w.doi = c.cited)
"""
ALIASES = """
    select a.alias, substr(r.started, 1, 10) as since from aliases a left join runs r on r.run = a.first_run
    where a.doi = :doi and a.last_run is null order by a.alias
"""
HISTORY = """
    select s.version, s.first_run, s.last_run, r.started from snapshots s left join runs r on r.run = s.first_run
    where s.doi = :doi order by s.version desc
"""
DECISIONS = """
    with records as (select :doi as doi union select same_as from works where doi = :doi and same_as is not null
        union select m.doi from works w join works m on m.same_as = coalesce(w.same_as, w.doi) where w.doi = :doi)
    select action, verdict, facet, case when doi = :doi then value else doi end as value, reason, reviewer, made_at, rule_said
    from decisions
    where doi in (select doi from records union select alias from aliases join records using (doi))
        or (facet = 'same-work' and value = :doi)
    order by decision desc
"""
FUNDERS = "select name, funder_doi, awards from funders where doi = :doi order by position"
LICENCES = "select url, version, starts from licences where doi = :doi order by version = 'tdm', position"
ABSTRACT_PAGE = """
    select i.kind, i.identifier from works w join identifiers i on i.doi = w.doi
        and i.kind = iif(w.abstract_source = 'openalex', 'openalex', 'pmid')
    where w.doi = :doi and w.abstract is null and w.abstract_source is not null
    order by i.source = 'openalex', i.identifier limit 1
"""
"""The identifier of the record whose abstract is not in a published copy."""
PEOPLE = """
    select coalesce(nullif(concat_name, ''), credited) as name, role, suffix from (
        select credited, trim(coalesce(given, '') || ' ' || coalesce(family, '')) as concat_name, role, suffix, position
        from work_authors where doi = :doi and role <> 'author')
    order by position
"""
AUTHORS = """
    select w.credited || coalesce(', ' || w.suffix, '') as name, coalesce(w.orcid, a.orcid) as orcid, a.kind, w.role
    from work_authors w
    join authors a on a.author = w.author where w.doi = :doi order by w.position
"""

ALIAS_OF = "select doi from aliases where alias = :doi and last_run is null"


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    return [(r"^/doi/(?P<doi>10\..+)$", short_address)]


async def short_address(datasette: Any, request: Any) -> Response:
    """Redirect a DOI or an alias to the work's page; NotFound when the database has neither."""
    db = datasette.get_database(NAME)
    doi = dois.lower(unquote(request.url_vars["doi"]))
    known = await db.execute("select doi from works where doi = :doi", {"doi": doi})
    if not known.rows:
        known = await db.execute(ALIAS_OF, {"doi": doi})
    if not known.rows:
        raise NotFound(f"{doi} is not in this database")
    return Response.redirect(work_address(datasette, known.rows[0][0]))


@hookimpl
def handle_exception(datasette: Any, request: Any, exception: Exception) -> Any:
    """Redirect a work's page from a DOI that has become an alias to the current DOI."""
    prefix = f"{datasette.urls.table(NAME, 'works')}/"
    if not isinstance(exception, NotFound) or not request.path.startswith(prefix):
        return None
    wanted, dot, form = request.path.removeprefix(prefix).partition(".")

    async def redirect() -> Response | None:
        found = await datasette.get_database(NAME).execute(ALIAS_OF, {"doi": tilde_decode(wanted).lower()})
        if not found.rows:
            return None
        return Response.redirect(f"{work_address(datasette, found.rows[0][0])}{dot}{form}")

    return redirect


@hookimpl
def extra_template_vars(datasette: Any) -> dict[str, Any]:
    async def work_page(row: Any) -> dict[str, Any]:
        return await page_data(datasette, row)

    async def included_links(doi: str) -> list[dict[str, Any]]:
        """The included works that a work which was left out belongs to; for the desk."""
        found = await datasette.get_database(NAME).execute(INCLUDED_LINKS, {"doi": doi})
        return [dict(row) for row in found]

    async def work_facts(row: Any) -> dict[str, Any]:
        return await metadata_for_machines(datasette, row)

    async def tags_of(rows: Iterable[Any], strengths: Sequence[Strength]) -> dict[str, dict[str, list[dict[str, str]]]]:
        return await tags_for_list(datasette, [row["doi"] for row in rows], strengths)

    return {
        "work_address": lambda doi: work_address(datasette, doi),
        "work_page": work_page,
        "included_links": included_links,
        "work_facts": work_facts,
        "tags_of": tags_of,
        "list_facets": site_metadata.counted_facets,
    }


def work_address(datasette: Any, doi: str) -> str:
    """Address of a work's page."""
    return f"{datasette.urls.table(NAME, 'works')}/{tilde_encode(doi)}"


async def page_data(datasette: Any, row: Any) -> dict[str, Any]:
    """Everything the page shows of the work in `row` (a row of `works`)."""
    db = datasette.get_database(NAME)
    params = {"doi": row["doi"]}

    async def rows(sql: str) -> list[dict[str, Any]]:
        return [dict(found) for found in await db.execute(sql, params)]

    def asked(conn: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, Any] | None]:
        return (
            read_queries.provider_answers(conn, row["doi"]),
            read_queries.notice_statements(conn, row["doi"]),
            read_queries.crossref_answer(conn, row["doi"]),
        )

    answers, statements, crossref = await db.execute_fn(asked)
    all_answers = [*filter(None, [crossref]), *answers]
    notices = await rows(NOTICES)
    history = await rows(HISTORY)
    identifiers = [identifier(found) for found in await rows(IDENTIFIERS)]
    reasons = await rows(REASONS)
    tags = await rows(TAGS)
    facets: dict[str, list[dict[str, Any]]] = {}
    for tag in tags:
        its_reasons = [r for r in reasons if (r["facet"], r["value"]) == (tag["facet"], tag["value"])]
        facets.setdefault(tag["facet"], []).append({**tag, "reasons": by_field(its_reasons)})
    return {
        "title": highlighted(row["title"], [reason for reason in reasons if reason["field"] == "title"]),
        "abstract": paragraphs(
            highlighted(row["abstract"], [reason for reason in reasons if reason["field"] == "abstract"])
        ),
        "abstract_line": abstract_line(row, history),
        "no_abstract": provider_wording.no_abstract(answers),
        "facets": (await site_topic.of_database(db)).in_order(facets),
        "verdict_reasons": by_field([reason for reason in reasons if reason["facet"] == "verdict"]),
        "publication": publication_facts(row, await rows(PEOPLE), await rows(FUNDERS), await rows(LICENCES)),
        "notices": [
            {
                **notice,
                **provider_wording.notice_witnesses(notice, statements, all_answers),
                "ids": notice_links(notice),
            }
            for notice in notices
        ],
        "witnesses": provider_wording.witnesses(all_answers, statements, notices),
        "identifiers": identifiers,
        "provider_facts": provider_facts(await rows(PROVIDER_FACTS)),
        "registered_studies": [registered_study(found) for found in await rows(REGISTERED_STUDIES)],
        "sources": await rows(SOURCES),
        "cited_in": await rows(CITED_IN),
        "relations": await rows(RELATIONS),
        "registrations": [found for found in identifiers if found["kind"] == "registration"],
        "same_study": await rows(SAME_STUDY),
        "records": await rows(RECORDS),
        "cites": await rows(CITES),
        "cited_by": await rows(CITED_BY),
        "cites_elsewhere": (await db.execute(CITED_OUTSIDE, params)).single_value(),
        "aliases": await rows(ALIASES),
        "history": history,
        "decisions": await rows(DECISIONS),
        "free_full_text": row["open_access"] if is_web(row["open_access"] or "") else None,
        "abstract_elsewhere": abstract_elsewhere(row, await rows(ABSTRACT_PAGE)),
    }


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


def abstract_elsewhere(row: Any, found: list[dict[str, Any]]) -> tuple[str, str] | None:
    """Whose the abstract is that a published copy has not, and a page that shows it; None for a work that has its abstract, or
    none anywhere."""
    if row["abstract"] is not None or not row["abstract_source"]:
        return None
    page = identifier_url(found[0]["kind"], found[0]["identifier"]) if found else None
    return abstract_source_label(row["abstract_source"]), page or dois.url(row["doi"])


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


def by_field(reasons: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Reasons of one tag or verdict, one entry per field, with its quotes and their rules or roles in order and without
    repeats."""
    found: dict[str, dict[str, Any]] = {}
    for reason in reasons:
        entry = found.setdefault(reason["field"], {"field": reason["field"], "quotes": {}, "rules": {}})
        entry["quotes"][reason["quote"]] = entry["rules"][reason["rule"]] = None
    return [entry | {"quotes": list(entry["quotes"]), "rules": list(entry["rules"])} for entry in found.values()]


async def metadata_for_machines(datasette: Any, row: Any) -> dict[str, Any]:
    """Authors and pages for the `citation_…` meta tags, and the work as a schema.org ScholarlyArticle (JSON-LD)."""
    credited = [dict(found) for found in await datasette.get_database(NAME).execute(AUTHORS, {"doi": row["doi"]})]
    people = [
        {
            "@type": "Organization" if credit["kind"] == "group" else "Person",
            "name": credit["name"],
            **({"sameAs": f"https://orcid.org/{credit['orcid']}"} if credit["orcid"] else {}),
        }
        for credit in credited
        if credit["role"] == "author"
    ]
    facts = {
        "@context": "https://schema.org",
        "@type": "Chapter" if row["kind"] == "book-chapter" else "ScholarlyArticle",
        "identifier": f"doi:{row['doi']}",
        "sameAs": dois.url(row["doi"]),
        "headline": row["title"],
        "author": people,
        "datePublished": row["issued"],
        "inLanguage": row["language"],
        "alternateName": row["original_title"],
        "isbn": row["isbn"].split("; ") if row["isbn"] else None,
        "license": row["licence"],
        "isPartOf": {"@type": "PublicationVolume", "name": row["container"]} if row["container"] else None,
    }
    first, last = page_ranges.first_last(row["pages"])
    return {
        "authors": [p["name"] for p in people],
        "first_page": first,
        "last_page": last,
        "json_ld": {key: value for key, value in facts.items() if value},
    }


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


async def tags_for_list(
    datasette: Any, dois: list[str], strengths: Sequence[Strength]
) -> dict[str, dict[str, list[dict[str, str]]]]:
    """DOI → facet → tags of these strengths with labels, for the facets that the list of works shows."""
    marks = ", ".join(f":d{i}" for i in range(len(dois)))
    listed = site_metadata.counted_facets(await site_topic.of_database(datasette.get_database(NAME)))
    facets, sure = (", ".join(f"'{name}'" for name in names) for names in (listed, strengths))
    sql = f"""
        select t.doi, t.facet, t.value, t.strength, coalesce(f.label, t.value) as label from tags t
        left join facets f on f.facet = t.facet and f.value = t.value
        where t.doi in ({marks}) and t.facet in ({facets}) and t.strength in ({sure})
        order by t.doi, t.facet, t.strength = 'implied', f.position, t.value
    """  # noqa: S608 (parameter names, our own facets and strengths)
    found: dict[str, dict[str, list[dict[str, str]]]] = {}
    if dois:
        for row in await datasette.get_database(NAME).execute(sql, {f"d{i}": doi for i, doi in enumerate(dois)}):
            found.setdefault(row["doi"], {}).setdefault(row["facet"], []).append(
                {"value": row["value"], "label": row["label"], "strength": row["strength"]}
            )
    return found
