"""The options that commands share, each written once."""

from __future__ import annotations

import functools
import logging
import math
import re
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import click
from click.core import ParameterSource

from voicebatch import wire
from voicebatch.cli.signals import leaving
from voicebatch.errors import VoicebatchError

F = TypeVar("F", bound=Callable[..., Any])


class Option(click.Option):
    """An option that can also come from a variable: ``--max-cost`` from ``VOICEBATCH_MAX_COST``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.envvar = self.envvar or f"VOICEBATCH_{(self.name or '').upper()}"


def option(*names: str, **settings: Any) -> Callable[[F], F]:
    """``click.option`` with a variable of its own."""
    return click.option(*names, cls=Option, **settings)


class Seconds(click.FloatRange):
    """A number of seconds in a range; ``nan`` is in none, and Python's comparisons would let it pass."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        seconds: float = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value!r} is no number of seconds.", param, ctx)
        return seconds


def _together(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What every command takes: the ledger, and how it speaks. ``place`` are the options that name the ledger."""

    ledger: str | None
    as_json: bool
    verbose: int
    quiet: bool
    place: str

    def typeable(self, hint: str) -> str:
        """A hint whose commands speak of the same ledger as this one, so that they work as they are typed."""
        return _ABOUT_A_LEDGER.sub(lambda command: command[0] + self.place, hint)


def common(function: F) -> F:
    """Gives a command ``--ledger --json -v -q`` as one argument, and sets up its log.

    Given before a subcommand they count too: ``runs --json show RUN``.
    """

    @functools.wraps(function)
    def command(*args: Any, **given: Any) -> Any:
        context = click.get_current_context()
        above = context.parent.params if context.parent else {}
        own = {name: given.pop(name) or above.get(name) or given_default for name, given_default in _COMMON.items()}
        sandbox = given.get("sandbox") or above.get("sandbox")
        how = Common(**own, place=" --sandbox" * bool(sandbox) + _typed_ledger(context, own["ledger"]))
        _set_up_log(how)
        try:
            with leaving():
                return function(*args, common=how, **given)
        except VoicebatchError as error:
            error.hint = how.typeable(error.hint)
            raise

    return _together(
        option("--ledger", metavar="URL", help="A path or an SQLAlchemy URL. Default: in your data directory."),
        option(
            "--json", "as_json", is_flag=True, envvar="VOICEBATCH_JSON", help="Print one JSON object, nothing else."
        ),
        option("-v", "--verbose", count=True, help="Say more on standard error; -vv: tracebacks too."),
        option("-q", "--quiet", is_flag=True, help="No progress."),
    )(command)  # type: ignore[return-value] # click only looks at its parameters


def _typed_ledger(context: click.Context, ledger: str | None) -> str:
    """The option as it was typed, without a password. From a variable or a file it comes again by itself."""
    levels = [one for one in (context, context.parent) if one]
    if not ledger or not any(one.get_parameter_source("ledger") is ParameterSource.COMMANDLINE for one in levels):
        return ""
    shown = _PASSWORD.sub(r"\1\2***", ledger)
    return f" --ledger {shlex.quote(shown)}"


_ABOUT_A_LEDGER: Final = re.compile(
    r"voicebatch (?:runs show|resume|report|resolve|cancel) (?:[0-9a-f]+|RUN\b)|voicebatch runs(?! (?:show|--))"
)
_PASSWORD: Final = re.compile(r"(://[^:/]*:)[^@]*(?=@)|(password=)[^&]*")
_COMMON: Final[dict[str, Any]] = {"ledger": None, "as_json": False, "verbose": 0, "quiet": False}


class _Typeable(logging.Formatter):
    """The commands in a line of the log can be typed too."""

    def __init__(self, how: Common) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")
        self._how = how

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 # logging's name for it
        return self._how.typeable(super().formatMessage(record))


def _set_up_log(how: Common) -> None:
    """To standard error. No line of it ever holds a key or a phone number; of libraries' own we show warnings only."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Typeable(how))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("voicebatch").setLevel(logging.INFO if how.verbose else logging.WARNING)


files = click.argument("files", nargs=-1, required=True, type=click.Path())

form = _together(
    option("--region", default="FR", show_default=True, help="Country of numbers written nationally."),
    option("--phone-column", metavar="NAME", help="Default: found by its name."),
    option("--sheet", metavar="NAME", help="Sheet of a workbook. Default: the one with a phone column."),
    option("--delimiter", metavar="CHAR", help="Default: detected."),
    option("--encoding", metavar="NAME", help="Default: detected."),
    option("--include-hidden", is_flag=True, help="Hidden and filtered rows of a workbook too. Default: left out."),
)

reading = _together(
    option("--schema", metavar="PATH", type=click.Path(), help="Pandera schema in YAML. Default: the packaged one."),
    form,
    option(
        "--extra-lang", metavar="CODE", multiple=True, help="A language that the provider speaks besides the known."
    ),
    option("--max-invalid", metavar="N|P%", default="5%", show_default=True, help="More bad rows than this: exit 3."),
    option("--annotate", is_flag=True, help="Give back a copy of each file with its bad cells marked and explained."),
    option("--out", metavar="DIR", default="reports", show_default=True, help="Files go to DIR/<run id>/."),
)

message = _together(
    option("--text", help="The message, a Jinja2 template: a column is a variable."),
    option("--template", metavar="PATH", type=click.Path(), help="The same, in a file."),
    option("--audio", metavar="TOKEN", help="A recorded audio file instead of a text."),
    option("--channel", type=click.Choice([str(channel) for channel in wire.PATHS]), default="voice-sms",
           show_default=True, help="How the message reaches the phone."),
    option("--lang", default="fr", show_default=True, help="Its language; a column lang overrides it."),
    option("--speech-rate", default="1", show_default=True, help="0.5 to 2; a column speech_rate overrides it."),
    option("--schedule", metavar="DATE", help="When it leaves; a column scheduled_date overrides it. Default: now."),
    option("--notify-url", metavar="URL", help="Where `voicebatch listen` can be reached for callbacks."),
    option("--notify-email", metavar="EMAIL", help="Voicemail: whom the provider writes to when a campaign ends."),
    option("--sender", metavar="NUMBER", help="Voicemail: a mobile number that the provider has validated."),
)  # fmt: skip

suppressing = option(
    "--suppress", metavar="PATH", multiple=True, type=click.Path(), help="An opt-out list; repeatable."
)

reporting = option("--out", metavar="DIR", help="Default: where the run's reports are.")

planning = _together(
    suppressing,
    option("--repeat-window", metavar="DURATION", default="24h", show_default=True,
           help="Who was sent the same message within it is not called; 0: off."),
    option("--limit", type=int, metavar="N", help="Only the first N recipients."),
    option("--batch-size", type=int, metavar="N", default=wire.NUMBERS_PER_REQUEST, show_default=True,
           help="Numbers in one request."),
    option("--key", metavar="TEXT", help="The run's identity; never sent twice. Default: from the content."),
)  # fmt: skip

pricing = option("--price-table", metavar="PATH", type=click.Path(), help="CSV: calling_code,unit_cost,currency.")

base_url = option("--base-url", metavar="URL", help="Default: the provider's, or where the run was begun.")

timeout = option("--timeout", type=Seconds(0.1, 600), default=30.0, show_default=True, help="Seconds.")

address = _together(
    option("--sandbox", is_flag=True, help="Send to a local copy of the API: no key, no call, no cost."),
    base_url,
    option("--rate", metavar="N/PERIOD", help="Default: the provider's documented limits."),
)

sending = _together(
    option("--yes", "-y", is_flag=True, help="Don't ask."),
    option("--max-cost", metavar="AMOUNT", help="Stop before the request that would pass it."),
    option("--callbacks", is_flag=True, help="With --sandbox: take its callbacks too, and wait for them."),
    option("--concurrency", type=click.IntRange(1, 64), default=4, show_default=True,
           help="Requests in flight, of each worker."),
    option("--workers", type=click.IntRange(1, 64), default=1, show_default=True,
           help="Processes of this machine that send together."),
    option("--require-credit", is_flag=True, help="Send only if the credit covers the estimate."),
    timeout,
)  # fmt: skip
