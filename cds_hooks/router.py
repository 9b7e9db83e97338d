"""The CDS Hooks endpoints: bytes in, bytes out. The only file of this package that knows FastAPI.

Every answer other than 2xx is an OperationOutcome and carries the CORS headers, so nothing is left to the
application's exception handlers. A fault is a 500, never an empty list of cards.
"""

import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from types import TracebackType
from typing import Any, Protocol

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from cds_hooks import openapi
from cds_hooks.cors import CorsPolicy
from cds_hooks.discovery import ServiceRegistry
from cds_hooks.errors import (
    BodyTooLarge,
    CdsHooksError,
    InvalidRequest,
    MalformedBody,
    MethodNotAllowed,
    UnknownService,
    UnsupportedMediaType,
)
from cds_hooks.feedback import FeedbackEntry, decode_feedback
from cds_hooks.outcome import MEDIA_TYPE, encode_outcome
from cds_hooks.request import CdsRequest, decode_request

BODY_LIMIT_BYTES = 10 * 1024 * 1024

# A body over the limit is still read, and dropped, up to this many times the limit: a client that is cut off
# while it sends sees a broken connection instead of the 413.
_DRAIN_FACTOR = 4

_DISCOVERY_PATH = "/cds-services"
_CALL_PATH = "/cds-services/{service_id}"
_FEEDBACK_PATH = "/cds-services/{service_id}/feedback"

_logger = logging.getLogger("cds_hooks")


class Services(Protocol):
    """What a host implements. CdsHooksErrors keep their status; any other error becomes a 500."""

    @property
    def registry(self) -> ServiceRegistry:
        """The services as they are now; the host may exchange it for another one while it runs."""

    async def call(self, service_id: str, request: CdsRequest, headers: Mapping[str, str]) -> bytes:
        """Answer one hook with an encoded CdsResponse. `headers`: of the HTTP request, whatever the case."""

    async def feedback(self, service_id: str, entries: tuple[FeedbackEntry, ...]) -> None:
        """Keep the outcomes of cards. An unknown card is no error: another instance may have shown it."""


def cds_router(
    services: Services, *, cors: CorsPolicy | None = None, body_limit_bytes: int = BODY_LIMIT_BYTES
) -> APIRouter:
    """The three endpoints under /cds-services, and an honest answer to everything else there."""
    edge = _Edge(services=services, cors=cors or CorsPolicy(), body_limit_bytes=body_limit_bytes)
    router = APIRouter(route_class=_RawRoute, tags=["CDS Hooks"])
    # Calls pass FastAPI's own machinery by, which would cost a tenth of them; its route below tells OpenAPI of them.
    router.routes.append(Route(_CALL_PATH, _Direct(edge), methods=["POST"]))
    router.add_api_route(_DISCOVERY_PATH, edge.discovery, methods=["GET"], **openapi.DISCOVERY)
    router.add_api_route(_CALL_PATH, edge.call, methods=["POST"], **openapi.CALL)
    router.add_api_route(_FEEDBACK_PATH, edge.feedback, methods=["POST"], **openapi.FEEDBACK)
    router.add_api_route(_DISCOVERY_PATH, edge.discovery, methods=["HEAD"], include_in_schema=False)
    router.add_api_route(f"{_DISCOVERY_PATH}/", edge.discovery, methods=["GET"], include_in_schema=False)
    router.routes.append(Route(_DISCOVERY_PATH, _Otherwise(edge, ("GET", "HEAD"))))
    router.routes.append(Route(_CALL_PATH, _Otherwise(edge, ("POST",))))
    router.routes.append(Route(_FEEDBACK_PATH, _Otherwise(edge, ("POST",))))
    router.routes.append(Route(f"{_DISCOVERY_PATH}/{{rest:path}}", _Otherwise(edge, ())))
    return router


