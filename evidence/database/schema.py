"""The schema of the two databases: migrations, views and full text. DDL only; it may not write rows but in a migration.

`evidence.db` has two kinds of tables. RECORDS are what Crossref, other providers, files and runs supplied; rows are added or
closed, never rewritten. DERIVED tables are what today's code, rules and decisions make of the records; `evidence judge` can
rebuild all of them offline. `decisions.db` holds what people decided; no harvest writes to it.

Migrations are append-only: a released one is never edited, and a change is a new function at the end. Views are made again
whenever their text changes, so they may be edited.

A fact is valid from its `first_run` on. `last_run` is empty while it is current, and else names the run that found it gone or
replaced. So an unchanged record costs no write, and a second run changes no row. Three record tables keep only the last value:
`counters` has what Crossref last said of records whose content did not change, because the history of a count is not worth a
row a week; `announced` has what was last announced of each work, and its history is `changes`; `provider_answers` says when each
provider was last asked about each work, and `provider_requests` has the log. `backfilled_files` has what each file was last
asked.

`watches` and `watched` say which works each saved question of sources.yaml has had, and belong to no run either.

`versions` are states that a person gave a name: each is what the tables say after one run. `version_tags` has the tags of then,
which no other table keeps.

`exports`, `exported_works` and `capsules` belong to no run: they say what left the tracker. A work is in every export of its
list from `first_export` on, until `last_export`, the first that did not have it.
"""

from __future__ import annotations

import json
import sqlite3

from sqlite_utils import Database, Migrations

from evidence.current_decisions import decision_id, infer_seen
from evidence.data_model import Decision
from evidence.database import prisma_flow
from evidence.rules import topic as topics
from evidence.rules.topic import Topic

APPLICATION_ID = 0x49505431
"""`pragma application_id` of both databases (ASCII "IPT1"): marks a file as ours."""

evidence = Migrations("evidence")
decisions = Migrations("decisions")

RECORD_TABLES = (
    "runs",
    "sources",
    "requests",
    "citations",
    "snapshots",
    "aliases",
    "absences",
    "counters",
    "sightings",
    "rejects",
    "verdict_history",
    "notice_history",
    "source_history",
    "sighting_gaps",
    "changes",
    "announced",
    "provider_records",
    "provider_answers",
    "provider_requests",
    "imported_records",
    "backfilled_files",
    "exports",
    "exported_works",
    "versions",
    "version_tags",
    "capsules",
    "watches",
    "watched",
)
DERIVED_TABLES = (
    "works",
    "authors",
    "work_authors",
    "updates",
    "funders",
    "licences",
    "notices",
    "relations",
    "identifiers",
    "facts",
    "registered_studies",
    "datacite_works",
    "duplicates",
    "cites",
    "facets",
    "tags",
    "reasons",
    "topic",
    "rule_marks",
    "decisions",
    "unread",
    "unannounced",
)

WORKING_TABLES = ("backfill_records",)
"""What a command keeps until it has ended: no report and no published copy has it."""

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

SEEN_DDL = """
alter table decisions add column seen text not null default '[]' check (json_valid(seen));
"""

APPEND_ONLY_DDL = """
create trigger decisions_are_append_only_update before update on decisions
begin select raise(abort, 'decisions are append-only: add a new one'); end;
"""

WAITING = "verdict = 'unsure' or (conflict is not null and verdict <> 'duplicate')"
"""Which works a person should look at: the unsure wait for a decision, the others have one to look at again. It is the condition
of an index, which SQLite uses only for a query with exactly this text."""

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

SEARCH_DEPTH_DDL = """
alter table requests add column spec text check (spec is null or json_valid(spec));
alter table requests add column created_from text;
alter table requests add column created_until text;
alter table requests add column indexed_from text;
alter table requests add column "offset" integer;
alter table requests add column sort text check (sort in ('relevance', 'created'));
alter table requests add column reached integer;
alter table requests add column last_match integer;
alter table requests add column recent integer;
alter table requests add column ended text check (ended in ('complete', 'quiet', 'split', 'cut'));
alter table requests add column unread integer;
update sources set bookmark = null where kind = 'search';
"""
"""Before this migration a search was read by dates of publication (`window_by`, `since`, `until`), which missed records: so every
search is read from the beginning once more."""

UPDATES_DDL = """
create table updates (
    said_by text not null references works (doi) on delete cascade,
    doi text not null,
    kind text not null,
    notice_doi text not null,
    issued text,
    source text,
    evidence text not null check (evidence in ('updated-by', 'update-to', 'title'))
) strict;
create index updates_said_by on updates (said_by);
create index updates_doi on updates (doi);
create index updates_notice_doi on updates (notice_doi);
create index works_same_as on works (same_as) where same_as is not null;
create index works_unsettled on works (doi) where basis = '';
alter table notices rename to notices_before;
create table notices (
    doi text not null references works (doi) on delete cascade,
    kind text not null,
    notice_doi text not null,
    stands_on text not null,
    relation text not null check (relation in ('own', 'record', 'article', 'preprint')),
    issued text,
    source text,
    evidence text not null check (evidence in ('updated-by', 'update-to', 'title')),
    undone integer not null default 0 check (undone in (0, 1)),
    primary key (doi, kind, notice_doi)
) strict;
insert or ignore into notices select doi, kind, notice_doi, doi, 'own', issued, source, evidence, 0 from notices_before;
drop table notices_before;
update works set basis = '';
"""
"""The updates that records state, and the notices that each work shows. Every work is judged again, which fills `updates`."""

