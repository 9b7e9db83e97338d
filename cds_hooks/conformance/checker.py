"""The check of a server, from discovery to the last probe."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

import msgspec

from cds_hooks.conformance import browsers, guidance
from cds_hooks.conformance.absent import absent_findings
from cds_hooks.conformance.answers import response_findings
from cds_hooks.conformance.client import Client, Limits, TargetError, connected
from cds_hooks.conformance.conduct import conduct_findings
from cds_hooks.conformance.discovery import PATH, UNAUTHORIZED, Service, callable_services, discovery_findings
from cds_hooks.conformance.exchange import Answer, Fault, get, plain, post
from cds_hooks.conformance.expectation import Expect, verdict_of
from cds_hooks.conformance.finding import Finding, Result, Verdict, conclude, met, not_met, unseen
from cds_hooks.conformance.probes import Target
from cds_hooks.conformance.samples import OTHER_PATIENT, PATIENT, Json, request_of
from cds_hooks.conformance.service_check import service_findings
from cds_hooks.conformance.templates import template_findings
from cds_hooks.requirements import load_requirements
from cds_hooks.response import decode_response

# So much of a token is told by nobody, even where its end was cut off.
_TELLING = 8
UNKNOWN = f"{PATH}/conform-no-such-service"
Progress: TypeAlias = Callable[[str, int, int], None]
Bearer: TypeAlias = Callable[[str], str | None]
Connect: TypeAlias = Callable[[str, Bearer, Limits, Path | None], AbstractAsyncContextManager[Client]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What to check.

    Attributes:
        base_url: of the server, as `client.base_url_of` returns it.
        service_id: only this service; None: all that discovery lists.
        requests: by hook, a synthetic request that gets a card, in place of the checker's own.
        authorization: the bearer token for a URL, or None.
        origin: the web origin of the browser that is imitated.
        limits: what the server may cost.
        ca_file: certificates to trust in place of the usual ones, as PEM.
    """

    base_url: str
    service_id: str | None = None
    requests: Mapping[str, Json] = field(default_factory=dict)
    authorization: Bearer = lambda _: None
    origin: str = "https://conform.example"
    limits: Limits = field(default_factory=Limits)
    ca_file: Path | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What was found. `complete`: whether every service was reached and every probe sent within the limits."""

    url: str
    services: tuple[str, ...]
    calls: int
    seconds: float
    complete: bool
    results: tuple[Result, ...]


def check(wanted: Check, progress: Progress, *, connect: Connect = connected) -> Report:
    """Hold a server to the requirements; takes at most `wanted.limits.total_seconds` and a little.

    Raises:
        TargetError: discovery does not answer at all, does not list the service that was asked for, or `ca_file`
            has no certificates.
    """
    return asyncio.run(_check(wanted, progress, connect))


async def _check(wanted: Check, progress: Progress, connect: Connect) -> Report:
    started = time.monotonic()
    async with connect(wanted.base_url, wanted.authorization, wanted.limits, wanted.ca_file) as client:
        first = await client.send(get(name="discovery", path=PATH))
        if first.status is None:
            raise TargetError(f"Expected a CDS Hooks server at {wanted.base_url}{PATH}: {first.described}.")
        targets = tuple(_targets(wanted, callable_services(first)))
        findings = await _found(wanted, client, first, targets, progress)
        return Report(
            url=wanted.base_url,
            services=tuple(dict.fromkeys(target.service.id for target in targets)),
            calls=len(client.answers),
            seconds=round(time.monotonic() - started, 1),
            complete=len(targets) < wanted.limits.services
            and not any(answer.fault is Fault.OVER for answer in client.answers),
            results=tuple(_without(client.issued, result) for result in conclude(load_requirements(), findings)),
        )


def _without(tokens: Iterable[str], result: Result) -> Result:
    """A result whose evidence repeats no token, though the server did."""
    evidence = result.evidence
    for token in tokens:
        evidence = evidence.replace(token, "(token)")
        cut_short = evidence.find(token[:_TELLING])
        if cut_short >= 0:
            evidence = f"{evidence[:cut_short]}(token)"
    return msgspec.structs.replace(result, evidence=evidence)


def _targets(wanted: Check, services: Sequence[Service]) -> Iterator[Target]:
    chosen = [each for each in services if wanted.service_id in {None, each.id}]
    if wanted.service_id is not None and not chosen:
        known = ", ".join(dict.fromkeys(plain(each.id, limit=40) for each in services)) or "none"
        raise TargetError(f"Expected a service that discovery lists ({known}), got {wanted.service_id!r}.")
    for service in chosen[: wanted.limits.services]:
        own = wanted.requests.get(service.hook)
        yield Target(service=service, request=own or request_of(service.hook, service.templates))


async def _found(
    wanted: Check, client: Client, first: Answer, targets: Sequence[Target], progress: Progress
) -> list[Finding]:
    second = await client.send(get(name="discovery again", path=PATH))
    found = [*discovery_findings(first, second), _encryption(wanted.base_url)]
    found += [finding for target in targets for finding in template_findings(target.service)]
    found += await _browsers(wanted.origin, client, targets[0] if targets else None)
    ordinary = [await client.send(target.sent("the ordinary request", target.request)) for target in targets]
    for target, answer in zip(targets, ordinary, strict=True):
        step = partial(progress, target.service.where)
        found += await service_findings(client, target, answer, origin=wanted.origin, step=step)
    found += await _unknown_service(client, targets[0] if targets else None)
    after = [await client.send(answer.ask) for answer in (first, *ordinary)]
    found.append(guidance.end_finding((first, *ordinary), after))
    found += conduct_findings(client.answers, client.issued)
    found += _answers(client.answers, targets)
    found += absent_findings({finding.id for finding in found}, client.answers, services=len(targets))
    return found


def _encryption(base_url: str) -> Finding:
    if urlsplit(base_url).scheme == "https":
        return met("T-01", "https, with a certificate that this machine trusts")
    return unseen("T-01", "http: this check did not pass where the encryption ends")


async def _browsers(origin: str, client: Client, target: Target | None) -> list[Finding]:
    found: list[Finding] = []
    for requirement_id, ask in browsers.preflights(origin, target):
        found += browsers.preflight_findings(requirement_id, await client.send(ask), origin)
    answers = [await client.send(ask) for ask in browsers.asks_with_origin(origin, target)]
    return [*found, *browsers.answer_findings(answers, origin)]


async def _unknown_service(client: Client, target: Target | None) -> list[Finding]:
    """R-20 and B-12. A server that asks for a token first may refuse before it looks for the service."""
    request = request_of("patient-view", {}) if target is None else target.request
    asks = {
        "R-20": post("an unknown service", UNKNOWN, request),
        "B-12": post("feedback to an unknown service", f"{UNKNOWN}/feedback", {"feedback": []}),
    }
    found: list[Finding] = []
    for requirement_id, ask in asks.items():
        answer = await client.send(ask)
        if answer.status in UNAUTHORIZED:
            found.append(unseen(requirement_id, f"{ask.name}: {answer.described}"))
        else:
            found.append(verdict_of(requirement_id, Expect.NOT_FOUND, answer, answer))
    return found


def _answers(answers: Sequence[Answer], targets: Sequence[Target]) -> Iterator[Finding]:
    """What every 200 of a service says, by our rules and by our types."""
    paths = {target.path for target in targets}
    own = {str(target.request["context"].get("patientId", PATIENT)) for target in targets}
    for answer in answers:
        if answer.ask.method != "POST" or answer.ask.path not in paths or answer.status != 200:  # noqa: PLR2004
            continue
        found = tuple(
            response_findings(answer.document, patient_ids=frozenset({OTHER_PATIENT, *own}), where=answer.ask.name)
        )
        yield from found
        if not any(finding.verdict is Verdict.NOT_MET for finding in found):
            yield from _by_our_types(answer)


def _by_our_types(answer: Answer) -> Iterator[Finding]:
    try:
        decode_response(answer.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        yield not_met("C-01", f"{answer.ask.name}: {plain(str(error), limit=160)}")
