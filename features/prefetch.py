"""Prefetch queries: what an EHR must send so that a model's features can be computed, derived from those features.

Whoever answers these queries, page by page to the end, has sent all that the features read of the whole record, and
they come out the same to the last bit; tests/contract proves it for every model. docs/reading.md says why each query
is as it is.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from features.feature import FeatureSet
from features.reading.decode import decode_searchset
from features.reading.fhir import DiagnosticReport, Observation
from features.reading.statements import When
from features.reading.timing import report_times, when_of
from features.refusals import Refusals
from features.vocabulary.code import LOINC, SNOMED_CT, SystemCode
from features.vocabulary.concept import Concept, Kind, Vocabulary

CdsHooksVersion: TypeAlias = Literal["2.0", "3.0"]

LONGEST_URL = 2_000  # characters; some servers and proxies refuse longer ones
LONGEST_BASE = 300  # characters kept free for the FHIR server's base URL and the filled-in patient id
PATIENT = "{{context.patientId}}"

PAGE_SIZE = 1_000
"""The largest page that common servers give. It suffices because it cuts nothing: what does not fit comes as a next
page, and Observations and reports come newest first, so that one page will do where it goes back beyond all windows
(`page_reaches`)."""

# Only their times are read: no letter, no PDF is asked for where the server knows _elements.
REPORTS = (
    f"DiagnosticReport?patient={PATIENT}&_elements=status,subject,effective,issued,result"
    f"&_sort=-date&_count={PAGE_SIZE}"
)

HOURS_PER_DAY = 24
DAYS_BETWEEN_CLOCKS = 1
"""A bound is a day of the client's calendar, read in the FHIR server's time zone, and the call may come late in that
day: a day more than the window is never too late."""

# A search by `code` finds Observation.code, not the codes of components: the panels that carry them are asked for too.
# Blood pressure: FHIR's value set vitalsign-bppanel (first three), 55284-4 of older systems and of Synthea, 96607-7 of
# averages; 75367002 of German profiles. A panel under a code of the house must be added here.
BLOOD_PRESSURE_PANELS = ("85354-9", "35094-2", "55417-0", "55284-4", "96607-7")
BLOOD_PRESSURE: tuple[SystemCode, ...] = (*((LOINC, code) for code in BLOOD_PRESSURE_PANELS), (SNOMED_CT, "75367002"))
PULSE_OXIMETRY = ((LOINC, "59408-5"), (LOINC, "2708-6"))  # US Core's profile has the inhaled oxygen as a component
PANELS: Mapping[str, tuple[SystemCode, ...]] = MappingProxyType(
    {
        "fio2": PULSE_OXIMETRY,
        "systolic_pressure": BLOOD_PRESSURE,
        "diastolic_pressure": BLOOD_PRESSURE,
        "mean_pressure": BLOOD_PRESSURE,
    }
)


class Whole(NamedTuple):
    """Resources that are asked for whole, not by code: most of their codes are hierarchies, which a token search lacks.

    Attributes:
        key: of the template.
        resource_type: what is asked for.
        since: the search parameter (FHIR R4) for a date bound. It must read the very element that gives an event its
            time (`features.reading.timing`); None where the time may stand elsewhere: a bound would cut what counts.
        includes: references without whose target nobody knows what was given or where.
    """

    key: str
    resource_type: str
    since: str | None = None
    includes: tuple[str, ...] = ()


WHOLE: Mapping[Kind, tuple[Whole, ...]] = MappingProxyType(
    {
        "condition": (Whole("conditions", "Condition"),),  # onset, else recordedDate: two parameters
        "procedure": (Whole("procedures", "Procedure", "date"),),
        "order": (Whole("service-requests", "ServiceRequest", "authored"),),
        "encounter": (Whole("encounters", "Encounter", None, ("location",)),),  # places have times of their own
        "medication": (
            Whole("medication-requests", "MedicationRequest", "authoredon", ("medication",)),
            Whole("medication-administrations", "MedicationAdministration", "effective-time", ("medication",)),
            Whole(
                "medication-statements", "MedicationStatement", None, ("medication",)
            ),  # effective, else dateAsserted
        ),
    }
)


def prefetch_templates(
    features: FeatureSet, vocabulary: Vocabulary, *, version: CdsHooksVersion = "2.0", reports: bool = False
) -> dict[str, str]:
    """The prefetch templates of a model, by key.

    Observations are asked for by code, newest first, in as many queries as keep each below `LONGEST_URL`. All else is
    asked for whole. Drafts of orders are in the hook's context.

    Args:
        features: what the model reads.
        vocabulary: has the concepts that the features read.
        version: of CDS Hooks. Up to 2.0 a token cannot say "three days ago", so that the queries ask for all of the
            past; from 3.0 on they ask for what the windows reach. A bound counts from the client's today: it is not
            for a server that answers for the latest Observation in place of the present.
        reports: whether to ask for DiagnosticReports too: only for sites whose Observations have no times of their
            own, for it costs a query at each call (docs/decisions/0008).
    """
    hours = {
        vocabulary.concept(name): features.longest_lookback_hours(name)
        for name in features.concepts
        if vocabulary.concept(name).drafts_of is None
    }
    templates = {"patient": f"Patient/{PATIENT}"}
    measured = {concept: window for concept, window in hours.items() if concept.kind == "observation"}
    if measured:
        templates |= _observations(measured, version)
        if reports:
            templates["reports"] = REPORTS
    for kind, queries in WHOLE.items():
        windows = [window for concept, window in hours.items() if concept.kind == kind]
        if windows:
            templates |= {one.key: _whole(one, max(windows), version) for one in queries}
    return templates


def page_reaches(raw: bytes | msgspec.Raw, before: int) -> bool:
    """Whether a first page, newest first, goes back beyond a time, so that no next page matters.

    Args:
        raw: the searchset, of Observations or of DiagnosticReports.
        before: UTC microseconds; what is older does not interest.

    Returns:
        False also where the order is not newest first, or a time cannot be read: then nothing is known.
    """
    previous: int | None = None
    for resource in decode_searchset(raw, Refusals()):
        if not isinstance(resource, Observation | DiagnosticReport):
            continue
        time = _sorted_by(resource)
        if time is None or (previous is not None and time > previous):
            return False
        previous = time
    return previous is not None and previous < before


def _sorted_by(resource: Observation | DiagnosticReport) -> int | None:
    if isinstance(resource, DiagnosticReport):
        return report_times(resource)[0]
    when = when_of(resource)
    return when.time if isinstance(when, When) else None


def _observations(measured: Mapping[Concept, float], version: CdsHooksVersion) -> Iterator[tuple[str, str]]:
    """Keys and templates of the Observations and of what they refer to or are reported by."""
    batches = list(_batches(_tokens(measured)))
    includes = _includes("Observation", ("specimen",) if _needs_specimens(measured) else ())
    for number, batch in enumerate(batches, start=1):
        bound = _bound("date", max(batch.values()), version)
        query = f"Observation?patient={PATIENT}&code={','.join(batch)}"
        yield _numbered("observations", number), f"{query}{bound}{includes}&_sort=-date&_count={PAGE_SIZE}"
        if bound:
            # A date bound finds nothing that has no effective[x]; such a result may be timed by `issued` or a report.
            undated = f"{query}&date:missing=true{includes}&_count={PAGE_SIZE}"
            yield _numbered("undated-observations", number), undated


def _numbered(key: str, number: int) -> str:
    return key if number == 1 else f"{key}-{number}"


def _tokens(measured: Mapping[Concept, float]) -> dict[str, float]:
    """`system|code` of all that is measured, each once, with the longest window of a concept that has it."""
    tokens: dict[str, float] = {}
    for concept, window in measured.items():
        own = ((code.system, code.code) for code in concept.codes)
        for system, code in (*own, *PANELS.get(concept.id, ())):
            token = f"{system}|{code}"
            tokens[token] = max(window, tokens.get(token, 0.0))
    return tokens


def _needs_specimens(measured: Iterable[Concept]) -> bool:
    return any(code.specimen is not None for concept in measured for code in concept.codes)


LONGEST_REST = len(
    f"Observation?patient={PATIENT}&code=&date=ge{{{{today() - 99999 days}}}}"
    f"&_include=Observation:specimen&_sort=-date&_count={PAGE_SIZE}"
)
"""Characters of an Observation query around its codes."""


def _batches(tokens: Mapping[str, float]) -> Iterator[dict[str, float]]:
    room = LONGEST_URL - LONGEST_BASE - LONGEST_REST
    batch: dict[str, float] = {}
    for token, window in tokens.items():
        if batch and len(",".join([*batch, token])) > room:
            yield batch
            batch = {}
        batch[token] = window
    yield batch


def _whole(one: Whole, window: float, version: CdsHooksVersion) -> str:
    bound = _bound(one.since, window, version) if one.since is not None else ""
    includes = _includes(one.resource_type, one.includes)
    return f"{one.resource_type}?patient={PATIENT}{bound}{includes}&_count={PAGE_SIZE}"


def _includes(resource_type: str, references: Iterable[str]) -> str:
    return "".join(f"&_include={resource_type}:{reference}" for reference in references)


def _bound(parameter: str, window_hours: float, version: CdsHooksVersion) -> str:
    """The earliest day that a window of so many hours can reach; nothing where there is none, or no way to say it.

    Source: CDS Hooks 3.0 (ballot), Simpler FHIRPath: today() plus or minus days.
    """
    if version == "2.0" or not math.isfinite(window_hours):
        return ""
    days = math.ceil(window_hours / HOURS_PER_DAY) + DAYS_BETWEEN_CLOCKS
    return f"&{parameter}=ge{{{{today() - {days} days}}}}"
