"""The assembly: options become objects here and nowhere else. Its first half is the Python API."""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import logging
import os
import re
import socket
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from voicebatch import credentials, phones, wire
from voicebatch.errors import InputError, UsageError
from voicebatch.headers import column
from voicebatch.ledger import Run, Worker, existing, show_url
from voicebatch.models import Channel, Message, Progress, RateLimit, RunSummary, Story, Verdict
from voicebatch.pacing import parse_duration, parse_rate
from voicebatch.pipeline import running
from voicebatch.pipeline.ahead import in_background
from voicebatch.pipeline.opt_outs import OptOutList, read_opt_outs
from voicebatch.pipeline.outlook import Outlook, look_ahead
from voicebatch.pipeline.plan import Plan, estimate_batch
from voicebatch.pipeline.prices import read_prices
from voicebatch.pricing import Prices
from voicebatch.reports.cells import make_folder
from voicebatch.schedules import read_schedule
from voicebatch.settings import InputOptions, MaxInvalid, PlanOptions

if TYPE_CHECKING:
    import requests

    from voicebatch.ledger import Ledger
    from voicebatch.models import Fault
    from voicebatch.pipeline.inferring import Inferred
    from voicebatch.pipeline.intake import InputFile
    from voicebatch.pipeline.validating import Validation
    from voicebatch.sending import Clock
    from voicebatch.validation import Schema

Paths = Sequence[str | os.PathLike[str]]
OnProgress = Callable[[Progress], None]

_LOG: Final = logging.getLogger(__name__)
SANDBOX_KEY: Final = "sandbox"
SANDBOX_HOST: Final = "new sandbox"
_CALLBACK_SECONDS: Final = 60.0  # that a rehearsal waits for its callbacks, at most


class SystemClock:
    """The machine's clock, in UTC."""

    def now(self) -> datetime:
        """Timezone-aware."""
        return datetime.now(UTC)

    def wait(self, until: datetime, stop: threading.Event) -> None:
        """Sleeps until then, or until ``stop`` is set."""
        stop.wait(max(0.0, (until - self.now()).total_seconds()))


