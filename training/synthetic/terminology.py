"""Which code a hospital writes for a concept: taken from the vocabulary, so that what is generated can be read."""

from collections.abc import Mapping, Sequence

from features.refusals import Reason
from features.vocabulary.code import ATC_GERMAN, ATC_WHO, ICD_10_CM, ICD_10_GM, LOINC, SNOMED_CT
from features.vocabulary.concept import Code, Concept
from features.vocabulary.units import UCUM, Converter


class TerminologyError(LookupError):
    """The vocabulary has no code that a hospital could write for a concept."""


def _atc(system: str) -> dict[str, Code]:
    """Substances below the groups that the vocabulary lists (WHO Collaborating Centre, ATC index)."""
    substances = {
        "nephrotoxic_nsaid": ("M01AE01", "ibuprofen"),
        "aminoglycoside": ("J01GB03", "gentamicin"),
        "raas_inhibitor": ("C09AA05", "ramipril"),
        "loop_diuretic": ("C03CA01", "furosemide"),
        "proton_pump_inhibitor": ("A02BC02", "pantoprazole"),
    }
    return {concept: Code(system=system, code=code, display=name) for concept, (code, name) in substances.items()}


# Nobody codes a category or a group of drugs where a subcategory or a substance exists. Sources: BfArM ICD-10-GM,
# CDC ICD-10-CM, WHO ATC index. A test finds each of these codes below its concept.
TYPICAL: Mapping[str, Mapping[str, Code]] = {
    ICD_10_GM: {
        "chronic_kidney_disease": Code(system=ICD_10_GM, code="N18.3", display="Chronische Nierenkrankheit, Stadium 3"),
        "diabetes": Code(system=ICD_10_GM, code="E11.90", display="Diabetes mellitus, Typ 2, ohne Komplikationen"),
        "heart_failure": Code(system=ICD_10_GM, code="I50.9", display="Herzinsuffizienz, nicht näher bezeichnet"),
        "hypertension": Code(system=ICD_10_GM, code="I10.90", display="Essentielle Hypertonie"),
        "sepsis_diagnosis": Code(system=ICD_10_GM, code="A41.9", display="Sepsis, nicht näher bezeichnet"),
    },
    ICD_10_CM: {
        "chronic_kidney_disease": Code(
            system=ICD_10_CM, code="N18.30", display="Chronic kidney disease, stage 3 unspecified"
        ),
        "diabetes": Code(system=ICD_10_CM, code="E11.9", display="Type 2 diabetes mellitus without complications"),
        "heart_failure": Code(system=ICD_10_CM, code="I50.9", display="Heart failure, unspecified"),
        "sepsis_diagnosis": Code(system=ICD_10_CM, code="A41.9", display="Sepsis, unspecified organism"),
    },
    SNOMED_CT: {
        "chronic_kidney_disease": Code(
            system=SNOMED_CT, code="433144002", display="Chronic kidney disease stage 3 (disorder)"
        ),
        "diabetes": Code(system=SNOMED_CT, code="44054006", display="Diabetes mellitus type 2 (disorder)"),
    },
    ATC_GERMAN: _atc(ATC_GERMAN),
    ATC_WHO: _atc(ATC_WHO),
}


def code_in(concept: Concept, systems: Sequence[str]) -> Code:
    """The code that a hospital writes for a condition or a drug.

    Args:
        concept: what is coded.
        systems: the hospital's code systems; the first that has a code for the concept is used.

    Raises:
        TerminologyError: none of them has one.
    """
    for system in systems:
        typical = TYPICAL.get(system, {}).get(concept.id)
        if typical is not None:
            return typical
        for code in concept.codes:
            if code.system == system:
                return code
    raise TerminologyError(f"Concept {concept.id!r}: expected a code of one of {list(systems)}; add one.")


def loinc_code(concept: Concept, ucum: str | None, *, as_urea: bool = False) -> Code:
    """The LOINC code that fits a unit: a moles code for mmol/L, a mass code for mg/dL, else the concept's first.

    Args:
        concept: what is measured.
        ucum: the UCUM unit it is reported in.
        as_urea: where the concept has codes of another molar mass (urea beside urea nitrogen), use these.

    Raises:
        TerminologyError: the concept has no LOINC code that fits.
    """
    is_molar = ucum is not None and ("mol/" in ucum or "eq/" in ucum)  # LOINC counts equivalents as moles
    scale = "[Moles/volume]" if is_molar else "[Mass/volume]"
    codes = [code for code in concept.codes if code.system == LOINC]
    if any(code.molar_mass_g_per_mol for code in codes):
        codes = [code for code in codes if (code.molar_mass_g_per_mol is not None) == as_urea]
    if any("/volume]" in code.display and "[#" not in code.display for code in codes):
        codes = [code for code in codes if scale in code.display]
    if not codes:
        raise TerminologyError(f"Concept {concept.id!r}: expected a LOINC code for the unit {ucum!r}.")
    return codes[0]


def recording_factor(
    converter: Converter, concept: Concept, code: Code, *, simulated_ucum: str, unit: str, ucum: str | None
) -> tuple[float, float]:
    """Scale and offset that lead from the unit in which a value was simulated to the one in which it is recorded.

    Both ways go through the unit table that also reads the values back.

    Raises:
        TerminologyError: the table refuses one of the units for this concept.
    """
    known = converter.conversions(concept).resolve(unit=None, unit_system=UCUM, unit_code=simulated_ucum)
    system = UCUM if ucum is not None else None
    recorded = converter.conversions(concept, code.code).resolve(unit=unit, unit_system=system, unit_code=ucum)
    if isinstance(known, Reason) or isinstance(recorded, Reason):
        raise TerminologyError(f"Concept {concept.id!r}: the unit table refuses {simulated_ucum!r} or {unit!r}.")
    return known.scale / recorded.scale, (known.offset - recorded.offset) / recorded.scale
