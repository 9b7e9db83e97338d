"""FHIR access: what the prefetch lacks is read from the client's FHIR server, if the client gave access to it.

Begin at `access`. What is a rule (`plan`, `answers`, `reasons`) is apart from what waits and sends (`access`, `gates`,
`connections`). Whatever does not come ends as 412, never as a smaller answer.
"""

from serving.access.access import Access
from serving.access.limits import Limits
from serving.access.plan import Completed, Plan, make_plan
from serving.access.policy import Policy, registered
from serving.access.reach import reaches_back
from serving.access.reasons import Failure, Reason, missing_data

__all__ = [
    "Access",
    "Completed",
    "Failure",
    "Limits",
    "Plan",
    "Policy",
    "Reason",
    "make_plan",
    "missing_data",
    "reaches_back",
    "registered",
]
