"""The rate limits that a run keeps, and who else counts against them."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from voicebatch import wire
from voicebatch.models import Channel, RateLimit
from voicebatch.pacing import parse_rate

SANDBOX_HOST: Final = "new sandbox"
"""Stands for a sandbox that is not served yet, whose limit nobody else counts against."""


def limits_of(channel: Channel, rate: str | None) -> tuple[RateLimit, ...]:
    """``rate`` alone if that is given, else the provider's for the channel."""
    return (parse_rate(rate),) if rate else wire.RATE_LIMITS[channel]


def limiter_of(kind: str, base_url: str) -> str:
    """What shares a rate limit: the requests of a kind to one host, by any name of it, of every run on a ledger.

    A kind is a channel, or another word for an endpoint that has a limit of its own.
    """
    parts = urlsplit(base_url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    host = (parts.hostname or "").rstrip(".")
    host = "127.0.0.1" if host in {"localhost", "::1"} else host
    return f"{kind} {host}:{port}" if host else f"{kind} {base_url}"
