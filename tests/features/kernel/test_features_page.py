"""The page on features (docs/features.md) says what the kernel does."""

import re
from pathlib import Path

import numpy as np
import pytest

from features.events import Events
from features.feature import Aggregate, Aggregation, FeatureSet
from features.kernel import compute
from features.kernel.aggregations import AGGREGATIONS

PAGE = Path(__file__).parents[3] / "docs" / "features.md"
NUMBERS = {"missing": np.nan, "0": 0.0}


def table(heading: str) -> list[list[str]]:
    """The rows of the table under a heading, without its head."""
    section = PAGE.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")]
    return rows[2:]


def test_every_aggregation_is_listed_once_in_the_order_of_the_kernel() -> None:
    assert [name.strip("`") for name, *_ in table("Aggregations")] == [str(name) for name in AGGREGATIONS]
    assert set(AGGREGATIONS) == set(Aggregation)


@pytest.mark.parametrize("row", table("Aggregations"), ids=lambda row: row[0])
def test_what_is_said_of_an_aggregation_holds(row: list[str]) -> None:
    name, _, without, needed = row
    aggregation = Aggregation(name.strip("`"))
    features = FeatureSet([Aggregate(concept="lactate", aggregation=aggregation)])
    found = compute(Events.of([], patients=["anna"]), np.zeros(1, np.int64), np.zeros(1, np.int64), features)
    np.testing.assert_array_equal(found, np.array([[NUMBERS[without]]], np.float32))
    assert AGGREGATIONS[aggregation].needs == int(needed)


@pytest.mark.parametrize("row", table("Windows"), ids=lambda row: row[0])
def test_the_ids_on_the_page_are_those_of_such_windows(row: list[str]) -> None:
    declared, _, example = row
    given = dict(re.findall(r"`(\w+)=\"?([\w.]+)", declared))
    hours = re.search(r"_(\d+)h(_|$)", example.strip("`"))
    feature = Aggregate(
        concept="any",
        aggregation=Aggregation.LAST,
        lookback_hours=float(hours[1]) if hours else None,
        skip_hours=float(given.get("skip_hours", 0)),
        since=given.get("since"),
    )
    assert example.strip("`").endswith(feature.id.removeprefix("any_last"))
