from collections.abc import Iterator
from pathlib import Path

import pytest

from features.reading import fhir
from features.reading.decode import decode_resource
from features.reading.interpreter import load_interpreter
from features.reading.reader import Reader, Record
from training.synthetic import generate

PATIENTS, SEED = 80, 11


@pytest.fixture(scope="session")
def cohort_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic")
    generate(folder, patients=PATIENTS, seed=SEED)
    return folder


@pytest.fixture(scope="session")
def record(cohort_folder: Path) -> Record:
    return read(cohort_folder)


def read(folder: Path) -> Record:
    reader = Reader(load_interpreter())
    for path in sorted(folder.glob("*.ndjson")):
        reader.read(_decoded(path, reader))
    return reader.record()


def _decoded(path: Path, reader: Reader) -> Iterator[fhir.Resource]:
    for line in path.read_bytes().splitlines():
        resource = decode_resource(line, reader.refusals)
        if resource is not None:
            yield resource
