"""The demonstration runs from nothing to cards, and ends when told to."""

import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from bedside import demo
from models.bundle import load
from models.catalog import find
from serving.samples import load_samples
from serving.settings import Settings
from training import pipeline
from training.recipe import Recipe, load_recipe

PATIENTS = 800


def small(folder: Path) -> Recipe:
    recipe = load_recipe(folder)
    return replace(recipe, boosted_trees={**recipe.boosted_trees, "n_estimators": 20}, resamples=5, folds=3)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def test_the_demonstration_ends_with_cards_of_charts_and_of_orders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pipeline, "load_recipe", small)
    demo.run(port=free_port(), patients=PATIENTS, state=tmp_path, language="en", once=True)
    printed = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert [title for title in ("Low risk", "Middle risk, values missing", "High risk") if title not in printed] == []
    assert printed.count("Acute kidney injury risk in the next 48 h") == 3 + 2
    assert printed.count("About to be ordered: ") == 2
    assert printed.count("No card: none of the drugs") == 1
    assert "Not available:" in printed
    assert len(load_samples(tmp_path / "aki" / "examples")) == 3
    for model in demo.MODELS:
        assert load(tmp_path / model / "bundle", find(model).spec).manifest.model_id == model


def test_a_port_that_is_taken_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "load_recipe", small)
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(demo.DemoError, match="port is taken"):
        demo.run(port=listener.getsockname()[1], patients=PATIENTS, state=tmp_path, language="en", once=True)


def test_a_cohort_too_small_to_train_on_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(demo.DemoError, match="Ask for more patients"):
        demo.run(port=free_port(), patients=3, state=tmp_path, language="en", once=True)


def test_a_server_that_breaks_off_is_told() -> None:
    settings = Settings(state=Path())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"

        def hang_up() -> None:
            listener.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(demo.DemoError, match="Expected a card from"):
            demo._post(url, b"{}", settings)
        thread.join()
