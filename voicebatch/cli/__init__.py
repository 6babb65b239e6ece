"""The command line: parse, call one use case, print, exit code. A command's module is imported when it is called."""

from __future__ import annotations

import difflib
import importlib
import io
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn

import click

from voicebatch.errors import Interrupted, UsageError, VoicebatchError

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "validate": ("validate", "Check files against the schema; list every bad cell."),
    "plan": ("plan", "Check, and show what would be sent: requests, time, cost. Sends nothing."),
    "send": ("send", "Plan, ask, send, report."),
    "resume": ("send", "Go on with a run that stopped."),
    "report": ("report", "Write a run's reports again."),
    "runs": ("runs", "List the ledger's runs, or tell the story of one."),
    "resolve": ("resolve", "Settle requests whose outcome is unknown: sent or not sent."),
    "cancel": ("cancel", "Take back what is scheduled at the provider's and what is still queued."),
    "schema": ("schema", "Write a schema to start from, infer one from a file, or explain one."),
    "credit": ("credit", "Show what is left on the account."),
    "audio": ("audio", "List the account's recordings, or rename one."),
    "listen": ("listen", "Take the provider's callbacks into the ledger."),
    "sandbox": ("sandbox", "Serve a local copy of the provider's API."),
}
"""Each command's module and its line in ``--help``, which so needs no import."""


class _Commands(click.Group):
    def list_commands(self, _: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(f"{__name__}.{COMMANDS[name][0]}"), name)
        assert isinstance(command, click.Command)  # noqa: S101 # for the type checker: a module's own command
        return command

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if arguments and arguments[0] not in COMMANDS and not arguments[0].startswith("-"):
            near = difflib.get_close_matches(arguments[0], COMMANDS, n=1)
            meant = f" Did you mean {near[0]}?" if near else ""
            raise click.UsageError(f"There is no command {arguments[0]!r}.{meant}", context)
        return super().resolve_command(context, arguments)

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="voicebatch", message="%(prog)s %(version)s")
def main() -> None:
    """Calls a spreadsheet of people with a spoken message: nobody twice, nobody forgotten, and an exact cost report.

    Begin with a rehearsal: voicebatch send FILE --text "Bonjour {{ prenom }}" --sandbox
    """


def run(arguments: Sequence[str] | None = None) -> NoReturn:
    """The command ``voicebatch``: never a traceback, always an exit code of the contract."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    configured: dict[str, Any] = {}
    _speak_everywhere()
    try:
        _refuse_what_is_no_text(arguments)
        configured |= _configuration()
        code = main.main(arguments, prog_name="voicebatch", standalone_mode=False, default_map=configured)
    except Exception as error:  # noqa: BLE001 # the last door: whatever it is becomes a sentence and a code
        code = _explain(error, arguments, configured)
    sys.exit(code if isinstance(code, int) else 0)


def _speak_everywhere() -> None:
    """A terminal that lacks a character shows a question mark in its place; what is closed hears nothing."""
    # A closed stream is None, whatever its type says. The process keeps these two until its end.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: PTH123, SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _refuse_what_is_no_text(arguments: Sequence[str]) -> None:
    """Bytes that are no UTF-8 reach us as halves of characters, and no report could write those."""
    variables = (value for name, value in os.environ.items() if name.startswith("VOICEBATCH_"))
    if any("\ud800" <= character <= "\udfff" for text in (*arguments, *variables) for character in text):
        raise UsageError("An option, a variable or a file's name is not written in UTF-8.", hint="Rename or retype it.")


def _explain(error: Exception, arguments: Sequence[str], configured: Mapping[str, Any]) -> int:
    from voicebatch.cli import output

    failure = _failure(error)
    if output.verbosity(arguments, os.environ) > 1:
        output.show_traceback(error)
    output.show_failure(failure, as_json=output.wants_json(arguments, os.environ, configured))
    return failure.exit_code


def _failure(error: Exception) -> VoicebatchError:
    if isinstance(error, VoicebatchError):
        return error
    if isinstance(error, click.Abort):
        return Interrupted("Interrupted.", hint="What was sent, if anything: voicebatch runs")
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return UsageError(f"a command is missing.\n\n{error.format_message()}")
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        return UsageError(error.format_message(), hint=f"{context.command_path} --help" if context else "")
    return VoicebatchError(
        f"This is a fault of voicebatch: {type(error).__name__}.",
        hint="Run it again with -vv and report what it prints.",
    )


def _configuration() -> dict[str, Any]:
    """The options in ``voicebatch.toml`` of the current folder, for every command or in a command's own table."""
    if not os.path.exists("voicebatch.toml"):  # noqa: PTH110 # pathlib would be most of the start-up time
        return {}
    from voicebatch.cli import configuration

    context = click.Context(main)
    commands = {name: main.get_command(context, name) for name in COMMANDS}
    defaults = configuration.read("voicebatch.toml", {name: _options(one) for name, one in commands.items()})
    for name, group in commands.items():
        if isinstance(group, click.Group):
            defaults[name] |= dict.fromkeys(group.commands, defaults[name].copy())
    return defaults


def _options(command: click.Command | None) -> dict[str, str]:
    """What a command's options are called in ``voicebatch.toml``, with the names of their parameters."""
    own = [param for param in command.params if isinstance(param, click.Option)] if command else []
    names = {max(param.opts, key=len).lstrip("-").replace("-", "_"): str(param.name) for param in own}
    for below in command.commands.values() if isinstance(command, click.Group) else ():
        names |= _options(below)
    return names
