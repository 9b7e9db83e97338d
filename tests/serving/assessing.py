"""Assessments of the tiny models and their cards, from resources as the tests build them."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import msgspec

from cds_hooks.response import Card
from features.times import microseconds
from models.words import Language
from serving.assess import AsOf, Assessment, ServedModel, assess
from serving.cards import render
from tests.fhir_builders import NOW, Json, patient, searchset
from tests.hosts import CARDS

AT = microseconds(NOW)
HOUR = 3_600_000_000


def raws(resources: Iterable[Json]) -> list[msgspec.Raw]:
    """Resources as they lie in a prefetch."""
    return [msgspec.Raw(msgspec.json.encode(resource)) for resource in resources]


def assessed(served: ServedModel, *resources: Json, as_of: AsOf = "clock", who: Json | None = None) -> Assessment:
    """The assessment of patient p1 at NOW; without `who` the usual patient."""
    return assess(served, "p1", raws([patient() if who is None else who, searchset(*resources)]), now=AT, as_of=as_of)


def card_of(found: Assessment, language: Language = "en", **settings: Any) -> Card:
    """The card of an assessment; settings replace the usual ones."""
    return render(found, card_uuid="a-uuid", language=language, settings=dataclasses.replace(CARDS, **settings))


def lines(found: Assessment, language: Language = "en") -> list[str]:
    """The lines of its detail."""
    return (card_of(found, language).detail or "").split("\n")


def line(found: Assessment, begins: str, language: Language = "en") -> str:
    """The one line that holds some words."""
    (only,) = [each for each in lines(found, language) if begins in each]
    return only
