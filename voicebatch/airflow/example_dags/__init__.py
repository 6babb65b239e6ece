"""DAGs to start from. They run as they are, with a sandbox connection."""
