"""The figures show what they say, and leave matplotlib and numpy as they found them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from training import plots
from training.evaluate import auroc, decision_curve

ROWS = 400


def outcomes() -> tuple[NDArray[np.bool_], dict[str, NDArray[np.float64]]]:
    rng = np.random.default_rng(1)
    logits = rng.normal(-2, 1, size=ROWS)
    labels = rng.random(ROWS) < 1 / (1 + np.exp(-logits))
    return labels, {
        "boosted trees": 1 / (1 + np.exp(-logits)),
        "logistic": 1 / (1 + np.exp(-0.5 * logits - rng.normal(size=ROWS))),
    }


def explained() -> tuple[NDArray[np.float64], NDArray[np.float64], list[str]]:
    """Return contributions and values of three features, the last missing in every row."""
    rng = np.random.default_rng(2)
    values = np.column_stack([rng.normal(80, 12, ROWS), rng.normal(2, 1, ROWS), np.full(ROWS, np.nan)])
    values[:50, 1] = np.nan
    contributions = np.column_stack([(values[:, 0] - 80) / 100, np.nan_to_num(values[:, 1] - 2), np.full(ROWS, 0.01)])
    return contributions, values, ["heart_rate_last_24h", "lactate_max_24h", "bilirubin_last_24h"]


def all_figures() -> dict[str, Figure]:
    labels, scores = outcomes()
    curve = decision_curve(labels, scores["boosted trees"], np.linspace(0.02, 0.6, 30), rules={"SIRS": labels})
    thresholds = np.linspace(0, 1, 11)
    return {
        "roc": plots.roc(labels, scores),
        "precision_recall": plots.precision_recall(labels, scores),
        "calibration": plots.calibration(labels, scores),
        "utility": plots.utility(thresholds, thresholds * (1 - thresholds), chosen=0.5),
        "decision_curve": plots.decision(curve),
        "beeswarm": plots.beeswarm(*explained()),
        "dependence": plots.dependence(*explained()),
    }


def legend_of(axes: Axes) -> list[str]:
    legend = axes.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def line_of(axes: Axes, name: str) -> NDArray[np.float64]:
    """Return the points, [N, 2], of the line whose label begins so."""
    (line,) = [line for line in axes.get_lines() if str(line.get_label()).startswith(name)]
    return np.column_stack([np.asarray(line.get_xdata()), np.asarray(line.get_ydata())]).astype(np.float64)


def test_the_area_under_the_drawn_roc_curve_is_the_auroc_in_its_legend() -> None:
    labels, scores = outcomes()
    (axes,) = plots.roc(labels, scores).axes
    drawn = line_of(axes, "boosted trees")
    area = np.trapezoid(drawn[:, 1], drawn[:, 0])
    assert area == pytest.approx(auroc(labels, scores["boosted trees"]), abs=1e-12)
    assert f"boosted trees ({area:.3f})" in legend_of(axes)


def test_a_long_roc_curve_is_drawn_in_few_points_and_keeps_its_area() -> None:
    rng = np.random.default_rng(3)
    labels = rng.random(60_000) < 0.02
    probabilities = 1 / (1 + np.exp(-(rng.normal(size=60_000) + 2 * labels)))
    drawn = line_of(plots.roc(labels, {"model": probabilities}).axes[0], "model")
    assert len(drawn) <= 4000
    assert np.trapezoid(drawn[:, 1], drawn[:, 0]) == pytest.approx(auroc(labels, probabilities), abs=1e-3)


def test_the_precision_recall_axes_begin_at_0_and_show_the_prevalence() -> None:
    labels, scores = outcomes()
    (axes,) = plots.precision_recall(labels, scores).axes
    assert axes.get_ylim()[0] == 0
    assert line_of(axes, "prevalence")[:, 1].tolist() == [labels.mean()] * 2
    assert line_of(axes, "boosted trees")[-1].tolist() == [1.0, labels.mean()]


def test_calibration_is_drawn_on_equal_axes_and_tells_what_lies_beyond() -> None:
    labels, scores = outcomes()
    upper, lower = plots.calibration(labels, scores, bins=5).axes
    assert upper.get_xlim() == upper.get_ylim()
    assert len(line_of(upper, "boosted trees")) == 5
    end = upper.get_xlim()[1]
    beyond = np.mean([probabilities > end for probabilities in scores.values()])
    assert beyond > 0
    assert [f"{beyond:.1%} of probabilities lie beyond"] == [text.get_text() for text in lower.texts]


def test_the_chosen_threshold_is_marked_with_its_utility() -> None:
    thresholds = np.array([0.0, 0.1, 0.2])
    (axes,) = plots.utility(thresholds, np.array([-1.0, 0.4, 0.1]), chosen=0.1).axes
    assert line_of(axes, "chosen").tolist() == [[0.1, 0.4]]
    assert "chosen threshold 0.1: utility 0.400" in legend_of(axes)


def test_the_decision_curve_compares_with_treating_all_none_and_todays_rule() -> None:
    (axes,) = all_figures()["decision_curve"].axes
    assert legend_of(axes) == ["treat none", "treat all", "model", "SIRS"]


def test_no_two_lines_differ_by_colour_alone() -> None:
    labels, scores = outcomes()
    many = {f"{name} {copy}": values for copy in range(3) for name, values in scores.items()}
    (axes,) = plots.roc(labels, many).axes
    patterns = [str(line.get_linestyle()) + str(line._unscaled_dash_pattern) for line in axes.get_lines()[1:]]  # type: ignore[attr-defined]
    assert len(set(patterns)) == len(many)


def test_the_features_that_contribute_most_come_first() -> None:
    swarm, dependence = plots.beeswarm(*explained()), plots.dependence(*explained(), top=2)
    names = [label.get_text() for label in swarm.axes[0].get_yticklabels()]
    assert names == ["bilirubin_last_24h", "heart_rate_last_24h", "lactate_max_24h"]  # from the bottom up
    assert [axes.get_xlabel() for axes in dependence.axes if axes.get_xlabel()] == [
        "lactate_max_24h",
        "heart_rate_last_24h",
    ]


def test_features_beyond_the_top_are_summed_in_one_line() -> None:
    contributions, values, names = explained()
    (axes, _) = plots.beeswarm(contributions, values, names, top=1).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Sum of 2 other features", "lactate_max_24h"]


def test_contributions_of_another_shape_are_refused() -> None:
    contributions, values, names = explained()
    with pytest.raises(ValueError, match=r"as \[N, F\] and F names, got \(400, 3\), \(400, 3\) and 2 names"):
        plots.beeswarm(contributions, values, names[:2])


def test_no_figure_touches_pyplot_or_numpys_global_random_state() -> None:
    plt.close("all")
    before = np.random.get_state(legacy=False)  # noqa: NPY002
    all_figures()
    assert plt.get_fignums() == []
    assert str(before) == str(np.random.get_state(legacy=False))  # noqa: NPY002


def test_figures_are_saved_the_same_each_time(tmp_path: Path) -> None:
    def written(folder: str) -> Mapping[str, bytes]:
        paths = plots.save_all(all_figures(), tmp_path / folder)
        return {path.name: path.read_bytes() for path in paths}

    first = written("first")
    assert list(first) == [f"{name}.png" for name in all_figures()]
    assert all(content.startswith(b"\x89PNG") for content in first.values())
    assert first == written("second")


def test_svg_is_written_beside_png_when_asked_for(tmp_path: Path) -> None:
    labels, scores = outcomes()
    paths = plots.save_all({"roc": plots.roc(labels, scores)}, tmp_path, svg=True)
    assert [path.name for path in paths] == ["roc.png", "roc.svg"]
    assert "<svg" in paths[1].read_text()