class LedgerClock(SystemClock):
    """The time that all workers of a ledger share."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def now(self) -> datetime:
        """Timezone-aware."""
        return self._ledger.now()


def ignore_progress(_: Progress) -> None:
    """For who does not watch."""


# The Python API


def validate(
    files: Paths,
    *,
    schema: str | os.PathLike[str] | None = None,
    region: str = "FR",
    phone_column: str | None = None,
    sheet: str | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    include_hidden: bool = False,
    extra_lang: Sequence[str] = (),
    max_invalid: str = "5%",
    annotate: bool = False,
    out: str | os.PathLike[str] = "reports",
    clock: Clock | None = None,
    on_progress: OnProgress = ignore_progress,
) -> Validation:
    """Checks the input against the schema and writes ``rejected.csv``; sends nothing, reads no ledger.

    ``annotate`` writes a copy of each file that has bad rows, with those marked. The result counts the rows and lists
    every fault. Raises ``UsageError`` for wrong options and ``InputError`` for
    an input that is no table; too many bad rows are in the result's ``error``.
    """
    from voicebatch.pipeline import validating
    from voicebatch.pipeline.rules import rules_of

    inputs = _input_options(schema, region, phone_column, sheet, delimiter, encoding, include_hidden=include_hidden)
    loaded = read_schema(inputs.schema)
    result = validating.validate(
        _paths(files),
        inputs=inputs,
        schema=_with_settings(loaded.schema),
        rules=rules_of(inputs.region, extra_languages=extra_lang, now=(clock or SystemClock()).now()),
        max_invalid=parse_max_invalid(max_invalid),
        out=Path(out),
        on_progress=on_progress,
    )
    if not annotate:
        return result
    return replace(result, annotated=_annotate(files, inputs, result.files, result.faults, result.report_dir))


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
) -> Plan:
    """Makes the sealed list of requests for these files and this message; sends nothing, writes nothing.

    ``message.text`` is a Jinja2 template whose variables are the files' columns. ``plan.refusal`` says why the plan may
    not be sent (too many bad rows, nobody to call), if so. Raises ``UsageError`` for wrong options, and for a key that
    was used for other content; ``InputError`` for an input that is no table or lacks a column.
    """
    hashing = in_background(_hashes, files)  # while heavy modules load, as large files take as long as those
    from voicebatch.pipeline import planning
    from voicebatch.pipeline.rules import rules_of

    inputs = _input_options(schema, region, phone_column, sheet, delimiter, encoding, include_hidden=include_hidden)
    options = PlanOptions(
        suppress=tuple(_paths(suppress)),
        max_invalid=parse_max_invalid(max_invalid),
        repeat_window=parse_duration(repeat_window),
        limit=_at_least("--limit", limit, 1),
        batch_size=_batch_size(batch_size),
        key=key,
        notify_url=_notify_url(notify_url),
        notify_email=_of_voicemail("--notify-email", _email(notify_email), message.channel),
        sender=_of_voicemail("--sender", _sender(sender, inputs.region), message.channel),
        price_table=Path(price_table) if price_table else None,
        out=Path(out),
    )
    _check_channel(message)
    loaded, now = read_schema(inputs.schema), (clock or SystemClock()).now()
    ledger_url = _ledger_url(ledger, sandbox=sandbox)
    book = existing(ledger_url)
    with contextlib.closing(book) if book else contextlib.nullcontext():
        ledger_now = now if clock or not book else book.read_clock()
        hashes = hashing()
        identity = planning.identify(hashes, message, inputs, options, loaded.sha256)
        made = planning.make_plan(
            _paths(files),
            message,
            identity=identity,
            hashes=hashes,
            inputs=inputs,
            options=options,
            schema=_with_settings(loaded.schema),
            schema_sha256=loaded.sha256,
            rules=rules_of(inputs.region, extra_languages=extra_lang, now=now),
            ledger=book,
            ledger_url=ledger_url,
            sandbox=sandbox,
            limits=_limits(message.channel, rate),
            limiter=limiter_of(message.channel, SANDBOX_HOST if sandbox else base_url or wire.BASE_URL),
            now=now,
            ledger_now=ledger_now,
            on_progress=on_progress,
        )
    if _hashes(files) != hashes:
        raise InputError("The input changed while it was read. Nothing was sent.", hint="Run the command again.")
    return made


def send(
    plan: Plan,
    *,
    api_key: str | None = None,
    base_url: str | None = None,
    sandbox: bool = False,
    callbacks: bool = False,
    rate: str | None = None,
    concurrency: int = 4,
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
    the requests in flight. With ``callbacks`` a rehearsal takes those of its sandbox, and waits for them. The summary's
    ``stop`` and counts say how it ended: see ``pipeline.running.failure``. Raises ``InputError`` for a
    plan that may not be sent, ``LedgerError`` when the ledger fails.
    """
    if plan.refusal:
        raise plan.refusal
    if plan.sandbox != sandbox:
        raise UsageError("A plan is sent where it was made for: sandbox has to be the same for both.")
    how = _Sending(
        api_key=api_key,
        base_url=base_url or wire.BASE_URL,
        sandbox=sandbox,
        callbacks=callbacks,
        rate=rate,
        concurrency=concurrency,
        timeout=timeout,
        max_cost=max_cost,
        session=session,
        clock=clock,
        stop=stop or threading.Event(),
        on_progress=on_progress,
    )
    if max_cost is not None:
        running.check_prices(plan.prices, plan.messages_by_code)
    make_folder(plan.report_dir)
    with opened(plan.ledger_url) as ledger:
        now = (clock or LedgerClock(ledger)).now()
        run = running.enqueue(plan, ledger, base_url="" if sandbox else how.base_url, now=now)
        return _go_on(run, ledger, plan.prices, how)


