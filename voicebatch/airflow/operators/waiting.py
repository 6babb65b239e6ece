"""The other half: what goes on, waits, and ends as the ledger says."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from airflow.providers.common.compat.sdk import AirflowException

from voicebatch.airflow.operators.connected import ConnectedOperator
from voicebatch.airflow.results import result_of, run_words
from voicebatch.airflow.storage import delivered, join
from voicebatch.airflow.triggers.voicebatch import VoicebatchTrigger
from voicebatch.airflow.words import in_airflows_words, in_arguments, one_of
from voicebatch.errors import RefusedError, UnknownError
from voicebatch.models import people

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from voicebatch.models import RunSummary

OnUnknown = Literal["fail", "wait", "ignore"]

_PATIENCE: Final = timedelta(seconds=5)
"""Longer waits are left to the triggerer: to go there and back costs a task some seconds of a worker."""

_SHORTEST_LOOK: Final = timedelta(seconds=30)
_LONGEST_LOOK: Final = timedelta(minutes=10)
"""Between two looks whether somebody, or a callback, has settled what is unknown."""


class WaitingOperator(ConnectedOperator):
    """Goes on where the ledger stands, as often as it takes, and waits without a worker in between.

    :param on_unknown: what the task does when the outcome of a request is unknown at the end: ``fail`` (no retry could
        change it), ``wait`` for callbacks or somebody's word, or ``ignore`` it and succeed with a warning.
    :param max_wait: how long this task may wait altogether, for the limit or for what is unknown. Default: as long as
        it takes.
    :param deferrable: wait in the triggerer; otherwise the task sleeps, and holds its slot.
    """

    def __init__(
        self,
        *,
        on_unknown: OnUnknown = "fail",
        max_wait: timedelta | None = None,
        deferrable: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.on_unknown = one_of(OnUnknown, "on_unknown", on_unknown)
        self.max_wait = max_wait
        self.deferrable = deferrable
        self._work_stops: threading.Event | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """From the start."""
        with in_airflows_words():
            run_id = self.begin(context)
        return self._work(context, run_id, since=datetime.now(UTC))

    def execute_complete(self, context: Context, event: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """After a wait. Whatever the trigger brings back, where the run stands is in the ledger."""
        with in_airflows_words():
            run_id = self.begun(context)
        since = datetime.fromisoformat(event["since"]) if event else datetime.now(UTC)
        return self._work(context, run_id, since=since)

    def on_kill(self) -> None:
        """Ends the work after the requests in flight."""
        if self._work_stops:
            self._work_stops.set()

    def begin(self, context: Context) -> str:
        """The id of the run to work on."""
        raise NotImplementedError

    def begun(self, context: Context) -> str:
        """The same after a wait, when it is in the ledger."""
        return self.begin(context)

    def advance(self, run_id: str, *, patience: timedelta | None, stop: threading.Event) -> RunSummary:
        """Does what can be done without waiting for longer than ``patience``, and says where the run stands."""
        raise NotImplementedError

    def conclude(self, summary: RunSummary) -> RunSummary:
        """When there is nothing more to do: the figures that count."""
        raise NotImplementedError

    def report(self, run_id: str) -> RunSummary:
        """Writes the reports, and gives the figures in them."""
        from voicebatch import app

        with delivered(self.reports) as folder:
            summary = app.report(run_id, out=folder, **self.where)
        self._reported = replace(summary, report_dir=join(self.reports, run_id))
        return self._reported

    def _work(self, context: Context, run_id: str, *, since: datetime) -> dict[str, Any]:
        stop = self._work_stops = threading.Event()
        with in_airflows_words():
            while True:
                summary = self.advance(run_id, patience=self._patience(since), stop=stop)
                if stop.is_set() and summary.rows.queued:
                    raise AirflowException(
                        f"Stopped: what was in flight is recorded, {summary.rows.queued} people are still queued.\n"
                        "A retry or a clear goes on with them."
                    )
                pause = self._pause(summary, since)
                if pause is None or stop.is_set():
                    return self._end(context, self.conclude(summary))
                self._wait(*pause, since=since, stop=stop)

    def _patience(self, since: datetime) -> timedelta | None:
        if self.deferrable:
            return _PATIENCE
        return None if self.max_wait is None else max(timedelta(0), since + self.max_wait - datetime.now(UTC))

    def _pause(self, summary: RunSummary, since: datetime) -> tuple[datetime, str] | None:
        """Until when to wait, and why."""
        if summary.waits_until:
            return summary.waits_until, f"{summary.waits_for}, and {people(summary.rows.queued)} are still queued"
        if self.on_unknown != "wait" or summary.rows.queued or not summary.rows.unknown:
            return None
        now = datetime.now(UTC)
        look = min(max((now - since) / 4, _SHORTEST_LOOK), _LONGEST_LOOK)
        return now + look, f"the outcome of {summary.rows.unknown} people is unknown (run {summary.run_id})"

    def _wait(self, until: datetime, reason: str, *, since: datetime, stop: threading.Event) -> None:
        if self.max_wait is not None and until > since + self.max_wait:
            raise AirflowException(
                f"Waiting until {until.isoformat(timespec='seconds')} would be longer than max_wait, {self.max_wait}: "
                f"{reason}.\nNothing is lost: a retry or a clear goes on. To wait for longer: a higher max_wait."
            )
        self.log.info("Waiting until %s: %s", until.isoformat(timespec="seconds"), reason)
        if self.deferrable:
            trigger = VoicebatchTrigger(moment=until.isoformat(), since=since.isoformat(), reason=reason)
            self.defer(trigger=trigger, method_name="execute_complete")
        stop.wait(max(0.0, (until - datetime.now(UTC)).total_seconds()))

    def _end(self, context: Context, summary: RunSummary) -> dict[str, Any]:
        """The small result, for XCom and the events of the task's assets. Raises what a failure amounts to."""
        from voicebatch.pipeline.running import failure

        self._worked_on = summary.key
        error = failure(summary)
        if isinstance(error, RefusedError) or (isinstance(error, UnknownError) and self.on_unknown == "ignore"):
            self.log.warning("%s %s", error.message, in_arguments(error.hint))
        elif error:
            raise error
        for finding in summary.findings:
            self.log.warning("Check: %s", finding)
        for line in run_words(summary):
            self.log.info("%s", line)
        result = result_of(summary)
        for outlet in self.outlets or ():
            context["outlet_events"][outlet].extra.update(result)
        return result
