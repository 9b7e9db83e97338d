"""How verbs speak and fail."""

from importlib.util import find_spec
from typing import TYPE_CHECKING, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console


def require_training() -> None:
    """A server is installed without the libraries that train: say so, not where an import failed."""
    lacking = [name for name in ("lightgbm", "mlflow", "onnx", "pandas", "pyarrow", "shap") if find_spec(name) is None]
    if lacking:
        fail(f"this verb needs {', '.join(lacking)}: pip install 'bedside[training]'.")


def new_console(*, stderr: bool = False) -> "Console":
    """Rich takes a while to import: a server that starts does without."""
    from bedside import terminal

    return terminal.new_console(stderr=stderr)


def fail(error: Exception | str) -> NoReturn:
    """Say what is wrong and end with a non-zero status."""
    new_console(stderr=True).print(f"bedside: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(1)
