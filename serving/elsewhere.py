"""What lies beside the services and the pages: each answer of the framework's own is an OperationOutcome too."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from cds_hooks.errors import CdsHooksError, MethodNotAllowed, UnknownService
from cds_hooks.outcome import MEDIA_TYPE, encode_outcome


async def refuse(_: Request, error: Exception) -> Response:
    """The answer to a path or a method that nothing here has (HTTPException), or to a fault of ours."""
    refused = _refused(error)
    return Response(
        encode_outcome(refused), status_code=refused.status, media_type=MEDIA_TYPE, headers=dict(refused.headers)
    )


def _refused(error: Exception) -> CdsHooksError:
    if not isinstance(error, HTTPException):
        return CdsHooksError("The server failed.")
    if error.status_code == MethodNotAllowed.status:
        return MethodNotAllowed("Expected a method that Allow lists; another one came.", headers=error.headers)
    return UnknownService("Nothing lives at this path. GET /cds-services lists the services of this server.")
