"""What the page of a work reads: other records of the same registered trial."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from evidence.database.read_work_page import SAME_STUDY
from tests import site_sample

BEFORE = """
    select w.doi, group_concat(a.number, ', ') as numbers
    from registrations a join registrations b on b.number = a.number and b.doi <> a.doi join works w on w.doi = b.doi
    where a.doi = :doi and w.verdict <> 'duplicate'
    group by w.doi order by w.verdict <> 'include', w.year, w.doi limit 200
"""


def test_works_of_the_same_trial_are_found_by_their_numbers(tmp_path: Path) -> None:
    path = site_sample.make_sample(tmp_path / "evidence.db")
    with closing(sqlite3.connect(path)) as conn:
        dois = [doi for (doi,) in conn.execute("select doi from works where verdict <> 'duplicate' order by doi")]
        numbers = {0: "AB", 1: "AB", 2: "BC", 3: "C", 4: "D", 5: "A"}
        with conn:
            conn.execute("delete from identifiers")
            conn.executemany(
                "insert into identifiers (doi, kind, identifier, source) values (?, ?, ?, ?)",
                [
                    (dois[place], kind, f"NCT{letter}", source)
                    for place, letters in numbers.items()
                    for letter in letters
                    for kind in ("registration", "pmid")
                    for source in ("pubmed", "europepmc")
                ],
            )
            conn.execute("update works set verdict = 'duplicate', same_as = ? where doi = ?", (dois[0], dois[5]))
        for analysed in (False, True):
            if analysed:
                conn.execute("analyze")
            for doi in dois:
                found = conn.execute(SAME_STUDY, {"doi": doi}).fetchall()
                expected = conn.execute(BEFORE, {"doi": doi}).fetchall()
                assert [(row[0], sorted(row[-1].split(", "))) for row in found] == [
                    (other, sorted(shared.split(", "))) for other, shared in expected
                ]
            assert {row[0]: row[-1] for row in conn.execute(SAME_STUDY, {"doi": dois[0]})} == {
                dois[1]: "NCTA, NCTB", dois[2]: "NCTB",
            }  # fmt: skip
            plan = [row[3] for row in conn.execute(f"explain query plan {SAME_STUDY}", {"doi": dois[0]})]
            assert [step for step in plan if step.startswith("SCAN")] == ["SCAN s"], plan
