"""Errors of the export: what can't be exported, and what was exported but isn't the same model."""


class ExportError(Exception):
    """A model didn't become a bundle's graph."""


class NotExportableError(ExportError):
    """The estimator or one of its settings has no exact graph; the message names what to use instead."""


class ParityError(ExportError):
    """The graph and the estimator disagree by more than the stated tolerance; the graph may not be saved."""
