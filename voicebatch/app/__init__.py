"""The assembly: options become objects here and nowhere else. These are its use cases."""

from voicebatch.app.addresses import check_address
from voicebatch.app.clocks import LedgerClock, SystemClock
from voicebatch.app.ledgers import default_ledger, opened
from voicebatch.app.messages import make_message
from voicebatch.app.options import parse_max_invalid
from voicebatch.app.planning import existing_run, plan, write_plan
from voicebatch.app.reporting import all_summaries, find_run, report, resolve, run_id_of, story_of, summary_of
from voicebatch.app.schemas import infer_schema, packaged_schema, read_schema
from voicebatch.app.sending import enqueue, outlook_of, resume, send
from voicebatch.app.validating import annotate_plan, validate

__all__ = [
    "LedgerClock",
    "SystemClock",
    "all_summaries",
    "annotate_plan",
    "check_address",
    "default_ledger",
    "enqueue",
    "existing_run",
    "find_run",
    "infer_schema",
    "make_message",
    "opened",
    "outlook_of",
    "packaged_schema",
    "parse_max_invalid",
    "plan",
    "read_schema",
    "report",
    "resolve",
    "resume",
    "run_id_of",
    "send",
    "story_of",
    "summary_of",
    "validate",
    "write_plan",
]
