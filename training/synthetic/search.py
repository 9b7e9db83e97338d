"""A small FHIR search over NDJSON files: what a FHIR server would have answered about a patient at a past time.

Only what prefetch templates use: instance reads, and type-level searches with patient, code, category, status,
class, dates (also `:missing`), `_include`, `_elements`, `_sort`, `_count` and pages (FHIR R4, Search). Anything else is
an error, never an answer that looks complete.
"""

import gzip
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from features import times
from features.reading.references import patient_id, type_and_id
from features.reading.statuses import DIAGNOSTIC_REPORT
from training.synthetic.query import DATES, Held, Resource, Search, SearchError, dates_of, span_of

BASE_URL = "https://fhir.example/r4"  # RFC 2606: no such host will ever answer
ALWAYS = -(2**63)  # microseconds; before anything

SHARED_TYPES = frozenset({"Medication", "Location", "Specimen"})  # what others refer to
READ_TYPES = frozenset({"Patient", *SHARED_TYPES, *DATES})

# Where a resource says when it came into being, best first; an Observation, only `issued` after that.
BEGINS: Mapping[str, tuple[str, ...]] = {
    "Observation": ("effectiveDateTime", "effectiveInstant", "effectivePeriod.end", "effectivePeriod.start", "issued"),
    "DiagnosticReport": ("issued", "effectiveDateTime", "effectivePeriod.end", "effectivePeriod.start"),
    "Condition": ("recordedDate", "onsetDateTime", "onsetPeriod.start"),
    "Procedure": ("performedDateTime", "performedPeriod.start"),
    "ServiceRequest": ("authoredOn",),
    "MedicationRequest": ("authoredOn",),
    "MedicationAdministration": ("effectiveDateTime", "effectivePeriod.start"),
    "MedicationStatement": ("dateAsserted", "effectiveDateTime", "effectivePeriod.start"),
    "Encounter": ("period.start",),
}


class _Head(msgspec.Struct, frozen=True, gc=False):
    """What tells the owner of a line without decoding the rest."""

    resourceType: str = ""  # noqa: N815
    id: str | None = None
    subject: Any = None
    patient: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientResources:
    """Resources of one patient, and the Medications, Locations and Specimens that they may refer to.

    Attributes:
        patient: FHIR id.
        held: by resource type, in the order of the files.
        directory: what is referred to, by `Medication/id` and the like.
    """

    patient: str
    held: dict[str, list[Held]] = field(default_factory=dict)
    directory: Mapping[str, Resource] = field(default_factory=dict)
    _reported: dict[str, int] = field(default_factory=dict, init=False)

    def add(self, resource: Resource) -> None:
        """Hold one more resource."""
        held = _hold(resource)
        self.held.setdefault(resource["resourceType"], []).append(held)
        if resource["resourceType"] == "DiagnosticReport" and DIAGNOSTIC_REPORT.get(resource.get("status", ""), False):
            for reference in _references(resource, ("result",)):
                self._reported[reference] = min(held.visible, self._reported.get(reference, held.visible))

    def answer(self, query: str, *, at: datetime) -> Resource | None:
        """What the server answers to a query at a time: a resource, a searchset Bundle, or None for a failed read.

        Left out is what could not be seen then: taken later, or issued later. An Encounter that went on is shown as
        in progress. A resource that states no time is shown: a server could not know better.

        Args:
            query: relative to the FHIR base, tokens filled in: `Patient/1`, `Observation?patient=1&code=a|b`.
            at: aware.

        Raises:
            SearchError: a type, a parameter or a value that this search does not know.
        """
        resource_type, mark, parameters = query.partition("?")
        instant = times.microseconds(at)
        if not mark:
            return self._read(query, instant)
        if resource_type not in READ_TYPES:
            raise SearchError(f"Search: expected one of {sorted(READ_TYPES)}, got {resource_type[:40]!r}.")
        search = Search.parse(resource_type, parameters)
        visible = [held for held in self.held.get(resource_type, ()) if self._visible(held) <= instant]
        matches = search.select(visible) if search.patient == self.patient else []
        return self._bundle(query, search, [_as_of(held.resource, instant) for held in matches])

    def _visible(self, held: Held) -> int:
        """When a server could first show a resource: a result that does not say so itself, with its first report."""
        if held.resource["resourceType"] != "Observation" or "issued" in held.resource:
            return held.visible
        return max(held.visible, self._reported.get(f"Observation/{held.resource.get('id')}", held.visible))

    def _read(self, reference: str, instant: int) -> Resource | None:
        if reference in self.directory:
            return self.directory[reference]
        resource_type, _, name = reference.partition("/")
        for held in self.held.get(resource_type, ()):
            if held.resource.get("id") == name and held.visible <= instant:
                return _as_of(held.resource, instant)
        return None

    def _bundle(self, query: str, search: Search, matches: list[Resource]) -> Resource:
        page = matches[search.offset : search.offset + search.count]
        links = [{"relation": "self", "url": f"{BASE_URL}/{query}"}]
        if search.offset + search.count < len(matches):
            links.append({"relation": "next", "url": f"{BASE_URL}/{search.next_page}"})
        entries = [_entry(search.shown(resource), "match") for resource in page]
        entries.extend(_entry(resource, "include") for resource in self._included(page, search.includes))
        bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(matches), "link": links}
        return {**bundle, "entry": entries} if entries else bundle

    def _included(self, page: Iterable[Resource], paths: Iterable[tuple[str, ...]]) -> Iterator[Resource]:
        references = (name for path in paths for resource in page for name in _references(resource, path))
        for reference in dict.fromkeys(references):
            if reference in self.directory:
                yield self.directory[reference]


