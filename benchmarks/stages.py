"""Where one call's time goes: parse, read, compute, score, explain, the rest of the assessment, render, journal, HTTP.

    python -m benchmarks.stages [--quick] [--json FILE]

Each stage is the median of many runs of the server's own functions in this process, in turns and with the collector
frozen, as the server has it. Some are medians of differences within a turn: explaining (scoring with and without), the
rest of the assessment and of the service (all of it less what it is made of) and the journal (a whole call with it in
WAL and without). HTTP is the median call over the loopback less that of the same call in this process.
"""

import argparse
import asyncio
import gc
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from benchmarks import load
from benchmarks.bodies import explained_card, patient_view
from benchmarks.call import serve_command
from benchmarks.make_model import benchmark_model
from benchmarks.memory_journal import MemoryJournal
from benchmarks.model import BENCHMARK, BenchmarkModel
from benchmarks.progress import step
from benchmarks.serve import served_model
from benchmarks.servers import running
from cds_hooks.request import decode_request
from cds_hooks.response import CdsResponse, encode_response
from features.times import microseconds
from serving.assess import ServedModel, read
from serving.cards import CardSettings, render
from serving.journal import Journal
from serving.prefetched import assess_request
from serving.pseudonym import Pseudonyms
from serving.services import BedsideServices

MODELS, OBSERVATIONS = (BENCHMARK, "sepsis"), (60, 1000)
RUNS, WARM_UP = {60: 400, 1000: 60}, 5
CARD_UUID = "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea"
SETTINGS = CardSettings(public_url="http://127.0.0.1:8000", zone=UTC)

Work = Callable[[], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """The stages of one call of one model, in microseconds.

    Attributes:
        explained_by: "compiled" code, the ONNX "graph" itself, or permutations of its scores.
        body_bytes: of the request.
        stages_us: by name, in the order of a call; their sum is the whole call.
        whole_us: one call over the loopback at concurrency 1, with the journal in WAL.
    """

    model: str
    observations: int
    body_bytes: int
    explained_by: str
    stages_us: dict[str, float]
    whole_us: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few runs: to see that it works")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    model = benchmark_model()
    found = []
    for model_id in MODELS:
        served = served_model(model_id, model)
        with _server(model, model_id) as port:
            for observations in OBSERVATIONS:
                step(f"stages of {model_id}, {observations} Observations")
                runs = RUNS[observations] // (10 if arguments.quick else 1)
                found.append(measure(served, observations=observations, runs=runs, port=port))
    _print(found)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(one) for one in found], indent=1), encoding="utf-8")


