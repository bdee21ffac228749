"""Reference lists for the reviews of the bundled records, which have none: made up, the same each time, for tests of currency.

The works are real and the lists are not: nothing of this leaves a test's database.
"""

from __future__ import annotations

import sqlite3
from zlib import crc32

REVIEWS = """
    select w.doi, w.year from works w where w.verdict = 'include' and exists (
        select 1 from tags t where t.doi = w.doi and t.facet = 'design' and t.value in ('meta-analysis', 'systematic-review'))
    order by w.doi
"""
TRIALS = """
    select w.doi, w.year from works w where w.verdict = 'include' and exists (
        select 1 from tags t where t.doi = w.doi and t.facet = 'design' and t.value in ('rct', 'cluster-rct'))
    order by w.doi
"""


def add_lists(conn: sqlite3.Connection) -> None:
    """Three of four reviews get a list: about half of the trials up to their year, and sometimes one of the year after."""
    reviews, trials = conn.execute(REVIEWS).fetchall(), conn.execute(TRIALS).fetchall()
    for review, reviewed in reviews:
        if number(review) % 4 == 0:
            continue
        listed = [
            trial
            for trial, year in trials
            if trial != review
            and (number(review, trial) % 2 if (year or 0) <= (reviewed or 9999) else number(review, trial) % 11 == 0)
        ]
        without = number(review) % 9
        conn.execute(
            "update works set references_deposited = ?, references_without_doi = ? where doi = ?",
            (len(listed) + without + 5, without, review),
        )
        conn.executemany("insert into cites values (?, ?, 'crossref')", [(review, trial) for trial in listed])


def number(*texts: str) -> int:
    """A number that is the same each time."""
    return crc32("|".join(texts).encode())
