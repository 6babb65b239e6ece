"""Who opted out while their request was under way or unknown; how much dearer than estimated requests are."""

import sqlalchemy as sa
from alembic import op

from voicebatch.ledger.columns import Exact

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("batches", sa.Column("opted_out", sa.JSON))
    op.add_column("runs", sa.Column("dearer", Exact))
