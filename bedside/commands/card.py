"""`bedside card`: one request, one card."""

from pathlib import Path
from typing import Annotated

import typer

from bedside.commands.console import fail, new_console
from bedside.commands.options import AsOf, Language, Zone


def card(
    request: Annotated[Path, typer.Argument(help="A CDS Hooks request as JSON, or an example of a model.")],
    *,
    service: Annotated[str, typer.Option(help="Which service.")] = "sepsis",
    bundle: Annotated[Path | None, typer.Option(help="Another bundle than the released one.")] = None,
    language: Language = "en",
    timezone: Zone = "UTC",
    as_of: AsOf = "latest-observation",
) -> None:
    """Run one CDS request file through a bundle and print the card."""
    from bedside.card import CardError, card_of
    from bedside.terminal import print_card

    try:
        shown = card_of(request, service=service, bundle=bundle, language=language, zone_name=timezone, as_of=as_of)
    except CardError as error:
        fail(error)
    print_card(new_console(), shown)
