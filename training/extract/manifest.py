"""The manifest of extracted events: written last, it says which parts there are, and so that all are there."""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from features.refusals import Refusal
from training.extract.faults import FileFaults

FORMAT = 1
MANIFEST, REFUSALS = "manifest.json", "refusals.json"


class NotWholeError(Exception):
    """A folder does not hold what an extraction writes, or not all of it; the message names what is missing."""


class PartFiles(msgspec.Struct, frozen=True, kw_only=True):
    """One partition's files, `events/NAME` and `stays/NAME`, and what is in them."""

    name: str
    patients: int
    events: int
    stays: int
    events_bytes: int
    stays_bytes: int


class InputFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was read; or was not, and why."""

    name: str
    bytes: int | None = None
    ignored: str | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What was read and written. Nothing in it depends on who did it, or when.

    Attributes:
        format: number of the layout.
        rules: version of Bedside and fingerprint of its vocabulary.
        fhir_version: as which the source was read.
        resources, patients, events, stays: how many.
        concepts: that occur.
        parts: the files, a partition of the patients each.
        input: the files that lay in the source.
        faults: of files that were read in part, where that was asked for.
    """

    format: int
    rules: str
    fhir_version: str
    resources: int
    patients: int
    events: int
    stays: int
    concepts: tuple[str, ...]
    parts: tuple[PartFiles, ...]
    input: tuple[InputFile, ...]
    faults: tuple[FileFaults, ...]


class Refused(msgspec.Struct, frozen=True):
    """What was not used, why and how often."""

    reason: str
    concept: str | None
    detail: str | None
    count: int


def write_refusals(refusals: Iterable[tuple[Refusal, int]], folder: Path) -> None:
    """Write what was not used, why and how often."""
    listed = [Refused(refusal.reason.value, refusal.concept, refusal.detail, count) for refusal, count in refusals]
    (folder / REFUSALS).write_bytes(msgspec.json.format(msgspec.json.encode(listed), indent=1))


def read_refusals(folder: Path) -> tuple[Refused, ...]:
    """What was not used for the events in a folder."""
    return msgspec.json.decode((folder / REFUSALS).read_bytes(), type=tuple[Refused, ...])


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Write the manifest, whole or not at all."""
    aside = folder / f".{MANIFEST}"
    aside.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1))
    aside.replace(folder / MANIFEST)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder that is whole.

    Raises:
        NotWholeError: there is no manifest, it is of another format, or a part is missing or cut short.
    """
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except OSError as error:
        raise NotWholeError(
            f"{folder}: expected the folder that `bedside extract` wrote, with {MANIFEST}; without it the extraction "
            "did not end. Remove the folder and extract again."
        ) from error
    except msgspec.DecodeError as error:
        raise NotWholeError(f"{folder / MANIFEST}: not a manifest of extracted events: {error}.") from error
    if manifest.format != FORMAT:
        raise NotWholeError(
            f"{folder}: expected format {FORMAT}, got {manifest.format}: use the Bedside that wrote it."
        )
    for part in manifest.parts:
        for kind, size in (("events", part.events_bytes), ("stays", part.stays_bytes)):
            _check(folder / kind / part.name, size)
    return manifest


def _check(file: Path, size: int) -> None:
    if not file.is_file():
        raise NotWholeError(f"{file}: expected by the manifest, and not there. Extract again.")
    found = file.stat().st_size
    if found != size:
        raise NotWholeError(f"{file}: expected {size:,} bytes by the manifest, got {found:,}. Extract again.")
