"""Pasted text into single references, whatever layout it was pasted in.

It knows neither network nor database, and may not judge a reference or lose a word of one: every character of the text that is
no heading, page header, marker or hyphen at a line's end is in exactly one reference.

Four steps, each linear in the length of the text:

1. Lines that are no part of a reference are set aside (`page_furniture`).
2. Every place where a reference could begin (a line, or a word after the end of a sentence) gets a score: how much the words
   around it read like the boundary of two references (`reference_shapes`), and how reliable its layout is in this very text. A
   layout is what a person sees: a marker that counts on, a bullet, a blank line, an indent, a line above that had room left.
   Its reliability is estimated from the text itself, as the share of such places that read like boundaries. So one odd
   reference among many that begin with a number is still found, and a blank line after every line says nothing.
3. The best division is chosen by dynamic programming over those places, each piece weighed by how much it reads like one whole
   reference: one year or so, one DOI, a usual length.
4. The places are scored again by what that division says of them (`second_reading`): what the pieces would have, and how the
   other references of this text begin and end. Then the best division is chosen again.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from evidence.references import page_furniture, second_reading
from evidence.references.join_lines import ends_address, in_address, is_inside_word, joined, words_of
from evidence.references.reference_shapes import BASE, Shapes
from evidence.references.second_reading import SecondReading, running_sums

Cue = tuple[str | int, ...]
"""The layout of a place where a reference could begin. Places with the same cue are equally reliable."""


@dataclass(frozen=True, slots=True)
class GivenText:
    """One reference as it was given: on one line, without its marker. `number` is the printed number of the marker."""

    text: str
    number: int | None


@dataclass(frozen=True, slots=True)
class Division:
    """What a text was divided into: its references in order, and the lines that are no part of one, in order."""

    references: tuple[GivenText, ...]
    left_out: tuple[str, ...]


def split(text: str) -> tuple[GivenText, ...]:
    """The references in a pasted text, in order."""
    return divide(text).references


def divide(text: str) -> Division:
    """The references in a pasted text, and the lines that were left out: headings, page headers, figure legends."""
    raw = _LINE_END.split(text)
    dropped = page_furniture.furniture(raw)
    left_out = [(number, raw[number].strip()) for number in dropped]
    lines = _lines(raw, dropped)
    if lines and (heading := page_furniture.heading_before(lines[0].text)):
        left_out.append((lines[0].number, lines[0].text[:heading].strip()))
        lines[0].text = lines[0].text[heading:]
    words = (
        words_of(line.text for line in lines) if any(_HYPHENATED.search(line.text) for line in lines) else frozenset()
    )
    references: list[GivenText] = []
    for block, kept in _blocks(lines, left_out):
        made = _Block(block)
        if kept or made.reads_as_list():
            references += made.given(words)
        else:
            left_out += ((line.number, line.text) for line in block)
    return Division(tuple(references), tuple(line for _, line in sorted(left_out) if line))


_LINE_END = re.compile(r"\r\n|[\n\r\v\x85\u2028\u2029]")
_HYPHENATED = re.compile(r"[-‐]\Z")


@dataclass(slots=True)
class _Line:
    """One line that is neither blank nor furniture. `gap` is what stands above it: nothing, a blank line, or a page's end."""

    number: int
    text: str
    indent: int
    gap: str = ""

    @property
    def length(self) -> int:
        return self.indent + len(self.text)


def _lines(raw: Sequence[str], dropped: set[int]) -> list[_Line]:
    made: list[_Line] = []
    gap = ""
    for number, line in enumerate(raw):
        text = line.strip(_WHITE)
        if number in dropped:
            gap = "page"
        elif not text:
            gap = gap or "blank"
        else:
            lead = line[: len(line) - len(line.lstrip(_WHITE))]
            made.append(_Line(number, text, len(lead.strip("\f\ufeff").expandtabs(4)), gap))
            gap = ""
    return made


_WHITE = "".join(char for char in map(chr, range(0x3001)) if char.isspace()) + "\ufeff\u200b"


