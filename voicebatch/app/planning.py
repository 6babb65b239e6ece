"""From files and a message to a sealed plan, or to the run that has its key already."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from voicebatch import wire
from voicebatch.app.clocks import SystemClock
from voicebatch.app.ledgers import ledger_url
from voicebatch.app.limits import SANDBOX_HOST, limiter_of, limits_of
from voicebatch.app.messages import check_channel
from voicebatch.app.options import OnProgress, Paths, hashes_of, ignore_progress, input_options, paths_of, plan_options
from voicebatch.app.schemas import read_schema, with_settings
from voicebatch.errors import InputError
from voicebatch.ledger import Run, existing
from voicebatch.models import Message
from voicebatch.pipeline import running
from voicebatch.pipeline.ahead import in_background
from voicebatch.pipeline.plan import Plan
from voicebatch.settings import NO_NAMES, PlanOptions

if TYPE_CHECKING:
    from voicebatch.sending import Clock


def plan(
    files: Paths,
    message: Message,
    *,
    schema: str | os.PathLike[str] | None = None,
    region: str = "FR",
    phone_column: str | None = None,
    sheet: str | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    include_hidden: bool = False,
    extra_lang: Sequence[str] = (),
    suppress: Paths = (),
    max_invalid: str = "5%",
    repeat_window: str = "24h",
    siblings: str | None = None,
    limit: int | None = None,
    batch_size: int = wire.NUMBERS_PER_REQUEST,
    key: str | None = None,
    notify_url: str | None = None,
    notify_email: str | None = None,
    sender: str | None = None,
    price_table: str | os.PathLike[str] | None = None,
    rate: str | None = None,
    base_url: str | None = None,
    sandbox: bool = False,
    out: str | os.PathLike[str] = "reports",
    ledger: str | None = None,
    clock: Clock | None = None,
    on_progress: OnProgress = ignore_progress,
    names: Mapping[str, str] = NO_NAMES,
) -> Plan:
    """Makes the sealed list of requests for these files and this message; sends nothing, writes nothing.

    ``message.text`` is a Jinja2 template whose variables are the files' columns. ``plan.refusal`` says why the plan may
    not be sent (too many bad rows, nobody to call), if so. ``names`` are what the reports call files that are copies of
    others, by their paths; whoever was sent the same message by a run whose key begins like ``siblings`` is not called
    again. Raises ``UsageError`` for wrong options, and for a key that
    was used for other content; ``InputError`` for an input that is no table or lacks a column.
    """
    hashing = in_background(hashes_of, files)  # while heavy modules load, as large files take as long as those
    from voicebatch.pipeline import planning
    from voicebatch.pipeline.rules import rules_of

    inputs = input_options(schema, region, phone_column, sheet, delimiter, encoding, include_hidden=include_hidden)
    options = plan_options(
        channel=message.channel,
        region=inputs.region,
        suppress=suppress,
        max_invalid=max_invalid,
        repeat_window=repeat_window,
        siblings=siblings,
        limit=limit,
        batch_size=batch_size,
        key=key,
        notify_url=notify_url,
        notify_email=notify_email,
        sender=sender,
        price_table=price_table,
        out=out,
    )
    check_channel(message)
    loaded, now = read_schema(inputs.schema), (clock or SystemClock()).now()
    url = ledger_url(ledger, sandbox=sandbox)
    book = existing(url)
    with contextlib.closing(book) if book else contextlib.nullcontext():
        ledger_now = now if clock or not book else book.read_clock()
        hashes = hashing()
        identity = planning.identify(hashes, message, inputs, options, loaded.sha256)
        made = planning.make_plan(
            paths_of(files),
            message,
            identity=identity,
            hashes=hashes,
            inputs=inputs,
            options=options,
            schema=with_settings(loaded.schema),
            schema_sha256=loaded.sha256,
            rules=rules_of(inputs.region, extra_languages=extra_lang, now=now),
            ledger=book,
            ledger_url=url,
            sandbox=sandbox,
            limits=limits_of(message.channel, rate),
            limiter=limiter_of(message.channel, SANDBOX_HOST if sandbox else base_url or wire.BASE_URL),
            now=now,
            ledger_now=ledger_now,
            on_progress=on_progress,
            names=names,
        )
    if hashes_of(files) != hashes:
        raise InputError("The input changed while it was read. Nothing was sent.", hint="Run the command again.")
    return made


def existing_run(
    files: Paths,
    message: Message,
    *,
    key: str | None,
    limit: int | None,
    ledger: str | None,
    sandbox: bool,
    schema: str | os.PathLike[str] | None,
    region: str,
    phone_column: str | None,
    sheet: str | None,
    delimiter: str | None,
    encoding: str | None,
    include_hidden: bool,
) -> Run | None:
    """The run that has this content's key already, if there is one; of the files only hashes are computed.

    Raises ``UsageError`` when the key stands for other content.
    """
    inputs = input_options(schema, region, phone_column, sheet, delimiter, encoding, include_hidden=include_hidden)
    loaded = read_schema(inputs.schema)
    book = existing(ledger_url(ledger, sandbox=sandbox))
    if book is None:
        return None
    from voicebatch.pipeline import planning

    with contextlib.closing(book):
        options = PlanOptions(key=key, limit=limit)
        identity = planning.identify(hashes_of(files), message, inputs, options, loaded.sha256)
        run = book.with_key(identity.key)
    if run:
        running.check_content(run, identity.content)
        running.check_kind(run, sandbox=sandbox)
    return run


def write_plan(plan: Plan) -> None:
    """Writes the plan's files into its folder."""
    running.write_plan(plan, now=plan.created_at)
