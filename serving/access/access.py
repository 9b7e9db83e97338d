"""Access: reads what a call's prefetch lacks from the client's FHIR server, all keys at once and each within bounds."""

import asyncio
import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TypeAlias

import msgspec

from cds_hooks.fhirpath import Scope
from cds_hooks.request import CdsRequest, FhirAuthorization
from cds_hooks.security.network import ConnectionRefusal, Destination
from cds_hooks.security.urls import UrlError, read_url
from cds_hooks.templates import Template, Unfillable, fill
from features.reading.scan.searchset import text_of
from serving.access.answers import Answer, Page, followed, page_of, resource_of
from serving.access.connections import Connections
from serving.access.gates import Gates, Purse
from serving.access.limits import Limits
from serving.access.plan import Completed, Enough, Pages, Plan, Reading, Wanted
from serving.access.policy import Policy
from serving.access.reasons import NotObtained, Reason

Result: TypeAlias = Pages | Reason

REDIRECTS = frozenset({301, 302, 303, 307, 308})

_REFUSALS: Mapping[str, Reason] = {"name not resolved": Reason.UNREACHABLE}
_UNFILLED: Mapping[str, Reason] = {
    "context": Reason.NO_CONTEXT,
    "prefetch": Reason.NO_PREFETCH,
    "value": Reason.NO_VALUE,
}

_logger = logging.getLogger("bedside.access")


class Access:
    """The FHIR access of one process, for one event loop; to be closed in the end."""

    def __init__(self, limits: Limits | None = None, *, trusted: ssl.SSLContext | None = None) -> None:
        """`trusted`: certificate authorities, if others than the usual ones."""
        self.limits = limits or Limits()
        self.gates = Gates(self.limits)
        self.connections = Connections(self.limits, trusted=trusted)

    async def complete(
        self, plan: Plan, request: CdsRequest, *, policy: Policy | None, enough: Enough, today: date
    ) -> Completed:
        """What is there once the wanted keys were read; a plan that wants nothing costs nothing.

        Args:
            plan: of the request's prefetch.
            request: says from where, with which token; neither outlives the call.
            policy: of the client; None where nothing may be read for it.
            enough: whether a page goes back so far that no next page matters.
            today: the day of the call, for `today()` in templates.
        """
        if not plan.wanted:
            return Completed(pages=plan.sent, failures=plan.failures)
        if policy is None or request.fhir_server is None or request.fhir_authorization is None:
            return plan.without_access()
        begin = asyncio.get_running_loop().time()
        until = begin + self.limits.total_seconds
        scope = Scope(context=request.context, today=today, base=request.fhir_server.rstrip("/"))
        purse: Purse | None = None
        try:
            _check_patient(request, request.fhir_authorization)
            with self.gates.call(_server(request.fhir_server)) as purse:
                call = _Call(
                    to=await _connected(policy, request.fhir_server, until),
                    authorization=request.fhir_authorization,
                    policy=policy,
                    connections=self.connections,
                    limits=self.limits,
                    purse=purse,
                    plan=plan,
                    scope=scope,
                    enough=enough,
                    until=until,
                )
                results = await call.read()
        except NotObtained as error:
            results = dict.fromkeys(plan.wanted, error.reason)
        seconds = asyncio.get_running_loop().time() - begin
        reading = Reading(requests=0 if purse is None else purse.requests, duration_us=round(1e6 * seconds))
        _log(results, purse, reading)
        return _completed(plan, results, reading)

    async def close(self) -> None:
        """Close the connections."""
        await self.connections.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """The reading for one call. Its repr shows neither token nor patient."""

    to: Destination
    authorization: FhirAuthorization = field(repr=False)
    policy: Policy
    connections: Connections
    limits: Limits
    purse: Purse
    plan: Plan = field(repr=False)
    scope: Scope = field(repr=False)
    enough: Enough
    until: float
    tasks: dict[str, "asyncio.Task[Result]"] = field(default_factory=dict, repr=False)

    @property
    def base(self) -> str:
        """The FHIR server's base URL, without a slash at its end."""
        return str(self.to.url)

    async def read(self) -> dict[str, Result]:
        """Each wanted key's pages, or why they could not be had. Keys come after those that they need."""
        async with asyncio.TaskGroup() as group:
            for key, wanted in self.plan.wanted.items():
                self.tasks[key] = group.create_task(self._read(key, wanted))
        return {key: task.result() for key, task in self.tasks.items()}

    async def _read(self, key: str, wanted: Wanted) -> Result:
        try:
            async with asyncio.timeout_at(self.until):
                return await self._pages(key, wanted)
        except TimeoutError:
            return Reason.TIMEOUT
        except NotObtained as error:
            return error.reason

    async def _pages(self, key: str, wanted: Wanted) -> Pages:
        if wanted.next_url is not None:
            self._check_scope(wanted.template.resource_type or "")
            return await self._search(key, followed(wanted.next_url, seen_at=f"{self.base}/", base=self.base), number=2)
        url = await self._filled(wanted.template)
        if url is None:
            return ()
        if wanted.template.is_search:
            self._check_scope(wanted.template.resource_type or "")
            return await self._search(key, f"{self.base}/{url}", number=1)
        resource_type, _, logical_id = url.partition("/")
        self._check_scope(resource_type)
        return (resource_of(await self._get(f"{self.base}/{url}"), resource_type, logical_id).raw,)

    async def _search(self, key: str, first: str, *, number: int) -> Pages:
        """The pages of a search from a URL on, which is that of the page with this number."""
        pages: list[msgspec.Raw] = []
        seen = set[str]()
        url = first
        while True:
            if url in seen:
                raise NotObtained(Reason.ENDLESS)
            if number > self.limits.pages:
                raise NotObtained(Reason.PAGES)
            seen.add(url)
            answer = await self._get(url)
            page = page_of(answer)
            self.purse.take_entries(page.entries)
            pages.append(page.raw)
            if page.next_url is None or self._is_enough(key, page):
                return tuple(pages)
            url = followed(page.next_url, seen_at=answer.url, base=self.base)
            number += 1

    async def _get(self, url: str) -> Answer:
        """The answer, after redirects on the server's own origin."""
        for _ in range(self.limits.redirects + 1):
            async with self.purse.request():
                answer = await self.connections.get(
                    self.to, url, self.authorization.access_token, self.purse.take_bytes
                )
            target = answer.headers.get("location") if answer.status in REDIRECTS else None
            if target is None:
                return answer
            url = followed(target, seen_at=answer.url, base=self.base)
        raise NotObtained(Reason.REDIRECTS)

    def _is_enough(self, key: str, page: Page) -> bool:
        try:
            return self.enough(key, page.raw)
        except RecursionError as error:
            raise NotObtained(Reason.NOT_FHIR) from error

    def _check_scope(self, resource_type: str) -> None:
        if not self.policy.may_read(resource_type):
            raise NotObtained(Reason.SCOPE)

    async def _filled(self, template: Template) -> str | None:
        """A template's URL, once the keys that it needs are there."""
        needed = {key: await self._needed(key) for key in template.keys}
        scope = Scope(context=self.scope.context, today=self.scope.today, base=self.scope.base, prefetched=needed)
        try:
            return fill(template, scope)
        except Unfillable as error:
            raise NotObtained(_UNFILLED[error.lacks]) from error

    async def _needed(self, key: str) -> object:
        """What is there under another key, decoded. It is waited for, but never cancelled, by who needs it."""
        pages: Pages = self.plan.sent.get(key, ())
        if key in self.tasks:
            await asyncio.wait([self.tasks[key]])
            result = self.tasks[key].result()
            if isinstance(result, Reason):
                raise NotObtained(Reason.DEPENDS)
            pages += result
        try:
            return [msgspec.json.decode(text_of(page)) for page in pages]
        except (msgspec.MsgspecError, RecursionError) as error:
            raise NotObtained(Reason.DEPENDS) from error