def _blocks(lines: Sequence[_Line], left_out: list[tuple[int, str]]) -> Iterator[tuple[list[_Line], bool]]:
    """The lines between headings, and whether they are kept whatever they read like. Headings go to `left_out`."""
    block: list[_Line] = []
    kept = not any(page_furniture.is_heading(line.text) for line in lines)
    judged = -_JUDGED
    for number, line in enumerate(lines):
        closed = not block or bool(line.gap) or block[-1].text[-1] in _CLOSED
        if closed and page_furniture.is_heading(line.text):
            if block:
                yield block, kept
            left_out.append((line.number, line.text))
            block, kept = [], True
        elif closed and number - judged >= _APART and page_furniture.begins_other_text(line.text):
            judged = number
            if _Block(_until_heading(lines, number)).reads_as_list():
                block.append(line)
                continue
            if block:
                yield block, kept
            block, kept = [line], False
        else:
            block.append(line)
    if block:
        yield block, kept


_CLOSED = frozenset('.?!)]”"’»/0123456789')
_JUDGED, _APART = 40, 10
"""Lines after the heading of another part that say whether the references go on, and lines between two such headings."""


def _until_heading(lines: Sequence[_Line], number: int) -> list[_Line]:
    block = [lines[number]]
    for line in lines[number + 1 : number + _JUDGED]:
        if page_furniture.is_heading(line.text):
            break
        block.append(line)
    return block


# Places ---------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Place:
    """Where a reference could begin: before word `at`, with its text from word `after` (a marker stands between). `read` is what
    its words say, and `believed` how much of that counts beside the layout."""

    at: int
    after: int
    cue: Cue
    read: float = 0.0
    believed: float = 0.0
    kind: str = ""
    number: int | None = None
    chained: bool = False
    score: float = 0.0
    inside: bool = False
    """Whether a word, a DOI or a URL goes on here."""


_RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_DIGITS = str.maketrans(_RAISED, "0123456789")
_AT_LINE = re.compile(
    rf"(?:(?P<square>\[\d{{1,5}}\][.:]?)|(?P<round>\(\d{{1,5}}\)[.:]?)|(?P<dot>(?!0\d\d)\d{{1,5}}\s?\.\)?(?!\d))"
    rf"|(?P<paren>\d{{1,5}}(?:\)|:(?=\s)))|(?P<raised>[{_RAISED}]+)|(?P<bare>\d{{1,4}}(?=\s|\Z))|(?P<glued>\d{{1,4}}(?=[^\W\d_a-z])))"
    r"(?:\s*[\^↑](?:\s+[a-z](?=\s))*)?"  # the arrows and letters of an encyclopedia
    r"|(?P<bullet>[•◦▪■□●○‣∙·⁃➢➤✓►▸◆♦\uf0b7\uf0a7](?!\w\w?[\s.])|[-–*^↑](?=\s+[^\s\-–—_])|o(?=\t))"
    r"|(?P<label>\[[^\]\s]{2,20}\](?=\s))"
)
_IN_LINE = re.compile(
    rf"(?P<square>\[\d{{1,4}}\])|(?P<round>\(\d{{1,4}}\)\Z)|(?P<dot>(?!0\d\d)\d{{1,4}}\.(?=\Z|[^\W\d_]))|(?P<paren>\d{{1,4}}\)\Z)"
    rf"|(?P<raised>[{_RAISED}]+)|(?P<bare>\d{{1,4}}\Z)|(?P<glued>\d{{1,4}}(?=[^\W\d_a-z][^\W\d_A-Z]))"
)
_ONLY_COUNTED = frozenset({"bare", "glued"})
"""Kinds of markers that are one only where they count on."""
_EXPECTED = {
    "counted": (0.98, 4), "square": (0.7, 2), "dot": (0.3, 2), "paren": (0.3, 2), "round": (0.1, 2), "raised": (0.3, 2),
    "bullet": (0.85, 3), "label": (0.5, 2), "blank": (0.75, 3), "page": (0.4, 3), "counted in line": (0.95, 4),
    "in line": (BASE, 20),
    "much": (0.7, 2), "some": (0.5, 2), "full": (0.25, 3),
}  # fmt: skip
"""What share of the places with a cue are boundaries, before this text is looked at, and how many places that is worth."""
_ROUNDS = 12
_IN_LINE_CUE: Cue = ("in line",)
_BY_CHANCE = 3
"""How many times more places without a number than numbers make these no markers."""
_PART = 60
"""Characters of a broken word that are put before its second part."""
_BESIDE = 0.05
"""How much rarer a boundary is expected to be without what begins the other references of the text."""
_IN_LINES = 0.3
"""How much rarer still a boundary inside a line is where lines begin the references."""
_FIRM = 50
"""How many times surer that is: a few lines that hold two references do not make every sentence one."""
_RUN_ON = 0.2
"""The same for the beginning of a line in a paragraph of references."""
_MOSTLY = 2.0
"""How many times more of the places that read like boundaries make a text one of lines, or one of sentences."""


