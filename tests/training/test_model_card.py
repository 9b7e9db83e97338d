"""The model card: words from the recipe, numbers from the run, and a dash where there is no number."""

from dataclasses import replace
from typing import Any

import pytest

from models.bundle import Band, FlowStep, Lineage, Manifest, SourceFile
from tests.bundles import manifest_of, tiny_spec
from training.model_card import WORDS_AFTER, WORDS_BEFORE, Results, _number, model_card
from training.performance import DecisionCurve, OperatingEstimates, Performance
from training.recipe import CARD_FIELDS, Recipe
from training.report import Measured
from training.resample import Estimate

SPEC = tiny_spec()
NONE = Estimate(value=None)
RECIPE = Recipe(
    version="1.2.0",
    seed=1,
    folds=5,
    resamples=5,
    boosted_trees={},
    card={name: f"Words on {name}." for name in CARD_FIELDS},
)


def told(value: float) -> Estimate:
    return Estimate(value=value, lower=value / 2, upper=value * 2)


def point(threshold: float, ppv: Estimate) -> OperatingEstimates:
    rates = dict.fromkeys(("sensitivity", "specificity", "npv", "alert_rate", "net_benefit"), told(0.25))
    return OperatingEstimates(threshold=threshold, ppv=ppv, number_needed_to_evaluate=told(12.5), **rates)


def performance(**changes: Any) -> Performance:
    names = ("prevalence", "auprc", "brier", "calibration_slope", "calibration_intercept")
    usual: dict[str, Any] = {
        "rows": 12_345,
        "patients": 678,
        "positives": 90,
        "positive_patients": 9,
        "saturated": 0,
        "resamples": 5,
        "auroc": told(0.4321),
        "operating_points": (point(0.04, told(0.375)), point(0.2, NONE)),
        "reliability": (),
        "decision_curve": DecisionCurve(thresholds=(), model=(), treat_all=()),
    }
    return Performance(**dict.fromkeys(names, told(0.111)) | usual | changes)


def manifest(**changes: Any) -> Manifest:
    differences = ("logit", "contribution", "shap", "additivity")
    parity = {"rows_tried": 4_242, "thresholds_covered": 99} | {f"largest_{n}_difference": 2.5e-7 for n in differences}
    return manifest_of(SPEC, parity=parity, **changes)


def card(main: Measured | None = None, **comparisons: Measured) -> str:
    results = Results(main={"site A": main or Measured(performance=performance())}, comparisons=comparisons)
    return model_card(SPEC, RECIPE, manifest(), results)


def test_every_word_stands_under_its_own_title() -> None:
    text = card()
    assert {name for _, name in (*WORDS_BEFORE, *WORDS_AFTER)} == set(CARD_FIELDS)
    for title, name in (*WORDS_BEFORE, *WORDS_AFTER):
        assert f"\n## {title}\n\nWords on {name}.\n" in text


@pytest.mark.parametrize(
    "title", ["Performance", "Alarm thresholds", "Subgroups", "Data", "Explanation and export", "Risks and limits"]
)
def test_the_card_has_the_section(title: str) -> None:
    assert card().count(f"\n## {title}\n") == 1


def test_the_first_lines_say_what_it_is_and_is_not() -> None:
    first, _, second, *_ = card().splitlines()
    assert first == "# Trouble in the next 12 h 1.2.0"
    assert second == "**Research software, not a medical device.**"


def test_performance_comes_from_the_results() -> None:
    row = "| site A | 12,345 | 678 | 0.432 (0.216–0.864) | 0.111 (0.056–0.222) |"
    assert row in card()
    better = Measured(performance=performance(auroc=told(0.5)), utility=told(0.3))
    assert "| site A | 12,345 | 678 | 0.500 (0.250–1.000) |" in card(better)
    assert "| 0.300 (0.150–0.600) |\n" in card(better)


def test_comparisons_have_a_table_of_their_own_or_none() -> None:
    assert "### Compared with" not in card()
    text = card(baseline=Measured(performance=performance(auroc=told(0.45))))
    assert text.index("### Compared with") < text.index("| baseline | 12,345 | 678 | 0.450")


def test_thresholds_stand_with_their_reason_and_a_dash_where_nothing_is_defined() -> None:
    rows = [line for line in card().splitlines() if line.startswith(("| raised |", "| high |"))]
    assert rows == [
        (
            "| raised | 0.0400 | for tests | site A | 0.250 (0.125–0.500) | 0.375 (0.188–0.750) | "
            "0.250 (0.125–0.500) | 12.5 (6.2–25.0) |"
        ),
        "| high | 0.2000 | for tests | site A | 0.250 (0.125–0.500) | – | 0.250 (0.125–0.500) | 12.5 (6.2–25.0) |",
    ]


def test_a_band_without_its_numbers_is_an_error_not_a_shorter_table() -> None:
    bands = (*manifest().bands, Band(id="more", indicator="critical", lower_probability=0.9, reason="-"))
    results = Results(main={"site A": Measured(performance=performance())}, comparisons={})
    with pytest.raises(ValueError, match="zip"):
        model_card(SPEC, RECIPE, manifest(bands=bands), results)


def test_a_subgroup_that_is_too_small_says_why() -> None:
    women = replace(performance(), rows=77)
    text = card(Measured(performance=performance(subgroups={"women": women}, subgroups_refused={"men": "2 patients"})))
    assert "| site A | women | 77 | 0.111 (0.056–0.222) | 0.432 (0.216–0.864) | 0.111 (0.056–0.222) |" in text
    assert "| site A | men | – | 2 patients | – | – |" in text


def test_the_data_are_told_with_licence_flow_refusals_and_hashes() -> None:
    lineage = Lineage(
        dataset="A ward",
        licence="CC-BY-4.0",
        attribution="By somebody.",
        files=(SourceFile(name="a.psv", sha256="ab" * 32, bytes=3, role="development"),),
        flow=(FlowStep(step="adults", patients=1_200, index_times=34_000),),
        events=56_000,
        refusals={"unit-unknown": 1_001},
        positives=789,
    )
    results = Results(main={"site A": Measured(performance=performance())}, comparisons={})
    text = model_card(SPEC, RECIPE, manifest(lineage=lineage), results)
    for line in (
        "A ward. Licence of the data: CC-BY-4.0. By somebody.",
        "| adults | 1,200 | 34,000 |",
        "| with the target | | 789 |",
        "56,000 events were read; refused: unit-unknown: 1,001.",
        f"- `a.psv` (development), SHA-256 `{'ab' * 32}`",
    ):
        assert line in text


def test_the_proof_and_the_calibration_are_told() -> None:
    text = card()
    assert "on 4,242 rows, 99 split thresholds among them" in text
    assert "logit 2.5e-07" in text
    assert "slope 1.1000, intercept -0.3000" in text


@pytest.mark.parametrize(
    ("estimate", "expected"),
    [
        (NONE, "–"),
        (Estimate(value=0.01234), "0.0123"),
        (Estimate(value=0.8325), "0.833"),
        (Estimate(value=12.34), "12.3"),
        (Estimate(value=0.5, lower=0.4, upper=None), "0.500"),
        (Estimate(value=0.0), "0.0000"),
    ],
)
def test_a_number_has_digits_for_its_size(estimate: Estimate, expected: str) -> None:
    assert _number(estimate) == expected
