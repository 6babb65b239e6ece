"""The state of the sandbox's small account: credit, recordings, and the campaigns that left, wait or were cancelled."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from voicebatch import wire
from voicebatch.models import Cancellation
from voicebatch.sandbox import rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime
    from decimal import Decimal

    from voicebatch.models import AudioFile
    from voicebatch.sandbox.records import Call, Campaign


class NotAllowed(wire.RefusedRequest):
    """A campaign may not be cancelled: it has the code of a wrong key, and is another no."""

    def __init__(self) -> None:
        super().__init__("10", wire.CANCEL_CODES["10"])


class Account:
    """What the account has. Its owner lets one thread at a time call it; ``on_leave`` is told of what leaves."""

    def __init__(self, *, credit: Decimal, audios: Iterable[AudioFile], on_leave: Callable[[Campaign], None]) -> None:
        self._credit = credit
        self._audios = {file.token: file for file in audios}
        self._on_leave = on_leave
        self._campaigns: dict[str, Campaign] = {}
        self._waiting: dict[str, Campaign] = {}

    @property
    def credit(self) -> Decimal:
        """What is left, in euros."""
        return self._credit

    @property
    def audios(self) -> Mapping[str, AudioFile]:
        """The recordings by their tokens."""
        return self._audios

    @property
    def calls(self) -> tuple[Call, ...]:
        """Every number called so far, in the order of the requests; scheduled and cancelled ones too."""
        return tuple(call for campaign in self._campaigns.values() for call in campaign.calls)

    @property
    def has_scheduled(self) -> bool:
        """Whether anything waits for its time."""
        return bool(self._waiting)

    def add(self, campaign: Campaign) -> None:
        """Takes its cost from the credit; a code 11 if that is not enough. What is not scheduled leaves at once."""
        if campaign.cost > self._credit:
            raise rules.refusal("11")
        self._credit -= campaign.cost
        self._campaigns[campaign.id] = campaign
        if campaign.scheduled:
            self._waiting[campaign.id] = campaign
        else:
            self._on_leave(campaign)

    def leave(self, now: datetime) -> None:
        """Lets everything leave whose time has come, in that order."""
        due = [one for one in self._waiting.values() if one.scheduled and one.scheduled <= now]
        for campaign in sorted(due, key=lambda one: one.scheduled or now):
            left = campaign.left(campaign.scheduled or now)
            self._campaigns[left.id] = left
            del self._waiting[left.id]
            self._on_leave(left)

    def cancel(self, campaign_id: str) -> Cancellation:
        """Takes a scheduled campaign back, and gives its cost back. Assumed: a second time is not allowed (code 10)."""
        if campaign_id not in self._campaigns:
            raise wire.RefusedRequest("404", wire.CANCEL_CODES["404"])
        campaign = self._waiting.pop(campaign_id, None)
        if campaign is None:
            raise NotAllowed
        self._campaigns[campaign_id] = campaign.taken_back()
        self._credit += campaign.cost
        return Cancellation(campaign_id=campaign_id, credit=campaign.cost, currency=rules.CURRENCY)

    def rename(self, token: str, name: str) -> None:
        """Gives a recording another name."""
        if token not in self._audios:
            raise rules.refusal("AUDIO_FILE_NOT_FOUND")
        self._audios[token] = replace(self._audios[token], name=name)
