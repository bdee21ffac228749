"""YAML text → plain values with line numbers, for every YAML file a person writes.

It refuses what hides mistakes (duplicate keys, aliases, tags) and guesses no types: every scalar is text, an empty one is
None. What the values mean is for `config` and `rules` to say.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from evidence.errors import ConfigError

Loc = tuple[str | int, ...]

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's parser where PyYAML was built with it: ten times as fast on the rules."""


@dataclass(frozen=True)
class YamlText:
    """A parsed file: `data` (dict, list, str, None) and the line (1-based) on which each path begins."""

    name: str
    data: Any
    lines: dict[Loc, int] = field(repr=False)

    def line(self, loc: Loc) -> int:
        """The line of `loc`, or of the nearest parent that is in the file."""
        while loc and loc not in self.lines:
            loc = loc[:-1]
        return self.lines.get(loc, 1)

    def complain(self, loc: Loc, message: str) -> ConfigError:
        """A ConfigError that begins with file and line."""
        return ConfigError(f"{self.name}:{self.line(loc)}: {message}")


def read(path: Path) -> YamlText:
    """The file at `path`; ConfigError when it is missing, unreadable, or not strict YAML."""
    return parse(read_text(path), str(path))


def read_text(path: Path) -> str:
    """The text of the file at `path`, not parsed; ConfigError when it is missing or unreadable."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file; `evidence init` writes a starter sources.yaml") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from None


def parse(text: str, name: str) -> YamlText:
    """`text` as strict YAML; `name` stands in complaints."""
    try:
        for event in yaml.parse(text, Loader=_Loader):
            if isinstance(event, yaml.AliasEvent) and (mark := event.start_mark) is not None:
                raise ConfigError(
                    f"{name}:{mark.line + 1}: aliases (*{event.anchor}) are not used here; write the text again"
                )
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        where = error.problem_mark or error.context_mark
        line = where.line + 1 if where else 1
        raise ConfigError(
            f"{name}:{line}: not valid YAML: {error.problem or error.context}; check indentation, "
            "colons and quotes there"
        ) from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: not valid YAML: {error}") from None
    lines: dict[Loc, int] = {}
    return YamlText(name, None if node is None else _plain(node, (), lines, name), lines)


def _plain(node: yaml.Node, loc: Loc, lines: dict[Loc, int], name: str) -> Any:
    line = node.start_mark.line + 1
    lines[loc] = line
    if node.tag not in _TAGS or node.tag == _MERGE:
        raise ConfigError(f"{name}:{line}: YAML tags such as {node.tag} are not used here; write plain text")
    if isinstance(node, yaml.ScalarNode):
        return None if node.value == "" and not node.style else node.value
    if isinstance(node, yaml.SequenceNode):
        return [_plain(child, (*loc, i), lines, name) for i, child in enumerate(node.value)]
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:  # what is neither scalar nor sequence is a mapping
        key, key_line = key_node.value, key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise ConfigError(f"{name}:{key_line}: a key must be a plain word")
        if key in result:
            first = lines[(*loc, key)]
            raise ConfigError(f"{name}:{key_line}: the key {key!r} stands here and on line {first}; keep one of them")
        result[key] = _plain(value_node, (*loc, key), lines, name)
        lines[(*loc, key)] = key_line
    return result


_MERGE = "tag:yaml.org,2002:merge"
_KINDS = ("null", "bool", "int", "float", "str", "seq", "map", "timestamp", "value", "merge")
_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in _KINDS}
