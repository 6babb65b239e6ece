"""The first tables: runs, documents, messages, batches, rows, attempts, charges, limiters."""

import sqlalchemy as sa
from alembic import op

from voicebatch.ledger.columns import Exact, Instant

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.String(24), primary_key=True),
        sa.Column("key", sa.Text, nullable=False, unique=True),
        sa.Column("content", sa.String(24), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("sandbox", sa.Integer, nullable=False),
        sa.Column("base_url", sa.Text, nullable=False),
        sa.Column("notify_url", sa.Text),
        sa.Column("report_dir", sa.Text, nullable=False),
        sa.Column("manifest", sa.JSON, nullable=False),
        sa.Column("rows_total", sa.Integer, nullable=False),
        sa.Column("rows_rejected", sa.Integer, nullable=False),
        sa.Column("rows_suppressed", sa.Integer, nullable=False),
        sa.Column("committed", Exact, nullable=False),
        sa.Column("resumed_at", Instant, nullable=False),
        sa.Column("stop_kind", sa.String(16)),
        sa.Column("stop_message", sa.Text),
        sa.Column("stop_hint", sa.Text),
    )
    op.create_table(
        "documents",
        sa.Column("run_id", sa.String(24), sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "messages",
        sa.Column("id", sa.String(24), primary_key=True),
        sa.Column("text", sa.Text),
        sa.Column("audio", sa.Text),
        sa.Column("lang", sa.String(16), nullable=False),
        sa.Column("speech_rate", Exact, nullable=False),
        sa.Column("schedule", Instant),
    )
    op.create_table(
        "batches",
        sa.Column("id", sa.String(24), primary_key=True),
        sa.Column("run_id", sa.String(24), sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("message_id", sa.String(24), sa.ForeignKey("messages.id"), nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("numbers", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("queued_at", Instant, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("estimate", Exact),
        sa.Column("contacted_at", Instant),
        sa.Column("campaign_id", sa.Text),
        sa.Column("accepted_at", Instant),
        sa.Column("cost", Exact),
    )
    op.create_index("batches_by_status", "batches", ["run_id", "status", "ordinal"])
    op.create_index("batches_by_message", "batches", ["message_id"])
    op.create_table(
        "rows",
        sa.Column("run_id", sa.String(24), sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("file", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("row", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("phone", sa.String(20)),
        sa.Column("status", sa.String(16)),
        sa.Column("reason", sa.Text),
        sa.Column("batch_id", sa.String(24)),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "attempts",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("batch_id", sa.String(24), sa.ForeignKey("batches.id"), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("worker", sa.Text, nullable=False),
        sa.Column("limiter", sa.Text, nullable=False),
        sa.Column("started_at", Instant, nullable=False),
        sa.Column("lease_until", Instant, nullable=False),
        sa.Column("ended_at", Instant),
        sa.Column("outcome", sa.String(16)),
        sa.Column("counted", sa.Integer, nullable=False),
        sa.Column("http_status", sa.Integer),
        sa.Column("code", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("campaign_id", sa.Text),
        sa.Column("cost", Exact),
        sa.Column("currency", sa.Text),
        sa.Column("messages", sa.Integer),
        sa.Column("seconds", Exact),
        sa.Column("body", sa.Text),
    )
    op.create_index("attempts_by_limiter", "attempts", ["limiter", "ended_at"])
    op.create_index("attempts_by_batch", "attempts", ["batch_id"])
    op.create_table(
        "charges",
        sa.Column("attempt_id", sa.String(40), sa.ForeignKey("attempts.id"), primary_key=True),
        sa.Column("calling_code", sa.Text, primary_key=True),
        sa.Column("country_code", sa.Text, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("messages", sa.Integer, nullable=False),
        sa.Column("unit_cost", Exact, nullable=False),
        sa.Column("cost", Exact, nullable=False),
        sa.Column("seconds", Exact, nullable=False),
    )
    op.create_table(
        "limiters",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("paused_until", Instant),
        sa.Column("reason", sa.Text),
    )
