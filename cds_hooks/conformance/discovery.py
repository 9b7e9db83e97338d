"""D: what the discovery document says of the services."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cds_hooks.conformance.exchange import Answer, Fault, plain
from cds_hooks.conformance.finding import Finding, judged, met, not_applicable, not_met, unseen
from cds_hooks.hooks import HOOKS, is_hook_name

PATH = "/cds-services"
UNAUTHORIZED = frozenset({401, 403})
TAKEN_ONCE = "the server took the token once; --key-file signs one for each call"
_KNOWN = frozenset(
    {"hook", "title", "description", "id", "prefetch", "usageRequirements", "version", "hookVersion", "extension"}
)
_SEMANTIC_VERSION = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
_SEGMENT = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%-]+")  # RFC 3986, section 3.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What discovery says of one service on one hook, as far as it can be called.

    `version`: empty if none. `hooks`: all on which the id is listed.
    """

    id: str
    hook: str
    templates: Mapping[str, str]
    version: str = ""
    hooks: frozenset[str] = frozenset()

    @property
    def where(self) -> str:
        """For the report."""
        return f"{plain(self.id, limit=40)} on {plain(self.hook, limit=40)}"


def listed(answer: Answer) -> tuple[Mapping[str, Any], ...]:
    """The entries of the discovery document that are objects; none if it is no such document."""
    document = answer.document
    services = document.get("services") if answer.status == 200 and isinstance(document, dict) else None  # noqa: PLR2004
    return tuple(each for each in services if isinstance(each, dict)) if isinstance(services, list) else ()


def callable_services(answer: Answer) -> tuple[Service, ...]:
    """The entries that have an id and a hook, once each."""
    found: dict[tuple[str, str], Service] = {}
    for entry in listed(answer):
        service_id, hook = entry.get("id"), entry.get("hook")
        if not isinstance(service_id, str) or not _is_segment(service_id) or not _is_text(hook):
            continue
        prefetch = entry.get("prefetch")
        templates = prefetch if isinstance(prefetch, dict) else {}
        texts = {key: value for key, value in templates.items() if isinstance(value, str)}
        service = Service(id=service_id, hook=str(hook), templates=texts, version=str(entry.get("version") or ""))
        found.setdefault((service_id, service.hook), service)
    hooks: dict[str, set[str]] = {}
    for service_id, hook in found:
        hooks.setdefault(service_id, set()).add(hook)
    return tuple(replace(service, hooks=frozenset(hooks[service.id])) for service in found.values())


def discovery_findings(first: Answer, second: Answer) -> Iterator[Finding]:
    """What two answers of discovery say of D-01 to D-17."""
    if first.status in UNAUTHORIZED:
        yield unseen("D-01", f"GET {PATH}: {first.described}; --key-file or --token-file gives the check a token")
        return
    yield judged("D-01", holds=first.status == 200, seen="GET /cds-services: 200", complaint=first.described)  # noqa: PLR2004
    if first.status != 200:  # noqa: PLR2004
        return
    document = first.document
    services = document.get("services") if isinstance(document, dict) else None
    if not isinstance(services, list):
        yield not_met("D-02", "expected an object with the array services")
        return
    whole = all(isinstance(each, dict) for each in services)
    yield judged("D-02", holds=whole, seen=f"{len(services)} entries", complaint="expected objects in services")
    if second.fault is Fault.OVER:
        yield unseen("D-13", str(Fault.OVER))
    elif second.status in UNAUTHORIZED:
        yield unseen("D-13", TAKEN_ONCE)
    else:
        yield judged(
            "D-13", holds=first.body == second.body, seen="twice the same", complaint="two calls, two documents"
        )
    entries = listed(first)
    if entries:
        yield not_applicable("D-12", "there are services")
    else:
        yield met("D-12", "services: []")
        return
    yield from _ids(entries)
    for position, entry in enumerate(entries):
        yield from _entry_findings(entry, f"services[{position}]")