KNOWN_WORKS_DDL = """
alter table works add column gone text;
alter table aliases add column last_run integer references runs (run);
create table absences (
    doi text not null,
    first_run integer not null references runs (run),
    last_run integer references runs (run),
    primary key (doi, first_run)
) strict;
create unique index absences_current on absences (doi) where last_run is null;
create table counters (
    doi text primary key not null,
    indexed text,
    cited_by integer,
    first_run integer not null references runs (run)
) strict;
create table unread (
    doi text primary key not null,
    reason text not null,
    version text not null
) strict;
update aliases set last_run = first_run where alias in (select doi from snapshots where last_run is null);
update authors set (name, family, given, kind) = (
    select credited, family, given, case when family is null and given is null then 'group' else 'person' end
    from work_authors w where w.author = authors.author
    order by length(credited) desc, credited, family, given limit 1
) where author in (select author from work_authors);
"""


KEPT_METADATA_DDL = """
create table verdict_history (
    doi text not null check (doi = lower(doi)),
    first_run integer not null references runs (run),
    last_run integer references runs (run),
    verdict text not null check (verdict in ('include', 'exclude', 'unsure', 'duplicate', 'not-understood', 'alias')),
    decided text not null check (decided in ('rule', 'person')),
    why text,
    same_as text,
    conflict integer not null default 0 check (conflict in (0, 1)),
    noted integer references runs (run),
    primary key (doi, first_run)
) strict;
create index verdict_history_first_run on verdict_history (first_run);
create index verdict_history_last_run on verdict_history (last_run);
insert into verdict_history (doi, first_run, verdict, decided, why, same_as, conflict, noted)
select w.doi, coalesce((select s.first_run from snapshots s where s.doi = w.doi and s.version = 1), w.first_run), w.verdict,
    w.decided, case when w.verdict = 'exclude' and w.decided = 'rule' then w.why end, w.same_as, w.conflict is not null,
    (select max(run) from runs)
from works w;
insert into verdict_history (doi, first_run, verdict, decided, noted)
select doi, first_run, 'not-understood', 'rule', (select max(run) from runs)
from snapshots where version = 1 and doi not in (select doi from works);

alter table works add column subtitle text;
alter table works add column original_title text;
alter table works add column short_title text;
alter table works add column edition text;
alter table works add column isbn text;
alter table works add column article_number text;
alter table works add column short_container text;
alter table works add column publisher_place text;
alter table works add column institution text;
alter table works add column event text;
alter table works add column event_place text;
alter table works add column event_dates text;
alter table works add column published_print text;
alter table works add column published_online text;
alter table works add column licence text;

alter table work_authors rename to work_authors_before;
drop index work_authors_author;
create table work_authors (
    doi text not null references works (doi) on delete cascade,
    position integer not null,
    author text not null references authors (author),
    credited text not null,
    family text,
    given text,
    role text not null check (role in ('author', 'editor', 'translator', 'chair')),
    affiliation text,
    suffix text,
    orcid text,
    primary key (doi, position)
) strict;
insert into work_authors (doi, position, author, credited, family, given, role, affiliation)
select doi, position, author, credited, family, given, role, affiliation from work_authors_before;
drop table work_authors_before;
create index work_authors_author on work_authors (author);

create table funders (
    doi text not null references works (doi) on delete cascade,
    position integer not null,
    name text,
    funder_doi text,
    awards text not null check (json_valid(awards)),
    primary key (doi, position)
) strict;
create index funders_funder_doi on funders (funder_doi);

create table licences (
    doi text not null references works (doi) on delete cascade,
    position integer not null,
    url text not null,
    version text,
    starts text,
    delay_days integer,
    primary key (doi, position)
) strict;

update works set basis = '';
"""


def _tags_of(facet: str) -> str:
    """One facet's values of work `w` as one text. A subquery for each work: grouping all tags first took a second."""
    values = f"select value from shown_tags t where t.doi = w.doi and t.facet = '{facet}' order by value"
    return f"(select group_concat(value, '; ') from\n                ({values})) as \"{facet}\""


REJECTS_WHERE_DDL = """
alter table rejects add column place text;
"""

NOT_IN_FILES_DDL = """
create table citations_now (
    source text not null references sources (source),
    position integer not null,
    text text not null,
    stated_doi text,
    doi text,
    status text not null check (status in ('resolved', 'repaired', 'matched', 'mismatch', 'ambiguous',
        'not-in-crossref', 'not-found', 'not-in-files', 'no-doi')),
    problem text,
    score real,
    first_run integer not null references runs (run),
    retired integer references runs (run),
    primary key (source, position)
) strict;
insert into citations_now
select source, position, text, stated_doi, doi,
    case when status = 'not-found' and (select door from runs where run = first_run) <> 'crossref'
        then 'not-in-files' else status end,
    problem, score, first_run, retired
from citations;
drop table citations;
alter table citations_now rename to citations;
create index citations_doi on citations (doi);
"""

