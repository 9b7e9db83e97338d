"""The page of a coverage: one file with its plots and its style inside, without scripts, to be read and to be printed.

Whatever comes from records is escaped (`bedside.html`), and the page's own policy forbids all but its own style.
"""

from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from importlib.resources import files

from bedside.coverage_concept import concept_section, concept_summary, refusals_table
from bedside.coverage_plots import number
from bedside.html import Child, Html, code, element, join, table
from features.coverage.report import Finding, Report

SEVERITY_WORDS = {"problem": "Problems", "warning": "Warnings", "note": "Notes"}
SHOWN_FINDINGS = 12


def coverage_page(report: Report) -> str:
    """The report as a whole HTML document."""
    style = (files("bedside") / "coverage_page.css").read_text(encoding="utf-8")
    digest = b64encode(sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    title = f"Coverage of {report.source}"
    head = (
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="referrer" content="no-referrer">',
        element("title", title),
        f"<style>{style}</style>",
    )
    body = element("body", element("main", *_sections(report, title)))
    return "\n".join(("<!doctype html>", '<html lang="en">', "<head>", *head, "</head>", body, "</html>", ""))


def _sections(report: Report, title: str) -> Iterator[Child]:
    yield element("header", element("h1", title), _facts(report), _privacy(report))
    yield element("h2", "What to look at")
    yield from _findings(report)
    yield element("h2", "Concepts at a glance")
    worst = _worst(report)
    heads = ("Concept", "Patients", "Events", "Refused", "Values", "Latest", "Findings")
    yield table(heads, (concept_summary(one, worst.get(one.id)) for one in report.concepts), class_="overview")
    yield element("h2", "Each concept")
    findings: dict[str | None, list[Finding]] = {}
    for finding in report.findings:
        findings.setdefault(finding.concept, []).append(finding)
    for concept in report.concepts:
        yield concept_section(concept, findings.get(concept.id, []))
    yield from _rest(report)


def _facts(report: Report) -> Html:
    pairs = {
        "Concepts of": f"the model {report.model}" if report.model else "all packaged concepts",
        "Patients": f"{'about ' if report.patients_are_estimated else ''}{number(report.patients)}",
        "Resources": number(report.resources),
        "Newest values": report.newest_day or "not to be told",
        "FHIR": report.fhir_version,
        "Made on": report.made_on,
    }
    return element(
        "dl",
        *(element("div", element("dt", key), element("dd", value)) for key, value in pairs.items()),
        class_="facts",
    )


def _privacy(report: Report) -> Html:
    if report.smallest_count == 1:
        text = "Exact counts and rare codes: for use within the hospital only."
    else:
        text = (
            f"Counts of 1 to {report.smallest_count - 1} are shown as <{report.smallest_count}; what fewer than "
            f"{report.smallest_count} patients have in common is not shown. No single value is in this page."
        )
    return element("p", text, class_="soft")


def _findings(report: Report) -> Iterator[Html]:
    if not report.findings:
        yield element("p", "Nothing: every concept was found, and next to nothing was refused.")
    for severity, words in SEVERITY_WORDS.items():
        found = [one for one in report.findings if one.severity == severity]
        if not found:
            continue
        yield element("h3", f"{words} ({len(found)})")
        limit = 0 if severity == "note" else SHOWN_FINDINGS
        if found[:limit]:
            yield _list(found[:limit])
        if found[limit:]:
            more = element("summary", f"{len(found[limit:])} {'more' if limit else words.lower()}")
            yield element("details", more, _list(found[limit:]), class_="more")


def _list(findings: list[Finding]) -> Html:
    items = []
    for one in findings:
        said: Child = one.text if one.concept is None else element("a", one.text, href=f"#{one.concept}")
        items.append(element("li", said, class_=f"finding {one.severity}"))
    return element("ul", *items, class_="findings")


def _worst(report: Report) -> dict[str, Finding]:
    """The first finding of each concept; they come worst first."""
    worst: dict[str, Finding] = {}
    for finding in report.findings:
        if finding.concept is not None:
            worst.setdefault(finding.concept, finding)
    return worst


def _rest(report: Report) -> Iterator[Child]:
    yield element("h2", "Refused, whatever the concept")
    yield refusals_table(report.refusals)
    if report.broken_files or report.ignored_files:
        yield element("h2", "Files that were not read, or not to the end")
        yield element("ul", *(element("li", one) for one in (*report.broken_files, *report.ignored_files)))
    if report.unmapped:
        yield element("h2", "The most frequent codes that no concept has")
        heads = ("Kind", "Code", "Display", "Resources", "Patients", "System")
        rows = (
            (
                one.kind,
                code(one.code or ""),
                one.display,
                number(one.resources),
                number(one.patients),
                code(one.system or "none"),
            )
            for one in report.unmapped
        )
        summary = element("summary", f"{len(report.unmapped)} codes: usual, and no fault")
        yield element("details", summary, table(heads, rows), class_="more")
    if report.site_draft:
        yield element("h2", "A draft for the hospital's own vocabulary")
        yield element("p", "Every candidate, commented out. Keep what a person has checked; docs/codes.md tells how.")
        yield element("details", element("summary", "The draft"), element("pre", report.site_draft), class_="more")
    yield join(
        [
            element("h2", "How to read this"),
            element(
                "p",
                "An event is a value that Bedside uses: a known code, a unit that converts exactly, a plausible "
                "number, a status that counts and a time. All else is refused, and counted with its reason. In the "
                "plots the band is the reference range of adults, the broken line the median, and a low pale bar a "
                "bin with fewer values than are told. Candidates and units that numbers look like are proposals: "
                "nothing is mapped or converted by them.",
            ),
        ]
    )
