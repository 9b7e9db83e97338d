"""Reading a share: its resources become statements, which are spilled by patient; its faults are named."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from features.files.blocks import Block, SourceError, first_line_of, read_blocks
from features.files.sources import read_singly
from features.reading.fhir import Resource
from features.reading.interpreter import load_interpreter
from features.reading.reader import Reader
from features.refusals import Refusal, Refusals
from training.extract.faults import MOST_BROKEN, FileFaults
from training.extract.job import Job, ReadTask
from training.extract.portions import cut_by_patient
from training.extract.references import cut_by_reference
from training.extract.spill import segment_name, write_blobs

BLOCK_BYTES = 2**18  # small enough for what is decoded to stay in the processor's cache: the fastest by trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What became of a share.

    Attributes:
        number: of the share.
        segments: names of the spill files, in order.
        resources: how many were read.
        refusals: what was refused in reading.
        faults: of the file, in this share.
        references: how many were asked for.
        spilled: bytes.
    """

    number: int
    segments: tuple[str, ...]
    resources: int
    refusals: tuple[tuple[Refusal, int], ...]
    faults: FileFaults
    references: int
    spilled: int


def read_share(job: Job, task: ReadTask, *, on_bytes: Callable[[int], None] | None = None) -> Reading:
    """Read a share and spill what it states: a pure function, which may run twice, and writes the same then.

    Args:
        job: of which it is a part.
        task: what to read.
        on_bytes: told how many more bytes of the file were consumed.
    """
    job.check()
    share, lines = task.share, _Lines(task.name)
    reader, spilled = Reader(load_interpreter(), version=job.version), _Spill(job, task)
    blocks = read_blocks(share.file, start=share.start, stop=share.stop, block_bytes=BLOCK_BYTES, on_bytes=on_bytes)
    with paused_collector():
        try:
            for block in blocks:
                whole = reader.read_lines(block.data)
                if not whole:
                    reader.read(lines.singly(block, reader.refusals))
                lines.passed(block, whole=whole)
                if spilled.is_due(len(block.data)):
                    spilled.write(reader)
        except SourceError as error:
            lines.damage = str(error)
        spilled.write(reader)
    return spilled.reading(lines.faults())


@contextmanager
def paused_collector() -> Iterator[None]:
    """No search for cyclic garbage: there is none, and it would look through millions of small objects."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _Spill:
    """The segments of a share in the making."""

    def __init__(self, job: Job, task: ReadTask) -> None:
        self._job, self._task = job, task
        self._segments: list[str] = []
        self._refusals = Refusals()
        self._waiting = self._resources = self._references = self._bytes = 0

    def is_due(self, more: int) -> bool:
        """Whether enough was read for a segment."""
        self._waiting += more
        return self._waiting >= self._job.segment_bytes

    def write(self, reader: Reader) -> None:
        """Spill what a reader has read."""
        said = reader.take()
        self._refusals.update(said.refusals)
        self._resources += said.resources
        self._waiting = 0
        if not (said.patients or said.directory or said.specimens):
            return
        name = segment_name(self._task.number, len(self._segments))
        references, wanted = cut_by_reference(said, self._job.partitions)
        blobs = [*cut_by_patient(said, self._job.partitions), *references]
        self._bytes += write_blobs(self._job.spill / name, blobs)
        self._references += wanted
        self._segments.append(name)

    def reading(self, faults: FileFaults) -> Reading:
        """What became of the share."""
        return Reading(
            number=self._task.number,
            segments=tuple(self._segments),
            resources=self._resources,
            refusals=tuple(self._refusals),
            faults=faults,
            references=self._references,
            spilled=self._bytes,
        )


class _Lines:
    """Names broken lines; where a share begins in its file is found out, and lines are counted, only if it must be."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._is_fhir = False
        self._broken = 0
        self._first: list[int] = []
        self._next: int | None = None  # number of the next block's first line
        self.damage: str | None = None

    def singly(self, block: Block, refusals: Refusals) -> Iterator[Resource]:
        """The resources of a block with a line that cannot be decoded."""
        before = self._broken
        yield from read_singly(block.data, refusals, on_broken=lambda line: self._note(block, line))
        self._is_fhir |= self._broken - before < sum(map(bool, map(bytes.strip, block.data.split(b"\n"))))

    def passed(self, block: Block, *, whole: bool) -> None:
        """Go on behind a block, of which all lines were decoded or not."""
        self._is_fhir |= whole and not block.data.isspace()
        if self._next is not None:
            self._next += block.data.count(b"\n")

    def faults(self) -> FileFaults:
        """What was wrong."""
        return FileFaults(
            file=self._name,
            is_fhir=self._is_fhir,
            broken=self._broken,
            first=tuple(self._first),
            damage=self.damage,
        )

    def _note(self, block: Block, line: int) -> None:
        self._broken += 1
        if len(self._first) < MOST_BROKEN:
            if self._next is None:
                self._next = first_line_of(block)
            self._first.append(self._next + line)
