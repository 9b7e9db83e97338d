"""Gathering: a source is read once, by the Reader that reads for training and serving, and added up on the way.

What was read is settled (`features.reading.settle`) in parts of `PART_RESOURCES` resources, so that memory does not
grow with the source. Within a part a correction replaces what it corrects; across parts both count, and a report in
another part lends an Observation no time. A source that fits into one part is read as `bedside extract` reads it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from features.coverage.measured import Measured
from features.coverage.seen import Seen
from features.coverage.sketches import hashes_of
from features.files.sources import Broken, SourceError, read_ndjson, read_pages
from features.reading.fhir import Resource
from features.reading.interpreter import Interpreter
from features.reading.reader import Reader
from features.reading.settle import settle
from features.reading.statements import Instances, Referral, Statements
from features.reading.versions import FhirVersion
from features.refusals import Refusals

PART_RESOURCES = 250_000
MOST_WAITING = 250_000
"""References to Medications and Locations that may yet come; what waits beyond them is refused as unresolved."""
SHOWN_FAULTS = 20
_STEP = 2_048  # resources read at once: enough for the reader to be fast, few enough to stay in the processor's cache


@dataclass(slots=True, kw_only=True)
class Faults:
    """What could not be read.

    Attributes:
        lines: how many lines, or resources of a Bundle, are broken.
        shown: the first of them.
        files: files that break off or cannot be opened, as a sentence that names them.
    """

    lines: int = 0
    shown: list[Broken] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    def add(self, broken: Broken) -> None:
        """Take note of a broken line."""
        self.lines += 1
        if len(self.shown) < SHOWN_FAULTS:
            self.shown.append(broken)

    def __bool__(self) -> bool:
        return bool(self.lines or self.files)


class Gatherer:
    """Reads files or pages and adds up what they hold.

    Args:
        interpreter: of the vocabulary to look for.
        version: of FHIR, as the source says it.
        part_resources: after how many resources what was read is settled.

    Attributes:
        measured: what became events.
        seen: codes, units and numbers.
        refusals: what did not become events.
        faults: what could not be read at all.
        resources: how many were read.
        parts: in how many parts they were settled.
    """

    def __init__(
        self, interpreter: Interpreter, *, version: FhirVersion = "R4", part_resources: int = PART_RESOURCES
    ) -> None:
        self.interpreter = interpreter
        self.version: FhirVersion = version
        self.seen = Seen(interpreter)
        self.measured = Measured(interpreter.vocabulary)
        self.refusals = Refusals()
        self.faults = Faults()
        self.resources = 0
        self.parts = 0
        self._reader = Reader(interpreter, version=version, observer=self.seen)
        self._part_resources = part_resources
        self._unsettled = 0
        self._known = Statements(
            patients=[], concepts=interpreter.concepts, instances=Instances(), refusals=Refusals()
        )  # its directory and specimens are those of all parts
        self._waiting: list[Statements] = []
        self._has_demands = any(code.specimen for concept in interpreter.vocabulary for code in concept.codes)

    def read_file(self, file: Path, *, on_bytes: Callable[[int], None] | None = None) -> None:
        """Read one file; one that breaks off is a fault, and what stands before that is read."""
        try:
            self.read(read_ndjson(file, self.refusals, on_broken=self.faults.add, on_bytes=on_bytes))
        except SourceError as error:
            self.faults.files.append(str(error))

    def read_pages(self, pages: Iterable[bytes]) -> None:
        """Read the pages of a search."""
        self.read(read_pages(pages, self.refusals))

    def read(self, resources: Iterable[Resource]) -> None:
        """Read resources."""
        for some in _batches(resources, _STEP):
            self._reader.read(some)
            self._unsettled += len(some)
            if self._unsettled >= self._part_resources:
                self._settle_part()

    def finish(self) -> None:
        """Settle what is left; nothing may be read after it."""
        self._settle_part()
        waiting, self._waiting = self._waiting, []
        for said in waiting:
            self._settle(said)

    def _settle_part(self) -> None:
        said = self._reader.take()
        self.parts += bool(self._unsettled)
        self._unsettled = 0
        hashes = hashes_of(said.patients)
        self._known.directory.update(said.directory)
        if self._has_demands:
            self._known.specimens.update(said.specimens)
        self.measured.everyone.see(hashes)
        self.seen.fold(hashes)
        said, later = _set_aside(said, self._known)
        if later is not None and sum(len(one.instances) for one in self._waiting) < MOST_WAITING:
            self._waiting.append(later)
        elif later is not None:
            self._settle(later)
        self._settle(said)

    def _settle(self, said: Statements) -> None:
        said = replace(said, directory=self._known.directory, specimens=self._known.specimens or said.specimens)
        self.seen.refer(said.medications, said.instances.patient)
        self.seen.fold(hashes_of(said.patients))
        record = settle(said)
        self.resources += record.resources
        self.refusals.update(record.refusals)
        self.measured.add(record.events, hashes_of(record.events.patients))


def _batches(resources: Iterable[Resource], size: int) -> Iterator[list[Resource]]:
    iterator = iter(resources)
    while some := list(islice(iterator, size)):
        yield some


def _set_aside(said: Statements, known: Statements) -> tuple[Statements, Statements | None]:
    """What can be settled now, and what refers to Medications or Locations that were not seen yet."""
    medications = [one for one in said.medications if one.reference not in known.directory]
    locations = [one for one in said.locations if one.reference not in known.directory]
    if not medications and not locations:
        return said, None
    numbers: dict[int, int] = {}
    later = Statements(
        patients=said.patients,
        concepts=said.concepts,
        instances=Instances(),
        refusals=Refusals(),
        medications=[_renumbered(one, numbers) for one in medications],
        locations=[_renumbered(one, numbers) for one in locations],
    )
    for name in Instances.__slots__:
        column = getattr(said.instances, name)
        getattr(later.instances, name).extend(column[number] for number in numbers)
    now = replace(
        said,
        medications=[one for one in said.medications if one.reference in known.directory],
        locations=[one for one in said.locations if one.reference in known.directory],
    )
    return now, later


def _renumbered(referral: Referral, numbers: dict[int, int]) -> Referral:
    return referral._replace(instance=numbers.setdefault(referral.instance, len(numbers)))
