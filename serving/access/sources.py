"""Sources: where a call's data may come from beside its prefetch, by who calls. Nobody's, unless a site says so."""

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from cds_hooks.request import CdsRequest
from cds_hooks.security.caller import Caller
from cds_hooks.security.network import Resolver, SystemResolver
from serving.access.plan import Completed, Enough, Plan
from serving.access.policy import Policy, registered

if TYPE_CHECKING:
    from serving.access.access import Access


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What a process may read for its callers.

    Attributes:
        access: to FHIR servers; None where nothing is ever read.
        resolve: names into addresses, for the servers of registered clients.
        anybody: the policy for callers without a registration; None: for them nothing is read.
        owned: a resolver that ends with the access.
    """

    access: "Access | None" = None
    resolve: Resolver | None = None
    anybody: Policy | None = None
    owned: SystemResolver | None = None

    async def complete(
        self, plan: Plan, request: CdsRequest, caller: Caller | None, *, enough: Enough, today: date
    ) -> Completed:
        """What is there once that was read which this caller's registration allows; see `Access.complete`."""
        if self.access is None:
            return plan.without_access()
        return await self.access.complete(plan, request, policy=self._policy(caller), enough=enough, today=today)

    def _policy(self, caller: Caller | None) -> Policy | None:
        if caller is None:
            return self.anybody
        return None if self.resolve is None else registered(caller.registration, self.resolve)

    async def close(self) -> None:
        """Close the connections; no request may come after."""
        if self.access is not None:
            await self.access.close()
        if self.owned is not None:
            self.owned.close()


NOWHERE = Sources()
"""Nothing is read: the prefetch alone must do."""
