"""A text file → its text. Every error names the file and the remedy.

This module may not parse the text: `strict_yaml` does. It stands apart from that, so that a file can be compared with what is
kept of it before a parser is imported.
"""

from __future__ import annotations

from pathlib import Path

from evidence.errors import ConfigError


def read_text(path: Path, if_missing: str = "check the path") -> str:
    """The text of the file at `path`, not parsed. ConfigError when it is missing (the text ends with the remedy
    `if_missing`) or cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file; {if_missing}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from None
