"""What stands behind a claim of an article, as text: the sentence on its cited and newer works, and what is not known.

The fact-check page and `evidence report claims` say it with these words. Counts in, text out: no SQL, no terminal, no clock.
It says what was studied and what happened to the cited works, never whether a claim is true.

Each number comes with the filters of the list of works on the site that has exactly so many works, and the two stay together
in a `Piece`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evidence.export.wording import count_noun, in_words, notice_participle, verdict_label, work_name
from evidence.linkage.retraction_notices import GRAVE, GRAVITY

Filters = tuple[tuple[str, str], ...]
"""The parameters in the address of a list of works."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many works, and the filters of the list that has exactly these."""

    n: int = 0
    filters: Filters = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a sentence. With `filters` it is a number of works, and they make its list."""

    text: str
    filters: Filters = ()


Sentence = tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class ClaimCounts:
    """What is counted for one claim. “About it” means: with the tags that the claim names.

    `citations`: how many the article gives for it. `cited`: the works that these lead to; `cited_about`: those about it;
    `cited_unread`: those of which only the title could be read and that nobody tagged, so that it is not known; `unidentified`:
    citations that lead to no work here. `notices`: the cited works by their gravest notice, gravest first. `since`: the year of
    the newest cited work (None: no cited work has a year).

    `works`: included works about it; `cited_among`: how many of these are cited; `trials` and `reviews` among them (None where
    the topic does not count them); `newer…`: those published after `since`; `same_year`: those published in that year, without
    the cited works; `undated`: those without a year. `untexted`: those without an abstract. `waiting`: works about it that wait
    for a decision, without the cited ones. `unknown_tags`: tags of the claim that this database does not have. `tagged`: whether
    the claim names tags at all.
    """

    citations: int
    cited: Count
    cited_about: Count
    cited_unread: int
    unidentified: int
    notices: tuple[tuple[str, Count], ...]
    since: int | None
    works: Count
    cited_among: int
    trials: Count | None
    reviews: Count | None
    retracted: Count
    newer: Count
    newer_trials: Count | None
    newer_reviews: Count | None
    newer_others: int
    newer_retracted: Count
    same_year: Count
    undated: Count
    untexted: Count
    waiting: Count
    unknown_tags: tuple[str, ...] = ()
    tagged: bool = True

    @property
    def warned(self) -> bool:
        """Whether a cited work was retracted or doubted."""
        return any(kind in GRAVE for kind, _ in self.notices)


@dataclass(frozen=True, slots=True)
class YearCounts:
    """Works of one year (None: up to and with the newest cited work), each with its list."""

    year: int | None
    works: Count
    trials: Count | None
    reviews: Count | None
    retracted: Count


@dataclass(frozen=True, slots=True)
class ClaimEvidence:
    """A claim with what is shown of it. `cells`: facet and the labels of its values. `cited`: rows of the citations
    (`read_citations.citations`) with `about` (true, false, or None where it is not known). `years`: the rows of the table by
    year. `newest`: (what it is, the newest such work), for reviews and trials."""

    id: str
    says: str
    cells: tuple[tuple[str, tuple[str, ...]], ...]
    cited: tuple[Mapping[str, Any], ...]
    counts: ClaimCounts
    years: tuple[YearCounts, ...]
    newest: tuple[tuple[str, Mapping[str, Any]], ...]
    marks: tuple[tuple[int, str, int], ...]
    """(year, kind of mark, how many works) for the timeline: see `evidence.publish.claim_timeline`."""


def sentence(counts: ClaimCounts) -> tuple[Sentence, ...]:
    """The verdict on a claim, in parts: what happened to the cited works, whether they are about the claim, what is newer."""
    return (
        *_noticed(counts, grave=True),
        *_cited(counts),
        *_noticed(counts, grave=False),
        *_newer(counts),
    )


def in_all(counts: ClaimCounts) -> Sentence:
    """How many works are about the claim, and whether the cited ones are among them; empty where there are none."""
    works = counts.works
    if not works.n:
        return ()
    pieces = [Piece(count_noun(works.n, "included work"), works.filters), Piece(" about this")]
    kinds = [
        Piece(count_noun(count.n, noun), count.filters)
        for count, noun in ((counts.trials, "trial"), (counts.reviews, "review"))
        if count is not None and count.n
    ]
    if counts.retracted.n:
        kinds.append(Piece(f"{counts.retracted.n:,} retracted", counts.retracted.filters))
    for place, piece in enumerate(kinds):
        pieces += [Piece(": " if place == 0 else ", "), piece]
    return (*pieces, Piece(_among(counts)), Piece("."))


def not_known(counts: ClaimCounts) -> tuple[Sentence, ...]:
    """What cannot be told from this database, a sentence each."""
    found: list[Sentence] = []
    if not counts.tagged:
        found.append((Piece("The claim names no tags in sources.yaml, so no works were counted for it."),))
    if counts.unknown_tags:
        found.append(
            (Piece(f"This database does not have the tags {in_words(counts.unknown_tags)}, so no works were counted."),)
        )
    if counts.untexted.n:
        found.append(titles_only(counts.untexted, counts.works))
    if counts.waiting.n:
        these = Piece(count_noun(counts.waiting.n, "more work"), counts.waiting.filters)
        found.append((these, Piece(f" with these tags {'waits' if counts.waiting.n == 1 else 'wait'} for a decision.")))
    if counts.since is None and counts.works.n:
        found.append((Piece("No cited work has a year, so nothing can be called newer."),))
    if counts.same_year.n:
        these = Piece(count_noun(counts.same_year.n, "other work"), counts.same_year.filters)
        found.append(
            (
                Piece("Whether "),
                these,
                Piece(f" of {counts.since} {_is(counts.same_year)} newer cannot be told by the year."),
            )
        )
    if counts.undated.n and counts.since is not None:
        these = Piece(count_noun(counts.undated.n, "work"), counts.undated.filters)
        found.append((Piece("Whether "), these, Piece(f" without a year {_is(counts.undated)} newer cannot be told.")))
    return tuple(found)


def titles_only(unread: Count, works: Count) -> Sentence:
    """That abstracts were not available for some of these works; empty where all could be read."""
    if not unread.n:
        return ()
    if works.n == 1:
        return (Piece("Title only: no abstract was available for "), Piece("1 work", unread.filters), Piece("."))
    all_of = Piece(f"{works.n:,} works", works.filters)
    some = Piece(f"{unread.n:,}", unread.filters)
    these = (Piece("any of the "), all_of) if unread.n == works.n else (some, Piece(" of "), all_of)
    return (Piece("Titles only: abstracts were not available for "), *these, Piece("."))


def newer_meaning(counts: ClaimCounts) -> str:
    """What “newer” means for this claim; empty where nothing can be called so."""
    if counts.since is None or not counts.works.n:
        return ""
    which = "the cited work" if counts.cited.n == 1 else "the newest cited work"
    return f"Newer: published after {counts.since}, the year of {which}."


def about_label(about: bool | None, read_by_person: bool, judged_on: str | None) -> str:
    """Whether a cited work is about its claim."""
    if about:
        return "about this"
    if about is None:
        return "not known: only its title could be read"
    return (
        "not tagged with this"
        if read_by_person or judged_on != "title+abstract"
        else "its title and abstract do not say this"
    )


def capital(parts: Sequence[Sentence]) -> tuple[Sentence, ...]:
    """The same with a capital at the beginning."""
    (first, *pieces), *others = parts
    return ((Piece(first.text[:1].upper() + first.text[1:], first.filters), *pieces), *others)


def plain(parts: Iterable[Sentence]) -> str:
    """Sentences as text: with a capital at the beginning."""
    return "; ".join("".join(piece.text for piece in part) for part in capital(tuple(parts)))


def summary(claims: Sequence[ClaimEvidence]) -> str:
    """What all claims of an article have in common, in one sentence."""
    trials = sum(1 for claim in claims if claim.counts.newer_trials and claim.counts.newer_trials.n)
    reviews = sum(1 for claim in claims if claim.counts.newer_reviews and claim.counts.newer_reviews.n)
    retracted = sum(1 for claim in claims if claim.counts.warned)
    parts = [
        f"{trials or 'none'} {'have' if trials > 1 else 'has'} newer trials than the article cites",
        f"{reviews or 'none'} {'have' if reviews > 1 else 'has'} newer systematic reviews",
    ]
    if retracted:
        parts.append(f"{retracted} {'rest' if retracted > 1 else 'rests'} on a work that was retracted or doubted")
    return f"Of {count_noun(len(claims), 'claim')}, {in_words(parts)}."


def cited_works(rows: Sequence[Mapping[str, Any]]) -> tuple[Sentence, ...]:
    """What the citations of a list (`read_citations.citations`) lead to, and what happened to these works."""
    works = {row["known"]: row for row in rows if row["known"] is not None}
    if not works:
        return ((Piece("The citations lead to no work in this database."),),)
    these = ("doi__in", json.dumps(list(works), ensure_ascii=False))
    verdicts = Counter(row["verdict"] for row in works.values())
    kinds = Counter(row["notice"] for row in works.values() if row["notice"])
    found: list[Sentence] = [
        (
            Piece("The citations lead to "),
            Piece(count_noun(len(works), "work"), (these,)),
            Piece(": "),
            *_listed(
                [(f"{n:,} {verdict_label(kind)}", (these, ("verdict", kind))) for kind, n in verdicts.most_common()]
            ),
            Piece("."),
        )
    ]
    if not kinds:
        them = "it" if len(works) == 1 else "them"
        return (*found, (Piece(f"No retraction, correction or expression of concern is known for {them}."),))
    for kind in sorted(kinds, key=GRAVITY.index):
        done = _done(kind, kinds[kind])
        where = (these, ("notice", kind))
        found.append((Piece(f"{kinds[kind]:,}", where), Piece(f" of these {done}.")))
    return tuple(found)


def report(articles: Sequence[tuple[str, Sequence[ClaimEvidence]]]) -> str:
    """The text of `evidence report claims`: (title of the article, its claims)."""
    if not articles:
        return "No claims: sources.yaml names no article with claims, or its reference list has not been read."
    lines: list[str] = []
    for title, claims in articles:
        lines += [*([""] if lines else []), title, summary(claims)]
        for number, claim in enumerate(claims, start=1):
            lines += ["", f"{number}. {claim.says}", f"   {plain(sentence(claim.counts))}."]
            lines += [f"   cites {_cited_line(row)}" for row in claim.cited]
            lines += [
                f"   newest {kind}: {work_name(row['doi'], row['title'])} ({row['year']})" for kind, row in claim.newest
            ]
            lines += [f"   {text}" for text in filter(None, [newer_meaning(claim.counts)])]
            lines += [f"   In this database: {plain([one])}" for one in filter(None, [in_all(claim.counts)])]
            unknown = " ".join(plain([one]) for one in not_known(claim.counts))
            lines += [f"   Not known: {unknown}"] if unknown else []
    return "\n".join(lines)


def as_json(articles: Sequence[tuple[str, Sequence[ClaimEvidence]]]) -> list[dict[str, Any]]:
    """The same for programs."""
    return [
        {
            "article": title,
            "claims": [
                {
                    "id": claim.id,
                    "says": claim.says,
                    "verdict": f"{plain(sentence(claim.counts))}.",
                    "since": claim.counts.since,
                    "not_known": [plain([one]) for one in not_known(claim.counts)],
                    "cited": [
                        {key: row[key] for key in ("position", "status", "known", "title", "year", "notice", "about")}
                        for row in claim.cited
                    ],
                    "counts": _numbers(claim.counts),
                }
                for claim in claims
            ],
        }
        for title, claims in articles
    ]


def _is(count: Count) -> str:
    return "is" if count.n == 1 else "are"


def _listed(entries: Sequence[tuple[str, Filters]]) -> Sentence:
    pieces: list[Piece] = []
    for text, filters in entries:
        pieces += [*([Piece(", ")] if pieces else []), Piece(text, filters)]
    return tuple(pieces)


def _numbers(counts: ClaimCounts) -> dict[str, int]:
    names = (
        "cited", "cited_about", "works", "trials", "reviews", "retracted", "newer", "newer_trials", "newer_reviews",
        "newer_retracted", "same_year", "undated", "untexted", "waiting",
    )  # fmt: skip
    found = {name: getattr(counts, name) for name in names}
    return {name: count.n for name, count in found.items() if count is not None}


def _cited_line(row: Mapping[str, Any]) -> str:
    if row["known"] is None:
        return f"no. {row['position']}: {row['status'].replace('-', ' ').replace('doi', 'DOI')}, {row['text']}"
    done = f", {row['notice'].replace('-', ' ')}" if row["notice"] else ""
    label = about_label(row["about"], bool(row["read_by_person"]), row["judged_on"])
    return f"no. {row['position']}: {work_name(row['known'], row['title'])} ({row['year'] or 'year unknown'}{done}); {label}"


def _noticed(counts: ClaimCounts, *, grave: bool) -> list[Sentence]:
    """A part for each kind of notice on the cited works; those that warn of a work come before everything else."""
    found: list[Sentence] = []
    for kind, count in counts.notices:
        if (kind in GRAVE) == grave:
            if counts.cited.n == 1:
                # The first part of the sentence names the work.
                found.append((Piece("the cited work" if grave else "it", count.filters), Piece(f" {_done(kind, 1)}")))
            else:
                found.append((*_of(count, counts.cited), Piece(f" {_done(kind, count.n)}")))
    return found


def _done(kind: str, works: int) -> str:
    if kind == "expression-of-concern":
        return "has an expression of concern" if works == 1 else "have an expression of concern"
    return f"{'was' if works == 1 else 'were'} {notice_participle(kind)}"


def _of(count: Count, whole: Count) -> Sentence:
    return (Piece(f"{count.n:,}", count.filters), Piece(" of "), Piece(f"{whole.n:,} cited works", whole.filters))


def _cited(counts: ClaimCounts) -> list[Sentence]:
    """Whether the cited works are about the claim."""
    cited = counts.cited
    if not counts.citations:
        return [(Piece("the article cites nothing for this"),)]
    if not cited.n:
        one = counts.citations == 1
        return [(Piece(f"the {'citation' if one else f'{counts.citations} citations'} could not be identified"),)]
    found: list[Sentence] = []
    if counts.tagged and not counts.unknown_tags:
        found.append(_cited_about(counts))
    if counts.unidentified:
        found.append((Piece(f"{count_noun(counts.unidentified, 'citation')} could not be identified"),))
    return found


def _cited_about(counts: ClaimCounts) -> Sentence:
    cited, about = counts.cited, counts.cited_about
    if cited.n == 1:
        work = Piece("it" if counts.warned else "the cited work", cited.filters)
        if about.n:
            return (work, Piece(" is about this"))
        if counts.cited_unread:
            return (
                Piece("it is not known whether "),
                work,
                Piece(" is about this, because only its title could be read"),
            )
        return (work, Piece(" is not tagged with this"))
    if about.n:
        return (*_of(about, cited), Piece(" is about this" if about.n == 1 else " are about this"))
    whole = Piece(f"{cited.n:,} cited works", cited.filters)
    if counts.cited_unread == cited.n:
        return (
            Piece("it is not known whether the "),
            whole,
            Piece(" are about this, because only titles could be read"),
        )
    return (Piece("none of the "), whole, Piece(" is tagged with this"))


def _newer(counts: ClaimCounts) -> list[Sentence]:
    """What was published since."""
    if not counts.tagged or counts.unknown_tags:
        return [(Piece("nothing could be counted"),)]
    if not counts.works.n:
        return [(Piece("no included work is tagged with this"),)]
    if counts.since is None:
        kinds = ((counts.trials, "trial"), (counts.reviews, "review"))
        found = [_some(count, noun, "here") for count, noun in kinds if count is not None]
        return found or [(Piece(count_noun(counts.works.n, "work"), counts.works.filters), Piece(" here"))]
    named = ((counts.newer_trials, "newer trial"), (counts.newer_reviews, "newer review"))
    found = [_some(count, noun) for count, noun in named if count is not None]
    if not found:
        found = [_some(counts.newer, "newer work")]
    elif counts.newer_others:
        # Beside trials and reviews there are more: the number of all of them has a list, that of the others has none.
        nothing_named = not any(count and count.n for count, _ in named)
        text = f"{counts.newer.n:,} other newer work{'' if counts.newer.n == 1 else 's'}"
        found.append(
            (Piece(text, counts.newer.filters),)
            if nothing_named
            else (Piece(f"{counts.newer.n:,} newer works", counts.newer.filters), Piece(" in all"))
        )
    if counts.newer_retracted.n:
        one = counts.newer_retracted.n == 1
        found.append(
            (
                Piece(f"{counts.newer_retracted.n:,}", counts.newer_retracted.filters),
                Piece(f" of the newer works {'was' if one else 'were'} retracted"),
            )
        )
    return found


def _some(count: Count, noun: str, where: str = "") -> Sentence:
    """`4 newer trials`, `no newer review`."""
    text = Piece(count_noun(count.n, noun), count.filters) if count.n else Piece(f"no {noun}")
    return (text, *([Piece(f" {where}")] if where else []))


def _among(counts: ClaimCounts) -> str:
    """Whether the cited works are among those counted."""
    cited, among = counts.cited.n, counts.cited_among
    if not cited:
        return ""
    noun = "cited work" if cited == 1 else "cited works"
    if not among:
        return f"; the {noun} {'is' if cited == 1 else 'are'} not among them"
    return f"; the {noun} among them" if among == cited else f"; {among:,} of the {cited:,} cited works among them"
