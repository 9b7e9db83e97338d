"""The hospitals of the synthetic cohort: three ways in which the same values are written down."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import cache

from features.vocabulary.code import ATC_GERMAN, ATC_WHO, ICD_10_CM, ICD_10_GM, RXNORM, SNOMED_CT

SUNDAY = 6  # datetime.weekday
CENTRAL_EUROPEAN_TIME, CENTRAL_EUROPEAN_SUMMER_TIME = timezone(timedelta(hours=1)), timezone(timedelta(hours=2))


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitStyle:
    """How a hospital writes a unit: as text, as a UCUM code if it has one, with so many decimals."""

    text: str
    ucum: str | None
    decimals: int


def _units(**styles: tuple[str, str | None, int]) -> dict[str, UnitStyle]:
    return {
        concept: UnitStyle(text=text, ucum=ucum, decimals=decimals)
        for concept, (text, ucum, decimals) in styles.items()
    }


_VITALS = _units(
    heart_rate=("/min", "/min", 0),
    respiratory_rate=("/min", "/min", 0),
    temperature=("°C", "Cel", 1),
    spo2=("%", "%", 0),
    systolic_pressure=("mmHg", "mm[Hg]", 0),
    diastolic_pressure=("mmHg", "mm[Hg]", 0),
)
_LEIPZIG_STYLE = _VITALS | _units(
    creatinine=("µmol/l", "umol/L", 0),
    bun=("mmol/l", "mmol/L", 1),  # written as urea
    potassium=("mmol/l", "mmol/L", 2),
    sodium=("mmol/l", "mmol/L", 0),
    bicarbonate=("mmol/l", "mmol/L", 1),
    lactate=("mmol/l", "mmol/L", 1),
    wbc=("Gpt/l", None, 1),  # no UCUM code: the laboratory system knows texts only
    platelets=("Gpt/l", None, 0),
    c_reactive_protein=("mg/l", "mg/L", 1),
    hemoglobin=("mmol/l", "mmol/L", 1),
    albumin=("g/l", "g/L", 0),
    glucose=("mmol/l", "mmol/L", 1),
)
_MUNICH_STYLE = _LEIPZIG_STYLE | _units(
    creatinine=("mg/dl", "mg/dL", 2),
    bun=("mg/dl", "mg/dL", 0),
    wbc=("G/l", "10*9/L", 1),
    platelets=("G/l", "10*9/L", 0),
    hemoglobin=("g/dl", "g/dL", 1),
    glucose=("mg/dl", "mg/dL", 0),
)
_AMERICAN_STYLE = _VITALS | _units(
    temperature=("°F", "[degF]", 1),
    creatinine=("mg/dL", "mg/dL", 2),
    bun=("mg/dL", "mg/dL", 0),
    potassium=("mEq/L", "meq/L", 1),
    sodium=("mEq/L", "meq/L", 0),
    bicarbonate=("mEq/L", "meq/L", 0),
    lactate=("mmol/L", "mmol/L", 1),
    wbc=("K/uL", "10*3/uL", 1),
    platelets=("K/uL", "10*3/uL", 0),
    c_reactive_protein=("mg/dL", "mg/dL", 2),
    hemoglobin=("g/dL", "g/dL", 1),
    albumin=("g/dL", "g/dL", 1),
    glucose=("mg/dL", "mg/dL", 0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hospital:
    """One way of writing things down.

    Attributes:
        id, name: of the hospital; invented.
        share: of the patients.
        units: by concept.
        condition_systems, medication_systems: code systems, the preferred first.
        writes_urea: whether urea is reported in place of urea nitrogen.
        pressure_has_components: one Observation for both pressures, or two.
        refers_to_medication: whether drugs are references to a Medication, or codes in place.
        is_german: local time with its offsets, where the other writes UTC with a Z.
        crp_limit_mg_per_l: results below this are reported as less than it.
    """

    id: str
    name: str
    share: float
    units: Mapping[str, UnitStyle]
    condition_systems: tuple[str, ...]
    medication_systems: tuple[str, ...]
    writes_urea: bool
    pressure_has_components: bool
    refers_to_medication: bool
    is_german: bool
    crp_limit_mg_per_l: float

    def local(self, instant: datetime) -> datetime:
        """An instant on this hospital's clock."""
        return instant.astimezone(_german_offset(instant)) if self.is_german else instant.astimezone(UTC)

    def written(self, instant: datetime) -> str:
        """An instant as this hospital writes it: `2025-03-01T07:12:00+01:00` or `2025-03-01T06:12:00Z`."""
        text = self.local(instant).isoformat()
        return text if self.is_german else text.removesuffix("+00:00") + "Z"


HOSPITALS = (
    Hospital(
        id="north",
        name="Klinikum Nord (synthetisch)",
        share=0.40,
        units=_LEIPZIG_STYLE,
        condition_systems=(ICD_10_GM,),
        medication_systems=(ATC_GERMAN,),
        writes_urea=True,
        pressure_has_components=True,
        refers_to_medication=False,
        is_german=True,
        crp_limit_mg_per_l=5.0,
    ),
    Hospital(
        id="south",
        name="Klinikum Süd (synthetisch)",
        share=0.25,
        units=_MUNICH_STYLE,
        condition_systems=(SNOMED_CT, ICD_10_GM),
        medication_systems=(ATC_WHO,),
        writes_urea=True,
        pressure_has_components=False,
        refers_to_medication=True,
        is_german=True,
        crp_limit_mg_per_l=1.0,
    ),
    Hospital(
        id="west",
        name="West General Hospital (synthetic)",
        share=0.35,
        units=_AMERICAN_STYLE,
        condition_systems=(ICD_10_CM,),
        medication_systems=(RXNORM,),
        writes_urea=False,
        pressure_has_components=True,
        refers_to_medication=False,
        is_german=False,
        crp_limit_mg_per_l=3.0,
    ),
)


def _german_offset(instant: datetime) -> timezone:
    """Central European (summer) time by its rule, so that no time zone database is needed (Directive 2000/84/EC)."""
    begins, ends = _summer_time(instant.year)
    return CENTRAL_EUROPEAN_SUMMER_TIME if begins <= instant < ends else CENTRAL_EUROPEAN_TIME


@cache
def _summer_time(year: int) -> tuple[datetime, datetime]:
    return _last_sunday_at_one(year, month=3), _last_sunday_at_one(year, month=10)


def _last_sunday_at_one(year: int, *, month: int) -> datetime:
    last = datetime(year, month, 31, 1, tzinfo=UTC)
    return last - timedelta(days=(last.weekday() - SUNDAY) % 7)
