"""The shape of the two databases: migrations, views, full text. DDL only, no rows and no decisions.

`evidence.db` has two kinds of tables. RECORDS are what the outside said; they are appended to or closed, never
rewritten. DERIVED tables are what today's code, rules and decisions make of the records; `evidence judge` can rebuild
every one of them offline. `decisions.db` holds what people decided and is never touched by a harvest.

Migrations are append-only: a released one is never edited, a change is a new function at the end. Views are dropped and
made anew after every migration, so they may change freely.

Validity is written as (first_run, last_run): `last_run` is empty while the fact still stands, and names the run that
found it gone or replaced. An unchanged record therefore costs no write at all, and "a second run changed no row" is
literally true; DESIGN §3 would touch `last_run` on every sighting instead.
"""

from __future__ import annotations

import sqlite3

from sqlite_utils import Database, Migrations

APPLICATION_ID = 0x49505431
"""`pragma application_id` of both databases (ASCII "IPT1"): how a file is known to be ours."""

evidence = Migrations("evidence")
decisions = Migrations("decisions")

RECORD_TABLES = (
    "runs",
    "sources",
    "requests",
    "citations",
    "snapshots",
    "aliases",
    "sightings",
    "rejects",
)
DERIVED_TABLES = (
    "works",
    "authors",
    "work_authors",
    "notices",
    "relations",
    "duplicates",
    "cites",
    "facets",
    "tags",
    "reasons",
    "rule_marks",
    "decisions",
)

RECORDS_DDL = """
create table runs (
    run integer primary key,
    started text not null,
    finished text,
    outcome text not null check (outcome in ('running', 'complete', 'partial', 'crashed')),
    door text not null,
    version text not null,
    counts text not null default '{}' check (json_valid(counts))
) strict;

create table sources (
    source text primary key not null,
    kind text not null check (kind in ('references', 'search', 'refresh', 'files')),
    label text not null,
    spec text not null check (json_valid(spec)),
    bookmark text,
    trouble text,
    warning text,
    first_run integer references runs (run),
    retired integer references runs (run)
) strict;

create table requests (
    request integer primary key,
    run integer not null references runs (run),
    source text not null references sources (source),
    query text not null,
    filters text not null,
    since text,
    until text,
    window_by text check (window_by in ('published', 'indexed')),
    asked_at text not null,
    total integer not null,
    scanned integer not null,
    matched integer not null,
    truncated integer not null default 0 check (truncated in (0, 1))
) strict;
create index requests_run on requests (run);
create index requests_source on requests (source);

create table citations (
    source text not null references sources (source),
    position integer not null,
    text text not null,
    stated_doi text,
    doi text,
    status text not null check (status in ('resolved', 'repaired', 'matched', 'mismatch', 'ambiguous',
        'not-in-crossref', 'not-found', 'no-doi')),
    problem text,
    score real,
    first_run integer not null references runs (run),
    retired integer references runs (run),
    primary key (source, position)
) strict;
create index citations_doi on citations (doi);

create table snapshots (
    doi text not null check (doi = lower(doi)),
    version integer not null,
    digest text not null,
    message text not null,
    first_run integer not null references runs (run),
    last_run integer references runs (run),
    primary key (doi, version)
) strict;
create unique index snapshots_current on snapshots (doi) where last_run is null;

create table aliases (
    alias text primary key not null,
    doi text not null,
    first_run integer not null references runs (run)
) strict;
create index aliases_doi on aliases (doi);

create table sightings (
    source text not null references sources (source),
    doi text not null,
    via text not null,
    rank integer,
    score real,
    first_run integer not null references runs (run),
    last_run integer references runs (run),
    primary key (source, doi)
) strict;
create index sightings_doi on sightings (doi, first_run);

create table rejects (
    digest text primary key not null,
    doi text,
    source text,
    reason text not null,
    message text not null,
    first_run integer not null references runs (run)
) strict;
"""

