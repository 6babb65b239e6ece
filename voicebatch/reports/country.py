"""The country report: what was charged per calling code, country and currency."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from voicebatch.models import Charge, CountryTotal
from voicebatch.pricing import money, times, total
from voicebatch.reports.cells import partial_of, write_csv

Column = tuple[str, Callable[[CountryTotal], Any]]

COLUMNS: Final[tuple[Column, ...]] = (
    ("calling_code", lambda line: line.calling_code),
    ("country_code", lambda line: line.country_code),
    ("country", lambda line: line.country),
    ("currency", lambda line: line.currency),
    ("requests", lambda line: line.requests),
    ("messages", lambda line: line.messages),
    ("unit_cost_min", lambda line: line.unit_cost_min),
    ("unit_cost_max", lambda line: line.unit_cost_max),
    ("cost", lambda line: line.cost),
    ("message_seconds", lambda line: line.message_seconds),
    ("total_seconds", lambda line: line.total_seconds),
    ("delivered", lambda line: line.delivered),
    ("undelivered", lambda line: line.undelivered),
    ("pending", lambda line: line.pending),
)
"""The report's columns after ``run_id``. To add one, add a line."""

_MONEY: Final = frozenset({"unit_cost_min", "unit_cost_max", "cost"})


def country_totals(
    charges: Iterable[tuple[Charge, str]], *, region_of: Callable[[str], str], name_of: Callable[[str], str]
) -> tuple[CountryTotal, ...]:
    """Sums charges exactly, the dearest line first.

    ``charges`` come with their currency. Where the provider named no country, it is the main one of the calling code.
    """
    lines: dict[tuple[str, str, str], list[Charge]] = defaultdict(list)
    for charge, currency in charges:
        country_code = charge.country_code or region_of(charge.calling_code)
        lines[charge.calling_code, country_code, currency].append(charge)
    totals = [_total(*key, of_line, name_of) for key, of_line in lines.items()]
    return tuple(sorted(totals, key=lambda line: (-line.cost, line.calling_code, line.country_code, line.currency)))


def _total(
    calling_code: str, country_code: str, currency: str, charges: Sequence[Charge], name_of: Callable[[str], str]
) -> CountryTotal:
    messages = sum(charge.messages for charge in charges)
    return CountryTotal(
        calling_code=calling_code,
        country_code=country_code,
        country=name_of(country_code),
        currency=currency,
        requests=len(charges),
        messages=messages,
        unit_cost_min=min(charge.unit_cost for charge in charges),
        unit_cost_max=max(charge.unit_cost for charge in charges),
        cost=total(charge.cost for charge in charges),
        total_seconds=total(times(charge.seconds, charge.messages) for charge in charges),
        pending=messages,
    )


def write_country_report(folder: Path, run_id: str, totals: Sequence[CountryTotal]) -> None:
    """Writes ``country_report.csv`` and the same as ``country_report.parquet``, money as exact decimals."""
    header = ["run_id", *(name for name, _ in COLUMNS)]
    lines = [[run_id, *(_shown(name, value(line)) for name, value in COLUMNS)] for line in totals]
    write_csv(folder / "country_report.csv", header, lines)
    _write_parquet(folder / "country_report.parquet", run_id, totals)


def _shown(name: str, value: Any) -> Any:
    if name in _MONEY:
        return money(value)
    return format(value, "f") if isinstance(value, Decimal) else value


def _write_parquet(path: Path, run_id: str, totals: Sequence[CountryTotal]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"run_id": pa.array([run_id] * len(totals), pa.string())}
    for name, value in COLUMNS:
        columns[name] = _parquet_column(name, [value(line) for line in totals])
    partial = partial_of(path)
    pq.write_table(pa.table(columns), partial)
    partial.replace(path)


def _parquet_column(name: str, values: list[Any]) -> Any:
    import pyarrow as pa

    kind = CountryTotal.__annotations__.get(name, "Decimal")
    if kind == "str":
        return pa.array(values, pa.string())
    if kind == "int":
        return pa.array(values, pa.int64())
    try:
        return pa.array(values, pa.decimal128(38, 12))  # one type in every run, so that runs can be read together
    except pa.ArrowInvalid:
        return pa.array(values)  # more digits than that: the exact type that holds them
