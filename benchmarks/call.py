"""One `patient-view` call with explanation and journal, beside an endpoint that only parses the same body.

    python -m benchmarks.call [--observations 60] [--calls 600] [--json FILE]

Servers run as processes of their own on loopback, one worker each; both are measured in turns in this one run, so
read the ratios: the machine may be noisy. Latencies are those of the client, in milliseconds.
"""

import argparse
import http.client
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI, Request

from benchmarks.bodies import patient_view
from models.catalog import find

SERVICE = "sepsis"
ROUNDS = 5
CONCURRENCIES = (1, 8)

echo = FastAPI()


@echo.post(f"/cds-services/{SERVICE}")
async def parse_only(request: Request) -> dict[str, list[object]]:
    """What FastAPI does before anybody thinks: parse the body, answer an empty list."""
    await request.json()
    return {"cards": []}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--observations", type=int, default=60)
    parser.add_argument("--calls", type=int, default=600, help="per round and concurrency")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    body = patient_view(find(SERVICE).spec, observations=arguments.observations)
    print(
        f"{arguments.observations} Observations, {len(body) / 1000:.0f} kB; {arguments.calls} calls × {ROUNDS} rounds"
    )
    with ExitStack() as stack, tempfile.TemporaryDirectory() as state:
        ports = {
            name: stack.enter_context(_server([part.format(state=state) for part in command]))
            for name, command in COMMANDS.items()
        }
        rows = _measure(ports, f"/cds-services/{SERVICE}", body, arguments.calls)
    for row in rows:
        print(
            "{server:<26} concurrency {concurrency}: p50 {p50_ms:7.2f} ms  p99 {p99_ms:7.2f} ms  {rate:7.0f}/s".format(
                **row
            )
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


SERVE = ["-m", "bedside.cli", "serve", "--as-of", "latest-observation", "--state", "{state}/"]
COMMANDS = {
    "bedside, journal synced": [*SERVE[:-1], "{state}/full", "--journal-sync", "full"],
    "bedside, journal in WAL": [*SERVE[:-1], "{state}/normal", "--journal-sync", "normal"],
    "parse only (FastAPI)": ["-m", "uvicorn", "benchmarks.call:echo", "--no-access-log"],
}


@contextmanager
def _server(arguments: list[str]) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, *arguments, "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait(process, port)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError(f"The server ended with status {process.returncode}.")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("The server did not open its port within 30 s.")


def _measure(ports: dict[str, int], path: str, body: bytes, calls: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for concurrency in CONCURRENCIES:
        latencies: dict[str, list[float]] = {name: [] for name in ports}
        seconds = dict.fromkeys(ports, 0.0)
        for turn in range(ROUNDS + 1):  # the first is the warm-up
            for name, port in ports.items():
                found, took = _calls(port, path, body, calls, concurrency)
                if turn:
                    latencies[name] += found
                    seconds[name] += took
        for name, found in latencies.items():
            p50, p99 = 1000 * np.percentile(found, [50, 99])
            rate = len(found) / seconds[name]
            rows.append(
                {"server": name, "concurrency": concurrency, "p50_ms": float(p50), "p99_ms": float(p99), "rate": rate}
            )
    return rows


def _calls(port: int, path: str, body: bytes, calls: int, concurrency: int) -> tuple[list[float], float]:
    """Send so many calls over so many kept-open connections; the latency of each, and the time for all."""
    latencies: list[float] = []

    def work(count: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        for _ in range(count):
            start = time.perf_counter()
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
            latencies.append(time.perf_counter() - start)
            assert answer.status == http.HTTPStatus.OK, content
        connection.close()

    threads = [threading.Thread(target=work, args=(calls // concurrency,)) for _ in range(concurrency)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return latencies, time.perf_counter() - start


if __name__ == "__main__":
    main()
