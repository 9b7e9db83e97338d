"""What a results file says of the machine and the libraries: enough to judge the numbers, no name and no path."""

import os
import platform
import re
import socket
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

LIBRARIES = (
    "fastapi",
    "uvicorn",
    "uvloop",
    "httptools",
    "onnxruntime",
    "numpy",
    "msgspec",
    "sqlalchemy",
    "lightgbm",
    "shap",
    "onnx",
)
NOT_INSTALLED = "not installed"


class TraceError(ValueError):
    """Something of this machine that nobody else needs would be written."""


def machine() -> dict[str, Any]:
    """Processor, cores that may be used, memory, operating system."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
    }


def versions() -> dict[str, str]:
    """Of Python and of the libraries under measurement."""
    return {"python": platform.python_version()} | {name: _version(name) for name in LIBRARIES}


def refuse_traces(text: str) -> None:
    """Look for this machine's name and folders in what is to be written.

    Raises:
        TraceError: one is in it.
    """
    traces = {"host name": socket.gethostname(), "working folder": str(Path.cwd()), "home folder": str(Path.home())}
    for what, trace in traces.items():
        if len(trace) > 1 and re.search(rf"(?<!\w){re.escape(trace)}(?!\w)", text):
            raise TraceError(f"Expected results without this machine's {what}; a section wrote it. Leave it out there.")


def _processor() -> str:
    """The processor's model, from Linux's cpuinfo."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return NOT_INSTALLED
