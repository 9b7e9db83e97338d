"""Compiled code: libraries that are built from C when Bedside is installed, each beside the Python that it takes over.

Whoever loads one has a way to do without it, so that Bedside runs where there is no compiler, only more slowly.
"""

import ctypes
import os
from pathlib import Path


class NoLibrary(Exception):  # noqa: N818 - no error: there is another way
    """There is no compiled library to use; the message says why."""


def load_compiled(path: Path, *, version_of: str, version: int, switch: str, off: str) -> ctypes.CDLL:
    """Load a library.

    Args:
        path: of the library.
        version_of: the name of its function that tells its version.
        version: the one that the Python beside it knows.
        switch: an environment variable that may ask for the other way.
        off: the value with which it does.

    Raises:
        NoLibrary: it was not built, belongs to another version, or is switched off.
    """
    if os.environ.get(switch) == off:
        raise NoLibrary(f"{switch}={off}")
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise NoLibrary(
            "it was not built: install Bedside where there is a C compiler, then install it again"
        ) from error
    tell = getattr(library, version_of)
    tell.restype = ctypes.c_int32
    found = tell()
    if found != version:
        raise NoLibrary(f"it is of version {found}, not {version}: install Bedside again")
    return library
