"""Quantities, a column at a time: numbers become values in their concepts' units, which are looked up by wording."""

from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from features.reading import fhir
from features.reading.answers import Measured, value_of
from features.reading.interpreter import Interpreter, Meaning, Refused
from features.refusals import Reason

_NOTHING = fhir.Quantity()

Numbers = NDArray[np.int64]
Values = NDArray[np.float64]


def values_of(
    measured: Sequence[Measured], meanings: Sequence[Meaning], interpreter: Interpreter
) -> tuple[Values, Numbers]:
    """The values [N] in their concepts' units, and the numbers of refusals where there are none; 0 is no refusal.

    Args:
        measured: Observations and components.
        meanings: the concept that each is a value of.
        interpreter: knows the units; its numbers of refusals are meant.
    """
    quantities = [one.valueQuantity for one in measured]
    others = [i for i, one in enumerate(measured) if one.dataAbsentReason is not None or one.valueQuantity is None]
    for i in others:
        quantities[i] = _NOTHING
    given = cast("list[fhir.Quantity]", quantities)
    known = interpreter.quantity_numbers().get
    numbers = [
        known((meaning.number, one.unit, one.system, one.code, one.comparator))
        for meaning, one in zip(meanings, given, strict=True)
    ]
    if None in numbers:
        numbers = [_number(*pair, interpreter) for pair in zip(meanings, given, strict=True)]
    value, reason = converted(
        np.array([one.value for one in given], np.float64), np.array(numbers, np.int64), interpreter
    )
    for i in others:
        said = value_of(measured[i], meanings[i], interpreter)
        if isinstance(said, Refused):
            reason[i] = interpreter.refused_number(said)
        else:
            value[i], reason[i] = said, 0
    return value, reason


def _number(meaning: Meaning, quantity: fhir.Quantity, interpreter: Interpreter) -> int:
    key = (meaning.number, quantity.unit, quantity.system, quantity.code, quantity.comparator)
    return interpreter.quantity_number(key, meaning)


def converted(number: Values, conversion: Numbers, interpreter: Interpreter) -> tuple[Values, Numbers]:
    """As `values_of`, of numbers [N] as they were sent (NaN: none) and the numbers of their wordings."""
    scales = interpreter.scales()
    # A refused wording takes the first conversion, which changes no number and to which any number is plausible.
    used = np.maximum(conversion, 0)
    with np.errstate(over="ignore"):  # what is too large for a float is implausible too
        value = number * scales.scale.take(used)
        value += scales.offset.take(used)
    reason = np.maximum(-1 - conversion, 0)
    inside = scales.low.take(used) <= value
    inside &= value <= scales.high.take(used)
    if np.count_nonzero(inside) < len(inside):
        reason[(reason == 0) & ~inside] = interpreter.refused_number(Refused(Reason.VALUE_IMPLAUSIBLE))
        # Said before all else: a missing number often stands without a unit.
        reason[np.isnan(number)] = interpreter.refused_number(Refused(Reason.VALUE_MISSING))
    return value, reason
