"""The fuzz target: bytes as the body of a request to a whole server, and a judge of what comes back.

One execution is one answer, from the router over FHIR reader, features, ONNX graph and explanation to the card and
its entry in a journal on disk. Nothing is replaced but the network and the clock.
"""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from fastapi import FastAPI
from starlette.types import Message, Scope

from cds_hooks.outcome import MEDIA_TYPE, OperationOutcome
from cds_hooks.request import decode_request
from cds_hooks.response import decode_response
from cds_hooks.router import cds_router
from features.feature import Aggregate, Aggregation, FeatureSet
from models.catalog import find
from serving.assess import ServedModel, serve
from serving.journal import Journal
from serving.services import BedsideServices
from tests.bundles import linear_graph, random_rows, tiny_entry, tiny_spec, write_bundle
from tests.fhir_builders import NOW
from tests.hosts import CARDS, PSEUDONYMS
from tests.serving.ordering import TRIGGERS

CORPUS = Path(__file__).parent / "corpus"

HOOKS = ("patient-view", "order-select", "order-sign")
# The only hooks whose answer may be without a card: most orders ask for nothing.
MAY_BE_SILENT = frozenset({"order-select", "order-sign"})


class BrokenPromiseError(Exception):
    """An answer that no client should get; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an application sent."""

    status: int
    media_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Target:
    """A server in this process, asked without a client library, which would take longer than its answer."""

    app: FastAPI
    loop: asyncio.AbstractEventLoop

    def execute(self, body: bytes) -> Answer:
        """Send a body where it belongs, and judge the answer.

        Raises:
            BrokenPromiseError: the answer is neither a valid response nor a valid refusal.
        """
        path = path_of(body)
        answer = self.loop.run_until_complete(_asked(self.app, path, body))
        judge(path, body, answer)
        return answer


def path_of(body: bytes) -> str:
    """The endpoint for a body; the body itself decides, so that a file of the corpus is nothing but a body."""
    if body[:40].lstrip(b"{ \n").startswith(b'"feedback"'):
        return "/cds-services/sepsis/feedback"
    return "/cds-services/tiny" if b'"conditions"' in body else "/cds-services/sepsis"


def judge(path: str, body: bytes, answer: Answer) -> None:
    """Hold an answer to the promise: 2xx with valid cards, or 4xx with a valid OperationOutcome.

    Raises:
        BrokenPromiseError: it is neither.
    """
    try:
        if answer.status == 200 and path.endswith("/feedback"):
            broken = answer.body != b""
        elif answer.status == 200:
            cards = decode_response(answer.body).cards
            broken = not cards and decode_request(body).hook not in MAY_BE_SILENT
        else:
            outcome = msgspec.json.decode(answer.body, type=OperationOutcome)
            broken = not 400 <= answer.status < 500 or answer.media_type != MEDIA_TYPE or not outcome.issue
    except msgspec.MsgspecError as error:
        raise BrokenPromiseError(f"{path} answered {answer.status} with something invalid: {error}") from error
    if broken:
        raise BrokenPromiseError(f"{path} answered {answer.status}, {answer.media_type}: {answer.body[:500]!r}")


@contextmanager
def open_target(folder: Path) -> Iterator[Target]:
    """The released sepsis model and the tests' tiny one behind the router, whose clock stands still.

    Args:
        folder: for the journal and the tiny model.
    """
    with ExitStack() as stack:
        journal = stack.enter_context(Journal.open(f"sqlite:///{folder / 'journal.db'}", synchronous="NORMAL"))
        services = BedsideServices(
            models={"sepsis": serve(find("sepsis")), "tiny": _tiny(folder)},
            journal=journal,
            pseudonyms=PSEUDONYMS,
            cards=CARDS,
            language="en",
            as_of="latest-observation",
            clock=lambda: NOW,
        )
        app = FastAPI(docs_url=None, redoc_url=None)
        app.include_router(cds_router(services))
        loop = asyncio.new_event_loop()
        stack.callback(loop.close)
        yield Target(app, loop)


def _tiny(folder: Path) -> ServedModel:
    """The tests' linear model on all hooks that a model here can have; it reads drafts too, and is asked by them."""
    drafts = (Aggregate(concept=concept, aggregation=Aggregation.ACTIVE) for concept in TRIGGERS)
    features = FeatureSet((*tiny_spec().features, *drafts))
    entry = tiny_entry(folder, hooks=HOOKS, triggers=TRIGGERS, features=features)
    graph, rows = linear_graph(width=len(features)), random_rows(entry.spec, rows=20)
    return serve(entry, write_bundle(folder / "bundle", entry.spec, graph, rows))


async def _asked(app: FastAPI, path: str, body: bytes) -> Answer:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())],
        "client": None,
        "server": None,
    }
    await app(scope, receive, send)
    start, *rest = sent
    media_type = dict(start["headers"]).get(b"content-type", b"").decode()
    return Answer(start["status"], media_type, b"".join(message.get("body", b"") for message in rest))
