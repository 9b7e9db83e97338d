"""The compiled kernel, built from kernel.c when Bedside is installed where there is a C compiler."""

import ctypes
import os
from functools import cache
from pathlib import Path

VERSION = 1
FILE = "_kernel.so"
# "graph" leaves the kernel alone: for comparison, or if it is ever doubted.
SWITCH = "BEDSIDE_EXPLAINER"


class NoLibrary(Exception):  # noqa: N818 - no error: the graph explains itself
    """There is no compiled kernel to use; the message says why."""


class Trees(ctypes.Structure):
    """`bedside_trees` of kernel.c."""

    _fields_ = (
        ("trees", ctypes.c_int64),
        ("features", ctypes.c_int64),
        ("outputs", ctypes.c_int64),
        ("longest", ctypes.c_int64),
        ("starts", ctypes.c_void_p),
        ("first", ctypes.c_void_p),
        ("blocks", ctypes.c_void_p),
        ("edges", ctypes.c_void_p),
        ("nodes", ctypes.c_void_p),
    )


@cache
def load_library() -> ctypes.CDLL:
    """Load the kernel.

    Raises:
        NoLibrary: it was not built, belongs to another version, or is switched off by BEDSIDE_EXPLAINER=graph.
    """
    if os.environ.get(SWITCH) == "graph":
        raise NoLibrary(f"{SWITCH}=graph")
    path = Path(__file__).with_name(FILE)
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise NoLibrary(
            "it was not built: install Bedside where there is a C compiler, then install it again"
        ) from error
    library.bedside_explainer_version.restype = ctypes.c_int32
    found = library.bedside_explainer_version()
    if found != VERSION:
        raise NoLibrary(f"it is of version {found}, not {VERSION}: install Bedside again")
    library.bedside_explain.restype = ctypes.c_int32
    library.bedside_explain.argtypes = (
        ctypes.POINTER(Trees),
        ctypes.c_int64,
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_int32,
    )
    return library
