"""What a caller asks for, read: files, how to read them, how to plan. Raises ``UsageError`` for what cannot be."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

from voicebatch import phones, wire
from voicebatch.errors import UsageError
from voicebatch.models import Channel, Progress
from voicebatch.pacing import parse_duration
from voicebatch.settings import InputOptions, MaxInvalid, PlanOptions

Paths = Sequence[str | os.PathLike[str]]
OnProgress = Callable[[Progress], None]


def ignore_progress(_: Progress) -> None:
    """For who does not watch."""


def paths_of(files: Paths) -> list[Path]:
    """In their order, each only once."""
    paths = [Path(file) for file in files]
    repeated = {path for path in paths if paths.count(path) > 1}
    if repeated:
        raise UsageError(f"{repeated.pop()} is given twice.", hint="Rows are told apart by their file: name each once.")
    return paths


def hashes_of(files: Paths) -> list[str]:
    """SHA-256 of each file, in their order."""
    from voicebatch import readers

    return [readers.sha256(path) for path in paths_of(files)]


def input_options(
    schema: str | os.PathLike[str] | None,
    region: str,
    phone_column: str | None,
    sheet: str | None,
    delimiter: str | None,
    encoding: str | None,
    *,
    include_hidden: bool,
) -> InputOptions:
    """How the files are read."""
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


def plan_options(
    *,
    channel: Channel,
    region: str,
    suppress: Paths,
    max_invalid: str,
    repeat_window: str,
    siblings: str | None,
    limit: int | None,
    batch_size: int,
    key: str | None,
    notify_url: str | None,
    notify_email: str | None,
    sender: str | None,
    price_table: str | os.PathLike[str] | None,
    out: str | os.PathLike[str],
) -> PlanOptions:
    """How the plan is made for a message on this channel; ``sender`` is a number of the region unless it says more."""
    return PlanOptions(
        suppress=tuple(paths_of(suppress)),
        max_invalid=parse_max_invalid(max_invalid),
        repeat_window=parse_duration(repeat_window),
        siblings=siblings,
        limit=_at_least("--limit", limit, 1),
        batch_size=_batch_size(batch_size),
        key=key,
        notify_url=_notify_url(notify_url),
        notify_email=_of_voicemail("--notify-email", _email(notify_email), channel),
        sender=_of_voicemail("--sender", _sender(sender, region), channel),
        price_table=Path(price_table) if price_table else None,
        out=Path(out),
    )


def parse_max_invalid(text: str) -> MaxInvalid:
    """``20`` rows or ``5%`` of all rows."""
    number, percent = (text.strip()[:-1], True) if text.strip().endswith("%") else (text.strip(), False)
    if not re.fullmatch(r"\d+(\.\d+)?" if percent else r"\d+", number):
        raise UsageError(f"--max-invalid {text!r} is neither a number of rows nor a percentage.", hint="20 or 5%")
    if percent:
        return MaxInvalid(share=Decimal(number) / 100)
    return MaxInvalid(rows=int(number), share=None)


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
