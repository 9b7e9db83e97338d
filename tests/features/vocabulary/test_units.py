"""Units: what a recorded quantity becomes in its concept's one unit, and what is refused rather than guessed."""

import math
import tomllib
from dataclasses import replace
from fractions import Fraction
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ucumvert import PintUcumRegistry

from features.refusals import Reason
from features.vocabulary.concept import Concept, Vocabulary, load_vocabulary
from features.vocabulary.units import (
    IDENTITY,
    UCUM,
    Conversion,
    Converter,
    UnitTableError,
    load_converter,
    load_units,
    normalise,
    read_units,
)


def convert(concept_id: str, value: float, unit: str | None = None, **recorded: Any) -> float | Reason:
    converter = load_converter()
    return converter.convert(value, concept=converter.vocabulary.concept(concept_id), unit=unit, **recorded)


@pytest.mark.parametrize(
    ("concept_id", "value", "unit", "expected"),
    [
        pytest.param("creatinine", 1.0, "mg/dL", 1.0, id="creatinine stays"),
        pytest.param("creatinine", 88.4, "µmol/l", 1.0000, id="creatinine from µmol/l"),
        pytest.param("glucose", 5.5, "mmol/l", 99.09, id="glucose from mmol/l"),
        pytest.param("glucose", 0.99, "g/L", 99.0, id="glucose from g/L"),
        pytest.param("bilirubin_total", 20.0, "µmol/L", 1.1693, id="bilirubin from µmol/L"),
        pytest.param("calcium", 2.40, "mmol/L", 9.6187, id="calcium from mmol/L"),
        pytest.param("calcium", 4.8, "mEq/L", 9.6187, id="calcium carries two charges"),
        pytest.param("magnesium", 0.85, "mmol/l", 2.0659, id="magnesium from mmol/l"),
        pytest.param("magnesium", 1.7, "mval/l", 2.0659, id="magnesium from mval/l"),
        pytest.param("phosphate", 1.0, "mmol/L", 3.0974, id="phosphate counts phosphorus"),
        pytest.param("potassium", 4.2, "mEq/L", 4.2, id="potassium from mEq/L"),
        pytest.param("potassium", 16.4, "mg/dL", 4.1946, id="potassium from mg/dL"),
        pytest.param("sodium", 140.0, "mval/l", 140.0, id="sodium from mval/l"),
        pytest.param("bicarbonate", 24.0, "mEq/L", 24.0, id="bicarbonate from mEq/L"),
        pytest.param("base_excess", -3.0, "mEq/L", -3.0, id="base excess keeps its sign"),
        pytest.param("lactate", 18.0, "mg/dL", 1.9983, id="lactate from mg/dL"),
        pytest.param("hemoglobin", 8.7, "mmol/l", 14.0192, id="haemoglobin monomer from mmol/l"),
        pytest.param("hemoglobin", 140.0, "g/L", 14.0, id="haemoglobin from g/L"),
        pytest.param("albumin", 4.0, "g/dL", 40.0, id="albumin from g/dL"),
        pytest.param("c_reactive_protein", 1.2, "mg/dl", 12.0, id="CRP from mg/dl"),
        pytest.param("fibrinogen", 3.1, "g/l", 310.0, id="fibrinogen from g/l"),
        pytest.param("troponin_i", 34.0, "ng/L", 0.034, id="troponin from ng/L"),
        pytest.param("troponin_i", 34.0, "pg/mL", 0.034, id="troponin from pg/mL"),
        pytest.param("troponin_i", 0.034, "µg/l", 0.034, id="troponin from µg/l"),
        pytest.param("wbc", 7.4, "Gpt/l", 7.4, id="leukocytes from Gpt/l"),
        pytest.param("wbc", 7.4, "G/l", 7.4, id="leukocytes from giga per litre"),
        pytest.param("wbc", 7400.0, "/µl", 7.4, id="leukocytes from /µl"),
        pytest.param("platelets", 0.25, "Tpt/l", 250.0, id="platelets from Tpt/l"),
        pytest.param("hematocrit", 0.42, "l/l", 42.0, id="haematocrit from a fraction"),
        pytest.param("ast", 0.5, "µkat/l", 30.0, id="AST from µkat/l"),
        pytest.param("ast", 35.0, "IU/L", 35.0, id="AST from IU/L"),
        pytest.param("ptt", 31.0, "sec", 31.0, id="aPTT in sec"),
        pytest.param("paco2", 5.33, "kPa", 39.978, id="pCO2 from kPa"),
        pytest.param("etco2", 54.0, "cmH2O", 39.72, id="etCO2 from cmH2O"),
        pytest.param("temperature", 98.6, "°F", 37.0, id="fever scale of Fahrenheit"),
        pytest.param("temperature", 104.0, "F", 40.0, id="F is no farad"),
        pytest.param("temperature", 98.6, "?F", 37.0, id="a degree sign lost on its way"),
        pytest.param("temperature", 37.2, "Grad C", 37.2, id="Grad C"),
        pytest.param("temperature", 37.2, "°C", 37.2, id="°C"),
        pytest.param("systolic_pressure", 120.0, "mm Hg", 120.0, id="mm Hg"),
        pytest.param("spo2", 0.97, "1", 97.0, id="SpO2 as fraction"),
        pytest.param("fio2", 0.21, "1", 21.0, id="room air as fraction"),
        pytest.param("fio2", 21.0, "%", 21.0, id="room air as percent"),
        pytest.param("heart_rate", 72.0, "bpm", 72.0, id="beats per minute"),
        pytest.param("respiratory_rate", 16.0, "insp/min", 16.0, id="inspirations per minute"),
        pytest.param("respiratory_rate", 16.0, "Atemzüge/min", 16.0, id="Atemzüge"),
        pytest.param("body_weight", 150.0, "lbs", 68.0389, id="body weight from pounds"),
        pytest.param("body_weight", 3400.0, "g", 3.4, id="body weight of a newborn in grams"),
        pytest.param("body_height", 70.0, "Inch", 177.8, id="body height from inches"),
        pytest.param("body_height", 1.78, "m", 178.0, id="body height from metres"),
        pytest.param("urine_output", 0.35, "l", 350.0, id="urine in litres"),
        pytest.param("gcs_total", 14.0, None, 14.0, id="a score without unit"),
        pytest.param("gcs_total", 14.0, "Punkte", 14.0, id="a score in points"),
        pytest.param("gcs_total", 14.0, "1", 14.0, id="a score as a plain number"),
        pytest.param("inr", 2.3, None, 2.3, id="INR without unit"),
        pytest.param("inr", 2.3, "ratio", 2.3, id="INR as a ratio"),
        pytest.param("procalcitonin", 0.5, "µg/l", 0.5, id="procalcitonin from µg/l"),
        pytest.param("lactate_dehydrogenase", 4.0, "µkat/l", 240.0, id="LDH from µkat/l"),
        pytest.param("ph", 7.36, None, 7.36, id="pH without unit"),
        pytest.param("ph", 7.36, "units", 7.36, id="pH in units"),
        pytest.param("ph", 7.36, "1", 7.36, id="pH as a plain number"),
    ],
)
def test_a_recorded_value_in_the_canonical_unit(
    concept_id: str, value: float, unit: str | None, expected: float
) -> None:
    assert convert(concept_id, value, unit) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("percent", "mmol_per_mol"),
    [(5.0, 31), (5.7, 39), (6.0, 42), (6.5, 48), (7.0, 53), (8.0, 64), (9.0, 75), (10.0, 86), (12.0, 108)],
)
def test_hba1c_in_percent_is_on_another_scale(percent: float, mmol_per_mol: int) -> None:
    """The pairs that NGSP and the diabetes societies print, from the master equation and rounded to whole numbers."""
    assert round(float(convert("hba1c", percent, "%"))) == mmol_per_mol
    assert convert("hba1c", percent / 100, "1") == pytest.approx(convert("hba1c", percent, "%"), rel=1e-12)
    assert convert("hba1c", mmol_per_mol, "mmol/mol") == mmol_per_mol


