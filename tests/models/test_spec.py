"""ModelSpec: what contradicts itself is refused when built; the fingerprint changes with what matters only."""

from typing import Any

import pytest

from features.feature import Aggregate, Aggregation, FeatureSet
from models.spec import MinimumData, ModelSpec, RiskBand, SpecError, ThresholdRule

HEART_RATE = Aggregate(concept="heart_rate", aggregation=Aggregation.LAST, lookback_hours=24.0)
LACTATE = Aggregate(concept="lactate", aggregation=Aggregation.LAST, lookback_hours=24.0)
LOW = RiskBand(id="low", indicator="info")
HIGH = RiskBand(id="high", indicator="warning", rule=ThresholdRule(kind="alert_rate", value=0.05))


def spec(**changes: Any) -> ModelSpec:
    fields: dict[str, Any] = {
        "id": "sepsis-ward",
        "title": "Sepsis",
        "description": "Estimates the risk of sepsis.",
        "version": "1",
        "hooks": ("patient-view",),
        "target": "sepsis within 12 hours",
        "horizon_hours": 12.0,
        "population": "Adults",
        "features": FeatureSet((HEART_RATE, LACTATE)),
        "minimum_data": (MinimumData(concepts=("heart_rate",), at_least=1, within_hours=24.0),),
        "bands": (LOW, HIGH),
        "families": (("heart_rate", "lactate"),),
        "intended_use": "Tests.",
        "out_of_scope": "All else.",
        "licence": "Apache-2.0",
    }
    return ModelSpec(**(fields | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        *(
            pytest.param({"id": name}, "expected an id in kebab case", id=f"id {name!r}")
            for name in ("", "Sepsis", "sepsis_ward", "sepsis-", "-sepsis", "4sepsis", "sepsis ward", "sepsis\n")
        ),
        pytest.param({"hooks": ()}, "expected one or more hooks", id="no hook"),
        *(
            pytest.param({"horizon_hours": hours}, "expected horizon_hours above 0", id=f"horizon {hours}")
            for hours in (0.0, -1.0, float("nan"), float("inf"))
        ),
        pytest.param({"bands": ()}, "bands of which the first alone has no threshold rule", id="no band"),
        pytest.param({"bands": (HIGH,)}, "bands of which the first alone", id="nothing below the first band"),
        pytest.param({"bands": (LOW, LOW)}, "bands of which the first alone", id="a band that begins nowhere"),
        pytest.param({"bands": (LOW, HIGH, HIGH)}, "expected bands of different ids", id="a band twice"),
        pytest.param(
            {"minimum_data": (MinimumData(concepts=("urine",), at_least=1, within_hours=1.0),)},
            r"minimum data: no feature reads the concepts \['urine'\]",
            id="minimum data of nothing it reads",
        ),
        pytest.param(
            {"families": (("heart_rate", "urine"),)},
            r"families: no feature reads the concepts \['urine'\]",
            id="a family with a stranger",
        ),
        pytest.param(
            {"families": (("heart_rate", "lactate"), ("lactate",))}, "in one family at most", id="in two families"
        ),
        pytest.param(
            {"triggers": ("vancomycin_draft",)},
            r"triggers are draft orders; expected one of the hooks \['order-select', 'order-sign'\]",
            id="triggers on no order hook",
        ),
    ],
)
def test_a_specification_that_contradicts_itself_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        spec(**changes)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        pytest.param("best_utility", 0.1, id="the best needs no value"),
        pytest.param("alert_rate", None, id="a rate needs one"),
        pytest.param("alert_rate", 0.0, id="nobody"),
        pytest.param("times_base_rate", -2.0, id="below zero"),
        pytest.param("times_base_rate", float("nan"), id="no number"),
        pytest.param("times_base_rate", float("inf"), id="infinite"),
    ],
)
def test_a_threshold_rule_that_finds_no_threshold_is_refused(kind: Any, value: float | None) -> None:
    with pytest.raises(SpecError, match=f"ThresholdRule {kind}: expected a value"):
        ThresholdRule(kind=kind, value=value)


