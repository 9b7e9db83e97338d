"""Other units: whether numbers would be usual in another unit, and whether a laboratory's ranges fit ours.

A number proves no unit: what is found here is told, never applied.
"""

import numpy as np

from features.coverage.seen import Range
from features.coverage.sketches import Floats, Histogram, Ints
from features.vocabulary.concept import Concept
from features.vocabulary.units import Conversion, Converter

ENOUGH_VALUES = 20
ALL_BUT_ALL = 0.95
MOST = 0.5
USUAL_FACTOR = 2.0
"""How far beyond the reference range a value of a hospital's patient is still usual."""
STRANGE_FACTOR = 3.0
"""From here on a laboratory's range is taken for one in another unit: ranges of methods differ less."""

Bounds = tuple[float, float]


def looks_like(
    concept: Concept, converter: Converter, numbers: tuple[Floats, Ints], used: Histogram | None
) -> str | None:
    """The unit in which all but all of the numbers are plausible and most are usual; None for none or for several.

    Args:
        concept: what they are said to measure.
        converter: knows its units.
        numbers: as recorded, with how often each occurs.
        used: the values that were accepted; they say what is usual where the concept has no reference range.
    """
    usual = _usual(concept, used)
    if usual is None or concept.plausible is None or numbers[1].sum() < ENOUGH_VALUES:
        return None
    units: dict[Conversion, str] = {}
    for spelling, conversion in converter.conversions(concept).by_code.items():
        if isinstance(conversion, Conversion):
            units.setdefault(conversion, spelling)
    fitting = {
        spelling: share
        for conversion, spelling in units.items()
        if _share(numbers, conversion, concept.plausible) >= ALL_BUT_ALL
        and (share := _share(numbers, conversion, usual)) >= MOST
    }
    best = sorted(fitting, key=fitting.__getitem__, reverse=True)
    return best[0] if best and (len(best) == 1 or fitting[best[1]] < 0.8 * fitting[best[0]]) else None


def range_factor(concept: Concept, converter: Converter, told: Range) -> float | None:
    """By what factor a laboratory's reference range differs from ours, in our unit; None where it cannot be said."""
    conversion = converter.conversions(concept, told.code).resolve(
        unit=told.key[0], unit_system=told.key[1], unit_code=told.key[2]
    )
    ours = _reference(concept)
    if not isinstance(conversion, Conversion) or ours is None:
        return None
    for their, own in ((told.high, ours[1]), (told.low, ours[0])):
        if their is not None and own > 0 and conversion(their) > 0:
            return conversion(their) / own
    return None


def is_strange(factor: float | None) -> bool:
    """Whether ranges differ so much that one of them may be in another unit."""
    return factor is not None and not 1 / STRANGE_FACTOR <= factor <= STRANGE_FACTOR


def _usual(concept: Concept, used: Histogram | None) -> Bounds | None:
    reference = _reference(concept)
    if reference is not None and reference[0] > 0:
        return reference[0] / USUAL_FACTOR, reference[1] * USUAL_FACTOR
    if used is not None and used.counts.sum() >= ENOUGH_VALUES:
        return used.quantile(0.02), used.quantile(0.98)
    return None


def _reference(concept: Concept) -> Bounds | None:
    if concept.reference is None:
        return None
    both = (concept.reference.female, concept.reference.male)
    return min(low for low, _ in both), max(high for _, high in both)


def _share(numbers: tuple[Floats, Ints], conversion: Conversion, bounds: Bounds) -> float:
    values, counts = numbers
    converted = values * conversion.scale + conversion.offset
    return float(counts[np.logical_and(bounds[0] <= converted, converted <= bounds[1])].sum() / counts.sum())
