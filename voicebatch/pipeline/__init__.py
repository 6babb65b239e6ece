"""The use cases, each a list of its stages: validate, plan, send, resume, report."""
