"""Whole calls: `patient-view` with explanation and journal over HTTP, one worker a server.

    python -m benchmarks.call [--quick] [--pin] [--json FILE]

Three servers of the same application stand side by side, with the journal off (a stand-in that keeps nothing), in
SQLite's WAL, and synced to the disk; each serves the benchmark model and the released sepsis model. Beside them stands
an endpoint that only parses the same body. They are measured in turns, round by round, in this one run; the warm-up
round does not count. The load generator is benchmarks.load; every answer is checked for a card with reasons.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fastapi import FastAPI, Request

from benchmarks import load
from benchmarks.bodies import explained_card, patient_view
from benchmarks.make_model import benchmark_model
from benchmarks.model import BENCHMARK, BenchmarkModel, benchmark_ids, benchmark_spec
from benchmarks.processors import Processors, processors
from benchmarks.progress import step
from benchmarks.serve import JOURNALS
from benchmarks.servers import Server, running
from models.catalog import find

RELEASED = "sepsis"
PARSE_ONLY = "parse only (FastAPI)"
COPIES = 4  # of the benchmark model: five models with the released one
ROUNDS, STARTS = 5, 3
CALLS = {60: {1: 400, 8: 800}, 1000: {1: 80, 8: 120}}  # a round, by Observations and concurrency
ROUND_AT_MOST_S = 1.0

echo = FastAPI()


@echo.get("/ready")
async def ready() -> dict[str, bool]:
    """Say that it serves."""
    return {"ready": True}


@echo.post(f"/cds-services/{BENCHMARK}")
async def parse_only(request: Request) -> dict[str, list[object]]:
    """What FastAPI does before anybody thinks: parse the body, answer an empty list."""
    await request.json()
    return {"cards": []}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round, few calls: to see that it runs")
    parser.add_argument("--pin", action="store_true", help="the client on one processor, the servers on another")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    model, places = benchmark_model(copies=COPIES), processors(pin=arguments.pin)
    step("a server with five models: start and memory")
    start = _starts(model, places, 1 if arguments.quick else STARTS)
    with _servers(model, places) as servers, places.client():
        rows = list(_measured(servers, rounds=1 if arguments.quick else ROUNDS))
    found = {"processors": places.words, "start": start, "rows": rows}
    _print(found)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


def serve_command(model: BenchmarkModel, state: str, *, models: tuple[str, ...], journal: str) -> tuple[str, ...]:
    """How benchmarks.serve is started."""
    where = ("--port", "{port}", "--state", state, "--model-folder", str(model.folder))
    return (sys.executable, "-m", "benchmarks.serve", *where, "--models", ",".join(models), "--journal", journal)


def _starts(model: BenchmarkModel, places: Processors, times: int) -> dict[str, Any]:
    """Start a server with five models some times; memory after some calls to each."""
    models = (RELEASED, *benchmark_ids(COPIES))
    starts, memories = [], []
    for _ in range(times):
        with TemporaryDirectory() as state:
            command = serve_command(model, state, models=models, journal="full")
            with running(command, ready="/cds-services", cpus=places.servers) as server:
                for model_id in models:
                    load.drive(server.port, _request(model_id, 60), calls=50)
                starts.append(server.start_s)
                memories.append(server.resident_mb)
    return {
        "models": len(models),
        "start_to_ready_s": min(starts),
        "resident_mb": max(memories),
        "cli_start_to_ready_s": min(_cli_starts(places, times)),
    }


def _cli_starts(places: Processors, times: int) -> Iterator[float]:
    """Seconds until `bedside serve` with the released models answers: the command line's imports count too."""
    for _ in range(times):
        with TemporaryDirectory() as state:
            command = (sys.executable, "-m", "bedside.cli", "serve", "--port", "{port}", "--state", state)
            with running(command, ready="/cds-services", cpus=places.servers) as server:
                yield server.start_s


@contextmanager
def _servers(model: BenchmarkModel, places: Processors) -> Iterator[dict[str, Server]]:
    with ExitStack() as stack:
        state = stack.enter_context(TemporaryDirectory())
        servers: dict[str, Server] = {}
        for journal in JOURNALS:
            step(f"a server, journal {journal}")
            command = serve_command(model, f"{state}/{journal}", models=(BENCHMARK, RELEASED), journal=journal)
            servers[journal] = stack.enter_context(running(command, ready="/cds-services", cpus=places.servers))
        command = (sys.executable, "-m", "uvicorn", "benchmarks.call:echo", "--no-access-log", "--port", "{port}")
        servers[PARSE_ONLY] = stack.enter_context(running(command, ready="/ready", cpus=places.servers))
        yield servers


def _request(model_id: str, observations: int, *, expects: bytes | None = None) -> load.Request:
    spec = find(RELEASED).spec if model_id == RELEASED else benchmark_spec(model_id)
    body = patient_view(spec, observations=observations)
    return load.Request.post(f"/cds-services/{model_id}", body, expects=expects or explained_card())


def _measured(servers: Mapping[str, Server], *, rounds: int) -> Iterator[dict[str, Any]]:
    for observations, by_connections in CALLS.items():
        cases = {(name, model_id): servers[name] for name in JOURNALS for model_id in (BENCHMARK, RELEASED)}
        cases[PARSE_ONLY, BENCHMARK] = servers[PARSE_ONLY]
        requests = {
            (name, model_id): _request(model_id, observations, expects=b'"cards"' if name == PARSE_ONLY else None)
            for name, model_id in cases
        }
        for connections, calls in by_connections.items():
            step(f"calls with {observations} Observations, concurrency {connections}")
            found: dict[tuple[str, str], list[load.Load]] = {case: [] for case in cases}
            for turn in range(rounds + 1):  # the first is the warm-up
                for case, server in cases.items():
                    came = load.drive(
                        server.port,
                        requests[case],
                        calls=calls,
                        connections=connections,
                        at_most_s=ROUND_AT_MOST_S,
                    )
                    if turn:
                        found[case].append(came)
            for (name, model_id), loads in found.items():
                yield {
                    "journal": name,
                    "model": model_id,
                    "observations": observations,
                    "body_bytes": len(requests[name, model_id].wire),
                    "concurrency": connections,
                    **asdict(load.figures(loads)),
                }


def _print(found: dict[str, Any]) -> None:
    start = found["start"]
    print(f"\n{found['processors']}")
    print(f"{start['models']} models: ready after {start['start_to_ready_s']:.2f} s, {start['resident_mb']:.0f} MB")
    print(f"bedside serve with the released models: ready after {start['cli_start_to_ready_s']:.2f} s")
    print(f"{'journal':22} {'model':10} {'Obs':>5} {'at':>3} {'p50 ms':>8} {'p99 ms':>8} {'calls/s':>8}")
    for row in found["rows"]:
        print(
            f"{row['journal']:22} {row['model']:10} {row['observations']:5} {row['concurrency']:3} "
            f"{row['p50_ms']:8.2f} {row['p99_ms']:8.2f} {row['per_second']:8.0f}"
        )


if __name__ == "__main__":
    main()
