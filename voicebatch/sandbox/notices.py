"""What a campaign that left calls back: the made-up ends of its calls, as the provider writes them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from urllib.parse import urlsplit

from voicebatch import wire
from voicebatch.models import Callback, Channel, Delivery
from voicebatch.sandbox import rules
from voicebatch.sandbox.faults import FaultKind
from voicebatch.sandbox.records import Call, Campaign


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One callback: a POST of ``body``, or a GET where that is empty. ``number`` is empty for a voicemail campaign."""

    campaign_id: str
    number: str
    status: str
    url: str
    body: str = ""

    @property
    def method(self) -> str:
        """``POST`` or ``GET``."""
        return "POST" if self.body else "GET"


def notices(campaign: Campaign) -> tuple[tuple[Notice, ...], ...]:
    """The callbacks of a campaign that left: those of one number together, in the order in which they are to come.

    The faults of the campaign are in them, but for lateness: see ``lateness``.
    """
    kinds = {fault.kind for fault in campaign.faults}
    if not campaign.notify_url or not campaign.calls or FaultKind.CALLBACKS_MISSING in kinds:
        return ()
    threads = [tuple(thread) for thread in _threads(campaign, reordered=FaultKind.CALLBACKS_REORDERED in kinds)]
    if FaultKind.CALLBACKS_REORDERED in kinds:
        threads = [thread[::-1] for thread in reversed(threads)]
    if FaultKind.CALLBACKS_DOUBLED in kinds:
        threads = [tuple(notice for notice in thread for _ in range(2)) for thread in threads]
    return tuple(threads)


def lateness(campaign: Campaign) -> float:
    """Seconds by which its callbacks are later than usual."""
    return sum(fault.seconds for fault in campaign.faults if fault.kind is FaultKind.CALLBACKS_LATE)


def is_loopback(url: str) -> bool:
    """Whether an address is on this machine: nothing else is ever contacted."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:  # a host that is a name; a port that is none
        return False


def _threads(campaign: Campaign, *, reordered: bool) -> Iterator[Iterator[Notice]]:
    if campaign.channel is Channel.VOICEMAIL:
        yield iter([_of_voicemail(campaign)])
        return
    for call in campaign.calls:
        yield _of_call(campaign, call, pending=reordered or rules.fate(call.number).pending)


def _of_call(campaign: Campaign, call: Call, *, pending: bool) -> Iterator[Notice]:
    left_at, fate = campaign.left_at or call.at, rules.fate(call.number)
    taken = Callback(
        attempt_id="",  # nobody but the sender knows it
        channel=campaign.channel,
        campaign_id=campaign.id,
        number=call.number,
        status=Delivery.PENDING,
        sent_at=left_at,
    )
    if pending:
        yield _of_voice(campaign, taken)
    reached = fate.delivery is Delivery.DELIVERED
    seconds = campaign.seconds.quantize(Decimal(1), ROUND_HALF_UP) if reached else Decimal(0)
    done_at = left_at + rules.RINGING + timedelta(seconds=int(seconds))
    ended = replace(taken, status=fate.delivery, answered=fate.answered, done_at=done_at, seconds=seconds)
    yield _of_voice(campaign, ended, deposited=reached and bool(campaign.token_audio))


def _of_voice(campaign: Campaign, callback: Callback, *, deposited: bool = False) -> Notice:
    return Notice(
        campaign_id=campaign.id,
        number=callback.number or "",
        status=str(callback.status),
        url=campaign.notify_url or "",
        body=wire.write_voice_callback(callback, deposited=deposited),
    )


def _of_voicemail(campaign: Campaign) -> Notice:
    delivered = sum(rules.fate(call.number).delivery is Delivery.DELIVERED for call in campaign.calls)
    callback = Callback(
        attempt_id="",
        channel=campaign.channel,
        campaign_id=campaign.id,
        delivered=delivered,
        total=len(campaign.calls),
    )
    url = wire.voicemail_callback_url(campaign.notify_url or "", callback, token=campaign.token_audio or "")
    return Notice(campaign_id=campaign.id, number="", status="", url=url)
