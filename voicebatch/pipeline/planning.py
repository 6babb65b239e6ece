"""From recipients to a sealed plan: suppress, limit, batch, estimate. Nothing here sends or writes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from voicebatch.models import Channel, Message, Progress, RateLimit, digest
from voicebatch.pacing import Usage
from voicebatch.pipeline.intake import Intake, called, take_in
from voicebatch.pipeline.marking import Marks
from voicebatch.pipeline.opt_outs import OptOutList, read_opt_outs
from voicebatch.pipeline.plan import Identity, Plan
from voicebatch.pipeline.prices import read_prices
from voicebatch.pipeline.writing import MessageWriter
from voicebatch.reports.manifest import versions
from voicebatch.settings import NO_NAMES, InputOptions, PlanOptions
from voicebatch.validation import Rules, Schema

if TYPE_CHECKING:
    from voicebatch.ledger import Ledger

_BEFORE_ALL: Final = datetime(1970, 1, 2, tzinfo=UTC)  # without a ledger the plan knew of nobody who was called


def make_plan(
    files: Sequence[Path],
    message: Message,
    *,
    identity: Identity,
    hashes: Sequence[str],
    inputs: InputOptions,
    options: PlanOptions,
    schema: Schema,
    schema_sha256: str,
    rules: Rules,
    ledger: Ledger | None,
    ledger_url: str,
    sandbox: bool,
    limits: Sequence[RateLimit],
    limiter: str,
    now: datetime,
    ledger_now: datetime,
    on_progress: Callable[[Progress], None],
    names: Mapping[str, str] = NO_NAMES,
) -> Plan:
    """Reads, checks, suppresses and groups the input. Nobody is forgotten: every row ends with one status.

    ``ledger_now`` is the time by which the ledger's workers go, which may differ from this machine's. ``names`` are
    what people call files that are copies, by their paths.

    Too many bad rows are no error here: see ``refuse``. Raises ``InputError`` for an input that is no table.
    """
    opt_outs = tuple(
        replace(one, name=called(one.name, names), files=tuple(called(file, names) for file in one.files))
        for one in (read_opt_outs(path, region=inputs.region) for path in options.suppress)
    )
    writer = MessageWriter(message, now=now)
    intake = take_in(
        files,
        hashes=hashes,
        options=inputs,
        schema=schema,
        rules=rules,
        writer=writer,
        on_progress=on_progress,
        names=names,
    )
    on_progress(Progress(stage="planning"))
    marks = Marks(intake)
    marks.suppress_hidden()
    marks.reject()
    marks.suppress_listed(opt_outs)
    marks.suppress_duplicates()
    if ledger and options.repeat_window:
        marks.suppress_contacted(ledger, identity.run_id, since=ledger_now - options.repeat_window, sandbox=sandbox)
    if ledger and options.siblings:
        marks.suppress_contacted(ledger, identity.run_id, since=_BEFORE_ALL, sandbox=sandbox, keys=options.siblings)
    marks.suppress_beyond(options.limit)
    prices = read_prices(options.price_table, ledger, sandbox=sandbox)
    return Plan(
        identity=identity,
        message=message,
        notify_url=options.notify_url,
        notify_email=options.notify_email,
        sender=options.sender,
        sandbox=sandbox,
        report_dir=options.out / identity.run_id,
        intake=intake,
        opt_outs=opt_outs,
        statuses=marks.statuses,
        reasons=marks.reasons,
        suppressed=marks.suppressed,
        prices=prices,
        usages=tuple(
            ledger.usages(limiter, limits, now=ledger_now) if ledger else (Usage(limit, 0, 0) for limit in limits)
        ),
        created_at=now,
        planned_at=(ledger_now if ledger else _BEFORE_ALL) if options.repeat_window else None,
        ledger_url=ledger_url,
        batch_size=options.batch_size,
        max_invalid=options.max_invalid,
        manifest=_manifest(intake, opt_outs, message, inputs, options, schema, schema_sha256, now),
    )


def identify(
    hashes: Sequence[str], message: Message, inputs: InputOptions, options: PlanOptions, schema_sha256: str
) -> Identity:
    """The run's key, from the content unless the user gave one: input bytes, message, schema, limit.

    What selects other cells of the same bytes (sheet, phone column, region, dialect) is content too.
    """
    selected = {
        field.name: getattr(inputs, field.name)
        for field in fields(InputOptions)
        if field.name != "schema" and getattr(inputs, field.name) != field.default
    }
    content = digest(hashes, message.id, schema_sha256, options.limit, selected)
    return Identity(key=options.key or content, content=content)


def _manifest(
    intake: Intake,
    opt_outs: Sequence[OptOutList],
    message: Message,
    inputs: InputOptions,
    options: PlanOptions,
    schema: Schema,
    schema_sha256: str,
    now: datetime,
) -> dict[str, Any]:
    """What the plan was made of. No secret: the API key is not among the options."""
    template = (message.text or "").encode()
    return {
        "created_at": now.isoformat(timespec="seconds"),
        "versions": versions(),
        "options": {**_plain(inputs), **_plain(options)},
        "inputs": [_plain(file) for file in intake.files],
        "opt_outs": [
            {"name": one.name, "sha256": one.sha256, "numbers": len(one.numbers), "unreadable": list(one.unreadable)}
            for one in opt_outs
        ],
        "message": {**_plain(message), "sha256": hashlib.sha256(template).hexdigest()},
        "schema": {"name": schema.name, "sha256": schema_sha256},
    }


def _plain(value: Any) -> dict[str, Any]:
    """A dataclass as JSON can say it."""
    return {field.name: _json(getattr(value, field.name)) for field in fields(value)}


def _json(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | Channel):
        return value
    return [_json(item) for item in value] if isinstance(value, tuple) else str(value)
