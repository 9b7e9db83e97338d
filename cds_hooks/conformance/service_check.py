"""The check of one service on one hook: every probe, and what its answers say together."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from cds_hooks.conformance import authentication, browsers, feedback, guidance
from cds_hooks.conformance.client import Client
from cds_hooks.conformance.discovery import PATH, UNAUTHORIZED
from cds_hooks.conformance.exchange import Answer, Ask, Fault
from cds_hooks.conformance.expectation import complaint_of, verdict_of
from cds_hooks.conformance.finding import Finding, not_applicable, not_met, unseen
from cds_hooks.conformance.probes import Target, call_probes
from cds_hooks.conformance.samples import PATIENT

Step = Callable[[int, int], None]


async def service_findings(
    client: Client, target: Target, ordinary: Answer, *, origin: str, step: Step
) -> list[Finding]:
    """All findings of one service.

    Args:
        client: of its server.
        target: the service.
        ordinary: its answer to the valid request.
        origin: the web origin of the browser that is imitated.
        step: told how far it is.
    """
    if client.over:
        return [unseen(each, f"{target.service.where}: {Fault.OVER}") for each in _ids(target)]
    bare = await client.send(replace(ordinary.ask, authorized=False, name=f"{ordinary.ask.name}, without a token"))
    found = await _authentication(client, target, bare)
    if ordinary.status in UNAUTHORIZED:
        why = f"{target.service.where}: {ordinary.described}; --key-file or --token-file gives the check a token"
        return [*found, *(unseen(each, why) for each in _ids(target))]
    found.append(guidance.ordinary_finding(ordinary, complaint_of(ordinary)))
    locked = authentication.asks_for_token(bare)
    probes = [probe for probe in call_probes(target) if not (locked and "A-18" in probe.ids)]
    for number, probe in enumerate(probes, 1):
        answer = await client.send(probe.ask)
        if locked and answer.status in UNAUTHORIZED:
            why = f"{answer.ask.name}: refused for its token, whatever else it has"
            found += [unseen(each, why) for each in probe.ids]
            continue
        found += [verdict_of(requirement_id, probe.expect, answer, ordinary) for requirement_id in probe.ids]
        if "R-17" in probe.ids and (complaint := guidance.crowded_complaint(answer)):
            found.append(not_met("R-17", complaint))
        step(number, len(probes))
    return [*found, *await _guidance(client, target, ordinary), *await _feedback(client, target, ordinary, origin)]


def _ids(target: Target) -> Iterator[str]:
    """What a service shows when it answers."""
    probed = {requirement_id for probe in call_probes(target) for requirement_id in probe.ids}
    yield from sorted({"R-01", *probed, *guidance.IDS, *feedback.IDS} - {"A-18"})


async def _authentication(client: Client, target: Target, bare: Answer) -> list[Finding]:
    if not authentication.asks_for_token(bare):
        return [*authentication.authentication_findings(bare, bare, None, {})]
    discovery = await client.send(Ask(name="discovery without a token", method="GET", path=PATH, authorized=False))
    plain_feedback = feedback.exists_probe(target, feedback.Shown())
    told = await client.send(replace(plain_feedback, authorized=False, name=f"{plain_feedback.name}, without a token"))
    tried = {requirement_id: await client.send(ask) for requirement_id, ask in authentication.forged(target)}
    return [*authentication.authentication_findings(bare, discovery, told, tried)]


async def _guidance(client: Client, target: Target, ordinary: Answer) -> list[Finding]:
    where = target.service.where
    again = [await client.send(ordinary.ask) for _ in range(guidance.REPEATED - 1)]
    found = [*guidance.repeated_findings(ordinary, again, where)]
    parallel: Sequence[Answer] = await asyncio.gather(*(client.send(ask) for ask in guidance.parallel_asks(target)))
    patient_id = str(target.request["context"].get("patientId", PATIENT))
    found.append(guidance.parallel_finding(ordinary, parallel, where, patient_id))
    markup = guidance.markup_ask(target)
    if markup is None:
        found.append(unseen("C-21", f"{where} asks for no text of the record"))
    else:
        found.append(guidance.markup_finding(await client.send(markup)))
    mixed_up = guidance.mixed_up_ask(target)
    if mixed_up is not None:
        found.append(guidance.mixed_up_finding(ordinary, await client.send(mixed_up)))
    return found


async def _feedback(client: Client, target: Target, ordinary: Answer, origin: str) -> list[Finding]:
    shown = feedback.shown_in(ordinary.document)
    there = await client.send(feedback.exists_probe(target, shown))
    found = [*feedback.exists_findings(there)]
    if feedback.is_missing(there):
        return [*found, not_applicable("O-04", "no feedback endpoint")]
    asked = browsers.preflight(origin, there.ask.path, "POST")
    found += browsers.preflight_findings("O-04", await client.send(asked), origin)
    for probe in feedback.feedback_probes(target, shown):
        answer = await client.send(probe.ask)
        if answer.status in UNAUTHORIZED:
            found.append(unseen(probe.id, f"{answer.ask.name}: {answer.described}"))
        else:
            found.append(feedback.feedback_finding(probe, answer, shown))
    return found
