"""Fuzz the server: python -m tests.fuzz --runs 200000 --seed 1.

Coverage-guided by atheris over cds_hooks, features and serving, from the committed corpus. Ends with status 0 after
all runs, or at the first answer that breaks the promise, the first hang or the first exception, whose input is left
in the folder of findings: put it into the corpus with its fix.
"""

import argparse
import logging
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import atheris  # type: ignore[import-untyped, import-not-found, unused-ignore]

from tests.fuzz.mutate import mutated

CORPUS: Final = Path(__file__).parent / "corpus"
INSTRUMENTED: Final = ("cds_hooks", "features", "serving")
HANG_SECONDS: Final = 5
LIMIT_BYTES: Final = 32 * 1024
MEMORY_MB: Final = 4096


def main() -> None:
    """Fuzz in a child: libFuzzer ends its process at once, and what it has open is left to this one."""
    arguments = _arguments()
    if arguments.folder is not None:
        fuzz(arguments)
    with tempfile.TemporaryDirectory(prefix="bedside-fuzz-") as folder:
        command = (sys.executable, "-m", "tests.fuzz", *sys.argv[1:], "--folder", folder)
        sys.exit(subprocess.run(command, check=False).returncode)


def fuzz(arguments: argparse.Namespace) -> None:
    """Run the fuzzer; does not return."""
    logging.disable(logging.ERROR)  # each refusal would be written down
    with atheris.instrument_imports(include=list(INSTRUMENTED)):
        from tests.fuzz.target import open_target  # noqa: PLC0415 - imported here, it is instrumented
    with open_target(arguments.folder) as target:

        def execute(data: bytes) -> None:
            target.execute(data)

        def mutate(data: bytes, limit: int, seed: int) -> bytes:
            return mutated(data, limit, seed, atheris.Mutate)

        atheris.Setup(_libfuzzer(arguments), execute, custom_mutator=mutate)
        atheris.Fuzz()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000, help="executions")
    parser.add_argument("--seed", type=int, default=1, help="of the random numbers")
    parser.add_argument("--corpus", type=Path, help="a folder that keeps what was found; by default nothing is kept")
    parser.add_argument("--findings", type=Path, default=Path(), help="a folder for inputs that break something")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _libfuzzer(arguments: argparse.Namespace) -> list[str]:
    # Not as a folder: libFuzzer would write into it what is new.
    seeds = ",".join(str(seed) for seed in sorted(CORPUS.iterdir()))
    kept = [] if arguments.corpus is None else [str(arguments.corpus)]
    return [
        sys.argv[0],
        f"-runs={arguments.runs}",
        f"-seed={arguments.seed}",
        f"-timeout={HANG_SECONDS}",
        f"-max_len={LIMIT_BYTES}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-artifact_prefix={arguments.findings}/",
        "-print_final_stats=1",
        f"-seed_inputs={seeds}",
        *kept,
    ]


if __name__ == "__main__":
    main()
