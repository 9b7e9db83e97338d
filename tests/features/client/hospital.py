"""A hospital that exports its patients, and what is looked at in the folder that this becomes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from features.client.bulk import export
from features.client.manifest import ExportRequest
from features.client.report import ExportReport
from features.client.transport import Transport
from features.files.sources import find_files, read_ndjson
from features.refusals import Refusals
from tests.features.client.fake_server import Asked, FakeServer, Reply, json

KICK_OFF, STATUS = "/fhir/Patient/$export", "/fhir/jobs/1"
PATIENTS = b"".join(b'{"resourceType":"Patient","id":"%d"}\n' % number for number in range(20_000))
OTHERS = b'{"resourceType":"Patient","id":"x"}\n'
SAID = (
    b'{"resourceType":"OperationOutcome","issue":[{"severity":"error"},{"severity":"warning"}]}\n'
    b'{"resourceType":"OperationOutcome","issue":[{"severity":"error"}]}\n'
)
GONE = b'{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Patient/y"}}]}\n'


def ranged(
    data: bytes, *, etag: str = '"v1"', cut: int | None = None, encoding: str = "identity"
) -> Callable[[Asked], Reply]:
    """A file of which ranges are given to those who name its ETag."""

    def answer(asked: Asked) -> Reply:
        start, status, more = 0, 200, {"ETag": etag, "Content-Encoding": encoding}
        if "range" in asked.headers and asked.headers.get("if-range") == etag:
            start, status = int(asked.headers["range"].removeprefix("bytes=").removesuffix("-")), 206
            more["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            if start >= len(data):
                return Reply(status=416, headers={"Content-Range": f"bytes */{len(data)}"})
        return Reply(status=status, headers=more, body=data[start:], cut=cut)

    return answer


def manifest(fake: FakeServer, **more: Any) -> dict[str, Any]:
    """A manifest of two files of patients, what the server said, and what was deleted."""
    return {
        "transactionTime": "2024-05-01T00:00:00Z",
        "request": f"{fake.base}/Patient/$export",
        "requiresAccessToken": True,
        "output": [
            {"type": "Patient", "url": f"{fake.base}/files/1", "count": 20_000},
            {"type": "../../Patient", "url": "/fhir/files/2", "count": 7},
        ],
        "error": [{"type": "OperationOutcome", "url": f"{fake.base}/files/3"}],
        "deleted": [{"type": "Bundle", "url": f"{fake.base}/files/4"}],
    } | more


def run(transport: Transport, folder: Path, **more: Any) -> ExportReport:
    return export(transport, ExportRequest(), folder, **more)


def ids_in(folder: Path) -> Iterator[str | None]:
    for file in find_files(folder).files:
        yield from (one.id for one in read_ndjson(file, Refusals(), on_broken=lambda _: pytest.fail("broken")))


def whole(folder: Path) -> bool:
    return list(ids_in(folder)) == [str(number) for number in range(20_000)] + ["x"]


def ranges(fake: FakeServer, path: str = "/fhir/files/1") -> list[str | None]:
    return [one.headers.get("range") for one in fake.at(path)]


class Tokens:
    """Always the same token."""

    def token(self) -> str:
        return "secret"

    def forget(self) -> None:
        """Nothing to forget."""


def stage(fake: FakeServer) -> None:
    """Have an export ready at once."""
    fake.on(KICK_OFF, Reply(status=202, headers={"Content-Location": f"{fake.base}/jobs/1"}))
    fake.on(STATUS, lambda asked: Reply(status=202) if asked.method == "DELETE" else json(manifest(fake)))
    for number, data in enumerate((PATIENTS, OTHERS, SAID, GONE), start=1):
        fake.on(f"/fhir/files/{number}", ranged(data))
