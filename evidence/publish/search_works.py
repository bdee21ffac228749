"""What a person types into a search box → the works that fit it best.

A search is read as units: words, years, and names of values of the taxonomy. Each unit gives a set of works: those that have the
word (in any of its spellings) in title, authors, journal or abstract, those of that year, those that are tagged with the value.
A work is found if the units that it has weigh enough; a unit weighs the more, the fewer works have it. A word that no work has
is taken for a misspelling of the nearest word that some have.

It reads the database; it may not write, and knows no page.
"""

from __future__ import annotations

import json
import re
import sqlite3
from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from heapq import nsmallest
from itertools import accumulate, compress
from math import log
from typing import Final

from rapidfuzz import process
from rapidfuzz.distance import DamerauLevenshtein

from evidence import doi as dois
from evidence.database import read_queries
from evidence.export.read_text import read_record
from evidence.export.texts_to_read import GivenRecord
from evidence.linkage.identifiers import read_identifier
from evidence.plain_text import fold
from evidence.publish import bitset_counts
from evidence.publish.vocabulary import SHORTEST_MISSPELT, Vocabulary
from evidence.rules.normal_forms import normal_form
from evidence.rules.taxonomy import Taxonomy

LONGEST: Final = 1_000
"""Characters of a search that are read: a pasted reference has some hundred."""

MOST_UNITS: Final = 60
MOST_SHOWN: Final = 50
"""Works that are put in order; nobody looks further, and the list has all."""

ROUNDING: Final = 1e-9
"""Weights that are equal may differ by this when they were added up in another order."""

MARK: Final = "\x02"
"""What stands before and after words in `contexts`; no text in the database has it."""

COMMON: Final = 1_000
MOST_KEPT: Final = 500
"""Works that have a word from which on they are kept, and how many such sets."""

MOST_PATTERNS: Final = 400
"""Patterns of units and places into which the works are split; where there are more, works are looked at one by one."""

ENOUGH: Final = 0.6
ENOUGH_WITH_UNKNOWN: Final = 0.35
ENOUGH_OF_A_REFERENCE: Final = 0.35
"""The share of a search's weight that a work must have: of the units that some work has, of all units, and of a pasted reference,
which has volumes, pages and initials that no index has."""

REFERENCE_UNITS: Final = 9
"""Units from which a search is taken for a pasted reference or title."""

IN_ABSTRACT, BY_TAG = 0.6, 0.8
"""What a unit weighs in an abstract and as a tag, beside 1 in title, authors, journal or year."""

LONGEST_ABBREVIATION: Final = 6
"""Letters of a word in small letters that may be an abbreviation."""

STOP_WORDS: Final = frozenset((
    "a", "about", "after", "al", "all", "an", "and", "are", "as", "at", "be", "before", "by", "do", "does", "during", "et", "for",
    "from", "how", "in", "into", "is", "it", "its", "not", "of", "on", "or", "than", "that", "the", "their", "these", "this",
    "to", "v", "versus", "vs", "was", "were", "what", "when", "which", "who", "why", "will", "with",
))  # fmt: skip
_WORD = re.compile(r"[^\W_]+(?:['’.&-][^\W_]+)*")
_PARTS = re.compile(r"[^\W_]+")
BARE_PMID: Final = re.compile(r"[1-9][0-9]{4,7}")
"""Digits alone that may be a PMID. Shorter ones are rather a year or a page; PMIDs of works of this field are longer."""

_YEAR = re.compile(r"(?:19|20)\d\d")
_TOKENIZE = re.compile(r'tokenize="[^"]*"')
_ONE = ord("1")


@dataclass(frozen=True, slots=True)
class Scope:
    """What is searched: its name for people, and the verdicts of its works."""

    label: str
    verdicts: tuple[str, ...]


INCLUDED: Final = "include"
EVERYTHING: Final = "all"
SCOPES: Final = {
    INCLUDED: Scope("included works", ("include",)),
    "waiting": Scope("included works and those waiting for a decision", ("include", "unsure")),
    EVERYTHING: Scope(
        "all works, excluded ones and duplicate records too", ("include", "unsure", "exclude", "duplicate")
    ),
}
"""By their names in an address."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One part of a search. `words` are its spellings in the index, `year` a year, `values` are (facet, value) it names;
    `corrected` is the word it was taken for, where no work has it as typed. `unknown`: no
    work that is searched has it."""

    typed: str
    words: tuple[str, ...] = ()
    year: int | None = None
    values: tuple[tuple[str, str], ...] = ()
    corrected: str | None = None
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """What was found: the set of the works, and row numbers of the best of them, the best first; the search as it was read, and
    as it was corrected (None where it was searched as typed). `partial`: no work has enough of the search, and these have the
    most of it."""

    works: int
    rowids: tuple[int, ...]
    units: tuple[Unit, ...] = field(default=())
    corrected: str | None = None
    partial: bool = False


