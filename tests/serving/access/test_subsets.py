"""Every subset of a model's prefetch keys, in every state: which call ends as a card, which reads, which is a 412.

state of the keys         with access             without
whole, empty, null        card                    card
absent                    read, then card         412
page that goes back far   card                    card            (Observations and reports, newest first)
other page with a next    the rest read, card     412
OperationOutcome, other   412, nothing is read    412
"""

import asyncio
from collections.abc import Iterator, Mapping
from datetime import UTC
from itertools import combinations, product
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
import pytest

from cds_hooks.errors import MissingData
from cds_hooks.fhirpath import Scope
from cds_hooks.request import CdsRequest, decode_request
from cds_hooks.templates import Template, fill, read_templates
from features.prefetch import prefetch_templates
from features.times import microseconds
from features.vocabulary.concept import Vocabulary, load_vocabulary
from models.catalog import CatalogEntry, catalog
from serving.access import Completed, Plan, longest_lookback_hours, make_plan, reaches_back
from serving.access.access import Access
from serving.assess import Assessment, ServedModel, assess, serve
from serving.samples import Example
from tests.features.client.fake_server import Asked, FakeServer, Reply, json
from tests.fhir_builders import EMPTY, NOW, OUTCOME, observation, patient, searchset
from tests.serving.access.hospital import NOBODY, PATIENT, TODAY, access_by, never, policy_of, raw

ENTRIES = tuple(catalog())
RELEASED = tuple(entry for entry in ENTRIES if entry.released is not None)
LONG_AGO = 30 * 24  # hours; further back than any window of Observations in the catalog

Does = Literal["card", "read", "412"]


class State(NamedTuple):
    """A way in which keys come: the value (ABSENT: none), and what the call does, with access and without."""

    value: Any
    with_access: Does
    without: Does


ABSENT = object()
NEXT = "/fhir/page/2"
OTHER_BUNDLE = {"resourceType": "Bundle", "type": "history"}
STATES: Mapping[str, State] = {
    "whole": State(searchset(observation("heart_rate", 80)), "card", "card"),
    "empty": State(EMPTY, "card", "card"),
    "null": State(None, "card", "card"),
    "absent": State(ABSENT, "read", "412"),
    "OperationOutcome": State(OUTCOME, "412", "412"),
    "no searchset": State(OTHER_BUNDLE, "412", "412"),
    "page with a next": State(searchset(observation("heart_rate", 80, 1), next_url=NEXT), "read", "412"),
    "empty page with a next": State(searchset(next_url=NEXT), "read", "412"),
    "page not newest first": State(
        searchset(observation("heart_rate", 80, LONG_AGO), observation("heart_rate", 81, 1), next_url=NEXT),
        "read",
        "412",
    ),
}
REACHES = State(
    searchset(observation("heart_rate", 80, 1), observation("heart_rate", 80, LONG_AGO), next_url=NEXT), "card", "card"
)


class Model(NamedTuple):
    """A model as far as its prefetch goes: it needs no bundle."""

    entry: CatalogEntry
    vocabulary: Vocabulary
    templates: dict[str, Template]


def _model(entry: CatalogEntry) -> Model:
    vocabulary = load_vocabulary().subset(entry.spec.features.concepts)
    return Model(entry, vocabulary, read_templates(prefetch_templates(entry.spec.features, vocabulary), "patient-view"))


def _id(value: object) -> str:
    return value.spec.id if isinstance(value, CatalogEntry) else str(value)


def subsets(keys: tuple[str, ...]) -> Iterator[frozenset[str]]:
    for size in range(len(keys) + 1):
        yield from (frozenset(chosen) for chosen in combinations(keys, size))


def prefetched(model: Model, changed: frozenset[str], value: Any) -> dict[str, msgspec.Raw]:
    """All keys whole, but for the changed ones."""
    usual: dict[str, Any] = {
        key: STATES["whole"].value if template.is_search else patient(PATIENT)
        for key, template in model.templates.items()
    }
    sent = usual | dict.fromkeys(changed, value)
    return {key: raw(one) for key, one in sent.items() if one is not ABSENT}


