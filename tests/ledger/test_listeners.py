"""Listeners, workers and persons in processes of their own, all at once: nobody waits for ever, and nothing is lost."""

from __future__ import annotations

import itertools
import multiprocessing
import random
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from tests.ledger.moves import FAR, LEASE, SECOND, UNKNOWN, MakeRun, Yes, claim, committed, price, queued, told
from voicebatch.ledger import Claim, Ledger
from voicebatch.models import Callback, Channel, Delivery, EventKind, Message, Reply, RowStatus, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.synchronize import Barrier

BATCHES: Final = 20
AT_ONCE: Final = 7
WORDS: Final = (Delivery.PENDING, Delivery.UNDELIVERED, Delivery.DELIVERED)
_together: Barrier


def wait_for_the_others(barrier: Barrier) -> None:
    """What each process does first."""
    global _together  # noqa: PLW0603 # a process has one
    _together = barrier


def listen(url: str, said: Sequence[Callback], seed: int) -> int:
    """Takes all of it in groups, in an order of its own; returns how many people that settled."""
    ledger, mine = Ledger(url), random.Random(seed).sample(said, len(said))  # noqa: S311 # any order will do
    _together.wait()
    groups = (mine[start : start + AT_ONCE] for start in range(0, len(mine), AT_ONCE))
    settled = sum(receipt.settled for group in groups for receipt in ledger.take_callbacks(group))
    ledger.close()
    return settled


def work(url: str, answers: Sequence[tuple[Claim, Reply]], now: datetime) -> int:
    """Records answers, and now and then gives up what is lost."""
    ledger = Ledger(url)
    _together.wait()
    for claimed, reply in answers:
        ledger.record(claimed, reply, now=now, estimate=price)
        ledger.give_up_lost(now=now, is_gone=lambda _: False)
    ledger.close()
    return 0


def decide(url: str, run_ids: Sequence[str], now: datetime) -> int:
    """Somebody who is in a hurry, and wrong: what is unknown was not sent, and is queued again."""
    ledger = Ledger(url)
    _together.wait()
    for run_id in [*run_ids] * AT_ONCE:
        ledger.resolve(run_id, Verdict.NOT_SENT, requeue=True, who="Zoé", why="in a hurry", now=now)
        ledger.suppress_queued(run_id, {"+33600000000": "is not in it"})
    ledger.close()
    return 0


def words_about(claimed: Claim, noon: datetime) -> list[Callback]:
    """Three of each number; of voicemail, counts that grow."""
    numbers, channel = claimed.batch.numbers, claimed.batch.message.channel
    nothing = Callback(attempt_id=claimed.attempt_id, channel=channel, campaign_id="C1")
    if channel is Channel.VOICEMAIL:
        return [
            replace(nothing, delivered=delivered, total=len(numbers), body=str(delivered))
            for delivered in range(len(numbers) + 1)
        ]
    return [
        replace(nothing, number=number, status=status, done_at=noon + at * SECOND, body=f"{number} {status}")
        for number, (at, status) in itertools.product(numbers, enumerate(WORDS))
    ]


def test_two_listeners_workers_and_a_person_do_not_stand_in_one_anothers_way(
    ledger: Ledger, ledger_url: str, make_run: MakeRun, yes: Yes, noon: datetime
) -> None:
    kinds = {Channel.VOICE_SMS: Message(text="Bonjour"), Channel.VOICEMAIL: Message(text="Bonsoir")}
    plans = [replace(make_run(*[2] * BATCHES, message=one), channel=channel) for channel, one in kinds.items()]
    runs = [queued(ledger, plan, noon) for plan in plans]
    for run in runs:
        ledger.set_estimates(run.id, price)
    claims = [claim(ledger, run, noon, worker=FAR) for _ in range(BATCHES) for run in runs]
    replies = itertools.cycle([yes(2), UNKNOWN, None])  # of each third one nothing is heard again
    answers = [(claimed, reply) for claimed, reply in zip(claims, replies, strict=False) if reply]
    said = [word for claimed in claims for word in words_about(claimed, noon)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(5, context, wait_for_the_others, (context.Barrier(5),)) as pool:
        at_once = [
            *(pool.submit(listen, ledger_url, said, seed) for seed in (1, 2)),
            *(pool.submit(work, ledger_url, answers[at::2], noon + LEASE) for at in (0, 1)),
            pool.submit(decide, ledger_url, [run.id for run in runs], noon + LEASE),
        ]
        settled = sum(one.result(120) for one in at_once)
    ledger.give_up_lost(now=noon + LEASE, is_gone=lambda _: True)
    assert 0 <= settled <= 2 * len(claims)
    for run in runs:
        lines = [line for line in ledger.rows(run.id) if line.batch_id]
        assert {(line.status, line.delivery) for line in lines} == {(RowStatus.ACCEPTED, "delivered")}
        counts = {(2, 2)} if run.channel is Channel.VOICEMAIL else set()
        assert set(ledger.campaign_counts(run.id).values()) == counts
        assert committed(ledger, run.id) == Decimal("0.24") * BATCHES
        by_callback = [event.batch_id for event in told(ledger, run, EventKind.SETTLED) if event.who == "callback"]
        assert len(by_callback) == len(set(by_callback))
    assert not any(receipt.is_new for receipt in ledger.take_callbacks(said))