class _Block:
    """Lines that are divided together."""

    def __init__(self, lines: Sequence[_Line], twice: bool = True) -> None:
        self.words: list[str] = []
        self.line_of: list[int] = []
        self.glued: set[int] = set()
        self.places: list[_Place] = []
        base = min(line.indent for line in lines)
        widths = _widths([line.length for line in lines])
        for number, line in enumerate(lines):
            above = lines[number - 1] if number else None
            self._read_line(line, number, _layout(line, above, base, widths[number]))
        self.shapes = Shapes(self._unbroken())
        self._read_places()
        self._count_markers()
        self._weigh()
        self.chosen = self._best()
        if twice and self._read_again():
            self._weigh()
            self.chosen = self._best()

    def _read_line(self, line: _Line, number: int, layout: Cue) -> None:
        """Adds the words of a line; its beginning is a place, and so are its words that could be markers."""
        text, start = line.text, len(self.words)
        after = start
        place = _Place(start, start, layout)
        if found := _AT_LINE.match(text):
            self._mark(place, found)
            text = text[found.end() :]
            self._add(found.group(), number)
            after += 1
            if text and not text[0].isspace():
                self.glued.add(after)
        place.after = after
        self.places.append(place)
        for word in text.split():
            if (found := _IN_LINE.match(word)) and len(self.words) > after:
                self._add(found.group(), number)
                self.places.append(inside := _Place(len(self.words) - 1, len(self.words), _IN_LINE_CUE))
                self._mark(inside, found)
                if rest := word[found.end() :]:
                    self.glued.add(len(self.words))
                    self._add(rest, number)
            else:
                self._add(word, number)

    def _add(self, word: str, line: int) -> None:
        self.words.append(word)
        self.line_of.append(line)

    @staticmethod
    def _mark(place: _Place, found: re.Match[str]) -> None:
        place.kind = found.lastgroup or ""
        digits = "".join(filter(str.isdigit, found.group())).translate(_DIGITS)
        place.number = int(digits) if digits and place.kind not in {"label", "bullet"} else None

    def _unbroken(self) -> list[str]:
        """The words, but where a line break is inside of one, its second part is the whole word."""
        words = list(self.words)
        for place in self.places:
            # The word before may itself be joined from parts: an address may be broken more than once.
            if place.at and place.cue != _IN_LINE_CUE and self._goes_on(words[place.at - 1], place.at):
                place.inside = True
                words[place.at] = words[place.at - 1][-_PART:] + self.words[place.at]
        return words

    def _read_places(self) -> None:
        """Adds the places inside lines, and says of each place how much it reads like a boundary."""
        shapes, marked = self.shapes, {place.at: place for place in self.places}
        places: list[_Place] = []
        for at in range(len(self.words)):
            place = marked.get(at)
            if place is not None:
                if place.after == len(self.words):  # a marker that nothing follows is a word
                    place.kind, place.number, place.after = "", None, at
                if place.cue[0] != "in line" or (
                    place.kind and (place.kind == "square" or shapes.begins(place.after, counted=True))
                ):
                    place.read = shapes.score(at, place.after)
                    places.append(place)
            alone = place is None or (places and places[-1] is not place)
            if alone and at and at not in self.glued and shapes.may_begin(at):
                places.append(_Place(at, at, _IN_LINE_CUE, shapes.score(at)))
        self.places = places

    def _count_markers(self) -> None:
        """Finds the markers that count on. The others of the kinds that need it are words."""
        kinds: dict[str, list[_Place]] = defaultdict(list)
        for place in self.places:
            if place.number is not None and (place.number < _FIRST_YEAR or place.number <= self.line_of[-1] + 1):
                kinds[place.kind].append(place)
        unmarked = sum(place.read > 0 for place in self.places if not place.kind and place.cue == _IN_LINE_CUE)
        for kind, places in kinds.items():
            chain = _counting(places, 3 if kind in _ONLY_COUNTED else 2)
            # Numbers inside of lines that count on by chance are few beside the places that read like boundaries.
            by_chance = all(place.cue == _IN_LINE_CUE for place in chain[:-1]) and unmarked > _BY_CHANCE * len(chain)
            for place in () if by_chance else chain:
                place.chained = True
        kept: list[_Place] = []
        for place in self.places:
            in_line = place.cue[0] == "in line"
            if kept and kept[-1].kind and kept[-1].after == place.at and kept[-1].chained >= place.chained:
                continue  # the marker stands alone in the line above
            if place.inside and not place.chained:
                continue
            if place.chained:
                place.cue = ("counted in line" if in_line else "counted", place.kind)
            elif place.kind and (in_line or not self._stands_alone(place)):
                if in_line and not self.shapes.may_begin(place.at):
                    continue
                place.kind, place.number, place.after = "", None, place.at
                place.read = self.shapes.score(place.at)
            elif place.kind:
                place.cue = (place.kind, *(place.cue if place.kind == "bullet" else ()))
            kept.append(place)
        self.places = kept

    def _stands_alone(self, place: _Place) -> bool:
        """Whether a marker at the beginning of a line is one although it does not count on."""
        return (
            place.kind not in _ONLY_COUNTED
            and (place.number or 0) < _HIGHEST_ALONE
            and (place.kind in {"square", "bullet"} or not place.at or self.words[place.at - 1][-1] not in ",;:(&-–")
        )

    def _goes_on(self, left: str, at: int) -> bool:
        """Whether `left`, a word, a range, a DOI or a URL, goes on in this line."""
        right = self.words[at]
        alone = at + 1 < len(self.words) and self.line_of[at + 1] != self.line_of[at]
        if alone and ends_address(left, right):
            return True  # a marker in a line of its own would count on
        if at + 1 in self.glued:
            right += self.words[at + 1]
        in_path = left[-1] == "/" and "/" in right[:-1]
        if right[0].isupper() and not in_path and not ("10." in left and any(map(str.isdigit, right))):
            return False
        return is_inside_word(left, right) or in_address(left, right)

    def _weigh(self) -> None:
        """The score of each place: how it reads, and how reliable its layout is in this text."""
        cues: dict[Cue, list[_Place]] = defaultdict(list)
        for place in self.places[1:]:
            in_line = place.cue == _IN_LINE_CUE
            place.believed = place.read if in_line else _tempered(place.read, counted=place.chained)
            cues[place.cue].append(place)
        marks = {place.cue for place in self.places if place.chained or place.kind == "bullet"}
        marked = any(cues[cue] for cue in marks)
        in_lines = cues.pop(_IN_LINE_CUE, [])
        # Where lines begin the references, a sentence that reads like one is hardly ever one; where sentences do, a line is not.
        at_lines = sum(_chance(place.believed, BASE) for places in cues.values() for place in places)
        inside = sum(_chance(place.believed, BASE) for place in in_lines)
        for cue, places in cues.items():
            share, worth = _EXPECTED[str(cue[0] if cue[0] in _EXPECTED else cue[-1])]
            if cue not in marks:
                share *= _BESIDE if marked else _RUN_ON if inside > _MOSTLY * max(at_lines, 0.5) else 1
            _rely(places, share, worth)
        of_lines = marked or at_lines > _MOSTLY * inside
        share = BASE
        if of_lines:
            share *= _BESIDE**3 if marked else _BESIDE * _IN_LINES
            for place in in_lines:
                place.believed = _tempered(place.read, counted=False)
        _rely(in_lines, share, _EXPECTED["in line"][1] * (_FIRM if of_lines else 1))

    def second_reading(self) -> SecondReading:
        """What the division says of each place."""
        letters = running_sums(len(word) + 1 for word in self.words)
        reads = {place.at: place.read for place in self.places}
        return SecondReading(self.shapes, reads, [place.at for place in self.chosen], letters)

    def _read_again(self) -> bool:
        """Scores the places by what the first division says of them; whether there are any."""
        reading = self.second_reading()
        again = [place for place in self.places[1:] if place.read > second_reading.LEAST]
        for place in again:
            place.read = reading.score(place.at, place.after)
        return bool(again)

    def _best(self) -> list[_Place]:
        """The places that divide the block best."""
        places = [self.places[0], *(place for place in self.places[1:] if place.score > _HOPELESS)]
        ends = [*(place.at for place in places[1:]), len(self.words)]
        pieces = _Pieces(self.words, self.shapes)
        best = [0.0]
        most = [0.0]  # the best up to each place: no piece from there or before can add more than `_BEST_PIECE`
        back = [0]
        for number, end in enumerate(ends):
            gain, begun = -math.inf, number
            for start in range(number, max(-1, number - _REACH - 1), -1):
                if most[start] + _BEST_PIECE <= gain:
                    break
                found = best[start] + pieces.score(places[start].after, end)
                if found > gain:
                    gain, begun = found, start
            best.append(gain + (places[number + 1].score if number + 1 < len(places) else 0.0))
            most.append(max(most[-1], best[-1]))
            back.append(begun)
        chosen, at = [], len(ends)
        while at:
            at = back[at]
            chosen.append(places[at])
        return chosen[::-1]

    def given(self, words: frozenset[str]) -> Iterator[GivenText]:
        """The references, in order."""
        for place, end in zip(self.chosen, [*(after.at for after in self.chosen[1:]), len(self.words)], strict=True):
            start, number = place.after, place.number
            if place.kind and not place.chained and (place.kind == "label" or start == end):
                start, number = place.at, None
            text = joined(self._lines_of(start, end), words)
            if not text and start > place.at:  # nothing that is seen follows the marker
                text, number = joined(self._lines_of(place.at, end), words), None
            if text:
                yield GivenText(text, number)

    def _lines_of(self, start: int, end: int) -> Iterator[str]:
        line: list[str] = []
        for at in range(start, end):
            if at > start and self.line_of[at] != self.line_of[at - 1]:
                yield "".join(line)
                line = []
            line.append(self.words[at] if not line or at in self.glued else f" {self.words[at]}")
        yield "".join(line)

    def reads_as_list(self) -> bool:
        """Whether most pieces begin with a name and have a year, as references do and other text does not."""
        ends = [*(place.at for place in self.chosen[1:]), len(self.words)]
        kinds, shapes = self.shapes.kinds, self.shapes.shapes
        good = 0
        for place, end in zip(self.chosen, ends, strict=True):
            first = kinds[place.after : place.after + 5]
            named = any(one in "IiK—" for one in first) or shapes[min(place.after, end - 1)] in {"C,", "S,", "A,"}
            good += named and any(one in "Yy" for one in kinds[place.after : end])
        return 2 * good > len(self.chosen)


