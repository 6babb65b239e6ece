"""Any sequence of ledger operations keeps statuses legal, calls nobody twice, and knows what it costs."""

from __future__ import annotations

import functools
import itertools
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.ledger.moves import FAR, FARTHER, LEASE, ME, UNIT, MakeRun, Yes, committed, price
from voicebatch.batching import Regrouping, regroup
from voicebatch.ledger import Claim, Ledger, Wait, Worker
from voicebatch.ledger.events import SILENCE
from voicebatch.ledger.records import ROW_STATUS
from voicebatch.models import (
    BatchStatus,
    Callback,
    Channel,
    Delivery,
    Outcome,
    RateLimit,
    Reply,
    RequestCounts,
    RowStatus,
    Verdict,
)

LIMITS: Final = (RateLimit(requests=4, seconds=10), RateLimit(requests=20, seconds=120))
NEXT: Final = {
    Outcome.ACCEPTED: BatchStatus.ACCEPTED,
    Outcome.REFUSED: BatchStatus.REFUSED,
    Outcome.UNKNOWN: BatchStatus.UNKNOWN,
}
NOBODY_WAS_CALLED: Final = {Outcome.REFUSED, Outcome.THROTTLED, Outcome.NOT_SENT, Outcome.ACCOUNT}
WORKERS: Final = (ME, FAR, FARTHER)
CEILINGS: Final = (None, None, None, price("1" * 8), price("1" * 16))
OUTCOMES: Final = (*Outcome, Outcome.ACCEPTED, Outcome.ACCEPTED, Outcome.REFUSED, Outcome.UNKNOWN, Outcome.THROTTLED)
EXAMPLES: Final = int(os.environ.get("VOICEBATCH_EXAMPLES", "15"))
_SERIAL: Final = itertools.count()


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a request ends, and how long after."""

    outcome: Outcome
    about_number: str | None
    wait_seconds: float | None
    seconds: int


ENDINGS: Final = st.builds(
    Ending,
    outcome=st.sampled_from(OUTCOMES),
    about_number=st.sampled_from([None, "all", "one"]),
    wait_seconds=st.none() | st.floats(0, 20),
    seconds=st.sampled_from([0, 1, 70]),
)


@dataclass(frozen=True, kw_only=True)
class Saying:
    """What a callback says of one person of its request or of a stranger; or (``None``) of how many of all."""

    whom: int | str | None  # a place in the request, or the stranger's number
    status: Delivery | None
    seconds: int  # how long ago it was so
    campaign_id: str
    delivered: int


SAYINGS: Final = st.builds(
    Saying,
    whom=st.integers(0, 3) | st.sampled_from([None, "+4912345678"]),
    status=st.sampled_from([*Delivery, None]),
    seconds=st.integers(0, 3),
    campaign_id=st.sampled_from(["C1", "C2"]),
    delivered=st.integers(0, 4),
)


@dataclass(eq=False, kw_only=True)
class Attempt:
    """A request as the model knows it."""

    claim: Claim
    held: Decimal
    outcome: Outcome | None = None
    ended_at: datetime | None = None
    settled_as_not_sent: bool = False
    is_called_back: bool = False  # so that the provider took it

    @property
    def was_taken(self) -> bool:
        """By the provider's own word."""
        return self.outcome is Outcome.ACCEPTED or self.is_called_back

    @property
    def cost(self) -> Decimal:
        """What it cost, or may have."""
        if self.outcome is Outcome.ACCEPTED:
            return UNIT * len(self.claim.batch.numbers)
        may_have_cost = self.outcome in {None, Outcome.UNKNOWN} and not self.settled_as_not_sent
        return self.held if may_have_cost or self.was_taken else Decimal(0)

    @property
    def counted(self) -> bool:
        """Whether it took a slot of the rate limit."""
        return self.outcome is not Outcome.NOT_SENT


