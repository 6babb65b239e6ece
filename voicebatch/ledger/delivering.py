"""Callbacks: what the provider says of requests that it took. The first one settles a request that was unknown.

They come in any order, more than once, and from several listeners at a time, so everything here is the same whichever
comes first: a callback is kept once, and of a number's callbacks the one of the highest rank counts. The locks are in
the ledger's one order (the run, its batches), and what has no such order is sorted.
"""

from __future__ import annotations

import secrets as randomness
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, select

from voicebatch import phones, wire
from voicebatch.ledger import engine as databases
from voicebatch.ledger import events, queue
from voicebatch.ledger.enqueueing import batched
from voicebatch.ledger.records import Receipt
from voicebatch.ledger.tables import attempts, batches, callbacks, deliveries, runs, secrets
from voicebatch.models import BatchStatus, Callback, Channel, Delivery, EventKind, Outcome, digest

_OWNER: Final = "callbacks"
_AT_ONCE: Final = 500  # values in one statement
_NATIONAL_DIGITS: Final = 9  # of a French number, wherever in the world it is
_OVERSEAS: Final = ("+262", "+508", "+590", "+594", "+596")  # dialled like a French one from there, and in callbacks
_LONG_AGO: Final = datetime(1, 1, 2, tzinfo=UTC)
_LONGEST_CALL: Final = Decimal(86_400)  # seconds; more is a slip of somebody's unit

_MAY_HAVE_CALLED: Final = frozenset({None, Outcome.UNKNOWN, Outcome.ACCEPTED})
"""Of other attempts the provider said that it did nothing: only a message that was delivered says otherwise."""

_ATTEMPTS: Final = (
    select(attempts, batches.c.run_id, batches.c.numbers, batches.c.opted_out)
    .add_columns(batches.c.status, batches.c.estimate, batches.c.split_from, runs.c.channel)
    .select_from(attempts.join(batches).join(runs))
    .where(attempts.c.id.in_(bindparam("ids", expanding=True)))
)
_KNOWN: Final = select(callbacks.c.digest).where(callbacks.c.digest.in_(bindparam("digests", expanding=True)))
_PARTS: Final = select(batches.c.id, batches.c.numbers).where(
    batches.c.run_id == bindparam("run_id"),
    batches.c.split_from == bindparam("whole"),
    batches.c.status != BatchStatus.SPLIT,
)
_BATCH: Final = select(batches).where(batches.c.id == bindparam("batch_id")).with_for_update()


def secret(connection: Connection) -> bytes:
    """See ``Ledger.callback_secret``."""
    known = select(secrets.c.value).where(secrets.c.name == _OWNER)
    found = connection.execute(known).scalar()
    if found is None:
        new = {"name": _OWNER, "value": randomness.token_bytes(wire.SECRET_BYTES)}
        databases.insert_new(connection, secrets, [new])  # another process may have been quicker
        found = connection.execute(known).scalar_one()
    return bytes(found)


def take(connection: Connection, said: Sequence[Callback], *, now: datetime) -> list[Receipt]:
    """See ``Ledger.take_callbacks``."""
    digests = [digest(one.attempt_id, one.channel, one.body) for one in said]
    known = {found for some in batched(set(digests), _AT_ONCE) for found in _known(connection, some)}
    new = {of_it: one for of_it, one in zip(digests, said, strict=True) if of_it not in known}
    about = _attempts(connection, {one.attempt_id for one in new.values()})
    moving = {one.attempt_id for one in new.values() if _may_move(one, about.get(one.attempt_id))}
    for run_id in sorted({about[attempt_id].run_id for attempt_id in moving}):
        connection.execute(queue.LOCK_RUN, {"run_id": run_id})
    if moving:  # others may have changed what is known of them while we waited for the lock
        about |= _attempts(connection, moving)
    read = {of_it: _read(one, about.get(one.attempt_id)) for of_it, one in new.items()}
    _keep(connection, read, now)
    _keep_deliveries(connection, list(read.values()))
    settled = dict(_settle(connection, read.values(), now))
    return [_receipt(read.pop(of_it, None), settled) for of_it in digests]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """A new callback beside its attempt (``None``: not in this ledger): whose it is, and what is odd about it.

    ``is_yes``: it shows that the provider took the request; ``counts``: what it says of deliveries is believed.
    """

    callback: Callback
    attempt: Row[Any] | None
    number: str | None = None
    problem: str | None = None
    is_yes: bool = False
    counts: bool = False

    @property
    def rank(self) -> str:
        """Digits alone, which every database sorts alike. What is at its end counts more, then what is later."""
        said = self.callback
        at = (said.done_at or said.sent_at or _LONG_AGO).astimezone(UTC)
        end = said.status in {Delivery.DELIVERED, Delivery.UNDELIVERED}
        places = (
            f"{end:d}",
            f"{at.year:04d}{at:%m%d%H%M%S}",  # %Y does not pad
            f"{said.status is Delivery.DELIVERED:d}",
            "0" if said.answered is None else f"{1 + said.answered:d}",
            f"{_milliseconds(said.seconds) or 0:09d}",
        )
        return "".join(places)


