"""``voicebatch credit``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import click

from voicebatch.cli import options, output


@click.command
@options.base_url
@options.timeout
@options.common
def credit(*, base_url: str | None, timeout: float, common: options.Common) -> None:
    """Show what is left on the account.

    JSON: credit (a decimal as text), currency, details (by product, as the provider writes them).
    """
    from voicebatch import app
    from voicebatch.app import account
    from voicebatch.pricing import money

    key = app.check_address(base_url, sandbox=False)
    left = account.credit(
        api_key=key, base_url=base_url, timeout=timeout, ledger=common.ledger, on_wait=output.say_waiting
    )
    if common.as_json:
        amount = {"credit": money(left.amount), "currency": left.currency}
        output.print_json({**amount, "details": _plain(left.details)})
        return
    output.echo(f"Credit: {money(left.amount)} {left.currency}".rstrip())
    for line in _details(left.details):
        output.echo(line)


def _details(details: Mapping[str, Any]) -> Iterator[str]:
    """``tts: 5 h, 55 m, 66 s``: whatever products and units there are."""
    for product, figures in details.items():
        parts = figures.items() if isinstance(figures, Mapping) else [("", figures)]
        yield f"  {product}: {', '.join(f'{figure} {unit}'.rstrip() for unit, figure in parts)}"


def _plain(value: Any) -> Any:
    """As JSON can say it."""
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return float(value) if isinstance(value, Decimal) else value
