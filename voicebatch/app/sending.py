"""A plan sent, and a run that stopped gone on with."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from voicebatch import wire
from voicebatch.app.addresses import Address, callback_urls, network_to, provider_address, rehearsal
from voicebatch.app.clocks import LedgerClock, SystemClock
from voicebatch.app.ledgers import ledger_url, opened
from voicebatch.app.limits import SANDBOX_HOST, limiter_of, limits_of
from voicebatch.app.options import OnProgress, Paths, ignore_progress, paths_of
from voicebatch.app.reporting import concluded, reporting_to, summary_at
from voicebatch.errors import UsageError
from voicebatch.ledger import Run, Worker
from voicebatch.models import Progress, RunSummary
from voicebatch.pipeline import running
from voicebatch.pipeline.opt_outs import OptOutList, read_opt_outs
from voicebatch.pipeline.outlook import Outlook, look_ahead
from voicebatch.pipeline.plan import Plan, estimate_batch
from voicebatch.pipeline.prices import read_prices
from voicebatch.pricing import Prices
from voicebatch.reports.cells import make_folder

if TYPE_CHECKING:
    import requests

    from voicebatch.app.workers import Crew
    from voicebatch.ledger import Ledger
    from voicebatch.sending import Clock, Sender

_COME_BACK_FOR: Final = 20
"""Who was not patient comes back for a twentieth of the limit at once."""


def send(
    plan: Plan,
    *,
    api_key: str | None = None,
    base_url: str | None = None,
    sandbox: bool = False,
    callbacks: bool = False,
    rate: str | None = None,
    concurrency: int = 4,
    workers: int = 1,
    timeout: float = 30.0,
    max_cost: Decimal | None = None,
    session: requests.Session | None = None,
    clock: Clock | None = None,
    stop: threading.Event | None = None,
    on_progress: OnProgress = ignore_progress,
) -> RunSummary:
    """Sends a plan, each request once whatever crashes, and writes the run's reports.

    The plan is committed to its ledger before anything leaves; if its key is there already, what is still queued is
    sent. ``api_key`` None: from the environment or the keyring; ``timeout`` is in seconds. ``stop`` ends the work after
    the requests in flight. With ``callbacks`` a rehearsal takes those of its sandbox, and waits for them. Several
    ``workers`` are processes of this machine, each with ``concurrency`` requests in flight. The summary's ``stop`` and
    counts say how it ended: see ``pipeline.running.failure``. Raises ``InputError`` for a plan that may not be sent,
    ``LedgerError`` when the ledger fails.
    """
    if plan.sandbox != sandbox:
        raise UsageError("A plan is sent where it was made for: sandbox has to be the same for both.")
    how = _Sending.among(locals(), base_url=base_url or wire.BASE_URL)
    _check_sendable(plan, max_cost)
    make_folder(plan.report_dir)
    with opened(plan.ledger_url) as ledger:
        run = _enqueue(plan, ledger, how.base_url, clock)
        return _go_on(run, ledger, plan.prices, how)


def enqueue(
    plan: Plan, *, base_url: str | None = None, max_cost: Decimal | None = None, clock: Clock | None = None
) -> Run:
    """Commits a plan to its ledger, where ``resume`` finds it, on any machine; sends nothing.

    If its key is there already, that is the run. Raises ``InputError`` for a plan that may not be sent, and
    ``UsageError`` when the ceiling needs a price that is not known.
    """
    _check_sendable(plan, max_cost)
    with opened(plan.ledger_url) as ledger:
        return _enqueue(plan, ledger, base_url or wire.BASE_URL, clock)


def _check_sendable(plan: Plan, max_cost: Decimal | None) -> None:
    if plan.refusal:
        raise plan.refusal
    if max_cost is not None:
        running.check_prices(plan.prices, plan.messages_by_code)


def _enqueue(plan: Plan, ledger: Ledger, base_url: str, clock: Clock | None) -> Run:
    now = (clock or LedgerClock(ledger)).now()
    return running.enqueue(plan, ledger, base_url="" if plan.sandbox else base_url, now=now)


def resume(
    run: str,
    *,
    api_key: str | None = None,
    base_url: str | None = None,
    sandbox: bool = False,
    callbacks: bool = False,
    rate: str | None = None,
    concurrency: int = 4,
    workers: int = 1,
    timeout: float = 30.0,
    max_cost: Decimal | None = None,
    price_table: str | os.PathLike[str] | None = None,
    suppress: Paths = (),
    out: str | os.PathLike[str] | None = None,
    ledger: str | None = None,
    session: requests.Session | None = None,
    clock: Clock | None = None,
    stop: threading.Event | None = None,
    patience: timedelta | None = None,
    reports: bool = True,
    on_progress: OnProgress = ignore_progress,
) -> RunSummary:
    """Goes on with a run that stopped: sends what is queued, and only that.

    ``run`` is an id, its unique beginning, or ``latest``. Batches whose worker is gone become unknown and are not sent.
    Where the limit makes it wait for longer than its ``patience`` it returns, and the summary's ``waits_until`` says
    when it is worth coming back. Without ``reports`` none are written. Otherwise as ``send``.
    """
    with opened(ledger_url(ledger, sandbox=sandbox), create=False) as book:
        prices = read_prices(Path(price_table) if price_table else None, book, sandbox=sandbox)
        found = book.find(run)
        running.check_kind(found, sandbox=sandbox)
        how = _Sending.among(locals(), base_url=base_url or found.base_url)
        running.withdraw(found.id, book, _read_opt_outs(suppress, found))
        return _go_on(reporting_to(out, found), book, prices, how)


def outlook_of(
    run: str,
    *,
    base_url: str | None = None,
    sandbox: bool = False,
    rate: str | None = None,
    price_table: str | os.PathLike[str] | None = None,
    suppress: Paths = (),
    ledger: str | None = None,
) -> Outlook:
    """What ``resume`` would send with these options; nothing is changed."""
    with opened(ledger_url(ledger, sandbox=sandbox), create=False) as book:
        found = book.find(run)
        running.check_kind(found, sandbox=sandbox)
        return look_ahead(
            found,
            book,
            prices=read_prices(Path(price_table) if price_table else None, book, sandbox=sandbox),
            opt_outs=_read_opt_outs(suppress, found),
            limits=limits_of(found.channel, rate),
            limiter=limiter_of(found.channel, SANDBOX_HOST if sandbox else base_url or found.base_url),
            now=book.now(),
        )


def _read_opt_outs(lists: Paths, run: Run) -> list[OptOutList]:
    region = str(run.manifest["options"]["region"])
    return [read_opt_outs(path, region=region) for path in paths_of(lists)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sending:
    """How a run is sent: what ``send`` and ``resume`` are asked alike."""

    api_key: str | None = field(repr=False)
    base_url: str
    sandbox: bool
    callbacks: bool
    rate: str | None
    concurrency: int
    workers: int
    timeout: float
    max_cost: Decimal | None
    session: requests.Session | None
    clock: Clock | None
    stop: threading.Event | None
    on_progress: OnProgress
    patience: timedelta | None = None
    reports: bool = True

    def __post_init__(self) -> None:
        if self.workers > 1 and (self.session or self.clock or self.patience):
            raise UsageError(
                "Several workers are processes of their own, which take no session, clock or patience from here.",
                hint="Leave these out, or workers.",
            )

    @classmethod
    def among(cls, arguments: Mapping[str, Any], *, base_url: str) -> Self:
        """By name from the ``locals()`` of a function, so that no call lists them again; ``base_url`` is settled."""
        asked = {one.name: arguments[one.name] for one in fields(cls) if one.name in arguments}
        return cls(**asked | {"base_url": base_url})

    def address(self, run: Run, ledger: Ledger) -> AbstractContextManager[Address]:
        """Where this run is sent to, for as long as the ``with`` lasts."""
        if self.sandbox:
            return rehearsal(run, ledger, callbacks=self.callbacks)
        return nullcontext(provider_address(run, self.base_url, self.api_key))


def _go_on(run: Run, ledger: Ledger, prices: Prices, how: _Sending) -> RunSummary:
    from voicebatch.sending import Sender

    if how.reports:
        make_folder(Path(run.report_dir))
    ledger.check_integrity()
    clock = how.clock or LedgerClock(ledger)
    with how.address(run, ledger) as address:
        network = network_to(address.url, address.key, run, timeout=how.timeout, session=how.session)
        sender = Sender(
            ledger=ledger,
            network=network,
            clock=clock,
            worker=Worker.current(),
            limiter=limiter_of(run.channel, SANDBOX_HOST if how.sandbox and how.rate else address.url),
            limits=limits_of(run.channel, how.rate),
            timeout_seconds=2 * how.timeout,  # to connect, and to read
            stop=how.stop or threading.Event(),
            concurrency=max(1, how.concurrency),
            max_cost=how.max_cost,
            currency=prices.currency,
            estimate=partial(estimate_batch, prices),
            notify_url=callback_urls(address.notify_url, ledger),
            on_progress=how.on_progress,
            patience=how.patience,
        )
        drain = sender.drain if how.workers <= 1 else _crew(sender, run, address, prices, how).drain
        running.drain(run, ledger, drain, max_cost=how.max_cost, prices=prices)
        address.finish()
        if how.reports:
            how.on_progress(Progress(stage="reporting"))
            summary = concluded(run, ledger, address.url, how.rate, clock)
        else:
            summary = summary_at(run, ledger, address.url, how.rate, clock)
        if sender.waits_until is None or not summary.rows.queued:  # another lane may have got through
            return summary
        wait = _worth_coming_back(run, ledger, sender) - clock.now()
        return replace(summary, waits_until=(how.clock or SystemClock()).now() + wait, waits_for=sender.waits_for)


def _crew(sender: Sender, run: Run, address: Address, prices: Prices, how: _Sending) -> Crew:
    """Several workers, who send as ``sender`` would."""
    from voicebatch.app.workers import Crew, Job

    job = Job(
        ledger=sender.ledger.address,
        run_id=run.id,
        base_url=address.url,
        api_key=address.key,
        notify_url=address.notify_url,
        timeout=how.timeout,
        concurrency=sender.concurrency,
        limiter=sender.limiter,
        limits=sender.limits,
        prices=prices,
        level=logging.getLogger("voicebatch").getEffectiveLevel(),
    )
    return Crew(count=how.workers, sender=sender, job=job)


def _worth_coming_back(run: Run, ledger: Ledger, sender: Sender) -> datetime:
    """When a share of the limit is free, or enough for what is left: not for every single request that may leave."""
    share = min(limit.requests for limit in sender.limits) // _COME_BACK_FOR
    wanted = min(ledger.queued_requests(run.id), max(1, share))
    return ledger.room_at(sender.limiter, sender.limits, wanted, now=sender.clock.now())
