"""Deliveries by country: what callbacks say, beside the charges that they are about."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from voicebatch import phones
from voicebatch.models import Delivery, DeliveryCounts
from voicebatch.pricing import times
from voicebatch.reports.country import Place

if TYPE_CHECKING:
    from voicebatch.ledger import Ledger
    from voicebatch.ledger.records import ChargeLine, DeliveryLine

_OfBatch = tuple[str, str]
"""A batch and one of its calling codes."""


def place_of(line: ChargeLine) -> Place:
    """The line of the country report that a charge is in; where the provider names no country, the code's main one."""
    charge = line.charge
    return Place(charge.calling_code, charge.country_code or phones.main_region(charge.calling_code), line.currency)


def by_country(ledger: Ledger, run_id: str, charges: Sequence[ChargeLine]) -> dict[Place, DeliveryCounts]:
    """What became of the accepted people of every line of the country report. They may add lines without a charge."""
    desk = _Places(charges)
    people = _people(ledger, run_id, desk.own)
    counts: dict[Place, DeliveryCounts] = defaultdict(DeliveryCounts, dict.fromkeys(desk.all, DeliveryCounts()))
    for of_batch, count in people.items():
        counts[desk.of(*of_batch)] += DeliveryCounts(pending=count)
    for line in ledger.deliveries(run_id):
        counts[desk.of(line.batch_id, line.calling_code)] += _counts(line, desk.seconds(line))
    of_codes: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for (batch_id, code), count in people.items():
        of_codes[batch_id].append((code, count))
    for batch_id, (delivered, _) in ledger.campaign_counts(run_id).items():
        for code, share in _shared(delivered, of_codes[batch_id]):
            counts[desk.of(batch_id, code)] += DeliveryCounts(delivered=share)
    return {place: replace(told, pending=max(0, told.pending - told.told)) for place, told in counts.items()}


class _Places:
    """The lines of the report, by what is charged in them."""

    def __init__(self, charges: Sequence[ChargeLine]) -> None:
        self.own: Mapping[str, list[ChargeLine]] = defaultdict(list)
        for line in charges:
            self.own[line.batch_id].append(line)
        self.all = list(dict.fromkeys(map(place_of, charges)))
        self._currency = charges[0].currency if charges else ""

    def of(self, batch_id: str, calling_code: str) -> Place:
        """That of a batch's people: their own charge's, else one that the code has already, else a new one."""
        if charge := self._charge(batch_id, calling_code):
            return place_of(charge)
        known = (place for place in self.all if place.calling_code == calling_code)
        return next(known, None) or Place(calling_code, phones.main_region(calling_code), self._currency)

    def seconds(self, line: DeliveryLine) -> Decimal | None:
        """What the answer announced for these people; ``None`` when it was lost."""
        charge = self._charge(line.batch_id, line.calling_code)
        return charge and charge.charge.seconds

    def _charge(self, batch_id: str, calling_code: str) -> ChargeLine | None:
        """The provider may write a longer code than the network's: 1242 for the part of +1 that is the Bahamas."""
        own = self.own.get(batch_id, [])
        exact = (line for line in own if line.charge.calling_code == calling_code)
        longer = (line for line in own if line.charge.calling_code.startswith(calling_code))
        return next(exact, None) or next(longer, None)


def _people(ledger: Ledger, run_id: str, own: Mapping[str, Sequence[ChargeLine]]) -> dict[_OfBatch, int]:
    """How many accepted people each batch has of each calling code.

    The charges tell, where they add up to the batch; only of the others the numbers have to be looked at.
    """
    people: dict[_OfBatch, int] = {}
    unclear: list[str] = []
    for batch_id, size in ledger.accepted_sizes(run_id).items():
        charged = {line.charge.calling_code: line.charge.messages for line in own.get(batch_id, ())}
        is_clear = len(charged) == len(own.get(batch_id, ())) and sum(charged.values()) == size
        if is_clear and all(phones.calling_code(f"+{code}000") == code for code in charged):
            people |= {(batch_id, code): count for code, count in charged.items()}
        else:
            unclear.append(batch_id)
    for batch_id, numbers in ledger.numbers_of(unclear):
        people |= {(batch_id, code): count for code, count in Counter(map(phones.calling_code, numbers)).items()}
    return people


def _shared(delivered: int, people: Sequence[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    """A campaign's count by calling code: nobody says whose messages they are, so no country gets more than it has."""
    for code, count in people:
        share = min(delivered, count)
        delivered -= share
        yield code, share


def _counts(line: DeliveryLine, announced: Decimal | None) -> DeliveryCounts:
    delivered = line.people * (line.status is Delivery.DELIVERED)
    return DeliveryCounts(
        delivered=delivered,
        undelivered=line.people * (line.status is Delivery.UNDELIVERED),
        answered=line.people * (line.answered is True),
        not_answered=line.people * (line.answered is False),
        spoken_seconds=line.seconds,
        announced_seconds=times(announced or Decimal(0), delivered),
        unannounced=delivered * (announced is None),
    )
