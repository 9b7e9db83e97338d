"""Events into MEDS: one Parquet file per part, codes with their descriptions, and whose each subject is."""

import json
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.events import Events
from features.vocabulary.concept import Vocabulary
from training.meds.codes import meds_code

MEDS_VERSION = "0.4"
DATA = pa.schema(
    [
        ("subject_id", pa.int64()),
        ("time", pa.timestamp("us")),  # null for what has no time, such as the sex
        ("code", pa.string()),
        ("numeric_value", pa.float32()),
        ("unit", pa.string()),
        ("known", pa.timestamp("us")),
        ("until", pa.timestamp("us")),
    ]
)
SUBJECTS = pa.schema([("subject_id", pa.int64()), ("patient", pa.string())])
CODES = pa.schema(
    [
        ("code", pa.string()),
        ("description", pa.string()),
        ("parent_codes", pa.list_(pa.string())),
        ("unit", pa.string()),
    ]
)
TIMELESS = "sex"


def write_meds(parts: Iterable[Events], folder: Path, vocabulary: Vocabulary, *, name: str) -> int:
    """Write events as a MEDS data set; the folder appears only when it is whole.

    Numbers become float32, as MEDS has them; when orders were drafts is left out. `metadata/subjects.parquet` says
    which patient each subject is: it stays where the patients' names may be known.

    Args:
        parts: no patient in two of them.
        folder: must not exist yet.
        vocabulary: has the concepts of the events.
        name: of the data set.

    Returns:
        How many subjects were written.

    Raises:
        FileExistsError: the folder is there.
        ValueError: a patient is in two parts.
    """
    if folder.exists():
        raise FileExistsError(f"{folder}: is there already; name a folder that is not.")
    aside = folder.with_name(f".{folder.name}.aside")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        subjects = _write(parts, aside, vocabulary, name)
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return subjects


def _write(parts: Iterable[Events], aside: Path, vocabulary: Vocabulary, name: str) -> int:
    for each in ("data", "metadata"):
        (aside / each).mkdir(parents=True)
    patients: list[str] = []
    codes: dict[str, tuple[str, str | None]] = {}
    for number, events in enumerate(parts):
        table = _table(events, vocabulary, first_subject=len(patients) + 1, codes=codes)
        pq.write_table(table, aside / "data" / f"{number}.parquet", compression="zstd")
        patients.extend(events.patients)
    if len(set(patients)) < len(patients):
        raise ValueError("Expected each patient in one part only; extract the events again, which sorts by patient.")
    subject_ids = np.arange(1, len(patients) + 1)
    pq.write_table(pa.table([subject_ids, patients], schema=SUBJECTS), aside / "metadata" / "subjects.parquet")
    rows: list[dict[str, object]] = [
        {"code": code, "description": text, "parent_codes": [], "unit": unit} for code, (text, unit) in codes.items()
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=CODES), aside / "metadata" / "codes.parquet")
    about = {
        "dataset_name": name,
        "etl_name": "bedside",
        "etl_version": version("bedside"),
        "meds_version": MEDS_VERSION,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    (aside / "metadata" / "dataset.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    return len(patients)


def _table(
    events: Events, vocabulary: Vocabulary, *, first_subject: int, codes: dict[str, tuple[str, str | None]]
) -> pa.Table:
    order = np.lexsort((events.concept, events.time, events.patient))
    # MEDS has one code for a drug, whether it was ordered or about to be: an order would come back as two.
    is_draft = np.array([vocabulary.concept(name).drafts_of is not None for name in events.concepts], np.bool_)
    order = order[~is_draft[events.concept[order]]]
    code, unit, is_value, is_timeless = _named(events, vocabulary, codes)
    known, until = (_stamps(column[order], is_timeless[order]) for column in (events.known, events.until))
    return pa.table(
        [
            events.patient[order].astype(np.int64) + first_subject,
            _stamps(events.time[order], is_timeless[order]),
            pa.array(code[order].tolist(), pa.string()),
            pa.array(events.value[order].astype(np.float32), mask=~is_value[order]),
            pa.array(unit[order].tolist(), pa.string()),
            known,
            until,
        ],
        schema=DATA,
    )


def _named(
    events: Events, vocabulary: Vocabulary, codes: dict[str, tuple[str, str | None]]
) -> tuple[NDArray[np.object_], NDArray[np.object_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Code and unit of each event, whether it has a number, and whether it has no time of its own."""
    code, unit = np.empty(len(events), object), np.empty(len(events), object)
    is_value, is_timeless = np.zeros(len(events), np.bool_), np.zeros(len(events), np.bool_)
    for number, concept_id in enumerate(events.concepts):
        concept, share = vocabulary.concept(concept_id), events.concept == number
        if concept.drafts_of is not None:
            continue
        is_number = concept.kind == "observation"
        is_value[share], is_timeless[share] = is_number, concept.id == TIMELESS
        for value in (0.0,) if is_number or concept.id == "age" else np.unique(events.value[share]).tolist():
            own = share if is_number or concept.id == "age" else share & (events.value == value)
            name = meds_code(concept, value)
            code[own], unit[own] = name, concept.unit if is_number else None
            codes[name] = (concept.words["en"].name, concept.unit if is_number else None)
    return code, unit, is_value, is_timeless


def _stamps(time: NDArray[np.int64], is_null: NDArray[np.bool_]) -> pa.Array:
    return pa.array(time, pa.int64(), mask=is_null).cast(pa.timestamp("us"))
