"""The results as Markdown tables: what `make bench` prints and what the README shows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

JOURNALS = {"off": "journal off", "normal": "journal in WAL", "full": "journal synced"}
MODELS = {"benchmark": "benchmark model", "sepsis": "released sepsis model"}


def tables(results: Mapping[str, Any]) -> str:
    """Tables of the sections that were measured, one below the other.

    Args:
        results: as results.json holds them.
    """
    sections = {name: section["found"] for name, section in results["sections"].items()}
    parts = [_machine(results)]
    if "calls" in sections:
        parts.append(_calls(sections["calls"]))
    if "stages" in sections:
        parts.append(_stages(sections["stages"]))
    if "explain" in sections:
        parts.append(_explain(sections["explain"]))
        parts.append(_growth(sections["explain"]))
    makers: dict[str, Callable[[Any], str]] = {
        "peers": _peers,
        "kernel": _kernel,
        "kernel-peers": _kernel_peers,
        "extract": _extract,
    }
    parts += [make(sections[name]) for name, make in makers.items() if name in sections]
    return "\n\n".join(part for part in parts if part)


def _machine(results: Mapping[str, Any]) -> str:
    machine, versions = results["machine"], results["versions"]
    dates = sorted({section["date"] for section in results["sections"].values()})
    libraries = ", ".join(f"{name} {found}" for name, found in versions.items())
    return (
        f"Measured {' and '.join(dates)} on {machine['cores']} cores of {machine['processor']}, "
        f"{machine['memory_gb']} GB, {machine['system']}; {libraries}."
    )


def _calls(found: Mapping[str, Any]) -> str:
    start = found["start"]
    rows = []
    for observations in dict.fromkeys(row["observations"] for row in found["rows"]):
        for one, eight in _pairs(found["rows"], observations):
            journal = JOURNALS.get(one["journal"])
            name = f"{MODELS[one['model']]}, {journal}" if journal else one["journal"]
            rows.append((f"{observations:,}", name, *_latency(one), *_latency(eight), f"{eight['per_second']:,.0f}"))
    head = ("Observations", "one worker", "p50, 1 at once", "p99", "p50, 8 at once", "p99", "calls/s, 8 at once")
    note = (
        f"Milliseconds at the client, {found['processors']}. A server with {start['models']} models: ready after "
        f"{start['start_to_ready_s']:.2f} s, {start['resident_mb']:.0f} MB resident; `bedside serve` with the released "
        f"models: after {start['cli_start_to_ready_s']:.2f} s."
    )
    return f"{_table(head, rows)}\n\n{note}"


def _pairs(rows: Sequence[Mapping[str, Any]], observations: int) -> Iterator[tuple[Mapping[str, Any], ...]]:
    """The rows of one server and model at the concurrencies 1 and 8."""
    cases: dict[tuple[str, str], dict[int, Mapping[str, Any]]] = {}
    for row in rows:
        if row["observations"] == observations:
            cases.setdefault((row["journal"], row["model"]), {})[row["concurrency"]] = row
    for case in cases.values():
        yield tuple(case[concurrency] for concurrency in sorted(case))


def _latency(row: Mapping[str, Any]) -> tuple[str, str]:
    return f"{row['p50_ms']:.2f}", f"{row['p99_ms']:.2f}"


def _stages(found: Sequence[Mapping[str, Any]]) -> str:
    head = ("µs of one call", *(f"{MODELS[one['model']]}, {one['observations']:,}" for one in found))
    names = list(found[0]["stages_us"])
    rows = [(name, *(f"{round(one['stages_us'][name]):,}" for one in found)) for name in names]
    rows.append(("**all**", *(f"**{one['whole_us']:,.0f}**" for one in found)))
    rows.append(("explained by", *(one["explained_by"] for one in found)))
    return _table(head, rows)


def _explain(found: Mapping[str, Any]) -> str:
    size = found["model"]
    first = found["one_row"][0]["median_us"]
    batch = {timing["engine"]: timing["median_us"] for timing in found["batch"]}
    rows = [
        (
            timing["engine"],
            f"{timing['median_us']:,.0f}",
            f"{timing['p99_us']:,.0f}",
            f"{timing['median_us'] / first:.1f}",
            f"{batch[timing['engine']]:,.0f}",
            f"{found['memory_mb'][timing['engine']]:.0f}",
        )
        for timing in found["one_row"]
    ]
    rows += [(name, f"not measured: {reason}", "", "", "", "") for name, reason in found["absent"].items()]
    title = f"{size['trees']} trees × {size['leaves']} leaves × {size['features']} features, one thread, µs"
    head = (title, "one row, median", "p99", "times the first", f"a row of {found['batch_rows']:,}", "adds MB")
    return _table(head, rows)


def _growth(found: Mapping[str, Any]) -> str:
    if not found["growth"]:
        return ""
    engines = list(found["growth"][0]["median_us"])
    rows = [
        (
            f"{row['trees']:,} × {row['leaves']} × {row['features']}"
            + ("" if row["depth"] < 0 else f", depth up to {row['depth']}"),
            *(f"{row['median_us'][engine]:,.0f}" for engine in engines),
        )
        for row in found["growth"]
    ]
    return _table(("trees × leaves × features, µs of one row", *engines), rows)


def _peers(found: Mapping[str, Any]) -> str:
    rows = [
        (
            f"{row['name']} {row['version']}".strip(),
            row["does"],
            row["request"],
            *_latency(row["concurrency_1"]),
            f"{row['concurrency_8']['per_second']:,.0f}",
            f"{row['resident_mb']:.0f}",
        )
        for row in found["rows"]
    ]
    rows += [(peer["name"], f"not measured: {peer['reason']}", "", "", "", "", "") for peer in found["absent"]]
    head = (
        "the benchmark model served by",
        "does",
        "asked with",
        "p50 ms, 1 at once",
        "p99",
        "calls/s, 8 at once",
        "MB",
    )
    return _table(head, rows)


def _kernel(found: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            row["name"],
            f"{row['index_times']:,}",
            f"{row['features']:,}",
            f"{row['events']:,}",
            f"{1e6 * row['seconds'] / row['index_times']:,.1f}",
        )
        for row in found
    ]
    return _table(("the kernel, one core", "index times", "features", "events", "µs an index time"), rows)


def _kernel_peers(found: Sequence[Mapping[str, Any]]) -> str:
    ours = max(row["seconds"] for row in found if row["way"] == "kernel")  # asked before and after the others
    rows = [
        (
            row["way"],
            f"{row['seconds']:.2f}",
            f"{row['seconds'] / ours:.1f}",
            f"{row['index_times_per_second']:,.0f}",
            f"{row['peak_bytes'] / 1e9:.2f}",
        )
        for row in found
    ]
    return _table(("the same features by", "s", "times the kernel", "index times/s", "peak GB"), rows)


def _extract(found: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            row["what"],
            f"{row['bytes'] / 1e6:,.0f}",
            str(row["workers"]),
            f"{row['bytes'] / 1e6 / row['seconds']:,.0f}",
            f"{row['resources'] / row['seconds']:,.0f}",
            f"{row['decoding']:.0%}",
            f"{row['peak_mib']:,.0f}",
        )
        for row in found
    ]
    head = ("NDJSON", "MB", "processes", "MB/s", "resources/s", "of merely decoding on one", "peak MiB")
    return _table(head, rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
