"""The ledger: the database that remembers runs, batches, attempts and charges, and so keeps the promises.

Nothing leaves before it is in here, and no transaction is open while a request is under way.
"""

from voicebatch.ledger.clock import HostClock
from voicebatch.ledger.engine import show_url
from voicebatch.ledger.queue import Claim, Wait
from voicebatch.ledger.records import AnswerLine, NewBatch, NewRow, NewRun, RowLine, Run
from voicebatch.ledger.store import Ledger
from voicebatch.ledger.workers import Worker

__all__ = [
    "AnswerLine", "Claim", "HostClock", "Ledger", "NewBatch", "NewRow", "NewRun", "RowLine", "Run", "Wait", "Worker",
    "show_url",
]  # fmt: skip
