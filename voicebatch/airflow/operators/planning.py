"""The half of the work that comes before the first request: files become a run in the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from voicebatch.airflow.operators.connected import ConnectedOperator
from voicebatch.airflow.results import Teller, plan_words
from voicebatch.airflow.storage import Place, Stage, delivered, join, local, several, stage
from voicebatch.airflow.words import IfEmpty, in_airflows_words, in_arguments, one_of
from voicebatch.errors import KeyTakenError, UsageError, VoicebatchError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from voicebatch.ledger import Run
    from voicebatch.models import Message
    from voicebatch.pipeline.plan import Plan

_TRIAL: Final = "__airflow_temporary_run_"
_FORM: Final = ("phone_column", "sheet", "delimiter", "encoding", "include_hidden")
_PLAN: Final = ("max_invalid", "repeat_window", "batch_size", "notify_url", "notify_email", "sender", "extra_lang")
_MESSAGE: Final = ("text", "audio", "channel", "lang", "speech_rate", "schedule", "extra_lang")


class PlanningOperator(ConnectedOperator):
    """Puts a plan into the ledger. The options are those of the command ``voicebatch plan``, with these differences:

    :param files: one or several, here or on object storage (``s3://bucket/people.csv``; credentials come from
        Airflow's connection: ``s3://CONNECTION@bucket/…`` or an ``ObjectStoragePath``). So may be ``template``,
        ``schema``, ``suppress`` and ``price_table``.
    :param text: the message, voicebatch's own template: ``{{ prenom }}`` is the column. Airflow does not render it.
    :param key: the run's identity. Default: the DAG, the task (with its map index) and the DAG's run, so that the same
        run never calls anyone twice, whatever is retried or cleared, and a run of another date does.
    :param repeat_window: ``"0"`` by default, as the key decides; ``"24h"`` also leaves out who was sent the same
        message by another run within a day.
    :param max_age: how old the run may be; people are not called weeks late because a catch-up or a backfill has come
        to an old interval. Counts from the end of the run's interval (``run_after``).
    :param if_empty: whether the task is skipped or fails when there is nobody to call.
    """

    template_fields: Sequence[str] = (
        "files", "template", "audio", "lang", "speech_rate", "schedule", "schema", "phone_column", "sheet", "suppress",
        "max_invalid", "limit", "key", "notify_url", "notify_email", "price_table", "max_cost", "out",
        "voicebatch_conn_id",
    )  # fmt: skip

    def __init__(
        self,
        *,
        files: Place | Sequence[Place] = (),
        text: str | None = None,
        template: Place | None = None,
        audio: str | None = None,
        channel: str = "voice-sms",
        lang: str = "fr",
        speech_rate: str | float = "1",
        schedule: str | None = None,
        schema: Place | None = None,
        region: str | None = None,
        phone_column: str | None = None,
        sheet: str | None = None,
        delimiter: str | None = None,
        encoding: str | None = None,
        include_hidden: bool = False,
        extra_lang: Sequence[str] = (),
        suppress: Place | Sequence[Place] = (),
        max_invalid: str | int = "5%",
        annotate: bool = False,
        repeat_window: str = "0",
        limit: int | str | None = None,
        batch_size: int = 500,
        key: str | None = None,
        notify_url: str | None = None,
        notify_email: str | None = None,
        sender: str | None = None,
        price_table: Place | None = None,
        max_cost: str | float | Decimal | None = None,
        rate: str | None = None,
        require_credit: bool = False,
        max_age: timedelta | None = None,
        if_empty: IfEmpty = "skip",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.files = files
        self.text = text
        self.template = template
        self.audio = audio
        self.channel = channel
        self.lang = lang
        self.speech_rate = speech_rate
        self.schedule = schedule
        self.schema = schema
        self.region = region
        self.phone_column = phone_column
        self.sheet = sheet
        self.delimiter = delimiter
        self.encoding = encoding
        self.include_hidden = include_hidden
        self.extra_lang = extra_lang
        self.suppress = suppress
        self.max_invalid = max_invalid
        self.annotate = annotate
        self.repeat_window = repeat_window
        self.limit = limit
        self.batch_size = batch_size
        self.key = key
        self.notify_url = notify_url
        self.notify_email = notify_email
        self.sender = sender
        self.price_table = price_table
        self.max_cost = max_cost
        self.rate = rate
        self.require_credit = require_credit
        self.max_age = max_age
        self.if_empty = one_of(IfEmpty, "if_empty", if_empty)

    def run_key(self, context: Context) -> str:
        """The key of this task's run."""
        if self.key:
            return self.key
        siblings = self._siblings(context)
        return f"{siblings}{context['ti'].map_index}" if siblings else _key_of(context)

    def _siblings(self, context: Context) -> str | None:
        """How the keys of a mapped task begin: nobody hears the same message from two of them.

        A list of files that has grown gives them other places in it, and so other keys.
        """
        index = context["ti"].map_index
        return f"{_key_of(context)} " if index is not None and index >= 0 and not self.key else None

    def planned(self, context: Context) -> Run:
        """The run in the ledger with its plan: the one that has the key already, or a new one."""
        from voicebatch import app
        from voicebatch.pipeline.running import check_kind

        self._warn_of_a_trial(context)
        with stage() as files, in_airflows_words(if_empty=self.if_empty, names=files.names):
            ceiling = amount(self.max_cost)
            known = app.find_run(self.run_key(context), **self.where)
            self._check_age(context, known.id if known else None)
            if known:
                check_kind(known, sandbox=self.account.sandbox)
                self._check_content(known, files)
                return known
            made = self._plan(self.run_key(context), files, self._siblings(context))
            self._write(made, files)
            if made.refusal:
                raise made.refusal
            self._look_before(made)
            return app.enqueue(made, base_url=self.account.base_url, max_cost=ceiling)

    def _warn_of_a_trial(self, context: Context) -> None:
        if context["ti"].run_id.startswith(_TRIAL) and not self.account.sandbox:
            self.log.warning(
                "airflow tasks test makes a run of its own each time: its people are called, and every time."
            )

    def _plan(self, key: str, files: Stage, siblings: str | None) -> Plan:
        from voicebatch import app

        brought = self._files(files)
        options = {name: getattr(self, name) for name in _PLAN} | {"max_invalid": str(self.max_invalid)}
        return app.plan(
            brought,
            self._message(files),
            **self._content(key, files),
            **options,
            siblings=siblings,
            suppress=[files.bring(place) for place in self._opt_outs()],
            price_table=files.bring(self.price_table) if self.price_table else None,
            rate=self.rate or self.account.rate,
            base_url=self.account.base_url,
            out=local(self.reports) or Path(gettempdir(), "voicebatch"),
            names=files.names,
            on_progress=Teller(self.log),
        )

    def _content(self, key: str, files: Stage) -> dict[str, Any]:
        """What the key stands for, beside files and message; and the ledger that knows it."""
        return {
            **{name: getattr(self, name) for name in _FORM},
            **self.where,
            "key": key,
            "limit": None if self.limit is None else _whole("limit", self.limit),
            "region": self.region or self.account.region,
            "schema": files.bring(self.schema) if self.schema else None,
        }

    def _message(self, files: Stage) -> Message:
        from voicebatch import app

        asked = {name: getattr(self, name) for name in _MESSAGE} | {"speech_rate": str(self.speech_rate)}
        return app.make_message(**asked, template=files.bring(self.template) if self.template else None)

    def _files(self, files: Stage) -> list[Path]:
        given = several(self.files)
        if not given:
            raise UsageError("There are no files to read.", hint="Give the operator files, or a shard of a plan.")
        return [files.bring(place) for place in given]

    def _opt_outs(self) -> list[Place]:
        if self.suppress is None:  # a template that came to nothing
            raise UsageError("suppress is None, so it would protect nobody.", hint="Name the lists, or leave it out.")
        return several(self.suppress)

    def _check_content(self, known: Run, files: Stage) -> None:
        """Who changed the files or the message since is told: the plan is sealed, and would go on with the old ones."""
        from voicebatch import app

        self.log.info("Run %s is planned already: going on with it.", known.id)
        try:
            app.existing_run(self._files(files), self._message(files), **self._content(known.key, files))
        except KeyTakenError as error:
            queued = app.summary_of(known.id, **self.where).rows.queued
            rest = f"Of that plan {queued} people are still queued: voicebatch resume {known.id}, or voicebatch cancel "
            raise KeyTakenError(
                f"The files or the message are others than when run {known.id} of this task was planned.",
                hint="To call all that are in the files now, also who was called before: another key, or another run "
                f"of the DAG.\n{f'{rest}{known.id}' if queued else 'Of that plan nobody is left to be called.'}",
            ) from error
        except (VoicebatchError, OSError) as error:
            self.log.info("Whether the input is still the same cannot be told (%s). The plan is sealed.", error)

    def _check_age(self, context: Context, run_id: str | None) -> None:
        run_after = context["dag_run"].run_after
        if self.max_age is None or datetime.now(UTC) - run_after <= self.max_age:
            return
        old = f"This run was due at {run_after.isoformat(timespec='seconds')}, longer ago than max_age, {self.max_age}"
        if run_id is None:
            raise AirflowSkipException(f"{old}: nobody is called.")
        from voicebatch import app

        if queued := app.summary_of(run_id, **self.where).rows.queued:
            raise AirflowFailException(
                f"{old}: {queued} people of run {run_id} are still queued, and not called any more.\n"
                f"To call them all the same: voicebatch resume {run_id}. To take them back: voicebatch cancel {run_id}"
            )

    def _write(self, made: Plan, files: Stage) -> None:
        """What became of every row, also when nothing is sent."""
        from voicebatch import app

        with delivered(self.reports) as folder:
            there = replace(made, report_dir=folder / made.run_id)
            app.write_plan(there)
            if self.annotate:
                app.annotate_plan(there, self._files(files), files.names)
        say = self.log.warning if made.counts.rejected else self.log.info
        for line in plan_words(made):
            say("%s", in_arguments(line))
        self.log.info("Run %s: what became of every row is in %s", made.run_id, join(self.reports, made.run_id))

    def _look_before(self, made: Plan) -> None:
        if self.account.sandbox:
            return
        from voicebatch.app.account import check_before_sending

        checked = check_before_sending(
            made,
            api_key=self.account.api_key,
            base_url=self.account.base_url,
            ledger=self.account.ledger,
            require_credit=self.require_credit,
        )
        for line in checked.warnings:
            self.log.warning("%s", in_arguments(line))
        for line in checked.notes:
            self.log.info("%s", in_arguments(line))


def _key_of(context: Context) -> str:
    ti = context["ti"]
    return f"airflow {ti.dag_id} {ti.task_id} {ti.run_id}"


def amount(given: str | float | Decimal | None) -> Decimal | None:
    """A ceiling, exactly as it was written. Raises ``UsageError`` for what is no amount."""
    if given is None or given == "":
        return None
    try:
        exact = Decimal(str(given))
    except InvalidOperation:
        exact = Decimal("NaN")
    if not exact.is_finite() or exact < 0:
        raise UsageError(f"max_cost {given!r} is no amount.", hint="Write it like 25 or 12.50")
    return exact


def _whole(name: str, given: int | str) -> int:
    try:
        return int(given)
    except ValueError:
        raise UsageError(f"{name} {given!r} is no whole number.") from None
