"""Features: their names, what they read, and what cannot be declared."""

import math

import pytest

from features.feature import (
    LONGEST_LOOKBACK_HOURS,
    Aggregate,
    Aggregation,
    Difference,
    Feature,
    FeatureSet,
    Ratio,
    operands,
)

LAST = Aggregate(concept="creatinine", aggregation=Aggregation.LAST, lookback_hours=168)
LOWEST = Aggregate(concept="creatinine", aggregation=Aggregation.MIN, lookback_hours=48)
BUN = Aggregate(concept="bun", aggregation=Aggregation.LAST)
RATIO = Ratio(name="bun_creatinine_ratio", numerator=BUN, denominator=LAST)
RISE = Difference(name="creatinine_rise", minuend=LAST, subtrahend=LOWEST)


@pytest.mark.parametrize(
    ("aggregation", "lookback_hours", "expected"),
    [
        ("mean", 24, "heart_rate_mean_24h"),
        ("mean", 24.0, "heart_rate_mean_24h"),
        ("slope", 0.5, "heart_rate_slope_0.5h"),
        ("hours_since", None, "heart_rate_hours_since"),
        ("present", 438_300.0, "heart_rate_present_438300h"),
    ],
)
def test_a_feature_is_named_after_its_concept_aggregation_and_lookback(
    aggregation: str, lookback_hours: float | None, expected: str
) -> None:
    feature = Aggregate(concept="heart_rate", aggregation=Aggregation(aggregation), lookback_hours=lookback_hours)
    assert feature.id == expected


@pytest.mark.parametrize(
    ("feature", "concepts", "parts"),
    [
        pytest.param(BUN, ("bun",), (BUN,), id="aggregate"),
        pytest.param(RATIO, ("bun", "creatinine"), (BUN, LAST), id="ratio"),
        pytest.param(RISE, ("creatinine", "creatinine"), (LAST, LOWEST), id="difference"),
    ],
)
def test_a_feature_knows_what_it_reads(
    feature: Feature, concepts: tuple[str, ...], parts: tuple[Aggregate, ...]
) -> None:
    assert feature.concepts == concepts
    assert operands(feature) == parts


@pytest.mark.parametrize("lookback_hours", [0.0, -1.0, math.nan, math.inf, 2 * LONGEST_LOOKBACK_HOURS])
def test_a_lookback_is_above_zero_and_within_a_life(lookback_hours: float) -> None:
    with pytest.raises(ValueError, match="lookback_hours above 0"):
        Aggregate(concept="bun", aggregation=Aggregation.LAST, lookback_hours=lookback_hours)


def test_a_feature_set_keeps_the_order_of_its_features() -> None:
    features = FeatureSet([RATIO, LAST, RISE])
    assert features.ids == ("bun_creatinine_ratio", "creatinine_last_168h", "creatinine_rise")
    assert list(features) == [RATIO, LAST, RISE]
    assert len(features) == 3


def test_a_feature_set_lists_each_concept_once_in_order_of_first_use() -> None:
    assert FeatureSet([RATIO, LAST, RISE]).concepts == ("bun", "creatinine")


def test_the_longest_lookback_of_a_concept_counts_operands_too() -> None:
    features = FeatureSet([LOWEST, RATIO])
    assert features.longest_lookback_hours("creatinine") == 168
    assert features.longest_lookback_hours("bun") == math.inf
    with pytest.raises(ValueError, match="'lactate'"):
        features.longest_lookback_hours("lactate")


@pytest.mark.parametrize(
    ("features", "message"),
    [
        pytest.param([], "one or more", id="none"),
        pytest.param([LAST, BUN, LAST], "creatinine_last_168h", id="one twice"),
        pytest.param(
            [LAST, Ratio(name=LAST.id, numerator=BUN, denominator=LAST)], "creatinine_last_168h", id="two of one name"
        ),
    ],
)
def test_features_are_told_apart_by_their_names(features: list[Feature], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FeatureSet(features)
