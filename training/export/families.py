"""The families that have an exact graph, in the order in which an estimator is asked for."""

from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from training.export import lightgbm_family, linear
from training.export.errors import NotExportableError
from training.export.family import Adapter, Exportable

ADAPTERS: tuple[Adapter, ...] = (lightgbm_family.ADAPTER, linear.ADAPTER)


def adapter_of(estimator: object) -> Adapter:
    """The adapter of a fitted estimator.

    Raises:
        NotExportableError: no family knows it, or it isn't fitted.
    """
    for adapter in ADAPTERS:
        if adapter.accepts(estimator):
            _require_fitted(estimator)
            return adapter
    known = "; ".join(adapter.supported for adapter in ADAPTERS)
    raise NotExportableError(
        f"{type(estimator).__name__} has no exact graph; use one of: {known}. Hand a calibrator over as Calibration"
    )


def read_estimator(estimator: object) -> Exportable:
    """The estimator as numbers, uncalibrated.

    Raises:
        NotExportableError: it belongs to no family, isn't fitted, or has a setting that no exact graph has.
    """
    return adapter_of(estimator).read(estimator)


def _require_fitted(estimator: object) -> None:
    if not hasattr(estimator, "fit"):
        return  # a Booster is what fitting gave
    try:
        check_is_fitted(estimator)
    except NotFittedError as error:
        raise NotExportableError(f"{type(estimator).__name__} isn't fitted; call fit before export") from error