def _check_patient(request: CdsRequest, authorization: FhirAuthorization) -> None:
    """A token for another patient finds nothing of this one, and nothing looks like health."""
    if authorization.patient not in {None, request.context.get("patientId")}:
        raise NotObtained(Reason.OTHER_PATIENT)


def _server(fhir_server: str) -> str:
    """The origin by which a server is counted."""
    try:
        url = read_url(fhir_server)
    except UrlError as error:
        raise NotObtained(Reason.NOT_LISTED) from error
    return f"{url.scheme}://{url.authority}"


async def _connected(policy: Policy, fhir_server: str, until: float) -> Destination:
    try:
        async with asyncio.timeout_at(until):
            return await policy.connect(fhir_server)
    except TimeoutError as error:
        raise NotObtained(Reason.TIMEOUT) from error
    except ConnectionRefusal as error:
        raise NotObtained(_REFUSALS.get(error.reason, Reason.NOT_LISTED)) from error


def _completed(plan: Plan, results: Mapping[str, Result], reading: Reading) -> Completed:
    read = {key: result for key, result in results.items() if not isinstance(result, Reason)}
    return Completed(
        pages={**plan.sent, **{key: plan.sent.get(key, ()) + pages for key, pages in read.items()}},
        failures={
            key: (plan.wanted[key].failure, result) for key, result in results.items() if isinstance(result, Reason)
        },
        read=frozenset(read),
        reading=reading,
    )


def _log(results: Mapping[str, Result], purse: Purse | None, reading: Reading) -> None:
    """One event for each call that needed access: how much, how long, and what failed; nothing of URL or patient."""
    failed = {key: result.name for key, result in results.items() if isinstance(result, Reason)}
    _logger.log(
        logging.WARNING if failed else logging.INFO,
        "fhir_access",
        extra={
            "keys": sorted(results),
            "failed": failed,
            "requests": reading.requests,
            "entries": 0 if purse is None else purse.entries,
            "bytes": 0 if purse is None else purse.bytes,
            "duration_us": reading.duration_us,
        },
    )
