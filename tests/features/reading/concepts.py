"""Concepts that only tests know, for rules that no packaged concept needs yet."""

from datetime import date
from typing import Any

from features.vocabulary.code import Code
from features.vocabulary.concept import Concept, Kind, Words


def concept(name: str, kind: Kind, *codes: Code, **fields: Any) -> Concept:
    """A concept of a kind under some codes; fields add to it."""
    words = Words(name=name, short=name)
    return Concept(
        id=name,
        kind=kind,
        codes=codes,
        words={"en": words, "de": words},
        source="the tests",
        reviewed=date(2026, 11, 24),
        **fields,
    )