DERIVED_DDL = """
create table works (
    doi text primary key not null check (doi = lower(doi)),
    title text,
    abstract text,
    authors text,
    container text,
    issued text,
    year integer,
    kind text,
    verdict text not null check (verdict in ('include', 'exclude', 'unsure', 'duplicate')),
    screened text not null check (screened in ('include', 'exclude', 'unsure')),
    same_as text,
    decided text not null check (decided in ('rule', 'person')),
    why text not null,
    judged_on text not null check (judged_on in ('title', 'title+abstract', 'nothing')),
    conflict text,
    notice text,
    notice_of text,
    language text,
    publisher text,
    volume text,
    issue text,
    pages text,
    issn text,
    registrations text,
    cited_by integer,
    url text,
    first_run integer not null references runs (run),
    changed_run integer not null references runs (run),
    basis text not null
) strict;

create table authors (
    author text primary key not null,
    name text not null,
    family text,
    given text,
    orcid text,
    kind text not null check (kind in ('person', 'group'))
) strict;

create table work_authors (
    doi text not null references works (doi) on delete cascade,
    position integer not null,
    author text not null references authors (author),
    credited text not null,
    family text,
    given text,
    role text not null check (role in ('author', 'editor')),
    affiliation text,
    primary key (doi, position)
) strict;
create index work_authors_author on work_authors (author);

create table notices (
    doi text not null references works (doi) on delete cascade,
    kind text not null,
    notice_doi text not null,
    issued text,
    source text,
    evidence text not null check (evidence in ('updated-by', 'update-to', 'title')),
    primary key (doi, kind, notice_doi, evidence)
) strict;

create table relations (
    doi text not null references works (doi) on delete cascade,
    kind text not null,
    other text not null,
    asserted_by text,
    primary key (doi, kind, other)
) strict;
create index relations_other on relations (other);

create table duplicates (
    doi text not null references works (doi) on delete cascade,
    other text not null references works (doi) on delete cascade,
    verdict text not null check (verdict in ('same', 'doubtful', 'apart')),
    decided text not null check (decided in ('rule', 'person')),
    reason text not null,
    primary key (doi, other),
    check (doi < other)
) strict, without rowid;
create index duplicates_other on duplicates (other);

create table cites (
    doi text not null references works (doi) on delete cascade,
    cited text not null,
    asserted_by text,
    primary key (doi, cited)
) strict, without rowid;
create index cites_cited on cites (cited);

create table facets (
    facet text not null,
    value text not null,
    label text not null,
    meaning text not null,
    position integer not null,
    primary key (facet, value)
) strict;

create table tags (
    doi text not null references works (doi) on delete cascade,
    facet text not null,
    value text not null,
    decided text not null check (decided in ('rule', 'person')),
    primary key (doi, facet, value),
    foreign key (facet, value) references facets (facet, value)
) strict;
create index tags_value on tags (facet, value, doi);

create table reasons (
    doi text not null references works (doi) on delete cascade,
    facet text not null,
    value text not null,
    rule text not null,
    field text not null check (field in ('title', 'abstract', 'kind', 'container', 'person')),
    start integer not null,
    stop integer not null,
    quote text not null,
    primary key (doi, facet, value, rule, field, start, stop)
) strict, without rowid;

create table rule_marks (
    facet text not null,
    value text not null,
    mark text not null,
    basis text not null,
    version text not null,
    primary key (facet, value)
) strict, without rowid;

create virtual table works_fts using fts5 (
    title, abstract, authors, container,
    content="works", tokenize="porter unicode61 remove_diacritics 2"
);
"""

DECISIONS_DDL = """
create table decisions (
    decision integer primary key,
    doi text not null check (doi = lower(doi)),
    action text not null check (action in ('verdict', 'tag', 'untag')),
    verdict text check (verdict in ('include', 'exclude', 'unsure')),
    facet text,
    value text,
    reason text not null,
    reviewer text not null,
    made_at text not null,
    rules text,
    record text,
    rule_said text,
    check ((action = 'verdict') = (verdict is not null)),
    check ((action = 'verdict') = (facet is null)),
    check ((facet is null) = (value is null))
) strict;
create index decisions_doi on decisions (doi);
create trigger decisions_are_append_only_update before update on decisions
begin select raise(abort, 'decisions are append-only: add a new one'); end;
create trigger decisions_are_append_only_delete before delete on decisions
begin select raise(abort, 'decisions are append-only: add a new one'); end;
"""

