"""B-splines of each column: `SplineTransformer`, as polynomials between its knots."""

from dataclasses import dataclass
from math import factorial
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from onnx import TensorProto
from sklearn.preprocessing import SplineTransformer

from training.export.builder import GraphBuilder
from training.export.errors import NotExportableError
from training.export.preparation import nothing
from training.export.trees import BoolArray, FloatArray, IntArray

_BSpline: TypeAlias = Any  # scipy.interpolate.BSpline of all splines of a column: scipy publishes no types

_EXTRAPOLATIONS = ("constant", "linear", "periodic")


@dataclass(frozen=True, slots=True, kw_only=True)
class Splines:
    """Per column, polynomials piece by piece; S columns come out for each of C.

    A value x lies in the last piece whose start isn't above it, and gives Σ_p coefficients[piece, p] (x - origin)^p.
    Pieces of all columns stand behind each other, `pieces` for each, padded with pieces that begin at infinity.

    Attributes:
        starts: float64[C, pieces - 1], where each piece but the first begins, ascending.
        origins: float64[C * pieces].
        coefficients: float64[C * pieces, degree + 1, S].
        lowest, highest: float64[C], the range of the knots: beyond it x is clipped, continued or repeated.
        extrapolation: scikit-learn's word for which of these.
        missing_is_zero: whether NaN gives zeros; else it gives NaN.
    """

    starts: FloatArray
    origins: FloatArray
    coefficients: FloatArray
    lowest: FloatArray
    highest: FloatArray
    extrapolation: str
    missing_is_zero: bool

    @property
    def width(self) -> int:
        """C, the columns that come in."""
        return len(self.lowest)

    @property
    def sources(self) -> IntArray:
        """S columns for each, one column's behind the other's."""
        return np.repeat(np.arange(self.width), self.coefficients.shape[2])

    def missing(self, before: BoolArray) -> BoolArray:
        """Those of columns that may be, unless NaN gives zeros.

        Raises:
            NotExportableError: scikit-learn refuses the NaN that may come.
        """
        if before.any() and not self.missing_is_zero:
            raise NotExportableError(
                "SplineTransformer refuses NaN; put SimpleImputer in front of it, or set handle_missing='zeros'"
            )
        return np.zeros(len(self.sources), dtype=np.bool_)

    def pulled_back(self, after: list[FloatArray]) -> list[FloatArray]:
        """The knots: later steps' thresholds can't be solved for, and none of them has any on a spline."""
        del after
        found = nothing(self.width)
        for column, starts in enumerate(self.starts):
            knots = np.array([self.lowest[column], self.highest[column], *starts])
            found[column] = np.unique(knots[np.isfinite(knots)])
        return found

    def add_nodes(self, graph: GraphBuilder, columns: str) -> str:
        """Add the choice of a piece by comparisons, a Gather of its polynomial, and its value."""
        inside = self._add_inside(graph, columns)
        piece = self._add_piece(graph, inside)
        origin = graph.node("origin", "Gather", graph.constant("origins", self.origins, np.float64), piece)
        distance = graph.node("distance", "Sub", inside, origin)
        polynomial = graph.node(
            "polynomial", "Gather", graph.constant("coefficients", self.coefficients, np.float64), piece, axis=0
        )  # [N, C, degree + 1, S]
        last = graph.constant("last_axis", [2, 3], np.int64)
        wide = graph.node("wide", "Unsqueeze", distance, last)
        value = _add_horner(graph, polynomial, wide, self.coefficients.shape[1])
        flat = graph.node("flat", "Reshape", value, graph.constant("flat_shape", [0, len(self.sources)], np.int64))
        if not self.missing_is_zero:
            return flat
        at = graph.constant("sources", self.sources, np.int64)
        missing = graph.node("missing", "IsNaN", graph.node("by_column", "Gather", columns, at, axis=1))
        return graph.node("columns", "Where", missing, graph.constant("zero", 0.0, np.float64), flat)

    def _add_inside(self, graph: GraphBuilder, columns: str) -> str:
        """The value within the range of the knots, where the splines aren't continued beyond it."""
        if self.extrapolation == "linear":
            return columns
        lowest = graph.constant("lowest", self.lowest, np.float64)
        if self.extrapolation == "constant":
            raised = graph.node("raised", "Max", columns, lowest)
            return graph.node("inside", "Min", raised, graph.constant("highest", self.highest, np.float64))
        period = graph.constant("period", self.highest - self.lowest, np.float64)
        since = graph.node("since", "Sub", columns, lowest)
        rest = graph.node("rest", "Mod", since, period, fmod=1)
        negative = graph.node("negative", "Less", rest, graph.constant("none", 0.0, np.float64))
        turned = graph.node("turned", "Where", negative, graph.node("rest_up", "Add", rest, period), rest)
        return graph.node("inside", "Add", lowest, turned)

    def _add_piece(self, graph: GraphBuilder, inside: str) -> str:
        """int64[N, C]: the row of the piece that each value lies in."""
        pieces = self.starts.shape[1] + 1
        last = graph.constant("piece_axis", [2], np.int64)
        starts = graph.constant("starts", self.starts, np.float64)
        begun = graph.node("begun", "GreaterOrEqual", graph.node("one_value", "Unsqueeze", inside, last), starts)
        count = graph.node("count", "ReduceSum", graph.cast("as_int", begun, TensorProto.INT64), last, keepdims=0)
        first = graph.constant("first_piece", np.arange(self.width) * pieces, np.int64)
        return graph.node("piece", "Add", count, first)


