"""Prefetch: the templates ask for all that the features read, each code once, in queries that servers accept."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from cds_hooks.templates import read_template, read_templates
from features.feature import Aggregate, Aggregation, FeatureSet
from features.prefetch import LONGEST_BASE, LONGEST_URL, PAGE_SIZE, CdsHooksVersion, page_reaches, prefetch_templates
from features.reading.fhir import KNOWN_TYPES
from features.times import parse
from features.vocabulary.code import LOINC, SNOMED_CT, Code
from features.vocabulary.concept import Concept, Vocabulary, load_vocabulary
from models.catalog import catalog
from tests.features.reading.concepts import concept
from tests.features.reading.resources import observation, resource

CATALOG = {entry.spec.id: entry.spec.features for entry in catalog()}
EVERYTHING = FeatureSet(
    Aggregate(concept=concept.id, aggregation=Aggregation.LAST, lookback_hours=24) for concept in load_vocabulary()
)
FEATURE_SETS = CATALOG | {"every concept": EVERYTHING}


def templates_of(*concepts: str) -> dict[str, str]:
    features = FeatureSet(
        Aggregate(concept=concept, aggregation=aggregation)
        for concept in concepts
        for aggregation in (Aggregation.LAST, Aggregation.COUNT)
    )
    return prefetch_templates(features, load_vocabulary())


def codes_of(templates: dict[str, str]) -> Iterator[str]:
    """All `system|code` that the Observation queries ask for."""
    for key, template in templates.items():
        if key.startswith("observations"):
            found = re.search(r"[?&]code=([^&]*)", template)
            assert found is not None
            yield from found[1].split(",")


@pytest.mark.parametrize("features", FEATURE_SETS.values(), ids=FEATURE_SETS.keys())
@pytest.mark.parametrize("hook", ["patient-view", "order-sign", "encounter-discharge"])
def test_templates_are_valid_in_cds_hooks(hook: str, features: FeatureSet) -> None:
    for template in prefetch_templates(features, load_vocabulary()).values():
        assert read_template(template, hook).version == "2.0"
    assert read_templates(prefetch_templates(features, load_vocabulary(), version="3.0"), hook)


@pytest.mark.parametrize("features", FEATURE_SETS.values(), ids=FEATURE_SETS.keys())
def test_every_code_of_every_observation_is_asked_for_exactly_once(features: FeatureSet) -> None:
    vocabulary = load_vocabulary()
    asked = list(codes_of(prefetch_templates(features, vocabulary)))
    needed = {
        f"{code.system}|{code.code}"
        for name in features.concepts
        if (concept := vocabulary.concept(name)).kind == "observation" and concept.drafts_of is None
        for code in concept.codes
    }
    assert len(asked) == len(set(asked))
    assert needed <= set(asked)


@pytest.mark.parametrize("features", FEATURE_SETS.values(), ids=FEATURE_SETS.keys())
def test_no_query_is_longer_than_servers_accept(features: FeatureSet) -> None:
    """Filled in and behind a long base URL; not even when every sign is escaped that may be."""
    old = prefetch_templates(features, load_vocabulary()).values()
    for template in (*old, *prefetch_templates(features, load_vocabulary(), version="3.0").values()):
        filled = re.sub(r"{{today.*?}}", "2026-11-24", template.replace("{{context.patientId}}", "x" * 64))
        assert len("h" * (LONGEST_BASE - 64) + filled) < LONGEST_URL
        assert len(quote(filled, safe="/?&=:.,|")) < LONGEST_URL


def test_all_concepts_need_several_queries_and_they_are_numbered() -> None:
    templates = prefetch_templates(EVERYTHING, load_vocabulary())
    numbered = [key for key in templates if key.startswith("observations")]
    assert numbered[:2] == ["observations", "observations-2"]
    assert len(numbered) == len(set(numbered)) > 2


def test_observations_come_newest_first_in_large_pages() -> None:
    assert templates_of("lactate")["observations"].endswith(f"&_sort=-date&_count={PAGE_SIZE}")


BLOOD_PRESSURE = {f"{LOINC}|{code}" for code in ("85354-9", "35094-2", "55417-0", "55284-4", "96607-7")} | {
    f"{SNOMED_CT}|75367002"
}
PULSE_OXIMETRY = {f"{LOINC}|59408-5", f"{LOINC}|2708-6"}


@pytest.mark.parametrize(
    ("concepts", "panels"),
    [
        pytest.param(["systolic_pressure"], BLOOD_PRESSURE, id="systolic pressure"),
        pytest.param(["diastolic_pressure", "mean_pressure"], BLOOD_PRESSURE, id="two pressures"),
        pytest.param(["fio2"], PULSE_OXIMETRY, id="inhaled oxygen, a component of pulse oximetry"),
        pytest.param(["lactate"], set(), id="lactate"),
    ],
)
def test_the_panels_that_carry_a_concept_are_asked_for_once(concepts: list[str], panels: set[str]) -> None:
    vocabulary = load_vocabulary()
    own = {f"{code.system}|{code.code}" for name in concepts for code in vocabulary.concept(name).codes}
    asked = list(codes_of(templates_of(*concepts)))
    assert set(asked) - own == panels
    assert len(asked) == len(set(asked))


def test_reports_are_asked_for_only_where_a_site_needs_their_times() -> None:
    features = FeatureSet([Aggregate(concept="lactate", aggregation=Aggregation.LAST)])
    asked = prefetch_templates(features, load_vocabulary(), reports=True)
    assert set(asked) - set(prefetch_templates(features, load_vocabulary())) == {"reports"}
    assert "_elements=status,subject,effective,issued,result" in asked["reports"]
    drug = FeatureSet([Aggregate(concept="vancomycin", aggregation=Aggregation.PRESENT)])
    assert "reports" not in prefetch_templates(drug, load_vocabulary(), reports=True)


DRUGS = {"medication-requests", "medication-administrations", "medication-statements"}


@pytest.mark.parametrize(
    ("concepts", "keys"),
    [
        (["age", "sex"], {"patient"}),
        (["lactate"], {"patient", "observations"}),
        (["diabetes"], {"patient", "conditions"}),
        (["vancomycin"], {"patient"} | DRUGS),
        (["lactate", "diabetes"], {"patient", "observations", "conditions"}),
    ],
)
def test_only_what_the_features_read_is_asked_for(concepts: list[str], keys: set[str]) -> None:
    assert templates_of(*concepts).keys() == keys


VENTILATION = concept("ventilation", "procedure", Code(system=SNOMED_CT, code="40617009", display="ventilation"))
INTENSIVE_CARE = concept("intensive_care", "encounter", Code(system=SNOMED_CT, code="309904001", display="ICU"))
ORDERED_VENTILATION = concept(
    "ordered", "order", Code(system="https://ehr.example/orders", code="vent", display="vent")
)
DRAFTED_VENTILATION = concept(
    "drafted", "procedure", Code(system=SNOMED_CT, code="40617009", display="ventilation"), drafts_of="ventilation"
)
STONE = concept(
    "oxalate",
    "observation",
    Code(system=LOINC, code="2701-1", display="oxalate", specimen=(SNOMED_CT, "119371008")),
    unit="mmol/L",
    plausible=(0.0, 100.0),
)


def asked_of(one: Concept, hours: float | None = 24.0, version: CdsHooksVersion = "2.0") -> dict[str, str]:
    """What is asked for a concept that only tests know, without what is asked for every model."""
    features = FeatureSet([Aggregate(concept=one.id, aggregation=Aggregation.PRESENT, lookback_hours=hours)])
    templates = prefetch_templates(features, Vocabulary((one,)), version=version)
    return {key: template for key, template in templates.items() if key != "patient"}


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        pytest.param(VENTILATION, {"procedures": "Procedure?patient={{context.patientId}}&_count=1000"}, id="procedures"),  # noqa: E501
        pytest.param(INTENSIVE_CARE, {"encounters": "Encounter?patient={{context.patientId}}&_include=Encounter:location&_count=1000"}, id="stays, and the places where they were spent"),  # noqa: E501
        pytest.param(ORDERED_VENTILATION, {"service-requests": "ServiceRequest?patient={{context.patientId}}&_count=1000"}, id="orders"),  # noqa: E501
        pytest.param(DRAFTED_VENTILATION, {}, id="drafts are in the context of the hook"),
        pytest.param(STONE, {"observations": f"Observation?patient={{{{context.patientId}}}}&code={LOINC}|2701-1&_include=Observation:specimen&_sort=-date&_count=1000"}, id="a specimen that is demanded"),  # noqa: E501
    ],
)  # fmt: skip
def test_each_kind_of_concept_has_its_query(one: Concept, expected: dict[str, str]) -> None:
    assert asked_of(one) == expected


def test_drafts_alone_ask_for_nothing_but_the_patient() -> None:
    features = FeatureSet([Aggregate(concept="drafted", aggregation=Aggregation.PRESENT)])
    templates = prefetch_templates(features, Vocabulary((DRAFTED_VENTILATION,)))
    assert templates == {"patient": "Patient/{{context.patientId}}"}


def test_every_type_that_is_read_is_asked_for() -> None:
    """What training reads of a record and no query brings could not be served."""
    concepts = [*load_vocabulary(), VENTILATION, INTENSIVE_CARE, ORDERED_VENTILATION, STONE]
    vocabulary = Vocabulary(tuple({one.id: one for one in concepts}.values()))
    features = FeatureSet(Aggregate(concept=one.id, aggregation=Aggregation.PRESENT) for one in vocabulary)
    queries = prefetch_templates(features, vocabulary, reports=True).values()
    asked = {re.split(r"[?/]", query)[0] for query in queries}
    included = {one.capitalize() for query in queries for one in re.findall(r"_include=\w+:(\w+)", query)}
    assert asked | included == KNOWN_TYPES - {"OperationOutcome"}


# Date bounds, from CDS Hooks 3.0 on


def bounds_of(templates: dict[str, str]) -> dict[str, str]:
    """By key, the date bound of each query that has one."""
    found = {key: re.search(r"&([a-z-]+=ge[^&]*)", template) for key, template in templates.items()}
    return {key: one[1] for key, one in found.items() if one is not None}


@pytest.mark.parametrize(
    ("hours", "days"),
    [
        pytest.param(6.0, 2, id="six hours: yesterday, and a day for the zones"),
        pytest.param(24.0, 2, id="a day"),
        pytest.param(24.5, 3, id="a day and a half hour"),
        pytest.param(48.0, 3, id="two days"),
        pytest.param(168.0, 8, id="a week"),
    ],
)
def test_a_window_bounds_the_date_and_a_day_more(hours: float, days: int) -> None:
    today = f"{{{{today() - {days} days}}}}"
    assert bounds_of(asked_of(STONE, hours, "3.0")) == {"observations": f"date=ge{today}"}
    assert bounds_of(asked_of(VENTILATION, hours, "3.0")) == {"procedures": f"date=ge{today}"}
    assert bounds_of(asked_of(ORDERED_VENTILATION, hours, "3.0")) == {"service-requests": f"authored=ge{today}"}


def test_the_longest_window_of_a_query_decides() -> None:
    features = FeatureSet(
        Aggregate(concept="lactate", aggregation=Aggregation.LAST, lookback_hours=hours) for hours in (6.0, 96.0, 24.0)
    )
    templates = prefetch_templates(features, load_vocabulary(), version="3.0")
    assert bounds_of(templates) == {"observations": "date=ge{{today() - 5 days}}"}


def test_all_of_the_past_and_what_has_another_time_are_not_bounded() -> None:
    assert bounds_of(asked_of(STONE, None, "3.0")) == {}
    assert bounds_of(asked_of(VENTILATION, None, "3.0")) == {}
    assert bounds_of(asked_of(INTENSIVE_CARE, 24.0, "3.0")) == {}
    assert bounds_of(asked_of(load_vocabulary().concept("diabetes"), 24.0, "3.0")) == {}
    drugs = asked_of(load_vocabulary().concept("vancomycin"), 24.0, "3.0")
    assert bounds_of(drugs).keys() == DRUGS - {"medication-statements"}


def test_a_window_that_begins_with_the_stay_is_not_bounded() -> None:
    since_stay = Aggregate(concept=STONE.id, aggregation=Aggregation.LAST, since=INTENSIVE_CARE.id)
    vocabulary = Vocabulary((STONE, INTENSIVE_CARE))
    templates = prefetch_templates(FeatureSet([since_stay]), vocabulary, version="3.0")
    assert set(templates) == {"patient", "observations", "encounters"}
    assert bounds_of(templates) == {}


def test_what_a_bound_would_miss_is_asked_for_beside_it() -> None:
    """A search by date finds no Observation without an effective time, though `issued` may tell it."""
    assert asked_of(STONE, 24.0, "3.0")["undated-observations"] == (
        f"Observation?patient={{{{context.patientId}}}}&code={LOINC}|2701-1&date:missing=true"
        "&_include=Observation:specimen&_count=1000"
    )


@pytest.mark.parametrize("features", FEATURE_SETS.values(), ids=FEATURE_SETS.keys())
def test_clients_of_the_second_version_get_no_token_that_they_do_not_know(features: FeatureSet) -> None:
    templates = prefetch_templates(features, load_vocabulary())
    assert {token for template in templates.values() for token in re.findall(r"{{.*?}}", template)} == {
        "{{context.patientId}}"
    }


def test_each_template_asks_for_the_patient_of_the_call() -> None:
    for template in templates_of("lactate", "diabetes", "vancomycin").values():
        assert template.count("{{context.patientId}}") == 1


def test_medications_are_included_or_nobody_knows_which_drug_it_was() -> None:
    templates = templates_of("vancomycin")
    assert "&_include=MedicationRequest:medication" in templates["medication-requests"]
    assert "&_include=MedicationAdministration:medication" in templates["medication-administrations"]


def test_a_vocabulary_of_a_model_alone_gives_the_same_templates() -> None:
    for features in CATALOG.values():
        own: Vocabulary = load_vocabulary().subset(features.concepts)
        assert prefetch_templates(features, own) == prefetch_templates(features, load_vocabulary())


def at(time: str) -> dict[str, Any]:
    return observation(effectiveDateTime=time)


def report(time: str | None) -> dict[str, Any]:
    return resource("DiagnosticReport", status="final", effectiveDateTime=time)


NEW, MIDDLE, OLD = (f"2026-11-{day}T12:00:00Z" for day in (24, 22, 20))
REMARK = {"resourceType": "OperationOutcome"}


@pytest.mark.parametrize(
    ("resources", "reaches"),
    [
        pytest.param([at(NEW), at(OLD)], True, id="newest first, beyond the time"),
        pytest.param([at(NEW), at(NEW), at(OLD)], True, id="with a tie"),
        pytest.param([REMARK, at(NEW), resource("Condition"), at(OLD)], True, id="with other things between"),
        pytest.param([at(NEW), at(MIDDLE)], False, id="not beyond the time"),
        pytest.param([at(MIDDLE)], False, id="exactly at the time"),
        pytest.param([at(OLD), at(NEW)], False, id="oldest first: nothing is known of the rest"),
        pytest.param([at(NEW), at(OLD), at(MIDDLE), at(OLD)], False, id="out of order"),
        pytest.param([at(NEW), at("2026-11-20")], False, id="a day, whose order is uncertain"),
        pytest.param([at(NEW), observation(effectiveDateTime=None)], False, id="a time is missing"),
        pytest.param([at("soon"), at(OLD)], False, id="a time is none"),
        pytest.param([report(NEW), report(OLD)], True, id="reports, newest first, beyond the time"),
        pytest.param([report(NEW), report(None)], False, id="a report whose time is missing"),
        pytest.param([REMARK], False, id="no Observation"),
        pytest.param([], False, id="nothing"),
    ],
)
def test_a_page_reaches_back_beyond_a_time(resources: list[dict[str, Any]], reaches: bool) -> None:  # noqa: FBT001
    raw = json.dumps({"resourceType": "Bundle", "entry": [{"resource": one} for one in resources]}).encode()
    assert page_reaches(raw, parse(MIDDLE).first) is reaches


def test_a_page_that_cannot_be_read_reaches_nowhere() -> None:
    assert page_reaches(b"{", 0) is False
