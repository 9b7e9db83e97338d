"""Plain Observations become rows, a column at a time: each wording is looked up once, however often it is said."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from features.reading import fhir, statuses
from features.reading.collector import Collector, identifier
from features.reading.interpreter import NO_CONCEPT, NOT_PLAIN, Interpreter
from features.reading.observations import ObservationReader
from features.reading.quantities import converted
from features.reading.scan.searchset import Searchset, parts
from features.reading.statements import TYPE_NUMBERS, Rows
from features.refusals import Reason

Numbers = NDArray[np.int64]
Kept: TypeAlias = Numbers | slice

_OBSERVATION = TYPE_NUMBERS["Observation"]
_NOTHING = b"{}"
_ALL = slice(None)
_NO_POSITIONS = np.empty(0, np.int64)


class _Stater(NamedTuple):
    """Of whom something is stated, and as what.

    Attributes:
        patient: the number; negative where nothing may be used.
        refused: 0 if the status counts, else the number of the refusal.
        rank: of the status, among versions.
    """

    patient: int
    refused: int
    rank: int


class Understood(NamedTuple):
    """A searchset whose wordings are known.

    Attributes:
        searchset: as it was read.
        numbers: int64[N], by plain Observation the number of its wording (`Interpreter.worded_numbers`).
        staters: as the searchset's.
        kept: positions of the plain Observations that make a row.
        left: positions of those that must be read singly.
    """

    searchset: Searchset
    numbers: Numbers
    staters: Sequence[_Stater]
    kept: Kept
    left: Numbers


class PlainReader:
    """Reads the plain Observations of searchsets.

    Args:
        interpreter: knows the codes and units.
        collector: knows the patients, and takes what is said.
        observations: judges statuses, and counts what is refused.
    """

    def __init__(self, interpreter: Interpreter, collector: Collector, observations: ObservationReader) -> None:
        self._interpreter = interpreter
        self._collector = collector
        self._observations = observations
        self._known = interpreter.worded_numbers()
        self._staters: dict[bytes, _Stater] = {}

    def understand(self, searchset: Searchset) -> Understood:
        """Look up what is said in words; what must be read singly is left.

        Those are the Observations of another patient, under a code that is none or names several concepts, or of which
        a method is demanded.
        """
        known = self._known.get
        number_of = [self._number(key) if (number := known(key)) is None else number for key in searchset.wordings]
        staters = [self._stater(key) for key in searchset.staters]
        numbers = np.array(number_of, np.int64)[searchset.wording]
        is_usable = all(stater.patient >= 0 for stater in staters)
        if is_usable and min(number_of, default=0) >= 0:
            return Understood(searchset, numbers, staters, _ALL, _NO_POSITIONS)
        is_left = numbers == NOT_PLAIN
        if not is_usable:
            is_left |= np.array([stater.patient < 0 for stater in staters], np.bool_)[searchset.stater]
        kept = np.flatnonzero(~is_left & (numbers != NO_CONCEPT))
        return Understood(searchset, numbers, staters, kept, np.flatnonzero(is_left))

    def read(self, understood: Understood) -> None:
        """Make rows of those that were not left."""
        numbers, kept = understood.numbers[understood.kept], understood.kept
        count = len(understood.numbers) - len(understood.left)
        self._collector.said.resources += count
        if len(numbers) < count:
            self._collector.refusals.add(Reason.CODE_NOT_MAPPED, count=count - len(numbers))
        if not len(numbers):
            return
        searchset, worded = understood.searchset, self._interpreter.worded()
        first = self._enlist(understood, len(numbers))
        time = searchset.time[kept]
        known = time if searchset.known is searchset.time else searchset.known[kept]
        value, reason = converted(searchset.value[kept], worded.conversion[numbers], self._interpreter)
        if any(stater.refused for stater in understood.staters):
            refused = np.array([stater.refused for stater in understood.staters], np.int64)[searchset.stater[kept]]
            reason = np.where(refused, refused, reason)
        concept = worded.concept[numbers]
        self._observations.count(concept, reason)
        timeless = np.zeros(len(numbers), np.bool_)
        instance = np.arange(first, first + len(numbers))
        self._collector.add_part(Rows(instance, concept, time, known, time, value, reason == 0, timeless))

    def _enlist(self, understood: Understood, count: int) -> int:
        instances, searchset, kept = self._collector.said.instances, understood.searchset, understood.kept
        first = len(instances)
        if len(understood.staters) == 1:
            ((patient, _, rank),) = understood.staters
            instances.patient.extend([patient] * count)
            instances.rank.extend([rank] * count)
        else:
            told = [understood.staters[number] for number in searchset.stater[kept].tolist()]
            instances.patient.extend([stater.patient for stater in told])
            instances.rank.extend([stater.rank for stater in told])
        instances.type.extend([_OBSERVATION] * count)
        instances.id.extend(searchset.ids(kept))
        instances.identifier.extend(searchset.identifiers(kept))
        instances.meta.extend(searchset.metas(kept))
        return first

    def _number(self, key: bytes) -> int:
        code, *quantity = parts(key)
        words = [None if word is None else word.decode() for word in quantity]
        return self._interpreter.worded_number(key, code or _NOTHING, words)

    def _stater(self, key: bytes) -> _Stater:
        found = self._staters.get(key)
        if found is None:
            found = self._staters[key] = self._new_stater(key)
        return found

    def _new_stater(self, key: bytes) -> _Stater:
        subject, status = parts(key)
        word = None if status is None else status.decode()
        refused = self._observations.status_reason(word)
        return _Stater(self._collector.numbered(subject or _NOTHING), refused, statuses.RANK.get(word or "", 0))


def has_versions(
    others: Iterable[fhir.Resource], left: Iterable[fhir.Resource], understood: Sequence[Understood]
) -> bool:
    """Whether an Observation to be read singly may be a version of one that it would no longer be read in order with.

    Args:
        others: what is no plain Observation: read behind all that are.
        left: plain Observations that are left: read behind those kept, among themselves in order.
        understood: the searchsets.
    """
    return _shares_names(others, [(one.searchset, _ALL) for one in understood]) or _shares_names(
        left, [(one.searchset, one.kept) for one in understood]
    )


def _shares_names(singly: Iterable[fhir.Resource], plain: Iterable[tuple[Searchset, Kept]]) -> bool:
    """Whether an Observation has the id or the business identifier of a plain one."""
    observations = [one for one in singly if isinstance(one, fhir.Observation)]
    if not observations:
        return False
    names = {one.id for one in observations if one.id is not None}
    identified = {name for one in observations if (name := identifier(one.identifier)) is not None}
    return any(
        not names.isdisjoint(searchset.ids(positions))
        or bool(identified and not identified.isdisjoint(searchset.identifiers(positions)))
        for searchset, positions in plain
    )
