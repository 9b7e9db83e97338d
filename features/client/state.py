"""State: what an export into a folder has come to, so that one that was interrupted goes on where it stood."""

import os
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from features.client.errors import ExportError
from features.files.sources import UNFINISHED_EXPORT

FINISHED_EXPORT = ".bedside-export.json"
FORMAT = 1

Kind: TypeAlias = Literal["output", "error", "deleted"]


class ExportFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of an export: where it is to be had, and its path in the folder, without a suffix of compression.

    `resources` is how many the server says are in it, if it does.
    """

    path: str
    url: str
    kind: Kind
    resources: int | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What an export consists of."""

    transaction_time: str
    requires_access_token: bool
    files: tuple[ExportFile, ...]


class ExportState(msgspec.Struct, frozen=True, kw_only=True):
    """How far an export is: asked for, and once the server has it ready, of what it consists.

    `request` is the URL that began it, or those of the searches whose pages are saved (which have no status URL),
    `released` whether the server was told that it may remove its files.
    """

    format: int = FORMAT
    request: str
    status_url: str = ""
    manifest: Manifest | None = None
    released: bool = False


def load_state(folder: Path, request: str) -> tuple[ExportState | None, bool]:
    """The state of the export in a folder, and whether it is finished; None for a folder that has none.

    Raises:
        ExportError: the folder holds another export, or files of which we do not know where they come from.
    """
    for name, is_finished in ((UNFINISHED_EXPORT, False), (FINISHED_EXPORT, True)):
        file = folder / name
        if file.exists():
            state = _decoded(file)
            if state.request != request:
                raise ExportError(f"{folder}: holds another export than is asked for. Choose another folder.")
            return state, is_finished
    if folder.exists() and any(file.name != f"{UNFINISHED_EXPORT}.part" for file in folder.iterdir()):
        raise ExportError(f"{folder}: expected an empty folder, or one of this export; it holds other files.")
    return None, False


def save_state(folder: Path, state: ExportState, *, is_finished: bool = False) -> None:
    """Write the state aside, then rename: it is whole or the one before."""
    name = FINISHED_EXPORT if is_finished else UNFINISHED_EXPORT
    aside = folder / f"{name}.part"
    # Only for us: a status URL may be all that is needed to get the records.
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(state), indent=1) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    aside.replace(folder / name)
    if is_finished:
        (folder / UNFINISHED_EXPORT).unlink(missing_ok=True)


def _decoded(file: Path) -> ExportState:
    try:
        state = msgspec.json.decode(file.read_bytes(), type=ExportState)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ExportError(f"{file}: cannot be read as the state of an export. Choose another folder.") from error
    if state.format != FORMAT:
        raise ExportError(
            f"{file}: expected format {FORMAT}, got {state.format}. Go on with the version that began it."
        )
    return state
