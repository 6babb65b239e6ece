"""Callbacks, deliveries, cancellations, look-ups of the account; voicemail's own settings."""

import sqlalchemy as sa
from alembic import op

from voicebatch.ledger.columns import Exact, Instant

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("runs", sa.Column("notify_email", sa.Text))
    op.add_column("runs", sa.Column("sender", sa.Text))
    op.add_column("attempts", sa.Column("called_at", Instant))
    op.add_column("attempts", sa.Column("delivered", sa.Integer))
    op.add_column("attempts", sa.Column("delivered_of", sa.Integer))
    op.create_table(
        "secrets",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "callbacks",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("digest", sa.String(24), nullable=False, unique=True),
        sa.Column("received_at", Instant, nullable=False),
        sa.Column("attempt_id", sa.String(40), nullable=False),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("campaign_id", sa.Text, nullable=False),
        sa.Column("number", sa.Text),
        sa.Column("status", sa.String(16)),
        sa.Column("problem", sa.Text),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("callbacks_by_attempt", "callbacks", ["attempt_id"])
    is_odd = sa.text("problem IS NOT NULL")
    op.create_index("callbacks_with_problem", "callbacks", ["id"], sqlite_where=is_odd, postgresql_where=is_odd)
    op.create_table(
        "deliveries",
        sa.Column("batch_id", sa.String(24), sa.ForeignKey("batches.id"), primary_key=True),
        sa.Column("number", sa.String(20), primary_key=True),
        sa.Column("calling_code", sa.String(8), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("answered", sa.Integer),
        sa.Column("milliseconds", sa.BigInteger),
        sa.Column("done_at", Instant),
        sa.Column("rank", sa.String(64), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "cancellations",
        sa.Column("batch_id", sa.String(24), sa.ForeignKey("batches.id"), primary_key=True),
        sa.Column("at", Instant, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("credit", Exact),
        sa.Column("currency", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_table(
        "lookups",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("limiter", sa.Text, nullable=False),
        sa.Column("started_at", Instant, nullable=False),
        sa.Column("ended_at", Instant),
    )
    op.create_index("lookups_by_limiter", "lookups", ["limiter", "ended_at"])
