"""Synthetic patients: who is admitted, why, with which chronic conditions and which kidneys."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

FEMALE_KAPPA_MG_PER_DL, MALE_KAPPA_MG_PER_DL = 0.7, 0.9
FEMALE_ALPHA, MALE_ALPHA = -0.241, -0.302
YOUNGEST_YEARS, OLDEST_YEARS = 16.0, 98.0
SPARSE_SHARE = 0.12  # patients of whom little is measured


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionReason:
    """Why someone comes, and what it tends to bring with it.

    Attributes:
        id: name in this table.
        share: of admissions, before comorbidities are looked at.
        infection, depletion: mean severity on arrival, 0 none to 1 severe.
        hypotensions_per_day: expected episodes of low pressure.
        injury_on_arrival: probability of a kidney injury that is there on admission.
        median_stay_days: of the log-normal length of stay.
        drugs: probability of each in-hospital drug, by concept.
        diagnosis: ICD-10 code and SNOMED CT code of the reason itself, where no concept stands for it.
    """

    id: str
    share: float
    infection: float = 0.0
    depletion: float = 0.1
    hypotensions_per_day: float = 0.05
    injury_on_arrival: float = 0.02
    median_stay_days: float = 5.0
    drugs: Mapping[str, float] = field(default_factory=dict)
    diagnosis: tuple[str, str] | None = None


# Shares and probabilities are invented to be plausible for an acute hospital; they estimate nothing.
REASONS = (
    AdmissionReason(
        id="sepsis",
        share=0.10,
        infection=0.85,
        depletion=0.5,
        hypotensions_per_day=0.6,
        injury_on_arrival=0.22,
        median_stay_days=7.5,
        drugs={"vancomycin": 0.3, "aminoglycoside": 0.15, "proton_pump_inhibitor": 0.6, "loop_diuretic": 0.2},
    ),
    AdmissionReason(
        id="pneumonia",
        share=0.16,
        infection=0.55,
        depletion=0.3,
        hypotensions_per_day=0.15,
        injury_on_arrival=0.08,
        median_stay_days=5.5,
        drugs={"vancomycin": 0.08, "aminoglycoside": 0.03, "proton_pump_inhibitor": 0.4, "nephrotoxic_nsaid": 0.1},
        diagnosis=("J18.9", "233604007"),
    ),
    AdmissionReason(
        id="heart failure",
        share=0.12,
        depletion=0.05,
        hypotensions_per_day=0.2,
        injury_on_arrival=0.10,
        median_stay_days=6.0,
        drugs={"loop_diuretic": 0.95, "proton_pump_inhibitor": 0.4},
    ),
    AdmissionReason(
        id="elective surgery",
        share=0.24,
        infection=0.05,
        depletion=0.2,
        hypotensions_per_day=0.15,
        injury_on_arrival=0.005,
        median_stay_days=4.5,
        drugs={"nephrotoxic_nsaid": 0.5, "proton_pump_inhibitor": 0.5},
    ),
    AdmissionReason(
        id="emergency surgery",
        share=0.10,
        infection=0.3,
        depletion=0.45,
        hypotensions_per_day=0.4,
        injury_on_arrival=0.07,
        median_stay_days=7.0,
        drugs={"nephrotoxic_nsaid": 0.3, "aminoglycoside": 0.12, "vancomycin": 0.08, "proton_pump_inhibitor": 0.6},
    ),
    AdmissionReason(
        id="gastrointestinal bleeding",
        share=0.08,
        depletion=0.7,
        hypotensions_per_day=0.4,
        injury_on_arrival=0.12,
        drugs={"proton_pump_inhibitor": 0.95},
        diagnosis=("K92.2", "74474003"),
    ),
    AdmissionReason(
        id="other",
        share=0.20,
        infection=0.08,
        median_stay_days=3.8,
        drugs={"nephrotoxic_nsaid": 0.2, "proton_pump_inhibitor": 0.3},
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One patient on the day of admission.

    Attributes:
        age_years: on admission.
        is_male: sex.
        comorbidities: concept ids of chronic conditions.
        gfr_ml_per_min: glomerular filtration rate in health, per 1.73 m².
        creatinine_mg_per_dl: what that rate means for the blood.
        reason: of admission.
        susceptibility: log hazard that nothing in the record tells.
        weight_kg: body weight.
        is_sparse: whether little will be measured.
    """

    age_years: float
    is_male: bool
    comorbidities: frozenset[str]
    gfr_ml_per_min: float
    creatinine_mg_per_dl: float
    reason: AdmissionReason
    susceptibility: float
    weight_kg: int
    is_sparse: bool


