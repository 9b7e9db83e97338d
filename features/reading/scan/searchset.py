"""A searchset as scan.c reads it."""

import ctypes
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from features.compiled import NoLibrary, load_compiled

VERSION = 3
FILE = "_scan.so"
SWITCH = "BEDSIDE_READER"
"""`python` leaves scan.c alone: for comparison, or if it is ever doubted."""

_DONE, _FULL = 0, 2
_HEAD, _COLUMNS, _MEMBER_COLUMNS = 9, 15, 14
_VALUE, _TIME, _KNOWN, _WORDING, _STATER, _ID, _META, _SYSTEM, _NAME, _RESOURCE = 0, 1, 2, 3, 4, 5, 7, 9, 11, 13
LEAST_BYTES = 320  # that a resource of a real server takes; where they are smaller, the pass is made once more
SMALLEST_BYTES = len('{"resource":{}},')
MOST_MEMBERS = 64  # of an object whose members are searchsets
ROOM = 65_536  # bytes for what is said in words, nearly always enough; each wording stands there once
MOST_ROOM = 16_384  # beside the text itself: 1,024 forms of five parts and as many of two, and what parts them
_WITHIN_AT, _IS_SEARCHSET = 6, 4
_NEXT, _ABSENT, _OVER = b"\x00", b"\x01", b"\x02"

_logger = logging.getLogger("bedside.reading")

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Searchset:
    """The resources of a Bundle, and what it says of itself.

    A plain Observation has a quantity, an instant, and nothing else that its value depends on.

    Attributes:
        text: the JSON in which it stands,
        place: and where it stands there.
        type: of the Bundle, None where it says none.
        link: its links as JSON, None where it has none.
        matches: how many entries the search was for; others were included with them.
        wordings: how the plain Observations say what they measure, each wording once: see `parts`.
        wording: int64[N], into wordings, by plain Observation.
        staters: of whom they state it, and as what: subject and status.
        stater: int64[N], into staters.
        value: float64[N], as it was sent; NaN where a quantity has no value.
        time: int64[N], UTC microseconds, when it was measured.
        known: int64[N], when it was issued, if that is later; `time` itself where none was.
        others: the JSON of all other resources.
    """

    text: bytes
    place: slice
    type: str | None
    link: bytes | None
    matches: int
    wordings: Sequence[bytes]
    wording: Numbers
    staters: Sequence[bytes]
    stater: Numbers
    value: NDArray[np.float64]
    time: Numbers
    known: Numbers
    others: tuple[msgspec.Raw, ...]
    _places: Numbers

    def __len__(self) -> int:
        return len(self.wording)

    def __bytes__(self) -> bytes:
        return self.text[self.place]

    @property
    def entries(self) -> int:
        """How many resources it holds."""
        return len(self) + len(self.others)

    def resources(self, positions: Numbers) -> list[msgspec.Raw]:
        """The JSON of plain Observations."""
        text, (at, end) = self.text, self._places[_RESOURCE : _RESOURCE + 2, positions].tolist()
        return [msgspec.Raw(text[i:j]) for i, j in zip(at, end, strict=True)]

    def ids(self, positions: Numbers | slice) -> list[str | None]:
        """The ids of plain Observations."""
        return self._words(_ID, positions)

    def identifiers(self, positions: Numbers | slice) -> list[str | None]:
        """The business identifiers of plain Observations, `system|value`."""
        names = self._words(_NAME, positions)
        if names.count(None) == len(names):
            return names
        pairs = zip(self._words(_SYSTEM, positions), names, strict=True)
        return [None if name is None else f"{system}|{name}" for system, name in pairs]

    def metas(self, positions: Numbers | slice) -> list[bytes | None]:
        """The `meta` of plain Observations as JSON: few of them are ever looked at."""
        text, (at, end) = self.text, self._places[_META : _META + 2, positions].tolist()
        return [None if i < 0 else text[i:j] for i, j in zip(at, end, strict=True)]

    def _words(self, column: int, positions: Numbers | slice) -> list[str | None]:
        text, (at, end) = self.text, self._places[column : column + 2, positions].tolist()
        if at and max(at) < 0:
            return [None] * len(at)
        return [None if i < 0 else text[i:j].decode() for i, j in zip(at, end, strict=True)]


Page: TypeAlias = bytes | msgspec.Raw | Searchset
"""A Bundle or a single resource, as JSON or read already."""


def text_of(page: Page) -> bytes | msgspec.Raw:
    """The JSON."""
    return bytes(page) if isinstance(page, Searchset) else page


def scan(raw: bytes | msgspec.Raw) -> Searchset | None:
    """Read a Bundle in one pass; None where it must be read the other way.

    That is so without the compiled code, for a single resource, and for whatever is not surely well formed, or has
    addresses of its own: the other way says what is wrong with it.
    """
    found = _scanned(bytes(raw), None)
    if found is None:
        return None
    (member,) = found.members()
    return member.value if isinstance(member.value, Searchset) else None


