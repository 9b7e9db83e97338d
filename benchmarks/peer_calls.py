"""The peers beside Bedside: the same model, the same machine, the same run, each as its documentation says.

    python -m benchmarks.peer_calls [--quick] [--pin] [--json FILE]

The first run makes a virtual environment for each (minutes); what cannot be installed or started is a row with the
reason. Peers that take a finished feature row neither read FHIR nor compute features, explain or keep a journal; the
column `does` says what each one does. All are asked in turns, by the load generator of benchmarks.load.
"""

import argparse
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import load
from benchmarks.bodies import explained_card, patient_view
from benchmarks.call import serve_command
from benchmarks.make_model import benchmark_model
from benchmarks.model import BENCHMARK, BenchmarkModel, benchmark_spec
from benchmarks.peer_servers import PEERS, Peer, PeerError, PreparedPeer, prepare, row_request
from benchmarks.processors import Processors, processors
from benchmarks.progress import step
from benchmarks.servers import Server, ServerError, running

BEDSIDE = "Bedside, journal synced"
BEDSIDE_DOES = "reads FHIR, computes features, scores, explains, makes a card, keeps a journal"
ROUNDS, CALLS, ROUND_AT_MOST_S = 3, {1: 300, 8: 600}, 1.0
OBSERVATIONS = (60, 1000)
TRAINED_ROW = 3  # any; some of its values are missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One server with one kind of request."""

    name: str
    version: str
    does: str
    request: str
    server: Server
    wire: load.Request


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round: to see that it runs")
    parser.add_argument("--pin", action="store_true", help="the client on one processor, the servers on another")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    model, places = benchmark_model(), processors(pin=arguments.pin)
    absent: list[dict[str, str]] = []
    with ExitStack() as stack:
        cases = list(_cases(stack, model, places, absent))
        with places.client():
            rows = list(_measured(cases, rounds=1 if arguments.quick else ROUNDS))
    found = {"processors": places.words, "rows": rows, "absent": absent}
    _print(found)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


def _cases(stack: ExitStack, model: BenchmarkModel, places: Processors, absent: list[dict[str, str]]) -> Iterator[Case]:
    """Every server, started; why one is not there goes to `absent`."""
    state = stack.enter_context(TemporaryDirectory())
    command = serve_command(model, state, models=(BENCHMARK,), journal="full")
    server = stack.enter_context(running(command, ready="/cds-services", cpus=places.servers))
    yield from _fhir_cases(BEDSIDE, "", BEDSIDE_DOES, server, f"/cds-services/{BENCHMARK}", explained_card())
    for peer in PEERS:
        step(f"{peer.name}: install, prepare, start")
        try:
            ready = prepare(peer, model.folder)
            server = stack.enter_context(_started(ready, places))
            cases = list(_peer_cases(peer, ready.version, server, model))
            for case in cases:
                load.drive(server.port, case.wire, calls=3)
        except (PeerError, ServerError, load.LoadError) as error:
            absent.append({"name": peer.name, "reason": without_paths(str(error))})
        else:
            yield from cases


def _started(ready: PreparedPeer, places: Processors) -> Any:
    return running(
        ready.command,
        ready=ready.peer.ready,
        folder=ready.folder,
        environment=ready.surroundings,
        cpus=places.servers,
    )


def _peer_cases(peer: Peer, version: str, server: Server, model: BenchmarkModel) -> Iterator[Case]:
    if peer.takes == "FHIR":
        yield from _fhir_cases(peer.name, version, peer.does, server, peer.path, peer.expects)
        return
    wire = row_request(peer, model.rows[TRAINED_ROW], benchmark_spec().features.ids)
    yield Case(name=peer.name, version=version, does=peer.does, request="a row", server=server, wire=wire)


def _fhir_cases(name: str, version: str, does: str, server: Server, path: str, expects: bytes) -> Iterator[Case]:
    for observations in OBSERVATIONS:
        body = patient_view(benchmark_spec(), observations=observations)
        wire = load.Request.post(path, body, expects=expects)
        request = f"{observations} Observations"
        yield Case(name=name, version=version, does=does, request=request, server=server, wire=wire)


def _measured(cases: list[Case], *, rounds: int) -> Iterator[dict[str, Any]]:
    found: dict[tuple[int, int], list[load.Load]] = {}
    for connections, calls in CALLS.items():
        for turn in range(rounds + 1):  # the first is the warm-up
            step(f"peers, concurrency {connections}, round {turn} of {rounds}")
            for number, case in enumerate(cases):
                came = load.drive(
                    case.server.port,
                    case.wire,
                    calls=calls if turn else calls // 10,
                    connections=connections,
                    at_most_s=ROUND_AT_MOST_S,
                )
                if turn:
                    found.setdefault((number, connections), []).append(came)
    for number, case in enumerate(cases):
        one, eight = (load.figures(found[number, connections]) for connections in CALLS)
        yield {
            "name": case.name,
            "version": case.version,
            "does": case.does,
            "request": case.request,
            "concurrency_1": asdict(one),
            "concurrency_8": asdict(eight),
            "resident_mb": case.server.resident_mb,
            "start_to_ready_s": case.server.start_s,
        }


def without_paths(text: str) -> str:
    """What a results file may quote: the last line, with no path of this machine."""
    last = text.strip().splitlines()[-1] if text.strip() else "no reason given"
    return " ".join("…" if "/" in word else word for word in last.split())


def _print(found: dict[str, Any]) -> None:
    print(f"\n{found['processors']}")
    print(f"{'peer':44} {'request':18} {'p50 ms':>8} {'p99 ms':>8} {'calls/s at 8':>12} {'MB':>5}  does")
    for row in found["rows"]:
        one = row["concurrency_1"]
        print(
            f"{row['name'] + ' ' + row['version']:44} {row['request']:18} {one['p50_ms']:8.2f} {one['p99_ms']:8.2f} "
            f"{row['concurrency_8']['per_second']:12.0f} {row['resident_mb']:5.0f}  {row['does']}"
        )
    for peer in found["absent"]:
        print(f"{peer['name']:44} not measured: {peer['reason']}")


if __name__ == "__main__":
    main()
