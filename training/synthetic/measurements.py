"""What is measured of a course: vitals on rounds, blood on mornings, more of both in the ill, and gaps."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.synthetic.course import Course
from training.synthetic.patients import Person, happens

Values = NDArray[np.float64]
Indices = NDArray[np.int64]

MINUTES_PER_HOUR = 60
ILL, VERY_ILL = 0.35, 0.8
MORNING_HOUR = 6

# The units in which the values below are thought; the hospitals record them in their own.
SIMULATED_UNITS = {
    "heart_rate": "/min",
    "respiratory_rate": "/min",
    "temperature": "Cel",
    "spo2": "%",
    "systolic_pressure": "mm[Hg]",
    "diastolic_pressure": "mm[Hg]",
    "creatinine": "mg/dL",
    "bun": "mg/dL",
    "potassium": "mmol/L",
    "sodium": "mmol/L",
    "bicarbonate": "mmol/L",
    "lactate": "mmol/L",
    "wbc": "10*9/L",
    "platelets": "10*9/L",
    "c_reactive_protein": "mg/L",
    "hemoglobin": "g/dL",
    "albumin": "g/dL",
    "glucose": "mg/dL",
}


class Measurement(NamedTuple):
    """One value: minutes after admission, in the unit of `SIMULATED_UNITS`, and how long the result took."""

    concept: str
    minute: int
    value: float
    turnaround_minutes: int


def measure(person: Person, course: Course, admission_hour: int, rng: np.random.Generator) -> list[Measurement]:
    """All measurements of a stay, by time.

    Args:
        person: whose.
        course: what there is to measure.
        admission_hour: hour of the day, local time, at which the stay begins.
        rng: source of what chance decides.
    """
    found = [*_vitals(person, course, rng), *_laboratory(person, course, admission_hour, rng)]
    found.sort(key=lambda measurement: (measurement.minute, measurement.concept))
    return found


def _vitals(person: Person, course: Course, rng: np.random.Generator) -> Iterator[Measurement]:
    hours = _rounds(person, course, rng)
    minutes = np.minimum(hours * MINUTES_PER_HOUR + rng.integers(0, 50, len(hours)), course.hours * MINUTES_PER_HOUR)
    for concept, values in _vital_values(person, course, hours, rng).items():
        taken = rng.random(len(hours)) < _VITAL_TAKEN[concept]
        for minute, value in zip(minutes[taken].tolist(), values[taken].tolist(), strict=True):
            yield Measurement(concept, minute, value, 0)


# Respirations are counted less often than a cuff is put on. One draw decides for both pressures: they share a cuff.
_VITAL_TAKEN = {"heart_rate": 0.96, "respiratory_rate": 0.6, "temperature": 0.8, "spo2": 0.85, "systolic_pressure": 1.0}


def _rounds(person: Person, course: Course, rng: np.random.Generator) -> Indices:
    """Hours of the nurses' rounds: every 8 hours, every 4 in the ill."""
    rounds, hour = [], int(rng.integers(0, 2))
    illness = course.illness
    while hour < course.hours:
        rounds.append(hour)
        hour += 4 if illness[hour] > ILL and not person.is_sparse else 8
    kept = rng.random(len(rounds)) < (0.5 if person.is_sparse else 0.93)
    return np.array(rounds, np.int64)[kept]


