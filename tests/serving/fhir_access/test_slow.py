"""Slow FHIR servers hold up their own calls and no others, through the whole server.

What is compared is what has finished when, not how long it took.
"""

import asyncio

import httpx

from serving.access import Limits
from serving.access.access import Access
from tests.fhir_builders import request
from tests.hosts import Host
from tests.serving.access.hospital import NOBODY
from tests.serving.access.slow_servers import busy, slow_servers
from tests.serving.fhir_access.server import ADDRESS, Server, client_of, with_access, without

SERVERS = 200
CALLS = 20


def test_a_call_that_has_its_prefetch_finishes_while_200_others_wait_for_their_servers(host: Host) -> None:
    async def run() -> tuple[list[int], int, list[int]]:
        access = Access(Limits(total_seconds=60, requests_of_process=SERVERS), trusted=NOBODY)
        async with slow_servers(SERVERS) as slow, asyncio.timeout(120):
            services = Server(host, tuple(one.base for one in slow)).services(access)
            async with client_of(services) as client:

                async def status(body: object) -> int:
                    response: httpx.Response = await client.post(ADDRESS, json=body)
                    return response.status_code

                bodies = [with_access(one.base, prefetch=without("conditions")) for one in slow]
                waiting = [asyncio.create_task(status(body)) for body in bodies]
                await busy(SERVERS, slow[0])
                quick = [await status(request()) for _ in range(CALLS)]
                still = sum(not task.done() for task in waiting)
                for one in slow:
                    one.go.set()
                slowly = await asyncio.gather(*waiting)
        await access.close()
        return quick, still, slowly

    quick, still, slowly = asyncio.run(run())
    assert quick == [200] * CALLS
    assert still == SERVERS
    assert slowly == [200] * SERVERS
