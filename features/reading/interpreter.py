"""The interpreter: what codes, units and numbers of FHIR mean in a vocabulary; each way of writing is resolved once.

It holds no record and no patient, only wordings of codes and units, in bounded tables: one may serve a process for
good and all its readers.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.reading import fhir
from features.reading.decode import decode_part
from features.refusals import Reason
from features.vocabulary.code import Demands
from features.vocabulary.concept import Concept, Kind
from features.vocabulary.matching import Match, Matcher
from features.vocabulary.units import Conversion, Converter, is_ucum, load_converter

LONGEST_UNIT = 32  # characters; UCUM's longest in use are shorter
MOST_WORDINGS = 32_768  # per table; a large hospital has some thousands
LONGEST_WORDING = 4_096  # bytes; a longer one is resolved each time anew

COMPARATORS = frozenset({"<", "<=", ">", ">="})
"""FHIR R4 quantity-comparator; R5's `ad` bounds no value."""


class Refused(NamedTuple):
    """Why there is no value; the detail is a status, a unit or a code, never a value."""

    reason: Reason
    detail: str | None = None


class Meaning(NamedTuple):
    """One concept that a recorded code names.

    Attributes:
        number: unique in an interpreter; tells the wordings of codes apart that are measured differently.
        position: of the concept in the vocabulary.
        concept: the concept.
        code: the recorded code, for concepts whose codes measure different things (urea, urea nitrogen).
        ordinal: which of the concept's codes it is or lies under, counted from 1.
        demands: the method or specimen of which alone the code is this concept, if any.
        differs: whether another coding beside it names another concept: then nobody knows which was measured.
    """

    number: int
    position: int
    concept: Concept
    code: str
    ordinal: int
    demands: Demands | None
    differs: bool


Meanings = tuple[Meaning, ...]


class Scales(NamedTuple):
    """All conversions found so far, by number: value × scale + offset, and the plausible bounds."""

    scale: NDArray[np.float64]
    offset: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


QuantityKey = tuple[int, str | None, str | None, str | None, str | None]
"""Number of a meaning; a Quantity's unit, system, code and comparator."""


class Worded(NamedTuple):
    """What the wordings of measurements mean, by number.

    Attributes:
        concept: int32, position of the concept.
        conversion: int64, of the quantity: see `Interpreter.quantity_numbers`.
    """

    concept: NDArray[np.int32]
    conversion: NDArray[np.int64]


NO_CONCEPT, NOT_PLAIN = -1, -2
"""Wordings whose code no concept has; and those that are no code, name several concepts, or demand a method."""


# Stands first among the conversions, so that there is one to index where all quantities were refused.
_UNUSED = (1.0, 0.0, -np.inf, np.inf)


