"""The country report: what was charged per calling code, country and currency."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

from voicebatch.models import Charge, CountryTotal, DeliveryCounts
from voicebatch.pricing import money, times, total
from voicebatch.reports.cells import partial_of, write_csv


class Place(NamedTuple):
    """What a line of the report is about."""

    calling_code: str
    country_code: str
    currency: str


Column = tuple[str, type, Callable[[CountryTotal], Any]]

COLUMNS: Final[tuple[Column, ...]] = (
    ("calling_code", str, lambda line: line.calling_code),
    ("country_code", str, lambda line: line.country_code),
    ("country", str, lambda line: line.country),
    ("currency", str, lambda line: line.currency),
    ("requests", int, lambda line: line.requests),
    ("messages", int, lambda line: line.messages),
    ("unit_cost_min", Decimal, lambda line: line.unit_cost_min),
    ("unit_cost_max", Decimal, lambda line: line.unit_cost_max),
    ("cost", Decimal, lambda line: line.cost),
    ("message_seconds", Decimal, lambda line: line.message_seconds),
    ("total_seconds", Decimal, lambda line: line.total_seconds),
    ("delivered", int, lambda line: line.deliveries.delivered),
    ("undelivered", int, lambda line: line.deliveries.undelivered),
    ("pending", int, lambda line: line.deliveries.pending),
)
"""The report's columns after ``run_id``. To add one, add a line."""

DELIVERY_COLUMNS: Final[tuple[Column, ...]] = (
    *COLUMNS[:3],
    ("delivered", int, lambda line: line.deliveries.delivered),
    ("answered", int, lambda line: line.deliveries.answered),
    ("not_answered", int, lambda line: line.deliveries.not_answered),
    ("undelivered", int, lambda line: line.deliveries.undelivered),
    ("pending", int, lambda line: line.deliveries.pending),
    ("announced_seconds", Decimal, lambda line: line.deliveries.announced_seconds),
    ("spoken_seconds", Decimal, lambda line: line.deliveries.spoken_seconds),
)
"""Those of the delivery report."""

_MONEY: Final = frozenset({"unit_cost_min", "unit_cost_max", "cost"})


def country_totals(
    charges: Iterable[tuple[Place, Charge]],
    deliveries: Mapping[Place, DeliveryCounts],
    *,
    name_of: Callable[[str], str],
) -> tuple[CountryTotal, ...]:
    """Sums charges exactly, the dearest line first; ``deliveries`` may have lines that nothing is charged for."""
    lines: dict[Place, list[Charge]] = {place: [] for place in deliveries}
    for place, charge in charges:
        lines.setdefault(place, []).append(charge)
    totals = [_total(place, of_line, deliveries.get(place), name_of) for place, of_line in lines.items()]
    return tuple(sorted(totals, key=lambda line: (-line.cost, line.calling_code, line.country_code, line.currency)))


def _total(
    place: Place, charges: Sequence[Charge], deliveries: DeliveryCounts | None, name_of: Callable[[str], str]
) -> CountryTotal:
    messages = sum(charge.messages for charge in charges)
    units = [charge.unit_cost for charge in charges]
    return CountryTotal(
        calling_code=place.calling_code,
        country_code=place.country_code,
        country=name_of(place.country_code),
        currency=place.currency,
        requests=len(charges),
        messages=messages,
        unit_cost_min=min(units, default=None),
        unit_cost_max=max(units, default=None),
        cost=total(charge.cost for charge in charges),
        total_seconds=total(times(charge.seconds, charge.messages) for charge in charges),
        deliveries=deliveries or DeliveryCounts(pending=messages),
    )


def write_country_report(folder: Path, run_id: str, totals: Sequence[CountryTotal]) -> None:
    """Writes ``country_report.csv`` and the same as ``country_report.parquet``, money as exact decimals."""
    _write_csv(folder / "country_report.csv", run_id, COLUMNS, totals)
    _write_parquet(folder / "country_report.parquet", run_id, totals)


def write_delivery_report(folder: Path, run_id: str, totals: Sequence[CountryTotal]) -> None:
    """Writes ``delivery_report.csv``: what callbacks said, a line for every line of the country report."""
    _write_csv(folder / "delivery_report.csv", run_id, DELIVERY_COLUMNS, totals)


def _write_csv(path: Path, run_id: str, columns: Sequence[Column], totals: Sequence[CountryTotal]) -> None:
    header = ["run_id", *(name for name, _, _ in columns)]
    write_csv(path, header, [[run_id, *(_shown(name, value(line)) for name, _, value in columns)] for line in totals])


def _shown(name: str, value: Any) -> Any:
    if value is None:  # nothing is charged there, as far as anybody knows
        return ""
    if name in _MONEY:
        return money(value)
    return format(value, "f") if isinstance(value, Decimal) else value


def _write_parquet(path: Path, run_id: str, totals: Sequence[CountryTotal]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"run_id": pa.array([run_id] * len(totals), pa.string())}
    for name, kind, value in COLUMNS:
        columns[name] = _parquet_column(kind, [value(line) for line in totals])
    partial = partial_of(path)
    pq.write_table(pa.table(columns), partial)
    partial.replace(path)


def _parquet_column(kind: type, values: list[Any]) -> Any:
    import pyarrow as pa

    if kind is str:
        return pa.array(values, pa.string())
    if kind is int:
        return pa.array(values, pa.int64())
    try:
        return pa.array(values, pa.decimal128(38, 12))  # one type in every run, so that runs can be read together
    except pa.ArrowInvalid:
        return pa.array(values)  # more digits than that: the exact type that holds them
