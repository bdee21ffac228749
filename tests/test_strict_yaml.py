"""YAML that hides a mistake is refused, with the line it stands on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import BaseModel, ConfigDict, Field

from evidence import strict_yaml
from evidence.errors import ConfigError


def test_scalars_stay_text_and_empty_is_none() -> None:
    parsed = strict_yaml.parse("a: 1\nb: [yes, 2016-01-01, 1e3]\nc:\nd: ''\n", "f.yaml")
    assert parsed.data == {"a": "1", "b": ["yes", "2016-01-01", "1e3"], "c": None, "d": ""}
    assert parsed.line(("b", 1)) == 2
    assert parsed.line(("b", 1, "deeper", 5)) == 2


@pytest.mark.parametrize(
    ("text", "where", "says"),
    [
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3", "also|line 1"),
        ("a:\n  - x\n - y\n", "f.yaml:3", "not valid YAML"),
        ("a: [1, 2\n", "f.yaml:2", "not valid YAML"),
        ("a: !!python/object:os.system x\n", "f.yaml:1", "tags"),
        ("a: &x 1\nb: *x\n", "f.yaml:2", "aliases"),
        ("a: &x\n  - *x\n", "f.yaml:2", "aliases"),
        ("? [1]\n: 2\n", "f.yaml:1", "plain word"),
        ("a: \x07\n", "f.yaml", "not valid YAML"),
    ],
)
def test_complaints_name_file_and_line(text: str, where: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        strict_yaml.parse(text, "f.yaml")
    assert str(caught.value).startswith(where)


def test_missing_and_undecodable_files_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: there is no such file; write one"):
        strict_yaml.parse_file(tmp_path / "none.yaml", "write one")
    (tmp_path / "latin.yaml").write_bytes("a: Kränkung".encode("latin-1"))
    with pytest.raises(ConfigError, match="save it as UTF-8"):
        strict_yaml.parse_file(tmp_path / "latin.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        strict_yaml.parse_file(tmp_path)


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: strict_yaml.Id
    terms: list[str] = Field(default=[], min_length=2)
    choice: str | list[str] = Field(default="", alias="or")


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    label: Annotated[str, Field(min_length=1)]
    inner: list[Inner] = Field(default=[], min_length=1)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("lable: x", "f.yaml:1: unknown key 'lable'; did you mean 'label'?"),
        ("label: x\ninner:\n- id: a\n  term: [a, b]", "f.yaml:4: unknown key 'term'; did you mean 'terms'?"),
        ("label: x\ninner:\n- id: a\n  zzz: b", "f.yaml:4: unknown key 'zzz'; the known names are id, or, terms"),
        ("inner: [{id: a}]", "f.yaml:1: `label:` is missing; see the manual"),
        ("label: x\ninner:\n- terms: [a, b]", "f.yaml:3: `id:` is missing; see the manual"),
        ("label: [x]", "f.yaml:1: `label:` must be text; write it on one line, in quotes if it has a colon"),
        ("label: x\ninner: y", "f.yaml:2: `inner:` must be a list; write `- …` lines under it or [one, two]"),
        ("label: x\ninner: [y]", "f.yaml:2: 'inner' must be `name: value` pairs; check the indentation"),
        ("label: ''", "f.yaml:1: `label:` is empty; write something or remove the line"),
        ("label: x\ninner: []", "f.yaml:2: `inner:` is empty; it needs at least one entry"),
        ("label: x\ninner: [{id: a, terms: [b]}]", "f.yaml:2: `terms:` needs at least 2 entries, and has 1"),
        ("label: x\ninner: [{id: A b}]", "f.yaml:2: 'A b' is not a valid id; write lower-case letters"),
        ("label: x\ninner: [{id: a, or: [[b]]}]", "f.yaml:2: `or:` must be text"),
    ],
)
def test_what_does_not_fit_a_model_is_named_with_its_line_and_a_remedy(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        strict_yaml.validated(Outer, strict_yaml.parse(text, "f.yaml"), remedy="see the manual")
    assert str(caught.value).startswith(says)
