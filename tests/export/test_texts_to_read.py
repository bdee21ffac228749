"""Titles and abstracts out of files and stdin, for `evidence read`."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import sys
from pathlib import Path

import pytest

from evidence.errors import ConfigError
from evidence.export.texts_to_read import GivenRecord, records, split_title, unwrapped

RECORD = {"id": "a", "title": "IPT at work", "abstract": "We gave IPT.\nIt helped."}


def written(tmp_path: Path, content: bytes, name: str = "input") -> str:
    path = tmp_path / name
    path.write_bytes(content)
    return str(path)


def lines(*values: object) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def test_json_lines_are_told_by_their_content_and_other_keys_are_left_out(tmp_path: Path) -> None:
    file = written(tmp_path, lines(RECORD | {"journal": "J", "labels": {"a": [1]}}, {"id": 7, "abstract": None}))
    assert list(records(file)) == [GivenRecord("a", RECORD["title"], RECORD["abstract"]), GivenRecord(7, None, None)]


def test_a_record_without_an_id_gets_the_number_of_its_line(tmp_path: Path) -> None:
    file = written(tmp_path, b"\n" + lines({"title": "x"}) + b"\n" + lines({"id": None, "title": "y"}))
    assert [record.id for record in records(file)] == [2, 4]


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("zipped", [False, True])
def test_line_ends_byte_order_mark_and_gzip_make_no_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: bytes, mark: bytes, zipped: bool
) -> None:
    content = mark + lines(RECORD, RECORD | {"id": "b"}).replace(b"\n", ending)
    content = gzip.compress(content) if zipped else content
    expected = [GivenRecord(id_, RECORD["title"], RECORD["abstract"]) for id_ in "ab"]
    assert list(records(written(tmp_path, content))) == expected
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(content))))
    assert list(records("-")) == expected


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (b'{"id": 3, "title": \n', "no JSON"),
        (b"a text\n", "no JSON"),
        (b"[1, 2]\n", "no JSON object"),
        (b'{"id": 3, "title": ["x"]}\n', "title is"),
        (b'{"id": 3, "abstract": 5}\n', "abstract is"),
        (b'{"id": 3, "title": "\xff"}\n', "UTF-8"),
    ],
)
def test_a_bad_line_is_named_after_the_good_ones_before_it(tmp_path: Path, bad: bytes, said: str) -> None:
    file = written(tmp_path, lines(RECORD, RECORD) + bad + lines(RECORD))
    found = records(file)
    assert len(list(itertools.islice(found, 2))) == 2
    with pytest.raises(ConfigError, match=said) as error:
        next(found)
    assert f"{file}:3" in str(error.value)


def test_a_line_of_a_text_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"input:2: .*UTF-8"):
        list(records(written(tmp_path, b"title\nb\xfc\n")))


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_a_file_without_text_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ConfigError, match="no text"):
        list(records(written(tmp_path, content)))


def test_a_damaged_gzip_file_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress(lines(*[RECORD | {"id": str(n)} for n in range(300)]))
    with pytest.raises(ConfigError, match="gzip"):
        list(records(written(tmp_path, whole[: len(whole) // 2])))


def test_records_are_read_as_they_are_asked_for(tmp_path: Path) -> None:
    found = records(written(tmp_path, lines(RECORD) + b"no JSON"))
    assert next(found).id == "a"


def test_a_plain_text_is_one_record_named_after_its_file(tmp_path: Path) -> None:
    file = written(tmp_path, b"IPT at work\n\nWe gave IPT.\nIt helped.\n")
    assert list(records(file)) == [GivenRecord(file, "IPT at work", "We gave IPT.\nIt helped.")]


LONG = "We randomised adults with depression to interpersonal psychotherapy or usual care. It helped. "


@pytest.mark.parametrize(
    ("text", "title", "abstract"),
    [
        ("IPT at work: a trial", "IPT at work: a trial", None),
        ("IPT at work\nBACKGROUND: It is common.", "IPT at work", "BACKGROUND: It is common."),
        ("IPT at work\n\n\nIt is common.", "IPT at work", "It is common."),
        ("IPT at work:\na trial\n\nIt is common.", "IPT at work:\na trial", "It is common."),
        ("BACKGROUND: It is common.\nMETHODS: We gave IPT.", None, "BACKGROUND: It is common.\nMETHODS: We gave IPT."),
        ("Background\nIt is common.", None, "Background\nIt is common."),
        (LONG.strip(), None, LONG.strip()),
        (LONG * 5 + "\nMore.", None, LONG * 5 + "\nMore."),
        ("Depression is common and interpersonal psychotherapy is\na treatment.", None, None),
    ],
)
def test_title_and_abstract_of_a_plain_text(text: str, title: str | None, abstract: str | None) -> None:
    assert split_title(text) == (title, abstract or (None if title else text))


def test_a_line_break_of_a_page_is_a_blank_and_moves_nothing() -> None:
    text = (
        "We gave interpersonal psychotherapy or usual care to adults with\nMDD at work.\nMethods\r\nA trial of "
        "interpersonal psychotherapy in primary care and of\r\nCBT."
    )
    read = unwrapped(text)
    assert len(read) == len(text)
    assert "adults with MDD at work.\nMethods\r\nA trial" in read
    assert "care and of  CBT." in read
