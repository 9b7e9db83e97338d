"""What every family of estimators is read into: scores and, where there is a closed form, their SHAP values.

A family is one file. It reads a fitted estimator into numbers (an `Exportable`), says what the library itself gives
(a `Reference`, the other side of the parity proof), and registers both as an `Adapter` in `families.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, Self

from training.export.builder import GraphBuilder
from training.export.calibration import Calibration
from training.export.trees import Float32Array, FloatArray


class Scale(StrEnum):
    """What an estimator's score is, and so what contributions add up to."""

    LOG_ODDS = "log-odds"  # of the outcome; where there are several classes, what their softmax is taken of
    ONE_VERSUS_REST = "log-odds, one versus rest"  # one per class, each against all others
    PROBABILITY = "probability"  # a mean of shares, as a forest gives; one per class where there are several
    POINTS = "points"  # of a clinical score; a calibrator gives them a probability
    OUTCOME = "outcome"  # a regression: the outcome's own unit
    LOG_OUTCOME = "log-outcome"  # a regression with a log link: the logarithm of the outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """The explanation's node: `contributions` float32[N, K * F], target by target; and the base values float64[K]."""

    contributions: str
    base_values: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """What a family added to a graph.

    Attributes:
        scores: the name of [N, K], float32 or double.
        explained: None for an estimator whose SHAP values have no closed form.
    """

    scores: str
    explained: Explained | None


class Exportable(Protocol):
    """A fitted estimator as numbers: K targets (1, or one per class) of F features."""

    @property
    def feature_count(self) -> int:
        """F."""

    @property
    def target_count(self) -> int:
        """K: 1 for a binary outcome and a regression, else the number of classes."""

    @property
    def scale(self) -> Scale:
        """What the scores are."""

    @property
    def thresholds(self) -> list[Float32Array]:
        """Per feature, the distinct float32 values at which a decision changes: where parity must be tried."""

    def scaled(self, line: Calibration) -> Self:
        """The same with slope * score + intercept for each score, folded in double precision."""

    def add_nodes(self, graph: GraphBuilder, features: str) -> Nodes:
        """Add the nodes that give the scores and the contributions of `features`, the name of float32[N, F]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What the library itself says of N rows, in double precision, before any calibration.

    `contributions` is None where the library has none to compare with, `served` where it gives none besides the
    scores: the probability or prediction that an uncalibrated graph must give.
    """

    scores: FloatArray  # [N, K]
    contributions: FloatArray | None  # [N, K, F]
    base_values: FloatArray | None  # [K]
    served: FloatArray | None = None  # [N, K]

    def scaled(self, line: Calibration) -> "Reference":
        """The same of slope * score + intercept."""
        explained, base = self.contributions, self.base_values
        return Reference(
            scores=self.scores * line.slope + line.intercept,
            contributions=None if explained is None else explained * line.slope,
            base_values=None if base is None else base * line.slope + line.intercept,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """What the export knows of one kind of estimator.

    Attributes:
        supported: the estimators and settings, as a refusal names them.
        accepts: whether an estimator is of this kind, fitted or not; settings are judged by `read`.
        read: the estimator as numbers. Raises NotExportableError, with what to use instead.
        reference: the library's own scores and contributions of rows float32[N, F].
        shap: the contributions [N, K, F] by the `shap` package, and the rows that they are for; None where it has none.
    """

    supported: str
    accepts: Callable[[object], bool]
    read: Callable[..., Exportable]
    reference: Callable[..., Reference]
    shap: Callable[..., tuple[Float32Array, FloatArray]] | None
