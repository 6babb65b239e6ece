"""``voicebatch listen``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from voicebatch.cli import options

if TYPE_CHECKING:
    from voicebatch.callbacks import Listener, Result


@click.command
@options.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@options.option("--port", type=click.IntRange(0, 65535), default=8787, show_default=True, help="0: any free one.")
@options.option("--sandbox", is_flag=True, help="Into the sandbox's ledger.")
@options.common
def listen(host: str, port: int, *, sandbox: bool, common: options.Common) -> None:
    """Take the provider's callbacks into the ledger until ^C: what became of each message.

    Only requests of this ledger that were sent with --notify-url are called back about.
    """
    from voicebatch.app import listening
    from voicebatch.cli import output, signals

    def show(listener: Listener, ledger: str) -> None:
        if common.as_json:
            output.print_json({"url": listener.url, "ledger": ledger})
        else:
            _introduce(listener.url, ledger, common)
        sys.stdout.flush()

    with signals.stopping() as received:
        counts = listening.listen(
            host=host, port=port, ledger=common.ledger, sandbox=sandbox, stop=received.stop, on_ready=show
        )
    output.echo(_in_words(counts), err=common.as_json)


def _introduce(url: str, ledger: str, common: options.Common) -> None:
    from voicebatch.cli import output

    output.echo(f"Callbacks to {url} go to the ledger {ledger}, until ^C.")
    output.echo("Send with an address that leads here from the internet, as behind a proxy with TLS:")
    output.echo(f"  voicebatch send FILE --text … --notify-url https://your.domain/calls{common.place}")
    output.echo(f"Is it well: {url}/healthz; figures for Prometheus: {url}/metrics")


def _in_words(counts: Mapping[Result, int]) -> str:
    from voicebatch.cli import output

    others = "".join(f", {count:,} {result}" for result, count in list(counts.items())[1:] if count)
    kept = next(iter(counts.values()))
    return f"{output.counted(kept, 'callback')} kept{others}."
