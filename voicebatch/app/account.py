"""The account's use cases: its credit, its recordings, the look before a send, and taking a run back."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from voicebatch import credentials, wire
from voicebatch.app.addresses import SANDBOX_KEY
from voicebatch.app.clocks import LedgerClock, SystemClock
from voicebatch.app.ledgers import default_ledger, opened
from voicebatch.app.limits import limiter_of
from voicebatch.app.reporting import concluded, reporting_to, user
from voicebatch.errors import AccountError, GuardError, InputError, UsageError, VoicebatchError
from voicebatch.ledger import Cancellable, Run, Scheduled, Tally, Worker
from voicebatch.models import AudioFile, CancelOutcome, Credit, Fault, RunSummary, people
from voicebatch.pipeline.plan import Plan
from voicebatch.pricing import money, total
from voicebatch.provider import Account, CancelReply, RefusedLookup, Throttled, Unanswered
from voicebatch.reports.cells import make_folder
from voicebatch.sending import LEASE_MARGIN

if TYPE_CHECKING:
    from voicebatch.ledger import Ledger
    from voicebatch.pipeline.outlook import Outlook
    from voicebatch.sending import Clock

_T = TypeVar("_T")
OnWait = Callable[[datetime, str], None]
"""Is told until when somebody has to wait, and why."""

_SECONDS_BEFORE_SENDING: Final = 10.0  # of each look-up: to connect, and once more to the end of the answer
_PATIENCE: Final = timedelta(seconds=150)  # of who asked for it: two windows of the credit's limit
_NO_PATIENCE: Final = timedelta(0)
_PATIENCE_TO_CANCEL: Final = timedelta(minutes=10)  # with one campaign: nobody has to be called meanwhile
_NAP: Final = timedelta(seconds=5)  # who waits for a slot looks again: a look-up may end sooner than it could
_LOST_IN_A_ROW: Final = 3  # cancellations without an answer, after which the rest is not asked for
_CREDIT: Final = "credit"
_NEVER: Final = threading.Event()
_UNSENT: Final = "Nothing was sent."


def ignore_wait(_until: datetime, _reason: str) -> None:
    """For who does not watch."""


# Look-ups


def credit(
    *,
    api_key: str | None = None,
    base_url: str | None = None,
    timeout: float = 30.0,
    ledger: str | None = None,
    clock: Clock | None = None,
    on_wait: OnWait = ignore_wait,
) -> Credit:
    """What is left on the account, under the provider's limit over all processes of the ledger.

    Waits for a slot, up to some minutes. Raises ``AccountError`` for a documented code, else ``GuardError``.
    """
    with opened(ledger or default_ledger(sandbox=False)) as book:
        desk = _Desk(_account(api_key, base_url, timeout), clock or LedgerClock(book), on_wait)
        return desk.patiently(partial(_limited_credit, desk, book, base_url, timeout), _PATIENCE)


def audios(
    *,
    api_key: str | None = None,
    base_url: str | None = None,
    timeout: float = 30.0,
    clock: Clock | None = None,
    on_wait: OnWait = ignore_wait,
) -> tuple[AudioFile, ...]:
    """The account's recordings. Raises as ``credit``."""
    desk = _Desk(_account(api_key, base_url, timeout), clock or SystemClock(), on_wait)
    return desk.patiently(desk.account.audios, _PATIENCE)


def rename_audio(
    token: str,
    name: str,
    *,
    api_key: str | None = None,
    base_url: str | None = None,
    timeout: float = 30.0,
    clock: Clock | None = None,
    on_wait: OnWait = ignore_wait,
) -> str:
    """Gives a recording another name; returns the one that it has now. Raises as ``credit``.

    Raises ``UsageError`` for a name that is too short or too long, before the provider is asked, and for a request that
    it refuses.
    """
    check_audio_name(name)
    desk = _Desk(_account(api_key, base_url, timeout), clock or SystemClock(), on_wait)
    try:
        return desk.patiently(partial(desk.account.rename, token, name), _PATIENCE)
    except RefusedLookup as refused:
        message = refused.message
    raise UsageError(message, hint="The account's recordings: voicebatch audio list")


def check_audio_name(name: str) -> None:
    """Raises ``UsageError`` for a name that the provider does not take."""
    lengths = wire.AUDIO_NAME_LENGTHS
    if len(name) not in lengths:
        raise UsageError(
            f"The name has {len(name)} characters, and a recording's has {lengths[0]} to {lengths[-1]} characters.",
            hint="Type the same command with another name.",
        )


