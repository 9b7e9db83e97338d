"""A folder of FHIR NDJSON as a data set: what a hospital's bulk export gives."""

from collections.abc import Sequence
from pathlib import Path

from features.reader import Reader, Record
from features.sources import Broken, SourceError, ndjson_files, read_ndjson
from features.units import load_converter
from training.dataset import Dataset, DatasetError, Progress, source_file

MOST_BROKEN = 20  # lines named in an error; the count is always whole


def read(path: Path, progress: Progress) -> tuple[Dataset, ...]:
    """Read all NDJSON files of a folder.

    Raises:
        DatasetError: there is none, or a line is not FHIR; the message names files and lines.
    """
    record, broken = read_record(path, progress)
    if broken:
        raise DatasetError(f"{path.name}: {describe_broken(broken)} Mend or remove them.")
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


def read_record(path: Path, progress: Progress) -> tuple[Record, tuple[Broken, ...]]:
    """All that was read, and the lines that are not FHIR.

    Raises:
        DatasetError: no such files, or one breaks off.
    """
    reader = Reader(load_converter())
    broken: list[Broken] = []
    done = 0
    try:
        files = ndjson_files(path)
        total = sum(file.stat().st_size for file in files)

        def advance(count: int) -> None:
            nonlocal done
            done += count
            progress("reading FHIR", done, total)

        for file in files:
            reader.read(read_ndjson(file, reader.refusals, on_broken=broken.append, on_bytes=advance))
    except SourceError as error:
        raise DatasetError(str(error)) from error
    progress("reading FHIR", total, total)
    return reader.record(), tuple(broken)


def describe_broken(broken: Sequence[Broken]) -> str:
    """How many lines are not FHIR, and where the first of them are."""
    named = ", ".join(f"{one.file}:{one.line}" for one in broken[:MOST_BROKEN])
    return f"{len(broken)} lines are not FHIR JSON: {named}."
