"""What a folder of FHIR says of itself beyond its resources: the FHIR version that its server said it speaks."""

from pathlib import Path

import msgspec

from features.files.blocks import SourceError
from features.reading.versions import FhirVersion, FhirVersionError, fhir_version

PROVENANCE = ".bedside-source.json"
"""A hidden file beside the resources: NDJSON itself names no version."""


class _Provenance(msgspec.Struct, frozen=True):
    fhirVersion: str  # noqa: N815 - as in a CapabilityStatement


def note_version(folder: Path, version: str) -> None:
    """Write down which FHIR version the resources of a folder are written in, as their server said it.

    Raises:
        FhirVersionError: it is none that is read.
    """
    fhir_version(version)
    aside = folder / f"{PROVENANCE}.part"
    aside.write_bytes(msgspec.json.encode(_Provenance(fhirVersion=version)))
    aside.replace(folder / PROVENANCE)


def noted_version(source: Path) -> FhirVersion | None:
    """The FHIR version that was written down for a folder; None where nobody did.

    Raises:
        SourceError: what was written down cannot be read.
    """
    try:
        noted = (source / PROVENANCE).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SourceError(f"{source / PROVENANCE}: {error.strerror}.") from error
    try:
        return fhir_version(msgspec.json.decode(noted, type=_Provenance).fhirVersion)
    except (msgspec.DecodeError, UnicodeDecodeError, FhirVersionError) as error:
        raise SourceError(f"{source / PROVENANCE}: expected the source's fhirVersion; {error}") from error
