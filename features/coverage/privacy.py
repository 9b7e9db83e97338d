"""Privacy: which counts may be told."""

from dataclasses import dataclass

from features.coverage.report import FEW, Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Privacy:
    """Withholds counts below `smallest`, and what fewer patients than that have in common; 1 withholds nothing."""

    smallest: int

    def count(self, number: int, *, of: int | None = None) -> Count:
        """A count as it may be told; `of`: of how many patients, where they are known."""
        is_small = 0 < number < self.smallest or (of is not None and 0 < of < self.smallest)
        return FEW if number and is_small else number

    def tells(self, number: int) -> bool:
        """Whether there are enough of something to be told what it is."""
        return number >= self.smallest