def _vital_values(person: Person, course: Course, hours: Indices, rng: np.random.Generator) -> dict[str, Values]:
    infection, hypotension, depletion = course.infection[hours], course.hypotension[hours], course.depletion[hours]
    habit = rng.normal(0.0, 1.0, 5)  # what is usual for this patient
    noise = rng.normal(0.0, 1.0, (5, len(hours)))
    heart_failure = person.reason.id == "heart failure"
    resting_systolic = 126 + 9 * ("hypertension" in person.comorbidities) - 8 * heart_failure + 11 * habit[0]
    return {
        "heart_rate": 78 + 9 * habit[1] + 18 * infection + 16 * hypotension + 9 * depletion + 7 * noise[0],
        "respiratory_rate": np.round(
            15.5 + 1.2 * habit[2] + 5.5 * infection + 2.5 * hypotension + 2.5 * heart_failure + 1.8 * noise[1]
        ),
        "temperature": 36.7 + 0.15 * habit[3] + 1.1 * infection * np.exp(0.3 * noise[4]) + 0.25 * noise[2],
        "spo2": np.minimum(100, 96.8 + 0.8 * habit[4] - 3.5 * infection - 1.5 * heart_failure + 1.3 * noise[3]),
        "systolic_pressure": np.maximum(
            62, resting_systolic - 34 * hypotension - 12 * infection - 8 * depletion + 10 * noise[4]
        ),
    }


def diastolic_of(systolic_mm_hg: float, age_years: float) -> float:
    """A diastolic pressure beside a systolic one: pulse pressure widens with age."""
    return systolic_mm_hg * (0.64 - 0.0015 * (age_years - 50))


def _laboratory(person: Person, course: Course, admission_hour: int, rng: np.random.Generator) -> Iterator[Measurement]:
    hours = _draws(person, course, admission_hour, rng)
    minutes = hours * MINUTES_PER_HOUR + rng.integers(5, 55, len(hours))
    turnaround = rng.integers(35, 150, len(hours))
    for concept, values in _laboratory_values(person, course, hours, rng).items():
        asked = rng.random(len(hours)) < _asked(concept, course.illness[hours], hours)
        for index in np.flatnonzero(asked).tolist():
            fast = concept in _POINT_OF_CARE
            yield Measurement(concept, int(minutes[index]), float(values[index]), 4 if fast else int(turnaround[index]))


_POINT_OF_CARE = frozenset({"lactate", "bicarbonate"})


def _draws(person: Person, course: Course, admission_hour: int, rng: np.random.Generator) -> Indices:
    """Hours of blood draws: on admission, then in the mornings, and in the evenings of bad days."""
    first_morning = (MORNING_HOUR - admission_hour) % 24
    illness = course.illness
    draws = [0] if happens(0.95, rng) else []
    daily = 0.35 if person.is_sparse else 0.75
    for morning in range(max(first_morning, 4), course.hours, 24):
        if happens(0.96 if illness[morning] > ILL and not person.is_sparse else daily, rng):
            draws.append(morning)
        evening = morning + 12
        if evening < course.hours and illness[evening] > VERY_ILL and happens(0.6, rng):
            draws.append(evening)
    return np.array(draws, np.int64)


# Probability that a draw includes an analyte: on admission, and later in the well; the ill come nearer to the first.
_ASKED = {
    "creatinine": (0.98, 0.93),
    "potassium": (0.98, 0.93),
    "sodium": (0.98, 0.9),
    "bun": (0.85, 0.6),
    "bicarbonate": (0.5, 0.15),
    "lactate": (0.45, 0.06),
    "wbc": (0.95, 0.6),
    "hemoglobin": (0.95, 0.65),
    "platelets": (0.9, 0.35),
    "c_reactive_protein": (0.85, 0.45),
    "albumin": (0.35, 0.06),
    "glucose": (0.85, 0.4),
}


def _asked(concept: str, illness: Values, hours: Indices) -> Values:
    on_admission, later = _ASKED[concept]
    share = np.where(hours == 0, 1.0, np.minimum(illness, 1.0))
    return np.asarray(later + (on_admission - later) * share, np.float64)


def _laboratory_values(person: Person, course: Course, hours: Indices, rng: np.random.Generator) -> dict[str, Values]:
    noise = dict(zip(_ASKED, rng.normal(0.0, 1.0, (len(_ASKED), len(hours))), strict=True))
    habit = dict(zip(_ASKED, rng.normal(0.0, 1.0, len(_ASKED)).tolist(), strict=True))  # usual for this patient
    return _chemistry(person, course, hours, habit, noise) | _blood_count_and_proteins(
        person, course, hours, habit, noise
    )


