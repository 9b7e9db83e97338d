"""O and A-24: whether a client that runs in a browser could call the server."""

from collections.abc import Iterable, Iterator, Mapping

from cds_hooks.conformance.discovery import PATH
from cds_hooks.conformance.exchange import Answer, Ask, plain
from cds_hooks.conformance.finding import Finding, judged, met, not_met, unseen
from cds_hooks.conformance.probes import Target

_ASKED = "authorization,content-type"
_SUCCESS = range(200, 300)


def preflights(origin: str, target: Target | None) -> Iterator[tuple[str, Ask]]:
    """The preflights of discovery and of a call."""
    yield "O-01", preflight(origin, PATH, "GET")
    if target is not None:
        yield "O-02", preflight(origin, target.path, "POST")


def preflight(origin: str, path: str, method: str) -> Ask:
    """A preflight as a browser sends it: without a token."""
    headers = {
        "origin": origin,
        "access-control-request-method": method,
        "access-control-request-headers": _ASKED,
    }
    return Ask(name=f"preflight of {method} {path}", method="OPTIONS", path=path, headers=headers, authorized=False)


def preflight_findings(requirement_id: str, answer: Answer, origin: str) -> Iterator[Finding]:
    """Whether a browser would go on after this preflight."""
    name = f"{answer.ask.name}: {answer.described}"
    if answer.status is None:
        yield unseen(requirement_id, name)
        return
    refused = answer.status in {401, 403}
    yield judged("A-24", holds=not refused, seen="preflights need no token", complaint=name)
    if not _allowed(answer.headers, origin) and _chooses(answer.headers):
        yield unseen(requirement_id, f"{name}: not allowed for {plain(origin)}; name an allowed one with --origin")
        return
    complaints = [*_missing(answer.headers, origin)]
    if answer.status not in _SUCCESS:
        complaints.insert(0, "no 2xx")
    yield judged(requirement_id, holds=not complaints, seen=name, complaint=f"{name}; {'; '.join(complaints)}")


def _missing(headers: Mapping[str, str], origin: str) -> Iterator[str]:
    if not _allowed(headers, origin):
        yield f"no Access-Control-Allow-Origin for {plain(origin)}"
    # GET and POST need no permission (Fetch, CORS-preflight fetch), whatever the list says.
    allowed = {each.strip().lower() for each in headers.get("access-control-allow-headers", "").split(",")}
    # The wildcard does not stand for Authorization (Fetch, CORS non-wildcard request-header name).
    for name in _ASKED.split(","):
        if name not in allowed and not ("*" in allowed and name != "authorization"):
            yield f"{name} is not among Access-Control-Allow-Headers"


def _allowed(headers: Mapping[str, str], origin: str) -> bool:
    return headers.get("access-control-allow-origin") in {"*", origin}


def _chooses(headers: Mapping[str, str]) -> bool:
    return "origin" in headers.get("vary", "").lower()


def answer_findings(answers: Iterable[Answer], origin: str) -> Iterator[Finding]:
    """O-03 and O-05, from answers to asks that named their origin."""
    for answer in answers:
        if answer.status is None:
            continue
        if not _allowed(answer.headers, origin) and _chooses(answer.headers):
            yield unseen("O-03", "the server chooses its origins; name an allowed one with --origin")
        else:
            complaint = f"{answer.ask.name} with Origin: {answer.described} without Access-Control-Allow-Origin"
            seen = "2xx and 4xx can be read by the page"
            yield judged("O-03", holds=_allowed(answer.headers, origin), seen=seen, complaint=complaint)
        yield _credentials(answer)


def _credentials(answer: Answer) -> Finding:
    with_credentials = answer.headers.get("access-control-allow-credentials", "").lower() == "true"
    if not with_credentials:
        return met("O-05", "credentials are not allowed")
    origin = answer.headers.get("access-control-allow-origin", "")
    if origin in {"*", answer.ask.headers.get("origin")}:
        return not_met("O-05", f"{answer.ask.name}: credentials for any origin that asks")
    return met("O-05", "credentials for listed origins only")


def asks_with_origin(origin: str, target: Target | None) -> Iterator[Ask]:
    """Plain asks that name their origin: answered and refused ones."""
    headers = {"origin": origin}
    yield Ask(name="GET /cds-services", method="GET", path=PATH, headers=headers)
    if target is not None:
        yield target.sent("the ordinary request", target.request, **headers)
        yield target.sent("half an object", b"{", **headers)
    unknown = f"{PATH}/conform-no-such-service"
    yield Ask(name="GET of an unknown service", method="GET", path=unknown, headers=headers)