def planned(model: Model, prefetch: dict[str, msgspec.Raw]) -> Plan:
    enough = reaches_back(
        longest_lookback_hours(model.entry.spec.features, model.vocabulary), lambda: microseconds(NOW)
    )
    return make_plan(model.templates, prefetch, enough)


def done(plan: Plan, *, access: bool) -> Does:
    """What comes of a plan, before anything is read."""
    if plan.wanted and access:
        return "read"
    found = plan.without_access()
    if not found.failures:
        return "card"
    with pytest.raises(MissingData) as raised:
        found.resources()
    assert all(key in raised.value.message for key in found.failures)
    return "412"


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("entry", ENTRIES, ids=_id)
def test_every_subset_of_the_keys_in_every_state(entry: CatalogEntry, name: str) -> None:
    model, state = _model(entry), STATES[name]
    searches = tuple(key for key, template in model.templates.items() if template.is_search)
    keys = tuple(model.templates) if name in {"null", "absent", "OperationOutcome", "no searchset"} else searches
    for changed in subsets(keys):
        plan = planned(model, prefetched(model, changed, state.value))
        expected = ("card", "card") if not changed else (state.with_access, state.without)
        assert (done(plan, access=True), done(plan, access=False)) == expected, sorted(changed)
        touched = set(plan.wanted) | set(plan.failures)
        assert touched == (set() if expected == ("card", "card") else changed)


@pytest.mark.parametrize("entry", ENTRIES, ids=_id)
def test_a_page_that_goes_back_far_enough_suffices_for_what_is_sorted_by_time_alone(entry: CatalogEntry) -> None:
    model = _model(entry)
    searches = tuple(key for key, template in model.templates.items() if template.is_search)
    for changed in subsets(searches):
        plan = planned(model, prefetched(model, changed, REACHES.value))
        assert set(plan.wanted) == {key for key in changed if not key.startswith("observations")}


# How a key can come, and what is told of it where nothing can be read.
CAME: Mapping[str, str | None] = {
    "whole": None,
    "empty": None,
    "null": None,
    "absent": "{key} (not sent{why})",
    "page with a next": "{key} (got a page with a next link{why})",
    "OperationOutcome": "{key} (sent as an OperationOutcome)",
}
OF_A_READ = ("whole", "null", "absent", "OperationOutcome")


@pytest.mark.parametrize("entry", RELEASED, ids=_id)
def test_every_mixture_of_states_is_told_apart_key_by_key(entry: CatalogEntry) -> None:
    """All keys of a released model, each in every state that it can come in."""
    model = _model(entry)
    ways = [tuple(CAME) if template.is_search else OF_A_READ for template in model.templates.values()]
    for mixture in product(*ways):
        came = dict(zip(model.templates, mixture, strict=True))
        whole = prefetched(model, frozenset(), None)
        states = {key: STATES[state].value for key, state in came.items() if state != "whole"}
        sent = whole | {key: raw(value) for key, value in states.items() if value is not ABSENT}
        plan = planned(model, {key: value for key, value in sent.items() if states.get(key) is not ABSENT})
        hopeless = "OperationOutcome" in mixture
        asked_for = {key for key, state in came.items() if state in {"absent", "page with a next"}}
        assert set(plan.wanted) == (set() if hopeless else asked_for)
        why = "; not read either, for another key cannot be had" if hopeless else ""
        told = [text.format(key=key, why=why) for key, state in came.items() if (text := CAME[state]) is not None]
        found = plan.without_access()
        if not told:
            assert len(found.resources()) == sum(state != "null" for state in mixture)
            continue
        with pytest.raises(MissingData) as raised:
            found.resources()
        faults = raised.value.message.partition("unusable: ")[2].partition(". Send each")[0]
        assert all(one in faults for one in told)
        assert len(faults) == len(", ".join(told))  # and nothing else


