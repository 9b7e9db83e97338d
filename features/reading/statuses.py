"""Which statuses count: every status of every resource that is read, and whether what it says has happened.

One table per resource. A status that is not in its table is no status of FHIR and does not count. docs/reading.md
prints these tables; a test keeps it in step.
"""

from collections.abc import Mapping
from types import MappingProxyType

# FHIR R4 observation-status. `preliminary` does not count: it may change, and models are trained on what became final.
OBSERVATION: Mapping[str, bool] = MappingProxyType(
    {
        "final": True,
        "amended": True,
        "corrected": True,
        "appended": True,  # R6 and DiagnosticReport: something was added, what was there stands
        "preliminary": False,
        "registered": False,
        "cancelled": False,
        "entered-in-error": False,
        "unknown": False,
    }
)

# FHIR R4 diagnostic-report-status, used for the times it carries.
DIAGNOSTIC_REPORT: Mapping[str, bool] = MappingProxyType(
    {
        "final": True,
        "amended": True,
        "corrected": True,
        "appended": True,
        "partial": True,  # some results are verified: their times hold
        "preliminary": True,
        "registered": False,
        "cancelled": False,
        "entered-in-error": False,
        "unknown": False,
    }
)

# FHIR R4 condition-ver-status: only what was never true is left out; a suspicion is treated like a diagnosis, because
# that is how codes are used for billing, where certainty is often not noted at all.
CONDITION_VERIFICATION: Mapping[str, bool] = MappingProxyType(
    {
        "confirmed": True,
        "provisional": True,
        "differential": True,
        "unconfirmed": True,
        "refuted": False,
        "entered-in-error": False,
    }
)

# ICD-10-GM's mark of certainty (Diagnosesicherheit, § 295 SGB V), as the German base profile extends a coding with it:
# assured, suspected, state after (over by then), excluded.
GERMAN_CERTAINTY: Mapping[str, bool] = MappingProxyType({"G": True, "V": True, "Z": True, "A": False})

# FHIR R4 condition-clinical: whether the condition still holds.
CONDITION_ACTIVE: Mapping[str, bool] = MappingProxyType(
    {
        "active": True,
        "recurrence": True,
        "relapse": True,
        "inactive": False,
        "remission": False,
        "resolved": False,
        "unknown": True,  # R5: not known to have ended
    }
)

# FHIR R4 medicationrequest-status, with R5's `ended`.
MEDICATION_REQUEST: Mapping[str, bool] = MappingProxyType(
    {
        "active": True,
        "on-hold": True,
        "completed": True,
        "ended": True,
        "stopped": True,
        "cancelled": False,
        "entered-in-error": False,
        "draft": False,  # counts as a draft where an order hook sends it
        "unknown": False,
    }
)

# FHIR R4 medicationrequest-intent and request-intent: what somebody suggests or plans is not ordered.
ORDER_INTENT: Mapping[str, bool] = MappingProxyType(
    {
        "order": True,
        "original-order": True,
        "reflex-order": True,
        "filler-order": True,
        "instance-order": True,
        "directive": True,
        "proposal": False,
        "plan": False,
        "option": False,
    }
)

# FHIR R4 medication-admin-status.
MEDICATION_ADMINISTRATION: Mapping[str, bool] = MappingProxyType(
    {
        "in-progress": True,
        "on-hold": True,
        "completed": True,
        "stopped": True,  # begun and broken off: some of it was given
        "not-done": False,
        "entered-in-error": False,
        "unknown": False,
    }
)

# FHIR R4 medication-statement-status, with R5's `recorded` and `draft`.
MEDICATION_STATEMENT: Mapping[str, bool] = MappingProxyType(
    {
        "active": True,
        "completed": True,
        "recorded": True,
        "on-hold": True,
        "stopped": True,
        "intended": False,
        "not-taken": False,
        "draft": False,
        "entered-in-error": False,
        "unknown": False,
    }
)

# FHIR R4 event-status, for procedures.
PROCEDURE: Mapping[str, bool] = MappingProxyType(
    {
        "in-progress": True,
        "on-hold": True,
        "stopped": True,  # begun and broken off: the patient had some of it
        "completed": True,
        "preparation": False,
        "not-done": False,
        "entered-in-error": False,
        "unknown": False,
    }
)

# FHIR R4 encounter-status, with R5's words: the patient came; neither planned nor cancelled, and no mistake.
ENCOUNTER: Mapping[str, bool] = MappingProxyType(
    {
        "arrived": True,
        "triaged": True,
        "in-progress": True,
        "onleave": True,
        "on-hold": True,
        "finished": True,
        "discharged": True,
        "completed": True,
        "planned": False,
        "cancelled": False,
        "discontinued": False,
        "entered-in-error": False,
        "unknown": False,
    }
)

# FHIR R4 encounter-location-status: a bed that was only planned or reserved was not slept in.
ENCOUNTER_LOCATION: Mapping[str, bool] = MappingProxyType(
    {"active": True, "completed": True, "planned": False, "reserved": False}
)

# FHIR R4 request-status, for examinations and procedures ordered.
SERVICE_REQUEST: Mapping[str, bool] = MappingProxyType(
    {
        "active": True,
        "on-hold": True,
        "completed": True,
        "ended": True,
        "revoked": False,
        "draft": False,
        "entered-in-error": False,
        "unknown": False,
    }
)

OPEN = frozenset({"active", "on-hold", "in-progress", "arrived", "triaged", "onleave", "recorded"})
"""Statuses under which something without an end is still going on; under any other, its end is not known."""

RANK: Mapping[str, int] = MappingProxyType(
    {"entered-in-error": 3, "corrected": 2, "amended": 2, "appended": 2, "cancelled": 2, "final": 1}
)
"""Which of two versions without a date is the later: a correction comes after what it corrects (all others: 0)."""
