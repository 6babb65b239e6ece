"""The message that options describe. Raises ``UsageError`` for one that cannot be."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from voicebatch import wire
from voicebatch.app.clocks import SystemClock
from voicebatch.errors import UsageError
from voicebatch.models import Channel, Message
from voicebatch.schedules import read_schedule

if TYPE_CHECKING:
    from voicebatch.sending import Clock


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
    check_channel(message)
    return message


def check_channel(message: Message) -> None:
    """Raises ``UsageError`` for a text on voicemail."""
    if message.channel is Channel.VOICEMAIL and not message.audio:
        raise UsageError(
            "Voicemail plays a recording, and this message is a text.",
            hint="Name the recording: --audio TOKEN. Those of your account: voicebatch audio list",
        )


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
