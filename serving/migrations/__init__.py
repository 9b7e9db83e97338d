"""Alembic revisions of the journal: packaged, and run by ``Journal.open``."""
