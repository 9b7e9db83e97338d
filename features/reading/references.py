"""References between resources: relative or absolute, with or without a version."""

import re

# A version (FHIR R4, References, 2.3.0.4; `|3` is how canonical URLs say it), or a place within the target.
_REST = re.compile(r"/_history/|[|#]")


def patient_id(reference: str) -> str | None:
    """The id in a reference to a Patient, relative or absolute, with or without a version; None for other types.

    Also None for a search (`Patient?identifier=…`), which names nobody until a server has made it.
    """
    if "?" in reference:
        return None
    parts = _parts(reference)
    return parts[-1] if len(parts) >= 2 and parts[-2] == "Patient" and parts[-1] else None  # noqa: PLR2004


def type_and_id(reference: str) -> str:
    """A reference in its short form, `Medication/17`, by which its target is found."""
    return "/".join(_parts(reference)[-2:])


def _parts(reference: str) -> list[str]:
    """The parts of a reference, without its version and without what it means within its target."""
    return _REST.split(reference, maxsplit=1)[0].split("/")
