"""What a process remembers of wordings is bounded in number and length, whatever is sent."""

from typing import Any

import pytest

from features.reading import interpreter as interpreting
from features.reading.interpreter import Interpreter
from features.refusals import Reason
from features.vocabulary.concept import Vocabulary
from features.vocabulary.units import Converter, load_units
from tests.features.reading.clinic import CONCEPTS
from tests.features.reading.resources import observation, quantity
from tests.features.reading.scan.both_ways import bundle, by_python, compiled

LONG = "x" * 100_000


def fresh() -> Interpreter:
    """An interpreter that nobody else uses."""
    return Interpreter(Converter(Vocabulary(tuple(CONCEPTS)), load_units()))


def sizes(known: Interpreter) -> dict[str, int]:
    """How much each table of an interpreter holds, in its own and its keys' characters."""
    return {name: len(repr(table)) for name, table in vars(known).items() if isinstance(table, dict | list)}


@pytest.mark.parametrize("read", [compiled, by_python])
@pytest.mark.parametrize("field", ["unit", "system", "code", "comparator"])
def test_words_too_long_for_a_unit_are_not_kept(read: Any, field: str) -> None:
    """A text of any length in a quantity leaves nothing of its length behind, whether its unit can be read or not."""
    known = fresh()
    read([bundle(observation())], known=known)
    before = sizes(known)
    for i in range(3):
        read([bundle(observation(valueQuantity=quantity(1.5, "mg/dL") | {field: f"{LONG}{i}"}))], known=known)
    assert sum(sizes(known).values()) < sum(before.values()) + 2_000


@pytest.mark.parametrize("read", [compiled, by_python])
def test_refused_words_are_kept_up_to_a_number(read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of very many unknown units the later ones are counted without their names, and all are counted."""
    monkeypatch.setattr(interpreting, "MOST_WORDINGS", 50)
    known = fresh()
    for page in range(3):
        results = [observation(valueQuantity={"value": 1.5, "unit": f"u{page}-{i}"}) for i in range(40)]
        outcome = read([bundle(*results)], known=known)
        assert sum(count for refusal, count in outcome.refusals if refusal.reason is Reason.UNIT_UNKNOWN) == 40
    assert len(known._refused_list) <= 50 + len(Reason)
