"""The catalog: which clinical models there are, found in the folders beside this file."""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import models
from models.spec import ModelSpec
from models.words import Language, ModelWords, load_words


class UnknownModelError(LookupError):
    """No model of that id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogEntry:
    """A model's folder.

    Attributes:
        spec: what the model is.
        words: what its card says, by language.
        folder: where it lies.
    """

    spec: ModelSpec
    words: Mapping[Language, ModelWords]
    folder: Path

    @property
    def released(self) -> Path | None:
        """The released bundle, where the model has one."""
        bundle = self.folder / "bundle"
        return bundle if bundle.is_dir() else None

    @property
    def examples(self) -> Path:
        """Example requests."""
        return self.folder / "examples"


def catalog() -> Iterator[CatalogEntry]:
    """All models, by id."""
    for module in pkgutil.iter_modules(models.__path__):
        if module.ispkg:
            yield _entry(module.name)


def find(model_id: str) -> CatalogEntry:
    """The model of that id.

    Raises:
        UnknownModelError: there is none; the message names those there are.
    """
    entries = {entry.spec.id: entry for entry in catalog()}
    if model_id not in entries:
        raise UnknownModelError(f"Expected one of the models {sorted(entries)}, got {model_id!r}.")
    return entries[model_id]


def _entry(package: str) -> CatalogEntry:
    spec = importlib.import_module(f"models.{package}.spec").SPEC
    if not isinstance(spec, ModelSpec) or spec.package != package:
        raise TypeError(f"models/{package}/spec.py: expected SPEC to be a ModelSpec with the id of its folder.")
    return CatalogEntry(spec=spec, words=load_words(package), folder=Path(models.__path__[0]) / package)
