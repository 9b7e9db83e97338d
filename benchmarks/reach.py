"""What the figures are meant to reach, held against what was measured."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.explain_engines import COMPILED, PRED_CONTRIB, SHAP

OFF, WAL, SYNCED = "off", "normal", "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """One aim.

    Attributes:
        words: what is measured, with its unit.
        section: of the results.
        at: whether the measured value should be at most, or at least, the limit.
        measured: from what the section found; None where that was not measured.
    """

    words: str
    section: str
    at: Literal["most", "least"]
    limit: float
    measured: Callable[[Any], float | None]


def reached(results: Mapping[str, Any]) -> str:
    """A line for each aim of the sections that were measured."""
    return "\n".join(_lines(results["sections"]))


def _lines(sections: Mapping[str, Any]) -> Iterator[str]:
    for aim in AIMS:
        value = aim.measured(sections[aim.section]["found"]) if aim.section in sections else None
        if value is None:
            yield f"not measured  {aim.words}"
            continue
        met = value <= aim.limit if aim.at == "most" else value >= aim.limit
        yield f"{'reached' if met else 'MISSED':13} {aim.words}: {value:,.2f}, aim: at {aim.at} {aim.limit:,g}"


def _call(found: Mapping[str, Any], journal: str, model: str, observations: int, concurrency: int) -> Mapping[str, Any]:
    """The row of whole calls of a server, a model, a size and a concurrency; empty where there is none."""
    wanted = {"journal": journal, "model": model, "observations": observations, "concurrency": concurrency}
    return next((row for row in found["rows"] if wanted.items() <= row.items()), {})


def _of_call(name: str, *case: Any) -> Callable[[Any], float | None]:
    return lambda found: _call(found, *case).get(name)


def _ratio(name: str, above: tuple[Any, ...], below: tuple[Any, ...]) -> Callable[[Any], float | None]:
    def ratio(found: Any) -> float | None:
        upper, lower = _call(found, *above).get(name), _call(found, *below).get(name)
        return None if upper is None or lower is None else upper / lower

    return ratio


def _worst_tail(found: Any) -> float | None:
    """The largest p99 through p50 of Bedside's rows."""
    return max(
        (row["p99_ms"] / row["p50_ms"] for row in found["rows"] if row["journal"] in {OFF, WAL, SYNCED}), default=None
    )


def _times_ours(engine: str, table: str) -> Callable[[Any], float | None]:
    """How many times the compiled explanation's median another engine takes."""

    def times(found: Any) -> float | None:
        medians = {timing["engine"]: timing["median_us"] for timing in found[table]}
        return medians[engine] / medians[COMPILED] if {engine, COMPILED} <= set(medians) else None

    return times


_ONE, _EIGHT = (OFF, "benchmark", 60, 1), (OFF, "benchmark", 60, 8)
AIMS = (
    Aim(
        words="60 Observations, journal off, p50 at concurrency 1, ms",
        section="calls",
        at="most",
        limit=0.9,
        measured=_of_call("p50_ms", *_ONE),
    ),
    Aim(
        words="60 Observations, journal off, calls/s at concurrency 8",
        section="calls",
        at="least",
        limit=1100,
        measured=_of_call("per_second", *_EIGHT),
    ),
    Aim(
        words="released sepsis model, p50 through the benchmark model's",
        section="calls",
        at="most",
        limit=1.5,
        measured=_ratio("p50_ms", (OFF, "sepsis", 60, 1), _ONE),
    ),
    Aim(
        words="1,000 Observations, journal off, p50 at concurrency 1, ms",
        section="calls",
        at="most",
        limit=4.0,
        measured=_of_call("p50_ms", OFF, "benchmark", 1000, 1),
    ),
    Aim(
        words="calls/s at concurrency 8 with the journal in WAL through those without",
        section="calls",
        at="least",
        limit=0.65,
        measured=_ratio("per_second", (WAL, "benchmark", 60, 8), _EIGHT),
    ),
    Aim(
        words="calls/s at concurrency 8 with the journal synced through those without",
        section="calls",
        at="least",
        limit=0.65,
        measured=_ratio("per_second", (SYNCED, "benchmark", 60, 8), _EIGHT),
    ),
    Aim(words="p99 through p50, the worst row", section="calls", at="most", limit=4.0, measured=_worst_tail),
    Aim(
        words="resident memory with five models, MB",
        section="calls",
        at="most",
        limit=200,
        measured=lambda found: found["start"]["resident_mb"],
    ),
    Aim(
        words="start to ready with five models, s",
        section="calls",
        at="most",
        limit=1.5,
        measured=lambda found: found["start"]["start_to_ready_s"],
    ),
    Aim(
        words="one row: pred_contrib through ours",
        section="explain",
        at="least",
        limit=4.0,
        measured=_times_ours(PRED_CONTRIB, "one_row"),
    ),
    Aim(
        words="one row: shap_values through ours",
        section="explain",
        at="least",
        limit=5.0,
        measured=_times_ours(SHAP, "one_row"),
    ),
    Aim(
        words="10,000 rows: pred_contrib through ours",
        section="explain",
        at="least",
        limit=1.0,
        measured=_times_ours(PRED_CONTRIB, "batch"),
    ),
    Aim(
        words="memory of the explanation, MB",
        section="explain",
        at="most",
        limit=100,
        measured=lambda found: found["memory_mb"].get(COMPILED),
    ),
)
