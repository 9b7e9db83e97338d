"""Codes, concepts and the vocabulary: what is refused when it is built, and what a recorded code finds."""

import pickle
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.code import (
    ATC_GERMAN,
    ATC_WHO,
    ICD_10_CM,
    ICD_10_GM,
    LOINC,
    RXNORM,
    SNOMED_CT,
    ancestors,
    is_well_formed,
)
from features.concept import (
    Code,
    CodeError,
    Concept,
    ConceptError,
    Kind,
    ReferenceRange,
    UnknownConceptError,
    Vocabulary,
    Words,
    load_concepts,
    load_vocabulary,
    read_concepts,
)


def a_code(code: str = "2160-0", system: str = LOINC, **fields: Any) -> Code:
    return Code(system=system, code=code, display="A display", **fields)


def a_concept(concept_id: str = "creatinine", **fields: Any) -> Concept:
    defaults: dict[str, Any] = {
        "kind": "observation",
        "codes": (a_code(),),
        "unit": "mg/dL",
        "plausible": (0.0, 50.0),
        "words": {"en": Words(name="Name", short="N"), "de": Words(name="Name", short="N")},
        "source": "a test",
        "reviewed": date(2026, 1, 1),
    }
    return Concept(id=concept_id, **(defaults | fields))


def a_coded_concept(concept_id: str, kind: Kind, *codes: Code) -> Concept:
    return a_concept(concept_id, kind=kind, codes=codes, unit=None, plausible=None)


@pytest.mark.parametrize(
    ("system", "code", "expected"),
    [
        pytest.param(LOINC, "2160-0", True, id="LOINC"),
        pytest.param(LOINC, "2160-1", False, id="LOINC with another check digit"),
        pytest.param(LOINC, "2106-0", False, id="LOINC with two digits swapped"),
        pytest.param(LOINC, "2160", False, id="LOINC without check digit"),
        pytest.param(LOINC, "LP14355-9", False, id="LOINC part"),
        pytest.param(SNOMED_CT, "84114007", True, id="SNOMED CT"),
        pytest.param(SNOMED_CT, "84114006", False, id="SNOMED CT with another check digit"),
        pytest.param(SNOMED_CT, "81414007", False, id="SNOMED CT with two digits swapped"),
        pytest.param(SNOMED_CT, "368581000119106", True, id="SNOMED CT of the US edition"),
        pytest.param(ICD_10_GM, "N18.31", True, id="ICD-10-GM"),
        pytest.param(ICD_10_GM, "N1831", False, id="ICD-10-GM without its point"),
        pytest.param(ICD_10_GM, "N18.-", False, id="ICD-10-GM category as printed"),
        pytest.param(ICD_10_CM, "S72.001A", True, id="ICD-10-CM of seven characters"),
        pytest.param(ATC_WHO, "M01AB05", True, id="ATC substance"),
        pytest.param(ATC_WHO, "M01AB5", False, id="ATC of no level"),
        pytest.param(RXNORM, "4603", True, id="RxNorm"),
        pytest.param(RXNORM, "furosemide", False, id="RxNorm name"),
        pytest.param("https://hospital.example/codes", "K-17", True, id="a hospital's own system"),
        pytest.param("https://hospital.example/codes", " ", False, id="an empty code"),
    ],
)
def test_a_code_needs_its_systems_format_and_check_digit(system: str, code: str, expected: bool) -> None:  # noqa: FBT001
    assert is_well_formed(system, code) is expected
    if not expected:
        with pytest.raises(CodeError, match="not a code of that system"):
            a_code(code, system)


@pytest.mark.parametrize("system", [LOINC, SNOMED_CT, RXNORM])
def test_a_subtree_needs_a_system_that_spells_its_hierarchy(system: str) -> None:
    code = {LOINC: "2160-0", SNOMED_CT: "84114007", RXNORM: "4603"}[system]
    with pytest.raises(CodeError, match="spell no hierarchy"):
        a_code(code, system, subtree=True)


