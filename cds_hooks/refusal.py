"""A request that was refused before any service saw it: what a host may keep account of, and nothing that was sent."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

RefusedAt: TypeAlias = Literal["discovery", "call", "feedback", "elsewhere"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One refused request. All that it holds is ours, so that different refusals are few.

    Attributes:
        at: what was asked for; `elsewhere`: a path or a method that is none.
        status: of the answer.
        code: FHIR issue code of the answer.
        service_id: of a service of this server; None if the request named another.
        client: name of the registration, if the client proved that it is this one.
    """

    at: RefusedAt
    status: int
    code: str
    service_id: str | None = None
    client: str | None = None
