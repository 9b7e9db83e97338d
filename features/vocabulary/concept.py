"""Concepts and the vocabulary that finds them by code."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

from features.vocabulary.code import SUBTREE_SYSTEMS, Code, CodeError, ancestors, identify
from features.vocabulary.code_system_table import Kind
from features.vocabulary.definition import (
    Answer,
    Censored,
    Concept,
    ConceptError,
    Language,
    Level,
    ReferenceRange,
    Words,
)
from features.vocabulary.documents import Document, extend_concepts, read_concepts, read_documents

__all__ = [
    "SITE_CONCEPTS",
    "Answer",
    "Censored",
    "Code",
    "CodeError",
    "Concept",
    "ConceptError",
    "Kind",
    "Language",
    "Level",
    "ReferenceRange",
    "UnknownConceptError",
    "Vocabulary",
    "Words",
    "load_concepts",
    "load_vocabulary",
    "read_concepts",
]

_Spans = tuple[tuple[Code, Concept], ...]
_Found = tuple[Concept, ...]


class UnknownConceptError(KeyError):
    """A concept id that the vocabulary does not hold."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Concepts by id and by code; a code is found with one dictionary hit, plus one per level of a hierarchy.

    Raises:
        ConceptError: two concepts share an id, or drafts have other codes than what they are drafts of.
    """

    concepts: tuple[Concept, ...]
    _by_id: Mapping[str, Concept] = field(init=False, repr=False, compare=False)
    _exact: Mapping[tuple[str, str], _Found] = field(init=False, repr=False, compare=False)
    _subtrees: Mapping[tuple[str, str], _Found] = field(init=False, repr=False, compare=False)
    _ranges: Mapping[str, _Spans] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_id = {concept.id: concept for concept in self.concepts}
        if len(by_id) < len(self.concepts):
            ids = [concept.id for concept in self.concepts]
            repeated = sorted({name for name in ids if ids.count(name) > 1})
            raise ConceptError(f"Expected each concept id once; repeated: {', '.join(repeated)}.")
        for concept in self.concepts:
            _check_draft(concept, by_id)
        object.__setattr__(self, "_by_id", by_id)
        object.__setattr__(self, "_exact", _index(self.concepts, subtree=False))
        object.__setattr__(self, "_subtrees", _index(self.concepts, subtree=True))
        object.__setattr__(self, "_ranges", _ranges(self.concepts))

    def __iter__(self) -> Iterator[Concept]:
        return iter(self.concepts)

    def __len__(self) -> int:
        return len(self.concepts)

    def __contains__(self, concept_id: object) -> bool:
        return concept_id in self._by_id

    def concept(self, concept_id: str) -> Concept:
        """The concept of an id.

        Raises:
            UnknownConceptError: names the nearest ids.
        """
        found = self._by_id.get(concept_id)
        if found is None:
            near = get_close_matches(concept_id, self._by_id, n=3)
            hint = f"Did you mean {' or '.join(near)}?" if near else "features/vocabulary/concepts/ lists them."
            raise UnknownConceptError(f"No concept {concept_id!r} among {len(self)}. {hint}")
        return found

    def lookup(self, system: str, code: str) -> tuple[Concept, ...]:
        """Every concept that a recorded (system, code) belongs to; empty where there is none.

        The system may come under any of its names, the code in any way of writing that its system holds equal.
        """
        system, code = identify(system, code)
        exact = self._exact.get((system, code), ())
        if system not in SUBTREE_SYSTEMS:
            return exact
        found = dict.fromkeys(exact)
        spans = self._ranges.get(system, ())
        for ancestor in ancestors(system, code):
            found.update(dict.fromkeys(self._subtrees.get((system, ancestor), ())))
            found.update((concept, None) for span, concept in spans if span.holds(ancestor))
        return tuple(found)

    def subset(self, concept_ids: Iterable[str]) -> "Vocabulary":
        """The vocabulary of some concepts only, in the order given; what a model's reader needs to know."""
        return Vocabulary(tuple(self.concept(concept_id) for concept_id in concept_ids))


def load_vocabulary(extra: Path | None = None) -> Vocabulary:
    """The vocabulary packaged with Bedside, with a site's own codes and concepts; read once per process.

    Args:
        extra: a folder of the site's TOML documents; see docs/codes.md for their form. By default what the
            environment variable `BEDSIDE_CONCEPTS` names: it holds for a server, a training and all their processes.

    Raises:
        ConceptError: a document is wrong, or contradicts the packaged vocabulary; names the document and the concept.
    """
    named = os.environ.get(SITE_CONCEPTS)
    return _load(extra if extra is not None or not named else Path(named))


SITE_CONCEPTS = "BEDSIDE_CONCEPTS"
"""Environment variable that names a folder of the site's own concepts and codes."""


@cache
def _load(extra: Path | None) -> Vocabulary:
    if extra is not None:
        return Vocabulary(extend_concepts(_load(None).concepts, _site_documents(extra)))
    folder = files("features.vocabulary") / "concepts"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".toml"))
    return Vocabulary(read_documents(Document(name, (folder / name).read_text(encoding="utf-8")) for name in names))


def load_concepts() -> Mapping[str, Concept]:
    """The packaged concepts by id."""
    return MappingProxyType({concept.id: concept for concept in load_vocabulary()})


def _site_documents(folder: Path) -> list[Document]:
    paths = sorted(folder.glob("*.toml"))
    if not paths:
        raise ConceptError(f"{folder}: expected a folder with a site's concepts in .toml files; found none.")
    return [Document(path.name, path.read_text(encoding="utf-8")) for path in paths]


def _check_draft(concept: Concept, by_id: Mapping[str, Concept]) -> None:
    """Drafts are of the kind and the codes of what they are drafts of, where a vocabulary holds both."""
    ordered = by_id.get(concept.drafts_of or "")
    if ordered is None:
        return
    if ordered.drafts_of is not None:
        raise ConceptError(f"Concept {concept.id!r}: {ordered.id} are drafts themselves; name what is ordered.")
    if (concept.kind, concept.codes) != (ordered.kind, ordered.codes):
        raise ConceptError(f"Concept {concept.id!r}: expected the kind and the codes of {ordered.id}.")


def _index(concepts: Iterable[Concept], *, subtree: bool) -> dict[tuple[str, str], _Found]:
    index: dict[tuple[str, str], _Found] = {}
    for concept in concepts:
        for code in concept.codes:
            if code.to is None and code.subtree == subtree:
                key = (code.system, code.code)
                index[key] = (*index.get(key, ()), concept)
    return index


def _ranges(concepts: Iterable[Concept]) -> dict[str, _Spans]:
    index: dict[str, _Spans] = {}
    for concept in concepts:
        for code in concept.codes:
            if code.to is not None:
                index[code.system] = (*index.get(code.system, ()), (code, concept))
    return index
