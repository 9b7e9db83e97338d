"""Protocol buffers' wire format, as far as an ONNX file uses it: fields, numbers, and many numbers at once.

Source: protobuf.dev, "Encoding". Read-only but for the length of a message that was shortened.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types."""
VARINT_BYTES: Final = 10  # of 64 bits, seven a byte


class WireError(ValueError):
    """Not the wire format, or not of an ONNX file."""


class Field(NamedTuple):
    """One field of a message: its number, its value, and the bytes it takes with its tag."""

    number: int
    value: int | memoryview
    whole: memoryview


def text(value: int | memoryview) -> str:
    """A field's value as text; "" for a number."""
    return "" if isinstance(value, int) else bytes(value).decode()


def view(field: Field) -> memoryview:
    """A field's value as bytes. Raises WireError where it is a number."""
    if isinstance(field.value, int):
        raise WireError(f"Expected a message or text in field {field.number}, got a number.")
    return field.value


def integers(message: memoryview, number: int) -> NDArray[np.int64]:
    """All values of a repeated integer field, in one pass over the bytes: a large model has a hundred thousand."""
    parts = [np.zeros(0, np.int64)]
    at = 0
    while at < len(message):
        key, start = _varint(message, at)
        if key == number << 3 | VARINT:  # one by one, each with its tag
            values, ends = _varints(message[at:])
            others = np.flatnonzero(values[0::2] != key)
            count = int(others[0]) if len(others) else len(values) // 2
            parts.append(values[1 : 2 * count : 2])
            at += int(ends[2 * count - 1]) + 1
            continue
        field = _field(message, key, start, at)
        if field.number == number:
            parts.append(_varints(view(field))[0])
        at += len(field.whole)
    return np.concatenate(parts)


def _varints(run: memoryview) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The numbers that stand behind each other in a run of bytes, and where each ends; a last half one is left out."""
    content = np.frombuffer(run, np.uint8)
    ends = np.flatnonzero(content < 0x80)  # noqa: PLR2004 - the bit that says that more bytes follow
    starts = np.concatenate(([0], ends[:-1] + 1)) if len(ends) else ends
    lengths = ends + 1 - starts
    if lengths.max(initial=0) > VARINT_BYTES:
        raise WireError("Expected an ONNX file; a number has more than 64 bits.")
    content = content[: int(ends[-1]) + 1] if len(ends) else content[:0]
    shift = 7 * (np.arange(len(content)) - np.repeat(starts, lengths))
    parts = (content & 0x7F).astype(np.uint64) << shift.astype(np.uint64)
    values = np.add.reduceat(parts, starts) if len(starts) else parts
    return values.astype(np.int64), ends


def fields(message: memoryview) -> Iterator[Field]:
    """The fields of a message, in its order. Raises IndexError if it ends within one."""
    at = 0
    while at < len(message):
        key, start = _varint(message, at)
        field = _field(message, key, start, at)
        at += len(field.whole)
        yield field


def _field(message: memoryview, key: int, start: int, at: int) -> Field:
    kind = key & 7
    value: int | memoryview
    if kind == VARINT:
        value, end = _varint(message, start)
    elif kind == BYTES:
        length, start = _varint(message, start)
        end = start + length
        value = message[start:end]
    elif kind in {FIXED64, FIXED32}:
        end = start + (8 if kind == FIXED64 else 4)
        value = message[start:end]
    else:
        raise WireError(f"Expected an ONNX file; wire type {kind} is none that it has.")
    if end > len(message):
        raise IndexError
    return Field(key >> 3, value, message[at:end])


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for position in range(VARINT_BYTES):
        byte = message[at + position]
        value |= (byte & 0x7F) << (7 * position)
        if byte < 0x80:  # noqa: PLR2004 - no more bytes follow
            return value, at + position + 1
    raise WireError("Expected an ONNX file; a number has more than 64 bits.")


def varint_bytes(value: int) -> bytes:
    """A number, 0 or more, as it stands in a file."""
    parts = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - more than one byte's seven bits
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
