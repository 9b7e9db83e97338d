"""First journal: calls, cards and feedback, append-only.

A revision is frozen once released: it repeats the tables instead of importing the current ones.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# Per table: a row that equals NEW on one of its keys. SQLite's INSERT OR REPLACE deletes such a row without
# firing its DELETE trigger, so the insert itself is refused.
_SAME_KEY = {
    "calls": "sequence = NEW.sequence OR call_id = NEW.call_id",
    "cards": "sequence = NEW.sequence OR card_uuid = NEW.card_uuid",
    "feedback": "sequence = NEW.sequence",
}
_REFUSAL = "the journal is append-only"


def upgrade() -> None:
    """Create the tables and their guard."""
    _create_calls()
    _create_cards()
    _create_feedback()
    _guard(op.get_context().dialect.name)


def downgrade() -> None:
    """Refused: there is nothing before the first journal but its loss."""
    raise NotImplementedError("The first revision cannot be undone: that would delete the journal.")


def _sequence() -> sa.Column[int]:
    return sa.Column(
        "sequence", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True
    )


def _create_calls() -> None:
    op.create_table(
        "calls",
        _sequence(),
        sa.Column("call_id", sa.String(36), nullable=False, unique=True),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("service_id", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("http_status", sa.Integer, nullable=False),
        sa.Column("duration_us", sa.BigInteger, nullable=False),
        sa.Column("response_body", sa.LargeBinary, nullable=False),
        sa.Column("hook", sa.Text),
        sa.Column("hook_instance", sa.Text),
        sa.Column("locale", sa.Text),
        sa.Column("mode", sa.Text),
        sa.Column("error_code", sa.Text),
        sa.Column("model_version", sa.Text),
        sa.Column("bundle_fingerprint", sa.String(64)),
        sa.Column("index_time", sa.BigInteger),
        sa.Column("as_of_policy", sa.Text),
        sa.Column("patient_pseudonym", sa.String(64)),
        sa.Column("feature_vector", sa.LargeBinary),
        sa.Column("missing_features", sa.Text, nullable=False),
        sa.Column("refusals", sa.Text, nullable=False),
        sa.Column("logit", sa.Double),
        sa.Column("probability", sa.Double),
        sa.Column("base_value", sa.Double),
        sa.Column("contributions", sa.LargeBinary),
        sa.Column("evidence", sa.Text),
    )
    op.create_index("calls_by_patient", "calls", ["service_id", "patient_pseudonym"])
    op.create_index("calls_by_time", "calls", ["received_at", "service_id", "status"])


def _create_cards() -> None:
    op.create_table(
        "cards",
        _sequence(),
        sa.Column("card_uuid", sa.Text, nullable=False, unique=True),
        sa.Column("call_id", sa.String(36), sa.ForeignKey("calls.call_id"), nullable=False),
        sa.Column("indicator", sa.Text, nullable=False),
        sa.Column("suppressed", sa.Text),
    )
    op.create_index("cards_by_call", "cards", ["call_id"])


def _create_feedback() -> None:
    op.create_table(
        "feedback",
        _sequence(),
        sa.Column("card_uuid", sa.Text, nullable=False),
        sa.Column("known_card", sa.Boolean, nullable=False),
        sa.Column("service_id", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("outcome_timestamp", sa.BigInteger, nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("override_reason_code", sa.Text),
        sa.Column("override_reason_system", sa.Text),
        sa.Column("override_reason_display", sa.Text),
        sa.Column("user_comment", sa.Text),
        sa.Column("accepted_suggestion_ids", sa.Text, nullable=False),
    )
    op.create_index("feedback_by_card", "feedback", ["card_uuid"])


def _guard(dialect: str) -> None:
    match dialect:
        case "sqlite":
            _guard_sqlite()
        case "postgresql":
            _guard_postgresql()
        case other:
            raise NotImplementedError(
                f"The journal cannot be made append-only on {other}; use SQLite or PostgreSQL, or write its triggers."
            )


def _guard_sqlite() -> None:
    for table, same_key in _SAME_KEY.items():
        refuse = f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
        op.execute(f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}")
        op.execute(f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}")
        exists = f"EXISTS (SELECT 1 FROM {table} WHERE {same_key})"  # noqa: S608 - constants of this file
        op.execute(f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN {exists} {refuse}")


def _guard_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION journal_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$"
    )
    for table in _SAME_KEY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION journal_is_append_only()"
        )
