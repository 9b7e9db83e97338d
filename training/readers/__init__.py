"""Readers: each makes events of one kind of data set, never features."""

from collections.abc import Callable
from pathlib import Path

from training.dataset import Dataset, DatasetError, Progress
from training.readers import fhir_ndjson, meds, physionet2019

READERS: dict[str, Callable[[Path, Progress], tuple[Dataset, ...]]] = {
    "physionet2019": physionet2019.read,
    "fhir": fhir_ndjson.read,
    "meds": meds.read,
}


def read_dataset(source: str, progress: Progress) -> tuple[Dataset, ...]:
    """Read a data set given as KIND:PATH; the first is for development, others are external sites.

    Raises:
        DatasetError: the kind is unknown, or the path does not hold that kind of data.
    """
    kind, _, path = source.partition(":")
    if kind not in READERS or not path:
        raise DatasetError(f"Expected data as KIND:PATH with a kind of {sorted(READERS)}, got {source!r}.")
    return READERS[kind](Path(path).expanduser(), progress)
