"""The model card, Markdown: generated from the spec, the recipe's words and the run; no number is typed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from models.bundle import Manifest
from models.spec import ModelSpec
from training.recipe import Recipe
from training.report import Measured
from training.resample import Estimate

# Order and titles of the words of the recipe; the numbers stand between them.
WORDS_BEFORE = (
    ("Developer", "developer"),
    ("Contact", "contact"),
    ("Funding", "funding"),
    ("Intended users", "intended_users"),
    ("Role in the decision", "decision_role"),
    ("Demographic and social data among the inputs", "inputs"),
    ("Risks and limits", "risks_and_limits"),
    ("Fairness and bias", "fairness"),
    ("Relevance to the setting", "relevance"),
)
WORDS_AFTER = (
    ("Validation: process", "validation_process"),
    ("Monitoring", "monitoring"),
    ("Updates", "updates"),
    ("References", "references"),
)
MEASURES = ("auroc", "auprc", "prevalence", "brier", "calibration_slope", "calibration_intercept")


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What the card tells of performance, each by a title."""

    main: Mapping[str, Measured]
    comparisons: Mapping[str, Measured]


def model_card(spec: ModelSpec, recipe: Recipe, manifest: Manifest, results: Results) -> str:
    """Write the card."""
    parts = (
        f"# {spec.title} {manifest.version}",
        "**Research software, not a medical device.**",
        *_facts(spec, manifest),
        *_words(recipe, WORDS_BEFORE),
        "## Performance",
        _table(results.main),
        *_comparisons(results.comparisons),
        "## Alarm thresholds",
        _thresholds(manifest, results),
        "## Subgroups",
        _subgroups(results),
        "## Data",
        *_data(manifest),
        "## Explanation and export",
        _export(manifest),
        *_words(recipe, WORDS_AFTER),
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def _facts(spec: ModelSpec, manifest: Manifest) -> Iterator[str]:
    rows = (
        ("Predicts", f"{spec.target}; probability in [0, 1], with contributions in log-odds"),
        ("Horizon", f"{spec.horizon_hours:g} h"),
        ("Population", spec.population),
        ("Intended use", spec.intended_use),
        ("Out of scope", spec.out_of_scope),
        ("Hooks", ", ".join(spec.hooks)),
        ("Inputs", f"{len(manifest.features)} features of {len(spec.features.concepts)} clinical quantities"),
        ("Created", manifest.created),
        ("Licence", manifest.licence),
        ("Base rate", f"{100 * manifest.base_rate:.2f} % of index times"),
    )
    yield "\n".join(("| | |", "| --- | --- |", *(f"| **{name}** | {text} |" for name, text in rows)))


def _words(recipe: Recipe, fields: tuple[tuple[str, str], ...]) -> Iterator[str]:
    for title, name in fields:
        yield f"## {title}"
        yield recipe.card[name].strip()


def _table(measured: Mapping[str, Measured]) -> str:
    lines = [
        "| | rows | patients | AUROC | AUPRC | prevalence | Brier | calibration slope | intercept | utility |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for title, one in measured.items():
        performance = one.performance
        numbers = [_number(getattr(performance, name)) for name in MEASURES]
        counts = f"{performance.rows:,} | {performance.patients:,}"
        utility = "–" if one.utility is None else _number(one.utility)
        lines.append(f"| {title} | {counts} | {' | '.join(numbers)} | {utility} |")
    lines.append("")
    lines.append(
        "In brackets: 95 % intervals, bootstrap over patients. Utility: normalised, Reyna et al. 2020, where measured."
    )
    return "\n".join(lines)


def _comparisons(comparisons: Mapping[str, Measured]) -> Iterator[str]:
    if comparisons:
        yield "### Compared with"
        yield _table(comparisons)


def _thresholds(manifest: Manifest, results: Results) -> str:
    lines = [
        "| band | from | why | data | sensitivity | PPV | alert rate | patients to evaluate per true alarm |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for title, measured in results.main.items():
        for band, point in zip(manifest.bands[1:], measured.performance.operating_points, strict=True):
            numbers = (point.sensitivity, point.ppv, point.alert_rate, point.number_needed_to_evaluate)
            shown = " | ".join(_number(number) for number in numbers)
            lines.append(f"| {band.id} | {band.lower_probability:.4f} | {band.reason} | {title} | {shown} |")
    return "\n".join(lines)


def _subgroups(results: Results) -> str:
    lines = [
        "| data | subgroup | rows | prevalence | AUROC | calibration intercept |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for title, measured in results.main.items():
        performance = measured.performance
        for name, group in performance.subgroups.items():
            numbers = (group.prevalence, group.auroc, group.calibration_intercept)
            shown = " | ".join(_number(number) for number in numbers)
            lines.append(f"| {title} | {name} | {group.rows:,} | {shown} |")
        lines.extend(f"| {title} | {name} | – | {why} | – | – |" for name, why in performance.subgroups_refused.items())
    return "\n".join(lines)


def _data(manifest: Manifest) -> Iterator[str]:
    lineage = manifest.lineage
    yield f"{lineage.dataset}. Licence of the data: {lineage.licence}. {lineage.attribution}"
    yield "\n".join(
        (
            "| step | patients | index times |",
            "| --- | --- | --- |",
            *(f"| {step.step} | {step.patients:,} | {step.index_times:,} |" for step in lineage.flow),
            f"| with the target | | {lineage.positives:,} |",
        )
    )
    refused = ", ".join(f"{reason}: {count:,}" for reason, count in lineage.refusals.items()) or "none"
    yield f"{lineage.events:,} events were read; refused: {refused}."
    yield "\n".join(f"- `{file.name}` ({file.role}), SHA-256 `{file.sha256}`" for file in lineage.files)


def _export(manifest: Manifest) -> str:
    """What was proved of the graph before the bundle was written."""
    parity: Mapping[str, Any] = manifest.parity
    return (
        f"Score and contributions come from one ONNX graph. Against the libraries, on {parity['rows_tried']:,} rows, "
        f"{parity['thresholds_covered']:,} split thresholds among them, the largest differences were: logit "
        f"{parity['largest_logit_difference']:.1e}, contributions {_difference(parity, 'contribution')} "
        f"(against shap {_difference(parity, 'shap')}), base + contributions − logit "
        f"{_difference(parity, 'additivity')}. Calibration: {manifest.calibration.method}, slope "
        f"{manifest.calibration.slope:.4f}, intercept {manifest.calibration.intercept:.4f}, folded into the graph."
    )


def _difference(parity: Mapping[str, Any], what: str) -> str:
    """One of the proof's largest differences; a graph without a closed form has no contributions to compare."""
    found = parity[f"largest_{what}_difference"]
    return "not compared" if found is None else f"{found:.1e}"


def _number(estimate: Estimate) -> str:
    if estimate.value is None:
        return "–"
    digits = 1 if estimate.value >= 10 else 4 if estimate.value < 0.1 else 3  # noqa: PLR2004
    if estimate.lower is None or estimate.upper is None:
        return f"{estimate.value:.{digits}f}"
    return f"{estimate.value:.{digits}f} ({estimate.lower:.{digits}f}–{estimate.upper:.{digits}f})"
