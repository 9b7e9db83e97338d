"""The figures of an evaluation, as matplotlib `Figure` objects: no window, no global state.

`scores` maps a name to its probabilities, float64[N]; the first is the model, the others what it is compared
with. Colours are Okabe and Ito's, which remain apart in every common form of colour blindness, and no line
differs from another by colour alone.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from training.evaluate import auprc, auroc, calibration_intercept, calibration_slope, reliability
from training.performance import DecisionCurve
from training.tally import Ranking

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))
_MARKERS = ("o", "s", "^", "D", "v", "P")
_INK, _REFERENCE, _GRID = "#222222", "#777777", "#E3E3E3"
_DOTS_PER_INCH = 160
# More points than this cannot be told apart in a figure.
_CURVE_POINTS = 2000
_SWARM_ROWS = 2000
# Below this sensitivity a few alarms make the PPV jump anywhere in [0, 1]; the axis is not scaled to them.
_STEADY_SENSITIVITY = 0.02


def roc(labels: NDArray[np.bool_], scores: Mapping[str, NDArray[np.float64]]) -> Figure:
    """Draw sensitivity over 1 - specificity, with the AUROC of each score."""
    figure, axes = _square("ROC curve", "1 − specificity", "Sensitivity")
    axes.plot([0, 1], [0, 1], color=_REFERENCE, linewidth=1, label="chance (0.500)")
    for place, (name, probabilities) in enumerate(scores.items()):
        true_positive, false_positive = _alarms(labels, probabilities)
        label = f"{name} ({auroc(labels, probabilities):.3f})"
        sensitivity = true_positive / true_positive[-1]
        _line(axes, place, false_positive / false_positive[-1], sensitivity, label)
    axes.set_aspect("equal")
    axes.legend(loc="lower right", title="AUROC", frameon=False)
    return figure


def precision_recall(labels: NDArray[np.bool_], scores: Mapping[str, NDArray[np.float64]]) -> Figure:
    """Draw PPV over sensitivity, with the prevalence that chance would give; the PPV axis begins at 0."""
    figure, axes = _square("Precision–recall curve", "Sensitivity (recall)", "PPV (precision)")
    prevalence = labels.mean()
    highest = prevalence
    axes.axhline(prevalence, color=_REFERENCE, linewidth=1, label=f"prevalence ({prevalence:.3f})")
    for place, (name, probabilities) in enumerate(scores.items()):
        true_positive, false_positive = _alarms(labels, probabilities)
        ppv = true_positive[1:] / (true_positive[1:] + false_positive[1:])
        sensitivity = true_positive[1:] / true_positive[-1]
        highest = max(highest, ppv[sensitivity >= _STEADY_SENSITIVITY].max())
        _line(axes, place, sensitivity, ppv, f"{name} ({auprc(labels, probabilities):.3f})")
    axes.set_ylim(0, min(1.0, 1.3 * highest))
    axes.legend(loc="upper right", title="AUPRC", frameon=False)
    return figure


def calibration(labels: NDArray[np.bool_], scores: Mapping[str, NDArray[np.float64]], *, bins: int = 10) -> Figure:
    """Draw the observed share over the mean probability of bins of equal size, above the spread of probabilities.

    Both axes end beyond the highest bin; how many rows lie beyond is said in the lower panel.
    """
    figure = _figure(6, 6.6)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    binned = {name: reliability(labels, probabilities, bins=bins) for name, probabilities in scores.items()}
    end = 1.08 * max(max(bin_.mean_probability, bin_.observed) for row in binned.values() for bin_ in row)
    end = min(end, 1.0)
    upper.plot([0, end], [0, end], color=_REFERENCE, linewidth=1, label="perfect")
    for place, (name, row) in enumerate(binned.items()):
        slope = calibration_slope(labels, scores[name])
        intercept = calibration_intercept(labels, scores[name])
        label = f"{name}: slope {slope:.2f}, intercept {intercept:+.2f}".replace("-", "−")
        mean_probability, observed = [b.mean_probability for b in row], [b.observed for b in row]
        _line(upper, place, mean_probability, observed, label, marker=_MARKERS[place % len(_MARKERS)])
    _histograms(lower, scores, end)
    upper.set(xlim=(0, end), ylim=(0, end))
    upper.legend(loc="best", frameon=False)
    _dress(upper, f"Calibration in {bins} bins of equal size", "", "Observed share")
    _dress(lower, "", "Predicted probability", "Rows")
    return figure


def utility(thresholds: NDArray[np.float64], utilities: NDArray[np.float64], *, chosen: float | None = None) -> Figure:
    """Draw the normalised utility over the threshold, and mark the chosen one."""
    figure = _figure(6.4, 4.2)
    axes = figure.subplots()
    axes.axhline(0, color=_REFERENCE, linewidth=1, label="no alarms (0)")
    _line(axes, 0, thresholds, utilities, "model")
    if chosen is not None:
        at_chosen = float(np.interp(chosen, thresholds, utilities))
        label = f"chosen threshold {chosen:.3g}: utility {at_chosen:.3f}"
        axes.plot(chosen, at_chosen, marker="o", color=_COLOURS[1], linestyle="none", label=label)
    axes.set_xlim(float(thresholds.min()), float(thresholds.max()))
    axes.legend(loc="best", frameon=False)
    _dress(axes, "Normalised utility (PhysioNet 2019)", "Threshold on the probability", "Utility (best = 1)")
    return figure


def decision(curve: DecisionCurve) -> Figure:
    """Draw net benefit over the threshold, against treating all, none, and by the rules of today."""
    figure = _figure(6.4, 4.4)
    axes = figure.subplots()
    axes.axhline(0, color=_INK, linewidth=1, label="treat none")
    axes.plot(curve.thresholds, curve.treat_all, color=_REFERENCE, linestyle=(0, (1, 1)), label="treat all")
    _line(axes, 0, curve.thresholds, curve.model, "model")
    for place, (name, net_benefit) in enumerate(curve.rules.items(), start=1):
        _line(axes, place, curve.thresholds, net_benefit, name)
    highest = max(*curve.model, *curve.treat_all, 0.0)
    axes.set(xlim=(min(curve.thresholds), max(curve.thresholds)), ylim=(-0.25 * highest, 1.1 * highest))
    axes.xaxis.set_major_formatter(PercentFormatter(xmax=1))
    axes.legend(loc="upper right", frameon=False)
    _dress(axes, "Decision curve", "Threshold probability", "Net benefit per row")
    return figure


def beeswarm(
    contributions: NDArray[np.float64], values: NDArray[np.float64], names: Sequence[str], *, top: int = 15
) -> Figure:
    """Draw the contributions of the features that contribute most, a dot a row, coloured by the feature's value.

    Args:
        contributions: SHAP values in log-odds, float64[N, F].
        values: feature values, float64[N, F], NaN where missing (drawn grey).
        names: F names.
        top: how many features get a line; the others are summed in one.
    """
    shown, explanation = _explanation(contributions, values, names)
    lines = min(top + 1, len(names))
    figure = _figure(8, 1.6 + 0.4 * lines)
    axes = figure.subplots()
    with _shap_drawing() as shap_plots:
        shap_plots.beeswarm(explanation, max_display=lines, ax=axes, plot_size=None, show=False, color=_value_colours())
    axes.set_xlabel("Contribution to the log-odds", fontsize=11)
    axes.set_title(f"Contributions in {shown:,} of {len(values):,} rows (grey: missing)", loc="left", color=_INK)
    axes.tick_params("y", labelsize=10)
    return figure


def dependence(
    contributions: NDArray[np.float64], values: NDArray[np.float64], names: Sequence[str], *, top: int = 4
) -> Figure:
    """Draw contribution over value for the features that contribute most; arguments as `beeswarm`."""
    shown, explanation = _explanation(contributions, values, names)
    order = np.argsort(-np.abs(contributions).mean(axis=0), kind="stable")[:top]
    rows = -(-order.size // 2)
    figure = _figure(9, 3.4 * rows)
    panels = figure.subplots(rows, 2, squeeze=False).ravel()
    for axes, feature in zip(panels, order, strict=False):
        with _shap_drawing() as shap_plots:
            shap_plots.scatter(explanation[:, int(feature)], ax=axes, show=False, color=_COLOURS[0], x_jitter=0)
        axes.axhline(0, color=_REFERENCE, linewidth=1)
        axes.set_ylabel("Contribution to the log-odds", fontsize=10)
        axes.set_xlabel(axes.get_xlabel(), fontsize=10)
        axes.tick_params(labelsize=9)
    for axes in panels[order.size :]:
        axes.remove()
    title = f"Contribution over value in {shown:,} of {len(values):,} rows (dashes at the left edge: missing)"
    figure.suptitle(title, color=_INK)
    return figure


def save_all(figures: Mapping[str, Figure], directory: Path, *, svg: bool = False) -> tuple[Path, ...]:
    """Write each figure as `directory/name.png`, and as SVG if asked; return the paths written."""
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name, figure in figures.items():
        for kind in ("png", "svg") if svg else ("png",):
            path = directory / f"{name}.{kind}"
            # Without a date the same figure gives the same file.
            figure.savefig(path, dpi=_DOTS_PER_INCH, metadata={"Date": None} if kind == "svg" else None)
            written.append(path)
    return tuple(written)


def _figure(width_in: float, height_in: float) -> Figure:
    figure = Figure(figsize=(width_in, height_in), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _square(title: str, x_label: str, y_label: str) -> tuple[Figure, Axes]:
    figure = _figure(5.6, 5.6)
    axes = figure.subplots()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    _dress(axes, title, x_label, y_label)
    return figure, axes


def _dress(axes: Axes, title: str, x_label: str, y_label: str) -> None:
    axes.set_title(title, loc="left", color=_INK)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(visible=True, color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _line(
    axes: Axes,
    place: int,
    x: Sequence[float] | NDArray[np.float64],
    y: Sequence[float] | NDArray[np.float64],
    label: str,
    *,
    marker: str = "",
) -> None:
    """Draw the line of this place in the order of lines, which fixes its colour and its pattern."""
    colour, pattern = _COLOURS[place % len(_COLOURS)], _LINES[place % len(_LINES)]
    axes.plot(x, y, color=colour, linestyle=pattern, marker=marker, linewidth=1.8, markersize=5, label=label)


def _alarms(
    labels: NDArray[np.bool_], probabilities: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how many true and false positives there are from no alarm to all alarmed, at drawable thresholds."""
    tally = Ranking(labels, probabilities).tally()
    true_positive = np.append(0.0, np.cumsum(tally.positives[::-1]))
    false_positive = np.append(0.0, np.cumsum(tally.negatives[::-1]))
    last = true_positive.size - 1
    # The curves bend most where few rows are alarmed: half of the points are spread by ratio.
    spread = np.append(np.linspace(0, last, _CURVE_POINTS), np.geomspace(1, last, _CURVE_POINTS))
    drawn = np.unique(spread.round().astype(np.intp))
    return true_positive[drawn], false_positive[drawn]