class _RawRoute(APIRoute):
    """A route whose endpoint gets the request as it came: no dependencies, no models, no copy of the body."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return handler


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edge:
    """Where HTTP ends and the services begin."""

    services: Services
    cors: CorsPolicy
    body_limit_bytes: int

    async def discovery(self, request: Request) -> Response:
        return await self.answer(request, self._discovery)

    async def call(self, request: Request) -> Response:
        return await self.answer(request, self._call)

    async def feedback(self, request: Request) -> Response:
        return await self.answer(request, self._feedback)

    async def answer(self, request: Request, produce: Callable[[Request], Awaitable[bytes]]) -> Response:
        """What `produce` returns, or the OperationOutcome of what it raises."""
        headers = dict(self.cors.answer_headers(request.headers.get("origin")))
        try:
            body = await produce(request)
        except CdsHooksError as error:
            if error.status == CdsHooksError.status:
                _log_fault(request, error)
            return _refusal(error, headers)
        except RecursionError:
            # The host decodes deeper in the stack than we did: a body that just passed there fails here.
            return _refusal(
                MalformedBody("Expected a JSON object of ordinary depth; it is nested too deeply."), headers
            )
        except ClientDisconnect:
            return _refusal(InvalidRequest("The client closed the connection before its body was complete."), headers)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client must get a 500 and not an empty list
            _log_fault(request, error)
            return _refusal(CdsHooksError("The service failed."), headers)
        return Response(body, media_type="application/json" if body else None, headers=headers)

    async def _discovery(self, _: Request) -> bytes:
        return self.services.registry.discovery

    async def _call(self, request: Request) -> bytes:
        registry = self.services.registry
        service_id: str = request.path_params["service_id"]
        registry.hooks_of(service_id)  # an unknown service is told before its body is read
        cds_request = decode_request(await self._body(request))
        registry.describe(service_id, cds_request.hook)
        return await self.services.call(service_id, cds_request, request.headers)

    async def _feedback(self, request: Request) -> bytes:
        service_id: str = request.path_params["service_id"]
        self.services.registry.hooks_of(service_id)
        await self.services.feedback(service_id, decode_feedback(await self._body(request)))
        return b""

    async def _body(self, request: Request) -> bytes:
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            raise UnsupportedMediaType("Expected Content-Type: application/json; another or none came.")
        chunks: list[bytes] = []
        received = 0
        async for chunk in request.stream():
            received += len(chunk)
            if received <= self.body_limit_bytes:
                chunks.append(chunk)
            elif received > _DRAIN_FACTOR * self.body_limit_bytes:
                break
        if received > self.body_limit_bytes:
            raise BodyTooLarge(f"Expected at most {self.body_limit_bytes} bytes; a longer body came.")
        return b"".join(chunks)


@dataclass(frozen=True, slots=True)
class _Direct:
    """Calls as an ASGI application."""

    edge: _Edge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self.edge.call(Request(scope, receive))
        await response(scope, receive, send)


@dataclass(frozen=True, slots=True)
class _Otherwise:
    """Preflights, other methods and other paths: an ASGI application, so that no method passes it by."""

    edge: _Edge
    methods: tuple[str, ...]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if request.method == "OPTIONS" and self.methods:
            headers = dict(self.edge.cors.preflight_headers(request.headers.get("origin"), self.methods))
            response = Response(status_code=204, headers=headers | {"allow": ", ".join((*self.methods, "OPTIONS"))})
        else:
            response = await self.edge.answer(request, self._refuse)
        await response(scope, receive, send)

    async def _refuse(self, _: Request) -> bytes:
        if not self.methods:
            raise UnknownService("Nothing lives at this path. GET /cds-services lists the services of this server.")
        allowed = ", ".join((*self.methods, "OPTIONS"))
        raise MethodNotAllowed(f"Expected {allowed} here; another method came.", headers={"allow": allowed})


def _refusal(error: CdsHooksError, headers: Mapping[str, str]) -> Response:
    return Response(
        encode_outcome(error),
        status_code=error.status,
        media_type=MEDIA_TYPE,
        headers={**headers, **error.headers},
    )


def _log_fault(request: Request, error: Exception) -> None:
    """Type and place only: the text of a foreign exception may hold a patient's value."""
    route = request.scope.get("route")
    _logger.error(
        "service_failed",
        extra={
            "route": getattr(route, "path", None),
            "service_id": request.path_params.get("service_id"),
            "error": type(error).__name__,
            "reason": error.message if isinstance(error, CdsHooksError) else None,
            "raised_at": _innermost(error.__traceback__),
        },
    )


def _innermost(traceback: TracebackType | None) -> str | None:
    if traceback is None:
        return None
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    code = traceback.tb_frame.f_code
    return f"{PurePath(code.co_filename).name}:{traceback.tb_lineno} {code.co_name}"
