"""The prepared parts of cards: made once for a model, a language and a site, and never a patient's."""

import dataclasses

import msgspec

from serving.assess import ServedModel
from serving.card_parts import card_parts
from tests.fhir_builders import vitals
from tests.serving.assessing import assessed, card_of
from tests.serving.test_cards import ILL

SITE = "https://bedside.example"


def test_the_parts_are_made_once_for_a_model_a_language_and_a_site(linear: ServedModel) -> None:
    first = card_parts(linear, "en", SITE, False)
    assert card_parts(linear, "en", SITE, False) is first
    assert card_parts(linear, "de", SITE, False).raised == "**Hat die Schätzung erhöht**"
    assert card_parts(linear, "en", "https://other.example", False).links[0].url == "https://other.example/models/tiny"
    assert card_parts(linear, "en", SITE, True).bands["high"].indicator == "critical"


def test_another_bundle_of_the_model_has_parts_of_its_own(linear: ServedModel) -> None:
    """A new version must not be told with the old one's name and performance."""
    manifest = msgspec.structs.replace(linear.bundle.manifest, version="9.9.9")
    newer = dataclasses.replace(linear.bundle, manifest=manifest)
    served = dataclasses.replace(linear, bundle=newer)
    assert " 1.2.0 " in card_of(assessed(linear, *vitals())).source.label
    assert " 9.9.9 " in card_of(assessed(served, *vitals())).source.label


def test_a_card_is_the_same_whoever_s_card_was_written_before(linear: ServedModel) -> None:
    found = assessed(linear, *vitals())
    first = card_of(found)
    card_of(assessed(linear, *ILL))
    assert card_of(found) == first
