"""Concepts: one clinical quantity each, as data, and the vocabulary that finds them by code."""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from itertools import chain
from types import MappingProxyType
from typing import Any, Literal, get_args

from features.code import SUBTREE_SYSTEMS, Code, CodeError, ancestors

__all__ = [
    "Code",
    "CodeError",
    "Concept",
    "ConceptError",
    "Kind",
    "Language",
    "ReferenceRange",
    "UnknownConceptError",
    "Vocabulary",
    "Words",
    "load_concepts",
    "load_vocabulary",
    "read_concepts",
]

Kind = Literal["observation", "condition", "medication", "demographic"]
Language = Literal["en", "de"]
Range = tuple[float, float]
"""Inclusive lower and upper bound."""

LANGUAGES: tuple[Language, ...] = get_args(Language)


class ConceptError(ValueError):
    """A concept that contradicts itself or lacks what its kind needs."""


class UnknownConceptError(KeyError):
    """A concept id that the vocabulary does not hold."""

    def __str__(self) -> str:
        return str(self.args[0])


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
class Concept:
    """One clinical quantity: its codes, its one unit, its bounds and its words.

    Attributes:
        id: snake_case name, unique in a vocabulary.
        kind: where in FHIR it is recorded; a demographic comes from the Patient and may have no codes.
        codes: every (system, code) under which a value enters.
        unit: canonical UCUM unit of an event's value; None where there is none (presence, sex).
        molar_mass_g_per_mol: mass of what `unit` counts per mole of the analyte; None refuses mass ↔ moles.
        charge: elementary charges per particle, for mEq/L and mval/l; None refuses them.
        plausible: inclusive bounds in `unit`; a value outside is an artefact, not a finding.
        reference: adult reference range in `unit`, None where none is well established.
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
    molar_mass_g_per_mol: float | None = None
    charge: int | None = None
    plausible: Range | None = None
    reference: ReferenceRange | None = None
    decimals: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", dict(self.words))  # our own copy; a mappingproxy cannot go to a process pool
        for fault in _faults(self):
            raise ConceptError(f"Concept {self.id!r}: {fault}")

    def __hash__(self) -> int:
        return hash(self.id)

    def matches(self, system: str, code: str) -> bool:
        """Whether a recorded (system, code) is one of this concept's codes or lies in one of its subtrees."""
        return any(own.covers(system, code) for own in self.codes)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Concepts by id and by code; a code is found with one dictionary hit, plus one per level of a hierarchy.

    Raises:
        ConceptError: two concepts share an id.
    """

    concepts: tuple[Concept, ...]
    _by_id: Mapping[str, Concept] = field(init=False, repr=False, compare=False)
    _exact: Mapping[tuple[str, str], tuple[Concept, ...]] = field(init=False, repr=False, compare=False)
    _subtrees: Mapping[tuple[str, str], tuple[Concept, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_id = {concept.id: concept for concept in self.concepts}
        if len(by_id) < len(self.concepts):
            ids = [concept.id for concept in self.concepts]
            repeated = sorted({name for name in ids if ids.count(name) > 1})
            raise ConceptError(f"Expected each concept id once; repeated: {', '.join(repeated)}.")
        object.__setattr__(self, "_by_id", by_id)
        object.__setattr__(self, "_exact", _index(self.concepts, subtree=False))
        object.__setattr__(self, "_subtrees", _index(self.concepts, subtree=True))

    def __iter__(self) -> Iterator[Concept]:
        return iter(self.concepts)

    def __len__(self) -> int:
        return len(self.concepts)

    def __contains__(self, concept_id: object) -> bool:
        return concept_id in self._by_id

    def concept(self, concept_id: str) -> Concept:
        """The concept of an id.

        Raises:
            UnknownConceptError: names the nearest ids.
        """
        found = self._by_id.get(concept_id)
        if found is None:
            near = get_close_matches(concept_id, self._by_id, n=3)
            hint = f"Did you mean {' or '.join(near)}?" if near else "features/concepts/ lists them."
            raise UnknownConceptError(f"No concept {concept_id!r} among {len(self)}. {hint}")
        return found

    def lookup(self, system: str, code: str) -> tuple[Concept, ...]:
        """Every concept that a recorded (system, code) belongs to; empty where there is none."""
        exact = self._exact.get((system, code), ())
        if system not in SUBTREE_SYSTEMS:
            return exact
        found = dict.fromkeys(exact)
        for ancestor in ancestors(system, code):
            found.update(dict.fromkeys(self._subtrees.get((system, ancestor), ())))
        return tuple(found)

    def subset(self, concept_ids: Iterable[str]) -> "Vocabulary":
        """The vocabulary of some concepts only, in the order given; what a model's reader needs to know."""
        return Vocabulary(tuple(self.concept(concept_id) for concept_id in concept_ids))


