"""What the simulated provider calls back about, and the listener that hands it to the ledger."""

from __future__ import annotations

import contextlib
import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import event

from tests.simulation.provider import Campaign
from voicebatch.ledger import Ledger
from voicebatch.models import Batch, Callback, Channel, Delivery

ENDS: Final = ((), (Delivery.DELIVERED,), (Delivery.UNDELIVERED,), (Delivery.UNDELIVERED, Delivery.DELIVERED))
"""How a message may end: nobody knows, or well, or not, or well after all."""

NEVER: Final = datetime.min.replace(tzinfo=UTC)

Person = tuple[str, str]
"""The id of a message and a number that it goes to."""


class Crash(BaseException):
    """The process dies here, in the middle of whatever it does."""


@dataclass(frozen=True, kw_only=True)
class Habits:
    """How the provider calls back, and how well it is listened to."""

    silent: float  # the share of words that never come
    doubled: float  # of those that come twice
    counts: bool  # it only counts the messages, for they are voicemail
    held_back: float  # of the requests of which it says nothing before somebody has settled what is unknown
    stray: float  # of the requests that it turned away, and calls back about all the same
    latest: float  # seconds that a word is late at most
    patience: float  # seconds that a listener waits for more, to write them together
    deaths: float  # the chance that a listener dies while it writes

    @classmethod
    def of(cls, dice: random.Random) -> Habits | None:
        """In two worlds of three nobody asks for callbacks."""
        if dice.random() < 2 / 3:
            return None
        return cls(
            silent=dice.choice([0.0, 0.3, 0.9]),
            doubled=dice.choice([0.0, 0.5]),
            counts=dice.random() < 0.3,
            held_back=dice.choice([0.0, 0.5]),
            stray=dice.choice([0.0, 0.5]),
            latest=dice.choice([1.0, 60.0, 7200.0]),
            patience=dice.choice([0.0, 5.0]),
            deaths=dice.choice([0.0, 0.3]),
        )


@dataclass(frozen=True, kw_only=True)
class Word:
    """One callback as the provider sends it. Of a person the one of the highest ``order`` is its last word.

    ``about`` is whose row it changes, to what it ``says``; ``called`` is everybody in its request.
    """

    callback: Callback
    order: tuple[bool, datetime]
    says: str
    about: tuple[Person, ...]
    called: tuple[Person, ...]


def words(campaign: Campaign, habits: Habits, now: datetime, dice: random.Random) -> Iterator[tuple[float, Word]]:
    """All that the provider will say of a request, and in how many seconds: in any order, some of it twice."""
    for word in _counts(campaign, now, dice) if habits.counts else _of_each(campaign, now, dice):
        copies = 0 if dice.random() < habits.silent else 1 + (dice.random() < habits.doubled)
        for _ in range(copies):
            yield (word.order[1] - now).total_seconds() + dice.random() ** 3 * habits.latest, word


def stray(attempt_id: str, number: str, dice: random.Random) -> Word:
    """About a request that the provider turned away: nobody was called, and it does not say that anybody was."""
    status = dice.choice([Delivery.PENDING, Delivery.UNDELIVERED])
    said = Callback(
        attempt_id=attempt_id, channel=Channel.VOICE_SMS, campaign_id="stray", number=number, status=status, body="?"
    )
    return Word(callback=said, order=(False, NEVER), says="", about=(), called=())


def _of_each(campaign: Campaign, now: datetime, dice: random.Random) -> Iterator[Word]:
    for number in campaign.numbers:
        sent_at = now + timedelta(seconds=1)
        if dice.random() < 0.5:
            yield _word(campaign, number, Delivery.PENDING, sent_at)
        done_at = sent_at
        for status in dice.choice(ENDS):
            done_at += timedelta(seconds=dice.randint(1, 60))
            answered = dice.choice([None, True, False]) if status is Delivery.DELIVERED else None
            yield _word(campaign, number, status, done_at, answered=answered)


