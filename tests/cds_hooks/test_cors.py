"""CORS: which pages may call, and which headers tell them."""

from typing import Any

import pytest

from cds_hooks.cors import CorsPolicy

_EHR = "https://ehr.example"
_ONE = CorsPolicy(origins=(_EHR,))


@pytest.mark.parametrize(
    ("policy", "origin", "expected"),
    [
        (CorsPolicy(), _EHR, {"access-control-allow-origin": "*"}),
        (CorsPolicy(), None, {"access-control-allow-origin": "*"}),
        (_ONE, _EHR, {"access-control-allow-origin": _EHR, "vary": "Origin"}),
        (_ONE, "https://evil.example", {"vary": "Origin"}),
        (_ONE, f"{_EHR}.evil.example", {"vary": "Origin"}),
        (_ONE, "null", {"vary": "Origin"}),
        (_ONE, None, {"vary": "Origin"}),
        (CorsPolicy(origins=()), _EHR, {"vary": "Origin"}),
    ],
    ids=["any", "any-no-origin", "listed", "other", "lookalike", "null", "no-origin", "none-allowed"],
)
def test_an_answer_names_the_origin_only_if_it_is_allowed(
    policy: CorsPolicy, origin: str | None, expected: dict[str, str]
) -> None:
    assert policy.answer_headers(origin) == expected


def test_a_preflight_of_an_allowed_origin_may_send_json_and_a_token() -> None:
    assert _ONE.preflight_headers(_EHR, ("POST",)) == {
        "access-control-allow-origin": _EHR,
        "access-control-allow-methods": "POST",
        "access-control-allow-headers": "Accept, Accept-Language, Authorization, Content-Type",
        "access-control-max-age": "600",
        "vary": "Origin",
    }


def test_a_preflight_of_another_origin_gets_no_permission() -> None:
    assert _ONE.preflight_headers("https://evil.example", ("POST",)) == {"vary": "Origin"}


def test_credentials_are_never_allowed() -> None:
    for policy in (CorsPolicy(), _ONE):
        assert "access-control-allow-credentials" not in policy.preflight_headers(_EHR, ("POST",))


@pytest.mark.parametrize(
    "origin",
    [
        "ehr.example",
        "https://ehr.example/",
        "https://ehr.example/app",
        "",
        "https://",
        "null",
        "https://EHR.example",
        "https://*.example",
        "https://user@ehr.example",
        "https://ehr.example;script-src",
        "https://ehr.example *",
        "https://ehr.example:port",
    ],
)
def test_an_origin_that_no_browser_sends_is_refused_at_start(origin: Any) -> None:
    with pytest.raises(ValueError, match="CORS origin"):
        CorsPolicy(origins=(origin,))
