"""Registration numbers in texts."""

from __future__ import annotations

import pytest

from evidence.linkage import trial_numbers as module
from evidence.linkage.trial_numbers import own_trial_numbers, trial_number, trial_numbers


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
        ("Trial Number (ISRCTN): 16823487; DRKS Number: 00003246", ("ISRCTN16823487", "DRKS00003246")),
        ("registered as ISRCTN, number 91288089", ("ISRCTN91288089",)),
        ("Trial registration numberNCT02713360.", ("NCT02713360",)),
        ("NCT\u00a003849118 and NCT#00379470", ("NCT03849118", "NCT00379470")),
        ("ANZCTRN12609000106235; ACTRN12615001075572p", ("ACTRN12609000106235", "ACTRN12615001075572")),
        ("EudraCT numbers: 2012-003445-15 and 2012-003996-20", ("EUDRACT2012-003445-15", "EUDRACT2012-003996-20")),
        ("EudraCT (number: 2010-022243-38), 2020-001934-37-ES", ("EUDRACT2010-022243-38", "EUDRACT2020-001934-37")),
        ("CTIS2022-500024-30-00; EU CT number 2025-520964-16-00", ("CTIS2022-500024-30-00", "CTIS2025-520964-16-00")),
        ("JPRN-UMIN000024722, JPRN-jRCT2080223938", ("UMIN000024722", "JRCT2080223938")),
        ("jRCTs012180017 and UMIN-CTR: 000000562", ("JRCTS012180017", "UMIN000000562")),
        (
            "JapicCTI-111507, Japic CTI-050121, JPRN-C000000079",
            ("JAPICCTI-111507", "JAPICCTI-050121", "JPRN-C000000079"),
        ),
        ("LBCTR2019070214 or ITMCTR2200006530", ("LBCTR2019070214", "ITMCTR2200006530")),
        ("PER-106-20, RPCEC00000139, KCT0004176", ("PER-106-20", "RPCEC00000139", "KCT0004176")),
        ("NL-OMON36374; Netherlands Trial Register NL8683", ("NL-OMON36374", "NL8683")),
        ("PACTR 2010020001429343, TCTR20161221005", ("PACTR2010020001429343", "TCTR20161221005")),
        ("ChiCTR-2000029308, ChiCTR-TTRCC-14004829", ("CHICTR2000029308", "CHICTR-TTRCC-14004829")),
        ("CTRI-2020-12-029986, SLCTR/2024/037", ("CTRI/2020/12/029986", "SLCTR/2024/037")),
        ("PROSPERO (42012003331), CRD420251012345", ("CRD42012003331", "CRD420251012345")),
        ("http://www.ensaiosclinicos.gov.br: RBR-8wt2fyRESULTS: none", ("RBR-8WT2FY",)),
        ("Universal Trial Number U1111-1189-6165", ("U1111-1189-6165",)),
    ],
)
def test_numbers_are_found_however_they_are_spaced(text: str, numbers: tuple[str, ...]) -> None:
    assert trial_numbers(text) == numbers


@pytest.mark.parametrize(
    "text",
    [
        "NCT",
        "NCT0123456",
        "NCT012345678",
        "ISRCTN1234567",
        "the UNCT01234567",
        "grant 01234567",
        "EudraCT 2008-04857-14",
        "the number 1999-012345-12",
        "2022-600024-30-00",
        "ACTRN1260900038623",
        "PACTR20121100033272",
        "per 100-20 and per 100,00",
        "CCMO NL41789.078.13, gene NL4743",
        "RBR-abcdef",
        "CRD12345678901",
        "IRCT20181201041815N",
        None,
        "",
    ],
)
def test_what_only_looks_like_a_number_is_none(text: str | None) -> None:
    assert trial_numbers(text) == ()


@pytest.mark.parametrize(
    ("field", "number"),
    [
        (" ISRCTN 10804772 ", "ISRCTN10804772"),
        ("https://clinicaltrials.gov/study/NCT03797326", "NCT03797326"),
        ("NCT03797326, NCT03849118", None),
        ("as in NCT03797326", None),
    ],
)
def test_a_whole_field_is_one_number_or_none(field: str, number: str | None) -> None:
    assert trial_number(field) == number


def test_a_work_is_registered_under_what_was_deposited_and_what_its_text_names() -> None:
    own = own_trial_numbers(["NCT01234567", "A-7"], ["A trial", "Registered as ISRCTN12345678 (NCT01234567)."])
    assert own == {"NCT01234567": "crossref", "A-7": "crossref", "ISRCTN12345678": "text"}


def test_many_numbers_in_a_text_are_those_of_other_studies() -> None:
    text = " ".join(f"NCT0000000{n}" for n in range(4))
    assert own_trial_numbers(["CRD42012003331"], [None, text]) == {"CRD42012003331": "crossref"}


NAMES = (
    "NCT", "nct", "ISRCTN", "DRKS", "KCT", "RPCEC", "ACTRN", "ANZCTR", "ANZCTRN", "PACTR", "TCTR", "ITMCTR", "LBCTR", "UMIN",
    "UMIN-CTR", "JRCTS", "jRCT", "JPRN-C", "JapicCTI", "JMA-IIA", "CRD", "PROSPERO", "NTR", "NL-OMON", "ChiCTR", "IRCT", "CTRI",
    "SLCTR", "EudraCT", "EUDRA-CT", "EUCTR", "CTIS", "RBR", "rbr", "PER", "U1111",
)  # fmt: skip
BETWEEN = ("", " ", ": ", " number: ", "-", "–", "/", " (identifier ", "#")
NUMBERS = (
    "01234567", "12612345678901", "2012012345678", "42012345678", "1234", "012345678", "0123456789", "2012-012345-67",
    "2023-512345-67-00", "2x4fgh", "1234-5678", "2019/01/012345", "01234567890N12", "TRC-01234567", "ABCDE01234567", "123-45",
)  # fmt: skip


@pytest.mark.parametrize(
    "name", [*NAMES, "Trial register NL", "trial registry: (NL", "", "number", "\u212aCT", "\u0131ſrctn"]
)
def test_texts_that_are_passed_over_hold_no_number(name: str) -> None:
    """A quick test passes over most texts; it must not pass over one that the full pattern would read."""
    for between in BETWEEN:
        for number in NUMBERS:
            for before in ("", "see ", "numbers_", "number"):
                text = f"{before}{name}{between}{number}."
                assert bool(trial_numbers(text)) == bool(module._NUMBER.search(text)), text


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece", ["NCT ", "ACTRN1", "EudraCT ", "CTRI/2017", "1", "NCT:::", "2012-0", "ISRCTN, number ", "trial register"]
)
def test_a_text_of_megabytes_is_read(piece: str) -> None:
    """A pattern whose time grows with the square of the text would run into the time limit of a test."""
    trial_numbers(piece * (2_000_000 // len(piece)))
