"""Request bodies as an EHR sends them: a Patient and Observations with their metadata, seeded."""

from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np

from features.prefetch import prefetch_templates
from features.vocabulary.concept import Concept, load_vocabulary
from models.spec import ModelSpec
from serving.words import load_card_words

END = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
DAYS_HOURS, RECENT_HOURS = 48, 6
LOINC = "http://loinc.org"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"


def patient_view(spec: ModelSpec, *, observations: int, seed: int = 0) -> bytes:
    """A `patient-view` request for a model: so many Observations of its concepts over two days.

    The first of each concept is of the last hours, so that the model's minimum data are there: a call that ends in
    "too little data" would be no measure of one that is scored and explained.
    """
    rng = np.random.default_rng(seed)
    vocabulary = load_vocabulary()
    concepts = [vocabulary.concept(name) for name in spec.features.concepts]
    measured = [concept for concept in concepts if concept.kind == "observation"]
    entries = [
        {"fullUrl": f"https://fhir.example/r4/Observation/{number}", "resource": resource, "search": {"mode": "match"}}
        for number in range(observations)
        for resource in [
            _observation(
                number,
                measured[number % len(measured)],
                rng,
                hours=DAYS_HOURS if number >= len(measured) else RECENT_HOURS,
            )
        ]
    ]
    prefetch: dict[str, object] = dict.fromkeys(prefetch_templates(spec.features, vocabulary))
    prefetch["patient"] = {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1957-03-08"}
    prefetch["observations"] = {"resourceType": "Bundle", "type": "searchset", "entry": entries}
    return msgspec.json.encode(
        {
            "hook": "patient-view",
            "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
            "context": {"userId": "Practitioner/example", "patientId": "p1"},
            "prefetch": prefetch,
        }
    )


def explained_card() -> bytes:
    """What only the card of a scored and explained call contains; one that says that data are missing does not."""
    return load_card_words()["en"].say("raised").encode()


def _observation(number: int, concept: Concept, rng: np.random.Generator, *, hours: int) -> dict[str, object]:
    low, high = concept.reference.female if concept.reference else concept.plausible or (0, 1)
    value = round(float(rng.uniform(low - 0.1 * (high - low), high + 0.3 * (high - low))), 1)
    code = next(one for one in concept.codes if one.system == LOINC)
    time = END - timedelta(minutes=int(rng.integers(0, hours * 60)))
    return {
        "resourceType": "Observation",
        "id": f"obs-{number}",
        "meta": {
            "versionId": "1",
            "lastUpdated": time.isoformat(),
            "profile": ["http://hl7.org/fhir/StructureDefinition/vitalsigns"],
        },
        "status": "final",
        "category": [{"coding": [{"system": CATEGORY, "code": "vital-signs", "display": "Vital Signs"}]}],
        "code": {"coding": [{"system": code.system, "code": code.code, "display": code.display}], "text": code.display},
        "subject": {"reference": "Patient/p1"},
        "encounter": {"reference": "Encounter/e1"},
        "effectiveDateTime": time.isoformat(),
        "issued": time.isoformat(),
        "performer": [{"reference": "Practitioner/example"}],
        "valueQuantity": {
            "value": min(max(value, concept.plausible[0]), concept.plausible[1]) if concept.plausible else value,
            "unit": concept.words["en"].unit,
            "system": "http://unitsofmeasure.org",
            "code": concept.unit,
        },
    }
