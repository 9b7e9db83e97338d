"""NDJSON to events: one process and two, Dask with one worker and two, against merely decoding the same bytes.

python -m benchmarks.extract [--megabytes 100] [--source FOLDER] [--memory 128M] [--dask] [--json FILE]

The input is the synthetic cohort, or the files of a folder, repeated with new ids up to the size asked for, once and
four times as large, so that it is seen what memory depends on. Decoding is `msgspec` into typed structs with the
fields of `features.reading.fhir`, the codes and subjects decoded too, which the reader leaves as bytes. Every
measurement is a process of its own, with its best of some rounds; memory is the largest process's. Seconds of CPU are
those of all processes, for one round: what two cores could do is seen in them where others use the cores too.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Union

import msgspec

from features.files.blocks import Share, read_blocks, shares
from features.files.sources import ndjson_files
from features.reading import fhir
from features.reading.decode import resource_type_of
from training import synthetic
from training.extract.crews import crew_for
from training.extract.extraction import Options, extract
from training.extract.job import memory_bytes
from training.extract.reading import BLOCK_BYTES, paused_collector

COHORT = 400  # synthetic patients, repeated
ROUNDS = 5
RANGE_BYTES = 8 * 2**20
CODES = {"code", "medicationCodeableConcept"}
Json = dict[str, Any]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--source", type=Path)
    parser.add_argument("--memory", default="128M", help="a process's budget; small, so that it shows")
    parser.add_argument("--dask", action="store_true", help="also on a local Dask cluster of processes")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(_measure(json.loads(arguments.one))))
        return
    with TemporaryDirectory(prefix="bedside-bench-") as folder:
        rows = [
            row | {"megabytes": megabytes}
            for megabytes in (arguments.megabytes, 4 * arguments.megabytes)
            for row in _measured(_enlarged(Path(folder), arguments.source, megabytes), arguments)
        ]
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


def _measured(source: Path, arguments: argparse.Namespace) -> Iterator[Json]:
    size = sum(file.stat().st_size for file in source.iterdir())
    base: Json = {"source": str(source), "memory": arguments.memory}
    decoded = _run(base | {"what": "decode", "workers": 1})
    print(f"{size / 1e6:,.0f} MB, {decoded['resources']:,} resources; a process may take {arguments.memory} to settle.")
    for what in ("decode", "extract", "dask") if arguments.dask else ("decode", "extract"):
        one: float | None = None
        for workers in (1, 2):
            case = {"what": what, "workers": workers}
            found = decoded if case == {"what": "decode", "workers": 1} else _run(base | case)
            one = one or found["seconds"]
            ratios = {"times_one": one / found["seconds"], "decoding": decoded["seconds"] / found["seconds"]}
            row = case | found | ratios | {"bytes": size}
            print(_line(row, size), flush=True)
            yield row


def _line(row: Json, size: int) -> str:
    rates = f"{size / 1e6 / row['seconds']:6.1f} MB/s {row['resources'] / row['seconds']:8,.0f} resources/s"
    ratios = f"{row['times_one']:.2f} × one, {row['decoding']:4.0%} of decoding"
    used = f"{row['cpu_seconds']:6.2f} s of CPU {row['peak_mib']:4,.0f} MiB"
    return f"  {row['what']:>8} {row['workers']}: {row['seconds']:6.2f} s {rates}  {ratios} {used}"


def _run(case: Json) -> Json:
    command = [sys.executable, "-m", "benchmarks.extract", "--one", json.dumps(case)]
    found: Json = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.splitlines()[-1])
    return found


def _measure(case: Json) -> Json:
    source = Path(case["source"])
    if case["what"] == "decode":
        with crew_for(case["workers"]) as crew:
            pieces = shares(ndjson_files(source), range_bytes=RANGE_BYTES)
            seconds, resources = _best(lambda: sum(crew.run(_decode, pieces)))
    else:
        with TemporaryDirectory(dir=source.parent) as folder, _crew_address(case) as scheduler:
            options = Options(memory_bytes=memory_bytes(case["memory"]))
            with crew_for(case["workers"], scheduler) as crew:
                targets = (Path(folder) / str(number) for number in range(ROUNDS + 1))
                seconds, resources = _best(
                    lambda: (
                        extract(
                            source, next(targets), crew=crew, options=options, keep_going=False, progress=_unseen
                        ).resources
                    )
                )
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "seconds": seconds,
        "resources": resources,
        "cpu_seconds": sum(one.ru_utime + one.ru_stime for one in used) / (ROUNDS + 1),
        "peak_mib": max(one.ru_maxrss for one in used) / 1024,
    }


@contextmanager
def _crew_address(case: Json) -> Iterator[str | None]:
    if case["what"] != "dask":
        yield None
        return
    from distributed import LocalCluster  # noqa: PLC0415 - an optional extra

    with LocalCluster(
        n_workers=case["workers"], threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=0
    ) as cluster:
        yield cluster.scheduler_address


def _best(work: Callable[[], int]) -> tuple[float, int]:
    """The best time of some rounds, after one that warms up; and what the work gives."""
    found = work()
    taken = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken), found


def _decode(share: Share) -> int:
    decoder = _decoder()
    with paused_collector():
        blocks = read_blocks(share.file, start=share.start, stop=share.stop, block_bytes=BLOCK_BYTES)
        return sum(len(decoder.decode_lines(block.data)) for block in blocks)


@cache
def _decoder() -> msgspec.json.Decoder[list[Any]]:
    return msgspec.json.Decoder(Union[tuple(map(_typed, fhir.RESOURCES))])  # noqa: UP007 - made of a list


def _typed(struct: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """A struct with the same fields, in which codes and subjects are decoded too."""
    fields = []
    for field in msgspec.structs.fields(struct):
        typed: Any = field.type
        if field.type is msgspec.Raw:
            typed = fhir.CodeableConcept if field.name in CODES else fhir.Reference if field.name == "subject" else Any
        default = None if typed is not field.type else field.default
        name = field.encode_name
        fields.append(
            (field.name, typed if typed is field.type else typed | None, msgspec.field(default=default, name=name))
        )
    return msgspec.defstruct(
        struct.__name__, fields, tag_field="resourceType", tag=struct.__name__, frozen=True, gc=False
    )


def _enlarged(folder: Path, source: Path | None, megabytes: int) -> Path:
    """The files of a source, of types that are read, repeated with new ids."""
    if source is None:
        source = folder / "cohort"
        if not source.exists():
            source.mkdir()
            synthetic.generate(source, patients=COHORT, seed=1)
    target = folder / f"{megabytes}MB"
    target.mkdir()
    names = ndjson_files(source)
    once = sum(len(data) for file in names for data in _read_types(file))
    for copy in range(max(1, round(megabytes * 1e6 / once))):
        prefix = f"{copy}x".encode()
        for file in names:
            with (target / file.name.removesuffix(".gz")).open("ab") as written:
                for data in _read_types(file):
                    written.write(_renamed(data, prefix))
    return target


def _read_types(file: Path) -> Iterator[bytes]:
    for block in read_blocks(file):
        if resource_type_of(block.data.partition(b"\n")[0]) in fhir.KNOWN_TYPES:
            yield block.data


def _renamed(data: bytes, prefix: bytes) -> bytes:
    data = data.replace(b'"id":"', b'"id":"' + prefix).replace(b'"id": "', b'"id": "' + prefix)
    for kind in (b"Patient/", b"Medication/", b"Encounter/", b"Observation/", b"Specimen/", b"Location/"):
        data = data.replace(b'"' + kind, b'"' + kind + prefix)
    return data


def _unseen(_step: str, _done: int, _total: int) -> None:
    """Nobody watches."""


if __name__ == "__main__":
    main()
