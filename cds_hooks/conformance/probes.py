"""R and X: what is sent to a service beside the ordinary request, and how it may answer."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cds_hooks.conformance.discovery import PATH, Service
from cds_hooks.conformance.exchange import Ask, post
from cds_hooks.conformance.expectation import Expect
from cds_hooks.conformance.samples import (
    AUTHORIZATION,
    FHIR_SERVER,
    JWT,
    OTHER_PATIENT,
    OUTCOME,
    Json,
    context_of,
    observation,
    patient,
    replaced,
    required_of,
    resource_type_of,
    searchset,
    without,
)
from cds_hooks.hooks import HOOKS, Kind

MEBIBYTE = 1024 * 1024
HUGE_BODY_BYTES = 16 * MEBIBYTE
DEEP = 50_000
MANY_ENTRIES = 5000
_DIGITS = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One ask, the requirements that it looks at, and what it expects."""

    ids: tuple[str, ...]
    ask: Ask
    expect: Expect


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A service on a hook with its ordinary request."""

    service: Service
    request: Json

    @property
    def path(self) -> str:
        """Where it is called."""
        return f"{PATH}/{self.service.id}"

    def sent(self, name: str, document: object, **headers: str) -> Ask:
        """A POST to the service; the report calls it by the service and `name`."""
        return post(f"{self.service.where}: {name}", self.path, document, **headers)

    def changed(self, name: str, *path: str, to: object) -> Ask:
        """The ordinary request with one element replaced."""
        return self.sent(name, replaced(self.request, path, to))

    def lacking(self, name: str, *path: str) -> Ask:
        """The ordinary request without one element."""
        return self.sent(name, without(self.request, *path))


def call_probes(target: Target) -> Iterator[Probe]:
    """Every probe of one service; each is independent of the others."""
    yield from _fields(target)
    yield from _wrong_fields(target)
    yield from _access(target)
    yield from _bodies(target)
    yield from _hostile(target)
    yield from _hook_forms(target)
    yield from _prefetch(target)


def _fields(target: Target) -> Iterator[Probe]:
    for requirement_id, name in (("R-04", "hook"), ("R-06", "hookInstance"), ("R-08", "context")):
        yield Probe(ids=(requirement_id,), ask=target.lacking(f"no {name}", name), expect=Expect.REFUSED)
    hook = target.service.hook
    other = next((name for name in HOOKS if name not in {hook, *target.service.hooks}), "org.example.conform")
    wrong = {**target.request, "hook": other, "context": context_of(other)}
    yield Probe(ids=("R-05",), ask=target.sent(f"the hook {other}", wrong), expect=Expect.REFUSED)
    bad_instance = target.changed("a hookInstance that is no UUID", "hookInstance", to="conform")
    yield Probe(ids=("R-07",), ask=bad_instance, expect=Expect.REFUSED)
    if "patientId" in target.request["context"]:
        yield Probe(ids=("R-09",), ask=target.lacking("no patientId", "context", "patientId"), expect=Expect.REFUSED)
        for value in ("", None, 7, ["a"]):
            ask = target.changed(f"{json.dumps(value)} as patientId", "context", "patientId", to=value)
            yield Probe(ids=("R-09",), ask=ask, expect=Expect.REFUSED)
    for name in required_of(hook):
        if name != "patientId":
            yield Probe(ids=("R-10",), ask=target.lacking(f"no {name}", "context", name), expect=Expect.REFUSED)


def _wrong_fields(target: Target) -> Iterator[Probe]:
    contexts: tuple[object, ...] = (None, [], "conform")
    for context in contexts:
        ask = target.changed(f"{json.dumps(context)} as context", "context", to=context)
        yield Probe(ids=("R-08",), ask=ask, expect=Expect.REFUSED)
    for name in ("hook", "hookInstance", "context"):
        yield Probe(ids=("R-29",), ask=target.changed(f"7 as {name}", name, to=7), expect=Expect.REFUSED)
    for name in ("prefetch", "fhirServer", "fhirAuthorization", "extension"):
        yield Probe(ids=("R-29",), ask=target.changed(f"7 as {name}", name, to=7), expect=Expect.SURVIVED)


def _access(target: Target) -> Iterator[Probe]:
    full = {**target.request, "fhirServer": FHIR_SERVER, "fhirAuthorization": AUTHORIZATION}
    extended = {**full, "extension": {"org.example.conform": {"synthetic": True}}}
    yield Probe(ids=("R-02",), ask=target.sent("every optional field", extended), expect=Expect.LIKE_THE_ORDINARY)
    for extension in ({}, {"org.example.conform": {"synthetic": True}}):
        ask = target.changed("an extension" if extension else "an empty extension", "extension", to=extension)
        yield Probe(ids=("R-03",), ask=ask, expect=Expect.LIKE_THE_ORDINARY)
    for url in (FHIR_SERVER, f"{FHIR_SERVER}/"):
        ask = target.changed(f"fhirServer {url} without a token", "fhirServer", to=url)
        yield Probe(ids=("X-23",), ask=ask, expect=Expect.SURVIVED)
        yield Probe(ids=("X-27",), ask=ask, expect=Expect.LIKE_THE_ORDINARY)
    alone = target.changed("fhirAuthorization without fhirServer", "fhirAuthorization", to=AUTHORIZATION)
    yield Probe(ids=("R-11",), ask=alone, expect=Expect.SURVIVED)
    broken: Mapping[str, Json] = {
        "no access_token": without(full, "fhirAuthorization", "access_token"),
        "token_type MAC": replaced(full, ("fhirAuthorization", "token_type"), "MAC"),
        "a line break in access_token": replaced(full, ("fhirAuthorization", "access_token"), "a\r\nX-Conform: 1"),
        "expires_in as text": replaced(full, ("fhirAuthorization", "expires_in"), "soon"),
        "fhirServer with port 99999": replaced(full, ("fhirServer",), "https://fhir.invalid:99999"),
        "fhirServer file:///etc/hostname": replaced(full, ("fhirServer",), "file:///etc/hostname"),
        "fhirServer ftp://fhir.invalid": replaced(full, ("fhirServer",), "ftp://fhir.invalid/"),
    }
    for name, document in broken.items():
        yield Probe(ids=("R-12",), ask=target.sent(name, document), expect=Expect.SURVIVED)


def _bodies(target: Target) -> Iterator[Probe]:
    for name, body in {
        "half an object": b"{",
        "single quotes": b"{'hook': 1}",
        "a comma too many": b'{"a": 1,}',
    }.items():
        yield Probe(ids=("R-13",), ask=target.sent(name, body), expect=Expect.REFUSED)
    for body in (b"", b"[]", b"null", b'"patient-view"', b"17"):
        name = f"the body {body.decode()}" if body else "an empty body"
        yield Probe(ids=("R-14",), ask=target.sent(name, body), expect=Expect.REFUSED)
    for media_type in ("text/plain", "application/xml", "application/x-www-form-urlencoded"):
        ask = target.sent(f"Content-Type {media_type}", target.request, **{"content-type": media_type})
        yield Probe(ids=("R-15",), ask=ask, expect=Expect.REFUSED)
    for media_type in ("application/json;charset=utf-8", "Application/JSON; Charset=UTF-8"):
        ask = target.sent(f"Content-Type {media_type}", target.request, **{"content-type": media_type})
        yield Probe(ids=("R-15",), ask=ask, expect=Expect.LIKE_THE_ORDINARY)
    get = Ask(name=f"{target.service.where}: GET", method="GET", path=target.path)
    yield Probe(ids=("R-21",), ask=get, expect=Expect.NO_METHOD)
    bearer = target.sent("a JWT that nobody asked for", target.request, authorization=f"Bearer {JWT}")
    yield Probe(ids=("A-18",), ask=bearer, expect=Expect.LIKE_THE_ORDINARY)


def _hostile(target: Target) -> Iterator[Probe]:
    ordinary = json.dumps(target.request).encode()
    huge = target.sent("a body of 16 MiB", ordinary + b" " * (HUGE_BODY_BYTES - len(ordinary)))
    yield Probe(ids=("R-16",), ask=huge, expect=Expect.SMALL_ONLY)
    many = searchset(*(observation(id=f"conform-{number}") for number in range(MANY_ENTRIES)))
    key = _search_key(target) or "conform"
    crowded = target.changed(f"{MANY_ENTRIES} prefetched entries", "prefetch", key, to=many)
    yield Probe(ids=("R-17",), ask=crowded, expect=Expect.SURVIVED)
    for name, opening, closing in (("arrays", "[", "]"), ("objects", '{"a":', "}")):
        nest = opening * DEEP + "1" + closing * DEEP
        places = {
            "the body": nest,
            "the context": _inserted(target, ("context", "conform"), nest),
            "the prefetch": _inserted(target, ("prefetch", "conform"), nest),
        }
        for place, text in places.items():
            ask = target.sent(f"{DEEP} nested {name} as {place}", text.encode())
            yield Probe(ids=("R-18",), ask=ask, expect=Expect.SURVIVED)
    texts = {"an emoji": "👩‍⚕️", "Hebrew": "שָׁלוֹם", "combining marks": "e\u0301\u0302", "NUL": "\0"}
    for name, text in {**texts, "half a surrogate pair": "\ud800"}.items():
        for path in (("context", "patientId"), ("context", "conform"), ("prefetch", "conform")):
            body = _inserted(target, path, json.dumps(text)).encode()
            ask = target.sent(f"{name} in {'.'.join(path)}", body)
            yield Probe(ids=("R-19",), ask=ask, expect=Expect.SURVIVED)
    for number in ("NaN", "-Infinity", "1e999", "9" * _DIGITS):
        name = number if len(number) < _DIGITS else f"a number of {_DIGITS} digits"
        body = _inserted(target, ("context", "conform"), number).encode()
        yield Probe(ids=("R-22",), ask=target.sent(name, body), expect=Expect.SURVIVED)


def _hook_forms(target: Target) -> Iterator[Probe]:
    definition = HOOKS.get(target.service.hook)
    if definition is None:
        return
    for user in definition.users:
        if "userId" in target.request["context"]:
            ask = target.changed(f"a {user} as user", "context", "userId", to=f"{user}/conform-user")
            yield Probe(ids=("R-27",), ask=ask, expect=Expect.LIKE_THE_ORDINARY)
    if any(field.name == "encounterId" and not field.required for field in definition.context):
        bare = target.lacking("no encounterId", "context", "encounterId")
        yield Probe(ids=("R-28",), ask=bare, expect=Expect.LIKE_THE_ORDINARY)
        stay = target.changed("an encounterId", "context", "encounterId", to="conform-encounter")
        yield Probe(ids=("R-28",), ask=stay, expect=Expect.LIKE_THE_ORDINARY)
    for field in definition.context:
        if field.kind is Kind.BUNDLE and field.required:
            ask = target.changed("drafts as the sandbox sends them", "context", field.name, to=_SANDBOX_DRAFTS)
            yield Probe(ids=("R-23",), ask=ask, expect=Expect.LIKE_THE_ORDINARY)


# No type of the Bundle, objects where R4 has arrays, no intent: known of the public sandbox.
_SANDBOX_DRAFTS: Json = {
    "resourceType": "Bundle",
    "entry": [
        {
            "resource": {
                "resourceType": "MedicationRequest",
                "id": "conform-draft",
                "status": "draft",
                "category": {"text": "example"},
                "reasonCode": {"text": "example"},
                "medicationCodeableConcept": {"text": "example"},
                "subject": {"reference": "Patient/conform-patient-a"},
            }
        }
    ],
}


def _prefetch(target: Target) -> Iterator[Probe]:
    templates = target.service.templates
    if not templates:
        return
    lacking = Expect.ANSWERED_OR_LACKING
    yield Probe(ids=("X-01",), ask=target.lacking("no prefetch", "prefetch"), expect=lacking)
    for key, template in templates.items():
        resource_type, is_search = resource_type_of(template)
        yield Probe(ids=("X-02",), ask=target.lacking(f"prefetch without {key}", "prefetch", key), expect=lacking)
        forms: dict[str, tuple[str, Any]] = {"null": ("X-03", None), "an OperationOutcome": ("X-04", OUTCOME)}
        if is_search:
            forms["a set of no entry"] = ("X-05", searchset())
            forms["an outcome among the entries"] = ("X-18", _with_outcome())
        for name, (requirement_id, value) in forms.items():
            ask = target.changed(f"{name} under {key}", "prefetch", key, to=value)
            yield Probe(ids=(requirement_id,), ask=ask, expect=lacking)
        for value in (7, "conform", True, [], {}, {"resourceType": "Bundle", "entry": 7}):
            ask = target.changed(f"{json.dumps(value)} under {key}", "prefetch", key, to=value)
            yield Probe(ids=("X-26",), ask=ask, expect=Expect.SURVIVED)
        if resource_type == "Observation" and is_search:
            odd = target.changed(f"odd Observations under {key}", "prefetch", key, to=searchset(*_odd_observations()))
            yield Probe(ids=("X-31",), ask=odd, expect=Expect.SURVIVED)
        if resource_type == "Patient" and not is_search:
            bare = {"resourceType": "Patient", "id": target.request["context"].get("patientId", OTHER_PATIENT)}
            ask = target.changed("a bare Patient", "prefetch", key, to=bare)
            yield Probe(ids=("X-31",), ask=ask, expect=Expect.SURVIVED)


def _with_outcome() -> Json:
    found = searchset(observation())
    found["entry"].append({"resource": OUTCOME, "search": {"mode": "outcome"}})
    return found


def _odd_observations() -> Iterator[Json]:
    yield {"resourceType": "Observation"}
    for field in ("code", "status", "effectiveDateTime", "valueQuantity", "subject"):
        yield without(observation(), field)
    quantities: tuple[Json, ...] = ({"value": 80}, {"unit": "/min"}, {"value": 5, "comparator": "<"}, {"value": 1e300})
    for quantity in quantities:
        yield observation(valueQuantity=quantity)
    yield observation(valueQuantity=None, valueString="eighty")
    yield observation(effectiveDateTime="2026-01")
    yield observation(status="entered-in-error")


def patient_key(target: Target) -> str | None:
    """The key under which the Patient is prefetched, if there is one."""
    for key, template in target.service.templates.items():
        if resource_type_of(template) == ("Patient", False):
            return key
    return None


def other_patient(target: Target, key: str) -> Ask:
    """The prefetch of another patient than the context's (X-25)."""
    return target.changed("another patient's Patient", "prefetch", key, to=patient(OTHER_PATIENT))


def _search_key(target: Target) -> str | None:
    for key, template in target.service.templates.items():
        if resource_type_of(template) == ("Observation", True):
            return key
    return None


def _inserted(target: Target, path: tuple[str, ...], text: str) -> str:
    """The ordinary request as JSON, with text that no encoder would write at the path."""
    marked = replaced(target.request, path, "@conform@")
    return json.dumps(marked).replace('"@conform@"', text)
