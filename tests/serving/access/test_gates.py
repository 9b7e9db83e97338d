"""Gates: what is under way is bounded, for each server and in all, and given back in the end."""

import asyncio

import pytest

from serving.access.gates import Gates
from serving.access.limits import Limits
from serving.access.reasons import NotObtained, Reason


def test_one_call_too_many_at_a_server_is_told_at_once_and_others_are_not() -> None:
    gates = Gates(Limits(calls_of_server=2))
    with gates.call("a"), gates.call("a"):
        with pytest.raises(NotObtained) as raised, gates.call("a"):
            pytest.fail("expected no place")
        assert raised.value.reason is Reason.BUSY
        with gates.call("b"):
            assert gates.calls == 3
    with gates.call("a"):
        assert gates.calls == 1


def test_one_call_too_many_in_all_is_told_at_once() -> None:
    gates = Gates(Limits(calls_of_process=1))
    with gates.call("a"), pytest.raises(NotObtained), gates.call("b"):
        pytest.fail("expected no place")
    assert gates.calls == 0


def test_bytes_are_given_back_when_a_call_ends_however_it_ends() -> None:
    gates = Gates(Limits(bytes_of_process=100, bytes_of_call=80))
    with gates.call("a") as purse:
        purse.take_bytes(70)
        assert gates.bytes_held == 70
        with pytest.raises(NotObtained) as raised:
            purse.take_bytes(20)
        assert raised.value.reason is Reason.BYTES
    assert gates.bytes_held == 0
    with gates.call("a") as one, gates.call("b") as other:
        one.take_bytes(60)
        with pytest.raises(NotObtained) as raised:
            other.take_bytes(50)
        assert raised.value.reason is Reason.BUSY


@pytest.mark.parametrize(
    ("limits", "most"),
    [
        (Limits(keys_at_once=3), 3),
        (Limits(keys_at_once=9, requests_of_server=4), 8),
        (Limits(keys_at_once=9, requests_of_process=5), 5),
    ],
    ids=["of one call", "of one server (there are two)", "of the process"],
)
def test_no_more_requests_are_under_way_than_allowed(limits: Limits, most: int) -> None:
    gates = Gates(limits)
    now: list[int] = [0]
    seen: list[int] = []

    async def request(server: str, calls: int) -> None:
        with gates.call(server) as purse:

            async def one() -> None:
                async with purse.request():
                    now[0] += 1
                    seen.append(now[0])
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
                    now[0] -= 1

            await asyncio.gather(*(one() for _ in range(calls)))
            assert purse.requests == calls

    async def run() -> None:
        servers = ("a",) if most == limits.keys_at_once else ("a", "b")
        await asyncio.gather(*(request(server, 9) for server in servers))

    asyncio.run(run())
    assert max(seen) == most


def test_limits_are_numbers_above_zero() -> None:
    with pytest.raises(ValueError, match="pages: expected a number above 0, got 0"):
        Limits(pages=0)