def test_a_code_needs_a_display() -> None:
    with pytest.raises(CodeError, match="display"):
        Code(system=LOINC, code="2160-0", display=" ")


SUBTREE_TABLE = [
    pytest.param(ICD_10_GM, "N18", ICD_10_GM, "N18", True, id="N18 covers itself"),
    pytest.param(ICD_10_GM, "N18", ICD_10_GM, "N18.4", True, id="N18 covers N18.4"),
    pytest.param(ICD_10_GM, "N18", ICD_10_GM, "N18.80", True, id="N18 covers N18.80"),
    pytest.param(ICD_10_GM, "N18", ICD_10_GM, "N180", False, id="N18 does not cover N180"),
    pytest.param(ICD_10_GM, "N18", ICD_10_GM, "N180X1", False, id="N18 does not cover N180X1"),
    pytest.param(ICD_10_GM, "N18", ICD_10_GM, "N17.9", False, id="N18 does not cover N17.9"),
    pytest.param(ICD_10_GM, "N18", ICD_10_CM, "N18.4", False, id="N18 of the German edition, not of the American"),
    pytest.param(ICD_10_GM, "I11.0", ICD_10_GM, "I11.00", True, id="I11.0 covers I11.00"),
    pytest.param(ICD_10_GM, "I11.0", ICD_10_GM, "I11.9", False, id="I11.0 does not cover I11.9"),
    pytest.param(ICD_10_GM, "I11.0", ICD_10_GM, "I11", False, id="I11.0 does not cover the category above"),
    pytest.param(ICD_10_CM, "E11", ICD_10_CM, "E11.3211", True, id="E11 covers E11.3211"),
    pytest.param(ATC_GERMAN, "M01A", ATC_GERMAN, "M01AB05", True, id="M01A covers M01AB05"),
    pytest.param(ATC_GERMAN, "M01A", ATC_GERMAN, "M01A", True, id="M01A covers itself"),
    pytest.param(ATC_GERMAN, "M01A", ATC_GERMAN, "M01BA01", False, id="M01A does not cover M01BA01"),
    pytest.param(ATC_GERMAN, "M01A", ATC_GERMAN, "M01AB5", False, id="M01A does not cover a malformed code"),
    pytest.param(ATC_GERMAN, "M01A", ATC_WHO, "M01AB05", False, id="M01A of the German edition, not of the WHO's"),
    pytest.param(ATC_GERMAN, "C09", ATC_GERMAN, "C09AA05", True, id="C09 covers C09AA05"),
]


@pytest.mark.parametrize(("system", "stem", "recorded_system", "recorded", "expected"), SUBTREE_TABLE)
def test_a_subtree_covers_what_lies_below_it_and_nothing_that_merely_begins_alike(
    system: str,
    stem: str,
    recorded_system: str,
    recorded: str,
    expected: bool,  # noqa: FBT001
) -> None:
    concept = a_coded_concept("a_concept", "condition", a_code(stem, system, subtree=True))
    assert concept.matches(recorded_system, recorded) is expected
    assert Vocabulary((concept,)).lookup(recorded_system, recorded) == ((concept,) if expected else ())


def test_without_subtree_a_code_covers_only_itself() -> None:
    concept = a_coded_concept("a_concept", "condition", a_code("N18", ICD_10_GM))
    assert concept.matches(ICD_10_GM, "N18")
    assert not concept.matches(ICD_10_GM, "N18.4")


def test_ancestors_go_from_the_code_to_its_root() -> None:
    assert ancestors(ICD_10_GM, "N18.31") == ("N18.31", "N18.3", "N18")
    assert ancestors(ICD_10_CM, "N18") == ("N18",)
    assert ancestors(ATC_WHO, "M01AB05") == ("M01AB05", "M01AB", "M01A", "M01", "M")
    assert ancestors(LOINC, "2160-0") == ()


