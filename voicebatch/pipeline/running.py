"""From a sealed plan to reports: enqueue, drain, summarise, write the documents."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from voicebatch import phones
from voicebatch.errors import (
    AccountError,
    GuardError,
    InputError,
    KeyTakenError,
    RefusedError,
    UnknownError,
    UsageError,
    VoicebatchError,
)
from voicebatch.ledger import AnswerLine, RowLine, Run, Uncharged
from voicebatch.models import (
    DeliveryCounts,
    Progress,
    RateLimit,
    RowCounts,
    RowStatus,
    RunStatus,
    RunSummary,
    Stop,
    Story,
    people,
)
from voicebatch.pacing import earliest_finish
from voicebatch.pipeline.ahead import in_background, map_ahead
from voicebatch.pipeline.delivery import by_country, place_of
from voicebatch.pipeline.opt_outs import OptOutList
from voicebatch.pipeline.plan import Plan, estimate_batch
from voicebatch.pricing import Prices, money, total
from voicebatch.reports import manifest
from voicebatch.reports.cells import make_folder, write_blocks, write_bytes
from voicebatch.reports.country import country_totals, write_country_report, write_delivery_report
from voicebatch.reports.recipients import Lines, write_recipients
from voicebatch.settings import BATCH_ROWS

if TYPE_CHECKING:
    from voicebatch.ledger import Ledger

_LOG: Final = logging.getLogger(__name__)
_WAIT_FOR_CALLBACKS: Final = (
    "Callbacks may settle it by themselves: keep `voicebatch listen` running, and look again after a while: "
    "voicebatch report {}\nIf none comes: "
)
_STOPS: Final = {"account": AccountError, "guard": GuardError}


def enqueue(plan: Plan, ledger: Ledger, *, base_url: str, now: datetime) -> Run:
    """Commits the plan as queued, all of it or nothing; a key that is there already is gone on with.

    Raises ``UsageError`` when the key stands for other content.
    """
    if ledger.enqueue(plan.new_run(base_url=base_url), now=now):
        _tell_who_is_left_out(plan, ledger)
    else:
        withdraw(plan.run_id, ledger, plan.opt_outs)
    run = ledger.find(plan.run_id)
    check_content(run, plan.identity.content)
    check_kind(run, sandbox=plan.sandbox)
    return run


def _tell_who_is_left_out(plan: Plan, ledger: Ledger) -> None:
    """Whom another run queued between our plan and now."""
    if ledger.row_counts(plan.run_id).suppressed == plan.counts.suppressed:
        return
    rows = zip(plan.lines(), ledger.rows(plan.run_id), strict=True)
    reasons = (row.reason for before, row in rows if before.status is RowStatus.QUEUED is not row.status)
    for run, count in Counter(reason.rpartition("in run ")[2] for reason in reasons if "in run " in reason).items():
        were = "was" if count == 1 else "were"
        _LOG.warning("%s %s queued by run %s meanwhile and left out", people(count), were, run)


def withdraw(run_id: str, ledger: Ledger, opt_outs: Sequence[OptOutList]) -> int:
    """Takes who is on an opt-out list out of what is still queued, however long ago the plan was made."""
    reasons = {f"+{number}": one.reason(entry) for one in opt_outs for entry, number in enumerate(one.numbers)}
    return ledger.suppress_queued(run_id, reasons) if reasons else 0


def check_kind(run: Run, *, sandbox: bool) -> None:
    """A rehearsal is no call: raises ``UsageError`` when one would go on as the other."""
    if run.sandbox == sandbox:
        return
    if run.sandbox:
        raise UsageError(
            f"Run {run.id} was a rehearsal in the sandbox: nobody was called.",
            hint="To send it for real, take another --key or --ledger: by default rehearsals have their own.",
        )
    raise UsageError(f"Run {run.id} is for real, so it cannot go on in the sandbox.", hint="Leave --sandbox out.")


def check_content(run: Run, content: str) -> None:
    """One key, one content: raises ``KeyTakenError`` for another."""
    if run.content != content:
        raise KeyTakenError(
            f"The key {run.key!r} was used for other content, in run {run.id}.",
            hint="Take another --key, or leave it out: then it comes from the content.",
        )


def drain(
    run: Run,
    ledger: Ledger,
    send: Callable[[str, Progress], None],
    *,
    max_cost: Decimal | None,
    prices: Prices,
) -> None:
    """Sends what is queued. Nothing is asked of the provider when nothing is.

    Raises ``UsageError`` when a ceiling is set and a price that it needs is not known.
    """
    if max_cost is not None:
        _price_the_queue(run, ledger, prices)
    rows, answers = ledger.row_counts(run.id), ledger.answers(run.id)
    decided = rows.accepted + rows.refused + rows.unknown
    start = Progress(
        stage="sending",
        done=decided,
        total=decided + rows.queued,
        accepted=rows.accepted,
        refused=rows.refused,
        unknown=rows.unknown,
        cost=total(answer.cost for answer in answers),
        currency=next((answer.currency for answer in answers), ""),
    )
    send(run.id, start)


def check_prices(prices: Prices, messages_by_code: Mapping[str, int]) -> None:
    """Raises ``UsageError`` when a ceiling needs a price that is not known: before anything is committed."""
    if missing := prices.missing(messages_by_code):
        raise _no_price(missing)


def _no_price(calling_codes: Iterable[str]) -> UsageError:
    return UsageError(
        f"--max-cost needs a price for every country, and there is none for +{', +'.join(sorted(calling_codes))}.",
        hint="Give one: --price-table PATH, a CSV with the columns calling_code,unit_cost,currency",
    )


def _price_the_queue(run: Run, ledger: Ledger, prices: Prices) -> None:
    def estimate(numbers: Sequence[str]) -> Decimal:
        cost = estimate_batch(prices, numbers)
        if cost is None:
            raise _no_price({phones.calling_code(number) for number in numbers} - prices.units.keys())
        return cost

    ledger.set_estimates(run.id, estimate)


def summarise(run: Run, ledger: Ledger, *, limits: Sequence[RateLimit], limiter: str, now: datetime) -> RunSummary:
    """The run in figures as the ledger has them now."""
    at_work = ledger.at_work(run.id, now=now)  # first: who leaves meanwhile has left nothing queued
    rows, sending = ledger.standing(run.id)
    requests = ledger.request_counts(run.id)
    stop = ledger.find(run.id).stop
    charges, uncharged = ledger.charge_lines(run.id), _priced(ledger.uncharged(run.id), run, ledger)
    deliveries = by_country(ledger, run.id, charges)
    countries = country_totals(
        ((place_of(line), line.charge) for line in charges), deliveries, name_of=phones.country_name
    )
    answers, left = ledger.answers(run.id), ledger.queued_requests(run.id)
    currency = "+".join(sorted({answer.currency for answer in answers})) or "EUR"
    return RunSummary(
        run_id=run.id,
        key=run.key,
        sandbox=run.sandbox,
        created_at=run.created_at,
        status=_status(rows, stop, sending=sending, at_work=at_work),
        rows=rows,
        requests=requests,
        cost=total(answer.cost for answer in answers),
        currency=currency,
        total_seconds=total(line.total_seconds for line in countries),
        earliest_finish=earliest_finish(left, ledger.usages(limiter, limits, now=now), now) if left else None,
        countries=countries,
        report_dir=run.report_dir,
        ledger=str(ledger),
        stop=stop,
        findings=(
            *_without_cost(uncharged, currency),
            *find_faults(answers),
            *_odd_callbacks(ledger.odd_callbacks(run.id)),
        ),
        answered=len(answers),
        base_url=run.base_url,
        deliveries=sum(deliveries.values(), DeliveryCounts()),
        estimated_cost=_estimated_cost(uncharged),
        settled_by_callback=sum(len(one.numbers) for one in uncharged if one.by_callback),
        leaves_at=ledger.leaves_at(run.id, now=now),
        listens=run.notify_url is not None,
        credited=total(amount for amount, _ in ledger.credited(run.id)),
    )


def _priced(uncharged: Sequence[Uncharged], run: Run, ledger: Ledger) -> list[Uncharged]:
    """What had no price when it was planned may have one since, from the answers to other requests."""
    if all(one.estimate is not None for one in uncharged):
        return list(uncharged)
    prices = ledger.unit_costs(sandbox=run.sandbox)
    return [one._replace(estimate=one.estimate or estimate_batch(prices, one.numbers)) for one in uncharged]


def _without_cost(uncharged: Sequence[Uncharged], currency: str) -> Iterator[str]:
    """Who counts as accepted though no answer says what that cost."""
    on_ones_word = sum(len(one.numbers) for one in uncharged if not one.by_callback)
    if on_ones_word:
        yield f"{people(on_ones_word)} accepted on somebody's word alone: what that cost is not in the report."
    by_callback = [one for one in uncharged if one.by_callback]
    if by_callback:
        cost = _estimated_cost(by_callback)
        amount = "is not known" if cost is None else f"is estimated at {money(cost)} {currency}, and not in the report"
        who = people(sum(len(one.numbers) for one in by_callback))
        yield f"{who} accepted by callbacks alone, for the answers were lost: what that cost {amount}."


def _estimated_cost(uncharged: Sequence[Uncharged]) -> Decimal | None:
    """``None`` when nothing is missing, or something has no price."""
    estimates = [one.estimate for one in uncharged]
    known = [estimate for estimate in estimates if estimate is not None]
    return total(known) if known and len(known) == len(estimates) else None


def _odd_callbacks(problems: Mapping[str, int]) -> Iterator[str]:
    for problem, count in problems.items():
        yield f"{count} callback{'' if count == 1 else 's'} that {'is' if count == 1 else 'are'} odd: {problem}."


def _status(rows: RowCounts, stop: Stop | None, *, sending: bool, at_work: bool) -> RunStatus:
    if sending or (at_work and rows.queued and not stop):  # who has nothing to do any more is only about to leave
        return RunStatus.RUNNING
    if rows.queued:
        return RunStatus.STOPPED if stop else RunStatus.INCOMPLETE
    if rows.unknown:
        return RunStatus.UNKNOWN
    return RunStatus.CANCELLED if rows.cancelled and not rows.accepted else RunStatus.COMPLETE


def failure(summary: RunSummary) -> VoicebatchError | None:
    """What a run that did not end with everyone accepted amounts to, as an error; ``None`` when it did."""
    stop, run, rows = summary.stop, summary.run_id, summary.rows
    if summary.status is RunStatus.RUNNING:
        error: VoicebatchError = GuardError(
            f"Somebody is still sending run {run}.", hint=f"If nothing works on it any more: voicebatch resume {run}"
        )
    elif stop and rows.queued:
        error = _STOPS[stop.kind](stop.message, hint=with_unknown(stop.hint.replace("RUN", run), summary))
    elif rows.queued:
        hint = with_unknown(f"Go on: voicebatch resume {run}", summary)
        error = GuardError(f"Still queued: {people(rows.queued)}.", hint=hint)
    elif rows.unknown:
        error = UnknownError(
            f"{_unknown_words(summary)}: they may have been called. They are not sent again.",
            hint=f"{_WAIT_FOR_CALLBACKS.format(run) if summary.listens else ''}"
            f"Which they are: voicebatch runs show {run}, and the rows with status unknown in "
            f"{Path(summary.report_dir) / 'recipients.csv'}\n{how_to_settle(run)}",
        )
    elif rows.refused:
        error = RefusedError(
            f"The provider refused {people(rows.refused)}.",
            hint=f"The reasons are in {Path(summary.report_dir) / 'recipients.csv'}",
        )
    elif summary.status is RunStatus.CANCELLED:
        error = InputError(
            f"Run {run} was taken back: nobody in it is called.",
            hint="To call them after all, send them with another --key.",
        )
    else:
        return None
    error.summary = summary
    return error


def with_unknown(hint: str, summary: RunSummary) -> str:
    """The hint, and below it what is unknown besides; nothing of what is only under way."""
    if not summary.rows.unknown or summary.status is RunStatus.RUNNING:
        return hint
    return f"{hint}\n{_unknown_words(summary)}: voicebatch runs show {summary.run_id}"


def how_to_settle(run: str) -> str:
    """What to do with a run's requests whose outcome is unknown, in commands that can be typed."""
    return (
        "Look on the provider's platform, by time and number of people, which of these requests it has. Then, for one\n"
        f"  that it has: voicebatch resolve {run} --as sent --batch ID --reason TEXT\n"
        f"  that it does not have: voicebatch resolve {run} --as not-sent --requeue --batch ID --reason TEXT"
    )