def _word(campaign: Campaign, number: str, status: Delivery, at: datetime, *, answered: bool | None = None) -> Word:
    said = Callback(
        attempt_id=str(campaign.notify_url),
        channel=Channel.VOICE_SMS,
        campaign_id=campaign.id,
        number=number,
        status=status,
        answered=answered,
        sent_at=at if status is Delivery.PENDING else None,
        done_at=None if status is Delivery.PENDING else at,
        body=f"{number} {status} {at}",
    )
    heard = {None: "", True: ", answered", False: ", not answered"}[answered]
    return Word(
        callback=said,
        order=(status is not Delivery.PENDING, at),
        says=f"{status}{heard}",
        about=((campaign.message_id, number),),
        called=_everyone(campaign),
    )


def _counts(campaign: Campaign, now: datetime, dice: random.Random) -> Iterator[Word]:
    """Only ever more of the campaign's messages are delivered."""
    of, at = len(campaign.numbers), now
    for delivered in sorted(dice.sample(range(of + 1), dice.randint(0, of + 1))):
        at += timedelta(seconds=dice.randint(1, 60))
        said = Callback(
            attempt_id=str(campaign.notify_url),
            channel=Channel.VOICEMAIL,
            campaign_id=campaign.id,
            delivered=delivered,
            total=of,
            body=f"{delivered} of {of}",
        )
        says = "delivered" if delivered == of else f"{delivered} of {of} delivered"
        everyone = _everyone(campaign)
        yield Word(callback=said, order=(True, at), says=says, about=everyone, called=everyone)


def _everyone(campaign: Campaign) -> tuple[Person, ...]:
    return tuple((campaign.message_id, number) for number in campaign.numbers)


@dataclass(kw_only=True)
class Listener:
    """Writes what it hears to the ledger, some of it together. What it could not write comes again.

    ``at`` lets something happen in so many seconds, ``say`` writes the world's story.
    """

    ledger: Ledger
    habits: Habits
    random: random.Random
    at: Callable[[float, Callable[[], None]], None]
    say: Callable[[str], None]
    heard: dict[Person, Word] = field(default_factory=dict)  # of each person the last word
    called: set[Person] = field(default_factory=set)  # who certainly was
    _waiting: list[Word] = field(default_factory=list)

    def hear(self, word: Word) -> None:
        """A callback comes in."""
        self._waiting.append(word)
        if len(self._waiting) == 1:
            self.at(self.random.random() * self.habits.patience, self._write)

    def take(self, some: Sequence[Word]) -> bool:
        """Writes them in one transaction, as one answer for all; whether it lived. What is answered is kept."""
        self.say(f"{len(some)} callbacks come in")
        try:
            with self._perhaps_dying():
                self.ledger.take_callbacks([word.callback for word in some], now=self.ledger.now())
        except Crash:
            self.say("the listener dies, and the provider repeats what has no answer")
            for word in some:
                self.at(self.random.expovariate(1 / 30), partial(self.hear, word))
            return False
        self._note(some)
        return True

    def _write(self) -> None:
        some, self._waiting = self._waiting, []
        self.random.shuffle(some)
        self.take(some)

    def check_claim(self, batch: Batch) -> None:
        """Nobody is sent anything once the ledger knows that it was."""
        known = {(batch.message.id, number) for number in batch.numbers} & self.called
        assert not known, "somebody is to be called after a callback"

    def _note(self, some: Sequence[Word]) -> None:
        for word in some:
            self.called.update(word.called)
            for person in word.about:
                self.heard[person] = max(word, self.heard.get(person, word), key=lambda one: one.order)

    @contextlib.contextmanager
    def _perhaps_dying(self) -> Iterator[None]:
        """At some statement, or after the commit."""
        if self.random.random() >= self.habits.deaths:
            yield
            return
        last, counter = self.random.randint(1, 12), itertools.count(1)

        def die(*_: Any) -> None:
            if next(counter) == last:
                raise Crash

        event.listen(self.ledger._engine, "before_cursor_execute", die)
        try:
            yield
        finally:
            event.remove(self.ledger._engine, "before_cursor_execute", die)
        raise Crash
