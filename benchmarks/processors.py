"""Which processors the client and the servers may use."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Processors:
    """One processor for the client and another for the servers, or all for all.

    Attributes:
        servers: what a server may use; empty: all.
        words: how the table says it.
    """

    servers: tuple[int, ...]
    words: str
    _client: tuple[int, ...]

    @contextmanager
    def client(self) -> Iterator[None]:
        """Keep this process on the client's processor."""
        if not self._client:
            yield
            return
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, self._client)
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)


def processors(*, pin: bool) -> Processors:
    """What this machine allows.

    Raises:
        ValueError: pinning was asked for, and there is but one processor.
    """
    usable = sorted(os.sched_getaffinity(0))
    if not pin:
        return Processors(servers=(), words=f"not pinned: client and server share {len(usable)} processors", _client=())
    if len(usable) < 2:
        raise ValueError("--pin: expected two processors or more, there is one.")
    return Processors(
        servers=(usable[1],), words="pinned: the client on one processor, each server on another", _client=(usable[0],)
    )
