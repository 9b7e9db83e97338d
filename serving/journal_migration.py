"""The journal's schema, brought to this version. The only file that imports Alembic beside the revisions themselves."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from serving.journal_errors import JournalSchemaError


def migrate(engine: Engine) -> None:
    """Bring the schema to head in one transaction; of two processes that start together, one waits.

    Raises:
        JournalSchemaError: the database has a revision that this version does not know.
        SQLAlchemyError: it cannot be read, locked or written.
    """
    config = Config()
    config.set_main_option("script_location", "serving:migrations")
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    with engine.execution_options(sqlite_begin="IMMEDIATE").begin() as connection:
        found = set(MigrationContext.configure(connection).get_current_heads())
        if not found <= known:
            raise JournalSchemaError(
                f"The journal {engine.url!r} has schema revision {', '.join(sorted(found - known))}; this "
                f"version knows {', '.join(sorted(known))}. Start the newer Bedside that wrote "
                "it, or name another database."
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
