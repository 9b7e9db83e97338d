"""CORS: which browser-based clients may call the services.

Source: CDS Hooks 2.0.1, CORS; the Fetch standard. CDS clients authenticate with a bearer token
in a header, never with cookies, so credentials are never allowed and the wildcard is safe.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

# As browsers write one, in lower case: scheme, host (or an address of IPv6), port. It is compared as it stands, and it
# stands in a content security policy, where a star or a semicolon would mean more.
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
# What a CDS client sends beyond the headers that every browser may send.
_REQUEST_HEADERS = "Accept, Accept-Language, Authorization, Content-Type"


@dataclass(frozen=True, slots=True, kw_only=True)
class CorsPolicy:
    """Origins (`https://ehr.example`) whose pages may call; `("*",)` allows all, `()` none."""

    origins: tuple[str, ...] = ("*",)
    max_age_seconds: int = 600

    def __post_init__(self) -> None:
        for origin in self.origins:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"CORS origin {origin!r}: expected * or scheme://host[:port] in lower case, without a path."
                )

    def answer_headers(self, origin: str | None) -> Mapping[str, str]:
        """Headers of any answer, errors too: without them the page cannot even read the error."""
        if "*" in self.origins:
            return {"access-control-allow-origin": "*"}
        vary = {"vary": "Origin"}  # a shared cache must not serve one origin's answer to another
        if origin is not None and origin in self.origins:
            return vary | {"access-control-allow-origin": origin}
        return vary

    def preflight_headers(self, origin: str | None, methods: tuple[str, ...]) -> Mapping[str, str]:
        """Headers of the answer to a preflight; an origin that is not allowed gets no permission."""
        headers = dict(self.answer_headers(origin))
        if "access-control-allow-origin" in headers:
            headers["access-control-allow-methods"] = ", ".join(methods)
            headers["access-control-allow-headers"] = _REQUEST_HEADERS
            headers["access-control-max-age"] = str(self.max_age_seconds)
        return headers
