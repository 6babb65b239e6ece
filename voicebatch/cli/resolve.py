"""``voicebatch resolve``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from voicebatch import models
from voicebatch.cli import options, output
from voicebatch.cli.asking import ask, refuse_unasked
from voicebatch.errors import UsageError
from voicebatch.models import Verdict

if TYPE_CHECKING:
    from voicebatch.models import Attempt, Story

_NOTHING: Final = "Nothing was settled."


@click.command
@click.argument("run")
@options.option("--as", "verdict", envvar="VOICEBATCH_AS", type=click.Choice([str(one) for one in Verdict]),
                required=True, help="sent: the provider has it. not-sent: it does not.")  # fmt: skip
@options.option("--reason", metavar="TEXT", required=True, help="How you know. It is recorded.")
@options.option("--batch", "batch_ids", envvar="VOICEBATCH_BATCH", metavar="ID", multiple=True,
                help="A batch's id or its beginning; repeatable. Default: all that are unknown.")  # fmt: skip
@options.option("--requeue", is_flag=True, help="With not-sent: queue its people again, for resume to call them.")
@options.option("--who", metavar="NAME", help="Who says so. Default: the user of this machine.")
@options.reporting
@options.option("--sandbox", is_flag=True, help="A run of the sandbox's ledger.")
@options.option("--yes", "-y", is_flag=True, help="Don't ask.")
@options.common
def resolve(run: str, *, verdict: str, yes: bool, common: options.Common, **how: Any) -> None:
    """Settle what is unknown of RUN, on your word. RUN is an id, its beginning, or latest.

    A wrong verdict is corrected by the same command with --batch and the other --as, until its people are called again.
    """
    from voicebatch import app

    _check(verdict, how)
    run_id = app.run_id_of(run, ledger=common.ledger, sandbox=how["sandbox"])
    story = app.story_of(run_id, ledger=common.ledger, sandbox=how["sandbox"], give_up_lost=True)
    how["batch_ids"] = _meant(story, how["batch_ids"]) or _all_unknown(
        story, run_id, verdict, requeue=how["requeue"], yes=yes
    )
    reason = how.pop("reason")
    _, summary = app.resolve(run_id, Verdict(verdict), why=reason, ledger=common.ledger, **how)
    settled = list({one.batch_id: one for one in story.attempts if one.batch_id in how["batch_ids"]}.values())
    if common.as_json:
        output.print_json({**output.summary_json(summary), "settled": _json(settled, verdict)})
    else:
        click.echo(f"Settled as {verdict}: {_counted(settled)}.")
        output.print_summary(summary, common)
    output.say(common.typeable(_next(run_id, settled, verdict, requeue=how["requeue"])))


def _check(verdict: str, how: dict[str, Any]) -> None:
    how["reason"] = " ".join(how["reason"].split())
    if not how["reason"]:
        raise UsageError(f"--reason is empty. {_NOTHING}", hint="Say how you know, for who reads it later.")
    if how["requeue"] and verdict != Verdict.NOT_SENT:
        raise UsageError(f"--requeue goes with --as not-sent only: nobody is called twice. {_NOTHING}")


def _meant(story: Story, names: Sequence[str]) -> list[str]:
    """Whole ids, each once; what stands for none or for several is left to the ledger to refuse."""
    known = {attempt.batch_id for attempt in story.attempts}
    found = [[one for one in known if one.startswith(name)] for name in names]
    return sorted({ids[0] if len(ids) == 1 else name for name, ids in zip(names, found, strict=True)})


def _all_unknown(story: Story, run_id: str, verdict: str, *, requeue: bool, yes: bool) -> list[str]:
    """The batches that are unknown now: what becomes so after the question was not asked about."""
    unknown = story.unknown
    if not unknown:
        raise _nothing_unknown(story, run_id)
    refuse_unasked(yes=yes, otherwise=_NOTHING)
    if not yes:
        for one in unknown:
            output.say(f"Batch {one.batch_id}: {models.people(one.people)}, left {output.local(one.started_at)}")
        again = ", and queue them to be called again" if requeue else ""
        ask(f"Settle {_counted(unknown)} as {verdict}{again}?", otherwise=_NOTHING)
    return [one.batch_id for one in unknown]


def _nothing_unknown(story: Story, run_id: str) -> UsageError:
    under_way = [one for one in story.attempts if one.ended_at is None]
    if not under_way:
        return UsageError(f"Nothing of run {run_id} is unknown: there is nothing to settle.")
    are = "is" if len(under_way) == 1 else "are"
    return UsageError(
        f"Nothing of run {run_id} is unknown, but {_counted(under_way)} {are} under way. {_NOTHING}",
        hint="Wait for the answer. If its worker is gone, this command sees it at once on the worker's machine, and on "
        "another one when its lease ends: two minutes after it left, unless --timeout was another.",
    )


def _counted(requests: Sequence[Attempt]) -> str:
    people = models.people(sum(one.people for one in requests))
    return f"{output.counted(len(requests), 'request')} with {people}"


def _json(settled: Sequence[Attempt], verdict: str) -> dict[str, Any]:
    people = sum(one.people for one in settled)
    return {"as": verdict, "requests": len(settled), "people": people, "batches": [one.batch_id for one in settled]}


def _next(run_id: str, settled: Sequence[Attempt], verdict: str, *, requeue: bool) -> str:
    if requeue:
        return f"Call them: voicebatch resume {run_id}"
    if verdict == Verdict.SENT:
        return f"They count as accepted. How the run stands: voicebatch runs show {run_id}"
    batches = " ".join(f"--batch {one.batch_id}" for one in settled)
    return (
        "They are left out. To call them after all: "
        f"voicebatch resolve {run_id} --as not-sent --requeue {batches} --reason TEXT"
    )
