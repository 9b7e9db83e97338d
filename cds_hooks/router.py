"""The CDS Hooks endpoints: bytes in, bytes out. The only file of this package that knows FastAPI.

Every answer other than 2xx is an OperationOutcome and carries the CORS headers, so nothing is left to the
application's exception handlers. A fault is a 500, never an empty list of cards.
"""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from fastapi import APIRouter, Security, params
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from cds_hooks import openapi
from cds_hooks.body import BODY_LIMIT_BYTES, BODY_SECONDS, read_body
from cds_hooks.cors import CorsPolicy
from cds_hooks.discovery import ServiceRegistry
from cds_hooks.errors import (
    CdsHooksError,
    InvalidRequest,
    MalformedBody,
    MethodNotAllowed,
    UnknownService,
)
from cds_hooks.faults import log_fault
from cds_hooks.feedback import FeedbackEntry, decode_feedback
from cds_hooks.outcome import MEDIA_TYPE, encode_outcome
from cds_hooks.refusal import Refusal, RefusedAt
from cds_hooks.request import CdsRequest, decode_request
from cds_hooks.security.caller import Caller, Endpoint
from cds_hooks.security.errors import ClientRefused

_DISCOVERY_PATH = "/cds-services"
_CALL_PATH = "/cds-services/{service_id}"
_FEEDBACK_PATH = "/cds-services/{service_id}/feedback"


class Services(Protocol):
    """What a host implements. CdsHooksErrors keep their status; any other error becomes a 500."""

    @property
    def registry(self) -> ServiceRegistry:
        """The services as they are now; the host may exchange it for another one while it runs."""

    async def call(
        self, service_id: str, request: CdsRequest, headers: Mapping[str, str], caller: Caller | None
    ) -> bytes:
        """Answer one hook with an encoded CdsResponse.

        Args:
            service_id: of a service in `registry`.
            request: for this service, decoded and valid.
            headers: of the HTTP request, whatever the case.
            caller: the client, which may call this service; None where clients are not authenticated.
        """

    async def feedback(self, service_id: str, entries: tuple[FeedbackEntry, ...], caller: Caller | None) -> None:
        """Keep the outcomes of cards. An unknown card is no error: another instance may have shown it."""


class Authenticator(Protocol):
    """What lets clients in; cds_hooks.security.authenticator has one."""

    async def authenticate(self, authorizations: Sequence[str], endpoint: Endpoint) -> Caller:
        """The client that sent a request with these Authorization headers. Raises CdsHooksError."""


OnRefusal: TypeAlias = Callable[[Refusal], None]

# For OpenAPI alone and never run: a route here gets the request as it came, and asks the authenticator itself.
_BEARER = Security(
    HTTPBearer(
        scheme_name="client",
        bearerFormat="JWT",
        description="A short-lived JWT that the client signed for this endpoint (CDS Hooks, Trusting CDS Clients).",
        auto_error=False,
    )
)


def cds_router(
    services: Services,
    *,
    base: str = "",
    cors: CorsPolicy | None = None,
    body_limit_bytes: int = BODY_LIMIT_BYTES,
    body_seconds: float = BODY_SECONDS,
    authenticator: Authenticator | None = None,
    on_refusal: OnRefusal | None = None,
) -> APIRouter:
    """The three endpoints under /cds-services, and an honest answer to everything else there.

    Args:
        services: the host's.
        base: path in front of /cds-services, such as `/3.0`: a token that names an endpoint under one base is not
            for another one.
        cors: which web pages may call; by default all.
        body_limit_bytes: longest body that is read.
        body_seconds: how long a body may take to arrive.
        authenticator: asked first by discovery, calls and feedback, before anything else of the request is looked
            at. Preflights pass: browsers send no token with them. None: everyone is let in.
        on_refusal: told of each request that was refused before a service saw it; must return at once.
    """
    edge = _Edge(
        services=services,
        base=base,
        cors=cors or CorsPolicy(),
        body_limit_bytes=body_limit_bytes,
        body_seconds=body_seconds,
        authenticator=authenticator,
        on_refusal=on_refusal,
    )
    return _routes(edge, secured=None if authenticator is None else [_BEARER])


def _routes(edge: "_Edge", *, secured: list[params.Depends] | None) -> APIRouter:
    discovery, call, feedback = (edge.base + path for path in (_DISCOVERY_PATH, _CALL_PATH, _FEEDBACK_PATH))
    router = APIRouter(route_class=_RawRoute, tags=["CDS Hooks"])
    # Calls pass FastAPI's own machinery by, which would cost a tenth of them; its route below tells OpenAPI of them.
    router.routes.append(Route(call, _Direct(edge), methods=["POST"]))
    for path, endpoint, method, described in (
        (discovery, edge.discovery, "GET", openapi.DISCOVERY),
        (call, edge.call, "POST", openapi.CALL),
        (feedback, edge.feedback, "POST", openapi.FEEDBACK),
    ):
        router.add_api_route(path, endpoint, methods=[method], dependencies=secured, **described)
    router.add_api_route(discovery, edge.discovery, methods=["HEAD"], include_in_schema=False)
    router.add_api_route(f"{discovery}/", edge.discovery, methods=["GET"], include_in_schema=False)
    router.routes.append(Route(discovery, _Otherwise(edge, ("GET", "HEAD"))))
    router.routes.append(Route(call, _Otherwise(edge, ("POST",))))
    router.routes.append(Route(feedback, _Otherwise(edge, ("POST",))))
    router.routes.append(Route(f"{discovery}/{{rest:path}}", _Otherwise(edge, ())))
    return router