@cache
def load_vocabulary() -> Vocabulary:
    """The vocabulary packaged with Bedside, read once per process."""
    folder = files("features") / "concepts"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".toml"))
    documents = ((folder / name).read_text(encoding="utf-8") for name in names)
    return Vocabulary(tuple(chain.from_iterable(map(read_concepts, documents, names))))


def load_concepts() -> Mapping[str, Concept]:
    """The packaged concepts by id."""
    return MappingProxyType({concept.id: concept for concept in load_vocabulary()})


def read_concepts(text: str, name: str) -> tuple[Concept, ...]:
    """Concepts of a TOML document with `source`, `reviewed`, `[systems]` (short names) and `[concepts.ID]` tables.

    Raises:
        ConceptError: the document or one of its concepts is wrong; names the document and the concept.
    """
    try:
        document = tomllib.loads(text)
        common = {"source": document["source"], "reviewed": document["reviewed"]}
        tables: Mapping[str, Mapping[str, Any]] = document["concepts"]
        return tuple(_concept(key, common | dict(table), document["systems"]) for key, table in tables.items())
    except KeyError as error:
        raise ConceptError(f"{name}: expected the key {error.args[0]!r}; see the packaged documents.") from error
    except (ValueError, TypeError) as error:
        raise ConceptError(f"{name}: {error}") from error


def _concept(concept_id: str, table: Mapping[str, Any], systems: Mapping[str, str]) -> Concept:
    try:
        codes = tuple(Code(**(entry | {"system": systems[entry["system"]]})) for entry in table["codes"])
    except CodeError as error:
        raise ConceptError(f"Concept {concept_id!r}: {error}") from error
    built: dict[str, Any] = {
        "id": concept_id,
        "codes": codes,
        "words": {language: Words(**words) for language, words in table["words"].items()},
    }
    if "plausible" in table:
        built["plausible"] = _range(table["plausible"])
    if "reference" in table:
        built["reference"] = _reference(table["reference"])
    return Concept(**(dict(table) | built))


def _range(bounds: list[float]) -> Range:
    low, high = bounds
    return float(low), float(high)


def _reference(entry: list[float] | Mapping[str, list[float]]) -> ReferenceRange:
    if isinstance(entry, list):
        return ReferenceRange(female=_range(entry), male=_range(entry))
    return ReferenceRange(**{sex: _range(bounds) for sex, bounds in entry.items()})


def _index(concepts: Iterable[Concept], *, subtree: bool) -> dict[tuple[str, str], tuple[Concept, ...]]:
    index: dict[tuple[str, str], tuple[Concept, ...]] = {}
    for concept in concepts:
        for code in concept.codes:
            if code.subtree == subtree:
                key = (code.system, code.code)
                index[key] = (*index.get(key, ()), concept)
    return index


def _faults(concept: Concept) -> Iterator[str]:
    """What is wrong with a concept, in words; nothing for a sound one."""
    if not (concept.id.isidentifier() and concept.id.islower() and concept.id.isascii()):
        yield "expected an id in snake_case."
    if concept.kind not in get_args(Kind):
        yield f"expected a kind of {', '.join(get_args(Kind))}, not {concept.kind!r}."
    if not concept.codes and concept.kind != "demographic":
        yield "expected at least one code."
    keys = [(code.system, code.code) for code in concept.codes]
    if len(set(keys)) < len(keys):
        yield "expected each code once."
    if concept.kind != "demographic" and (concept.unit is not None) != (concept.kind == "observation"):
        yield f"expected a unit for an observation and none for a condition or medication, not {concept.unit!r}."
    if set(concept.words) != set(LANGUAGES):
        yield f"expected words in {', '.join(LANGUAGES)}, not {', '.join(concept.words)}."
    if not all(words.name.strip() and words.short.strip() for words in concept.words.values()):
        yield "expected a name and a short name in each language."
    if concept.decimals < 0 or not concept.source.strip():
        yield "expected decimals of at least 0 and a source."
    yield from _range_faults(concept)


def _range_faults(concept: Concept) -> Iterator[str]:
    masses = [concept.molar_mass_g_per_mol, *(code.molar_mass_g_per_mol for code in concept.codes)]
    if any(mass is not None and mass <= 0 for mass in masses):
        yield "expected molar masses above 0."
    if concept.molar_mass_g_per_mol is None and any(mass is not None for mass in masses):
        yield "a code's own molar mass needs one for the concept too."
    if concept.charge is not None and concept.charge < 1:
        yield "expected a charge of at least 1."
    if concept.plausible is None:
        if concept.kind == "observation":
            yield "expected a plausible range."
        return
    low, high = concept.plausible
    if not low < high:
        yield f"expected a plausible range that rises, not {low} to {high}."
    for bounds in (concept.reference.female, concept.reference.male) if concept.reference else ():
        if not low <= bounds[0] < bounds[1] <= high:
            yield f"expected a reference range inside the plausible one, not {bounds[0]} to {bounds[1]}."
