"""Options that several verbs share."""

from pathlib import Path
from typing import Annotated

import typer

STATE = Path(".bedside")

Language = Annotated[str, typer.Option(help="Language of cards: en or de.")]
Zone = Annotated[str, typer.Option("--timezone", help="Time zone in which cards show times, such as Europe/Berlin.")]
AsOf = Annotated[str, typer.Option(help="Index time: clock, or latest-observation for historic patients.")]
State = Annotated[Path, typer.Option(help="Folder for the journal, the pseudonym key and the embedded MLflow store.")]
