"""`bedside demo`: the whole line on a synthetic cohort."""

from typing import Annotated

import typer

from bedside.commands.console import fail, require_training
from bedside.commands.options import STATE, Language, State


def demo(
    *,
    port: Annotated[int, typer.Option(help="Port of the server.", min=1, max=65_535)] = 8000,
    patients: Annotated[int, typer.Option(help="Size of the synthetic cohort.", min=1)] = 3000,
    state: State = STATE / "demo",
    language: Language = "en",
    once: Annotated[bool, typer.Option("--once", help="End after the cards instead of serving on.")] = False,
) -> None:
    """Make a synthetic cohort, train two models on it, serve them and show patients' cards."""
    require_training()
    from bedside.demo import DemoError, run

    try:
        run(port=port, patients=patients, state=state, language=language, once=once)
    except DemoError as error:
        fail(error)
