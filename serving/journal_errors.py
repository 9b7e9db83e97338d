"""What can go wrong with the journal, and how a database's error is told without quoting what it held."""

from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError, SQLAlchemyError

# Errors of what was to be written. A driver raises the plain Python ones where it cannot bind a value.
_OF_THE_ENTRY = (IntegrityError, DataError, ProgrammingError, ValueError, TypeError, OverflowError)


class JournalError(Exception):
    """The journal could not do what was asked; the server must answer with an error instead of a card."""

    http_status = 503


class JournalUnavailable(JournalError):  # noqa: N818 - names a state of the world, not a fault of the code
    """The database cannot be written or read now: disk, lock, permissions, or the journal is closed."""


class JournalRejected(JournalError):  # noqa: N818 - as above
    """The entry contradicts the journal: a duplicate call_id or card_uuid, or a card without its call."""

    http_status = 500


class JournalSchemaError(JournalError):
    """The database belongs to a newer Bedside, or to another program."""


def failed_write(error: Exception) -> JournalError:
    """The JournalError for a write that raised ``error``."""
    translated: JournalError
    if isinstance(error, _OF_THE_ENTRY):
        translated = JournalRejected(
            f"The journal refused an entry: {describe(error)}. Expected new ids, a card after its call, "
            "and storable text; this is a fault of the server."
        )
    else:
        translated = JournalUnavailable(
            f"The journal could not be written: {describe(error)}. No card may leave; check disk, lock and "
            "permissions of the database."
        )
    translated.__cause__ = error
    return translated


def failed_read(error: SQLAlchemyError) -> JournalUnavailable:
    """The JournalError for a read that raised ``error``."""
    translated = JournalUnavailable(
        f"The journal could not be read: {describe(error)}. Check that its database is there and readable."
    )
    translated.__cause__ = error
    return translated


def for_one_waiter(error: JournalError) -> JournalError:
    """A copy: an exception that several waiters raise would gather the tracebacks of all of them."""
    own = type(error)(*error.args)
    own.__cause__ = error.__cause__
    return own


def describe(error: Exception) -> str:
    """The error without statement, parameters or values: only what the database itself said of its schema."""
    if isinstance(error, SQLAlchemyError):
        return f"{type(error).__name__} ({getattr(error, 'orig', None) or 'no word from the database'})"
    return type(error).__name__  # the text of a UnicodeEncodeError or TypeError may quote the value
