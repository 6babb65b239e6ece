"""Deliveries by country: what callbacks say, beside the charges that they are about."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from voicebatch import phones
from voicebatch.models import Delivery, DeliveryCounts
from voicebatch.reports.country import Place

if TYPE_CHECKING:
    from voicebatch.ledger import Ledger
    from voicebatch.ledger.records import ChargeLine, DeliveryLine, Uncharged


def place_of(line: ChargeLine) -> Place:
    """The line of the country report that a charge is in; where the provider names no country, the code's main one."""
    charge = line.charge
    return Place(charge.calling_code, charge.country_code or phones.main_region(charge.calling_code), line.currency)


def by_country(
    ledger: Ledger, run_id: str, charges: Sequence[ChargeLine], uncharged: Sequence[Uncharged]
) -> dict[Place, DeliveryCounts]:
    """What became of the accepted people of every line of the country report. They may add lines without a charge."""
    places, people = _places(charges, uncharged)
    counts: dict[Place, DeliveryCounts] = defaultdict(DeliveryCounts, dict.fromkeys(people, DeliveryCounts()))
    for line in ledger.deliveries(run_id):
        counts[places.get((line.batch_id, line.calling_code)) or _bare(line.calling_code, charges)] += _counts(line)
    for batch_id, (delivered, _) in ledger.campaign_counts(run_id).items():
        theirs = [place for (of_batch, _), place in places.items() if of_batch == batch_id]
        counts[theirs[0]] += DeliveryCounts(delivered=delivered)  # of several countries nobody says which
    return {place: replace(told, pending=max(0, people[place] - told.told)) for place, told in counts.items()}


def _places(
    charges: Sequence[ChargeLine], uncharged: Sequence[Uncharged]
) -> tuple[Mapping[tuple[str, str], Place], Counter[Place]]:
    """The line of each batch and calling code, and how many accepted people each line has."""
    places: dict[tuple[str, str], Place] = {}
    people: Counter[Place] = Counter()
    for line in charges:
        place = place_of(line)
        places[line.batch_id, line.charge.calling_code] = place
        people[place] += line.charge.messages if line.is_accepted else 0
    for one in uncharged:
        for code, count in Counter(map(phones.calling_code, one.numbers)).items():
            place = places.setdefault((one.batch_id, code), _bare(code, charges))
            people[place] += count
    return places, people


def _bare(calling_code: str, charges: Iterable[ChargeLine]) -> Place:
    """The line for people whose charge is not known: one that the calling code has already, if it can be."""
    known = (place_of(line) for line in charges if line.charge.calling_code == calling_code)
    currency = next((line.currency for line in charges), "")
    return next(known, None) or Place(calling_code, phones.main_region(calling_code), currency)


def _counts(line: DeliveryLine) -> DeliveryCounts:
    return DeliveryCounts(
        delivered=line.people * (line.status is Delivery.DELIVERED),
        undelivered=line.people * (line.status is Delivery.UNDELIVERED),
        answered=line.people * (line.answered is True),
        not_answered=line.people * (line.answered is False),
        spoken_seconds=line.seconds,
    )