_SURE = 3.0
_BEYOND = 0.35
"""The score up to which words are believed, and how much of the rest is: any reference may be printed oddly."""
_HOPELESS = -5.0
"""The score below which a place is not tried."""
_REACH = 40
"""Places that a reference may pass over at most."""
_FIRST_YEAR = 1500
_HIGHEST_ALONE = 1000
"""The number from which a marker is not one unless it counts on: it could be a year."""


def _tempered(read: float, counted: bool) -> float:
    """A score of words alone, for or against a boundary, not surer than words can be. Markers that count on are surer still."""
    if counted:
        return max(read, -_SURE)
    return read if abs(read) <= _SURE else math.copysign(_SURE + (abs(read) - _SURE) * _BEYOND, read)


def _chance(read: float, share: float) -> float:
    """The probability that a place is a boundary where this share of such places is."""
    odds = math.exp(min(read, 50.0)) * (1 - BASE) / BASE * share / (1 - share)
    return odds / (1 + odds)


def _rely(places: Sequence[_Place], share: float, worth: float) -> None:
    """Sets the scores of places with the same cue. `share` of them are expected to be boundaries, which weighs as much as `worth`
    places; how many really are is estimated from all of them (expectation-maximisation)."""
    estimate = share
    odds = [math.exp(min(place.believed, 50.0)) * (1 - BASE) / BASE for place in places]
    for _ in range(_ROUNDS):
        ratio = estimate / (1 - estimate)
        boundaries = sum(1 - 1 / (1 + each * ratio) for each in odds)
        estimate = min(0.9999, max(0.0001, (boundaries + share * worth) / (len(places) + worth)))
    shift = math.log(estimate / (1 - estimate)) - math.log(BASE / (1 - BASE))
    for place in places:
        place.score = place.believed + shift


