"""Names of authors and other contributors, as text: as cited, and in full. Pure: values in, text out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from evidence.data_model import Author

ROLE_MARKS = {"editor": " (ed.)", "translator": " (trans.)", "chair": " (chair)"}
"""What follows the name of a contributor who is not an author."""


def cite_authors(authors: tuple[Author, ...]) -> str | None:
    """The authors on one line as medical journals cite them: `Cuijpers P, Donker T, STAR*D Group`.

    Editors take their place only where there are no authors. None when nobody is named.
    """
    credited = [author for author in authors if author.role == "author"] or list(authors)
    return ", ".join(filter(None, map(_cited_name, credited))) or None


def full_name(person: Mapping[str, Any]) -> str:
    """`Family, Given, Suffix`, or the name of a group. `person` has these fields in lower case, absent or None where unknown."""
    parts = (person.get("family"), person.get("given"), person.get("suffix"))
    return person.get("name") or ", ".join(part for part in parts if part)


def full_names(people: Iterable[Mapping[str, Any]]) -> str:
    """All contributors by `full_name`, joined by `; `; roles other than author are marked."""
    return "; ".join(full_name(person) + ROLE_MARKS.get(person.get("role") or "", "") for person in people)


def _cited_name(author: Author) -> str:
    if author.name:
        return author.name
    if not author.family:
        return author.given or ""
    given = initials(author.given or "")
    return " ".join(filter(None, (author.family, given, author.suffix)))


def initials(given: str) -> str:
    """`Myrna M.` → `MM`, `Jean-Paul` → `JP`, `PC` → `PC`; scripts without capitals keep the whole name."""
    if given == given.lower() == given.upper():
        return given
    parts: list[str] = re.findall(r"[^\W\d_][^\s.\-‐‑–]*", given)
    # `MM` is two initials, but MARY is one.
    return "".join(part if part.isupper() and len(given) <= 4 else part[0].upper() for part in parts)
