"""Observations, column by column: what takes a look at every single one is done for all at once.

The same function reads the sixty Observations of a hook call and the millions of an export. What repeats (codes,
subjects, units, times) is looked up by its wording; what is rare (components, coded answers, demands on the method)
goes through `features.reading.answers`, one by one.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain, compress
from operator import attrgetter, itemgetter, not_
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.reading import fhir, statuses
from features.reading.answers import Measured, says_anything, value_of
from features.reading.collector import Collector
from features.reading.decode import decode_part, decode_resource
from features.reading.interpreter import Interpreter, Meaning, Meanings, Refused
from features.reading.observer import Observer
from features.reading.references import type_and_id
from features.reading.statements import Codings, Confirmation, Rows, When
from features.reading.timing import measured_at, when_of
from features.refusals import Reason
from features.vocabulary.code import identify

_CODE = attrgetter("code")
_COMPONENT = attrgetter("component")
_STATUS = attrgetter("status")
_FOCUS = attrgetter("focus")
_TIMES = attrgetter("effectiveDateTime", "issued")
_ABSENT = attrgetter("dataAbsentReason")
_QUANTITY = attrgetter("valueQuantity")
_NUMBERS = attrgetter("value", "unit", "system", "code", "comparator")
_NUMBER = attrgetter("number")
_POSITION = attrgetter("position")
_ONLY = itemgetter(0)
_NO_TIME = When(0, 0)
_NOTHING = fhir.Quantity()

Numbers = NDArray[np.int64]
Part = tuple[Meaning, Measured]


BEINGS = frozenset({"Patient", "RelatedPerson", "Group", "Practitioner"})


class Found(NamedTuple):
    """What is measured, a row each: in which Observation (its position), by which meaning, and where the value is."""

    owner: Sequence[int]
    meaning: Sequence[Meaning]
    measured: Sequence[Measured]


class ObservationReader:
    """Reads Observations into rows.

    Args:
        interpreter: knows the codes and units.
        collector: knows the patients, and takes what is said.
        observer: is told what is seen, if there is one.
    """

    def __init__(self, interpreter: Interpreter, collector: Collector, *, observer: Observer | None = None) -> None:
        self._interpreter = interpreter
        self._collector = collector
        self._observer = observer
        self._refusals = collector.refusals
        self._time_missing = interpreter.refused_number(Refused(Reason.TIME_MISSING))

    def read(self, observations: Sequence[fhir.Observation]) -> None:
        """Read Observations of any patients."""
        patients = self._collector.subjects_of(observations)
        meanings = self._meanings(list(map(bytes, map(_CODE, observations))))
        if self._observer is not None:
            self._observer.observations(observations, patients, meanings)
        parts: dict[int, list[Part]] = {}
        wanted: list[object] = list(meanings)
        composed = list(compress(range(len(observations)), map(_COMPONENT, observations)))
        if composed:
            parts = self._parts(observations, meanings, composed)
            for i, found in parts.items():
                wanted[i] = found
        unusable = 0
        if min(patients) < 0:
            wanted = [patient >= 0 and found for patient, found in zip(patients, wanted, strict=True)]
            unusable = sum(patient < 0 for patient in patients)
        kept = list(compress(observations, wanted))
        if len(kept) + unusable < len(observations):
            self._refusals.add(Reason.CODE_NOT_MAPPED, count=len(observations) - len(kept) - unusable)
        if not kept:
            return
        kept_parts = {}
        if parts:
            positions = list(compress(range(len(observations)), wanted))
            kept_parts = {bisect_left(positions, i): found for i, found in parts.items() if wanted[i]}
        first = self._collector.enlist_observations(kept, list(compress(patients, wanted)))
        found_rows = _spread(kept, list(compress(meanings, wanted)), kept_parts)
        self._collector.add_part(self._rows(kept, found_rows, first))

    def _meanings(self, wordings: list[bytes]) -> list[Meanings]:
        known = self._interpreter.wordings("observation").get
        found = list(map(known, wordings))
        if None not in found:
            return found  # type: ignore[return-value]  # mypy does not see what is not in it
        for wording in {w for w, one in zip(wordings, found, strict=True) if one is None}:
            self._interpreter.meanings(wording, "observation")
        found = list(map(known, wordings))
        # What is still missing is no CodeableConcept, or too long to be remembered.
        return [self._meaning(w) if one is None else one for w, one in zip(wordings, found, strict=True)]

    def _meaning(self, wording: bytes) -> Meanings:
        found = self._interpreter.meanings(wording, "observation")
        if found is None:
            self._refusals.add(Reason.MALFORMED, detail="Observation.code")
            return ()
        return found

    def _parts(
        self, observations: Sequence[fhir.Observation], meanings: Sequence[Meanings], positions: Sequence[int]
    ) -> dict[int, list[Part]]:
        """By position: the Observations that have components, and of them what a concept is measured by."""
        codes = [bytes(component.code) for i in positions for component in observations[i].component]
        named = iter(self._meanings(codes))
        parts: dict[int, list[Part]] = {}
        for i in positions:
            observation = observations[i]
            components: list[Part] = [
                (meaning, component) for component in observation.component for meaning in next(named)
            ]
            is_panel = bool(components) and not says_anything(observation)  # its components carry the values
            parts[i] = components if is_panel else [*((meaning, observation) for meaning in meanings[i]), *components]
        return parts

    def _rows(self, kept: list[fhir.Observation], found: Found, first: int) -> Rows:
        owner = np.array(found.owner, np.intp)
        status = self._status_reasons(kept)
        if any(map(_FOCUS, kept)):
            elsewhere = self._interpreter.refused_number(Refused(Reason.OTHER_PATIENT, "focus"))
            status = np.where([is_of_another(one) for one in kept], elsewhere, status)
        status = status[owner]
        time, known, time_reason = (column[owner] for column in self._times(kept))
        value, value_reason = self._values(found)
        if self._interpreter.has_demands:
            self._check_demands(kept, found, value_reason)
        reason = np.where(status, status, np.where(time_reason, time_reason, value_reason))
        timeless = (time_reason == self._time_missing) & (status == 0) & (value_reason == 0)
        concept = np.array(list(map(_POSITION, found.meaning)), np.int32)
        refused = np.where(timeless, 0, reason)
        self._count(concept, refused)
        if self._observer is not None:
            self._observer.values(found.measured, found.meaning, value, refused)
        return Rows(owner + first, concept, time, known, time, value, reason == 0, timeless)

    def _count(self, concept: NDArray[np.int32], reason: Numbers) -> None:
        refused = np.flatnonzero(reason)
        if not len(refused):
            return
        pairs = Counter(zip(concept[refused].tolist(), reason[refused].tolist(), strict=True))
        for (position, number), count in pairs.items():
            why = self._interpreter.refused(number)
            self._refusals.add(why.reason, self._interpreter.concepts[position], why.detail, count=count)

    def _status_reasons(self, kept: list[fhir.Observation]) -> Numbers:
        """By Observation: 0 if its status says that it was measured, else the number of the refusal."""
        found = list(map(_STATUS, kept))
        numbers = {status: self._status_reason(status) for status in set(found)}
        if not any(numbers.values()):
            return np.zeros(len(kept), np.int64)
        return np.array(list(map(numbers.__getitem__, found)), np.int64)

    def _status_reason(self, status: str | None) -> int:
        if status is not None and statuses.OBSERVATION.get(status, False):
            return 0
        # What is no status of FHIR could hold anything: it is not shown.
        word = status if status in statuses.OBSERVATION else "no FHIR status"
        return self._interpreter.refused_number(Refused(Reason.STATUS, word))

    def _times(self, kept: list[fhir.Observation]) -> tuple[Numbers, Numbers, Numbers]:
        """Times, times known, and the numbers of refusals where there are none; 0 is no refusal."""
        effective, issued = zip(*map(_TIMES, kept), strict=True)
        found = list(map(measured_at, effective, issued))
        if None in effective:
            found = [when_of(one) if at is None else when for one, at, when in zip(kept, effective, found, strict=True)]
        reasons = np.zeros(len(found), np.int64)
        if Refused in set(map(type, found)):
            for i, when in enumerate(found):
                if isinstance(when, Refused):
                    reasons[i], found[i] = self._interpreter.refused_number(when), _NO_TIME
        # Four times as fast as an array of pairs.
        time, known = np.fromiter(chain.from_iterable(found), np.int64, 2 * len(found)).reshape(-1, 2).T
        return time, known, reasons

    def _values(self, found: Found) -> tuple[NDArray[np.float64], Numbers]:
        """The values in their concepts' units, and the numbers of refusals where there are none."""
        quantities, others = list(map(_QUANTITY, found.measured)), list[int]()
        if None in quantities or any(map(_ABSENT, found.measured)):
            absent = map(_ABSENT, found.measured)
            others = [i for i, (q, a) in enumerate(zip(quantities, absent, strict=True)) if a is not None or q is None]
        for i in others:
            quantities[i] = _NOTHING
        number, unit, system, code, comparator = zip(*map(_NUMBERS, quantities), strict=True)
        keys = list(zip(map(_NUMBER, found.meaning), unit, system, code, comparator, strict=True))
        try:
            numbers = list(map(self._interpreter.quantity_numbers().__getitem__, keys))
        except KeyError:
            numbers = [self._interpreter.quantity_number(k, m) for k, m in zip(keys, found.meaning, strict=True)]
        value, reason = self._converted(np.array(number, np.float64), np.array(numbers, np.int64))
        for i in others:
            self._put(i, value_of(found.measured[i], found.meaning[i], self._interpreter), value, reason)
        return value, reason

    def _converted(self, number: NDArray[np.float64], conversion: Numbers) -> tuple[NDArray[np.float64], Numbers]:
        scales = self._interpreter.scales()
        reason = np.where(conversion < 0, -1 - conversion, 0)
        conversion = np.maximum(conversion, 0)
        value = number * scales.scale[conversion] + scales.offset[conversion]
        implausible = self._interpreter.refused_number(Refused(Reason.VALUE_IMPLAUSIBLE))
        inside = (scales.low[conversion] <= value) & (value <= scales.high[conversion])
        reason[(reason == 0) & ~inside] = implausible
        # Said before all else: a missing number often stands without a unit.
        reason[np.isnan(number)] = self._interpreter.refused_number(Refused(Reason.VALUE_MISSING))
        return value, reason

    def _put(self, i: int, said: float | Refused, value: NDArray[np.float64], reason: Numbers) -> None:
        if isinstance(said, Refused):
            reason[i] = self._interpreter.refused_number(said)
        else:
            value[i], reason[i] = said, 0

    def _check_demands(self, kept: list[fhir.Observation], found: Found, reason: Numbers) -> None:
        """Refuse what was measured by another method than its code demands; have the specimen confirmed later."""
        for i, meaning in enumerate(found.meaning):
            if meaning.demands is None or reason[i]:
                continue
            observation, demands = kept[found.owner[i]], meaning.demands
            if demands.method is not None and demands.method not in codings(observation.method):
                reason[i] = self._interpreter.refused_number(Refused(Reason.METHOD, meaning.code))
            elif demands.specimen is not None:
                reference = observation.specimen.reference if observation.specimen else None
                contained = self._contained_specimen(observation, reference)
                row = self._collector.part_rows + i
                said = Confirmation(row, reference, demands.specimen, contained)
                self._collector.said.confirmations.append(said)

    def _contained_specimen(self, observation: fhir.Observation, reference: str | None) -> Codings | None:
        if reference is None or not reference.startswith("#"):
            return None
        for raw in observation.contained:
            resource = decode_resource(raw, self._refusals)
            if isinstance(resource, fhir.Specimen) and resource.id == reference.removeprefix("#"):
                return codings(resource.type)
        return None


