"""An extraction: read all shares, join what refers to one another, settle all partitions; and only then is it there."""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar
from uuid import uuid4

from features.files.blocks import SourceError
from features.reading.settle import Record
from features.reading.versions import FhirVersion
from features.refusals import Refusals
from training.dataset import DatasetError, Progress
from training.extract import manifest as manifests
from training.extract.crew import Crew
from training.extract.faults import Faults
from training.extract.job import (
    DEFAULT_MEMORY_BYTES,
    SEGMENTS_PER_MEMORY,
    Input,
    Job,
    partitions_for,
    reading_rules,
    survey,
)
from training.extract.manifest import InputFile, Manifest, PartFiles
from training.extract.reading import Reading, read_share
from training.extract.references import answer_references
from training.extract.settling import Part, part_name, settle_partition, stay_order, write_partition
from training.extract.spill import write_index
from training.store import join_events

Item = TypeVar("Item")

READING, JOINING, SETTLING = "reading FHIR", "joining references", "settling patients"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to extract.

    Attributes:
        version: of FHIR, as the source says it.
        memory_bytes: how much one process may take for the settling of a partition.
    """

    version: FhirVersion = "R4"
    memory_bytes: int = DEFAULT_MEMORY_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Spilled:
    """What was read and waits to be settled."""

    job: Job
    input: Input
    resources: int
    refusals: Refusals
    faults: Faults


class FaultsError(DatasetError):
    """Files have faults, and nobody said to go on nevertheless."""


def extract(
    source: Path, target: Path, *, crew: Crew, options: Options, keep_going: bool, progress: Progress
) -> Manifest:
    """Read FHIR and write its events and stays into a new folder, which appears only when it is whole.

    Args:
        source: a folder of FHIR or a file.
        target: where nothing is yet.
        crew: who does it; it must be entered.
        options: version and memory.
        keep_going: write it though files have faults.
        progress: told how much is done.

    Raises:
        DatasetError: there is no source, the target is taken, files have faults, or workers cannot go on.
    """
    if not target.absolute().parent.is_dir():  # told before the reading, which may take long
        raise DatasetError(f"{target}: expected a folder that is there to write the events into.")
    if target.exists():
        raise DatasetError(f"{target}: expected a path where nothing is yet; remove it or name another.")
    with _told(), _aside(target) as folder:
        spilled = _spill(source, folder, crew, options, progress)
        if spilled.faults and not keep_going:
            raise FaultsError(f"{source.resolve().name}: {spilled.faults.describe()}")
        parts = sorted(_settled(spilled.job, crew, progress), key=lambda part: part.number)
        for part in parts:
            spilled.refusals.update(Refusals(part.refusals))
        manifests.write_refusals(spilled.refusals, folder)
        manifest = _manifest(source, spilled, parts)
        shutil.rmtree(spilled.job.spill)
        manifests.write_manifest(manifest, folder)
        folder.rename(target)
    return manifest


def extract_record(source: Path, *, crew: Crew, options: Options, progress: Progress) -> tuple[Record, Faults]:
    """Read FHIR into memory the same way; the record says what was refused in reading and in settling.

    Raises:
        DatasetError: there is no source, or workers cannot go on.
    """
    with _told(), TemporaryDirectory(prefix="bedside-") as folder:
        spilled = _spill(source, Path(folder), crew, options, progress)
        job, records = spilled.job, list[Record]()
        settling = crew.run(partial(settle_partition, job), range(job.partitions))
        for record in _counted(settling, SETTLING, job.partitions, progress):
            records.append(record)
            spilled.refusals.update(record.refusals)
    record = Record(
        events=join_events(one.events for one in records),
        stays=tuple(sorted((stay for one in records for stay in one.stays), key=stay_order)),
        refusals=spilled.refusals,
        resources=spilled.resources,
    )
    return record, spilled.faults


@contextmanager
def _told() -> Iterator[None]:
    """Whatever keeps a data set from being read is one kind of error to those who train."""
    try:
        yield
    except SourceError as error:
        raise DatasetError(str(error)) from error
    except OSError as error:  # a full disk, mostly, or a folder that is not one's own
        raise DatasetError(f"A file of the extraction cannot be read or written: {error}.") from error


@contextmanager
def _aside(target: Path) -> Iterator[Path]:
    """A new folder beside the target; gone in the end unless it was renamed."""
    folder = target.absolute().with_name(f".{target.name}.{uuid4().hex[:12]}")
    (folder / "events").mkdir(parents=True)
    (folder / "stays").mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _spill(source: Path, folder: Path, crew: Crew, options: Options, progress: Progress) -> Spilled:
    """Read all shares; join what they refer to."""
    segment_bytes = options.memory_bytes // SEGMENTS_PER_MEMORY
    found = survey(source, workers=crew.workers, largest_range=segment_bytes)
    job = Job(
        spill=folder.absolute() / "spill",
        target=folder.absolute(),
        partitions=partitions_for(found.plain_bytes, options.memory_bytes),
        segment_bytes=segment_bytes,
        version=options.version,
        rules=reading_rules(),
    )
    job.spill.mkdir()
    readings = sorted(_read(job, found, crew, progress), key=lambda reading: reading.number)
    write_index(job.spill, [name for reading in readings for name in reading.segments])
    if any(reading.references for reading in readings):
        joined = crew.run(partial(answer_references, job), range(job.partitions))
        for _ in _counted(joined, JOINING, job.partitions, progress):
            pass
    refusals = Refusals()
    for reading in readings:
        refusals.update(Refusals(reading.refusals))
    return Spilled(
        job=job,
        # What we write beside the target may lie within the source; it is nothing that was found there.
        input=replace(found, ignored=tuple(one for one in found.ignored if Path(one[0]).name != folder.name)),
        resources=sum(reading.resources for reading in readings),
        refusals=refusals,
        faults=Faults.of(reading.faults for reading in readings),
    )


def _read(job: Job, found: Input, crew: Crew, progress: Progress) -> Iterator[Reading]:
    """The readings as they come; bytes are told as they are read, from elsewhere with every share that is done."""
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress(READING, done, found.bytes)

    sizes = {task.number: task.bytes for task in found.tasks}
    read = partial(read_share, job, on_bytes=advance) if crew.is_here else partial(read_share, job)
    for reading in crew.run(read, found.tasks):
        if not crew.is_here:
            advance(sizes[reading.number])
        yield reading
    progress(READING, found.bytes, found.bytes)


def _settled(job: Job, crew: Crew, progress: Progress) -> Iterator[Part]:
    parts = crew.run(partial(write_partition, job), range(job.partitions))
    return _counted(parts, SETTLING, job.partitions, progress)


def _counted(results: Iterable[Item], step: str, total: int, progress: Progress) -> Iterator[Item]:
    progress(step, 0, total)
    for done, result in enumerate(results, start=1):
        progress(step, done, total)
        yield result


def _manifest(source: Path, spilled: Spilled, parts: list[Part]) -> Manifest:
    names = {file: file.name if file == source else file.relative_to(source).as_posix() for file in spilled.input.files}
    return Manifest(
        format=manifests.FORMAT,
        rules=spilled.job.rules,
        fhir_version=spilled.job.version,
        resources=spilled.resources,
        patients=sum(part.patients for part in parts),
        events=sum(part.events for part in parts),
        stays=sum(part.stays for part in parts),
        concepts=tuple(sorted({concept for part in parts for concept in part.concepts})),
        parts=tuple(_files(part) for part in parts),
        input=(
            *(InputFile(name=name, bytes=file.stat().st_size) for file, name in names.items()),
            *(InputFile(name=name, ignored=why) for name, why in spilled.input.ignored),
        ),
        faults=spilled.faults.files,
    )


def _files(part: Part) -> PartFiles:
    return PartFiles(
        name=part_name(part.number),
        patients=part.patients,
        events=part.events,
        stays=part.stays,
        events_bytes=part.events_bytes,
        stays_bytes=part.stays_bytes,
    )