WITHDRAWING_DDL = """
drop trigger decisions_are_append_only_update;
drop trigger decisions_are_append_only_delete;
drop index decisions_doi;
alter table decisions rename to decisions_before;
create table decisions (
    decision integer primary key,
    doi text not null check (doi = lower(doi)),
    action text not null check (action in ('verdict', 'tag', 'untag', 'withdraw')),
    verdict text check (verdict in ('include', 'exclude', 'unsure')),
    facet text,
    value text,
    reason text not null,
    reviewer text not null,
    made_at text not null,
    rules text,
    record text,
    rule_said text,
    check ((action = 'verdict') = (verdict is not null)),
    check (action = 'withdraw' or (action = 'verdict') = (facet is null)),
    check ((facet is null) = (value is null))
) strict;
insert into decisions select * from decisions_before;
drop table decisions_before;
create index decisions_doi on decisions (doi);
create trigger decisions_are_append_only_update before update on decisions
begin select raise(abort, 'decisions are append-only: add a new one'); end;
create trigger decisions_are_append_only_delete before delete on decisions
begin select raise(abort, 'decisions are append-only: add a new one'); end;
"""

WAITING = "verdict = 'unsure' or (conflict is not null and verdict <> 'duplicate')"
"""Which works a person should look at: the condition of an index, which is used where it is asked in these very words."""

SHOWN_DECISIONS_DDL = f"""
create table decisions (
    decision integer primary key,
    doi text not null,
    action text not null,
    verdict text,
    facet text,
    value text,
    reason text not null,
    reviewer text not null,
    made_at text not null,
    rule_said text
) strict;
create index decisions_doi on decisions (doi);
create index works_waiting on works (doi) where {WAITING};
"""


def _tags_of(facet: str) -> str:
    """One facet's values of work `w` on one line. Asked for each work by itself: grouping all tags first took a second."""
    return f"""(select group_concat(value, '; ') from
                (select value from tags t where t.doi = w.doi and t.facet = '{facet}' order by value)) as {facet}"""


REJECTS_WHERE_DDL = """
alter table rejects add column place text;
"""

