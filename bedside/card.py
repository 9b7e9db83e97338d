"""One request file through one bundle: the card, without a server."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import msgspec

from cds_hooks.errors import CdsHooksError
from cds_hooks.request import decode_request
from cds_hooks.response import Card
from features.times import microseconds
from models.bundle import BundleError, load
from models.catalog import UnknownModelError, find
from serving.assess import serve
from serving.cards import CardSettings, render
from serving.prefetched import assess_request
from serving.samples import Example
from serving.settings import Settings, SettingsError


class CardError(Exception):
    """There is no card; the message says why."""


def card_of(path: Path, *, service: str, bundle: Path | None, language: str, zone_name: str, as_of: str) -> Card:
    """The card for a request file.

    Args:
        path: JSON of a CDS Hooks request, or of an example that holds one.
        service: the model's id.
        bundle: a bundle directory; None: the released one.
        language: as the server's setting.
        zone_name: as the server's setting.
        as_of: as the server's setting.

    Raises:
        CardError: the file, the bundle, a setting or the request is not usable.
    """
    try:
        settings = Settings(state=Path(), language=language, zone_name=zone_name, as_of=as_of)  # type: ignore[arg-type]
        entry = find(service)
        served = serve(entry, None if bundle is None else load(bundle, entry.spec))
        body = _request(path.read_bytes())
        assessment = assess_request(
            served, decode_request(body), now=microseconds(datetime.now(UTC)), as_of=settings.as_of
        )
    except (OSError, BundleError, LookupError, UnknownModelError, SettingsError, CdsHooksError) as error:
        raise CardError(str(error)) from error
    return render(
        assessment,
        card_uuid=str(uuid5(NAMESPACE_URL, path.name)),  # the same file gives the same card
        language=settings.language,
        settings=CardSettings(public_url=settings.public_url, zone=settings.zone),
    )


def _request(content: bytes) -> bytes:
    """The request itself, or the one inside an example."""
    try:
        return msgspec.json.encode(msgspec.json.decode(content, type=Example).request)
    except msgspec.DecodeError:
        return content
