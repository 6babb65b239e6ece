"""``voicebatch sandbox``."""

from __future__ import annotations

import sys
import threading

import click

from voicebatch.cli import options


@click.command
@options.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@options.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0: any free one.")
@options.option("--rate", metavar="N/PERIOD", default="2000/h", show_default=True, help="The limit that it keeps.")
@options.option(
    "--answer-delay", type=options.Seconds(0, 600), default=0.0, help="Seconds between acting and answering."
)
@options.common
def sandbox(host: str, port: int, rate: str, answer_delay: float, *, common: options.Common) -> None:
    """Serve a local copy of the provider's API until ^C: no key, no call, no cost."""
    from voicebatch.cli import output, signals
    from voicebatch.pacing import parse_rate
    from voicebatch.sandbox import serve

    with signals.stopping() as received, serve(host=host, port=port, rate_limit=parse_rate(rate),
                                               answer_delay=answer_delay) as served:  # fmt: skip
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


def _wait(stop: threading.Event) -> None:
    while not stop.wait(3600):
        pass
