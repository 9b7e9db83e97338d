"""Sample patients: example requests beside a bundle, for the pages, the demonstration and the tests."""

from pathlib import Path
from typing import Any

import msgspec

from serving.pages import Sample


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
