"""One Observation, or one component of it, as a value in its concept's unit; or a reason why not.

The rules stand as tables. Sources: FHIR R4 Observation (status, value[x], dataAbsentReason, effective[x]).
"""

from typing import NamedTuple

from features import fhir, times
from features.concept import Concept
from features.refusals import Reason
from features.units import UCUM, Conversion, Converter

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
    effective, issued = observation.effectiveDateTime, observation.issued
    if effective is None:
        effective = _other_effective(observation)
    if effective is None:
        return Refused(Reason.TIME_MISSING)
    try:
        span = times.parse(effective)
        known = span.last if issued is None else times.parse(issued).last
    except ValueError:
        return Refused(Reason.TIME_INVALID)
    if not span.is_instant:
        return Refused(Reason.TIME_IMPRECISE)
    return When(span.first, max(span.first, known))


def _other_effective(observation: fhir.Observation) -> str | None:
    period = observation.effectivePeriod or fhir.Period()
    candidates = (observation.effectiveInstant, period.end, period.start, observation.issued)
    return next((text for text in candidates if text is not None), None)


class UnitCache:
    """The conversions of one vocabulary: each way in which a code's unit is written is resolved once."""

    __slots__ = ("_converter", "_found")

    def __init__(self, converter: Converter) -> None:
        self._converter = converter
        self._found: dict[tuple[str | None, ...], Conversion | Reason] = {}

    def conversion(self, concept: Concept, code: str, quantity: fhir.Quantity) -> Conversion | Reason:
        """How the quantity becomes one in the concept's unit, or why it cannot."""
        unit, system, unit_code = quantity.unit, quantity.system, quantity.code
        key = (concept.id, code, unit, system, unit_code)
        found = self._found.get(key)
        if found is None:
            known = self._converter.conversions(concept, code)
            found = self._found[key] = known.resolve(unit=unit, unit_system=system, unit_code=unit_code)
        return found


def value_of(measured: Measured, concept: Concept, code: str, units: UnitCache) -> float | Refused:
    """The value in the concept's canonical unit.

    Args:
        measured: an Observation or a component.
        concept: the concept that its code names.
        code: the code that matched, for concepts whose codes measure different things (urea, urea nitrogen).
        units: the unit table.
    """
    quantity = measured.valueQuantity
    if quantity is None or quantity.value is None or measured.dataAbsentReason is not None:
        return _without_value(measured)
    if quantity.comparator is not None:
        return Refused(Reason.VALUE_CENSORED)
    conversion = units.conversion(concept, code, quantity)
    if isinstance(conversion, Reason):
        return Refused(conversion, unit_word(quantity))
    value = conversion(quantity.value)
    if concept.plausible is not None and not concept.plausible[0] <= value <= concept.plausible[1]:
        return Refused(Reason.VALUE_IMPLAUSIBLE)
    return value


def says_anything(observation: fhir.Observation) -> bool:
    """Whether an Observation has a value of its own, beside those of its components."""
    values = (observation.valueQuantity, observation.valueInteger, observation.valueString)
    return any(value is not None for value in (*values, observation.valueCodeableConcept))


def unit_word(quantity: fhir.Quantity) -> str | None:
    """The unit as it was sent, cut short: a report must name it, and it is no place for a story."""
    word = quantity.code if quantity.system == UCUM and quantity.code is not None else quantity.unit
    return None if word is None else "".join(c for c in word if c.isprintable())[:LONGEST_UNIT]


def _without_value(measured: Measured) -> Refused:
    if measured.dataAbsentReason is not None:
        return Refused(Reason.DATA_ABSENT)
    if measured.valueInteger is not None:
        return Refused(Reason.UNIT_MISSING)  # an integer has no place for one
    if measured.valueString is not None or measured.valueCodeableConcept is not None:
        return Refused(Reason.VALUE_NOT_NUMERIC)
    return Refused(Reason.VALUE_MISSING)
