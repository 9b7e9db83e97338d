"""What can go wrong between us and a FHIR server; every message names the URL, without the values in its query."""


class ClientError(Exception):
    """A FHIR server did not give what was asked for; `status` is its HTTP status, if it answered."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class PassingError(ClientError):
    """A failure that may pass by itself, so that asking again is worth it.

    `retry_after_seconds` is how long the server asks us to wait, if it says so.
    """

    def __init__(self, message: str, *, status: int | None = None, retry_after_seconds: float | None = None) -> None:
        super().__init__(message, status=status)
        self.retry_after_seconds = retry_after_seconds


class UnavailableError(ClientError):
    """The server cannot be reached, or was asked as often and as long as allowed."""


class RefusedError(ClientError):
    """The server understood and said no; asking again gives the same answer."""


class AuthorizationError(RefusedError):
    """We may not: no token was given, or the token does not suffice."""


class NotFhirError(ClientError):
    """The answer is no FHIR: an HTML page, JSON that breaks off, or another resource than was asked for."""


class OtherOriginError(ClientError):
    """A link or a redirect leads to another origin; neither a token nor a request goes there."""


class ExportError(ClientError):
    """A bulk export failed, is no longer there, or does not fit the folder."""
