"""A FHIR server that answers prefetch queries and nothing else, page by page, and what a model reads of its answers."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime

import msgspec
import numpy as np
from numpy.typing import NDArray

from cds_hooks.fhirpath import Scope
from cds_hooks.templates import fill, read_template
from features.feature import FeatureSet
from features.kernel import compute
from features.reading.interpreter import load_interpreter
from features.reading.reader import Reader, Record
from features.times import microseconds
from training.synthetic import PatientResources
from training.synthetic.search import BASE_URL


def filled(template: str, patient: str, at: datetime) -> str:
    """A template as a client would put it to its server: `today()` on the client's own calendar."""
    scope = Scope(context={"patientId": patient}, today=at.date())
    query = fill(read_template(template, "patient-view"), scope)
    assert query is not None
    return query


def pages(resources: PatientResources, query: str, *, at: datetime, page_size: int | None) -> Iterator[bytes]:
    """The answer to a query, all pages of it; a server may give smaller pages than it was asked for."""
    following: str | None = query if page_size is None else re.sub(r"_count=\d+", f"_count={page_size}", query)
    while following is not None:
        found = resources.answer(following, at=at)
        if found is None:
            return
        yield msgspec.json.encode(found)
        links = {link["relation"]: link["url"] for link in found.get("link", ())}
        following = links["next"].removeprefix(f"{BASE_URL}/") if "next" in links else None


def prefetched(
    resources: PatientResources, templates: Mapping[str, str], *, at: datetime, page_size: int | None = None
) -> Record:
    """What is read of the answers to these queries, and of nothing else."""
    reader = Reader(load_interpreter(), patient=resources.patient)
    for template in templates.values():
        for page in pages(resources, filled(template, resources.patient, at), at=at, page_size=page_size):
            reader.read_searchset(page)
    return reader.record()


def features_of(record: Record, features: FeatureSet, patient: str, at: datetime) -> NDArray[np.float32]:
    """The feature vector of a patient."""
    number = record.events.patients.index(patient)
    matrix = compute(record.events, np.array([number]), np.array([microseconds(at)]), features)
    vector: NDArray[np.float32] = matrix[0]
    return vector


def differing(found: NDArray[np.float32], expected: NDArray[np.float32], features: FeatureSet) -> list[str]:
    """Ids of the features whose bits differ."""
    same = found.view(np.uint32) == expected.view(np.uint32)
    return [name for name, one in zip(features.ids, same.tolist(), strict=True) if not one]