def _known(connection: Connection, digests: Sequence[str]) -> Iterator[str]:
    yield from connection.execute(_KNOWN, {"digests": digests}).scalars()


def _attempts(connection: Connection, ids: Iterable[str]) -> dict[str, Row[Any]]:
    found = (row for some in batched(sorted(ids), _AT_ONCE) for row in connection.execute(_ATTEMPTS, {"ids": some}))
    return {row.id: row for row in found}


def _may_move(said: Callback, attempt: Row[Any] | None) -> bool:
    """Whether it may change more than one person's last word: its attempt, its batch, or what its run costs."""
    if attempt is None:
        return False
    is_open = attempt.called_at is None or attempt.outcome is None or _is_taken_back(attempt)
    return is_open or said.total is not None


def _read(said: Callback, attempt: Row[Any] | None) -> _Read:
    if attempt is None:
        return _Read(callback=said, attempt=None, problem="its request is not in this ledger")
    may_have_called = attempt.outcome in _MAY_HAVE_CALLED and not _is_taken_back(attempt)
    is_yes = may_have_called or said.status is Delivery.DELIVERED or bool(said.delivered)
    number = _number(said.number, attempt) if said.number else None
    return _Read(
        callback=said,
        attempt=attempt,
        number=number,
        problem=_problem(said, attempt, number, is_yes=is_yes),
        is_yes=is_yes,
        counts=is_yes and said.channel == attempt.channel and (bool(number and said.status) or _adds_up(said, attempt)),
    )


def _is_taken_back(attempt: Row[Any]) -> bool:
    """Cancelled at the provider's, after it had said yes: what is pending or undelivered says nothing new of it."""
    return bool(attempt.outcome == Outcome.ACCEPTED and attempt.status == BatchStatus.CANCELLED)


def _number(said: str, attempt: Row[Any]) -> str | None:
    """Which number of the request it is; one written nationally may be of a French overseas department."""
    numbers = {*attempt.numbers.split(","), *(attempt.opted_out or {})}
    if said in numbers:
        return said
    overseas = [f"{code}{said[-_NATIONAL_DIGITS:]}" for code in _OVERSEAS if said.startswith("+33")]
    alike = numbers.intersection(overseas)
    return alike.pop() if len(alike) == 1 else None


def _adds_up(said: Callback, attempt: Row[Any]) -> bool:
    """Whether a campaign's count can be of the request's people."""
    everyone = len({*attempt.numbers.split(","), *(attempt.opted_out or {})})
    return said.total is not None and 0 <= (said.delivered or 0) <= said.total and 0 < said.total <= everyone


def _problem(said: Callback, attempt: Row[Any], number: str | None, *, is_yes: bool) -> str | None:
    if not is_yes:
        return "its request was cancelled" if _is_taken_back(attempt) else "its request was not accepted"
    if said.channel != attempt.channel:
        return "it is of another channel than its request"
    if said.channel == Channel.VOICEMAIL:
        if not _adds_up(said, attempt):
            return "its count is not one of the people in the request"
    elif number is None:
        return "its number is not in the request" if said.number else "it names no number"
    elif said.status is None:
        return "its status is none of the documented ones"
    if attempt.campaign_id and attempt.campaign_id != said.campaign_id:
        return "it names another campaign than the answer (and counts all the same)"
    return None


def _keep(connection: Connection, read: Mapping[str, _Read], now: datetime) -> None:
    lines = [
        {
            "digest": of_it,
            "received_at": now,
            "attempt_id": one.callback.attempt_id,
            "channel": one.callback.channel,
            "campaign_id": one.callback.campaign_id,
            "number": one.callback.number,
            "status": one.callback.status,
            "problem": one.problem,
            "body": one.callback.body,
        }
        for of_it, one in sorted(read.items())
    ]
    if lines:
        databases.insert_new(connection, callbacks, lines)


