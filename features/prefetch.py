"""Prefetch queries: what an EHR must send so that a model's features can be computed, derived from those features."""

from collections.abc import Iterator

import msgspec

from features.code import LOINC
from features.concept import Concept, Vocabulary
from features.feature import FeatureSet
from features.fhir import Observation, decode_searchset
from features.observations import When, when_of
from features.refusals import Refusals

LONGEST_URL = 2_000  # characters; some servers and proxies refuse longer ones
LONGEST_BASE = 300  # characters kept free for the FHIR server's base URL and the filled-in patient id
PAGE_SIZE = 1_000  # a page that holds a week of intensive care; more comes as a next page
PATIENT = "{{context.patientId}}"

# A search by `code` finds Observation.code, not the codes of components: the panels that carry them are asked for too.
BLOOD_PRESSURE_PANELS = ("85354-9", "35094-2")
PULSE_OXIMETRY = ("59408-5", "2708-6")  # US Core's pulse oximetry profile has the inhaled oxygen as a component
PANELS = {
    "fio2": PULSE_OXIMETRY,
    "systolic_pressure": BLOOD_PRESSURE_PANELS,
    "diastolic_pressure": BLOOD_PRESSURE_PANELS,
    "mean_pressure": BLOOD_PRESSURE_PANELS,
}


def prefetch_templates(features: FeatureSet, vocabulary: Vocabulary) -> dict[str, str]:
    """The prefetch templates of a model, by key, in CDS Hooks 2.0 tokens.

    Observations are asked for by code, newest first, in as many queries as keep each below `LONGEST_URL`. Conditions
    and medications are asked for whole: their hierarchies cannot be put into a token search.

    Args:
        features: what the model reads.
        vocabulary: has the concepts that the features read.
    """
    concepts = [vocabulary.concept(name) for name in features.concepts]
    kinds = {concept.kind for concept in concepts}
    templates = {"patient": f"Patient/{PATIENT}"}
    tokens = list(dict.fromkeys(token for concept in concepts for token in _tokens(concept)))
    for number, query in enumerate(_observation_queries(tokens), start=1):
        templates["observations" if number == 1 else f"observations-{number}"] = query
    if "condition" in kinds:
        templates["conditions"] = f"Condition?patient={PATIENT}&_count={PAGE_SIZE}"
    if "medication" in kinds:
        for key, name in (
            ("medication-requests", "MedicationRequest"),
            ("medication-administrations", "MedicationAdministration"),
        ):
            # The drug may stand in a Medication that the resource refers to; without it, nobody knows which drug.
            templates[key] = f"{name}?patient={PATIENT}&_include={name}:medication&_count={PAGE_SIZE}"
    return templates


def _tokens(concept: Concept) -> Iterator[str]:
    if concept.kind != "observation":
        return
    for code in concept.codes:
        yield f"{code.system}|{code.code}"
    for panel in PANELS.get(concept.id, ()):
        yield f"{LOINC}|{panel}"


def _observation_queries(tokens: list[str]) -> Iterator[str]:
    head, tail = f"Observation?patient={PATIENT}&code=", f"&_sort=-date&_count={PAGE_SIZE}"
    room = LONGEST_URL - LONGEST_BASE - len(head) - len(tail)
    batch: list[str] = []
    for token in tokens:
        if batch and len(",".join([*batch, token])) > room:
            yield head + ",".join(batch) + tail
            batch = []
        batch.append(token)
    if batch:
        yield head + ",".join(batch) + tail


def page_reaches(raw: bytes | msgspec.Raw, before: int) -> bool:
    """Whether a first page of Observations, newest first, goes back beyond a time, so that no next page matters.

    Args:
        raw: the searchset.
        before: UTC microseconds; what is older does not interest.

    Returns:
        False also where the order is not newest first, or a time cannot be read: then nothing is known.
    """
    previous: int | None = None
    for resource in decode_searchset(raw, Refusals()):
        if not isinstance(resource, Observation):
            continue
        when = when_of(resource)
        if not isinstance(when, When) or (previous is not None and when.time > previous):
            return False
        previous = when.time
    return previous is not None and previous < before
