"""Sketches: counts of patients and distributions of numbers in a memory that does not grow with the records."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise
from math import log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Key = tuple[int, ...]


def hashes_of(names: Sequence[str]) -> Hashes:
    """A number of 64 bits for each id, evenly spread, the same in every run."""
    digests = b"".join(blake2b(name.encode(), digest_size=8).digest() for name in names)
    return np.frombuffer(digests, np.uint64)


class PatientCount:
    """How many patients there are: exact up to `size`, from there on to about 1/sqrt(size).

    It keeps the smallest hashes, the largest of which tells how densely they lie (bottom-k sketch, Cohen 1997,
    doi:10.1006/jcss.1997.1534).
    """

    __slots__ = ("hashes", "is_sample", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.is_sample = False
        self.hashes: Hashes = np.empty(0, np.uint64)

    def see(self, hashes: Hashes) -> None:
        """Add patients, who may be known already."""
        distinct = np.union1d(self.hashes, hashes)
        self.is_sample = self.is_sample or len(distinct) > self.size
        self.hashes = distinct[: self.size].copy()

    @property
    def patients(self) -> int:
        """How many patients there are, exact unless `is_sample`."""
        if not self.is_sample:
            return len(self.hashes)
        return round((self.size - 1) / (float(self.hashes[-1]) / 2.0**64))


class PatientSample(PatientCount):
    """Some patients with a count and a latest time: all of them up to `size`, from there on a sample.

    Whoever is in the sample was in it from the first time on, so that what is kept of them is complete.
    """

    __slots__ = ("counts", "latest")

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.counts: Ints = np.empty(0, np.int64)
        self.latest: Ints = np.empty(0, np.int64)

    def add(self, hashes: Hashes, counts: Ints, latest: Ints) -> None:
        """Add counts and times of patients, who may be known already and may occur more than once."""
        joined = np.concatenate((self.hashes, hashes))
        distinct, position = np.unique(joined, return_inverse=True)
        total = np.zeros(len(distinct), np.int64)
        np.add.at(total, position, np.concatenate((self.counts, counts)))
        last = np.full(len(distinct), np.iinfo(np.int64).min)
        np.maximum.at(last, position, np.concatenate((self.latest, latest)))
        self.is_sample = self.is_sample or len(distinct) > self.size
        self.hashes, self.counts, self.latest = distinct[: self.size], total[: self.size], last[: self.size]


_STEP = log(1.05)  # a number is known to 2.5 %
_ZERO_AT = 2_000  # bins of positive numbers begin behind it, those of negative ones mirror them


class Numbers:
    """Distributions of numbers of any size and sign, one per key, in bins that are 5 % wide."""

    def __init__(self) -> None:
        self._bins: defaultdict[Key, Counter[int]] = defaultdict(Counter)

    def add(self, keys: Ints, values: Floats) -> None:
        """Add finite values [N] under keys [K, N]."""
        if not len(values):
            return
        with np.errstate(divide="ignore"):
            size = np.clip(np.round(np.log(np.abs(values)) / _STEP), 1 - _ZERO_AT, _ZERO_AT - 1) + _ZERO_AT
        bins = np.where(values == 0, 0, np.sign(values) * size).astype(np.int64)
        rows, counts = np.unique(np.vstack((keys, bins)), axis=1, return_counts=True)
        for (*key, one), count in zip(rows.T.tolist(), counts.tolist(), strict=True):
            self._bins[tuple(key)][one] += count

    def of(self, keys: Iterable[Key]) -> tuple[Floats, Ints]:
        """The values, ascending, and how often each occurs, of some keys together."""
        total: Counter[int] = sum((self._bins[key] for key in keys if key in self._bins), Counter())
        bins = np.array(sorted(total), np.int64)
        with np.errstate(over="ignore"):
            values = np.sign(bins) * np.exp((np.abs(bins) - _ZERO_AT) * _STEP)
        return values, np.array([total[one] for one in bins.tolist()], np.int64)


def weighted_quantile(values: Floats, counts: Ints, share: float) -> float:
    """The value below which a share of all lies; `values` ascend."""
    reached = np.cumsum(counts)
    return float(values[np.searchsorted(reached, share * reached[-1])])


class Bin(NamedTuple):
    """A bin of a histogram: from, to, and how many values lie in it."""

    low: float
    high: float
    values: int


COARSE = 40
FINE = 400
LOGARITHMIC_FROM = 30.0
"""Where the upper bound is this many times the lower one, bins are equally wide in logarithms."""
DECADES_ABOVE_ZERO = 5
"""From zero, which has no logarithm, up to 1/10^5 of the upper bound is one bin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Counts of values between two bounds, in `FINE` bins."""

    edges: Floats
    counts: Ints

    @classmethod
    def between(cls, low: float, high: float) -> "Histogram":
        """An empty one."""
        if low == 0:
            edges = np.concatenate(([0.0], np.geomspace(high / 10**DECADES_ABOVE_ZERO, high, FINE)))
        elif low > 0 and high / low >= LOGARITHMIC_FROM:
            edges = np.geomspace(low, high, FINE + 1)
        else:
            edges = np.linspace(low, high, FINE + 1)
        return cls(edges=edges, counts=np.zeros(FINE, np.int64))

    def add(self, values: Floats) -> None:
        """Count values within the bounds."""
        bins = np.clip(np.searchsorted(self.edges, values, side="right") - 1, 0, FINE - 1)
        self.counts[:] += np.bincount(bins, minlength=FINE)

    def quantile(self, share: float) -> float:
        """The value below which a share of all lies, to a bin's width; there must be one."""
        reached = np.concatenate(([0], np.cumsum(self.counts)))
        return float(np.interp(share * reached[-1], reached, self.edges))

    def coarse(self) -> list[Bin]:
        """The counts in `COARSE` bins."""
        counts = self.counts.reshape(COARSE, -1).sum(axis=1).tolist()
        edges = pairwise(self.edges[:: FINE // COARSE].tolist())
        return [Bin(low, high, count) for (low, high), count in zip(edges, counts, strict=True)]