def resume(
    run: str,
    *,
    api_key: str | None = None,
    base_url: str | None = None,
    sandbox: bool = False,
    callbacks: bool = False,
    rate: str | None = None,
    concurrency: int = 4,
    timeout: float = 30.0,
    max_cost: Decimal | None = None,
    price_table: str | os.PathLike[str] | None = None,
    suppress: Paths = (),
    out: str | os.PathLike[str] | None = None,
    ledger: str | None = None,
    session: requests.Session | None = None,
    clock: Clock | None = None,
    stop: threading.Event | None = None,
    on_progress: OnProgress = ignore_progress,
) -> RunSummary:
    """Goes on with a run that stopped: sends what is queued, and only that.

    ``run`` is an id, its unique beginning, or ``latest``. Batches whose worker is gone become unknown and are not sent.
    Otherwise as ``send``.
    """
    with opened(_ledger_url(ledger, sandbox=sandbox), create=False) as book:
        prices = read_prices(Path(price_table) if price_table else None, book, sandbox=sandbox)
        found = book.find(run)
        running.check_kind(found, sandbox=sandbox)
        how = _Sending(
            api_key=api_key,
            base_url=base_url or found.base_url,
            sandbox=sandbox,
            callbacks=callbacks,
            rate=rate,
            concurrency=concurrency,
            timeout=timeout,
            max_cost=max_cost,
            session=session,
            clock=clock,
            stop=stop or threading.Event(),
            on_progress=on_progress,
        )
        running.withdraw(found.id, book, _read_opt_outs(suppress, found))
        return _go_on(reporting_to(out, found), book, prices, how)


def report(
    run: str, *, out: str | os.PathLike[str] | None = None, ledger: str | None = None, sandbox: bool = False
) -> RunSummary:
    """Writes a run's reports again, from the ledger alone, into ``out/<run id>`` (None: where they were)."""
    with opened(_ledger_url(ledger, sandbox=sandbox), create=False) as book:
        found = reporting_to(out, book.find(run))
        make_folder(Path(found.report_dir))
        return concluded(found, book, wire.BASE_URL, None, LedgerClock(book))


def resolve(
    run: str,
    verdict: Verdict,
    *,
    why: str,
    who: str | None = None,
    batch_ids: Collection[str] = (),
    requeue: bool = False,
    out: str | os.PathLike[str] | None = None,
    ledger: str | None = None,
    sandbox: bool = False,
) -> tuple[int, RunSummary]:
    """Settles what is unknown as sent or not sent, on somebody's word, and writes the run's reports again.

    ``batch_ids`` are ids of batches or unique beginnings of them, none for all that are unknown. What was not sent is
    queued again if ``requeue`` says so: ``resume`` then sends it. ``who`` None: the user of this machine. Returns how
    many batches it were.
    """
    with opened(_ledger_url(ledger, sandbox=sandbox), create=False) as book:
        clock, found = LedgerClock(book), reporting_to(out, book.find(run))
        book.give_up_lost(now=clock.now(), is_gone=Worker.is_gone)
        settled = book.resolve(
            found.id, verdict, who=who or user(), why=why, now=clock.now(), batch_ids=batch_ids, requeue=requeue
        )
        make_folder(Path(found.report_dir))
        return settled, concluded(found, book, wire.BASE_URL, None, clock)


# For the front doors


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
    inputs = _input_options(schema, region, phone_column, sheet, delimiter, encoding, include_hidden=include_hidden)
    loaded = read_schema(inputs.schema)
    book = existing(_ledger_url(ledger, sandbox=sandbox))
    if book is None:
        return None
    from voicebatch.pipeline import planning

    with contextlib.closing(book):
        identity = planning.identify(_hashes(files), message, inputs, PlanOptions(key=key, limit=limit), loaded.sha256)
        run = book.with_key(identity.key)
    if run:
        running.check_content(run, identity.content)
        running.check_kind(run, sandbox=sandbox)
    return run


def check_address(base_url: str | None, *, sandbox: bool) -> str | None:
    """The API key for this address, before any work is done. Raises ``UsageError`` for an unsafe one, or no key."""
    if sandbox:
        return None
    from voicebatch.provider import check_api_key, check_base_url

    check_base_url(base_url or wire.BASE_URL)
    return check_api_key(credentials.find_api_key(os.environ))


def write_plan(plan: Plan) -> None:
    """Writes the plan's files into its folder."""
    running.write_plan(plan, now=plan.created_at)


def annotate_plan(plan: Plan, files: Paths) -> tuple[Path, ...]:
    """Writes into the plan's folder a marked copy of each of its ``files`` that has bad rows; returns where."""
    options = plan.manifest["options"]
    wanted = (field.name for field in fields(InputOptions) if field.name != "schema")
    inputs = InputOptions(**{name: options[name] for name in wanted})
    return _annotate(files, inputs, plan.intake.files, plan.intake.faults, plan.report_dir)


