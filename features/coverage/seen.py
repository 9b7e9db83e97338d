"""What was seen: codes with their patients, units and numbers, mapped or not, as the reader came across them."""

from collections import Counter
from collections.abc import Sequence
from itertools import compress
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.coverage.sketches import Hashes, Ints, Numbers, PatientCount
from features.reading import fhir
from features.reading.answers import Measured
from features.reading.decode import decode_part
from features.reading.interpreter import Interpreter, Meaning, Meanings, unit_word
from features.reading.statements import Referral
from features.refusals import Reason
from features.vocabulary.concept import Kind

MOST_CODES = 20_000
"""Beyond it new codes are counted together, by kind: free texts in place of codes are without end."""
MOST_WORDINGS = 65_536
MOST_UNITS = 4_096
MOST_RANGES = 16_384
PATIENTS_PER_CODE = 1_024  # counted one by one; an estimate beyond them is off by 3 %
LONGEST_TEXT = 120

NO_CONCEPT = -1
NO_UNIT = 0
UNITS = frozenset({Reason.UNIT_MISSING, Reason.UNIT_UNKNOWN, Reason.UNIT_INCOMPATIBLE, Reason.UNIT_CONTRADICTION})
RAW_REASONS = UNITS | {Reason.VALUE_IMPLAUSIBLE}
"""Refusals of which the numbers are kept, to see whether another unit would explain them."""


class Coded(NamedTuple):
    """A code as it was recorded; `system` and `code` are None where there is but a text, or where it is one too many.

    `names` are its display and the displays and text beside it.
    """

    kind: Kind
    system: str | None
    code: str | None
    names: tuple[str, ...]


class Outcome(NamedTuple):
    """Numbers of a code, of a concept, of a unit and of a refusal; `NO_CONCEPT` where the code is not mapped."""

    code: int
    concept: int
    unit: int
    reason: int


class Range(NamedTuple):
    """A laboratory's own reference range for a code of a concept; its unit is that of the values."""

    concept: int
    key: tuple[str | None, str | None, str | None]
    code: str
    low: float | None
    high: float | None


