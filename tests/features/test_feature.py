"""Features: their names, what they read, and what cannot be declared."""

import math
from typing import Any

import pytest

from features.feature import (
    LONGEST_LOOKBACK_HOURS,
    Aggregate,
    Aggregation,
    Difference,
    Feature,
    FeatureSet,
    Ratio,
    declaration,
    operands,
)

LAST = Aggregate(concept="creatinine", aggregation=Aggregation.LAST, lookback_hours=168)
LOWEST = Aggregate(concept="creatinine", aggregation=Aggregation.MIN, lookback_hours=48)
BUN = Aggregate(concept="bun", aggregation=Aggregation.LAST)
RATIO = Ratio(name="bun_creatinine_ratio", numerator=BUN, denominator=LAST)
DURING = Aggregate(concept="lactate", aggregation=Aggregation.MAX, since="inpatient_stay")
PER_STAY = Ratio(name="creatinine_to_lactate", numerator=LAST, denominator=DURING)
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
    ("window", "expected"),
    [
        pytest.param({"lookback_hours": 168, "skip_hours": 24}, "creatinine_min_168h_skip_24h", id="a week but today"),
        pytest.param({"skip_hours": 0.5}, "creatinine_min_skip_0.5h", id="all but the last half hour"),
        pytest.param({"since": "inpatient_stay"}, "creatinine_min_since_inpatient_stay", id="since admission"),
        pytest.param(
            {"since": "icu_stay", "skip_hours": 6},
            "creatinine_min_since_icu_stay_skip_6h",
            id="since, but the last 6 h",
        ),
    ],
)
def test_a_feature_is_named_after_its_window(window: dict[str, Any], expected: str) -> None:
    assert Aggregate(concept="creatinine", aggregation=Aggregation.MIN, **window).id == expected


@pytest.mark.parametrize(
    ("feature", "concepts", "parts"),
    [
        pytest.param(BUN, ("bun",), (BUN,), id="aggregate"),
        pytest.param(RATIO, ("bun", "creatinine"), (BUN, LAST), id="ratio"),
        pytest.param(RISE, ("creatinine", "creatinine"), (LAST, LOWEST), id="difference"),
        pytest.param(DURING, ("lactate", "inpatient_stay"), (DURING,), id="aggregate since a stay began"),
        pytest.param(
            PER_STAY, ("creatinine", "lactate", "inpatient_stay"), (LAST, DURING), id="measured concepts come first"
        ),
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


@pytest.mark.parametrize("skip_hours", [-1.0, 24.0, 25.0, math.nan, math.inf])
def test_what_is_skipped_is_less_than_the_window(skip_hours: float) -> None:
    with pytest.raises(ValueError, match="skip_hours from 0 to below 24"):
        Aggregate(concept="bun", aggregation=Aggregation.LAST, lookback_hours=24, skip_hours=skip_hours)


@pytest.mark.parametrize(("since", "lookback_hours"), [("inpatient_stay", 24.0), ("", None)])
def test_a_window_has_one_start(since: str, lookback_hours: float | None) -> None:
    with pytest.raises(ValueError, match="lookback_hours or since"):
        Aggregate(concept="bun", aggregation=Aggregation.LAST, lookback_hours=lookback_hours, since=since)


def test_the_stays_of_windows_are_read_from_all_of_the_past() -> None:
    """And so is what is measured during them: a stay may have begun at any time."""
    features = FeatureSet([DURING, LAST])
    assert features.concepts == ("lactate", "inpatient_stay", "creatinine")
    assert dict(features.lookbacks_hours) == {"lactate": math.inf, "inpatient_stay": math.inf, "creatinine": 168}


@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        pytest.param(
            LAST, {"concept": "creatinine", "aggregation": "last", "lookback_hours": 168}, id="as it was always written"
        ),
        pytest.param(
            DURING,
            {"concept": "lactate", "aggregation": "max", "lookback_hours": None, "since": "inpatient_stay"},
            id="with what was added since",
        ),
        pytest.param(
            RISE,
            {
                "name": "creatinine_rise",
                "minuend": {"concept": "creatinine", "aggregation": "last", "lookback_hours": 168},
                "subtrahend": {"concept": "creatinine", "aggregation": "min", "lookback_hours": 48},
            },
            id="in operands too",
        ),
    ],
)
def test_a_declaration_leaves_out_what_says_nothing_new(feature: Feature, expected: dict[str, Any]) -> None:
    """Or the fingerprint of every released bundle would change with each new kind of window."""
    assert declaration(feature) == expected


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
