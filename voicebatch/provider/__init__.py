"""Voice Partner over HTTPS: one request out, one ``Reply`` back, whatever happens on the way; and its account."""

from voicebatch.provider.account import Account, CancelReply, RefusedLookup, Throttled, Unanswered
from voicebatch.provider.client import Provider
from voicebatch.provider.connection import check_api_key, check_base_url

__all__ = [
    "Account", "CancelReply", "Provider", "RefusedLookup", "Throttled", "Unanswered", "check_api_key", "check_base_url",
]  # fmt: skip
