"""One Observation, or one component of it, as a value in its concept's unit; or a reason why not.

The rules stand as tables. Sources: FHIR R4 Observation (status, value[x], dataAbsentReason, effective[x]).
"""

import math
from typing import NamedTuple

from features import fhir, times
from features.concept import Concept
from features.refusals import Reason
from features.units import UCUM, Converter

# FHIR R4 observation-status: whether a result of this status counts as measured.
# `preliminary` does not: it may change, and models are trained on what became final.
STATUS_COUNTS = {
    "final": True,
    "amended": True,
    "corrected": True,
    "preliminary": False,
    "registered": False,
    "cancelled": False,
    "entered-in-error": False,
    "unknown": False,
}

LONGEST_UNIT = 32  # characters; UCUM's longest in use are shorter

Measured = fhir.Observation | fhir.Component


class Refused(NamedTuple):
    """Why there is no value; the detail is a status, a unit or a code, never a value."""

    reason: Reason
    detail: str | None = None


class When(NamedTuple):
    """When a sample was drawn or a value measured, and when it could first be seen; UTC microseconds."""

    time: int
    known: int


def when_of(observation: fhir.Observation) -> When | Refused:
    """The time of an Observation: effective dateTime, instant or end of period, else issued.

    A result drawn at 8 and issued at 10 has the time 8 and is known from 10 on. A period counts at its end,
    when its value is complete; an open one at its start.
    """
    period = observation.effectivePeriod or fhir.Period()
    candidates = (observation.effectiveDateTime, observation.effectiveInstant, period.end, period.start)
    effective = next((text for text in candidates if text is not None), observation.issued)
    if effective is None:
        return Refused(Reason.TIME_MISSING)
    try:
        span = times.parse(effective)
        issued = times.parse(observation.issued) if observation.issued is not None else span
    except (ValueError, OverflowError):
        return Refused(Reason.TIME_INVALID)
    if not span.is_instant:
        return Refused(Reason.TIME_IMPRECISE)
    return When(span.first, max(span.first, issued.last))


def value_of(measured: Measured, concept: Concept, code: str, converter: Converter) -> float | Refused:
    """The value in the concept's canonical unit.

    Args:
        measured: an Observation or a component.
        concept: the concept that its code names.
        code: the code that matched, for concepts whose codes measure different things (urea, urea nitrogen).
        converter: the unit table.
    """
    quantity = measured.valueQuantity
    if quantity is None or quantity.value is None:
        return _without_quantity(measured)
    if quantity.comparator is not None:
        return Refused(Reason.VALUE_CENSORED)
    value = converter.convert(
        quantity.value,
        concept=concept,
        code=code,
        unit=quantity.unit,
        unit_system=quantity.system,
        unit_code=quantity.code,
    )
    if isinstance(value, Reason):
        return Refused(value, unit_word(quantity))
    low, high = concept.plausible or (-math.inf, math.inf)
    if not low <= value <= high:
        return Refused(Reason.VALUE_IMPLAUSIBLE)
    return value


def unit_word(quantity: fhir.Quantity) -> str | None:
    """The unit as it was sent, cut short: a report must name it, and it is no place for a story."""
    word = quantity.code if quantity.system == UCUM and quantity.code is not None else quantity.unit
    return None if word is None else "".join(c for c in word if c.isprintable())[:LONGEST_UNIT]


def _without_quantity(measured: Measured) -> Refused:
    if measured.dataAbsentReason is not None:
        return Refused(Reason.DATA_ABSENT)
    other = (measured.valueInteger, measured.valueString, measured.valueCodeableConcept)
    if any(value is not None for value in other):
        return Refused(Reason.VALUE_NOT_NUMERIC)
    return Refused(Reason.VALUE_MISSING)
