"""What a bulk export has brought, counted from the files themselves."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from features.client.download import finished
from features.client.errors import ExportError
from features.client.failures import severities
from features.client.state import Manifest
from features.files.blocks import read_blocks
from features.files.sources import SourceError


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """What an export has brought.

    Attributes:
        folder: where it is.
        transaction_time: the server's, to ask for what is newer the next time (`since`).
        files: of records, by path.
        bytes: of them, as they lie there.
        outcomes: what the server said of its own export, by severity; see the folder of its errors.
        deleted_files: of what is no longer there; it is not taken out of earlier exports.
        miscounted: files that hold another number of resources than the server says.
        is_released: whether the server took note that its own files are no longer needed.
    """

    folder: Path
    transaction_time: str
    files: tuple[Path, ...]
    bytes: int
    outcomes: Mapping[str, int] = field(default_factory=dict)
    deleted_files: int = 0
    miscounted: tuple[str, ...] = ()
    is_released: bool = False


def report(folder: Path, manifest: Manifest, *, is_released: bool) -> ExportReport:
    """The report of an export whose files are all there.

    Raises:
        ExportError: a file is missing, or was damaged.
    """
    found = {file: finished(folder / file.path) for file in manifest.files}
    missing = [file.path for file, path in found.items() if path is None]
    if missing:
        raise ExportError(
            f"{folder}: {len(missing)} files of the export are missing, such as {missing[0]}. Export anew."
        )
    files = {file: path for file, path in found.items() if path is not None}
    records = tuple(path for file, path in files.items() if file.kind == "output")
    return ExportReport(
        folder=folder,
        transaction_time=manifest.transaction_time,
        files=records,
        bytes=sum(path.stat().st_size for path in records),
        outcomes=_outcomes(path for file, path in files.items() if file.kind == "error"),
        deleted_files=sum(file.kind == "deleted" for file in files),
        miscounted=tuple(
            file.path
            for file, path in files.items()
            if file.kind == "output" and file.resources is not None and _count(path) != file.resources
        ),
        is_released=is_released,
    )


def _outcomes(files: Iterable[Path]) -> Mapping[str, int]:
    return dict(Counter(one for file in files for line in _lines(file) for one in severities(line)))


def _count(file: Path) -> int:
    return sum(1 for _ in _lines(file))


def _lines(file: Path) -> Iterator[bytes]:
    try:
        for block in read_blocks(file):
            yield from (line for line in block.data.split(b"\n") if line.strip())
    except SourceError as error:
        raise ExportError(f"{error} Remove the file and run the export again.") from error
