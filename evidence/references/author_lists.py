"""Where lists of authors are in a text, by the shapes of its words (`reference_shapes`).

It knows three forms of a name: `Smith AB`, `Smith, A. B.` and `A. B. Smith`, with particles and surnames of several words. It may
not decide whether such a list begins a reference: editors and index entries read the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_LONGEST_NAME = 9
_SURNAME_WORDS = 3
"""Words of a name, and words of a surname in it, at most."""
_MANY = 3
"""Authors from which their number says nothing more."""
_PARTICLES, _INITIALS, _SURNAMES, _FIRST_OF_NAME = "PQ", "Ii", "CAmij", "CAQPImij"
EDGE = "#"


@dataclass(frozen=True, slots=True)
class _Name:
    """A name: the word after it, its form, and the punctuation that ends it. The form is `f` with initials first, `v` or `l` with
    the surname first (`Smith AB`, `Smith, A. B.`), in capitals where the surname has several words: the first of them may be
    the last word before the list (`New York Smith AB`)."""

    end: int
    form: str
    tail: str


class AuthorLists:
    """The lists of authors among words.

    `said` has for each word the list that begins with it, in short: its form, how many authors, the punctuation after them and
    the kind of the word that follows. `place` says which of a list's authors begins with a word: 0 none, 1 the first, 2 or
    3 a later one; 4 the second word of a later one's surname, 5 of what may be the first one's.
    """

    def __init__(self, shapes: Sequence[str], kinds: Sequence[str]) -> None:
        self._shapes, self._kinds = shapes, kinds
        count = len(shapes)
        self._counts = [0] * count
        self._next = [-1] * count
        self.said = [""] * count
        self.place = [0] * count
        for at in range(count - 1, -1, -1):
            if kinds[at] in _FIRST_OF_NAME and shapes[at][0] not in '("' and (name := self._name(at)):
                self._count(at, name)
        for at in range(count):
            if self._counts[at]:
                self._place(at)

    def _run(self, at: int, kinds: str, stop: int) -> int:
        """The first word from `at` on, before `stop`, that has punctuation or is of none of these kinds."""
        while at < stop and self._kinds[at] in kinds and len(self._shapes[at]) == 1:
            at += 1
        return at

    def _initials(self, at: int, stop: int) -> int:
        """The first word from `at` on that is no initial, or ends the initials with a comma or the like."""
        while at < stop and self._shapes[at] in {"I.", "I"}:
            at += 1
        return at

    def _name(self, at: int) -> _Name | None:
        """The name that begins with word `at`."""
        shapes, kinds = self._shapes, self._kinds
        stop = min(at + _LONGEST_NAME, len(shapes))
        if kinds[at] == "I" and shapes[at][-1] == ".":
            here = self._run(self._initials(at, stop), _PARTICLES, stop)
            if here < stop and kinds[here] in "CAmi" and shapes[here][0] not in '("':
                return _Name(here + 1, "f", shapes[here][1:])
            return None
        first = here = self._run(at, _PARTICLES, stop)
        while here < stop and here < first + _SURNAME_WORDS and self._run(here, _SURNAMES, here + 1) > here:
            if here > first and kinds[here] == "i":
                break
            here += 1
        return self._surname_first(here, here - first, stop) if here < stop else None

    def _surname_first(self, here: int, words: int, stop: int) -> _Name | None:
        """The name whose surname has this many words before `here` and is not complete, or goes on with initials."""
        shapes, kinds = self._shapes, self._kinds
        if words and kinds[here] in _INITIALS and shapes[here][0] in _INITIALS:
            more = here + 1  # `Smith A B,` and `Smith AB Jr,`
            if len(shapes[here]) == 1 and more < stop and kinds[more] in "IiC" and shapes[more][1:2] in tuple(",.:;"):
                here = more
            return _Name(here + 1, "vV"[words > 1], shapes[here][1:])
        if kinds[here] in _SURNAMES and shapes[here][1:] == "," and here + 1 < stop:
            end = self._initials(here + 1, stop)
            if end < stop and shapes[end][0] == "I":
                return _Name(end + 1, "lL"[words > 0], shapes[end][1:])
            if end > here + 1:
                return _Name(end, "lL"[words > 0], shapes[end - 1][1:])
        return None

    def _count(self, at: int, name: _Name) -> None:
        """Counts the authors of the list that begins with a name at `at`; all names after it were counted before."""
        shapes, kinds, after = self._shapes, self._kinds, name.end
        ampersand = name.form in "lL" and kinds[after : after + 1] == ["&"]
        if name.tail[:1] in {",", ";", ""} or name.tail[1:] in {",", ";"} or ampersand:
            while after < min(len(kinds), name.end + 2) and kinds[after] == "&":
                after += 1
            if (after > name.end or name.tail) and after < len(kinds):
                if kinds[after] == "L":  # et al.
                    self._counts[at] = _MANY
                    self.said[at] = f"{name.form}{_MANY}L{shapes[after][1:]}{self._opened(after + 1)}"
                    return
                if self._counts[after]:
                    self._counts[at] = min(_MANY, self._counts[after] + 1)
                    self._next[at] = after
                    self.said[at] = f"{name.form}{self._counts[at]}{self.said[after][2:]}"
                    return
        self._counts[at] = 1
        self.said[at] = f"{name.form}1{name.tail}{self._opened(name.end)}"

    def _place(self, at: int) -> None:
        """Says of the word at `at`, of the next author and of the other words of its surname which author they are of."""
        kinds = self._kinds
        own = self.place[at] = self.place[at] or 1
        if self._next[at] >= 0:
            self.place[self._next[at]] = min(_MANY, own + 1)
        if self.said[at][0] in "LV" and own <= _MANY:
            inner = at + 1
            while (
                inner < len(kinds)
                and not {kinds[inner - 1], kinds[inner]} & set(_INITIALS)
                and len(self._shapes[inner - 1]) == 1
            ):
                self.place[inner] = 5 if own == 1 else 4
                inner += 1

    def _opened(self, at: int) -> str:
        """The kind of a word, and what opens before it."""
        if at >= len(self._shapes):
            return EDGE
        return (self._shapes[at][0] if self._shapes[at][0] in '("' else "") + self._kinds[at]
