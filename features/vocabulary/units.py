"""Units: exact conversion of recorded quantities into a concept's one unit, by an explicit table."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from features.refusals import Reason
from features.vocabulary.code_systems import canonical
from features.vocabulary.concept import Concept, Vocabulary, load_vocabulary

UCUM = "http://unitsofmeasure.org"

_CONCENTRATIONS = frozenset({"mass_concentration", "amount_concentration", "charge_concentration"})
_UNITLESS_KINDS = frozenset({"acidity", "score", "clotting_ratio"})
"""A pH, a score and an INR have no unit; they are sent with none, with "1" or with a made-up one."""

# HbA1c in percent (NGSP) = 0.09148 × HbA1c in mmol/mol (IFCC) + 2.152: the master equation as NGSP publishes it
# (ngsp.org/ifcc.asp; Hoelzel 2004, doi:10.1373/clinchem.2003.024802). Two scales, not two units of one.
_NGSP_SLOPE, _NGSP_INTERCEPT = Fraction("0.09148"), Fraction("2.152")
_PERCENT = 100


class UnitTableError(ValueError):
    """A unit table that contradicts itself, or a concept whose unit it does not hold."""


class Conversion(NamedTuple):
    """How a recorded number becomes one in the concept's unit: value × scale + offset."""

    scale: float
    offset: float

    def __call__(self, value: float) -> float:
        """The value in the concept's unit."""
        return value * self.scale + self.offset


