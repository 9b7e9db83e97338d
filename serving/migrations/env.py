"""Alembic's environment: runs the revisions on the connection and in the transaction of ``Journal.open``."""

from alembic import context


def migrate() -> None:
    """Run what Alembic asks for, all or nothing: SQLite's DDL is transactional as Journal begins it."""
    context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()


migrate()
