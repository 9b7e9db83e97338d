"""What the model `aki-order` is: the model `aki`, asked at the moment of an order and told what is being ordered."""

from features.feature import Aggregate, Aggregation, FeatureSet
from models.aki.spec import DRUGS, HORIZON_HOURS
from models.aki.spec import SPEC as AKI
from models.spec import ModelSpec

# Injury to the kidneys is a known harm of each, and for each there is often something else to give: KDIGO, section
# 3.8.1 (aminoglycosides), and Perazella, Clin J Am Soc Nephrol 2018;13:1897. Contrast media are no orders that the
# vocabulary knows yet.
TRIGGERS = ("nephrotoxic_nsaid_draft", "aminoglycoside_draft", "vancomycin_draft")
# What else may be ordered with them, or alone: the model learns what all orders say, and speaks at some.
DRAFTS = ("nephrotoxic_nsaid_draft", *(f"{drug}_draft" for drug in DRUGS))

SPEC = ModelSpec(
    id="aki-order",
    title="Acute kidney injury after an order, in the next 48 h (synthetic demonstration)",
    description=(
        "When a non-steroidal anti-inflammatory drug, an aminoglycoside or vancomycin is about to be ordered for an "
        "adult inpatient without acute kidney injury, estimates how likely one follows (KDIGO stage 1 or higher by "
        "creatinine) within 48 hours. Trained on synthetic patients: a demonstration, never for care."
    ),
    version="0.1",
    hooks=("order-select", "order-sign"),
    target=AKI.target,
    horizon_hours=HORIZON_HOURS,
    population=(
        "Adult inpatients for whom a drug is being ordered, without acute kidney injury in the last 7 days; synthetic."
    ),
    features=FeatureSet(
        (*AKI.features, *(Aggregate(concept=draft, aggregation=Aggregation.ACTIVE) for draft in DRAFTS))
    ),
    minimum_data=AKI.minimum_data,
    bands=AKI.bands,
    triggers=TRIGGERS,
    intended_use=(
        "To demonstrate and test how a model reads draft orders, without patient data. It shows what a card at the "
        "moment of an order would look like; its numbers describe invented patients."
    ),
    out_of_scope=(
        "Any use in the care of a real patient. Telling how much of a risk is due to the order: patients for whom a "
        "drug is ordered differ from others in more than the drug. Also: children, dialysis, kidney transplants, "
        "patients who already have acute kidney injury, and outpatients."
    ),
    licence="Apache-2.0",
)
