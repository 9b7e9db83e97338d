"""The latent course: kidneys, creatinine and what is measured of them behave as in the textbook."""

import numpy as np
import pytest

from training.synthetic.course import _creatinine, draw_course
from training.synthetic.measurements import diastolic_of, measure
from training.synthetic.patients import OLDEST_YEARS, YOUNGEST_YEARS, creatinine_of, draw_person


# CKD-EPI 2021 by hand: 142 × (Scr/κ)^−1.2 × 0.9938^age (× 1.012 in women) where Scr is above κ.
@pytest.mark.parametrize(
    ("creatinine", "age", "is_male", "gfr"),
    [
        pytest.param(0.9, 50.0, True, 142 * 0.9938**50, id="man at κ"),
        pytest.param(0.7, 50.0, False, 142 * 0.9938**50 * 1.012, id="woman at κ"),
        pytest.param(1.8, 70.0, True, 142 * 2**-1.2 * 0.9938**70, id="man at 2 κ"),
        pytest.param(0.45, 30.0, True, 142 * 0.5**-0.302 * 0.9938**30, id="man at κ/2"),
    ],
)
def test_creatinine_inverts_ckd_epi(creatinine: float, age: float, is_male: bool, gfr: float) -> None:  # noqa: FBT001
    assert creatinine_of(gfr, age_years=age, is_male=is_male) == pytest.approx(creatinine)


def test_creatinine_settles_at_the_inverse_of_filtration() -> None:
    ratio = _creatinine(np.full(400, 0.5), gfr_ml_per_min=90.0, start_ratio=1.0)
    assert ratio[-1] == pytest.approx(2.0, abs=1e-3)
    assert (np.diff(ratio) > 0)[:50].all()


def test_worse_kidneys_show_an_injury_later() -> None:
    half = np.full(400, 0.5)
    hours = [
        int(np.argmax(_creatinine(half, gfr_ml_per_min=gfr, start_ratio=1.0) > 1.5)) for gfr in (100.0, 50.0, 25.0)
    ]
    assert hours == sorted(hours)
    assert hours[0] < 20 < hours[-1]


def test_courses_have_one_value_for_each_hour_of_the_stay() -> None:
    for number in range(30):
        rng = np.random.default_rng([5, number])
        person = draw_person(rng)
        course = draw_course(person, rng)
        assert YOUNGEST_YEARS <= person.age_years <= OLDEST_YEARS
        states = (course.infection, course.hypotension, course.depletion, course.filtration, course.creatinine_ratio)
        assert {len(state) for state in states} == {course.hours}
        assert all(np.isfinite(state).all() and (state >= 0).all() for state in states)
        assert all(0 <= exposure.start < exposure.end <= course.hours for exposure in course.exposures)


def test_measurements_lie_within_the_stay_in_order_of_time() -> None:
    rng = np.random.default_rng(3)
    person = draw_person(rng)
    course = draw_course(person, rng)
    minutes = [one.minute for one in measure(person, course, 9, rng)]
    assert minutes == sorted(minutes)
    assert minutes[0] >= 0
    assert minutes[-1] <= course.hours * 60


def test_pulse_pressure_widens_with_age() -> None:
    assert diastolic_of(130.0, 80.0) < diastolic_of(130.0, 40.0) < 130.0