def summary_of(run: str, *, ledger: str | None = None, sandbox: bool = False) -> RunSummary:
    """A run as it stands now; nothing is written."""
    with opened(_ledger_url(ledger, sandbox=sandbox), create=False) as book:
        return _summary(book.find(run), book, wire.BASE_URL, None, LedgerClock(book))


def run_id_of(run: str, *, ledger: str | None = None, sandbox: bool = False) -> str:
    """The whole id: what a beginning or ``latest`` stands for may change while a person is asked."""
    with opened(_ledger_url(ledger, sandbox=sandbox), create=False) as book:
        return book.find(run).id


def story_of(run: str, *, ledger: str | None = None, sandbox: bool = False, give_up_lost: bool = False) -> Story:
    """What happened to a run: its events, its workers, its requests.

    ``give_up_lost`` first makes unknown what a worker that is gone left under way.
    """
    with opened(_ledger_url(ledger, sandbox=sandbox), create=False) as book:
        if give_up_lost:
            book.give_up_lost(now=book.now(), is_gone=Worker.is_gone)
        return book.story(book.find(run).id)


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
    with opened(_ledger_url(ledger, sandbox=sandbox), create=False) as book:
        found = book.find(run)
        running.check_kind(found, sandbox=sandbox)
        return look_ahead(
            found,
            book,
            prices=read_prices(Path(price_table) if price_table else None, book, sandbox=sandbox),
            opt_outs=_read_opt_outs(suppress, found),
            limits=_limits(found.channel, rate),
            limiter=limiter_of(found.channel, SANDBOX_HOST if sandbox else base_url or found.base_url),
            now=book.now(),
        )


def all_summaries(*, ledger: str | None = None, sandbox: bool = False) -> list[RunSummary]:
    """Every run of the ledger, the newest first."""
    book = existing(_ledger_url(ledger, sandbox=sandbox))
    if book is None:
        return []
    with contextlib.closing(book):
        return [_summary(run, book, wire.BASE_URL, None, LedgerClock(book)) for run in book.all_runs()]


@contextlib.contextmanager
def opened(url: str, *, create: bool = True) -> Iterator[Ledger]:
    """The ledger, closed at the end. Raises ``UsageError`` when it does not exist and is not to be created."""
    from voicebatch.ledger import Ledger

    ledger = Ledger(url) if create else existing(url)
    if ledger is None:
        raise UsageError(
            f"There is no ledger {show_url(url)}.", hint="Nothing was sent with it yet. Name another: --ledger"
        )
    with contextlib.closing(ledger):
        yield ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedSchema:
    """A schema, and the file that it came from."""

    schema: Schema
    text: str

    @property
    def sha256(self) -> str:
        """Of the file."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def read_schema(path: Path | None) -> LoadedSchema:
    """A user's schema, or the packaged ``recipients.yaml``. Raises ``UsageError`` for one that cannot be used."""
    source = path or packaged_schema("recipients")
    try:
        text = source.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise UsageError(f"The schema {source} cannot be read: {error}.", hint="Check the path.") from error
    from voicebatch.validation import load_schema

    return LoadedSchema(schema=load_schema(text, name=str(path) if path else "recipients.yaml"), text=text)


def infer_schema(
    files: Paths,
    *,
    region: str,
    phone_column: str | None,
    sheet: str | None,
    delimiter: str | None,
    encoding: str | None,
    include_hidden: bool,
    on_progress: OnProgress,
) -> Inferred:
    """A first schema from what the files hold."""
    from voicebatch.pipeline.inferring import infer

    inputs = _input_options(None, region, phone_column, sheet, delimiter, encoding, include_hidden=include_hidden)
    return infer(_paths(files), inputs=inputs, on_progress=on_progress)


def _with_settings(schema: Schema) -> Schema:
    """With the packaged rules of the columns that are a row's own settings, whatever it says of them: they are sent."""
    ours = read_schema(None).schema
    columns = dict(schema.columns)
    for name in (one for one in ours.columns if one != ours.phone_column):
        theirs = column(list(columns), name)
        if theirs is None and not schema.strict:
            columns[name] = ours.columns[name]
        elif theirs and columns[theirs].dtype == "text":
            known = {rule.name for rule in columns[theirs].rules}
            more = tuple(rule for rule in ours.columns[name].rules if rule.name not in known)
            columns[theirs] = replace(columns[theirs], rules=(*columns[theirs].rules, *more))
    return replace(schema, columns=columns)


