"""Values that are no plain quantity: coded answers, yes and no, integers, ratios; each a number or a reason why not.

| value[x] | becomes |
| --- | --- |
| valueQuantity | value × scale + offset in the concept's unit (`features.vocabulary.units`) |
| valueQuantity with comparator | the limit itself where the concept says so, else refused |
| valueRatio | numerator / denominator, in the unit of the one per the unit of the other |
| valueInteger | itself where the concept counts or scores; else refused, for it has no unit |
| valueBoolean, valueCodeableConcept | the number of the answer that the concept lists |
| interpretation | likewise, where there is no value but `POS`, `NEG` and the like |
| valueString, valueRange, valueSampledData, valueTime, valueDateTime, valuePeriod | refused |
| dataAbsentReason | refused, whatever stands beside it |
"""

from collections.abc import Iterable

from features.reading import fhir
from features.reading.interpreter import Interpreter, Meaning, Refused, convert, unit_word
from features.refusals import Reason
from features.vocabulary.concept import Concept

BOOLEAN = "boolean"
"""Stands for a code system where a concept lists true and false among its answers."""

Measured = fhir.Observation | fhir.Component


def says_anything(observation: fhir.Observation) -> bool:
    """Whether an Observation has a value of its own, beside those of its components."""
    values = (
        observation.valueQuantity,
        observation.valueInteger,
        observation.valueBoolean,
        observation.valueString,
        observation.valueRatio,
        observation.valueRange,
        observation.valueCodeableConcept,
    )
    return any(value is not None for value in values)


def value_of(measured: Measured, meaning: Meaning, interpreter: Interpreter) -> float | Refused:
    """The number that an Observation or a component says, in the concept's unit.

    Args:
        measured: an Observation or a component.
        meaning: the concept that its code names.
        interpreter: knows the units.
    """
    if meaning.differs or measured.dataAbsentReason is not None:
        return Refused(Reason.CODE_CONTRADICTION, meaning.code) if meaning.differs else Refused(Reason.DATA_ABSENT)
    if measured.valueQuantity is not None:
        return _quantity(measured.valueQuantity, meaning, interpreter)
    if measured.valueRatio is not None:
        return _ratio(measured.valueRatio, meaning, interpreter)
    if measured.valueInteger is not None:
        return _unitless(float(measured.valueInteger), meaning, interpreter)
    if measured.valueString is not None or measured.valueRange is not None:
        return Refused(Reason.VALUE_NOT_NUMERIC)
    return _coded(measured, meaning.concept)


def _coded(measured: Measured, concept: Concept) -> float | Refused:
    if measured.valueBoolean is not None:
        return _answer(concept, [fhir.Coding(system=BOOLEAN, code=str(measured.valueBoolean).lower())])
    if measured.valueCodeableConcept is not None:
        return _answer(concept, measured.valueCodeableConcept.coding)
    if measured.interpretation and concept.answers:
        return _answer(concept, [coding for one in measured.interpretation for coding in one.coding])
    return Refused(Reason.VALUE_MISSING)


def _quantity(quantity: fhir.Quantity, meaning: Meaning, interpreter: Interpreter) -> float | Refused:
    if quantity.value is None:
        return Refused(Reason.VALUE_MISSING)
    key = (meaning.number, quantity.unit, quantity.system, quantity.code, quantity.comparator)
    number = interpreter.quantity_number(key, meaning)
    if number < 0:
        return interpreter.refused(-1 - number)
    scales = interpreter.scales()
    value = float(quantity.value * scales.scale[number] + scales.offset[number])
    return value if scales.low[number] <= value <= scales.high[number] else Refused(Reason.VALUE_IMPLAUSIBLE)


def _ratio(ratio: fhir.Ratio, meaning: Meaning, interpreter: Interpreter) -> float | Refused:
    above, below = ratio.numerator, ratio.denominator
    if above.value is None or not below.value:
        return Refused(Reason.VALUE_MISSING)
    value = above.value / below.value
    if not (above.unit or above.code):
        return _unitless(value, meaning, interpreter) if not (below.unit or below.code) else _no_unit(below)
    same_system = above.system == below.system or not (below.unit or below.code)
    per = fhir.Quantity(
        value=value,
        comparator=above.comparator or below.comparator,
        unit=_per(above.unit, below.unit),
        system=above.system if same_system else None,
        code=_per(above.code, below.code) if same_system else None,
    )
    return _quantity(per, meaning, interpreter)


def _per(above: str | None, below: str | None) -> str | None:
    return f"{above}/{below}" if above and below and below != "1" else above


def _no_unit(quantity: fhir.Quantity) -> Refused:
    return Refused(Reason.UNIT_MISSING, unit_word(quantity.unit, quantity.system, quantity.code))


def _unitless(number: float, meaning: Meaning, interpreter: Interpreter) -> float | Refused:
    """A number that has no place for a unit: a score or a count is itself, anything else cannot be known."""
    if meaning.concept.unit is None:
        return Refused(Reason.VALUE_NOT_CODED)
    conversion = interpreter.converter.conversions(meaning.concept, meaning.code).unitless
    return Refused(conversion) if isinstance(conversion, Reason) else convert(meaning.concept, conversion, number)


def _answer(concept: Concept, codings: Iterable[fhir.Coding]) -> float | Refused:
    """The number of the first coding that the concept lists as an answer."""
    if not concept.answers:
        return Refused(Reason.VALUE_NOT_NUMERIC)
    found = (concept.answer(coding.system, coding.code) for coding in codings if coding.system and coding.code)
    return next((value for value in found if value is not None), Refused(Reason.ANSWER_UNKNOWN))
