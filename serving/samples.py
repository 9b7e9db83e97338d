"""Sample patients: example requests beside a bundle, for the pages, the demonstration and the tests."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from serving.pages import Sample

# FHIR's elements of time that move with a patient; a birth date does not.
TIMES = frozenset({"effectiveDateTime", "issued", "authoredOn", "recordedDate", "onsetDateTime", "start", "end"})
MEASURED = "effectiveDateTime"
INSTANT = len("2026-11-24T09:30")


class Example(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of an examples folder: a title, a note on what to see, and a CDS Hooks request."""

    title: str
    note: str
    request: dict[str, Any]


def load_samples(folder: Path) -> tuple[Sample, ...]:
    """The examples of a folder, by file name; none where there is no folder.

    Raises:
        ValueError: a file is not an example.
    """
    return tuple(_sample(path) for path in sorted(folder.glob("*.json")))


def _sample(path: Path) -> Sample:
    try:
        example = msgspec.json.decode(path.read_bytes(), type=Example)
    except msgspec.DecodeError as error:
        raise ValueError(f"{path.name}: expected an example with title, note and request: {error}") from error
    return Sample(id=path.stem, title=example.title, note=example.note, request=msgspec.json.encode(example.request))


def moved(sample: Sample, *, to: datetime) -> Sample:
    """The sample with all its instants moved by one span, so that its latest measurement was taken at `to`.

    A server that answers for the present can say nothing of a patient of last spring. Dates without a time of day
    stay; a sample without a measurement is returned as it is.
    """
    request = msgspec.json.decode(sample.request)
    latest = max((_instant(text) for name, text in _times(request) if name == MEASURED), default=None)
    if latest is None:
        return sample
    return replace(sample, request=msgspec.json.encode(_shift(request, to - latest)))


def _times(value: Any) -> list[tuple[str, str]]:
    """Names and texts of all instants in a request."""
    if isinstance(value, list):
        return [found for item in value for found in _times(item)]
    if not isinstance(value, dict):
        return []
    own = [(name, text) for name, text in value.items() if _is_instant(name, text)]
    return own + [found for item in value.values() for found in _times(item)]


def _shift(value: Any, by: timedelta) -> Any:
    if isinstance(value, list):
        return [_shift(item, by) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: (_instant(item) + by).isoformat() if _is_instant(name, item) else _shift(item, by)
        for name, item in value.items()
    }


def _is_instant(name: str, value: object) -> bool:
    return name in TIMES and isinstance(value, str) and len(value) >= INSTANT


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
