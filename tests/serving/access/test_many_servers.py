"""Many slow FHIR servers at once: calls that have their prefetch do not notice, and nothing waits for ever.

What is compared is what has finished when, not how long it took.
"""

import asyncio

from serving.access import Completed, Limits
from serving.access.access import Access
from tests.fhir_builders import EMPTY
from tests.serving.access.hospital import NOBODY, completed_by, raw, told, whole
from tests.serving.access.slow_servers import busy, slow_servers

SERVERS = 200
CALLS = 100


def lacking(*keys: str) -> dict[str, object]:
    return {key: value for key, value in whole().items() if key not in keys}


def test_slow_servers_hold_up_no_call_that_has_its_prefetch() -> None:
    """200 slow FHIR servers at once: every call with its prefetch finishes while every other one still waits."""

    async def run() -> tuple[int, int, list[Completed]]:
        access = Access(Limits(total_seconds=60, requests_of_process=SERVERS), trusted=NOBODY)
        async with slow_servers(SERVERS) as servers, asyncio.timeout(60):
            slow = [asyncio.create_task(completed_by(access, one.base, lacking("conditions"))) for one in servers]
            await busy(SERVERS, servers[0])
            quick = [await completed_by(access, servers[0].base, whole()) for _ in range(CALLS)]
            waiting = sum(not task.done() for task in slow)
            asked = sum(server.asked for server in servers)
            for server in servers:
                server.go.set()
            results = await asyncio.gather(*slow)
            assert all(one.failures == {} for one in quick)
            await access.close()
        return waiting, asked, results

    waiting, asked, results = asyncio.run(run())
    assert (waiting, asked) == (SERVERS, SERVERS)  # all of the slow ones wait; the quick ones asked nobody
    assert all(found.pages["conditions"] == (raw(EMPTY),) for found in results)


def test_a_slow_server_holds_up_no_call_to_another_server() -> None:
    """A call to a server that answers finishes while as many as are let in wait for the slow one."""

    async def run() -> tuple[int, Completed, int]:
        limits = Limits(total_seconds=60, calls_of_server=30, requests_of_server=4, requests_of_process=8)
        access = Access(limits, trusted=NOBODY)
        async with slow_servers(2) as (slow, good), asyncio.timeout(60):
            good.go.set()
            waiting = [asyncio.create_task(completed_by(access, slow.base, lacking("conditions"))) for _ in range(30)]
            await busy(4, slow)
            found = await completed_by(access, good.base, lacking("conditions"))
            still = sum(not task.done() for task in waiting)
            slow.go.set()
            await asyncio.gather(*waiting)
            await access.close()
            return still, found, slow.most_under_way

    still, found, most_under_way = asyncio.run(run())
    assert (still, found.failures) == (30, {})
    assert most_under_way == 4


def test_one_call_more_than_may_wait_is_told_so_at_once() -> None:
    async def run() -> list[dict[str, str]]:
        access = Access(Limits(total_seconds=60, calls_of_server=3), trusted=NOBODY)
        async with slow_servers(1) as (slow,), asyncio.timeout(60):
            waiting = [asyncio.create_task(completed_by(access, slow.base, lacking("conditions"))) for _ in range(3)]
            await busy(3, slow)
            refused = await completed_by(access, slow.base, lacking("conditions"))
            slow.go.set()
            results = await asyncio.gather(*waiting)
            await access.close()
            return [told(refused), *(told(one) for one in results)]

    assert asyncio.run(run()) == [{"conditions": "BUSY"}, {}, {}, {}]


def test_a_server_that_never_answers_ends_with_the_calls_time() -> None:
    """X-16: keys that came stay, the others are told; nothing is left under way."""

    async def run() -> tuple[Completed, int, int]:
        access = Access(Limits(total_seconds=0.3), trusted=NOBODY)
        async with slow_servers(1) as (slow,), asyncio.timeout(60):
            found = await completed_by(access, slow.base, lacking("conditions", "observations"))
            left = access.gates.calls, access.gates.bytes_held
            await access.close()
            return found, *left

    found, calls, held = asyncio.run(run())
    assert told(found) == {"conditions": "TIMEOUT", "observations": "TIMEOUT"}
    assert (calls, held) == (0, 0)


def test_a_call_that_is_given_up_leaves_nothing_behind() -> None:
    """A client that hangs up: its place and its bytes are free again."""

    async def run() -> tuple[int, int]:
        access = Access(Limits(total_seconds=60), trusted=NOBODY)
        async with slow_servers(1) as (slow,), asyncio.timeout(60):
            task = asyncio.create_task(completed_by(access, slow.base, lacking("conditions")))
            await busy(1, slow)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
            await access.close()
            return access.gates.calls, access.gates.bytes_held

    assert asyncio.run(run()) == (0, 0)
