"""The documents of a run: country report, recipients, rejected rows, manifest."""
