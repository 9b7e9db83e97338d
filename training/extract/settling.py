"""Settling a partition: the statements about its patients, wherever they were read, become their events and stays."""

from dataclasses import dataclass, replace

from features.reading.interpreter import load_interpreter
from features.reading.settle import Record, settle
from features.reading.statements import Stay
from features.refusals import Refusal
from features.times import LATEST
from training.extract.job import Job
from training.extract.portions import join
from training.extract.reading import paused_collector
from training.extract.references import answers_for
from training.extract.spill import read_blob, read_index
from training.store import write_events, write_stays


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What became of a partition, and how many bytes its files have."""

    number: int
    patients: int
    events: int
    stays: int
    concepts: tuple[str, ...]
    refusals: tuple[tuple[Refusal, int], ...]
    events_bytes: int
    stays_bytes: int


def settle_partition(job: Job, partition: int) -> Record:
    """The events and stays of one partition's patients, and the refusals of settling; those of reading are not in it.

    Statements stand in the order of their files and, within a file, as they stand there: however the files were cut
    and whoever read them, the record is the same.
    """
    job.check()
    with paused_collector():
        blobs = (read_blob(segment, partition) for segment in read_index(job.spill))
        said = join(blobs, load_interpreter())
        said.directory, said.specimens = answers_for(job, partition)
        record = settle(said)
    return replace(record, stays=tuple(sorted(record.stays, key=stay_order)))


def write_partition(job: Job, partition: int) -> Part:
    """Settle a partition and write its events and stays: a pure function, which may run twice."""
    record = settle_partition(job, partition)
    events, stays = (job.target / kind / part_name(partition) for kind in ("events", "stays"))
    write_events(record.events, events)
    write_stays(record.stays, stays)
    return Part(
        number=partition,
        patients=len(record.events.patients),
        events=len(record.events),
        stays=len(record.stays),
        concepts=record.events.concepts,
        refusals=tuple(record.refusals),
        events_bytes=events.stat().st_size,
        stays_bytes=stays.stat().st_size,
    )


def part_name(partition: int) -> str:
    """What the files of a partition are called."""
    return f"part-{partition:05d}.parquet"


def stay_order(stay: Stay) -> tuple[str, int, int, str, str]:
    """Stays stand by patient and time."""
    end = LATEST if stay.end is None else stay.end
    return stay.patient, stay.start, end, stay.encounter_class or "", stay.level
