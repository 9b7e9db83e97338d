"""Codes: one entry of a code system, checked when it is built, and what it covers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from features.vocabulary.code_system_table import (
    ACT_CODE,
    ATC_GERMAN,
    ATC_WHO,
    BOOLEAN,
    CONTACT_KIND,
    CONTACT_LEVEL,
    DEPARTMENT,
    ICD_9_CM,
    ICD_9_CM_PROCEDURES,
    ICD_10_CM,
    ICD_10_GM,
    ICD_10_PCS,
    ICD_10_WHO,
    INTERPRETATION,
    LOINC,
    NDC,
    OPS,
    PZN,
    RXNORM,
    SNOMED_CT,
    UCUM,
)
from features.vocabulary.code_systems import (
    SUBTREE_SYSTEMS,
    ancestors,
    canonical,
    code_system,
    identify,
    is_answer,
    is_stem,
    is_well_formed,
    normalise_code,
)

__all__ = [
    "ACT_CODE",
    "ATC_GERMAN",
    "ATC_WHO",
    "BOOLEAN",
    "CONTACT_KIND",
    "CONTACT_LEVEL",
    "DEPARTMENT",
    "ICD_9_CM",
    "ICD_9_CM_PROCEDURES",
    "ICD_10_CM",
    "ICD_10_GM",
    "ICD_10_PCS",
    "ICD_10_WHO",
    "INTERPRETATION",
    "LOINC",
    "NDC",
    "OPS",
    "PZN",
    "RXNORM",
    "SNOMED_CT",
    "SUBTREE_SYSTEMS",
    "UCUM",
    "Code",
    "CodeError",
    "Demands",
    "SystemCode",
    "ancestors",
    "canonical",
    "identify",
    "is_well_formed",
    "normalise_code",
]

SystemCode = tuple[str, str]
"""A canonical system and a code of it."""


class CodeError(ValueError):
    """A code that its code system cannot contain."""


class Demands(NamedTuple):
    """The method and the specimen of which alone a code measures its concept; None where any will do."""

    method: SystemCode | None
    specimen: SystemCode | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """One code of a concept.

    `subtree` extends the code to everything below it in its system's own hierarchy: ICD-10 `N18` covers `N18`
    and `N18.31`, ATC `M01A` covers `M01AB05`; nothing else that merely begins with the same letters.

    `to` makes it a range: ICD-10 `E10` to `E14` covers these two, the categories between, and everything below them.
    "Between" is the order of the characters, in which ICD-10-CM's `M1A` comes after `M19`.

    `molar_mass_g_per_mol` is set where the code measures another mass per mole than its concept does: urea
    (60.056 g/mol) under the concept urea nitrogen (28.014 g of nitrogen per mole of urea).

    `method` and `specimen` are set where an Observation of that code counts only if it names this method, or a
    Specimen of this type.

    Raises:
        CodeError: the format or the check digit is wrong, or the system has no readable hierarchy.
    """

    system: str
    code: str
    display: str
    subtree: bool = False
    to: str | None = None
    molar_mass_g_per_mol: float | None = None
    method: SystemCode | None = None
    specimen: SystemCode | None = None

    def __post_init__(self) -> None:
        for fault in _faults(self):
            raise CodeError(f"{self.system}|{self.code}: {fault}")

    @property
    def demands(self) -> Demands | None:
        """What an Observation of this code must name; None for nothing."""
        return Demands(self.method, self.specimen) if self.method or self.specimen else None

    def covers(self, system: str, code: str) -> bool:
        """Whether a recorded (system, code) is this code, lies below it (subtree) or within it (range).

        The system may come under any of its names, the code with marks or without its point.
        """
        system, code = identify(system, code)
        if system != self.system:
            return False
        if self.to is not None:
            return any(self.holds(ancestor) for ancestor in ancestors(system, code))
        return code == self.code or (self.subtree and self.code in ancestors(system, code))

    def holds(self, code: str) -> bool:
        """Whether a code of the range's own level lies in the range, ends included."""
        return self.to is not None and len(code) == len(self.code) and self.code <= code <= self.to


def check_answer(system: str, code: str) -> None:
    """See that a (system, code) can be that of an answer, under the system's own URI.

    Raises:
        CodeError: says what was expected.
    """
    for fault in _faults_of(system, code, is_answer):
        raise CodeError(f"{system}|{code}: {fault}")


def _faults(code: Code) -> Iterator[str]:
    if not code.display.strip():
        yield "expected a display; add the one its system publishes."
    yield from _faults_of(code.system, code.code, is_stem if code.subtree else is_well_formed)
    if code.subtree and code.system not in SUBTREE_SYSTEMS:
        yield "codes of this system spell no hierarchy; list each code."
    if code.to is not None:
        yield from _range_faults(code, code.to)
    for role, pair in (("method", code.method), ("specimen", code.specimen)):
        if pair is not None:
            yield from (f"{role} {pair[1]}: {fault}" for fault in _faults_of(*pair))


def _faults_of(system: str, code: str, is_code: Callable[[str, str], bool] = is_well_formed) -> Iterator[str]:
    if not system.strip() or canonical(system) != system:
        yield f"expected the system's one URI, {canonical(system) or 'which is missing'}."
    elif not is_code(system, code):
        known = code_system(system)
        expected = f"expected the form of {known.example} ({known.name})" if known else "expected a code"
        yield f"not a code of that system (format or check digit); {expected}; copy the code again from its source."


def _range_faults(code: Code, last: str) -> Iterator[str]:
    known = code_system(code.system)
    if known is None or not known.ranges:
        yield "codes of this system make no ranges; list each code."
        return
    if code.subtree:
        yield "a range covers what lies below it anyway; leave `subtree` out."
    if not is_well_formed(code.system, last):
        yield f"the range's end {last!r} is not a code of that system (format or check digit)."
    elif (
        len(last) != len(code.code)
        or not code.code < last
        or _parents(code.system, code.code) != _parents(code.system, last)
    ):
        yield f"expected a range's end after its beginning, of the same level and under the same code, not {last!r}."


def _parents(system: str, code: str) -> tuple[str, ...]:
    return ancestors(system, code)[1:]
