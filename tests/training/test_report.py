"""Bands, thresholds and recalibration: chosen where they say, measured where they were not chosen."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from features.events import MICROSECONDS_PER_HOUR, Events
from features.reading.reader import Record
from features.refusals import Refusals
from models.catalog import find
from models.cohort import Cohort
from models.spec import ModelSpec, RiskBand, ThresholdRule
from training import calibrate, evaluate
from training.cross_validation import cross_validate, sigmoid
from training.dataset import Dataset
from training.estimators import logistic_baseline
from training.report import (
    BandError,
    band_performance,
    choose_bands,
    measure_out_of_fold,
    recalibrated,
    require_ascending,
)
from training.rows import Rows

PATIENTS, HOURS = 240, 10


def nothing(*_: Any) -> None:
    """No progress is shown."""


@pytest.fixture(scope="module")
def rows() -> Rows:
    """Stays of ten hours; some become ill from a random hour on, and one feature tells, with noise."""
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(PATIENTS), HOURS)
    hours = np.tile(np.arange(HOURS), PATIENTS)
    onset = np.where(rng.random(PATIENTS) < 0.25, rng.integers(2, HOURS, PATIENTS), HOURS)
    labels = hours >= onset[patients]
    matrix = np.stack([labels + rng.normal(size=len(labels)), rng.normal(size=len(labels))], axis=1)
    events = Events.of([], patients=[str(number) for number in range(PATIENTS)])
    record = Record(events=events, stays=(), refusals=Refusals(), resources=0)
    dataset = Dataset(name="made", role="development", licence="", attribution="", record=record, files=())
    cohort = Cohort(patients=patients, times=hours * MICROSECONDS_PER_HOUR, flow=())
    return Rows(
        dataset=dataset,
        cohort=cohort,
        matrix=matrix.astype(np.float32),
        labels=labels,
        patients=patients,
        hours=hours,
        subgroups={"even": patients % 2 == 0},
        flow=(),
    )


def spec(*rules: ThresholdRule) -> ModelSpec:
    bands = [RiskBand(id=f"band{number}", indicator="warning", rule=rule) for number, rule in enumerate(rules)]
    return replace(find("sepsis").spec, bands=(RiskBand(id="low", indicator="info"), *bands))


def probabilities(rows: Rows) -> NDArray[np.float64]:
    return sigmoid(rows.matrix[:, 0].astype(np.float64) * 2 - 3)


def test_an_alert_rate_is_kept(rows: Rows) -> None:
    told = probabilities(rows)
    _, band = choose_bands(spec(ThresholdRule(kind="alert_rate", value=0.05)), rows, told)
    assert 0.03 < float((told >= band.lower_probability).mean()) <= 0.05


def test_a_multiple_of_the_base_rate_is_one(rows: Rows) -> None:
    _, band = choose_bands(spec(ThresholdRule(kind="times_base_rate", value=3)), rows, probabilities(rows))
    assert band.lower_probability == pytest.approx(3 * rows.labels.mean())


def test_bands_say_why_they_begin_where_they_do(rows: Rows) -> None:
    bands = choose_bands(find("sepsis").spec, rows, probabilities(rows))
    assert [band.id for band in bands] == ["low", "raised", "high"]
    assert bands[0].lower_probability == 0
    assert all(band.reason for band in bands)


def test_bands_that_do_not_ascend_are_named(rows: Rows) -> None:
    rules = (ThresholdRule(kind="times_base_rate", value=4), ThresholdRule(kind="times_base_rate", value=2))
    bands = choose_bands(spec(*rules), rows, probabilities(rows))
    require_ascending(bands[:2])
    with pytest.raises(BandError, match=r"band1 \(2 times the base rate\).*band0 \(4 times the base rate\)"):
        require_ascending(bands)


def test_out_of_fold_probabilities_are_calibrated_and_no_patient_is_split(rows: Rows) -> None:
    found = cross_validate(rows, logistic_baseline, folds=4, seed=1, name="baseline", progress=nothing)
    folds_of = [set(found.folds[rows.patients == patient]) for patient in range(PATIENTS)]
    assert all(len(folds) == 1 for folds in folds_of)
    assert evaluate.auroc(rows.labels, found.probabilities) > 0.7
    assert evaluate.calibration_slope(rows.labels, found.probabilities) == pytest.approx(1, abs=0.15)


def test_a_measured_model_tells_each_alarm_band(rows: Rows) -> None:
    sepsis = find("sepsis").spec
    found = cross_validate(rows, logistic_baseline, folds=4, seed=1, name="baseline", progress=nothing)
    bands = choose_bands(sepsis, rows, found.probabilities)
    measured = measure_out_of_fold(sepsis, rows, found, bands, seed=1, resamples=5, progress=nothing)
    told = band_performance(bands, measured.performance.operating_points)
    assert set(told) == {"raised", "high"}
    raised = float((found.probabilities >= bands[1].lower_probability).mean())
    assert told["raised"].alert_rate == pytest.approx(raised)
    assert measured.utility is not None
    assert measured.utility.value is not None
    assert 0 < measured.utility.value <= 1
    assert measured.as_dict()["utility"]["value"] == measured.utility.value


def test_recalibration_mends_a_site_where_the_risk_is_told_too_high(rows: Rows) -> None:
    logits = calibrate.fit_platt(rows.matrix[:, 0].astype(np.float64), rows.labels)
    told = calibrate.apply(logits, rows.matrix[:, 0].astype(np.float64)) + 1.5
    before, after = sigmoid(told), recalibrated(rows, told, seed=2)
    assert evaluate.calibration_intercept(rows.labels, before) < -1
    assert evaluate.calibration_intercept(rows.labels, after) == pytest.approx(0, abs=0.2)
