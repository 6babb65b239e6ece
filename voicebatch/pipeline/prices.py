"""Where the prices of a run come from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from voicebatch.errors import InputError, UsageError
from voicebatch.pricing import Prices, parse_price_table

if TYPE_CHECKING:
    from voicebatch.ledger import Ledger


def read_prices(table: Path | None, ledger: Ledger | None, *, sandbox: bool) -> Prices:
    """From the price table if there is one, else what the provider charged before."""
    if table:
        if not table.exists():
            raise UsageError(f"There is no price table {table}.", hint="Check the path: --price-table PATH")
        try:
            return parse_price_table(table.read_text(encoding="utf-8-sig"), name=str(table))
        except (OSError, UnicodeError) as error:
            raise InputError(f"The price table {table} cannot be read: {error}.") from error
    return ledger.unit_costs(sandbox=sandbox) if ledger else Prices()
