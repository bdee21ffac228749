"""References printed in citation styles made at random, for training the splitter: `drawn(rng).printed(item, rng)`.

citeproc-py is slow, and its styles are the ones that are measured. A style here is drawn element by element (how names, years,
titles, journals, pages and DOIs are printed, in which order, what ends them), so that what is learnt holds for styles nobody
thought of. `odd` makes records whose titles look like the end of a reference. Nothing here is used by the package.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Item = Mapping[str, Any]
_NAMES = ("Smith AB", "Smith A B", "Smith A.B.", "Smith A. B.", "Smith, A. B.", "Smith, A.B.", "Smith, AB", "Smith, Ann B.",
          "A. B. Smith", "A.B. Smith", "AB Smith", "Ann B. Smith")  # fmt: skip
_AND = ("", "", " and ", " & ", ", and ", ", & ", " und ", " et ", " y ", "; and ")
_OTHERS = (" et al.", ", et al.", " et al", ", et al", ", and others", " u. a.", ", … ")
_AFTER_NAMES = (". ", ", ", ": ", " ", ".: ", "; ")
_YEARS = ("({}) ", "({}). ", "({}): ", "{}. ", "{} ", "{}, ", "({}), ", "[{}] ")
_QUOTES = (("", ""),) * 5 + (("“", "”"), ('"', '"'), ("‘", "’"), ("„", "“"), ("«", "»"), ("'", "'"))
_AFTER_TITLE = (". ",) * 6 + (", ", ", ", " ")
_IN = ("In: ", "In ", "in: ", "in ", "", "// ", "– In: ")
_VOLUMES = ("{v}({i})", "{v} ({i})", "{v}, no. {i}", "vol. {v}, no. {i}", "{v}", "{v}, {i}", "Vol. {v} No. {i}", "{v}.{i}",
            "Bd. {v}, H. {i}", "{v}, n. {i}")  # fmt: skip
_ISSUE = re.compile(r"[\s,.(]*(?:no\. |No\. |n\. |H\. )?\{i\}\)?")
_BEFORE_VOLUME = (" ", " ", ", ", ". ", ", ")
_BEFORE_PAGES = (":", ": ", ", ", ", pp. ", ", p. ", ", S. ", " ", ". pp. ", ", pp ")
_DOIS = ("https://doi.org/{}", "doi:{}", "doi: {}", "DOI: {}", "http://dx.doi.org/{}", "DOI {}", "doi {}", "https://doi.org/{}.",
         "doi:{}.", "Available from: https://doi.org/{}", "{}", "[doi: {}]")  # fmt: skip
_PLACES_OF_YEAR = ("authors", "authors", "authors", "volume", "place", "end", "pages")
_ENDS = (".", ".", ".", "", "", ";")


@dataclass(frozen=True, slots=True)
class Style:
    """One style: each field says how one element is printed."""

    name: str
    first_name: str
    between: str
    last: str
    capitals: bool
    shown: int
    kept: int
    others: str
    after_names: str
    year_at: str
    year: str
    quotes: tuple[str, str]
    after_title: str
    titles: bool
    inside: str
    short: bool
    before_volume: str
    volume: str
    before_pages: str
    both_pages: bool
    dash: str
    doi: str
    end: str
    publisher_first: bool
    editors_after: bool

    def printed(self, item: Item, rng: random.Random) -> str:
        """One reference."""
        issued = item.get("issued")
        year = str(issued["date-parts"][0][0]) if issued else rng.choice(("n.d.", "", ""))
        held = str(item.get("container-title", ""))
        text = self._before_place(item, year, held, rng)
        left = "" if self.year_at == "authors" else year
        if item["type"] in {"article-journal", "article"}:
            text += self._journal(item, held, left) if held else ""
        else:
            text += self._book(item, held, left, rng)
        return self._ended(text.strip(" ,"), item, rng)

    def _before_place(self, item: Item, year: str, held: str, rng: random.Random) -> str:
        """Authors, year and title."""
        authors, text = self._people(item.get("author", ())), ""
        shown = self.year.format(year) if year and self.year_at == "authors" else ""
        if authors:
            text = _closed(authors, " " if shown and self.year[0] in "([" else self.after_names) + shown
        if self.titles or not held or not authors:
            opened, closed = self.quotes
            tail, inner = self.after_title, ""
            if opened and tail[0] in ".," and rng.random() < 0.5:
                tail, inner = " ", tail[0]
            text += _closed(f"{opened}{item['title']}{inner}{closed}", tail)
        return text if authors else text + shown

    def _journal(self, item: Item, held: str, year: str) -> str:
        """The journal, and where in it; the year where it does not stand with the authors."""
        parts = [word[:4].rstrip("aeiou") for word in held.split() if word[0].isupper()]
        if self.short and len(parts) > 1:
            held = " ".join(f"{part}." if self.end else part for part in parts)
        volume, issue = item.get("volume", ""), item.get("issue", "")
        where = (self.volume if issue else _ISSUE.sub("", self.volume)).format(v=volume, i=issue) if volume else ""
        pages = self._pages(item)
        lead = self.inside if self.inside == "// " else ""
        if year and self.year_at == "volume":
            return f"{lead}{held}{self._year_first(year, where, pages)}"
        text = (
            lead
            + held
            + (f"{self.before_volume}{where}" if where else "")
            + (f"{self.before_pages}{pages}" if pages else "")
        )
        return text + (f" ({year})" if year and self.year[0] == "(" else f", {year}" if year else "")

    def _year_first(self, year: str, where: str, pages: str) -> str:
        """Year, volume and pages where the year stands before the pages."""
        if self.year[0] == "(":
            return f" {where} ({year})" + (f" {pages}" if pages else "")
        if self.year[0] == "{" and self.before_pages[0] == ":":
            return f". {year};{where}" + (f":{pages}" if pages else "")
        return f" {year}, {where}" + (f"{self.before_pages}{pages}" if pages else "")

    def _book(self, item: Item, held: str, year: str, rng: random.Random) -> str:
        """The book or proceedings and its editors, publisher, place, pages."""
        text = ""
        if held:
            editors = self._people(item.get("editor", ()))
            names = f"{editors} (eds.) " if rng.random() < 0.5 else f"{editors}, editors. "
            text = self.inside + (
                f"{held}, {names}" if editors and self.editors_after else f"{names if editors else ''}{held}"
            )
            text += f", vol. {item['volume']}" if item.get("volume") else ""
            text += rng.choice((". ", ", ", " ")) if rng.random() < 0.2 else ". " if self.end == "." else ", "
        both = [str(item.get("publisher", "")), str(item.get("publisher-place", ""))]
        both = both if self.publisher_first else both[::-1]
        text += (", " if self.publisher_first else ": ").join(filter(None, both))
        text += f" ({year})" if year and self.year[0] == "(" else f", {year}" if year else ""
        pages = self._pages(item)
        return text + (f":{pages}" if pages and self.before_pages[0] == ":" else f", pp. {pages}" if pages else "")

    def _ended(self, text: str, item: Item, rng: random.Random) -> str:
        """The reference with its DOI or address, and what ends it."""
        if item.get("DOI") and self.doi:
            text = f"{text.rstrip('.,')}{self.end if self.end == '.' else ','} {self.doi.format(item['DOI'])}".strip()
            return text if text[-1] == "." or self.end != "." or rng.random() < 0.7 else f"{text}."
        if item.get("URL"):
            text = f"{_closed(text, '. ')}{'Available at: ' if self.editors_after else ''}{item['URL']}"
            return f"{text} (accessed {rng.randrange(1, 29)} May 2023){self.end}" if self.both_pages else text
        return text if not self.end or text[-1:] in ".?!" else text + self.end

    def _pages(self, item: Item) -> str:
        pages = str(item.get("page", ""))
        return pages.replace("-", self.dash) if self.both_pages else pages.split("-")[0]

    def _people(self, people: Sequence[Mapping[str, str]]) -> str:
        cut = len(people) > self.shown
        names = [
            self._person(person, self.name if number else self.first_name)
            for number, person in enumerate(people[: self.kept] if cut else people)
        ]
        if cut:
            last = self._person(people[-1], self.name) if self.others.endswith("… ") else ""
            return f"{self.between.join(names)}{self.others}{last}"
        if len(names) > 1 and self.last:
            return self.between.join(names[:-1]) + self.last + names[-1]
        return self.between.join(names)

    def _person(self, person: Mapping[str, str], form: str) -> str:
        if "literal" in person:
            return person["literal"]
        family = person["family"].upper() if self.capitals else person["family"]
        given = person.get("given", "")
        if not given:
            return family
        letters = [part[0].upper() for part in re.split(r"[\s.]+", given) if part and part[0].isalpha()] or ["A"]
        made = form.replace("Ann B.", given).replace("A. B.", " ".join(f"{one}." for one in letters))
        made = made.replace("A.B.", "".join(f"{one}." for one in letters)).replace("A B", " ".join(letters))
        return made.replace("AB", "".join(letters)).replace("Smith", family)


def drawn(rng: random.Random) -> Style:
    """A style made at random."""
    name, shown = rng.choice(_NAMES), rng.choice((3, 6, 10, 40))
    return Style(
        name=name,
        first_name=rng.choice(_NAMES) if rng.random() < 0.15 else name,
        between="; " if rng.random() < (0.35 if "," in name else 0.1) else ", ",
        last=rng.choice(_AND),
        capitals=rng.random() < 0.07,
        shown=shown,
        kept=rng.choice((1, 3, shown)),
        others=rng.choice(_OTHERS),
        after_names=rng.choice(_AFTER_NAMES),
        year_at=rng.choice(_PLACES_OF_YEAR),
        year=rng.choice(_YEARS),
        quotes=rng.choice(_QUOTES),
        after_title=rng.choice(_AFTER_TITLE),
        titles=rng.random() < 0.93,
        inside=rng.choice(_IN),
        short=rng.random() < 0.35,
        before_volume=rng.choice(_BEFORE_VOLUME),
        volume=rng.choice(_VOLUMES),
        before_pages=rng.choice(_BEFORE_PAGES),
        both_pages=rng.random() < 0.85,
        dash=rng.choice("–-"),
        doi=rng.choice(_DOIS) if rng.random() < 0.5 else "",
        end=rng.choice(_ENDS),
        publisher_first=rng.random() < 0.5,
        editors_after=rng.random() < 0.5,
    )


def _closed(text: str, tail: str) -> str:
    """A text with punctuation after it, unless it ends in some."""
    ended = text[-1:] in tuple(".?!") and tail[0] in ".,:;" and (tail[0] == "." or text[-1] != ".")
    return text + (tail[1:] if ended else tail)


# Odd records ------------------------------------------------------------------------------------------------------------

_SITES = ("https://clinicaltrials.gov/", "http://www.anzctr.org.au", "https://osf.io/registries", "http://pubs.example.org/",
          "www.socialscienceregistry.org", "http://example.com/", "https://zenodo.org")  # fmt: skip
_HOSTS = ("Springer Science and Business Media LLC", "Public Library of Science (PLoS)", "American Economic Association",
          "Elsevier BV", "MDPI AG", "Zenodo", "Wiley", "Center for Open Science", "Figshare", "Informa UK Limited")  # fmt: skip
_TOWNS = ("London", "New York", "Washington, DC", "Oxford", "Piccadilly, London", "Vienna, Austria")
_MONTHS = ("January", "March", "May", "June", "September", "November")
_ABOUT = ("Re: ", "Comment on: ", "Erratum to: ", "Correction: ", "Response to ", "Letter: ")
_ACRONYMS = ("CPRI", "NASA", "STAR*D", "RCT", "ICALM Feasibility RCT", "Mon R2", "SPSS", "DNA", "MRI", "NGC 300", "HIV-1", "B",
             "COVID-19")  # fmt: skip
_BEFORE_ACRONYMS = (" over ", " of the ", ": The ", " using ", " for ", " (", " and ")


def _of_review(title: str, name: str, year: int, rng: random.Random) -> str:
    """The title of a review of a book: its publisher, pages, price and ISBN."""
    town, house = rng.choice(_TOWNS), rng.choice(_HOSTS)
    parts = [
        f"{title}. By {name}",
        rng.choice((f"{house}: {town}. {year}", f"{town}: {house}, {year}", f"({house}, {year})")),
        rng.choice(("{} pages", "Pp. {}", "{} pp")).format(rng.randrange(90, 900)),
        f"{rng.choice('$£€')}{rng.randrange(9, 200)}.{rng.choice(('00', '50', '95', '99'))}",
    ]
    if rng.random() < 0.6:
        parts.append(
            f"ISBN {rng.randrange(2)}-{rng.randrange(100, 999)}-{rng.randrange(10000, 99999)}-{rng.choice('0123456789X')}"
        )
    return rng.choice((". ", ", ", ". ")).join(parts[: rng.randrange(2, 6)]) + rng.choice((".", "", "."))


def _of_letter(title: str, name: str, year: int, rng: random.Random) -> str:
    cited = (
        f"{name}: {title}",
        f"{title} [{name} et al., {year}]",
        f"{title} ({year};{rng.randrange(99)}:{rng.randrange(900)})",
    )
    return rng.choice(_ABOUT) + rng.choice(cited)


def _of_life(_title: str, name: str, year: int, rng: random.Random) -> str:
    return rng.choice(("", "In memoriam: ", "Obituary. ")) + f"{name} ({year}–{year + 60})"


def _of_meeting(title: str, _name: str, year: int, rng: random.Random) -> str:
    month, day = rng.choice(_MONTHS), rng.randrange(1, 15)
    days = f"{day}{rng.choice((' and ', '–', ' to '))}{day + rng.randrange(1, 5)} {month} {year}"
    when = rng.choice((f"on {days}", days, f"{month} {day}, {year}", str(year)))
    lead = rng.choice(("", "Abstracts of papers presented at the ", "Proceedings of the "))
    return f"{lead}{title}, {rng.choice(_TOWNS)}, {when}"


def _with_acronym(title: str, _name: str, _year: int, rng: random.Random) -> str:
    return f"{title}{rng.choice(_BEFORE_ACRONYMS)}{rng.choice(_ACRONYMS)}"


def _of_few_words(title: str, _name: str, _year: int, rng: random.Random) -> str:
    title = " ".join(title.split()[: rng.randrange(1, 5)]).strip(" ,:;(") if rng.random() < 0.5 else title
    return title.upper() if rng.random() < 0.3 else title


_ODD_TITLES: tuple[tuple[Callable[[str, str, int, random.Random], str], float], ...] = (
    (_of_review, 0.0), (_of_review, 0.0), (_of_letter, 0.0), (_of_life, 0.0), (_of_meeting, 0.7), (_with_acronym, 0.0),
    (_of_few_words, 1.0), (_of_few_words, 1.0), (_of_few_words, 1.0),
)  # fmt: skip
"""How a title is made odd, and how often such a record lacks its authors."""


def odd(item: Item, other: Item, rng: random.Random) -> dict[str, Any]:
    """An item whose title or container looks like the end of a reference, as those of reviews, letters, corrections, obituaries
    and registered trials do, or that lacks its authors. `other` gives a name and a title."""
    made, title = dict(item), str(item["title"]).rstrip(".")
    kind = rng.randrange(len(_ODD_TITLES) + 3)
    if kind < len(_ODD_TITLES):
        named = [person for person in other.get("author", ()) if "family" in person] or [{"family": "Miller"}]
        change, without = _ODD_TITLES[kind]
        made["title"] = change(
            title, f"{named[0].get('given', 'J.')} {named[0]['family']}", rng.randrange(1950, 2024), rng
        )
        if rng.random() < without:
            made.pop("author", None)
        if rng.random() < without * 0.3:
            made.pop("page", None)
    elif kind == len(_ODD_TITLES):
        made["title"] = f"{title}. {other['title']}"
    else:
        made["container-title"] = title if rng.random() < 0.3 else rng.choice(_SITES)
        made |= {"type": rng.choice(("dataset", "chapter", "report")), "publisher": rng.choice(_HOSTS)}
        made = {
            name: value for name, value in made.items() if name not in {"volume", "issue", "page", "publisher-place"}
        }
    return made
