"""Log lines: an event with its fields on one line, and never more of one event than a disk can bear.

Anyone can make the server say that a request was refused, as often as the network allows.
"""

import logging
import time
from collections.abc import Callable
from typing import Final

MOST_A_MINUTE: Final = 120  # of one event; what it says first is what helps
_MINUTE_S: Final = 60.0

# What a record has of its own; whatever else is in it are an event's fields.
_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


class EventFormatter(logging.Formatter):
    """`WARNING: client_refused reason='expired' client='ward-ehr'`; what is not printable is escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """See logging.Formatter."""
        fields = "".join(f" {name}={value!r}" for name, value in vars(record).items() if name not in _OWN)
        trace = "" if not record.exc_info else f"\n{self.formatException(record.exc_info)}"
        return f"{record.levelname}: {record.getMessage()}{fields}{trace}"


class OftenEnough(logging.Filter):
    """Lets so many records of one event through in a minute; the first of the next minute says how many it held back.

    By the event's name, which is a constant of the program: there are few.
    """

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._windows: dict[str, tuple[float, int]] = {}  # since when, and how many came

    def filter(self, record: logging.LogRecord) -> bool:
        """See logging.Filter."""
        now = self._monotonic()
        since, count = self._windows.get(record.msg, (now, 0))
        if now - since >= _MINUTE_S:
            if count > MOST_A_MINUTE:
                record.held_back = count - MOST_A_MINUTE
            since, count = now, 0
        self._windows[record.msg] = (since, count + 1)
        return count < MOST_A_MINUTE
