"""The composition root of the server: settings become an application."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from cds_hooks.cors import CorsPolicy
from cds_hooks.router import cds_router
from models.bundle import Bundle, load, model_id_of
from models.catalog import CatalogEntry, catalog, find
from serving.access import NOWHERE, Sources
from serving.assess import AsOf, ServedModel, serve
from serving.cards import CardSettings
from serving.elsewhere import refuse
from serving.explanations import ExplainedBy
from serving.journal import Journal, Synchronous
from serving.pages import PageService, Sample, pages_router
from serving.pseudonym import Pseudonyms, load_or_create_key
from serving.refusal_counts import RefusalCounts
from serving.samples import load_samples, moved
from serving.security_headers import SecurityHeaders
from serving.services import CDS_HOOKS_VERSIONS, BedsideServices, Recorder
from serving.settings import Settings, SettingsError
from serving.words import load_card_words

if TYPE_CHECKING:
    from serving.clients import Clients

NEWER_BASE = "/3.0"
"""Below the public URL: where discovery has the prefetch templates of CDS Hooks 3.0."""

_logger = logging.getLogger("bedside.app")

_EXPLAINED_BY: Mapping[ExplainedBy, str] = {
    "compiled": "compiled code",
    "graph": "its graph",
    "permutations": "permutations of its scores",
}


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


class ServedEntry(NamedTuple):
    """A model ready to assess, and the folder of its example requests; there may be none."""

    model: ServedModel
    examples: Path


class Application(FastAPI):
    """FastAPI with the security headers outermost, so that the answers of its own machinery have them too."""

    def __init__(self, *, only_tls: bool, lifespan: "_Lifespan") -> None:
        """`only_tls`: see SecurityHeaders."""
        super().__init__(
            title="Bedside",
            version=CDS_HOOKS_VERSIONS["2.0"],
            lifespan=lifespan,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,  # a redirect would lead to whatever host the request names
            exception_handlers={HTTPException: refuse, Exception: refuse},
        )
        self._only_tls = only_tls

    def build_middleware_stack(self) -> ASGIApp:
        """See Starlette."""
        return SecurityHeaders(super().build_middleware_stack(), only_tls=self._only_tls)


def create_app(
    settings: Settings, *, models: Mapping[str, ServedEntry] | None = None, journal: Recorder | None = None
) -> FastAPI:
    """The application: every bundle loaded and proved, the journal open; anything amiss fails here, at start.

    Args:
        settings: the site's.
        models: by service id, in place of those that the settings name.
        journal: in place of the one that the settings name; closed with the application.

    Raises:
        BundleError, UnknownModelError, SettingsError, RegistrationError, JournalError, PseudonymKeyError, ValueError:
            what must be mended first; the last for an example that is none.
    """
    served = dict(load_models(settings)) if models is None else models
    pages = _Pages(tuple(_pages(served, samples=settings.shows_samples)), settings.as_of)
    settings.state.mkdir(parents=True, exist_ok=True)
    pseudonyms = Pseudonyms(key=load_or_create_key(settings.state / "pseudonym.key"))
    with ExitStack() as stack:  # the journal has a thread and a file: left to nobody if something fails below
        if journal is None:
            synchronous: Synchronous = "FULL" if settings.journal_sync == "full" else "NORMAL"
            journal = stack.enter_context(Journal.open(settings.journal, synchronous=synchronous))
        clients = _clients(settings, served)
        refusals = RefusalCounts(journal, clock=_now)
        services = BedsideServices(
            models={service_id: entry.model for service_id, entry in served.items()},
            journal=journal,
            pseudonyms=pseudonyms,
            cards=CardSettings(
                public_url=settings.public_url, zone=settings.zone, show_critical=settings.show_critical
            ),
            language=settings.language,
            as_of=settings.as_of,
            clock=_now,
            deadline_ms=settings.deadline_ms,
            sources=_sources(settings, clients),
            system_actions=settings.system_actions,
        )
        closers = [*([] if clients is None else [clients.close]), refusals.close, services.sources.close]
        app = Application(only_tls=settings.environment == "production", lifespan=_lifespan(services, closers))
        for base, each in _by_base(services):
            router = cds_router(
                each,
                base=base,
                cors=_cors(settings, clients),
                body_limit_bytes=settings.body_limit_bytes,
                authenticator=None if clients is None else clients.authenticator,
                on_refusal=refusals.add,
            )
            app.include_router(router)
        framed_by = () if clients is None else clients.cors.origins
        app.include_router(pages_router(pages, simulator=settings.shows_samples, framed_by=framed_by))
        stack.pop_all()
    return app


_Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def _lifespan(services: BedsideServices, closers: Collection[Callable[[], Awaitable[None]]]) -> _Lifespan:
    """`closers`: called at the end, the last first, and the services' journal after them."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(asyncio.to_thread, services.journal.close)
            for close in closers:
                stack.push_async_callback(close)
            for model in services.models.values():
                _log_explanation(model)  # here, for the log is set up once the application is there
            # What was loaded stays; left to the collector, walking through it is the slowest of all calls.
            gc.collect()
            gc.freeze()
            stack.callback(gc.unfreeze)
            yield

    return lifespan


