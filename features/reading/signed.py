"""Signed orders: when each of them was last a draft, which is what an order hook would have been called with.

An order is a draft until it is signed. A hook sends drafts; a record holds what became of them. Both make events of the
same concepts (`Concept.drafts_of`), so that a feature of drafts means the same in training and at a call. Of a signed
order nobody knows since when it was a draft: it holds as one for the microsecond before `authoredOn`. Seen from that
instant the order itself, and whatever else bears its time, has not happened yet.
"""

import numpy as np
from numpy.typing import NDArray

from features.reading.statements import TYPE_NUMBERS, Rows, Statements

BEFORE_SIGNING = 1
"""Microseconds before `authoredOn`: the smallest step there is."""
MICROSECONDS_PER_SECOND = 1_000_000
ORDERS = np.array([TYPE_NUMBERS[name] for name in ("MedicationRequest", "ServiceRequest")])


def before_signing(statements: Statements, rows: Rows, counts: NDArray[np.bool_]) -> Rows | None:
    """The rows of when signed orders were drafts; None where there are none.

    An order that is dated by its day alone has no moment at which it was a draft: its time is the last microsecond of
    that day, and what happened on the day would count as known when it was ordered.

    Args:
        statements: `drafts` says which concepts are the drafts of which.
        rows: of all that was said.
        counts: which of them hold.
    """
    if not statements.drafts:
        return None
    ordered = np.zeros(len(statements.concepts), np.bool_)
    ordered[[concept for concept, _ in statements.drafts]] = True
    is_last_of_day = (rows.time + 1) % MICROSECONDS_PER_SECOND == 0
    chosen = counts & ordered[rows.concept] & ~is_last_of_day
    chosen[chosen] = np.isin(np.array(statements.instances.type)[rows.instance[chosen]], ORDERS)
    if not chosen.any():
        return None
    signed = rows.only(chosen)
    return Rows.join([_drafts(signed.only(signed.concept == concept), draft) for concept, draft in statements.drafts])


def _drafts(signed: Rows, draft: int) -> Rows:
    time = signed.time - BEFORE_SIGNING
    concept = np.full(len(time), draft, np.int32)
    return signed._replace(concept=concept, time=time, known=time, until=signed.time)