class Interpreter:
    """Looks up codes, units and numbers for one vocabulary.

    Args:
        converter: the vocabulary of the concepts to read, with its unit table.
    """

    def __init__(self, converter: Converter) -> None:
        self.converter = converter
        self.vocabulary = converter.vocabulary
        self.concepts = tuple(concept.id for concept in self.vocabulary)
        self._index = {name: i for i, name in enumerate(self.concepts)}
        self.drafts = tuple(
            (self._index[one.drafts_of], self._index[one.id])
            for one in self.vocabulary
            if one.drafts_of is not None and one.drafts_of in self._index
        )
        self.reads_drafts = any(one.drafts_of is not None for one in self.vocabulary)
        self.has_demands = any(code.demands for concept in self.vocabulary for code in concept.codes)
        self._matcher = Matcher(self.vocabulary)
        self._wordings: dict[tuple[Kind, bool], dict[bytes, Meanings]] = {}
        self._meanings: dict[tuple[str, str, int, bool], Meaning] = {}
        self._quantities: dict[QuantityKey, int] = {}
        self._worded: dict[bytes, int] = {}
        self._worded_columns = [(0, 0)]
        self._worded_arrays: Worded | None = None
        self._conversions = {_UNUSED: 0}
        self._refused: dict[Refused, int] = {}
        self._refused_list: list[Refused] = []
        self._scales: Scales | None = None

    def position(self, concept: str) -> int:
        """The place of a concept in `concepts`."""
        return self._index[concept]

    def wordings(self, kind: Kind, *, drafts: bool = False) -> Mapping[bytes, Meanings]:
        """The wordings of codes known so far; what is not in it must be asked of `meanings`."""
        return self._table(kind, drafts=drafts)

    def meanings(self, raw: bytes, kind: Kind, *, drafts: bool = False) -> Meanings | None:
        """The concepts of a kind that a CodeableConcept names; None if the JSON is no CodeableConcept.

        Args:
            raw: the JSON as it was sent.
            kind: where it stands.
            drafts: whether the concepts that are read from draft orders are meant, or all the others.
        """
        table = self._table(kind, drafts=drafts)
        found = table.get(raw)
        if found is not None:
            return found
        code = decode_part(raw, fhir.CodeableConcept)
        if code is None:
            return None
        found = self.of(code, kind, drafts=drafts)
        if len(raw) <= LONGEST_WORDING:
            if len(table) >= MOST_WORDINGS:
                table.clear()
            table[raw] = found
        return found

    def of(self, code: fhir.CodeableConcept, kind: Kind, *, drafts: bool = False) -> Meanings:
        """The concepts of a kind that a CodeableConcept names."""
        matches = self._matcher.match(code, kind)
        differs = kind == "observation" and len(matches) > 1 and not _agree(matches, code)
        return tuple(
            self._meaning(concept, recorded, code, differs=differs)
            for concept, recorded in matches
            if (concept.drafts_of is not None) == drafts
        )

    def quantity_numbers(self) -> Mapping[QuantityKey, int]:
        """The numbers of the wordings of quantities known so far: of a conversion, or −1 − the number of a refusal."""
        if len(self._quantities) > MOST_WORDINGS:
            self._quantities.clear()
            self._forget_worded()
            self._conversions = {_UNUSED: 0}
            self._scales = None
        return self._quantities

    def quantity_number(self, key: QuantityKey, meaning: Meaning) -> int:
        """As `quantity_numbers`, for a wording that was not seen before."""
        found = self._quantities.get(key)
        if found is None:
            found = self._resolve(key, meaning)
            if sum(map(len, filter(None, key[1:]))) <= LONGEST_WORDING:
                self._quantities[key] = found
        return found

    def worded_numbers(self) -> Mapping[bytes, int]:
        """The numbers, in `worded`, of the wordings of whole measurements known so far; NO_CONCEPT, or NOT_PLAIN."""
        self.quantity_numbers()
        if len(self._worded) > MOST_WORDINGS:
            self._forget_worded()
        return self._worded

    def worded_number(self, key: bytes, code: bytes, quantity: Sequence[str | None]) -> int:
        """As `worded_numbers`, for a wording that was not seen before.

        Args:
            key: the wording.
            code: a CodeableConcept as JSON.
            quantity: unit, system, code and comparator.
        """
        if len(key) > LONGEST_WORDING:
            return NOT_PLAIN
        meanings = self.meanings(code, "observation")
        if meanings is None or len(meanings) > 1 or any(meaning.demands is not None for meaning in meanings):
            number = NOT_PLAIN
        elif not meanings:
            number = NO_CONCEPT
        else:
            (meaning,) = meanings
            unit, system, unit_code, comparator = quantity
            conversion = self.quantity_number((meaning.number, unit, system, unit_code, comparator), meaning)
            number = len(self._worded_columns)
            self._worded_columns.append((meaning.position, conversion))
        self._worded[key] = number
        return number

    def worded(self) -> Worded:
        """What wordings mean, by their number."""
        if self._worded_arrays is None or len(self._worded_arrays.concept) < len(self._worded_columns):
            concept, conversion = np.array(self._worded_columns, np.int64).T
            self._worded_arrays = Worded(concept.astype(np.int32), np.ascontiguousarray(conversion))
        return self._worded_arrays

    def scales(self) -> Scales:
        """The conversions by number."""
        if self._scales is None or len(self._scales.scale) < len(self._conversions):
            columns = np.array(list(self._conversions), np.float64).reshape(-1, 4).T
            self._scales = Scales(*np.ascontiguousarray(columns))
        return self._scales

    def refused_number(self, refused: Refused) -> int:
        """A number for a refusal, from 1 on; 0 is none.

        The words of very many refusals are no units or codes any more: further ones are counted without.
        """
        found = self._refused.get(refused)
        if found is None:
            if len(self._refused_list) >= MOST_WORDINGS and refused.detail is not None:
                return self.refused_number(Refused(refused.reason))
            self._refused_list.append(refused)
            found = self._refused[refused] = len(self._refused_list)
        return found

    def refused(self, number: int) -> Refused:
        """The refusal of a number."""
        return self._refused_list[number - 1]

    def _forget_worded(self) -> None:
        self._worded.clear()
        self._worded_columns = [(0, 0)]
        self._worded_arrays = None

    def _table(self, kind: Kind, *, drafts: bool) -> dict[bytes, Meanings]:
        table = self._wordings.get((kind, drafts))
        if table is None:
            table = self._wordings[kind, drafts] = {}
        return table

    def _meaning(self, concept: Concept, recorded: str, code: fhir.CodeableConcept, *, differs: bool) -> Meaning:
        ordinal = _ordinal(concept, code)
        key = (concept.id, recorded, ordinal, differs)
        found = self._meanings.get(key)
        if found is None:
            index, demands = self._index[concept.id], concept.codes[ordinal - 1].demands
            found = Meaning(len(self._meanings), index, concept, recorded, ordinal, demands, differs)
            self._meanings[key] = found
        return found

    def _resolve(self, key: QuantityKey, meaning: Meaning) -> int:
        _, unit, system, code, comparator = key
        concept = meaning.concept
        if meaning.differs:
            return -1 - self.refused_number(Refused(Reason.CODE_CONTRADICTION, meaning.code))
        if comparator is not None and not (concept.censored == "limit" and comparator in COMPARATORS):
            return -1 - self.refused_number(Refused(Reason.VALUE_CENSORED))
        if concept.unit is None:
            return -1 - self.refused_number(Refused(Reason.VALUE_NOT_CODED))
        conversion = self.converter.conversions(concept, meaning.code).resolve(
            unit=unit, unit_system=system, unit_code=code
        )
        if isinstance(conversion, Reason):
            return -1 - self.refused_number(Refused(conversion, unit_word(unit, system, code)))
        return self._conversions.setdefault((*conversion, *_bounds(concept)), len(self._conversions))