def _histograms(axes: Axes, scores: Mapping[str, NDArray[np.float64]], end: float) -> None:
    """Draw how the probabilities are spread up to `end`, on a logarithmic count, and say how many lie beyond."""
    for place, probabilities in enumerate(scores.values()):
        colour, pattern = _COLOURS[place % len(_COLOURS)], _LINES[place % len(_LINES)]
        axes.hist(probabilities, bins=50, range=(0, end), histtype="step", color=colour, linestyle=pattern, log=True)
    beyond = sum(int((probabilities > end).sum()) for probabilities in scores.values())
    rows = sum(probabilities.size for probabilities in scores.values())
    if beyond:
        note = f"{beyond / rows:.1%} of probabilities lie beyond"
        axes.text(0.99, 0.92, note, transform=axes.transAxes, ha="right", va="top", fontsize=8, color=_INK)


def _explanation(
    contributions: NDArray[np.float64], values: NDArray[np.float64], names: Sequence[str]
) -> tuple[int, Any]:
    """Return evenly spread rows as SHAP's own type, and how many there are."""
    if contributions.shape != values.shape or contributions.shape != (len(values), len(names)):
        raise ValueError(
            f"Expected contributions and values as [N, F] and F names, got {contributions.shape}, "
            f"{values.shape} and {len(names)} names."
        )
    rows = np.unique(np.linspace(0, len(values) - 1, min(_SWARM_ROWS, len(values))).round().astype(np.intp))
    return rows.size, _shap().Explanation(values=contributions[rows], data=values[rows], feature_names=list(names))


