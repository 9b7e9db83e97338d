"""Clinical point scores (NEWS2, qSOFA and the like) as estimators: rules by a clinician, the probability from data.

A rule gives points to the intervals of one feature. The total is summed without an intercept, as at the bedside; `fit`
estimates only what a total means: how often its patients had the outcome.
"""

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.isotonic import IsotonicRegression

from training.logistic import CalibrationError, recalibrate

Float32Array = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class PointScoreError(ValueError):
    """Rules contradict themselves, or don't fit the features."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PointRule:
    """Points for one feature's value.

    Attributes:
        feature: its id.
        boundaries: where bins begin, ascending; bins are right-open: [-∞, b1), [b1, b2), …, [bn, ∞). Features are
            float32, and so is a boundary: 35.1 is the float32 nearest to it, which is what a recorded 35.1 becomes.
        points: one for each bin.
        if_missing: when the feature is NaN.

    Raises:
        PointScoreError: they don't fit together.
    """

    feature: str
    boundaries: tuple[float, ...]
    points: tuple[int, ...]
    if_missing: int = 0

    def __post_init__(self) -> None:
        if len(self.points) != len(self.boundaries) + 1:
            raise PointScoreError(
                f"{self.feature}: expected one more number of points than boundaries, got {len(self.points)} and "
                f"{len(self.boundaries)}"
            )
        starts = self.starts
        if not (np.isfinite(starts).all() and (np.diff(starts) > 0).all()):
            raise PointScoreError(
                f"{self.feature}: expected finite boundaries that ascend as float32 values, got {self.boundaries}"
            )

    @property
    def starts(self) -> Float32Array:
        """The boundaries as the float32 values that features are compared with."""
        with np.errstate(over="ignore"):
            return np.array(self.boundaries, dtype=np.float64).astype(np.float32)

    def bins(self, values: Float32Array) -> IntArray:
        """The bin of each value, int64[N]; `len(points)` where it is missing."""
        found = np.searchsorted(self.starts, values, side="right")
        return np.where(np.isnan(values), len(self.points), found)

    @property
    def table(self) -> IntArray:
        """The points of each bin, and of a missing value behind them."""
        return np.array([*self.points, self.if_missing], dtype=np.int64)


def just_above(value: float) -> float:
    """The next float32 above a value: the boundary of a bin that holds it, "≤ 100" say."""
    return float(np.nextafter(np.float32(value), np.float32(np.inf)))


class PointScore(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # scikit-learn publishes no types
    """A sum of points, and what it says of a binary outcome.

    Args:
        rules: at least one; several may read one feature.
        feature_names: of the columns of X, in order; a column without a rule is not read.
        mapping: from the total to the probability. "logistic" is a line from the total to the log-odds, by maximum
            likelihood; "table" is the share with the outcome at each total, made not to fall with it (isotonic
            regression), and in between for totals that had no row.

    Attributes:
        bin_shares_: by rule, float64[bins + 1], the share of the training rows in each bin and of missing values.
        slope_, intercept_: of the line.
        totals_, probabilities_: float64[M], the table.
    """

    def __init__(
        self,
        rules: tuple[PointRule, ...],
        feature_names: tuple[str, ...],
        mapping: Literal["logistic", "table"] = "logistic",
    ) -> None:
        self.rules = rules
        self.feature_names = feature_names
        self.mapping = mapping

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> Self:  # noqa: N803 - scikit-learn's names
        """Estimate the mapping from rows [N, F] and a binary outcome [N].

        Raises:
            PointScoreError: no rule, an unknown mapping, a rule for a feature that isn't there, or a risk that falls
                as the points rise.
            CalibrationError: the outcome isn't binary, or the points separate it perfectly.
        """
        self._require_sound()
        rows, labels = self._matrix(X), np.asarray(y)
        self.classes_ = np.unique(labels)
        if len(self.classes_) != 2:  # noqa: PLR2004 - binary has two classes
            raise CalibrationError(f"Expected a binary outcome, got {len(self.classes_)} classes.")
        self.n_features_in_ = rows.shape[1]
        self.bin_shares_ = tuple(
            np.bincount(rule.bins(rows[:, self.column_of(rule)]), minlength=len(rule.table)) / len(rows)
            for rule in self.rules
        )
        self._fit_mapping(self._totals(rows).astype(np.float64), labels == self.classes_[1])
        return self

    def points(self, X: npt.ArrayLike) -> IntArray:  # noqa: N803
        """The total of each row, int64[N]. Needs no fit: it is what a clinician counts."""
        return self._totals(self._matrix(X))

    def points_by_rule(self, X: npt.ArrayLike) -> IntArray:  # noqa: N803
        """The points that each rule gives, int64[N, rules]."""
        rows = self._matrix(X)
        return np.stack([rule.table[rule.bins(rows[:, self.column_of(rule)])] for rule in self.rules], axis=1)

    def decision_function(self, X: npt.ArrayLike) -> FloatArray:  # noqa: N803
        """The log-odds behind a logistic mapping, the total before a table: float64[N]."""
        totals = self.points(X).astype(np.float64)
        return totals if self.mapping == "table" else np.asarray(self.slope_ * totals + self.intercept_)

    def predict_proba(self, X: npt.ArrayLike) -> FloatArray:  # noqa: N803
        """The probabilities of both classes, float64[N, 2]."""
        scores = self.decision_function(X)
        if self.mapping == "table":
            positive = np.interp(scores, self.totals_, self.probabilities_)
        else:
            positive = np.exp(-np.logaddexp(0.0, -scores))
        return np.stack([1.0 - positive, positive], axis=1)

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[np.generic]:  # noqa: N803
        """The likelier class of each row."""
        likelier: npt.NDArray[np.generic] = self.classes_[(self.predict_proba(X)[:, 1] > 0.5).astype(int)]  # noqa: PLR2004
        return likelier

    def column_of(self, rule: PointRule) -> int:
        """The column that a rule reads."""
        return self.feature_names.index(rule.feature)

    def _require_sound(self) -> None:
        unknown = sorted({rule.feature for rule in self.rules} - set(self.feature_names))
        if not self.rules or unknown:
            raise PointScoreError(
                f"expected rules for features that are there, got {len(self.rules)}; unknown: {unknown}"
            )
        if len(set(self.feature_names)) != len(self.feature_names):
            raise PointScoreError("expected distinct feature names")
        if self.mapping not in {"logistic", "table"}:
            raise PointScoreError(f"expected mapping 'logistic' or 'table', got {self.mapping!r}")

    def _matrix(self, given: npt.ArrayLike) -> Float32Array:
        rows = np.asarray(given)
        if rows.ndim != 2 or rows.shape[1] != len(self.feature_names):  # noqa: PLR2004 - [N, F]
            raise PointScoreError(f"expected rows [N, {len(self.feature_names)}], got {rows.shape}")
        return rows.astype(np.float32)

    def _totals(self, rows: Float32Array) -> IntArray:
        return np.asarray(self.points_by_rule(rows).sum(axis=1))

    def _fit_mapping(self, totals: FloatArray, positive: npt.NDArray[np.bool_]) -> None:
        if self.mapping == "table":
            isotonic = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(
                totals, positive.astype(float)
            )
            self.totals_, self.probabilities_ = isotonic.X_thresholds_, isotonic.y_thresholds_
            return
        self.slope_, self.intercept_ = recalibrate(totals, positive.astype(float), (~positive).astype(float))
        if self.slope_ <= 0:
            raise PointScoreError(
                f"expected a risk that rises with the points, got a slope of {self.slope_}; check labels"
            )
