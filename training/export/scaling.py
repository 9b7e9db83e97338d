"""Scalers: what shifts, stretches and clips each column by itself."""

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from training.export.builder import GraphBuilder
from training.export.trees import BoolArray, FloatArray, IntArray

_Scaler: TypeAlias = Any  # one of `SCALERS`: scikit-learn publishes no types
SCALERS = (StandardScaler, MinMaxScaler, RobustScaler, MaxAbsScaler)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """clip((x - shift) / divisor * factor + offset): each scaler's own operations in its own order.

    Arrays are float64[C]. An operation that a scaler lacks is left out of the graph, not done with 0 or 1.
    """

    width: int
    shift: FloatArray | None = None
    divisor: FloatArray | None = None
    factor: FloatArray | None = None
    offset: FloatArray | None = None
    limits: tuple[float, float] | None = None

    @property
    def sources(self) -> IntArray:
        """Every column is made of itself."""
        return np.arange(self.width)

    def missing(self, before: BoolArray) -> BoolArray:
        """NaN stays NaN."""
        return before

    def pulled_back(self, after: list[FloatArray]) -> list[FloatArray]:
        """The values that are scaled to these, and to the limits."""
        limits = np.array(self.limits or ())
        shift, divisor, factor, offset = (
            np.full(self.width, neutral) if given is None else given
            for given, neutral in ((self.shift, 0.0), (self.divisor, 1.0), (self.factor, 1.0), (self.offset, 0.0))
        )
        return [
            (np.concatenate([values, limits]) - offset[at]) / factor[at] * divisor[at] + shift[at]
            for at, values in enumerate(after)
        ]

    def add_nodes(self, graph: GraphBuilder, columns: str) -> str:
        """Add one node for each operation; `columns` itself where there is none."""
        for name, operator, values in (
            ("shift", "Sub", self.shift),
            ("divisor", "Div", self.divisor),
            ("factor", "Mul", self.factor),
            ("offset", "Add", self.offset),
        ):
            if values is not None:
                by = graph.constant(name, values, np.float64)
                columns = graph.node(f"by_{name}", operator, columns, by)
        return columns if self.limits is None else _add_clip(graph, columns, self.limits)


def read_scaler(scaler: _Scaler, width: int) -> Scaling:
    """A fitted scaler as numbers: None stands for an operation that it leaves out."""
    plain = Scaling(width=width)
    if isinstance(scaler, StandardScaler):
        return replace(
            plain,
            shift=_doubles(scaler.mean_) if scaler.with_mean else None,
            divisor=_doubles(scaler.scale_) if scaler.with_std else None,
        )
    if isinstance(scaler, RobustScaler):
        return replace(
            plain,
            shift=_doubles(scaler.center_) if scaler.with_centering else None,
            divisor=_doubles(scaler.scale_) if scaler.with_scaling else None,
        )
    if isinstance(scaler, MaxAbsScaler):
        limits = (-1.0, 1.0) if getattr(scaler, "clip", False) else None
        return replace(plain, divisor=_doubles(scaler.scale_), limits=limits)
    low, high = scaler.feature_range
    return replace(
        plain,
        factor=_doubles(scaler.scale_),
        offset=_doubles(scaler.min_),
        limits=(float(low), float(high)) if scaler.clip else None,
    )


def mean_behind(scaler: StandardScaler) -> FloatArray | None:
    """The means in training of the columns that a `StandardScaler` gives, float64[C]; None if it learnt none."""
    if scaler.mean_ is None:
        return None
    means = np.zeros(len(scaler.mean_)) if scaler.with_mean else _doubles(scaler.mean_)
    return means / scaler.scale_ if scaler.with_std else means


def _doubles(values: FloatArray) -> FloatArray:
    return np.asarray(values, dtype=np.float64)


def _add_clip(graph: GraphBuilder, columns: str, limits: tuple[float, float]) -> str:
    """Add comparisons instead of a Clip, whose NaN depends on the runtime's kernel: NaN passes, as in scikit-learn."""
    low, high = (graph.constant(name, value, np.float64) for name, value in zip(("low", "high"), limits, strict=True))
    raised = graph.node("raised", "Where", graph.node("is_low", "Less", columns, low), low, columns)
    return graph.node("clipped", "Where", graph.node("is_high", "Greater", raised, high), high, raised)
