"""What a LightGBM model's raw score means, and the objectives and modes that would make the graph another model.

The raw score is the sum of the trees. From it LightGBM serves (LightGBM 4, `src/objective/`):

| objective | served | exported score |
| --- | --- | --- |
| binary, multiclassova | 1 / (1 + exp(-sigmoid · raw)) | sigmoid · raw, the log-odds |
| cross_entropy | 1 / (1 + exp(-raw)) | raw, the log-odds |
| multiclass | softmax(raw) | raw |
| regression, regression_l1, huber, fair, quantile, mape | raw | raw |
| poisson, gamma, tweedie | exp(raw) | raw, the logarithm of the outcome |

With `boosting='rf'` the mean over the iterations stands for the sum, though `raw_score` and `pred_contrib` are sums.
A calibration line belongs to the exported score.
"""

from dataclasses import dataclass

from training.export.errors import NotExportableError
from training.export.family import Scale

_TEXT_VERSION = "v4"

_SCALES = {
    "binary": Scale.LOG_ODDS,
    "cross_entropy": Scale.LOG_ODDS,
    "multiclass": Scale.LOG_ODDS,
    "multiclassova": Scale.ONE_VERSUS_REST,
    "regression": Scale.OUTCOME,
    "regression_l1": Scale.OUTCOME,
    "huber": Scale.OUTCOME,
    "fair": Scale.OUTCOME,
    "quantile": Scale.OUTCOME,
    "mape": Scale.OUTCOME,
    "poisson": Scale.LOG_OUTCOME,
    "gamma": Scale.LOG_OUTCOME,
    "tweedie": Scale.LOG_OUTCOME,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """The scale of the exported scores, what a raw score is multiplied by to be one, and the number of targets K."""

    scale: Scale
    factor: float
    target_count: int


def read_objective(header: dict[str, str], tree_count: int) -> Objective:
    """The objective that the header of a model's text names.

    Raises:
        NotExportableError: there is no exact graph for it; the message says what to use.
    """
    if header.get("version") != _TEXT_VERSION:
        raise NotExportableError(
            f"expected LightGBM's text format {_TEXT_VERSION}, got {header.get('version')}; train with LightGBM 4"
        )
    target_count = int(header["num_tree_per_iteration"])
    name, *settings = header.get("objective", "a custom function").split()
    if name not in _SCALES:
        raise NotExportableError(
            f"expected one of the objectives {', '.join(_SCALES)}, got '{header.get('objective', 'a custom function')}'"
            "; train with objective='binary' for a risk"
        )
    if "sqrt" in settings:
        raise NotExportableError("reg_sqrt=True serves the square of its score; train with reg_sqrt=False")
    values = dict(setting.split(":", 1) for setting in settings if ":" in setting)
    averaged = "average_output" in header
    return Objective(
        scale=_SCALES[name],
        factor=float(values.get("sigmoid", "1")) / (tree_count // target_count if averaged else 1),
        target_count=target_count,
    )
