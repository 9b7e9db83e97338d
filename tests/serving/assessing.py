"""Assessments of the tiny models, from resources as the tests build them."""

from collections.abc import Iterable

import msgspec

from features.times import microseconds
from serving.assess import AsOf, Assessment, ServedModel, assess
from tests.fhir_builders import NOW, Json, patient, searchset

AT = microseconds(NOW)
HOUR = 3_600_000_000


def raws(resources: Iterable[Json]) -> list[msgspec.Raw]:
    """Resources as they lie in a prefetch."""
    return [msgspec.Raw(msgspec.json.encode(resource)) for resource in resources]


def assessed(served: ServedModel, *resources: Json, as_of: AsOf = "clock", who: Json | None = None) -> Assessment:
    """The assessment of patient p1 at NOW; without `who` the usual patient."""
    return assess(served, "p1", raws([patient() if who is None else who, searchset(*resources)]), now=AT, as_of=as_of)
