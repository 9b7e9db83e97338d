"""For the tests of the server."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def loggers_as_before() -> Iterator[None]:
    """A server sets up the log of its process, which here is that of all tests."""
    names = (
        "bedside",
        "bedside.server",
        "cds_hooks",
        "cds_hooks.security",
        "uvicorn",
        "uvicorn.error",
        "uvicorn.access",
    )
    loggers = [logging.getLogger(name) for name in names]
    before = [(logger.level, logger.handlers[:], logger.propagate) for logger in loggers]
    yield
    for logger, (level, handlers, propagate) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers[:] = handlers
        logger.propagate = propagate