@dataclass(frozen=True, slots=True)
class _Having:
    """The works that have a unit, in three sets that share none, and its weight."""

    full: int
    by_tag: int
    in_abstract: int
    weight: float

    @property
    def works(self) -> int:
        return self.full | self.by_tag | self.in_abstract


def scope_named(name: str | None) -> Scope:
    """The scope with this name in an address; that of the included works for no name or an unknown one."""
    return SCOPES.get(name or "", SCOPES[INCLUDED])


def works_named(conn: sqlite3.Connection, text: str) -> list[str]:
    """The works that a text is an identifier of, none if it is none."""
    if doi := dois.parse_key(text):
        here = read_queries.canonical_doi(conn, doi)
        return [here] if read_queries.known_dois(conn, [here]) else []
    named = read_identifier(text, bare_pmid=bool(BARE_PMID.fullmatch(text)))
    return [str(doi) for doi in read_queries.works_with_identifier(conn, *named)] if named else []


def search(
    conn: sqlite3.Connection,
    text: str,
    vocabulary: Vocabulary,
    taxonomy: Taxonomy | None,
    sets: bitset_counts.WorkSets,
    verdicts: Sequence[str],
    among: int | None = None,
) -> Found:
    """The works of these verdicts that fit a search, and the best of those that are also `among` others (None: of all). Without a
    taxonomy, names of values are words like others. `sets` are those of this database."""
    units = read_units(conn, " ".join(text[:LONGEST].split()), vocabulary, taxonomy)
    allowed = sets.with_column("verdict", verdicts)
    total = allowed.bit_count()
    having: list[_Having] = []
    known = unknown = 0.0
    read = []
    for unit in units:
        full, by_tag, in_abstract = _places(conn, unit, sets, allowed)
        n = (full | by_tag | in_abstract).bit_count()
        weight = log((total + 1) / (n + 0.5)) + 0.05
        read.append(replace(unit, unknown=not n))
        if n:
            known += weight
            having.append(_Having(full, by_tag, in_abstract, weight))
        else:
            unknown += weight
    if len(units) < REFERENCE_UNITS:
        enough = max(ENOUGH * known, ENOUGH_WITH_UNKNOWN * (known + unknown))
    else:
        enough = ENOUGH_OF_A_REFERENCE * known
    works, best = _ranked(having, enough, among)
    if partial := not works and known > 0:
        works, best = _ranked(having, ENOUGH_WITH_UNKNOWN * (known + unknown), among)
    typed = " ".join(unit.corrected or unit.typed for unit in units)
    corrected = typed if any(unit.corrected for unit in units) else None
    return Found(works, best, tuple(read), corrected, partial=partial and bool(works))


def _ranked(having: Sequence[_Having], enough: float, among: int | None) -> tuple[int, tuple[int, ...]]:
    """The set of the works that have enough, and the best of those `among` others: those of the highest weights, of equal ones
    the first."""
    candidates, rest = 0, sum(unit.weight for unit in having)
    for unit in sorted(having, key=lambda unit: -unit.weight):
        if rest < enough - ROUNDING:
            break  # who has none of the units so far cannot have enough
        candidates |= unit.works
        rest -= unit.weight
    by_weight = _split(having, candidates, enough - ROUNDING)
    if by_weight is None:
        return _one_by_one(having, candidates, enough - ROUNDING, among)
    works, best = 0, list[int]()
    for _, having_it in sorted(by_weight.items(), reverse=True):
        works |= having_it
        if len(best) < MOST_SHOWN:
            shown = having_it if among is None else having_it & among
            best += bitset_counts.first_rowids(shown, MOST_SHOWN - len(best))
    return works, tuple(best)