def _value_colours() -> Colormap:
    """Return colours that pass through no grey, which stands for missing."""
    return colormaps["viridis"]


@contextmanager
def _shap_drawing() -> Iterator[Any]:
    """Give SHAP's `plots`, with pyplot and numpy's global random state kept as they were.

    The random state is also made the same for each drawing, and so is the figure.
    """
    open_before = set(plt.get_fignums())
    state = np.random.get_state()  # noqa: NPY002 - it is SHAP that uses the global state
    np.random.seed(0)  # noqa: NPY002
    try:
        with warnings.catch_warnings():
            # A feature that is missing in every row has no quantiles; its dots are drawn grey.
            warnings.filterwarnings("ignore", message="All-NaN slice encountered", category=RuntimeWarning)
            yield _shap().plots
    finally:
        np.random.set_state(state)  # noqa: NPY002
        for number in set(plt.get_fignums()) - open_before:
            plt.close(number)


def _shap() -> Any:
    """Import SHAP where it is needed: that takes seconds, and the other figures do without."""
    with warnings.catch_warnings():
        # SHAP builds its colour maps at import in a way that matplotlib is about to retire.
        warnings.filterwarnings("ignore", message=r"The set_\w+ function", category=PendingDeprecationWarning)
        import shap  # noqa: PLC0415
    return shap
