"""The latent course of a stay, hour by hour: illness, exposures, and what they do to the kidneys."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.synthetic.patients import Person, happens

Hours = NDArray[np.float64]

SHORTEST_STAY_HOURS, LONGEST_STAY_HOURS = 20, 24 * 21
BODY_WATER_L = 42.0  # the volume that creatinine is spread in
LITRES_PER_HOUR = 0.06  # per mL/min

# Log hazard of kidney injury. The directions are the textbook's, the sizes are invented.
BASE_HAZARD_PER_HOUR = 2.0e-4
HAZARD_OF_COMORBIDITY = {"chronic_kidney_disease": 1.0, "diabetes": 0.3, "heart_failure": 0.6, "hypertension": 0.1}
HAZARD_OF_DRUG = {"aminoglycoside": 1.1, "vancomycin": 0.8, "nephrotoxic_nsaid": 0.6, "loop_diuretic": 0.2}
HAZARD_OF_INFECTION, HAZARD_OF_HYPOTENSION, HAZARD_OF_DEPLETION = 2.4, 2.2, 1.5
HAZARD_PER_DECADE = 0.25

HOSPITAL_INFECTIONS_PER_DAY = 0.015

HOME_DRUGS = {
    "raas_inhibitor": {"hypertension": 0.5, "heart_failure": 0.3},
    "loop_diuretic": {"heart_failure": 0.6, "chronic_kidney_disease": 0.2},
    "proton_pump_inhibitor": {},
}
BASE_HOME_DRUG = 0.08
TREATED_INFECTION, TREATED_FROM_HOUR = 0.5, 48  # an infection of the hospital may be treated with vancomycin
DOSE_INTERVAL_HOURS = {"vancomycin": 12, "nephrotoxic_nsaid": 12}  # others once a day


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """A drug given from hour to hour of the stay; one taken at home was ordered on admission."""

    concept: str
    start: int
    end: int
    from_home: bool

    @property
    def doses(self) -> range:
        """Hours at which it is given."""
        return range(self.start, self.end, DOSE_INTERVAL_HOURS.get(self.concept, 24))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Course:
    """Latent states of each hour of a stay [H]; only what is measured of them reaches the record.

    Attributes:
        infection, hypotension, depletion: severity, 0 none to about 1.
        inflammation: infection with the delay of its markers.
        blood_loss_g_per_dl: haemoglobin lost so far.
        exposures: drugs.
        filtration: share of the healthy filtration rate.
        creatinine_ratio: serum creatinine as a multiple of its healthy value.
    """

    infection: Hours
    hypotension: Hours
    depletion: Hours
    inflammation: Hours
    blood_loss_g_per_dl: Hours
    exposures: tuple[Exposure, ...]
    filtration: Hours
    creatinine_ratio: Hours

    @property
    def hours(self) -> int:
        """Length of stay."""
        return len(self.infection)

    @property
    def illness(self) -> Hours:
        """How ill the patient looks, and so how often somebody measures."""
        return self.infection + self.hypotension + 0.5 * self.depletion


def draw_course(person: Person, rng: np.random.Generator) -> Course:
    """Draw the hours of one stay."""
    reason = person.reason
    days = reason.median_stay_days * math.exp(rng.normal(0.0, 0.55))
    hours = int(np.clip(days * 24, SHORTEST_STAY_HOURS, LONGEST_STAY_HOURS))
    clock = np.arange(hours, dtype=np.float64)
    infection = _infection(person, clock, rng)
    hypotension = _hypotension(person, infection, clock, rng)
    depletion = reason.depletion * rng.gamma(3.0, 1 / 3.0) * np.exp(-clock / rng.uniform(18.0, 60.0))
    exposures = tuple(_exposures(person, infection, hours, rng))
    hazard = _hazard(person, infection, hypotension, depletion, exposures)
    arrives_injured = happens(reason.injury_on_arrival, rng)
    filtration = _filtration(hazard, arrives_injured=arrives_injured, rng=rng)
    start_ratio = 1.0 + (rng.gamma(2.0, 0.4) if arrives_injured else 0.0)
    return Course(
        infection=infection,
        hypotension=hypotension,
        depletion=depletion,
        inflammation=_lagged(infection, start=0.5 * infection[0], time_constant=20.0),
        blood_loss_g_per_dl=_blood_loss(person, clock, rng),
        exposures=exposures,
        filtration=filtration,
        creatinine_ratio=_creatinine(filtration, person.gfr_ml_per_min, start_ratio),
    )


def _infection(person: Person, clock: Hours, rng: np.random.Generator) -> Hours:
    """What the patient came with, waning under treatment, and perhaps a hospital infection later."""
    severity = person.reason.infection * rng.gamma(4.0, 1 / 4.0)
    responds = happens(0.8, rng)
    infection = severity * np.exp(-clock / (rng.uniform(30.0, 90.0) if responds else 240.0))
    if happens(1 - math.exp(-HOSPITAL_INFECTIONS_PER_DAY * len(clock) / 24), rng):
        onset = rng.uniform(24.0, max(25.0, float(len(clock))))
        since = np.maximum(clock - onset, 0.0)
        infection += rng.uniform(0.3, 0.9) * (1 - np.exp(-since / 8)) * np.exp(-since / 60)
    return np.asarray(infection, np.float64)


def _hypotension(person: Person, infection: Hours, clock: Hours, rng: np.random.Generator) -> Hours:
    """Episodes of some hours, most of them early and in the septic."""
    expected = person.reason.hypotensions_per_day * min(len(clock), 96) / 24 * (0.6 + infection[0])
    pressure = np.zeros_like(clock)
    for _ in range(rng.poisson(expected)):
        onset = rng.uniform(0.0, 1.0) ** 1.5 * len(clock)
        since = clock - onset
        length = rng.uniform(4.0, 20.0)
        pressure += rng.uniform(0.4, 1.1) * ((since >= 0) & (since < length))
    return np.minimum(pressure, 1.5)


def _exposures(person: Person, infection: Hours, hours: int, rng: np.random.Generator) -> list[Exposure]:
    found = []
    for concept, odds in HOME_DRUGS.items():
        probability = BASE_HOME_DRUG + sum(p for condition, p in odds.items() if condition in person.comorbidities)
        if happens(probability, rng):
            stops = hours if happens(0.6, rng) else int(rng.integers(1, 48))  # many are paused on admission
            found.append(Exposure(concept=concept, start=0, end=min(stops, hours), from_home=True))
    at_home = {exposure.concept for exposure in found}
    for concept, probability in person.reason.drugs.items():
        if concept not in at_home and happens(probability, rng):
            start = int(rng.integers(1, 30))
            end = min(start + int(rng.integers(24, 144)), hours)
            found.append(Exposure(concept=concept, start=start, end=end, from_home=False))
    late = [hour for hour in np.flatnonzero(infection > TREATED_INFECTION).tolist() if hour > TREATED_FROM_HOUR]
    if late and "vancomycin" not in person.reason.drugs and happens(0.3, rng):
        found.append(Exposure(concept="vancomycin", start=late[0], end=hours, from_home=False))
    return [exposure for exposure in found if exposure.start < exposure.end]


def _hazard(
    person: Person, infection: Hours, hypotension: Hours, depletion: Hours, exposures: tuple[Exposure, ...]
) -> Hours:
    """Hourly hazard of a new kidney injury; low pressure and drugs work on for a day."""
    log_hazard = np.full(len(infection), math.log(BASE_HAZARD_PER_HOUR) + person.susceptibility)
    log_hazard += sum(HAZARD_OF_COMORBIDITY.get(condition, 0.0) for condition in sorted(person.comorbidities))
    log_hazard += HAZARD_PER_DECADE * (person.age_years - 65.0) / 10
    log_hazard += HAZARD_OF_INFECTION * np.minimum(infection, 1.2) + HAZARD_OF_DEPLETION * np.minimum(depletion, 1.2)
    log_hazard += HAZARD_OF_HYPOTENSION * _lagged(hypotension, start=0.0, time_constant=12.0)
    for exposure in exposures:
        log_hazard[exposure.start : exposure.end + 24] += HAZARD_OF_DRUG.get(exposure.concept, 0.0)
    return np.asarray(np.exp(log_hazard), np.float64)


def _filtration(hazard: Hours, *, arrives_injured: bool, rng: np.random.Generator) -> Hours:
    """Share of healthy filtration: an hourly wobble, and an injury where the hazard struck."""
    hours = len(hazard)
    clock = np.arange(hours, dtype=np.float64)
    filtration = np.exp(_lagged(rng.normal(0.0, 0.25, hours), start=0.0, time_constant=24.0))
    struck = np.flatnonzero(np.cumsum(hazard) > rng.exponential())
    onsets = [float(struck[0])] if len(struck) else []
    if arrives_injured:
        onsets.append(-float(rng.uniform(12.0, 60.0)))
    for onset in onsets:
        depth = rng.beta(2.2, 2.2) * 0.6 + 0.3
        fall, plateau = rng.uniform(10.0, 48.0), rng.uniform(12.0, 72.0)
        recovery_hours = rng.uniform(20.0, 72.0) if happens(0.75, rng) else 600.0
        since = np.maximum(clock - onset, 0.0)
        fallen = np.minimum(since / fall, 1.0)
        healed = np.exp(-np.maximum(since - fall - plateau, 0.0) / recovery_hours)
        filtration *= 1.0 - depth * fallen * healed
    return np.asarray(filtration, np.float64)


def _creatinine(filtration: Hours, gfr_ml_per_min: float, start_ratio: float) -> Hours:
    """One-compartment kinetics, in multiples of the healthy value: production 1, clearance by filtration.

    Worse kidneys have slower kinetics: creatinine needs a day or more to show what has happened to them.
    """
    rate = gfr_ml_per_min * LITRES_PER_HOUR / BODY_WATER_L
    ratio, course = start_ratio, []
    for share in filtration.tolist():
        ratio += rate * (1.0 - share * ratio)
        course.append(ratio)
    return np.array(course)


def _lagged(signal: Hours, *, start: float, time_constant: float) -> Hours:
    """First-order lag of an hourly signal."""
    weight = 1.0 - math.exp(-1.0 / time_constant)
    state, course = start, []
    for value in signal.tolist():
        state += weight * (value - state)
        course.append(state)
    return np.array(course)


def _blood_loss(person: Person, clock: Hours, rng: np.random.Generator) -> Hours:
    total = {"gastrointestinal bleeding": 2.5, "emergency surgery": 1.8, "elective surgery": 1.2}
    lost = total.get(person.reason.id, 0.3) * rng.gamma(3.0, 1 / 3.0)
    return np.asarray(lost * (1 - np.exp(-clock / 14.0)), np.float64)
