"""`bedside inspect`: reads a source, builds the report, writes it and prints what is worst."""

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bedside.coverage_page import coverage_page
from bedside.coverage_plots import number
from bedside.coverage_source import Access, Progress, connected, read_files, read_server
from features.client.errors import ClientError
from features.client.signing import KeyFileError
from features.client.urls import UrlError
from features.coverage.build import Subject, build_report
from features.coverage.gather import Gatherer
from features.coverage.report import Report
from features.feature import FeatureSet
from features.files.provenance import noted_version
from features.files.sources import SourceError, find_files
from features.reading.interpreter import Interpreter
from features.reading.versions import FhirVersion, FhirVersionError, fhir_version
from features.vocabulary.concept import ConceptError, load_vocabulary
from features.vocabulary.units import Converter, load_units
from models.catalog import UnknownModelError, find

ERRORS = (ClientError, ConceptError, FhirVersionError, KeyFileError, SourceError, UnknownModelError, UrlError)
"""What `inspect` raises where the source or the question is wrong; each says what to do."""

COLOURS = {"problem": "red", "warning": "dark_orange", "note": "blue"}
SHOWN_FINDINGS = 15
READ, NOT_READ, NOT_COVERED = 0, 1, 3
"""Exit statuses: all was read and found; something could not be read; a model's concept was not found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What to inspect.

    Attributes:
        source: a path, or the base URL of a FHIR server.
        model: whose concepts to look for; None: all.
        version: of FHIR; None: what the server says, or said when the folder was downloaded; else R4.
        patients: of how many a server is asked; None: of all.
        access: to the server.
        exact: whether small counts and rare codes are told.
        made_on: today.
    """

    source: str
    made_on: date
    model: str | None = None
    version: FhirVersion | None = None
    patients: int | None = None
    access: Access = field(default_factory=Access)
    exact: bool = False

    @property
    def is_server(self) -> bool:
        """Whether the source is a server."""
        return self.source.startswith(("http://", "https://"))


def inspect(wanted: Inspection, progress: Progress) -> Report:
    """Read the source and report what it covers.

    Raises:
        ClientError, ConceptError, FhirVersionError, KeyFileError, SourceError, UnknownModelError, UrlError: `ERRORS`.
    """
    features = None if wanted.model is None else find(wanted.model).spec.features
    if wanted.is_server:
        return _inspect_server(wanted, features, progress)
    gatherer = _gatherer(features, wanted.version or noted_version(Path(wanted.source)) or "R4")
    found = find_files(Path(wanted.source))
    read_files(gatherer, found, progress)
    ignored = [f"{one.name}: {one.why}" for one in found.ignored]
    return _report(gatherer, wanted, name=Path(wanted.source).absolute().name, ignored=ignored)


def write_aside(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    aside = path.with_name(f".{path.name}.part")
    aside.write_bytes(data)
    aside.replace(path)


def write_report(report: Report, *, page: Path | None, json: Path | None) -> None:
    """Write the report where it is wanted.

    Raises:
        OSError: it cannot be written there.
    """
    if page is not None:
        write_aside(page, coverage_page(report).encode())
    if json is not None:
        write_aside(json, report.encode())


def print_report(console: Console, report: Report) -> None:
    """The worst findings, and the concepts they are about, as a short table."""
    found = [one for one in report.findings if one.severity != "note"]
    worst = {one.concept: one for one in reversed(found) if one.concept is not None}
    shown = [concept for concept in report.concepts if concept.id in worst]
    shown.sort(key=lambda concept: found.index(worst[concept.id]))
    if shown:
        table = Table("Concept", "Patients", "Events", "What to look at", box=None, pad_edge=False)
        for concept in shown[:SHOWN_FINDINGS]:
            finding = worst[concept.id]
            text = finding.text.removeprefix(f"{concept.name}: ")
            style = COLOURS[finding.severity]
            table.add_row(concept.name, number(concept.patients), number(concept.events), f"[{style}]{_plain(text)}[/]")
        console.print(table)
    if shown[SHOWN_FINDINGS:]:
        console.print(f"… and {len(shown) - SHOWN_FINDINGS} more concepts: --out or --json tells all.")
    for finding in found:
        if finding.concept is None:
            console.print(finding.text, style=COLOURS[finding.severity], markup=False, highlight=False)
    covered = len(report.concepts) - len(report.missing)
    notes = len(report.findings) - len(found)
    text = (
        f"{report.resources:,} resources of {number(report.patients)} patients: {covered} of {len(report.concepts)} "
        f"concepts found, {len(found)} findings to look at, {notes} notes."
    )
    console.print(text, soft_wrap=True, highlight=False)


def exit_status(report: Report) -> int:
    """What the command ends with, for scripts."""
    if report.broken_lines or report.broken_files:
        return NOT_READ
    return NOT_COVERED if report.model is not None and report.missing else READ


def _inspect_server(wanted: Inspection, features: FeatureSet | None, progress: Progress) -> Report:
    with connected(wanted.source, wanted.access) as server:
        gatherer = _gatherer(features, wanted.version or fhir_version(server.fhir_version()))
        read_server(gatherer, server, features, wanted.patients, progress)
        return _report(gatherer, wanted, name=server.base, ignored=())


def _gatherer(features: FeatureSet | None, version: FhirVersion) -> Gatherer:
    vocabulary = load_vocabulary()
    if features is not None:
        vocabulary = vocabulary.subset(features.concepts)
    return Gatherer(Interpreter(Converter(vocabulary, load_units())), version=version)


def _report(gatherer: Gatherer, wanted: Inspection, *, name: str, ignored: list[str] | tuple[str, ...]) -> Report:
    gatherer.finish()
    subject = Subject(
        source=name,
        model=wanted.model,
        made_on=wanted.made_on,
        known=load_vocabulary(),
        ignored=tuple(ignored),
        exact=wanted.exact,
    )
    return build_report(gatherer, subject)


def _plain(text: str) -> str:
    """Without what rich would read as markup: the text may hold a code's display."""
    return text.replace("[", "\\[")
