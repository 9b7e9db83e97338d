"""Round trips: what is built, written and read again is the same, and what came is all there after it was read."""

import json
import string
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_hooks.discovery import ServiceDescription, ServiceRegistry
from cds_hooks.feedback import decode_feedback
from cds_hooks.hooks import HOOKS, ContextField, Kind
from cds_hooks.request import decode_request
from cds_hooks.response import (
    Action,
    Card,
    CdsResponse,
    Coding,
    Link,
    OverrideReason,
    Source,
    Suggestion,
    decode_response,
    encode_response,
)

_bounded = settings(max_examples=80, deadline=None, derandomize=True)

_any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)  # no half of a surrogate pair
_text = _any_text.filter(bool)
_line = st.text(st.characters(exclude_categories=["C", "Zl", "Zp", "Zs"]), min_size=1, max_size=60)
_numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
_any_json = st.recursive(
    st.none() | st.booleans() | _numbers | _any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_any_text, inner, max_size=3),
    max_leaves=8,
)
# What may leave: nothing empty (Use of JSON).
_full_json = st.recursive(
    st.booleans() | _numbers | _text,
    lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(_text, inner, min_size=1, max_size=3),
    max_leaves=6,
)
_names = st.from_regex(r"[a-z]{1,5}\.[a-z]{1,5}(\.[a-z-]{1,5})?", fullmatch=True)
_extension: st.SearchStrategy[Any] = st.none() | st.dictionaries(_names, _full_json, min_size=1, max_size=2)
_urls = st.from_regex(r"https?://[a-z]{1,8}\.example(:8080)?(/[a-z0-9-]{0,5}){0,3}", fullmatch=True)


def _tuples(of: st.SearchStrategy[Any], most: int = 2) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(of, max_size=most).map(tuple)


