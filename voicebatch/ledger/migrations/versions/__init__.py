"""One file a revision, oldest first: `ledger.engine.REVISIONS`."""