@pytest.mark.parametrize(
    ("code", "value", "unit", "expected"),
    [
        pytest.param("3094-0", 14.0, "mg/dL", 14.0, id="urea nitrogen, mass"),
        pytest.param("14937-7", 5.0, "mmol/L", 14.007, id="urea nitrogen, moles of urea"),
        pytest.param("3091-6", 30.0, "mg/dl", 13.994, id="urea, mass: Harnstoff"),
        pytest.param("3091-6", 0.3, "g/l", 13.994, id="urea, mass in g/l"),
        pytest.param("22664-7", 5.0, "mmol/l", 14.007, id="urea, moles"),
        pytest.param("3091-6", 5.0, "mmol/l", 14.007, id="urea in moles under the code of its mass"),
    ],
)
def test_urea_becomes_urea_nitrogen_by_its_own_molar_mass(code: str, value: float, unit: str, expected: float) -> None:
    assert convert("bun", value, unit, code=code) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    "text",
    [
        *("Gpt/l", "Gpt/L", "GPt/l", "G/l", "G/L", "10*9/L", "10^9/l", "10⁹/l", "10 ⁹ / L", "x10E9/L", "×10⁹/l"),
        *("10*3/uL", "10^3/µL", "10³/µl", "10³/μL", "10**3/uL", "x10^3/uL", "10³/mm³"),
        *("/nl", "/nL", "1/nL", "K/uL", "K/µL", "k/µl", "Tsd./µl", "thousand/uL"),
    ],
)
def test_one_thing_written_in_many_ways(text: str) -> None:
    """Gpt/l, 10⁹/l, /nl and K/µL all count thousands of cells per microlitre."""
    assert convert("wbc", 7.4, text) == 7.4


