"""Countries: one name for a code and for the other names of a country."""

from __future__ import annotations

import pytest

from evidence.providers.countries import _BY_CODE, _OTHER_NAMES, country_name


@pytest.mark.parametrize(
    ("stated", "name"),
    [
        ("DE", "Germany"),
        ("ug", "Uganda"),
        ("ZW", "Zimbabwe"),
        ("USA", "United States"),
        ("Korea, Republic  of", "South Korea"),
        ("Germany", "Germany"),
        ("Atlantis", "Atlantis"),
        ("QQ", "QQ"),
        ("", None),
        (None, None),
    ],
)
def test_names(stated: str | None, name: str | None) -> None:
    assert country_name(stated) == name


def test_the_table_is_whole() -> None:
    assert len(_BY_CODE) == 250
    assert all(len(code) == 2 and code.isupper() for code in _BY_CODE)
    assert len(set(_BY_CODE.values())) == 250
    assert set(_OTHER_NAMES.values()) <= set(_BY_CODE.values())
    assert not set(_OTHER_NAMES) & set(_BY_CODE.values())
