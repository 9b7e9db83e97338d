"""Discovery: how a server describes its services, and which service answers which hook.

Source: CDS Hooks 2.0.1, Discovery; `version` and `hookVersion` are 3.0 ballot, ignored by 2.0.1 clients.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from cds_hooks.errors import InvalidAnswer, UnknownService, WrongHook
from cds_hooks.hooks import HOOKS, is_hook_name
from cds_hooks.response import require_unique_names
from cds_hooks.templates import TemplateVersion, read_templates

# The id is the last segment of the service's URL: unreserved characters only (RFC 3986).
_SERVICE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]*")
_SEMANTIC_VERSION = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?")

FHIRPATH_SINCE = 3
"""The major version of CDS Hooks whose clients understand FHIRPath in prefetch tokens (3.0 ballot)."""


class ServiceDescription(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One service on one hook, valid when built (InvalidAnswer otherwise).

    `prefetch`: template by key, in the order in which the client should run them. `version`: of the CDS Hooks
    specification; only from 3.0 on may templates need FHIRPath, for older clients leave such keys out.
    `hook_version`: one that the hook's definition lists.
    """

    hook: str
    id: str
    title: str
    description: str
    prefetch: dict[str, str] = {}
    usage_requirements: str | None = None
    version: str | None = None
    hook_version: str | None = None
    extension: dict[str, object] = {}

    def __post_init__(self) -> None:
        for name in ("title", "description", "usage_requirements", "version", "hook_version"):
            if getattr(self, name) == "":
                raise InvalidAnswer(f"Service {self.id!r}, {name}: expected text, got an empty string.")
        if not _SERVICE_ID.fullmatch(self.id):
            raise InvalidAnswer(f"Service id {self.id!r}: expected letters, digits and ._~- only; it is part of a URL.")
        _check_hook(self)
        require_unique_names(self.extension, f"Service {self.id!r}, extension")
        _check_templates(self)


def _check_hook(service: ServiceDescription) -> None:
    if not is_hook_name(service.hook):
        raise InvalidAnswer(
            f"Service {service.id!r}: expected a hook of the library or one in reverse domain notation, "
            f"got {service.hook!r}."
        )
    definition = HOOKS.get(service.hook)
    if definition is not None and definition.deprecated:
        successors = " or ".join(definition.replaced_by)
        raise InvalidAnswer(f"Service {service.id!r}: hook {service.hook} is deprecated; use {successors}.")
    if service.version is not None and not _SEMANTIC_VERSION.fullmatch(service.version):
        raise InvalidAnswer(f"Service {service.id!r}: expected a semantic version of CDS Hooks such as 2.0.1.")
    if service.hook_version is not None and definition is not None and service.hook_version not in definition.versions:
        versions = ", ".join(definition.versions)
        raise InvalidAnswer(f"Service {service.id!r}: expected a hook_version of {service.hook}: {versions}.")


def _check_templates(service: ServiceDescription) -> None:
    if "" in service.prefetch:
        raise InvalidAnswer(f"Service {service.id!r}: expected a name for each prefetch template, got an empty one.")
    major = int((service.version or "2").partition(".")[0])
    spoken: TemplateVersion = "3.0" if major >= FHIRPATH_SINCE else "2.0"
    for key, template in read_templates(service.prefetch, service.hook).items():
        if template.version > spoken:
            raise InvalidAnswer(
                f"Service {service.id!r}, prefetch template {key!r}: expected what clients of CDS Hooks {spoken} "
                f"understand, got {template.text!r}; its tokens need {template.version}."
            )


class _Discovery(msgspec.Struct, frozen=True):
    services: tuple[ServiceDescription, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRegistry:
    """All services of a server. Several may share a hook, and one id may be listed once per hook (D-11).

    `discovery` is the discovery document, encoded once: the same bytes at every call.
    """

    services: tuple[ServiceDescription, ...]
    discovery: bytes = field(init=False, repr=False)
    _by_id: dict[str, dict[str, ServiceDescription]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_id: dict[str, dict[str, ServiceDescription]] = {}
        for service in self.services:
            hooks = by_id.setdefault(service.id, {})
            if service.hook in hooks:
                raise InvalidAnswer(
                    f"Service {service.id!r} is listed twice on {service.hook}; expected once per hook."
                )
            hooks[service.hook] = service
        object.__setattr__(self, "_by_id", by_id)
        object.__setattr__(self, "discovery", msgspec.json.encode(_Discovery(services=self.services)))

    def __contains__(self, service_id: object) -> bool:
        """Whether a service has this id."""
        return service_id in self._by_id

    def discovery_for(self, may_call: Callable[[str], bool]) -> bytes:
        """The discovery document with those services alone that a client may call."""
        chosen = tuple(service for service in self.services if may_call(service.id))
        if len(chosen) == len(self.services):
            return self.discovery
        return msgspec.json.encode(_Discovery(services=chosen))

    def services_on(self, hook: str) -> tuple[str, ...]:
        """Ids of the services on a hook, in the order of the list."""
        return tuple(service.id for service in self.services if service.hook == hook)

    def hooks_of(self, service_id: str) -> frozenset[str]:
        """Hooks that a service serves. Raises UnknownService."""
        return frozenset(self._hooks(service_id))

    def describe(self, service_id: str, hook: str) -> ServiceDescription:
        """The description of a service on a hook. Raises UnknownService or WrongHook."""
        hooks = self._hooks(service_id)
        description = hooks.get(hook)
        if description is None:
            # Only names of the library are repeated: any other string could be anything.
            came = hook if hook in HOOKS else "another string"
            raise WrongHook(f"Expected {' or '.join(sorted(hooks))} as hook, got {came}.", location="hook")
        return description

    def _hooks(self, service_id: str) -> dict[str, ServiceDescription]:
        hooks = self._by_id.get(service_id)
        if hooks is None:
            raise UnknownService("No service has this id. GET /cds-services lists the services of this server.")
        return hooks