@pytest.mark.parametrize(
    ("concept_id", "unit", "expected"),
    [
        pytest.param("creatinine", None, Reason.UNIT_MISSING, id="no unit"),
        pytest.param("creatinine", "", Reason.UNIT_MISSING, id="empty unit"),
        pytest.param("creatinine", "  ", Reason.UNIT_MISSING, id="blank unit"),
        pytest.param("creatinine", "mg/dL/h", Reason.UNIT_UNKNOWN, id="unknown unit"),
        pytest.param("potassium", "Mmol/L", Reason.UNIT_UNKNOWN, id="mega is not milli"),
        pytest.param("wbc", "m/uL", Reason.UNIT_UNKNOWN, id="milli or million"),
        pytest.param("wbc", "g/l", Reason.UNIT_INCOMPATIBLE, id="grams of leukocytes"),
        pytest.param("hemoglobin", "G/L", Reason.UNIT_INCOMPATIBLE, id="giga per litre of haemoglobin"),
        pytest.param("hemoglobin", "10*9/L", Reason.UNIT_INCOMPATIBLE, id="a count of haemoglobin"),
        pytest.param("heart_rate", "mmHg", Reason.UNIT_INCOMPATIBLE, id="a pressure for a rate"),
        pytest.param("fio2", "L/min", Reason.UNIT_UNKNOWN, id="oxygen flow for a fraction"),
        pytest.param("etco2", "%", Reason.UNIT_INCOMPATIBLE, id="a volume fraction needs the barometer"),
        pytest.param("ptt", "%", Reason.UNIT_INCOMPATIBLE, id="percent of normal is not seconds"),
        pytest.param("phosphate", "mEq/L", Reason.UNIT_INCOMPATIBLE, id="phosphate has no one charge"),
        pytest.param("albumin", "µmol/L", Reason.UNIT_INCOMPATIBLE, id="no molar mass declared"),
        pytest.param("ph", "nmol/L", Reason.UNIT_INCOMPATIBLE, id="hydrogen ions are not linear in pH"),
        pytest.param("temperature", "%", Reason.UNIT_INCOMPATIBLE, id="percent of temperature"),
        pytest.param("inr", "%", Reason.UNIT_INCOMPATIBLE, id="percent of normal is no INR"),
        pytest.param("inr", "sec", Reason.UNIT_INCOMPATIBLE, id="nor are seconds"),
        pytest.param("spo2", "mmol/mol", Reason.UNIT_INCOMPATIBLE, id="mmol/mol is for HbA1c"),
        pytest.param("hba1c", "mmol/L", Reason.UNIT_INCOMPATIBLE, id="HbA1c per litre"),
        pytest.param("hba1c", None, Reason.UNIT_MISSING, id="HbA1c without unit: percent or mmol/mol"),
        pytest.param("urine_output", "mL/h", Reason.UNIT_UNKNOWN, id="a rate of urine"),
        pytest.param("body_weight", None, Reason.UNIT_MISSING, id="a weight without unit"),
        pytest.param("body_weight", "cm", Reason.UNIT_INCOMPATIBLE, id="a weight in centimetres"),
        pytest.param("gcs_total", "mmHg", Reason.UNIT_INCOMPATIBLE, id="a score in mmHg"),
    ],
)
def test_what_is_not_known_is_refused(concept_id: str, unit: str | None, expected: Reason) -> None:
    assert convert(concept_id, 1.0, unit) is expected


