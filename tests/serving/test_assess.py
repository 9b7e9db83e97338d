"""Assessment: from the resources of one call to a risk with its reasons, or to what is missing."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.refusals import Reason
from features.times import to_datetime
from models.bundle import BundleError
from models.catalog import CatalogEntry
from serving.assess import Assessment, Reading, ServedModel, Stale, assess, has_minimum, read, serve
from tests.bundles import served_linear
from tests.fhir_builders import (
    Json,
    at,
    gentamicin,
    kidney_disease,
    observation,
    patient,
    quantity,
    searchset,
    vitals,
)
from tests.serving.assessing import AT, HOUR, assessed, raws


def contribution_of(concept: str, assessment: Assessment) -> float:
    (found,) = [one.contribution for one in assessment.contributors if one.concept == concept]
    return found


def reading_of(concept: str, assessment: Assessment) -> Reading | None:
    (found,) = [one.reading for one in assessment.contributors if one.concept == concept]
    return found


def probability_of(assessment: Assessment) -> float:
    assert assessment.scored is not None
    return assessment.scored.probability


# The base risk is 1.8 %; the tiny model's bands begin at 4 % and 20 %.
@pytest.mark.parametrize(
    ("resources", "band"),
    [
        pytest.param(vitals(), "low", id="all ordinary"),
        pytest.param((*vitals(), observation("heart_rate", 115, 0.5)), "raised", id="fast heart"),
        pytest.param((*vitals(), observation("creatinine", 3.0, 0.5)), "high", id="failing kidneys"),
    ],
)
def test_the_risk_falls_into_a_band(resources: tuple[Json, ...], band: str, linear: ServedModel) -> None:
    probability = probability_of(assessed(linear, *resources))
    assert linear.bundle.band_of(probability).id == band


def test_contributors_come_by_size_whichever_way_they_point(linear: ServedModel) -> None:
    found = assessed(
        linear, observation("creatinine", 2.0), observation("heart_rate", 50), observation("temperature", 36.8)
    )
    assert [one.concept for one in found.contributors][:4] == [
        "creatinine",
        "heart_rate",
        "mean_pressure",
        "temperature",
    ]
    assert [round(one.contribution, 3) for one in found.contributors][:4] == [2.0, -1.5, -0.3, -0.2]


def test_a_family_is_added_up_and_told_by_its_first_member_that_has_a_value(linear: ServedModel) -> None:
    """Mean pressure stands before systolic pressure; either alone, or both, is one contributor."""
    systolic, mean = observation("systolic_pressure", 80), observation("mean_pressure", 60)
    both = assessed(linear, *vitals(), systolic, mean)
    assert contribution_of("mean_pressure", both) == pytest.approx(-0.02 * (60 - 90) - 0.01 * (80 - 120), abs=1e-5)
    alone = assessed(linear, *vitals(), systolic)
    assert contribution_of("systolic_pressure", alone) == pytest.approx(-0.3 + 0.4, abs=1e-5)
    assert "mean_pressure" not in [one.concept for one in alone.contributors]


def test_a_feature_of_two_concepts_counts_for_its_first(linear: ServedModel) -> None:
    """The shock index is heart rate through systolic pressure: a card tells it with the heart rate."""
    found = assessed(linear, *vitals(), observation("systolic_pressure", 100))
    assert found.vector.tolist()[5] == pytest.approx(0.8)
    assert [one.concept for one in found.contributors].count("heart_rate") == 1


def test_the_contributions_of_all_contributors_add_up_to_the_logit(trees: ServedModel) -> None:
    found = assessed(trees, *vitals(), observation("systolic_pressure", 80), kidney_disease(), gentamicin())
    assert found.scored is not None
    total = found.scored.base_value + sum(one.contribution for one in found.contributors)
    assert total == pytest.approx(found.scored.logit, abs=1e-5)


def test_a_reading_has_the_value_before_it(linear: ServedModel) -> None:
    found = assessed(linear, *vitals(), observation("creatinine", 1.1, 30), observation("creatinine", 1.4, 100))
    assert reading_of("creatinine", found) == Reading(
        value=0.8, time=AT - 6 * HOUR, previous=1.1, previous_time=AT - 30 * HOUR
    )


def test_of_two_values_at_one_time_neither_came_before_the_other(linear: ServedModel) -> None:
    twice = (observation("creatinine", 2.0, 1), observation("creatinine", 1.5, 1))
    assert reading_of("creatinine", assessed(linear, *vitals()[1:], *twice)) == Reading(value=2.0, time=AT - HOUR)
    found = assessed(linear, *vitals(), *twice)
    assert reading_of("creatinine", found) == Reading(
        value=2.0, time=AT - HOUR, previous=0.8, previous_time=AT - 6 * HOUR
    )


def test_values_are_told_by_time_and_not_by_their_place_in_the_searchset(linear: ServedModel) -> None:
    newest_first = assessed(linear, *vitals(), observation("creatinine", 2.0, 1), observation("creatinine", 1.0, 30))
    oldest_first = assessed(linear, observation("creatinine", 1.0, 30), observation("creatinine", 2.0, 1), *vitals())
    assert newest_first.evidence == oldest_first.evidence
    assert probability_of(newest_first) == probability_of(oldest_first)


def test_what_was_never_measured_is_absent_and_what_nobody_recorded_is_not(linear: ServedModel) -> None:
    found = assessed(linear, *vitals(), who=patient(birthDate=None, gender="unknown"))
    assert found.absent == ("mean_pressure", "systolic_pressure", "age", "sex")
    assert found.missing_features == (
        "mean_pressure_last_24h",
        "systolic_pressure_last_24h",
        "shock_index",
        "age_years_since",
        "sex_last",
    )


def test_what_was_measured_too_long_ago_is_stale_and_no_reason_for_the_risk(linear: ServedModel) -> None:
    found = assessed(
        linear, *vitals(), observation("mean_pressure", 50, 24), observation("systolic_pressure", 90, 23.9)
    )
    assert found.stale == (Stale(concept="mean_pressure", time=AT - 24 * HOUR),)
    assert found.absent == ()
    assert reading_of("systolic_pressure", found) == Reading(value=90.0, time=AT - round(23.9 * HOUR))


def test_a_stale_value_that_still_moved_the_risk_by_being_missing_is_not_shown(linear: ServedModel) -> None:
    found = assessed(linear, *vitals(), observation("mean_pressure", 50, 30))
    assert contribution_of("mean_pressure", found) == pytest.approx(-0.3)
    assert reading_of("mean_pressure", found) is None


def test_a_drug_of_long_ago_is_neither_stale_nor_recorded(linear: ServedModel) -> None:
    found = assessed(linear, *vitals(), gentamicin(hours_ago=200))
    assert found.stale == ()
    assert reading_of("aminoglycoside", found) is None


def test_diagnoses_and_drugs_are_read_with_the_time_from_which_they_were_known(linear: ServedModel) -> None:
    found = assessed(linear, *vitals(), kidney_disease(), gentamicin(5))
    assert contribution_of("chronic_kidney_disease", found) == pytest.approx(1.5)
    assert contribution_of("aminoglycoside", found) == pytest.approx(0.5)
    noted = reading_of("chronic_kidney_disease", found)
    assert noted is not None
    assert to_datetime(noted.time).date().isoformat() == "2022-02-11"


@pytest.mark.parametrize(
    ("resources", "unmet"),
    [
        pytest.param(vitals(), [], id="just enough"),
        pytest.param(vitals()[1:], [("creatinine",)], id="no creatinine"),
        pytest.param(
            (observation("creatinine", 1, 72), *vitals()[1:]), [("creatinine",)], id="creatinine of exactly 72 h ago"
        ),
        pytest.param((observation("creatinine", 1, 71.9), *vitals()[1:]), [], id="creatinine of a little less"),
        pytest.param(
            vitals()[:2], [("heart_rate", "temperature", "systolic_pressure")], id="one vital sign where two are asked"
        ),
        pytest.param(
            (), [("creatinine",), ("heart_rate", "temperature", "systolic_pressure")], id="nothing but the patient"
        ),
    ],
)
def test_below_the_minimum_data_there_is_no_risk(
    resources: tuple[Json, ...], unmet: list[tuple[str, ...]], linear: ServedModel
) -> None:
    found = assessed(linear, *resources)
    assert [rule.concepts for rule in found.unmet] == unmet
    assert (found.scored is None) == bool(unmet)
    assert bool(found.contributors) == (not unmet)


def test_nothing_at_all_needs_all(linear: ServedModel) -> None:
    found = assess(linear, "p1", [], now=AT)
    assert found.scored is None
    assert len(found.unmet) == 2
    assert np.isnan(found.vector[:6]).all()
    assert found.index_time == AT


@pytest.mark.parametrize(
    ("required", "who", "resources", "needed"),
    [
        pytest.param("age_years_since", patient(birthDate=None), (), ("age",), id="age unknown"),
        pytest.param("age_years_since", patient(), (), (), id="age known"),
        pytest.param("mean_pressure_last_24h", patient(), (), ("mean_pressure",), id="never measured"),
        pytest.param(
            "mean_pressure_last_24h",
            patient(),
            (observation("mean_pressure", 70, 25),),
            ("mean_pressure",),
            id="measured too long ago",
        ),
        pytest.param("shock_index", patient(), (), ("systolic_pressure",), id="of a ratio, the part that lacks"),
        pytest.param(
            "shock_index", patient(), (observation("systolic_pressure", 110),), (), id="a ratio with both parts"
        ),
    ],
)
def test_without_a_feature_that_training_always_had_there_is_no_risk(
    required: str, who: Json, resources: tuple[Json, ...], needed: tuple[str, ...], tmp_path: Path
) -> None:
    served = served_linear(tmp_path, required_features=(required,))
    found = assessed(served, *vitals(), *resources, who=who)
    assert found.required_missing == needed
    assert (found.scored is None) == bool(needed)


def test_the_server_s_clock_is_the_index_time_unless_it_is_set_otherwise(linear: ServedModel) -> None:
    found = assessed(linear, *vitals())
    assert (found.index_time, found.as_of) == (AT, "clock")


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        pytest.param(vitals(), AT - HOUR, id="the latest of several"),
        pytest.param((*vitals(), observation("heart_rate", 150, -3)), AT - HOUR, id="never after the clock"),
        pytest.param(
            (observation("creatinine", 1, 30, issued=at(28)),), AT - 28 * HOUR, id="when it became known, not drawn"
        ),
        pytest.param((*vitals(), gentamicin(0.2), kidney_disease()), AT - HOUR, id="an order is no Observation"),
        pytest.param((), AT, id="without any: the clock"),
    ],
)
def test_for_demonstrations_the_index_time_is_the_latest_observation(
    resources: tuple[Json, ...], expected: int, linear: ServedModel
) -> None:
    found = assessed(linear, *resources, as_of="latest-observation")
    assert found.index_time == expected


@pytest.mark.parametrize(
    "late",
    [
        pytest.param(observation("creatinine", 9, -0.01), id="drawn in the future"),
        pytest.param(observation("creatinine", 9, 1, issued=at(-1)), id="drawn before, issued after"),
    ],
)
def test_what_is_known_only_later_is_counted_and_not_used(late: Json, linear: ServedModel) -> None:
    without, found = assessed(linear, *vitals()), assessed(linear, *vitals(), late)
    assert found.refusals.total(Reason.AFTER_INDEX_TIME) == 1
    assert [(refusal.reason, refusal.concept) for refusal, _ in found.refusals] == [("after-index-time", "creatinine")]
    assert found.vector.tobytes() == without.vector.tobytes()
    assert found.contributors == without.contributors


OTHERS = [
    observation("creatinine", 9, of="p2"),
    observation("creatinine", 9, subject={"reference": "https://ehr.example/fhir/Patient/p2"}),
    kidney_disease(of="p2"),
    gentamicin(of="p2"),
    patient("p2", gender="male", birthDate="1930-01-01"),
]


@pytest.mark.parametrize("other", OTHERS, ids=["observation", "absolute reference", "condition", "order", "patient"])
def test_another_patient_s_data_are_refused_and_never_used(other: Json, linear: ServedModel) -> None:
    without, found = assessed(linear, *vitals()), assessed(linear, *vitals(), other)
    assert found.refusals.by_reason() == {"other-patient": 1}
    assert found.vector.tobytes() == without.vector.tobytes()
    assert probability_of(found) == probability_of(without)
    assert dataclasses.replace(found, refusals=without.refusals).evidence == without.evidence


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"valueQuantity": quantity(9, "/min")}, "unit-incompatible", id="a wrong unit"),
        pytest.param({"valueQuantity": quantity(9, "furlong")}, "unit-unknown", id="an unknown unit"),
        pytest.param({"valueQuantity": {"value": 9}}, "unit-missing", id="no unit"),
        pytest.param({"valueQuantity": quantity(900, "mg/dL")}, "value-implausible", id="not survivable"),
        pytest.param({"valueQuantity": quantity(9, "mg/dL", comparator=">")}, "value-censored", id="only a limit"),
        pytest.param({"valueQuantity": None}, "value-missing", id="no value"),
        pytest.param({"status": "entered-in-error"}, "status", id="entered in error"),
        pytest.param({"status": "preliminary"}, "status", id="preliminary"),
        pytest.param({"effectiveDateTime": None}, "time-missing", id="no time"),
        pytest.param({"effectiveDateTime": "2026-03-14"}, "time-imprecise", id="a date only"),
        pytest.param({"effectiveDateTime": "yesterday"}, "time-invalid", id="no date"),
        pytest.param({"subject": None}, "subject-missing", id="nobody's"),
        pytest.param({"status": 3}, "malformed", id="malformed"),
    ],
)
def test_a_value_that_cannot_be_used_is_counted_by_its_reason(
    changes: dict[str, Any], reason: str, linear: ServedModel
) -> None:
    without, found = assessed(linear, *vitals()), assessed(linear, *vitals(), observation("creatinine", 9, **changes))
    assert found.refusals.by_reason() == {reason: 1}
    assert found.vector.tobytes() == without.vector.tobytes()


@pytest.mark.parametrize(
    ("gender", "sex"), [("female", 0.0), ("male", 1.0), ("other", None), ("unknown", None), (None, None)]
)
def test_sex_is_what_the_record_says_and_never_guessed(
    gender: str | None, sex: float | None, linear: ServedModel
) -> None:
    assert assessed(linear, *vitals(), who=patient(gender=gender)).sex == sex


def test_an_explanation_that_does_not_add_up_is_left_out_and_the_risk_stays(tmp_path: Path) -> None:
    found = assessed(served_linear(tmp_path, leak=0.5), *vitals())
    assert found.scored is not None
    assert found.contributors == ()


def test_the_evidence_quotes_nothing_of_the_record_but_numbers(linear: ServedModel) -> None:
    found = assessed(linear, *vitals(), observation("creatinine", 9, valueQuantity=quantity(9, "Frau Muster")))
    assert "Muster" in repr(found.refusals)
    assert "Muster" not in repr(found.evidence)


@pytest.mark.parametrize(
    "resources", [vitals(), vitals()[1:], vitals()[:1], ()], ids=["all", "no lab", "lab only", "none"]
)
def test_minimum_data_can_be_asked_of_many_patients_without_scoring(
    resources: tuple[Json, ...], linear: ServedModel
) -> None:
    events = read(linear, "p1", raws([patient(), searchset(*resources)])).events
    assert has_minimum(linear, events, 0, AT) == (assessed(linear, *resources).scored is not None)


def test_a_model_without_a_released_bundle_says_how_to_get_one(tiny: CatalogEntry, tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="tiny: no bundle was released; train one with `bedside train`"):
        serve(dataclasses.replace(tiny, folder=tmp_path))


def test_a_damaged_released_bundle_is_not_served(tiny: CatalogEntry, bundle_copy: Path) -> None:
    (bundle_copy / "model.onnx").write_bytes(b"")
    with pytest.raises(BundleError, match=r"model\.onnx: its SHA-256 is"):
        serve(dataclasses.replace(tiny, folder=bundle_copy.parent))


def test_the_templates_ask_for_everything_that_the_features_read(linear: ServedModel) -> None:
    assert list(linear.templates) == [
        "patient",
        "observations",
        "conditions",
        "medication-requests",
        "medication-administrations",
        "medication-statements",
    ]
