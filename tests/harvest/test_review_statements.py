"""prisma-s.yaml: what it states, and mistakes in it with their line."""

from __future__ import annotations

from pathlib import Path

import pytest

from evidence import strict_yaml
from evidence.errors import ConfigError
from evidence.harvest import review_statements

GIVEN = """\
authors:
  - name: Reader, A.
    orcid: 0000-0002-1825-0097
  - name: Other, B.
question: Does IPT help?
protocol: https://osf.io/abcde
peer_review: "Reviewed with PRESS by C. Librarian."
contacts: none
living:
  schedule: every Monday
"""


def check(text: str) -> review_statements.Statements:
    return review_statements.check(strict_yaml.parse(text, "prisma-s.yaml"))


def test_what_is_stated() -> None:
    found = check(GIVEN)
    assert [(each.name, each.orcid) for each in found.authors] == [
        ("Reader, A.", "0000-0002-1825-0097"),
        ("Other, B.", None),
    ]
    assert found.items == {"contacts": "none", "peer_review": "Reviewed with PRESS by C. Librarian."}
    assert found.living == {"schedule": "every Monday"}
    assert (found.question, found.protocol, found.report, found.given) == (
        "Does IPT help?", "https://osf.io/abcde", None, True,
    )  # fmt: skip


def test_a_file_that_is_not_there_states_nothing(tmp_path: Path) -> None:
    found = review_statements.beside(tmp_path / "sources.yaml")
    assert not found.given
    assert found == review_statements.Statements()
    (tmp_path / "prisma-s.yaml").write_text("contacts: none\n")
    assert review_statements.beside(tmp_path / "sources.yaml").items == {"contacts": "none"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("contacts: none\npeer_reveiw: x\n", "prisma-s.yaml:2: "),
        ("contacts: none\ncontacts: some\n", "prisma-s.yaml:2: "),
        ("living:\n  schedule: weekly\n  retires: never\n", "prisma-s.yaml:3: "),
        ("authors:\n  - name: A\n    orcid: 0000-1\n", "prisma-s.yaml:3: '0000-1' is no ORCID iD"),
        ("authors:\n  - orcid: 0000-0002-1825-0097\n", "prisma-s.yaml:2: "),
        ("peer_review: [a, b]\n", "prisma-s.yaml:1: "),
        ("- contacts\n", "prisma-s.yaml:1: expected keys"),
        ("", "prisma-s.yaml:1: expected keys"),
        ("contacts: ''\n", "prisma-s.yaml:1: "),
    ],
)
def test_a_mistake_is_reported_with_its_line(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check(text)
    assert str(refused.value).startswith(said)
    assert refused.value.exit_code == 2