CHANGES_DDL = """
alter table works add column content text;
create index works_without_content on works (doi) where content is null;
create table announced (
    doi text primary key not null,
    content text,
    verdict text not null,
    same_as text,
    notices text not null,
    gone text,
    conflict text,
    tags text not null
) strict;
create table changes (
    change integer primary key,
    run integer not null references runs (run),
    doi text not null,
    what text not null check (what in ('new', 'content', 'verdict', 'duplicate', 'notice', 'notice-ended', 'reopened', 'gone',
        'back', 'moved', 'tags')),
    before text,
    after text,
    verdict text
) strict;
create index changes_run on changes (run, what, verdict);
create index changes_doi on changes (doi);
create table unannounced (
    doi text primary key not null
) strict;
create trigger works_come after insert on works begin
    insert into unannounced select new.doi where not exists (select 1 from unannounced where doi = new.doi);
end;
create trigger works_leave after delete on works begin
    insert into unannounced select old.doi where not exists (select 1 from unannounced where doi = old.doi);
end;
create trigger works_change after update of content, verdict, same_as, gone, conflict on works
when (old.content, old.verdict, old.same_as, old.gone, old.conflict) is not
    (new.content, new.verdict, new.same_as, new.gone, new.conflict) begin
    insert into unannounced select new.doi where not exists (select 1 from unannounced where doi = new.doi);
end;
create trigger notices_come after insert on notices begin
    insert into unannounced select new.doi where not exists (select 1 from unannounced where doi = new.doi);
end;
create trigger notices_leave after delete on notices begin
    insert into unannounced select old.doi where not exists (select 1 from unannounced where doi = old.doi);
end;
create trigger tags_come after insert on tags begin
    insert into unannounced select new.doi where not exists (select 1 from unannounced where doi = new.doi);
end;
create trigger tags_leave after delete on tags begin
    insert into unannounced select old.doi where not exists (select 1 from unannounced where doi = old.doi);
end;
insert into announced (doi, verdict, same_as, notices, gone, conflict, tags)
select w.doi, w.verdict, w.same_as,
    case when w.verdict in ('include', 'unsure') then (
        select json_group_array(json_array(n.kind, n.notice_doi, n.stands_on, n.relation)) from notices n
        where n.doi = w.doi and n.undone = 0) else '[]' end,
    w.gone, case when w.verdict <> 'duplicate' then w.conflict end,
    (select json_group_array(t.facet || ':' || t.value) from tags t where t.doi = w.doi)
from works w;
insert into changes (run, doi, what, after, verdict)
select run, doi, what, after, verdict from (
    select first_run as run, doi, 'new' as what, verdict as after, verdict from works
    union all
    select changed_run, doi, 'content', null, verdict from works where changed_run > first_run
) order by run, what desc, doi;
update works set basis = '';
"""
"""What was announced of each work, and every announced change. `unannounced` lists the works of which something may have changed
since. Triggers fill it, so that no writer is missed and a killed run leaves it complete; a later migration that makes one of
these tables again has to make its triggers again. The state on the day of the upgrade counts as announced, by the run that first
brought a work and by the last one that changed it, as far as they are known."""

AS_OF_DDL = """
create table notice_history (
    doi text not null check (doi = lower(doi)),
    first_run integer not null references runs (run),
    last_run integer references runs (run),
    kind text not null,
    notice_doi text not null,
    stands_on text not null,
    relation text not null check (relation in ('own', 'record', 'article', 'preprint')),
    issued text,
    source text,
    evidence text not null check (evidence in ('updated-by', 'update-to', 'title')),
    undone integer not null default 0 check (undone in (0, 1)),
    noted integer references runs (run),
    primary key (doi, kind, notice_doi, first_run)
) strict;
insert into notice_history (doi, first_run, kind, notice_doi, stands_on, relation, issued, source, evidence, undone, noted)
select n.doi, (select min(h.first_run) from verdict_history h where h.doi = n.doi), n.kind, n.notice_doi, n.stands_on,
    n.relation, n.issued, n.source, n.evidence, n.undone, (select max(run) from runs)
from notices n where exists (select 1 from verdict_history h where h.doi = n.doi);

create table source_history (
    source text not null references sources (source),
    first_run integer not null,
    last_run integer references runs (run),
    kind text not null check (kind in ('references', 'search', 'refresh', 'files')),
    label text not null,
    retired integer not null default 0 check (retired in (0, 1)),
    noted integer references runs (run),
    primary key (source, first_run)
) strict;
insert into source_history (source, first_run, last_run, kind, label, retired, noted)
select source, 0, retired, kind, label, 0, (select max(run) from runs) from sources where retired is not 0
union all
select source, retired, null, kind, label, 1, (select max(run) from runs) from sources where retired > 0;

create table sighting_gaps (
    source text not null,
    doi text not null,
    first_run integer not null references runs (run),
    last_run integer not null references runs (run),
    primary key (source, doi, first_run)
) strict;
create trigger sightings_stand_again after update of last_run on sightings
when old.last_run < (select max(run) from runs) and new.last_run is null
begin
    insert or ignore into sighting_gaps (source, doi, first_run, last_run)
    values (old.source, old.doi, old.last_run, (select max(run) from runs));
end;
"""
"""What is not known of earlier runs is taken to have been as on the day of the upgrade; `noted` is the last run of that day.
Rows of a source that existed then begin at run 0, those of a new source at its first run. A sighting that ended and is
current again keeps its one row; the runs between are in `sighting_gaps`."""

STRENGTH_DDL = """
alter table tags add column strength text not null default 'stated' check (strength in ('stated', 'likely', 'implied'));
alter table tags add column certainty real check (certainty between 0 and 1);
alter table tags add column how text;
drop index tags_value;
create index tags_value on tags (facet, value, doi, strength);
create index tags_likely on tags (certainty) where strength = 'likely';
create trigger tags_change after update of strength on tags when old.strength <> new.strength begin
    insert into unannounced select new.doi where not exists (select 1 from unannounced where doi = new.doi);
end;
update works set basis = '';
"""
"""Every tag counts as stated until its work is judged again."""

TOPIC_DDL = """
create table topic (
    topic text primary key not null,
    title text not null,
    content text not null
) strict;
"""
"""One row: the topic that the works are judged by, as `Topic.to_json` writes it."""

REGISTRATIONS_DDL = """
create table registrations (
    doi text not null references works (doi) on delete cascade,
    number text not null,
    stated_in text not null check (stated_in in ('record', 'text')),
    primary key (doi, number)
) strict, without rowid;
create index registrations_number on registrations (number);
update works set basis = '';
"""
"""The numbers under which the study of each work is registered. Every work is judged again, which fills the table."""

_EVIDENCE = "'updated-by', 'update-to', 'title', 'comments-corrections', 'publication-type', 'retraction-watch'"

