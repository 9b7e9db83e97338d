"""Patience: what is tried again, how often, and how long we wait in between."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TypeVar

from features.client.errors import PassingError, UnavailableError

Result = TypeVar("Result")

# RFC 9110, section 15.5.9 and 15.6; RFC 6585, section 4. 501 and 505 to 511 do not pass by waiting.
PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How much is done for one answer, from the first try on."""

    tries: int = 7
    first_wait_seconds: float = 1.0
    longest_wait_seconds: float = 60.0
    total_seconds: float = 600.0

    def __post_init__(self) -> None:
        if self.tries < 1:
            raise ValueError(f"Expected at least one try, got {self.tries}.")
        if not 0 < self.first_wait_seconds <= self.longest_wait_seconds:
            raise ValueError(
                f"Expected waits above 0 s of which the first is not the longest, got {self.first_wait_seconds} s and "
                f"{self.longest_wait_seconds} s."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What time is for whoever waits: a clock in Unix seconds, a sleep, and a draw from [0, 1)."""

    clock: Callable[[], float]
    sleep: Callable[[float], None]
    draw: Callable[[], float]


def wait_seconds(patience: Patience, *, failures: int, asked_seconds: float | None, draw: float) -> float:
    """How long to wait after the given number of failures in a row.

    What the server asks for counts, if it says; else a draw from all waits up to a bound that doubles with each
    failure, so that many clients do not come back at once (M. Brooker, "Exponential Backoff And Jitter", 2015).
    """
    if asked_seconds is not None:
        return max(0.0, asked_seconds)
    return draw * min(patience.longest_wait_seconds, patience.first_wait_seconds * 2.0 ** (failures - 1))


def retry_after_seconds(header: str | None, *, now: float) -> float | None:
    """Seconds that a Retry-After header asks for, given as seconds or as a date; None without one that can be read.

    Args:
        header: as it was sent (RFC 9110, section 10.2.3).
        now: Unix seconds.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now)


def persist(
    attempt: Callable[[], Result],
    patience: Patience,
    pace: Pace,
    *,
    progress: Callable[[], int] = lambda: 0,
) -> Result:
    """Try until it succeeds, fails for good, or patience ends; whoever makes progress is given patience anew.

    Args:
        attempt: raises PassingError where another try is worth it.
        patience: how often and how long.
        pace: how time passes.
        progress: grows with what was gained, such as bytes of a download.

    Raises:
        UnavailableError: patience ended; the message has the last failure.
    """
    failures, started, gained = 0, pace.clock(), progress()
    while True:
        try:
            return attempt()
        except PassingError as error:
            if progress() > gained:
                failures, started, gained = 0, pace.clock(), progress()
            failures += 1
            wait = wait_seconds(patience, failures=failures, asked_seconds=error.retry_after_seconds, draw=pace.draw())
            spent = pace.clock() - started
            if failures >= patience.tries or spent + wait > patience.total_seconds:
                asked = f", and it asks us to wait {wait:.0f} s" if error.retry_after_seconds else ""
                raise UnavailableError(
                    f"{error} Given up after {failures} tries in {spent:.0f} s{asked}. Try again later.",
                    status=error.status,
                ) from error
        pace.sleep(wait)
