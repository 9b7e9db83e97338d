"""All measurements: one table, and results.json, from which the README's figures are made.

    python -m benchmarks [--quick] [--no-peers] [--only stages,calls,...] [--pin]
    python -m benchmarks --readme

Each section is a module of its own and runs as a process of its own; what it prints is shown as it ends. With --only,
the other sections of the results file stay as they were, each with its date. --quick measures little and writes beside
the cache, not over the results.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.machine import machine, refuse_traces, versions
from benchmarks.make_model import CACHE
from benchmarks.progress import step
from benchmarks.reach import reached
from benchmarks.servers import ONE_THREAD
from benchmarks.table import tables

RESULTS = Path(__file__).with_name("results.json")
QUICK_RESULTS = CACHE / "quick.json"
FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One module to run, and its arguments.

    Attributes:
        quick: its arguments for a quick look.
        pins: whether it understands --pin.
        threads: whether it may use more than one thread.
    """

    module: str
    arguments: tuple[str, ...] = ()
    quick: tuple[str, ...] = ("--quick",)
    pins: bool = False
    threads: bool = False


SECTIONS: Mapping[str, Section] = {
    "stages": Section(module="benchmarks.stages"),
    "calls": Section(module="benchmarks.call", pins=True),
    "explain": Section(module="benchmarks.explain"),
    "kernel": Section(module="benchmarks.kernel", quick=("--index-times", "1000")),
    "kernel-peers": Section(
        module="benchmarks.kernel_peers", arguments=("--rows", "100000"), quick=("--rows", "2000"), threads=True
    ),
    "extract": Section(
        module="benchmarks.extract", arguments=("--megabytes", "20"), quick=("--megabytes", "1"), threads=True
    ),
    "peers": Section(module="benchmarks.peer_calls", pins=True),
}
PEER_SECTIONS = frozenset({"peers", "kernel-peers"})


def main() -> int:
    """Measure, print, write; the exit status is 1 when a section failed."""
    arguments = _arguments()
    if arguments.readme:
        print(tables(_read(RESULTS)))
        return 0
    target = QUICK_RESULTS if arguments.quick else RESULTS
    before = _read(target) if target.exists() and arguments.only else {}
    results: dict[str, Any] = {"format": FORMAT, "sections": before.get("sections", {})}
    results |= {"machine": machine(), "versions": versions()}
    failed: dict[str, str] = {}
    for name, found in _sections(arguments, failed):
        results["sections"][name] = found
    results["failed"] = failed
    text = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
    refuse_traces(text)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    print(f"\n{tables(results)}\n\n{reached(results)}\n\nwritten: {target.name}")
    for name, reason in failed.items():
        print(f"{name}: failed: {reason}", file=sys.stderr)
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="measure little: to see that all runs")
    parser.add_argument("--no-peers", action="store_true", help="leave the peers out")
    parser.add_argument("--only", type=_names, default=(), help=f"some of {','.join(SECTIONS)}")
    parser.add_argument("--pin", action="store_true", help="the client on one processor, the servers on another")
    parser.add_argument("--readme", action="store_true", help="print the README's tables from results.json")
    return parser.parse_args()


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    unknown = sorted(set(names) - set(SECTIONS))
    if unknown:
        raise argparse.ArgumentTypeError(f"expected some of {','.join(SECTIONS)}, got {','.join(unknown)}")
    return names


def _sections(arguments: argparse.Namespace, failed: dict[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Run the chosen sections; why one failed goes to `failed`."""
    chosen = [
        name
        for name in SECTIONS
        if (not arguments.only or name in arguments.only) and not (arguments.no_peers and name in PEER_SECTIONS)
    ]
    for number, name in enumerate(chosen, start=1):
        step(f"{name} ({number} of {len(chosen)})")
        section, start = SECTIONS[name], time.monotonic()
        options = (section.quick if arguments.quick else section.arguments) + ("--pin",) * (
            section.pins and arguments.pin
        )
        try:
            found = run_section(section, options)
        except SectionError as error:
            failed[name] = str(error)
        else:
            date = datetime.now(UTC).date().isoformat()
            yield name, {"date": date, "seconds": round(time.monotonic() - start), "found": found}


class SectionError(RuntimeError):
    """A section's process ended with an error; its own output says which."""


def run_section(section: Section, options: Sequence[str]) -> Any:
    """Run a section's module and read the JSON that it wrote.

    Raises:
        SectionError: it ended with another status than 0.
    """
    with TemporaryDirectory() as folder:
        target = Path(folder) / "found.json"
        command = [sys.executable, "-m", section.module, *options, "--json", str(target)]
        surroundings = os.environ | ({} if section.threads else ONE_THREAD)
        status = subprocess.run(command, check=False, env=surroundings).returncode
        if status or not target.exists():
            raise SectionError(f"python -m {section.module} ended with status {status}.")
        return json.loads(target.read_text(encoding="utf-8"))


def _read(path: Path) -> dict[str, Any]:
    results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if results.get("format") != FORMAT:
        raise SystemExit(f"{path.name}: expected format {FORMAT}, got {results.get('format')!r}: measure again.")
    return results


if __name__ == "__main__":
    sys.exit(main())
