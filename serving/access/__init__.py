"""FHIR access: what the prefetch lacks is read from the client's FHIR server, if the client gave access to it.

Begin at `sources`. What is a rule (`plan`, `answers`, `reasons`) is apart from what waits and sends (`access`, `gates`,
`connections`); the latter, with its HTTP library, is imported where a site has FHIR servers to read from, and nowhere
else. Whatever does not come ends as 412, never as a smaller answer.
"""

from serving.access.limits import Limits
from serving.access.plan import Completed, Enough, Pages, Plan, Reading, make_plan
from serving.access.policy import Policy, registered
from serving.access.reach import longest_lookback_hours, reaches_back
from serving.access.reasons import Failure, Reason, missing_data
from serving.access.sources import NOWHERE, Sources

__all__ = [
    "NOWHERE",
    "Completed",
    "Enough",
    "Failure",
    "Limits",
    "Pages",
    "Plan",
    "Policy",
    "Reading",
    "Reason",
    "Sources",
    "longest_lookback_hours",
    "make_plan",
    "missing_data",
    "reaches_back",
    "registered",
]
