"""``voicebatch cancel``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from voicebatch import models
from voicebatch.cli import options, output
from voicebatch.cli.asking import ask, refuse_unasked
from voicebatch.errors import RefusedError, UnknownError, VoicebatchError
from voicebatch.models import CancelOutcome

if TYPE_CHECKING:
    from voicebatch.app.account import Cancelled, Cancelling
    from voicebatch.ledger import Cancellable, Tally

_NOTHING: Final = "Nothing was cancelled."
_SHOWN: Final = 20  # on the screen; --json has all


@click.command
@click.argument("run")
@options.option("--who", metavar="NAME", help="Who says so. Default: the user of this machine.")
@options.reporting
@options.option("--sandbox", is_flag=True, help="A run of the sandbox's ledger.")
@options.option("--yes", "-y", is_flag=True, help="Don't ask.")
@options.base_url
@options.timeout
@options.common
def cancel(run: str, *, yes: bool, common: options.Common, **how: Any) -> None:
    """Take back what is scheduled of RUN at the provider's, and what is still queued. Can be repeated.

    RUN is an id, its beginning, or latest. Exit code 4: something was too late or refused; 5: some outcome is unknown.

    JSON: the run's summary, and cancellation: queued, scheduled (taken back now), too_late, refused, unknown, under_way
    and not_asked, each with requests and people; credit, a list of amount and currency; requests, a list of
    campaign_id, batches, people, leaves_at, outcome, reason, credit, currency.
    """
    from voicebatch.app import account

    found, before = account.cancellable(run, ledger=common.ledger, sandbox=how["sandbox"])
    if before.scheduled:
        account.check_canceller(found, base_url=how["base_url"])
    if before.scheduled or before.queued.requests:
        refuse_unasked(yes=yes, otherwise=_NOTHING)
        if not yes:
            _show(found.id, before)
            ask(f"Cancel {_counted(_all(before))}?", otherwise=_NOTHING)
    done = account.cancel(found.id, ledger=common.ledger, on_wait=output.say_waiting, **how)
    error = _error(found.id, done)
    if not common.as_json:
        for line in _told(done):
            output.echo(common.typeable(line))
        output.print_summary(done.summary, common)
    figures = {"cancellation": _json(done)}
    if error:
        error.summary, error.figures = done.summary, figures
        raise error
    if common.as_json:
        output.print_json(output.summary_json(done.summary) | figures)


def _show(run_id: str, before: Cancellable) -> None:
    output.say(f"Of run {run_id} can be cancelled:")
    if before.queued.requests:
        output.say(f"  {_counted(before.queued)} still queued")
    for one in before.scheduled[:_SHOWN]:
        output.say(f"  1 request with {models.people(one.people)} that leaves {output.local(one.leaves_at)}")
    if len(before.scheduled) > _SHOWN:
        output.say(f"  … and {len(before.scheduled) - _SHOWN} more that are scheduled")


def _all(before: Cancellable) -> Tally:
    from voicebatch.ledger import Tally

    scheduled = sum(one.people for one in before.scheduled)
    return Tally(before.queued.requests + len(before.scheduled), before.queued.people + scheduled)


def _told(done: Cancelling) -> Iterator[str]:
    """What became of it, a line for each kind; what did not come off last."""
    from voicebatch.pricing import money

    if not done.queued.requests and not done.campaigns:
        yield "There was nothing to cancel."
    if done.queued.requests:
        yield f"Cancelled: {_counted(done.queued)} still queued."
    if taken := done.of(CancelOutcome.CANCELLED):
        back = " and ".join(f"{money(amount)} {currency}".rstrip() for currency, amount in done.credited.items())
        yield f"Cancelled: {_counted(_sum(taken))} scheduled; {back or 'nothing'} given back."
    for outcome in (CancelOutcome.TOO_LATE, CancelOutcome.REFUSED, CancelOutcome.UNKNOWN):
        for one in done.of(outcome)[:_SHOWN]:
            why = f": {one.reason}" if one.reason else ""
            yield f"{outcome.capitalize()}: campaign {one.campaign_id} with {models.people(one.people)}{why}."
    yield from _left(done)


def _left(done: Cancelling) -> Iterator[str]:
    """What was not even asked for."""
    left, run = done.left, done.summary.run_id
    if left.too_late.requests:
        yield f"Too late: {_counted(left.too_late)}. They were scheduled and have left."
    if left.nameless.requests:
        yield f"Not cancelled: {_counted(left.nameless)}. No answer named their campaign: cancel it on the platform."
    if left.under_way.requests:
        yield f"Under way: {_counted(left.under_way)}. When they are sent: voicebatch cancel {run}"
    if left.unknown.requests:
        yield f"Unknown whether sent: {_counted(left.unknown)}. Settle that first: voicebatch runs show {run}"
    if (unasked := _unasked(done)).requests:
        yield f"Not asked for: {_counted(unasked)}. Go on: voicebatch cancel {run}"


def _unasked(done: Cancelling) -> Tally:
    from voicebatch.ledger import Tally

    asked = {one.campaign_id for one in done.campaigns}
    rest = [one for one in done.left.scheduled if one.campaign_id not in asked]
    return Tally(len(rest), sum(one.people for one in rest))


def _error(run_id: str, done: Cancelling) -> VoicebatchError | None:
    """What the exit code comes from: the worst of what happened."""
    again = f"Asking again does no harm: voicebatch cancel {run_id}"
    left = done.left
    if done.stopped:
        return done.stopped
    if unknown := done.of(CancelOutcome.UNKNOWN):
        return UnknownError(f"Whether {_counted(_sum(unknown))} are cancelled is unknown.", hint=again)
    if left.unknown.requests or left.under_way.requests:
        both = _counted(_plus(left.unknown, left.under_way))
        return UnknownError(f"{both} are not cancelled: nobody knows yet whether they were sent.", hint=again)
    noes = [*done.of(CancelOutcome.TOO_LATE), *done.of(CancelOutcome.REFUSED)]
    kept = _plus(_plus(_sum(noes), left.too_late), left.nameless)
    if kept.requests:
        return RefusedError(f"{_counted(kept)} are not cancelled: it was too late, or it was refused.")
    if (unasked := _unasked(done)).requests:
        return UnknownError(f"{_counted(unasked)} are scheduled since and not cancelled.", hint=again)
    return None


def _sum(lines: Sequence[Cancelled]) -> Tally:
    from voicebatch.ledger import Tally

    return Tally(len(lines), sum(one.people for one in lines))


def _plus(one: Tally, other: Tally) -> Tally:
    from voicebatch.ledger import Tally

    return Tally(one.requests + other.requests, one.people + other.people)


def _counted(tally: Tally) -> str:
    return f"{output.counted(tally.requests, 'request')} with {models.people(tally.people)}"


def _json(done: Cancelling) -> dict[str, Any]:
    from voicebatch.pricing import money

    tallies = {
        "queued": done.queued,
        "scheduled": _sum(done.of(CancelOutcome.CANCELLED)),
        "too_late": _plus(_sum(done.of(CancelOutcome.TOO_LATE)), done.left.too_late),
        "refused": _plus(_sum(done.of(CancelOutcome.REFUSED)), done.left.nameless),
        "unknown": _plus(_sum(done.of(CancelOutcome.UNKNOWN)), done.left.unknown),
        "under_way": done.left.under_way,
        "not_asked": _unasked(done),
    }
    return {
        **{name: tally._asdict() for name, tally in tallies.items()},
        "credit": [{"amount": money(amount), "currency": currency} for currency, amount in done.credited.items()],
        "requests": [_request(one) for one in done.campaigns],
    }


def _request(one: Cancelled) -> dict[str, Any]:
    from voicebatch.pricing import money

    return {
        "campaign_id": one.campaign_id,
        "batches": list(one.batch_ids),
        "people": one.people,
        "leaves_at": one.leaves_at.isoformat(timespec="seconds"),
        "outcome": one.outcome,
        "reason": one.reason,
        "credit": None if one.credit is None else money(one.credit),
        "currency": one.currency,
    }