@dataclass(frozen=True, slots=True)
class _Desk:
    """Who asks."""

    account: Account
    clock: Clock
    on_wait: OnWait

    def patiently(self, ask: Callable[[], _T], patience: timedelta) -> _T:
        """Asks again as long as the provider or the limit says to wait, and that ends within ``patience``."""
        deadline = self.clock.now() + patience
        told = ""
        while True:
            try:
                return ask()
            except Throttled as throttled:
                until = self.clock.now() + timedelta(seconds=throttled.wait_seconds)
                if until > deadline:
                    raise
                reason = throttled.message
            if reason != told:
                self.on_wait(until, reason)
                told = reason
            self.clock.wait(until, _NEVER)


def _limited_credit(desk: _Desk, book: Ledger, base_url: str | None, timeout: float) -> Credit:
    """One look-up, with a slot of the limit that all processes of the ledger share."""
    limit, lease_seconds = wire.CREDIT_LIMIT, 2 * timeout + LEASE_MARGIN
    limiter = limiter_of(_CREDIT, base_url or wire.BASE_URL)
    now = desk.clock.now()
    slot = book.begin_lookup(limiter, limit, lease_seconds=lease_seconds, now=now)
    if isinstance(slot, datetime):
        reason = f"The credit may be looked up {limit.requests} times in {limit.seconds:g} s, and that often it was."
        raise Throttled(reason, wait_seconds=min(slot - now, _NAP).total_seconds())
    wait_seconds, is_over = 0.0, True
    try:
        return desk.account.credit(lease_seconds=lease_seconds)
    except Throttled as throttled:
        wait_seconds = throttled.wait_seconds
        raise
    except Unanswered as unanswered:
        is_over = unanswered.is_over
        raise
    finally:
        if is_over:
            book.end_lookup(slot, wait_seconds=wait_seconds, now=desk.clock.now())


def _account(api_key: str | None, base_url: str | None, timeout: float) -> Account:
    key = api_key or credentials.find_api_key(os.environ)
    return Account(base_url=base_url or wire.BASE_URL, api_key=key, timeout=timeout)


# Before sending


