"""Code rules: check digits, ways of writing and hierarchies that code systems spell in their codes.

Each function knows one system's own rules and nothing that merely resembles them;
`features.vocabulary.code_systems` says which system uses which.
"""

import re

_ICD_CATEGORY_LENGTH = 3
_ICD_9_EXTERNAL_CATEGORY_LENGTH = 4  # E930
_ICD_9_PROCEDURE_CATEGORY_LENGTH = 2
_OPS_CATEGORY_LENGTH = 4  # 8-85
_OPS_CODE_LENGTH = 5  # 8-854
_ATC_LEVEL_LENGTHS = (7, 5, 4, 3, 1)
"""Substance, chemical, pharmacological and therapeutic subgroup, anatomical group (WHO, ATC structure)."""
_PZN_LENGTH = 8
_PZN_MODULUS = 11
_DEPARTMENT_LENGTH = 2

_ICD_10_MARKS = "†+*!-."
"""Dagger (also typed `+`), asterisk and exclamation mark tell how a code is used, `.-` that longer ones lie below."""

# The dihedral group and the permutation of Verhoeff's check digit (SNOMED CT Technical Implementation Guide).
_VERHOEFF_PRODUCT = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_VERHOEFF_PERMUTATION = (
    "0123456789", "1576283094", "5803796142", "8916043527",
    "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip


def nothing_to_check(code: str) -> bool:
    """The rule of systems whose codes carry no check digit."""
    return bool(code)


def loinc_digit_holds(code: str) -> bool:
    """Whether a LOINC code, or one of an answer (`LA9340-6`), ends in its mod-10 check digit.

    LOINC Users' Guide, "LOINC check digits". Letters count by their distance from `0`, as in the Luhn validator of the
    same institute's OpenMRS.
    """
    total = 0
    for position, character in enumerate(reversed(code[:-2])):
        value = ord(character) - ord("0")
        is_doubled = position % 2 == 0
        total += 2 * value - value // 5 * 9 if is_doubled else value  # a doubled 5 to 9 counts by its digits' sum
    return str(-total % 10) == code[-1]


def verhoeff_holds(code: str) -> bool:
    """Whether a SNOMED CT identifier ends in its own check digit."""
    check = 0
    for position, digit in enumerate(reversed(code)):
        permuted = int(_VERHOEFF_PERMUTATION[position % 8][int(digit)])
        check = int(_VERHOEFF_PRODUCT[check][permuted])
    return check == 0


def pzn_digit_holds(code: str) -> bool:
    """Whether a PZN ends in its check digit: digits 1 to 7 weighted 1 to 7, modulo 11 (IFA, PZN8; 10 is not issued)."""
    total = sum(weight * int(digit) for weight, digit in enumerate(code[:-1], start=1))
    return total % _PZN_MODULUS == int(code[-1])


def as_written(code: str) -> str:
    """The code without white space around it, which FHIR allows in no code."""
    return code.strip()


def small(code: str) -> str:
    """As written, in small letters; for lists whose codes differ by more than their case."""
    return code.strip().lower()


def capitals(code: str) -> str:
    """Without white space and in capitals, for systems that have no small letters."""
    return "".join(code.split()).upper()


def icd_10_with_marks(code: str) -> str:
    """Without the marks of use and the dash of a category, and with the point: `E1030+` is `E10.30`.

    BfArM's own tables carry the same key three times: as printed, without marks, and without marks and point.
    """
    return icd_10(capitals(code).rstrip(_ICD_10_MARKS))


def icd_10(code: str) -> str:
    """In capitals and with the point after the category, which claims leave out: `E1122` is `E11.22`."""
    return _pointed(capitals(code), _ICD_CATEGORY_LENGTH)


def icd_9_diagnosis(code: str) -> str:
    """With the point: `4019` is `401.9`, `V5867` is `V58.67`, `E9305` is `E930.5`."""
    bare = capitals(code)
    return _pointed(bare, _icd_9_category_length(bare))


def icd_9_procedure(code: str) -> str:
    """With the point after two digits: `3893` is `38.93`."""
    return _pointed(capitals(code), _ICD_9_PROCEDURE_CATEGORY_LENGTH)


def ops(code: str) -> str:
    """In small letters, as OPS writes its letters: `5-38A.7C` is `5-38a.7c`."""
    return "".join(code.split()).lower()


def pzn(code: str) -> str:
    """Eight digits: without the printed `PZN-`, and with the zero in front that turned seven into eight in 2013."""
    bare = re.sub(r"^PZN[\s-]*", "", code.strip(), flags=re.IGNORECASE)
    return bare.zfill(_PZN_LENGTH) if bare.isdigit() and len(bare) == _PZN_LENGTH - 1 else bare


_NDC_PARTS = re.compile(r"(\d{4,5})-(\d{3,4})-(\d{1,2})")


def ndc(code: str) -> str:
    """Eleven digits, 5-4-2 (HIPAA): `0002-7510-01` is `00002751001`; ten digits without hyphens are ambiguous."""
    parts = _NDC_PARTS.fullmatch(code.strip())
    if parts is None:
        return code.strip()
    labeler, product, package = parts.groups()
    return labeler.zfill(5) + product.zfill(4) + package.zfill(2)


def icd_10_ancestors(code: str) -> tuple[str, ...]:
    """`N18.31` gives `N18.31`, `N18.3`, `N18`."""
    return _pointed_ancestors(code, _ICD_CATEGORY_LENGTH)


def icd_9_diagnosis_ancestors(code: str) -> tuple[str, ...]:
    """`250.01` gives `250.01`, `250.0`, `250`."""
    return _pointed_ancestors(code, _icd_9_category_length(code))


def icd_9_procedure_ancestors(code: str) -> tuple[str, ...]:
    """`39.95` gives `39.95`, `39.9`, `39`."""
    return _pointed_ancestors(code, _ICD_9_PROCEDURE_CATEGORY_LENGTH)


def ops_ancestors(code: str) -> tuple[str, ...]:
    """`8-854.60` gives `8-854.60`, `8-854.6`, `8-854`, `8-85`."""
    longer = _pointed_ancestors(code, _OPS_CODE_LENGTH) if len(code) > _OPS_CATEGORY_LENGTH else ()
    return (*longer, code[:_OPS_CATEGORY_LENGTH])


def atc_ancestors(code: str) -> tuple[str, ...]:
    """`M01AB05` gives `M01AB05`, `M01AB`, `M01A`, `M01`, `M`."""
    return tuple(code[:length] for length in _ATC_LEVEL_LENGTHS if length <= len(code))


def icd_10_pcs_ancestors(code: str) -> tuple[str, ...]:
    """Every character is an axis under those before it (ICD-10-PCS Reference Manual): `5A1D70Z`, `5A1D70` … `5`."""
    return tuple(code[:length] for length in range(len(code), 0, -1))


def department_ancestors(code: str) -> tuple[str, ...]:
    """Two digits name the department, two a focus within it (§ 301 SGB V, key 6): `3610` gives `3610`, `3600`."""
    return tuple(dict.fromkeys((code, code[:_DEPARTMENT_LENGTH] + "00")))


def _icd_9_category_length(code: str) -> int:
    return _ICD_9_EXTERNAL_CATEGORY_LENGTH if code.startswith("E") else _ICD_CATEGORY_LENGTH


def _pointed(code: str, category_length: int) -> str:
    if "." in code or len(code) <= category_length:
        return code
    return f"{code[:category_length]}.{code[category_length:]}"


def _pointed_ancestors(code: str, category_length: int) -> tuple[str, ...]:
    first_subcategory = category_length + 2  # the category, the point and one character
    longer = tuple(code[:length] for length in range(len(code), first_subcategory - 1, -1))
    return (*longer, code[:category_length])
