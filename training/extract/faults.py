"""Faults of files: lines that are no FHIR, files that break off, files that hold no FHIR at all."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from features.files.sources import Broken

MOST_BROKEN = 20  # lines named in an error; the count is always whole


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFaults:
    """What was wrong in a file, or in a range of one.

    Attributes:
        file: its name, within the source.
        is_fhir: whether any line is FHIR, of a type that is read or not.
        broken: how many lines are no FHIR.
        first: the numbers of the first broken lines.
        damage: why the rest could not be read, if there is one.
    """

    file: str
    is_fhir: bool
    broken: int = 0
    first: tuple[int, ...] = ()
    damage: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What was wrong in a source: files with faults alone."""

    files: tuple[FileFaults, ...] = ()

    @classmethod
    def of(cls, found: Iterable[FileFaults]) -> "Faults":
        """Of ranges of files, in their order."""
        files: dict[str, FileFaults] = {}
        for one in found:
            files[one.file] = _together(files[one.file], one) if one.file in files else one
        return cls(files=tuple(one for one in files.values() if one.broken or one.damage))

    def __bool__(self) -> bool:
        return bool(self.files)

    def __iter__(self) -> Iterator[Broken]:
        """The lines that are named."""
        return iter([Broken(file=one.file, line=line) for one in self.files for line in one.first][:MOST_BROKEN])

    @property
    def lines(self) -> int:
        """How many lines are no FHIR."""
        return sum(one.broken for one in self.files)

    def describe(self) -> str:
        """What is wrong, in sentences: the first lines by name, files that hold no FHIR, and where files break off."""
        strange = [one for one in self.files if one.broken and not one.is_fhir]
        told = [f"{one.file}: none of its lines is FHIR JSON." for one in strange]
        names = {one.file for one in strange}
        named = ", ".join(f"{one.file}:{one.line}" for one in self if one.file not in names)
        count = sum(one.broken for one in self.files if one.file not in names)
        if count:
            lines = "1 line is" if count == 1 else f"{count:,} lines are"
            told.append(f"{lines} not FHIR JSON: {named}.")
        return " ".join([*told, *(one.damage for one in self.files if one.damage is not None)])


def _together(one: FileFaults, other: FileFaults) -> FileFaults:
    return FileFaults(
        file=one.file,
        is_fhir=one.is_fhir or other.is_fhir,
        broken=one.broken + other.broken,
        first=(one.first + other.first)[:MOST_BROKEN],
        damage=one.damage or other.damage,
    )
