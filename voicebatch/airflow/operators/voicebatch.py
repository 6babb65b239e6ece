"""Plan, send and report, as tasks of a DAG.

    VoicebatchSendOperator(task_id="call", files="s3://exports/{{ ds }}.csv", text="Bonjour {{ prenom }}.")

A retry, a clear, a second start and a killed worker call nobody twice: what was sent is in the ledger, under a key that
comes from the DAG, the task and the run. For several tasks at once, ``VoicebatchPlanOperator`` puts the plan into the
ledger, as many send tasks as it has shards work on it together, and ``VoicebatchReportOperator`` ends it:

    plan = VoicebatchPlanOperator(task_id="plan", files=..., text=..., shards=3)
    calls = VoicebatchSendOperator.partial(task_id="call").expand(shard=plan.output)
    calls >> VoicebatchReportOperator(task_id="report", run=plan.output)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSkipException

from voicebatch.airflow.operators.planning import PlanningOperator, amount
from voicebatch.airflow.operators.waiting import WaitingOperator
from voicebatch.airflow.results import Teller
from voicebatch.airflow.storage import several, stage
from voicebatch.errors import UsageError

if TYPE_CHECKING:
    import threading
    from datetime import timedelta

    from airflow.providers.common.compat.sdk import Context

    from voicebatch.models import RunSummary

Shard = Mapping[str, Any]
"""What a plan's task hands to a task that sends: ``run_id``, ``max_cost`` as text, ``price_table`` as it was given."""


class VoicebatchPlanOperator(PlanningOperator):
    """Checks the files and puts the plan into the ledger, for as many send tasks as ``shards`` says; sends nothing.

    Its result is a list with an entry for each of them: ``VoicebatchSendOperator.partial(...).expand(shard=…)``. They
    share the work, not a list cut in pieces: what a killed one leaves is sent by the others. The rest of its options is
    what ``VoicebatchSendOperator`` takes.
    """

    def __init__(self, *, shards: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shards = shards

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """The shards."""
        run = self.planned(context)
        self._worked_on = run.key
        shard = {
            "run_id": run.id,
            "max_cost": None if self.max_cost is None else str(self.max_cost),
            "price_table": None if self.price_table is None else str(self.price_table),
        }
        return [shard] * self.shards


class VoicebatchSendOperator(WaitingOperator, PlanningOperator):
    """Sends files, or a share of a plan, and writes the reports; a share leaves those to ``VoicebatchReportOperator``.

    :param shard: an entry of the result of ``VoicebatchPlanOperator``, in place of files and message.
    :param concurrency: requests in flight.
    :param timeout: of a request, in seconds.
    :param callbacks: with a sandbox: take its callbacks too.
    """

    template_fields: Sequence[str] = (*PlanningOperator.template_fields, "shard")

    def __init__(
        self,
        *,
        shard: Shard | None = None,
        concurrency: int = 4,
        timeout: float = 30.0,
        callbacks: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.shard = shard
        self.concurrency = concurrency
        self.timeout = timeout
        self.callbacks = callbacks

    def begin(self, context: Context) -> str:
        """What the shard says, or a plan of this task's own."""
        if self.shard is None:
            return self.planned(context).id
        if several(self.files):
            raise UsageError("A shard of a plan is sent without files.", hint="Give files to the plan's task alone.")
        return self._of_shard(context, self.shard)

    def begun(self, context: Context) -> str:
        """By the key: nothing is read again."""
        from voicebatch import app

        if self.shard is not None:
            return self._of_shard(context, self.shard)
        run = app.find_run(self.run_key(context), **self.where)
        if run is None:
            raise UsageError(
                "The ledger does not know the run that this task has begun.",
                hint="Does the connection name the same ledger on every machine?",
            )
        self._check_age(context, run.id)
        return run.id

    def _of_shard(self, context: Context, shard: Shard) -> str:
        run_id = str(shard["run_id"])
        self._check_age(context, run_id)
        return run_id

    def advance(self, run_id: str, *, patience: timedelta | None, stop: threading.Event) -> RunSummary:
        """Sends what is queued, as far as the limit lets it."""
        from voicebatch import app
        from voicebatch.models import RunStatus

        summary = app.summary_of(run_id, **self.where)
        if not summary.rows.queued and summary.status is not RunStatus.RUNNING:
            return summary
        with stage() as files:
            return app.resume(
                run_id,
                api_key=self.account.api_key,
                base_url=self.account.base_url,
                rate=self.rate or self.account.rate,
                concurrency=self.concurrency,
                timeout=self.timeout,
                callbacks=self.callbacks,
                max_cost=amount(self._own_or_planned("max_cost")),
                price_table=files.bring(prices) if (prices := self._own_or_planned("price_table")) else None,
                suppress=[files.bring(place) for place in self._opt_outs()],
                patience=patience,
                reports=False,
                stop=stop,
                on_progress=Teller(self.log),
                **self.where,
            )

    def _own_or_planned(self, name: str) -> Any:
        """An argument of this task, else of the plan's task."""
        own = getattr(self, name)
        return self.shard.get(name) if own is None and self.shard is not None else own

    def conclude(self, summary: RunSummary) -> RunSummary:
        """With the reports, if this is the task that writes them."""
        return replace(summary, report_dir="") if self.shard is not None else self.report(summary.run_id)


class VoicebatchReportOperator(WaitingOperator):
    """Writes a run's reports, and fails as long as somebody in it is not called or the outcome is unknown.

    :param run: the result of the plan's task or of a send task, or a run's id.

    It runs whatever became of the tasks before it, unless ``trigger_rule`` says otherwise: a report is needed most of
    what went wrong.
    """

    template_fields: Sequence[str] = ("run", "out", "voicebatch_conn_id")

    def __init__(self, *, run: str | Mapping[str, Any] | Sequence[Any], **kwargs: Any) -> None:
        super().__init__(**{"trigger_rule": "all_done", **kwargs})
        self.run = run

    def begin(self, context: Context) -> str:  # noqa: ARG002 # the run does not depend on the task
        """The run that it is about."""
        found = set(_run_ids(self.run))
        if not found:
            raise AirflowSkipException("There is no run to report: nothing was planned.")
        if len(found) > 1:
            raise UsageError(
                f"These are {len(found)} runs, and a report is of one.",
                hint="Expand the report too: VoicebatchReportOperator.partial(...).expand(run=...)",
            )
        return found.pop()

    def advance(self, run_id: str, **_: Any) -> RunSummary:
        """Only looks."""
        from voicebatch import app

        return app.summary_of(run_id, **self.where)

    def conclude(self, summary: RunSummary) -> RunSummary:
        """With the reports."""
        return self.report(summary.run_id)


def _run_ids(given: Any) -> Iterator[str]:
    if isinstance(given, str):
        yield from [given] if given else []
    elif isinstance(given, Mapping):
        yield str(given["run_id"])
    elif given is not None:
        for one in given:
            yield from _run_ids(one)