PROVIDERS_DDL = f"""
create table provider_records (
    provider text not null,
    subject text not null check (subject <> ''),
    version integer not null,
    digest text not null,
    message text not null,
    fetched_at text not null,
    first_run integer not null references runs (run),
    last_run integer references runs (run),
    primary key (provider, subject, version)
) strict;
create unique index provider_records_current on provider_records (provider, subject) where last_run is null;
create index provider_records_subject on provider_records (subject);
create table provider_answers (
    provider text not null,
    subject text not null check (subject <> ''),
    state text not null check (state in ('asked', 'could not ask')),
    found integer check (found in (0, 1)),
    problem text,
    asked_at text,
    failed_since text,
    next_try text,
    run integer not null references runs (run),
    primary key (provider, subject),
    check ((state = 'asked') = (failed_since is null)),
    check ((asked_at is null) = (found is null))
) strict, without rowid;
create index provider_answers_subject on provider_answers (subject);
create table provider_requests (
    request integer primary key,
    run integer not null references runs (run),
    provider text not null,
    asked text not null,
    requests integer not null,
    found integer not null,
    none integer not null,
    refused integer not null,
    failed integer not null,
    asked_at text not null
) strict;
create index provider_requests_run on provider_requests (run);

alter table works add column abstract_source text;
alter table works add column abstract_at text;
alter table works add column open_access text;
drop trigger works_change;
create trigger works_change after update of content, verdict, same_as, gone, conflict, abstract_source on works
when (old.content, old.verdict, old.same_as, old.gone, old.conflict, old.abstract_source) is not
    (new.content, new.verdict, new.same_as, new.gone, new.conflict, new.abstract_source) begin
    insert into unannounced select new.doi where not exists (select 1 from unannounced where doi = new.doi);
end;
alter table announced add column abstract_source text;
update announced set abstract_source = 'publisher'
where exists (select 1 from works w where w.doi = announced.doi and w.abstract is not null);
update works set abstract_source = 'publisher' where abstract is not null;

create table identifiers (
    doi text not null references works (doi) on delete cascade,
    kind text not null check (kind in ('pmid', 'pmcid', 'openalex', 'registration')),
    identifier text not null,
    source text not null,
    primary key (doi, kind, identifier, source)
) strict, without rowid;
create index identifiers_identifier on identifiers (identifier, kind);
insert into identifiers select doi, 'registration', number, iif(stated_in = 'record', 'crossref', 'text') from registrations;
drop table registrations;
create table facts (
    doi text not null references works (doi) on delete cascade,
    kind text not null check (kind in ('publication-type', 'mesh', 'country', 'funder', 'open-access', 'licence')),
    fact text not null,
    source text not null,
    major integer not null default 0 check (major in (0, 1)),
    primary key (doi, kind, fact, source)
) strict, without rowid;
create index facts_fact on facts (kind, fact);
create table registered_studies (
    number text primary key not null,
    title text,
    status text,
    enrolment integer,
    started text,
    completed text,
    primary_outcomes text not null check (json_valid(primary_outcomes)),
    secondary_outcomes text not null check (json_valid(secondary_outcomes)),
    result_pmids text not null check (json_valid(result_pmids)),
    source text not null
) strict;
create table datacite_works (
    doi text primary key not null check (doi = lower(doi)),
    title text,
    kind text,
    container text,
    published text
) strict;

alter table updates rename to updates_before;
drop index updates_said_by;
drop index updates_doi;
drop index updates_notice_doi;
create table updates (
    said_by text not null references works (doi) on delete cascade,
    doi text not null,
    kind text not null,
    notice_doi text not null,
    issued text,
    source text,
    evidence text not null check (evidence in ({_EVIDENCE})),
    notice_id text
) strict;
insert into updates select *, null from updates_before;
drop table updates_before;
create index updates_said_by on updates (said_by);
create index updates_doi on updates (doi);
create index updates_notice_doi on updates (notice_doi);

alter table notices rename to notices_before;
drop trigger notices_come;
drop trigger notices_leave;
create table notices (
    doi text not null references works (doi) on delete cascade,
    kind text not null,
    notice_doi text not null,
    stands_on text not null,
    relation text not null check (relation in ('own', 'record', 'article', 'preprint')),
    issued text,
    source text,
    evidence text not null check (evidence in ({_EVIDENCE})),
    undone integer not null default 0 check (undone in (0, 1)),
    notice_id text,
    primary key (doi, kind, notice_doi)
) strict;
insert into notices select *, null from notices_before;
drop table notices_before;
create trigger notices_come after insert on notices begin
    insert into unannounced select new.doi where not exists (select 1 from unannounced where doi = new.doi);
end;
create trigger notices_leave after delete on notices begin
    insert into unannounced select old.doi where not exists (select 1 from unannounced where doi = old.doi);
end;

alter table notice_history rename to notice_history_before;
create table notice_history (
    doi text not null check (doi = lower(doi)),
    first_run integer not null references runs (run),
    last_run integer references runs (run),
    kind text not null,
    notice_doi text not null,
    stands_on text not null,
    relation text not null check (relation in ('own', 'record', 'article', 'preprint')),
    issued text,
    source text,
    evidence text not null check (evidence in ({_EVIDENCE})),
    undone integer not null default 0 check (undone in (0, 1)),
    notice_id text,
    noted integer references runs (run),
    primary key (doi, kind, notice_doi, first_run)
) strict;
insert into notice_history
select doi, first_run, last_run, kind, notice_doi, stands_on, relation, issued, source, evidence, undone, null, noted
from notice_history_before;
drop table notice_history_before;

alter table reasons rename to reasons_before;
create table reasons (
    doi text not null references works (doi) on delete cascade,
    facet text not null,
    value text not null,
    rule text not null,
    field text not null check (field in ('title', 'abstract', 'kind', 'container', 'person', 'publication-type', 'mesh')),
    start integer not null,
    stop integer not null,
    quote text not null,
    primary key (doi, facet, value, rule, field, start, stop, quote)
) strict, without rowid;
insert into reasons select * from reasons_before;
drop table reasons_before;

alter table changes rename to changes_before;
drop index changes_run;
drop index changes_doi;
create table changes (
    change integer primary key,
    run integer not null references runs (run),
    doi text not null,
    what text not null check (what in ('new', 'content', 'verdict', 'duplicate', 'notice', 'notice-ended', 'reopened', 'gone',
        'back', 'moved', 'abstract', 'tags')),
    before text,
    after text,
    verdict text
) strict;
insert into changes select * from changes_before;
drop table changes_before;
create index changes_run on changes (run, what, verdict);
create index changes_doi on changes (doi);
update works set basis = '';
"""
"""What other providers add to works: their records as sent, when each was asked about each work, and what today's code reads in
the records. Every work is judged again. Tables are made again where a check names one value more."""