def packaged_schema(name: str) -> Path:
    """A schema that comes with voicebatch: inside the installed package, or beside it in a checkout."""
    here = Path(__file__).parent.parent
    inside = here / "schemas" / f"{name}.yaml"
    return inside if inside.exists() else here.parent / "schemas" / f"{name}.yaml"


def default_ledger(*, sandbox: bool) -> str:
    """The SQLite file in the user's data directory; the sandbox has its own, so that a rehearsal is no real call."""
    import platformdirs

    return str(platformdirs.user_data_path("voicebatch") / ("sandbox.sqlite" if sandbox else "ledger.sqlite"))


def parse_max_invalid(text: str) -> MaxInvalid:
    """``20`` rows or ``5%`` of all rows."""
    number, percent = (text.strip()[:-1], True) if text.strip().endswith("%") else (text.strip(), False)
    if not re.fullmatch(r"\d+(\.\d+)?" if percent else r"\d+", number):
        raise UsageError(f"--max-invalid {text!r} is neither a number of rows nor a percentage.", hint="20 or 5%")
    if percent:
        return MaxInvalid(share=Decimal(number) / 100)
    return MaxInvalid(rows=int(number), share=None)


def make_message(
    *,
    text: str | None,
    template: Path | None,
    audio: str | None,
    channel: str,
    lang: str,
    speech_rate: str,
    schedule: str | None,
    extra_lang: Sequence[str] = (),
    clock: Clock | None = None,
) -> Message:
    """The message of the options: exactly one of text, template file and audio token, and settings that can be."""
    given = [name for name, value in (("--text", text), ("--template", template), ("--audio", audio)) if value]
    if len(given) != 1:
        raise UsageError(
            f"The message needs exactly one of --text, --template and --audio, not {' and '.join(given) or 'none'}.",
            hint="For example: --text 'Bonjour {{ prenom }}'",
        )
    message = Message(
        text=_read_template(template) if template else text,
        audio=audio,
        channel=Channel(channel),
        lang=_language(lang, {*wire.LANGUAGES, *extra_lang}),
        speech_rate=_speech_rate(speech_rate),
        schedule=_schedule(schedule, (clock or SystemClock()).now()) if schedule else None,
    )
    _check_channel(message)
    return message


# Assembly


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sending:
    """How a run is sent: what ``send`` and ``resume`` are asked alike."""

    api_key: str | None = field(repr=False)
    base_url: str
    sandbox: bool
    callbacks: bool
    rate: str | None
    concurrency: int
    timeout: float
    max_cost: Decimal | None
    session: requests.Session | None
    clock: Clock | None
    stop: threading.Event
    on_progress: OnProgress


def _go_on(run: Run, ledger: Ledger, prices: Prices, how: _Sending) -> RunSummary:
    from voicebatch.provider import Provider
    from voicebatch.sending import Sender

    make_folder(Path(run.report_dir))
    ledger.check_integrity()
    clock = how.clock or LedgerClock(ledger)
    with _address(how, run, ledger) as address:
        network = Provider(
            base_url=address.url,
            api_key=address.key,
            timeout=how.timeout,
            email=run.notify_email,
            sender=run.sender,
            session=how.session,
        )
        sender = Sender(
            ledger=ledger,
            network=network,
            clock=clock,
            worker=Worker.current(),
            limiter=limiter_of(run.channel, address.url),
            limits=_limits(run.channel, how.rate),
            timeout_seconds=2 * how.timeout,  # to connect, and to read
            stop=how.stop,
            concurrency=max(1, how.concurrency),
            max_cost=how.max_cost,
            currency=prices.currency,
            estimate=partial(estimate_batch, prices),
            notify_url=_notify_urls(address.notify_url, ledger),
            on_progress=how.on_progress,
        )
        running.drain(run, ledger, sender.drain, max_cost=how.max_cost, prices=prices)
        how.on_progress(Progress(stage="reporting"))
        address.finish()
        return concluded(run, ledger, address.url, how.rate, clock)