def _split(having: Sequence[_Having], candidates: int, enough: float) -> dict[float, int] | None:
    """Weight → the works that have it, of those that have enough; None where there are too many patterns of units and places: the
    works are split by one unit after the other."""
    groups = [(0.0, candidates)] if candidates else []
    rest = sum(unit.weight for unit in having)
    for unit in having:
        rest -= unit.weight
        split = []
        for weight, works in groups:
            others = works & ~unit.works
            parts = ((1.0, unit.full), (BY_TAG, unit.by_tag), (IN_ABSTRACT, unit.in_abstract))
            split += [(weight + unit.weight * share, works & part) for share, part in parts]
            split.append((weight, others))
        groups = [(weight, works) for weight, works in split if works and weight + rest >= enough]
        if len(groups) > MOST_PATTERNS:
            return None
    found: defaultdict[float, int] = defaultdict(int)
    for weight, works in groups:
        found[round(weight, 9)] |= works
    return found


def _one_by_one(
    having: Sequence[_Having], candidates: int, enough: float, among: int | None
) -> tuple[int, tuple[int, ...]]:
    """The same as `_ranked`, for searches of many words."""
    places = [
        (works & candidates, unit.weight * share)
        for unit in having
        for works, share in ((unit.full, 1.0), (unit.by_tag, BY_TAG), (unit.in_abstract, IN_ABSTRACT))
    ]
    places = [(works, weight) for works, weight in places if works]
    weights = [weight for _, weight in places]
    flags = bitset_counts.flags_of(candidates)
    chosen = list(map(_ONE.__eq__, flags))
    columns = [compress(bitset_counts.flags_of(works).ljust(len(flags), b"0"), chosen) for works, _ in places]
    known: dict[tuple[int, ...], float] = {}
    found, scores = array("q"), array("d")
    for row, pattern in zip(compress(range(len(flags)), chosen), zip(*columns, strict=True), strict=True):
        score = known.get(pattern)
        if score is None:
            score = known[pattern] = round(sum(compress(weights, map(_ONE.__eq__, pattern))), 9)
        if score >= enough:
            found.append(row)
            scores.append(score)
    works = bitset_counts.set_of(found)
    shown = bitset_counts.flags_of(works if among is None else works & among)
    ranked = ((-score, row) for row, score in zip(found, scores, strict=True) if shown[row : row + 1] == b"1")
    return works, tuple(row for _, row in nsmallest(MOST_SHOWN, ranked))


def read_units(
    conn: sqlite3.Connection, text: str, vocabulary: Vocabulary, taxonomy: Taxonomy | None
) -> tuple[Unit, ...]:
    """The units of a search, each once, stop words left out."""
    units: list[Unit] = []
    for match in _WORD.finditer(text):
        typed = match[0]
        word = fold(typed)
        if word in STOP_WORDS or (len(word) == 1 and not word.isdigit()):
            continue
        if _YEAR.fullmatch(word):
            units.append(Unit(typed, (word,), int(word)))
        else:
            units.append(_unit(conn, typed, vocabulary))
    unique = {unit.typed.lower(): unit for unit in units[:MOST_UNITS]}
    return _with_values(tuple(unique.values()), taxonomy)


def _unit(conn: sqlite3.Connection, typed: str, vocabulary: Vocabulary) -> Unit:
    words = _spellings(typed, vocabulary)
    if any(_is_indexed(conn, word) for word in words):
        return Unit(typed, words)
    nearest = _nearest(fold(typed), vocabulary)
    return Unit(typed, _spellings(nearest, vocabulary), corrected=nearest) if nearest else Unit(typed, words)


