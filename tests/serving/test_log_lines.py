"""Log lines: an event's fields can be read, nothing breaks out of its line, and no flood fills the disk."""

import logging

from serving.log_lines import MOST_A_MINUTE, EventFormatter, OftenEnough


def event(message: str = "client_refused", **fields: object) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": message, "levelname": "WARNING", **fields})


def test_an_event_is_one_line_with_its_fields() -> None:
    line = EventFormatter().format(event(reason="expired", client=None))
    assert line == "WARNING: client_refused reason='expired' client=None"


def test_what_is_not_printable_does_not_begin_a_line_of_its_own() -> None:
    line = EventFormatter().format(event(why="no\nINFO: all is well\x1b[2J"))
    assert line == "WARNING: client_refused why='no\\nINFO: all is well\\x1b[2J'"


def test_a_traceback_follows_the_event() -> None:
    fault = OSError("disk full")
    line = EventFormatter().format(event("journal write failed", exc_info=(OSError, fault, None)))
    assert line == "WARNING: journal write failed\nOSError: disk full"


def test_of_one_event_a_minute_has_so_many_lines_and_the_next_says_how_many_were_held_back() -> None:
    now = 0.0
    often_enough = OftenEnough(monotonic=lambda: now)
    assert sum(often_enough.filter(event()) for _ in range(MOST_A_MINUTE + 500)) == MOST_A_MINUTE
    assert often_enough.filter(event("keys_not_fetched"))
    now = 60.0
    first = event()
    assert often_enough.filter(first)
    assert vars(first)["held_back"] == 500
    second = event()
    assert often_enough.filter(second)
    assert "held_back" not in vars(second)
