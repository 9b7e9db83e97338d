"""Portions: the statements about the patients of one partition, on their way from who reads to who settles."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from features.reading.fhir import Meta
from features.reading.interpreter import Interpreter, Refused
from features.reading.statements import EMPTY, Confirmation, Instances, Referral, ReportTime, Rows, Statements, Stayed
from features.refusals import Refusals
from training.extract.spill import partition_of

Item = TypeVar("Item")
Numbers = NDArray[np.int64]
OfInstance = TypeVar("OfInstance", Stayed, Referral)


class _Referral(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A Referral; what it holds is told apart by where it stands."""

    instance: int
    reference: str
    held: tuple[int, int, int] | None
    refused: Refused | None


class Portion(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Statements about some patients; instances and patients are numbered within it, columns are bytes."""

    patients: list[str]
    patient: bytes
    type: bytes
    rank: bytes
    id: list[str | None]
    identifier: list[str | None]
    meta: list[Meta | None]
    rows: list[bytes]
    stays: list[Stayed]
    medications: list[_Referral]
    locations: list[_Referral]
    confirmations: list[Confirmation]
    reports: list[ReportTime]


ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Portion)
_COLUMNS = [column.dtype for column in EMPTY]


class Cut(NamedTuple):
    """How numbered things are cut into partitions.

    Attributes:
        home: the partition of each.
        order: their numbers by partition, otherwise as they were.
        starts: where in the order each partition begins, and the last one ends.
        local: the new number of each, within its partition.
    """

    home: Numbers
    order: Numbers
    starts: list[int]
    local: Numbers

    @classmethod
    def by(cls, home: Numbers, partitions: int) -> "Cut":
        """Cut by their partitions."""
        order = np.argsort(home, kind="stable")
        starts = np.searchsorted(home[order], np.arange(partitions + 1))
        local = np.empty_like(order)
        local[order] = np.arange(len(order)) - starts[home[order]]
        return cls(home, order, starts.tolist(), local)

    def sorted(self, things: Sequence[Item]) -> list[Item]:
        """The things in the order of their partitions."""
        return [things[number] for number in self.order.tolist()]

    def part(self, partition: int) -> slice:
        """Where in the order a partition is."""
        return slice(self.starts[partition], self.starts[partition + 1])


def cut_by_patient(said: Statements, partitions: int) -> list[bytes]:
    """What was read as encoded portions, one per partition; empty where nothing was said."""
    patients = Cut.by(np.array([partition_of(name, partitions) for name in said.patients], np.int64), partitions)
    owner = np.array(said.instances.patient, np.int64)
    instances = Cut.by(patients.home[owner], partitions)
    rows = Rows.join(said.parts)
    rows_cut = Cut.by(instances.home[rows.instance], partitions)
    portion = _portions(said, rows, patients, instances, rows_cut)
    spoken = np.diff(patients.starts).tolist()
    return [ENCODER.encode(portion(partition)) if spoken[partition] else b"" for partition in range(partitions)]


def _portions(said: Statements, rows: Rows, patients: Cut, instances: Cut, rows_cut: Cut) -> Callable[[int], Portion]:
    """A function that gives the portion of each partition; all is sorted once."""
    own = said.instances
    names = patients.sorted(said.patients)
    patient, kind, rank = (
        np.array(column, np.int32)[instances.order] for column in (patients.local[own.patient], own.type, own.rank)
    )
    ids, identifiers, metas = instances.sorted(own.id), instances.sorted(own.identifier), instances.sorted(own.metas())
    columns = [column[rows_cut.order] for column in rows._replace(instance=instances.local[rows.instance])]
    stays = _by_instance(said.stays, instances)
    medications, locations = (_referrals(several, instances) for several in (said.medications, said.locations))
    confirmations = _grouped(
        (int(rows_cut.home[one.row]), one._replace(row=int(rows_cut.local[one.row]))) for one in said.confirmations
    )
    reports = _grouped(
        (int(patients.home[one.patient]), one._replace(patient=int(patients.local[one.patient])))
        for one in said.reports
    )

    def portion(partition: int) -> Portion:
        mine = instances.part(partition)
        return Portion(
            patients=names[patients.part(partition)],
            patient=patient[mine].tobytes(),
            type=kind[mine].tobytes(),
            rank=rank[mine].tobytes(),
            id=ids[mine],
            identifier=identifiers[mine],
            meta=metas[mine],
            rows=[column[rows_cut.part(partition)].tobytes() for column in columns],
            stays=stays.get(partition, []),
            medications=medications.get(partition, []),
            locations=locations.get(partition, []),
            confirmations=confirmations.get(partition, []),
            reports=reports.get(partition, []),
        )

    return portion


def _by_instance(several: Iterable[OfInstance], instances: Cut) -> dict[int, list[OfInstance]]:
    return _grouped(
        (int(instances.home[one.instance]), one._replace(instance=int(instances.local[one.instance])))
        for one in several
    )


def _referrals(several: Iterable[Referral], instances: Cut) -> dict[int, list[_Referral]]:
    return {
        partition: [
            _Referral(instance, reference, None, held)
            if isinstance(held, Refused)
            else _Referral(instance, reference, held, None)
            for instance, reference, held in mine
        ]
        for partition, mine in _by_instance(several, instances).items()
    }


def _grouped(pairs: Iterable[tuple[int, Item]]) -> dict[int, list[Item]]:
    groups: dict[int, list[Item]] = {}
    for partition, item in pairs:
        groups.setdefault(partition, []).append(item)
    return groups


def join(portions: Iterable[bytes], interpreter: Interpreter) -> Statements:
    """The statements of encoded portions, one behind the other as they are given.

    Args:
        portions: of one partition, in the order in which they were read.
        interpreter: that they were read with.
    """
    said = Statements(
        patients=[],
        concepts=interpreter.concepts,
        instances=Instances(),
        refusals=Refusals(),
        drafts=interpreter.drafts,
    )
    numbers: dict[str, int] = {}
    rows = 0
    for encoded in portions:
        if encoded:
            rows += _append(said, _DECODER.decode(encoded), numbers, rows)
    return said


def _append(said: Statements, portion: Portion, numbers: dict[str, int], rows_before: int) -> int:
    """Append a portion; how many rows it had is returned."""
    number_of = np.empty(len(portion.patients), np.int64)
    for local, name in enumerate(portion.patients):
        number_of[local] = numbers.setdefault(name, len(numbers))
        if number_of[local] == len(said.patients):
            said.patients.append(name)
    own, first = said.instances, len(said.instances)
    own.patient.extend(number_of[np.frombuffer(portion.patient, np.int32)].tolist())
    own.type.extend(np.frombuffer(portion.type, np.int32).tolist())
    own.rank.extend(np.frombuffer(portion.rank, np.int32).tolist())
    own.id.extend(portion.id)
    own.identifier.extend(portion.identifier)
    own.meta.extend(portion.meta)
    rows = Rows(*map(np.frombuffer, portion.rows, _COLUMNS))  # type: ignore[arg-type]  # each column has its type
    said.parts.append(rows._replace(instance=rows.instance + first))
    said.stays.extend(one._replace(instance=one.instance + first) for one in portion.stays)
    for referrals, mine in ((said.medications, portion.medications), (said.locations, portion.locations)):
        referrals.extend(Referral(one.instance + first, one.reference, _held(one)) for one in mine)
    said.confirmations.extend(one._replace(row=one.row + rows_before) for one in portion.confirmations)
    said.reports.extend(one._replace(patient=int(number_of[one.patient])) for one in portion.reports)
    return len(rows.instance)


def _held(one: _Referral) -> tuple[int, int, int] | Refused:
    if one.held is not None:
        return one.held
    if one.refused is None:
        raise ValueError("a referral neither holds nor says why not")
    return one.refused
