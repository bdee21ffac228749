"""Which abstracts may be passed on: by where they are from and the licence that is stated for the work."""

from __future__ import annotations

import pytest

from evidence.export import abstract_rights
from evidence.export.abstract_rights import LeavingOut, may_redistribute, open_licence


@pytest.mark.parametrize(
    ("stated", "licence"),
    [
        ("cc by", "CC BY"),  # Europe PMC
        ("CC BY-NC-ND", "CC BY-NC-ND"),
        ("cc0", "CC0"),
        ("cc-by-nc-sa", "CC BY-NC-SA"),  # OpenAlex
        ("public-domain", "public domain"),
        ("cc-by-4.0", "CC BY"),  # DataCite
        ("cc0-1.0", "CC0"),
        ("cc-by-nc-nd-3.0-igo", "CC BY-NC-ND"),
        ("https://creativecommons.org/licenses/by/4.0/", "CC BY"),  # Crossref
        ("http://creativecommons.org/licenses/by-nc-sa/3.0", "CC BY-NC-SA"),
        ("https://www.creativecommons.org/licenses/by-nd-nc/1.0/legalcode", "CC BY-NC-ND"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "CC0"),
        ("https://creativecommons.org/publicdomain/mark/1.0/", "public domain"),
        ("publisher-specific-oa", None),
        ("other-oa", None),
        ("implied-oa", None),
        ("elsevier-specific: oa user license", None),
        ("http://doi.wiley.com/10.1002/tdm_license_1.1", None),
        ("https://creativecommons.org/licenses/", None),
        ("https://creativecommons.org/licenses/sampling/1.0/", None),
        ("https://example.org/?see=creativecommons.org/licenses/by/4.0/", None),
        ("cc", None),
        ("cc-by-or-not", None),
        ("by", None),
        ("", None),
    ],
)
def test_an_open_licence_is_recognised_as_each_provider_writes_it(stated: str, licence: str | None) -> None:
    assert open_licence(stated) == licence
    assert licence is None or licence in abstract_rights.OPEN_LICENCES


@pytest.mark.parametrize("source", ["pubmed", "europepmc", "openalex"])
def test_the_abstract_of_another_provider_needs_an_open_licence(source: str) -> None:
    assert not may_redistribute(source, ())
    assert not may_redistribute(source, ("publisher-specific-oa", "https://www.elsevier.com/tdm/userlicense/1.0/"))
    assert may_redistribute(source, ("publisher-specific-oa", "cc-by-nc-nd"))


def test_deposited_abstracts_are_open_and_those_of_unknown_origin_are_not() -> None:
    assert may_redistribute("publisher", ()) and may_redistribute("datacite", ())
    assert not may_redistribute(None, ("cc by",)) and not may_redistribute("bundled", ("cc by",))


def test_rows_keep_everything_but_the_abstract() -> None:
    row = {"doi": "10.5555/a", "abstract": "Words.", "abstract_source": "pubmed", "stated_licences": ()}
    leaving_out = LeavingOut()
    kept = {**row, "stated_licences": ("cc by",)}
    none = {**row, "abstract": None}
    assert list(leaving_out.rows([row, kept, none])) == [none, kept, none]
    assert leaving_out.count == 1
    assert row["abstract"] == "Words.", "the caller's row is as it was"
