"""A job: what all tasks of one extraction share, and the memory that it may take."""

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

from features.files.blocks import Share, shares
from features.files.compressed import SUFFIXES
from features.files.sources import find_files
from features.reading.interpreter import load_interpreter
from features.reading.versions import FhirVersion
from training.dataset import DatasetError

DEFAULT_MEMORY_BYTES = 2**30
LEAST_MEMORY_BYTES = 2**26
MULTIPLES = {"M": 2**20, "G": 2**30}
PLAIN_PER_COMPRESSED = 20
"""Bytes of NDJSON per compressed byte, rather too many than too few (with gzip: Synthea 13, MIMIC-IV demo 17)."""
SETTLED_PER_READ = 2
"""Bytes of memory for settling a partition per byte of its NDJSON: 1.0 was measured where every Observation is an event
(docs/scale.md), and as much again is left for partitions that are larger than others."""

SEGMENTS_PER_MEMORY = 8
"""A segment is spilled after an eighth of the memory in bytes of NDJSON: its statements take about half of it."""

SMALLEST_RANGE = 2**20
RANGES_PER_WORKER = 8  # so that no worker waits long for the last one


class JobError(DatasetError):
    """A task cannot be done where it was sent; the message says why."""


@cache
def reading_rules() -> str:
    """Which Bedside reads, and with which vocabulary: what must be the same wherever the tasks of a job run."""
    vocabulary = hashlib.sha256(repr(tuple(load_interpreter().vocabulary)).encode()).hexdigest()
    return f"{version('bedside')} with vocabulary {vocabulary[:12]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What every task of an extraction is told.

    Attributes:
        spill: folder for what is read and not yet settled, seen by all workers.
        target: folder for the parts.
        partitions: of patients.
        segment_bytes: how many bytes of NDJSON are read before what they state is spilled.
        version: of FHIR.
        rules: `reading_rules` of who sends out the tasks.
    """

    spill: Path
    target: Path
    partitions: int
    segment_bytes: int
    version: FhirVersion
    rules: str

    def check(self) -> None:
        """Look whether this process can do tasks of the job.

        Raises:
            JobError: it has other rules of reading, or does not see the folder of the job.
        """
        if self.rules != reading_rules():
            raise JobError(
                f"Expected a worker with Bedside {self.rules}, this one has {reading_rules()}: install alike."
            )
        if not self.spill.is_dir():
            raise JobError(f"{self.spill}: expected a folder that every worker sees; this one does not.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadTask:
    """A share to read: its place in the order of all, and what its file is called in messages."""

    number: int
    name: str
    share: Share
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """What is read: the tasks in the order in which the source lists its files, and what else lies there."""

    files: tuple[Path, ...]
    tasks: tuple[ReadTask, ...]
    ignored: tuple[tuple[str, str], ...]
    bytes: int
    plain_bytes: int


def survey(source: Path, *, workers: int, largest_range: int) -> Input:
    """What there is to read.

    Raises:
        SourceError: nothing, or a file cannot be opened.
    """
    found = find_files(source)
    sizes = {file: file.stat().st_size for file in found.files}
    total = sum(sizes.values())
    range_bytes = max(SMALLEST_RANGE, min(largest_range, total // (RANGES_PER_WORKER * workers)))
    tasks = tuple(
        ReadTask(
            number=number,
            name=share.file.name if share.file == source else share.file.relative_to(source).as_posix(),
            share=share,
            bytes=(sizes[share.file] if share.stop is None else share.stop) - share.start,
        )
        for number, share in enumerate(shares(found.files, range_bytes=range_bytes))
    )
    return Input(
        files=found.files,
        tasks=tasks,
        ignored=tuple((one.name, one.why) for one in found.ignored),
        bytes=total,
        plain_bytes=sum(size * (PLAIN_PER_COMPRESSED if _is_compressed(file) else 1) for file, size in sizes.items()),
    )


def partitions_for(plain_bytes: int, memory_bytes: int) -> int:
    """How many partitions keep the settling of one within a process's memory.

    It depends on the input and the budget alone, not on who does the work: so does the cut of the result.
    """
    return max(1, -(-plain_bytes * SETTLED_PER_READ // memory_bytes))


def memory_bytes(text: str) -> int:
    """An amount of memory such as 512M or 4G, in bytes.

    Raises:
        JobError: it is none, or too little to work with.
    """
    found = re.fullmatch(r"(\d+)([MG])i?B?", text.strip(), re.IGNORECASE)
    if found is None or (amount := int(found[1]) * MULTIPLES[found[2].upper()]) < LEAST_MEMORY_BYTES:
        raise JobError(
            f"Expected an amount of memory from {LEAST_MEMORY_BYTES // 2**20}M on, such as 512M or 4G, got {text!r}."
        )
    return amount


def _is_compressed(file: Path) -> bool:
    return file.name.endswith(tuple(SUFFIXES))
