"""Is a provider's record about the work that was asked for? DOI equal and title agreeing, or it is refused with the reason.

It compares records that have been read; it may not ask a provider or read one.
"""

from __future__ import annotations

from collections.abc import Iterable

from evidence import doi as dois
from evidence.linkage.title_similarity import TitleGrade, compare_titles, read_title
from evidence.providers.answers import Answer, Described, Wanted

_AGREEING = frozenset(("same", "spelling", "subtitle", "shorter", "words"))
_SAME = frozenset(("same", "spelling"))


def why_not_about(wanted: Wanted, doi: str | None, title: str | None, *, named: bool = False) -> str | None:
    """None when a record with this DOI and title is about the wanted work; else a sentence that says what it is about.

    A title that is missing on either side cannot disagree; a DOI that is missing does. `named`: another provider names this
    very record for the wanted DOI. Such a record may lack a DOI, if both titles are there and the same.
    """
    if doi is None and named:
        if _grade(wanted, title) in _SAME:
            return None
        return f"the record has no DOI, and its title is not the same (“{title}”)"
    if doi is None or dois.caseless(doi) != dois.caseless(wanted.subject):
        return f"the record is about another DOI ({doi or 'none'} instead of {wanted.subject})"
    if _grade(wanted, title) in {*_AGREEING, "unknown"}:
        return None
    return f"the record has another title (“{title}”)"


def choose(wanted: Wanted, records: Iterable[tuple[Described, str]], *, named: bool = False) -> Answer | None:
    """The first of these records (what it says, its text) that is about the wanted work, or why the first one is not; None
    without any. A preprint's record is not taken for an article. `named`: see `why_not_about`."""
    refusal = None
    for described, text in records:
        if described.preprint and wanted.kind != "posted-content":
            why_not: str | None = "the record is one of a preprint of the work"
        else:
            why_not = why_not_about(wanted, described.doi, described.title, named=named)
        if why_not is None:
            return Answer(wanted.subject, "found", record=text)
        refusal = refusal or why_not
    return Answer(wanted.subject, "refused", problem=refusal) if refusal else None


def _grade(wanted: Wanted, title: str | None) -> TitleGrade:
    return compare_titles(read_title(wanted.title), read_title(_without_brackets(title)))


def _without_brackets(title: str | None) -> str | None:
    """MEDLINE puts a translated title into brackets."""
    if title and title.startswith("[") and title.rstrip(" .").endswith("]"):
        return title.strip(" .")[1:-1]
    return title
