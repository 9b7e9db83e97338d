"""A: what a server that asks for a token does without one, and with one that anybody could make.

Whether a good token is checked well cannot be seen without the key of a trusted client.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping

from cds_hooks.conformance.discovery import UNAUTHORIZED
from cds_hooks.conformance.exchange import Answer, Ask, Fault
from cds_hooks.conformance.feedback import is_missing
from cds_hooks.conformance.finding import Finding, judged, met, not_applicable, not_met, unseen
from cds_hooks.conformance.probes import Target

_IDS = ("A-04", "A-05", "A-12", "A-14", "A-15", "A-17", "A-19")
_CLAIMS = {
    "iss": "https://conform.invalid",
    "aud": "https://conform.invalid",
    "iat": 1767225600,
    "exp": 1767225900,
    "jti": "conform",
}


def asks_for_token(without_token: Answer) -> bool:
    """Whether the ordinary request was refused because it brought no token."""
    return without_token.status in UNAUTHORIZED


def forged(target: Target) -> Iterator[tuple[str, Ask]]:
    """Calls with tokens that no server may take, and the requirement that each looks at."""
    bearers = {
        "A-04": f"Bearer {_signed({'alg': 'none', 'typ': 'JWT', 'kid': 'conform'}, _CLAIMS, key=None)}",
        "A-05": f"Bearer {_signed({'alg': 'HS256', 'typ': 'JWT', 'kid': 'conform'}, _CLAIMS, key=b'conform')}",
        "A-12": f"Bearer {_signed({'alg': 'ES384'}, {}, key=b'conform')}",
        "A-19": "Basic Y29uZm9ybTpjb25mb3Jt",
    }
    names = {"A-04": "alg none", "A-05": "HS256", "A-12": "a token without claims", "A-19": "the scheme Basic"}
    for requirement_id, bearer in bearers.items():
        yield requirement_id, target.sent(names[requirement_id], target.request, authorization=bearer)


def authentication_findings(
    without_token: Answer, discovery: Answer, feedback: Answer | None, tried: Mapping[str, Answer]
) -> Iterator[Finding]:
    """What the refusals say. `discovery`, `feedback`: the same endpoints without a token; `tried`: forged tokens."""
    if not asks_for_token(without_token):
        yield from (not_applicable(each, "the server asks for no token") for each in _IDS)
        return
    yield not_applicable("A-18", "the server asks for a token")
    yield _challenge(without_token)
    if discovery.fault is Fault.OVER:
        yield from (unseen(each, str(Fault.OVER)) for each in ("A-14", "A-15"))
        return
    complaint = f"discovery without a token: {discovery.described}"
    yield judged("A-14", holds=asks_for_token(discovery), seen="discovery asks too", complaint=complaint)
    if feedback is None or is_missing(feedback):
        yield not_applicable("A-15", "no feedback endpoint")
    else:
        complaint = f"feedback without a token: {feedback.described}"
        yield judged("A-15", holds=asks_for_token(feedback), seen="feedback asks too", complaint=complaint)
    for requirement_id, answer in tried.items():
        name = f"{answer.ask.name}: {answer.described}"
        if answer.fault is Fault.OVER:
            yield unseen(requirement_id, name)
        else:
            yield (met if asks_for_token(answer) else not_met)(requirement_id, name)


def _challenge(answer: Answer) -> Finding:
    holds = answer.status != 401 or "www-authenticate" in answer.headers  # noqa: PLR2004 - RFC 9110, section 15.5.2
    return judged("A-17", holds=holds, seen="WWW-Authenticate is set", complaint="401 without WWW-Authenticate")


def _signed(header: Mapping[str, object], claims: Mapping[str, object], *, key: bytes | None) -> str:
    text = f"{_encoded(json.dumps(header).encode())}.{_encoded(json.dumps(claims).encode())}"
    signature = b"" if key is None else hmac.digest(key, text.encode(), hashlib.sha256)
    return f"{text}.{_encoded(signature)}"


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
