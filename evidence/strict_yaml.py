"""Hand-written YAML files → plain values with line numbers, checked by pydantic.

Duplicate keys, aliases and YAML tags are refused, because they hide mistakes. No types are guessed: every scalar is text, an
empty one is None. Every error names file, line and remedy. This module does not know what the values mean: the models are
those of `harvest.sources`, `harvest.review_statements`, `rules.topic_file` and `rules.taxonomy_file`.

Importing pydantic and its models takes longer than a short command. What may do without it, because what was read is kept on
disk, imports this module only when a file has to be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

import yaml
from pydantic import AfterValidator, BaseModel, ValidationError

from evidence.errors import ConfigError
from evidence.text_files import read_text

Loc = tuple[str | int, ...]
"""The path to a value in a document: keys and list indexes (0-based), from the outside in."""

_STR, _MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc] # either is a class
    """libyaml's parser where PyYAML was built with it: ten times as fast on the rules. Types are not guessed, so the patterns of
    numbers, dates and the like are not tried; of scalars without a tag only the key `<<` is told from text."""

    def resolve(self, kind: type[yaml.Node], value: str | None, implicit: Any) -> str:
        """The tag of a node that is written without one."""
        return _MERGE if kind is yaml.ScalarNode and value == "<<" and implicit[0] else _STR

    def descend_resolver(self, current_node: Any, current_index: Any) -> None:
        """Nothing: no tag depends on where a node stands."""

    def ascend_resolver(self) -> None:
        """Nothing, as `descend_resolver`."""


_Model = TypeVar("_Model", bound=BaseModel)


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


def parse_file(path: Path, if_missing: str = "check the path") -> YamlText:
    """The file at `path`. ConfigError when it is missing (the text ends with the remedy `if_missing`), cannot be read, or is
    not strict YAML."""
    return parse(read_text(path, if_missing), str(path))


def parse(text: str, name: str) -> YamlText:
    """`text` as strict YAML. `name` is the file's name in error messages. ConfigError when it is not strict YAML."""
    lines: dict[Loc, int] = {}
    try:
        try:
            node = yaml.compose(text, Loader=_Loader)
            seen: set[int] = set()
            data = None if node is None else _plain(node, (), lines, name, seen)
        except (yaml.YAMLError, ConfigError):
            _refuse_aliases(text, name)  # an alias is told first, whatever else is wrong
            raise
    except yaml.MarkedYAMLError as error:
        where = error.problem_mark or error.context_mark
        line = where.line + 1 if where else 1
        raise ConfigError(
            f"{name}:{line}: not valid YAML: {error.problem or error.context}; check indentation, "
            "colons and quotes there"
        ) from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: not valid YAML: {error}") from None
    return YamlText(name, data, lines)


def _refuse_aliases(text: str, name: str) -> None:
    """ConfigError for the first alias of a text; the error of the parser where the text ends before one."""
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent) and (mark := event.start_mark) is not None:
            raise ConfigError(
                f"{name}:{mark.line + 1}: aliases (*{event.anchor}) are not used here; write the text again"
            )


def validated(model: type[_Model], text: YamlText, loc: Loc = (), *, remedy: str) -> _Model:
    """The values at `loc` as `model`. ConfigError with file, line and what to do for the first value that does not fit;
    `remedy` ends the message where a key is missing."""
    data = text.data
    for step in loc:
        data = data[step]
    try:
        return model.model_validate(data)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        # A misspelt key is also a missing one: report what is there.
        first = next((found for found in errors if found["type"] == "extra_forbidden"), errors[0])
        inside = _loc_in(data, first["loc"], missing=first["type"] == "missing")
        raise text.complain((*loc, *inside), _sentence(first, inside, _keys_at(model, inside), remedy)) from None


def _loc_in(data: Any, stated: Loc, *, missing: bool) -> Loc:
    """The path that pydantic states, without its names for the members of a union, which are no keys of the document."""
    loc: list[str | int] = []
    for place, step in enumerate(stated):
        known = data if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ()
        if step in known:
            data = data[step]
            loc.append(step)
        elif missing and place == len(stated) - 1:
            loc.append(step)
    return tuple(loc)