def _widths(lengths: Sequence[int]) -> list[int]:
    """How wide the column is at each line: the second longest of the lines around it, so that one long line says little."""
    widths = []
    for number in range(len(lengths)):
        near = sorted(lengths[max(0, number - 5) : number + 6])
        widths.append(near[-2] if len(near) > 3 else near[-1])
    return widths


def _layout(line: _Line, above: _Line | None, base: int, width: int) -> Cue:
    level = int(line.indent > base + 1)
    first = line.text[:200].split(maxsplit=1)[0]
    left = width - (above.length if above else 0) - 1 - len(first)
    # The address that did not fit was longer than what this line has of it.
    room = "full" if left < 0 or _BROKEN_ADDRESS.match(first) else "some" if left < 0.15 * width else "much"
    return (line.gap, level, room) if line.gap else (level, room)


_BROKEN_ADDRESS = re.compile(r"(?:https?:|www\.|doi:|10\.\d{4,9}/)\S*[/._-]\Z", re.IGNORECASE)


def _counting(places: Sequence[_Place], least: int) -> list[_Place]:
    """The places whose numbers count on best: most of them, from 1, with few gaps, where the text reads like boundaries."""
    best: dict[int, int] = {}
    top: int | None = None
    scores: list[float] = []
    back: list[int | None] = []
    for number, place in enumerate(places):
        value = place.number or 0
        own = min(4.0, max(-4.0, place.read + 3)) - (2.0 if place.inside else 0.0)
        ways: list[tuple[float, int | None]] = [(-1.0 if value == 1 else -3.0, None)]
        ways += [
            (scores[best[value - step]] + bonus, best[value - step])
            for step, bonus in ((1, 3.0), (2, 0.0), (3, -1.0))
            if value - step in best
        ]
        if top is not None and (place.cue[0] != "in line" or value == 1):
            ways.append((scores[top] - (1 if value == 1 else 6), top))
        gain, before = max(ways, key=lambda way: way[0])
        scores.append(gain + own)
        back.append(before)
        if value not in best or scores[number] > scores[best[value]]:
            best[value] = number
        if top is None or scores[number] > scores[top]:
            top = number
    chain: list[_Place] = []
    at = top
    while at is not None:
        chain.append(places[at])
        at = back[at]
    return chain if top is not None and scores[top] > 0 and len(chain) >= least else []


class _Pieces:
    """How much a piece reads like one whole reference: by its length, its years and its links."""

    def __init__(self, words: Sequence[str], shapes: Shapes) -> None:
        self._letters = running_sums(len(word) + 1 for word in words)
        self._years = running_sums(kind in "YyT" for kind in shapes.kinds)
        self._links = running_sums(kind in "UD" for kind in shapes.kinds)

    def score(self, start: int, end: int) -> float:
        letters = self._letters[end] - self._letters[start]
        years = self._years[end] - self._years[start]
        links = self._links[end] - self._links[start]
        by_length = (
            -4.0 if letters < 12 else -2.0 if letters < 30 else -0.5 if letters < 50 else -max(0, letters - 500) / 400
        )
        return by_length + _BY_YEARS[years if years < 4 else 4] + _BY_LINKS[links if links < 3 else 3]


_BY_YEARS, _BY_LINKS = (-1.5, 0.2, 0.0, -0.7, -1.5), (0.0, 0.0, -1.0, -3.0)
_BEST_PIECE = 0.2
"""What a piece gains for its years and links, by how many they are, and at most in all."""