@dataclass(eq=False, kw_only=True)
class Group:
    """People who are in one batch, as the model knows it."""

    numbers: tuple[str, ...]
    ordinal: int
    estimate: Decimal
    batch_id: str = ""  # a part's is known when it was claimed
    status: BatchStatus = BatchStatus.QUEUED
    settled: Verdict | None = None
    attempts: list[Attempt] = field(default_factory=list)
    part_of: Group | None = None
    opted_out: set[str] = field(default_factory=set)  # while it was neither queued nor known
    withdrawn: set[str] = field(default_factory=set)  # who left it after a request of it

    @property
    def under_way(self) -> bool:
        return bool(self.attempts) and self.attempts[-1].ended_at is None

    @property
    def was_called(self) -> bool:
        yes = any(attempt.was_taken for attempt in self.attempts)
        return yes or (self.part_of is not None and self.part_of.was_called)

    def was_in_a_yes(self, number: str) -> bool:
        """Whether a request with this number was taken."""
        own = any(one.was_taken and number in one.claim.batch.numbers for one in self.attempts)
        return own or (self.part_of is not None and self.part_of.was_in_a_yes(number))

    def is_in(self, other: Group) -> bool:
        """Whether it is the other, or a part of it."""
        return self is other or (self.part_of is not None and self.part_of.is_in(other))


