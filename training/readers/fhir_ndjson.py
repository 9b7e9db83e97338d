"""A folder of FHIR NDJSON as a data set: what a hospital's bulk export gives."""

from pathlib import Path

from features.reader import Reader
from features.sources import Broken, SourceError, ndjson_files, read_ndjson
from features.units import load_converter
from training.dataset import Dataset, DatasetError, Progress, source_file

MOST_BROKEN = 20  # lines named in an error; the count is always whole


def read(path: Path, progress: Progress) -> tuple[Dataset, ...]:
    """Read all NDJSON files of a folder.

    Raises:
        DatasetError: there is none, or a line is not FHIR; the message names files and lines.
    """
    reader = Reader(load_converter())
    broken: list[Broken] = []
    try:
        files = ndjson_files(path)
        total = sum(file.stat().st_size for file in files)
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            progress("reading FHIR", done, total)

        for file in files:
            reader.read(read_ndjson(file, reader.refusals, on_broken=broken.append, on_bytes=advance))
    except SourceError as error:
        raise DatasetError(str(error)) from error
    if broken:
        named = ", ".join(f"{one.file}:{one.line}" for one in broken[:MOST_BROKEN])
        raise DatasetError(f"{path.name}: {len(broken)} lines are not FHIR JSON: {named}. Mend or remove them.")
    return (
        Dataset(
            name=f"FHIR NDJSON {path.name}",
            role="development",
            licence="as the data",
            attribution="the site's own records",
            record=reader.record(),
            files=tuple(source_file(file, "development") for file in files),
        ),
    )
