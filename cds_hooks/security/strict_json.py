"""JSON that can be read in one way only: no name twice, no NaN, no bytes that are not UTF-8 (RFC 8259, RFC 8725).

RFC 7515 and RFC 7519 let a reader take the last of two members with one name; another reader takes the first. Where
a signature's meaning hangs on it, such a text is refused.
"""

import json
from typing import Any


class JsonError(ValueError):
    """The text is no such JSON; the message says what of it, and repeats nothing."""


def read_object(body: bytes) -> dict[str, Any]:
    """A JSON object. The caller bounds its size.

    Raises:
        JsonError: it is none, or could be read in two ways.
    """
    try:
        found = json.loads(body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_constant)
        json.dumps(found, ensure_ascii=False).encode("utf-8")  # a lone surrogate can be escaped, but is no character
    except JsonError:
        raise
    except (ValueError, RecursionError):  # also too many digits, bytes that are not UTF-8, lone surrogates
        raise JsonError("no JSON in UTF-8") from None
    if not isinstance(found, dict):
        raise JsonError("no JSON object")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise JsonError("an object that names one member twice")
    return found


def _constant(_: str) -> None:
    raise JsonError("NaN or Infinity")
