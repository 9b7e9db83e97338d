"""Which precision the explanation of a sum of trees needs, so that its contributions are off by no more than 1e-5.

In float32 a contribution was off by at most 7e-8 of the sum over the trees of their largest leaf (measured on models of
12 to 300 trees with 9 to 200 leaves: rounding errors of different leaves mostly cancel). The trees of a learnt risk add
up to some ten units of log-odds and stay in float32, which is twice as fast; behind a steep calibration line, or of an
outcome in thousands, they are explained in double.
"""

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from training.export.expectations import centred_values
from training.export.trees import TreeEnsemble

# 1e-5 over 1e-7: the sum of the trees' largest leaves up to which float32 holds the bound.
_LARGEST_FLOAT32_SUM = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """A floating-point type as ONNX and as numpy name it."""

    onnx: int
    numpy: type[np.floating]


FLOAT32 = Precision(onnx=TensorProto.FLOAT, numpy=np.float32)
DOUBLE = Precision(onnx=TensorProto.DOUBLE, numpy=np.float64)


def precision_for(ensemble: TreeEnsemble) -> Precision:
    """Float32 if that holds the bound for each target, else double."""
    totals = np.zeros(ensemble.target_count)
    for tree in ensemble.trees:
        totals[list(tree.targets)] += np.abs(centred_values(tree)).max(axis=0)
    return FLOAT32 if bool(totals.max(initial=0.0) <= _LARGEST_FLOAT32_SUM) else DOUBLE
