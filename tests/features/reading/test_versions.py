"""FHIR versions: told by the source, never guessed."""

import pytest

from features.reading.versions import FhirVersionError, fhir_version


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("4.0.1", "R4"),
        ("4.0.0", "R4"),
        ("4.0", "R4"),
        ("R4", "R4"),
        ("r4", "R4"),
        ("4.3.0", "R4B"),
        ("4.3.0-snapshot1", "R4B"),
        ("r4b", "R4B"),
        ("5.0.0", "R5"),
        (" R5 ", "R5"),
    ],
)
def test_a_version_is_known_by_its_number_or_its_name(told: str, expected: str) -> None:
    assert fhir_version(told) == expected


@pytest.mark.parametrize("told", ["3.0.2", "STU3", "4", "4.1.0", "4.2.0", "4.6.0", "5", "6.0.0", "", "R4 or so"])
def test_a_version_that_is_not_read_is_refused(told: str) -> None:
    with pytest.raises(FhirVersionError, match="Expected FHIR R4"):
        fhir_version(told)