def measure(served: ServedModel, *, observations: int, runs: int, port: int) -> Stages:
    """Measure one model with one size of call.

    Args:
        served: the model.
        observations: of the request.
        runs: of each stage.
        port: of a server that serves the same model with a journal that keeps nothing.
    """
    spec = served.entry.spec
    body = patient_view(spec, observations=observations)
    request = load.Request.post(f"/cds-services/{spec.id}", body, expects=explained_card())
    with TemporaryDirectory() as state, Journal.open(f"sqlite:///{state}/journal.db", synchronous="NORMAL") as journal:
        services = {"call": _services(served, MemoryJournal()), "call, journal": _services(served, journal)}
        taken = asyncio.run(_turns(_works(served, body), services, body, runs))
    load.drive(port, request, calls=runs // 4 + 1)
    http = np.array(load.drive(port, request, calls=runs).latencies_s)
    scored, assessed = taken["score with reasons"], taken["assess"]
    seconds = {
        "parse": taken["parse"],
        "read": taken["read"],
        "compute": taken["compute"],
        "score": taken["score"],
        "explain": scored - taken["score"],
        "assess, the rest": assessed - taken["read"] - taken["compute"] - scored,
        "render": taken["render"],
        "service, the rest": taken["call"] - assessed - taken["render"],
        "journal": taken["call, journal"] - taken["call"],
        "HTTP": np.array([np.median(http) - np.median(taken["parse"]) - np.median(taken["call"])]),
    }
    stages = {name: 1e6 * float(np.median(of_each)) for name, of_each in seconds.items()}
    return Stages(
        model=spec.id,
        observations=observations,
        body_bytes=len(body),
        explained_by=served.scorer.explained_by,
        stages_us=stages,
        whole_us=sum(stages.values()),
    )


def _works(served: ServedModel, body: bytes) -> dict[str, Work]:
    """The server's functions, each with what the one before it gives."""
    request = decode_request(body)
    now = microseconds(datetime.now(UTC))
    sent = [raw for raw in request.prefetch.values() if bytes(raw) != b"null"]
    assessment = assess_request(served, request, now=now, as_of="latest-observation")
    events = read(served, request.patient_id, sent).events
    patient, at = np.zeros(1, np.int64), np.array([assessment.index_time])
    vector = served.kernel.compute(events, patient, at)
    return {
        "parse": lambda: decode_request(body),
        "read": lambda: read(served, request.patient_id, sent),
        "compute": lambda: served.kernel.compute(events, patient, at),
        "score": lambda: served.scorer.score(vector, seconds=0.0),
        "score with reasons": lambda: served.scorer.score(vector),
        "assess": lambda: assess_request(served, request, now=now, as_of="latest-observation"),
        "render": lambda: encode_response(
            CdsResponse(cards=(render(assessment, card_uuid=CARD_UUID, language="en", settings=SETTINGS),))
        ),
    }


async def _turns(
    works: dict[str, Work], services: dict[str, BedsideServices], body: bytes, runs: int
) -> dict[str, NDArray[np.float64]]:
    """Seconds of each work and of each service's whole call, one of each a turn, so that a busy moment strikes all."""
    request, clock = decode_request(body), time.perf_counter
    taken: dict[str, list[float]] = {name: [] for name in (*works, *services)}
    with frozen_collector():
        for _ in range(runs + WARM_UP):
            for name, work in works.items():
                start = clock()
                work()
                taken[name].append(clock() - start)
            for name, service in services.items():
                start = clock()
                await service.call(service.registry.services[0].id, request, {})
                taken[name].append(clock() - start)
    return {name: np.array(seconds[WARM_UP:]) for name, seconds in taken.items()}


@contextmanager
def one_call(served: ServedModel, body: bytes) -> Iterator[Callable[[], bytes]]:
    """Bytes in, bytes out, without HTTP and without a journal's disk: what a profiler is shown."""
    services = _services(served, MemoryJournal())
    with asyncio.Runner() as runner:
        yield lambda: runner.run(services.call(served.entry.spec.id, decode_request(body), {}, None))


def _services(served: ServedModel, journal: Journal | MemoryJournal) -> BedsideServices:
    return BedsideServices(
        models={served.entry.spec.id: served},
        journal=journal,
        pseudonyms=Pseudonyms(key=bytes(32)),
        cards=SETTINGS,
        language="en",
        as_of="latest-observation",
        clock=lambda: datetime.now(UTC),
    )


@contextmanager
def _server(model: BenchmarkModel, model_id: str) -> Iterator[int]:
    with TemporaryDirectory() as state:
        command = serve_command(model, state, models=(model_id,), journal="off")
        with running(command, ready="/cds-services") as server:
            yield server.port


@contextmanager
def frozen_collector() -> Iterator[None]:
    """The collector as a server has it after its start."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _print(found: Sequence[Stages]) -> None:
    heads = "".join(f"{f'{one.model} {one.observations}':>16}" for one in found)
    print(f"\n{'µs of one call':22}{heads}")
    for name in found[0].stages_us:
        print(f"{name:22}" + "".join(f"{one.stages_us[name]:16.0f}" for one in found))
    print(f"{'all':22}" + "".join(f"{one.whole_us:16.0f}" for one in found))
    print(f"{'explained by':22}" + "".join(f"{one.explained_by:>16}" for one in found))


if __name__ == "__main__":
    main()