DEPOSITED_LISTS_DDL = """
alter table works add column references_deposited integer;
alter table works add column references_without_doi integer;
update works set basis = '';
"""
"""How long each work's deposited reference list is, and how much of it has no DOI. Every work is judged again, which fills the
columns from the records."""

EXPORTS_DDL = """
create table exports (
    export integer primary key,
    made_at text not null,
    kind text not null check (kind in ('export', 'publish')),
    name text,
    format text,
    filters text not null check (json_valid(filters)),
    list integer not null,
    works integer not null,
    run integer references runs (run),
    unfinished integer references runs (run),
    version text not null
) strict;
create index exports_filters on exports (kind, filters);
create table exported_works (
    doi text not null check (doi = lower(doi)),
    list integer not null references exports (export),
    first_export integer not null references exports (export),
    last_export integer references exports (export),
    primary key (doi, list, first_export)
) strict, without rowid;
create index exported_works_current on exported_works (list) where last_export is null;
"""
"""Files of works that were exported, and published copies. Exports of one kind with the same filters share a list (the number of
the first of them), so that a weekly export of the same works adds one row. `run` is the last run that had ended, `unfinished` one
that had not. Exports made before this migration are not known."""

IMPORTS_DDL = """
alter table sources add column method text check (method in ('database', 'register', 'website', 'organisation', 'citation',
    'other'));
alter table source_history add column method text;
create table imported_records (
    source text not null references sources (source),
    record text not null,
    doi text not null check (doi = lower(doi)),
    stated_doi text,
    status text not null check (status in ('resolved', 'repaired', 'matched', 'mismatch', 'ambiguous', 'not-in-crossref',
        'not-found', 'no-doi', 'not-asked')),
    problem text,
    score real,
    citation text not null,
    message text not null check (message = '' or json_valid(message)),
    place text not null,
    first_run integer not null references runs (run),
    asked_run integer references runs (run),
    primary key (source, record)
) strict;
create index imported_records_doi on imported_records (doi);
create index imported_records_status on imported_records (status) where status not in ('resolved', 'repaired', 'matched');
"""
"""The records of imported files, each with the work that it was found to describe: a DOI, or a local id where it has none. A
source with a `method` is one of imported files; the method says in which box of the PRISMA flow its records are counted."""

VERSIONS_DDL = """
create table versions (
    version integer primary key,
    name text not null unique,
    run integer not null references runs (run),
    made_at text not null,
    made_by text,
    note text,
    topic text not null,
    rules text not null,
    program text not null,
    decisions integer not null,
    decisions_digest text not null,
    included integer not null,
    excluded integer not null,
    unsure integer not null
) strict;
create trigger versions_stay_update before update on versions
begin select raise(abort, 'a version is never changed: name another one'); end;
create trigger versions_stay_delete before delete on versions
begin select raise(abort, 'a version is never removed: name another one'); end;
create table version_tags (
    doi text not null check (doi = lower(doi)),
    first_version integer not null references versions (version),
    last_version integer references versions (version),
    tags text not null check (json_valid(tags)),
    primary key (doi, first_version)
) strict, without rowid;
update verdict_history set why = (
    select substr(d.reason, 1, instr(d.reason || ' | note: ', ' | note: ') - 1) from decisions d
    where d.doi = verdict_history.doi and d.action = 'verdict' and d.verdict = 'exclude'
    order by d.made_at desc, d.decision desc limit 1)
where verdict = 'exclude' and decided = 'person' and last_run is null;
"""
"""Named states of the review, and the tags that works had in them. The tags of a work are one row for as many versions as they
stay the same: from `first_version` on until `last_version`, the first that has others. The reason that a reviewer gave for an
exclusion is from now on in `verdict_history`, so that a later decision cannot change what is said of an earlier run."""

CAPSULES_DDL = """
create table capsules (
    capsule integer primary key,
    made_at text not null,
    kind text not null check (kind in ('whole', 'public')),
    name text not null,
    digest text not null,
    files integer not null,
    bytes integer not null,
    run integer not null references runs (run),
    version text references versions (name),
    program text not null
) strict;
"""
"""Capsules that were written, each with the digest of its manifests: what tells later whether a capsule is the one written
then."""

WATCHES_DDL = """
create table watches (
    watch text primary key not null,
    filter text not null,
    first_run integer not null
) strict;
create table watched (
    watch text not null references watches (watch),
    doi text not null,
    first_run integer not null,
    last_run integer,
    primary key (watch, doi, first_run)
) strict, without rowid;
create index watched_doi on watched (doi);
"""
"""The works in the list of each watch of sources.yaml, from the run `first_run` on until `last_run`. Tags have no history, so
this is how it is known that a tag brought a work into a list. A watch is compared with its list when a sync has ended and before
a report; the works that it begins with have its own `first_run`, and are no news."""

