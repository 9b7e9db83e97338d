"""Candidates: codes that are not mapped and resemble a concept by name, ready for a site's own vocabulary."""

import json
import re
from collections.abc import Iterable, Sequence
from datetime import date

from features.coverage import report as told
from features.coverage.gather import Gatherer
from features.coverage.privacy import Privacy
from features.coverage.seen import NO_CONCEPT, Coded, Outcome
from features.coverage.similar import Names
from features.coverage.sketches import weighted_quantile
from features.vocabulary.concept import Concept, Kind, Vocabulary

MOST_CANDIDATES = 12
MOST_UNITS = 4
MOST_NAMES = 3


class Candidates:
    """Finds candidates among the codes that were seen.

    Args:
        gathered: what was read.
        privacy: what may be told.
        known: maps codes that are no candidates, to whatever concept.
    """

    def __init__(self, gathered: Gatherer, privacy: Privacy, known: Vocabulary) -> None:
        self._seen = gathered.seen
        self._privacy = privacy
        self._unmapped: dict[Kind, list[int]] = {}
        for number, code in enumerate(self._seen.codes):
            is_mapped = bool(self._seen.concepts[number]) or bool(known.lookup(code.system or "", code.code or ""))
            if code.names and self._seen.resources[number] and not is_mapped:
                self._unmapped.setdefault(code.kind, []).append(number)
        self._names = {
            kind: Names([self._seen.codes[number].names[:MOST_NAMES] for number in numbers])
            for kind, numbers in self._unmapped.items()
        }
        self._units: dict[int, dict[int, int]] = {}
        for outcome, count in self._seen.outcomes.items():
            if outcome.concept == NO_CONCEPT and outcome.unit:
                self._units.setdefault(outcome.code, {})[outcome.unit] = count

    def of(self, concept: Concept) -> tuple[tuple[told.Candidate, ...], int]:
        """The candidates for a concept, the most frequent first, and how many more are too rare to be named."""
        if concept.kind not in self._names or concept.drafts_of is not None:
            return (), 0
        numbers = self._unmapped[concept.kind]
        alike = [(numbers[place], found) for place, found in self._names[concept.kind].alike(concept).items()]
        named = [(n, found) for n, found in alike if self._privacy.tells(self._seen.patients[n].patients)]
        named.sort(key=lambda item: (-self._seen.resources[item[0]], -item[1]))
        shown = tuple(self._candidate(number, found) for number, found in named[:MOST_CANDIDATES])
        return shown, len(alike) - len(shown)

    def _candidate(self, number: int, found: float) -> told.Candidate:
        seen, code = self._seen, self._seen.codes[number]
        units = sorted(self._units.get(number, {}).items(), key=lambda item: -item[1])
        words = [seen.unit(unit) for unit, count in units[:MOST_UNITS] if self._privacy.tells(count)]
        main = units[0][0] if units else 0
        values, counts = seen.numbers.of([Outcome(number, NO_CONCEPT, main, 0)])
        has_median = bool(len(counts)) and self._privacy.tells(int(counts.sum()))
        return told.Candidate(
            system=code.system,
            code=code.code,
            display=code.names[0],
            similarity=round(found, 2),
            resources=self._privacy.count(seen.resources[number]),
            patients=self._privacy.count(seen.patients[number].patients),
            units=tuple(word for word in words if word is not None),
            median=float(f"{weighted_quantile(values, counts, 0.5):.3g}") if has_median else None,
            toml=_line(code),
        )


def site_draft(concepts: Sequence[told.ConceptCoverage], made_on: date) -> str:
    """A document for a site's own vocabulary (docs/codes.md) with every candidate, commented out."""
    candidates = [one for concept in concepts for one in concept.candidates if one.toml]
    if not candidates:
        return ""
    names = dict.fromkeys(one.system for one in candidates if one.system)
    lines = [
        "# A draft: take the # away from what you have checked, and remove the rest.",
        'source = "codes of this hospital"',
        f"reviewed = {made_on.isoformat()}",
        "",
        "[systems]",
        *(f"{_text(system_name(system))} = {_text(system)}" for system in names),
        "",
        "[codes]",
    ]
    for concept in concepts:
        own = [one for one in concept.candidates if one.toml]
        if own:
            lines += [f"# {concept.name}", f"{concept.id} = ["]
            lines += [f"  # {one.toml}  # {_said(one)}" for one in own]
            lines.append("]")
    return "\n".join(lines) + "\n"


def system_name(system: str) -> str:
    """A short name for a code system: the last part of its URI, with a mark where that alone could be another's."""
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"^(https?://|urn:oid:)", "", system.casefold())).strip("-")


def _line(code: Coded) -> str | None:
    if code.system is None or code.code is None:
        return None
    pairs = (("system", system_name(code.system)), ("code", code.code), ("display", code.names[0]))
    return "{ " + ", ".join(f"{key} = {_text(value)}" for key, value in pairs) + " },"


def _said(candidate: told.Candidate) -> str:
    units = f", {'; '.join(_plain(candidate.units))}" if candidate.units else ""
    return f"{candidate.resources} of {candidate.patients} patients{units}"


def _plain(texts: Iterable[str]) -> list[str]:
    return ["".join(character for character in text if character.isprintable()) for text in texts]


def _text(value: str) -> str:
    """A TOML basic string; JSON's escapes are TOML's too, and what has none is printable by now."""
    return json.dumps("".join(_plain([value])), ensure_ascii=False)