@cache
def load_interpreter() -> Interpreter:
    """The interpreter of the packaged vocabulary and unit table, one per process."""
    return Interpreter(load_converter())


def convert(concept: Concept, conversion: Conversion, number: float) -> float | Refused:
    """A recorded number in the concept's unit, if it is plausible: the one-value form of what `Scales` hold."""
    value = conversion(number)
    low, high = _bounds(concept)
    return value if low <= value <= high else Refused(Reason.VALUE_IMPLAUSIBLE)


def unit_word(unit: str | None, system: str | None, code: str | None) -> str | None:
    """The unit as it was sent, cut short: a report must name it, and it is no place for a story."""
    word = code if is_ucum(system) and code is not None else unit
    return None if word is None else "".join(c for c in word if c.isprintable())[:LONGEST_UNIT]


def _bounds(concept: Concept) -> tuple[float, float]:
    return concept.plausible if concept.plausible is not None else (-np.inf, np.inf)


def _agree(matches: Sequence[Match], code: fhir.CodeableConcept) -> bool:
    """Whether every coding that names one of the concepts names them all."""
    named = [
        {concept.id for concept, _ in matches if concept.matches(coding.system or "", coding.code or "")}
        for coding in code.coding
    ]
    told = [names for names in named if names]
    return all(names == told[0] for names in told)


def _ordinal(concept: Concept, code: fhir.CodeableConcept) -> int:
    for coding in code.coding:
        for number, own in enumerate(concept.codes, start=1):
            if own.covers(coding.system or "", coding.code or ""):
                return number
    return 1
