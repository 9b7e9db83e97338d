"""Instants: many FHIR times at once as UTC microseconds; what is written in a rarer way is left to `features.times`.

The results of a panel, a visit or an export are written by one program, in one form. A whole column of one form is
compared with it and converted in a few array operations, some twenty times as fast as one text after the other, and
no time of a patient is remembered from one call to the next.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features import times

MICROSECONDS_PER_SECOND = 1_000_000

MINUTES, SECONDS = len("2026-11-24T05:13"), len("2026-11-24T05:13:00")
MICROSECONDS = SECONDS + len(".123456")
LONGEST_CLOCK = SECONDS + len(".123456789")
MOST_FORMS = 64  # there are 22, and what is no instant

# The characters allowed: from a first one on, so many more. Years 1000 to 2999 alone: they need no check of bounds.
_DIGIT, _POINT = (ord("0"), 9), (ord("."), 0)
_SIGN = (ord("+"), 2)  # plus, comma, minus; a comma is found out with the offset
_CLOCK = [(ord("1"), 1) if i == 0 else _DIGIT if c == "0" else (ord(c), 0) for i, c in enumerate("0000-00-00T00:00:00")]
_OFFSET = [_SIGN, _DIGIT, _DIGIT, (ord(":"), 0), _DIGIT, _DIGIT]

_DATETIME = np.dtype("datetime64[us]")

Times = NDArray[np.int64]


class _Form(NamedTuple):
    """How all texts of one length that end alike are written, and where their parts stand."""

    first: NDArray[np.uint8]
    more: NDArray[np.uint8]
    layout: np.dtype[np.void]  # the time of day and date, to the microsecond, and the offset


def instants(texts: Sequence[str]) -> tuple[Times, list[int]]:
    """The UTC microseconds [N] of FHIR instants, and the positions of texts that must be looked at singly.

    What stands at those positions means nothing: the text is a date, is written in a rarer way, or is no time at all.
    For all others it is what `features.times.parse` says.
    """
    lengths = list(map(len, texts))
    different = set(lengths)
    if len(different) == 1:
        return _of_one_length(texts)
    found, singly = np.zeros(len(texts), np.int64), list[int]()
    for length in different:
        positions = [i for i, one in enumerate(lengths) if one == length]
        found[positions], odd = _of_one_length([texts[i] for i in positions])
        singly += [positions[i] for i in odd]
    return found, sorted(singly)


def _of_one_length(texts: Sequence[str]) -> tuple[Times, list[int]]:
    """As `instants`, for one or more texts of one length."""
    form, joined = _form(len(texts[0]), texts[0][-1:] == "Z"), "".join(texts)
    if form is None or not joined.isascii():
        return _all_singly(len(texts))
    characters = np.frombuffer(joined.encode(), np.uint8).reshape(len(texts), -1)
    fits = characters - form.first <= form.more  # what comes before the first wraps around and is far too much
    if np.count_nonzero(fits) == fits.size:  # as nearly always
        converted = _converted(characters.view(form.layout)[:, 0])
        return _all_singly(len(texts)) if converted is None else (converted, [])
    usual = fits.all(axis=1)
    converted = _converted(characters[usual].view(form.layout)[:, 0]) if usual.any() else None
    found, singly = _all_singly(len(texts))
    if converted is None:
        return found, singly
    found[usual] = converted
    return found, np.flatnonzero(~usual).tolist()


def _all_singly(texts: int) -> tuple[Times, list[int]]:
    return np.zeros(texts, np.int64), list(range(texts))


def _converted(written: NDArray[np.void]) -> Times | None:
    """The times; None where a month, an hour or an offset is none: which it is shows when they are read singly."""
    try:
        found: Times = written["clock"].astype(_DATETIME).view(np.int64)
        ahead = _offsets(written["zone"])
        if not isinstance(ahead, int) or ahead:
            found -= ahead
    except ValueError:
        return None
    return found


def _offsets(zones: NDArray[np.bytes_]) -> Times | int:
    """How far each offset is ahead of UTC, in microseconds; one number where all are the same."""
    first = zones[0].item()
    if zones.tobytes() == first * len(zones):
        return times.offset_seconds(first.decode()) * MICROSECONDS_PER_SECOND
    known = {zone: times.offset_seconds(zone.decode()) * MICROSECONDS_PER_SECOND for zone in set(zones.tolist())}
    return np.array(list(map(known.__getitem__, zones.tolist())))


@lru_cache(maxsize=MOST_FORMS)
def _form(length: int, is_utc: bool, /) -> _Form | None:  # noqa: FBT001 - by name, its remembering takes longer
    """The form of texts of a length; None where no instant is that long."""
    zone = len("Z") if is_utc else times.OFFSET
    clock = length - zone
    if clock not in (MINUTES, SECONDS) and not SECONDS + len(".1") <= clock <= LONGEST_CLOCK:
        return None
    allowed = [*_CLOCK[:clock], *([_POINT] if clock > SECONDS else []), *[_DIGIT] * (clock - SECONDS - 1)]
    first, more = np.array(allowed + ([(ord("Z"), 0)] if is_utc else _OFFSET), np.uint8).T.copy()
    cut_off = [("beyond", f"S{clock - MICROSECONDS}")] if clock > MICROSECONDS else []
    return _Form(first, more, np.dtype([("clock", f"S{min(clock, MICROSECONDS)}"), *cut_off, ("zone", f"S{zone}")]))