def _keys_at(model: type[BaseModel], loc: Loc) -> list[str]:
    """The keys that the mapping around `loc` may have."""
    kind: Any = model
    for step in loc[:-1]:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names = ((field.alias or name, field.annotation) for name, field in kind.model_fields.items())
            kind = next((annotation for name, annotation in names if name == step), None)
        else:  # list[X], dict[str, X]
            kind = (get_args(kind) or (None,))[-1]
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return []
    return [field.alias or name for name, field in kind.model_fields.items()]


def _sentence(error: Any, loc: Loc, keys: list[str], remedy: str) -> str:
    key = next((step for step in reversed(loc) if isinstance(step, str)), "the file")
    match error["type"]:
        case "extra_forbidden":
            return f"unknown key {key!r}{nearest(key, keys)}"
        case "missing":
            return f"`{key}:` is missing; {remedy}"
        case "string_type":
            return f"`{key}:` must be text; write it on one line, in quotes if it has a colon"
        case "list_type":
            return f"`{key}:` must be a list; write `- …` lines under it or [one, two]"
        case "dict_type" | "model_type":
            return f"{key!r} must be `name: value` pairs; check the indentation"
        case "value_error":
            return str(error["msg"]).removeprefix("Value error, ")
        case "string_too_short":
            return f"`{key}:` is empty; write something or remove the line"
        case "too_short" if error["ctx"]["min_length"] == 1:
            return f"`{key}:` is empty; it needs at least one entry"
        case "too_short":
            return (
                f"`{key}:` needs at least {error['ctx']['min_length']} entries, and has {error['ctx']['actual_length']}"
            )
        case _:
            return f"`{key}:` {error['msg'][:1].lower()}{error['msg'][1:]}; {remedy}"


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of an error message about an unknown name: the known name most like it, else the first twelve known names."""
    import difflib  # for an error message alone

    names = sorted(known)
    folded = word.lower().replace("_", "-")
    near = [folded] if folded in names else difflib.get_close_matches(folded, names, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; the known names are {', '.join(names[:12])}{', …' if len(names) > 12 else ''}"


def _id(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", value):
        raise ValueError(
            f"{value!r} is not a valid id; write lower-case letters, digits and hyphens, such as ipt-by-name"
        )
    return value


Id = Annotated[str, AfterValidator(_id)]
"""The type of an id in a model: `a-z`, `0-9` and hyphens."""


def _plain(node: yaml.Node, loc: Loc, lines: dict[Loc, int], name: str, seen: set[int]) -> Any:
    """The values of a node. `seen` are the nodes so far: one that comes again is an alias."""
    line = node.start_mark.line + 1
    lines[loc] = line
    if id(node) in seen:
        raise ConfigError(f"{name}:{line}: aliases are not used here; write the text again")
    seen.add(id(node))
    if node.tag not in _TAGS:
        raise ConfigError(f"{name}:{line}: YAML tags such as {node.tag} are not used here; write plain text")
    if isinstance(node, yaml.ScalarNode):
        return None if node.value == "" and not node.style else node.value
    if isinstance(node, yaml.SequenceNode):
        return [_plain(child, (*loc, i), lines, name, seen) for i, child in enumerate(node.value)]
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:  # what is neither scalar nor sequence is a mapping
        key, key_line = key_node.value, key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise ConfigError(f"{name}:{key_line}: a key must be a plain word")
        if id(key_node) in seen:
            raise ConfigError(f"{name}:{key_line}: aliases are not used here; write the text again")
        seen.add(id(key_node))
        if key in result:
            first = lines[(*loc, key)]
            raise ConfigError(f"{name}:{key_line}: the key {key!r} is already on line {first}; keep one of them")
        result[key] = _plain(value_node, (*loc, key), lines, name, seen)
        lines[(*loc, key)] = key_line
    return result


_KINDS = ("null", "bool", "int", "float", "str", "seq", "map", "timestamp", "value")
_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in _KINDS}
