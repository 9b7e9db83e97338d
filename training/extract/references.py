"""References: what is said of Medications, Locations and Specimens finds those who refer to it, wherever it was read.

A hospital may keep a Medication for each order and a Specimen for each sample: no process could hold them all. So what
is said of them, and who asks for it, are cut by a hash of the reference, joined partition by partition, and cut again
by who asked.
"""

from collections.abc import Iterable, Iterator
from itertools import chain

import msgspec

from features.reading.references import type_and_id
from features.reading.statements import Codings, Statements
from training.extract.job import Job
from training.extract.portions import ENCODER
from training.extract.spill import partition_of, read_blob, read_index, references_name, write_blobs

Named = dict[str, tuple[tuple[int, int], ...]]


class _Asked(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a segment says of some references, and which partitions of patients ask for which."""

    directory: Named
    specimens: dict[str, Codings]
    wanted: list[tuple[str, int]]


class _Answered(msgspec.Struct, frozen=True, array_like=True, gc=False):
    directory: Named
    specimens: dict[str, Codings]


_ASKED = msgspec.msgpack.Decoder(_Asked)
_ANSWERED = msgspec.msgpack.Decoder(_Answered)


def cut_by_reference(said: Statements, partitions: int) -> tuple[list[bytes], int]:
    """What was read about references, encoded, one per partition of references; and how many were asked for."""
    asked = [_Asked({}, {}, []) for _ in range(partitions)]
    for reference, named in said.directory.items():
        asked[partition_of(reference, partitions)].directory[reference] = named
    for reference, codings in said.specimens.items():
        asked[partition_of(reference, partitions)].specimens[reference] = codings
    wanted = sorted(set(_wanted(said, partitions)))
    for reference, patients in wanted:
        asked[partition_of(reference, partitions)].wanted.append((reference, patients))
    encoded = [ENCODER.encode(one) if any((one.directory, one.specimens, one.wanted)) else b"" for one in asked]
    return encoded, len(wanted)


def _wanted(said: Statements, partitions: int) -> Iterator[tuple[str, int]]:
    """Pairs of a reference and the partition of the patient whose resource refers to it."""
    home = [partition_of(name, partitions) for name in said.patients]
    owner = said.instances.patient
    for referral in chain(said.medications, said.locations):
        yield referral.reference, home[owner[referral.instance]]
    if said.confirmations:
        instance_of = list(chain.from_iterable(part.instance.tolist() for part in said.parts))
        for row, reference, _, contained in said.confirmations:
            if contained is None and reference is not None:
                yield type_and_id(reference), home[owner[instance_of[row]]]


def answer_references(job: Job, partition: int) -> int:
    """Join one partition of references: write what each partition of patients asked for; how many were found."""
    job.check()
    directory: Named = {}
    specimens: dict[str, Codings] = {}
    answers = [_Answered({}, {}) for _ in range(job.partitions)]
    said = [_ASKED.decode(raw) for raw in _blobs(job, job.partitions + partition)]
    for one in said:  # in the order in which it was read: of two the later holds, as in one process
        directory.update(one.directory)
        specimens.update(one.specimens)
    for reference, patients in chain.from_iterable(one.wanted for one in said):
        if reference in directory:
            answers[patients].directory[reference] = directory[reference]
        if reference in specimens:
            answers[patients].specimens[reference] = specimens[reference]
    write_blobs(job.spill / references_name(partition), [ENCODER.encode(answer) for answer in answers])
    return len(directory) + len(specimens)


def answers_for(job: Job, partition: int) -> tuple[Named, dict[str, Codings]]:
    """What the resources of a partition of patients refer to; nothing where no reference was asked for at all."""
    directory: Named = {}
    specimens: dict[str, Codings] = {}
    for path in map(job.spill.joinpath, map(references_name, range(job.partitions))):
        if not path.exists():  # nobody asked: the step was left out
            break
        answer = _ANSWERED.decode(read_blob(path, partition))
        directory.update(answer.directory)
        specimens.update(answer.specimens)
    return directory, specimens


def _blobs(job: Job, number: int) -> Iterable[bytes]:
    return filter(None, (read_blob(path, number) for path in read_index(job.spill)))
