"""Definitions: what one clinical quantity is, as data that is checked when it is built."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal, get_args

from features.vocabulary.code import Code, CodeError, check_answer, identify
from features.vocabulary.code_system_table import Kind
from features.vocabulary.code_systems import code_system

Language = Literal["en", "de"]
Level = Literal["facility", "department", "ward"]
"""A stay in the house, in a department or on a ward: the levels of the German core data set (KDS, module Fall)."""
Censored = Literal["refuse", "limit"]
"""What "<5" becomes: nothing, or the limit itself."""
Range = tuple[float, float]
"""Inclusive lower and upper bound."""

LANGUAGES: tuple[Language, ...] = get_args(Language)
KINDS: tuple[Kind, ...] = get_args(Kind)


class ConceptError(ValueError):
    """A concept that contradicts itself or lacks what its kind needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What a clinician reads in one language: full name, short name, unit as printed on a chart."""

    name: str
    short: str
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceRange:
    """Adult reference range in the concept's canonical unit, by sex."""

    female: Range
    male: Range

    def for_sex(self, sex: Literal["female", "male"] | None) -> Range | None:
        """The range for a sex; for an unknown sex only a range that both share."""
        if sex is not None:
            return self.female if sex == "female" else self.male
        return self.female if self.female == self.male else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A coded answer to an observation, and the number that it becomes.

    The system is that of valueCodeableConcept or interpretation, or `boolean` with `true` and `false`.

    Raises:
        CodeError: the answer's code is none of its system.
    """

    system: str
    code: str
    display: str
    value: float

    def __post_init__(self) -> None:
        check_answer(self.system, self.code)
        if not self.display.strip():
            raise CodeError(f"{self.system}|{self.code}: expected a display; add the one its system publishes.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Concept:
    """One clinical quantity: its codes, its one unit, its bounds and its words.

    Attributes:
        id: snake_case name, unique in a vocabulary.
        kind: where in FHIR it is recorded; a demographic comes from the Patient and may have no codes.
        codes: every (system, code) under which a value enters.
        unit: canonical UCUM unit of an event's value; None where there is none (presence, sex, answers alone).
        answers: the numbers of coded answers; with a unit, numbers count too.
        molar_mass_g_per_mol: mass of what `unit` counts per mole of the analyte; None refuses mass ↔ moles.
        charge: elementary charges per particle, for mEq/L and mval/l; None refuses them.
        plausible: inclusive bounds in `unit`; a value outside is an artefact, not a finding.
        reference: adult reference range in `unit`, None where none is well established.
        censored: what a value with a comparator becomes, "<5" and ">200".
        censored_reason: why the limit itself may stand for such a value.
        level: for an encounter, the only level of stays that count; None: any.
        drafts_of: the concept whose codes these are; events come from the draft orders of the order hooks.
        words: name, short name and printed unit by language.
        decimals: digits after the point that a card shows.
        source: where codes and ranges come from.
        reviewed: the day on which a person last checked them.

    Raises:
        ConceptError: a field is missing or contradicts another.
    """

    id: str
    kind: Kind
    codes: tuple[Code, ...]
    words: Mapping[Language, Words]
    source: str
    reviewed: date
    unit: str | None = None
    answers: tuple[Answer, ...] = ()
    molar_mass_g_per_mol: float | None = None
    charge: int | None = None
    plausible: Range | None = None
    reference: ReferenceRange | None = None
    censored: Censored = "refuse"
    censored_reason: str | None = None
    level: Level | None = None
    drafts_of: str | None = None
    decimals: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", dict(self.words))  # our own copy; a mappingproxy cannot go to a process pool
        for fault in _faults(self):
            raise ConceptError(f"Concept {self.id!r}: {fault}")

    def __hash__(self) -> int:
        return hash(self.id)

    def matches(self, system: str, code: str) -> bool:
        """Whether a recorded (system, code) is one of this concept's codes or lies below or within one."""
        return any(own.covers(system, code) for own in self.codes)

    def answer(self, system: str, code: str) -> float | None:
        """The number of a recorded answer, whichever name its system came under; None where it is not listed."""
        recorded = identify(system, code)
        return next((one.value for one in self.answers if (one.system, one.code) == recorded), None)


