"""`CalibratedClassifierCV`: an estimator with its calibrator, or a soft vote of several such pairs."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator

from training.export.calibrated import Calibrated, as_line, calibrated
from training.export.calibration import Calibration, Calibrator, IsotonicCalibration, Of, SigmoidCalibration
from training.export.errors import NotExportableError
from training.export.family import Adapter, Exportable, Reference
from training.export.pipelines import Steps, behind, split
from training.export.trees import Float32Array, FloatArray
from training.export.vote import Find, read_vote

_Estimator: TypeAlias = Any  # scikit-learn publishes no types


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """A fitted estimator, its family, and the calibrator that scikit-learn fitted to it."""

    estimator: _Estimator
    adapter: Adapter
    model: Exportable
    calibrator: Calibrator


def calibrated_adapter(find: Find) -> Adapter:
    """What the export knows of `CalibratedClassifierCV`; `find` gives the adapter of what is calibrated."""
    return Adapter(
        supported="CalibratedClassifierCV(method='sigmoid' or 'isotonic') of these, for a binary outcome",
        accepts=lambda estimator: isinstance(split(estimator)[1], CalibratedClassifierCV),
        read=partial(_read, find=find),
        reference=partial(_reference, find=find),
        shap=partial(_shap, find=find),
    )


def _read(estimator: _Estimator, *, find: Find) -> Exportable:
    read = [calibrated(pair.model, pair.calibrator) for pair in _pairs(estimator, find)]
    return read[0] if len(read) == 1 else read_vote([(1.0, member) for member in read])


def _pairs(estimator: _Estimator, find: Find) -> list[_Pair]:
    """What was calibrated with what.

    Raises:
        NotExportableError: several classes, or a method without an exact graph.
    """
    if len(estimator.classes_) != 2:  # noqa: PLR2004 - binary has two classes
        raise NotExportableError(f"expected a binary outcome to calibrate, got {len(estimator.classes_)} classes")
    steps, last = split(estimator)
    fitted = last.calibrated_classifiers_
    return [_pair(one, steps, partial(find, explained=len(fitted) == 1)) for one in fitted]


def _pair(fitted: _Estimator, steps: Steps, find: Find) -> _Pair:
    """One of scikit-learn's own pairs, behind the steps that stand in front of all of them.

    It calibrates `decision_function` where there is one, else `predict_proba`.
    """
    inner = fitted.estimator
    while isinstance(inner, FrozenEstimator):
        inner = inner.estimator
    inner = behind(steps, inner)
    adapter = find(inner)
    model = adapter.read(inner)
    if isinstance(model, Calibrated):
        raise NotExportableError(f"{type(inner).__name__} is calibrated already; calibrate once")
    of = Of.SCORE if hasattr(inner, "decision_function") else Of.PROBABILITY
    (calibrator,) = fitted.calibrators
    if fitted.method == "sigmoid":
        return _Pair(estimator=inner, adapter=adapter, model=model, calibrator=_sigmoid(calibrator, of))
    if fitted.method == "isotonic":
        isotonic = IsotonicCalibration.of_sklearn(calibrator, of)
        return _Pair(estimator=inner, adapter=adapter, model=model, calibrator=isotonic)
    raise NotExportableError(
        f"expected CalibratedClassifierCV(method='sigmoid' or 'isotonic'), got {fitted.method!r}; for two classes "
        "'sigmoid' fits the same line and an intercept"
    )


def _sigmoid(calibrator: _Estimator, of: Of) -> Calibrator:
    """scikit-learn's sigmoid is 1 / (1 + exp(a T + b))."""
    slope, intercept = -float(calibrator.a_), -float(calibrator.b_)
    if of is Of.SCORE:
        return Calibration(slope=slope, intercept=intercept)
    try:
        return SigmoidCalibration(slope=slope, intercept=intercept)
    except ValueError as error:
        raise NotExportableError(
            f"the sigmoid turns the estimator's ranking round: {error}; use more rows to calibrate on"
        ) from error


def _line(pair: _Pair) -> Calibration | None:
    """The line that the calibrator folds into the score as, if it is one."""
    found = as_line(pair.calibrator, pair.model.scale)
    return found if isinstance(found, Calibration) else None


def _reference(estimator: _Estimator, rows: Float32Array, *, find: Find) -> Reference:
    """scikit-learn's own `predict_proba`, and the score behind the line of a single pair."""
    served = np.asarray(estimator.predict_proba(rows.astype(np.float64)), dtype=np.float64)[:, 1:]
    pairs = _pairs(estimator, find)
    if len(pairs) > 1:
        return Reference(scores=served, contributions=None, base_values=None)
    (pair,) = pairs
    inner = pair.adapter.reference(pair.estimator, rows)
    line = _line(pair)
    return replace(inner if line is None else inner.scaled(line), served=served)


def _shap(estimator: _Estimator, rows: Float32Array, *, find: Find) -> tuple[Float32Array, FloatArray]:
    """What `shap` says of the estimator in a single pair, behind its line."""
    nothing = rows[:0], np.zeros((0, 1, rows.shape[1]))
    pairs = _pairs(estimator, find)
    if len(pairs) > 1 or pairs[0].adapter.shap is None:
        return nothing
    line = _line(pairs[0])
    explained, values = pairs[0].adapter.shap(pairs[0].estimator, rows)
    return explained, values if line is None else values * line.slope