def read_patients(files: Iterable[Path], patients: Collection[str]) -> dict[str, PatientResources]:
    """The resources of some patients from NDJSON files, gzipped (`.gz`) or not, of any names and types.

    Types that are no part of a search here are passed over.

    Args:
        files: read once, line by line.
        patients: FHIR ids.

    Raises:
        SearchError: a line is no resource; names the file and the line.
        OSError: a file cannot be read.
    """
    directory: dict[str, Resource] = {}
    found = {patient: PatientResources(patient=patient, directory=directory) for patient in patients}
    for path in files:
        with _open(path) as lines:
            for number, line in enumerate(lines, start=1):
                _take(line, found, directory, f"{path.name}, line {number}")
    return found


def _open(path: Path) -> BinaryIO:
    return cast("BinaryIO", gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def _take(line: bytes, found: Mapping[str, PatientResources], directory: dict[str, Resource], where: str) -> None:
    if not line.strip():
        return
    try:
        head = _HEAD.decode(line)
    except msgspec.DecodeError as error:
        raise SearchError(f"{where}: expected a FHIR resource as JSON in one line.") from error
    if head.resourceType in SHARED_TYPES:
        directory[f"{head.resourceType}/{head.id}"] = msgspec.json.decode(line)
    elif head.resourceType in READ_TYPES:
        owner = _owner(head)
        if owner is not None and owner in found:
            found[owner].add(msgspec.json.decode(line))


_HEAD = msgspec.json.Decoder(_Head)


def _owner(head: _Head) -> str | None:
    if head.resourceType == "Patient":
        return head.id
    reference = head.subject or head.patient
    text = reference.get("reference") if isinstance(reference, dict) else None
    return patient_id(text) if isinstance(text, str) else None


def _hold(resource: Resource) -> Held:
    paths = BEGINS.get(resource["resourceType"], ())
    begun = next((span for path in paths if (span := span_of(_at_path(resource, path))) is not None), None)
    if begun is None:
        return Held(dates_of(resource), ALWAYS, resource)
    issued = span_of(resource.get("issued")) or begun
    return Held(dates_of(resource), max(begun.last, issued.last), resource)


def _references(resource: Any, path: tuple[str, ...]) -> Iterator[str]:
    """The references at the end of a path, short and without a version."""
    if isinstance(resource, list):
        for one in resource:
            yield from _references(one, path)
    elif isinstance(resource, dict):
        if path:
            yield from _references(resource.get(path[0]), path[1:])
        elif isinstance(resource.get("reference"), str):
            yield type_and_id(resource["reference"])


def _at_path(resource: Resource, path: str) -> Any:
    value: Any = resource
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _as_of(resource: Resource, instant: int) -> Resource:
    """An Encounter without the end that lay in the future; other resources as they are."""
    if resource["resourceType"] != "Encounter":
        return resource
    end = span_of(_at_path(resource, "period.end"))
    if end is None or end.last <= instant:
        return resource
    period = {name: value for name, value in resource["period"].items() if name != "end"}
    return {**resource, "status": "in-progress", "period": period}


def _entry(resource: Resource, mode: str) -> Resource:
    url = f"{BASE_URL}/{resource['resourceType']}/{resource.get('id')}"
    return {"fullUrl": url, "resource": resource, "search": {"mode": mode}}
