"""What benchmarks.kernel_peers asks for, in polars."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.kernel import AGGREGATIONS, LOOKBACK_HOURS, MEASURED_CONCEPTS
from benchmarks.kernel_data import Ask, Data

VALUE = pl.col("value")
LOOKBACK = pl.duration(hours=LOOKBACK_HOURS)
IN_WINDOW = (pl.col("measured") <= pl.col("time")) & (pl.col("measured") > pl.col("time") - LOOKBACK)
AGGREGATES = (
    VALUE.last().alias("last"),
    VALUE.min().alias("min"),
    VALUE.max().alias("max"),
    VALUE.mean().alias("mean"),
    VALUE.len().alias("count"),
)


def _frames(data: Data) -> tuple[pl.DataFrame, pl.DataFrame]:
    columns = {"concept": data.concept, "patient": data.patient, "time": data.time, "value": data.value}
    index = {
        "row": np.arange(len(data.index_time)),
        "patient": data.index_patient.astype(np.int32),
        "time": data.index_time,
    }
    instant = pl.col("time").cast(pl.Datetime("us"))
    return pl.DataFrame(columns).with_columns(instant), pl.DataFrame(index).with_columns(instant)


def _matrix(frame: pl.DataFrame) -> NDArray[np.float32]:
    counts = pl.col("^count.*$").fill_null(0)
    return frame.with_columns(counts).cast(pl.Float32).fill_null(float("nan")).to_numpy()


def ask_joins(data: Data, _threads: int) -> Ask:
    """A concept at a time: join on the patient, keep what lies in the window, group by index time; streaming."""
    events, index = _frames(data)
    rows = index.lazy().select("row")

    def of_concept(concept: int) -> pl.DataFrame:
        own = events.lazy().filter(pl.col("concept") == concept).select("patient", "value", measured="time")
        grouped = index.lazy().join(own, on="patient").filter(IN_WINDOW).group_by("row").agg(AGGREGATES)
        joined = rows.join(grouped, on="row", how="left", maintain_order="left").drop("row")
        return joined.rename({name: f"{name}_{concept}" for name in AGGREGATIONS}).collect(engine="streaming")

    return lambda: _matrix(pl.concat([of_concept(concept) for concept in range(MEASURED_CONCEPTS)], how="horizontal"))


def ask_one_join(data: Data, _threads: int) -> Ask:
    """All concepts at once, grouped by index time and concept, then pivoted."""
    events, index = _frames(data)

    def ask() -> NDArray[np.float32]:
        own = events.lazy().filter(pl.col("concept") < MEASURED_CONCEPTS).rename({"time": "measured"})
        joined = index.lazy().join(own, on="patient").filter(IN_WINDOW)
        grouped = joined.group_by("row", "concept").agg(AGGREGATES).collect(engine="streaming")
        wide = grouped.pivot(on="concept", index="row", values=AGGREGATIONS)
        in_order = [f"{name}_{concept}" for concept in range(MEASURED_CONCEPTS) for name in AGGREGATIONS]
        return _matrix(index.select("row").join(wide, on="row", how="left", maintain_order="left").select(in_order))

    return ask


def ask_rolling(data: Data, _threads: int) -> Ask:
    """Index times merged among the events as rows without a value, and rolling aggregates by time.

    Patients stand a year apart on one axis of time, so that one rolling pass serves them all: `over` each patient
    is many times slower. The axis counts half microseconds: an index time stands just behind an event of its time.
    """
    events, index = _frames(data)
    year_us = 366 * 24 * 3_600_000_000
    window = f"{2 * LOOKBACK_HOURS * 3_600_000_000}i"
    since = pl.col("time").cast(pl.Int64) - int(data.time.min())
    axis = 2 * (since + pl.col("patient").cast(pl.Int64) * year_us)

    def of_concept(concept: int, asked: pl.LazyFrame) -> pl.LazyFrame:
        own = events.lazy().filter(pl.col("concept") == concept)
        both = own.select(axis.alias("x"), VALUE, row=pl.lit(None, pl.Int64)).merge_sorted(asked, "x")
        count = VALUE.is_not_null().cast(pl.Float64).rolling_sum_by("x", window)
        rolled = both.set_sorted("x").select(
            "row",
            pl.when(count > 0).then(VALUE.forward_fill()).alias(f"last_{concept}"),
            VALUE.rolling_min_by("x", window).alias(f"min_{concept}"),
            VALUE.rolling_max_by("x", window).alias(f"max_{concept}"),
            VALUE.rolling_mean_by("x", window).alias(f"mean_{concept}"),
            count.alias(f"count_{concept}"),
        )
        return rolled.filter(pl.col("row").is_not_null())

    def ask() -> NDArray[np.float32]:
        asked = (
            index.lazy().select((axis + 1).alias("x"), value=pl.lit(None, pl.Float64), row="row").sort("x").collect()
        )
        frames = pl.collect_all([of_concept(concept, asked.lazy()) for concept in range(MEASURED_CONCEPTS)])
        back = asked["row"].arg_sort()  # every frame has the index times in the order of the axis
        return _matrix(pl.concat([frame.drop("row") for frame in frames], how="horizontal")[back])

    return ask
