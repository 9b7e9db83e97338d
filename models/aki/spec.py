"""What the model `aki` is: features, minimum data, risk bands and intended use."""

from features.feature import Aggregate, Aggregation, Feature, FeatureSet, Ratio
from models.spec import MinimumData, ModelSpec, RiskBand, ThresholdRule

DAY_HOURS = 24.0
WEEK_HOURS = 168.0
HORIZON_HOURS = 48.0
# A chronic condition is not outgrown, and problem lists carry the year of onset: look back over a long life.
LIFE_HOURS = 50 * 8_766.0

VITALS = ("heart_rate", "respiratory_rate", "temperature", "spo2", "systolic_pressure")
CHRONIC_CONDITIONS = ("chronic_kidney_disease", "diabetes", "heart_failure", "hypertension")
# Of anti-inflammatory drugs the doses are counted, below: most are short courses.
DRUGS = (
    "aminoglycoside",
    "vancomycin",
    "raas_inhibitor",
    "loop_diuretic",
    "proton_pump_inhibitor",
)

# Concept, lookback in hours, and what is made of its events in that window.
WINDOWS: tuple[tuple[str, float, tuple[Aggregation, ...]], ...] = (
    ("creatinine", 48, (Aggregation.MAX, Aggregation.DELTA, Aggregation.SLOPE)),
    (
        "creatinine",
        WEEK_HOURS,
        (Aggregation.LAST, Aggregation.MIN, Aggregation.MEAN, Aggregation.DELTA, Aggregation.HOURS_SINCE),
    ),
    ("bun", 72, (Aggregation.LAST,)),
    ("bun", WEEK_HOURS, (Aggregation.DELTA,)),
    ("potassium", 72, (Aggregation.LAST,)),
    ("bicarbonate", 72, (Aggregation.LAST,)),
    ("sodium", 72, (Aggregation.LAST,)),
    ("lactate", 48, (Aggregation.MAX,)),
    ("wbc", 72, (Aggregation.LAST,)),
    ("c_reactive_protein", 72, (Aggregation.LAST, Aggregation.DELTA)),
    ("hemoglobin", 72, (Aggregation.LAST, Aggregation.DELTA)),
    ("albumin", WEEK_HOURS, (Aggregation.LAST,)),
    ("glucose", 48, (Aggregation.MAX,)),
    ("heart_rate", DAY_HOURS, (Aggregation.LAST, Aggregation.MEAN)),
    ("systolic_pressure", DAY_HOURS, (Aggregation.LAST, Aggregation.MIN)),
    ("systolic_pressure", 72, (Aggregation.MIN,)),
    ("diastolic_pressure", DAY_HOURS, (Aggregation.MIN,)),
    ("respiratory_rate", DAY_HOURS, (Aggregation.MEAN,)),
    ("temperature", DAY_HOURS, (Aggregation.MAX,)),
    ("spo2", DAY_HOURS, (Aggregation.MIN,)),
    ("sepsis_diagnosis", 720, (Aggregation.PRESENT,)),
    ("nephrotoxic_nsaid", 72, (Aggregation.COUNT,)),
)


def _aggregate(concept: str, aggregation: Aggregation, lookback_hours: float | None) -> Aggregate:
    return Aggregate(concept=concept, aggregation=aggregation, lookback_hours=lookback_hours)


def _features() -> list[Feature]:
    windows = [
        _aggregate(concept, aggregation, float(hours))
        for concept, hours, aggregations in WINDOWS
        for aggregation in aggregations
    ]
    creatinine = _aggregate("creatinine", Aggregation.LAST, WEEK_HOURS)
    lowest = _aggregate("creatinine", Aggregation.MIN, WEEK_HOURS)
    bun = _aggregate("bun", Aggregation.LAST, 72.0)
    return [
        *windows,
        Ratio(name="creatinine_to_lowest_168h", numerator=creatinine, denominator=lowest),
        Ratio(name="bun_creatinine_ratio", numerator=bun, denominator=creatinine),
        *(_aggregate(concept, Aggregation.PRESENT, LIFE_HOURS) for concept in CHRONIC_CONDITIONS),
        *(_aggregate(concept, Aggregation.PRESENT, 72.0) for concept in DRUGS),
        # Both stand in the one Patient resource and hold from birth: there is no window to look back through.
        _aggregate("age", Aggregation.YEARS_SINCE, None),
        _aggregate("sex", Aggregation.LAST, None),
    ]


SPEC = ModelSpec(
    id="aki",
    title="Acute kidney injury in the next 48 h (synthetic demonstration)",
    description=(
        "Estimates how likely an adult inpatient without acute kidney injury develops one (KDIGO stage 1 or higher "
        "by creatinine) within 48 hours. Trained on synthetic patients: a demonstration, never for care."
    ),
    version="0.1",
    hooks=("patient-view",),
    target="acute kidney injury of KDIGO stage 1 or higher, by serum creatinine, within 48 hours",
    horizon_hours=HORIZON_HOURS,
    population=(
        "Adult inpatients from 24 hours after admission, without acute kidney injury in the last 7 days; synthetic."
    ),
    features=FeatureSet(_features()),
    minimum_data=(
        MinimumData(concepts=("creatinine",), at_least=1, within_hours=72.0),
        MinimumData(concepts=VITALS, at_least=2, within_hours=24.0),
    ),
    bands=(
        RiskBand(id="low", indicator="info"),
        RiskBand(id="raised", indicator="warning", rule=ThresholdRule(kind="times_base_rate", value=2.0)),
        RiskBand(id="high", indicator="warning", rule=ThresholdRule(kind="times_base_rate", value=4.0)),
    ),
    intended_use=(
        "To demonstrate and test Bedside, from FHIR to card, without patient data. It shows what such a model would "
        "look like on a ward; its numbers describe invented patients."
    ),
    out_of_scope=(
        "Any use in the care of a real patient. Also: children, dialysis, kidney transplants, patients who already "
        "have acute kidney injury, outpatients, and the first 24 hours after admission."
    ),
    licence="Apache-2.0",
)
