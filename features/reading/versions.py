"""FHIR versions: which a source speaks is told, never guessed, and decides which fields are read."""

from typing import Literal, TypeAlias, get_args

FhirVersion: TypeAlias = Literal["R4", "R4B", "R5"]
FHIR_VERSIONS: tuple[FhirVersion, ...] = get_args(FhirVersion)

# https://hl7.org/fhir/directory.html: the first two numbers of CapabilityStatement.fhirVersion.
_RELEASES: dict[str, FhirVersion] = {"4.0": "R4", "4.3": "R4B", "5.0": "R5"}


class FhirVersionError(ValueError):
    """A FHIR version that Bedside does not read."""


def fhir_version(text: str) -> FhirVersion:
    """The release of a version such as `4.0.1`, as CapabilityStatement.fhirVersion says it, or of its name `R4`.

    Raises:
        FhirVersionError: it is none that is read.
    """
    word = text.strip()
    for release in FHIR_VERSIONS:
        if word.upper() == release:
            return release
    found = _RELEASES.get(".".join(word.split(".")[:2]))
    if found is None:
        raise FhirVersionError(f"Expected FHIR R4 (4.0), R4B (4.3) or R5 (5.0), got {word[:16]!r}.")
    return found
