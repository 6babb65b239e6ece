"""Callbacks: what the provider says of requests that it took. The first one settles a request that was unknown."""

from __future__ import annotations

import secrets as randomness
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select

from voicebatch.ledger import engine as databases
from voicebatch.ledger.records import Receipt
from voicebatch.ledger.tables import secrets
from voicebatch.models import Callback

_SECRET: Final = "callbacks"
_SECRET_BYTES: Final = 32


def secret(connection: Connection) -> bytes:
    """See ``Ledger.callback_secret``."""
    known = select(secrets.c.value).where(secrets.c.name == _SECRET)
    found = connection.execute(known).scalar()
    if found is None:
        new = {"name": _SECRET, "value": randomness.token_bytes(_SECRET_BYTES)}
        databases.insert_new(connection, secrets, [new])  # another process may have been quicker
        found = connection.execute(known).scalar_one()
    return bytes(found)


def take(connection: Connection, callbacks: Sequence[Callback], *, now: datetime) -> list[Receipt]:
    """See ``Ledger.take_callbacks``."""
    raise NotImplementedError
