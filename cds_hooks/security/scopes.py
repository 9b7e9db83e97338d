"""SMART scopes: which resource types they let one read, in the spelling of either version.

Source: SMART App Launch 1 (`patient/Observation.read`) and 2 (`patient/Observation.rs?category=...`); CDS Hooks 3.0
ballot asks for the second, 2.0 for the first, so nothing may hang on the spelling.
"""

import re
from typing import Final

_SCOPE: Final = re.compile(
    r"(?:patient|user|system)/(?P<type>\*|[A-Z][A-Za-z]*)\.(?P<rights>read|write|\*|c?r?u?d?s?)(?P<query>\?\S+)?"
)


def is_resource_scope(scope: str) -> bool:
    """Whether this is a scope for FHIR resources."""
    found = _SCOPE.fullmatch(scope)
    return found is not None and bool(found["rights"])


def covers(scope: str, resource_type: str) -> bool:
    """Whether a scope lets one read and search some resources of this type; a query may narrow which."""
    found = _SCOPE.fullmatch(scope)
    if found is None or found["type"] not in {"*", resource_type}:
        return False
    return found["rights"] in {"read", "*"} or {"r", "s"} <= set(found["rights"])
