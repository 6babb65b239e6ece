"""``voicebatch audio list`` and ``voicebatch audio rename``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from voicebatch.cli import options, output

if TYPE_CHECKING:
    from voicebatch.models import AudioFile


@click.group
def audio() -> None:
    """List the account's recordings, or rename one. Their tokens are for send --audio TOKEN."""


@audio.command("list")
@options.base_url
@options.timeout
@options.common
def list_audios(*, base_url: str | None, timeout: float, common: options.Common) -> None:
    """List the recordings that the provider has checked.

    JSON: audios, a list of objects with token, name, duration, size (as the provider writes them) and created_at.
    """
    from voicebatch import app
    from voicebatch.app import account

    key = app.check_address(base_url, sandbox=False)
    files = account.audios(api_key=key, base_url=base_url, timeout=timeout, on_wait=output.say_waiting)
    if common.as_json:
        output.print_json({"audios": [_json(file) for file in files]})
    elif files:
        lines = output.table("Token", "Name", ">Duration", ">Size", "Created")
        for file in files:
            created = file.created_at.astimezone().strftime("%Y-%m-%d %H:%M") if file.created_at else ""
            lines.add_row(file.token, file.name, file.duration, file.size, created)
        output.print_table(lines)
    else:
        output.say("The account has no recordings.")


@audio.command
@click.argument("token")
@click.argument("name")
@options.base_url
@options.timeout
@options.common
def rename(token: str, name: str, *, base_url: str | None, timeout: float, common: options.Common) -> None:
    """Give the recording TOKEN another NAME, of 3 to 50 characters. Its token stays.

    JSON: token, name.
    """
    from voicebatch import app
    from voicebatch.app import account

    account.check_audio_name(name)
    key = app.check_address(base_url, sandbox=False)
    called = account.rename_audio(
        token, name, api_key=key, base_url=base_url, timeout=timeout, on_wait=output.say_waiting
    )
    if common.as_json:
        output.print_json({"token": token, "name": called})
    else:
        output.echo(f"The recording {token} is called “{called}” now.")


def _json(file: AudioFile) -> dict[str, Any]:
    return {
        "token": file.token,
        "name": file.name,
        "duration": file.duration,
        "size": file.size,
        "created_at": file.created_at and file.created_at.isoformat(),
    }
