"""``voicebatch sandbox``."""

from __future__ import annotations

import sys
import threading
from decimal import Decimal, InvalidOperation
from typing import Any

import click

from voicebatch.cli import options
from voicebatch.errors import UsageError


@click.command
@options.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@options.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0: any free one.")
@options.option("--rate", metavar="N/PERIOD", default="2000/h", show_default=True, help="The limit of voice SMS.")
@options.option("--campaign-rate", metavar="N/PERIOD", multiple=True, default=("2000/h", "5/min"), show_default=True,
                help="The limits of voicemail. Repeatable.")  # fmt: skip
@options.option(
    "--answer-delay", type=options.Seconds(0, 600), default=0.0, help="Seconds between acting and answering."
)
@options.option("--credit", metavar="AMOUNT", default="1000000", show_default=True, help="Euros on the account.")
@options.option("--audio", metavar="TOKEN", multiple=True, help="A recording that it has, beside its own. Repeatable.")
@options.option("--fault", metavar="NAME[@ENDPOINT][:SHARE|:Nx]", multiple=True,
                help="What goes wrong: lost-after:0.1, throttled:3x, slow@credit:0.1:30s. Repeatable.")  # fmt: skip
@options.option("--seed", type=int, default=0, show_default=True, help="The same one strikes the same requests.")
@options.option("--callback-delay", type=options.Seconds(0, 3600), default=0.2, show_default=True,
                help="Seconds between leaving and calling back.")  # fmt: skip
@options.common
def sandbox(host: str, port: int, rate: str, *, common: options.Common, **account: Any) -> None:
    """Serve a local copy of the provider's API until ^C: no key, no call, no cost."""
    from voicebatch.cli import output, signals
    from voicebatch.pacing import parse_rate
    from voicebatch.sandbox import serve

    with signals.stopping() as received, serve(host=host, port=port, rate_limit=parse_rate(rate),
                                               **_settings(**account)) as served:  # fmt: skip
        if common.as_json:
            output.print_json({"base_url": served.base_url})
        else:
            click.echo(f"The sandbox is at {served.base_url}; who was called: {served.base_url[:-3]}/sandbox/calls")
            click.echo("Send to it, with any made-up key and a ledger of its own:")
            click.echo(
                "  VOICEBATCH_API_KEY=rehearsal voicebatch send FILE --text … "
                f"--base-url {served.base_url} --ledger rehearsal.sqlite"
            )
        sys.stdout.flush()
        _wait(received.stop)


def _settings(
    *,
    campaign_rate: tuple[str, ...],
    credit: str,
    audio: tuple[str, ...],
    fault: tuple[str, ...],
    **others: Any,
) -> dict[str, Any]:
    """The options as ``serve`` takes them."""
    from voicebatch.pacing import parse_rate

    return {
        "campaign_limits": [parse_rate(one) for one in campaign_rate],
        "credit": _amount(credit),
        "audio_tokens": audio,
        "faults": fault,
        **others,
    }


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text.replace(",", "."))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise UsageError(f"--credit {text!r} is not an amount.", hint="Write it like 100 or 12.50.")
    return amount


def _wait(stop: threading.Event) -> None:
    while not stop.wait(3600):
        pass