class _RawRoute(APIRoute):
    """A route whose endpoint gets the request as it came: no dependencies, no models, no copy of the body."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return handler


@dataclass(slots=True, kw_only=True, eq=False)
class _Visit:
    """What is known of a request while it is dealt with. `handed_over`: the host has it, and keeps account of it."""

    request: Request
    at: RefusedAt
    caller: Caller | None = None
    handed_over: bool = False

    @property
    def service_id(self) -> str:
        """As the path has it; there need not be such a service."""
        service_id: str = self.request.path_params["service_id"]
        return service_id


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edge:
    """Where HTTP ends and the services begin."""

    services: Services
    base: str
    cors: CorsPolicy
    body_limit_bytes: int
    body_seconds: float
    authenticator: Authenticator | None
    on_refusal: OnRefusal | None

    async def discovery(self, request: Request) -> Response:
        return await self.answer(_Visit(request=request, at="discovery"), self._discovery)

    async def call(self, request: Request) -> Response:
        return await self.answer(_Visit(request=request, at="call"), self._call)

    async def feedback(self, request: Request) -> Response:
        return await self.answer(_Visit(request=request, at="feedback"), self._feedback)

    async def answer(self, visit: _Visit, produce: Callable[[_Visit], Awaitable[bytes]]) -> Response:
        """What `produce` returns, or the OperationOutcome of what it raises."""
        headers = dict(self.cors.answer_headers(visit.request.headers.get("origin")))
        try:
            body = await produce(visit)
        except CdsHooksError as error:
            if error.status == CdsHooksError.status:
                log_fault(visit.request, error)
            refused = error
        except RecursionError:
            # The host decodes deeper in the stack than we did: a body that just passed there fails here.
            refused = MalformedBody("Expected a JSON object of ordinary depth; it is nested too deeply.")
        except ClientDisconnect:
            refused = InvalidRequest("The client closed the connection before its body was complete.")
        except Exception as error:  # noqa: BLE001 - whatever it is, the client must get a 500 and not an empty list
            log_fault(visit.request, error)
            refused = CdsHooksError("The service failed.")
        else:
            return Response(body, media_type="application/json" if body else None, headers=headers)
        self._tell(visit, refused)
        return _refusal(refused, headers)

    async def _discovery(self, visit: _Visit) -> bytes:
        await self._admit(visit, Endpoint(base=self.base))
        registry = self.services.registry
        if visit.caller is None:
            return registry.discovery
        return registry.discovery_for(visit.caller.registration.may_call)

    async def _call(self, visit: _Visit) -> bytes:
        request, service_id = visit.request, visit.service_id
        await self._admit(visit, Endpoint(base=self.base, service_id=service_id))
        registry = self.services.registry
        registry.hooks_of(service_id)  # an unknown service is told before its body is read
        cds_request = decode_request(await self._body(request))
        registry.describe(service_id, cds_request.hook)
        visit.handed_over = True
        return await self.services.call(service_id, cds_request, request.headers, visit.caller)

    async def _feedback(self, visit: _Visit) -> bytes:
        service_id = visit.service_id
        await self._admit(visit, Endpoint(base=self.base, service_id=service_id, feedback=True))
        self.services.registry.hooks_of(service_id)
        entries = decode_feedback(await self._body(visit.request))
        visit.handed_over = True
        await self.services.feedback(service_id, entries, visit.caller)
        return b""

    async def _admit(self, visit: _Visit, endpoint: Endpoint) -> None:
        if self.authenticator is not None:
            authorizations = visit.request.headers.getlist("authorization")
            visit.caller = await self.authenticator.authenticate(authorizations, endpoint)

    def _tell(self, visit: _Visit, error: CdsHooksError) -> None:
        """Tell the host of a request that it has not seen, in words of ours."""
        if self.on_refusal is None or visit.handed_over:
            return
        named = visit.request.path_params.get("service_id")
        client = error.client if isinstance(error, ClientRefused) else None
        if visit.caller is not None:
            client = visit.caller.registration.name
        self.on_refusal(
            Refusal(
                at=visit.at,
                status=error.status,
                code=error.code,
                service_id=named if named in self.services.registry else None,
                client=client,
            )
        )

    async def _body(self, request: Request) -> bytes:
        return await read_body(request, limit_bytes=self.body_limit_bytes, seconds=self.body_seconds)


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
            response = await self.edge.answer(_Visit(request=request, at="elsewhere"), self._refuse)
        await response(scope, receive, send)

    async def _refuse(self, _: _Visit) -> bytes:
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
