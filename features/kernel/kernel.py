"""The feature kernel: events and index times in, the feature matrix out; for one patient and for a million.

Index times are sorted by patient and worked through in chunks. For each chunk, every (concept, window) of every index
time becomes one range [lo, hi) of the sorted events, found by binary search on one integer key, and every aggregation
is a few array operations over all ranges at once.

Memory beside the events: see `Kernel.peak_bytes`. What does not fit into memory, events included, is computed in
parts of whole patients, with `Kernel.stream`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import compress, groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.events import Events
from features.feature import Aggregate, Difference, FeatureSet, Ratio, operands
from features.kernel.aggregations import AGGREGATIONS, Floats, Ints, Numbers, Ranges
from features.kernel.search import BLOCK_EVENTS, Block, Positions, Shares, Window, Windows, known_only

CHUNK_ROWS = 8_192


def compute(events: Events, index_patients: Ints, index_times: Ints, features: FeatureSet) -> NDArray[np.float32]:
    """The feature matrix at the given index times; see `Kernel.compute`."""
    return Kernel(features).compute(events, index_patients, index_times)


class Step(NamedTuple):
    """Neighbouring rows of aggregates that one function fills."""

    fill: Callable[[Ranges], Numbers]
    rows: slice
    windows: Positions | slice  # of each row; as a slice where they are neighbours too, which copies nothing


class Pairs(NamedTuple):
    """Features made of two aggregates: their columns, and the rows of the first and second aggregates."""

    columns: Positions
    first: Positions
    second: Positions


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """A feature set, compiled: which windows to search, which function fills which row, and what becomes of the rows.

    Rows are the aggregates that the features are made of, each once, sorted by aggregation and window. Windows that
    are used alike are neighbours, so that most aggregations find theirs side by side.
    """

    features: FeatureSet
    concepts: tuple[str, ...]
    windows: Windows
    row_windows: Positions  # [R], into windows
    row_fewest: Ints  # [R, 1], how many events make the number,
    row_without: Floats  # [R, 1], and the number where there are fewer
    expanded: Ints  # [W], how many rows lay out all events of a window
    steps: tuple[Step, ...]
    column_rows: Positions  # [F], the row that is the column; 0 where the column is made of two
    ratios: Pairs
    differences: Pairs

    def __init__(self, features: FeatureSet) -> None:
        order = list(AGGREGATIONS)
        parts = dict.fromkeys(part for feature in features for part in operands(feature))
        numbers = _windows(parts)
        ordered = sorted(parts, key=lambda part: (order.index(part.aggregation), numbers[Window.of(part)]))
        rows = {part: i for i, part in enumerate(ordered)}
        row_windows = np.array([numbers[Window.of(part)] for part in rows], np.intp)
        expands = np.array([AGGREGATIONS[part.aggregation].expands for part in rows])
        compiled = {
            "features": features,
            "concepts": features.concepts,
            "windows": Windows.of(list(numbers), features.concepts),
            "row_windows": row_windows,
            "row_fewest": np.array([[AGGREGATIONS[part.aggregation].fewest] for part in rows], np.int64),
            "row_without": np.array([[AGGREGATIONS[part.aggregation].without] for part in rows], np.float64),
            "expanded": np.bincount(row_windows[expands], minlength=len(numbers)),
            "steps": tuple(_steps(rows, row_windows)),
            "column_rows": np.array([rows[part] if isinstance(part, Aggregate) else 0 for part in features], np.intp),
            "ratios": _pairs(features, rows, Ratio),
            "differences": _pairs(features, rows, Difference),
        }
        for name, value in compiled.items():
            object.__setattr__(self, name, value)

    def compute(
        self, events: Events, index_patients: Ints, index_times: Ints, *, threads: int = 1
    ) -> NDArray[np.float32]:
        """Compute the features of each index time from the events known by then.

        An event counts if its time and the time it became known are not after the index time, and its time lies in
        the window. The same row gives the same bits, alone or among a million, with one thread or with many.

        Args:
            events: of any number of patients.
            index_patients: int[N], into `events.patients`.
            index_times: int64[N], UTC microseconds.
            threads: how many work at once; more than one pays from some ten thousand index times on.

        Returns:
            float32[N, F] in the order of the feature set; NaN where there was nothing to compute from.

        Raises:
            ValueError: the two index arrays differ in length, a patient is not in the events, or a window is
                thousands of years long.
        """
        patients = np.asarray(index_patients, np.int64)
        times = np.asarray(index_times, np.int64)
        _check_index(patients, times, len(events.patients))
        result = np.empty((len(times), len(self.features)), np.float32)
        if not len(times):
            return result
        order = None
        if len(times) > 1:
            order = np.lexsort((times, patients))
            patients, times = patients[order], times[order]
        job = _Job(events, Shares.of(events, self.concepts), patients, times, order, result)
        chunks = [slice(start, min(start + CHUNK_ROWS, len(times))) for start in range(0, len(times), CHUNK_ROWS)]
        if threads == 1 or len(chunks) == 1:
            for rows in chunks:
                self._fill(job, rows)
        else:
            with ThreadPoolExecutor(threads) as pool:
                for _ in pool.map(lambda rows: self._fill(job, rows), chunks):
                    pass
        return result

    def stream(self, parts: Iterable["Part"], *, threads: int = 1) -> Iterator[NDArray[np.float32]]:
        """Compute one part after the other, each of whole patients; only the current one needs to be in memory.

        Beside it the ids of the patients are kept, some 100 bytes each, to notice one who comes again.

        Raises:
            ValueError: a patient comes in two parts, so that windows would be cut; or see `compute`.
        """
        earlier: set[str] = set()
        for number, part in enumerate(parts, start=1):
            patients = part.patients()
            again = len(earlier & patients)
            if again:
                raise ValueError(
                    f"Part {number}: expected patients who were in no part before, got {again} who were; "
                    "partition the events by patient."
                )
            earlier |= patients
            yield self.compute(part.events, part.index_patients, part.index_times, threads=threads)

    def peak_bytes(self, index_times: int, *, patient_events: int, threads: int = 1) -> int:
        """The most memory that `compute` takes beside the events and the index times given to it, the result included.

        For N index times, F features of A aggregates over W windows, and T threads it is

            N × (4 F + 64) + T × (C × (96 W + 56 A + 24 F) + 80 × (B + L))

        bytes. C = min(N, `CHUNK_ROWS`) index times make a chunk; B = max(`BLOCK_EVENTS`, E) are the events of a block,
        with E those of the patient who has most; and L = `BLOCK_EVENTS` + E × (W + slopes + distinct counts) are
        those laid out one behind the other for slopes, distinct counts and results known late. It does not depend on
        how many events there are.

        Args:
            index_times: N.
            patient_events: E.
            threads: T.
        """
        features, aggregates, windows = len(self.features), len(self.row_windows), len(self.expanded)
        chunk = min(index_times, CHUNK_ROWS)
        block = max(BLOCK_EVENTS, patient_events)
        laid_out = BLOCK_EVENTS + patient_events * int((self.expanded + 1).sum())
        each = chunk * (96 * windows + 56 * aggregates + 24 * features) + 80 * (block + laid_out)
        return index_times * (4 * features + 64) + threads * each

    def _fill(self, job: "_Job", rows: slice) -> None:
        """Fill rows of the result; in halves where they have too many events, or too wide a key, for one block."""
        patients, times = job.patients[rows], job.times[rows]
        block = Block.of(job.events, job.shares, int(patients[0]), int(patients[-1]))
        ranges = None if block is None else block.find(self.windows, patients, times)
        if block is not None and ranges is not None:
            for portion in self._portions(ranges, late=block.has_late):
                own = ranges.at_times(portion)
                own = known_only(own, block.known) if block.has_late else own
                job.result[job.places(rows.start + portion.start, rows.start + portion.stop)] = self._matrix(own).T
            return
        if len(times) == 1:
            raise ValueError(
                "Expected windows that span centuries at most; look for a wrong index time, or a wrong start of a stay."
            )
        middle = (rows.start + rows.stop) // 2
        self._fill(job, slice(rows.start, middle))
        self._fill(job, slice(middle, rows.stop))

    def _portions(self, ranges: Ranges, *, late: bool) -> Iterator[slice]:
        """Index times in pieces that lay out `BLOCK_EVENTS` events, those of the last index time more, or fewer."""
        times = len(ranges.at)
        if times == 1 or not (late or self.expanded.any()):
            yield slice(0, times)
            return
        laid_out = np.cumsum((self.expanded + late) @ ranges.size)
        pieces = laid_out // BLOCK_EVENTS
        edges = np.flatnonzero(pieces[1:] > pieces[:-1]) + 1
        yield from map(slice, [0, *edges.tolist()], [*edges.tolist(), times])

    def _matrix(self, windows: Ranges) -> Floats:
        """The features [F, N]."""
        work: Floats = np.empty((len(self.row_windows), len(windows.at)), np.float64)
        previous, ranges = None, windows
        for fill, rows, of_rows in self.steps:
            if of_rows is not previous:  # aggregations of the same windows share them
                bounds = windows.bounds
                own = bounds[of_rows] if isinstance(of_rows, slice) else bounds.take(of_rows, axis=0)
                previous, ranges = of_rows, Ranges(own, *windows[1:])
            work[rows] = fill(ranges)
        np.copyto(work, self.row_without, where=windows.size.take(self.row_windows, axis=0) < self.row_fewest)
        matrix = work.take(self.column_rows, axis=0)
        if len(self.ratios.columns):
            denominator = work.take(self.ratios.second, axis=0)
            denominator[denominator == 0] = np.nan
            matrix[self.ratios.columns] = work.take(self.ratios.first, axis=0) / denominator
        if len(self.differences.columns):
            first, second = self.differences.first, self.differences.second
            matrix[self.differences.columns] = work.take(first, axis=0) - work.take(second, axis=0)
        return matrix


class Part(NamedTuple):
    """What `Kernel.stream` takes: all events of some patients, and their index times, as for `Kernel.compute`."""

    events: Events
    index_patients: Ints
    index_times: Ints

    def patients(self) -> set[str]:
        """The ids of the patients who have an event or an index time."""
        _check_index(self.index_patients, self.index_times, len(self.events.patients))
        occurs = np.zeros(len(self.events.patients), np.bool_)
        occurs[self.events.patient] = True
        occurs[self.index_patients] = True
        return set(compress(self.events.patients, occurs.tolist()))


class _Job(NamedTuple):
    """What all chunks of one call share; index times [N] sorted by (patient, time), and where they came from."""

    events: Events
    shares: Shares
    patients: Ints
    times: Ints
    order: Positions | None  # None: they came sorted
    result: NDArray[np.float32]

    def places(self, start: int, stop: int) -> Positions | slice:
        """The rows of the result for some neighbouring index times."""
        return slice(start, stop) if self.order is None else self.order[start:stop]


def _check_index(patients: Ints, times: Ints, known_patients: int) -> None:
    if patients.shape != times.shape or patients.ndim != 1:
        raise ValueError(f"Expected two arrays [N], got index_patients {patients.shape} and index_times {times.shape}.")
    # A negative one is large without its sign.
    if np.count_nonzero(np.asarray(patients, np.int64).view(np.uint64) >= known_patients):
        raise ValueError(f"Expected index_patients in 0..{known_patients - 1}; one is outside.")


def _windows(parts: Iterable[Aggregate]) -> dict[Window, int]:
    """The windows, numbered so that those of which the same aggregations are asked are neighbours."""
    asked: dict[Window, set[str]] = {}
    for part in parts:
        asked.setdefault(Window.of(part), set()).add(part.aggregation)
    often = Counter(aggregation for found in asked.values() for aggregation in found)
    common = sorted(often, key=lambda aggregation: (-often[aggregation], aggregation))
    ordered = sorted(asked, key=lambda window: [aggregation in asked[window] for aggregation in common])
    return {window: number for number, window in enumerate(ordered)}


def _steps(rows: dict[Aggregate, int], row_windows: Positions) -> Iterator[Step]:
    slices: dict[tuple[int, int], slice] = {}
    for aggregation, group in groupby(rows, key=lambda part: part.aggregation):
        numbers = [rows[part] for part in group]
        of_rows = slice(numbers[0], numbers[-1] + 1)
        windows = row_windows[of_rows]
        ends = int(windows[0]), int(windows[-1]) + 1
        are_neighbours = windows.tolist() == list(range(*ends))
        of_windows = slices.setdefault(ends, slice(*ends)) if are_neighbours else windows
        yield Step(AGGREGATIONS[aggregation].fill, of_rows, of_windows)


def _pairs(features: FeatureSet, rows: dict[Aggregate, int], kind: type[Ratio | Difference]) -> Pairs:
    found = [
        (column, *(rows[part] for part in operands(feature)))
        for column, feature in enumerate(features)
        if isinstance(feature, kind)
    ]
    return Pairs(*np.array(found, np.intp).reshape(-1, 3).T)
