"""Who worked on a run and what happened; split and settled batches; one ceiling for all workers; one time."""

import sqlalchemy as sa
from alembic import op

from voicebatch.ledger.columns import Exact, Instant

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("runs", sa.Column("max_cost", Exact))
    op.add_column("runs", sa.Column("max_cost_currency", sa.Text))
    op.add_column("batches", sa.Column("split_from", sa.String(24)))
    op.add_column("batches", sa.Column("settled", sa.String(16)))
    op.add_column("attempts", sa.Column("held", Exact))
    op.drop_index("attempts_by_limiter", "attempts")
    op.create_index("attempts_by_limiter", "attempts", ["limiter", "counted", "ended_at"])
    under_way = sa.text("ended_at IS NULL")
    op.create_index("attempts_under_way", "attempts", ["id"], sqlite_where=under_way, postgresql_where=under_way)
    op.create_table(
        "workers",
        sa.Column("run_id", sa.String(24), sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("joined_at", Instant, primary_key=True),
        sa.Column("seen_at", Instant, nullable=False),
        sa.Column("left_at", Instant),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("run_id", sa.String(24), sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("batch_id", sa.String(24)),
        sa.Column("text", sa.Text, nullable=False),
    )
    op.create_index("events_by_run", "events", ["run_id", "id"])
    op.create_table(
        "clocks",
        sa.Column("boot", sa.String(64), primary_key=True),
        sa.Column("began_at", Instant, nullable=False),
    )
    # What was under way or unknown then held its batch's estimate.
    op.execute(
        "UPDATE attempts SET held = (SELECT estimate FROM batches WHERE batches.id = attempts.batch_id) "
        "WHERE outcome IS NULL OR outcome = 'unknown'"
    )
