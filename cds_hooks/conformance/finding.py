"""Findings: what one look at the server says of one requirement, and what all of them say together."""

from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec

from cds_hooks.requirements import Level, Requirement


class Verdict(StrEnum):
    """What is known of a requirement after the check."""

    MET = "met"
    NOT_MET = "not met"
    NOT_APPLICABLE = "not applicable"
    UNSEEN = "could not be seen"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One look at one requirement."""

    id: str
    verdict: Verdict
    evidence: str


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """All looks at one requirement: the worst of them, with its evidence."""

    id: str
    level: Level
    verdict: Verdict
    evidence: str


# One breach outweighs everything; one sight outweighs what could not be seen or did not apply.
_WEIGHT = (Verdict.NOT_MET, Verdict.MET, Verdict.UNSEEN, Verdict.NOT_APPLICABLE)


def met(requirement_id: str, evidence: str) -> Finding:
    """It is kept."""
    return Finding(id=requirement_id, verdict=Verdict.MET, evidence=evidence)


def not_met(requirement_id: str, evidence: str) -> Finding:
    """It is broken."""
    return Finding(id=requirement_id, verdict=Verdict.NOT_MET, evidence=evidence)


def not_applicable(requirement_id: str, evidence: str) -> Finding:
    """The server has nothing that it speaks of."""
    return Finding(id=requirement_id, verdict=Verdict.NOT_APPLICABLE, evidence=evidence)


def unseen(requirement_id: str, evidence: str) -> Finding:
    """The check did not get so far as to see it."""
    return Finding(id=requirement_id, verdict=Verdict.UNSEEN, evidence=evidence)


def judged(requirement_id: str, *, holds: bool, seen: str, complaint: str) -> Finding:
    """Met with what was seen, or not met with the complaint."""
    return met(requirement_id, seen) if holds else not_met(requirement_id, complaint)


def conclude(requirements: Mapping[str, Requirement], findings: Iterable[Finding]) -> tuple[Result, ...]:
    """One result per requirement, in the order of the table; each that nobody looked at says why."""
    by_id: dict[str, list[Finding]] = {requirement_id: [] for requirement_id in requirements}
    for finding in findings:
        by_id[finding.id].append(finding)
    return tuple(_concluded(requirements[requirement_id], found) for requirement_id, found in by_id.items())


def _concluded(requirement: Requirement, findings: list[Finding]) -> Result:
    if not findings:
        why = requirement.unseen or "the check did not get so far"
        return Result(id=requirement.id, level=requirement.level, verdict=Verdict.UNSEEN, evidence=why)
    verdict = min((finding.verdict for finding in findings), key=_WEIGHT.index)
    evidence = tuple(dict.fromkeys(finding.evidence for finding in findings if finding.verdict is verdict))
    others = f" (and {len(evidence) - 1} more)" if verdict is Verdict.NOT_MET and len(evidence) > 1 else ""
    return Result(id=requirement.id, level=requirement.level, verdict=verdict, evidence=evidence[0] + others)
