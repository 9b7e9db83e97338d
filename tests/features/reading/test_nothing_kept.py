"""What a reader leaves behind in its process: wordings of codes and units, and nothing of a patient."""

import gc
import json
import sys
from collections.abc import Iterator
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from features.reading.interpreter import load_interpreter
from features.reading.reader import Reader
from features.vocabulary.code import SNOMED_CT
from tests.features.reading.resources import coded, observation, quantity, resource
from tests.fhir_builders import searchset

PATIENT, ID, IDENTIFIER, UNIT = "canary-of-reading", "canary-id", "canary-identifier", "canary-unit"
DIABETES = coded("44054006", system=SNOMED_CT)
TIME, ISSUED, BIRTH, ONSET = "2031-05-06T07:08:09.123Z", "2031-05-06T08:09:10+01:00", "1931-05-06", "2030-04-05"
VALUE = 1.234567
KEPT, FORGOTTEN = (UNIT,), (ID, IDENTIFIER, TIME, ISSUED, BIRTH, ONSET, PATIENT)


def read_a_record() -> None:
    """Results of which one is refused, a patient, a diagnosis and a stay."""
    reader = Reader(load_interpreter(), patient=PATIENT)
    of: dict[str, Any] = {"id": ID, "subject": {"reference": f"Patient/{PATIENT}"}}
    result = observation(
        **of,
        identifier=[{"system": "https://lab.example", "value": IDENTIFIER}],
        effectiveDateTime=TIME,
        issued=ISSUED,
        valueQuantity=quantity(VALUE, "mg/dL"),
    )
    strange = observation(**of | {"id": f"{ID}-2"}, valueQuantity=quantity(VALUE, UNIT))
    dated = observation(**of | {"id": f"{ID}-3"}, effectiveDateTime=ONSET)
    patient = {"resourceType": "Patient", "id": PATIENT, "gender": "female", "birthDate": BIRTH}
    diagnosis = resource(
        "Condition", id=ID, code=coded("N18.3", system="http://hl7.org/fhir/sid/icd-10-gm"), onsetDateTime=ONSET
    )
    stay = resource("Encounter", **of, status="finished", period={"start": TIME, "end": ISSUED})
    for one in (searchset(result, strange, dated, diagnosis, stay), patient):
        reader.read_searchset(json.dumps(one).encode())
    assert len(reader.record().events) > 1


CONTAINERS = (dict, list, tuple, set, frozenset, MappingProxyType, type(lru_cache(str)))


def kept() -> Iterator[object]:
    """Everything that the modules of `features` hold, their objects and caches included."""
    waiting: list[object] = [vars(module) for name, module in sys.modules.items() if name.startswith("features.")]
    known: set[int] = set()
    while waiting:
        one = waiting.pop()
        if id(one) in known:
            continue
        known.add(id(one))
        yield one
        if isinstance(one, CONTAINERS) or type(one).__module__.startswith("features."):
            waiting += gc.get_referents(one)


def test_no_id_time_or_value_outlives_its_reader() -> None:
    """A unit that no table knows does, within bounds: it would be asked again."""
    read_a_record()
    everything = list(kept())
    texts = [one for one in everything if isinstance(one, str)]
    texts += [one.decode(errors="replace") for one in everything if isinstance(one, bytes)]
    found = {word for word in (*KEPT, *FORGOTTEN) if any(word in text for text in texts)}
    assert found == set(KEPT)
    assert VALUE not in [one for one in everything if isinstance(one, float)]
