"""Listening: the sockets of a server, and its HTTP server where one process answers alone."""

import copy
import logging
import signal
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from types import FrameType
from typing import Any, Final, TypeAlias

import uvicorn
from starlette.types import ASGIApp
from uvicorn.config import LOGGING_CONFIG

from serving.http_protocol import BoundedProtocol
from serving.log_lines import EventFormatter, OftenEnough

# After a signal, calls that were taken have so long to be answered; then they are given up.
GRACE_S: Final = 10
# Connections that may wait to be accepted.
BACKLOG: Final = 2048
STOPPING: Final = (signal.SIGINT, signal.SIGTERM)
# Of TLS 1.2; those of 1.3 are all good. Forward secrecy and authenticated encryption: RFC 9325, section 4.2.
CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"

Sockets: TypeAlias = tuple[socket.socket, ...]

logger = logging.getLogger("bedside.server")

# Whose events are logged, and from which level on. One line for each card would be one for each call.
_EVENTS: Final = {"bedside": "WARNING", "bedside.app": "INFO", "cds_hooks": "WARNING", "cds_hooks.security": "INFO"}


class ListenError(Exception):
    """The address cannot be listened on, or not by TLS; the message says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """With what this server ends TLS: PEM files of a certificate with its chain, and of its key."""

    certificate: Path
    key: Path


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


def require_loopback(sockets: Sockets) -> None:
    """A server for development answers this machine alone.

    Raises:
        ListenError: one of the sockets can be reached from others.
    """
    exposed = [each.getsockname()[0] for each in sockets if not ip_address(each.getsockname()[0]).is_loopback]
    if exposed:
        raise ListenError(
            f"Expected an address of this machine alone (127.0.0.1, ::1), got {', '.join(exposed)}: a development "
            "server lets in everyone who can reach it. For patients: --environment production (docs/security.md). "
            "For invented ones in a container or a closed network: --expose."
        )


def serve_alone(app: ASGIApp, sockets: Sockets, *, tls: Tls | None = None) -> None:
    """Answer calls in this process until SIGTERM or SIGINT comes; then finish those that were taken.

    Raises:
        ListenError: the certificate or its key cannot be used.
    """
    config = configuration(app, backlog=BACKLOG, tls=tls)
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


def configuration(app: ASGIApp, *, backlog: int, tls: Tls | None = None) -> uvicorn.Config:
    """Uvicorn's settings, with all that they name imported; sets up the log of the process.

    Raises:
        ListenError: the certificate or its key cannot be used.
    """
    if tls is not None:
        _check_tls(tls)
    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",  # nothing here speaks WebSocket
        log_config=_log_config(),
        access_log=False,
        server_header=False,
        backlog=backlog,
        timeout_graceful_shutdown=GRACE_S,
        # Nothing here depends on who is said to have sent a request, or by which scheme: whoever forwards such
        # headers, or forges them, is not believed.
        proxy_headers=False,
        ssl_certfile=None if tls is None else tls.certificate,
        ssl_keyfile=None if tls is None else tls.key,
        ssl_ciphers=CIPHERS,
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


def _check_tls(tls: Tls) -> None:
    try:
        # An empty pass phrase, or OpenSSL would ask for one on the terminal of a server that has none.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls.certificate, tls.key, password="")
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        why = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
        raise ListenError(
            f"TLS: expected PEM files of a certificate with its chain and of its own key without a pass phrase, got "
            f"{tls.certificate} and {tls.key}: {why}."
        ) from error


def _log_config() -> dict[str, Any]:
    settings: dict[str, Any] = copy.deepcopy(LOGGING_CONFIG)
    settings["filters"] = {"often_enough": {"()": OftenEnough}}
    settings["formatters"]["events"] = {"()": EventFormatter}
    settings["handlers"]["events"] = {
        "class": "logging.StreamHandler",
        "stream": "ext://sys.stderr",
        "formatter": "events",
        "filters": ["often_enough"],
    }
    settings["handlers"]["default"]["filters"] = ["often_enough"]  # what uvicorn says of a request, too
    settings["loggers"][logger.name] = {"handlers": ["default"], "level": "INFO", "propagate": False}
    for name, level in _EVENTS.items():
        settings["loggers"][name] = {"handlers": ["events"], "level": level, "propagate": False}
    return settings
