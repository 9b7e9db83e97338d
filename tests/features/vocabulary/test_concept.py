"""Concepts and the vocabulary: what is refused when it is built, and what a recorded code finds."""

import pickle
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.vocabulary.code import ACT_CODE, ATC_WHO, BOOLEAN, ICD_10_GM, INTERPRETATION, LOINC, OPS, SNOMED_CT
from features.vocabulary.concept import (
    Answer,
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


def an_answer(code: str = "POS", value: float = 1.0, system: str = INTERPRETATION) -> Answer:
    return Answer(system=system, code=code, display="A display", value=value)


NO_UNIT: dict[str, Any] = {"unit": None, "plausible": None}
AN_INPATIENT, A_DRUG, AN_OPERATION = a_code("IMP", ACT_CODE), a_code("M01AE01", ATC_WHO), a_code("5-470.11", OPS)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="a number with a unit"),
        pytest.param({"reference": ReferenceRange(female=(1, 2), male=(1, 3))}, id="with a reference range"),
        pytest.param({**NO_UNIT, "answers": (an_answer(), an_answer("NEG", 0.0))}, id="answers without a unit"),
        pytest.param({"answers": (an_answer("true", system=BOOLEAN),), "unit": "{score}"}, id="answers and numbers"),
        pytest.param({"censored": "limit", "censored_reason": "far below normal"}, id="a limit for a value"),
        pytest.param({"codes": (a_code(specimen=(SNOMED_CT, "119364003")),)}, id="of one specimen only"),
        pytest.param({**NO_UNIT, "kind": "encounter", "codes": (AN_INPATIENT,), "level": "facility"}, id="a stay"),
        pytest.param({**NO_UNIT, "kind": "procedure", "codes": (AN_OPERATION,)}, id="an operation"),
        pytest.param(
            {**NO_UNIT, "kind": "medication", "codes": (A_DRUG,), "drafts_of": "nsaid"}, id="drafts of a drug"
        ),
    ],
)
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
        pytest.param(NO_UNIT, "a unit or answers", id="an observation with neither unit nor answers"),
        pytest.param({"answers": (an_answer(), an_answer())}, "each answer once", id="an answer twice"),
        pytest.param({"answers": (an_answer(value=60.0),)}, "not 60.0 for POS", id="an implausible answer"),
        pytest.param(
            {"answers": (an_answer(),), **NO_UNIT, "kind": "condition"}, "observation only", id="answers of a diagnosis"
        ),
        pytest.param({"censored": "guess"}, "refuse, limit", id="a guess for a value"),
        pytest.param({"censored": "limit"}, "censored_reason", id="a limit without a reason"),
        pytest.param({"censored_reason": "why not"}, "censored_reason", id="a reason without a limit"),
        pytest.param(
            {**NO_UNIT, "answers": (an_answer(),), "censored": "limit", "censored_reason": "x"},
            "a unit where",
            id="a limit of an answer",
        ),
        pytest.param({"level": "ward"}, "level", id="a level of an observation"),
        pytest.param(
            {**NO_UNIT, "kind": "encounter", "codes": (AN_INPATIENT,), "level": "bed"}, "level", id="no level"
        ),
        pytest.param(
            {**NO_UNIT, "kind": "encounter", "codes": (AN_INPATIENT,), "drafts_of": "stay"},
            "nobody orders",
            id="drafts of a stay",
        ),
        pytest.param(
            {**NO_UNIT, "kind": "medication", "codes": (a_code("2160-0"),)},
            "LOINC 2160-0: expected codes for medication.*observation",
            id="LOINC for a drug",
        ),
        pytest.param(
            {"codes": (a_code("N18.3", ICD_10_GM),)},
            "ICD-10-GM N18.3: expected codes for observation.*condition",
            id="ICD-10 for a laboratory value",
        ),
        pytest.param(
            {**NO_UNIT, "kind": "procedure", "codes": (a_code("IMP", ACT_CODE),)},
            "ActCode IMP",
            id="a class of stays for a procedure",
        ),
        pytest.param(
            {**NO_UNIT, "kind": "procedure", "codes": (a_code("5-470.11", OPS, method=(SNOMED_CT, "117021008")),)},
            "observation only",
            id="the method of a procedure",
        ),
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
    for system, code in [(LOINC, "2160"), (LOINC, "21600"), (f"{LOINC}/x", "2160-0"), ("", "2160-0"), ("", "")]:
        assert vocabulary.lookup(system, code) == ()