@pytest.mark.parametrize("entry", ENTRIES, ids=_id)
def test_one_key_that_cannot_be_had_makes_reading_the_others_pointless(entry: CatalogEntry) -> None:
    """Each pair of a failed and an absent key: both are told, nothing is read."""
    model = _model(entry)
    for failed, absent in ((a, b) for a in model.templates for b in model.templates if a != b):
        prefetch = prefetched(model, frozenset({failed}), OUTCOME)
        del prefetch[absent]
        plan = planned(model, prefetch)
        assert not plan.wanted
        assert set(plan.failures) == {failed, absent}


# The same with a real server and a real model: whoever sends less gets the same answer.


@pytest.fixture(scope="module", params=RELEASED, ids=_id)
def served(request: pytest.FixtureRequest) -> ServedModel:
    return serve(request.param)


def example(served: ServedModel) -> CdsRequest:
    path: Path = min(served.entry.examples.glob("*.json"))
    return decode_request(msgspec.json.encode(msgspec.json.decode(path.read_bytes(), type=Example).request))


def answers(served: ServedModel, call: CdsRequest, fake: FakeServer, *, page_size: int | None = None) -> None:
    """The server has what the client would have sent, perhaps in pages; a key is told by its whole query."""
    scope = Scope(context=call.context, today=TODAY)
    held: dict[str, Any] = {}
    for key, template in read_templates(served.templates, "patient-view").items():
        url = fill(template, scope) or ""
        held[url.partition("&code=")[2].partition("&")[0]] = msgspec.json.decode(bytes(call.prefetch[key]))
    fake.on(f"/fhir/Patient/{call.patient_id}", json(held[""]))

    def page(asked: Asked) -> Reply:
        (code,), begin = asked.query["code"], int(asked.query.get("begin", ["0"])[0])
        entries = held[code]["entry"]
        end = len(entries) if page_size is None else begin + page_size
        found = {"resourceType": "Bundle", "type": "searchset", "entry": entries[begin:end]}
        if end < len(entries):
            found["link"] = [{"relation": "next", "url": f"?code={code.replace('|', '%7C')}&begin={end}"}]
        return json(found)

    fake.on("/fhir/Observation", page)


def read(served: ServedModel, call: CdsRequest, base: str) -> Completed:
    async def run() -> Completed:
        access = Access(trusted=NOBODY)
        try:
            plan = make_plan(read_templates(served.templates, "patient-view"), call.prefetch, never)
            return await access.complete(plan, call, policy=policy_of(base), enough=never, today=TODAY)
        finally:
            await access.close()

    call = msgspec.structs.replace(call, fhir_server=base, fhir_authorization=access_by(call.patient_id))
    return asyncio.run(run())


def assessed(served: ServedModel, call: CdsRequest, found: Completed) -> Assessment:
    now = microseconds(NOW.astimezone(UTC))
    return assess(served, call.patient_id, found.resources(), now=now, as_of="latest-observation")


@pytest.mark.parametrize("page_size", [None, 40], ids=["on one page", "in pages"])
def test_whichever_keys_are_read_the_assessment_is_the_same(
    page_size: int | None, served: ServedModel, fake: FakeServer
) -> None:
    """X-08, for every subset of the keys."""
    call = example(served)
    answers(served, call, fake, page_size=page_size)
    whole = assessed(served, call, read(served, call, fake.base))
    assert fake.asked == []
    assert whole.scored is not None
    for absent in subsets(tuple(served.templates)):
        sent = {key: value for key, value in call.prefetch.items() if key not in absent}
        found = read(served, msgspec.structs.replace(call, prefetch=sent), fake.base)
        assert found.read == absent
        again = assessed(served, call, found)
        np.testing.assert_array_equal(again.vector, whole.vector)
        assert again.scored is not None
        assert again.scored.logit == whole.scored.logit
        assert again.contributors == whole.contributors