def happens(probability: float, rng: np.random.Generator) -> bool:
    """Draw whether something of that probability happens."""
    return bool(rng.random() < probability)


def draw_person(rng: np.random.Generator) -> Person:
    """Draw a patient; older patients have more chronic conditions, and those have worse kidneys."""
    age = float(np.clip(rng.normal(66.0, 16.0), YOUNGEST_YEARS, OLDEST_YEARS))
    is_male = happens(0.53, rng)
    comorbidities = _comorbidities(age, rng)
    gfr = _filtration_rate(age, comorbidities, rng)
    return Person(
        age_years=age,
        is_male=is_male,
        comorbidities=comorbidities,
        gfr_ml_per_min=gfr,
        creatinine_mg_per_dl=creatinine_of(gfr, age_years=age, is_male=is_male),
        reason=_reason(comorbidities, rng),
        susceptibility=float(rng.normal(0.0, 0.35)),
        weight_kg=int(np.clip(rng.normal(84.0 if is_male else 71.0, 14.0), 40.0, 160.0)),
        is_sparse=happens(SPARSE_SHARE, rng),
    )


def creatinine_of(gfr_ml_per_min: float, *, age_years: float, is_male: bool) -> float:
    """Serum creatinine in mg/dL at which the CKD-EPI 2021 equation gives a filtration rate.

    Source: Inker et al. 2021, N Engl J Med 385:1737, equation without race, solved for creatinine.
    """
    kappa = MALE_KAPPA_MG_PER_DL if is_male else FEMALE_KAPPA_MG_PER_DL
    alpha = MALE_ALPHA if is_male else FEMALE_ALPHA
    ratio = gfr_ml_per_min / (142.0 * 0.9938**age_years * (1.0 if is_male else 1.012))
    exponent = -1.200 if ratio <= 1 else alpha
    return float(kappa * ratio ** (1.0 / exponent))


def _comorbidities(age: float, rng: np.random.Generator) -> frozenset[str]:
    decades = (age - 65.0) / 10.0
    log_odds = {
        "hypertension": 0.1 + 0.55 * decades,
        "diabetes": -1.2 + 0.25 * decades,
        "heart_failure": -2.0 + 0.6 * decades,
        "chronic_kidney_disease": -2.1 + 0.55 * decades,
    }
    found: set[str] = set()
    for concept, odds in log_odds.items():
        together = odds + 0.5 * len(found)  # they come together
        if happens(1.0 / (1.0 + math.exp(-together)), rng):
            found.add(concept)
    return frozenset(found)


def _filtration_rate(age: float, comorbidities: frozenset[str], rng: np.random.Generator) -> float:
    if "chronic_kidney_disease" in comorbidities:
        return float(rng.uniform(20.0, 60.0))
    healthy = 118.0 - 0.75 * (age - 25.0) - 4.0 * len(comorbidities)
    return float(np.clip(rng.normal(healthy, 12.0), 55.0, 135.0))


def _reason(comorbidities: frozenset[str], rng: np.random.Generator) -> AdmissionReason:
    weights = np.array([reason.share for reason in REASONS])
    has_heart_failure = "heart_failure" in comorbidities
    weights[[reason.id == "heart failure" for reason in REASONS]] *= 3.0 if has_heart_failure else 0.35
    return REASONS[int(rng.choice(len(REASONS), p=weights / weights.sum()))]