class AnySequence(RuleBasedStateMachine):
    """What the ledger says is compared with a model of every person and every request after every step."""

    claims = Bundle("claims")

    def __init__(self, ledger: Ledger, make_run: MakeRun, yes: Yes) -> None:
        super().__init__()
        self.ledger, self.make_run, self.yes = ledger, make_run, yes

    @initialize(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4))
    def enqueue(self, sizes: list[int]) -> None:
        self.now = datetime(2027, 3, 1, 12, 0, tzinfo=UTC) + next(_SERIAL) * timedelta(days=1)
        self.run = self.make_run(*sizes)
        assert self.ledger.enqueue(self.run, now=self.now)
        assert not self.ledger.enqueue(self.make_run(1, key=self.run.key), now=self.now)
        self.ledger.set_estimates(self.run.id, price)
        self.groups = [
            Group(numbers=batch.numbers, ordinal=batch.ordinal, estimate=price(batch.numbers), batch_id=batch.id)
            for batch, _ in self.run.batches
        ]
        self.seen: dict[Worker, datetime] = {}
        self.max_cost: Decimal | None = None
        self.opted_out: set[str] = set()
        self.stopped = False
        self.called_back: list[Callback] = []
        self.words: dict[str, tuple[bool, datetime, bool, str]] = {}

    # What workers do

    @rule(worker=st.sampled_from(WORKERS), max_cost=st.sampled_from(CEILINGS))
    def join(self, worker: Worker, max_cost: Decimal | None) -> None:
        self.ledger.join(
            self.run.id, worker=worker, now=self.now, max_cost=max_cost, currency="EUR", is_gone=lambda _: False
        )
        present = {one for one, seen in self.seen.items() if seen > self.now - SILENCE}
        if max_cost is not None or not present - {worker}:
            self.max_cost = max_cost
        self.seen[worker] = self.now
        self.stopped = False

    @precondition(lambda self: self.seen)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from([*self.seen]))
        self._pass_time(1)
        self.ledger.leave(self.run.id, worker=worker, now=self.now)
        del self.seen[worker]
        self._pass_time(1)

    @precondition(lambda self: self._waiting())
    @rule(target=claims, worker=st.sampled_from(WORKERS))
    def claim(self, worker: Worker) -> object:
        return self._claim(worker) or multiple()

    @precondition(lambda self: self._waiting())
    @rule(target=claims, worker=st.sampled_from(WORKERS))
    def claim_and_be_lost(self, worker: Worker) -> object:
        """It may still come back with an answer."""
        claimed = self._claim(worker)
        self.give_up_lost(60)
        return claimed or multiple()

    def _waiting(self) -> list[Group]:
        queued = [one for one in self.groups if one.status is BatchStatus.QUEUED]
        return sorted(queued, key=lambda one: one.ordinal)

    def _try(self, worker: Worker) -> Claim | Wait | None:
        options: dict[str, Any] = {"limits": LIMITS, "now": self.now, "lease_seconds": LEASE.total_seconds()}
        return self.ledger.claim(self.run.id, worker=worker, limiter=self.run.id, **options)

    def _claim(self, worker: Worker) -> Claim | None:
        waiting, claimed = self._waiting(), self._try(worker)
        if isinstance(claimed, Wait):
            self.now = claimed.until
            claimed = self._try(worker)
        if claimed is None:
            self.stopped |= self._is_too_dear(waiting[0])
            assert self.stopped
            self.join(worker, None)  # and goes on another time
        if not isinstance(claimed, Claim):
            return None
        assert not self.stopped
        group = next(one for one in waiting if one.numbers == claimed.batch.numbers)
        assert group.ordinal == waiting[0].ordinal
        assert not self._is_too_dear(group)
        assert group.batch_id in {claimed.batch.id, ""}
        self._check_that_nobody_is_called_twice(claimed)
        group.batch_id, group.status, group.settled = claimed.batch.id, BatchStatus.SENDING, None
        group.attempts.append(Attempt(claim=claimed, held=group.estimate))
        usages = self.ledger.usages(self.run.id, LIMITS, now=self.now)
        assert all(usage.taken <= usage.limit.requests for usage in usages)  # only a late answer can make it more
        assert claimed.attempt_id == f"{group.batch_id}.{len(group.attempts)}"
        if worker in self.seen:
            self.seen[worker] = self.now
        return claimed

    def _is_too_dear(self, group: Group) -> bool:
        return self.max_cost is not None and self._committed() + group.estimate > self.max_cost

    def _check_that_nobody_is_called_twice(self, claimed: Claim) -> None:
        """Unless a person says that an earlier request did not arrive, and nothing is known that says it did."""
        for attempt in self._attempts():
            if not set(attempt.claim.batch.numbers).isdisjoint(claimed.batch.numbers):
                settled = attempt.outcome is Outcome.UNKNOWN and attempt.settled_as_not_sent
                assert settled or attempt.outcome in NOBODY_WAS_CALLED
                assert not attempt.was_taken
        assert self.opted_out.isdisjoint(claimed.batch.numbers)

    @precondition(lambda self: self._waiting())
    @rule(worker=st.sampled_from(WORKERS), ending=ENDINGS)
    def send(self, worker: Worker, ending: Ending) -> None:
        if claimed := self._claim(worker):
            self.record(claimed, ending)

    @rule(claimed=consumes(claims), ending=ENDINGS)
    def record(self, claimed: Claim, ending: Ending) -> None:
        self._pass_time(ending.seconds)
        group = next(one for one in self.groups if one.batch_id == claimed.batch.id)
        reply = self._reply(claimed, ending)
        self.ledger.record(claimed, reply, now=self.now, limits=LIMITS, estimate=price)
        self._note(group, claimed, reply)
        stop = self.ledger.find(self.run.id).stop
        assert stop or not (self.stopped or ending.outcome is Outcome.ACCOUNT)
        self.stopped = stop is not None

    def _reply(self, claimed: Claim, ending: Ending) -> Reply:
        outcome, wait = ending.outcome, ending.wait_seconds
        if outcome is Outcome.ACCEPTED:
            return replace(self.yes(len(claimed.batch.numbers), str(UNIT)), wait_seconds=wait)
        refused = outcome is Outcome.REFUSED and ending.about_number
        reason = f"{claimed.batch.numbers[0]} is wrong" if refused == "one" else str(outcome)
        return Reply(outcome=outcome, reason=reason, wait_seconds=wait, about_number=bool(refused))

    def _note(self, group: Group, claimed: Claim, reply: Reply) -> None:
        attempt = next(one for one in group.attempts if one.claim == claimed)
        if attempt.outcome is reply.outcome:
            return
        is_lost = reply.outcome is Outcome.UNKNOWN
        attempt.outcome, attempt.ended_at = reply.outcome, max(self.now, claimed.lease_until) if is_lost else self.now
        is_latest = attempt is group.attempts[-1]
        if reply.outcome is Outcome.ACCEPTED:
            self._accept(group)
            if is_latest:
                self._was_called(group)
        elif is_latest:
            self._end(group, reply)

    def _accept(self, group: Group) -> None:
        """Its people were called, in whatever part they are; one that is under way waits for that end.

        Some of them may have lost people since this request, who were called by it too.
        """
        for one in self.groups:
            if one.status is not BatchStatus.SPLIT and not one.under_way and one.is_in(group):
                self._was_called(one)

    def _was_called(self, group: Group) -> None:
        group.status, group.settled = BatchStatus.ACCEPTED, None
        called = {number for number in group.withdrawn if group.was_in_a_yes(number)}
        self.opted_out -= called
        group.numbers += tuple(called)
        group.withdrawn -= called

    def _end(self, group: Group, reply: Reply) -> None:
        if group.was_called:
            self._was_called(group)
            return
        parts = regroup(group.numbers, said=reply.reason) if reply.about_number and group.numbers else None
        status = NEXT.get(reply.outcome, BatchStatus.QUEUED)
        status = BatchStatus.SPLIT if parts and parts.again else status
        is_again = status in {BatchStatus.QUEUED, BatchStatus.SPLIT}
        if group.settled is Verdict.SENT and is_again:
            group.status, group.settled = BatchStatus.UNKNOWN, None
        elif not (group.settled and self._is_known(group, status)):
            group.status, group.settled = status, None
            if parts and parts.again:
                self._split(group, parts)
            if is_again:
                self._withdraw(group.opted_out)

    def _is_known(self, group: Group, status: BatchStatus) -> bool:
        """Whether the answer leaves a verdict as it is."""
        left_out = group.status is BatchStatus.CANCELLED and status is BatchStatus.SPLIT
        return status in {BatchStatus.UNKNOWN, BatchStatus.QUEUED} or left_out

    def _split(self, group: Group, parts: Regrouping) -> None:
        new = [(numbers, BatchStatus.QUEUED) for numbers in parts.again]
        for numbers, status in [*new, (parts.refused, BatchStatus.REFUSED)]:
            whole, own = price(group.numbers), price(numbers)
            estimate = own if whole >= group.estimate else round(group.estimate * own / whole, 6)
            part = Group(numbers=numbers, ordinal=group.ordinal, estimate=estimate, status=status, part_of=group)
            self.groups += [part] if numbers else []

    # What the provider calls back about

    @precondition(lambda self: any(self._attempts()))
    @rule(data=st.data(), sayings=st.lists(SAYINGS, min_size=1, max_size=3))
    def call_back(self, data: st.DataObject, sayings: list[Saying]) -> None:
        """About requests of any time, several together. The first one of each that shows that it was taken settles."""
        chosen = [(data.draw(st.sampled_from(list(self._attempts()))), saying) for saying in sayings]
        said = [self._said(attempt, saying) for attempt, saying in chosen]
        self.called_back += said
        receipts = self.ledger.take_callbacks(said, now=self.now)
        assert all(receipt.is_new for receipt in receipts)
        is_news = [attempt for attempt in dict.fromkeys(attempt for attempt, _ in chosen) if not attempt.was_taken]
        for (attempt, saying), one in zip(chosen, said, strict=True):
            self._hear(attempt, saying, one)
        for attempt in is_news:
            if attempt.was_taken:
                self._accept(next(group for group in self.groups if attempt in group.attempts))

    @precondition(lambda self: self.called_back)
    @rule(data=st.data())
    def repeat_callbacks(self, data: st.DataObject) -> None:
        again = data.draw(st.lists(st.sampled_from(self.called_back), min_size=1, max_size=3))
        assert not any(receipt.is_new for receipt in self.ledger.take_callbacks(again, now=self.now))

    def _said(self, attempt: Attempt, saying: Saying) -> Callback:
        """No two are alike."""
        nothing = Callback(
            attempt_id=attempt.claim.attempt_id,
            channel=Channel.VOICE_SMS,
            campaign_id=saying.campaign_id,
            done_at=self.now - timedelta(seconds=saying.seconds),
            body=f"body {next(_SERIAL)}",
        )
        numbers, whom = attempt.claim.batch.numbers, saying.whom
        if whom is None:
            delivered = min(saying.delivered, len(numbers))
            return replace(nothing, channel=Channel.VOICEMAIL, delivered=delivered, total=len(numbers))
        number = whom if isinstance(whom, str) else numbers[whom % len(numbers)]
        return replace(nothing, number=number, status=saying.status)

    def _hear(self, attempt: Attempt, saying: Saying, said: Callback) -> None:
        """Of what it turned away only a delivery shows that it was not."""
        is_delivered = said.status is Delivery.DELIVERED or bool(said.delivered)
        counts_now = attempt.outcome not in NOBODY_WAS_CALLED or is_delivered
        attempt.is_called_back |= counts_now
        if counts_now and isinstance(saying.whom, int) and said.status and said.number and said.done_at:
            is_end = said.status is not Delivery.PENDING
            word = is_end, said.done_at, said.status is Delivery.DELIVERED, str(said.status)
            self.words[said.number] = max(word, self.words.get(said.number, word))

    def _pass_time(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @precondition(lambda self: any(one.under_way for one in self.groups))
    @rule(seconds=st.integers(1, 70))
    def give_up_lost(self, seconds: int) -> None:
        self._pass_time(seconds)
        lost = [one for one in self.groups if one.under_way and one.attempts[-1].claim.lease_until <= self.now]
        assert self.ledger.give_up_lost(now=self.now, is_gone=lambda _: False) == len(lost)
        for group in lost:
            group.attempts[-1].outcome, group.attempts[-1].ended_at = Outcome.UNKNOWN, self.now
            group.status = BatchStatus.UNKNOWN
            if group.was_called:
                self._was_called(group)

    # What people do

    @precondition(lambda self: self._unknown())
    @rule(verdict=st.sampled_from(Verdict), requeue=st.booleans())
    def settle_all(self, verdict: Verdict, *, requeue: bool) -> None:
        self._settle(self._unknown(), [], verdict, requeue=requeue and verdict is Verdict.NOT_SENT)

    @precondition(lambda self: self._unknown())
    @rule(verdict=st.sampled_from(Verdict), requeue=st.booleans(), data=st.data())
    def settle_one(self, verdict: Verdict, *, requeue: bool, data: st.DataObject) -> None:
        group = data.draw(st.sampled_from(self._unknown()))
        self._settle([group], [group.batch_id], verdict, requeue=requeue and verdict is Verdict.NOT_SENT)

    @precondition(lambda self: self._settled())
    @rule(verdict=st.sampled_from(Verdict), requeue=st.booleans(), data=st.data())
    def settle_otherwise(self, verdict: Verdict, *, requeue: bool, data: st.DataObject) -> None:
        group = data.draw(st.sampled_from(self._settled()))
        self._settle([group], [group.batch_id], verdict, requeue=requeue and verdict is Verdict.NOT_SENT)

    def _settled(self) -> list[Group]:
        return [one for one in self.groups if one.settled and one.numbers]

    def _unknown(self) -> list[Group]:
        return [one for one in self.groups if one.status is BatchStatus.UNKNOWN]

    def _settle(self, groups: list[Group], names: list[str], verdict: Verdict, *, requeue: bool) -> None:
        settled = self.ledger.resolve(
            self.run.id, verdict, batch_ids=names, requeue=requeue, who="Zoé", why="looked it up", now=self.now
        )
        assert settled == len(groups)
        status = BatchStatus.QUEUED if requeue else BatchStatus.CANCELLED
        for group in groups:
            group.settled, group.status = verdict, BatchStatus.ACCEPTED if verdict is Verdict.SENT else status
            group.attempts[-1].settled_as_not_sent = verdict is Verdict.NOT_SENT
        for group in groups:
            self._withdraw(group.opted_out if requeue else set())

    @rule(data=st.data())
    def opt_out(self, data: st.DataObject) -> None:
        everyone = [number for batch, _ in self.run.batches for number in batch.numbers]
        people = data.draw(st.sets(st.sampled_from(everyone), max_size=2))
        gone = self._withdraw(people)
        for group in self.groups:
            group.opted_out |= people & set(group.numbers)
        assert self.ledger.suppress_queued(self.run.id, dict.fromkeys(people, "on the list")) == len(gone)

    def _withdraw(self, people: set[str]) -> set[str]:
        waiting = self._waiting()
        gone = {number for one in waiting for number in one.numbers if number in people}
        self.opted_out |= gone
        for group in waiting:
            if group.attempts or group.part_of:
                group.withdrawn |= gone & {*group.numbers}
            group.numbers = tuple(number for number in group.numbers if number not in gone)
            group.status = BatchStatus.QUEUED if group.numbers else BatchStatus.CANCELLED
        return gone

    # What must always hold

    def _attempts(self) -> Iterator[Attempt]:
        return (attempt for group in self.groups for attempt in group.attempts)

    def _committed(self) -> Decimal:
        return sum((attempt.cost for attempt in self._attempts()), Decimal(0))

    @invariant()
    def every_row_has_one_status_and_it_is_that_of_its_batch(self) -> None:
        expected = {
            number: ROW_STATUS[group.status]
            for group in self.groups
            if group.status is not BatchStatus.SPLIT
            for number in group.numbers
        }
        expected |= dict.fromkeys(self.opted_out, RowStatus.SUPPRESSED)
        lines = list(self.ledger.rows(self.run.id))
        assert {line.phone: line.status for line in lines if line.file == 0} == expected
        assert len(lines) == self.run.counts.total
        counts, found = self.ledger.row_counts(self.run.id), Counter(line.status for line in lines)
        assert {status: getattr(counts, status) for status in RowStatus} == {one: found[one] for one in RowStatus}

    @invariant()
    def the_last_word_of_everyone_who_was_called_is_known(self) -> None:
        told = {number: status for number, (*_, status) in self.words.items()}
        for line in self.ledger.rows(self.run.id):
            counts = line.delivery.endswith(f" {Delivery.DELIVERED}") or line.phone not in told
            if line.status is RowStatus.ACCEPTED and not counts:
                assert line.delivery == told[str(line.phone)]
            elif line.status is not RowStatus.ACCEPTED:
                assert line.delivery == ""

    @invariant()
    def requests_are_counted(self) -> None:
        attempts, status = list(self._attempts()), Counter(group.status for group in self.groups)
        assert self.ledger.request_counts(self.run.id) == RequestCounts(
            planned=len(list(self.run.batches)),
            sent=sum(one.counted for one in attempts),
            accepted=sum(one.outcome is not None and one.was_taken for one in attempts)
            + sum(one.status is BatchStatus.ACCEPTED and one.settled is not None for one in self.groups),
            refused=sum(one.outcome is Outcome.REFUSED for one in attempts),
            unknown=status[BatchStatus.UNKNOWN] + status[BatchStatus.SENDING],
            retried=sum(one.counted for group in self.groups for one in group.attempts[1:]),
        )
        assert self.ledger.is_sending(self.run.id) == (BatchStatus.SENDING in status)

    @invariant()
    def charges_are_those_of_the_answers_and_what_is_committed_is_what_they_may_come_to(self) -> None:
        answered = sorted(len(one.claim.batch.numbers) for one in self._attempts() if one.outcome is Outcome.ACCEPTED)
        assert sorted(charge.messages for charge, _ in self.ledger.charges(self.run.id)) == answered
        assert sum(answer.cost for answer in self.ledger.answers(self.run.id)) == UNIT * sum(answered)
        assert committed(self.ledger, self.run.id) == self._committed()

    @invariant()
    def slots_are_taken_by_whatever_is_under_way_or_ended_within_the_window(self) -> None:
        counted = [one for one in self._attempts() if one.counted]
        under_way = sum(one.ended_at is None for one in counted)
        for usage in self.ledger.usages(self.run.id, LIMITS, now=self.now):
            since = self.now - timedelta(seconds=usage.limit.seconds)
            recent = sum(one.ended_at is not None and one.ended_at > since for one in counted)
            assert (usage.open, usage.recent) == (under_way, recent)

    def teardown(self) -> None:
        self.ledger.give_up_lost(now=datetime.max.replace(tzinfo=UTC), is_gone=lambda _: True)


def test_any_sequence_of_operations_keeps_every_promise(ledger: Ledger, make_run: MakeRun, yes: Yes) -> None:
    machine: Any = functools.partial(AnySequence, ledger, make_run, yes)
    run_state_machine_as_test(machine, settings=settings(max_examples=EXAMPLES, stateful_step_count=25))
