"""Documents: concepts written down in TOML, the packaged ones and those that a site adds."""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from features.vocabulary.code import Code, CodeError, SystemCode
from features.vocabulary.definition import Answer, Concept, ConceptError, Range, ReferenceRange, Words

_KEYS = frozenset({"source", "reviewed", "systems", "concepts", "codes"})
_SHARED_WITH_DRAFTS = (
    *("unit", "answers", "molar_mass_g_per_mol", "charge", "plausible", "reference", "censored", "censored_reason"),
    *("kind", "codes", "decimals"),
)
"""What drafts have from the concept that they are drafts of."""


class Document(NamedTuple):
    """A TOML document: its name, for messages, and its text."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parsed:
    """A document's tables: concepts by id, and codes that it adds to concepts of other documents."""

    name: str
    common: Mapping[str, Any]
    systems: Mapping[str, str]
    concepts: Mapping[str, Mapping[str, Any]]
    codes: Mapping[str, list[Mapping[str, Any]]]


def read_concepts(text: str, name: str) -> tuple[Concept, ...]:
    """Concepts of a TOML document with `source`, `reviewed`, `[systems]` (short names) and `[concepts.ID]` tables.

    Raises:
        ConceptError: the document or one of its concepts is wrong; names the document and the concept.
    """
    return read_documents([Document(name, text)])


def read_documents(documents: Iterable[Document]) -> tuple[Concept, ...]:
    """The concepts of all documents, in order; drafts may be of a concept in another document.

    Raises:
        ConceptError: as `read_concepts`; also for codes that a document adds to concepts, which only a site does.
    """
    parsed = [_parse(document) for document in documents]
    for one in parsed:
        if one.codes:
            raise ConceptError(f"{one.name}: expected codes inside their concepts; only a site's documents add codes.")
    return _concepts(parsed, {})


def extend_concepts(packaged: Iterable[Concept], documents: Iterable[Document]) -> tuple[Concept, ...]:
    """The packaged concepts with a site's codes, then the site's own concepts.

    A site's document has `[concepts.ID]` tables like a packaged one, and `[codes]` with a list of codes by the id of
    a packaged concept. It cannot change what is packaged: a model was trained on that.

    Raises:
        ConceptError: as `read_concepts`; also for an id that is packaged, an unknown one, or a code that is taken.
    """
    known = {concept.id: concept for concept in packaged}
    parsed = [_parse(document) for document in documents]
    for one in parsed:
        for concept_id in one.concepts:
            if concept_id in known:
                raise ConceptError(
                    f"{one.name}: the concept {concept_id!r} is packaged with Bedside; "
                    f"add codes to it under [codes], or give yours another id."
                )
        for concept_id, entries in one.codes.items():
            known[concept_id] = _with_codes(known, concept_id, entries, one)
    _follow_drafts(known)
    return (*known.values(), *_concepts(parsed, known))


