"""A folder of FHIR NDJSON as a data set: what a hospital's bulk export gives."""

from pathlib import Path

from features.files.sources import ndjson_files
from features.reading.reader import Record
from training.dataset import Dataset, DatasetError, Progress, source_file
from training.extract.crews import crew_for
from training.extract.extraction import Options, extract_record
from training.extract.faults import Faults

WORTH_PROCESSES = 64 * 2**20  # bytes of files; less is read before other processes have started


def read(path: Path, progress: Progress) -> tuple[Dataset, ...]:
    """Read all NDJSON files of a folder.

    Raises:
        DatasetError: there is none, or a line is not FHIR; the message names files and lines.
    """
    record, faults = read_record(path, progress)
    if faults:
        raise DatasetError(f"{path.resolve().name}: {faults.describe()} Mend or remove them.")
    return (
        Dataset(
            name=f"FHIR NDJSON {path.resolve().name}",  # "." has no name of its own
            role="development",
            licence="as the data",
            attribution="the site's own records",
            record=record,
            files=tuple(source_file(file, "development") for file in ndjson_files(path)),
        ),
    )


def read_record(path: Path, progress: Progress) -> tuple[Record, Faults]:
    """All that could be read, and what could not.

    Raises:
        DatasetError: there are no such files.
    """
    with crew_for(None if _size(path) >= WORTH_PROCESSES else 1) as crew:
        return extract_record(path, crew=crew, options=Options(), progress=progress)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
