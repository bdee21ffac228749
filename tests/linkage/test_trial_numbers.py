"""Registration numbers in texts."""

from __future__ import annotations

import time

import pytest

from evidence.linkage.trial_numbers import own_trial_numbers, trial_numbers


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("ClinicalTrials.gov NCT03797326.", ("NCT03797326",)),
        ("Trial registration: ISRCTN 12345678; ISRCTN:12345678", ("ISRCTN12345678",)),
        ("(ACTRN12609000552202)", ("ACTRN12609000552202",)),
        ("Current Controlled Trials nct01234567/ISRCTN87654321", ("NCT01234567", "ISRCTN87654321")),
        ("ChiCTR‐TRC‐10001170 and ChiCTR2000029308", ("CHICTR-TRC-10001170", "CHICTR2000029308")),
        ("Netherlands Trial Register NTR 2856", ("NTR2856",)),
        ("UMIN000012345, jRCT1030200123", ("UMIN000012345", "JRCT1030200123")),
        ("IRCT20180909040971N1 at IRCT", ("IRCT20180909040971N1",)),
        ("CTRI/2017/11/010405; SLCTR/2016/028", ("CTRI/2017/11/010405", "SLCTR/2016/028")),
        ("EudraCT number 2005-001234-11, EUCTR2005-001234-11", ("EUDRACT2005-001234-11",)),
        ("PROSPERO CRD42012003331", ("CRD42012003331",)),
        ("RBR-7x6k2c in ReBEC", ("RBR-7X6K2C",)),
        ("DRKS00001234.", ("DRKS00001234",)),
    ],
)
def test_numbers_are_found_however_they_are_spaced(text: str, numbers: tuple[str, ...]) -> None:
    assert trial_numbers(text) == numbers


@pytest.mark.parametrize(
    "text", ["NCT", "NCT0123456", "NCT012345678", "ISRCTN1234567", "the UNCT01234567", "grant 01234567", None, ""]
)
def test_what_only_looks_like_a_number_is_none(text: str | None) -> None:
    assert trial_numbers(text) == ()


def test_a_work_is_registered_under_what_was_deposited_and_what_its_text_names() -> None:
    own = own_trial_numbers(["NCT01234567", "A-7"], ["A trial", "Registered as ISRCTN12345678 (NCT01234567)."])
    assert own == {"NCT01234567": "crossref", "A-7": "crossref", "ISRCTN12345678": "text"}


def test_many_numbers_in_a_text_are_those_of_other_studies() -> None:
    text = " ".join(f"NCT0000000{n}" for n in range(4))
    assert own_trial_numbers(["CRD42012003331"], [None, text]) == {"CRD42012003331": "crossref"}


@pytest.mark.parametrize("piece", ["NCT ", "ACTRN1", "EudraCT ", "CTRI/2017", "1", "NCT:::"])
def test_time_grows_in_proportion_to_the_text(piece: str) -> None:
    def seconds(size: int) -> float:
        text = piece * (size // len(piece))
        began = time.perf_counter()
        trial_numbers(text)
        return time.perf_counter() - began

    assert seconds(400_000) < 8 * seconds(100_000) + 0.1
