"""What benchmarks.kernel_peers asks for, in duckdb."""

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.kernel import LOOKBACK_HOURS, MEASURED_CONCEPTS
from benchmarks.kernel_data import Ask, Data

NUMBERS = {
    "last": "arg_max(value, e.time)",
    "min": "min(value)",
    "max": "max(value)",
    "mean": "avg(value)",
    "count": "count(value)",
}
NAMES = [f"{name}_{concept}" for concept in range(MEASURED_CONCEPTS) for name in NUMBERS]
IN_WINDOW = f"e.patient = i.patient AND e.time <= i.time AND e.time > i.time - INTERVAL {LOOKBACK_HOURS} HOUR"


def _connect(data: Data, threads: int) -> duckdb.DuckDBPyConnection:
    """Tables of duckdb's own, in memory."""
    connection = duckdb.connect()
    connection.execute(f"SET threads = {threads}; SET enable_progress_bar = false")
    instant = pa.timestamp("us")
    columns = {"concept": data.concept, "patient": data.patient, "value": data.value}
    connection.register("given_events", pa.table({**columns, "time": pa.array(data.time, instant)}))
    rows = np.arange(len(data.index_time))
    index = {"row": rows, "patient": data.index_patient.astype(np.int32), "time": pa.array(data.index_time, instant)}
    connection.register("given_index", pa.table(index))
    connection.execute("CREATE TABLE events AS FROM given_events")
    connection.execute("CREATE TABLE index_times AS FROM given_index")
    return connection


def _matrix(connection: duckdb.DuckDBPyConnection, query: str) -> NDArray[np.float32]:
    columns = connection.execute(query).fetchnumpy()
    matrix = np.empty((len(columns["row"]), len(NAMES)), np.float32)
    for position, name in enumerate(NAMES):
        matrix[:, position] = np.ma.filled(columns[name], 0 if name.startswith("count") else np.nan)
    return matrix


def ask_joins(data: Data, threads: int) -> Ask:
    """A concept at a time: join on the patient and the window, group by index time; then all side by side."""
    connection = _connect(data, threads)

    def ask() -> NDArray[np.float32]:
        for concept in range(MEASURED_CONCEPTS):
            selected = ", ".join(f"{formula} AS {name}_{concept}" for name, formula in NUMBERS.items())
            connection.execute(
                f"CREATE OR REPLACE TEMP TABLE of_{concept} AS "  # noqa: S608 - numbers of our own
                f"SELECT i.row, {selected} FROM index_times i JOIN events e ON {IN_WINDOW} AND e.concept = {concept} "
                "GROUP BY i.row"
            )
        joins = " ".join(f"LEFT JOIN of_{concept} USING (row)" for concept in range(MEASURED_CONCEPTS))
        return _matrix(connection, f"SELECT row, {', '.join(NAMES)} FROM index_times {joins} ORDER BY row")  # noqa: S608

    return ask


def _wide() -> str:
    return ", ".join(
        f"any_value(CASE WHEN concept = {concept} THEN {name} END) AS {name}_{concept}"
        for concept in range(MEASURED_CONCEPTS)
        for name in ("last", "min", "max", "mean", "count")
    )


def ask_one_join(data: Data, threads: int) -> Ask:
    """All concepts at once, grouped by index time and concept, then pivoted."""
    connection = _connect(data, threads)
    numbers = ", ".join(f"{formula} AS {name}" for name, formula in NUMBERS.items())
    query = f"""
        WITH long AS (
            SELECT i.row, e.concept, {numbers} FROM index_times i JOIN events e ON {IN_WINDOW}
            WHERE e.concept < {MEASURED_CONCEPTS} GROUP BY i.row, e.concept
        )
        SELECT row, {_wide()} FROM index_times LEFT JOIN long USING (row) GROUP BY row ORDER BY row
    """  # noqa: S608 - numbers of our own
    return lambda: _matrix(connection, query)


def ask_windows(data: Data, threads: int) -> Ask:
    """Index times among the events as rows without a value, and window functions over a range of time."""
    connection = _connect(data, threads)
    query = f"""
        WITH both_kinds AS (
            SELECT concept, patient, time, value, CAST(NULL AS BIGINT) AS row FROM events
            WHERE concept < {MEASURED_CONCEPTS}
            UNION ALL
            SELECT c.concept, patient, time, NULL, row
            FROM index_times CROSS JOIN (SELECT unnest(range({MEASURED_CONCEPTS}))::INT AS concept) c
        ), long AS (
            SELECT row, concept, last_value(value IGNORE NULLS) OVER w AS last, min(value) OVER w AS min,
                max(value) OVER w AS max, avg(value) OVER w AS mean, count(value) OVER w AS count
            FROM both_kinds WINDOW w AS (
                PARTITION BY concept, patient ORDER BY time
                RANGE BETWEEN INTERVAL '{LOOKBACK_HOURS - 1}:59:59.999999' PRECEDING AND CURRENT ROW
            )
        )
        SELECT row, {_wide()} FROM long WHERE row IS NOT NULL GROUP BY row ORDER BY row
    """  # noqa: S608 - numbers of our own
    return lambda: _matrix(connection, query)
