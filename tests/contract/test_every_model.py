"""What holds for every model folder: it can be trained, its bundle can be served, its examples give the expected cards.

The expected features and cards stand in `models/<id>/examples/expected/`. After a change that is meant:

    UPDATE_GOLDEN=1 .venv/bin/python -m pytest tests/contract
"""

import json
import math
import os
from datetime import UTC
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bedside.card import card_of
from cds_hooks.request import decode_request
from features.times import microseconds
from models.catalog import CatalogEntry, catalog
from serving.assess import serve
from serving.prefetched import assess_request
from serving.samples import Example
from tests.fhir_builders import NOW
from training.recipe import load_recipe

ENTRIES = tuple(catalog())
RELEASED = tuple(entry for entry in ENTRIES if entry.released is not None)
EXAMPLES = tuple((entry, path) for entry in RELEASED for path in sorted(entry.examples.glob("*.json")))
LARGEST_BUNDLE_BYTES = 3_000_000


def _name(value: object) -> str:
    return value.spec.id if isinstance(value, CatalogEntry) else getattr(value, "stem", str(value))


def test_the_flagship_is_released_with_examples() -> None:
    assert [entry.spec.id for entry in RELEASED] == ["sepsis"]
    assert len(EXAMPLES) >= 3


@pytest.mark.parametrize("entry", ENTRIES, ids=_name)
def test_a_model_has_a_recipe_with_every_word_that_its_card_needs(entry: CatalogEntry) -> None:
    assert load_recipe(entry.folder).version


@pytest.mark.parametrize("entry", RELEASED, ids=_name)
def test_a_released_bundle_is_small_proved_and_attributed(entry: CatalogEntry) -> None:
    served = serve(entry)  # hashes, specification and golden rows are checked here
    manifest = served.bundle.manifest
    size = sum(file.stat().st_size for file in served.bundle.path.iterdir())
    assert size < LARGEST_BUNDLE_BYTES
    assert manifest.version == load_recipe(entry.folder).version
    assert manifest.parity["largest_logit_difference"] <= 1e-5
    assert manifest.parity["largest_contribution_difference"] <= 1e-5
    assert manifest.parity["largest_shap_difference"] <= 1e-5
    assert "not a medical device" in served.bundle.model_card
    assert manifest.lineage.attribution in served.bundle.model_card


@pytest.mark.parametrize(("entry", "path"), EXAMPLES, ids=_name)
def test_an_example_gives_the_expected_features_and_card(entry: CatalogEntry, path: Path) -> None:
    found = {"features": _features(entry, path), "card": _card(entry, path)}
    golden = path.parent / "expected" / path.name
    if os.environ.get("UPDATE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    expected = json.loads(golden.read_text(encoding="utf-8"))
    assert found["features"] == expected["features"]
    assert found["card"] == expected["card"]


def _features(entry: CatalogEntry, path: Path) -> dict[str, float | None]:
    """The features, in the order of the matrix; None where one is missing."""
    example = msgspec.json.decode(path.read_bytes(), type=Example)
    request = decode_request(msgspec.json.encode(example.request))
    now = microseconds(NOW.astimezone(UTC))
    vector = assess_request(serve(entry), request, now=now, as_of="latest-observation").vector.tolist()
    return {
        name: None if math.isnan(value) else value for name, value in zip(entry.spec.features.ids, vector, strict=True)
    }


def _card(entry: CatalogEntry, path: Path) -> dict[str, Any]:
    card = card_of(path, service=entry.spec.id, bundle=None, language="en", zone_name="UTC", as_of="latest-observation")
    plain: dict[str, Any] = json.loads(msgspec.json.encode(card))
    return plain
