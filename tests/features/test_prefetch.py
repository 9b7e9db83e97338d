"""Prefetch: the templates ask for all that the features read, each code once, in queries that servers accept."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from cds_hooks.prefetch import validate_template
from features.code import LOINC
from features.concept import Vocabulary, load_vocabulary
from features.feature import Aggregate, Aggregation, FeatureSet
from features.prefetch import LONGEST_BASE, LONGEST_URL, PAGE_SIZE, page_reaches, prefetch_templates
from features.times import parse
from models.catalog import catalog
from tests.features.resources import observation, resource

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
        validate_template(template, hook)


@pytest.mark.parametrize("features", FEATURE_SETS.values(), ids=FEATURE_SETS.keys())
def test_every_code_of_every_observation_is_asked_for_exactly_once(features: FeatureSet) -> None:
    vocabulary = load_vocabulary()
    asked = list(codes_of(prefetch_templates(features, vocabulary)))
    needed = {
        f"{code.system}|{code.code}"
        for name in features.concepts
        if (concept := vocabulary.concept(name)).kind == "observation"
        for code in concept.codes
    }
    assert len(asked) == len(set(asked))
    assert needed <= set(asked)


@pytest.mark.parametrize("features", FEATURE_SETS.values(), ids=FEATURE_SETS.keys())
def test_no_query_is_longer_than_servers_accept(features: FeatureSet) -> None:
    """Filled in and behind a long base URL; not even when every sign is escaped that may be."""
    for template in prefetch_templates(features, load_vocabulary()).values():
        filled = template.replace("{{context.patientId}}", "x" * 64)
        assert len("h" * (LONGEST_BASE - 64) + filled) < LONGEST_URL
        assert len(quote(filled, safe="/?&=:.,|")) < LONGEST_URL


def test_all_concepts_need_several_queries_and_they_are_numbered() -> None:
    templates = prefetch_templates(EVERYTHING, load_vocabulary())
    numbered = [key for key in templates if key.startswith("observations")]
    assert numbered[:2] == ["observations", "observations-2"]
    assert len(numbered) == len(set(numbered)) > 2


def test_observations_come_newest_first_in_large_pages() -> None:
    assert templates_of("lactate")["observations"].endswith(f"&_sort=-date&_count={PAGE_SIZE}")


@pytest.mark.parametrize(
    ("concepts", "panels"),
    [
        pytest.param(["systolic_pressure"], {"85354-9", "35094-2"}, id="systolic pressure"),
        pytest.param(["diastolic_pressure", "mean_pressure"], {"85354-9", "35094-2"}, id="two pressures"),
        pytest.param(["fio2"], {"59408-5", "2708-6"}, id="inhaled oxygen, a component of pulse oximetry"),
        pytest.param(["lactate"], set(), id="lactate"),
    ],
)
def test_the_panels_that_carry_a_concept_are_asked_for_once(concepts: list[str], panels: set[str]) -> None:
    vocabulary = load_vocabulary()
    own = {f"{code.system}|{code.code}" for name in concepts for code in vocabulary.concept(name).codes}
    asked = list(codes_of(templates_of(*concepts)))
    assert set(asked) - own == {f"{LOINC}|{panel}" for panel in panels}
    assert len(asked) == len(set(asked))


@pytest.mark.parametrize(
    ("concepts", "keys"),
    [
        (["age", "sex"], {"patient"}),
        (["lactate"], {"patient", "observations"}),
        (["diabetes"], {"patient", "conditions"}),
        (["vancomycin"], {"patient", "medication-requests", "medication-administrations"}),
        (["lactate", "diabetes"], {"patient", "observations", "conditions"}),
    ],
)
def test_only_what_the_features_read_is_asked_for(concepts: list[str], keys: set[str]) -> None:
    assert templates_of(*concepts).keys() == keys


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
        pytest.param([REMARK], False, id="no Observation"),
        pytest.param([], False, id="nothing"),
    ],
)
def test_a_page_reaches_back_beyond_a_time(resources: list[dict[str, Any]], reaches: bool) -> None:  # noqa: FBT001
    raw = json.dumps({"resourceType": "Bundle", "entry": [{"resource": one} for one in resources]}).encode()
    assert page_reaches(raw, parse(MIDDLE).first) is reaches


def test_a_page_that_cannot_be_read_reaches_nowhere() -> None:
    assert page_reaches(b"{", 0) is False
