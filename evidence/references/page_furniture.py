"""Which lines of a pasted text are no part of a reference: headings, page headers, page footers, page numbers.

It looks at lines alone and may not look into references. A line is taken for furniture only on evidence that a line of a
reference does not give: a page number that counts on from page to page, the same words at the distance of a page, a layout
that only printing makes, or the fixed words of publishers. When in doubt a line belongs to a reference.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Container, Iterator, Sequence
from itertools import pairwise

PAGE = 10
"""Lines that a printed page has at least."""
_LONGEST = 150
"""Characters of a header at most."""
_ALONE = re.compile(r"(?!0|1[5-9]\d\d|20[0-4]\d)\d{1,4}")
_PAGE_NUMBER = re.compile(
    r"(?:(?:page|seite|página|pagina|стр\.?)\s*\d{1,4}(?:\s*(?:of|von|de|sur|di|из|/)\s*\d{1,4})?"
    r"|\d{1,4}\s*(?:of|von|sur|из)\s*\d{1,4}|[-–—]\s*\d{1,4}\s*[-–—]|\d{1,4}\s*\|\s*p\s?a\s?g\s?e|\|\s*\d{1,4}|\d{1,4}\s*\|)",
    re.IGNORECASE,
)
_PUBLISHERS = re.compile(
    r"(?:(?:NIH-PA|HHS Public Access)?\s*Author Manuscript|Downloaded from \S+ by .*|.* Author manuscript; available in PMC .*"
    r"|www\.[\w.-]+\s+Vol\.? \d+.*"
    r"|This article is protected by copyright.*|Preprint submitted to .*|(?:©|\(c\)|copyright (?:©|\(c\)|(?:19|20)\d\d)).*)",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"(?:(?P<first>\d{1,4})\s+)?(?P<words>\S(?:.*\S)?)", re.DOTALL)
_LAST_NUMBER = re.compile(r"\s+(\d{1,4})\Z")
_FAR_NUMBER = re.compile(r"(?=.*[^\W\d_])\S+(?:\s{1,2}\S+)*(?:\s{3,}|\t\s*)\d{1,4}")
_WIDE = re.compile(r"\S\s{3,}\S")
_BROKEN_ADDRESS = re.compile(r"(?:://|\b10\.\d{4,9}/|www\.)\S*[./_-]\Z")
_ADDRESS = re.compile(r"://|\b10\.\d{4,9}/|\bdoi:", re.IGNORECASE)
_VOLUME = re.compile(r"\b(?:vols?|nos?|nr|pp?|bd|ch|art|iss|jg|h|t|n|s|eds?)\.?\Z", re.IGNORECASE)
_FEW_BLANKS = 12
"""A text has few blank lines where it has this many times more lines."""
_YEAR = re.compile(r"1[5-9]\d\d|20\d\d")

_NAMED = re.compile(r"[^\W\d_][\w'’-]+,? (?:[^\W\d_a-z]{1,3}(?:[,.:;]| \()|(?:[^\W\d_a-z]\.[ -]?)+)")
"""A surname and initials."""

_LISTS = (
    "references|reference list|list of references|references and notes|references cited|cited references|literature cited|"
    "literature|works cited|cited works|bibliography|selected bibliography|further reading|"
    "literatur|literaturverzeichnis|literaturangaben|quellen|quellenverzeichnis|schrifttum|referenzen|"
    "références|références bibliographiques|bibliographie|bibliografía|referencias|referencias bibliográficas|"
    "referências|referências bibliográficas|bibliografia|riferimenti bibliografici|literatuur|referenser|"
    "litteratur|literatura|piśmiennictwo|kaynakça|литература|список литературы|библиография|参考文献|參考文獻|문헌|참고문헌"
)
_NUMBER_OF_SECTION = r"(?:(?:\d{1,2}|[IVX]{1,5})(?:\.\d{1,2})*[.)]?\s+)?"
_HEADING = re.compile(
    rf"[#*_\s]*{_NUMBER_OF_SECTION}(?:{_LISTS})\s*(?:\(\d+\)|\[edit\])?\s*[:.]?[#*_\s]*", re.IGNORECASE
)
_SPACED = re.compile(r"(?:\w\s)+\w")
_LEADING = re.compile(
    rf"\s*(?:(?:{_LISTS})(?:\s*:\s*(?=[\[(“\"\d]|(?-i:[^\W\d_a-z]))|\s+(?=[\[(“\"\d]))|references\s+(?=(?-i:[^\W\d_a-z])))",
    re.IGNORECASE,
)
_OTHER = re.compile(
    r"(?:(?:supplementary|supporting|additional) (?:material|materials|information|data|files?)|acknowledge?ments?"
    r"|(?:list of )?(?:figure|table)s?(?: legends?| captions?)?|legends?(?: (?:to|of|for) figures?)?|captions?"
    r"|appendix(?: [A-Z\d])?|appendices|author contributions?|funding|conflicts? of interests?|competing interests"
    r"|declarations?|about the authors?|footnotes|abbildungs(?:legenden|verzeichnis)|tabellen(?:verzeichnis)?"
    r"|anhang(?: [A-Z\d])?|danksagung|légendes(?: des figures)?|annexes?|remerciements)\s*[:.]?"
    r"|(?:fig(?:ure|\.)|table|box|abbildung|abb\.|tabelle|tab\.) ?[A-Z]?\d{1,3}[.:]\s.*",
    re.IGNORECASE,
)


def is_heading(line: str) -> bool:
    """Whether a line is the heading of a reference list, in one of a dozen languages."""
    line = line.strip()
    if len(line) > 60:
        return False
    return bool(_HEADING.fullmatch(line) or (_SPACED.fullmatch(line) and _HEADING.fullmatch(re.sub(r"\s", "", line))))


def heading_before(text: str) -> int:
    """How many characters the heading takes that stands in the first line before the first reference; 0 for none."""
    found = _LEADING.match(text[:_LONGEST])
    return found.end() if found else 0


def begins_other_text(line: str) -> bool:
    """Whether a line is the heading of something that follows a reference list, such as figure legends."""
    line = line.strip()
    return len(line) <= _LONGEST * 3 and bool(_OTHER.fullmatch(line))


def furniture(lines: Sequence[str]) -> set[int]:
    """The numbers of the lines that are page headers, footers and page numbers. A line still has its form feed."""
    bare = [line.strip() for line in lines]
    found = {
        number
        for number, line in enumerate(bare)
        if line and len(line) <= _LONGEST and (_PAGE_NUMBER.fullmatch(line) or _PUBLISHERS.fullmatch(line))
    }
    found |= _beside_page_numbers(bare, {number for number in found if _PAGE_NUMBER.fullmatch(bare[number])})
    found |= _counted(bare)
    found |= _far_numbers(bare)
    found |= _repeated(lines, bare, found)
    found |= _lonely(lines, bare, found)
    return found | _between_parts(bare, found)


def _beside_page_numbers(bare: Sequence[str], numbers: set[int]) -> set[int]:
    """Headers in the line above or below what can only be a page number (`Page 3 of 40`, `- 3 -`): where the next word would have
    fitted into the line, or nothing follows it."""
    found: set[int] = set()
    for number in numbers:
        below, above = number + 1, number - 1
        if below < len(bare) and bare[below] and below not in numbers and _may_be_title(bare[below]):
            last = not any(bare[below + 1 : below + 1 + PAGE // 2])
            if (
                above >= 0
                and (last or _has_room(bare, below))
                and (_ends_a_part(bare[above]) or _interrupts(bare, above, below, below + 1))
            ):
                found.add(below)
        elif above > 0 and above not in numbers and bare[above] and _may_be_title(bare[above]):
            narrow = len(bare[above]) + PAGE < _width(bare, above) and not _YEAR.search(bare[above])
            if (narrow and _ends_a_part(bare[above - 1])) or _interrupts(bare, above - 1, above, below):
                found.add(above)
    return found


_WORDS = 3
"""Words of a header at least that stands in the middle of a reference."""


def _interrupts(bare: Sequence[str], before: int, number: int, after: int) -> bool:
    """Whether a line stands inside of a reference that goes on after it: it cannot follow what is before, whose line had room
    left for its first word, or it has no number in it and what comes after goes on in the middle of a sentence."""
    if not bare[before] or _ends_a_part(bare[before]) or bare[before][-1].isdigit():
        return False
    if not bare[number][0].isupper() or len(bare[number].split()) < _WORDS:
        return False
    if _fits(bare, before, bare[number]):
        return True
    following = bare[after] if after < len(bare) else ""
    return following[:1].islower() and not any(map(str.isdigit, bare[number]))


def _fits(bare: Sequence[str], number: int, following: str) -> bool:
    """Whether the first word of what follows would have fitted into a line, however narrow the column is."""
    near = sorted(len(line) for line in bare[max(0, number - 6) : number + 7] if line)
    return (
        len(near) > 4 and len(bare[number]) + 1 + len(following[:_LONGEST].split(maxsplit=1)[0]) <= near[len(near) // 2]
    )


def _ends_a_part(line: str) -> bool:
    """Whether a reference may end with this line: with a full stop or an address. What follows a blank line may begin one."""
    return line[-1:] in {".", ")", "]"} or bool(_ADDRESS.search(line))


def _between_parts(bare: Sequence[str], found: set[int]) -> set[int]:
    """Page numbers, alone or with a header, that stand between blank lines where no other blank line is in the text; and the one
    that ends a text. What stands first may be a marker."""
    blocks = list(_between_blanks(bare))
    first = {line.split(maxsplit=1)[0].strip("[]().") for line in bare if line}
    ends = [at for at, block in enumerate(blocks) if at and _is_page_end(bare, block, first, found)]
    others = set(range(len(blocks))).difference(ends)
    if any(at + 1 in others for at in others):
        # Blank lines stand between references too: only what cuts one in two, or is counted from page to page, is a page's end.
        pages = [_page(bare, blocks[at]) for at in ends]
        counted = {
            at
            for (one, page), (other, next_page) in pairwise(zip(ends, pages, strict=True))
            for at in (one, other)
            if page is not None and next_page is not None and next_page - page == 1 and other - one > 1
        }
        ends = [
            at
            for at in ends
            if not _may_go_on(bare[blocks[at - 1][-1]])
            and (
                at + 1 == len(blocks)
                or (3 * len(counted) <= len(blocks) and at in counted)
                or _cuts(bare, blocks[at - 1], blocks[at + 1])
            )
        ]
    return {number for at in ends for number in blocks[at]}


def _page(bare: Sequence[str], block: Sequence[int]) -> int | None:
    """The number that a block of one or two lines begins or ends with."""
    words = [
        word for number in block for word in (bare[number].split(maxsplit=1)[0], bare[number].rsplit(maxsplit=1)[-1])
    ]
    return next((int(word) for word in words if _ALONE.fullmatch(word)), None)


def _cuts(bare: Sequence[str], above: Sequence[int], below: Sequence[int]) -> bool:
    """Whether a reference is open where one block ends, and goes on in another."""
    last, first = bare[above[-1]], bare[below[0]]
    return not _ends_a_part(last) and not last[-1].isdigit() and (first[0].islower() or not _NAMED.match(first))


def _counted(bare: Sequence[str]) -> set[int]:
    """Numbers alone in their lines, or with the same words, that count on from page to page."""
    found: set[int] = set()
    groups: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for number, line in enumerate(bare):
        if not line or len(line) > _LONGEST:
            continue
        if _ALONE.fullmatch(line):
            groups[""].append((number, int(line)))
            continue
        parts = _NUMBERED.fullmatch(line)
        last = _LAST_NUMBER.search(line)
        if last and not _YEAR.fullmatch(last.group(1)):
            groups[line[: last.start()]].append((number, int(last.group(1))))
        elif parts and parts["first"]:
            groups[parts["words"]].append((number, int(parts["first"])))
    for title, group in groups.items():
        counted: set[int] = set()
        for (at, page), (after, next_page) in pairwise(group):
            steps = next_page - page
            if 0 < steps <= max(2, (after - at) // PAGE) and after - at >= PAGE * min(steps, 2):
                counted |= {at, after}
        for (at, page), (after, next_page) in pairwise(group):
            ends = not title and not any(bare[after + 1 :])
            if next_page - page == 1 and (counted & {at, after} or ends):  # the last page may be short
                counted |= {at, after}
        if 2 * len(counted) >= len(group) and (
            not title or len(counted) > 2 or all(_apart(bare, at) for at in counted)
        ):
            found |= counted
    return found


def _far_numbers(bare: Sequence[str]) -> set[int]:
    """Lines of words with a number far to the right, where hardly any line is laid out like that."""
    far = {
        number
        for number, line in enumerate(bare)
        if len(line) <= _LONGEST and _FAR_NUMBER.fullmatch(line) and not _YEAR.fullmatch(line[-4:])
    }
    wide = sum(len(line) <= _LONGEST and bool(_WIDE.search(line)) for line in bare)
    return far if wide * PAGE <= len(bare) + PAGE else set()


def _apart(bare: Sequence[str], number: int) -> bool:
    """Whether a line has a blank line on one side."""
    return not (0 < number < len(bare) - 1) or not bare[number - 1] or not bare[number + 1]


def _repeated(lines: Sequence[str], bare: Sequence[str], pages: set[int]) -> set[int]:
    """Lines with the same words again and again: at the distance of pages, or always beside a page number or form feed."""
    groups: dict[str, list[int]] = defaultdict(list)
    for number, line in enumerate(bare):
        if line and len(line) <= _LONGEST and any(map(str.isalpha, line)) and _may_be_title(line):
            groups[line].append(number)
    found: set[int] = set()
    for group in groups.values():
        beside = [_beside(lines, bare, number, pages) for number in group]
        gaps = [after - before for before, after in pairwise(group)]
        regular = len(gaps) >= 2 and min(gaps) >= PAGE and max(gaps) <= 1.5 * min(gaps)
        often = regular and (2 * sum(beside) >= len(group) or len(gaps) >= 3)
        if len(group) >= 2 and (all(beside) or (often and all(_has_room(bare, number) for number in group))):
            found.update(group)
    return found


def _width(bare: Sequence[str], number: int) -> int:
    """How wide the column is at a line."""
    near = sorted(len(line) for line in bare[max(0, number - 6) : number + 7])
    return near[-2] if len(near) > 4 else 0


def _has_room(bare: Sequence[str], number: int) -> bool:
    """Whether the next word would have fitted into a line, had the line been part of the text."""
    after = next((line for line in bare[number + 1 : number + 4] if line), "")
    return bool(after) and len(bare[number]) + 1 + len(after[:_LONGEST].split(maxsplit=1)[0]) <= _width(bare, number)


_OPEN = "-–—,:;(/&"
"""What a line ends with that goes on."""


def _beside(lines: Sequence[str], bare: Sequence[str], number: int, pages: set[int]) -> bool:
    """Whether a line is at the break of a page: beside a page number, or after a form feed; blank lines do not count."""
    if "\f" in lines[number]:
        return True
    for step in (-1, 1):
        at = number + step
        while 0 <= at < len(bare) and not bare[at] and abs(at - number) < 4:
            at += step
        if at in pages:
            return True
    return False


def _lonely(lines: Sequence[str], bare: Sequence[str], found: set[int]) -> set[int]:
    """Page numbers and headers that stand once: a number alone where a column had room above it, or what stands apart between
    blank lines in a text that has hardly any."""
    apart = _FEW_BLANKS * sum(not line for line in bare) <= len(bare)
    alone = [number for number, line in enumerate(bare) if _ALONE.fullmatch(line)]
    near = {
        line
        for before, after in pairwise(alone)
        if int(bare[after]) == int(bare[before]) + 1 and after - before < PAGE
        for line in (before, after)
    }  # markers in lines of their own
    more = {
        number
        for number in alone
        if number not in found
        and number not in near
        and not (
            number
            and bare[number - 1]
            and _may_go_on(bare[number - 1])
            and not (bare[number - 1][-1] == "." and _fits(bare, number - 1, bare[number]))
        )
        and ("\f" in lines[number] or _beside(lines, bare, number, found) or _is_between(bare, number))
    }
    if apart:
        first = {line.split(maxsplit=1)[0].strip("[]().") for line in bare if line}
        for block in _between_blanks(bare):
            if len(block) <= 2 and (
                any(number in found or number in more for number in block)
                or (len(block) == 1 and _is_counted_title(bare[block[0]], first))
            ):
                more.update(number for number in block if _may_be_title(bare[number]))
    return more


def _may_go_on(above: str) -> bool:
    """Whether a number may be the rest of a range, of a volume or of a DOI in the line above."""
    return above[-1] in _OPEN or bool(_BROKEN_ADDRESS.search(above[-_LONGEST:]) or _VOLUME.search(above[-_LONGEST:]))


def _is_between(bare: Sequence[str], number: int) -> bool:
    """Whether a number alone in its line cannot be part of the text around: it would have fitted into the line above, or what
    follows would have fitted into its line and does not begin a reference unless one has ended above."""
    above = bare[number - 1] if number else ""
    closed = above[-1:] in {".", ")"} or bool(_ADDRESS.search(above))
    following = bare[number + 1] if number + 1 < len(bare) else ""
    if above[-1:].islower() and not closed and following[:1].isalpha() and not _NAMED.match(following):
        return _has_room(bare, number)
    if above and len(above) + 1 + len(bare[number]) <= (0.9 if closed else 1) * _width(bare, number):
        return True
    after = next((line for line in bare[number + 1 : number + 4] if line), "")
    return closed if not after else _has_room(bare, number) and (closed or after[0].islower())


def _between_blanks(bare: Sequence[str]) -> Iterator[list[int]]:
    block: list[int] = []
    for number, line in enumerate(bare):
        if line:
            block.append(number)
        elif block:
            yield block
            block = []
    if block:
        yield block


def _is_page_end(bare: Sequence[str], block: Sequence[int], first: Container[str], found: Container[int]) -> bool:
    """Whether one or two lines are a page number, alone or with a header."""
    if len(block) > 2:
        return False
    alone = [number for number in block if _ALONE.fullmatch(bare[number]) or number in found]
    rest = [bare[number] for number in block if number not in alone]
    if alone:
        return all(map(_may_be_title, rest))
    words = _NUMBERED.fullmatch(rest[0])
    return (
        len(block) == 1
        and _is_counted_title(rest[0], first)
        and words is not None
        and not _NAMED.match(words["words"])
        and _may_be_title(rest[0])
    )


def _is_counted_title(line: str, first: Container[str]) -> bool:
    """Whether a line begins with the number of its page, and is not one of a list of numbered lines."""
    parts = _NUMBERED.fullmatch(line)
    page = parts["first"] if parts else None
    return (
        page is not None and not _YEAR.fullmatch(page) and not any(str(int(page) + step) in first for step in (-1, 1))
    )


def _may_be_title(line: str) -> bool:
    """Whether a line may be a header: it neither begins nor ends as a reference or a part of one does, and has no address."""
    return len(line) <= 100 and line[-1] not in ".,;:-–" and not _NAMED.match(line) and not _ADDRESS.search(line)
