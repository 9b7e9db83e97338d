"""Rates: how many requests a client may send."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_hooks.security.errors import TooManyRequests
from cds_hooks.security.rates import RateLimits
from cds_hooks.security.registrations import Registration
from tests.cds_hooks.security.clients import Clock, client, registered


def _client(folder: Path, per_minute: int, name: str = "ward-ehr") -> Registration:
    (registration,) = registered(folder, client(name=name, requests_per_minute=per_minute))
    return registration


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Registration:
    """Some client."""
    return _client(tmp_path_factory.mktemp("ward"), 1)


def _taken(rates: RateLimits, registration: Registration, tries: int) -> int:
    taken = 0
    for _ in range(tries):
        try:
            rates.take(registration)
        except TooManyRequests:
            continue
        taken += 1
    return taken


def test_a_minutes_requests_may_come_at_once_and_then_evenly(tmp_path: Path) -> None:
    clock = Clock(0.0)
    rates, registration = RateLimits(monotonic=clock), _client(tmp_path, 60)
    assert _taken(rates, registration, 100) == 60
    clock.now = 1.0
    assert _taken(rates, registration, 100) == 1
    clock.now = 11.0
    assert _taken(rates, registration, 100) == 10
    clock.now = 10_000.0
    assert _taken(rates, registration, 100) == 60


def test_one_client_does_not_spend_anothers_requests(tmp_path: Path) -> None:
    rates = RateLimits(monotonic=Clock(0.0))
    assert _taken(rates, _client(tmp_path, 5), 9) == 5
    assert _taken(rates, _client(tmp_path, 5, "clinic"), 9) == 5


def test_a_refusal_says_when_to_call_again_and_that_is_true(tmp_path: Path) -> None:
    clock = Clock(0.0)
    rates, registration = RateLimits(monotonic=clock), _client(tmp_path, 7)
    _taken(rates, registration, 7)
    with pytest.raises(TooManyRequests) as refused:
        rates.take(registration)
    clock.now += int(refused.value.headers["retry-after"])
    rates.take(registration)


@given(
    st.integers(min_value=1, max_value=100),
    st.lists(st.floats(min_value=0, max_value=30, allow_nan=False), min_size=1, max_size=200),
)
def test_never_more_than_a_minutes_requests_and_those_that_time_brings(
    ward: Registration, per_minute: int, pauses: list[float]
) -> None:
    clock = Clock(0.0)
    rates, registration = RateLimits(monotonic=clock), replace(ward, requests_per_minute=per_minute)
    taken = 0
    for pause in pauses:
        clock.now += pause
        taken += _taken(rates, registration, 3)
        assert taken <= per_minute * (1 + clock.now / 60) + 1e-6
