"""The table of code systems: their names, how their codes are written, checked and ordered, and who says so.

docs/codes.md prints this table; a test keeps it in step.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from features.vocabulary import code_rules as rules

Kind = Literal["observation", "condition", "medication", "procedure", "encounter", "order", "demographic"]
"""Where in FHIR a concept is recorded."""

LOINC = "http://loinc.org"
SNOMED_CT = "http://snomed.info/sct"
ICD_10_GM = "http://fhir.de/CodeSystem/bfarm/icd-10-gm"
ICD_10_CM = "http://hl7.org/fhir/sid/icd-10-cm"
ICD_10_WHO = "http://hl7.org/fhir/sid/icd-10"
ICD_9_CM = "http://hl7.org/fhir/sid/icd-9-cm"
ALPHA_ID = "http://fhir.de/CodeSystem/bfarm/alpha-id"
OPS = "http://fhir.de/CodeSystem/bfarm/ops"
ICD_10_PCS = "http://www.cms.gov/Medicare/Coding/ICD10"
ICD_9_CM_PROCEDURES = "http://terminology.hl7.org/CodeSystem/ICD-9CM-procedurecodes"
ATC_GERMAN = "http://fhir.de/CodeSystem/bfarm/atc"
ATC_WHO = "http://www.whocc.no/atc"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
PZN = "http://fhir.de/CodeSystem/ifa/pzn"
NDC = "http://hl7.org/fhir/sid/ndc"
UCUM = "http://unitsofmeasure.org"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
ROLE_CODE = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
CONTACT_LEVEL = "http://fhir.de/CodeSystem/Kontaktebene"
CONTACT_KIND = "http://fhir.de/CodeSystem/kontaktart-de"
DEPARTMENT = "http://fhir.de/CodeSystem/dkgev/Fachabteilungsschluessel"
INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
BOOLEAN = "boolean"
"""Stands for a code system where a concept lists true and false among its answers: FHIR gives valueBoolean none."""

_OBSERVED: frozenset[Kind] = frozenset({"observation"})
_DIAGNOSED: frozenset[Kind] = frozenset({"condition"})
_GIVEN: frozenset[Kind] = frozenset({"medication"})
_DONE: frozenset[Kind] = frozenset({"procedure"})
_STAYED: frozenset[Kind] = frozenset({"encounter"})
_NOWHERE: frozenset[Kind] = frozenset()  # codes of answers, of places and units: no concept has them
_ANYWHERE: frozenset[Kind] = _OBSERVED | _DIAGNOSED | _GIVEN | _DONE | _STAYED


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeSystem:
    """One code system.

    Attributes:
        name: as people call it.
        uri: the one under which concepts list its codes.
        aliases: other URIs under which senders mean the same system.
        pattern: regular expression of a whole code.
        example: a code of the system.
        kinds: the kinds of concepts that may list its codes.
        source: who says how its codes are written.
        check: whether a code of the right pattern has its check digit.
        normalise: one way of writing for all that the system's rules hold equal.
        ancestors: a code and all that it lies below, nearest first; None where codes spell no hierarchy.
        stem: regular expression of what a subtree may begin with; by default a whole code.
        ranges: whether a range of codes (`E10` to `E14`) means something in it.
    """

    name: str
    uri: str
    pattern: str
    example: str
    kinds: frozenset[Kind]
    source: str
    aliases: tuple[str, ...] = ()
    check: Callable[[str], bool] = rules.nothing_to_check
    normalise: Callable[[str], str] = rules.as_written
    ancestors: Callable[[str], tuple[str, ...]] | None = None
    stem: str | None = None
    ranges: bool = False


_ICD_10 = r"[A-Z]\d\d(\.\d{1,2})?"
_ATC = r"[A-Z](\d\d([A-Z]([A-Z](\d\d)?)?)?)?"
_PCS_FIRST, _PCS_LATER = "[0-9BCDFGHX]", "[0-9A-HJ-NP-Z]"  # the letters O and I are left out, for they look like digits
_WORD = r"_?[A-Za-z][A-Za-z0-9_-]*"
_KDS = "HL7 Deutschland, Basisprofile R4 (de.basisprofil.r4)"
_THO = "HL7 Terminology (THO)"

CODE_SYSTEMS: tuple[CodeSystem, ...] = (
    CodeSystem(
        name="LOINC",
        uri=LOINC,
        aliases=("urn:oid:2.16.840.1.113883.6.1",),
        pattern=r"\d{1,7}-\d",
        check=rules.loinc_digit_holds,
        example="2160-0",
        kinds=_OBSERVED,
        source="Regenstrief Institute, LOINC Users' Guide",
    ),
    CodeSystem(
        name="SNOMED CT",
        uri=SNOMED_CT,
        aliases=("urn:oid:2.16.840.1.113883.6.96",),
        pattern=r"[1-9]\d{5,17}",
        check=rules.verhoeff_holds,
        example="84114007",
        kinds=_ANYWHERE,
        source="SNOMED International, Technical Implementation Guide; URI Standard (editions and versions)",
    ),
    CodeSystem(
        name="ICD-10-GM",
        uri=ICD_10_GM,
        aliases=("http://fhir.de/CodeSystem/dimdi/icd-10-gm",),
        pattern=_ICD_10,
        normalise=rules.icd_10_with_marks,
        ancestors=rules.icd_10_ancestors,
        ranges=True,
        example="N18.31",
        kinds=_DIAGNOSED,
        source="BfArM, ICD-10-GM (metadata: key with and without point and marks)",
    ),
    CodeSystem(
        name="ICD-10-CM",
        uri=ICD_10_CM,
        aliases=(
            "urn:oid:2.16.840.1.113883.6.90",
            "http://mimic.mit.edu/fhir/mimic/CodeSystem/mimic-diagnosis-icd10",
        ),
        pattern=r"[A-Z]\d[0-9A-Z](\.[0-9A-Z]{1,4})?",
        normalise=rules.icd_10,
        ancestors=rules.icd_10_ancestors,
        ranges=True,
        example="E11.22",
        kinds=_DIAGNOSED,
        source="CDC/NCHS and CMS, ICD-10-CM Official Guidelines (order files carry no point)",
    ),
    CodeSystem(
        name="ICD-10 (WHO)",
        uri=ICD_10_WHO,
        aliases=("urn:oid:2.16.840.1.113883.6.3",),
        pattern=_ICD_10,
        normalise=rules.icd_10_with_marks,
        ancestors=rules.icd_10_ancestors,
        ranges=True,
        example="N18.3",
        kinds=_DIAGNOSED,
        source="WHO, ICD-10 Instruction manual",
    ),
    CodeSystem(
        name="ICD-9-CM",
        uri=ICD_9_CM,
        aliases=(
            "http://terminology.hl7.org/CodeSystem/ICD-9CM-diagnosiscodes",
            "urn:oid:2.16.840.1.113883.6.103",
            "http://mimic.mit.edu/fhir/mimic/CodeSystem/mimic-diagnosis-icd9",
        ),
        pattern=r"(\d{3}|V\d\d)(\.\d{1,2})?|E\d{3}(\.\d)?",
        normalise=rules.icd_9_diagnosis,
        ancestors=rules.icd_9_diagnosis_ancestors,
        ranges=True,
        example="250.01",
        kinds=_DIAGNOSED,
        source="CDC/NCHS, ICD-9-CM volumes 1 and 2; URI shared with volume 3 in " + _THO,
    ),
    CodeSystem(
        name="Alpha-ID",
        uri=ALPHA_ID,
        aliases=("http://fhir.de/CodeSystem/dimdi/alpha-id", "http://fhir.de/CodeSystem/alpha-id"),
        pattern=r"I\d{1,6}",
        normalise=rules.capitals,
        example="I18412",
        kinds=_DIAGNOSED,
        source="BfArM, Alpha-ID",
    ),
    CodeSystem(
        name="OPS",
        uri=OPS,
        aliases=("http://fhir.de/CodeSystem/dimdi/ops",),
        pattern=r"[135689]-\d\d([0-9a-z](\.[0-9a-z]{1,2})?)?",
        normalise=rules.ops,
        ancestors=rules.ops_ancestors,
        ranges=True,
        example="5-470.11",
        kinds=_DONE,
        source="BfArM, Operationen- und Prozedurenschlüssel (chapters 1, 3, 5, 6, 8, 9)",
    ),
    CodeSystem(
        name="ICD-10-PCS",
        uri=ICD_10_PCS,
        aliases=(
            "http://hl7.org/fhir/sid/icd-10-pcs",
            "http://terminology.hl7.org/CodeSystem/icd10PCS",
            "urn:oid:2.16.840.1.113883.6.4",
            "http://mimic.mit.edu/fhir/mimic/CodeSystem/mimic-procedure-icd10",
        ),
        pattern=f"{_PCS_FIRST}{_PCS_LATER}{{6}}",
        stem=f"{_PCS_FIRST}{_PCS_LATER}{{0,6}}",
        normalise=rules.capitals,
        ancestors=rules.icd_10_pcs_ancestors,
        example="5A1955Z",
        kinds=_DONE,
        source="CMS, ICD-10-PCS Reference Manual; URI as endorsed by " + _THO,
    ),
    CodeSystem(
        name="ICD-9-CM procedures",
        uri=ICD_9_CM_PROCEDURES,
        aliases=(
            "urn:oid:2.16.840.1.113883.6.104",
            "http://mimic.mit.edu/fhir/mimic/CodeSystem/mimic-procedure-icd9",
        ),
        pattern=r"\d\d(\.\d{1,2})?",
        normalise=rules.icd_9_procedure,
        ancestors=rules.icd_9_procedure_ancestors,
        ranges=True,
        example="39.95",
        kinds=_DONE,
        source="CMS, ICD-9-CM volume 3",
    ),
    CodeSystem(
        name="ATC, German edition",
        uri=ATC_GERMAN,
        aliases=("http://fhir.de/CodeSystem/dimdi/atc",),
        pattern=_ATC,
        normalise=rules.capitals,
        ancestors=rules.atc_ancestors,
        example="M01AB05",
        kinds=_GIVEN,
        source="BfArM/WIdO, ATC-Klassifikation mit DDD",
    ),
    CodeSystem(
        name="ATC (WHO)",
        uri=ATC_WHO,
        aliases=("urn:oid:2.16.840.1.113883.6.73",),
        pattern=_ATC,
        normalise=rules.capitals,
        ancestors=rules.atc_ancestors,
        example="M01AB05",
        kinds=_GIVEN,
        source="WHO Collaborating Centre for Drug Statistics Methodology, ATC structure and principles",
    ),
    CodeSystem(
        name="RxNorm",
        uri=RXNORM,
        aliases=("urn:oid:2.16.840.1.113883.6.88",),
        pattern=r"[1-9]\d{0,7}",
        example="4603",
        kinds=_GIVEN,
        source="US National Library of Medicine, RxNorm Technical Documentation (RXCUI)",
    ),
    CodeSystem(
        name="PZN",
        uri=PZN,
        aliases=("urn:oid:1.2.276.0.76.4.6",),
        pattern=r"\d{8}",
        check=rules.pzn_digit_holds,
        normalise=rules.pzn,
        example="00651306",
        kinds=_GIVEN,
        source="IFA, check digit of the PZN8",
    ),
    CodeSystem(
        name="NDC",
        uri=NDC,
        aliases=(
            "urn:oid:2.16.840.1.113883.6.69",
            "http://mimic.mit.edu/fhir/mimic/CodeSystem/mimic-medication-ndc",
        ),
        pattern=r"\d{10,11}",
        normalise=rules.ndc,
        example="00002751001",
        kinds=_GIVEN,
        source="FDA, National Drug Code Directory; HIPAA's eleven digits 5-4-2",
    ),
    CodeSystem(
        name="UCUM",
        uri=UCUM,
        aliases=("urn:oid:2.16.840.1.113883.6.8",),
        pattern=r"[!-~]+",
        example="mg/dL",
        kinds=_NOWHERE,
        source="The Unified Code for Units of Measure, § 1 (printable ASCII, case-sensitive)",
    ),
    CodeSystem(
        name="ActCode",
        uri=ACT_CODE,
        aliases=("http://hl7.org/fhir/v3/ActCode", "urn:oid:2.16.840.1.113883.5.4"),
        pattern=_WORD,
        example="IMP",
        kinds=_STAYED,
        source=_THO + ", v3 ActCode (ActEncounterCode: the class of an Encounter)",
    ),
    CodeSystem(
        name="RoleCode",
        uri=ROLE_CODE,
        aliases=("http://hl7.org/fhir/v3/RoleCode", "urn:oid:2.16.840.1.113883.5.111"),
        pattern=_WORD,
        example="ICU",
        kinds=_STAYED,
        source=_THO + ", v3 RoleCode (ServiceDeliveryLocationRoleType: the type of a Location)",
    ),
    CodeSystem(
        name="Kontaktebene",
        uri=CONTACT_LEVEL,
        aliases=("http://fhir.de/CodeSystem/kontaktebene-de",),
        pattern="einrichtungskontakt|abteilungskontakt|versorgungsstellenkontakt",
        normalise=rules.small,
        example="abteilungskontakt",
        kinds=_STAYED,
        source=_KDS,
    ),
    CodeSystem(
        name="Kontaktart",
        uri=CONTACT_KIND,
        aliases=("http://fhir.de/CodeSystem/KontaktArtDe",),
        pattern=(
            "begleitperson|vorstationaer|nachstationaer|teilstationaer|tagesklinik|nachtklinik|normalstationaer"
            "|intensivstationaer|ub|konsil|stationsaequivalent|operation"
        ),
        normalise=rules.small,
        example="intensivstationaer",
        kinds=_STAYED,
        source=_KDS,
    ),
    CodeSystem(
        name="Fachabteilungsschlüssel",
        uri=DEPARTMENT,
        aliases=(
            "http://fhir.de/CodeSystem/dkgev/Fachabteilungsschluessel-erweitert",
            "https://www.medizininformatik-initiative.de/fhir/core/modul-fall/CodeSystem/Fachabteilungsschluessel",
        ),
        pattern=r"\d{4}",
        ancestors=rules.department_ancestors,
        example="3600",
        kinds=_STAYED,
        source="§ 301 SGB V, Datenübermittlung, Schlüssel 6; " + _KDS,
    ),
    CodeSystem(
        name="Observation interpretation",
        uri=INTERPRETATION,
        aliases=(
            "http://hl7.org/fhir/v3/ObservationInterpretation",
            "http://terminology.hl7.org/CodeSystem/v2-0078",
            "http://hl7.org/fhir/v2/0078",
            "urn:oid:2.16.840.1.113883.5.83",
        ),
        pattern=r"[<>]|[A-Z][A-Za-z+<>-]*|_[A-Za-z]+",
        example="POS",
        kinds=_NOWHERE,
        source=_THO + ", v3 ObservationInterpretation, which took the codes of v2 table 0078 over",
    ),
    CodeSystem(
        name="true and false",
        uri=BOOLEAN,
        pattern="true|false",
        example="true",
        kinds=_NOWHERE,
        source="FHIR R4, boolean; a name of Bedside's own",
    ),
)
