"""Generate the synthetic cohort: FHIR R4 NDJSON files of inpatients, the same bytes for the same seed."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np

from features.vocabulary.units import Converter, load_converter
from training.synthetic.blemishes import blemish, blemish_administrations, blemish_conditions
from training.synthetic.course import draw_course
from training.synthetic.hospitals import HOSPITALS, Hospital
from training.synthetic.measurements import measure
from training.synthetic.patients import draw_person
from training.synthetic.resources import Recorder, Stay

Progress = Callable[[int, int], None]

YEAR_STARTS = datetime(2025, 1, 1, tzinfo=UTC)
DAYS_IN_YEAR = 365
PATIENTS_PER_REPORT = 50
TYPES = (
    "Patient",
    "Encounter",
    "Observation",
    "Condition",
    "Medication",
    "MedicationRequest",
    "MedicationAdministration",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedCohort:
    """What was generated.

    Attributes:
        seed, patients: as asked for.
        hospitals: patients by hospital.
        resources: lines by resource type; a resource sent twice counts twice.
        files: one per resource type.
        first_admission, last_discharge: UTC.
    """

    seed: int
    patients: int
    hospitals: Mapping[str, int]
    resources: Mapping[str, int]
    files: tuple[Path, ...]
    first_admission: datetime
    last_discharge: datetime


def generate(directory: Path, *, patients: int, seed: int, progress: Progress | None = None) -> GeneratedCohort:
    """Write one NDJSON file per resource type; each appears only when it is whole.

    Memory holds one patient at a time. A patient depends on the seed and its own number alone: the first 100 of
    3,000 are the same as 100.

    Args:
        directory: made if need be; files of the same names are replaced.
        patients: how many, one or more.
        seed: not negative.
        progress: called with patients done and to do, every 50 and at the end.

    Raises:
        ValueError: patients or seed are out of range.
        OSError: the directory cannot be written; no half-written file is left.
    """
    if patients < 1 or seed < 0:
        raise ValueError(f"Synthetic cohort: expected patients ≥ 1 and seed ≥ 0, got {patients} and {seed}.")
    directory.mkdir(parents=True, exist_ok=True)
    files = {name: directory / f"{name}.ndjson" for name in TYPES}
    aside = {name: path.with_suffix(".ndjson.part") for name, path in files.items()}
    try:
        with ExitStack() as stack:
            sink = _Sink({name: stack.enter_context(path.open("wb")) for name, path in aside.items()})
            stays = _write_stays(sink, patients, seed, progress or _silent)
        for name, path in files.items():
            aside[name].replace(path)
    finally:
        for path in aside.values():
            path.unlink(missing_ok=True)
    return GeneratedCohort(
        seed=seed,
        patients=patients,
        hospitals=stays.hospitals,
        resources=dict(sink.counts),
        files=tuple(files.values()),
        first_admission=stays.first_admission,
        last_discharge=stays.last_discharge,
    )


class _Sink:
    """Open files by resource type, and how many lines went into each."""

    def __init__(self, files: Mapping[str, BinaryIO]) -> None:
        self._files = files
        self._encoder = msgspec.json.Encoder()
        self.counts: Counter[str] = Counter(dict.fromkeys(files, 0))

    def write(self, resources: Iterable[Mapping[str, Any]]) -> None:
        for resource in resources:
            name = resource["resourceType"]
            self._files[name].write(self._encoder.encode(resource) + b"\n")
            self.counts[name] += 1


class _Stays:
    """What is remembered of the stays when they are written."""

    def __init__(self) -> None:
        self.hospitals = {hospital.id: 0 for hospital in HOSPITALS}
        self.first_admission = datetime.max.replace(tzinfo=UTC)
        self.last_discharge = datetime.min.replace(tzinfo=UTC)

    def add(self, stay: Stay, hospital: Hospital) -> None:
        self.hospitals[hospital.id] += 1
        self.first_admission = min(self.first_admission, stay.admitted)
        self.last_discharge = max(self.last_discharge, stay.discharged)


def _write_stays(sink: _Sink, patients: int, seed: int, progress: Progress) -> _Stays:
    converter: Converter = load_converter()
    recorders = [Recorder(hospital, converter) for hospital in HOSPITALS]
    for recorder in recorders:
        sink.write(recorder.medications())
    stays = _Stays()
    for number in range(patients):
        rng = np.random.default_rng([seed, number])
        recorder = recorders[int(rng.choice(len(HOSPITALS), p=[hospital.share for hospital in HOSPITALS]))]
        stay = _draw_stay(number, recorder.hospital, rng)
        _write(sink, recorder, stay, rng)
        stays.add(stay, recorder.hospital)
        if (number + 1) % PATIENTS_PER_REPORT == 0 or number + 1 == patients:
            progress(number + 1, patients)
    return stays


def _draw_stay(number: int, hospital: Hospital, rng: np.random.Generator) -> Stay:
    person = draw_person(rng)
    admitted = YEAR_STARTS + timedelta(minutes=int(rng.integers(0, DAYS_IN_YEAR * 24 * 60)))
    course = draw_course(person, rng)
    return Stay(
        patient_id=f"synthetic-{number + 1:05d}",
        admitted=admitted,
        person=person,
        course=course,
        measurements=tuple(measure(person, course, hospital.local(admitted).hour, rng)),
    )


def _write(sink: _Sink, recorder: Recorder, stay: Stay, rng: np.random.Generator) -> None:
    sink.write([recorder.patient(stay, rng)])
    sink.write(recorder.encounters(stay, rng))
    sink.write(blemish(recorder.observations(stay), rng))
    sink.write(blemish_conditions(recorder.conditions(stay, rng), rng))
    sink.write(recorder.medication_requests(stay, rng))
    sink.write(blemish_administrations(recorder.medication_administrations(stay, rng), rng))


def _silent(done: int, total: int) -> None:
    """Report nothing."""