BACKFILL_DDL = """
create table backfilled_files (
    name text not null,
    size integer not null,
    modified integer not null,
    asked text not null,
    records integer not null,
    matched integer not null,
    primary key (name, size, modified)
) strict;
create table backfill_records (
    record integer primary key,
    place text not null,
    message text not null check (json_valid(message))
) strict;
"""
"""The files of Crossref's public data file that were read to their end, with a digest of what was asked of them; and the records
found in them, until these have become works."""

SHORT_LIST = 3
"""A work that cites at most as many works is a comment or a digest of one of them."""

_RELATED = (
    "is-comment-on", "has-comment", "is-reply-to", "has-reply", "is-preprint-of", "has-preprint", "is-version-of", "has-version",
    "is-translation-of", "has-translation", "is-derived-from", "has-derivation", "is-based-on", "is-basis-for", "continues",
    "is-continued-by", "is-supplement-to", "is-supplemented-by", "is-manuscript-of", "has-manuscript", "is-related-material",
    "has-related-material", "is-original-form-of", "is-variant-form-of",
)  # fmt: skip
"""Relations of Crossref that link a work to one about the same study; not those of reviewers' reports, or of mere citations."""
_NO_WORKS = ("component", "grant", "peer-review")


def views(topic: Topic) -> dict[str, str]:
    """Views for readers: name → SQL. Two of them have columns for the topic's facets. A view is made again when a database is
    opened for writing and its text has changed."""
    return {**_topic_views(topic), **_VIEWS}


def _topic_views(topic: Topic) -> dict[str, str]:
    tags = "".join(f"{_tags_of(facet)},\n            " for facet in topic.facet_ids)
    rows, columns = topic.map

    def counted(values: tuple[str, ...]) -> str:
        listed = ", ".join(f"'{value}'" for value in values)
        return f"""count(distinct case when exists (select 1 from shown_tags d where d.doi = w.doi and d.facet = '{topic.design}'
                and d.value in ({listed})) then w.doi end)"""

    return {
        "studies": f"""
        select w.doi, w.title, w.authors, w.container, w.year,
            {tags}w.notice, w.judged_on, w.decided, w.kind, w.url
        from works w
        where w.verdict = 'include'
    """,
        "evidence_map": f"""
        select r.value as "{rows}", c.value as "{columns}", count(distinct w.doi) as works,
            {counted(topic.trials)} as trials,
            {counted(topic.reviews)} as reviews
        from works w
        join shown_tags r on r.doi = w.doi and r.facet = '{rows}'
        join shown_tags c on c.doi = w.doi and c.facet = '{columns}'
        where w.verdict = 'include'
        group by r.value, c.value
    """,
    }