class Within(NamedTuple):
    """A JSON object of whose members one was read.

    Attributes:
        rest: the object, with an empty one in that member's place.
        values: what was in it, by name.
        braces: how many of them open in all; no fewer than there are objects.
    """

    rest: bytes
    values: dict[str, msgspec.Raw | Searchset]
    braces: int


def scan_within(body: bytes, name: str) -> Within | None:
    """Read the members of the object under a name in a JSON object, those that are searchsets as `scan` does.

    None where that is not possible; a name that is there twice is among the reasons.
    """
    found = _scanned(body, name)
    if found is None:
        return None
    at, end, braces = found.head[_WITHIN_AT:].tolist()
    members = list(found.members())
    values = {member.name: member.value for member in members}
    return Within(body[:at] + b"{}" + body[end:], values, braces) if len(values) == len(members) else None


def parts(key: bytes) -> list[bytes | None]:
    """The parts of a wording or of a stater; None where there is none.

    Of a wording: its code as JSON; unit, system, code and comparator of its quantity. Of a stater: the subject as JSON;
    the status.
    """
    return [None if part == _ABSENT else part for part in key.split(_NEXT)]


class _Member(NamedTuple):
    name: str
    value: msgspec.Raw | Searchset


class _Found(NamedTuple):
    """What scan.c wrote."""

    text: bytes
    result: int
    head: Numbers
    buffer: Numbers
    found: Numbers
    keys: NDArray[np.uint8]

    def members(self) -> Iterator[_Member]:
        """Each member, in order."""
        _, wordings, _, _, used, members, *_ = self.head.tolist()
        said = self.keys[:used].tobytes().split(_OVER)
        words = said[:wordings], said[wordings:-1]
        for place in self.found[:members].tolist():
            name = "" if place[0] < 0 else self.text[place[0] : place[1]].decode()
            if place[_IS_SEARCHSET]:
                yield _Member(name, self._searchset(place[2:], *words))
            else:
                yield _Member(name, msgspec.Raw(self.text[place[2] : place[3]]))

    def _searchset(self, member: list[int], wordings: Sequence[bytes], staters: Sequence[bytes]) -> Searchset:
        at, end, _, first, last, *rest = member
        first_other, last_other, matches, type_at, type_end, link_at, link_end = rest
        text, columns = self.text, self.buffer[:_COLUMNS, first:last]
        elsewhere = self.buffer[_COLUMNS:].reshape(-1)[2 * first_other : 2 * last_other].tolist()
        time, known = columns[_TIME], columns[_KNOWN]
        return Searchset(
            text=text,
            place=slice(at, end),
            type=None if type_at < 0 else text[type_at:type_end].decode(),
            link=None if link_at < 0 else text[link_at:link_end],
            matches=matches,
            wordings=wordings,
            wording=columns[_WORDING],
            staters=staters,
            stater=columns[_STATER],
            value=columns[_VALUE].view(np.float64),
            time=time,
            known=time if np.array_equal(time, known) else known,
            others=tuple(msgspec.Raw(text[i:j]) for i, j in zip(elsewhere[::2], elsewhere[1::2], strict=True)),
            _places=columns,
        )


def _scanned(text: bytes, within: str | None) -> _Found | None:
    library = _library()
    if library is None or b'"Bundle"' not in text or not (text.isascii() or _is_utf8(text)):
        return None
    found = _pass(library, text, within, len(text) // LEAST_BYTES + 8, ROOM)
    if found.result == _FULL:
        found = _pass(library, text, within, len(text) // SMALLEST_BYTES + 1, len(text) + MOST_ROOM)
    return found if found.result == _DONE else None


def _pass(library: ctypes.CDLL, text: bytes, within: str | None, capacity: int, room: int) -> _Found:
    head, keys = np.empty(_HEAD, np.int64), np.empty(room, np.uint8)
    most = 1 if within is None else MOST_MEMBERS
    members = np.empty((most, _MEMBER_COLUMNS), np.int64)
    # One piece of memory: the columns, and behind them the places of the other resources.
    buffer = np.empty((_COLUMNS + 2, capacity), np.int64)
    columns, others = buffer.ctypes.data, buffer.ctypes.data + 8 * _COLUMNS * capacity
    name = None if within is None else within.encode()
    places = (head.ctypes.data, columns, others, members.ctypes.data, keys.ctypes.data)
    result = library.bedside_scan(text, len(text), name, capacity, most, room, *places)
    return _Found(text, result, head, buffer, members, keys)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:  # whoever decodes it counts it
        return False
    return True


@cache
def _library() -> ctypes.CDLL | None:
    try:
        library = load_compiled(
            Path(__file__).with_name(FILE),
            version_of="bedside_scan_version",
            version=VERSION,
            switch=SWITCH,
            off="python",
        )
    except NoLibrary as why:
        _logger.info("searchsets are read by Python: %s", why)
        return None
    library.bedside_scan.restype = ctypes.c_int32
    library.bedside_scan.argtypes = (
        ctypes.c_char_p,
        ctypes.c_int64,
        ctypes.c_char_p,
        *(ctypes.c_int64,) * 3,
        *(ctypes.c_void_p,) * 5,
    )
    return library