def _parse(document: Document) -> _Parsed:
    try:
        tables = tomllib.loads(document.text)
        strange = sorted(set(tables) - _KEYS)
        if strange:
            raise ConceptError(f"{document.name}: expected the keys {', '.join(sorted(_KEYS))}, not {strange[0]!r}.")
        return _Parsed(
            name=document.name,
            common={"source": tables["source"], "reviewed": tables["reviewed"]},
            systems=tables["systems"],
            concepts=tables.get("concepts", {}) if "codes" in tables else tables["concepts"],
            codes=tables.get("codes", {}),
        )
    except KeyError as error:
        raise ConceptError(
            f"{document.name}: expected the key {error.args[0]!r}; see the packaged documents."
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConceptError(f"{document.name}: {error}") from error


def _concepts(parsed: Iterable[_Parsed], known: Mapping[str, Concept]) -> tuple[Concept, ...]:
    """All concepts in order; those that are drafts of others are built after these."""
    entries = [(one, concept_id, table) for one in parsed for concept_id, table in one.concepts.items()]
    built = dict(known)
    for one, concept_id, table in sorted(entries, key=lambda entry: "drafts_of" in entry[2]):
        built[concept_id] = _named(one, concept_id, table, built)
    return tuple(built[concept_id] for _, concept_id, _ in entries)


def _named(one: _Parsed, concept_id: str, table: Mapping[str, Any], known: Mapping[str, Concept]) -> Concept:
    try:
        if "drafts_of" in table:
            table = _draft(table, known)
        return _concept(concept_id, {**one.common, **table}, one.systems)
    except KeyError as error:
        raise ConceptError(f"{one.name}: Concept {concept_id!r}: expected the key {error.args[0]!r}.") from error
    except CodeError as error:
        raise ConceptError(f"{one.name}: Concept {concept_id!r}: {error}") from error
    except (ValueError, TypeError) as error:
        raise ConceptError(f"{one.name}: {error}") from error


def _draft(table: Mapping[str, Any], known: Mapping[str, Concept]) -> Mapping[str, Any]:
    """The table with what it has from the concept that it is drafts of."""
    ordered = known.get(table["drafts_of"])
    if ordered is None:
        raise ConceptError(f"drafts_of {table['drafts_of']!r}: expected the id of another concept.")
    own = sorted(set(table) & set(_SHARED_WITH_DRAFTS))
    if own:
        raise ConceptError(f"drafts of {ordered.id} have its {own[0]}; leave it out.")
    return {**table, **{name: getattr(ordered, name) for name in _SHARED_WITH_DRAFTS}}


def _concept(concept_id: str, table: Mapping[str, Any], systems: Mapping[str, str]) -> Concept:
    built: dict[str, Any] = {
        "id": concept_id,
        "codes": tuple(_codes(table["codes"], systems)),
        "answers": tuple(_answers(table.get("answers", ()), systems)),
        "words": {language: Words(**words) for language, words in table["words"].items()},
    }
    if isinstance(table.get("plausible"), list):
        built["plausible"] = _range(table["plausible"])
    if isinstance(table.get("reference"), list | dict):
        built["reference"] = _reference(table["reference"])
    return Concept(**{**table, **built})


def _codes(entries: Iterable[Mapping[str, Any] | Code], systems: Mapping[str, str]) -> Iterator[Code]:
    for entry in entries:
        if isinstance(entry, Code):
            yield entry
            continue
        pairs = {name: _pair(entry[name], systems) for name in ("method", "specimen") if name in entry}
        yield Code(**{**entry, "system": systems[entry["system"]], **pairs})


def _answers(entries: Iterable[Mapping[str, Any] | Answer], systems: Mapping[str, str]) -> Iterator[Answer]:
    for entry in entries:
        if isinstance(entry, Answer):
            yield entry
        else:
            yield Answer(**{**entry, "system": systems[entry["system"]], "value": float(entry["value"])})


def _pair(entry: Mapping[str, str], systems: Mapping[str, str]) -> SystemCode:
    return systems[entry["system"]], entry["code"]


def _range(bounds: list[float]) -> Range:
    low, high = bounds
    return float(low), float(high)


def _reference(entry: list[float] | Mapping[str, list[float]]) -> ReferenceRange:
    if isinstance(entry, list):
        return ReferenceRange(female=_range(entry), male=_range(entry))
    return ReferenceRange(**{sex: _range(bounds) for sex, bounds in entry.items()})


def _with_codes(
    known: Mapping[str, Concept], concept_id: str, entries: Iterable[Mapping[str, Any]], one: _Parsed
) -> Concept:
    concept = known.get(concept_id)
    if concept is None:
        raise ConceptError(f"{one.name}: [codes]: no concept {concept_id!r} is packaged; define it under [concepts].")
    if concept.drafts_of is not None:
        raise ConceptError(
            f"{one.name}: [codes]: {concept_id!r} has the codes of {concept.drafts_of!r}; add them there."
        )
    try:
        added = tuple(_codes(entries, one.systems))
        for code in added:
            _check_free(code, known)
        return replace(concept, codes=(*concept.codes, *added))
    except KeyError as error:
        raise ConceptError(f"{one.name}: [codes] {concept_id!r}: expected the key {error.args[0]!r}.") from error
    except (ValueError, TypeError) as error:
        raise ConceptError(f"{one.name}: [codes] {concept_id!r}: {error}") from error


def _check_free(code: Code, known: Mapping[str, Concept]) -> None:
    owners = [
        concept.id
        for concept in known.values()
        if concept.drafts_of is None and concept.matches(code.system, code.code)
    ]
    if owners:
        raise ConceptError(f"{code.system}|{code.code} belongs to {owners[0]} already; leave it out.")


def _follow_drafts(known: dict[str, Concept]) -> None:
    """Give drafts the codes that a site added to what they are drafts of."""
    for concept in list(known.values()):
        if concept.drafts_of in known:
            known[concept.id] = replace(concept, codes=known[concept.drafts_of].codes)