def _keep_deliveries(connection: Connection, read: Sequence[_Read]) -> None:
    """Of several about one number only the last word: a statement cannot change a row twice."""
    last: dict[tuple[str, str], _Read] = {}
    parts = _parts(connection, [one.attempt for one in read if one.attempt and one.attempt.status == BatchStatus.SPLIT])
    for one in read:
        if one.attempt is not None and one.number and one.counts:
            batch_id = parts.get((one.attempt.id, one.number), one.attempt.batch_id)
            last[batch_id, one.number] = max(one, last.get((batch_id, one.number), one), key=lambda read: read.rank)
    if last:
        lines = [_delivery(batch_id, number, one) for (batch_id, number), one in sorted(last.items())]
        databases.insert_or_outrank(connection, deliveries, lines)


def _parts(connection: Connection, of: Iterable[Row[Any]]) -> dict[tuple[str, str], str]:
    """In which part of its batch everybody is whose batch was split since, by attempt and number."""
    return {
        (attempt.id, number): part.id
        for attempt in {attempt.id: attempt for attempt in of}.values()
        for part in _parts_of(connection, attempt)
        for number in part.numbers.split(",")
    }


def _parts_of(connection: Connection, attempt: Row[Any]) -> Iterable[Row[Any]]:
    whole = attempt.split_from or attempt.batch_id
    return connection.execute(_PARTS, {"run_id": attempt.run_id, "whole": whole})


def _delivery(batch_id: str, number: str, one: _Read) -> dict[str, Any]:
    said = one.callback
    return {
        "batch_id": batch_id,
        "number": number,
        "calling_code": phones.calling_code(number),
        "status": said.status,
        "answered": None if said.answered is None else int(said.answered),
        "milliseconds": _milliseconds(said.seconds),
        "done_at": said.done_at,
        "rank": one.rank,
    }


def _milliseconds(seconds: Decimal | None) -> int | None:
    return None if seconds is None else int(min(max(seconds, Decimal(0)), _LONGEST_CALL) * 1000)


def _settle(connection: Connection, read: Iterable[_Read], now: datetime) -> Iterator[tuple[str, int]]:
    """By attempt, how many people its first callback settled."""
    of_attempts: dict[str, list[_Read]] = {}
    for one in read:
        if one.attempt is not None and one.is_yes:
            of_attempts.setdefault(one.attempt.id, []).append(one)
    for attempt_id, some in sorted(of_attempts.items()):
        attempt = some[0].attempt
        assert attempt is not None  # noqa: S101 # for the type checker: see above
        values = _counted(attempt, [one.callback for one in some if one.counts])
        is_first = attempt.called_at is None
        is_news = is_first or _is_taken_back(attempt)
        if is_first:
            values |= {"called_at": now, "campaign_id": attempt.campaign_id or some[0].callback.campaign_id}
        if values:
            connection.execute(queue.SET_ATTEMPT, {"of_attempt": attempt_id, **values})
        if is_first:
            _hold_estimate(connection, attempt)
        if is_news:
            yield attempt_id, _accept(connection, attempt, now)


def _hold_estimate(connection: Connection, attempt: Row[Any]) -> None:
    """What a request cost whose answer was lost stays an estimate, also if somebody had settled it as not sent."""
    is_free = attempt.outcome not in {None, Outcome.ACCEPTED} and attempt.held is None
    if is_free and attempt.estimate:
        connection.execute(queue.SET_ATTEMPT, {"of_attempt": attempt.id, "held": attempt.estimate})
        run = connection.execute(queue.LOCK_RUN, {"run_id": attempt.run_id}).one()  # as this transaction has left it
        queue.commit_cost(connection, run, attempt.estimate)


def _counted(attempt: Row[Any], said: Sequence[Callback]) -> dict[str, Any]:
    """A campaign's count, which only grows."""
    counts = [(one.delivered or 0, one.total or 0) for one in said if one.total is not None]
    if not counts:
        return {}
    delivered, total = max([*counts, (attempt.delivered or 0, attempt.delivered_of or 0)])
    return {"delivered": delivered, "delivered_of": total}


def _accept(connection: Connection, attempt: Row[Any], now: datetime) -> int:
    """The batch of an attempt that the provider certainly took."""
    batch = connection.execute(_BATCH, {"batch_id": attempt.batch_id}).one()
    if batch.status == BatchStatus.SENDING:
        if attempt.number != batch.attempts:
            text = f"a callback shows that attempt {attempt.number} was taken, and the batch is being sent again"
            events.tell(connection, batch.run_id, EventKind.LATE, text, who=queue.CALLBACK, at=now, batch_id=batch.id)
        return 0  # its own answer is still to come
    return queue.accept_late(connection, batch)


def _receipt(one: _Read | None, settled: dict[str, int]) -> Receipt:
    """Of one that came before, or a moment ago, there is nothing to read any more."""
    if one is None:
        return Receipt(is_new=False)
    return Receipt(is_new=True, problem=one.problem, settled=settled.pop(one.callback.attempt_id, 0))
