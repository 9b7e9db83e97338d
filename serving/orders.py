"""Orders: what a clinician is about to order, and whether it asks for a model's guidance. Pure.

Of the hooks that send draft orders, order-select names those that were just chosen (`selections`): only these ask, for
the others asked when they were chosen themselves. At order-sign all drafts ask. At both a model reads all of them.

Source: CDS Hooks, hook library, order-select 1.0 and order-sign 1.0.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

import msgspec

from cds_hooks.errors import InvalidField
from cds_hooks.request import CdsRequest
from features.feature import Aggregation, operands
from features.reading.drafts import DraftOrder
from features.reading.interpreter import Interpreter
from features.reading.reader import Reader
from features.reading.references import type_and_id
from features.reading.versions import FhirVersion
from features.refusals import Reason, Refusals
from features.vocabulary.concept import Kind, Vocabulary, load_vocabulary
from models.spec import ORDER_HOOKS, ModelSpec, SpecError

DRAFTS, SELECTIONS = "draftOrders", "selections"
LONGEST_NAME = 60  # characters of a drug's name; a card is read in seconds
NOT_ASKING = frozenset({Reason.STATUS})
"""Why a draft is refused that is plainly not about to be placed; after any other reason nobody knows what it is."""
TYPE_OF: Mapping[Kind, str] = MappingProxyType(
    {kind: "MedicationRequest" if kind == "medication" else "ServiceRequest" for kind in get_args(Kind)}
)
"""What orders of a kind of concept are written as; a diet or a pair of glasses asks for nothing."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A draft order that asks for guidance: its concept, and what the client calls it, in plain words."""

    concept: str
    name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """The draft orders of one call.

    Attributes:
        content: the Bundle, as JSON.
        due: what is due to the call: a risk; a card that says that orders could not be read; or nothing.
        asking: the orders that ask for guidance, each once.
        unclear: how many might ask, but could not be read.
        refusals: what came and was not used.
    """

    content: bytes
    due: Literal["risk", "doubt", "nothing"]
    asking: tuple[Order, ...]
    unclear: int
    refusals: Refusals


def vocabulary_of(spec: ModelSpec) -> Vocabulary:
    """The concepts that a model reads and is asked by.

    Raises:
        SpecError: a trigger is no concept of drafts, or a feature asks for drafts of the past, which no record holds.
    """
    vocabulary = load_vocabulary().subset(dict.fromkeys((*spec.features.concepts, *spec.triggers)))
    strange = [name for name in spec.triggers if vocabulary.concept(name).drafts_of is None]
    if strange:
        raise SpecError(f"ModelSpec {spec.id}: expected triggers that are concepts of drafts, got {strange}.")
    for part in (part for feature in spec.features for part in operands(feature)):
        if vocabulary.concept(part.concept).drafts_of is not None and part.aggregation is not Aggregation.ACTIVE:
            raise SpecError(f"ModelSpec {spec.id}: feature {part.id}: of draft orders expected {Aggregation.ACTIVE}.")
    return vocabulary


def read_orders(
    request: CdsRequest,
    interpreter: Interpreter,
    triggers: tuple[str, ...],
    *,
    version: FhirVersion,
    at: int,
) -> Orders | None:
    """The draft orders of a request, where its hook sends any and the model reads them.

    Args:
        request: decoded and valid.
        interpreter: of the model's vocabulary; without drafts in it, orders are of no interest.
        triggers: concepts that ask; none: all calls ask, whatever is ordered.
        version: of FHIR.
        at: UTC microseconds.

    Raises:
        InvalidField: an order is of another patient than the call.
    """
    if request.hook not in ORDER_HOOKS or not (triggers or interpreter.reads_drafts):
        return None
    content = msgspec.json.encode(request.context[DRAFTS])
    reader = Reader(interpreter, patient=request.patient_id, version=version)
    drafts = reader.read_drafts(content, at=at)
    if any(draft.refused is Reason.OTHER_PATIENT for draft in drafts):
        raise InvalidField(
            "Expected draft orders of the patient of context.patientId, got one of another. Nothing was computed.",
            location=f"context.{DRAFTS}",
        )
    refusals = reader.refusals
    types = {TYPE_OF[interpreter.vocabulary.concept(trigger).kind] for trigger in triggers}
    chosen = tuple(_chosen(drafts, request, types, refusals))
    asking = tuple(dict.fromkeys(_asking(chosen, triggers)))
    unclear = sum(_might_ask(draft, types) for draft in chosen)
    return Orders(
        content=content,
        due="risk" if asking or not triggers else "doubt" if unclear else "nothing",
        asking=asking,
        unclear=unclear,
        refusals=refusals,
    )


def _might_ask(draft: DraftOrder, types: Collection[str]) -> bool:
    """Whether it could not be read, and may be one that asks: an examination without a code is no drug all the same."""
    if draft.refused is None or draft.refused in NOT_ASKING:
        return False
    return draft.resource_type is None or draft.resource_type in types


def _chosen(
    drafts: Iterable[DraftOrder], request: CdsRequest, types: Collection[str], refusals: Refusals
) -> Iterator[DraftOrder]:
    """The drafts that the call is about, and those that were chosen and are not among the drafts."""
    if request.hook != "order-select":
        yield from drafts
        return
    named = request.context[SELECTIONS]
    selected = {type_and_id(one) for one in named} if isinstance(named, list) else set()
    found = {draft.reference: draft for draft in drafts if draft.reference is not None}
    yield from (draft for reference, draft in found.items() if reference in selected)
    for reference in sorted(selected - set(found)):
        resource_type = reference.partition("/")[0]
        if resource_type in types:
            refusals.add(Reason.REFERENCE_UNRESOLVED, detail=SELECTIONS)
            yield DraftOrder(reference, refused=Reason.REFERENCE_UNRESOLVED, resource_type=resource_type)


def _asking(drafts: Iterable[DraftOrder], triggers: tuple[str, ...]) -> Iterator[Order]:
    for draft in drafts:
        for concept in draft.concepts:
            if concept in triggers:
                yield Order(concept=concept, name=plain_words(draft.display))


def plain_words(text: str | None) -> str | None:
    """A name from a record as words that mean nothing to Markdown, HTML or a browser; None if nothing is left.

    Kept are letters, digits, spaces, hyphens, slashes and percent signs, and points and commas between two digits:
    what the names of drugs are made of, and nothing that marks up, links or ends a line.
    """
    if text is None:
        return None
    kept = "".join(_kept(text[i - 1 : i], one, text[i + 1 : i + 2]) for i, one in enumerate(text))
    words = " ".join(kept.split()).strip("-/% ")
    return words[:LONGEST_NAME].rstrip() or None


def _kept(before: str, one: str, after: str) -> str:
    if one.isalnum() or one in "-/%":
        return one
    if one in ".,":
        return one if before.isdigit() and after.isdigit() else " "
    return " "