@pytest.mark.parametrize(
    ("concept_id", "unit", "system", "code", "expected"),
    [
        pytest.param("creatinine", "milligram per deciliter", UCUM, "mg/dL", 1.0, id="text and code agree"),
        pytest.param("creatinine", "mg pro dl", UCUM, "mg/dL", 1.0, id="an unknown text beside a known code"),
        pytest.param("creatinine", None, UCUM, "mg/dL", 1.0, id="a code alone"),
        pytest.param("potassium", "mEq/L", UCUM, "mmol/L", 1.0, id="two spellings of one conversion"),
        pytest.param("creatinine", "mg/dL", UCUM, "umol/L", Reason.UNIT_CONTRADICTION, id="mass beside moles"),
        pytest.param("temperature", "°F", UCUM, "Cel", Reason.UNIT_CONTRADICTION, id="°F beside Cel"),
        pytest.param("creatinine", "mmHg", UCUM, "mg/dL", Reason.UNIT_CONTRADICTION, id="a text of another kind"),
        pytest.param("fio2", "1", UCUM, "%", Reason.UNIT_CONTRADICTION, id="fraction beside percent"),
        pytest.param("creatinine", "mg/dL", UCUM, "mg/dl/h", Reason.UNIT_UNKNOWN, id="the text saves no unknown code"),
        pytest.param("creatinine", "mg/dL", UCUM, "mm[Hg]", Reason.UNIT_INCOMPATIBLE, id="nor an incompatible one"),
        pytest.param("creatinine", None, UCUM, "MG/DL", 1.0, id="no UCUM code, but a known text"),
        pytest.param("creatinine", "MG/DL", None, None, 1.0, id="a text in capitals that is listed"),
        pytest.param("wbc", "Gpt/l", UCUM, "G/L", 1.0, id="gauss per litre means giga"),
        pytest.param("hemoglobin", None, UCUM, "G/L", Reason.UNIT_INCOMPATIBLE, id="but not grams"),
        pytest.param("creatinine", None, "http://mimic.mit.edu/units", "mg/dL", 1.0, id="a code of another system"),
        pytest.param("creatinine", "mg/dL", "http://mimic.mit.edu/units", "x", 1.0, id="where the text comes first"),
        pytest.param("creatinine", None, None, "mg/dL", 1.0, id="a code without system"),
        pytest.param("creatinine", "mg/dL", None, "umol/L", Reason.UNIT_CONTRADICTION, id="which contradicts too"),
        pytest.param("hematocrit", "%", "https://kis.example/units", "1", 1.0, id="a number of the house is no unit"),
        pytest.param("creatinine", "umol/L", f"{UCUM}/", "mg/dL", Reason.UNIT_CONTRADICTION, id="UCUM with a slash"),
        pytest.param(
            "creatinine", None, "urn:oid:2.16.840.1.113883.6.8", "furlong", Reason.UNIT_UNKNOWN, id="UCUM by its OID"
        ),
        pytest.param("creatinine", "", UCUM, "", Reason.UNIT_MISSING, id="system and nothing else"),
        pytest.param("heart_rate", "beats per minute", UCUM, "/min", 1.0, id="MII heart rate"),
        pytest.param("respiratory_rate", "breaths per minute", UCUM, "{Breaths}/min", 1.0, id="MII breath rate"),
    ],
)
def test_a_ucum_code_decides_and_a_text_can_only_contradict_it(
    concept_id: str, unit: str | None, system: str | None, code: str | None, expected: float | Reason
) -> None:
    assert convert(concept_id, 1.0, unit, unit_system=system, unit_code=code) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param(" mm Hg ", "mmHg", id="spaces"),
        pytest.param("mg\u00a0/\u202fdL", "mg/dL", id="hard and thin spaces"),
        pytest.param("µmol/L", "umol/L", id="micro sign"),
        pytest.param("μmol/L", "umol/L", id="Greek mu"),
        pytest.param("10³/µl", "10^3/ul", id="a raised 3 is an exponent"),
        pytest.param("min⁻¹", "min^-1", id="a raised minus"),
        pytest.param("˚C", "°C", id="ring above"),
        pytest.param("ºC", "°C", id="ordinal sign"),
        pytest.param("℃", "°C", id="one character for °C"),
        pytest.param("×10⁹/l", "x10^9/l", id="multiplication sign"),
        pytest.param("G/L", "G/L", id="case stays"),
    ],
)
def test_typography_goes_and_case_stays(written: str, expected: str) -> None:
    assert normalise(written) == expected
    assert normalise(expected) == expected


