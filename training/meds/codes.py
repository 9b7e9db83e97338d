"""MEDS codes: `VOCABULARY/CODE`, as OMOP names vocabularies; some data sets write `//`, and a unit behind it.

A code of a system that OMOP has no name for, such as a hospital's own, is written as FHIR's searches do: `system|code`.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from features.vocabulary import code as systems
from features.vocabulary.concept import Concept

BIRTH = "MEDS_BIRTH"
GENDERS: Mapping[str, float] = MappingProxyType({"F": 0.0, "FEMALE": 0.0, "M": 1.0, "MALE": 1.0})
GENDER = re.compile(r"(?:META_|MEDS_)?GENDER(?://|/)(\w+)", re.IGNORECASE)
GENDER_CODES: Mapping[float, str] = MappingProxyType({0.0: "Gender/F", 1.0: "Gender/M"})  # OMOP's vocabulary Gender

# OMOP vocabulary ids (https://ohdsi.github.io/CommonDataModel), and the German ones, which OMOP spells likewise.
VOCABULARIES: Mapping[str, str] = MappingProxyType(
    {
        "LOINC": systems.LOINC,
        "SNOMED": systems.SNOMED_CT,
        "ICD10GM": systems.ICD_10_GM,
        "ICD10CM": systems.ICD_10_CM,
        "ICD10": systems.ICD_10_WHO,
        "ICD9CM": systems.ICD_9_CM,
        "ICD10PCS": systems.ICD_10_PCS,
        "ICD9Proc": systems.ICD_9_CM_PROCEDURES,
        "OPS": systems.OPS,
        "ATC": systems.ATC_WHO,
        "RxNorm": systems.RXNORM,
        "NDC": systems.NDC,
    }
)
_SYSTEMS = {name.upper(): uri for name, uri in VOCABULARIES.items()}
_NAMES = {uri: name for name, uri in VOCABULARIES.items()} | {systems.ATC_GERMAN: "ATC"}
_CODE = re.compile(r"(?P<vocabulary>[A-Za-z0-9_ ]+)(?://|/)(?P<code>[^/]+)(?:(?://|/)(?P<unit>.+))?")


class MedsCode(NamedTuple):
    """A code of a vocabulary that is known, with the unit where the data set writes it into the code."""

    system: str
    code: str
    unit: str | None


def parse_code(text: str) -> MedsCode | None:
    """The system, code and unit of a MEDS code; None where its vocabulary is not known here."""
    system, bar, code = text.partition("|")
    if bar:
        return MedsCode(system, code, None)
    found = _CODE.fullmatch(text)
    if found is None:
        return None
    known = _SYSTEMS.get(found["vocabulary"].upper())
    return None if known is None else MedsCode(known, found["code"], found["unit"])


def meds_code(concept: Concept, value: float) -> str:
    """The MEDS code of an event: of what was recorded where the value tells it, else of the concept's first code.

    Args:
        concept: what the event is of.
        value: as events hold it: of a coded kind, which of the concept's codes, counted from 1.
    """
    if concept.id == "age":
        return BIRTH
    if concept.id == "sex":
        return GENDER_CODES[value]
    own = concept.codes[0 if concept.kind == "observation" else int(value) - 1]
    name = _NAMES.get(own.system)
    return f"{own.system}|{own.code}" if name is None else f"{name}/{own.code}"
