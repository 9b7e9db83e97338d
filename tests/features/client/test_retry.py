"""Patience: what passes is tried again, ever more slowly, as long as was said and no longer."""

from collections.abc import Callable

import pytest

from features.client.errors import PassingError, RefusedError, UnavailableError
from features.client.retry import Patience, persist, retry_after_seconds, wait_seconds
from tests.features.client.fake_server import START, Time

PATIENCE = Patience(tries=5, first_wait_seconds=1, longest_wait_seconds=6, total_seconds=100)


def failing(times: int, error: Exception) -> Callable[[], str]:
    """An attempt that fails that often."""
    left = [times]

    def attempt() -> str:
        if left[0]:
            left[0] -= 1
            raise error
        return "an answer"

    return attempt


def test_waits_double_up_to_the_longest_one(time: Time) -> None:
    assert persist(failing(4, PassingError("busy")), PATIENCE, time.pace()) == "an answer"
    assert time.waits == [1, 2, 4, 6]


def test_waits_are_drawn_from_all_below_the_bound() -> None:
    waits = [wait_seconds(PATIENCE, failures=3, asked_seconds=None, draw=draw) for draw in (0.0, 0.25, 0.999)]
    assert waits == [0.0, 1.0, 3.996]


def test_what_the_server_asks_for_is_waited(time: Time) -> None:
    error = PassingError("busy", retry_after_seconds=17)
    assert persist(failing(2, error), PATIENCE, time.pace(draw=0.1)) == "an answer"
    assert time.waits == [17, 17]


@pytest.mark.parametrize(
    ("patience", "asked", "waits", "text"),
    [
        pytest.param(PATIENCE, None, [1, 2, 4, 6], "after 5 tries in 13 s. Try again later", id="too often"),
        pytest.param(Patience(tries=50, total_seconds=9), None, [1, 2, 4], "after 4 tries in 7 s", id="too long"),
        pytest.param(PATIENCE, 3_600, [], "after 1 tries in 0 s, and it asks us to wait 3600 s", id="asked too much"),
    ],
)
def test_patience_ends(patience: Patience, asked: float | None, waits: list[float], text: str, time: Time) -> None:
    with pytest.raises(UnavailableError, match=text):
        persist(failing(99, PassingError("busy.", retry_after_seconds=asked)), patience, time.pace())
    assert time.waits == waits


def test_what_does_not_pass_is_not_tried_again(time: Time) -> None:
    with pytest.raises(RefusedError):
        persist(failing(1, RefusedError("no")), PATIENCE, time.pace())
    assert time.waits == []


def test_whoever_makes_progress_is_given_patience_anew(time: Time) -> None:
    gained = [0]

    def attempt() -> str:
        gained[0] += 1
        if gained[0] <= 20:
            raise PassingError("broke off")
        return "whole"

    assert persist(attempt, PATIENCE, time.pace(), progress=lambda: gained[0]) == "whole"
    assert set(time.waits) == {1}


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60),
        ("Tue, 14 Nov 2023 22:14:20 -0000", 60),
        ("Tue, 14 Nov 2023 22:00:00 GMT", 0),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("²", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header, now=START) == seconds


@pytest.mark.parametrize("wrong", [{"tries": 0}, {"first_wait_seconds": 0}, {"longest_wait_seconds": 0.5}])
def test_patience_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="Expected"):
        Patience(**wrong)  # type: ignore[arg-type]
