"""The figures of a run: one file each, the utility only where a band is chosen by it."""

from pathlib import Path

import pytest

from models.catalog import find
from tests.bundles import linear_graph, manifest_of, tiny_spec
from tests.training.made import made_rows
from training.cross_validation import cross_validate
from training.estimators import logistic_baseline
from training.figures import draw
from training.model_card import Results
from training.report import choose_bands, measure_out_of_fold

ALWAYS = {"roc", "precision_recall", "calibration", "decision", "beeswarm", "dependence"}


@pytest.mark.parametrize(
    ("model", "expected"), [("aki", ALWAYS), ("sepsis", ALWAYS | {"utility"})], ids=["no utility", "utility"]
)
def test_every_figure_is_a_picture(tmp_path: Path, model: str, expected: set[str]) -> None:
    spec, rows = find(model).spec, made_rows(features=10)
    found = cross_validate(rows, logistic_baseline, folds=3, seed=1, name="baseline", progress=lambda *_: None)
    bands = choose_bands(spec, rows, found.probabilities)
    measured = measure_out_of_fold(spec, rows, found, bands, seed=1, resamples=3, progress=lambda *_: None)
    results = Results(main={"made": measured}, comparisons={})
    drawn = draw(tmp_path, rows, found, results, linear_graph(), manifest_of(tiny_spec()))
    assert {path.stem for path in drawn if path.suffix == ".png"} == expected
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn if path.suffix == ".png")
    assert sorted(drawn) == sorted(tmp_path.iterdir())
