"""A profile of one request in this process: which functions take the time.

    python -m benchmarks.profile [--model benchmark] [--observations 60] [--runs 200] [--sort tottime] [--lines 30]

cProfile slows Python's calls and not C's, so read the order, not the times. For the times of a whole server process,
with its HTTP and its threads, py-spy needs no change to the program and is no dependency of ours:

    uv tool install py-spy
    py-spy record --native --output profile.svg -- python -m benchmarks.profile --runs 5000 --plain
    py-spy top --pid PID
"""

import argparse
import cProfile
import pstats

from benchmarks.bodies import patient_view
from benchmarks.make_model import benchmark_model
from benchmarks.model import BENCHMARK
from benchmarks.serve import served_model
from benchmarks.stages import one_call

SORTS = ("tottime", "cumulative", "ncalls")


def main() -> None:
    """Profile and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=BENCHMARK, help="benchmark, or a released model")
    parser.add_argument("--observations", type=int, default=60)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--sort", choices=SORTS, default="tottime")
    parser.add_argument("--lines", type=int, default=30)
    parser.add_argument("--plain", action="store_true", help="only run: another profiler watches")
    arguments = parser.parse_args()
    served = served_model(arguments.model, benchmark_model())
    body = patient_view(served.entry.spec, observations=arguments.observations)
    profiler = cProfile.Profile()
    with one_call(served, body) as call:
        call()
        if not arguments.plain:
            profiler.enable()
        for _ in range(arguments.runs):
            call()
        profiler.disable()
    if not arguments.plain:
        pstats.Stats(profiler).sort_stats(arguments.sort).print_stats(arguments.lines)


if __name__ == "__main__":
    main()
