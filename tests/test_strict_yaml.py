"""YAML that hides a mistake is refused, with the line it stands on."""

from __future__ import annotations

from pathlib import Path

import pytest

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
    with pytest.raises(ConfigError, match="evidence init"):
        strict_yaml.read(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes("a: Kränkung".encode("latin-1"))
    with pytest.raises(ConfigError, match="save it as UTF-8"):
        strict_yaml.read(tmp_path / "latin.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        strict_yaml.read(tmp_path)