@pytest.mark.parametrize("system", [f"{LOINC}/", f"{LOINC}|2.77", "https://loinc.org", "urn:oid:2.16.840.1.113883.6.1"])
def test_the_vocabulary_knows_a_system_under_all_its_names(system: str) -> None:
    creatinine = a_concept()
    assert Vocabulary((creatinine,)).lookup(system, "2160-0 ") == (creatinine,)


def test_the_vocabulary_finds_codes_within_ranges() -> None:
    diabetes = a_coded_concept("diabetes", "condition", a_code("E10", ICD_10_GM, to="E14"))
    type_2 = a_coded_concept("type_2", "condition", a_code("E11", ICD_10_GM, subtree=True))
    vocabulary = Vocabulary((diabetes, type_2))
    assert vocabulary.lookup(ICD_10_GM, "E12.90") == (diabetes,)
    assert set(vocabulary.lookup(ICD_10_GM, "E11.30†")) == {diabetes, type_2}
    for code in ("E15", "E1", "E09.9", "E10E14"):
        assert vocabulary.lookup(ICD_10_GM, code) == ()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((INTERPRETATION, "POS"), 1.0),
        (("http://hl7.org/fhir/v3/ObservationInterpretation", "NEG"), 0.0),
        (("http://terminology.hl7.org/CodeSystem/v2-0078", "POS"), 1.0),
        ((BOOLEAN, "true"), 1.0),
        ((BOOLEAN, "false"), None),
        ((INTERPRETATION, "IND"), None),
        ((SNOMED_CT, "POS"), None),
    ],
)
def test_a_recorded_answer_becomes_its_number_or_none(answer: tuple[str, str], expected: float | None) -> None:
    answers = an_answer(), an_answer("NEG", 0.0), an_answer("true", system=BOOLEAN)
    assert a_concept(**NO_UNIT, answers=answers).answer(*answer) == expected


def test_an_answer_needs_a_code_of_its_system_and_a_display() -> None:
    with pytest.raises(CodeError, match="not a code of that system"):
        an_answer("2160-0", system=LOINC)
    with pytest.raises(CodeError, match="one URI"):
        an_answer(system="http://hl7.org/fhir/v2/0078")
    with pytest.raises(CodeError, match="display"):
        Answer(system=INTERPRETATION, code="POS", display=" ", value=1.0)


def test_drafts_are_found_beside_what_they_are_drafts_of() -> None:
    nsaid = a_coded_concept("nsaid", "medication", A_DRUG)
    drafts = replace(nsaid, id="nsaid_draft", drafts_of="nsaid")
    assert Vocabulary((nsaid, drafts)).lookup(ATC_WHO, "M01AE01") == (nsaid, drafts)
    assert Vocabulary((nsaid, drafts)).subset(["nsaid_draft"]).lookup(ATC_WHO, "M01AE01") == (drafts,)


def test_drafts_of_other_codes_or_of_drafts_are_refused() -> None:
    nsaid = a_coded_concept("nsaid", "medication", A_DRUG)
    drafts = replace(nsaid, id="nsaid_draft", drafts_of="nsaid")
    with pytest.raises(ConceptError, match="expected the kind and the codes of nsaid"):
        Vocabulary((nsaid, replace(drafts, codes=(a_code("M01AB05", ATC_WHO),))))
    with pytest.raises(ConceptError, match="are drafts themselves"):
        Vocabulary((nsaid, drafts, replace(nsaid, id="twice", drafts_of="nsaid_draft")))


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
    with pytest.raises(UnknownConceptError, match="features/vocabulary/concepts"):
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


def test_loading_gives_the_same_objects_again() -> None:
    assert load_vocabulary() is load_vocabulary()
    assert load_concepts()["creatinine"] is load_vocabulary().concept("creatinine")
