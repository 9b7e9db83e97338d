"""FHIR R4 resources of one stay, as one hospital writes them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import msgspec
import numpy as np

from features.prefetch import BLOOD_PRESSURE_PANELS
from features.vocabulary.code import ICD_10_CM, ICD_10_GM, LOINC, SNOMED_CT
from features.vocabulary.concept import Code
from features.vocabulary.units import UCUM, Converter
from training.synthetic.course import Course, Exposure
from training.synthetic.hospitals import Hospital, UnitStyle
from training.synthetic.measurements import SIMULATED_UNITS, Measurement, diastolic_of
from training.synthetic.patients import Person, happens
from training.synthetic.terminology import code_in, loinc_code, recording_factor

Resource = dict[str, Any]

HL7 = "http://terminology.hl7.org/CodeSystem"
TEST_DATA = {"security": [{"system": f"{HL7}/v3-ActReason", "code": "HTEST", "display": "test health data"}]}
VITAL_SIGNS = frozenset(
    {"heart_rate", "respiratory_rate", "temperature", "spo2", "systolic_pressure", "diastolic_pressure"}
)
BODY_WEIGHT_LOINC = "29463-7"  # recorded in every hospital and read by no model here
YEARS_OF_HISTORY = 25


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stay:
    """All that is known of one patient's stay before it is written down.

    Attributes:
        patient_id: FHIR id of the patient; other ids begin with it.
        admitted: UTC.
        person, course, measurements: see there.
    """

    patient_id: str
    admitted: datetime
    person: Person
    course: Course
    measurements: tuple[Measurement, ...]

    @property
    def discharged(self) -> datetime:
        """The end of the stay, UTC."""
        return self.admitted + timedelta(hours=self.course.hours)


@dataclass(frozen=True, slots=True)
class _Style:
    """How one concept is written: its code, its unit and the way from the simulated unit to that."""

    code: msgspec.Raw
    plain_code: Resource
    category: msgspec.Raw
    unit: Resource
    scale: float
    offset: float
    decimals: int

    def quantity(self, value: float) -> Resource:
        number = round(value * self.scale + self.offset, self.decimals)
        return {"value": int(number) if self.decimals == 0 else number, **self.unit}


class Recorder:
    """Writes stays down in the way of one hospital.

    Args:
        hospital: whose way.
        converter: vocabulary and unit table; the one that the reader uses.

    Raises:
        TerminologyError: the vocabulary lacks a code, or the unit table a unit, that this hospital writes.
    """

    def __init__(self, hospital: Hospital, converter: Converter) -> None:
        self.hospital = hospital
        self._vocabulary = converter.vocabulary
        self._styles = {concept: self._style(concept, converter) for concept in SIMULATED_UNITS}
        self._panel = msgspec.Raw(
            msgspec.json.encode(_concept(LOINC, BLOOD_PRESSURE_PANELS[0], "Blood pressure panel"))
        )

    def _style(self, concept_id: str, converter: Converter) -> _Style:
        concept = self._vocabulary.concept(concept_id)
        unit: UnitStyle = self.hospital.units[concept_id]
        code = loinc_code(concept, unit.ucum, as_urea=self.hospital.writes_urea)
        scale, offset = recording_factor(
            converter, concept, code, simulated_ucum=SIMULATED_UNITS[concept_id], unit=unit.text, ucum=unit.ucum
        )
        category = "vital-signs" if concept_id in VITAL_SIGNS else "laboratory"
        plain_code = _concept(code.system, code.code, code.display)
        coded = {} if unit.ucum is None else {"system": UCUM, "code": unit.ucum}
        return _Style(
            code=msgspec.Raw(msgspec.json.encode(plain_code)),
            plain_code=plain_code,
            category=msgspec.Raw(msgspec.json.encode([_concept(f"{HL7}/observation-category", category)])),
            unit={"unit": unit.text, **coded},
            scale=scale,
            offset=offset,
            decimals=unit.decimals,
        )

    def medications(self) -> Iterator[Resource]:
        """The hospital's Medications, where drugs are references."""
        if self.hospital.refers_to_medication:
            for concept in self._vocabulary:
                if concept.kind == "medication":
                    code = code_in(concept, self.hospital.medication_systems)
                    yield {
                        "resourceType": "Medication",
                        "id": self._medication_id(concept.id),
                        "code": _concept(code.system, code.code, code.display),
                        "status": "active",
                    }

    def patient(self, stay: Stay, rng: np.random.Generator) -> Resource:
        """The Patient; sex and day of birth are always known here."""
        age_days = stay.person.age_years * 365.25 + rng.uniform(0.0, 1.0)
        return {
            "resourceType": "Patient",
            "id": stay.patient_id,
            "meta": TEST_DATA,
            "name": [{"family": "Synthetic", "given": [stay.patient_id]}],
            "gender": "male" if stay.person.is_male else "female",
            "birthDate": (stay.admitted - timedelta(days=age_days)).date().isoformat(),
        }

    def encounters(self, stay: Stay, rng: np.random.Generator) -> Iterator[Resource]:
        """The inpatient stay and, for some, an outpatient visit before it."""
        if happens(0.1, rng):
            visited = stay.admitted - timedelta(days=float(rng.uniform(10.0, 60.0)))
            visited = visited.replace(second=0, microsecond=0)
            yield self._encounter(stay, "visit", ("AMB", "ambulatory"), visited, visited + timedelta(hours=1))
        yield self._encounter(stay, "stay", ("IMP", "inpatient encounter"), stay.admitted, stay.discharged)

    def _encounter(
        self, stay: Stay, name: str, encounter_class: tuple[str, str], start: datetime, end: datetime
    ) -> Resource:
        code, display = encounter_class
        return {
            "resourceType": "Encounter",
            "id": f"{stay.patient_id}-{name}",
            "meta": TEST_DATA,
            "status": "finished",
            "class": {"system": f"{HL7}/v3-ActCode", "code": code, "display": display},
            "subject": _reference(stay),
            "period": {"start": self.hospital.written(start), "end": self.hospital.written(end)},
            "reasonCode": [{"text": stay.person.reason.id}],
            "serviceProvider": {"display": self.hospital.name},
        }

    def observations(self, stay: Stay) -> Iterator[Resource]:
        """Vitals and laboratory results, by time, and one body weight."""
        yield self._weight(stay)
        record = partial(self._observation, stay)
        for number, measurement in enumerate(stay.measurements, start=1):
            if measurement.concept == "systolic_pressure":
                yield from self._pressures(stay, number, measurement)
            else:
                yield record(str(number), measurement)

    def _observation(self, stay: Stay, number: str, measurement: Measurement) -> Resource:
        style = self._styles[measurement.concept]
        resource = self._measured(stay, number, measurement, style)
        resource["valueQuantity"] = quantity = style.quantity(measurement.value)
        if measurement.concept == "c_reactive_protein":
            limit = style.quantity(self.hospital.crp_limit_mg_per_l)
            if quantity["value"] < limit["value"]:
                resource["valueQuantity"] = {**limit, "comparator": "<"}
        return resource

    def _measured(self, stay: Stay, number: str, measurement: Measurement, style: _Style) -> Resource:
        taken = stay.admitted + timedelta(minutes=measurement.minute)
        resource: Resource = {
            "resourceType": "Observation",
            "id": f"{stay.patient_id}-o{number}",
            "status": "final",
            "category": style.category,
            "code": style.code,
            "subject": _reference(stay),
            "encounter": {"reference": f"Encounter/{stay.patient_id}-stay"},
            "effectiveDateTime": self.hospital.written(taken),
        }
        if measurement.turnaround_minutes:
            resource["issued"] = self.hospital.written(taken + timedelta(minutes=measurement.turnaround_minutes))
        return resource

    def _pressures(self, stay: Stay, number: int, systolic: Measurement) -> Iterator[Resource]:
        diastolic = systolic._replace(
            concept="diastolic_pressure", value=diastolic_of(systolic.value, stay.person.age_years)
        )
        if not self.hospital.pressure_has_components:
            yield self._observation(stay, f"{number}s", systolic)
            yield self._observation(stay, f"{number}d", diastolic)
            return
        panel = self._measured(stay, str(number), systolic, self._styles[systolic.concept])
        panel["code"] = self._panel
        panel["component"] = [
            {"code": style.code, "valueQuantity": style.quantity(measurement.value)}
            for measurement in (systolic, diastolic)
            for style in (self._styles[measurement.concept],)
        ]
        yield panel

    def _weight(self, stay: Stay) -> Resource:
        style = self._styles["heart_rate"]
        resource = self._measured(stay, "weight", Measurement("body_weight", 15, 0.0, 0), style)
        resource["code"] = _concept(LOINC, BODY_WEIGHT_LOINC, "Body weight")
        resource["valueQuantity"] = {"value": stay.person.weight_kg, "unit": "kg", "system": UCUM, "code": "kg"}
        return resource

    def conditions(self, stay: Stay, rng: np.random.Generator) -> Iterator[Resource]:
        """Chronic conditions from the problem list, and the reason of admission as it is coded after some hours."""
        for concept in sorted(stay.person.comorbidities):
            code = code_in(self._vocabulary.concept(concept), self.hospital.condition_systems)
            years = int(rng.integers(1, YEARS_OF_HISTORY))
            resource = self._condition(stay, concept.replace("_", "-"), code, "problem-list-item")
            if happens(0.7, rng):  # of the others it is known only when it was written down
                resource["onsetDateTime"] = str(stay.admitted.year - years)
            noted = stay.admitted if happens(0.4, rng) else stay.admitted - timedelta(days=int(rng.integers(30, 400)))
            resource["recordedDate"] = self.hospital.written(noted)
            yield resource
        diagnosis = self._admission_diagnosis(stay)
        if diagnosis is not None:
            resource = self._condition(stay, "reason", diagnosis, "encounter-diagnosis")
            coded = stay.admitted + timedelta(minutes=int(rng.integers(60, 1200)))
            resource["onsetDateTime"] = self.hospital.written(stay.admitted)
            resource["recordedDate"] = self.hospital.written(min(coded, stay.discharged))
            yield resource

    def _admission_diagnosis(self, stay: Stay) -> Code | None:
        reason = stay.person.reason
        if reason.id == "sepsis":
            systems = (*self.hospital.condition_systems, ICD_10_GM)
            return code_in(self._vocabulary.concept("sepsis_diagnosis"), systems)
        if reason.diagnosis is None:
            return None
        icd_10, snomed_ct = reason.diagnosis
        system = self.hospital.condition_systems[0]
        code = snomed_ct if system == SNOMED_CT else icd_10
        return Code(system=system if system == SNOMED_CT else _icd_10(system), code=code, display=reason.id)

    def _condition(self, stay: Stay, name: str, code: Code, category: str) -> Resource:
        return {
            "resourceType": "Condition",
            "id": f"{stay.patient_id}-{name}",
            "clinicalStatus": _concept(f"{HL7}/condition-clinical", "active"),
            "verificationStatus": _concept(f"{HL7}/condition-ver-status", "confirmed"),
            "category": [_concept(f"{HL7}/condition-category", category)],
            "code": _concept(code.system, code.code, code.display),
            "subject": _reference(stay),
        }

    def medication_requests(self, stay: Stay, rng: np.random.Generator) -> Iterator[Resource]:
        """One order per exposure; what was taken at home is ordered within the first hours."""
        for number, exposure in enumerate(stay.course.exposures, start=1):
            minutes = exposure.start * 60 + int(rng.integers(5, 55))
            yield {
                "resourceType": "MedicationRequest",
                "id": f"{stay.patient_id}-m{number}",
                "status": "stopped" if exposure.end < stay.course.hours else "active",
                "intent": "order",
                **self._drug(exposure),
                "subject": _reference(stay),
                "authoredOn": self.hospital.written(stay.admitted + timedelta(minutes=minutes)),
            }

    def medication_administrations(self, stay: Stay, rng: np.random.Generator) -> Iterator[Resource]:
        """The doses given, within the hour after they were due."""
        for number, exposure in enumerate(stay.course.exposures, start=1):
            for dose, hour in enumerate(exposure.doses, start=1):
                given = stay.admitted + timedelta(hours=hour, minutes=int(rng.integers(58, 110)))
                if given > stay.discharged:
                    continue
                yield {
                    "resourceType": "MedicationAdministration",
                    "id": f"{stay.patient_id}-m{number}-{dose}",
                    "status": "completed",
                    **self._drug(exposure),
                    "subject": _reference(stay),
                    "effectiveDateTime": self.hospital.written(given),
                    "request": {"reference": f"MedicationRequest/{stay.patient_id}-m{number}"},
                }

    def _drug(self, exposure: Exposure) -> Mapping[str, Any]:
        if self.hospital.refers_to_medication:
            return {"medicationReference": {"reference": f"Medication/{self._medication_id(exposure.concept)}"}}
        code = code_in(self._vocabulary.concept(exposure.concept), self.hospital.medication_systems)
        return {"medicationCodeableConcept": _concept(code.system, code.code, code.display)}

    def _medication_id(self, concept: str) -> str:
        return f"{self.hospital.id}-{concept.replace('_', '-')}"


def _icd_10(system: str) -> str:
    return system if system in {ICD_10_GM, ICD_10_CM} else ICD_10_GM


def _reference(stay: Stay) -> Mapping[str, str]:
    return {"reference": f"Patient/{stay.patient_id}"}


def _concept(system: str, code: str, display: str | None = None) -> Resource:
    coding = {"system": system, "code": code}
    return {"coding": [coding if display is None else {**coding, "display": display}]}
