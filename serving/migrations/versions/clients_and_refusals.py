"""Whose calls and feedback they are, what was read for them, and how many requests no service saw.

A revision is frozen once released: it repeats the tables instead of importing the current ones.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_REFUSAL = "the journal is append-only"
_WITH_CLIENT = ("calls", "feedback")


def upgrade() -> None:
    """Add the columns and the table, with its guard."""
    for table in _WITH_CLIENT:
        op.add_column(table, sa.Column("client", sa.Text))
        op.add_column(table, sa.Column("tenant", sa.Text))
    op.add_column("calls", sa.Column("fhir_requests", sa.Integer))
    op.add_column("calls", sa.Column("fhir_duration_us", sa.BigInteger))
    _create_refusals()
    _guard(op.get_context().dialect.name)


def downgrade() -> None:
    """Refused: it would delete whose calls they were."""
    raise NotImplementedError("This revision cannot be undone: that would delete a part of the journal.")


def _create_refusals() -> None:
    op.create_table(
        "refusals",
        sa.Column(
            "sequence", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True
        ),
        sa.Column("first_at", sa.BigInteger, nullable=False),
        sa.Column("last_at", sa.BigInteger, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("http_status", sa.Integer, nullable=False),
        sa.Column("error_code", sa.Text, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("service_id", sa.Text),
        sa.Column("client", sa.Text),
    )
    op.create_index("refusals_by_time", "refusals", ["last_at"])


def _guard(dialect: str) -> None:
    """As the first revision guards its tables; it has refused every other dialect."""
    if dialect == "sqlite":
        refuse = f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
        op.execute(f"CREATE TRIGGER refusals_no_update BEFORE UPDATE ON refusals {refuse}")
        op.execute(f"CREATE TRIGGER refusals_no_delete BEFORE DELETE ON refusals {refuse}")
        exists = "EXISTS (SELECT 1 FROM refusals WHERE sequence = NEW.sequence)"
        op.execute(f"CREATE TRIGGER refusals_no_replace BEFORE INSERT ON refusals WHEN {exists} {refuse}")
    else:
        op.execute(
            "CREATE TRIGGER refusals_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON refusals "
            "FOR EACH STATEMENT EXECUTE FUNCTION journal_is_append_only()"
        )
