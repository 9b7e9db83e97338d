"""`bedside meds`: events as a MEDS data set."""

from pathlib import Path
from typing import Annotated

import typer

from bedside.commands.console import fail, new_console, require_training


def meds(
    events: Annotated[Path, typer.Argument(help="A folder that `bedside extract` wrote.")],
    target: Annotated[Path, typer.Argument(help="The MEDS data set to write, where nothing is yet.")],
    *,
    name: Annotated[str | None, typer.Option(help="Name of the data set; default: the folder's.")] = None,
) -> None:
    """Write extracted events as a MEDS data set (Medical Event Data Standard), one Parquet file per part."""
    require_training()
    from features.vocabulary.concept import load_vocabulary
    from training.dataset import DatasetError
    from training.meds import write_meds
    from training.store import read_parts

    try:
        subjects = write_meds(read_parts(events), target, load_vocabulary(), name=name or events.resolve().name)
    except (DatasetError, OSError, ValueError) as error:
        fail(error)
    new_console().print(
        f"{subjects:,} subjects in {target}; metadata/subjects.parquet tells who they are.", markup=False
    )
