"""Codes: what a code must look like to be built, and which recorded codes it covers."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.vocabulary.code import (
    ATC_GERMAN,
    ATC_WHO,
    ICD_9_CM,
    ICD_9_CM_PROCEDURES,
    ICD_10_CM,
    ICD_10_GM,
    ICD_10_PCS,
    ICD_10_WHO,
    LOINC,
    OPS,
    RXNORM,
    SNOMED_CT,
    Code,
    CodeError,
    Demands,
)

SERUM = (SNOMED_CT, "119364003")
DIPSTICK = (SNOMED_CT, "117021008")


def a_code(code: str = "2160-0", system: str = LOINC, **fields: Any) -> Code:
    return Code(system=system, code=code, display="A display", **fields)


@pytest.mark.parametrize(
    ("code", "system", "fields", "complaint"),
    [
        pytest.param("2160-1", LOINC, {}, "format or check digit.*2160-0 \\(LOINC\\)", id="wrong check digit"),
        pytest.param("N18.3", LOINC, {}, "not a code of that system", id="ICD-10 under LOINC"),
        pytest.param("2160-0", ICD_10_GM, {}, "not a code of that system", id="LOINC under ICD-10"),
        pytest.param("N183", ICD_10_GM, {}, "not a code of that system", id="without its point"),
        pytest.param("N18.3", "http://fhir.de/CodeSystem/dimdi/icd-10-gm", {}, "expected the system's one URI, http://fhir.de/CodeSystem/bfarm/icd-10-gm", id="an alias"),  # noqa: E501
        pytest.param("2160-0", "http://loinc.org|2.77", {}, "one URI, http://loinc.org", id="a version"),
        pytest.param("2160-0", " ", {}, "one URI", id="no system"),
        pytest.param("5A1D", ICD_10_PCS, {}, "not a code of that system", id="a part of an ICD-10-PCS code"),
        pytest.param("E93", ICD_9_CM, {"subtree": True}, "not a code", id="part of a category of ICD-9-CM"),
        pytest.param("5O1D", ICD_10_PCS, {"subtree": True}, "not a code", id="the letter O in ICD-10-PCS"),
        pytest.param("2160-0", LOINC, {"subtree": True}, "spell no hierarchy", id="LOINC has no hierarchy"),
        pytest.param("84114007", SNOMED_CT, {"subtree": True}, "spell no hierarchy", id="SNOMED CT spells none"),
        pytest.param("4603", RXNORM, {"subtree": True}, "spell no hierarchy", id="nor RxNorm"),
        pytest.param("K-1", "https://lab.example", {"subtree": True}, "spell no hierarchy", id="nor a hospital"),
        pytest.param("2160-0", LOINC, {"to": "2161-8"}, "make no ranges", id="a range of LOINC codes"),
        pytest.param("M01A", ATC_WHO, {"to": "M01B"}, "make no ranges", id="a range of ATC groups"),
        pytest.param("K1", "https://lab.example", {"to": "K9"}, "make no ranges", id="a range of a hospital's codes"),
        pytest.param("E10", ICD_10_GM, {"to": "E9"}, "end 'E9' is not a code", id="no code at the end"),
        pytest.param("E14", ICD_10_GM, {"to": "E10"}, "after its beginning", id="a range upside down"),
        pytest.param("E10", ICD_10_GM, {"to": "E10"}, "after its beginning", id="a range of one"),
        pytest.param("E10", ICD_10_GM, {"to": "E14.9"}, "of the same level", id="a category to a subcategory"),
        pytest.param("I11.0", ICD_10_GM, {"to": "I13.2"}, "under the same code", id="over the border of a category"),
        pytest.param("E10", ICD_10_GM, {"to": "E14", "subtree": True}, "leave `subtree` out", id="with subtree"),
        pytest.param("2160-0", LOINC, {"method": (SNOMED_CT, "117021009")}, "method 117021009", id="a method's check digit"),  # noqa: E501
        pytest.param("2160-0", LOINC, {"specimen": ("snomed", " ")}, "specimen", id="no specimen"),
    ],
)  # fmt: skip
def test_a_code_that_its_system_cannot_contain_is_refused(
    code: str, system: str, fields: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(CodeError, match=complaint):
        a_code(code, system, **fields)


def test_a_code_needs_a_display() -> None:
    with pytest.raises(CodeError, match="display"):
        Code(system=LOINC, code="2160-0", display=" ")


def test_a_code_says_which_method_and_specimen_it_demands() -> None:
    assert a_code().demands is None
    assert a_code(specimen=SERUM).demands == Demands(None, SERUM)
    assert a_code(method=DIPSTICK).demands == Demands(DIPSTICK, None)


ICD_10 = [
    pytest.param("N18", "N18", True, id="N18 covers itself"),
    pytest.param("N18", "N18.4", True, id="N18 covers N18.4"),
    pytest.param("N18", "N18.80", True, id="N18 covers N18.80"),
    pytest.param("N18", "N180", True, id="N18 covers N180: N18.0 without its point"),
    pytest.param("N18", "N18.4!", True, id="N18 covers N18.4!"),
    pytest.param("N18", "n18.-", True, id="N18 covers N18.- as printed"),
    pytest.param("N18", "N180X1", False, id="N18 does not cover N180X1"),
    pytest.param("N18", "N1", False, id="N18 does not cover N1"),
    pytest.param("N18", "N17.9", False, id="N18 does not cover N17.9"),
    pytest.param("I11.0", "I11.00", True, id="I11.0 covers I11.00"),
    pytest.param("I11.0", "I11.9", False, id="I11.0 does not cover I11.9"),
    pytest.param("I11.0", "I11", False, id="I11.0 does not cover the category above"),
]


@pytest.mark.parametrize(("stem", "recorded", "expected"), ICD_10)
def test_a_diagnosis_covers_what_lies_below_it_and_nothing_that_merely_begins_alike(
    stem: str,
    recorded: str,
    expected: bool,  # noqa: FBT001
) -> None:
    assert a_code(stem, ICD_10_GM, subtree=True).covers(ICD_10_GM, recorded) is expected


@pytest.mark.parametrize(
    ("system", "stem", "recorded_system", "recorded", "expected"),
    [
        pytest.param(ICD_10_GM, "N18", ICD_10_CM, "N18.4", False, id="the German edition, not the American"),
        pytest.param(ICD_10_GM, "N18", ICD_10_WHO, "N18.4", False, id="nor WHO's"),
        pytest.param(ICD_10_GM, "N18", ICD_10_GM.replace("bfarm", "dimdi"), "N18.4", True, id="its old name"),
        pytest.param(ICD_10_CM, "E11", ICD_10_CM, "E11.3211", True, id="E11 covers E11.3211"),
        pytest.param(ICD_10_CM, "E11", ICD_10_CM, "E113211", True, id="E11 covers E113211, as claims write it"),
        pytest.param(ICD_9_CM, "250", ICD_9_CM, "250.01", True, id="250 covers 250.01"),
        pytest.param(ICD_9_CM, "250", ICD_9_CM, "25001", True, id="250 covers 25001"),
        pytest.param(ICD_9_CM, "250", ICD_9_CM, "2500", True, id="250 covers 2500, which is 250.0"),
        pytest.param(ICD_9_CM, "E930", ICD_9_CM, "E9305", True, id="E930 covers E9305"),
        pytest.param(ICD_9_CM_PROCEDURES, "39.9", ICD_9_CM_PROCEDURES, "3995", True, id="39.9 covers 3995"),
        pytest.param(ICD_9_CM_PROCEDURES, "39.9", ICD_9_CM, "39.95", True, id="39.95 under the URI of both volumes"),
        pytest.param(ICD_9_CM_PROCEDURES, "39.9", ICD_9_CM, "3995", False, id="3995 there is the diagnosis 399.5"),
        pytest.param(OPS, "8-854", OPS, "8-854.60", True, id="8-854 covers 8-854.60"),
        pytest.param(OPS, "8-85", OPS, "8-85a.00", True, id="8-85 covers 8-85a.00"),
        pytest.param(OPS, "8-85", OPS, "8-85A.00", True, id="in capitals too"),
        pytest.param(OPS, "8-854", OPS, "8-855.3", False, id="8-854 does not cover 8-855.3"),
        pytest.param(OPS, "5-47", OPS, "5-470.11", True, id="5-47 covers 5-470.11"),
        pytest.param(ICD_10_PCS, "5A1D", ICD_10_PCS, "5A1D70Z", True, id="5A1D covers 5A1D70Z"),
        pytest.param(ICD_10_PCS, "5A1D", ICD_10_PCS, "5A1955Z", False, id="5A1D does not cover ventilation"),
        pytest.param(ICD_10_PCS, "5A1D", ICD_10_PCS, "5A1D70", False, id="six characters are no code"),
        pytest.param(ATC_GERMAN, "M01A", ATC_GERMAN, "M01AB05", True, id="M01A covers M01AB05"),
        pytest.param(ATC_GERMAN, "M01A", ATC_GERMAN, "M01A", True, id="M01A covers itself"),
        pytest.param(ATC_GERMAN, "M01A", ATC_GERMAN, "M01BA01", False, id="M01A does not cover M01BA01"),
        pytest.param(ATC_GERMAN, "M01A", ATC_GERMAN, "M01AB0", False, id="M01A does not cover a code of no level"),
        pytest.param(ATC_GERMAN, "M01A", ATC_WHO, "M01AB05", False, id="the German ATC is not WHO's"),
    ],
)  # fmt: skip
def test_each_system_spells_its_own_hierarchy(
    system: str,
    stem: str,
    recorded_system: str,
    recorded: str,
    expected: bool,  # noqa: FBT001
) -> None:
    assert a_code(stem, system, subtree=True).covers(recorded_system, recorded) is expected


@pytest.mark.parametrize(
    ("system", "first", "last", "inside", "outside"),
    [
        pytest.param(
            ICD_10_GM,
            "E10",
            "E14",
            ["E10", "E11.90", "E12.0†", "E1401", "E14.-"],
            ["E09", "E15", "E1", "E23.2", "E1X"],
            id="diabetes, E10–E14",
        ),
        pytest.param(
            ICD_10_GM, "N17", "N19", ["N17.93", "N18.5", "N19"], ["N16.5", "N20.0", "N1"], id="kidney failure, N17–N19"
        ),
        pytest.param(
            ICD_10_GM,
            "C00",
            "D48",
            ["C00.0", "C97!", "D09.9", "D48.9"],
            ["B99", "D50.0"],
            id="neoplasms, over a letter",
        ),
        pytest.param(
            ICD_10_GM, "I20.0", "I20.8", ["I20.0", "I20.1"], ["I20.9", "I20", "I21.0"], id="within a category"
        ),
        pytest.param(ICD_10_CM, "E08", "E13", ["E08.00", "E1165", "E13.9"], ["E14", "E07.9"], id="diabetes, American"),
        pytest.param(
            ICD_9_CM,
            "401",
            "405",
            ["401.9", "4011", "404.93"],
            ["400", "406", "40", "V40.1"],
            id="hypertension, 401–405",
        ),
        pytest.param(
            OPS,
            "8-852",
            "8-857",
            ["8-852.0b", "8-853", "8-855.x", "8-857.2"],
            ["8-851.1", "8-858", "8-85a", "8-85"],
            id="extracorporeal, 8-852…8-857",
        ),
    ],
)
def test_a_range_covers_the_categories_between_and_what_lies_below_them(
    system: str, first: str, last: str, inside: list[str], outside: list[str]
) -> None:
    span = a_code(first, system, to=last)
    assert [code for code in inside + outside if span.covers(system, code)] == inside


def test_without_subtree_a_code_covers_only_itself() -> None:
    assert a_code("N18", ICD_10_GM).covers(ICD_10_GM, "N18.-")
    assert not a_code("N18", ICD_10_GM).covers(ICD_10_GM, "N18.4")


@pytest.mark.parametrize("system", [LOINC, "https://lab.example"], ids=["LOINC", "a hospital's own"])
@pytest.mark.parametrize("recorded", ["2160-01", "12160-0", "obs_2160-0", "2160-", "2160", "21600"])
def test_what_begins_or_ends_like_a_code_is_another(system: str, recorded: str) -> None:
    assert a_code("2160-0", system).covers(system, "2160-0")
    assert not a_code("2160-0", system).covers(system, recorded)


CATEGORIES = st.tuples(st.sampled_from("ABCXYZ"), st.integers(0, 99)).map(lambda pair: f"{pair[0]}{pair[1]:02}")
BELOW = st.sampled_from(["", ".0", ".9", ".91"])


@given(st.lists(CATEGORIES, min_size=2, max_size=2, unique=True).map(sorted), CATEGORIES, BELOW)
def test_a_range_holds_what_its_categories_hold_one_by_one(ends: list[str], category: str, below: str) -> None:
    first, last = ends
    expected = first <= category <= last
    assert a_code(first, ICD_10_GM, to=last).covers(ICD_10_GM, category + below) is expected
    if expected:
        assert a_code(category, ICD_10_GM, subtree=True).covers(ICD_10_GM, category + below)
