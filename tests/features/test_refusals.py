"""Refusals: counts by kind, for a report that names no patient."""

import pickle

from features.refusals import Reason, Refusal, Refusals


def some() -> Refusals:
    refusals = Refusals()
    refusals.add(Reason.UNIT_UNKNOWN, "lactate", "furlong")
    refusals.add(Reason.CODE_NOT_MAPPED, count=3)
    refusals.add(Reason.UNIT_UNKNOWN, "lactate", "furlong")
    refusals.add(Reason.UNIT_UNKNOWN, "sodium", "furlong")
    return refusals


def test_equal_refusals_are_counted_together_and_listed_by_reason_concept_and_detail() -> None:
    assert list(some()) == [
        (Refusal(Reason.CODE_NOT_MAPPED, None, None), 3),
        (Refusal(Reason.UNIT_UNKNOWN, "lactate", "furlong"), 2),
        (Refusal(Reason.UNIT_UNKNOWN, "sodium", "furlong"), 1),
    ]
    assert len(some()) == 3


def test_totals_are_of_all_or_of_some_reasons() -> None:
    refusals = some()
    assert refusals.total() == 6
    assert refusals.total(Reason.UNIT_UNKNOWN) == 3
    assert refusals.total(Reason.UNIT_UNKNOWN, Reason.CODE_NOT_MAPPED) == 6
    assert refusals.total(Reason.DUPLICATE) == 0
    assert refusals.by_reason() == {"code-not-mapped": 3, "unit-unknown": 3}


def test_two_counts_add_up() -> None:
    refusals = some()
    refusals.update(some())
    assert refusals.total() == 12
    assert refusals == Refusals((refusal, 2 * count) for refusal, count in some())


def test_counts_start_from_others_and_stay_apart_from_them() -> None:
    first = some()
    second = Refusals(first)
    second.add(Reason.STATUS)
    assert first == some()
    assert first != second


def test_no_refusals_are_none() -> None:
    assert Refusals().total() == 0
    assert list(Refusals()) == []
    assert Refusals() != []


def test_refusals_say_what_they_hold() -> None:
    assert "code-not-mapped" in repr(some())


def test_refusals_come_back_from_a_process_pool() -> None:
    assert pickle.loads(pickle.dumps(some())) == some()  # noqa: S301 - our own bytes
