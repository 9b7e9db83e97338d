"""A model whose graph gives no contributions is served with estimates of them, and its card says so."""

import dataclasses
from pathlib import Path

import msgspec
import numpy as np
import pytest

from models.bundle import Bundle, BundleError, load, write
from models.onnx_file import read_onnx
from serving.assess import ServedModel, serve
from serving.runtime import Scorer
from tests.bundles import CENTRES, WEIGHTS, linear_graph, tiny_entry, tiny_spec, written_permuted
from tests.fhir_builders import vitals
from tests.serving.assessing import assessed, card_of, line

GRAPH = read_onnx(linear_graph()).only(("logit", "probability"))
ROW = np.array([CENTRES], np.float32) + np.float32(1)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return written_permuted(tmp_path_factory.mktemp("permuted") / "bundle", GRAPH)


@pytest.fixture(scope="module")
def served(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    return serve(tiny_entry(tmp_path_factory.mktemp("entry")), bundle)


def test_a_linear_graph_gets_the_contributions_that_can_be_worked_out_by_hand(bundle: Bundle) -> None:
    """Without interactions each pair of orders is exact: weight × (value - mean of the background)."""
    assert bundle.background is not None
    scored = Scorer(bundle).score(ROW)
    assert scored.contributions is not None
    assert scored.standard_error is not None
    background = bundle.background.matrix
    present = ~np.isnan(background).any(axis=0)
    expected = np.array(WEIGHTS) * (ROW[0] - background.mean(axis=0))
    np.testing.assert_allclose(scored.contributions[present], expected[present], atol=1e-4)
    np.testing.assert_allclose(scored.standard_error, 0.0, atol=1e-5)
    assert scored.base_value + scored.contributions.sum() == pytest.approx(scored.logit, abs=1e-4)


def test_it_says_how_it_explains(bundle: Bundle) -> None:
    scorer = Scorer(bundle)
    assert (scorer.explained_by, scorer.graph_because) == ("permutations", None)
    assert scorer.explanation_seconds > 0


def test_the_same_row_gives_the_same_bits(bundle: Bundle) -> None:
    first, second = Scorer(bundle).score(ROW), Scorer(bundle).score(ROW)
    assert first.contributions is not None
    assert second.contributions is not None
    assert first.contributions.tobytes() == second.contributions.tobytes()


def test_without_time_for_two_pairs_of_orders_there_is_no_explanation(bundle: Bundle) -> None:
    scored = Scorer(bundle).score(ROW, seconds=0.0)
    assert (scored.contributions, scored.standard_error, scored.unexplained) == (None, None, "deadline")


def test_the_card_says_that_its_contributions_are_estimates(served: ServedModel) -> None:
    found = assessed(served, *vitals())
    shaken = dataclasses.replace(
        found, contributors=tuple(msgspec.structs.replace(one, error=0.01) for one in found.contributors)
    )
    assert line(shaken, "estimates") == (
        "Contributions are estimates; those that chance alone could have made are left out."
    )


def test_what_chance_alone_could_have_made_is_not_on_the_card(served: ServedModel) -> None:
    found = assessed(served, *vitals())
    assert "- ■" in (card_of(found).detail or "")
    unsure = tuple(msgspec.structs.replace(one, error=abs(one.contribution) / 1.9 + 1e-9) for one in found.contributors)
    assert "- ■" not in (card_of(dataclasses.replace(found, contributors=unsure)).detail or "")


def test_golden_estimates_that_this_machine_does_not_find_are_refused(bundle: Bundle) -> None:
    golden = bundle.golden
    spoilt = msgspec.structs.replace(
        golden,
        contributions=((golden.contributions[0][0] + 0.01, *golden.contributions[0][1:]), *golden.contributions[1:]),
    )
    with pytest.raises(BundleError, match="the graph's contributions differs from the golden rows"):
        Scorer(dataclasses.replace(bundle, golden=spoilt))


def test_a_graph_without_contributions_and_without_a_background_is_refused(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="A graph without contributions needs background rows in its bundle"):
        Scorer(dataclasses.replace(bundle, background=None))


def test_a_background_of_another_width_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    found = written_permuted(path, GRAPH)
    files = {name: (path / name).read_bytes() for name in found.manifest.file_names}
    write(path, found.manifest, files | {"background.json": msgspec.json.encode({"rows": [[1.0]]})})
    with pytest.raises(BundleError, match="expected background rows of 10 features"):
        load(path, tiny_spec())
