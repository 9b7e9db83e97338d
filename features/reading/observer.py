"""The observer: who may look over the reader's shoulder; what is told is what the reader itself saw and decided."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from features.reading import fhir
from features.reading.answers import Measured
from features.reading.interpreter import Meaning, Meanings
from features.vocabulary.concept import Kind


class Observer(Protocol):
    """Told of codes, mapped or not, and of what became of each value. Patients are the reader's numbers."""

    def observations(
        self, observations: Sequence[fhir.Observation], patients: Sequence[int], meanings: Sequence[Meanings]
    ) -> None:
        """Observations that were read; negative patients are of no use, no meanings: no concept has the code."""

    def values(
        self,
        measured: Sequence[Measured],
        meanings: Sequence[Meaning],
        values: NDArray[np.float64],
        reasons: NDArray[np.int64],
    ) -> None:
        """Values of concepts: Observations or components, with the number of the refusal, 0 where there is none."""

    def coded(self, kind: Kind, code: bytes | fhir.CodeableConcept, patient: int, meanings: Meanings) -> None:
        """A resource of another kind, and the concepts that its code names."""

    def named(self, reference: str, code: bytes) -> None:
        """A Medication that others refer to."""
