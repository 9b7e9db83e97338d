"""The packaged concepts: complete, in both languages, and deaf to the codes that look alike."""

from collections import defaultdict

import pytest

from features.vocabulary.code import (
    ACT_CODE,
    ATC_GERMAN,
    ATC_WHO,
    CONTACT_KIND,
    DEPARTMENT,
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
)
from features.vocabulary.concept import Concept, load_vocabulary
from features.vocabulary.units import IDENTITY, load_converter

CONCEPTS = [pytest.param(concept, id=concept.id) for concept in load_vocabulary()]
OBSERVATIONS = [pytest.param(concept, id=concept.id) for concept in load_vocabulary() if concept.unit is not None]

VITALS = ["heart_rate", "respiratory_rate", "temperature", "spo2", "fio2", "etco2"]
BODY = ["body_weight", "body_height", "gcs_total", "consciousness", "urine_output"]
PRESSURES = ["systolic_pressure", "diastolic_pressure", "mean_pressure"]
BLOOD_GASES = ["base_excess", "bicarbonate", "ph", "paco2", "sao2", "lactate"]
CHEMISTRY = [
    *("ast", "bun", "alkaline_phosphatase", "calcium", "chloride", "creatinine", "bilirubin_direct", "bilirubin_total"),
    *("glucose", "magnesium", "phosphate", "potassium", "troponin_i", "c_reactive_protein", "sodium", "albumin"),
]
LATER_CHEMISTRY = ["alanine_aminotransferase", "lactate_dehydrogenase", "procalcitonin", "inr", "hba1c"]
BLOOD = ["hematocrit", "hemoglobin", "ptt", "wbc", "fibrinogen", "platelets"]
DEMOGRAPHICS = ["age", "sex"]
CONDITIONS = ["chronic_kidney_disease", "diabetes", "heart_failure", "hypertension", "sepsis_diagnosis"]
MEDICATIONS = [
    *("nephrotoxic_nsaid", "aminoglycoside", "vancomycin"),
    *("raas_inhibitor", "loop_diuretic", "proton_pump_inhibitor"),
]
DRAFTS = [f"{name}_draft" for name in MEDICATIONS]
PROCEDURES = ["mechanical_ventilation", "renal_replacement_therapy"]
STAYS = ["inpatient_stay", "emergency_visit", "icu_stay"]
EVERYTHING = [
    *(*VITALS, *PRESSURES, *BODY, *BLOOD_GASES, *CHEMISTRY, *LATER_CHEMISTRY, *BLOOD),
    *(*DEMOGRAPHICS, *CONDITIONS, *MEDICATIONS, *DRAFTS, *PROCEDURES, *STAYS),
]

# IUPAC standard atomic weights 2021, abridged to the digits that a molar mass needs.
ATOMIC_WEIGHTS = {
    "H": 1.008, "C": 12.011, "N": 14.007, "O": 15.999, "Na": 22.990, "Mg": 24.305, "P": 30.974, "Cl": 35.45,
    "K": 39.098, "Ca": 40.078,
}  # fmt: skip
FORMULAS = {
    "bun": {"N": 2},
    "calcium": {"Ca": 1},
    "chloride": {"Cl": 1},
    "creatinine": {"C": 4, "H": 7, "N": 3, "O": 1},
    "bilirubin_direct": {"C": 33, "H": 36, "N": 4, "O": 6},
    "bilirubin_total": {"C": 33, "H": 36, "N": 4, "O": 6},
    "glucose": {"C": 6, "H": 12, "O": 6},
    "lactate": {"C": 3, "H": 6, "O": 3},
    "magnesium": {"Mg": 1},
    "phosphate": {"P": 1},
    "potassium": {"K": 1},
    "sodium": {"Na": 1},
}
UREA = {"C": 1, "H": 4, "N": 2, "O": 1}
HEMOGLOBIN_MONOMER_G_PER_MOL = 16114


def molar_mass_g_per_mol(formula: dict[str, int]) -> float:
    return sum(ATOMIC_WEIGHTS[element] * count for element, count in formula.items())


def test_the_packaged_concepts_are_these() -> None:
    assert sorted(concept.id for concept in load_vocabulary()) == sorted(EVERYTHING)


@pytest.mark.parametrize("concept", CONCEPTS)
def test_a_concept_speaks_both_languages(concept: Concept) -> None:
    for words in concept.words.values():
        assert words.name == words.name.strip()
        assert len(words.short) <= len(words.name)


@pytest.mark.parametrize("concept", OBSERVATIONS)
def test_the_printed_unit_needs_no_conversion(concept: Concept) -> None:
    """A card prints the stored number beside the unit in its language: both must mean the canonical unit."""
    conversions = load_converter().conversions(concept)
    for words in concept.words.values():
        assert conversions.resolve(unit=words.unit or None, unit_system=None, unit_code=None) == IDENTITY