def _notify_urls(base: str | None, ledger: Ledger) -> Callable[[str], str | None]:
    """Each attempt's own address for its callbacks, by its id."""
    if base is None:
        return lambda _: None
    secret = ledger.callback_secret()
    return lambda attempt_id: wire.callback_url(base, attempt_id, secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Address:
    """Where a run is sent to. ``finish`` waits for what is still to come from there."""

    url: str
    key: str = field(repr=False)
    notify_url: str | None
    finish: Callable[[], object] = lambda: None


@contextlib.contextmanager
def _address(how: _Sending, run: Run, ledger: Ledger) -> Iterator[_Address]:
    """Where to send to and with which key. A sandbox lives as long as its run, and knows the recordings of it."""
    if not how.sandbox:
        from voicebatch.provider import check_base_url

        key = how.api_key or credentials.find_api_key(os.environ)
        yield _Address(url=check_base_url(how.base_url), key=key, notify_url=run.notify_url)
        return
    from voicebatch.sandbox import serve

    with serve(audio_tokens=ledger.recordings(run.id)) as served, _rehearsed_callbacks(how, ledger) as own:
        yield _Address(
            url=served.base_url,
            key=SANDBOX_KEY,
            notify_url=run.notify_url or own,
            finish=partial(served.wait_for_callbacks, _CALLBACK_SECONDS),
        )


@contextlib.contextmanager
def _rehearsed_callbacks(how: _Sending, ledger: Ledger) -> Iterator[str | None]:
    """An address of our own for the sandbox's callbacks, if they are wanted."""
    if not how.callbacks:
        yield None
        return
    from voicebatch.app.listening import listening

    with listening(ledger) as listener:
        yield listener.url


def _read_opt_outs(lists: Paths, run: Run) -> list[OptOutList]:
    region = str(run.manifest["options"]["region"])
    return [read_opt_outs(path, region=region) for path in _paths(lists)]


def user() -> str:
    """Who is at the keyboard, for the record."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a user id without a name, as in a container
        name = f"user {os.getuid()}"
    return f"{name}@{socket.gethostname()}"


def reporting_to(out: str | os.PathLike[str] | None, run: Run) -> Run:
    """The run, with its reports in ``out/<run id>`` if that is given."""
    return replace(run, report_dir=str(Path(out).absolute() / run.id)) if out else run


def concluded(run: Run, ledger: Ledger, base_url: str, rate: str | None, clock: Clock) -> RunSummary:
    """The run in figures, and its reports. What was sent stays sent when they cannot be written: it is only said."""
    summary = _summary(run, ledger, base_url, rate, clock)
    try:
        running.write_reports(run, ledger, Path(run.report_dir), summary, now=clock.now())
    except (OSError, UsageError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        _LOG.warning("The reports are not written: %s. Again: voicebatch report %s --out DIR", why, run.id)
    return summary


def _summary(run: Run, ledger: Ledger, base_url: str, rate: str | None, clock: Clock) -> RunSummary:
    limits, limiter = _limits(run.channel, rate), limiter_of(run.channel, base_url)
    return running.summarise(run, ledger, limits=limits, limiter=limiter, now=clock.now())


def _limits(channel: Channel, rate: str | None) -> tuple[RateLimit, ...]:
    return (parse_rate(rate),) if rate else wire.RATE_LIMITS[channel]


def limiter_of(kind: str, base_url: str) -> str:
    """What shares a rate limit: the requests of a kind to one host, by any name of it, of every run on a ledger.

    A kind is a channel, or another word for an endpoint that has a limit of its own.
    """
    parts = urlsplit(base_url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    host = (parts.hostname or "").rstrip(".")
    host = "127.0.0.1" if host in {"localhost", "::1"} else host
    return f"{kind} {host}:{port}" if host else f"{kind} {base_url}"


def _ledger_url(ledger: str | None, *, sandbox: bool) -> str:
    return ledger or default_ledger(sandbox=sandbox)


def _input_options(
    schema: str | os.PathLike[str] | None,
    region: str,
    phone_column: str | None,
    sheet: str | None,
    delimiter: str | None,
    encoding: str | None,
    *,
    include_hidden: bool,
) -> InputOptions:
    if not phones.known_region(region.upper()):
        raise UsageError(f"--region {region!r} is no country code.", hint="Write it like FR, BE or GB.")
    return InputOptions(
        schema=Path(schema) if schema else None,
        region=region.upper(),
        phone_column=phone_column,
        sheet=sheet,
        delimiter="\t" if delimiter in {"\\t", "tab"} else delimiter,
        encoding=encoding,
        include_hidden=include_hidden,
    )


def _hashes(files: Paths) -> list[str]:
    from voicebatch import readers

    return [readers.sha256(path) for path in _paths(files)]


def _annotate(
    files: Paths, inputs: InputOptions, read: Sequence[InputFile], faults: Sequence[Fault], folder: Path
) -> tuple[Path, ...]:
    from voicebatch.pipeline.annotating import annotate

    sha256 = {file.name: file.sha256 for file in read}
    return annotate(_paths(files), inputs=inputs, faults=faults, sha256=sha256, folder=folder)


def _paths(files: Paths) -> list[Path]:
    paths = [Path(file) for file in files]
    repeated = {path for path in paths if paths.count(path) > 1}
    if repeated:
        raise UsageError(f"{repeated.pop()} is given twice.", hint="Rows are told apart by their file: name each once.")
    return paths


def _at_least(option: str, value: int | None, least: int) -> int | None:
    if value is not None and value < least:
        raise UsageError(f"{option} {value} is less than {least}.")
    return value


def _batch_size(size: int) -> int:
    if not 1 <= size <= wire.NUMBERS_PER_REQUEST:
        raise UsageError(f"--batch-size {size} is not between 1 and {wire.NUMBERS_PER_REQUEST}, the provider's limit.")
    return size


def _notify_url(url: str | None) -> str | None:
    if url is None:
        return None
    with contextlib.suppress(ValueError):  # brackets around what is no address
        parts = urlsplit(url)
        if "@" in parts.netloc or parts.fragment:
            raise UsageError(
                "--notify-url may hold no user, password or #fragment: it is shown in the reports.",
                hint="Each request's address has a code of its own, which nobody else can make.",
            )
        if parts.scheme in {"http", "https"} and parts.hostname:
            return url
    raise UsageError(f"--notify-url {url!r} is no web address.", hint="Write it like https://example.com/calls")


def _check_channel(message: Message) -> None:
    if message.channel is Channel.VOICEMAIL and not message.audio:
        raise UsageError(
            "Voicemail plays a recording, and this message is a text.",
            hint="Name the recording: --audio TOKEN. Those of your account: voicebatch audio list",
        )


def _of_voicemail(option: str, value: str | None, channel: Channel) -> str | None:
    if value and channel is not Channel.VOICEMAIL:
        raise UsageError(f"{option} is for voicemail alone.", hint="Leave it out, or add --channel voicemail.")
    return value


def _email(address: str | None) -> str | None:
    if address and not re.fullmatch(r"[^@\s,]+@[^@\s,]+\.[^@\s,]+", address):
        raise UsageError("--notify-email is no e-mail address.", hint="Write it like someone@example.com")
    return address


def _sender(number: str | None, region: str) -> str | None:
    """A mobile number in E.164; only the provider knows which ones it has validated."""
    if number is None:
        return None
    found = phones.read(number, region=region)
    if not isinstance(found, str):
        raise UsageError(f"--sender is no phone number: {found.reason}.", hint="Write it like +33612345678.")
    return found


def _read_template(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"The template {path} cannot be read: {error.strerror}.", hint="Check the path.") from error
    except UnicodeError as error:
        raise UsageError(f"The template {path} is not written in UTF-8.", hint="Save it as UTF-8.") from error


def _language(lang: str, known: Collection[str]) -> str:
    if lang.lower() not in known:
        raise UsageError(
            f"--lang {lang!r} is no language that the provider is known to speak.",
            hint=f"Known are {', '.join(sorted(known))}. If it speaks this one too: --extra-lang {lang}",
        )
    return lang.lower()


def _speech_rate(text: str) -> Decimal:
    try:
        rate = Decimal(text.replace(",", "."))
    except ArithmeticError:
        rate = Decimal("NaN")
    if not (rate.is_finite() and wire.SPEECH_RATE_MIN <= rate <= wire.SPEECH_RATE_MAX):
        raise UsageError(
            f"--speech-rate {text} is not between {wire.SPEECH_RATE_MIN} and {wire.SPEECH_RATE_MAX}.",
            hint="The provider would change it silently.",
        )
    return rate


def _schedule(text: str, now: datetime) -> datetime:
    try:
        return read_schedule(text, now=now, zone=wire.TIME_ZONE)
    except ValueError as error:
        raise UsageError(f"--schedule: {error}.") from error
