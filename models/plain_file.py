"""Reads one file of a bundle: a plain file, no link, and never more than its limit."""

import stat
from pathlib import Path


class PlainFileError(Exception):
    """What lies there is not read; the message says why, without the path."""


def read_plain(path: Path, limit_bytes: int) -> bytes:
    """The content of a plain file.

    A link could lead out of the folder, a pipe would never end, and a huge file would take the process's memory:
    each is refused before it is opened. A file that grows meanwhile is read to its limit and refused.

    Raises:
        PlainFileError: it is none, it is larger, or the system does not let us.
    """
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            raise PlainFileError("expected a plain file, got a link, a folder or a device.")
        if found.st_size > limit_bytes:
            raise PlainFileError(f"expected at most {limit_bytes:,} bytes, it has {found.st_size:,}.")
        with path.open("rb") as file:
            content = file.read(limit_bytes + 1)
    except OSError as error:
        raise PlainFileError(f"cannot be read: {error.strerror}.") from error
    if len(content) > limit_bytes:
        raise PlainFileError(f"expected at most {limit_bytes:,} bytes, it has more.")
    return content
