"""The ledger: the database that remembers runs, batches, attempts and charges, and so keeps the promises.

Nothing leaves before it is in here, and no transaction is open while a request is under way.
"""

from voicebatch.ledger.engine import show_url
from voicebatch.ledger.store import Claim, Ledger, NewBatch, NewRow, NewRun, RowLine, Run, Wait
from voicebatch.ledger.workers import Worker

__all__ = ["Claim", "Ledger", "NewBatch", "NewRow", "NewRun", "RowLine", "Run", "Wait", "Worker", "show_url"]