def _ids(entries: tuple[Mapping[str, Any], ...]) -> Iterator[Finding]:
    pairs = Counter((str(entry.get("id")), str(entry.get("hook"))) for entry in entries)
    twice = [plain(" on ".join(pair), limit=60) for pair, count in pairs.items() if count > 1]
    yield judged(
        "D-11",
        holds=not twice,
        seen=f"{len(pairs)} services, each once on its hook",
        complaint=f"listed twice: {', '.join(twice[:3])}",
    )


def _entry_findings(entry: Mapping[str, Any], where: str) -> Iterator[Finding]:
    for requirement_id, name in (("D-03", "hook"), ("D-04", "description"), ("D-05", "id"), ("D-06", "title")):
        yield _text(requirement_id, entry.get(name), f"{where}.{name}")
    service_id = entry.get("id")
    if _is_text(service_id):
        yield judged(
            "D-05",
            holds=_is_segment(str(service_id)),
            seen="can stand in a URL",
            complaint=f"{where}.id: expected one segment of a URL, got {plain(repr(service_id))}",
        )
    yield from _optional(entry, where)
    yield from _hook(entry, where)
    unknown = [plain(name, limit=40) for name in entry if name not in _KNOWN]
    yield judged(
        "D-17",
        holds=not unknown,
        seen="nothing unknown outside extension",
        complaint=f"{where}: {', '.join(unknown[:5])} outside extension",
    )


def _optional(entry: Mapping[str, Any], where: str) -> Iterator[Finding]:
    if "prefetch" in entry:
        prefetch = entry["prefetch"]
        holds = isinstance(prefetch, dict) and all(_is_text(key) and _is_text(value) for key, value in prefetch.items())
        yield judged("D-07", holds=holds, seen="key to query", complaint=f"{where}.prefetch: expected text by text")
    else:
        yield not_applicable("D-07", "no prefetch templates")
    if "usageRequirements" in entry:
        yield _text("D-08", entry["usageRequirements"], f"{where}.usageRequirements")
    else:
        yield not_applicable("D-08", "no usageRequirements")
    version = entry.get("version")
    if version is None:
        yield not_met("D-09", f"{where}.version: expected the version of CDS Hooks, such as 2.0.1; it is missing")
    else:
        holds = isinstance(version, str) and _SEMANTIC_VERSION.fullmatch(version) is not None
        complaint = f"{where}.version: expected a semantic version such as 2.0.1, got {plain(repr(version))}"
        yield judged("D-09", holds=holds, seen=plain(str(version)), complaint=complaint)


def _hook(entry: Mapping[str, Any], where: str) -> Iterator[Finding]:
    hook = entry.get("hook")
    if not _is_text(hook):
        return
    definition = HOOKS.get(str(hook))
    yield judged(
        "D-14",
        holds=is_hook_name(str(hook)),
        seen="hooks of the library or in reverse domain notation",
        complaint=f"{where}.hook: {plain(repr(hook))} is neither of the library nor in reverse domain notation",
    )
    deprecated = definition is not None and definition.deprecated
    instead = " or ".join(definition.replaced_by) if definition is not None else ""
    complaint = f"{where}.hook: {plain(str(hook))} is deprecated; use {instead}"
    yield judged("D-16", holds=not deprecated, seen="no deprecated hook", complaint=complaint)
    if "hookVersion" not in entry:
        yield not_applicable("D-10", "no hookVersion")
    elif definition is None:
        yield unseen("D-10", "the hook is an organisation's own")
    else:
        version = entry["hookVersion"]
        complaint = f"{where}.hookVersion: expected one of {', '.join(definition.versions)}, got {plain(repr(version))}"
        yield judged("D-10", holds=version in definition.versions, seen=plain(str(version)), complaint=complaint)


def _text(requirement_id: str, value: object, where: str) -> Finding:
    return judged(requirement_id, holds=_is_text(value), seen="text", complaint=f"{where}: expected text")


def _is_segment(text: str) -> bool:
    return _SEGMENT.fullmatch(text) is not None and text not in {".", ".."}


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.strip() != ""