@pytest.mark.parametrize("concept", OBSERVATIONS)
def test_an_observation_is_known_by_loinc(concept: Concept) -> None:
    assert {code.system for code in concept.codes} <= {LOINC}


@pytest.mark.parametrize("concept", CONCEPTS)
def test_molar_masses_are_sums_of_atomic_weights(concept: Concept) -> None:
    if concept.id == "hemoglobin":
        assert concept.molar_mass_g_per_mol == HEMOGLOBIN_MONOMER_G_PER_MOL
    elif concept.id in FORMULAS:
        expected = molar_mass_g_per_mol(FORMULAS[concept.id])
        assert concept.molar_mass_g_per_mol == pytest.approx(expected, rel=1e-9)
    else:
        assert concept.molar_mass_g_per_mol is None
    for code in concept.codes:
        if "Urea [" in code.display:
            assert code.molar_mass_g_per_mol == pytest.approx(molar_mass_g_per_mol(UREA), rel=1e-9)
        else:
            assert code.molar_mass_g_per_mol is None


def test_a_code_belongs_to_one_concept() -> None:
    owners: dict[tuple[str, str], set[str]] = defaultdict(set)
    for concept in load_vocabulary():
        for code in concept.codes if concept.drafts_of is None else ():
            owners[code.system, code.code].add(concept.id)
    assert {key: ids for key, ids in owners.items() if len(ids) > 1} == {}


@pytest.mark.parametrize("concept", CONCEPTS)
def test_no_code_is_listed_that_another_of_the_concept_covers(concept: Concept) -> None:
    for code in concept.codes:
        covering = [own for own in concept.codes if own is not code and own.covers(code.system, code.code)]
        assert covering == [], code


@pytest.mark.parametrize("concept", CONCEPTS)
def test_a_limit_stands_for_a_value_only_where_low_values_are_harmless(concept: Concept) -> None:
    """Where "<5" is read as 5, nothing is lost clinically; elsewhere (creatinine, glucose, platelets) it is refused."""
    harmless = {"bilirubin_direct", "bilirubin_total", "c_reactive_protein", "procalcitonin", "troponin_i"}
    assert (concept.censored == "limit") == (concept.id in harmless)


OWN_FLUIDS = (
    "urine",
    "cerebr",
    "dialysis",
    "peritoneal",
    "pleural",
    "synovial",
    "body fluid",
    "cord",
    "stool",
    "ascit",
)


@pytest.mark.parametrize("concept", [param for param in OBSERVATIONS if param.id != "urine_output"])
def test_no_code_measures_another_specimen_or_a_computed_mean(concept: Concept) -> None:
    for code in concept.codes:
        shown = code.display.lower()
        assert not any(fluid in shown for fluid in OWN_FLUIDS), code
        assert not any(word in shown for word in ("deprecated", "ratio]", "estimated from", "post dialysis")), code


