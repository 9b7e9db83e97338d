"""Which displays resemble which concepts: a table that a laboratory's data engineer could correct."""

import pytest

from features.coverage.similar import ENOUGH, Names, likeness
from features.vocabulary.concept import load_vocabulary

ALIKE = [
    ("creatinine", "Kreatinin i.S."),
    ("creatinine", "Serumkreatinin"),
    ("creatinine", "Creatinine, serum"),
    ("creatinine", "KREATININ (enzymatisch)"),
    ("creatinine", "Kreatinnin"),
    ("potassium", "Kalium"),
    ("lactate", "Laktat arteriell"),
    ("heart_rate", "Herzfrequenz (Monitor)"),
    ("sodium", "Natrium im Plasma"),
    ("loop_diuretic", "Furosemide (Lasix)"),
    ("vancomycin", "Vancomycin 1 g Injection"),
    ("diabetes", "Diabetes mellitus, nicht näher bezeichnet"),
    ("mechanical_ventilation", "Invasive Ventilation"),
]
UNLIKE = [
    ("creatinine", "Creatine kinase"),
    ("creatinine", "Kalium"),
    ("potassium", "Natrium im Serum"),
    ("sodium", "Erythrocytes [#/volume] in Blood"),
    ("urine_output", "pH of Urine by Test strip"),
    ("nephrotoxic_nsaid", "Warfarin Sodium 5 MG Oral Tablet"),
    ("lactate", ""),
]


def _alike(concept: str, display: str) -> dict[int, float]:
    return Names([[display]]).alike(load_vocabulary().concept(concept))


@pytest.mark.parametrize(("concept", "display"), ALIKE, ids=[f"{c}: {d}" for c, d in ALIKE])
def test_a_name_in_either_language_is_found(concept: str, display: str) -> None:
    assert _alike(concept, display)[0] >= ENOUGH


@pytest.mark.parametrize(("concept", "display"), UNLIKE, ids=[f"{c}: {d}" for c, d in UNLIKE])
def test_what_only_sounds_alike_is_not(concept: str, display: str) -> None:
    assert _alike(concept, display) == {}


def test_the_best_of_several_names_counts_and_places_are_kept_apart() -> None:
    names = Names([["Natrium"], ["K", "Kalium"], []])
    assert list(names.alike(load_vocabulary().concept("potassium"))) == [1]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("kalium", "kalium", 1.0),
        ("kreatinin", "serumkreatinin", 0.9),
        ("kreatinin", "kreatinine", 0.9),
        ("kreatinin", "kreatinnin", 0.8),
        ("kreatinin", "kreatynin", 0.8),
        ("creatine", "creatinine", 0.0),
        ("ast", "alt", 0.0),
        ("rate", "nitrate", 0.0),
    ],
)
def test_words_are_alike_by_compound_ending_or_one_slip(one: str, other: str, expected: float) -> None:
    assert likeness(one, other) == likeness(other, one) == expected