class UnknownRecordings(InputError):
    """Rows that would play a recording that the account does not have. Nothing was sent."""

    def __init__(self, message: str, *, hint: str, faults: Sequence[Fault] = ()) -> None:
        super().__init__(message, hint=hint)
        self.faults = faults


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was found out before a send. ``warnings`` are for everybody, ``notes`` for who wants to know more."""

    credit: Credit | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def check_before_sending(
    to_send: Plan | Outlook,
    *,
    api_key: str | None = None,
    base_url: str | None = None,
    timeout: float = 30.0,
    ledger: str | None = None,
    require_credit: bool = False,
    clock: Clock | None = None,
    on_wait: OnWait = ignore_wait,
) -> Checked:
    """Looks up whether the recordings exist and whether the credit covers the estimate; sends nothing.

    Raises ``UsageError`` or ``UnknownRecordings`` for a recording that the account does not have, ``AccountError`` for
    a documented code. A credit that does not cover the estimate, or that cannot be known or compared, is a warning;
    with ``require_credit`` it is an ``AccountError`` too. Only then a slot of the credit's limit is waited for.
    """
    timeout = min(timeout, _SECONDS_BEFORE_SENDING)
    with opened(ledger or default_ledger(sandbox=False)) as book:
        desk = _Desk(_account(api_key, base_url, timeout), clock or LedgerClock(book), on_wait)
        warnings = [*_check_recordings(to_send, desk, book)]
        patience = _PATIENCE if require_credit else _NO_PATIENCE
        left: Credit | None = None
        try:
            left = desk.patiently(partial(_limited_credit, desk, book, base_url, timeout), patience)
            found = _compared(left, to_send)
        except GuardError as error:
            found = _Finding(error.message, is_note=isinstance(error, Throttled))
    if require_credit and not found.is_enough:
        raise AccountError(f"{found.words} {_UNSENT}", hint="Without --require-credit it is only said.")
    if found.is_note:
        return Checked(credit=left, warnings=tuple(warnings), notes=(found.words,))
    return Checked(credit=left, warnings=(*warnings, found.words))


@dataclass(frozen=True, slots=True)
class _Finding:
    """A sentence about the credit, whether it is only a note, and whether the credit is known to be enough."""

    words: str
    is_note: bool = False
    is_enough: bool = False


def _compared(left: Credit, to_send: Plan | Outlook) -> _Finding:
    prices, messages = to_send.prices, to_send.messages_by_code
    estimate, currency = prices.estimate(messages), prices.currency or "EUR"
    have = f"The credit of {money(left.amount)} {left.currency}".rstrip()
    if estimate is None:
        missing = ", +".join(prices.missing(messages))
        words = f"{have} cannot be compared with the cost: no price is known for +{missing} (--price-table)."
        return _Finding(words, is_note=left.amount > 0)
    cost = f"the estimated {money(estimate)} {currency}"
    if left.currency != currency:
        return _Finding(f"{have} cannot be compared with {cost}: these are two currencies.")
    if left.amount < estimate:
        return _Finding(f"{have} does not cover {cost}.")
    return _Finding(f"{have} covers {cost}.", is_note=True, is_enough=True)


def _check_recordings(to_send: Plan | Outlook, desk: _Desk, book: Ledger) -> Iterator[str]:
    """What could not be found out about them."""
    played = _played(to_send, book)
    if not played:
        return
    try:
        known = {file.token for file in desk.patiently(desk.account.audios, _NO_PATIENCE)}
    except GuardError as error:
        yield error.message
        return
    if missing := sorted(played.keys() - known):
        raise _missing(to_send, missing, played)


def _played(to_send: Plan | Outlook, book: Ledger) -> Mapping[str, int]:
    """Tokens, and how many people would hear each (of a plan not yet counted)."""
    from voicebatch.pipeline.recordings import recordings_of

    if isinstance(to_send, Plan):
        return dict.fromkeys(recordings_of(to_send), 0)
    return book.queued_recordings(to_send.run_id)


def _missing(to_send: Plan | Outlook, missing: Sequence[str], played: Mapping[str, int]) -> VoicebatchError:
    from voicebatch.pipeline.recordings import faults_of

    look = "The account's recordings: voicebatch audio list"
    if not isinstance(to_send, Plan):
        count = sum(played[token] for token in missing)
        return UnknownRecordings(
            f"The account has no recording {_listed(missing)}, which {people(count)} would hear. {_UNSENT}",
            hint=f"{look}. To give up the rest of the run: voicebatch cancel {to_send.run_id}",
        )
    if to_send.message.audio in missing:
        return UsageError(f"--audio {to_send.message.audio!r}: the account has no such recording. {_UNSENT}", hint=look)
    faults = tuple(faults_of(to_send, missing))
    return UnknownRecordings(
        f"The account has no recording {_listed(missing)}, which {people(len(faults))} would hear. {_UNSENT}",
        hint=f"{look}. Correct the file's {faults[0].column}.",
        faults=faults,
    )


def _listed(tokens: Sequence[str]) -> str:
    shown = ", ".join(repr(token) for token in tokens[:3])
    return f"{shown} …" if len(tokens) > 3 else shown  # a sentence, not a list


# Cancelling


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """One scheduled request that the provider was asked to take back, and what it said."""

    campaign_id: str
    batch_ids: tuple[str, ...]
    people: int
    leaves_at: datetime
    outcome: CancelOutcome
    reason: str = ""
    credit: Decimal | None = None
    currency: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelling:
    """What became of the wish to take a run back.

    ``queued`` left the queue now. ``left`` is what is not taken back, as things stand afterwards. ``stopped`` is why
    the rest was not asked for, if so.
    """

    queued: Tally
    campaigns: tuple[Cancelled, ...]
    left: Cancellable
    summary: RunSummary
    stopped: VoicebatchError | None = None

    def of(self, outcome: CancelOutcome) -> list[Cancelled]:
        """The requests with this outcome."""
        return [one for one in self.campaigns if one.outcome is outcome]

    @property
    def credited(self) -> Mapping[str, Decimal]:
        """What the provider gave back just now, exactly, by currency."""
        back = [(one.currency, one.credit) for one in self.of(CancelOutcome.CANCELLED) if one.credit is not None]
        currencies = dict.fromkeys(currency for currency, _ in back)
        return {one: total(credit for currency, credit in back if currency == one) for one in currencies}


def cancellable(run: str, *, ledger: str | None = None, sandbox: bool = False) -> tuple[Run, Cancellable]:
    """What ``cancel`` would take back; what a worker that is gone left under way is unknown from now on."""
    with opened(ledger or default_ledger(sandbox=sandbox), create=False) as book:
        found, now = book.find(run), book.now()
        book.give_up_lost(now=now, is_gone=Worker.is_gone)
        return found, book.cancellable(found.id, now=now)


def cancel(
    run: str,
    *,
    api_key: str | None = None,
    base_url: str | None = None,
    timeout: float = 30.0,
    who: str | None = None,
    out: str | os.PathLike[str] | None = None,
    ledger: str | None = None,
    sandbox: bool = False,
    clock: Clock | None = None,
    on_wait: OnWait = ignore_wait,
) -> Cancelling:
    """Takes back what is queued, then every scheduled request, one at a time, and writes the reports again.

    Asked again, it asks only for what is not cancelled yet. Requests under way stay. ``who`` None: the user of this
    machine. Raises ``UsageError`` before anything changes when the provider would have to be asked and cannot be.
    """
    with opened(ledger or default_ledger(sandbox=sandbox), create=False) as book:
        ticking = clock or LedgerClock(book)
        found, name = reporting_to(out, book.find(run)), who or user()
        book.give_up_lost(now=ticking.now(), is_gone=Worker.is_gone)
        asking = partial(_canceller, found, api_key, base_url, timeout)
        account = asking() if book.cancellable(found.id, now=ticking.now()).scheduled else None
        queued = book.cancel_queued(found.id, who=name, now=ticking.now())
        scheduled = book.cancellable(found.id, now=ticking.now()).scheduled
        lines: list[Cancelled] = []
        stopped: VoicebatchError | None = None
        if scheduled:
            desk = _Desk(account or asking(), ticking, on_wait)
            stopped = _cancel_each(found.id, scheduled, desk, book, name, lines)
        make_folder(Path(found.report_dir))
        return Cancelling(
            queued=queued,
            campaigns=tuple(lines),
            left=book.cancellable(found.id, now=ticking.now()),
            summary=concluded(found, book, wire.BASE_URL, None, ticking),
            stopped=stopped,
        )


def check_canceller(run: Run, *, base_url: str | None) -> None:
    """Raises ``UsageError`` when the provider cannot be asked to cancel requests of this run."""
    _canceller(run, None, base_url, 1.0)


def _canceller(run: Run, api_key: str | None, base_url: str | None, timeout: float) -> Account:
    """Who is asked: where the run was begun, unless another address is given."""
    address = base_url or run.base_url
    if not address:
        raise UsageError(
            f"Run {run.id} was a rehearsal, and its sandbox ended with it: what was scheduled there is gone already.",
            hint="In a sandbox that still lives (voicebatch sandbox) it can be cancelled: --base-url URL",
        )
    return _account(SANDBOX_KEY if run.sandbox else api_key, address, timeout)


def _cancel_each(
    run_id: str, scheduled: Sequence[Scheduled], desk: _Desk, book: Ledger, who: str, lines: list[Cancelled]
) -> VoicebatchError | None:
    """Adds to ``lines``; returns why it stopped before the last one, if so."""
    lost = 0
    for one in scheduled:
        campaign = book.ask_cancellation(run_id, one, who=who, now=desk.clock.now())
        if campaign is None:
            continue  # somebody else has taken it back meanwhile
        try:
            reply = desk.patiently(partial(desk.account.cancel, campaign.campaign_id), _PATIENCE_TO_CANCEL)
        except (AccountError, GuardError) as error:
            book.record_cancellation(run_id, campaign, None, who=who, now=desk.clock.now())
            return error
        lines.append(_recorded(run_id, campaign, reply, desk, book, who))
        lost = lost + 1 if reply.outcome is CancelOutcome.UNKNOWN else 0
        if lost == _LOST_IN_A_ROW:
            return GuardError(
                f"The provider gave no readable answer {lost} times in a row: {reply.reason}.",
                hint=f"Asking again does no harm: voicebatch cancel {run_id}",
            )
    return None


def _recorded(run_id: str, campaign: Scheduled, reply: CancelReply, desk: _Desk, book: Ledger, who: str) -> Cancelled:
    outcome, reason = book.record_cancellation(
        run_id,
        campaign,
        reply.outcome,
        reason=reply.reason,
        credit=reply.credit,
        currency=reply.currency,
        who=who,
        now=desk.clock.now(),
    )
    return Cancelled(
        campaign_id=campaign.campaign_id,
        batch_ids=campaign.batch_ids,
        people=campaign.people,
        leaves_at=campaign.leaves_at,
        outcome=outcome or reply.outcome,
        reason=reason,
        credit=reply.credit,
        currency=reply.currency,
    )
