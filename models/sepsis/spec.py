"""What the model `sepsis` is: features, minimum data, risk bands and intended use."""

from features.feature import Aggregate, Aggregation, Feature, FeatureSet, Ratio
from models.sepsis.label import HORIZON_HOURS
from models.spec import MinimumData, ModelSpec, RiskBand, ThresholdRule

# No feature looks further back than a week: a stay in intensive care is rarely longer, and last year's values are not
# this illness.
WEEK_HOURS = 168.0

VITALS = (
    "heart_rate",
    "respiratory_rate",
    "temperature",
    "spo2",
    "systolic_pressure",
    "mean_pressure",
    "diastolic_pressure",
)
BREATHING = ("fio2", "etco2")
LABORATORY = (
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


def _over(concept: str, aggregation: Aggregation, *lookbacks_hours: float) -> list[Aggregate]:
    return [Aggregate(concept=concept, aggregation=aggregation, lookback_hours=hours) for hours in lookbacks_hours]


def _features() -> list[Feature]:
    features: list[Feature] = []
    for vital in VITALS:
        features += _over(vital, Aggregation.LAST, 24)
        for aggregation in (Aggregation.MIN, Aggregation.MAX, Aggregation.MEAN):
            features += _over(vital, aggregation, 6, 24)
        features += _over(vital, Aggregation.HOURS_COVERED, WEEK_HOURS)
    for concept in (*BREATHING, *LABORATORY):
        features += _over(concept, Aggregation.LAST, WEEK_HOURS)
        features += _over(concept, Aggregation.HOURS_SINCE, WEEK_HOURS)
        features += _over(concept, Aggregation.HOURS_COVERED, 72, WEEK_HOURS)
    return [*features, *_derived(), _AGE, Aggregate(concept="sex", aggregation=Aggregation.LAST)]


def _derived() -> list[Feature]:
    (heart_rate,) = _over("heart_rate", Aggregation.LAST, 24)
    (systolic,) = _over("systolic_pressure", Aggregation.LAST, 24)
    (bun,) = _over("bun", Aggregation.LAST, WEEK_HOURS)
    (creatinine,) = _over("creatinine", Aggregation.LAST, WEEK_HOURS)
    return [
        Ratio(name="shock_index", numerator=heart_rate, denominator=systolic),
        Ratio(name="bun_per_creatinine", numerator=bun, denominator=creatinine),
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
