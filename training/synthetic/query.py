"""A FHIR search query: parsed, and applied to resources; what it does not know is an error, never passed over."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

from features import times

Resource = dict[str, Any]

OFFSET = "_offset"  # the parameter of this server's own page links
PLAIN = frozenset({"patient", "subject", "_sort", "_count", "_include", "_elements", OFFSET})
TIMES = ("DateTime", "Instant", "Period")  # types that a choice of times can have
ALWAYS_SHOWN = frozenset({"resourceType", "id", "meta"})

# Search parameters of time and what each reads (FHIR R4, search parameters of each type); the first is the one that
# tells when the thing itself was. A name without a type ending stands for all its types: effectiveDateTime, ….
DATES: Mapping[str, Mapping[str, str]] = {
    "Observation": {"date": "effective"},
    "DiagnosticReport": {"date": "effective", "issued": "issued"},
    "Condition": {"recorded-date": "recordedDate", "onset-date": "onset"},
    "Procedure": {"date": "performed"},
    "ServiceRequest": {"authored": "authoredOn"},
    "MedicationRequest": {"authoredon": "authoredOn"},
    "MedicationAdministration": {"effective-time": "effective"},
    "MedicationStatement": {"effective": "effective"},
    "Encounter": {"date": "period"},
}
MISSING = ":missing"
INCLUDES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "Observation": {"specimen": ("specimen",)},
    "Encounter": {"location": ("location", "location")},
    "MedicationRequest": {"medication": ("medicationReference",)},
    "MedicationAdministration": {"medication": ("medicationReference",)},
    "MedicationStatement": {"medication": ("medicationReference",)},
}
"""What `_include` follows: the path to the references, by resource type and search parameter."""
TOKENS: Mapping[str, tuple[str, ...]] = {
    "code": ("code", "medicationCodeableConcept"),
    "category": ("category",),
    "status": ("status",),
    "class": ("class",),
}


class SearchError(ValueError):
    """A file or a query that this search cannot answer."""


class Held(NamedTuple):
    """One resource: its times by search parameter, when it could first be seen, and itself."""

    dates: Mapping[str, times.Span]
    visible: int
    resource: Resource


class DateFilter(NamedTuple):
    """`date=ge2025-01-01`, or `date:missing=true`: the parameter without a modifier, and what is wanted of it."""

    parameter: str
    wanted: str
    of_missing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A parsed query: all of its filters must hold, and each token filter holds if any of its tokens does."""

    resource_type: str
    parameters: tuple[tuple[str, str], ...]
    patient: str
    tokens: tuple[tuple[str, frozenset[str]], ...]
    dates: tuple[DateFilter, ...]
    sort: str | None
    count: int
    offset: int
    includes: tuple[tuple[str, ...], ...]
    elements: frozenset[str]

    @classmethod
    def parse(cls, resource_type: str, parameters: str) -> "Search":
        """Parse the part of a query behind the question mark.

        Raises:
            SearchError: a parameter or a value that is not known here, or no patient.
        """
        pairs = tuple(parse_qsl(parameters, keep_blank_values=True))
        known = dict(pairs)
        dates = DATES.get(resource_type, {})
        for name, _ in pairs:
            if name not in PLAIN | TOKENS.keys() and name.removesuffix(MISSING) not in dates:
                raise SearchError(f"Search of {resource_type}: no parameter {name[:40]!r} here.")
        return cls(
            resource_type=resource_type,
            parameters=pairs,
            patient=_patient(known),
            tokens=tuple((name, frozenset(value.split(","))) for name, value in pairs if name in TOKENS),
            dates=tuple(_date_filter(name, value) for name, value in pairs if name.removesuffix(MISSING) in dates),
            sort=_sort(known.get("_sort"), dates),
            count=_number(known, "_count", default=10**9),
            offset=_number(known, OFFSET, default=0),
            includes=tuple(_include(resource_type, value) for name, value in pairs if name == "_include"),
            elements=frozenset(known["_elements"].split(",")) if "_elements" in known else frozenset(),
        )

    @property
    def next_page(self) -> str:
        """The query of the next page."""
        others = [(name, value) for name, value in self.parameters if name != OFFSET]
        parameters = urlencode([*others, (OFFSET, str(self.offset + self.count))], safe="|,/:")
        return f"{self.resource_type}?{parameters}"

    def select(self, held: Iterable[Held]) -> list[Held]:
        """The matches in the order asked for; equal times stay in the order of the files, undated ones come last."""
        found = [
            one
            for one in held
            if all(_has_token(one.resource, name, wanted) for name, wanted in self.tokens)
            and all(_fits(one.dates.get(filter_.parameter), filter_) for filter_ in self.dates)
        ]
        if self.sort is None:
            return found
        name = self.sort.removeprefix("-")
        undated = [one for one in found if name not in one.dates]
        dated = [one for one in found if name in one.dates]
        if self.sort.startswith("-"):
            return sorted(dated, key=lambda one: -one.dates[name].last) + undated
        return sorted(dated, key=lambda one: one.dates[name].first) + undated

    def shown(self, resource: Resource) -> Resource:
        """A match with no other elements than those asked for, and those that no answer may lack."""
        if not self.elements:
            return resource
        asked = self.elements | ALWAYS_SHOWN
        return {name: value for name, value in resource.items() if name in asked or _base(name) in asked}


