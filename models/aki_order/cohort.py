"""At which times of which patients the model `aki-order` is trained: at the moments of orders."""

from features.reading.reader import Record
from models.aki.cohort import adults_at_risk, inpatient
from models.aki_order.spec import DRAFTS
from models.cohort import Cohort, during, moments


def cohort(record: Record) -> Cohort:
    """Index times just before drugs were ordered for adult inpatients; who is left out is as in the model `aki`.

    At that instant the order is a draft, as an order hook sends it, and all else is what was known before.
    """
    found = moments(record.events, DRAFTS, "moments at which a drug of these classes was ordered")
    found = found.where(during(record, found, inpatient(record)), "during an inpatient stay")
    return adults_at_risk(record, found)
