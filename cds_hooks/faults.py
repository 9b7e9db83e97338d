"""Faults of ours, as the log has them: type and place, and nothing that a foreign exception says."""

import logging
from pathlib import PurePath
from types import TracebackType

from starlette.requests import Request

from cds_hooks.errors import CdsHooksError

_logger = logging.getLogger("cds_hooks")


def log_fault(request: Request, error: Exception) -> None:
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
