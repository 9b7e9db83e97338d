"""Nothing of a call outlives it: neither the token nor the patient is anywhere in what stays in the process (X-36)."""

import asyncio
import gc
from collections.abc import Iterator
from types import BuiltinFunctionType, FrameType, FunctionType, ModuleType

import pytest

from serving.access.access import Access
from tests.features.client.fake_server import FakeServer, Reply, json
from tests.fhir_builders import OUTCOME
from tests.serving.access.hospital import NOBODY, PATIENT, TOKEN, completed_by, raw, told, without

# What everything else hangs on, the test's own constants too.
_ELSEWHERE = (type, ModuleType, FunctionType, BuiltinFunctionType, FrameType)


def texts(root: object) -> Iterator[bytes]:
    """All texts that can be reached from an object."""
    seen, left = set[int](), [root]
    while left:
        one = left.pop()
        if id(one) in seen or isinstance(one, _ELSEWHERE):
            continue
        seen.add(id(one))
        if isinstance(one, str):
            yield one.encode(errors="replace")
        elif isinstance(one, bytes | bytearray | memoryview):
            yield bytes(one)
        else:
            left.extend(gc.get_referents(one))


def holds(root: object, secret: str) -> bool:
    return any(secret.encode() in text for text in texts(root))


def after_a_call(fake: FakeServer) -> tuple[dict[str, str], list[bool]]:
    """Why keys could not be had; and which secrets are left while the connections are still kept for the next call."""

    async def run() -> tuple[dict[str, str], list[bool]]:
        access = Access(trusted=NOBODY)
        reasons = told(await completed_by(access, fake.base, without("observations")))
        assert access.connections.servers == 1
        left = [holds(access, secret) for secret in (TOKEN, PATIENT)]
        await access.close()
        return reasons, left

    return asyncio.run(run())


ANSWERS = {
    "an answer": (None, {}),
    "a refusal": (json(OUTCOME, status=401), {"observations": "UNAUTHORIZED"}),
    "an answer that breaks off": (Reply(body=bytes(raw(OUTCOME)), cut=9), {"observations": "BROKEN"}),
}


@pytest.mark.parametrize(("answer", "reasons"), ANSWERS.values(), ids=ANSWERS)
def test_after_a_call_neither_token_nor_patient_is_left(
    answer: Reply | None, reasons: dict[str, str], fake: FakeServer
) -> None:
    if answer is not None:
        fake.on("/fhir/Observation", answer)
    assert after_a_call(fake) == (reasons, [False, False])


def test_the_search_finds_what_is_there() -> None:
    """So that the test above can fail."""
    access = Access(trusted=NOBODY)
    access.gates.__dict__["left"] = [{"deep": (f"Bearer {TOKEN}",)}]
    assert holds(access, TOKEN)
    assert not holds(access, PATIENT)
