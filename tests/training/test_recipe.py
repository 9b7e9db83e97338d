"""A recipe is whole or refused; a comparison is another choice of features."""

from pathlib import Path

import pytest

from features.feature import Aggregate, Aggregation, FeatureSet
from models.catalog import find
from training.recipe import CARD_FIELDS, Comparison, RecipeError, load_recipe

LAST = Aggregate(concept="lactate", aggregation=Aggregation.LAST, lookback_hours=24)
COUNT = Aggregate(concept="lactate", aggregation=Aggregation.COUNT, lookback_hours=24)
SINCE = Aggregate(concept="icu_admission", aggregation=Aggregation.HOURS_SINCE)
FEATURES = FeatureSet((LAST, COUNT))


def written(folder: Path, *, without: str = "", extra: str = "") -> Path:
    """A model folder with a recipe, without one line and with others."""
    card = "\n".join(f'{name} = "Said."' for name in CARD_FIELDS)
    head = 'version = "1"\nseed = 1\nfolds = 2\nresamples = 5\n'
    text = f"{head}[boosted_trees]\nn_estimators = 3\n[card]\n{card}\n{extra}\n"
    kept = [line for line in text.splitlines() if not without or not line.startswith(without)]
    (folder / "training.toml").write_text("\n".join(kept), encoding="utf-8")
    return folder


def test_a_whole_recipe_is_read(tmp_path: Path) -> None:
    recipe = load_recipe(written(tmp_path))
    assert (recipe.version, recipe.folds, recipe.boosted_trees) == ("1", 2, {"n_estimators": 3})
    assert recipe.comparisons == {}


@pytest.mark.parametrize(
    ("without", "extra", "message"),
    [
        pytest.param("seed", "", "seed", id="no seed"),
        pytest.param("fairness", "", "fairness", id="an empty field of the card"),
        pytest.param("", 'horoscope = "Leo"', "horoscope", id="an unknown field of the card"),
        pytest.param("version", "", "version", id="no version"),
        pytest.param("", '[comparisons.less]\ndropp = ["*"]', "less.*dropp", id="a comparison with a misspelt field"),
        pytest.param(
            "",
            '[comparisons.more]\nadd = [{ concept = "lactate", aggregation = "mode" }]',
            "more.*mode",
            id="an unknown aggregation",
        ),
        pytest.param(
            "", '[comparisons.more]\nadd = [{ concept = "lactate" }]', "more.*aggregation", id="no aggregation"
        ),
    ],
)
def test_what_is_missing_or_unknown_is_named(tmp_path: Path, without: str, extra: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(written(tmp_path, without=without, extra=extra))


def test_a_folder_without_a_recipe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"training\.toml"):
        load_recipe(tmp_path)


@pytest.mark.parametrize(
    ("comparison", "expected"),
    [
        (Comparison(), FEATURES.ids),
        (Comparison(add=(SINCE,)), (*FEATURES.ids, SINCE.id)),
        (Comparison(drop=("*_count_*",)), (LAST.id,)),
        (Comparison(add=(SINCE,), drop=("lactate_last*",)), (COUNT.id, SINCE.id)),
    ],
    ids=["as it is", "one more", "one less", "both"],
)
def test_a_comparison_adds_and_drops(comparison: Comparison, expected: tuple[str, ...]) -> None:
    assert comparison.apply(FEATURES).ids == expected


def test_a_pattern_that_drops_nothing_is_a_slip() -> None:
    with pytest.raises(RecipeError, match="_168h"):
        Comparison(drop=("*_168h",)).apply(FEATURES)


def test_the_sepsis_recipe_compares_what_it_does_not_release() -> None:
    entry = find("sepsis")
    comparisons = load_recipe(entry.folder).comparisons
    added = {name for one in comparisons.values() for name in one.apply(entry.spec.features).ids}
    assert added - set(entry.spec.features.ids) >= {"icu_admission_hours_since", "heart_rate_hours_covered_168h"}


def test_no_released_feature_of_the_sepsis_model_looks_back_beyond_two_days_or_reads_the_time_of_stay() -> None:
    lookbacks = dict(find("sepsis").spec.features.lookbacks_hours)
    assert {lookbacks.pop(name) for name in ("age", "sex")} == {float("inf")}
    assert max(lookbacks.values()) == 48
    assert not set(lookbacks) & {"icu_admission", "hospital_admission", "medical_unit"}
