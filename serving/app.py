"""The composition root of the server: settings become an application."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec
from fastapi import FastAPI

from cds_hooks.cors import CorsPolicy
from cds_hooks.router import cds_router
from models.bundle import MANIFEST, BundleError, load
from models.catalog import CatalogEntry, catalog, find
from serving.assess import AsOf, ServedModel, serve
from serving.cards import CardSettings
from serving.journal import Journal, Synchronous
from serving.pages import PageService, Sample, pages_router
from serving.pseudonym import Pseudonyms, load_or_create_key
from serving.samples import load_samples, moved
from serving.services import BedsideServices, Recorder
from serving.settings import Settings, SettingsError
from serving.words import load_card_words

_logger = logging.getLogger("bedside.app")


@dataclass(frozen=True, slots=True)
class _Pages:
    """What the pages show of the models. A server that answers for the present shows its sample patients today."""

    shown: tuple[PageService, ...]
    as_of: AsOf

    def services(self) -> tuple[PageService, ...]:
        if self.as_of != "clock":
            return self.shown
        now = datetime.now(UTC).replace(second=0, microsecond=0)
        return tuple(
            replace(service, samples=tuple(moved(sample, to=now) for sample in service.samples))
            for service in self.shown
        )


class _Head(msgspec.Struct, frozen=True):
    model_id: str


class ServedEntry(NamedTuple):
    """A model ready to assess, and the folder of its example requests; there may be none."""

    model: ServedModel
    examples: Path


def create_app(
    settings: Settings, *, models: Mapping[str, ServedEntry] | None = None, journal: Recorder | None = None
) -> FastAPI:
    """The application: every bundle loaded and proved, the journal open; anything amiss fails here, at start.

    Args:
        settings: the site's.
        models: by service id, in place of those that the settings name.
        journal: in place of the one that the settings name; closed with the application.

    Raises:
        BundleError, UnknownModelError, SettingsError, JournalError, PseudonymKeyError, ValueError: what must be
            mended first; the last for an example that is none.
    """
    served = dict(load_models(settings)) if models is None else models
    pages = _Pages(tuple(_pages(served)), settings.as_of)
    settings.state.mkdir(parents=True, exist_ok=True)
    pseudonyms = Pseudonyms(key=load_or_create_key(settings.state / "pseudonym.key"))
    with ExitStack() as stack:  # the journal has a thread and a file: left to nobody if something fails below
        if journal is None:
            synchronous: Synchronous = "FULL" if settings.journal_sync == "full" else "NORMAL"
            journal = stack.enter_context(Journal.open(settings.journal, synchronous=synchronous))
        services = BedsideServices(
            models={service_id: entry.model for service_id, entry in served.items()},
            journal=journal,
            pseudonyms=pseudonyms,
            cards=CardSettings(
                public_url=settings.public_url, zone=settings.zone, show_critical=settings.show_critical
            ),
            language=settings.language,
            as_of=settings.as_of,
            clock=lambda: datetime.now(UTC),
            deadline_ms=settings.deadline_ms,
        )
        app = FastAPI(title="Bedside", lifespan=_lifespan(journal), docs_url=None, redoc_url=None)
        cors = CorsPolicy(origins=settings.cors_origins)
        app.include_router(cds_router(services, cors=cors, body_limit_bytes=settings.body_limit_bytes))
        app.include_router(pages_router(pages))
        stack.pop_all()
    return app


def _lifespan(journal: Recorder) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # What was loaded stays; left to the collector, walking through it is the slowest of all calls.
        gc.collect()
        gc.freeze()
        try:
            yield
        finally:
            gc.unfreeze()
            await asyncio.to_thread(journal.close)

    return lifespan


def load_models(settings: Settings) -> Iterator[tuple[str, ServedEntry]]:
    """The released bundles and the given ones, which take the place of the released; each with its examples.

    Raises:
        BundleError: one of them must not be served.
        SettingsError: two were given for one model.
        UnknownModelError: one is of no model of the catalog.
    """
    chosen: dict[str, tuple[CatalogEntry, Path, Path]] = {}
    for entry in catalog():
        if entry.released is not None:
            chosen[entry.spec.id] = (entry, entry.released, entry.examples)
    given: dict[str, Path] = {}
    for path in settings.bundles:
        entry = find(_model_id(path))
        if entry.spec.id in given:
            raise SettingsError(
                f"bundles: expected one bundle of each model, got two of {entry.spec.id}: "
                f"{given[entry.spec.id]} and {path}."
            )
        given[entry.spec.id] = path
        chosen[entry.spec.id] = (entry, path, path.parent / "examples")
    for model_id, (entry, path, examples) in chosen.items():
        model = serve(
            entry, load(path, entry.spec), fhir_version=settings.fhir_version, ask_reports=settings.ask_reports
        )
        _log_explanation(model)
        yield model_id, ServedEntry(model, examples)


def _log_explanation(model: ServedModel) -> None:
    scorer = model.scorer
    because = "" if scorer.graph_because is None else f": {scorer.graph_because}"
    _logger.info("%s is explained by %s%s", model.entry.spec.id, scorer.explained_by, because)


def _model_id(path: Path) -> str:
    try:
        return msgspec.json.decode((path / MANIFEST).read_bytes(), type=_Head).model_id
    except (OSError, msgspec.DecodeError) as error:
        raise BundleError(f"{path}: expected a bundle directory with {MANIFEST}.") from error


def _pages(served: Mapping[str, ServedEntry]) -> Iterator[PageService]:
    for model, examples in served.values():
        spec, bundle = model.entry.spec, model.bundle
        samples: tuple[Sample, ...] = load_samples(examples)
        yield PageService(
            id=spec.id,
            title=spec.title,
            description=spec.description,
            hooks=spec.hooks,
            version=bundle.manifest.version,
            released=bundle.manifest.created[: len("2026-11-24")],
            status_line=load_card_words()["en"].say("disclaimer"),
            model_card=bundle.model_card,
            samples=samples,
        )
