"""From a sealed plan to reports: enqueue, drain, summarise, write the documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from voicebatch import phones
from voicebatch.errors import AccountError, GuardError, RefusedError, UnknownError, UsageError, VoicebatchError
from voicebatch.ledger import Ledger, Run
from voicebatch.models import Progress, RateLimit, RowCounts, RunStatus, RunSummary, Stop
from voicebatch.pacing import earliest_finish
from voicebatch.pipeline.opt_outs import OptOutList
from voicebatch.pipeline.plan import Plan, estimate_batch
from voicebatch.pricing import Prices, total
from voicebatch.reports import manifest
from voicebatch.reports.cells import make_folder, write_bytes
from voicebatch.reports.country import country_totals, write_country_report
from voicebatch.reports.recipients import write_recipients

_STOPS: Final = {"account": AccountError, "guard": GuardError}


def enqueue(plan: Plan, ledger: Ledger, *, base_url: str, now: datetime) -> Run:
    """Commits the plan as queued, all of it or nothing; a key that is there already is gone on with.

    Raises ``UsageError`` when the key stands for other content.
    """
    if not ledger.enqueue(plan.new_run(base_url=base_url), now=now):
        withdraw(plan.run_id, ledger, plan.opt_outs)
    run = ledger.find(plan.run_id)
    check_content(run, plan.identity.content)
    check_kind(run, sandbox=plan.sandbox)
    return run


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
    """One key, one content: raises ``UsageError`` for another."""
    if run.content != content:
        raise UsageError(
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
    now: datetime,
) -> None:
    """Sends what is queued. Nothing is asked of the provider when nothing is.

    Raises ``UsageError`` when a ceiling is set and a price that it needs is not known.
    """
    ledger.let_go_on(run.id, now=now)
    if max_cost is not None:
        _price_the_queue(run, ledger, prices)
    requests, answers = ledger.request_counts(run.id), ledger.answers(run.id)
    done = requests.accepted + requests.refused + requests.unknown
    start = Progress(
        stage="sending",
        done=done,
        total=requests.planned,
        accepted=requests.accepted,
        refused=requests.refused,
        unknown=requests.unknown,
        cost=total(cost for _, _, cost, _ in answers),
        currency=next((currency for *_, currency in answers), ""),
    )
    send(run.id, start)


def check_prices(plan: Plan) -> None:
    """Raises ``UsageError`` when a ceiling needs a price that the plan does not know: before it is committed."""
    if missing := plan.prices.missing(plan.messages_by_code):
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
    rows, requests = ledger.row_counts(run.id), ledger.request_counts(run.id)
    stop = ledger.find(run.id).stop
    countries = country_totals(ledger.charges(run.id), region_of=phones.main_region, name_of=phones.country_name)
    answers = ledger.answers(run.id)
    left = requests.planned - requests.accepted - requests.refused - requests.unknown
    return RunSummary(
        run_id=run.id,
        key=run.key,
        sandbox=run.sandbox,
        created_at=run.created_at,
        status=_status(rows, stop, sending=ledger.is_sending(run.id)),
        rows=rows,
        requests=requests,
        cost=total(cost for _, _, cost, _ in answers),
        currency="+".join(sorted({currency for *_, currency in answers})) or "EUR",
        total_seconds=total(line.total_seconds for line in countries),
        earliest_finish=earliest_finish(left, ledger.usages(limiter, limits, now=now), now) if left else None,
        countries=countries,
        report_dir=run.report_dir,
        ledger=str(ledger),
        stop=stop,
    )


def _status(rows: RowCounts, stop: Stop | None, *, sending: bool) -> RunStatus:
    if sending:
        return RunStatus.RUNNING
    if rows.queued:
        return RunStatus.STOPPED if stop else RunStatus.INCOMPLETE
    if rows.unknown:
        return RunStatus.UNKNOWN
    return RunStatus.CANCELLED if rows.cancelled and not rows.accepted else RunStatus.COMPLETE


def failure(summary: RunSummary) -> VoicebatchError | None:
    """What a run that did not end with everyone accepted amounts to, as an error; ``None`` when it did."""
    stop, run, rows, requests = summary.stop, summary.run_id, summary.rows, summary.requests
    if summary.status is RunStatus.RUNNING:
        error: VoicebatchError = GuardError(
            f"Run {run} has requests under way.", hint=f"If nothing works on it any more: voicebatch resume {run}"
        )
    elif stop and rows.queued:
        error = _STOPS[stop.kind](stop.message, hint=stop.hint.replace("RUN", run))
    elif rows.unknown:
        error = UnknownError(
            f"The outcome of {_requests(requests.unknown)} with {_people(rows.unknown)} is unknown: they may have been "
            "called. They are not sent again.",
            hint=f"They are the rows with status unknown in {Path(summary.report_dir) / 'recipients.csv'}. Look on "
            "the provider's platform which of these requests it has.",
        )
    elif rows.refused:
        error = RefusedError(
            f"The provider refused {_requests(requests.refused)} with {_people(rows.refused)}.",
            hint=f"The reasons are in {Path(summary.report_dir) / 'recipients.csv'}",
        )
    elif rows.queued:
        error = GuardError(f"{_people(rows.queued)} are still queued.", hint=f"Go on: voicebatch resume {run}")
    else:
        return None
    error.summary = summary
    return error


def _requests(count: int) -> str:
    return f"{count} request{'' if count == 1 else 's'}"


def _people(count: int) -> str:
    return f"{count} {'person' if count == 1 else 'people'}"


def write_reports(run: Run, ledger: Ledger, folder: Path, summary: RunSummary, *, now: datetime) -> None:
    """Writes every document of the run into its folder, from the ledger alone."""
    make_folder(folder)
    files = [one["name"] for one in run.manifest["inputs"]]
    write_country_report(folder, run.id, summary.countries)
    written = write_recipients(folder, run.id, files, ledger.rows(run.id), calling_code=phones.calling_code)
    write_bytes(folder / "rejected.csv", ledger.document(run.id, "rejected.csv"))
    checks = [manifest.row_check(summary.rows, written), *_charge_checks(run, ledger, summary)]
    manifest.write_manifest(folder, run.manifest, summary, checks, written_at=now)


def _charge_checks(run: Run, ledger: Ledger, summary: RunSummary) -> list[dict[str, Any]]:
    answers = ledger.answers(run.id)
    charged = total(charge.cost for charge, _ in ledger.charges(run.id))
    said = total(cost for _, _, cost, _ in answers)
    messages = sum(messages for _, messages, _, _ in answers)
    return [
        manifest.check("sum of charges = sum of answers' cost", ("charges", charged), ("answers", said)),
        manifest.check("accepted numbers = nbSms", ("accepted_numbers", summary.rows.accepted), ("nbSms", messages)),
    ]


def write_plan(plan: Plan, *, now: datetime) -> None:
    """Writes a plan's ``recipients.csv``, ``rejected.csv`` and ``manifest.json``; nothing into the ledger."""
    folder, summary = plan.report_dir, plan.summary()
    make_folder(folder)
    files = [file.name for file in plan.intake.files]
    written = write_recipients(folder, plan.run_id, files, plan.lines(), calling_code=phones.calling_code)
    write_bytes(folder / "rejected.csv", plan.rejected_csv())
    checks = [manifest.row_check(summary.rows, written)]
    manifest.write_manifest(folder, plan.manifest, summary, checks, written_at=now)