@pytest.mark.parametrize("fields", [{"unit": "mg/dL"}, {"reference": ReferenceRange(female=(1, 2), male=(1, 3))}])
def test_a_sound_concept_is_built(fields: dict[str, Any]) -> None:
    assert a_concept(**fields).id == "creatinine"


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        pytest.param({"concept_id": "Creatinine"}, "snake_case", id="an id with a capital"),
        pytest.param({"concept_id": "serum creatinine"}, "snake_case", id="an id with a space"),
        pytest.param({"kind": "device"}, "kind", id="an unknown kind"),
        pytest.param({"codes": ()}, "at least one code", id="no code"),
        pytest.param({"codes": (a_code(), a_code())}, "each code once", id="a code twice"),
        pytest.param({"unit": None}, "expected a unit", id="an observation without unit"),
        pytest.param({"kind": "condition"}, "expected a unit", id="a condition with a unit"),
        pytest.param({"plausible": None}, "plausible range", id="an observation without plausible range"),
        pytest.param({"plausible": (50.0, 0.0)}, "rises", id="a plausible range upside down"),
        pytest.param({"plausible": (1.0, float("nan"))}, "rises", id="a plausible range without end"),
        pytest.param(
            {"reference": ReferenceRange(female=(0.5, 60.0), male=(0.5, 1.2))}, "inside", id="a normal artefact"
        ),
        pytest.param({"words": {"en": Words(name="Name", short="N")}}, "words in en, de", id="no German"),
        pytest.param(
            {"words": {"en": Words(name="Name", short="N"), "de": Words(name=" ", short="N")}}, "name", id="no name"
        ),
        pytest.param({"source": " "}, "source", id="no source"),
        pytest.param({"decimals": -1}, "decimals", id="negative decimals"),
        pytest.param({"molar_mass_g_per_mol": 0.0}, "above 0", id="a massless molecule"),
        pytest.param({"codes": (a_code(molar_mass_g_per_mol=60.0),)}, "one for the concept", id="mass for a code only"),
        pytest.param({"charge": 0}, "charge", id="an uncharged ion"),
    ],
)
def test_a_concept_that_contradicts_itself_is_refused(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConceptError, match=complaint):
        a_concept(**fields)


def test_for_an_unknown_sex_only_a_shared_reference_range_is_shown() -> None:
    shared = ReferenceRange(female=(3.5, 5.1), male=(3.5, 5.1))
    by_sex = ReferenceRange(female=(12.0, 16.0), male=(13.0, 17.5))
    assert shared.for_sex(None) == (3.5, 5.1)
    assert by_sex.for_sex(None) is None
    assert by_sex.for_sex("female") == (12.0, 16.0)
    assert by_sex.for_sex("male") == (13.0, 17.5)


def test_the_vocabulary_finds_by_system_and_code_exactly() -> None:
    creatinine = a_concept()
    vocabulary = Vocabulary((creatinine,))
    assert vocabulary.lookup(LOINC, "2160-0") == (creatinine,)
    for system, code in [(LOINC, "2160"), (LOINC, "21600"), ("http://loinc.org/", "2160-0"), ("", "2160-0"), ("", "")]:
        assert vocabulary.lookup(system, code) == ()


def test_a_code_of_two_concepts_finds_both_once() -> None:
    heart_failure = a_coded_concept("heart_failure", "condition", a_code("I11.0", ICD_10_GM, subtree=True))
    hypertension = a_coded_concept(
        "hypertension", "condition", a_code("I11", ICD_10_GM, subtree=True), a_code("I11.00", ICD_10_GM)
    )
    found = Vocabulary((heart_failure, hypertension)).lookup(ICD_10_GM, "I11.00")
    assert sorted(concept.id for concept in found) == ["heart_failure", "hypertension"]


def test_two_concepts_of_one_id_are_refused() -> None:
    with pytest.raises(ConceptError, match="creatinine"):
        Vocabulary((a_concept(), a_concept()))


def test_an_unknown_id_names_its_neighbours() -> None:
    with pytest.raises(UnknownConceptError, match="creatinine"):
        load_vocabulary().concept("creatinin")
    with pytest.raises(UnknownConceptError, match="features/concepts"):
        load_vocabulary().concept("zzz")


