"""A small database for the site's tests: works that exist, in the schema as it is, written by hand.

Bibliographic facts only (the article's nine citations and a few works of the field); the tags here are the test's own, not
what the rules would say.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlite_utils import Database

from evidence.database import schema

ARTICLE = "article-references"

# doi, title, authors, container, issued, kind, verdict, notice
WORKS = (
    ("10.1016/j.cpr.2013.09.002", "Mechanisms of change in interpersonal therapy (IPT)", "Lipsitz JD, Markowitz JC",
     "Clinical Psychology Review", "2013-12", "journal-article", "include", None),
    ("10.1002/jclp.21857", "Couple Therapy for Depression", "Whisman MA, Beach SRH", "Journal of Clinical Psychology",
     "2012-05", "journal-article", "unsure", None),
    ("10.1176/appi.ajp.2015.15091141",
     "Interpersonal Psychotherapy for Mental Health Problems: A Comprehensive Meta-Analysis",
     "Cuijpers P, Donker T, Weissman MM, Ravitz P, Cristea IA", "American Journal of Psychiatry", "2016-07",
     "journal-article", "include", None),
    ("10.1017/s0033291719000928",
     "Dynamic interpersonal therapy for moderate to severe depression: a pilot randomized controlled and feasibility trial",
     "Fonagy P, Lemma A, Target M", "Psychological Medicine", "2020-04", "journal-article", "include", None),
    ("10.1097/nmd.0000000000000789",
     "Metacognitive Interpersonal Therapy for Personality Disorders Featuring Emotional Inhibition",
     "Gordon-King K, Schweitzer RD, Dimaggio G", "The Journal of Nervous and Mental Disease", "2018-04",
     "journal-article", "include", None),
    ("10.1007/s00520-016-3118-1",
     "Unresolved grief and its consequences. A nationwide follow-up of teenage loss of a parent to cancer 6–9 years earlier",
     "Bylund-Grenklo T, Fürst CJ, Nyberg T, Steineck G, Kreicbergs U", "Supportive Care in Cancer", "2016-07",
     "journal-article", "exclude", None),
    ("10.1017/s0033291716002774",
     ("The efficacy of psychotherapy, pharmacotherapy and their combination on functioning and quality of life in "
     "depression: a meta-analysis"), "Kamenov K, Twomey C, Cabello M, Prina AM, Ayuso-Mateos JL",
     "Psychological Medicine", "2017-02", "journal-article", "unsure", None),
    ("10.1002/cpp.1774", "Interpersonal Psychotherapy: Past, Present and Future", "Markowitz JC, Weissman MM",
     "Clinical Psychology & Psychotherapy", "2012-03", "journal-article", "include", None),
    ("10.1001/archpsyc.56.6.573", "Efficacy of interpersonal psychotherapy for depressed adolescents",
     "Mufson L, Weissman MM, Moreau D", "Archives of General Psychiatry", "1999", "journal-article", "include", None),
    ("10.1001/archgenpsychiatry.2011.67",
     "Cognitive therapy vs interpersonal psychotherapy in social anxiety disorder: a randomized controlled trial",
     "Stangier U, Schramm E, Heidenreich T, Berger M, Clark DM", "Archives of General Psychiatry", "2011",
     "journal-article", "include", None),
    ("10.1371/journal.pone.0019044",
     ("The Effect of Interpersonal Psychotherapy and other Psychodynamic Therapies versus 'Treatment as Usual' in Patients "
     "with Major Depressive Disorder"), "Jakobsen JC, Hansen JL, Simonsen E, Gluud C", "PLoS ONE", "2011-04",
     "journal-article", "include", "correction"),
    ("10.1186/s13063-016-1187-6",
     ("Interpersonal psychotherapy for depression and posttraumatic stress disorder among HIV-positive women in Kisumu, "
     "Kenya: study protocol for a randomized controlled trial"), "Onu C, Ongeri L, Bukusi E", "Trials", "2016-02",
     "journal-article", "include", "correction"),
    ("10.1001/archpsyc.1989.01810110013002",
     ("National Institute of Mental Health Treatment of Depression Collaborative Research Program: General Effectiveness "
     "of Treatments"), "Elkin I, Shea MT, Watkins JT, Imber SD", "Archives of General Psychiatry", "1989-11",
     "journal-article", "unsure", None),
)  # fmt: skip

# facet, value, label, meaning
FACETS = (
    ("variant", "ipt", "IPT", "Interpersonal psychotherapy in its standard or unspecified form."),
    ("variant", "ipt-a", "IPT-A", "Interpersonal psychotherapy for adolescents."),
    ("variant", "dit", "Dynamic interpersonal therapy", "Dynamic interpersonal therapy."),
    ("variant", "mit", "Metacognitive interpersonal therapy", "Metacognitive interpersonal therapy."),
    ("variant", "ipt-ptsd", "IPT for PTSD", "Interpersonal psychotherapy for posttraumatic stress disorder."),
    ("outcome", "depressive-symptoms", "Depressive symptoms", "How severe the depression is."),
    ("outcome", "anxiety", "Anxiety", "Symptoms of anxiety."),
    ("outcome", "quality-of-life", "Quality of life", "Quality of life as people rate it."),
    ("design", "rct", "Randomised trial", "Results of a randomised controlled trial."),
    ("design", "cluster-rct", "Cluster-randomised trial", "Results of a trial that randomised groups."),
    ("design", "protocol", "Protocol", "The plan of a trial."),
    ("design", "meta-analysis", "Meta-analysis", "A quantitative synthesis."),
    ("design", "systematic-review", "Systematic review", "A review with a systematic search."),
    ("design", "narrative-review", "Narrative review", "A review without a systematic search."),
    ("condition", "depression", "Depression", "Depressive disorder."),
    ("condition", "grief", "Grief", "Prolonged or complicated grief."),
    ("problem_area", "grief", "Grief", "The problem area of grief."),
    ("population", "adolescents", "Adolescents", "People of 12 to 18 years."),
    # What the claims of the starter sources.yaml look at.
    *(
        (facet, value, value.replace("-", " ").capitalize(), f"The value {value}.")
        for facet, values in (
            ("variant", "ipt-couple ipt-m ipsrt ipt-perinatal ipt-late-life"),
            ("outcome", "alliance-process interpersonal-problems social-support-loneliness relationship-quality"),
            ("outcome", "onset-prevention relapse-recurrence personality-pathology emotion-alexithymia grief-symptoms"),
            ("outcome", "general-functioning"),
            ("format", "combined-medication"),
        )
        for value in values.split()
    ),
)

TAGS = (
    ("10.1016/j.cpr.2013.09.002", "variant", "ipt", "interpersonal therapy"),
    ("10.1176/appi.ajp.2015.15091141", "variant", "ipt", "Interpersonal Psychotherapy"),
    ("10.1176/appi.ajp.2015.15091141", "design", "meta-analysis", "Meta-Analysis"),
    ("10.1176/appi.ajp.2015.15091141", "outcome", "depressive-symptoms", "Mental Health"),
    ("10.1017/s0033291719000928", "variant", "dit", "Dynamic interpersonal therapy"),
    ("10.1017/s0033291719000928", "design", "rct", "randomized controlled"),
    ("10.1017/s0033291719000928", "condition", "depression", "depression"),
    ("10.1017/s0033291719000928", "outcome", "depressive-symptoms", "depression"),
    ("10.1097/nmd.0000000000000789", "variant", "mit", "Metacognitive Interpersonal Therapy"),
    ("10.1002/cpp.1774", "variant", "ipt", "Interpersonal Psychotherapy"),
    ("10.1002/cpp.1774", "design", "narrative-review", "Past, Present"),
    ("10.1001/archpsyc.56.6.573", "variant", "ipt-a", "interpersonal psychotherapy for depressed adolescents"),
    ("10.1001/archpsyc.56.6.573", "design", "rct", "Efficacy"),
    ("10.1001/archpsyc.56.6.573", "population", "adolescents", "adolescents"),
    ("10.1001/archpsyc.56.6.573", "outcome", "depressive-symptoms", "depressed"),
    ("10.1001/archgenpsychiatry.2011.67", "variant", "ipt", "interpersonal psychotherapy"),
    ("10.1001/archgenpsychiatry.2011.67", "design", "rct", "randomized controlled trial"),
    ("10.1001/archgenpsychiatry.2011.67", "outcome", "anxiety", "anxiety"),
    ("10.1371/journal.pone.0019044", "variant", "ipt", "Interpersonal Psychotherapy"),
    ("10.1371/journal.pone.0019044", "condition", "depression", "Depressive"),
    ("10.1371/journal.pone.0019044", "outcome", "depressive-symptoms", "Depressive"),
    ("10.1186/s13063-016-1187-6", "variant", "ipt-ptsd", "Interpersonal psychotherapy"),
    ("10.1186/s13063-016-1187-6", "design", "protocol", "study protocol"),
    ("10.1007/s00520-016-3118-1", "condition", "grief", "grief"),
    ("10.1007/s00520-016-3118-1", "problem_area", "grief", "grief"),
)

STRENGTHS = (
    ("10.1001/archgenpsychiatry.2011.67", "outcome", "anxiety", "likely", 0.71, "Anxiety: finding (“anxiety”)."),
    (
        "10.1371/journal.pone.0019044",
        "condition",
        "depression",
        "likely",
        0.93,
        "Depression: participants (“Depressive”).",
    ),
    ("10.1016/j.cpr.2013.09.002", "outcome", "depressive-symptoms", "implied", 0.3, "Depressive symptoms: title only."),
    ("10.1001/archpsyc.56.6.573", "outcome", "anxiety", "implied", 0.41, "Anxiety: title only."),
)
"""Tags that are not stated; those that are implied are not among `TAGS`."""

NOTICES = (
    ("10.1371/journal.pone.0019044", "correction", "10.1371/annotation/d74286e2-e872-4a7b-87d1-dfa230ff612d", None),
    ("10.1186/s13063-016-1187-6", "correction", "10.1186/s13063-016-1289-1", "2016"),
)

# text, stated DOI, DOI, status, problem
CITATIONS = (
    (("Lipsitz J, Markowitz J. Mechanisms of change in interpersonal therapy (IPT). Clin Psychol Rev. "
     "2013;33(8):1134-47."), "10.1016/j.cpr.2013.09.002", "10.1016/j.cpr.2013.09.002", "resolved", None),
    ("Whisman M, Beach S. Couple therapy for depression. J Clin Psy. 2012;68(5):526-35.", "10.1002/jclp.21857",
     "10.1002/jclp.21857", "resolved", None),
    ("International Society of Interpersonal Psychotherapy. Overview of IPT.", None, None, "no-doi",
     "a web page; it has no DOI"),
    (("Cuijpers P, Donker T, Weissman M, Ravitz P, Cristea I. Interpersonal psychotherapy for mental health problems: a "
     "comprehensive meta-analysis. Am J Psychiatry. 2016;173(7):680-7."), "10.1176/appi.ajp.2015.15091141",
     "10.1176/appi.ajp.2015.15091141", "resolved", None),
    (("Fonagy P, Lemma A, Target M, et al. Dynamic interpersonal therapy for moderate to severe depression: a pilot "
     "randomized controlled and feasibility trial. Psychol Med. 2020;50(6):1010-1019."), "1017/S0033291719000928",
     "10.1017/s0033291719000928", "repaired", "the DOI lacked its first three characters, “10.”"),
    (("Gordon-King K, Schweitzer R, Dimaggio G. Metacognitive interpersonal therapy for personality disorders featuring "
     "emotional inhibition: a multiple baseline case series. J Nerv Ment Dis. 2018;206(4):263-269."),
     "10.1097/NMD.0000000000000789", "10.1097/nmd.0000000000000789", "resolved", None),
    (("Bylund-Grenklo T, Furst T, Nyberg T, Steineck G, Kreicbergs U. Unresolved grief and its consequences. A nationwide "
     "follow-up of teenage loss of a parent to cancer 6-9 years earlier. Support Care Cancer. 2016;24(7):3095-103."),
     "10.1007/s00520-016-3118-1", "10.1007/s00520-016-3118-1", "resolved", None),
    (("Kamenov K, Twomey C, Cabello M, Prina A, Ayuso-Mateos J. The efficacy of psychotherapy, pharmacotherapy and their "
     "combination on functioning and quality of life in depression: a meta-analysis. Psychol Med. 2017;47(3):414-425."),
     "10.1017/S0033291716002774", "10.1017/s0033291716002774", "resolved", None),
    (("Markowitz J, Weissman M. Interpersonal psychotherapy: past, present, and future. Clin Psychol Psychother. "
     "2012;19(2):99-105."), "10.1002/cpp.1774", "10.1002/cpp.1774", "resolved", None),
)  # fmt: skip

CITED_BY_TWO = "10.1001/archpsyc.1991.01810360017002"


def make_sample(path: Path) -> Path:
    """Write the sample database to `path` and return it."""
    db = Database(path)
    schema.evidence.apply(db)
    with closing(db.conn) as conn:
        conn.execute(f"pragma application_id = {schema.APPLICATION_ID}")
        with conn:
            schema.make_views(conn)
            _runs_and_sources(conn)
            for i, work in enumerate(WORKS):
                add_work(conn, work, first_run=2 if i == 9 else 1)
            _tags(conn)
            conn.executemany(
                "insert into notices (doi, kind, notice_doi, stands_on, relation, issued, source, evidence) "
                "values (?1, ?2, ?3, ?1, 'own', ?4, 'publisher', 'updated-by')",
                NOTICES,
            )
            conn.executemany("insert into cites (doi, cited, asserted_by) values (?, ?, 'publisher')", [
                ("10.1016/j.cpr.2013.09.002", CITED_BY_TWO), ("10.1002/cpp.1774", CITED_BY_TWO),
                ("10.1002/cpp.1774", "10.1001/archpsyc.56.6.573"),
            ])  # fmt: skip
            conn.execute(
                "insert into relations (doi, kind, other, asserted_by) "
                "values ('10.1186/s13063-016-1187-6', 'is-supplemented-by', 'https://osf.io', "
                "'subject')"
            )
            conn.execute(
                "insert into duplicates (doi, other, verdict, decided, reason) values "
                "('10.1002/cpp.1774', '10.1016/j.cpr.2013.09.002', 'doubtful', 'rule', 'The titles differ in a word.')"
            )
            conn.execute("insert into works_fts(works_fts) values ('rebuild')")
            conn.execute(
                "insert into source_history (source, first_run, kind, label) select source, 0, kind, label from sources"
            )
            conn.execute(
                "insert into notice_history (doi, first_run, kind, notice_doi, stands_on, relation, issued, source, evidence) "
                "select doi, 1, kind, notice_doi, stands_on, relation, issued, source, evidence from notices"
            )
            _changes(conn)
    return path


def add_work(
    conn: sqlite3.Connection,
    work: tuple[str, str, str, str, str, str, str, str | None],
    *,
    first_run: int = 1,
    abstract: str | None = None,
) -> None:
    """One work with its record and a sighting; the full-text index is the caller's to rebuild."""
    doi, title, authors, container, issued, kind, verdict, notice = work
    why = {"include": "the title names the therapy", "exclude": "nothing names the therapy",
           "unsure": "a title alone that does not tell"}[verdict]  # fmt: skip
    conn.execute(
        """insert into works (doi, title, abstract, authors, container, issued, year, kind, verdict, screened, decided, why,
            judged_on, notice, language, cited_by, url, first_run, changed_run, basis)
        values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'rule', ?, ?, ?, 'en', 10, ?, ?, ?, 'b')""",
        (doi, title, abstract, authors, container, issued, int(issued[:4]), kind, verdict, verdict, why,
         "title+abstract" if abstract else "title", notice, f"https://doi.org/{doi}", first_run, first_run),
    )  # fmt: skip
    conn.execute(
        "insert into snapshots (doi, version, digest, message, first_run, last_run) values (?, 1, 'd', ?, ?, null)",
        (doi, json.dumps({"DOI": doi, "title": [title]}), first_run),
    )
    conn.execute(
        "insert into changes (run, doi, what, after, verdict) values (?, ?, 'new', ?, ?)",
        (first_run, doi, verdict, verdict),
    )
    conn.execute(
        "insert into verdict_history (doi, first_run, verdict, decided, why) values (?, ?, ?, 'rule', ?)",
        (doi, first_run, verdict, why if verdict == "exclude" else None),
    )
    conn.execute(
        "insert into sightings (source, doi, via, rank, score, first_run, last_run) "
        "values ('ipt-by-name', ?, 'search', 1, 20.5, ?, null)",
        (doi, first_run),
    )