def is_of_another(observation: fhir.Observation) -> bool:
    """Whether it was measured of another being than its subject, such as an unborn child or a donor.

    FHIR R4, Observation.focus, which may also name what it is about: a tumour, a wound.
    """
    subject = decode_part(observation.subject, fhir.Reference) or fhir.Reference()
    for focus in observation.focus:
        if focus.reference is None:
            return True
        kind = type_and_id(focus.reference).partition("/")[0]
        is_subject = type_and_id(focus.reference) == type_and_id(subject.reference or "")
        if kind in BEINGS and not is_subject:
            return True
    return False


def codings(code: fhir.CodeableConcept | None) -> Codings:
    """The (system, code) pairs of a CodeableConcept, each in its one way of writing."""
    pairs = code.coding if code is not None else ()
    return frozenset(identify(one.system, one.code) for one in pairs if one.system and one.code)


def _spread(kept: Sequence[fhir.Observation], meanings: Sequence[Meanings], parts: Mapping[int, list[Part]]) -> Found:
    """One row for each meaning of each Observation, and for each of the parts where it has components."""
    if not parts and max(map(len, meanings)) == 1:
        return Found(range(len(kept)), list(map(_ONLY, meanings)), kept)
    plain = [length == 1 for length in map(len, meanings)]
    for i in parts:
        plain[i] = False
    owner: list[int] = list(compress(range(len(kept)), plain))
    meaning: list[Meaning] = list(map(_ONLY, compress(meanings, plain)))
    measured: list[Measured] = list(compress(kept, plain))
    for i in compress(range(len(kept)), map(not_, plain)):
        for one, where in parts.get(i) or [(one, kept[i]) for one in meanings[i]]:
            owner.append(i)
            meaning.append(one)
            measured.append(where)
    return Found(owner, meaning, measured)
