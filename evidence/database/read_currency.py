"""What is known of the reviews and trials of a database for telling how current the reviews are: dates, deposited reference
lists, and which works are versions of one report.

It only reads, and decides nothing about a cell of the map (`evidence.publish.currency` does). A citation counts for the record
that represents the cited work, whichever of its records was cited; a review's list is that of all its records. References that
have no DOI but were matched by their text count too, where sources.yaml follows the review's list (`of:`).
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from evidence.database.sql_helpers import Row, dict_rows
from evidence.linkage.field_comparison import compare_dois, doi_without_version
from evidence.linkage.retraction_notices import PREPRINT, VERSIONS
from evidence.rules.topic import Topic

SAME_REPORT = (
    *PREPRINT, "is-manuscript-of", "has-manuscript", "is-version-of", "has-version", "is-replaced-by", "replaces",
)  # fmt: skip
"""Relations between versions of one report."""

_TAGGED = """
    select w.rowid, w.doi, coalesce(w.issued, cast(w.year as text)), coalesce(w.kind, '') = 'posted-content',
        w.references_deposited, w.references_without_doi
    from works w where w.verdict = 'include' and w.doi in (
        select doi from tags where facet = :design and value in (select value from json_each(:values)))
"""
_RECORDS = """
    select w.rowid, w.doi, w.references_deposited, w.references_without_doi
    from json_each(:reviews) j cross join works w on w.rowid = j.value
    union all
    select w.rowid, d.doi, d.references_deposited, d.references_without_doi
    from json_each(:reviews) j cross join works w on w.rowid = j.value cross join works d on d.same_as = w.doi
"""
_CITED = """
    select j.value, coalesce(r.rowid, w.rowid)
    from json_each(:dois) j cross join cites c on c.doi = j.value cross join works w on w.doi = c.cited
    left join works r on r.doi = w.same_as
"""
_HAS_CITES = "select distinct c.doi from json_each(:dois) j cross join cites c on c.doi = j.value"
_MATCHED = """
    select coalesce(a.alias_of, o.of_doi) as of_doi, coalesce(r.rowid, w.rowid), c.stated_doi is null
    from (select source, lower(json_extract(spec, '$.of')) as of_doi from sources
        where kind = 'references' and retired is null and json_extract(spec, '$.of') is not null) o
    left join (select alias, doi as alias_of from aliases where last_run is null) a on a.alias = o.of_doi
    join citations c on c.source = o.source and c.retired is null and c.status in ('resolved', 'repaired', 'matched')
    left join (select alias, doi as cited_as from aliases where last_run is null) b on b.alias = c.doi
    left join works w on w.doi = coalesce(b.cited_as, c.doi)
    left join works r on r.doi = w.same_as
"""
_RELATED = """
    select coalesce(x.rowid, w.rowid), coalesce(y.rowid, o.rowid)
    from (
        select r.doi as one, coalesce(a.doi, r.other) as other
        from relations r left join aliases a on a.alias = r.other and a.last_run is null
        where r.kind in (select value from json_each(:relations))
        union
        select u.doi, u.notice_doi from updates u where u.kind in (select value from json_each(:updates))
    ) p
    join works w on w.doi = p.one join works o on o.doi = p.other
    left join works x on x.doi = w.same_as left join works y on y.doi = o.same_as
    where coalesce(x.rowid, w.rowid) <> coalesce(y.rowid, o.rowid)
"""
_DATES = """
    select w.rowid, coalesce(w.issued, cast(w.year as text)) from json_each(:works) j cross join works w on w.rowid = j.value
"""
_TEXTS = """
    select w.rowid as number, w.doi, w.title, w.authors, w.container, w.year, coalesce(w.issued, cast(w.year as text)) as date,
        w.notice,
        (select group_concat(coalesce(f.label, t.value), '; ') from tags t left join facets f on f.facet = t.facet
            and f.value = t.value where t.doi = w.doi and +t.facet = :design
            and t.strength in (select value from json_each(:strengths))) as designs
    from json_each(:works) j cross join works w on w.rowid = j.value
