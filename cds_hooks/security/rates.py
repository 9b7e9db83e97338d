"""Rates: how often a client may call, by a bucket of tokens for each client.

In one process: N processes let a client send up to N times its rate. What must hold for a whole site belongs to the
proxy in front.
"""

import math
from collections.abc import Callable

from cds_hooks.security.errors import TooManyRequests
from cds_hooks.security.registrations import Registration

_SECONDS_PER_MINUTE = 60.0


class RateLimits:
    """Buckets that hold one minute's requests, are full at first, and fill evenly."""

    def __init__(self, *, monotonic: Callable[[], float]) -> None:
        """`monotonic`: seconds that only ever grow, from any start."""
        self._monotonic = monotonic
        self._buckets: dict[str, tuple[float, float]] = {}  # requests left, as of when

    def take(self, registration: Registration) -> None:
        """Count one request of this client.

        Raises:
            TooManyRequests: there was none left; the answer says when there will be.
        """
        now = self._monotonic()
        most = float(registration.requests_per_minute)
        per_second = most / _SECONDS_PER_MINUTE
        left, as_of = self._buckets.get(registration.name, (most, now))
        left = min(most, left + (now - as_of) * per_second)
        if left < 1:
            self._buckets[registration.name] = (left, now)
            raise TooManyRequests(
                f"Expected at most {registration.requests_per_minute} requests a minute, as registered; more came.",
                client=registration.name,
                headers={"retry-after": str(math.ceil((1 - left) / per_second))},
            )
        self._buckets[registration.name] = (left - 1, now)
