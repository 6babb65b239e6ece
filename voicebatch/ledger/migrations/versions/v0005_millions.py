"""Millions: rows are not looked up in their run one by one, and PostgreSQL sweeps often what every request changes."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint("rows_run_id_fkey", "rows", type_="foreignkey")
        for table in ("batches", "attempts"):
            swept = "autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000"
            op.execute(f"ALTER TABLE {table} SET ({swept})")
        return
    op.rename_table("rows", "old_rows")  # SQLite can take nothing out of a table
    op.create_table(
        "rows",
        sa.Column("run_id", sa.String(24), primary_key=True),
        sa.Column("file", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("row", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("phone", sa.String(20)),
        sa.Column("status", sa.String(16)),
        sa.Column("reason", sa.Text),
        sa.Column("batch_id", sa.String(24)),
        sqlite_with_rowid=False,
    )
    op.execute("INSERT INTO rows SELECT run_id, file, row, phone, status, reason, batch_id FROM old_rows")
    op.drop_table("old_rows")