DOCUMENT = tomllib.loads((files("features.vocabulary") / "units.toml").read_text(encoding="utf-8"))
OBSERVED = [concept for concept in load_vocabulary() if concept.unit is not None]
LISTED = [spelling for entry in DOCUMENT["units"] for spelling in entry["ucum"]]

# What the library cannot read, or reads differently from UCUM, and what stands for it.
READ_AS = {
    "g%": "g/dL",  # it reads gram times percent, where UCUM means grams per 100 mL
    "mg%": "mg/dL",
    "{fraction}": "L/L",  # it parses no annotation that stands alone
    "1": "L/L",  # it parses "1" as Python's number
}
# Kinds of their own, which the library lacks or takes for others: nothing converts into them but themselves, and a
# plain number where the quantity has no unit. An age is none of its times, HbA1c none of its ratios.
APART = {
    "[pH]": {"[pH]", "1"},
    "{score}": {"{score}", "{Score}", "{points}", "1"},
    "{INR}": {"{INR}", "1"},
    "a": {"a"},
    "mmol/mol": {"mmol/mol"},
}
OWN_SPELLINGS = set().union(*APART.values()) - {"1"}
NGSP = {"%": 1.0, "%{vol}": 1.0, "1": 100.0, "L/L": 100.0, "l/l": 100.0, "{fraction}": 100.0, "mol/mol": 100.0}


@pytest.fixture(scope="module")
def parsed() -> dict[str, Any]:
    """Every listed UCUM code that is no kind of its own, as a quantity of a general UCUM library."""
    registry = PintUcumRegistry()
    readable = [spelling for spelling in LISTED if spelling not in OWN_SPELLINGS]
    return {spelling: registry.from_ucum(READ_AS.get(spelling, spelling)) for spelling in readable}


def expected_value(parsed: dict[str, Any], concept: Concept, spelling: str, value: float) -> float | Reason:
    """The value in the concept's unit: by the library, or by the rules of what stands apart."""
    unit = concept.unit or ""
    if unit == "mmol/mol" and spelling in NGSP:
        return (value * NGSP[spelling] - 2.152) / 0.09148
    if unit in APART:
        return value if spelling in APART[unit] else Reason.UNIT_INCOMPATIBLE
    if spelling in OWN_SPELLINGS:
        return Reason.UNIT_INCOMPATIBLE
    return by_the_library(parsed, concept, spelling, value)


def by_the_library(parsed: dict[str, Any], concept: Concept, spelling: str, value: float) -> float | Reason:
    """The value in the concept's unit by the library's units and by chemistry done here."""
    one, target = parsed[spelling], parsed[concept.unit or ""]
    source = type(one)(value * one.magnitude, one.units)
    moles, grams = parsed["mol/L"].dimensionality, parsed["g/L"].dimensionality
    if spelling.startswith("meq"):  # the library takes an equivalent for a mole
        if concept.charge is None:
            return Reason.UNIT_INCOMPATIBLE
        source = source / concept.charge
    mass = concept.molar_mass_g_per_mol
    if mass is not None and {source.dimensionality, target.dimensionality} == {moles, grams}:
        per_mole = mass * parsed["g/L"] / parsed["mol/L"]
        source = source * per_mole if source.dimensionality == moles else source / per_mole
    if source.dimensionality != target.dimensionality:
        return Reason.UNIT_INCOMPATIBLE
    return float(source.to(target.units).magnitude)


