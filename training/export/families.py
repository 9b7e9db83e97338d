"""The families that have an exact graph, in the order in which an estimator is asked for."""

from functools import partial

from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from training.export import (
    forest,
    gradient_boosting,
    hist_gradient_boosting,
    lightgbm_family,
    linear,
    neural,
    points_family,
    tree_pipeline,
    xgboost_family,
)
from training.export.calibrated_family import calibrated_adapter
from training.export.errors import NotExportableError
from training.export.family import Adapter, Exportable
from training.export.trees import Float32Array
from training.export.vote import voting_adapter

_TREES: tuple[Adapter, ...] = (
    lightgbm_family.ADAPTER,
    forest.ADAPTER,
    gradient_boosting.ADAPTER,
    hist_gradient_boosting.ADAPTER,
    xgboost_family.ADAPTER,
    tree_pipeline.ADAPTER,
)


def adapters(background: Float32Array | None = None, *, explained: bool = True) -> tuple[Adapter, ...]:
    """Every family; additive ones explain against the background, float32[N, F], if they are to be explained."""
    find = partial(adapter_of, background=background)
    return (
        *_TREES,
        linear.adapter(background, explained=explained),
        neural.ADAPTER,
        points_family.ADAPTER,
        voting_adapter(find),
        calibrated_adapter(find),
    )


def adapter_of(estimator: object, background: Float32Array | None = None, *, explained: bool = True) -> Adapter:
    """The adapter of a fitted estimator.

    Args:
        estimator: fitted.
        background: what an additive score is explained against, where it hasn't learnt its own means.
        explained: whether it must have contributions, if its family has them: not as a member of a vote.

    Raises:
        NotExportableError: no family knows it, or it isn't fitted.
    """
    known_adapters = adapters(background, explained=explained)
    for adapter in known_adapters:
        if adapter.accepts(estimator):
            _require_fitted(estimator)
            return adapter
    known = "; ".join(adapter.supported for adapter in known_adapters)
    raise NotExportableError(
        f"{type(estimator).__name__} has no exact graph; use one of: {known}. Hand a calibrator over as Calibration"
    )


def read_estimator(estimator: object, background: Float32Array | None = None) -> Exportable:
    """The estimator as numbers, uncalibrated.

    Raises:
        NotExportableError: it belongs to no family, isn't fitted, or has a setting that no exact graph has.
    """
    return adapter_of(estimator, background).read(estimator)


def _require_fitted(estimator: object) -> None:
    if not hasattr(estimator, "fit"):
        return  # a Booster is what fitting gave
    try:
        check_is_fitted(estimator)
    except NotFittedError as error:
        raise NotExportableError(f"{type(estimator).__name__} isn't fitted; call fit before export") from error