_VIEWS = {
    "shown_tags": """
        select doi, facet, value, decided, strength, certainty, how from tags where strength <> 'implied'
    """,
    "to_check": f"""
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
                (select count(*) from shown_tags t where t.doi = w.doi) as tags
            from works w
            where ({WAITING}) and w.verdict = 'unsure'
        )
        order by likely desc, year desc, doi
    """,
    "registrations": """
        select distinct doi, identifier as number from identifiers where kind = 'registration'
    """,
    "linked_to_included": f"""
        select w.doi, w.title, w.authors, w.container, w.year, w.verdict, w.why, l.included, i.title as included_title,
            l.link, w.url
        from (
            select b.doi, a.doi as included, 'registration ' || a.identifier as link
            from identifiers a join identifiers b on b.identifier = a.identifier and b.kind = a.kind and b.doi <> a.doi
            where a.kind = 'registration'
            union all
            select r.other, r.doi, r.kind from relations r where r.kind in {_RELATED}
            union all
            select al.doi, r.doi, r.kind from aliases al join relations r on r.other = al.alias
            where al.last_run is null and r.kind in {_RELATED}
            union all
            select r.doi, coalesce(al.doi, r.other), r.kind
            from relations r left join aliases al on al.alias = r.other and al.last_run is null where r.kind in {_RELATED}
            union all
            select c.doi, c.cited, 'one of at most {SHORT_LIST} references' from works k join cites c on c.cited = k.doi
            where k.verdict = 'include' and (select count(*) from cites e where e.doi = c.doi) <= {SHORT_LIST}
        ) l
        join works i on i.doi = l.included and i.verdict = 'include'
        join works w on w.doi = l.doi
        where w.verdict in ('unsure', 'exclude') and w.decided = 'rule' and w.notice_of is null
            and coalesce(w.kind, '') not in {_NO_WORKS}
    """,
    "decisions_to_check": f"""
        select w.doi, w.title, w.authors, w.container, w.year, w.verdict, w.conflict, w.decided, w.url
        from works w
        where ({WAITING}) and w.verdict in ('include', 'exclude')
        order by w.year desc, w.doi
    """,
    "pairs_to_check": """
        select d.doi, w.title, w.year, w.container, d.other, o.title as other_title, o.year as other_year,
            o.container as other_container, d.reason
        from duplicates d join works w on w.doi = d.doi join works o on o.doi = d.other
        where d.verdict = 'doubtful'
            and (w.verdict in ('include', 'unsure') or o.verdict in ('include', 'unsure'))
            and (w.verdict in ('include', 'unsure') or w.decided = 'person' and w.verdict = 'exclude')
            and (o.verdict in ('include', 'unsure') or o.decided = 'person' and o.verdict = 'exclude')
    """,
    "decisions_without_work": """
        select d.decision, d.doi, d.action, d.verdict, d.facet, d.value, d.reason, d.reviewer, d.made_at
        from decisions d
        where not (exists (select 1 from works w where w.doi = d.doi)
                or exists (select 1 from aliases a join works w on w.doi = a.doi where a.alias = d.doi and a.last_run is null))
            or (d.facet = 'same-work' and not (exists (select 1 from works w where w.doi = d.value)
                or exists (select 1 from aliases a join works w on w.doi = a.doi
                    where a.alias = d.value and a.last_run is null)))
    """,
    "citations_to_check": """
        select c.source, c.position, c.text, c.stated_doi, c.status, c.problem
        from citations c
        where c.retired is null and c.status not in ('resolved', 'matched')
    """,
    "searches_read": """
        with newest as (
            select q.source, max(q.run) as run
            from requests q join sources o on o.source = q.source and o.spec = q.spec
            join runs r on r.run = q.run and r.door = 'crossref'
            where q.indexed_from is null group by q.source
        ), windows as (
            select q.source, q.created_from, q.created_until, max(q.request) as request, q.total, q.reached, q.last_match,
                q.recent, q.ended, q.unread
            from requests q join newest n on n.source = q.source and n.run = q.run
            join sources o on o.source = q.source and o.spec = q.spec
            where q.indexed_from is null group by q.source, q.created_from, q.created_until
        ), depths as (
            select source, count(*) filter (where ended is not 'split') as windows,
                count(ended) = 1 + 2 * count(*) filter (where ended = 'split') as finished,
                count(*) filter (where ended = 'cut') as cut, count(*) filter (where ended = 'quiet') as quiet,
                sum(total) filter (where ended is not 'split') as total,
                max(total) as first_total,
                sum(reached) filter (where ended is not 'split') as reached,
                coalesce(max(last_match) filter (where ended is not 'split' and ended is not 'complete'),
                    max(last_match) filter (where ended is not 'split')) as last_match,
                coalesce(max(recent) filter (where ended is not 'split' and ended is not 'complete'),
                    max(recent) filter (where ended is not 'split')) as recent,
                sum(unread) as unread
            from windows group by source
        ), later as (
            select q.source, count(distinct q.run) as quiet
            from requests q join newest n on n.source = q.source and n.run < q.run
            where q.indexed_from is not null and q.ended = 'quiet' group by q.source
        )
        select o.source, o.label, n.run, substr(r.started, 1, 10) as asked,
            case when d.source is null then 'unread' when not d.finished then 'unfinished' when d.cut then 'cut'
                when d.quiet then 'quiet' else 'complete' end as ended,
            d.windows, d.reached, case when d.finished then d.total else d.first_total end as total, d.last_match, d.recent,
            d.unread, l.quiet as quiet_increments
        from sources o left join newest n on n.source = o.source left join runs r on r.run = n.run
            left join depths d on d.source = o.source left join later l on l.source = o.source
        where o.kind = 'search' and o.retired is null
    """,
    "history": """
        select s.doi, s.version, r.started as seen, s.first_run, s.last_run, s.digest, w.title
        from snapshots s
        join runs r on r.run = s.first_run
        left join works w on w.doi = s.doi
    """,
    "screening_history": """
        select h.doi, w.title, w.year, h.verdict, h.decided, h.why, h.same_as, h.conflict, h.first_run,
            coalesce(h.last_run, (select max(run) + 1 from runs)) as until_run
        from verdict_history h left join works w on w.doi = h.doi
    """,
    **prisma_flow.VIEWS,
}
"""The views that are the same for every topic."""


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
    """A copy of the ledger for the site, which has this file alone, and an index of the works that wait for a person."""
    _run_script(db.conn, SHOWN_DECISIONS_DDL)


@decisions()
def d002_withdrawing(db: Database) -> None:
    """A decision can be withdrawn. Every earlier decision is kept as it is."""
    _run_script(db.conn, WITHDRAWING_DDL)


@evidence()
def m003_search_depth(db: Database) -> None:
    """The limits of each request of a search, how deep it read and how its window ended."""
    _run_script(db.conn, SEARCH_DEPTH_DDL)


@evidence()
def m004_updates(db: Database) -> None:
    """Notices show on every record of the work they are about, whichever record states them and whichever came first."""
    _run_script(db.conn, UPDATES_DDL)


@evidence()
def m005_known_works(db: Database) -> None:
    """What a sync learns about known works: gone, moved, indexed again, cited more often. Which records today's code cannot
    understand. Authors with the names of the current records."""
    _run_script(db.conn, KNOWN_WORKS_DDL)


@evidence()
def m006_rejects_where(db: Database) -> None:
    """Where a record that could not be understood came from: a file and line, or a place in the results."""
    _run_script(db.conn, REJECTS_WHERE_DDL)


@evidence()
def m007_not_in_files(db: Database) -> None:
    """A status of its own for a stated DOI that is not in the files that were read: they cannot tell whether it exists."""
    for (name,) in db.conn.execute("select name from sqlite_master where type = 'view'").fetchall():
        db.conn.execute(f"drop view {name}")  # SQLite does not rename a table that a view reads
    _run_script(db.conn, NOT_IN_FILES_DDL)


@evidence()
def m008_kept_metadata(db: Database) -> None:
    """The history of verdicts, and more metadata than judging needs: the next `judge` fills them from the records.

    Earlier verdicts are not known: those of the day of the upgrade are taken to hold from the work's first run on, and `noted`
    says so. Views are dropped before their tables change, and made again by `make_views`.
    """
    for (name,) in db.conn.execute("select name from sqlite_master where type = 'view'").fetchall():
        db.conn.execute(f"drop view {name}")
    _run_script(db.conn, KEPT_METADATA_DDL)


@evidence()
def m010_changes(db: Database) -> None:
    """Every change of a work is announced once. The state of today counts as announced; every work is judged again, so that its
    content is known."""
    _run_script(db.conn, CHANGES_DDL)


