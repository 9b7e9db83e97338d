"""Codes: one entry of a code system, checked when it is built, and what it covers."""

import re
from dataclasses import dataclass

LOINC = "http://loinc.org"
SNOMED_CT = "http://snomed.info/sct"
ICD_10_GM = "http://fhir.de/CodeSystem/bfarm/icd-10-gm"
ICD_10_CM = "http://hl7.org/fhir/sid/icd-10-cm"
ATC_GERMAN = "http://fhir.de/CodeSystem/bfarm/atc"
ATC_WHO = "http://www.whocc.no/atc"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"

_FORMATS = {
    LOINC: re.compile(r"\d{1,7}-\d"),
    SNOMED_CT: re.compile(r"[1-9]\d{5,17}"),
    ICD_10_GM: re.compile(r"[A-Z]\d\d(\.[0-9]{1,2})?"),
    ICD_10_CM: re.compile(r"[A-Z]\d[0-9A-Z](\.[0-9A-Z]{1,4})?"),
    ATC_GERMAN: re.compile(r"[A-Z](\d\d([A-Z]([A-Z](\d\d)?)?)?)?"),
    ATC_WHO: re.compile(r"[A-Z](\d\d([A-Z]([A-Z](\d\d)?)?)?)?"),
    RXNORM: re.compile(r"[1-9]\d{0,7}"),
}
_ICD_SYSTEMS = frozenset({ICD_10_GM, ICD_10_CM})
_ATC_SYSTEMS = frozenset({ATC_GERMAN, ATC_WHO})
SUBTREE_SYSTEMS = _ICD_SYSTEMS | _ATC_SYSTEMS
"""Systems whose codes spell their own hierarchy, so that a subtree can be told from the code alone."""

_ICD_CATEGORY_LENGTH = 3
_ATC_LEVEL_LENGTHS = (7, 5, 4, 3, 1)
"""Substance, chemical, pharmacological and therapeutic subgroup, anatomical group (WHO, ATC structure)."""

# The dihedral group and the permutation of Verhoeff's check digit (SNOMED CT Technical Implementation Guide).
_VERHOEFF_PRODUCT = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_VERHOEFF_PERMUTATION = (
    "0123456789", "1576283094", "5803796142", "8916043527",
    "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip


class CodeError(ValueError):
    """A code that its code system cannot contain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """One code of a concept.

    `subtree` extends the code to everything below it in its system's own hierarchy: ICD-10 `N18` covers `N18`
    and `N18.31`, ATC `M01A` covers `M01AB05`; nothing else that merely begins with the same letters.

    `molar_mass_g_per_mol` is set where the code measures another mass per mole than its concept does: urea
    (60.056 g/mol) under the concept urea nitrogen (28.014 g of nitrogen per mole of urea).

    Raises:
        CodeError: the format or the check digit is wrong, or the system has no readable hierarchy.
    """

    system: str
    code: str
    display: str
    subtree: bool = False
    molar_mass_g_per_mol: float | None = None

    def __post_init__(self) -> None:
        if not self.display.strip():
            raise CodeError(f"{self.system}|{self.code}: expected a display; add the one its system publishes.")
        if not is_well_formed(self.system, self.code):
            raise CodeError(
                f"{self.system}|{self.code}: not a code of that system (format or check digit); "
                "copy the code again from its source."
            )
        if self.subtree and self.system not in SUBTREE_SYSTEMS:
            raise CodeError(f"{self.system}|{self.code}: codes of this system spell no hierarchy; list each code.")

    def covers(self, system: str, code: str) -> bool:
        """Whether a recorded (system, code) is this code or, for a subtree, lies below it."""
        if system != self.system:
            return False
        return code == self.code or (self.subtree and self.code in ancestors(system, code))


def is_well_formed(system: str, code: str) -> bool:
    """Whether a code has its system's format and check digit; any non-empty code of a system unknown here."""
    pattern = _FORMATS.get(system)
    if pattern is None:
        return bool(code.strip())
    if pattern.fullmatch(code) is None:
        return False
    if system == LOINC:
        return _luhn_digit(code[:-2]) == code[-1]
    return system != SNOMED_CT or _verhoeff_holds(code)


def ancestors(system: str, code: str) -> tuple[str, ...]:
    """The code and all that it lies below, nearest first; empty for a code that its system cannot contain.

    `N18.31` gives `N18.31`, `N18.3`, `N18`; `M01AB05` gives `M01AB05`, `M01AB`, `M01A`, `M01`, `M`.
    """
    if system not in SUBTREE_SYSTEMS or _FORMATS[system].fullmatch(code) is None:
        return ()
    if system in _ATC_SYSTEMS:
        return tuple(code[:length] for length in _ATC_LEVEL_LENGTHS if length <= len(code))
    first_subcategory = _ICD_CATEGORY_LENGTH + 2  # the category, the point and one character
    longer = tuple(code[:length] for length in range(len(code), first_subcategory - 1, -1))
    return (*longer, code[:_ICD_CATEGORY_LENGTH])


def _luhn_digit(digits: str) -> str:
    """LOINC's mod-10 check digit (LOINC Users' Guide, "LOINC check digits")."""
    doubled = [int(digit) * 2 for digit in digits[::-2]]
    total = sum(value - 9 if value > 9 else value for value in doubled)  # noqa: PLR2004 - sum of two decimal digits
    total += sum(int(digit) for digit in digits[-2::-2])
    return str(-total % 10)


def _verhoeff_holds(identifier: str) -> bool:
    """Whether a SNOMED CT identifier ends in its own check digit."""
    check = 0
    for position, digit in enumerate(reversed(identifier)):
        permuted = int(_VERHOEFF_PERMUTATION[position % 8][int(digit)])
        check = int(_VERHOEFF_PRODUCT[check][permuted])
    return check == 0
