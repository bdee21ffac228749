"""The first files of a review, for `evidence init`: the sources.yaml of a topic, or a topic of one's own to fill in.

It copies files that come with the program, and overwrites none.
"""

from __future__ import annotations

from pathlib import Path

from evidence.errors import ConfigError
from evidence.export import atomic_output
from evidence.rules import topic as topics
from evidence.rules.topic import Topic

_CHECKOUT = Path(__file__).parents[2] / topics.SOURCES_FILE
"""The sources.yaml of the default topic in a checkout. An installed package has it beside the topic's other files."""


def sources_of(topic: Topic) -> Path:
    """The sources.yaml that comes with a topic."""
    beside = topic.folder / topics.SOURCES_FILE
    return beside if beside.exists() or topic.id != topics.DEFAULT else _CHECKOUT


def write(folder: Path, name: str) -> list[Path]:
    """Write the sources.yaml of the shipped topic `name` into `folder`; for `blank` also the folder `topic`. Returns what was
    written. ConfigError for another name, for a file that is there already, and for a folder that cannot be written."""
    names = (*topics.shipped(), topics.BLANK)
    if name not in names:
        raise ConfigError(f"there is no topic {name!r}; choose one of {', '.join(names)}")
    source = (
        topics.SHIPPED / topics.BLANK / topics.SOURCES_FILE if name == topics.BLANK else sources_of(topics.load(name))
    )
    copies = {folder / topics.SOURCES_FILE: source}
    if name == topics.BLANK:
        own = folder / "topic"
        copies |= {
            own / path.name: path for path in sorted(source.parent.iterdir()) if path != source and path.is_file()
        }
        if own.exists():
            raise ConfigError(f"{own}: already exists; edit the topic in it, or name another folder")
    for target in copies:
        if target.exists():
            raise ConfigError(f"{target}: already exists; edit it, or name another folder")
    try:
        for target in copies:
            target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written ({error.strerror}); name another folder") from None
    for target, source in copies.items():
        atomic_output.write_whole(target, [source.read_bytes()])
    return [folder / topics.SOURCES_FILE, *([folder / "topic"] if name == topics.BLANK else [])]