def _add_horner(graph: GraphBuilder, polynomial: str, distance: str, powers: int) -> str:
    """The values of polynomials [N, C, powers, S] at [N, C, 1, 1], from the highest power down: [N, C, 1, S]."""

    def coefficient(power: int) -> str:
        at = graph.constant(f"power{power}", [power], np.int64)
        return graph.node(f"coefficient{power}", "Gather", polynomial, at, axis=2)

    found = coefficient(powers - 1)
    for power in reversed(range(powers - 1)):
        raised = graph.node(f"raised{power}", "Mul", found, distance)
        found = graph.node(f"sum{power}", "Add", raised, coefficient(power))
    return found


def read_splines(transformer: SplineTransformer) -> Splines:
    """A fitted transformer as polynomials.

    Raises:
        NotExportableError: steps instead of splines, an extrapolation without an exact graph, or a constant column.
    """
    if transformer.degree < 1:
        raise NotExportableError("SplineTransformer(degree=0) makes steps; use degree=1 or more")
    if transformer.extrapolation not in _EXTRAPOLATIONS:
        raise NotExportableError(
            f"expected SplineTransformer(extrapolation=) to be one of {', '.join(_EXTRAPOLATIONS)}, got "
            f"{transformer.extrapolation!r}: 'error' fails beyond the training range, and a polynomial that is "
            "continued leaves the numbers that float32 holds"
        )
    if transformer.degree == 1 and transformer.extrapolation == "linear" and len(transformer.bsplines_) > 1:
        # In `transform`, the degree is raised by one at each column (seen in scikit-learn 1.9): from the second on, it
        # takes other knots for the ends.
        raise NotExportableError(
            "scikit-learn continues SplineTransformer(degree=1, extrapolation='linear') wrongly from the second column "
            "on; use degree=2 or more, extrapolation='constant', or one SplineTransformer for each column"
        )
    read = [_pieces(spline, linear=transformer.extrapolation == "linear") for spline in transformer.bsplines_]
    count = max(len(pieces.starts) for pieces in read)
    kept = read[0].coefficients.shape[2] - (0 if transformer.include_bias else 1)
    ends = [_ends(spline) for spline in transformer.bsplines_]
    return Splines(
        # Every value below the second start lies in the first piece.
        starts=np.stack([_padded(pieces.starts, count, np.inf) for pieces in read])[:, 1:],
        origins=np.concatenate([_padded(pieces.origins, count, 0.0) for pieces in read]),
        coefficients=np.concatenate([_padded(pieces.coefficients, count, 0.0) for pieces in read])[:, :, :kept],
        lowest=np.array([low for low, _ in ends]),
        highest=np.array([high for _, high in ends]),
        extrapolation=transformer.extrapolation,
        missing_is_zero=getattr(transformer, "handle_missing", "error") == "zeros",
    )


class _Pieces(NamedTuple):
    """One column's polynomials."""

    starts: FloatArray  # [P]
    origins: FloatArray  # [P]
    coefficients: FloatArray  # [P, degree + 1, S]


def _ends(spline: _BSpline) -> tuple[float, float]:
    """The range in which the splines are what they are called for: the first and the last base knot."""
    return float(spline.t[spline.k]), float(spline.t[-spline.k - 1])


def _pieces(spline: _BSpline, *, linear: bool) -> _Pieces:
    """The polynomials between the base knots and, where they are continued, the lines beyond both ends."""
    lowest, highest = _ends(spline)
    if not lowest < highest:
        raise NotExportableError("SplineTransformer has a column that was constant in training; leave it out")
    starts = np.unique(spline.t[(spline.t >= lowest) & (spline.t < highest)])
    # Taylor's series at a piece's start ends with the degree, and is the piece.
    found = np.stack([spline(starts, nu=power) / factorial(power) for power in range(spline.k + 1)], axis=1)
    if not linear:
        return _Pieces(starts, starts, found)
    lines = np.zeros((2, *found.shape[1:]))
    for line, end in zip(lines, (lowest, highest), strict=True):
        line[:2] = spline(end), spline(end, nu=1)
    return _Pieces(
        starts=np.concatenate([[-np.inf], starts, [highest]]),
        origins=np.concatenate([[lowest], starts, [highest]]),
        coefficients=np.concatenate([lines[:1], found, lines[1:]]),
    )


def _padded(values: FloatArray, count: int, filler: float) -> FloatArray:
    """Filled up to a length along the first axis."""
    padded = np.full((count, *values.shape[1:]), filler)
    padded[: len(values)] = values
    return padded