@pytest.mark.parametrize(
    ("concepts", "at_least", "within_hours", "message"),
    [
        pytest.param(("a", "b"), 0, 24.0, r"at_least in 1\.\.2, got 0", id="none needed"),
        pytest.param(("a", "b"), 3, 24.0, r"at_least in 1\.\.2, got 3", id="more than there are"),
        pytest.param((), 1, 24.0, r"at_least in 1\.\.0, got 1", id="of nothing"),
        pytest.param(("a",), 1, 0.0, "within_hours above 0", id="within no time"),
        pytest.param(("a",), 1, float("nan"), "within_hours above 0", id="within no number"),
    ],
)
def test_minimum_data_that_cannot_be_met_is_refused(
    concepts: tuple[str, ...], at_least: int, within_hours: float, message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        MinimumData(concepts=concepts, at_least=at_least, within_hours=within_hours)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"id": "sepsis-icu"}, id="id"),
        pytest.param({"version": "2"}, id="version"),
        pytest.param({"hooks": ("patient-view", "order-sign")}, id="hooks"),
        pytest.param({"target": "sepsis or death within 12 hours"}, id="target"),
        pytest.param({"horizon_hours": 6.0}, id="horizon"),
        pytest.param({"features": FeatureSet((LACTATE, HEART_RATE))}, id="order of the features"),
        pytest.param(
            {
                "features": FeatureSet(
                    (HEART_RATE, Aggregate(concept="lactate", aggregation=Aggregation.LAST, lookback_hours=48.0))
                )
            },
            id="a lookback",
        ),
        pytest.param({"minimum_data": ()}, id="minimum data"),
        pytest.param(
            {"minimum_data": (MinimumData(concepts=("heart_rate",), at_least=1, within_hours=12.0),)},
            id="how recent the minimum data must be",
        ),
        pytest.param({"hooks": ("order-sign",), "triggers": ("vancomycin_draft",)}, id="triggers"),
        pytest.param({"bands": (LOW,)}, id="bands"),
        pytest.param(
            {"bands": (LOW, RiskBand(id="high", indicator="critical", rule=HIGH.rule))}, id="a band's indicator"
        ),
    ],
)
def test_the_fingerprint_changes_with_all_that_bundle_and_server_must_agree_on(changes: dict[str, Any]) -> None:
    assert spec(**changes).fingerprint != spec().fingerprint


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"title": "Sepsis risk"}, id="title"),
        pytest.param({"description": "Says how likely sepsis is."}, id="description"),
        pytest.param({"population": "Adults on a ward"}, id="population"),
        pytest.param({"intended_use": "Research."}, id="intended use"),
        pytest.param({"out_of_scope": "Children."}, id="out of scope"),
        pytest.param({"families": ()}, id="families"),
    ],
)
def test_the_fingerprint_stays_when_only_the_telling_changes(changes: dict[str, Any]) -> None:
    assert spec(**changes).fingerprint == spec().fingerprint


def test_the_fingerprint_is_the_same_in_every_process() -> None:
    """A bundle carries it: were it to depend on the process or on field order, every bundle would be refused."""
    assert spec().fingerprint == "38298fe323ee1b1349409514e0fa17ac96df348d8b18cc20fcaf24294e325213"


def test_triggers_are_part_of_the_fingerprint_and_their_absence_is_not() -> None:
    """Bundles that were released before there were triggers stay what they were."""
    signed = {"hooks": ("order-sign",)}
    both = [spec(**signed, triggers=triggers).fingerprint for triggers in (("vancomycin_draft",), ("statin_draft",))]
    assert len({*both, spec(**signed).fingerprint}) == 3


def test_a_concept_without_relatives_is_its_own_family() -> None:
    assert spec().family_of("lactate") == ("heart_rate", "lactate")
    assert spec(families=()).family_of("lactate") == ("lactate",)


def test_the_folder_of_a_model_is_named_as_a_package() -> None:
    assert spec().package == "sepsis_ward"
