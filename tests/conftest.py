"""Small real models, made once: served by the tests of the serving floor and of the whole line."""

# ruff: noqa: PLC0415 - the training libraries take seconds to import: only tests that ask for a model wait for them

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from models.catalog import CatalogEntry
from serving.assess import ServedModel, serve
from tests.hosts import Host, open_host

# No test is timed, and a busy machine takes its time.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> CatalogEntry:
    """The tiny model's folder, with its released bundle of boosted trees."""
    from tests.bundles import tiny_entry, tree_graph, write_bundle

    entry = tiny_entry(tmp_path_factory.mktemp("models") / "tiny")
    write_bundle(entry.folder / "bundle", entry.spec, *tree_graph(entry.spec))
    return entry


@pytest.fixture(scope="session")
def trees(tiny: CatalogEntry) -> ServedModel:
    """The tiny model as boosted trees, ready to assess."""
    return serve(tiny)


@pytest.fixture(scope="session")
def linear(tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    """The tiny model as a linear graph, whose contributions can be worked out by hand."""
    from tests.bundles import served_linear

    return served_linear(tmp_path_factory.mktemp("linear"))


@pytest.fixture
def bundle_copy(tiny: CatalogEntry, tmp_path: Path) -> Path:
    """A bundle of boosted trees to be damaged."""
    path = tmp_path / "bundle"
    path.mkdir()
    for file in (tiny.folder / "bundle").iterdir():
        (path / file.name).write_bytes(file.read_bytes())
    return path


@pytest.fixture
def host(linear: ServedModel, tmp_path: Path) -> Iterator[Host]:
    """A server of the linear model whose clock stands still."""
    with open_host(tmp_path, linear) as opened:
        yield opened
