"""Listening: the sockets of a server, and its HTTP server where one process answers alone."""

import copy
import logging
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any, Final, TypeAlias

import uvicorn
from starlette.types import ASGIApp
from uvicorn.config import LOGGING_CONFIG

# After a signal, calls that were taken have so long to be answered; then they are given up.
GRACE_S: Final = 10
# Connections that may wait to be accepted.
BACKLOG: Final = 2048
STOPPING: Final = (signal.SIGINT, signal.SIGTERM)

Sockets: TypeAlias = tuple[socket.socket, ...]

logger = logging.getLogger("bedside.server")


class ListenError(Exception):
    """The address cannot be listened on; the message says which, and why."""


@contextmanager
def bound(host: str, port: int) -> Iterator[Sockets]:
    """Sockets bound to every address of a host, not yet listening: calls are refused until they can be answered.

    Raises:
        ListenError: the host is not of this machine, or the port is taken or not allowed.
    """
    with ExitStack() as stack:
        try:
            # Made for TCP by number: only where asyncio reads IPPROTO_TCP from a socket does it turn off Nagle's
            # algorithm, with which an answer in two segments waits 40 ms for the client's acknowledgement.
            found = dict.fromkeys(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP))
            sockets = tuple(stack.enter_context(socket.socket(*address[:3])) for address in found)
            for listener, (family, *_, address) in zip(sockets, found, strict=True):
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                listener.bind(address)
        except OSError as error:
            raise ListenError(f"Expected to listen on {host}, port {port}: {error.strerror}.") from error
        yield sockets


def serve_alone(app: ASGIApp, sockets: Sockets) -> None:
    """Answer calls in this process until SIGTERM or SIGINT comes; then finish those that were taken."""
    config = configuration(app, backlog=BACKLOG)
    before = {number: signal.signal(number, leave) for number in STOPPING}
    try:
        _Alone(config).run(sockets=list(sockets))
    except SystemExit as ending:
        if ending.code != 0:
            raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Alone(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        logger.info("Accepting calls on %s", addresses(sockets or []))


def configuration(app: ASGIApp, *, backlog: int) -> uvicorn.Config:
    """Uvicorn's settings, with all that they name imported; sets up the log of the process."""
    config = uvicorn.Config(
        app, log_config=_log_config(), access_log=False, backlog=backlog, timeout_graceful_shutdown=GRACE_S
    )
    config.load()
    config.get_loop_factory()
    return config


def leave(_signal: int, _frame: FrameType | None) -> None:
    """A signal's handler: end in order. Uvicorn, once it has stopped on a signal, raises it again for this one."""
    raise SystemExit(0)


def addresses(sockets: list[socket.socket] | Sockets) -> str:
    """Where the sockets listen, for the log."""
    return ", ".join(f"{host} port {port}" for host, port, *_ in (each.getsockname() for each in sockets))


def _log_config() -> dict[str, Any]:
    settings: dict[str, Any] = copy.deepcopy(LOGGING_CONFIG)
    settings["loggers"][logger.name] = {"handlers": ["default"], "level": "INFO", "propagate": False}
    return settings
