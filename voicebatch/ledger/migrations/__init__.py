"""The ledger's tables through time, run by Alembic."""