class Seen:
    """Looks over a reader's shoulder; `fold` adds what was seen since the last time up.

    Attributes:
        codes: every code, by number.
        resources: how often each was seen.
        patients: how many patients had each.
        concepts: the positions of the concepts that each names.
        outcomes: how many values each code had in each unit, and what became of them.
        numbers: the numbers of values of unmapped codes and of those refused, by outcome, as recorded.
        outside: how many values of a concept lie below (−1) and above (1) its plausible range.
        ranges: reference ranges that came with values.
    """

    def __init__(self, interpreter: Interpreter) -> None:
        self._interpreter = interpreter
        self._wordings: dict[tuple[Kind, bytes], int] = {}
        self._numbers: dict[tuple[Kind, str | None, str | None], int] = {}
        self._units: dict[tuple[str | None, str | None, str | None], int] = {}
        self._unit_words: list[str | None] = [None]
        self._pairs: list[tuple[Sequence[int], Sequence[int]]] = []
        self._outcomes: list[tuple[Sequence[int], Sequence[int], Sequence[int], Sequence[int]]] = []
        self._named: dict[str, int] = {}
        self.codes: list[Coded] = []
        self.resources: list[int] = []
        self.patients: list[PatientCount] = []
        self.concepts: list[set[int]] = []
        self.outcomes: Counter[Outcome] = Counter()
        self.numbers = Numbers()
        self.outside: Counter[tuple[int, int]] = Counter()
        self.ranges: Counter[Range] = Counter()

    def unit(self, number: int) -> str | None:
        """The unit of a number, as it was written; None for none."""
        return self._unit_words[number]

    @property
    def codes_beyond(self) -> int:
        """How many resources have codes beyond the first `MOST_CODES`; those without any code are among them then."""
        if len(self.codes) < MOST_CODES:
            return 0
        counted = zip(self.codes, self.resources, strict=True)
        return sum(count for code, count in counted if code.code is None and not code.names)

    # What the reader tells

    def observations(
        self, observations: Sequence[fhir.Observation], patients: Sequence[int], meanings: Sequence[Meanings]
    ) -> None:
        """Take note of Observations."""
        codes = [self._code("observation", bytes(one.code), m) for one, m in zip(observations, meanings, strict=True)]
        self._pairs.append((codes, patients))
        of_use = [not found and patient >= 0 for found, patient in zip(meanings, patients, strict=True)]
        unmapped: list[tuple[int, Measured]] = list(
            zip(compress(codes, of_use), compress(observations, of_use), strict=True)
        )
        for observation, patient in zip(observations, patients, strict=True):
            if observation.component and patient >= 0:
                unmapped.extend(self._components(observation, patient))
        self._note_unmapped(unmapped)

    def values(
        self,
        measured: Sequence[Measured],
        meanings: Sequence[Meaning],
        values: NDArray[np.float64],
        reasons: NDArray[np.int64],
    ) -> None:
        """Take note of what became of values."""
        owners = zip(measured, meanings, strict=True)
        codes = [self._code("observation", bytes(one.code), (meaning,)) for one, meaning in owners]
        concepts = [meaning.position for meaning in meanings]
        units = [self._unit_of(one) for one in measured]
        self._outcomes.append((codes, concepts, units, reasons.tolist()))
        self._note_refused(measured, meanings, values, np.array([codes, concepts, units, reasons], np.int64))
        for i, one in enumerate(measured):
            if one.referenceRange and one.valueQuantity is not None:
                self._note_range(one.referenceRange[0], one.valueQuantity, meanings[i])

    def coded(self, kind: Kind, code: bytes | fhir.CodeableConcept, patient: int, meanings: Meanings) -> None:
        """Take note of a code of another kind; a stay's class, types and service each stand for themselves."""
        if isinstance(code, bytes):
            numbers = [self._code(kind, code, meanings)]
        else:
            numbers = [self._single(kind, coding) for coding in code.coding]
        self._pairs.append((numbers, [patient] * len(numbers)))

    def named(self, reference: str, code: bytes) -> None:
        """Take note of a Medication."""
        meanings = self._interpreter.meanings(code, "medication")
        self._named[reference] = self._code("medication", code, meanings or ())

    # Adding up

    def refer(self, referrals: Sequence[Referral], instance_patients: Sequence[int]) -> None:
        """Take note of those who refer to Medications."""
        known = [(self._named[one.reference], one.instance) for one in referrals if one.reference in self._named]
        if known:
            self._pairs.append(([code for code, _ in known], [instance_patients[instance] for _, instance in known]))

    def fold(self, hashes: Hashes) -> None:
        """Add up what was noted.

        Args:
            hashes: of the reader's patients, by number.
        """
        self._fold_pairs(hashes)
        if self._outcomes:
            columns = np.concatenate([np.array(one, np.int64) for one in self._outcomes], axis=1)
            found, counts = np.unique(columns, axis=1, return_counts=True)
            for outcome, count in zip(found.T.tolist(), counts.tolist(), strict=True):
                self.outcomes[Outcome(*outcome)] += count
        self._pairs, self._outcomes = [], []

    def _fold_pairs(self, hashes: Hashes) -> None:
        if not self._pairs:
            return
        code = np.concatenate([np.array(codes, np.int64) for codes, _ in self._pairs])
        patient = np.concatenate([np.array(patients, np.int64) for _, patients in self._pairs])
        code, patient = code[patient >= 0], patient[patient >= 0]
        pairs, counts = np.unique(np.stack((code, patient)), axis=1, return_counts=True)
        starts = np.flatnonzero(np.diff(pairs[0], prepend=-1))
        for lo, hi in zip(starts.tolist(), [*starts[1:].tolist(), len(counts)], strict=True):
            number, several = int(pairs[0, lo]), counts[lo:hi]
            self.resources[number] += int(several.sum())
            self.patients[number].see(hashes[pairs[1, lo:hi]])

    # Single codes and values

    def _components(self, observation: fhir.Observation, patient: int) -> list[tuple[int, Measured]]:
        found: list[tuple[int, Measured]] = []
        for component in observation.component:
            meanings = self._interpreter.meanings(bytes(component.code), "observation")
            number = self._code("observation", bytes(component.code), meanings or ())
            self._pairs.append(([number], [patient]))
            if not meanings:
                found.append((number, component))
        return found

    def _note_unmapped(self, unmapped: Sequence[tuple[int, Measured]]) -> None:
        if not unmapped:
            return
        codes = [code for code, _ in unmapped]
        units = [self._unit_of(one) for _, one in unmapped]
        columns = [NO_CONCEPT] * len(codes), units, [0] * len(codes)
        self._outcomes.append((codes, *columns))
        quantities = [one.valueQuantity and one.valueQuantity.value for _, one in unmapped]
        has_number = [value is not None for value in quantities]
        numbers = np.array([value for value in quantities if value is not None], np.float64)
        self.numbers.add(np.array([codes, *columns], np.int64)[:, has_number], numbers)

    def _note_refused(
        self, measured: Sequence[Measured], meanings: Sequence[Meaning], values: NDArray[np.float64], keys: Ints
    ) -> None:
        refused = np.flatnonzero(keys[3])
        numbers, kept = [], []
        for i in refused.tolist():
            reason, quantity = self._interpreter.refused(int(keys[3, i])).reason, measured[i].valueQuantity
            if reason not in RAW_REASONS or quantity is None or quantity.value is None:
                continue
            kept.append(i)
            numbers.append(quantity.value)
            plausible = meanings[i].concept.plausible
            if reason is Reason.VALUE_IMPLAUSIBLE and plausible is not None:
                self.outside[meanings[i].position, 1 if values[i] > plausible[1] else -1] += 1
        self.numbers.add(keys[:, kept], np.array(numbers, np.float64))

    def _note_range(self, told: fhir.ReferenceRange, value: fhir.Quantity, meaning: Meaning) -> None:
        low, high = (None if bound is None else bound.value for bound in (told.low, told.high))
        bound = told.high or told.low or fhir.Quantity()
        own = bound if (bound.unit or bound.code) else value
        found = Range(meaning.position, (own.unit, own.system, own.code), meaning.code, low, high)
        if (low is not None or high is not None) and (found in self.ranges or len(self.ranges) < MOST_RANGES):
            self.ranges[found] += 1

    def _unit_of(self, measured: Measured) -> int:
        quantity = measured.valueQuantity
        if quantity is None:
            return NO_UNIT
        key = (quantity.unit, quantity.system, quantity.code)
        number = self._units.get(key)
        if number is None:
            if len(self._units) >= MOST_UNITS:
                self._units.clear()
            word = unit_word(*key) or quantity.code
            if word not in self._unit_words and len(self._unit_words) >= MOST_UNITS:
                word = None
            if word not in self._unit_words:
                self._unit_words.append(word)
            number = self._units[key] = self._unit_words.index(word)
        return number

    def _code(self, kind: Kind, wording: bytes, meanings: Meanings) -> int:
        number = self._wordings.get((kind, wording))
        if number is None:
            if len(self._wordings) >= MOST_WORDINGS:
                self._wordings.clear()
            code = decode_part(wording, fhir.CodeableConcept) or fhir.CodeableConcept()
            number = self._wordings[kind, wording] = self._number(_coded(kind, code, meanings))
            self.concepts[number].update(meaning.position for meaning in meanings)
        return number

    def _single(self, kind: Kind, coding: fhir.Coding) -> int:
        code = fhir.CodeableConcept(coding=(coding,))
        meanings = self._interpreter.of(code, kind)
        number = self._number(_coded(kind, code, meanings))
        self.concepts[number].update(meaning.position for meaning in meanings)
        return number

    def _number(self, coded: Coded) -> int:
        word = coded.code if coded.code is not None else "".join(coded.names[:1])
        key: tuple[Kind, str | None, str | None] = (coded.kind, coded.system, word)
        found = self._numbers.get(key)
        if found is None and len(self.codes) >= MOST_CODES:
            coded, key = Coded(coded.kind, None, None, ()), (coded.kind, None, None)
            found = self._numbers.get(key)
        if found is None:
            found = self._numbers[key] = len(self.codes)
            self.codes.append(coded)
            self.resources.append(0)
            self.patients.append(PatientCount(PATIENTS_PER_CODE))
            self.concepts.append(set())
        return found


def _coded(kind: Kind, code: fhir.CodeableConcept, meanings: Meanings) -> Coded:
    """The coding by which a concept is named, else the first one that is a code."""
    mapped = {meaning.code for meaning in meanings}
    chosen = next((one for one in code.coding if one.code in mapped), None)
    chosen = chosen or next((one for one in code.coding if one.system and one.code), fhir.Coding())
    texts = (chosen.display, *(one.display for one in code.coding), code.text)
    names = tuple(dict.fromkeys("".join(c for c in text if c.isprintable())[:LONGEST_TEXT] for text in texts if text))
    return Coded(kind, chosen.system, chosen.code, names)
