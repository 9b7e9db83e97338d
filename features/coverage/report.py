"""The report of a coverage: what `bedside inspect` writes as JSON; docs/inspect.md explains it, with its schema.

It names no patient and holds no patient's value. Counts of 1 to 4 are "<5", and what fewer than five patients have in
common (a local code, a unit as they wrote it, a distribution, a day) is not told, unless exact numbers were asked for.
"""

from typing import Literal, TypeAlias

import msgspec

FORMAT = "bedside-coverage/1"
SMALLEST = 5
"""The smallest count that is told: fewer might be somebody."""

Few: TypeAlias = Literal["<5"]
FEW: Few = "<5"
Count: TypeAlias = int | Few
Severity: TypeAlias = Literal["problem", "warning", "note"]
Topic: TypeAlias = Literal[
    "not-found",
    "units-refused",
    "implausible",
    "other-unit",
    "reference-range",
    "status",
    "time",
    "value",
    "candidates",
    "stale",
    "codes-beyond",
    "not-read",
    "parts",
]


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    """Settings shared by the parts of a report."""


class Finding(_Part, frozen=True, kw_only=True):
    """Something that a person should look at, in a sentence; `concept` is None where it is about the source."""

    severity: Severity
    topic: Topic
    concept: str | None
    text: str


class RefusalCount(_Part, frozen=True, kw_only=True):
    """How often something was not used, and why (`features.refusals`); the detail is a unit, a status or a type."""

    reason: str
    detail: str | None
    count: Count


class UnitCount(_Part, frozen=True, kw_only=True):
    """Values in one unit as it was written; None: without a unit, or in ones too rare to be named."""

    unit: str | None
    used: Count
    refused: tuple[RefusalCount, ...]
    looks_like: str | None
    """The unit in which the refused numbers would be usual, where there is one. A proposal, never applied."""


class CodeCount(_Part, frozen=True, kw_only=True):
    """A code that names the concept, as it was recorded."""

    system: str
    code: str
    display: str
    resources: Count
    patients: Count
    patients_are_estimated: bool
    units: tuple[UnitCount, ...]


class Candidate(_Part, frozen=True, kw_only=True):
    """A code that is not mapped and resembles the concept by name.

    `toml` is the line that maps it, for a site's own vocabulary (docs/codes.md), to be used when a person has checked.
    """

    system: str | None
    code: str | None
    display: str
    similarity: float
    resources: Count
    patients: Count
    units: tuple[str, ...]
    median: float | None
    toml: str | None


class Unmapped(_Part, frozen=True, kw_only=True):
    """A frequent code that no concept has."""

    kind: str
    system: str | None
    code: str | None
    display: str
    resources: Count
    patients: Count


class BinCount(_Part, frozen=True, kw_only=True):
    """Values from `low` up to `high`."""

    low: float
    high: float
    count: Count


class Values(_Part, frozen=True, kw_only=True):
    """How the values are distributed over the plausible range, in the concept's unit; below and above are refused."""

    unit: str
    low: float
    high: float
    below: Count
    above: Count
    bins: tuple[BinCount, ...]
    quantiles: dict[str, float]
    reference: dict[str, tuple[float, float]] | None


class Freshness(_Part, frozen=True, kw_only=True):
    """How old and how fast the data are; ages count back from the newest day of the source.

    `newest_day` is the day on or after which five patients have their latest value. `behind_days_median` tells by how
    much a patient's latest value is older than that patient's latest of any concept.
    """

    newest_day: str | None
    age_days_median: float
    age_days_p90: float
    behind_days_median: float | None
    events_per_patient_median: float
    events_per_patient_p90: float
    delays: dict[str, Count]


class LaboratoryRange(_Part, frozen=True, kw_only=True):
    """A reference range that came with values, beside ours; `factor` is theirs by ours after conversion."""

    code: str
    unit: str | None
    low: float | None
    high: float | None
    values: Count
    factor: float | None


class ConceptCoverage(_Part, frozen=True, kw_only=True):
    """What the source holds of one concept."""

    id: str
    name: str
    kind: str
    unit: str | None
    patients: Count
    patients_are_estimated: bool
    events: Count
    codes: tuple[CodeCount, ...]
    refusals: tuple[RefusalCount, ...]
    values: Values | None
    freshness: Freshness | None
    laboratory_ranges: tuple[LaboratoryRange, ...]
    candidates: tuple[Candidate, ...]
    candidates_withheld: int


class Report(_Part, frozen=True, kw_only=True):
    """All of it; `findings` come worst first.

    Attributes:
        format: rises when a key changes its meaning or goes.
        made_on: the day.
        source: what was read: the name of a folder or file, or a server's address.
        fhir_version: as the source, or the caller, said it.
        model: whose concepts these are; None: all packaged ones.
        smallest_count: smaller counts are not told; 1: all are.
        resources: how many were read.
        parts: in how many parts they were settled; corrections across parts were not seen.
        patients: who has a Patient resource or a resource about them.
        newest_day: as in Freshness, for all concepts.
        broken_lines, broken_files, ignored_files: what was not read at all.
        concepts: in the order of the vocabulary.
        refusals: those that concern no single concept.
        unmapped: the most frequent codes that no concept has, by kind.
        site_draft: a document for a site's own vocabulary with every candidate, commented out.
    """

    format: str
    made_on: str
    source: str
    fhir_version: str
    model: str | None
    smallest_count: int
    resources: int
    parts: int
    patients: Count
    patients_are_estimated: bool
    newest_day: str | None
    broken_lines: int
    broken_files: tuple[str, ...]
    ignored_files: tuple[str, ...]
    findings: tuple[Finding, ...]
    concepts: tuple[ConceptCoverage, ...]
    refusals: tuple[RefusalCount, ...]
    unmapped: tuple[Unmapped, ...]
    site_draft: str

    @property
    def missing(self) -> tuple[str, ...]:
        """The concepts without an event."""
        return tuple(one.id for one in self.concepts if one.events == 0)

    def encode(self) -> bytes:
        """The report as JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"


def schema() -> bytes:
    """The JSON Schema of a report."""
    return msgspec.json.format(msgspec.json.encode(msgspec.json.schema(Report)), indent=1) + b"\n"
