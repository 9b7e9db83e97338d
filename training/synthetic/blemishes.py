"""Blemishes: the small faults that real records have, planted at low rates so that refusals can be counted."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from features.vocabulary.units import UCUM

Resource = dict[str, Any]

REFUTED_SHARE = 0.01  # diagnoses struck off again
NOT_GIVEN_SHARE = 0.03  # doses refused by the patient, or forgotten


def _entered_in_error(resource: Resource) -> None:
    resource["status"] = "entered-in-error"


def _preliminary(resource: Resource) -> None:
    resource["status"] = "preliminary"


def _without_unit(resource: Resource) -> None:
    resource["valueQuantity"] = {"value": resource["valueQuantity"]["value"]}


def _unknown_unit(resource: Resource) -> None:
    resource["valueQuantity"] = {"value": resource["valueQuantity"]["value"], "unit": "Einh."}


def _wrong_unit(resource: Resource) -> None:
    """The unit of another quantity: seconds measure none that this cohort has."""
    value = resource["valueQuantity"]["value"]
    resource["valueQuantity"] = {"value": value, "unit": "s", "system": UCUM, "code": "s"}


def _keying_slip(resource: Resource) -> None:
    """A value with zeros too many."""
    resource["valueQuantity"] = {**resource["valueQuantity"], "value": resource["valueQuantity"]["value"] * 1000}


def _text(resource: Resource) -> None:
    del resource["valueQuantity"]
    resource["valueString"] = "siehe Befund"


def _absent(resource: Resource) -> None:
    del resource["valueQuantity"]
    system = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
    resource["dataAbsentReason"] = {"coding": [{"system": system, "code": "not-performed"}]}


def _date_only(resource: Resource) -> None:
    resource["effectiveDateTime"] = resource["effectiveDateTime"][: len("2025-01-01")]


BLEMISHES: tuple[tuple[float, Callable[[Resource], None]], ...] = (
    (0.0025, _entered_in_error),
    (0.0040, _preliminary),
    (0.0005, _without_unit),
    (0.0004, _unknown_unit),
    (0.0004, _wrong_unit),
    (0.0005, _keying_slip),
    (0.0008, _text),
    (0.0010, _absent),
    (0.0004, _date_only),
)
"""Rate per Observation and what happens to it."""

DUPLICATE_RATE = 0.0005  # the same resource sent twice
_OF_STATUS_AND_TIME = (_entered_in_error, _preliminary, _date_only)


def blemish(observations: Iterable[Resource], rng: np.random.Generator) -> Iterator[Resource]:
    """The Observations of a stay, a few of them spoilt and a few sent twice."""
    resources = list(observations)
    chances = rng.random(len(resources)).tolist()
    for resource, chance in zip(resources, chances, strict=True):
        spoil = _chosen(chance)
        if spoil is not None and ("valueQuantity" in resource or spoil in _OF_STATUS_AND_TIME):
            spoil(resource)
        yield resource
        if chance > 1.0 - DUPLICATE_RATE:
            yield resource


def blemish_conditions(conditions: Iterable[Resource], rng: np.random.Generator) -> Iterator[Resource]:
    """Conditions, a few of them refuted."""
    for condition in conditions:
        if rng.random() < REFUTED_SHARE:
            condition["verificationStatus"]["coding"][0]["code"] = "refuted"
        yield condition


def blemish_administrations(administrations: Iterable[Resource], rng: np.random.Generator) -> Iterator[Resource]:
    """Administrations, a few of which did not happen."""
    for administration in administrations:
        if rng.random() < NOT_GIVEN_SHARE:
            administration["status"] = "not-done"
        yield administration


def _chosen(chance: float) -> Callable[[Resource], None] | None:
    for rate, spoil in BLEMISHES:
        if chance < rate:
            return spoil
        chance -= rate
    return None
