"""A MEDS data set (Medical Event Data Standard) as a data set to train on."""

from pathlib import Path

from features.reading.interpreter import load_interpreter
from training.dataset import Dataset, Progress, source_file
from training.meds import read_meds


def read(path: Path, progress: Progress) -> tuple[Dataset, ...]:
    """Read a MEDS folder.

    Raises:
        DatasetError: it is none, or a file lacks a column.
    """
    return (
        Dataset(
            name=f"MEDS {path.resolve().name}",
            role="development",
            licence="as the data",
            attribution="the site's own records",
            record=read_meds(path, load_interpreter(), progress),
            files=tuple(source_file(file, "development") for file in sorted((path / "data").rglob("*.parquet"))),
        ),
    )
