"""Progress of long measurements, on the error stream, so that the table on the output stays a table."""

import sys
import time

_START = time.monotonic()


def step(what: str) -> None:
    """Say what is measured now, with the seconds since the start."""
    print(f"[{time.monotonic() - _START:5.0f} s] {what}", file=sys.stderr, flush=True)