@pytest.mark.parametrize("concept", [pytest.param(concept, id=concept.id) for concept in OBSERVED])
def test_every_conversion_and_every_refusal_agrees_with_a_ucum_library(
    parsed: dict[str, Any], concept: Concept
) -> None:
    """All concepts with a unit, all UCUM codes of the table: one number or one refusal each."""
    for spelling in LISTED:
        converted = load_converter().convert(3.7, concept=concept, unit_system=UCUM, unit_code=spelling)
        expected = expected_value(parsed, concept, spelling, 3.7)
        if isinstance(expected, Reason):
            assert converted is expected, spelling
        else:
            assert converted == pytest.approx(expected, rel=1e-12, abs=1e-12), spelling


@pytest.mark.parametrize("concept", [pytest.param(concept, id=concept.id) for concept in OBSERVED])
def test_every_other_way_of_writing_a_unit_means_the_unit(concept: Concept) -> None:
    """What is accepted as a text, or as a code that UCUM does not have, converts as the unit's own UCUM code does.

    Only a plain "1" may mean more: a pH, a score or an INR, which have no unit.
    """
    conversions = load_converter().conversions(concept)
    for entry in DOCUMENT["units"]:
        meant = conversions.by_code[next(code for code in entry["ucum"] if code != "1")]
        for spelling in {*entry["ucum"], *entry.get("also", ())} - {"1"}:
            assert conversions.by_code[spelling] == meant, spelling
        for text in {normalise(text) for text in entry["texts"]} - {"1"}:
            assert conversions.by_text[text] == meant, text


CONVERSIONS = [
    conversion
    for concept in OBSERVED
    for conversion in load_converter().conversions(concept).by_code.values()
    if isinstance(conversion, Conversion)
]
VALUES = st.floats(min_value=-1e6, max_value=1e6)


@given(st.sampled_from(CONVERSIONS), VALUES, VALUES)
def test_a_conversion_is_a_rising_line_that_leads_back(conversion: Conversion, one: float, other: float) -> None:
    """Order is kept, the middle stays in the middle, and the inverse returns the value."""
    scale = max(abs(one), abs(other), 1.0) * conversion.scale + abs(conversion.offset)
    low, high = sorted((one, other))
    assert conversion(low) <= conversion(high)
    middle = (conversion(one) + conversion(other)) / 2
    assert math.isclose(conversion((one + other) / 2), middle, abs_tol=1e-12 * scale)
    returned = (conversion(one) - conversion.offset) / conversion.scale
    assert math.isclose(returned, one, abs_tol=1e-12 * scale / conversion.scale)


@pytest.mark.parametrize("concept", [pytest.param(concept, id=concept.id) for concept in OBSERVED])
def test_the_canonical_unit_changes_no_bit(concept: Concept) -> None:
    found = load_converter().conversions(concept).resolve(unit=None, unit_system=UCUM, unit_code=concept.unit)
    assert found == IDENTITY


def test_a_factor_is_rounded_once() -> None:
    """The factor is the double nearest to the exact rational, not a product of rounded doubles."""
    exact = Fraction("113.12") / 10**6 * 100  # µmol/L to mg/dL: g/mol, micro, and g/L to mg/dL
    found = load_converter().conversions(load_vocabulary().concept("creatinine")).by_code["umol/L"]
    assert found == Conversion(float(exact), 0.0)


def test_a_spelling_for_two_units_is_refused() -> None:
    text = """
    [kinds]
    fraction = "1"
    [[units]]
    kind = "fraction"
    scale = "1"
    ucum = ["1"]
    texts = ["part"]
    [[units]]
    kind = "fraction"
    scale = "0.01"
    ucum = ["%"]
    texts = ["p a r t"]
    """
    with pytest.raises(UnitTableError, match="'part' is listed for 1 and %"):
        read_units(text)
    with pytest.raises(UnitTableError, match="not one of mass"):
        read_units(text.replace('fraction = "1"', 'mass = "g"'))


def test_a_concept_in_an_unlisted_unit_is_refused_at_start() -> None:
    furlong = replace(load_vocabulary().concept("heart_rate"), unit="[fur_us]")
    with pytest.raises(UnitTableError, match="fur_us"):
        Converter(Vocabulary((furlong,)), load_units())


@pytest.mark.parametrize("concept_id", ["sex", "diabetes"])
def test_a_concept_without_a_unit_converts_nothing(concept_id: str) -> None:
    with pytest.raises(UnitTableError, match=concept_id):
        convert(concept_id, 1.0)
