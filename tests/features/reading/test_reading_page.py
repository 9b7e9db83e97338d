"""The page on reading (docs/reading.md) prints the tables of the code; what stands between its marks is made of them.

After a change of a table:

    UPDATE_GOLDEN=1 .venv/bin/python -m pytest tests/features/reading/test_reading_page.py
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest

from features import prefetch
from features.reading import answers, encounters, statuses, timing
from features.reading.fhir import KNOWN_TYPES

PAGE = Path(__file__).parents[3] / "docs" / "reading.md"
R4, R5 = "https://hl7.org/fhir/R4/valueset-", "https://hl7.org/fhir/R5/valueset-"

STATUSES: tuple[tuple[str, Mapping[str, bool], str], ...] = (
    ("Observation", statuses.OBSERVATION, f"{R4}observation-status.html"),
    ("DiagnosticReport, for the times it carries", statuses.DIAGNOSTIC_REPORT, f"{R4}diagnostic-report-status.html"),
    ("Condition.verificationStatus", statuses.CONDITION_VERIFICATION, f"{R4}condition-ver-status.html"),
    (
        "ICD-10-GM Diagnosesicherheit",
        statuses.GERMAN_CERTAINTY,
        "https://simplifier.net/resolve?canonical=http://fhir.de/StructureDefinition/icd-10-gm-diagnosesicherheit",
    ),
    ("Procedure", statuses.PROCEDURE, f"{R4}event-status.html"),
    ("ServiceRequest", statuses.SERVICE_REQUEST, f"{R4}request-status.html"),
    ("MedicationRequest", statuses.MEDICATION_REQUEST, f"{R4}medicationrequest-status.html"),
    ("MedicationAdministration", statuses.MEDICATION_ADMINISTRATION, f"{R4}medication-admin-status.html"),
    ("MedicationStatement", statuses.MEDICATION_STATEMENT, f"{R5}medication-statement-status.html"),
    ("Encounter", statuses.ENCOUNTER, f"{R5}encounter-status.html"),
    ("Encounter.location", statuses.ENCOUNTER_LOCATION, f"{R4}encounter-location-status.html"),
    ("intent of orders", statuses.ORDER_INTENT, f"{R4}request-intent.html"),
)


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def words(chosen: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in chosen)


def of_statuses() -> str:
    rows = (
        (
            f"[{name}]({source})",
            words(word for word, counts in one.items() if counts),
            words(word for word, counts in one.items() if not counts),
        )
        for name, one, source in STATUSES
    )
    return table(("status of", "counts", "does not"), rows)


def of_clinical_statuses() -> str:
    active = statuses.CONDITION_ACTIVE.items()
    return table(
        ("Condition.clinicalStatus", "the condition"),
        [
            (words(word for word, holds in active if holds), "goes on, until it abates"),
            (words(word for word, holds in active if not holds), "is over; without an abatement it counts as a point"),
        ],
    )


def of_ranks() -> str:
    ranks = sorted(set(statuses.RANK.values()), reverse=True)
    rows = [(words(word for word, rank in statuses.RANK.items() if rank == one), str(one)) for one in ranks]
    return table(("status", "rank"), [*rows, ("all others", "0")])


def of_levels() -> str:
    return table(
        ("Kontaktebene", "level of the stay"), ((f"`{code}`", level) for code, level in encounters.LEVELS.items())
    )


def of_docstring(text: str | None) -> str:
    return "\n".join(line for line in (text or "").splitlines() if line.startswith("|"))


def of_prefetch() -> str:
    rows = [
        ("observation", "`Observation`", "by code", "`date`, and what is undated beside it"),
        ("observation", "`DiagnosticReport`", "whole, its times alone (`_elements`)", "none"),
    ]
    rows += [
        (
            kind,
            f"`{one.resource_type}`",
            f"whole, with its {' and '.join(one.includes)}" if one.includes else "whole",
            "none" if one.since is None else f"`{one.since}`",
        )
        for kind, queries in prefetch.WHOLE.items()
        for one in queries
    ]
    return table(("kind of concept", "query", "what is asked for", "date bound (CDS Hooks 3.0)"), rows)


BLOCKS: Mapping[str, Callable[[], str]] = {
    "types": lambda: words(sorted(KNOWN_TYPES - {"OperationOutcome"})) + ".",
    "statuses": of_statuses,
    "clinical statuses": of_clinical_statuses,
    "times": lambda: of_docstring(timing.__doc__),
    "values": lambda: of_docstring(answers.__doc__),
    "ranks": of_ranks,
    "levels": of_levels,
    "prefetch": of_prefetch,
}


def marked(block: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- {block} -->\n)(.*?)(\n<!-- /{block} -->)", re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_the_page_prints_what_the_code_does(block: str) -> None:
    text, expected = PAGE.read_text(encoding="utf-8"), BLOCKS[block]()
    if os.environ.get("UPDATE_GOLDEN"):
        text = marked(block).sub(lambda found: found[1] + expected + found[3], text)
        PAGE.write_text(text, encoding="utf-8")
    found = marked(block).search(text)
    assert found is not None
    assert found[2] == expected
    assert expected.strip()


def test_every_table_of_statuses_is_printed() -> None:
    tables = {name for name, one in vars(statuses).items() if name.isupper() and isinstance(one, Mapping)}
    printed = [one for _, one, _ in STATUSES]
    others = {"CONDITION_ACTIVE", "RANK"}
    assert {name for name in tables if any(vars(statuses)[name] is one for one in printed)} == tables - others
