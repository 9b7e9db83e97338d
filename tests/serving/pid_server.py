"""A server for the tests of workers: `python -m tests.serving.pid_server PORT WORKERS [fault]` answers with its pid.

/slow answers after a while; the fault `startup` lets every worker fail before it accepts calls, `thread` has a second
thread running when the workers are to be forked.
"""

import asyncio
import os
import sys
import threading

from starlette.types import Receive, Scope, Send

from serving.listening import bound, serve_alone
from serving.workers import WorkersError, serve_with_workers

SLOW_S = 0.5


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """The application."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(SLOW_S)
    body = str(os.getpid()).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def _lifespan(receive: Receive, send: Send) -> None:
    await receive()
    failed = sys.argv[3:] == ["startup"]
    await send({"type": "lifespan.startup.failed" if failed else "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


def main() -> None:
    """Serve until told to stop."""
    port, workers = int(sys.argv[1]), int(sys.argv[2])
    if sys.argv[3:] == ["thread"]:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    with bound("127.0.0.1", port) as sockets:
        if workers == 1:
            serve_alone(answer, sockets)
            return
        try:
            serve_with_workers(answer, sockets, workers=workers)
        except WorkersError as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main()
