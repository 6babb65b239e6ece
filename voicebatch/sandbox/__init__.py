"""A local copy of the provider's API: real HTTP on loopback, no key, no call, no cost.

``with serve() as sandbox:`` gives ``sandbox.base_url`` to send to and ``sandbox.calls`` to look at
afterwards. Whoever is called here is called on paper only.
"""

from voicebatch.sandbox.faults import FaultKind
from voicebatch.sandbox.records import Arrival, Call, CallbackSent
from voicebatch.sandbox.server import Sandbox, serve

__all__ = ["Arrival", "Call", "CallbackSent", "FaultKind", "Sandbox", "serve"]
