"""Events out of MEDS: each code and unit is looked up once, by the same tables as FHIR's."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.events import Events
from features.reading import fhir
from features.reading.interpreter import Interpreter, Meaning, Refused
from features.reading.reader import BEFORE_ANY_BIRTH, Record
from features.refusals import Reason, Refusals
from features.vocabulary.definition import KINDS
from training.dataset import DatasetError, Progress
from training.meds.codes import BIRTH, GENDER, GENDERS, parse_code

NEEDED = ("subject_id", "time", "code", "numeric_value")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Meant:
    """What a code with a unit means: the concept's position, and how a number becomes a value; or why it is not used.

    `fixed` is the value where no number is asked for: of a coded kind, and of the sex.
    """

    concept: int = -1
    scale: float = 1.0
    offset: float = 0.0
    low: float = -np.inf
    high: float = np.inf
    fixed: float | None = None
    refused: Refused | None = None
    is_timeless: bool = False


def read_meds(folder: Path, interpreter: Interpreter, progress: Progress) -> Record:
    """Read a MEDS data set; MEDS has no stays.

    A number is used where its unit is told: in a column `unit`, behind the code (`LAB//2160-0//mg/dL`), or for the
    code in `metadata/codes.parquet`. Times of MEDS are taken for UTC; a value is known at its time unless a column
    `known` says otherwise.

    Raises:
        DatasetError: the folder holds no MEDS data, or a file lacks a column.
    """
    files = sorted((folder / "data").rglob("*.parquet"))
    if not files:
        raise DatasetError(f"{folder}: expected a MEDS data set, with Parquet files below data/; found none.")
    lookup = _Lookup(interpreter, folder)
    refusals, parts, rows = Refusals(), list[Events](), 0
    names = _patients(folder)
    for done, file in enumerate(files):
        progress("reading MEDS", done, len(files))
        table = _read(file)
        rows += table.num_rows
        parts.append(_events(table, lookup, names, interpreter.concepts, refusals))
    progress("reading MEDS", len(files), len(files))
    return Record(events=_joined(parts), stays=(), refusals=refusals, resources=rows)


class _Lookup:
    def __init__(self, interpreter: Interpreter, folder: Path) -> None:
        self._interpreter = interpreter
        self._known: dict[tuple[str, str | None], _Meant] = {}
        self._units: dict[str, str] = {}
        self._parents: dict[str, list[str]] = {}
        codes = folder / "metadata" / "codes.parquet"
        for row in pq.read_table(codes).to_pylist() if codes.is_file() else ():
            if row.get("unit"):
                self._units[row["code"]] = row["unit"]
            self._parents[row["code"]] = row.get("parent_codes") or []

    def meant(self, code: str, unit: str | None) -> _Meant:
        found = self._known.get((code, unit))
        if found is None:
            found = self._known[code, unit] = self._find(code, unit or self._units.get(code))
        return found

    def _find(self, code: str, unit: str | None) -> _Meant:
        concepts = self._interpreter.concepts
        if code == BIRTH and "age" in concepts:
            return _Meant(concept=concepts.index("age"), fixed=0.0)
        gender = GENDER.fullmatch(code)
        if gender is not None and "sex" in concepts:
            value = GENDERS.get(gender[1].upper())
            if value is None:
                return _Meant(refused=Refused(Reason.VALUE_MISSING, "sex"))
            return _Meant(concept=concepts.index("sex"), fixed=value, is_timeless=True)
        for name in (code, *self._parents.get(code, ())):
            parsed = parse_code(name)
            if parsed is None:
                continue
            coding = fhir.CodeableConcept(coding=(fhir.Coding(system=parsed.system, code=parsed.code),))
            for kind in KINDS:
                for meaning in self._interpreter.of(coding, kind):
                    return self._converted(meaning, unit or parsed.unit)
        return _Meant(refused=Refused(Reason.CODE_NOT_MAPPED))

    def _converted(self, meaning: Meaning, unit: str | None) -> _Meant:
        if meaning.concept.kind != "observation":
            return _Meant(concept=meaning.position, fixed=float(meaning.ordinal))
        if meaning.demands is not None:
            return _Meant(concept=meaning.position, refused=Refused(Reason.METHOD, meaning.code))
        number = self._interpreter.quantity_number((meaning.number, unit, None, None, None), meaning)
        if number < 0:
            return _Meant(concept=meaning.position, refused=self._interpreter.refused(-1 - number))
        scales = self._interpreter.scales()
        return _Meant(
            concept=meaning.position,
            scale=float(scales.scale[number]),
            offset=float(scales.offset[number]),
            low=float(scales.low[number]),
            high=float(scales.high[number]),
        )


def _read(file: Path) -> pa.Table:
    table = pq.read_table(file)
    missing = [name for name in NEEDED if name not in table.column_names]
    if missing:
        raise DatasetError(f"{file.name}: expected the columns {', '.join(NEEDED)} of MEDS; missing: {missing}.")
    return table.combine_chunks()


def _events(
    table: pa.Table, lookup: _Lookup, names: dict[int, str], concepts: tuple[str, ...], refusals: Refusals
) -> Events:
    unit = table.column("unit") if "unit" in table.column_names else pa.nulls(table.num_rows, pa.string())
    number, which = _numbered(table.column("code").to_pylist(), unit.to_pylist())
    meant = [lookup.meant(*pair) for pair in which]
    concept = np.array([one.concept for one in meant], np.int64)[number]
    fixed = np.array([np.nan if one.fixed is None else one.fixed for one in meant])[number]
    low, high, scale, offset = (
        np.array([getattr(one, field) for one in meant])[number] for field in ("low", "high", "scale", "offset")
    )
    said = table.column("numeric_value").to_numpy(zero_copy_only=False).astype(np.float64)
    value = np.where(np.isnan(fixed), said * scale + offset, fixed)
    time, known, until = _times(table, np.array([one.is_timeless for one in meant], np.bool_)[number])
    reasons = [
        (np.array([one.refused is not None for one in meant], np.bool_)[number], None),
        (time == NO_TIME, Reason.TIME_MISSING),
        (np.isnan(value), Reason.VALUE_MISSING),
        (np.isnan(fixed) & ~((low <= value) & (value <= high)), Reason.VALUE_IMPLAUSIBLE),
    ]
    kept = np.ones(len(value), np.bool_)
    for bad, reason in reasons:
        _count(meant, number, concepts, refusals, rows=kept & bad, reason=reason)
        kept &= ~bad
    subject = table.column("subject_id").to_numpy()
    subjects = np.unique(subject)
    patients = [names.get(int(one), str(one)) for one in subjects]
    return Events.sort(
        patients=patients,
        concepts=concepts,
        patient=np.searchsorted(subjects, subject[kept]).astype(np.int32),
        concept=concept[kept].astype(np.int32),
        time=time[kept],
        known=np.maximum(known, time)[kept],
        value=value[kept],
        until=np.maximum(until, time)[kept],
    )


NO_TIME = np.iinfo(np.int64).min


def _times(table: pa.Table, is_timeless: NDArray[np.bool_]) -> tuple[NDArray[np.int64], ...]:
    time = _microseconds(table, "time")
    time = np.where(is_timeless & (time == NO_TIME), BEFORE_ANY_BIRTH, time)
    found = (_microseconds(table, name) for name in ("known", "until"))
    return time, *(np.where(other == NO_TIME, time, other) for other in found)


def _microseconds(table: pa.Table, name: str) -> NDArray[np.int64]:
    if name not in table.column_names:
        return np.full(table.num_rows, NO_TIME)
    column = table.column(name).cast(pa.timestamp("us")).cast(pa.int64()).fill_null(NO_TIME)
    return np.asarray(column, np.int64)


def _numbered(codes: list[str], units: list[str | None]) -> tuple[NDArray[np.intp], list[tuple[str, str | None]]]:
    """The distinct pairs of code and unit, and which of them each row has."""
    pairs = list(zip(codes, units, strict=True))
    place = {pair: number for number, pair in enumerate(dict.fromkeys(pairs))}
    return np.array([place[pair] for pair in pairs], np.intp), list(place)


def _count(
    meant: list[_Meant],
    number: NDArray[np.intp],
    concepts: tuple[str, ...],
    refusals: Refusals,
    *,
    rows: NDArray[np.bool_],
    reason: Reason | None,
) -> None:
    for which, count in zip(*np.unique(number[rows], return_counts=True), strict=True):
        one = meant[which]
        why = Refused(reason) if reason is not None else one.refused or Refused(Reason.CODE_NOT_MAPPED)
        concept = concepts[one.concept] if one.concept >= 0 else None
        refusals.add(why.reason, concept, why.detail, count=int(count))


def _patients(folder: Path) -> dict[int, str]:
    """The patient of each subject, where the data set says it."""
    file = folder / "metadata" / "subjects.parquet"
    if not file.is_file():
        return {}
    table = pq.read_table(file)
    return dict(zip(table.column("subject_id").to_pylist(), table.column("patient").to_pylist(), strict=True))


def _joined(parts: list[Events]) -> Events:
    """All parts as one, with the concepts that occur, by name; a patient is in one part only."""
    patients = [name for part in parts for name in part.patients]
    starts = np.cumsum([0, *(len(part.patients) for part in parts)])
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("concept", "time", "known", "value", "until")
    }
    every = parts[0].concepts
    concepts = sorted(every[number] for number in np.unique(columns["concept"]))
    place = {name: number for number, name in enumerate(concepts)}
    columns["concept"] = np.array([place.get(name, -1) for name in every], np.int32)[columns["concept"]]
    patient = np.concatenate([part.patient + start for part, start in zip(parts, starts[:-1], strict=True)])
    return Events.sort(patients=patients, concepts=concepts, patient=patient.astype(np.int32), **columns)
