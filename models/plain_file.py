"""Reads one file of a bundle: a plain file, no link, and never more than its limit."""

import os
import stat
from pathlib import Path

# Neither follow a link nor wait for a pipe that was put there after we looked; not every system has these.
_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class PlainFileError(Exception):
    """What lies there is not read; the message says why, without the path."""


def read_plain(path: Path, limit_bytes: int) -> bytes:
    """The content of a plain file.

    A link could lead out of the folder, a pipe would never end, and a huge file would take the process's memory: each
    is refused unread, also if it takes a file's place at the last moment. A file that grows meanwhile is read to its
    limit and refused.

    Raises:
        PlainFileError: it is none, it is larger, or the system does not let us.
    """
    try:
        found = path.lstat()
        _require_plain(found)
        if found.st_size > limit_bytes:
            raise PlainFileError(f"expected at most {limit_bytes:,} bytes, it has {found.st_size:,}.")
        with os.fdopen(os.open(path, _FLAGS), "rb") as file:
            _require_plain(os.fstat(file.fileno()))
            content = file.read(limit_bytes + 1)
    except OSError as error:
        raise PlainFileError(f"cannot be read: {error.strerror}.") from error
    if len(content) > limit_bytes:
        raise PlainFileError(f"expected at most {limit_bytes:,} bytes, it has more.")
    return content


def _require_plain(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise PlainFileError("expected a plain file, got a link, a folder or a device.")