def _spellings(typed: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    """How a word may stand in the index: as typed, in one word and in parts, British and American, singular and plural."""
    parts = _PARTS.findall(fold(typed))
    joined = "".join(parts)
    found = dict.fromkeys((" ".join(parts), joined))
    for one in (joined, *([parts[0]] if len(parts) == 2 and parts[1] == "s" else [])):
        found |= dict.fromkeys(vocabulary.by_form.get(normal_form(one), ()))
    return tuple(found)


def _is_indexed(conn: sqlite3.Connection, word: str) -> bool:
    return (
        conn.execute("select 1 from works_fts where works_fts match ? limit 1", (_quoted([word]),)).fetchone()
        is not None
    )


def _nearest(word: str, vocabulary: Vocabulary) -> str | None:
    """The word of the vocabulary that a misspelt one is most like, of those the one that most works have."""
    if len(word) < SHORTEST_MISSPELT or not word.isalpha():
        return None
    most = 1 if len(word) <= 6 else 2
    near = process.extract(
        word, vocabulary.near(len(word), most), scorer=DamerauLevenshtein.distance, score_cutoff=most, limit=20
    )
    return min(near, key=lambda one: (one[1], one[0][0] != word[0], -vocabulary.counts[one[0]]))[0] if near else None


def _with_values(units: tuple[Unit, ...], taxonomy: Taxonomy | None) -> tuple[Unit, ...]:
    """The units with the values that they name, alone or together."""
    if taxonomy is None or not units:
        return units
    written = [unit.corrected or unit.typed for unit in units]
    stops = list(accumulate(len(word) + 1 for word in written))
    named: defaultdict[int, dict[tuple[str, str], None]] = defaultdict(dict)
    # People type abbreviations in small letters, and the rules know many in capitals only.
    for text in dict.fromkeys((" ".join(written), " ".join(map(_as_abbreviation, written)))):
        mentions = read_record(GivenRecord("search", text, None), taxonomy).mentions
        for number, (stop, word) in enumerate(zip(stops, written, strict=True)):
            start = stop - len(word) - 1
            for mention in mentions:
                if start < mention.stop and mention.start < stop - 1:
                    named[number][mention.facet, mention.value] = None
    return tuple(replace(unit, values=_meant(tuple(named[number]), taxonomy)) for number, unit in enumerate(units))


def _meant(values: tuple[tuple[str, str], ...], taxonomy: Taxonomy) -> tuple[tuple[str, str], ...]:
    """Of the values that a word names, those of the intervention where there are any: who types IPT-A does not ask for trials in
    which a psychotherapy is the comparator."""
    return tuple(value for value in values if value[0] == taxonomy.topic.intervention) or values


def _as_abbreviation(word: str) -> str:
    return word.upper() if len(word) <= LONGEST_ABBREVIATION else word


def _places(conn: sqlite3.Connection, unit: Unit, sets: bitset_counts.WorkSets, allowed: int) -> tuple[int, int, int]:
    """The works of those allowed that have a unit in title, authors, journal or year; the others that are tagged with it; the
    others that have it in the abstract."""
    full = by_tag = in_abstract = 0
    if unit.words:
        quoted = _quoted(unit.words)
        full = _matched(conn, f"{{title authors container}} : ({quoted})", sets)
        in_abstract = _matched(conn, f"{{abstract}} : ({quoted})", sets)
    if unit.year is not None:
        full |= sets.with_column("year", [unit.year])
    for facet, value in unit.values:
        by_tag |= sets.either(facet, value)
    full &= allowed
    by_tag &= allowed & ~full
    return full, by_tag, in_abstract & allowed & ~full & ~by_tag


def _matched(conn: sqlite3.Connection, expression: str, sets: bitset_counts.WorkSets) -> int:
    """The works that an expression of FTS5 finds. Those of common words are kept as long as the sets are."""
    known = sets.matched.get(expression)
    if known is None:
        sql = "select rowid as number from works_fts where works_fts match :expression"
        known = sets.set_of_numbers(bitset_counts.read_rowids(conn, sql, {"expression": expression}))
        if known.bit_count() >= COMMON and len(sets.matched) < MOST_KEPT:
            sets.matched[expression] = known
    return known


def contexts(conn: sqlite3.Connection, found: Found) -> dict[int, str]:
    """The words around what was found in abstracts, `MARK` before and after each, by row number of the work."""
    words = [word for unit in found.units for word in unit.words]
    if not words:
        return {}
    abstracts = conn.execute(
        "select rowid, abstract from works where abstract is not null and rowid in (select value from json_each(?))",
        (json.dumps(found.rowids),),
    ).fetchall()
    (index,) = conn.execute("select sql from sqlite_master where name = 'works_fts'").fetchone()
    # The index of all works would read the list of works of each word once for each of these; an index of them alone need not.
    with closing(sqlite3.connect(":memory:")) as few:
        few.execute(f"create virtual table few using fts5 (abstract, {_TOKENIZE.search(index)[0]})")  # type: ignore[index]
        few.executemany("insert into few (rowid, abstract) values (?, ?)", map(tuple, abstracts))
        sql = "select rowid, snippet(few, 0, :mark, :mark, '…', 24) from few where few match :words"
        return dict(few.execute(sql, {"mark": MARK, "words": _quoted(words)}))


def _quoted(words: Iterable[str]) -> str:
    """Words or phrases as an expression of FTS5, any of which is enough."""
    return " OR ".join('"' + word.replace('"', " ") + '"' for word in words)
