"""The simulated provider: what it does with a request that arrives, and its own list of who was called."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from email.utils import format_datetime
from enum import StrEnum
from typing import Final

from voicebatch import wire
from voicebatch.models import Answer, Batch, Charge, RateLimit
from voicebatch.sending import Post

PRICE: Final = Decimal("0.045")
Response = tuple[int, dict[str, str], str]


class Fate(StrEnum):
    """What becomes of a request on its way and of the answer on its way back."""

    FAIR = "arrives, and so does its answer"
    NO_CONNECTION = "never leaves"
    LOST_ON_THE_WAY = "leaves, and never arrives"
    ANSWER_LOST = "arrives, and its answer does not"
    RESET = "arrives, and the connection is reset"
    GARBAGE = "arrives, and its answer is unreadable"


@dataclass(frozen=True, kw_only=True)
class Weather:
    """How often what goes wrong. ``bad_numbers`` refuse every request that they are in."""

    fates: dict[Fate, float]
    throttles: float  # 429 or 503 with Retry-After, for no reason that we know
    errors: float  # HTTP 500, and who knows whether it was acted on
    short_answers: float  # fewer messages, or charges, than there were numbers
    no_credit_from: float  # seconds
    no_credit_until: float
    bad_numbers: dict[str, str]  # with the code
    headers: bool  # X-RateLimit-*

    @classmethod
    def of(cls, dice: random.Random, people: Sequence[str]) -> Weather:
        """Anything from a sunny day to a storm."""
        storm = dice.choice([0.0, 0.02, 0.1, 0.4])
        fates: dict[Fate, float] = {fate: storm * dice.random() / 3 for fate in Fate if fate is not Fate.FAIR}
        bad = dice.sample(list(people), min(len(people), dice.choice([0, 0, 0, 1, 2])))
        begins = dice.choice([math.inf, math.inf, dice.uniform(0, 60)])
        return cls(
            fates={Fate.FAIR: 1 - sum(fates.values()), **fates},
            throttles=dice.choice([0.0, 0.0, 0.1]),
            errors=dice.choice([0.0, 0.0, 0.1]),
            short_answers=dice.choice([0.0, 0.0, 0.2]),
            no_credit_from=begins,
            no_credit_until=begins + dice.uniform(0, 60),
            bad_numbers={number: dice.choice(["13", "14", "DESTINATION_INVALID"]) for number in bad},
            headers=dice.random() < 0.5,
        )

    def fate(self, dice: random.Random) -> Fate:
        """Of one request."""
        return dice.choices(list(self.fates), list(self.fates.values()))[0]


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """A request that was acted on."""

    id: str
    run_id: str
    message_id: str
    notify_url: str | None
    numbers: tuple[str, ...]
    messages: int
    cost: Decimal
    charged: Decimal


@dataclass(kw_only=True)
class Window:
    """The provider's fixed window, which begins with its first request."""

    limit: RateLimit
    ends: float = -math.inf
    used: int = 0

    def take(self, now: float) -> bool:
        if now >= self.ends:
            self.ends, self.used = now + self.limit.seconds, 0
        self.used += 1
        return self.used <= self.limit.requests


@dataclass(kw_only=True)
class Provider:
    """Acts on what arrives, one request after another."""

    limits: Sequence[RateLimit]
    weather: Weather
    random: random.Random
    calls: list[tuple[str, str]] = field(default_factory=list)  # message id and number
    campaigns: list[Campaign] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    beyond: int = 0  # requests beyond its limit
    _windows: list[Window] = field(init=False)

    def __post_init__(self) -> None:
        self._windows = [Window(limit=limit) for limit in self.limits]

    def receive(self, post: Post, now: float, clock: datetime, *, calm: bool) -> Response:
        """The HTTP answer; ``now`` in seconds, ``clock`` as the provider shows it."""
        batch = post.batch
        self.arrivals.append(now)
        within = [window.take(now) for window in self._windows]
        headers = {"Date": format_datetime(clock, usegmt=True), **self._rate_headers(now, clock)}
        if not all(within):
            self.beyond += 1
            return 429, headers, ""
        if not calm and (trouble := self._trouble()):
            if trouble[0] == 500 and self.random.random() < 0.5 and not self._bad_among(batch):
                self._act(post)
            return trouble[0], {**headers, **trouble[1]}, ""
        if self.weather.no_credit_from <= now < self.weather.no_credit_until and not calm:
            return 403, headers, wire.write_error("11", "no credit")
        if bad := self._bad_among(batch):
            code = self.weather.bad_numbers[bad]
            named = bad if code == "DESTINATION_INVALID" else "one of them"
            return 400, headers, wire.write_error(code, f"the phone number {named} is not accepted")
        return 200, headers, wire.write_answer(self._act(post, calm=calm), lang="fr")

    def campaigns_of(self, run_id: str) -> list[Campaign]:
        """What was acted on, of one run."""
        return [campaign for campaign in self.campaigns if campaign.run_id == run_id]

    def check_windows(self) -> None:
        """No window, wherever it begins, holds more arrivals than the limit; so the fixed ones never do."""
        arrivals = sorted(self.arrivals)
        for limit in self.limits:
            for first, one_too_many in zip(arrivals, arrivals[limit.requests :], strict=False):
                assert one_too_many - first >= limit.seconds, f"{limit} was broken at {one_too_many:.3f}"
        assert self.beyond == 0, "the provider had to throttle us"

    def _bad_among(self, batch: Batch) -> str | None:
        return next((number for number in batch.numbers if number in self.weather.bad_numbers), None)

    def _trouble(self) -> tuple[int, dict[str, str]] | None:
        luck = self.random.random()
        if luck < self.weather.throttles:
            return self.random.choice([429, 503]), {"Retry-After": str(self.random.randint(0, 30))}
        if luck < self.weather.throttles + self.weather.errors:
            return 500, {}
        return None

    def _rate_headers(self, now: float, clock: datetime) -> dict[str, str]:
        if not self.weather.headers:
            return {}
        window = self._windows[0]
        return {
            "X-RateLimit-Limit": str(window.limit.requests),
            "X-RateLimit-Remaining": str(max(0, window.limit.requests - window.used)),
            "X-RateLimit-Reset": str(math.ceil(clock.timestamp() + window.ends - now)),
        }

    def _act(self, post: Post, *, calm: bool = True) -> Answer:
        batch = post.batch
        short = not calm and self.random.random() < self.weather.short_answers
        messages = max(1, len(batch.numbers) - short)
        charges = () if short and self.random.random() < 0.5 else (_charge(messages),)
        answer = Answer(
            campaign_id=f"campaign {len(self.campaigns) + 1}",
            cost=PRICE * messages,
            currency="EUR",
            messages=messages,
            seconds=Decimal("6.3"),
            charges=charges,
        )
        self.calls += [(batch.message.id, number) for number in batch.numbers]
        self.campaigns.append(
            Campaign(
                id=answer.campaign_id,
                run_id=batch.run_id,
                message_id=batch.message.id,
                notify_url=post.notify_url,
                numbers=batch.numbers,
                messages=messages,
                cost=answer.cost,
                charged=sum((charge.cost for charge in charges), Decimal(0)),
            )
        )
        return answer


def _charge(messages: int) -> Charge:
    return Charge(
        calling_code="33",
        country_code="FR",
        messages=messages,
        unit_cost=PRICE,
        cost=PRICE * messages,
        seconds=Decimal("6.3"),
    )
