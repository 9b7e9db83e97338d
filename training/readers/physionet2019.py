"""The tables of the PhysioNet/Computing in Cardiology Challenge 2019 as events and stays.

Reyna et al., Crit Care Med 2020; 48: 210-217, doi:10.1097/CCM.0000000000004145. Data doi:10.13026/v64v-d857.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.events import MICROSECONDS_PER_HOUR, Events
from features.reading.reader import BEFORE_ANY_BIRTH, Record, Stay
from features.refusals import Reason, Refusals
from features.vocabulary.concept import load_vocabulary
from features.vocabulary.units import UCUM, Conversion, load_converter
from training.dataset import Dataset, DatasetError, Progress, source_file

FILES = {"set_a.parquet": "development", "set_b_open.parquet": "external"}
NAMES = {
    "set_a.parquet": "PhysioNet Challenge 2019, hospital system A",
    "set_b_open.parquet": "PhysioNet Challenge 2019, hospital system B (open part)",
}
LICENCE = "CC-BY-4.0"
ATTRIBUTION = (
    "Reyna MA, Josef C, Seyedi S, et al. Early Prediction of Sepsis from Clinical Data: the PhysioNet/Computing in "
    "Cardiology Challenge 2019 (version 1.0.0). PhysioNet. doi:10.13026/v64v-d857. Licensed under CC BY 4.0."
)

# Column, concept, unit as recorded (UCUM). For magnesium the challenge's description prints mmol/dL; its values, of
# which the median is 2.0, are mg/dL.
COLUMNS = (
    ("HR", "heart_rate", "/min"),
    ("O2Sat", "spo2", "%"),
    ("Temp", "temperature", "Cel"),
    ("SBP", "systolic_pressure", "mm[Hg]"),
    ("MAP", "mean_pressure", "mm[Hg]"),
    ("DBP", "diastolic_pressure", "mm[Hg]"),
    ("Resp", "respiratory_rate", "/min"),
    ("EtCO2", "etco2", "mm[Hg]"),
    ("BaseExcess", "base_excess", "mmol/L"),
    ("HCO3", "bicarbonate", "mmol/L"),
    ("FiO2", "fio2", "%"),
    ("pH", "ph", "[pH]"),
    ("PaCO2", "paco2", "mm[Hg]"),
    ("SaO2", "sao2", "%"),
    ("AST", "ast", "U/L"),
    ("BUN", "bun", "mg/dL"),
    ("Alkalinephos", "alkaline_phosphatase", "U/L"),
    ("Calcium", "calcium", "mg/dL"),
    ("Chloride", "chloride", "mmol/L"),
    ("Creatinine", "creatinine", "mg/dL"),
    ("Bilirubin_direct", "bilirubin_direct", "mg/dL"),
    ("Glucose", "glucose", "mg/dL"),
    ("Lactate", "lactate", "mmol/L"),
    ("Magnesium", "magnesium", "mg/dL"),
    ("Phosphate", "phosphate", "mg/dL"),
    ("Potassium", "potassium", "mmol/L"),
    ("Bilirubin_total", "bilirubin_total", "mg/dL"),
    ("TroponinI", "troponin_i", "ng/mL"),
    ("Hct", "hematocrit", "%"),
    ("Hgb", "hemoglobin", "g/dL"),
    ("PTT", "ptt", "s"),
    ("WBC", "wbc", "10*3/uL"),
    ("Fibrinogen", "fibrinogen", "mg/dL"),
    ("Platelets", "platelets", "10*3/uL"),
)
DESCRIPTIONS = ("patient_id", "hour", "Age", "Gender", "SepsisLabel", "ICULOS", "HospAdmTime", "Unit1")
LABEL_LEAD_HOURS = 6  # SepsisLabel is 1 from 6 h before the onset on (Reyna 2020)
INTENSIVE_CARE = "ACUTE"  # v3 ActCode, as intensive care stays are coded in MIMIC-IV on FHIR
DAYS_PER_YEAR = 365.25
# Values are stored as float32; the published tables have at most four decimals, which rounding brings back.
DECIMALS = 4


def read(path: Path, progress: Progress) -> tuple[Dataset, ...]:
    """Read the sets of a folder: A for development, the open part of B as the external site.

    Raises:
        DatasetError: set A is not there, or a table lacks a column.
    """
    if not (path / "set_a.parquet").is_file():
        raise DatasetError(f"{path}: expected a folder with set_a.parquet (and set_b_open.parquet).")
    found = [(path / name, role) for name, role in FILES.items() if (path / name).is_file()]
    datasets = []
    for number, (file, role) in enumerate(found):
        progress("reading tables", number, len(found))
        datasets.append(
            Dataset(
                name=NAMES[file.name],
                role=role,
                licence=LICENCE,
                attribution=ATTRIBUTION,
                record=_record(_table(file)),
                files=(source_file(file, role),),
            )
        )
    progress("reading tables", len(found), len(found))
    return tuple(datasets)


def _table(file: Path) -> pd.DataFrame:
    table = pd.read_parquet(file)
    wanted = {*DESCRIPTIONS, *(name for name, _, _ in COLUMNS)}
    lacking = sorted(wanted - set(table.columns))
    if lacking:
        raise DatasetError(f"{file.name}: expected the challenge's columns; {', '.join(lacking)} are not there.")
    return table.sort_values(["patient_id", "hour"], kind="stable", ignore_index=True)


def _record(table: pd.DataFrame) -> Record:
    codes, patients = pd.factorize(table["patient_id"], sort=True)
    patient = codes.astype(np.int32)
    time = table["hour"].to_numpy(np.int64) * MICROSECONDS_PER_HOUR
    first = np.flatnonzero(np.r_[True, np.diff(patient) > 0])
    last = np.r_[first[1:] - 1, len(patient) - 1]
    refusals = Refusals()
    columns = [_column(table, *column, patient, time, refusals) for column in COLUMNS]
    columns += [_births(table, patient, time, first), _sexes(table, patient, first), _onsets(table, patient, time)]
    columns += _admissions(table, patient, time, first)
    columns.sort(key=lambda column: column[0])
    concepts = tuple(concept for concept, *_ in columns)
    times = np.concatenate([column[2] for column in columns])
    events = Events.sort(
        patients=tuple(str(name) for name in patients),
        concepts=concepts,
        patient=np.concatenate([column[1] for column in columns]),
        concept=np.repeat(np.arange(len(columns), dtype=np.int32), [len(column[1]) for column in columns]),
        time=times,
        known=times,
        value=np.concatenate([column[3] for column in columns]),
    )
    stays = tuple(
        Stay(patient=events.patients[i], encounter_class=INTENSIVE_CARE, start=int(time[a]), end=int(time[b]))
        for i, (a, b) in enumerate(zip(first, last, strict=True))
    )
    return Record(events=events, stays=stays, refusals=refusals, resources=len(table))


Column = tuple[str, NDArray[np.int32], NDArray[np.int64], NDArray[np.float64]]


def _column(
    table: pd.DataFrame,
    name: str,
    concept_id: str,
    unit: str,
    patient: NDArray[np.int32],
    time: NDArray[np.int64],
    refusals: Refusals,
) -> Column:
    concept = load_vocabulary().concept(concept_id)
    conversion = load_converter().conversions(concept).resolve(unit=None, unit_system=UCUM, unit_code=unit)
    if not isinstance(conversion, Conversion) or concept.plausible is None:
        raise DatasetError(f"{name}: the unit {unit} does not convert to that of {concept_id}: {conversion}.")
    recorded = table[name].to_numpy(np.float64).round(DECIMALS)
    if name == "FiO2":
        recorded = np.where(recorded <= 1, 100 * recorded, recorded)  # a fraction, or already percent
    value = recorded * conversion.scale + conversion.offset
    there = np.isfinite(recorded)
    low, high = concept.plausible
    usable = there & (value >= low) & (value <= high)
    if (refused := int((there & ~usable).sum())) > 0:
        refusals.add(Reason.VALUE_IMPLAUSIBLE, concept_id, count=refused)
    return concept_id, patient[usable], time[usable], value[usable]


def _births(
    table: pd.DataFrame, patient: NDArray[np.int32], time: NDArray[np.int64], first: NDArray[np.intp]
) -> Column:
    """Birth as an event: the age is given at the start of the stay."""
    age_years = table["Age"].to_numpy(np.float64)[first].round(DECIMALS)
    known = np.isfinite(age_years)
    birth = time[first][known] - (age_years[known] * DAYS_PER_YEAR * 24 * MICROSECONDS_PER_HOUR).astype(np.int64)
    return "age", patient[first][known], birth, np.zeros(int(known.sum()))


def _sexes(table: pd.DataFrame, patient: NDArray[np.int32], first: NDArray[np.intp]) -> Column:
    """Gender is 0 for female and 1 for male, as our concept has it."""
    gender = table["Gender"].to_numpy(np.float64)[first]
    known = np.isfinite(gender)
    since = np.full(int(known.sum()), BEFORE_ANY_BIRTH, np.int64)
    return "sex", patient[first][known], since, gender[known]


def _admissions(
    table: pd.DataFrame, patient: NDArray[np.int32], time: NDArray[np.int64], first: NDArray[np.intp]
) -> list[Column]:
    """Time of stay and unit, for a comparison only: no released model reads them, and no concept has them."""
    stay_hours = table["ICULOS"].to_numpy(np.float64)[first]  # hours since admission to intensive care, from 1 on
    ward_hours = table["HospAdmTime"].to_numpy(np.float64)[first]  # hospital admission, at or before the stay: ≤ 0
    unit = table["Unit1"].to_numpy(np.float64)[first]
    columns = []
    for name, since_hours, value in (
        ("icu_admission", stay_hours - 1, np.zeros(len(first))),
        ("hospital_admission", -ward_hours, np.zeros(len(first))),
        ("medical_unit", np.zeros(len(first)), unit),
    ):
        known = np.isfinite(since_hours) & np.isfinite(value)
        when = time[first][known] - (since_hours[known] * MICROSECONDS_PER_HOUR).astype(np.int64)
        columns.append((name, patient[first][known], when, value[known]))
    return columns


def _onsets(table: pd.DataFrame, patient: NDArray[np.int32], time: NDArray[np.int64]) -> Column:
    """The onset of sepsis, an outcome and no concept: six hours after the first positive label."""
    positive = np.flatnonzero(table["SepsisLabel"].to_numpy() == 1)
    _, earliest = np.unique(patient[positive], return_index=True)
    rows = positive[earliest]
    onset = time[rows] + LABEL_LEAD_HOURS * MICROSECONDS_PER_HOUR
    return "sepsis_onset", patient[rows], onset, np.ones(len(rows))
