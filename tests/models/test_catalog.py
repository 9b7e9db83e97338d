"""The catalog: the models are the folders beside it; what holds for each of them is checked on each."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import models
from features.vocabulary.concept import load_vocabulary
from models import catalog as catalog_module
from models.bundle import load
from models.catalog import CatalogEntry, UnknownModelError, catalog, find
from models.words import LANGUAGES, Phrase, WordsError, load_words
from serving.words import load_card_words

FOLDERS = sorted(path.parent.name for path in Path(models.__path__[0]).glob("*/spec.py"))

WORDS = """
version = "1"
[en]
title = "T"
outcome = "O"
horizon = "H"
event = "E"
comparison = "C"
caveat = "V"
names = {}
phrases = { heart_rate = { high = "Fast." } }
[de]
title = "T"
outcome = "O"
horizon = "H"
event = "E"
event_one = "E1"
comparison = "C"
caveat = "V"
names = {}
"""


@pytest.fixture(params=FOLDERS)
def entry(request: pytest.FixtureRequest) -> CatalogEntry:
    """Each model there is; a broken one fails its own tests and no others."""
    package: str = request.param
    return catalog_module._entry(package)


def test_the_catalog_finds_every_model_folder() -> None:
    assert [entry.spec.package for entry in catalog()] == FOLDERS
    assert "aki" in FOLDERS


def test_a_model_is_found_by_its_id() -> None:
    entry = find("aki")
    assert entry.spec.id == "aki"
    assert entry.folder == Path(models.__path__[0]) / "aki"
    assert entry.examples == entry.folder / "examples"
    assert set(entry.words) == {"en", "de"}


def test_an_unknown_model_is_answered_with_those_there_are() -> None:
    with pytest.raises(UnknownModelError, match=r"Expected one of the models \['aki'.*\], got 'sepsys'"):
        find("sepsys")


def test_a_model_has_a_released_bundle_where_its_folder_holds_one(tmp_path: Path) -> None:
    entry = CatalogEntry(spec=find("aki").spec, words={}, folder=tmp_path)
    assert entry.released is None
    (tmp_path / "bundle").mkdir()
    assert entry.released == tmp_path / "bundle"


def test_a_folder_whose_spec_has_another_id_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import models.aki.spec as module  # noqa: PLC0415 - the module that is changed

    monkeypatch.setattr(module, "SPEC", "not a spec")
    with pytest.raises(TypeError, match=r"models/aki/spec\.py: expected SPEC to be a ModelSpec"):
        catalog_module._entry("aki")


def test_every_concept_of_a_model_is_known_and_no_phrase_is_for_what_is_not_read(entry: CatalogEntry) -> None:
    load_vocabulary().subset(entry.spec.features.concepts)
    for language in LANGUAGES:
        assert set(entry.words[language].phrases) <= set(entry.spec.features.concepts)
        assert set(entry.words[language].names) <= set(entry.spec.features.ids)


def test_every_band_of_a_model_has_a_name_on_cards(entry: CatalogEntry) -> None:
    for words in load_card_words().values():
        assert {band.id for band in entry.spec.bands} <= set(words.table["bands"])


def test_every_summary_of_a_model_fits_on_a_card(entry: CatalogEntry) -> None:
    """Below 140 characters for any probability against any base rate."""
    for language, words in load_card_words().items():
        model = entry.words[language]
        longest = max(
            (f"{words.percent(p)} – {words.compared(p, rate, model.comparison)}" for p, rate in _risks()), key=len
        )
        assert len(f"{model.outcome} {model.horizon}: {longest}") < 140
        assert len(words.say("insufficient_summary", outcome=model.outcome, horizon=model.horizon)) < 140


def _risks() -> Iterator[tuple[float, float]]:
    some = (0.0, 0.0004, 0.004, 0.0096, 0.14, 0.5, 0.995, 1.0)
    yield from ((probability, rate) for probability in some for rate in (0.001, 0.02, 0.3, 0.9))


def test_a_released_bundle_belongs_to_its_specification(entry: CatalogEntry) -> None:
    if entry.released is None:
        pytest.skip("no bundle was released")
    assert load(entry.released, entry.spec).manifest.model_id == entry.spec.id


@pytest.fixture
def words_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the package of models looks for words."""
    monkeypatch.setattr("models.words.resources.files", lambda _package: tmp_path)
    (tmp_path / "tiny").mkdir()
    return tmp_path / "tiny"


def test_words_are_read_in_each_language(words_folder: Path) -> None:
    (words_folder / "words.toml").write_text(WORDS)
    words = load_words("tiny")
    assert words["en"].phrases == {"heart_rate": Phrase(high="Fast.")}
    assert (words["en"].event_one, words["de"].event_one) == (None, "E1")
    assert words["de"].phrases == {}
    assert words["de"].version == "1"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("[en]", "[en", id="no TOML"),
        pytest.param('version = "1"', "", id="no version"),
        pytest.param("[de]", "[fr]", id="another language"),
        pytest.param('outcome = "O"\n', "", id="a field less"),
        pytest.param('outcome = "O"', 'outcome = "O"\nverdict = "V"', id="a field more"),
        pytest.param('{ high = "Fast." }', "{ middle = 1 }", id="an unknown side"),
        pytest.param('{ high = "Fast." }', "{}", id="a phrase that says nothing"),
        pytest.param('phrases = { heart_rate = { high = "Fast." } }', "phrases = 3", id="no table"),
    ],
)
def test_words_that_lack_something_are_refused_with_the_file(before: str, after: str, words_folder: Path) -> None:
    (words_folder / "words.toml").write_text(WORDS.replace(before, after))
    with pytest.raises(WordsError, match=r"^tiny/words\.toml: "):
        load_words("tiny")


def test_a_model_without_words_is_refused_with_the_file(words_folder: Path) -> None:
    assert not (words_folder / "words.toml").exists()
    with pytest.raises(WordsError, match=r"^tiny/words\.toml: No such file"):
        load_words("tiny")
