"""The key ring: when keys are fetched, kept, renewed and given up."""

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from cds_hooks.security.errors import Refused
from cds_hooks.security.key_ring import KEEP_SECONDS, MAX_AGE_SECONDS, MIN_INTERVAL_SECONDS, KeyRing
from cds_hooks.security.registrations import Registration
from cds_hooks.security.tokens import Header
from cds_hooks.security.urls import ServerUrl
from tests.cds_hooks.security.clients import KEYS_URL, Clock, PublishedKeys, client, ec_key, key_set, registered

LOST = "keys out of reach"


class Ring:
    """A key ring of one client, its clock, and what its client publishes."""

    def __init__(self, folder: Path) -> None:
        (self.registration,) = registered(folder, client())
        self.published = PublishedKeys({KEYS_URL: key_set(ec_key("old"))})
        self.clock = Clock(0.0)
        self.ring = KeyRing(self.published, monotonic=self.clock)

    async def find(self, key_id: str) -> str:
        """The id of the key that is found, or why none is."""
        try:
            return (await self.ring.find(self.registration, Header(alg="ES384", kid=key_id, typ="JWT"))).key_id
        except Refused as refused:
            return refused.reason

    def publish(self, *key_ids: str) -> None:
        self.published.bodies[KEYS_URL] = key_set(*(ec_key(key_id) for key_id in key_ids))

    def go_down(self) -> None:
        self.published.bodies.clear()

    @property
    def fetches(self) -> int:
        return len(self.published.asked)


def test_keys_are_fetched_at_the_first_token_and_then_kept(tmp_path: Path) -> None:
    async def go() -> None:
        ring = Ring(tmp_path)
        assert ring.fetches == 0
        for _ in range(3):
            assert await ring.find("old") == "old"
        assert ring.fetches == 1

    asyncio.run(go())


def test_a_new_key_is_found_by_one_renewal_and_made_up_ids_cause_no_more(tmp_path: Path) -> None:
    async def go() -> None:
        ring = Ring(tmp_path)
        await ring.find("old")
        ring.publish("old", "new")
        assert await ring.find("new") == "key unknown"  # renewed a moment ago
        assert ring.fetches == 1
        ring.clock.now += MIN_INTERVAL_SECONDS
        assert await ring.find("new") == "new"
        for number in range(100):
            assert await ring.find(f"made-up-{number}") == "key unknown"
        assert ring.fetches == 2

    asyncio.run(go())


def test_a_key_that_was_withdrawn_is_refused_once_the_keys_are_old(tmp_path: Path) -> None:
    async def go() -> None:
        ring = Ring(tmp_path)
        await ring.find("old")
        ring.publish("new")
        ring.clock.now += MAX_AGE_SECONDS + 1
        assert await ring.find("old") == "key unknown"

    asyncio.run(go())


def test_keys_past_half_their_age_are_renewed_while_they_are_used(tmp_path: Path) -> None:
    async def go() -> None:
        ring = Ring(tmp_path)
        await ring.find("old")
        ring.publish("new")
        ring.clock.now += MAX_AGE_SECONDS / 2 + 1
        assert await ring.find("old") == "old"  # does not wait
        await asyncio.sleep(0)
        assert ring.fetches == 2
        assert await ring.find("new") == "new"
        assert ring.fetches == 2

    asyncio.run(go())


def test_where_the_url_fails_old_keys_are_used_until_a_stated_age(tmp_path: Path) -> None:
    async def go() -> None:
        ring = Ring(tmp_path)
        await ring.find("old")
        ring.go_down()
        ring.clock.now = KEEP_SECONDS
        assert await ring.find("old") == "old"
        ring.clock.now = KEEP_SECONDS + 1
        assert await ring.find("old") == LOST
        ring.publish("old")
        ring.clock.now += 301
        assert await ring.find("old") == "old"

    asyncio.run(go())


def test_a_url_that_fails_is_asked_less_and_less_often(tmp_path: Path) -> None:
    async def go() -> list[float]:
        ring = Ring(tmp_path)
        ring.go_down()
        asked: list[float] = []
        for second in range(1500):
            ring.clock.now = float(second)
            before = ring.fetches
            assert await ring.find("old") == LOST
            asked += [ring.clock.now] * (ring.fetches - before)
        return asked

    asked = asyncio.run(go())
    assert [later - earlier for earlier, later in pairwise(asked)] == [
        5,
        10,
        20,
        40,
        80,
        160,
        300,
        300,
        300,
    ]


def test_after_a_success_patience_begins_anew(tmp_path: Path) -> None:
    async def go() -> None:
        ring = Ring(tmp_path)
        ring.go_down()
        for second in range(100):  # the pauses are long by now
            ring.clock.now = float(second)
            await ring.find("old")
        ring.publish("old")
        ring.clock.now = 1000.0
        assert await ring.find("old") == "old"
        ring.go_down()
        ring.clock.now += MAX_AGE_SECONDS + 1
        await ring.find("old")
        fetches = ring.fetches
        ring.clock.now += 5
        await ring.find("old")
        assert ring.fetches == fetches + 1

    asyncio.run(go())


def test_a_set_that_cannot_be_used_is_a_failure_and_the_old_keys_stay(tmp_path: Path) -> None:
    async def go() -> None:
        ring = Ring(tmp_path)
        await ring.find("old")
        ring.published.bodies[KEYS_URL] = b"<html>Please log in</html>"
        ring.clock.now += MAX_AGE_SECONDS + 1
        assert await ring.find("old") == "old"
        assert ring.fetches == 2

    asyncio.run(go())


def test_calls_that_wait_for_one_key_set_wait_for_one_fetch_and_may_give_up_alone(tmp_path: Path) -> None:
    async def go() -> None:
        ring = Ring(tmp_path)
        gate = asyncio.Event()

        async def slow(registration: Registration, url: ServerUrl) -> bytes:
            await gate.wait()
            return await ring.published(registration, url)

        ring.ring = KeyRing(slow, monotonic=ring.clock)
        calls = [asyncio.create_task(ring.find("old")) for _ in range(50)]
        await asyncio.sleep(0)
        calls[0].cancel()
        await asyncio.sleep(0)
        gate.set()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert isinstance(outcomes[0], asyncio.CancelledError)
        assert outcomes[1:] == ["old"] * 49
        assert ring.fetches == 1

    asyncio.run(go())


def test_what_failed_is_logged_without_what_came(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ring = Ring(tmp_path)
    ring.published.bodies[KEYS_URL] = b'{"keys": "canary"}'
    assert asyncio.run(ring.find("old")) == LOST
    (record,) = [record for record in caplog.records if record.message == "keys_not_fetched"]
    assert (record.__dict__["client"], record.__dict__["url"]) == ("ward-ehr", KEYS_URL)
    assert "canary" not in repr(record.__dict__)