def test_a_subset_keeps_the_order_asked_for_and_forgets_the_rest() -> None:
    subset = load_vocabulary().subset(["lactate", "creatinine"])
    assert [concept.id for concept in subset] == ["lactate", "creatinine"]
    assert "heart_rate" not in subset
    assert subset.lookup(LOINC, "8867-4") == ()


def test_a_model_adds_concepts_of_its_own() -> None:
    own = a_concept("cystatin_c", codes=(a_code("33863-2"),), unit="mg/L")
    extended = Vocabulary((*load_vocabulary(), own))
    assert len(extended) == len(load_vocabulary()) + 1
    assert extended.lookup(LOINC, "33863-2") == (own,)


def test_a_vocabulary_survives_the_way_to_another_process() -> None:
    vocabulary = load_vocabulary()
    copy = pickle.loads(pickle.dumps(vocabulary))  # noqa: S301 - our own bytes, as a process pool sends them
    assert copy == vocabulary
    assert copy.lookup(LOINC, "2160-0") == vocabulary.lookup(LOINC, "2160-0")


RECORDED = [(code.system, code.code) for concept in load_vocabulary() for code in concept.codes]
NEAR_MISSES = st.sampled_from(RECORDED).flatmap(
    lambda pair: st.tuples(
        st.just(pair[0]), st.sampled_from(["", "0", ".0", ".31", "B05", "-1", " "]).map(pair[1].__add__)
    )
)


@given(NEAR_MISSES)
def test_lookup_finds_exactly_the_concepts_that_match(recorded: tuple[str, str]) -> None:
    vocabulary = load_vocabulary()
    assert set(vocabulary.lookup(*recorded)) == {concept for concept in vocabulary if concept.matches(*recorded)}


DOCUMENT = """
source = "a test"
reviewed = 2026-01-01
[systems]
loinc = "http://loinc.org"
[concepts.creatinine]
kind = "observation"
unit = "mg/dL"
plausible = [0, 50]
reference = { female = [0.5, 0.95], male = [0.65, 1.2] }
codes = [{ system = "loinc", code = "2160-0", display = "Creatinine [Mass/volume] in Serum or Plasma" }]
words.en = { name = "Creatinine", short = "Crea", unit = "mg/dL" }
words.de = { name = "Kreatinin", short = "Krea", unit = "mg/dl" }
"""


def test_a_document_becomes_concepts() -> None:
    (creatinine,) = read_concepts(DOCUMENT, "laboratory.toml")
    assert creatinine.plausible == (0.0, 50.0)
    assert creatinine.reference == ReferenceRange(female=(0.5, 0.95), male=(0.65, 1.2))
    assert creatinine.words["de"] == Words(name="Kreatinin", short="Krea", unit="mg/dl")
    assert creatinine.codes[0].system == LOINC
    assert creatinine.reviewed == date(2026, 1, 1)
    assert replace(creatinine, decimals=2) != creatinine


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        pytest.param("2160-0", "2160-1", r"laboratory.toml: Concept 'creatinine'.*2160-1", id="wrong check digit"),
        pytest.param('system = "loinc"', 'system = "lonic"', "laboratory.toml.*lonic", id="unknown short name"),
        pytest.param('source = "a test"', "", "laboratory.toml.*source", id="no source"),
        pytest.param("decimals", "decimal", "laboratory.toml", id="misspelt key"),
        pytest.param("[0, 50]", "[0]", "laboratory.toml", id="half a range"),
        pytest.param("[0, 50]", "[0, 50", "laboratory.toml", id="not TOML"),
    ],
)
def test_a_faulty_document_says_where(old: str, new: str, complaint: str) -> None:
    document = DOCUMENT.replace("plausible", "decimals = 2\nplausible")
    with pytest.raises(ConceptError, match=complaint):
        read_concepts(document.replace(old, new), "laboratory.toml")


def test_loading_gives_the_same_objects_again() -> None:
    assert load_vocabulary() is load_vocabulary()
    assert load_concepts()["creatinine"] is load_vocabulary().concept("creatinine")