def _chemistry(
    person: Person, course: Course, hours: Indices, habit: dict[str, float], noise: dict[str, Values]
) -> dict[str, Values]:
    infection, depletion, low_pressure = course.infection[hours], course.depletion[hours], course.hypotension[hours]
    ratio = course.creatinine_ratio[hours]
    retention = np.maximum(ratio - 1.0, 0.0)
    reserve = 60.0 / person.gfr_ml_per_min  # above 1 with less than half of the healthy filtration
    urea_load = (1 + 0.5 * depletion) * (1.7 if person.reason.id == "gastrointestinal bleeding" else 1.0)
    diuretic = any(exposure.concept == "loop_diuretic" for exposure in course.exposures)
    lactate = (1.0 + 1.6 * infection * (0.4 + low_pressure) + 1.2 * low_pressure) * _spread("lactate", habit, noise)
    return {
        "creatinine": person.creatinine_mg_per_dl * ratio * np.exp(0.03 * noise["creatinine"]),
        "bun": 15 * reserve**0.6 * (1 + retention) * urea_load * _spread("bun", habit, noise),
        "potassium": 4.0 + 0.15 * reserve - 0.25 * diuretic + 0.45 * retention + _shift("potassium", habit, noise),
        "bicarbonate": 25 - 2.0 * retention - 1.3 * (lactate - 1) + _shift("bicarbonate", habit, noise),
        "sodium": 139 - 1.5 * diuretic + _shift("sodium", habit, noise),
        "lactate": lactate,
        "glucose": (104 + 50 * ("diabetes" in person.comorbidities) + 18 * infection)
        * _spread("glucose", habit, noise),
    }


def _blood_count_and_proteins(
    person: Person, course: Course, hours: Indices, habit: dict[str, float], noise: dict[str, Values]
) -> dict[str, Values]:
    marker = course.inflammation[hours]
    healthy_haemoglobin = 13.9 if person.is_male else 12.7
    renal_anaemia = 1.5 * max(60.0 / person.gfr_ml_per_min - 1.0, 0.0)
    haemoglobin = healthy_haemoglobin - renal_anaemia - course.blood_loss_g_per_dl[hours]
    albumin = 3.9 - 0.006 * (person.age_years - 60) - 0.7 * marker
    return {
        "wbc": (7.2 + 8.5 * marker) * _spread("wbc", habit, noise),
        "platelets": np.maximum(15, (245 - 45 * course.infection[hours]) * _spread("platelets", habit, noise)),
        "c_reactive_protein": (3.0 + 190 * marker) * _spread("c_reactive_protein", habit, noise),
        "hemoglobin": np.maximum(5.5, haemoglobin + _shift("hemoglobin", habit, noise)),
        "albumin": np.clip(albumin + _shift("albumin", habit, noise), 1.4, 5.2),
    }


# Standard deviations between patients and within one, of the logarithm or of the value itself.
_LOG_SPREAD = {
    "bun": (0.2, 0.08),
    "lactate": (0.2, 0.15),
    "glucose": (0.15, 0.17),
    "wbc": (0.25, 0.12),
    "platelets": (0.25, 0.08),
    "c_reactive_protein": (0.6, 0.15),
}
_SPREAD = {
    "potassium": (0.2, 0.25),
    "bicarbonate": (1.0, 1.2),
    "sodium": (2.2, 1.5),
    "hemoglobin": (1.3, 0.35),
    "albumin": (0.35, 0.15),
}


def _spread(concept: str, habit: dict[str, float], noise: dict[str, Values]) -> Values:
    between, within = _LOG_SPREAD[concept]
    return np.asarray(np.exp(between * habit[concept] + within * noise[concept]), np.float64)


def _shift(concept: str, habit: dict[str, float], noise: dict[str, Values]) -> Values:
    between, within = _SPREAD[concept]
    return np.asarray(between * habit[concept] + within * noise[concept], np.float64)
