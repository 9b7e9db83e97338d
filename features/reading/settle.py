"""Settling: of several versions of a resource or a result the last one holds; what was referred to is filled in.

Two resources are versions of one another if they have the same type and id, or the same type, patient and business
identifier and say something of the same concept, at the same time or with the later one marked as a correction. The
later version is the one with the later `meta.lastUpdated`, else the greater `meta.versionId`, else the one that became
known later, else the one whose status corrects, else the one that was read later. It replaces the earlier one even
where it cannot be used itself: a result that was withdrawn is gone.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features import times
from features.events import Events
from features.reading.fhir import Meta
from features.reading.interpreter import Refused
from features.reading.references import type_and_id
from features.reading.signed import before_signing
from features.reading.statements import TYPE_NUMBERS, TYPES, Row, Rows, Statements, Stay, events_of
from features.refusals import Reason, Refusals

LONGEST_COUNT = 18  # digits that fit into 64 bits
CORRECTION = 2  # statuses.RANK from here on: the version says of itself that it changes an earlier one

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """All that was read: events, stays, and what was refused."""

    events: Events
    stays: tuple[Stay, ...]
    refusals: Refusals
    resources: int


def settle(statements: Statements) -> Record:
    """The events and stays that hold, of all the statements about some patients.

    The refusals of the record are those of reading and of settling.
    """
    refusals = Refusals(statements.refusals if len(statements.refusals) else ())
    rows = Rows.join([*statements.parts, *_referred(statements, refusals)])
    rows, counts = _with_report_times(statements, rows, rows.counts, refusals)
    counts = _confirm(statements, rows, counts, refusals)
    gone = _replaced(statements, rows, refusals)
    stays = statements.stays
    if gone is not None:
        counts = counts & ~gone.rows
        stays = [one for one in stays if not gone.instances[one.instance]]
    drafts = before_signing(statements, rows, counts)
    if drafts is not None:
        rows = Rows.join((rows, drafts))
        counts = np.concatenate((counts, drafts.counts))
    return Record(
        events=events_of(statements, rows, counts),
        stays=tuple([one.stay for one in stays]),
        refusals=refusals,
        resources=statements.resources,
    )


def _referred(statements: Statements, refusals: Refusals) -> Iterator[Rows]:
    """The rows of resources that refer to a Medication or a Location."""
    rows: list[Row] = []
    for referrals, target in ((statements.medications, "Medication"), (statements.locations, "Location")):
        for instance, reference, held in referrals:
            named = statements.directory.get(reference)
            if named is None:
                refusals.add(Reason.REFERENCE_UNRESOLVED, detail=target)
                continue
            if not named:
                if target == "Medication":
                    refusals.add(Reason.CODE_NOT_MAPPED)
                continue
            for concept, ordinal in named:
                if isinstance(held, Refused):
                    refusals.add(held.reason, statements.concepts[concept], held.detail)
                    rows.append(Row(instance, concept, 0, 0, 0, 0.0, counts=False))
                else:
                    rows.append(Row(instance, concept, *held, float(ordinal), counts=True))
    if rows:
        yield Rows.of(rows)


def _with_report_times(statements: Statements, rows: Rows, counts: Mask, refusals: Refusals) -> tuple[Rows, Mask]:
    """Give Observations the times that only their reports have; count those that remain without."""
    if statements.reports:
        rows, counts = _report_times(statements, rows, counts)
    if not np.count_nonzero(rows.timeless):
        return rows, counts
    missing = np.flatnonzero(rows.timeless & ~counts)
    for concept, number in zip(*np.unique(rows.concept[missing], return_counts=True), strict=True):
        refusals.add(Reason.TIME_MISSING, statements.concepts[concept], count=int(number))
    return rows, counts


def _report_times(statements: Statements, rows: Rows, counts: Mask) -> tuple[Rows, Mask]:
    told: dict[tuple[int, str], tuple[int | None, int | None]] = {}
    for report in statements.reports:
        times_told = (report.time, report.known)
        # Of two reports over one result the earlier made it known; what the later one says was not known then.
        told[report[:2]] = min(told.get(report[:2], times_told), times_told, key=_first_known)
    instances = statements.instances
    keys = zip(instances.patient, instances.type, instances.id, strict=True)
    found = [
        told.get((patient, f"Observation/{name}"), (None, None)) if kind == OBSERVATION else (None, None)
        for patient, kind, name in keys
    ]
    time_of, known_of = (np.array([_NEVER if one[i] is None else one[i] for one in found], np.int64) for i in (0, 1))
    reported_time, reported_known = time_of[rows.instance], known_of[rows.instance]
    mended = rows.timeless & (np.minimum(reported_time, reported_known) < _NEVER)
    time = np.where(mended, np.where(reported_time < _NEVER, reported_time, reported_known), rows.time)
    # Only where the Observation itself does not say when it was issued: known is its time then.
    silent = (rows.known == rows.time) & (reported_known < _NEVER) & (rows.instance >= 0)
    latest = np.maximum(time, np.where(reported_known < _NEVER, reported_known, time))
    known = np.where(mended | silent, latest, rows.known)
    until = np.where(mended, time, rows.until)
    return rows._replace(time=time, known=known, until=until), counts | mended


OBSERVATION = TYPE_NUMBERS["Observation"]
_NEVER = np.iinfo(np.int64).max


def _first_known(told: tuple[int | None, int | None]) -> tuple[int, int]:
    time, known = (_NEVER if one is None else one for one in told)
    return time if known == _NEVER else known, time


def _confirm(statements: Statements, rows: Rows, counts: Mask, refusals: Refusals) -> Mask:
    """Refuse values of another specimen than their code demands, or of one that nobody knows."""
    counts = counts.copy() if statements.confirmations else counts
    for row, reference, demanded, contained in statements.confirmations:
        codings = contained
        if codings is None and reference is not None:
            codings = statements.specimens.get(type_and_id(reference))
        if codings is not None and demanded in codings:
            continue
        counts[row] = False
        reason = Reason.REFERENCE_UNRESOLVED if codings is None else Reason.METHOD
        refusals.add(reason, statements.concepts[rows.concept[row]], "Specimen")
    return counts


class _Gone(NamedTuple):
    rows: Mask
    instances: Mask


class _Version(NamedTuple):
    """What orders two versions: the later one is the greater."""

    updated: int
    number: int
    known: int
    rank: int
    instance: int


def _replaced(statements: Statements, rows: Rows, refusals: Refusals) -> _Gone | None:
    """Which resources were replaced as a whole, and which rows; None where there is but one version of each."""
    instances = statements.instances
    same_id, by_identifier = _repeated(instances.id), _repeated(instances.identifier)
    if not same_id and not by_identifier:
        return None
    by_id = _groups(
        (position, (instances.patient[position], instances.type[position], instances.id[position]))
        for position in same_id
    )
    gone = _Gone(np.zeros(len(rows.instance), np.bool_), np.zeros(len(instances), np.bool_))
    known = np.full(len(instances), np.iinfo(np.int64).min)
    np.maximum.at(known, rows.instance, rows.known)
    versions = {
        number: _version(statements, number, int(known[number]))
        for number in chain(chain.from_iterable(by_id), by_identifier)
    }
    for group in by_id:
        _keep_latest([versions[number] for number in group], gone.instances, instances.type, refusals)
    gone.rows[:] = gone.instances[rows.instance]
    if by_identifier:
        _drop_repeated_results(statements, rows, versions, gone.rows, refusals)
    return gone


def _version(statements: Statements, number: int, known: int) -> _Version:
    meta, rank = statements.instances.meta_of(number), statements.instances.rank[number]
    return _Version(_updated(meta), _version_number(meta), known, rank, number)


def _repeated(names: Sequence[str | None]) -> list[int]:
    """The positions of names that occur more than once: few, so that only these are looked at more closely."""
    absent = names.count(None)
    if absent == len(names) or len(set(names)) + absent - (absent > 0) == len(names):
        return []
    often = {name for name, count in Counter(names).items() if count > 1 and name is not None}
    return [position for position, name in enumerate(names) if name in often]


def _groups(keyed: Iterable[tuple[int, tuple[object, ...]]]) -> list[list[int]]:
    """The numbers that share a key with another one."""
    groups: defaultdict[tuple[object, ...], list[int]] = defaultdict(list)
    for number, key in keyed:
        groups[key].append(number)
    return [group for group in groups.values() if len(group) > 1]


def _keep_latest(group: Sequence[_Version], gone: Mask, types: Sequence[int], refusals: Refusals) -> None:
    latest = max(group)
    for version in group:
        if version is not latest:
            gone[version.instance] = True
            refusals.add(_why(version, latest), detail=TYPES[types[version.instance]])


def _why(earlier: _Version, later: _Version) -> Reason:
    """Alike in all that orders versions: the same once more; else replaced."""
    return Reason.DUPLICATE if earlier[:-1] == later[:-1] else Reason.REPLACED


def _drop_repeated_results(
    statements: Statements, rows: Rows, versions: Mapping[int, _Version], gone: Mask, refusals: Refusals
) -> None:
    """One event per business identifier and concept, where it is the same result.

    An identifier may be shared by a panel, or (against its purpose) by a series: only what says the same time replaces
    an earlier one, or what says that it corrects, where there is but one other time.
    """
    instances = statements.instances
    has_other = np.zeros(len(instances), np.bool_)
    has_other[[number for number in versions if instances.identifier[number] is not None]] = True
    owners, concepts = rows.instance.tolist(), rows.concept.tolist()
    groups = _groups(
        (row, (instances.patient[owner], instances.type[owner], instances.identifier[owner], concepts[row]))
        for row in np.flatnonzero(has_other[rows.instance] & ~gone).tolist()
        for owner in (owners[row],)
    )
    for group in groups:
        ordered = sorted(group, key=lambda row: versions[owners[row]])
        is_series = len(set(rows.time[group].tolist())) > 2  # noqa: PLR2004 - a result and its correction have two
        for position, row in enumerate(ordered):
            replacing = (
                after
                for after in ordered[position + 1 :]
                if owners[after] != owners[row]
                and (
                    rows.time[after] == rows.time[row] or (versions[owners[after]].rank >= CORRECTION and not is_series)
                )
            )
            later = next(replacing, None)
            if later is not None:
                gone[row] = True
                why = _why(versions[owners[row]], versions[owners[later]])
                refusals.add(why, statements.concepts[concepts[row]])


def _version_number(meta: Meta | None) -> int:
    """meta.versionId where it counts, as servers do it though FHIR lets it be any text; else 0."""
    text = meta.versionId if meta is not None else None
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) <= LONGEST_COUNT else 0


def _updated(meta: Meta | None) -> int:
    if meta is None or meta.lastUpdated is None:
        return times.EARLIEST
    try:
        return times.parse(meta.lastUpdated).last
    except ValueError:  # it orders nothing then
        return times.EARLIEST