def _changes(conn: sqlite3.Connection) -> None:
    """What the two runs announced, in order; nothing is left to announce."""
    conn.execute("delete from changes")
    sql = "insert into changes (run, doi, what, before, after, verdict) values (?, ?, ?, ?, ?, ?)"
    works = conn.execute(
        "select first_run, doi, 'new', null, verdict, verdict from works order by first_run, doi"
    ).fetchall()
    conn.executemany(sql, [work for work in works if work[0] == 1])
    notice = "correction 10.1371/annotation/d74286e2-e872-4a7b-87d1-dfa230ff612d"
    conn.executemany(sql, [
        (2, "10.1371/journal.pone.0019044", "notice", None, notice, "include"),
        (2, "10.1002/jclp.21857", "reopened", None, "The title has changed.", "include"),
    ])  # fmt: skip
    conn.executemany(sql, [work for work in works if work[0] == 2])
    conn.execute("delete from unannounced")


def _runs_and_sources(conn: sqlite3.Connection) -> None:
    conn.executemany("insert into runs (run, started, finished, outcome, door, version, counts) "
        "values (?, ?, ?, ?, 'crossref', '0.1', ?)", [
        (1, "2026-11-20T06:00:00Z", "2026-11-20T06:00:10Z", "complete", '{"changes": {"new": 12}}'),
        (2, "2026-11-24T06:00:00Z", "2026-11-24T06:00:04Z", "partial",
            '{"changes": {"notice": 1, "reopened": 1, "new": 1}}'),
    ])  # fmt: skip
    conn.executemany("insert into sources (source, kind, label, spec, bookmark, trouble, first_run) "
        "values (?, ?, ?, '{}', ?, ?, 1)", [
        (ARTICLE, "references", "References of “What Is Interpersonal Therapy for Depression?”", None, None),
        ("ipt-by-name", "search", "Interpersonal psychotherapy by name", "2026-11-22", None),
        ("ipt-a", "search", "IPT for adolescents", None, "the server kept answering 504"),
    ])  # fmt: skip
    conn.execute(
        'insert into requests (request, run, source, query, filters, spec, "offset", sort, asked_at, total, scanned, '
        "matched, truncated, reached, last_match, recent, ended, unread) values (1, 1, 'ipt-by-name', "
        "'bibliographic: interpersonal psychotherapy', 'type: journal-article', '{}', 9000, 'relevance', "
        "'2026-11-20T06:00:02Z', 12345, 1000, 12, 1, 10000, 9876, 12, 'cut', 2345)"
    )
    conn.executemany("insert into citations (source, position, text, stated_doi, doi, status, problem, score, first_run) "
        "values (?, ?, ?, ?, ?, ?, ?, ?, 1)", [
        (ARTICLE, i, text, stated, doi, status, problem, None if doi is None else 0.98)
        for i, (text, stated, doi, status, problem) in enumerate(CITATIONS, 1)
    ])  # fmt: skip
    conn.executemany("insert into sightings (source, doi, via, rank, score, first_run, last_run) "
        "values (?, ?, 'citation', null, null, 1, null)", [
        (ARTICLE, doi) for _, _, doi, _, _ in CITATIONS if doi
    ])  # fmt: skip
    conn.execute(
        "insert into rejects (digest, doi, source, reason, message, first_run) "
        "values ('r', '10.1000/182', 'ipt-by-name', 'the record has no title', '{}', 1)"
    )