VIEWS = {
    "studies": f"""
        select w.doi, w.title, w.authors, w.container, w.year,
            {_tags_of("variant")},
            {_tags_of("outcome")},
            {_tags_of("design")},
            {_tags_of("condition")},
            {_tags_of("population")},
            {_tags_of("format")},
            {_tags_of("comparator")},
            {_tags_of("problem_area")},
            w.notice, w.judged_on, w.decided, w.kind, w.url
        from works w
        where w.verdict = 'include'
    """,
    "evidence_map": """
        select v.value as variant, o.value as outcome, count(distinct w.doi) as works,
            count(distinct case when exists (select 1 from tags d where d.doi = w.doi and d.facet = 'design'
                and d.value in ('rct', 'cluster-rct')) then w.doi end) as trials,
            count(distinct case when exists (select 1 from tags d where d.doi = w.doi and d.facet = 'design'
                and d.value in ('meta-analysis', 'systematic-review')) then w.doi end) as reviews
        from works w
        join tags v on v.doi = w.doi and v.facet = 'variant'
        join tags o on o.doi = w.doi and o.facet = 'outcome'
        where w.verdict = 'include'
        group by v.value, o.value
    """,
    "to_check": """
        select doi, title, authors, container, year, why, judged_on, url, sources, open_words, neighbours, listed, tags,
            4 * (open_words > 0) + 2 * min(neighbours, 3) + 2 * (listed > 0) + 0.5 * min(tags, 6) as likely
        from (
            select w.doi, w.title, w.authors, w.container, w.year, coalesce(w.conflict, w.why) as why, w.judged_on, w.url,
                (select group_concat(s.source, '; ') from sightings s
                    where s.doi = w.doi and s.last_run is null) as sources,
                (select count(*) from reasons r where r.doi = w.doi and r.facet = 'verdict') as open_words,
                (select count(*) from works i where i.verdict = 'include' and i.doi in (
                    select c.cited from cites c where c.doi = w.doi
                    union select c.doi from cites c where c.cited = w.doi)) as neighbours,
                (select count(*) from sightings s join sources o on o.source = s.source
                    where s.doi = w.doi and s.last_run is null and o.kind = 'references') as listed,
                (select count(*) from tags t where t.doi = w.doi) as tags
            from works w
            where w.verdict = 'unsure' or (w.conflict is not null and w.verdict <> 'duplicate')
        )
        order by likely desc, year desc, doi
    """,
    "pairs_to_check": """
        select d.doi, w.title, w.year, w.container, d.other, o.title as other_title, o.year as other_year,
            o.container as other_container, d.reason
        from duplicates d join works w on w.doi = d.doi join works o on o.doi = d.other
        where d.verdict = 'doubtful' and w.verdict in ('include', 'unsure') and o.verdict in ('include', 'unsure')
    """,
    "citations_to_check": """
        select c.source, c.position, c.text, c.stated_doi, c.status, c.problem
        from citations c
        where c.retired is null and c.status not in ('resolved', 'matched')
    """,
    "history": """
        select s.doi, s.version, r.started as seen, s.first_run, s.last_run, s.digest, w.title
        from snapshots s
        join runs r on r.run = s.first_run
        left join works w on w.doi = s.doi
    """,
    "prisma": """
        select 1 as position, 'Records identified through standing searches' as box,
            (select count(*) from sightings s join sources o on o.source = s.source where o.kind = 'search') as n
        union all select 2, 'Records identified through reference lists',
            (select count(*) from sightings s join sources o on o.source = s.source where o.kind = 'references')
        union all select 3, 'Duplicate records removed before screening',
            (select count(*) - count(distinct doi) from sightings)
                + (select count(*) from works where verdict = 'duplicate')
        union all select 4, 'Records screened', (select count(*) from works where verdict <> 'duplicate')
        union all select 5, 'Records excluded', (select count(*) from works where verdict = 'exclude')
        union all select 6, 'Records waiting for a person', (select count(*) from works where verdict = 'unsure')
        union all select 7, 'Studies included', (select count(*) from works where verdict = 'include')
    """,
}
"""Views for readers, by name; remade whenever a database is opened for writing."""


@evidence()
def m001_first_schema(db: Database) -> None:
    """Records and derived tables of version 0.1."""
    _run_script(db.conn, RECORDS_DDL + DERIVED_DDL)


@decisions()
def d001_first_schema(db: Database) -> None:
    """The append-only ledger of version 0.1."""
    _run_script(db.conn, DECISIONS_DDL)


@evidence()
def m002_decisions_shown(db: Database) -> None:
    """What people decided, copied from the ledger: a site has this file alone. And what waits for them, found at once."""
    _run_script(db.conn, SHOWN_DECISIONS_DDL)


@decisions()
def d002_withdrawing(db: Database) -> None:
    """A person may take a word back; every earlier decision is kept as it is."""
    _run_script(db.conn, WITHDRAWING_DDL)


@evidence()
def m006_rejects_where(db: Database) -> None:
    """Where a record that could not be understood stood: a file and line, or a place among the answers."""
    _run_script(db.conn, REJECTS_WHERE_DDL)


def make_views(conn: sqlite3.Connection) -> None:
    """Bring the views to today's text; called inside the caller's transaction."""
    stored = dict(conn.execute("select name, sql from sqlite_master where type = 'view'").fetchall())
    wanted = {name: f"create view {name} as{body.rstrip()}" for name, body in VIEWS.items()}
    if stored == wanted:
        return
    for name in stored:
        conn.execute(f"drop view {name}")
    for sql in wanted.values():
        conn.execute(sql)


def _run_script(conn: sqlite3.Connection, script: str) -> None:
    """Statement by statement: `executescript` would commit the migration's transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            conn.execute(statement)
            statement = ""
