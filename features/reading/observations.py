"""Observations, column by column: what takes a look at every single one is done for all at once.

The same function reads the sixty Observations of a hook call and the millions of an export. What repeats (codes,
subjects, units, times) is looked up by its wording; what is rare (components, coded answers, demands on the method)
goes through `features.reading.answers`, one by one.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import compress
from operator import itemgetter, not_
from typing import Any, NamedTuple, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from features.reading import fhir, statuses
from features.reading.answers import Measured, says_anything
from features.reading.collector import Collector, Statuses
from features.reading.decode import decode_part, decode_resource
from features.reading.instants import instants
from features.reading.interpreter import Interpreter, Meaning, Meanings, Refused
from features.reading.observer import Observer
from features.reading.quantities import values_of
from features.reading.references import type_and_id
from features.reading.statements import Codings, Confirmation, Rows, When
from features.reading.timing import when_of
from features.refusals import Reason
from features.vocabulary.code import identify

_ONLY = itemgetter(0)
_NO_TIME = When(0, 0)

Numbers = NDArray[np.int64]
Part = tuple[Meaning, Measured]


BEINGS = frozenset({"Patient", "RelatedPerson", "Group", "Practitioner"})


class Found(NamedTuple):
    """What is measured, a row each: in which Observation (its position), by which meaning, and where the value is.

    Plain, if each Observation is one row, in their order.
    """

    owner: Sequence[int]
    meaning: Sequence[Meaning]
    measured: Sequence[Measured]
    is_plain: bool


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
        meanings = self._meanings([one.code for one in observations])
        if self._observer is not None:
            self._observer.observations(observations, patients, meanings)
        parts: dict[int, list[Part]] = {}
        wanted: list[Any] = meanings
        composed = [i for i, one in enumerate(observations) if one.component]
        if composed:
            parts = self._parts(observations, meanings, composed)
            wanted = [parts.get(i, found) for i, found in enumerate(meanings)]
        unusable = 0
        if min(patients) < 0:
            wanted = [patient >= 0 and found for patient, found in zip(patients, wanted, strict=True)]
            unusable = sum(patient < 0 for patient in patients)
        if not all(wanted):
            positions = list(compress(range(len(observations)), wanted))
            not_mapped = len(observations) - len(positions) - unusable
            if not_mapped:
                self._refusals.add(Reason.CODE_NOT_MAPPED, count=not_mapped)
            if not positions:
                return
            parts = {bisect_left(positions, i): found for i, found in parts.items() if wanted[i]}
            observations = [observations[i] for i in positions]
            patients, meanings = [patients[i] for i in positions], [meanings[i] for i in positions]
        said = Statuses.of([one.status for one in observations])
        first = self._collector.enlist_observations(observations, patients, said)
        status = self._status_reasons(observations, said)
        found_rows = _spread(observations, meanings, parts)
        self._collector.add_part(self._rows(observations, found_rows, first, status))

    def _meanings(self, codes: Sequence[msgspec.Raw]) -> list[Meanings]:
        known = self._interpreter.wordings("observation").get
        found = [known(bytes(code)) for code in codes]
        if None not in found:
            return cast("list[Meanings]", found)
        for wording in {bytes(code) for code, one in zip(codes, found, strict=True) if one is None}:
            self._interpreter.meanings(wording, "observation")
        # What is still missing is no CodeableConcept, or too long to be remembered.
        wordings = map(bytes, codes)
        return [self._meaning(wording) if one is None else one for wording, one in ((w, known(w)) for w in wordings)]

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
        codes = [component.code for i in positions for component in observations[i].component]
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

    def _rows(self, kept: Sequence[fhir.Observation], found: Found, first: int, status: Numbers | None) -> Rows:
        owner = np.arange(len(kept)) if found.is_plain else np.array(found.owner, np.int64)
        time, known, time_reason = self._times(kept)
        if not found.is_plain:
            is_at_once, time = known is time, time[owner]
            known = time if is_at_once else known[owner]
            status, time_reason = (None if one is None else one[owner] for one in (status, time_reason))
        value, reason = values_of(found.measured, found.meaning, self._interpreter)
        self._check_demands(kept, found, reason)
        timeless = np.zeros(len(owner), np.bool_)
        refused = reason
        if time_reason is not None:
            timeless = (time_reason == self._time_missing) & (reason == 0)
            reason = np.where(time_reason, time_reason, reason)
            refused = np.where(timeless, 0, reason)
        if status is not None:
            timeless &= status == 0
            reason, refused = (np.where(status, status, one) for one in (reason, refused))
        concept = np.array([meaning.position for meaning in found.meaning], np.int32)
        self.count(concept, refused)
        if self._observer is not None:
            self._observer.values(found.measured, found.meaning, value, refused)
        return Rows(owner + first, concept, time, known, time, value, reason == 0, timeless)

    def count(self, concept: NDArray[np.int32], reason: Numbers) -> None:
        """Count what was refused, by the concepts and the numbers of the refusals of rows; 0 is none."""
        if not np.count_nonzero(reason):
            return
        refused = np.flatnonzero(reason)
        pairs = Counter(zip(concept[refused].tolist(), reason[refused].tolist(), strict=True))
        for (position, number), count in pairs.items():
            why = self._interpreter.refused(number)
            self._refusals.add(why.reason, self._interpreter.concepts[position], why.detail, count=count)

    def _status_reasons(self, kept: Sequence[fhir.Observation], said: Statuses) -> Numbers | None:
        """By Observation: 0 if its status says that it was measured of its subject, else the number of the refusal.

        None where all do, as nearly always.
        """
        focused = [i for i, one in enumerate(kept) if one.focus and is_of_another(one)]
        numbers = {status: self.status_reason(status) for status in said.different}
        if not focused and not any(numbers.values()):
            return None
        reasons = np.array(list(said.each(numbers)), np.int64)
        if focused:
            reasons[focused] = self._interpreter.refused_number(Refused(Reason.OTHER_PATIENT, "focus"))
        return reasons

    def status_reason(self, status: str | None) -> int:
        """0 if an Observation of this status counts, else the number of the refusal."""
        if status is not None and statuses.OBSERVATION.get(status, False):
            return 0
        # What is no status of FHIR could hold anything: it is not shown.
        word = status if status in statuses.OBSERVATION else "no FHIR status"
        return self._interpreter.refused_number(Refused(Reason.STATUS, word))

    def _times(self, kept: Sequence[fhir.Observation]) -> tuple[Numbers, Numbers, Numbers | None]:
        """Times, times known, and the numbers of refusals where there are none; 0, or None for all, is no refusal."""
        effective, issued = [one.effectiveDateTime for one in kept], [one.issued for one in kept]
        time, singly = instants([text or "" for text in effective])
        known = time
        if issued != effective:
            both = zip(issued, effective, strict=True)
            told, more = instants([(first if last is None else last) or "" for last, first in both])
            known = np.maximum(time, told)
            singly = sorted({*singly, *more})
        if not singly:
            return time, known, None
        known, reasons = known.copy(), np.zeros(len(kept), np.int64)
        for i in singly:
            when = when_of(kept[i])
            if isinstance(when, Refused):
                reasons[i], when = self._interpreter.refused_number(when), _NO_TIME
            time[i], known[i] = when
        return time, known, reasons

    def _check_demands(self, kept: Sequence[fhir.Observation], found: Found, reason: Numbers) -> None:
        """Refuse what was measured by another method than its code demands; have the specimen confirmed later."""
        if not self._interpreter.has_demands:
            return
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
        return Found(range(len(kept)), [one for (one,) in meanings], kept, is_plain=True)
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
    return Found(owner, meaning, measured, is_plain=False)
