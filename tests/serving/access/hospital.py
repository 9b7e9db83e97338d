"""A hospital's FHIR server to read from, and calls that name it."""

import asyncio
import ssl
from collections.abc import Mapping
from datetime import date
from ipaddress import IPv4Address
from typing import Any, Literal

import msgspec

from cds_hooks.request import CdsRequest, FhirAuthorization
from cds_hooks.security.network import ConnectionRefusal, Destination
from cds_hooks.security.urls import read_url
from cds_hooks.templates import read_templates
from features.reading.scan.searchset import Searchset
from serving.access import Completed, Limits, Policy, make_plan
from serving.access.access import Access
from serving.access.plan import Enough
from tests.features.client.fake_server import FakeServer, json
from tests.fhir_builders import EMPTY, Json, patient, searchset, vitals

TOKEN = "canary-token-1f9c"  # noqa: S105 - opens nothing
PATIENT = "canary-patient-77"
TODAY = date(2026, 3, 14)
TEMPLATES = {
    "patient": "Patient/{{context.patientId}}",
    "observations": "Observation?patient={{context.patientId}}&code=http://loinc.org|8867-4&_sort=-date&_count=1000",
    "conditions": "Condition?patient={{context.patientId}}&_count=1000",
}
LOOPBACK = (IPv4Address("127.0.0.1"),)


def raw(value: Any) -> msgspec.Raw:
    """A value as it lies in a prefetch."""
    return msgspec.Raw(msgspec.json.encode(value))


def policy_of(
    *bases: str, addresses: tuple[IPv4Address, ...] = LOOPBACK, scopes: frozenset[str] | None = None
) -> Policy:
    """Lists these base URLs, at these addresses."""
    listed = {read_url(base) for base in bases}

    async def connect(fhir_server: str) -> Destination:
        url = read_url(fhir_server)
        if url not in listed:
            raise ConnectionRefusal("not listed")
        return Destination(url=url, addresses=addresses)

    return Policy(connect=connect, may_read=lambda resource_type: scopes is None or resource_type in scopes)


def access_by(patient_id: str | None = None) -> FhirAuthorization:
    """The client's access, perhaps for one patient alone."""
    return FhirAuthorization(access_token=TOKEN, token_type="Bearer", patient=patient_id)  # noqa: S106 - no password


def call_of(base: str | None, prefetch: Mapping[str, Any], *, token: bool = True, **context: Any) -> CdsRequest:
    """A call with such a prefetch, with access to a server if there is one."""
    return CdsRequest(
        hook="patient-view",
        hook_instance="d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        context={"userId": "Practitioner/ward", "patientId": PATIENT, **context},
        prefetch={key: raw(value) for key, value in prefetch.items()},
        fhir_server=base,
        fhir_authorization=access_by() if token and base else None,
    )


def never(_: str, __: msgspec.Raw | Searchset) -> bool:
    """No page goes back far enough."""
    return False


def completed(
    base: str | None,
    prefetch: Mapping[str, Any],
    *,
    templates: Mapping[str, str] = TEMPLATES,
    policy: Policy | Literal["usual"] | None = "usual",
    limits: Limits | None = None,
    trusted: ssl.SSLContext | None = None,
    enough: Enough = never,
    request: CdsRequest | None = None,
) -> Completed:
    """One call, alone in its process."""

    async def run() -> Completed:
        access = Access(limits, trusted=trusted or NOBODY)
        try:
            return await completed_by(access, base, prefetch, templates, policy, enough=enough, request=request)
        finally:
            await access.close()

    return asyncio.run(run())


async def completed_by(
    access: Access,
    base: str | None,
    prefetch: Mapping[str, Any],
    templates: Mapping[str, str] = TEMPLATES,
    policy: Policy | Literal["usual"] | None = "usual",
    *,
    enough: Enough = never,
    request: CdsRequest | None = None,
) -> Completed:
    """One call."""
    call = request or call_of(base, prefetch)
    plan = make_plan(read_templates(templates, "patient-view"), call.prefetch, enough)
    if policy == "usual":
        policy = policy_of(call.fhir_server) if call.fhir_server else None
    return await access.complete(plan, call, policy=policy, enough=enough, today=TODAY)


def told(found: Completed) -> dict[str, str]:
    """Why keys could not be had."""
    return {key: reason.name for key, (_, reason) in found.failures.items()}


def stage(fake: FakeServer) -> None:
    """A server with one ordinary patient."""
    fake.on(f"/fhir/Patient/{PATIENT}", json(patient(PATIENT)))
    fake.on("/fhir/Observation", json(searchset(*vitals(of=PATIENT))))
    fake.on("/fhir/Condition", json(EMPTY))


def whole() -> Json:
    """The prefetch of a client that sends everything."""
    return {"patient": patient(PATIENT), "observations": searchset(*vitals(of=PATIENT)), "conditions": EMPTY}


def without(*keys: str) -> Json:
    """The prefetch of a client that leaves keys out."""
    return {key: value for key, value in whole().items() if key not in keys}


# No authority: making a context with the usual ones takes longer than a test.
NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