def _tags(conn: sqlite3.Connection) -> None:
    titles = dict(conn.execute("select doi, title from works").fetchall())
    conn.executemany(
        "insert into facets (facet, value, label, meaning, position) values (?, ?, ?, ?, ?)",
        [(*facet, i) for i, facet in enumerate(FACETS)],
    )
    for doi, facet, value, quote in TAGS:
        start = titles[doi].index(quote)
        conn.execute("insert into tags (doi, facet, value, decided) values (?, ?, ?, 'rule')", (doi, facet, value))
        conn.execute(
            "insert into reasons (doi, facet, value, rule, field, start, stop, quote) "
            "values (?, ?, ?, ?, 'title', ?, ?, ?)",
            (doi, facet, value, f"{value}-named", start, start + len(quote), quote),
        )
    for doi, facet, value, *sure in STRENGTHS:
        conn.execute(
            "insert or ignore into tags (doi, facet, value, decided) values (?, ?, ?, 'rule')", (doi, facet, value)
        )
        conn.execute(
            "update tags set strength = ?, certainty = ?, how = ? where (doi, facet, value) = (?, ?, ?)",
            (*sure, doi, facet, value),
        )
    for doi, title in titles.items():
        start = title.lower().find("interpersonal")
        if start >= 0:
            conn.execute(
                "insert into reasons (doi, facet, value, rule, field, start, stop, quote) "
                "values (?, 'verdict', 'include', 'named', 'title', ?, ?, ?)",
                (doi, start, start + 13, title[start : start + 13]),
            )