def _now() -> datetime:
    return datetime.now(UTC)


def _by_base(services: BedsideServices) -> Iterator[tuple[str, BedsideServices]]:
    """The services under the base URL of each version of CDS Hooks; decision 0013."""
    yield "", services
    if services.as_of == "clock":  # a bound that counts from today finds nothing of a patient of long ago
        yield NEWER_BASE, replace(services, version="3.0")


def _sources(settings: Settings, clients: "Clients | None") -> Sources:
    listing = settings.fhir_servers if clients is None else [one for one in clients.registrations if one.fhir_servers]
    if not listing:
        return NOWHERE
    # The HTTP library takes its time too: a server that reads from no FHIR server does without.
    from serving.access.opening import open_sources  # noqa: PLC0415

    return open_sources(settings.fhir_servers, None if clients is None else clients.resolver)


def _clients(settings: Settings, services: Collection[str]) -> "Clients | None":
    if settings.clients is None:
        return None
    # What checks signatures takes a quarter of a second to import: a server without clients does without.
    from serving.clients import open_clients  # noqa: PLC0415

    return open_clients(settings.clients, services=services, public_urls=settings.urls, state=settings.state)


def _cors(settings: Settings, clients: "Clients | None") -> CorsPolicy:
    if clients is not None:
        return clients.cors
    return CorsPolicy() if settings.cors_origins is None else CorsPolicy(origins=settings.cors_origins)


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
        entry = find(model_id_of(path))
        if entry.spec.id in given:
            raise SettingsError(
                f"bundles: expected one bundle of each model, got two of {entry.spec.id}: "
                f"{given[entry.spec.id]} and {path}."
            )
        given[entry.spec.id] = path
        chosen[entry.spec.id] = (entry, path, path.parent / "examples")
    for model_id, (entry, path, examples) in chosen.items():
        bundle = _load(entry, path, settings.bundle_key)
        model = serve(entry, bundle, fhir_version=settings.fhir_version, ask_reports=settings.ask_reports)
        yield model_id, ServedEntry(model, examples)


def _load(entry: CatalogEntry, path: Path, bundle_key: Path | None) -> Bundle:
    if bundle_key is None:
        return load(path, entry.spec)
    from models.signing import load_signed  # noqa: PLC0415 - it loads cryptography, which takes its time

    return load_signed(path, entry.spec, bundle_key)


def _log_explanation(model: ServedModel) -> None:
    scorer = model.scorer
    because = "" if scorer.graph_because is None else f": {scorer.graph_because}"
    _logger.info("%s is explained by %s%s", model.entry.spec.id, _EXPLAINED_BY[scorer.explained_by], because)


def _pages(served: Mapping[str, ServedEntry], *, samples: bool) -> Iterator[PageService]:
    for model, examples in served.values():
        spec, bundle = model.entry.spec, model.bundle
        loaded: tuple[Sample, ...] = load_samples(examples) if samples else ()
        yield PageService(
            id=spec.id,
            title=spec.title,
            description=spec.description,
            hooks=spec.hooks,
            version=bundle.manifest.version,
            released=bundle.manifest.created[: len("2026-11-24")],
            status_line=load_card_words()["en"].say("disclaimer"),
            model_card=bundle.model_card,
            samples=loaded,
        )
