"""Charts of synthetic patients with what real ones hold besides: times that only a report has, periods, statements.

The generator writes each thing in one way. Here a part of each patient's resources is written in the other ways that
the reader knows, so that the contract is proved for them too.
"""

from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

Resource = dict[str, Any]


def rewrite(folder: Path, target: Path) -> None:
    """Write a generated cohort anew, a part of it in other ways."""
    target.mkdir()
    for file in sorted(folder.glob("*.ndjson")):
        resources = (msgspec.json.decode(line) for line in file.read_bytes().splitlines())
        lines = [msgspec.json.encode(one) for one in _rewritten(resources)]
        (target / file.name).write_bytes(b"\n".join([*lines, b""]))


def _rewritten(resources: Iterable[Resource]) -> Iterator[Resource]:
    numbers = count()
    for resource in resources:
        number = next(numbers)
        match resource["resourceType"]:
            case "Observation" if "effectiveDateTime" in resource:
                yield from _observation(resource, number)
            case "MedicationAdministration" if number % 5 == 0:
                yield _as_statement(resource, asserted_only=number % 2 == 0)
            case "Encounter":
                yield {**resource, "location": [_place(resource)]}
                yield _procedure(resource)
            case _:
                yield resource


def _observation(resource: Resource, number: int) -> Iterator[Resource]:
    """Of seven, one is timed by its report alone, one known with it, one timed by `issued`, two by a period."""
    without = {name: value for name, value in resource.items() if name != "effectiveDateTime"}
    time = resource["effectiveDateTime"]
    match number % 7:
        case 1:
            yield {name: value for name, value in without.items() if name != "issued"}
            yield _report(resource, time)
        case 2 if "issued" in resource:
            yield without
        case 3:
            yield {**without, "effectivePeriod": {"end": time}}
        case 4:
            yield {**without, "effectivePeriod": {"start": time}}
        case 5:
            yield {name: value for name, value in resource.items() if name != "issued"}
            yield _report(resource, time)
        case _:
            yield resource


def _report(resource: Resource, time: str) -> Resource:
    return {
        "resourceType": "DiagnosticReport",
        "id": f"{resource['id']}-report",
        "status": "final",
        "code": {"text": "Befund"},
        "conclusion": "none of our business",
        "subject": resource["subject"],
        "effectiveDateTime": time,
        "issued": resource.get("issued", time),
        "result": [{"reference": f"Observation/{resource['id']}"}],
    }


def _as_statement(administration: Resource, *, asserted_only: bool) -> Resource:
    kept = {name: value for name, value in administration.items() if name not in {"effectiveDateTime", "request"}}
    time = "dateAsserted" if asserted_only else "effectiveDateTime"
    status = administration["status"].replace("not-done", "not-taken")
    return {**kept, "resourceType": "MedicationStatement", "status": status, time: administration["effectiveDateTime"]}


def _place(encounter: Resource) -> Resource:
    return {"location": {"reference": "Location/icu"}, "status": "completed", "period": encounter["period"]}


def _procedure(encounter: Resource) -> Resource:
    return {
        "resourceType": "Procedure",
        "id": f"{encounter['id']}-procedure",
        "status": "completed",
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "40617009"}]},  # mechanical ventilation
        "subject": encounter["subject"],
        "performedPeriod": encounter["period"],
    }
