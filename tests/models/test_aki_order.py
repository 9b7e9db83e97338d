"""The model `aki-order`: asked at the moment of an order, and told what is being ordered."""

from pathlib import Path

import numpy as np
import pytest

from features.feature import Aggregation, operands
from features.kernel import compute
from features.reading.reader import Record
from features.vocabulary.concept import load_vocabulary
from models.aki.spec import SPEC as AKI
from models.aki_order import SPEC, cohort, label
from models.aki_order.spec import DRAFTS, TRIGGERS
from models.words import WordsError, load_words
from training.readers import fhir_ndjson
from training.synthetic import generate


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    folder = tmp_path_factory.mktemp("cohort")
    generate(folder, patients=200, seed=5)
    found, _ = fhir_ndjson.read_record(folder, lambda *_: None)
    return found


def test_it_reads_what_the_model_aki_reads_and_what_is_being_ordered() -> None:
    own = SPEC.features.features[len(AKI.features) :]
    assert SPEC.features.features[: len(AKI.features)] == AKI.features.features
    assert [(part.concept, part.aggregation) for one in own for part in operands(one)] == [
        (draft, Aggregation.ACTIVE) for draft in DRAFTS
    ]
    assert set(TRIGGERS) < set(DRAFTS)
    assert all(load_vocabulary().concept(draft).drafts_of for draft in DRAFTS)


def test_every_index_time_is_the_moment_of_an_order(record: Record) -> None:
    """At each something is about to be ordered, and what that is differs."""
    found = cohort(record)
    matrix = compute(record.events, found.patients, found.times, SPEC.features)
    drafts = matrix[:, [SPEC.features.ids.index(f"{draft}_active") for draft in DRAFTS]]
    assert len(drafts) > 50
    assert drafts.any(axis=1).all()
    assert not drafts.all(axis=0).any()


def test_an_order_is_not_seen_as_one_before_it_is_signed(record: Record) -> None:
    """A drug's first order: nothing of it is in the record at the index time but the draft."""
    found = cohort(record)
    matrix = compute(record.events, found.patients, found.times, SPEC.features)
    ids = SPEC.features.ids
    ordered = matrix[:, ids.index("nephrotoxic_nsaid_draft_active")] == 1
    doses = matrix[:, ids.index("nephrotoxic_nsaid_count_72h")]
    assert ordered.any()
    assert not doses[ordered].any()
    microsecond_later = compute(record.events, found.patients, found.times + 1, SPEC.features)
    assert microsecond_later[ordered, ids.index("nephrotoxic_nsaid_count_72h")].all()
    assert not microsecond_later[:, -len(DRAFTS) :].any()


def test_who_is_left_out_is_told_step_by_step(record: Record) -> None:
    found = cohort(record)
    steps = [step.index_times for step in found.flow]
    assert [step.step for step in found.flow][:2] == [
        "moments at which a drug of these classes was ordered",
        "during an inpatient stay",
    ]
    assert steps == sorted(steps, reverse=True)
    assert 0 < label(record, found).mean() < 0.5
    assert np.array_equal(np.lexsort((found.times, found.patients)), np.arange(len(found.times)))


def test_its_words_extend_those_of_the_model_aki() -> None:
    for language, words in load_words("aki_order").items():
        below = load_words("aki")[language]
        assert words.outcome == below.outcome
        assert words.title != below.title
        assert set(words.phrases) == {*below.phrases, *DRAFTS}


def test_words_that_extend_none_there_are_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.words.resources.files", lambda _package: tmp_path)
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "words.toml").write_text('extends = "nobody"', encoding="utf-8")
    with pytest.raises(WordsError, match=r"nobody/words\.toml: No such file"):
        load_words("tiny")
