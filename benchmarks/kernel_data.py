"""What the kernel and its peers are given, and what they are asked for."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Data(NamedTuple):
    """Events, sorted by (concept, patient, time), and index times in any order."""

    concept: NDArray[np.int32]
    patient: NDArray[np.int32]
    time: NDArray[np.int64]
    value: NDArray[np.float64]
    index_patient: NDArray[np.int64]
    index_time: NDArray[np.int64]


Ask = Callable[[], NDArray[np.float32]]
