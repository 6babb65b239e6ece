"""A trigger that lets time pass."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, Final

from airflow.triggers.base import BaseTrigger, TriggerEvent

_LONGEST_SLEEP: Final = 60.0  # seconds; a clock may be set while we sleep


class VoicebatchTrigger(BaseTrigger):
    """Fires at a moment, and does nothing else: it sends nothing, asks nobody and holds no secret.

    ``moment`` and ``since`` are timezone-aware, in ISO 8601. ``since`` is when the task began; the event gives it back,
    because a task that goes on knows nothing of the process before it. ``reason`` is for the triggerer's log.
    """

    def __init__(self, moment: str, since: str, reason: str) -> None:
        super().__init__()
        self.moment = moment
        self.since = since
        self.reason = reason

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class's path and its arguments."""
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {"moment": self.moment, "since": self.since, "reason": self.reason}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """One event, ``{"since": …}``, as soon as the moment is there."""
        moment = datetime.fromisoformat(self.moment)
        self.log.info("Waiting until %s: %s", self.moment, self.reason)
        while (left := (moment - datetime.now(UTC)).total_seconds()) > 0:
            await asyncio.sleep(min(left, _LONGEST_SLEEP))
        yield TriggerEvent({"since": self.since})
