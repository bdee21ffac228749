"""What the rules read in a title and an abstract, as a JSON line or as a page for whoever writes rules.

Texts in, text out. It may not open a database and decides nothing: the verdict is that of `screen`, the tags are those of
`tag`."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from evidence.data_model import Doi, Tag, Work
from evidence.export.given_offsets import GivenText
from evidence.export.texts_to_read import GivenRecord
from evidence.rules.screen import Verdict, screen
from evidence.rules.tag import read, tags_of
from evidence.rules.taxonomy import Taxonomy

_NO_DOI = Doi("10.0/text")


class ReadSentence(NamedTuple):
    """A sentence and its role; offsets in the field as given."""

    field: str
    start: int
    stop: int
    role: str


class ShownMention(NamedTuple):
    """A place where a word of a value stands, its role and whether it is negated; `strength` is that of the value's tag, None
    where the value is no tag. Offsets in the field as given."""

    facet: str
    value: str
    field: str
    start: int
    stop: int
    role: str
    negated: bool
    strength: str | None


class ShownArm(NamedTuple):
    """An arm of the study, its treatments as `facet:value`; offsets in the field as given."""

    field: str
    start: int
    stop: int
    values: tuple[str, ...]
    studied: bool


class TextRead(NamedTuple):
    """All that was read in one record. `fields` has the texts as given."""

    id: Any
    fields: dict[str, str]
    verdict: Verdict
    sentences: tuple[ReadSentence, ...]
    arms: tuple[ShownArm, ...]
    mentions: tuple[ShownMention, ...]
    tags: tuple[Tag, ...]


def read_record(record: GivenRecord, taxonomy: Taxonomy) -> TextRead:
    """Read one record with the words of a taxonomy. Tags are given whatever the verdict."""
    given = {
        name: GivenText(text, one_line=name == "title")
        for name, text in (("title", record.title), ("abstract", record.abstract))
        if text
    }
    stored = {name: text.stored for name, text in given.items()}
    work = Work(_NO_DOI, title=stored.get("title"), abstract=stored.get("abstract"))
    reading = read(work.title, work.abstract, taxonomy)
    tags = tags_of(reading, taxonomy) if reading.fields else ()
    strength = {(tag.facet, tag.value): tag.strength for tag in tags}
    mentions = []
    for number, of_value in reading.mentions.items():
        key = taxonomy.keys[number]
        for found in of_value:
            text = reading.fields[found.field]
            place = text.normal.starts[found.mention.first], text.normal.stops[found.mention.last - 1]
            span = given[text.field].span(*place)
            mentions.append(ShownMention(*key, text.field, *span, found.role, found.negated, strength.get(key)))
    mentions.sort(key=lambda m: (m.field != "title", m.start, -m.stop))
    return TextRead(
        record.id,
        {name: text.given for name, text in given.items()},
        screen(work, taxonomy),
        tuple(
            ReadSentence(text.field, *given[text.field].span(sentence.start, sentence.stop), sentence.role)
            for text in reading.fields
            for sentence in text.sentences
        ),
        tuple(
            ShownArm(
                arm.field,
                *given[arm.field].span(arm.start, arm.stop),
                tuple(":".join(taxonomy.keys[number]) for number in arm.values),
                arm.studied,
            )
            for arm in reading.arms
        ),
        tuple(mentions),
        tags,
    )


def json_line(found: TextRead) -> str:
    """One JSON object on one line: id, verdict, sentences, arms, mentions, tags."""
    line = {
        "id": found.id,
        "verdict": found.verdict.verdict,
        "sentences": [sentence._asdict() for sentence in found.sentences],
        "arms": [arm._asdict() for arm in found.arms],
        "mentions": [mention._asdict() for mention in found.mentions],
        "tags": [{"facet": tag.facet, "value": tag.value, "strength": tag.strength} for tag in found.tags],
    }
    text = json.dumps(line, ensure_ascii=False)
    # A lone half of a surrogate pair, which an `id` may have, can be written as an escape only.
    return text if text.isascii() or _encodable(text) else json.dumps(line)


def page(found: TextRead, width: int) -> str:
    """The same as a page: verdict, each sentence with its role and with its mentions in brackets, arms, and tags with their
    reasons."""
    lines = [*_wrapped(str(found.id), width), *_wrapped(f"Verdict: {found.verdict.why}", width)]
    for sentence in found.sentences:
        inside = [m for m in found.mentions if m.field == sentence.field and sentence.start <= m.start < sentence.stop]
        lines += ["", f"{sentence.field}, {sentence.role} ({sentence.start}–{sentence.stop})"]
        lines += _wrapped(_marked(found.fields[sentence.field], sentence, inside), width, "  ")
        for mention in inside:
            quote = _line(found.fields[mention.field][mention.start : mention.stop])
            said = f"{mention.facet}:{mention.value} ({mention.role}{', negated' if mention.negated else ''})"
            lines += _wrapped(f"[{quote}] {said}{'' if mention.strength else ', no tag'}", width, "      ", "        ")
    lines += ["", "Arms:" if found.arms else "Arms: none read."]
    for arm in found.arms:
        quote = _line(found.fields[arm.field][arm.start : arm.stop])
        lines += _wrapped(
            f"{', '.join(arm.values)}: “{quote}” ({arm.field}{', studied' if arm.studied else ''})", width, "  ", "    "
        )
    lines += ["", "Tags:" if found.tags else "Tags: none."]
    for tag in found.tags:
        certainty = "" if tag.certainty is None else f" {tag.certainty:.2f}"
        lines += _wrapped(f"{tag.facet}:{tag.value} ({tag.strength}{certainty})", width, "  ", "    ")
        lines += _wrapped(tag.how or "", width, "      ")
    return "\n".join(lines)


def pages(records: Iterable[TextRead], width: int) -> Iterator[str]:
    """A page for each record, with a line between two."""
    for number, found in enumerate(records):
        yield ("─" * width + "\n" if number else "") + page(found, width) + "\n"


def _marked(text: str, sentence: ReadSentence, inside: Iterable[ShownMention]) -> str:
    """The sentence with brackets around its mentions; those that overlap share them."""
    parts: list[str] = []
    at = sentence.start
    spans: list[tuple[int, int]] = []
    for mention in inside:
        if spans and mention.start < spans[-1][1]:
            spans[-1] = spans[-1][0], max(spans[-1][1], mention.stop)
        else:
            spans.append((mention.start, mention.stop))
    for start, stop in spans:
        parts += [text[at:start], "[", text[start:stop], "]"]
        at = stop
    return "".join([*parts, text[at : max(at, sentence.stop)]])


def _line(text: str) -> str:
    return " ".join(text.split())


def _wrapped(text: str, width: int, indent: str = "", later: str | None = None) -> list[str]:
    return textwrap.wrap(
        _line(text), max(width, 20), initial_indent=indent, subsequent_indent=indent if later is None else later,
        break_on_hyphens=False,
    )  # fmt: skip


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
