"""One reading in two ways: by scan.c and by Python alone; tests hold the two against each other."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pytest

from features.reading import reader
from features.reading.interpreter import Interpreter
from features.reading.reader import Reader, Record
from features.reading.scan.searchset import Searchset, scan
from tests.features.reading.clinic import interpreter
from tests.features.reading.resources import PATIENT

COLUMNS = ("patient", "concept", "time", "known", "value", "until")

needs_scan = pytest.mark.skipif(
    scan(b'{"resourceType":"Bundle"}') is None, reason="scan.c was not compiled: there is no C compiler"
)


class Outcome(NamedTuple):
    """What came of reading; an error where it could not be read at all."""

    columns: tuple[tuple[float, ...], ...]
    names: tuple[tuple[str, ...], tuple[str, ...]]
    refusals: tuple[Any, ...]
    stays: tuple[Any, ...]
    resources: int
    error: str | None = None


def bundle(*resources: Any, **fields: Any) -> bytes:
    """A searchset as JSON."""
    entries = [{"resource": resource} for resource in resources]
    return json.dumps(
        {"resourceType": "Bundle", "type": "searchset", "entry": entries} | fields, ensure_ascii=False
    ).encode()


def compiled(raws: Sequence[bytes], *, only: str | None = PATIENT, known: Interpreter | None = None) -> Outcome:
    """As it is read where there is a compiler."""
    return _outcome(raws, only, known or interpreter())


def by_python(raws: Sequence[bytes], *, only: str | None = PATIENT, known: Interpreter | None = None) -> Outcome:
    """As it is read without one."""
    with _without_scan():
        return _outcome(raws, only, known or interpreter())


def scanned(*resources: Any) -> Searchset:
    """A searchset, which scan.c must be able to read."""
    found = scan(bundle(*resources))
    assert found is not None
    return found


@contextmanager
def _without_scan() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "scan", lambda _: None)
        yield


def _outcome(raws: Sequence[bytes], only: str | None, known: Interpreter) -> Outcome:
    one = Reader(known, patient=only)
    try:
        one.read_searchsets(raws)
        return _of(one.record())
    except RecursionError as error:
        return Outcome((), ((), ()), (), (), 0, type(error).__name__)


def _of(record: Record) -> Outcome:
    events = record.events
    return Outcome(
        tuple(tuple(np.asarray(getattr(events, name)).tolist()) for name in COLUMNS),
        (events.patients, events.concepts),
        tuple(record.refusals),
        record.stays,
        record.resources,
    )