def _unknown_words(summary: RunSummary) -> str:
    count = summary.requests.unknown
    requests = f"{count} request{'' if count == 1 else 's'}"
    return f"The outcome of {requests} with {people(summary.rows.unknown)} is unknown"


def write_reports(run: Run, ledger: Ledger, folder: Path, summary: RunSummary, *, now: datetime) -> None:
    """Writes every document of the run into its folder, from the ledger alone."""
    make_folder(folder)
    files = [one["name"] for one in run.manifest["inputs"]]
    write_country_report(folder, run.id, summary.countries)
    if summary.listens or summary.deliveries.told:
        write_delivery_report(folder, run.id, summary.countries)
    lines = _blocks(ledger.rows(run.id))
    written = write_recipients(folder, run.id, files, lines, calling_codes=phones.calling_codes)
    write_bytes(folder / "rejected.csv", ledger.document(run.id, "rejected.csv"))
    checks = [manifest.row_check(summary.rows, written), *_charge_checks(run, ledger, summary)]
    unknown = _unknown_lines(ledger.story(run.id)) if summary.rows.unknown else []
    manifest.write_manifest(folder, run.manifest, summary, checks, written_at=now, unknown=unknown)


def _unknown_lines(story: Story) -> list[dict[str, Any]]:
    return [
        {
            "batch_id": attempt.batch_id,
            "people": attempt.people,
            "left_at": attempt.started_at.isoformat(timespec="seconds"),
            "reason": attempt.reason,
        }
        for attempt in story.unknown
    ]


