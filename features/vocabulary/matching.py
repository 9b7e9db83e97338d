"""Matching: which concepts of a vocabulary a CodeableConcept names; each coding is looked up once."""

from collections.abc import Iterator, Sequence

from features.reading import fhir
from features.vocabulary.code import identify
from features.vocabulary.code_systems import LONGEST_CODING
from features.vocabulary.concept import Concept, Kind, Vocabulary, load_vocabulary

# A pulse oximeter's reading (59408-5) may carry a code for the saturation of blood as well (20564-1): that concept
# gives way where a code of the more specific one is there too, whether or not the latter is read.
YIELDS_TO = {"sao2": "spo2"}

MOST_CODINGS = 65_536  # remembered at once; a large hospital has some ten thousand

Match = tuple[Concept, str]
"""A concept, and the code under which it was recorded, in its system's one way of writing."""

_Key = tuple[str | None, str | None, Kind]
"""A recorded system and code, and where it stood."""


class Matcher:
    """Finds concepts by system and code; remembers the codings of its readers, up to a bound.

    System and code must both fit, whichever of its names the system came under (`features.vocabulary.code_systems`).
    """

    __slots__ = ("_found", "_vocabulary")

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._found: dict[_Key, tuple[Match, ...]] = {}

    def match(self, code: fhir.CodeableConcept, kind: Kind) -> Sequence[Match]:
        """The concepts of a kind that the codings name, each once; the more specific one where two would be one."""
        if len(code.coding) == 1:
            return self._match_coding(code.coding[0], kind)
        matches: dict[str, Match] = {}
        for coding in code.coding:
            for match in self._match_coding(coding, kind):
                matches.setdefault(match[0].id, match)
        return [match for name, match in matches.items() if not _yields(name, code)]

    def _match_coding(self, coding: fhir.Coding, kind: Kind) -> tuple[Match, ...]:
        key = (coding.system, coding.code, kind)
        found = self._found.get(key)
        if found is None:
            found = tuple(self._concepts(coding, kind))
            self._remember(key, found)
        return found

    def _remember(self, key: _Key, found: tuple[Match, ...]) -> None:
        if len(key[0] or "") + len(key[1] or "") > LONGEST_CODING:
            return
        if len(self._found) >= MOST_CODINGS:
            self._found.clear()
        self._found[key] = found

    def _concepts(self, coding: fhir.Coding, kind: Kind) -> Iterator[Match]:
        if not coding.system or not coding.code:
            return
        system, code = identify(coding.system, coding.code)
        for concept in self._vocabulary.lookup(system, code):
            if concept.kind == kind:
                yield concept, code


def _yields(name: str, code: fhir.CodeableConcept) -> bool:
    """Whether a concept gives way to a more specific one that is coded beside it.

    Asked of the packaged vocabulary, not of the reader's: what an event means must not depend on what else is read.
    """
    if name not in YIELDS_TO:
        return False
    specific = load_vocabulary().concept(YIELDS_TO[name])
    return any(specific.matches(coding.system or "", coding.code or "") for coding in code.coding)
