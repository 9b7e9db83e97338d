"""Similar names: whether the display of a code resembles what a concept is called, in English or German.

Words are compared, not letters alone: `Kreatinin i.S.`, `Serumkreatinin` and `Creatinine, serum` all resemble
creatinine, `Creatine kinase` does not. It only proposes; a person decides, so that a few names too many do no harm.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import chain

from features.vocabulary.concept import Concept

ENOUGH = 0.6
"""From which similarity on a code is shown as a candidate; chosen on the open records that docs/inspect.md names."""

Name = tuple[str, ...]
"""The words of a name."""

# Said of many quantities alike: how a thing is counted or packed, and little words.
_FILLING = """
    of the by with for and or im der die das des von und mit am an is level conc not
    mass volume moles substance concentration activity catalytic presence method rate automated count manual
    mg mmol dl ml umol total gesamt whole acute chronic other unspecified disorder finding
    oral tablet tablets capsule solution injection product containing form extended release delayed hr
"""
_SPECIMENS = """
    serum plasma blood blut vollblut ser plas bld urine urin kapillar capillary arterial arteriell venous
    patient body system respiratory
"""
_FILLING_WEIGHT, _SPECIMEN_WEIGHT = 0.15, 0.4
_WEIGHTS = dict.fromkeys(_FILLING.split(), _FILLING_WEIGHT) | dict.fromkeys(_SPECIMENS.split(), _SPECIMEN_WEIGHT)
_SHORTEST_STEM = 5
_SHORTEST_SLIP = 6
_COMMON_TRIGRAMS = 3
_WORD = re.compile(r"[^\W_]+")


class Names:
    """Names to be compared with concepts; each word of theirs is compared once with each word of a concept.

    Args:
        names: of each thing its names, such as the display and the text of a code.
    """

    def __init__(self, names: Sequence[Sequence[str]]) -> None:
        self._names = [[words_of(name) for name in several] for several in names]
        self._places: defaultdict[str, set[int]] = defaultdict(set)
        for place, several in enumerate(self._names):
            for word in chain.from_iterable(several):
                self._places[word].add(place)
        self._trigrams: defaultdict[str, list[str]] = defaultdict(list)
        for word in self._places:
            for trigram in _trigrams(word):
                self._trigrams[trigram].append(word)
        self._likes: dict[str, Mapping[str, float]] = {}

    def alike(self, concept: Concept) -> dict[int, float]:
        """The places of the names that resemble a concept enough, and how much, from 0 to 1."""
        own = names_of(concept)
        likes = {word: self._like(word) for word in set(chain.from_iterable(own))}
        telling = [like for word, like in likes.items() if _weight(word) > _FILLING_WEIGHT]
        places = {place for like in telling for word in like for place in self._places[word]}
        found = {
            place: max(_resembles(name, words, likes) for name in own for words in self._names[place])
            for place in places
        }
        return {place: value for place, value in found.items() if value >= ENOUGH}

    def _like(self, word: str) -> Mapping[str, float]:
        """The words of all names that are like a word, and how much."""
        found = self._likes.get(word)
        if found is None:
            shared = Counter(chain.from_iterable(self._trigrams.get(t, ()) for t in _trigrams(word)))
            near = (other for other, common in shared.items() if common >= _COMMON_TRIGRAMS or other == word)
            found = self._likes[word] = {other: value for other in near if (value := likeness(word, other))}
        return found


@cache
def names_of(concept: Concept) -> tuple[Name, ...]:
    """The names of a concept and of its codes, each once."""
    texts: Iterable[str] = (
        concept.id.replace("_", " "),
        *(word for words in concept.words.values() for word in (words.name, words.short)),
        *(code.display for code in concept.codes),
    )
    return tuple(dict.fromkeys(words for text in texts if (words := words_of(text))))


def words_of(text: str) -> Name:
    """The words of a name in small letters without accents, each once."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(character for character in plain if not unicodedata.combining(character))
    return tuple(dict.fromkeys(_WORD.findall(plain)))


def likeness(one: str, other: str) -> float:
    """1 for the same word; less where one begins or ends the other (compounds, endings), or for a slip of the pen."""
    if one == other:
        return 1.0
    short, long = sorted((one, other), key=len)
    if len(short) >= _SHORTEST_STEM and (long.startswith(short) or long.endswith(short)):
        return 0.9
    return 0.8 if len(short) >= _SHORTEST_SLIP and _differ_by_one(short, long) else 0.0


def _resembles(name: Name, words: Name, likes: Mapping[str, Mapping[str, float]]) -> float:
    """How much of the name is in the words; less where the words say much else."""
    found = said = 0.0
    telling = [word for word in name if _weight(word) == 1.0]
    for word in telling or name:
        like = likes[word]
        found += _weight(word) * max((like.get(other, 0.0) for other in words), default=0.0)
        said += _weight(word)
    if found < (ENOUGH if telling else 1.0) * said:
        return 0.0
    explained = total = 0.0
    for other in words:
        explained += _weight(other) * max(likes[word].get(other, 0.0) for word in name)
        total += _weight(other)
    return found / said * (0.5 + 0.5 * explained / total)


def _weight(word: str) -> float:
    return _WEIGHTS.get(word, 1.0 if len(word) > 1 and not word.isdigit() else _FILLING_WEIGHT)


def _differ_by_one(short: str, long: str) -> bool:
    """Whether one letter was changed, left out or put in."""
    if len(long) - len(short) > 1:
        return False
    start = next((i for i, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    return short[start + (len(short) == len(long)) :] == long[start + 1 :]


def _trigrams(word: str) -> frozenset[str]:
    padded = f" {word} "
    return frozenset(padded[i : i + 3] for i in range(len(padded) - 2))