def _maybe(of: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | of


_codings = st.builds(Coding, code=_text, system=_urls, display=_maybe(_text), extension=_extension)
_sources = st.builds(
    Source, label=_text, url=_maybe(_urls), icon=_maybe(_urls), topic=_maybe(_codings), extension=_extension
)
_reasons = st.builds(OverrideReason, code=_text, system=_urls, display=_text, extension=_extension)
_links = st.builds(
    Link,
    label=_text,
    url=_urls,
    type=st.just("smart"),
    app_context=_maybe(_text),
    autolaunchable=st.booleans(),
    extension=_extension,
) | st.builds(Link, label=_text, url=_urls, type=st.just("absolute"), extension=_extension)
_resources = st.dictionaries(_text, _full_json, max_size=3).map(lambda fields: {**fields, "resourceType": "Task"})
_changes = st.builds(
    Action,
    type=st.sampled_from(["create", "update"]),
    description=_text,
    resource=_resources,
    resource_id=_maybe(_text),
    extension=_extension,
)
_deletions = st.builds(Action, type=st.just("delete"), description=_text, resource_id=st.just("Task/1"))
_uuids = _maybe(st.uuids().map(str))
_suggestions = st.builds(
    Suggestion, label=_text, uuid=_uuids, actions=_tuples(_changes | _deletions), extension=_extension
)


@st.composite
def _cards(draw: st.DrawFn) -> Card:
    suggestions = draw(_tuples(_suggestions))
    return Card(
        summary=draw(_line),
        indicator=draw(st.sampled_from(["info", "warning", "critical"])),
        source=draw(_sources),
        uuid=draw(_uuids),
        detail=draw(_maybe(_text)),
        suggestions=suggestions,
        selection_behavior=draw(st.sampled_from(["at-most-one", "any"])) if suggestions else None,
        override_reasons=draw(_tuples(_reasons)),
        links=draw(_tuples(_links)),
        extension=draw(_extension),
    )


_responses = st.builds(
    CdsResponse, cards=_tuples(_cards()), system_actions=_tuples(_changes | _deletions), extension=_extension
)


def _holes(value: Any, *, in_list: bool = False) -> list[Any]:
    """What may not stand in JSON that leaves: null, "", [] and {}; FHIR pads arrays with null."""
    if isinstance(value, dict):
        return [hole for child in value.values() for hole in _holes(child)] if value else [value]
    if isinstance(value, list):
        return [hole for child in value for hole in _holes(child, in_list=True)] if value else [value]
    return [value] if value == "" or (value is None and not in_list) else []


@given(_responses)
@_bounded
def test_a_response_reads_back_as_it_was_built_and_nothing_in_it_is_empty(response: CdsResponse) -> None:
    body = encode_response(response, system_actions_agreed=True)
    assert decode_response(body) == response
    document = json.loads(body)
    assert _holes(document) in ([], [[]] if not response.cards else [])
    assert json.loads(encode_response(decode_response(body), system_actions_agreed=True)) == document


def _field(field: ContextField) -> st.SearchStrategy[Any]:
    ids = st.from_regex(r"[A-Za-z0-9.-]{1,12}", fullmatch=True)
    references = ids.map(lambda each: f"Practitioner/{each}")
    resources = st.dictionaries(_text, _any_json, max_size=2)
    by_kind: dict[Kind, st.SearchStrategy[Any]] = {
        Kind.ID: ids,
        Kind.REFERENCE: references,
        Kind.REFERENCES: st.lists(references, max_size=3),
        Kind.RESOURCE: resources,
        Kind.RESOURCES: st.lists(resources, max_size=2),
        Kind.BUNDLE: resources,
    }
    return by_kind[field.kind]


@st.composite
def _requests(draw: st.DrawFn) -> dict[str, Any]:
    hook = draw(st.sampled_from(sorted(HOOKS)))
    fields = [field for field in HOOKS[hook].context if field.required or draw(st.booleans())]
    context = {"org.example.more": draw(_any_json), **{field.name: draw(_field(field)) for field in fields}}
    document = {"hook": hook, "hookInstance": str(draw(st.uuids())), "context": context}
    if draw(st.booleans()):
        document |= {
            "fhirServer": draw(_urls),
            "fhirAuthorization": {"access_token": "abc", "token_type": "Bearer", "scope": draw(_any_text)},
        }
    for name in ("prefetch", "extension"):
        if draw(st.booleans()):
            document[name] = draw(st.dictionaries(_any_text, _any_json, max_size=3))
    return document


@given(_requests(), st.sampled_from(["ascii", "utf-8"]))
@_bounded
def test_all_that_came_in_a_request_is_there_after_it_was_read(document: dict[str, Any], charset: str) -> None:
    request = decode_request(json.dumps(document, ensure_ascii=charset == "ascii").encode())
    access = request.fhir_authorization
    assert (request.hook, request.hook_instance) == (document["hook"], document["hookInstance"])
    assert request.context == document["context"]
    assert {key: json.loads(bytes(raw)) for key, raw in request.prefetch.items()} == document.get("prefetch", {})
    assert {key: json.loads(bytes(raw)) for key, raw in request.extension.items()} == document.get("extension", {})
    assert request.fhir_server == document.get("fhirServer")
    assert (access and access.scope) == document.get("fhirAuthorization", {}).get("scope")


_kept = _text.filter(lambda text: "\0" not in text)
_instants = st.datetimes(datetime(1970, 1, 1), datetime(2999, 1, 1)).flatmap(  # noqa: DTZ001 - the zone follows
    lambda naive: st.integers(-14 * 60, 14 * 60).map(
        lambda minutes: naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    )
)
_codes = st.fixed_dictionaries({"code": _kept, "system": _kept}, optional={"display": _kept})
_outcomes = st.fixed_dictionaries(
    {
        "card": _kept,
        "outcome": st.just("accepted"),
        "acceptedSuggestions": st.lists(st.fixed_dictionaries({"id": _kept}), min_size=1, max_size=3),
        "outcomeTimestamp": _instants.map(datetime.isoformat),
    }
) | st.fixed_dictionaries(
    {"card": _kept, "outcome": st.just("overridden"), "outcomeTimestamp": _instants.map(datetime.isoformat)},
    optional={
        "overrideReason": st.fixed_dictionaries({"reason": _codes}, optional={"userComment": _kept})
        | st.fixed_dictionaries({"userComment": _kept})
    },
)


@given(st.lists(_outcomes, max_size=4))
@_bounded
def test_all_that_came_as_feedback_is_there_after_it_was_read(entries: list[dict[str, Any]]) -> None:
    read = decode_feedback(json.dumps({"feedback": entries}).encode())
    written = json.loads(msgspec.json.encode(read))
    for entry, again, kept in zip(entries, written, read, strict=True):
        told = datetime.fromisoformat(entry["outcomeTimestamp"])
        assert kept.outcome_timestamp == told
        assert kept.outcome_timestamp.tzinfo is UTC
        assert _without_null(again) == {
            "acceptedSuggestions": [],
            **entry,
            "outcomeTimestamp": again["outcomeTimestamp"],
        }


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_null(child) for name, child in value.items() if child is not None}
    return [_without_null(child) for child in value] if isinstance(value, list) else value


_services = st.builds(
    ServiceDescription,
    hook=st.sampled_from(sorted(name for name, hook in HOOKS.items() if not hook.deprecated)),
    id=st.text(string.ascii_letters + string.digits + "-", min_size=1, max_size=8).filter(lambda each: each[0] != "-"),
    title=_text,
    description=_text,
    prefetch=st.dictionaries(_text, st.just("Patient/{{context.patientId}}"), max_size=2),
    usage_requirements=_maybe(_text),
    version=_maybe(st.just("2.0.1")),
    extension=st.dictionaries(_names, _full_json, max_size=2),
)


@given(st.lists(_services, max_size=3, unique_by=lambda service: (service.id, service.hook)))
@_bounded
def test_discovery_says_all_of_every_service_in_order(services: list[ServiceDescription]) -> None:
    document = json.loads(ServiceRegistry(services=tuple(services)).discovery)
    read = [msgspec.json.decode(json.dumps(one), type=ServiceDescription) for one in document["services"]]
    assert read == services
    assert _holes(document) in ([], [[]] if not services else [])
