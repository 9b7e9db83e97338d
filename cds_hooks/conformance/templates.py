"""P: how prefetch templates are written.

2.0.1 knows first-level context fields and four user identifiers as tokens; the 3.0 ballot adds a simple FHIRPath,
which is looked at here only as far as its outer form goes.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import chain

from cds_hooks.conformance.discovery import Service
from cds_hooks.conformance.exchange import plain
from cds_hooks.conformance.finding import Finding, judged, not_applicable
from cds_hooks.hooks import HOOKS

_TOKEN = re.compile(r"\{\{(.*?)\}\}")
_SIMPLE = re.compile(r"(context\.)?[A-Za-z][A-Za-z0-9_-]*")
_FHIRPATH = re.compile(r"[A-Za-z%][\w%.()\s|+'\-]*")
_READ = re.compile(r"[A-Z][A-Za-z]+/[^/?\s{}]{1,64}")
_SEARCH = re.compile(r"[A-Z][A-Za-z]+\?[^\s{}#\"<>\\^`]+")
_OTHER_KEY = re.compile(r"%([A-Za-z][\w-]*)")
_OF_TYPE = re.compile(r"ofType\(([^()]*)\)")
_TYPE = re.compile(r"(FHIR\.)?[A-Z][A-Za-z]+")
_USER_TOKENS = frozenset({"userPractitionerId", "userPractitionerRoleId", "userPatientId", "userRelatedPersonId"})
# Chained parameters, modifiers other than :in and prefixes other than the four are outside the common subset.
_PARAMETER = re.compile(r"(?P<name>[A-Za-z_-]+)(?P<modifier>:[a-z-]+)?(?P<chain>\.[^=]*)?")
_UNCOMMON_DATE = re.compile(r"(ne|sa|eb|ap)\d{4}")
_COMMON_RESULTS = frozenset({"_count", "_sort", "_maxresults", "_id", "_lastUpdated"})


def template_findings(service: Service) -> Iterator[Finding]:
    """What one service's templates say of P-01 to P-08."""
    if not service.templates:
        for requirement_id in ("P-01", "P-02", "P-03", "P-04", "P-05", "P-06", "P-07", "P-08"):
            yield not_applicable(requirement_id, "no prefetch templates")
        return
    for key, template in service.templates.items():
        where = f"{plain(service.id, limit=40)}, template {plain(key, limit=40)}"
        plain_template = _TOKEN.sub("x", template)
        yield judged(
            "P-01",
            holds=bool(_READ.fullmatch(plain_template) or _SEARCH.fullmatch(plain_template)),
            seen="reads and searches, relative to the FHIR base",
            complaint=f"{where}: expected Type/id or Type?parameters, got {plain(template)}",
        )
        for token in _TOKEN.findall(template):
            yield from _token_findings(token, service, where)
        yield _common(plain_template, where)
    yield from _references(service.templates, plain(service.id, limit=40))


def _token_findings(token: str, service: Service, where: str) -> Iterator[Finding]:
    shown = plain(token, limit=60)
    simple = _SIMPLE.fullmatch(token) is not None
    if simple and token not in _USER_TOKENS:
        complaint = f"{where}: expected context. before {shown}"
        yield judged("P-03", holds=token.startswith("context."), seen="context.name", complaint=complaint)
    well_formed = token in _USER_TOKENS or (
        token.startswith("context.") if simple else _FHIRPATH.fullmatch(token) is not None
    )
    complaint = f"{where}: expected a context field or a user identifier in {{{{ }}}}, got {shown}"
    yield judged("P-02", holds=well_formed, seen="context fields and user identifiers", complaint=complaint)
    yield judged(
        "P-05",
        holds=simple or service.version.startswith("3."),
        seen="first-level fields only" if simple else "FHIRPath, in a service of version 3",
        complaint=f"{where}: {shown} is FHIRPath, which clients of 2.0.1 do not read",
    )
    definition, field = HOOKS.get(service.hook), token.removeprefix("context.")
    if simple and definition is not None and token.startswith("context."):
        complaint = f"{where}: {service.hook} does not allow {plain(field, limit=40)} as a token"
        yield judged("P-04", holds=field in definition.tokens, seen="fields that are tokens", complaint=complaint)


def _common(plain_template: str, where: str) -> Finding:
    _, _, query = plain_template.partition("?")
    uncommon = [
        plain(pair, limit=40) for pair in query.split("&") if query and not _is_common(*pair.partition("=")[::2])
    ]
    complaint = f"{where}: outside the common subset: {', '.join(uncommon[:3])}"
    return judged("P-06", holds=not uncommon, seen="the common subset", complaint=complaint)


def _is_common(parameter: str, value: str) -> bool:
    found = _PARAMETER.fullmatch(parameter)
    if found is None or found["chain"] or found["modifier"] not in {None, ":in"}:
        return False
    if parameter.startswith("_") and parameter not in _COMMON_RESULTS:
        return False
    return _UNCOMMON_DATE.match(value) is None


def _references(templates: Mapping[str, str], service_id: str) -> Iterator[Finding]:
    """%otherKey stands behind that key, and ofType() names a type."""
    tokens = {key: _TOKEN.findall(template) for key, template in templates.items()}
    before: set[str] = set()
    seen_any = False
    for key, found in tokens.items():
        for other in set(chain.from_iterable(_OTHER_KEY.findall(token) for token in found)) - {"context"}:
            seen_any = True
            complaint = (
                f"{service_id}, template {plain(key, limit=40)}: %{plain(other, limit=40)} does not stand before"
            )
            yield judged("P-07", holds=other in before, seen="after the key that they use", complaint=complaint)
        before.add(key)
    if not seen_any:
        yield not_applicable("P-07", "no template uses another")
    types = [each.strip() for found in tokens.values() for token in found for each in _OF_TYPE.findall(token)]
    if not types:
        yield not_applicable("P-08", "no template uses ofType()")
    for each in types:
        complaint = f"{service_id}: expected a resource type in ofType(), got {plain(each, limit=40)}"
        yield judged("P-08", holds=_TYPE.fullmatch(each) is not None, seen="resource types", complaint=complaint)
