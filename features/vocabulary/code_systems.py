"""Code systems: under which names they come, and how their codes are read, checked and ordered.

What is known of each stands in `features.vocabulary.code_system_table`. A system that is not in it (a hospital's own)
is read too: its codes are then compared as they are written.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from features.vocabulary import code_rules
from features.vocabulary.code_system_table import (
    CODE_SYSTEMS,
    ICD_9_CM,
    ICD_9_CM_PROCEDURES,
    LOINC,
    SNOMED_CT,
    CodeSystem,
)

_MOST_CODINGS = 65_536  # distinct codings remembered; a large hospital has some ten thousand
LONGEST_CODING = 256  # characters of system and code; longer ones are none, and are not kept in memory


def _spelling(uri: str) -> str:
    """What is left of a URI once scheme, case and a slash at the end are held equal."""
    small = uri.lower().rstrip("/")
    return "http://" + small.removeprefix("https://") if small.startswith("https://") else small


_BY_URI: Mapping[str, CodeSystem] = MappingProxyType({system.uri: system for system in CODE_SYSTEMS})
_BY_SPELLING: Mapping[str, CodeSystem] = MappingProxyType(
    {_spelling(uri): system for system in CODE_SYSTEMS for uri in (system.uri, *system.aliases)}
)
_PATTERNS = MappingProxyType({system.uri: re.compile(system.pattern) for system in CODE_SYSTEMS})
_STEMS = MappingProxyType({system.uri: re.compile(system.stem) for system in CODE_SYSTEMS if system.stem is not None})
_SNOMED_EDITION = _spelling(SNOMED_CT) + "/"  # http://snomed.info/sct/900000000000207008/version/20240301
_LOINC_ANSWER = re.compile(r"LA\d{1,7}-\d")
_DOTTED_PROCEDURE = re.compile(r"\d\d\.\d{1,2}")

SUBTREE_SYSTEMS = frozenset(system.uri for system in CODE_SYSTEMS if system.ancestors is not None)
"""Systems whose codes spell their own hierarchy, so that a subtree can be told from the code alone."""


def code_system(uri: str) -> CodeSystem | None:
    """What is known of the system of a canonical URI."""
    return _BY_URI.get(uri)


def canonical(system: str) -> str:
    """The one URI of a system: without `|version`, and for a known system under whichever of its names it came."""
    bare = system.strip().partition("|")[0]
    spelling = _spelling(bare)
    found = _BY_SPELLING.get(spelling)
    if found is not None:
        return found.uri
    return SNOMED_CT if spelling.startswith(_SNOMED_EDITION) else bare


def normalise_code(system: str, code: str) -> str:
    """A code of a canonical system in the one way of writing; as it was sent where that is none of its codes."""
    known = _BY_URI.get(system)
    if known is None:
        return code.strip()
    normal = known.normalise(code)
    return normal if is_well_formed(system, normal) else code.strip()


def identify(system: str, code: str) -> tuple[str, str]:
    """The canonical system and the normal form of a recorded (system, code).

    ICD-9-CM's diagnoses and procedures share a URI: two digits before the point are a procedure. Without a point
    nothing tells them apart, and the code is read as a diagnosis.
    """
    if len(system) + len(code) > LONGEST_CODING:
        return _identify.__wrapped__(system, code)
    return _identify(system, code)


@lru_cache(maxsize=_MOST_CODINGS)
def _identify(system: str, code: str) -> tuple[str, str]:
    uri = canonical(system)
    if uri == ICD_9_CM and _DOTTED_PROCEDURE.fullmatch(code.strip()):
        return ICD_9_CM_PROCEDURES, code.strip()
    return uri, normalise_code(uri, code)


def is_well_formed(system: str, code: str) -> bool:
    """Whether a code has its system's format and check digit; any non-empty code of a system unknown here."""
    known = _BY_URI.get(system)
    if known is None:
        return bool(code.strip())
    return _PATTERNS[system].fullmatch(code) is not None and known.check(code)


def is_answer(system: str, code: str) -> bool:
    """Whether a code can be that of an answer: of LOINC, those of its answer lists (`LA9340-6`), and no others."""
    if system != LOINC:
        return is_well_formed(system, code)
    return _LOINC_ANSWER.fullmatch(code) is not None and code_rules.loinc_digit_holds(code)


def is_stem(system: str, code: str) -> bool:
    """Whether a subtree can begin at this code: a whole one or, in ICD-10-PCS, its first characters."""
    return is_well_formed(system, code) or (system in _STEMS and _STEMS[system].fullmatch(code) is not None)


def ancestors(system: str, code: str) -> tuple[str, ...]:
    """The code and all that it lies below, nearest first; empty for a code that its system cannot contain.

    `N18.31` gives `N18.31`, `N18.3`, `N18`; `M01AB05` gives `M01AB05`, `M01AB`, `M01A`, `M01`, `M`.
    """
    known = _BY_URI.get(system)
    if known is None or known.ancestors is None or not is_well_formed(system, code):
        return ()
    return known.ancestors(code)
