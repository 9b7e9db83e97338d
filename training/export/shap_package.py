"""The only import of `shap` in the export: it takes a second, and warns of a matplotlib deprecation of its own."""

import warnings
from typing import Any


def import_shap() -> Any:
    """Import `shap` when it is needed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        import shap  # noqa: PLC0415 - see the module's docstring
    return shap
