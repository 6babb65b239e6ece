"""Who opted out while their request was under way or unknown."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("batches", sa.Column("opted_out", sa.JSON))
