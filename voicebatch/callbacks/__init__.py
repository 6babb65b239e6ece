"""Takes the provider's callbacks over HTTP: each is answered when it is in the ledger, and not before.

``with serve(secret=…, take=…, is_healthy=…) as listener:`` serves ``listener.url`` until the ``with`` ends. What is
taken, and where to, comes in as arguments: nothing here knows the ledger.
"""

from voicebatch.callbacks.records import Limits, Receipt, Result
from voicebatch.callbacks.server import Listener, serve

__all__ = ["Limits", "Listener", "Receipt", "Result", "serve"]
