"""The compiled kernel, built from kernel.c when Bedside is installed where there is a C compiler."""

import ctypes
from functools import cache
from pathlib import Path

from features.compiled import NoLibrary, load_compiled

__all__ = ["NoLibrary", "Trees", "load_library"]

VERSION = 1
FILE = "_kernel.so"
# "graph" leaves the kernel alone: for comparison, or if it is ever doubted.
SWITCH = "BEDSIDE_EXPLAINER"


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
    library = load_compiled(
        Path(__file__).with_name(FILE),
        version_of="bedside_explainer_version",
        version=VERSION,
        switch=SWITCH,
        off="graph",
    )
    library.bedside_explain.restype = ctypes.c_int32
    library.bedside_explain.argtypes = (
        ctypes.POINTER(Trees),
        ctypes.c_int64,
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_int32,
    )
    return library