@evidence()
def m011_as_of(db: Database) -> None:
    """The history of notices and of sources, so that a list of a past day shows them as they were."""
    _run_script(db.conn, AS_OF_DDL)


@evidence()
def m012_strength(db: Database) -> None:
    """How surely the text says each tag, and by what. Every work is judged again, which tells it."""
    _run_script(db.conn, STRENGTH_DDL)


@evidence()
def m013_topic(db: Database) -> None:
    """The database knows its topic. Until now there was one, and a new database has it until its first sync."""
    _run_script(db.conn, TOPIC_DDL)
    write_topic(db.conn, topics.load())


@evidence()
def m014_registrations(db: Database) -> None:
    """The registration numbers of each work's study, deposited or named in its text, so that works of one study are linked."""
    _run_script(db.conn, REGISTRATIONS_DDL)


@evidence()
def m015_providers(db: Database) -> None:
    """Records of other providers beside Crossref's: abstracts, identifiers, notices and facts."""
    _run_script(db.conn, PROVIDERS_DDL)


@evidence()
def m016_deposited_lists(db: Database) -> None:
    """How long each work's deposited reference list is, so that what it lacks can be told from what is not known."""
    _run_script(db.conn, DEPOSITED_LISTS_DDL)


@evidence()
def m017_exports(db: Database) -> None:
    """What is exported and published from now on, and which works it holds."""
    _run_script(db.conn, EXPORTS_DDL)


@evidence()
def m018_imported_records(db: Database) -> None:
    """Records of imported files, with or without a DOI, and by which method of PRISMA each source was searched."""
    _run_script(db.conn, IMPORTS_DDL)


@evidence()
def m019_versions(db: Database) -> None:
    """Named states of the review, with their tags; the reasons of reviewers' exclusions are kept for each run."""
    _run_script(db.conn, VERSIONS_DDL)


@evidence()
def m020_capsules(db: Database) -> None:
    """The capsules that are written from now on, with their digests."""
    _run_script(db.conn, CAPSULES_DDL)


@evidence()
def m021_watches(db: Database) -> None:
    """The works in the lists that sources.yaml watches."""
    _run_script(db.conn, WATCHES_DDL)


@evidence()
def m022_backfill(db: Database) -> None:
    """Which files of Crossref's public data file were read."""
    _run_script(db.conn, BACKFILL_DDL)


@decisions()
def d003_what_a_decision_had_seen(db: Database) -> None:
    """A decision names the decisions its reviewer had seen, so that copies can be merged in any order. Every earlier decision is
    kept; each is taken to have seen its reviewer's previous one on the same subject, by the times given."""
    db.conn.execute("drop trigger decisions_are_append_only_update")
    _run_script(db.conn, SEEN_DDL)
    columns = "doi, action, verdict, facet, value, reason, reviewer, made_at, rules, record, rule_said"
    rows = db.conn.execute(f"select decision, {columns} from decisions order by decision").fetchall()
    decided = {decision_id(Decision(*row)): number for number, *row in rows}
    seen = [
        (json.dumps(d.seen), decided[decision_id(d)]) for d in infer_seen(Decision(*row) for _, *row in rows) if d.seen
    ]
    db.conn.executemany("update decisions set seen = ? where decision = ?", seen)
    _run_script(db.conn, APPEND_ONLY_DDL)


def migrate(db: Database, migrations: Migrations) -> None:
    """Make the tables and views of a database, or bring them to today's schema, and mark the file as ours. Called inside the
    caller's transaction, so that a file never has half of them."""
    conn, listed = db.conn, Migrations.migrations_table
    if db.table(listed).exists() and not db.table(listed).count:
        conn.execute(f"drop table {listed}")  # left by an earlier version that was killed, perhaps without its index
    for name in _stored_views(conn):
        conn.execute(f"drop view {name}")  # a migration may change what a view reads
    migrations.apply(db)
    conn.execute(f"pragma application_id = {APPLICATION_ID}")
    if migrations is evidence:
        make_views(conn)


def make_views(conn: sqlite3.Connection) -> None:
    """Make the views again if their text has changed; called inside the caller's transaction."""
    if has_views(conn):
        return
    for name in _stored_views(conn):
        conn.execute(f"drop view {name}")
    for sql in _wanted_views(conn).values():
        conn.execute(sql)


def has_views(conn: sqlite3.Connection) -> bool:
    """Whether every view has today's text."""
    return _stored_views(conn) == _wanted_views(conn)


def read_topic(conn: sqlite3.Connection) -> Topic:
    """The topic of `evidence.db`, without files; for a database of an earlier version the only one there was."""
    if not conn.execute("select 1 from sqlite_master where name = 'topic'").fetchone():
        return topics.load()
    (content,) = conn.execute("select content from topic").fetchone()
    return topics.from_json(content)


def write_topic(conn: sqlite3.Connection, topic: Topic) -> None:
    """Replace the topic, if it differs; called inside the caller's transaction, and `make_views` must follow."""
    row = (topic.id, topic.title, topic.to_json())
    if conn.execute("select topic, title, content from topic").fetchone() != row:
        conn.execute("delete from topic")
        conn.execute("insert into topic (topic, title, content) values (?, ?, ?)", row)


def _stored_views(conn: sqlite3.Connection) -> dict[str, str]:
    return dict(conn.execute("select name, sql from sqlite_master where type = 'view'").fetchall())


def _wanted_views(conn: sqlite3.Connection) -> dict[str, str]:
    # In capitals, as SQLite stores it: otherwise the texts would differ, and every opening would make all views again.
    return {name: f"CREATE VIEW {name} as{body.rstrip()}" for name, body in views(read_topic(conn)).items()}


def _run_script(conn: sqlite3.Connection, script: str) -> None:
    """Run the statements one by one: `executescript` would commit the migration's transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            conn.execute(statement)
            statement = ""
