"""Transport: requests to one FHIR server and their answers; the only file that knows the HTTP library.

Whatever is sent goes to the server's own origin, with a token if there is one, or to an origin that the request names,
without it. Redirects are followed by the same rule.
"""

import logging
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeVar

import httpx

from features.client.errors import AuthorizationError, ClientError, OtherOriginError, PassingError, UnavailableError
from features.client.failures import plain, remarks
from features.client.retry import PASSING_STATUSES, Pace, Patience, persist, retry_after_seconds
from features.client.urls import Origin, follow, is_private, origin_of, query_values, shown

Result = TypeVar("Result")

FHIR_JSON = "application/fhir+json"
MOST_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})

# What certainly did not begin on the server: asking again cannot begin it twice.
_NOT_BEGUN = frozenset({429, 503})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to ask.

    `other_origins` may be asked too, without a token. `final` are statuses that are not tried again. What is not
    `repeatable` is tried again only if it certainly did not begin.
    """

    url: str
    method: Literal["GET", "POST", "DELETE"] = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    with_token: bool = True
    other_origins: frozenset[Origin] = frozenset()
    final: frozenset[int] = frozenset()
    repeatable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer; `url` is where it came from in the end."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class Streaming(Protocol):
    """An answer whose body is still to come."""

    url: str
    status: int
    headers: Mapping[str, str]

    def chunks(self) -> Iterator[bytes]:
        """The body's bytes as they are sent, still compressed if they were."""

    def read(self) -> bytes:
        """The whole body, decompressed."""


class Authorization(Protocol):
    """Where tokens come from."""

    def token(self) -> str:
        """A token that is valid now.

        Raises:
            ClientError: none was given.
        """

    def forget(self) -> None:
        """The server refused the token: the next one is to be new."""


class Transport:
    """Sends requests to the server at `base`, patiently."""

    def __init__(
        self,
        http: httpx.Client,
        *,
        base: str,
        patience: Patience,
        pace: Pace,
        authorization: Authorization | None = None,
    ) -> None:
        self.base = base
        self.patience = patience
        self.pace = pace
        self._http = http
        self._authorization = authorization

    def authorized(self, authorization: Authorization) -> "Transport":
        """The same, with a token on every request to the server's own origin."""
        return Transport(
            self._http, base=self.base, patience=self.patience, pace=self.pace, authorization=authorization
        )

    def send(self, request: Request) -> Answer:
        """The answer, whatever its status, unless that may pass: then after as many tries as patience allows.

        Raises:
            UnavailableError: patience ended, or the server cannot be trusted to be itself.
            OtherOriginError: the request or a redirect leads elsewhere.
            AuthorizationError: no token was given.
        """
        return self.persist(lambda: self.once(request))

    def once(self, request: Request) -> Answer:
        """As `send`, but one try; raises PassingError where another is worth it."""
        with self.stream(request) as streaming:
            body = streaming.read()
            return Answer(url=streaming.url, status=streaming.status, headers=streaming.headers, body=body)

    def persist(self, attempt: Callable[[], Result], *, progress: Callable[[], int] = lambda: 0) -> Result:
        """Try with this transport's patience; see `retry.persist`."""
        return persist(attempt, self.patience, self.pace, progress=progress)

    @contextmanager
    def stream(self, request: Request) -> Iterator[Streaming]:
        """One try; the body is read within. Raises as `once`, also where the body breaks off."""
        try:
            response = self._arrive(request)
            try:
                self._check_passing(request, response)
                yield _Streamed(response)
            finally:
                response.close()
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise _sent_nothing_usable(request, error) from error
        except httpx.InvalidURL as error:
            raise OtherOriginError(f"{shown(request.url)}: the URL cannot be used.") from error

    def _arrive(self, request: Request) -> httpx.Response:
        """Send, with a new token if the first is refused, and follow redirects."""
        url, renewed = follow(request.url, seen_at=self.base, base=self.base, others=request.other_origins), False
        for _ in range(MOST_REDIRECTS + 2):
            token = self._token_for(url) if request.with_token else None
            response = self._http.send(self._built(request, url, token), stream=True)
            if response.status_code == httpx.codes.UNAUTHORIZED and token is not None and not renewed:
                self._forget_token(response)
                renewed = True
            elif response.status_code in REDIRECTS and request.method == "GET" and "location" in response.headers:
                response.close()
                url = follow(response.headers["location"], seen_at=url, base=self.base, others=request.other_origins)
            else:
                return response
        raise UnavailableError(f"{shown(request.url)}: redirected more than {MOST_REDIRECTS} times.")

    def _built(self, request: Request, url: str, token: str | None) -> httpx.Request:
        headers = {"Accept": FHIR_JSON, **request.headers}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return self._http.build_request(request.method, url, headers=headers, data=request.form)

    def _token_for(self, url: str) -> str | None:
        if self._authorization is None or origin_of(url) != origin_of(self.base):
            return None
        if not is_private(url):
            raise AuthorizationError(f"{shown(url)}: a token is sent over https only; ask the server by https.")
        return self._authorization.token()

    def _forget_token(self, response: httpx.Response) -> None:
        response.close()
        if self._authorization is not None:
            self._authorization.forget()

    def _check_passing(self, request: Request, response: httpx.Response) -> None:
        status = response.status_code
        if status not in PASSING_STATUSES or status in request.final:
            return
        said = "".join(f" It says: {one}." for one in remarks(response.read(), hidden=query_values(request.url)))
        message = f"{shown(request.url)}: HTTP {status}.{said}"
        if not request.repeatable and status not in _NOT_BEGUN:
            raise UnavailableError(f"{message} It may have begun what was asked for: look before asking again.")
        asked = retry_after_seconds(response.headers.get("retry-after"), now=self.pace.clock())
        raise PassingError(message, status=status, retry_after_seconds=asked)


class _Streamed:
    """An answer of the HTTP library, as far as we need it."""

    def __init__(self, response: httpx.Response) -> None:
        self.url = str(response.url)
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self._response = response

    def chunks(self) -> Iterator[bytes]:
        return self._response.iter_raw()

    def read(self) -> bytes:
        return self._response.read()


@contextmanager
def open_transport(
    base: str, *, patience: Patience, pace: Pace, timeout_seconds: float, certificates: ssl.SSLContext | None = None
) -> Iterator[Transport]:
    """Connections to a server, closed in the end.

    Args:
        base: the server's base URL.
        patience: for each answer.
        pace: how time passes.
        timeout_seconds: for a connection, and for the next bytes of an answer.
        certificates: whom to trust; None for the usual authorities and what the environment names.
    """
    for name in ("httpx", "httpcore"):  # they log whole URLs, in which patients are named
        logging.getLogger(name).setLevel(logging.WARNING)
    with httpx.Client(
        timeout=timeout_seconds, verify=certificates or True, headers={"User-Agent": "bedside"}, follow_redirects=False
    ) as http:
        yield Transport(http, base=base, patience=patience, pace=pace)


def _sent_nothing_usable(request: Request, error: httpx.TransportError | httpx.DecodingError) -> ClientError:
    message = f"{shown(request.url)}: {plain(str(error)) or type(error).__name__}."
    if _is_certificate(error):
        return UnavailableError(
            f"{message} The server's certificate is not trusted: name the authority that signed it."
        )
    not_begun = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
    if not request.repeatable and not not_begun:
        return UnavailableError(f"{message} It may have begun what was asked for: look before asking again.")
    return PassingError(message)


def _is_certificate(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
