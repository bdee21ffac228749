"""A checked list joins sources.yaml: nothing else in the file changes, and the file stays valid."""

from __future__ import annotations

from pathlib import Path

import pytest

from evidence.errors import ConfigError
from evidence.export.add_reference_list import add
from evidence.harvest import sources
from evidence.harvest.sources import ReferenceList
from evidence.references.given_reference import GivenReference

GIVEN = (
    GivenReference(1, 'Whisman M. "Couple" therapy: a # review — with \\ marks. 2012.', "10.1002/jclp.21857"),
    GivenReference(2, "- Klerman G. {Interpersonal} psychotherapy. 1984."),
)
OWN = Path(__file__).parents[2] / "sources.yaml"
AFTERWARDS = """sources:
- id: first
  kind: search
  label: A search
  query: {bibliographic: grief}
  phrases: [grief]
# a comment at the end
enrich: [europepmc]
"""


@pytest.mark.parametrize("text", [OWN.read_text(encoding="utf-8"), AFTERWARDS, AFTERWARDS.rstrip("\n")])
def test_the_list_is_added_and_every_other_line_stays(tmp_path: Path, text: str) -> None:
    path = tmp_path / "sources.yaml"
    path.write_text(text, encoding="utf-8")
    before = sources.load(path)
    add(path, "my-list", "My list: “checked”", GIVEN)
    after = sources.load(path)
    assert after.sources[:-1] == before.sources
    added = after.sources[-1]
    assert isinstance(added, ReferenceList)
    assert [(c.text, c.stated_doi) for c in added.citations] == [(g.text, g.doi) for g in GIVEN]
    old, new = text.splitlines(), path.read_text(encoding="utf-8").splitlines()
    assert [line for line in new if line in old or not line] != []
    assert [line for line in old if line not in new] == []
    assert list(tmp_path.iterdir()) == [path]


def test_an_id_that_is_taken_or_not_allowed_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "sources.yaml"
    path.write_text(AFTERWARDS, encoding="utf-8")
    for name in ("first", "Not an id!"):
        with pytest.raises(ConfigError):
            add(path, name, "x", GIVEN)
    assert path.read_text(encoding="utf-8") == AFTERWARDS
