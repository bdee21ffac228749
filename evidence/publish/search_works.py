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
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import accumulate
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
from evidence.rules.normal_forms import normal_form
from evidence.rules.taxonomy import Taxonomy

LONGEST: Final = 1_000
"""Characters of a search that are read: a pasted reference has some hundred."""

MOST_UNITS: Final = 60
MOST_FOUND: Final = 200
"""Works that are shown: nobody looks further."""

MOST_CONTEXTS: Final = 50
"""Works whose abstract is searched for the words to show: that takes time."""

MARK: Final = "\x02"
"""What stands before and after words in `contexts`; no text in the database has it."""

ENOUGH: Final = 0.6
ENOUGH_WITH_UNKNOWN: Final = 0.35
ENOUGH_OF_A_REFERENCE: Final = 0.35
"""The share of a search's weight that a work must have: of the units that some work has, of all units, and of a pasted reference,
which has volumes, pages and initials that no index has."""

REFERENCE_UNITS: Final = 9
"""Units from which a search is taken for a pasted reference or title."""

IN_ABSTRACT, BY_TAG = 0.6, 0.8
"""What a unit weighs in an abstract and as a tag, beside 1 in title, authors, journal or year."""

SHORTEST_MISSPELT: Final = 5
"""Letters of a word that may be taken for a misspelling; shorter words have too many neighbours."""

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


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words of titles, authors and journals: how many works have each, and those with one normal form."""

    counts: Mapping[str, int]
    by_form: Mapping[str, tuple[str, ...]]


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
    """What was found: row numbers of works, the best first; the search as it was read, and as it was corrected (None where it was
    searched as typed). `partial`: no work has enough of the search, and these have the most of it."""

    rowids: tuple[int, ...]
    units: tuple[Unit, ...] = field(default=())
    corrected: str | None = None
    partial: bool = False


def works_named(conn: sqlite3.Connection, text: str) -> list[str]:
    """The works that a text is an identifier of, none if it is none."""
    if doi := dois.parse(text):
        here = read_queries.canonical_doi(conn, doi)
        return [here] if read_queries.known_dois(conn, [here]) else []
    named = read_identifier(text, bare_pmid=bool(BARE_PMID.fullmatch(text)))
    return [str(doi) for doi in read_queries.works_with_identifier(conn, *named)] if named else []


def read_vocabulary(conn: sqlite3.Connection) -> Vocabulary:
    """The vocabulary of a database. Takes about three seconds for 100,000 works."""
    counts: Counter[str] = Counter()
    for texts in conn.execute("select title, authors, container from works"):
        counts.update({word for text in texts if text for word in _PARTS.findall(fold(text))})
    by_form: defaultdict[str, list[str]] = defaultdict(list)
    for word in counts:
        by_form[normal_form(word)].append(word)
    return Vocabulary(counts, {form: tuple(words) for form, words in by_form.items()})


def search(
    conn: sqlite3.Connection,
    text: str,
    vocabulary: Vocabulary,
    taxonomy: Taxonomy | None,
    verdicts: Sequence[str],
    among: Set[int] | None = None,
) -> Found:
    """The works of these verdicts (and `among` these row numbers) that fit a search best. Without a taxonomy, names of values are
    words like others."""
    units = read_units(conn, " ".join(text[:LONGEST].split()), vocabulary, taxonomy)
    of_these = "select rowid from works where verdict in (select value from json_each(?))"
    allowed = {row for (row,) in conn.execute(of_these, (json.dumps(verdicts),)) if among is None or row in among}
    total = len(allowed)
    scores: defaultdict[int, float] = defaultdict(float)
    known = unknown = 0.0
    read = []
    for unit in units:
        places = _places(conn, unit)
        having = places.keys() & allowed
        weight = log((total + 1) / (len(having) + 0.5)) + 0.05
        read.append(replace(unit, unknown=not having))
        if not having:
            unknown += weight
            continue
        known += weight
        for row in having:
            scores[row] += weight * places[row]
    if len(units) < REFERENCE_UNITS:
        enough = max(ENOUGH * known, ENOUGH_WITH_UNKNOWN * (known + unknown))
    else:
        enough = ENOUGH_OF_A_REFERENCE * known
    best = [row for row, score in scores.items() if score >= enough]
    if partial := not best and known > 0:
        best = [row for row, score in scores.items() if score >= ENOUGH_WITH_UNKNOWN * (known + unknown)]
    best.sort(key=lambda row: (-scores[row], row))
    typed = " ".join(unit.corrected or unit.typed for unit in units)
    corrected = typed if any(unit.corrected for unit in units) else None
    return Found(tuple(best[:MOST_FOUND]), tuple(read), corrected, partial=partial and bool(best))


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
    for one in (joined, *([parts[0]] if len(parts) == 2 and len(parts[1]) == 1 else [])):
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
        word,
        [other for other in vocabulary.counts if abs(len(other) - len(word)) <= most and other.isalpha()],
        scorer=DamerauLevenshtein.distance,
        score_cutoff=most,
        limit=20,
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
    return tuple(replace(unit, values=tuple(named[number])) for number, unit in enumerate(units))


def _as_abbreviation(word: str) -> str:
    return word.upper() if len(word) <= LONGEST_ABBREVIATION else word


def _places(conn: sqlite3.Connection, unit: Unit) -> dict[int, float]:
    """The works that have a unit, and what it weighs there."""
    found: dict[int, float] = {}
    if unit.words:
        quoted = _quoted(unit.words)
        for weight, columns in ((IN_ABSTRACT, "{abstract}"), (1.0, "{title authors container}")):
            rows = conn.execute("select rowid from works_fts where works_fts match ?", (f"{columns} : ({quoted})",))
            found |= {row: weight for (row,) in rows}
    for facet, value in unit.values:
        rows = conn.execute(
            "select w.rowid from shown_tags t join works w on w.doi = t.doi where t.facet = ? and t.value = ?",
            (facet, value),
        )
        for (row,) in rows:
            found[row] = max(found.get(row, 0.0), BY_TAG)
    if unit.year is not None:
        found |= {row: 1.0 for (row,) in conn.execute("select rowid from works where year = ?", (unit.year,))}
    return found


def contexts(conn: sqlite3.Connection, found: Found) -> dict[int, str]:
    """The words around what was found in abstracts, `MARK` before and after each, by row number of the work."""
    words = [word for unit in found.units for word in unit.words]
    if not words:
        return {}
    sql = """
        select rowid, snippet(works_fts, 1, :mark, :mark, '…', 24) from works_fts
        where works_fts match :words and rowid in (select value from json_each(:rows))
    """
    values = {
        "mark": MARK,
        "words": f"{{abstract}} : ({_quoted(words)})",
        "rows": json.dumps(found.rowids[:MOST_CONTEXTS]),
    }
    return dict(conn.execute(sql, values))


def _quoted(words: Iterable[str]) -> str:
    """Words or phrases as an expression of FTS5, any of which is enough."""
    return " OR ".join('"' + word.replace('"', " ") + '"' for word in words)
