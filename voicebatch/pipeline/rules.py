"""What the checks of a schema ask of the rest of the program, answered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from voicebatch import phones, wire
from voicebatch.schedules import read_schedule
from voicebatch.validation import Rules


def rules_of(region: str, *, now: datetime, extra_languages: Sequence[str] = ()) -> Rules:
    """The rules when numbers are written nationally as in ``region``, if a schema names no other, and it is ``now``."""
    return Rules(
        phones=lambda cells, own_region: phones.normalise(cells, region=own_region or region).faults,
        languages=(*wire.LANGUAGES, *(language.lower() for language in extra_languages)),
        schedule=partial(_why_no_schedule, now=now),
        speech_rates=(wire.SPEECH_RATE_MIN, wire.SPEECH_RATE_MAX),
    )


def _why_no_schedule(text: str, *, now: datetime) -> str | None:
    try:
        read_schedule(text, now=now, zone=wire.TIME_ZONE)
    except ValueError as error:
        return str(error)
    return None
