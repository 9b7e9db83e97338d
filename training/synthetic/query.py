"""A FHIR search query: parsed, and applied to resources; what it does not know is an error, never passed over."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

from features import times

Resource = dict[str, Any]

OFFSET = "_offset"  # the parameter of this server's own page links

# Search parameter of a resource's time (FHIR R4, search parameters of each type) and the paths that it reads.
DATES: Mapping[str, tuple[frozenset[str], tuple[str, ...]]] = {
    "Observation": (
        frozenset({"date"}),
        ("effectiveDateTime", "effectiveInstant", "effectivePeriod.end", "effectivePeriod.start", "issued"),
    ),
    "Condition": (
        frozenset({"recorded-date", "onset-date"}),
        ("recordedDate", "onsetDateTime", "onsetPeriod.start"),
    ),
    "MedicationRequest": (frozenset({"authoredon"}), ("authoredOn",)),
    "MedicationAdministration": (frozenset({"effective-time"}), ("effectiveDateTime", "effectivePeriod.start")),
    "Encounter": (frozenset({"date"}), ("period.start",)),
}
TOKENS: Mapping[str, tuple[str, ...]] = {
    "code": ("code", "medicationCodeableConcept"),
    "category": ("category",),
    "status": ("status",),
    "class": ("class",),
}


class SearchError(ValueError):
    """A file or a query that this search cannot answer."""


class Held(NamedTuple):
    """One resource: its time (None where it states none), when it could first be seen, and itself."""

    time: times.Span | None
    visible: int
    resource: Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A parsed query: all of its filters must hold, and each token filter holds if any of its tokens does."""

    resource_type: str
    parameters: tuple[tuple[str, str], ...]
    patient: str
    tokens: tuple[tuple[str, frozenset[str]], ...]
    dates: tuple[str, ...]
    sort: str | None
    count: int
    offset: int
    includes_medication: bool

    @classmethod
    def parse(cls, resource_type: str, parameters: str) -> "Search":
        """Parse the part of a query behind the question mark.

        Raises:
            SearchError: a parameter or a value that is not known here, or no patient.
        """
        pairs = tuple(parse_qsl(parameters, keep_blank_values=True))
        known = dict(pairs)
        date_names, _ = DATES.get(resource_type, (frozenset[str](), ()))
        plain = {"patient", "subject", "_sort", "_count", OFFSET, "_include"}
        for name, value in pairs:
            if name not in plain | TOKENS.keys() | date_names:
                raise SearchError(f"Search of {resource_type}: no parameter {name[:40]!r} here.")
            if name == "_include" and value != f"{resource_type}:medication":
                raise SearchError(f"Search of {resource_type}: expected _include={resource_type}:medication.")
        return cls(
            resource_type=resource_type,
            parameters=pairs,
            patient=_patient(known),
            tokens=tuple((name, frozenset(value.split(","))) for name, value in pairs if name in TOKENS),
            dates=tuple(value for name, value in pairs if name in date_names),
            sort=_sort(known.get("_sort"), date_names),
            count=_number(known, "_count", default=10**9),
            offset=_number(known, OFFSET, default=0),
            includes_medication="_include" in known,
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
            and all(_is_at(one.time, wanted) for wanted in self.dates)
        ]
        if self.sort is None:
            return found
        sign = -1 if self.sort == "-" else 1
        return sorted(found, key=lambda one: (one.time is None, sign * one.time.first if one.time else 0))


def _patient(known: Mapping[str, str]) -> str:
    reference = known.get("patient") or known.get("subject")
    if reference is None:
        raise SearchError("Search: expected the parameter patient; only one patient's resources are held.")
    return reference.removeprefix("Patient/")


def _sort(value: str | None, date_names: frozenset[str]) -> str | None:
    """`-` for newest first, an empty string for oldest first, None for as they come."""
    if value is None:
        return None
    if value.removeprefix("-") not in date_names:
        raise SearchError(f"Search: expected _sort by one of {sorted(date_names)}, got {value[:40]!r}.")
    return "-" if value.startswith("-") else ""


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


def span_of(text: Any) -> times.Span | None:
    """A date's span; None for one that is not there or cannot be read: the reader refuses it by name later."""
    if not isinstance(text, str):
        return None
    try:
        return times.parse(text)
    except (ValueError, OverflowError):
        return None