def _charge_checks(run: Run, ledger: Ledger, summary: RunSummary) -> list[dict[str, Any]]:
    answers = ledger.answers(run.id)
    charged = total(charge.cost for charge, _ in ledger.charges(run.id))
    said = total(answer.cost for answer in answers)
    messages = sum(answer.messages for answer in answers)
    accepted = ("accepted_numbers", sum(answer.size for answer in answers))
    return [
        manifest.check("sum of charges = sum of answers' cost", ("charges", charged), ("answers", said)),
        manifest.check("accepted numbers = nbSms", accepted, ("nbSms", messages)),
        manifest.check("one currency", ("currencies", summary.currency), ("first", summary.currency.split("+")[0])),
        {
            "check": "every answer adds up",
            "ok": not any(find_faults(answers)),
            "answers": str(len(answers)),
            "findings": list(summary.findings),
        },
    ]


def find_faults(answers: Sequence[AnswerLine]) -> Iterator[str]:
    """Sentences about what the provider answered and does not add up. It is recorded as it came."""
    first = answers[0].currency if answers else ""
    for answer in answers:
        batch = f"Batch {answer.batch_id}"
        if answer.messages != answer.size:
            yield f"{batch}: the provider counts {answer.messages} messages for {people(answer.size)}."
        if answer.charged_messages != answer.messages:
            yield f"{batch}: its charges are for {answer.charged_messages} of {answer.messages} messages."
        if answer.charged != answer.cost:
            yield f"{batch}: its charges sum to {money(answer.charged)}, and its cost is {money(answer.cost)}."
        if answer.units != answer.charged:
            yield f"{batch}: unit costs times messages are {money(answer.units)}, charged is {money(answer.charged)}."
        if answer.currency != first:
            yield f"{batch}: charged in {answer.currency}, while the first answer was in {first}."


def write_plan(plan: Plan, *, now: datetime) -> None:
    """Writes a plan's ``recipients.csv``, ``rejected.csv`` and ``manifest.json``; nothing into the ledger."""
    folder, summary = plan.report_dir, plan.summary()
    make_folder(folder)
    files = [file.name for file in plan.intake.files]
    rejected = in_background(write_blocks, folder / "rejected.csv", plan.rejected_csv())
    written = write_recipients(
        folder, plan.run_id, files, plan.blocks(), calling_codes=phones.calling_codes, each=map_ahead
    )
    rejected()
    checks = [manifest.row_check(summary.rows, written)]
    manifest.write_manifest(folder, plan.manifest, summary, checks, written_at=now)


def _blocks(rows: Iterator[RowLine]) -> Iterator[Lines]:
    while some := list(islice(rows, BATCH_ROWS)):
        file, row, *texts, accepted_at, delivery = zip(*some, strict=True)
        at = [moment and moment.isoformat(timespec="seconds") for moment in accepted_at]
        columns = (pa.array(column, pa.string()) for column in (*texts, at, delivery))
        yield Lines(pa.array(file), pa.array(row), *columns)