def _faults(concept: Concept) -> Iterator[str]:
    """What is wrong with a concept, in words; nothing for a sound one."""
    if not (concept.id.isidentifier() and concept.id.islower() and concept.id.isascii()):
        yield "expected an id in snake_case."
    if concept.kind not in KINDS:
        yield f"expected a kind of {', '.join(KINDS)}, not {concept.kind!r}."
    if set(concept.words) != set(LANGUAGES):
        yield f"expected words in {', '.join(LANGUAGES)}, not {', '.join(concept.words)}."
    if not all(words.name.strip() and words.short.strip() for words in concept.words.values()):
        yield "expected a name and a short name in each language."
    if concept.decimals < 0 or not concept.source.strip():
        yield "expected decimals of at least 0 and a source."
    yield from _kind_faults(concept)
    yield from _code_faults(concept)
    yield from _answer_faults(concept)
    yield from _range_faults(concept)


def _code_faults(concept: Concept) -> Iterator[str]:
    if not concept.codes and concept.kind != "demographic":
        yield "expected at least one code."
    keys = [(code.system, code.code, code.to) for code in concept.codes]
    if len(set(keys)) < len(keys):
        yield "expected each code once."
    for code in concept.codes:
        known = code_system(code.system)
        if known is not None and concept.kind not in known.kinds:
            fitting = ", ".join(sorted(known.kinds)) or "no kind of concept"
            yield f"{known.name} {code.code}: expected codes for {concept.kind}; that system's are for {fitting}."


def _kind_faults(concept: Concept) -> Iterator[str]:
    is_observation = concept.kind == "observation"
    if is_observation and concept.unit is None and not concept.answers:
        yield "expected a unit or answers for an observation."
    if concept.kind not in {"observation", "demographic"} and concept.unit is not None:
        yield f"expected a unit for an observation and none for a {concept.kind}, not {concept.unit!r}."
    if not is_observation and (concept.answers or any(code.demands for code in concept.codes)):
        yield f"expected answers, methods and specimens for an observation only, not for a {concept.kind}."
    if concept.level is not None and (concept.kind != "encounter" or concept.level not in get_args(Level)):
        yield f"expected a level of {', '.join(get_args(Level))} for an encounter, none else, not {concept.level!r}."
    if concept.drafts_of is not None and concept.kind not in {"observation", "medication", "procedure"}:
        yield f"nobody orders a {concept.kind}: expected drafts of an observation, medication or procedure."


def _answer_faults(concept: Concept) -> Iterator[str]:
    keys = [(answer.system, answer.code) for answer in concept.answers]
    if len(set(keys)) < len(keys):
        yield "expected each answer once."
    low, high = concept.plausible or (float("-inf"), float("inf"))
    for answer in concept.answers:
        if not low <= answer.value <= high:
            yield f"expected answers inside the plausible range, not {answer.value} for {answer.code}."
    if concept.censored not in get_args(Censored):
        yield f"expected censored values to be one of {', '.join(get_args(Censored))}, not {concept.censored!r}."
    if (concept.censored == "limit") != bool((concept.censored_reason or "").strip()):
        yield "expected a censored_reason where the limit stands for the value, and only there."
    if concept.censored == "limit" and concept.unit is None:
        yield "expected a unit where the limit stands for the value."


def _range_faults(concept: Concept) -> Iterator[str]:
    masses = [concept.molar_mass_g_per_mol, *(code.molar_mass_g_per_mol for code in concept.codes)]
    if any(mass is not None and mass <= 0 for mass in masses):
        yield "expected molar masses above 0."
    if concept.molar_mass_g_per_mol is None and any(mass is not None for mass in masses):
        yield "a code's own molar mass needs one for the concept too."
    if concept.charge is not None and concept.charge < 1:
        yield "expected a charge of at least 1."
    if concept.plausible is None:
        if concept.kind == "observation" and concept.unit is not None:
            yield "expected a plausible range."
        return
    low, high = concept.plausible
    if not low < high:
        yield f"expected a plausible range that rises, not {low} to {high}."
    for bounds in (concept.reference.female, concept.reference.male) if concept.reference else ():
        if not low <= bounds[0] < bounds[1] <= high:
            yield f"expected a reference range inside the plausible one, not {bounds[0]} to {bounds[1]}."
