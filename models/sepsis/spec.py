"""What the model `sepsis` is: features, minimum data, risk bands and intended use."""

from features.feature import Aggregate, Aggregation, Difference, Feature, FeatureSet, Ratio
from models.sepsis.label import HORIZON_HOURS
from models.spec import MinimumData, ModelSpec, RiskBand, ThresholdRule

# No feature looks further back than two days. Longer windows tell how long a patient has been watched, and in the
# challenge's system A nearly all stays that were recorded beyond 60 hours are septic: docs/decisions/0001.
LAST_HOURS = 48.0

VITALS = (
    "heart_rate",
    "respiratory_rate",
    "temperature",
    "spo2",
    "systolic_pressure",
    "mean_pressure",
    "diastolic_pressure",
)
# End-tidal CO2 is not among them: the development data hold none.
SAMPLES = (
    "fio2",
    "base_excess",
    "bicarbonate",
    "ph",
    "paco2",
    "sao2",
    "ast",
    "bun",
    "alkaline_phosphatase",
    "calcium",
    "chloride",
    "creatinine",
    "bilirubin_direct",
    "bilirubin_total",
    "glucose",
    "lactate",
    "magnesium",
    "phosphate",
    "potassium",
    "troponin_i",
    "hematocrit",
    "hemoglobin",
    "ptt",
    "wbc",
    "fibrinogen",
    "platelets",
)


# Where the course over two days says more than the last value.
COURSES = (
    "lactate",
    "creatinine",
    "bun",
    "wbc",
    "platelets",
    "bilirubin_total",
    "ptt",
    "hematocrit",
    "glucose",
    "calcium",
    "phosphate",
    "fio2",
)


def _over(concept: str, aggregation: Aggregation, *lookbacks_hours: float) -> list[Aggregate]:
    return [Aggregate(concept=concept, aggregation=aggregation, lookback_hours=hours) for hours in lookbacks_hours]


def _features() -> list[Feature]:
    features: list[Feature] = []
    for vital in VITALS:
        features += _over(vital, Aggregation.LAST, 24)
        for aggregation in (Aggregation.MIN, Aggregation.MAX, Aggregation.MEAN):
            features += _over(vital, aggregation, 6, 24, LAST_HOURS)
        features += _over(vital, Aggregation.HOURS_COVERED, 6, 24, LAST_HOURS)
    for sample in SAMPLES:
        features += _over(sample, Aggregation.LAST, LAST_HOURS)
        features += _over(sample, Aggregation.HOURS_SINCE, LAST_HOURS)
        features += _over(sample, Aggregation.HOURS_COVERED, 12, LAST_HOURS)
    for course in COURSES:
        features += _over(course, Aggregation.DELTA, LAST_HOURS)
    return [*features, *_derived(), _AGE, Aggregate(concept="sex", aggregation=Aggregation.LAST)]


def _derived() -> list[Feature]:
    (heart_rate,) = _over("heart_rate", Aggregation.LAST, 24)
    (systolic,) = _over("systolic_pressure", Aggregation.LAST, 24)
    (saturation,) = _over("spo2", Aggregation.LAST, 24)
    fio2, bun, creatinine, platelets, ptt = (
        _over(name, Aggregation.LAST, LAST_HOURS)[0] for name in ("fio2", "bun", "creatinine", "platelets", "ptt")
    )
    changes: list[Feature] = [
        Difference(
            name=f"{vital}_mean_6h_less_48h",
            minuend=_over(vital, Aggregation.MEAN, 6)[0],
            subtrahend=_over(vital, Aggregation.MEAN, LAST_HOURS)[0],
        )
        for vital in VITALS
    ]
    return [
        *changes,
        Ratio(name="shock_index", numerator=heart_rate, denominator=systolic),
        Ratio(name="bun_per_creatinine", numerator=bun, denominator=creatinine),
        Ratio(name="spo2_per_fio2", numerator=saturation, denominator=fio2),
        Ratio(name="platelets_per_year_of_age", numerator=platelets, denominator=_AGE),
        Ratio(name="ptt_per_platelets", numerator=ptt, denominator=platelets),
    ]


_AGE = Aggregate(concept="age", aggregation=Aggregation.YEARS_SINCE)

SPEC = ModelSpec(
    id="sepsis",
    title="Sepsis in the next 6 h",
    description=(
        "Estimates, for an adult in intensive or intermediate care, the probability that sepsis (Sepsis-3) begins "
        "within 6 hours or has begun, with the values behind the estimate and those that were missing. "
        "Research model, not a medical device."
    ),
    version="1",
    hooks=("patient-view",),
    target="onset of sepsis (Sepsis-3) within 6 hours, or already past",
    horizon_hours=HORIZON_HOURS,
    population="Adults in intensive or intermediate care",
    features=FeatureSet(_features()),
    minimum_data=(
        MinimumData(
            concepts=("heart_rate", "respiratory_rate", "temperature", "spo2", "systolic_pressure", "mean_pressure"),
            at_least=3,
            within_hours=8,
        ),
    ),
    bands=(
        RiskBand(id="low", indicator="info"),
        RiskBand(id="raised", indicator="warning", rule=ThresholdRule(kind="best_utility")),
        RiskBand(id="high", indicator="warning", rule=ThresholdRule(kind="alert_rate", value=0.02)),
    ),
    families=(
        ("mean_pressure", "systolic_pressure", "diastolic_pressure"),
        ("spo2", "sao2"),
        ("hemoglobin", "hematocrit"),
        ("bilirubin_total", "bilirubin_direct"),
        ("ph", "base_excess", "bicarbonate"),
        ("creatinine", "bun"),
    ),
    intended_use=(
        "Research on early recognition of sepsis, in silent operation first. It shows a risk and its reasons to "
        "clinicians who look after the patient and who decide."
    ),
    out_of_scope=(
        "Children; general wards and emergency departments; patients without continuous monitoring; deciding on "
        "treatment, on antibiotics or on admission; ruling sepsis out."
    ),
    licence="CC-BY-4.0",
)