IDENTITY = Conversion(1.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One unit, base = value × scale + offset in the base unit of its kind, and the ways in which it is written."""

    kind: str
    scale: Fraction
    offset: Fraction
    ucum: tuple[str, ...]
    texts: tuple[str, ...]

    @property
    def name(self) -> str:
        """The UCUM code by which concepts name it."""
        return self.ucum[0]


@dataclass(frozen=True, slots=True)
class UnitTable:
    """All units, by UCUM code and by normalised text.

    Raises:
        UnitTableError: one spelling stands for two units.
    """

    units: tuple[Unit, ...]
    by_code: Mapping[str, Unit] = field(init=False, repr=False, compare=False)
    by_text: Mapping[str, Unit] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_code", _spellings(self.units, "ucum"))
        object.__setattr__(self, "by_text", _spellings(self.units, "texts"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversions:
    """What each spelling of a unit means for one code of one concept: a conversion, or the reason for a refusal.

    `unitless` answers for a quantity that names no unit at all.
    """

    by_code: Mapping[str, Conversion | Reason]
    by_text: Mapping[str, Conversion | Reason]
    unitless: Conversion | Reason

    def resolve(self, *, unit: str | None, unit_system: str | None, unit_code: str | None) -> Conversion | Reason:
        """The conversion for a FHIR Quantity's `unit`, `system` and `code`, or why there is none.

        A UCUM code decides. A unit text beside it can only contradict it: both known, not converting alike. What is
        called UCUM and is none of its codes (`mm Hg`, `beats/min`) is read as a text.
        Without a UCUM code the text decides; a code of another system is read as a text where there is none. A code
        without a system can contradict a text too.
        """
        text = normalise(unit) if unit else ""
        if unit_code and is_ucum(unit_system):
            by_code = self.by_code.get(unit_code) or self.by_text.get(normalise(unit_code), Reason.UNIT_UNKNOWN)
            if text and isinstance(by_code, Conversion) and self.by_text.get(text, by_code) != by_code:
                return Reason.UNIT_CONTRADICTION
            return by_code
        by_word = self.by_text.get(normalise(unit_code)) if unit_code and not unit_system else None
        if text and isinstance(by_word, Conversion) and self.by_text.get(text, by_word) != by_word:
            return Reason.UNIT_CONTRADICTION
        if not text and unit_code:
            text = normalise(unit_code)
        return self.by_text.get(text, Reason.UNIT_UNKNOWN) if text else self.unitless


@dataclass(frozen=True, slots=True)
class Converter:
    """Conversion into the units of a vocabulary's concepts: compiled once, then dictionary hits and a multiplication.

    Raises:
        UnitTableError: a concept's unit is not in the table.
    """

    vocabulary: Vocabulary
    table: UnitTable
    _compiled: Mapping[tuple[str, str | None], Conversions] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        compiled: dict[tuple[str, str | None], Conversions] = {}
        for concept in self.vocabulary:
            if concept.unit is None:
                continue
            compiled[concept.id, None] = compile_conversions(concept, self.table)
            for code in concept.codes:
                if code.molar_mass_g_per_mol is not None:
                    own = compile_conversions(concept, self.table, code.molar_mass_g_per_mol)
                    compiled[concept.id, code.code] = own
        object.__setattr__(self, "_compiled", compiled)

    def conversions(self, concept: Concept, code: str | None = None) -> Conversions:
        """The compiled conversions of a concept, as the given one of its codes measures it.

        Raises:
            UnitTableError: the concept has no unit, or is not in this converter's vocabulary.
        """
        compiled = self._compiled
        found = compiled.get((concept.id, code)) or compiled.get((concept.id, None))
        if found is None:
            raise UnitTableError(f"Concept {concept.id!r}: expected one of this vocabulary that has a unit.")
        return found

    def convert(
        self,
        value: float,
        *,
        concept: Concept,
        code: str | None = None,
        unit: str | None = None,
        unit_system: str | None = None,
        unit_code: str | None = None,
    ) -> float | Reason:
        """A recorded value in the concept's canonical unit, or the reason for refusing it.

        Args:
            value: the number of a FHIR Quantity.
            concept: what it measures.
            code: the recorded code of the concept (`3091-6`); it tells urea from urea nitrogen.
            unit: the Quantity's unit text.
            unit_system: the Quantity's system.
            unit_code: the Quantity's code.

        Raises:
            UnitTableError: see `conversions`.
        """
        found = self.conversions(concept, code).resolve(unit=unit, unit_system=unit_system, unit_code=unit_code)
        return found if isinstance(found, Reason) else found(value)


@cache
def load_units() -> UnitTable:
    """The unit table packaged with Bedside, read once per process."""
    return read_units((files("features.vocabulary") / "units.toml").read_text(encoding="utf-8"))


@cache
def load_converter(extra: Path | None = None) -> Converter:
    """The converter of the packaged vocabulary, with a site's own if there is one, and of the packaged unit table.

    Args:
        extra: a folder of the site's concepts, see `load_vocabulary`.
    """
    return Converter(load_vocabulary(extra), load_units())


def read_units(text: str) -> UnitTable:
    """A unit table from TOML; see features/vocabulary/units.toml for the form.

    Raises:
        UnitTableError: a unit of an undeclared kind, or one spelling for two units.
    """
    document = tomllib.loads(text)
    return UnitTable(tuple(_unit(entry, document["kinds"]) for entry in document["units"]))


def compile_conversions(concept: Concept, table: UnitTable, code_molar_mass: float | None = None) -> Conversions:
    """What every spelling in the table means for a concept; `code_molar_mass` as on `Code`.

    Raises:
        UnitTableError: the concept's unit is not in the table.
    """
    target = table.by_code.get(concept.unit or "")
    if target is None:
        raise UnitTableError(
            f"Concept {concept.id!r}: unit {concept.unit!r} is not in features/vocabulary/units.toml; add it."
        )
    answers = {unit.name: _conversion(unit, target, concept, code_molar_mass) for unit in table.units}
    by_code = {spelling: answers[unit.name] for spelling, unit in table.by_code.items()}
    by_text = {spelling: answers[unit.name] for spelling, unit in table.by_text.items()}
    unitless: Conversion | Reason = Reason.UNIT_MISSING
    if target.kind in _UNITLESS_KINDS:
        unitless = by_code["1"] = by_text["1"] = IDENTITY
    return Conversions(by_code=by_code, by_text=by_text, unitless=unitless)


def is_ucum(system: str | None) -> bool:
    """Whether a Quantity's system is UCUM, under whichever of its names."""
    return system == UCUM or (system is not None and canonical(system) == UCUM)


_CHARACTERS = str.maketrans(
    {
        "\N{MICRO SIGN}": "u",
        "\N{GREEK SMALL LETTER MU}": "u",
        "\N{MASCULINE ORDINAL INDICATOR}": "°",
        "\N{RING ABOVE}": "°",
        "\N{DEGREE CELSIUS}": "°C",
        "\N{DEGREE FAHRENHEIT}": "°F",
        "\N{MULTIPLICATION SIGN}": "x",
        "\N{MINUS SIGN}": "-",
        "\N{ZERO WIDTH SPACE}": "",
        "\N{ZERO WIDTH NO-BREAK SPACE}": "",
    }
)
_SUPERSCRIPTS = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+")
_SUPERSCRIPT_VALUES = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")


def normalise(text: str) -> str:
    """A unit text with typography taken out and case left in: `10³ / µl` becomes `10^3/ul`."""
    joined = "".join(text.split())
    if joined.isascii():
        return joined
    raised = _SUPERSCRIPTS.sub(lambda run: "^" + run.group().translate(_SUPERSCRIPT_VALUES), joined)
    return raised.translate(_CHARACTERS)


_LITRE = re.compile(r"(?<=[/dcmunp])[lL](?![A-Za-z])")


def _litre_cases(spelling: str) -> Iterator[str]:
    """The spelling with a large and with a small litre, which UCUM holds equal and every hospital mixes."""
    yield _LITRE.sub("L", spelling)
    yield _LITRE.sub("l", spelling)
    yield spelling


def _spellings(units: tuple[Unit, ...], field_name: str) -> dict[str, Unit]:
    found: dict[str, Unit] = {}
    for unit in units:
        for listed in getattr(unit, field_name):
            for spelling in _litre_cases(listed):
                if found.setdefault(spelling, unit) is not unit:
                    other = found[spelling].name
                    raise UnitTableError(f"{spelling!r} is listed for {other} and {unit.name}; keep one of them.")
    return found


def _unit(entry: Mapping[str, Any], kinds: Mapping[str, str]) -> Unit:
    if entry["kind"] not in kinds:
        raise UnitTableError(f"{entry['ucum'][0]}: kind {entry['kind']!r} is not one of {', '.join(kinds)}.")
    return Unit(
        kind=entry["kind"],
        scale=Fraction(entry["scale"]),
        offset=Fraction(entry.get("offset", "0")),
        ucum=(*entry["ucum"], *entry.get("also", ())),
        texts=tuple(normalise(text) for text in entry["texts"]),
    )


def _conversion(source: Unit, target: Unit, concept: Concept, code_molar_mass: float | None) -> Conversion | Reason:
    """From one unit to another, in rationals to the end so that each factor is rounded once."""
    if (source.kind, target.kind) == ("fraction", "glycated_hemoglobin"):
        return _from_ngsp(source, target)
    factor = _kind_factor(source.kind, target.kind, concept, code_molar_mass)
    if factor is None:
        return Reason.UNIT_INCOMPATIBLE
    scale = source.scale * factor / target.scale
    offset = (source.offset * factor - target.offset) / target.scale
    return Conversion(float(scale), float(offset))


def _from_ngsp(source: Unit, target: Unit) -> Conversion:
    """From HbA1c as a fraction of haemoglobin, which is always NGSP's, to IFCC's mmol/mol."""
    scale = source.scale * _PERCENT / _NGSP_SLOPE / target.scale
    return Conversion(float(scale), float(-_NGSP_INTERCEPT / _NGSP_SLOPE / target.scale))


def _kind_factor(source: str, target: str, concept: Concept, code_molar_mass: float | None) -> Fraction | None:
    """Base units of the target kind per base unit of the source kind, for this analyte; None for no way."""
    if source == target and (code_molar_mass is None or source != "mass_concentration"):
        return Fraction(1)
    if not {source, target} <= _CONCENTRATIONS:
        return None
    measured = _per_mole(source, concept, code_molar_mass or concept.molar_mass_g_per_mol)
    wanted = _per_mole(target, concept, concept.molar_mass_g_per_mol)
    return None if measured is None or wanted is None else wanted / measured


def _per_mole(kind: str, concept: Concept, molar_mass: float | None) -> Fraction | None:
    """Base units of a concentration kind in one mole per litre of the analyte."""
    if kind == "amount_concentration":
        return Fraction(1)
    quantity = concept.charge if kind == "charge_concentration" else molar_mass
    return None if quantity is None else Fraction(str(quantity))