"""


@dataclass(frozen=True, slots=True)
class ReferenceList:
    """The deposited list of a review: the rowids of the works that it cites. `entries`, and `unmatched` of them without a DOI
    whose text was not matched either; both None where they are not known."""

    cited: frozenset[int]
    entries: int | None
    unmatched: int | None


@dataclass(frozen=True, slots=True)
class ReviewFacts:
    """By rowid. `dois`, `dates` (ISO, as precise as deposited; None: unknown) and `preprints` of the included works with a
    design that the topic counts. `lists` are those of the reviews; a review without a deposited list is not in it.
    `versions`: a work → all works that are versions of the same report, itself among them; works without another version are
    left out. `dates` has those versions too."""

    dois: Mapping[int, str]
    dates: Mapping[int, str | None]
    preprints: frozenset[int]
    lists: Mapping[int, ReferenceList]
    versions: Mapping[int, tuple[int, ...]] = field(default_factory=dict)


def read(conn: sqlite3.Connection, topic: Topic) -> ReviewFacts:
    """All of it, at once for all cells of the map."""
    cursor = conn.cursor()
    cursor.row_factory = None
    tagged = {
        kind: cursor.execute(_TAGGED, {"design": topic.design, "values": json.dumps(values)}).fetchall()
        for kind, values in (("trial", topic.trials), ("review", topic.reviews))
    }
    works = {number: (doi, date, preprint) for rows in tagged.values() for number, doi, date, preprint, *_ in rows}
    versions = _versions(cursor, {number: doi for number, (doi, *_) in works.items()})
    dates = {number: date for number, (_, date, _) in works.items()}
    dates |= dict(cursor.execute(_DATES, {"works": json.dumps(sorted(versions.keys() - works.keys()))}).fetchall())
    return ReviewFacts(
        dois={number: doi for number, (doi, *_) in works.items()},
        dates=dates,
        preprints=frozenset(number for number, (*_, preprint) in works.items() if preprint),
        lists=_lists(cursor, [number for number, *_ in tagged["review"]]),
        versions=versions,
    )


def texts(conn: sqlite3.Connection, works: Iterable[int], topic: Topic, strengths: Sequence[str]) -> dict[int, Row]:
    """Rowid → what is shown of a work, with the labels of its designs."""
    values = {"works": json.dumps(sorted(works)), "design": topic.design, "strengths": json.dumps(strengths)}
    return {row["number"]: row for row in dict_rows(conn, _TEXTS, values)}


def _lists(cursor: sqlite3.Cursor, reviews: Sequence[int]) -> dict[int, ReferenceList]:
    records: dict[int, list[str]] = defaultdict(list)
    counted: dict[int, list[tuple[int, int | None]]] = defaultdict(list)
    for number, doi, entries, without_doi in cursor.execute(_RECORDS, {"reviews": json.dumps(reviews)}).fetchall():
        records[number].append(doi)
        if entries is not None:
            counted[number].append((entries, without_doi))
    dois = json.dumps([doi for of_review in records.values() for doi in of_review])
    cited: dict[str, set[int]] = defaultdict(set)
    for doi, number in cursor.execute(_CITED, {"dois": dois}):
        cited[doi].add(number)
    # A database of an earlier version does not know how long the lists are until its works are judged again.
    with_list = {doi for (doi,) in cursor.execute(_HAS_CITES, {"dois": dois})}
    matched: dict[str, set[int]] = defaultdict(set)
    by_text: dict[str, int] = defaultdict(int)
    for of, number, without_doi in cursor.execute(_MATCHED):
        by_text[of] += without_doi
        if number is not None:
            matched[of].add(number)
    found = {}
    for number, of_review in records.items():
        if counted[number] or any(doi in with_list or doi in by_text for doi in of_review):
            # Of several records of one review the longest list is taken for the count; the lists repeat each other.
            entries, without_doi = max(counted[number], default=(None, None), key=lambda pair: pair[0])
            named = frozenset().union(*(cited[doi] | matched[doi] for doi in of_review))
            unmatched = None
            if without_doi is not None:
                unmatched = max(without_doi - max(by_text.get(doi, 0) for doi in of_review), 0)
            found[number] = ReferenceList(named, entries, unmatched)
    return found


def _versions(cursor: sqlite3.Cursor, dois: Mapping[int, str]) -> dict[int, tuple[int, ...]]:
    """Works that are versions of one report: said by a deposited relation, by an update that is a new version, or by the DOI
    (Cochrane's `.pub3` and the like)."""
    same: dict[int, int] = {}

    def root(number: int) -> int:
        while (above := same.get(number, number)) != number:
            number = above
        return number

    values = {"relations": json.dumps(SAME_REPORT), "updates": json.dumps(sorted(VERSIONS))}
    pairs = [tuple(pair) for pair in cursor.execute(_RELATED, values)]
    alike: dict[str, list[int]] = defaultdict(list)
    for number in sorted(dois):
        alike[doi_without_version(dois[number])].append(number)
    for group in alike.values():
        pairs += [
            (one, other)
            for place, one in enumerate(group)
            for other in group[place + 1 :]
            if compare_dois(dois[one], dois[other]) == "version"
        ]
    for one, other in pairs:
        first, second = sorted((root(one), root(other)))
        same.setdefault(first, first)
        same[second] = first
    members: dict[int, list[int]] = defaultdict(list)
    for number in sorted(same):
        members[root(number)].append(number)
    return {number: tuple(group) for group in members.values() if len(group) > 1 for number in group}
