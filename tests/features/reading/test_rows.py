"""Rows: columns that say the same are one array, and stay it while rows are joined and chosen from."""

import numpy as np
import pytest

from features.reading.statements import EMPTY, Row, Rows


def point(time: int, *, known: int | None = None, until: int | None = None, value: float = 1.0) -> Row:
    """A row that is known at its time, and a point, unless said otherwise."""
    return Row(0, 3, time, time if known is None else known, time if until is None else until, value, counts=True)


POINTS = [point(5), point(7, value=2.0)]
PARTS = [
    pytest.param([POINTS, POINTS], {"known", "until"}, id="points known at their time"),
    pytest.param([POINTS, [point(5, known=6)]], {"until"}, id="one of them known later"),
    pytest.param([[point(5, until=9)], POINTS], {"known"}, id="one of them lasts"),
    pytest.param([[point(5, known=6, until=9)], []], set(), id="one that lasts and is known later, alone"),
]


@pytest.mark.parametrize(("parts", "shared"), PARTS)
def test_rows_are_joined_as_they_were_said(parts: list[list[Row]], shared: set[str]) -> None:
    """Every column holds what the single rows said; only columns that are alike throughout are one array."""
    joined = Rows.join([Rows.of(part) if part else EMPTY for part in parts])
    said = [row for part in parts for row in part]
    columns = (joined.instance, joined.concept, joined.time, joined.known, joined.until, joined.value, joined.counts)
    assert [Row(*row) for row in zip(*(column.tolist() for column in columns), strict=True)] == said
    assert [column.dtype for column in joined] == [column.dtype for column in EMPTY]
    assert {name for name in ("known", "until") if getattr(joined, name) is joined.time} == shared


def test_rows_that_are_chosen_keep_what_their_columns_share() -> None:
    rows = Rows.of([*POINTS, point(9, value=3.0)])
    chosen = rows.only(np.array([True, False, True]))
    assert chosen.time.tolist() == [5, 9]
    assert chosen.value.tolist() == [1.0, 3.0]
    assert chosen.known is chosen.time
    assert chosen.until is chosen.time


def test_a_column_of_its_own_is_chosen_from_by_itself() -> None:
    rows = Rows.of([point(5, known=6, until=9), point(7, known=8)])
    chosen = rows.only(np.array([True, False]))
    assert (chosen.time.tolist(), chosen.known.tolist(), chosen.until.tolist()) == ([5], [6], [9])


def test_no_parts_are_no_rows() -> None:
    assert [len(column) for column in Rows.join([])] == [0] * len(EMPTY)