def dates_of(resource: Resource) -> dict[str, times.Span]:
    """The times of a resource by search parameter; those that it does not state, or that cannot be read, are left out.

    A period is open where it has no end (FHIR R4, Search, date).
    """
    found = {}
    for parameter, element in DATES.get(resource["resourceType"], {}).items():
        spans = (
            _span(resource[name]) for name in (element, *(element + ending for ending in TIMES)) if name in resource
        )
        span = next((one for one in spans if one is not None), None)
        if span is not None:
            found[parameter] = span
    return found


def _patient(known: Mapping[str, str]) -> str:
    reference = known.get("patient") or known.get("subject")
    if reference is None:
        raise SearchError("Search: expected the parameter patient; only one patient's resources are held.")
    return reference.removeprefix("Patient/")


def _sort(value: str | None, dates: Iterable[str]) -> str | None:
    """A parameter of time, behind `-` for newest first; None for as they come."""
    if value is not None and value.removeprefix("-") not in dates:
        raise SearchError(f"Search: expected _sort by one of {sorted(dates)}, got {value[:40]!r}.")
    return value


def _include(resource_type: str, value: str) -> tuple[str, ...]:
    """The path to the references that `Observation:specimen` names."""
    for name, path in INCLUDES.get(resource_type, {}).items():
        if value == f"{resource_type}:{name}":
            return path
    known = " or ".join(f"_include={resource_type}:{name}" for name in INCLUDES.get(resource_type, {}))
    raise SearchError(f"Search of {resource_type}: expected {known or 'no _include'}.")


def _date_filter(name: str, value: str) -> DateFilter:
    if not name.endswith(MISSING):
        return DateFilter(name, value, of_missing=False)
    if value not in {"true", "false"}:
        raise SearchError(f"Search: expected {name}=true or false, got {value[:40]!r}.")
    return DateFilter(name.removesuffix(MISSING), value, of_missing=True)


def _fits(span: times.Span | None, wanted: DateFilter) -> bool:
    return (span is None) == (wanted.wanted == "true") if wanted.of_missing else _is_at(span, wanted.wanted)


def _number(known: Mapping[str, str], name: str, *, default: int) -> int:
    text = known.get(name)
    if text is None:
        return default
    if not text.isdecimal():
        raise SearchError(f"Search: expected a number for {name}, got {text[:40]!r}.")
    return int(text)


def _has_token(resource: Resource, name: str, wanted: frozenset[str]) -> bool:
    return any(not wanted.isdisjoint(_spellings(coding)) for coding in _codings(resource, TOKENS[name]))


def _codings(resource: Resource, fields: Iterable[str]) -> Iterator[Mapping[str, str]]:
    """The codings under some fields, be they a code, a Coding, a CodeableConcept or a list of those."""
    for value in (resource[name] for name in fields if name in resource):
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, str):
                yield {"code": one}
            else:
                yield from one.get("coding", [one] if "code" in one else [])


def _spellings(coding: Mapping[str, str]) -> tuple[str, ...]:
    """The tokens that match a coding: `system|code`, `code`, `system|`, or `|code` where it has no system."""
    system, code = coding.get("system"), coding.get("code", "")
    return (code, f"|{code}") if system is None else (f"{system}|{code}", code, f"{system}|")


def _is_at(span: times.Span | None, wanted: str) -> bool:
    """Whether a time fits `ge2025-01-01` and the like (FHIR R4, Search, prefixes)."""
    prefix, bound = wanted[:2], span_of(wanted[2:])
    if prefix not in {"ge", "gt", "le", "lt", "eq"} or bound is None:
        raise SearchError("Search: expected a date with one of the prefixes ge, gt, le, lt, eq.")
    if span is None:
        return False
    fits = {
        "ge": span.last >= bound.first,
        "gt": span.last > bound.last,
        "le": span.first <= bound.last,
        "lt": span.first < bound.first,
        "eq": span.first >= bound.first and span.last <= bound.last,
    }
    return fits[prefix]


def _base(name: str) -> str:
    """`effective` of effectiveDateTime."""
    return next((name.removesuffix(ending) for ending in TIMES if name.endswith(ending)), name)


def _span(value: Any) -> times.Span | None:
    if not isinstance(value, dict):
        return span_of(value)
    start, end = span_of(value.get("start")), span_of(value.get("end"))
    if start is None and end is None:
        return None
    return times.Span(start.first if start else times.EARLIEST, end.last if end else times.LATEST)


def span_of(text: Any) -> times.Span | None:
    """A date's span; None for one that is not there or cannot be read: the reader refuses it by name later."""
    if not isinstance(text, str):
        return None
    try:
        return times.parse(text)
    except (ValueError, OverflowError):
        return None