@pytest.mark.parametrize(
    ("system", "code", "expected"),
    [
        pytest.param(LOINC, "8867-4", ["heart_rate"], id="heart rate"),
        pytest.param(LOINC, "8310-5", ["temperature"], id="body temperature"),
        pytest.param(LOINC, "59408-5", ["spo2"], id="SpO2"),
        pytest.param(LOINC, "2708-6", ["spo2"], id="arterial saturation, as vital signs profiles code SpO2"),
        pytest.param(LOINC, "20564-1", ["sao2"], id="saturation of a blood gas"),
        pytest.param(LOINC, "8480-6", ["systolic_pressure"], id="systolic pressure"),
        pytest.param(LOINC, "8440-0", [], id="pulmonary artery systolic pressure"),
        pytest.param(LOINC, "85354-9", [], id="the panel: its components are read"),
        pytest.param(LOINC, "3150-0", ["fio2"], id="FiO2"),
        pytest.param(LOINC, "3151-8", [], id="oxygen flow"),
        pytest.param(LOINC, "2160-0", ["creatinine"], id="creatinine, mass"),
        pytest.param(LOINC, "14682-9", ["creatinine"], id="creatinine, moles"),
        pytest.param(LOINC, "2161-8", [], id="creatinine in urine"),
        pytest.param(LOINC, "12191-3", [], id="creatinine in peritoneal fluid"),
        pytest.param(LOINC, "3094-0", ["bun"], id="urea nitrogen"),
        pytest.param(LOINC, "3091-6", ["bun"], id="urea, mass"),
        pytest.param(LOINC, "22664-7", ["bun"], id="urea, moles"),
        pytest.param(LOINC, "3095-7", [], id="urea nitrogen in urine"),
        pytest.param(LOINC, "17861-6", ["calcium"], id="total calcium"),
        pytest.param(LOINC, "1994-3", [], id="ionised calcium"),
        pytest.param(LOINC, "29265-6", [], id="corrected calcium"),
        pytest.param(LOINC, "2600-5", [], id="ionised magnesium"),
        pytest.param(LOINC, "32693-4", ["lactate"], id="lactate in blood"),
        pytest.param(LOINC, "2532-0", ["lactate_dehydrogenase"], id="lactate dehydrogenase"),
        pytest.param(LOINC, "14805-6", [], id="lactate dehydrogenase, the other way round"),
        pytest.param(LOINC, "2531-2", [], id="lactate dehydrogenase in ascites"),
        pytest.param(LOINC, "2019-8", ["paco2"], id="arterial pCO2"),
        pytest.param(LOINC, "2021-4", [], id="venous pCO2"),
        pytest.param(LOINC, "2746-6", [], id="venous pH"),
        pytest.param(LOINC, "5803-2", [], id="urine pH"),
        pytest.param(LOINC, "30318-0", [], id="base deficit"),
        pytest.param(LOINC, "14979-9", ["ptt"], id="aPTT"),
        pytest.param(LOINC, "5902-2", [], id="prothrombin time"),
        pytest.param(LOINC, "6301-6", ["inr"], id="INR"),
        pytest.param(LOINC, "52129-4", [], id="INR after heparin was neutralised"),
        pytest.param(LOINC, "5894-1", [], id="Quick"),
        pytest.param(LOINC, "33959-8", ["procalcitonin"], id="procalcitonin"),
        pytest.param(LOINC, "1742-6", ["alanine_aminotransferase"], id="ALT"),
        pytest.param(LOINC, "59261-8", ["hba1c"], id="HbA1c, IFCC"),
        pytest.param(LOINC, "29463-7", ["body_weight"], id="body weight"),
        pytest.param(LOINC, "8339-4", [], id="birth weight"),
        pytest.param(LOINC, "8302-2", ["body_height"], id="body height"),
        pytest.param(LOINC, "9269-2", ["gcs_total"], id="Glasgow Coma Scale, total"),
        pytest.param(LOINC, "9268-4", [], id="Glasgow Coma Scale, motor"),
        pytest.param(LOINC, "67775-7", ["consciousness"], id="ACVPU"),
        pytest.param(LOINC, "9187-6", ["urine_output"], id="urine output"),
        pytest.param(LOINC, "9192-6", [], id="urine output of a day"),
        pytest.param(LOINC, "10839-9", ["troponin_i"], id="troponin I"),
        pytest.param(LOINC, "6598-7", [], id="troponin T"),
        pytest.param(LOINC, "6690-2", ["wbc"], id="leukocytes in blood"),
        pytest.param(LOINC, "5821-4", [], id="leukocytes in urine sediment"),
        pytest.param(LOINC, "4544-3", ["hematocrit"], id="haematocrit"),
        pytest.param(LOINC, "11153-4", [], id="haematocrit of a body fluid"),
        pytest.param(LOINC, "27353-2", [], id="mean glucose from HbA1c"),
        pytest.param(LOINC, "2342-4", [], id="glucose in cerebrospinal fluid"),
        pytest.param(ICD_10_GM, "N18.4", ["chronic_kidney_disease"], id="CKD stage 4"),
        pytest.param(ICD_10_GM, "N17.9", [], id="acute kidney failure"),
        pytest.param(ICD_10_CM, "E11.22", ["diabetes"], id="type 2 diabetes with CKD"),
        pytest.param(ICD_10_GM, "E23.2", [], id="diabetes insipidus"),
        pytest.param(ICD_10_GM, "O24.4", [], id="gestational diabetes"),
        pytest.param(ICD_10_GM, "I11.00", ["heart_failure", "hypertension"], id="hypertensive heart failure"),
        pytest.param(ICD_10_GM, "I27.0", [], id="pulmonary hypertension"),
        pytest.param(ICD_10_GM, "A41.9", ["sepsis_diagnosis"], id="sepsis"),
        pytest.param(ICD_10_GM, "E12.90", ["diabetes"], id="diabetes of malnutrition"),
        pytest.param(ICD_10_GM, "E14.90", ["diabetes"], id="unspecified diabetes"),
        pytest.param(ICD_10_GM, "E10.30+", ["diabetes"], id="diabetes with a dagger"),
        pytest.param(ICD_10_GM, "E15", [], id="hypoglycaemic coma"),
        pytest.param(ICD_10_WHO, "E11.9", ["diabetes"], id="diabetes, WHO"),
        pytest.param(ICD_9_CM, "25000", ["diabetes"], id="diabetes, ICD-9-CM"),
        pytest.param(ICD_9_CM, "5856", ["chronic_kidney_disease"], id="end-stage kidney disease, ICD-9-CM"),
        pytest.param(ICD_9_CM, "4280", ["heart_failure"], id="heart failure, ICD-9-CM"),
        pytest.param(ICD_9_CM, "402.91", ["heart_failure", "hypertension"], id="hypertensive heart failure, ICD-9-CM"),
        pytest.param(ICD_9_CM, "4010", ["hypertension"], id="hypertension, ICD-9-CM"),
        pytest.param(ICD_9_CM, "4160", [], id="pulmonary hypertension, ICD-9-CM"),
        pytest.param(ICD_9_CM, "99592", ["sepsis_diagnosis"], id="severe sepsis, ICD-9-CM"),
        pytest.param(OPS, "8-854.2", ["renal_replacement_therapy"], id="intermittent haemodialysis"),
        pytest.param(OPS, "8-855.71", ["renal_replacement_therapy"], id="continuous haemodiafiltration"),
        pytest.param(OPS, "8-856", [], id="haemoperfusion"),
        pytest.param(OPS, "8-852.01", [], id="extracorporeal membrane oxygenation"),
        pytest.param(OPS, "8-831.0", [], id="a central line"),
        pytest.param(OPS, "8-701", ["mechanical_ventilation"], id="intubation"),
        pytest.param(OPS, "8-713.0", [], id="high flow of oxygen"),
        pytest.param(OPS, "8-717.0", [], id="treatment of sleep apnoea"),
        pytest.param(ICD_10_PCS, "5A1D90Z", ["renal_replacement_therapy"], id="continuous haemofiltration, ICD-10-PCS"),
        pytest.param(ICD_10_PCS, "5A1945Z", ["mechanical_ventilation"], id="ventilation, ICD-10-PCS"),
        pytest.param(ICD_10_PCS, "5A09357", [], id="CPAP, ICD-10-PCS"),
        pytest.param(ICD_9_CM_PROCEDURES, "3995", ["renal_replacement_therapy"], id="haemodialysis, ICD-9-CM"),
        pytest.param(ICD_9_CM_PROCEDURES, "9671", ["mechanical_ventilation"], id="ventilation, ICD-9-CM"),
        pytest.param(ICD_9_CM_PROCEDURES, "9390", [], id="mask ventilation, ICD-9-CM"),
        pytest.param(SNOMED_CT, "302497006", ["renal_replacement_therapy"], id="haemodialysis, SNOMED CT"),
        pytest.param(ACT_CODE, "IMP", ["inpatient_stay"], id="inpatient"),
        pytest.param(ACT_CODE, "AMB", [], id="outpatient"),
        pytest.param(ACT_CODE, "EMER", ["emergency_visit"], id="emergency"),
        pytest.param(CONTACT_KIND, "intensivstationaer", ["icu_stay"], id="Intensivstation"),
        pytest.param(CONTACT_KIND, "normalstationaer", [], id="Normalstation"),
        pytest.param(DEPARTMENT, "3601", ["icu_stay"], id="Intensivmedizin, Innere"),
        pytest.param(DEPARTMENT, "1600", [], id="Unfallchirurgie"),
        pytest.param(SNOMED_CT, "84114007", ["heart_failure"], id="heart failure, SNOMED CT"),
        pytest.param(SNOMED_CT, "15777000", [], id="prediabetes, SNOMED CT"),
        pytest.param(ATC_GERMAN, "M01AE01", ["nephrotoxic_nsaid"], id="ibuprofen"),
        pytest.param(ATC_WHO, "M01AB05", ["nephrotoxic_nsaid"], id="diclofenac"),
        pytest.param(ATC_WHO, "M01AX05", [], id="glucosamine"),
        pytest.param(ATC_WHO, "B01AC06", [], id="low-dose aspirin"),
        pytest.param(ATC_WHO, "J01GB03", ["aminoglycoside"], id="gentamicin"),
        pytest.param(ATC_WHO, "J01XA01", ["vancomycin"], id="vancomycin into a vein"),
        pytest.param(ATC_WHO, "A07AA09", [], id="vancomycin by mouth"),
        pytest.param(ATC_GERMAN, "C09AA05", ["raas_inhibitor"], id="ramipril"),
        pytest.param(ATC_GERMAN, "C03CA01", ["loop_diuretic"], id="furosemide"),
        pytest.param(ATC_GERMAN, "C03AA03", [], id="hydrochlorothiazide"),
        pytest.param(RXNORM, "4603", ["loop_diuretic"], id="furosemide, RxNorm"),
    ],
)
def test_a_recorded_code_finds_its_concept_and_a_lookalike_finds_none(
    system: str, code: str, expected: list[str]
) -> None:
    found = load_vocabulary().lookup(system, code)
    assert sorted(concept.id for concept in found if concept.drafts_of is None) == expected
    assert sorted(concept.drafts_of for concept in found if concept.drafts_of is not None) == sorted(
        name for name in expected if f"{name}_draft" in EVERYTHING
    )
