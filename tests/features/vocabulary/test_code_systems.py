"""Code systems: the names they come under, how their codes are written, and what none of their codes looks like."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.vocabulary.code_system_table import (
    ACT_CODE,
    ALPHA_ID,
    ATC_GERMAN,
    ATC_WHO,
    BOOLEAN,
    CODE_SYSTEMS,
    CONTACT_KIND,
    CONTACT_LEVEL,
    DEPARTMENT,
    ICD_9_CM,
    ICD_9_CM_PROCEDURES,
    ICD_10_CM,
    ICD_10_GM,
    ICD_10_PCS,
    ICD_10_WHO,
    INTERPRETATION,
    LOINC,
    NDC,
    OPS,
    PZN,
    RXNORM,
    SNOMED_CT,
    UCUM,
    CodeSystem,
)
from features.vocabulary.code_systems import (
    ancestors,
    canonical,
    identify,
    is_answer,
    is_stem,
    is_well_formed,
    normalise_code,
)

SYSTEMS = [pytest.param(system, id=system.name) for system in CODE_SYSTEMS]
HOUSE = "https://hospital.example/codes"


@pytest.mark.parametrize(
    ("system", "code", "expected"),
    [
        pytest.param(LOINC, "2160-0", True, id="LOINC"),
        pytest.param(LOINC, "2160-1", False, id="LOINC with another check digit"),
        pytest.param(LOINC, "2106-0", False, id="LOINC with two digits swapped"),
        pytest.param(LOINC, "2160", False, id="LOINC without check digit"),
        pytest.param(LOINC, "LP14355-9", False, id="LOINC part"),
        pytest.param(LOINC, "LA9340-6", False, id="LOINC answer: no question"),
        pytest.param(SNOMED_CT, "84114007", True, id="SNOMED CT"),
        pytest.param(SNOMED_CT, "84114006", False, id="SNOMED CT with another check digit"),
        pytest.param(SNOMED_CT, "81414007", False, id="SNOMED CT with two digits swapped"),
        pytest.param(SNOMED_CT, "368581000119106", True, id="SNOMED CT of the US edition"),
        pytest.param(ICD_10_GM, "N18.31", True, id="ICD-10-GM"),
        pytest.param(ICD_10_GM, "N1831", False, id="ICD-10-GM without its point"),
        pytest.param(ICD_10_GM, "N18.-", False, id="ICD-10-GM category as printed"),
        pytest.param(ICD_10_GM, "E10.30+", False, id="ICD-10-GM with a mark"),
        pytest.param(ICD_10_GM, "S72.001A", False, id="ICD-10-CM's seven characters in ICD-10-GM"),
        pytest.param(ICD_10_WHO, "N18.3", True, id="ICD-10 of WHO"),
        pytest.param(ICD_10_CM, "S72.001A", True, id="ICD-10-CM of seven characters"),
        pytest.param(ICD_10_CM, "C7A.00", True, id="ICD-10-CM with a letter in the category"),
        pytest.param(ICD_9_CM, "250.01", True, id="ICD-9-CM"),
        pytest.param(ICD_9_CM, "V58.67", True, id="ICD-9-CM, V"),
        pytest.param(ICD_9_CM, "E930.5", True, id="ICD-9-CM, E"),
        pytest.param(ICD_9_CM, "39.95", False, id="a procedure of ICD-9-CM as diagnosis"),
        pytest.param(ICD_9_CM, "E11.9", False, id="ICD-10 in ICD-9-CM"),
        pytest.param(ICD_9_CM_PROCEDURES, "39.95", True, id="ICD-9-CM procedure"),
        pytest.param(ICD_9_CM_PROCEDURES, "250.01", False, id="a diagnosis of ICD-9-CM as procedure"),
        pytest.param(ALPHA_ID, "I133980", True, id="Alpha-ID"),
        pytest.param(ALPHA_ID, "I10.90", False, id="ICD-10 as Alpha-ID"),
        pytest.param(OPS, "5-470.11", True, id="OPS of six digits"),
        pytest.param(OPS, "8-854.2", True, id="OPS of five"),
        pytest.param(OPS, "1-760", True, id="OPS of four"),
        pytest.param(OPS, "8-98f.x", True, id="OPS with letters"),
        pytest.param(OPS, "5-38a.7c", True, id="OPS with a letter at its end"),
        pytest.param(OPS, "2-470", False, id="a chapter that OPS has not"),
        pytest.param(OPS, "5-470.111", False, id="OPS too long"),
        pytest.param(OPS, "5.470", False, id="OPS with a point for its dash"),
        pytest.param(ICD_10_PCS, "5A1955Z", True, id="ICD-10-PCS"),
        pytest.param(ICD_10_PCS, "0DTJ4ZZ", True, id="ICD-10-PCS, surgery"),
        pytest.param(ICD_10_PCS, "5A1I55Z", False, id="the letter I in ICD-10-PCS"),
        pytest.param(ICD_10_PCS, "EA1955Z", False, id="a section that ICD-10-PCS has not"),
        pytest.param(ICD_10_PCS, "5A1955", False, id="ICD-10-PCS of six"),
        pytest.param(ATC_WHO, "M01AB05", True, id="ATC substance"),
        pytest.param(ATC_GERMAN, "M", True, id="ATC anatomical group"),
        pytest.param(ATC_WHO, "M01AB5", False, id="ATC of no level"),
        pytest.param(RXNORM, "4603", True, id="RxNorm"),
        pytest.param(RXNORM, "furosemide", False, id="RxNorm name"),
        pytest.param(PZN, "00651306", True, id="PZN"),
        pytest.param(PZN, "04877800", True, id="PZN that was one of seven digits"),
        pytest.param(PZN, "00651307", False, id="PZN with another check digit"),
        pytest.param(PZN, "00561306", False, id="PZN with two digits swapped"),
        pytest.param(PZN, "0651306", False, id="PZN of seven digits"),
        pytest.param(NDC, "00002751001", True, id="NDC"),
        pytest.param(NDC, "4603", False, id="RxNorm as NDC"),
        pytest.param(UCUM, "mm[Hg]", True, id="UCUM"),
        pytest.param(UCUM, "mm Hg", False, id="UCUM with a space"),
        pytest.param(UCUM, "µmol/L", False, id="UCUM is ASCII"),
        pytest.param(ACT_CODE, "IMP", True, id="class of an encounter"),
        pytest.param(ACT_CODE, "99221", False, id="a billing number as class"),
        pytest.param(CONTACT_LEVEL, "abteilungskontakt", True, id="Kontaktebene"),
        pytest.param(CONTACT_LEVEL, "stationskontakt", False, id="a Kontaktebene that is none"),
        pytest.param(CONTACT_KIND, "intensivstationaer", True, id="Kontaktart"),
        pytest.param(CONTACT_KIND, "intensiv", False, id="a Kontaktart that is none"),
        pytest.param(DEPARTMENT, "3600", True, id="Fachabteilung"),
        pytest.param(DEPARTMENT, "36", False, id="Fachabteilung of two digits"),
        pytest.param(INTERPRETATION, "POS", True, id="positive"),
        pytest.param(INTERPRETATION, "<", True, id="below the scale"),
        pytest.param(INTERPRETATION, "positive", False, id="a word"),
        pytest.param(BOOLEAN, "true", True, id="true"),
        pytest.param(BOOLEAN, "yes", False, id="yes"),
        pytest.param(HOUSE, "K-17", True, id="a hospital's own system"),
        pytest.param(HOUSE, " ", False, id="an empty code"),
    ],
)
def test_a_code_needs_its_systems_format_and_check_digit(system: str, code: str, expected: bool) -> None:  # noqa: FBT001
    assert is_well_formed(system, code) is expected


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_example_of_a_system_is_one_of_its_codes_in_its_own_writing(system: CodeSystem) -> None:
    assert is_well_formed(system.uri, system.example)
    assert identify(system.uri, system.example) == (system.uri, system.example)
    for spelling in (system.example.lower(), system.example.upper(), f" {system.example}\t"):
        uri, code = identify(system.uri, spelling)
        assert identify(uri, code) == (uri, code)


def test_no_name_stands_for_two_systems() -> None:
    names = [uri.lower().rstrip("/") for system in CODE_SYSTEMS for uri in (system.uri, *system.aliases)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_system_is_known_under_all_its_names_with_and_without_a_version(system: CodeSystem) -> None:
    for uri in (system.uri, *system.aliases):
        for sent in (uri, f"{uri}/", f" {uri}", f"{uri}|2024", uri.replace("http://", "https://"), uri.upper()):
            assert canonical(sent) == system.uri


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("urn:oid:2.16.840.1.113883.6.1", LOINC),
        ("https://loinc.org/", LOINC),
        ("http://snomed.info/sct/11000274103/version/20240515", SNOMED_CT),
        ("http://snomed.info/sct|http://snomed.info/sct/11000274103", SNOMED_CT),
        ("http://fhir.de/CodeSystem/dimdi/icd-10-gm|2019", ICD_10_GM),
        ("http://mimic.mit.edu/fhir/mimic/CodeSystem/mimic-diagnosis-icd9", ICD_9_CM),
        ("http://fhir.de/CodeSystem/KontaktArtDe", CONTACT_KIND),
        ("https://hospital.example/Codes/|3", "https://hospital.example/Codes/"),
        ("http://loinc.org.example", "http://loinc.org.example"),
        ("http://snomed.info/sctx", "http://snomed.info/sctx"),
        ("", ""),
    ],
)
def test_one_canonical_name_for_what_senders_write(sent: str, expected: str) -> None:
    assert canonical(sent) == expected


@pytest.mark.parametrize(
    ("system", "sent", "expected"),
    [
        pytest.param(LOINC, " 2160-0 ", "2160-0", id="spaces around"),
        pytest.param(ICD_10_GM, "E10.30+", "E10.30", id="dagger, typed"),
        pytest.param(ICD_10_GM, "E10.30†", "E10.30", id="dagger"),
        pytest.param(ICD_10_GM, "H36.0*", "H36.0", id="asterisk"),
        pytest.param(ICD_10_GM, "U80.00!", "U80.00", id="exclamation mark"),
        pytest.param(ICD_10_GM, "I50.-", "I50", id="a category as printed"),
        pytest.param(ICD_10_GM, "E10.3-†", "E10.3", id="dash and dagger"),
        pytest.param(ICD_10_GM, "n1831", "N18.31", id="small and without its point"),
        pytest.param(ICD_10_GM, "E10.30+ H36.0*", "E10.30+ H36.0*", id="two codes are not one"),
        pytest.param(ICD_10_GM, "diabetes", "diabetes", id="a word stays"),
        pytest.param(ICD_10_WHO, "A17.0+", "A17.0", id="WHO's dagger"),
        pytest.param(ICD_10_CM, "E1122", "E11.22", id="as claims write it"),
        pytest.param(ICD_10_CM, "E11.22*", "E11.22*", id="ICD-10-CM has no marks"),
        pytest.param(ICD_9_CM, "4019", "401.9", id="ICD-9-CM"),
        pytest.param(ICD_9_CM, "042", "042", id="a category of its own"),
        pytest.param(ICD_9_CM, "V5867", "V58.67", id="ICD-9-CM, V"),
        pytest.param(ICD_9_CM, "E9305", "E930.5", id="ICD-9-CM, E"),
        pytest.param(ICD_9_CM_PROCEDURES, "3893", "38.93", id="ICD-9-CM procedure"),
        pytest.param(ICD_9_CM_PROCEDURES, "0066", "00.66", id="with zeros in front"),
        pytest.param(OPS, "5-38A.7C", "5-38a.7c", id="OPS in capitals"),
        pytest.param(ICD_10_PCS, "5a1955z", "5A1955Z", id="ICD-10-PCS in small letters"),
        pytest.param(ATC_GERMAN, "m01ab05", "M01AB05", id="ATC in small letters"),
        pytest.param(ATC_WHO, "M01 AB 05", "M01AB05", id="ATC with spaces"),
        pytest.param(PZN, "PZN-00651306", "00651306", id="as printed on the box"),
        pytest.param(PZN, "4877800", "04877800", id="seven digits, before 2013"),
        pytest.param(PZN, "651306", "651306", id="six digits are none"),
        pytest.param(NDC, "0002-7510-01", "00002751001", id="NDC 4-4-2"),
        pytest.param(NDC, "50580-488-10", "50580048810", id="NDC 5-3-2"),
        pytest.param(CONTACT_KIND, "Intensivstationaer", "intensivstationaer", id="Kontaktart in capitals"),
        pytest.param(HOUSE, " krea ", "krea", id="a hospital's own"),
        pytest.param(HOUSE, "N180", "N180", id="gets no point"),
    ],
)
def test_one_way_of_writing_for_what_a_systems_rules_hold_equal(system: str, sent: str, expected: str) -> None:
    assert normalise_code(system, sent) == expected
    assert normalise_code(system, expected) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [("39.95", (ICD_9_CM_PROCEDURES, "39.95")), ("250.01", (ICD_9_CM, "250.01")), ("3995", (ICD_9_CM, "399.5"))],
    ids=["two digits before the point: a procedure", "three: a diagnosis", "without a point: a diagnosis"],
)
def test_the_point_tells_the_volumes_of_icd_9_cm_apart(code: str, expected: tuple[str, str]) -> None:
    assert identify("http://hl7.org/fhir/sid/icd-9-cm", code) == expected


@pytest.mark.parametrize("code", ["LA9340-6", "LA6560-2", "LA17108-4", "LA33-6"])
def test_a_loinc_answer_has_a_check_digit_that_counts_its_letters(code: str) -> None:
    assert is_answer(LOINC, code)
    assert not is_answer(LOINC, code[:-1] + str((int(code[-1]) + 1) % 10))
    assert not is_answer(LOINC, code.removeprefix("LA"))


def test_ancestors_go_from_the_code_to_its_root() -> None:
    assert ancestors(ICD_10_GM, "N18.31") == ("N18.31", "N18.3", "N18")
    assert ancestors(ICD_10_CM, "N18") == ("N18",)
    assert ancestors(ICD_9_CM, "E930.5") == ("E930.5", "E930")
    assert ancestors(ICD_9_CM_PROCEDURES, "39.95") == ("39.95", "39.9", "39")
    assert ancestors(ATC_WHO, "M01AB05") == ("M01AB05", "M01AB", "M01A", "M01", "M")
    assert ancestors(OPS, "8-854.60") == ("8-854.60", "8-854.6", "8-854", "8-85")
    assert ancestors(OPS, "8-85") == ("8-85",)
    assert ancestors(ICD_10_PCS, "5A1D70Z") == ("5A1D70Z", "5A1D70", "5A1D7", "5A1D", "5A1", "5A", "5")
    assert ancestors(DEPARTMENT, "3610") == ("3610", "3600")
    assert ancestors(DEPARTMENT, "3600") == ("3600",)
    assert ancestors(LOINC, "2160-0") == ()
    assert ancestors(ICD_10_GM, "N180X1") == ()
    assert ancestors(HOUSE, "N18.3") == ()


@pytest.mark.parametrize("system", [pytest.param(one, id=one.name) for one in CODE_SYSTEMS if one.ancestors])
def test_each_ancestor_can_begin_a_subtree(system: CodeSystem) -> None:
    found = ancestors(system.uri, system.example)
    assert found[0] == system.example
    assert all(is_stem(system.uri, ancestor) for ancestor in found)


@given(st.sampled_from(CODE_SYSTEMS), st.text(max_size=12))
def test_whatever_is_sent_is_read_and_read_the_same_again(system: CodeSystem, sent: str) -> None:
    found = identify(system.uri, sent)
    assert identify(*found) == found
