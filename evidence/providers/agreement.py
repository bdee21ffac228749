"""Is a provider's record about the work that was asked for? DOI equal and title agreeing, or it is refused with the reason.

It compares; it may not ask a provider or read a record.
"""

from __future__ import annotations

from evidence import doi as dois
from evidence.linkage.title_similarity import compare_titles, read_title
from evidence.providers.answers import Wanted

_AGREEING = frozenset(("same", "spelling", "subtitle", "shorter", "words"))


def why_not_about(wanted: Wanted, doi: str | None, title: str | None) -> str | None:
    """None when a record with this DOI and title is about the wanted work; else a sentence that says what it is about. A title
    that is missing on either side cannot disagree; a DOI that is missing does."""
    if doi is None or dois.caseless(doi) != dois.caseless(wanted.subject):
        return f"the record is about another DOI ({doi or 'none'} instead of {wanted.subject})"
    if compare_titles(read_title(wanted.title), read_title(_without_brackets(title))) in {*_AGREEING, "unknown"}:
        return None
    return f"the record has another title (“{title}”)"


def _without_brackets(title: str | None) -> str | None:
    """MEDLINE puts a translated title into brackets."""
    if title and title.startswith("[") and title.rstrip(" .").endswith("]"):
        return title.strip(" .")[1:-1]
    return title
