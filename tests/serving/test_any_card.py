"""Any card: whatever an assessment holds, its card obeys CDS Hooks and shows a clinician no fragment of a program."""

import dataclasses
import math
import re

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cds_hooks.response import CdsResponse, decode_response, encode_response
from features.refusals import Reason, Refusals
from models.spec import MinimumData
from serving.assess import Assessment, Contributor, Reading, ServedModel, Stale
from serving.cards import render
from serving.runtime import Scored
from tests.hosts import CARDS
from tests.serving.assessing import AT, assessed

# Half a century back, and never after the index time.
TIMES = st.integers(AT - 50 * 366 * 86_400_000_000, AT)
CONTRIBUTIONS = st.floats(-30, 30, width=32)
# Words of a program, not of a clinician; and a number that was not rounded.
FORBIDDEN = re.compile(r"nan|None|inf\b|[{}\[\]<>]\w|np\.|float|array|\d[.,]\d{4}|e-\d|  |\.\.|, \.|\( ?\)")


@st.composite
def readings(draw: st.DrawFn, served: ServedModel, concept: str) -> Reading | None:
    """A value that the concept can have, or none, with or without one before it."""
    known = served.interpreter.vocabulary.concept(concept)
    low, high = known.plausible or (1.0, 1.0)
    values = st.sampled_from((0.0, 1.0)) if concept == "sex" else st.floats(low, high)
    time, before = draw(TIMES), draw(st.booleans())
    if not draw(st.booleans()):
        return None
    return Reading(
        value=draw(values),
        time=time,
        previous=draw(values) if before else None,
        previous_time=time - draw(st.integers(1, 10**12)) if before else None,
    )


@st.composite
def assessments(draw: st.DrawFn, served: ServedModel) -> Assessment:
    """Any assessment of the tiny model."""
    concepts = served.kernel.concepts
    names = st.lists(st.sampled_from(concepts), unique=True).map(tuple)
    minimum = st.builds(
        lambda of, hours: MinimumData(concepts=of, at_least=1, within_hours=hours),
        st.lists(st.sampled_from(concepts), min_size=1, unique=True).map(tuple),
        st.sampled_from((6.0, 24.0, 72.0)),
    )
    contributors = [
        Contributor(concept=name, contribution=draw(CONTRIBUTIONS), reading=draw(readings(served, name)))
        for name in draw(names)
    ]
    refusals = Refusals()
    for reason, concept in draw(st.lists(st.tuples(st.sampled_from(Reason), st.none() | st.sampled_from(concepts)))):
        refusals.add(reason, concept, detail="`<b>{nan}</b>|*_", count=draw(st.integers(1, 5000)))
    probability = draw(st.floats(0, 1))
    explained = np.zeros(len(served.bundle.manifest.features), np.float32) if draw(st.booleans()) else None
    return dataclasses.replace(
        assessed(served),
        as_of=draw(st.sampled_from(("clock", "latest-observation"))),
        scored=draw(st.none() | st.just(Scored(0.0, probability, 0.0, explained))),
        contributors=tuple(sorted(contributors, key=lambda one: -abs(one.contribution))),
        absent=draw(names),
        stale=tuple(Stale(concept=name, time=draw(TIMES)) for name in draw(names)),
        unmet=tuple(draw(st.lists(minimum, max_size=2))),
        required_missing=draw(names),
        refusals=refusals,
        sex=draw(st.sampled_from((None, 0.0, 1.0))),
    )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_any_card_is_valid_short_and_in_a_clinician_s_words(linear: ServedModel, data: st.DataObject) -> None:
    found = data.draw(assessments(linear))
    for language in ("en", "de"):
        card = render(found, card_uuid="a-uuid", language=language, settings=CARDS)
        body = encode_response(CdsResponse(cards=(card,)))
        assert decode_response(body).cards == (card,)
        assert card.detail is not None
        for text in (card.summary, card.detail, card.source.label):
            assert FORBIDDEN.search(text.replace("**", "")) is None, text
        assert max(map(len, card.detail.split("\n"))) < 500
        assert card.detail.count("■") <= 5 * 5
        if found.scored is None:
            assert "%" not in card.detail


def test_the_search_for_fragments_of_a_program_finds_them() -> None:
    assert all(FORBIDDEN.search(text) for text in (str(math.nan), str(None), f"{math.inf}", "{count}", "0.123456"))
    assert FORBIDDEN.search("**Creatinine** 2.40 mg/dL (reference 0.50–0.95), < 0.1 %".replace("**", "")) is None
