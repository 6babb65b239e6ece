"""The manifest: what a run was made of, its totals, and the checks that they add up."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from voicebatch.models import RowCounts, RowStatus, RunSummary
from voicebatch.pricing import money
from voicebatch.reports.cells import write_bytes

_LIBRARIES: Final = ("voicebatch", "pandas", "pandera", "phonenumbers", "pyarrow", "requests", "sqlalchemy")


def versions() -> dict[str, str]:
    """Of Python and of what a run's result depends on."""
    return {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}}


def check(name: str, left: tuple[str, object], right: tuple[str, object]) -> dict[str, Any]:
    """One check: two named figures that must be equal, and whether they are."""
    return {"check": name, "ok": left[1] == right[1], left[0]: str(left[1]), right[0]: str(right[1])}


def row_check(rows: RowCounts, written: Mapping[RowStatus, int]) -> dict[str, Any]:
    """Rows in = rows out: every row that was read is written once, with the status that the run counts."""
    counted = {status: getattr(rows, status) for status in RowStatus}
    return {
        "check": "rows in = rows out",
        "ok": rows.total == sum(written.values()) and all(written.get(one, 0) == counted[one] for one in RowStatus),
        "rows_in": rows.total,
        "rows_counted": sum(counted.values()),
        "rows_out": sum(written.values()),
    }


def write_manifest(
    folder: Path,
    planned: Mapping[str, Any],
    summary: RunSummary,
    checks: Sequence[Mapping[str, Any]],
    *,
    written_at: datetime,
    unknown: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Writes ``manifest.json``: ``planned`` is what the plan knew, the rest is how the run stands now.

    ``unknown`` are the requests whose outcome nobody knows, to be looked up at the provider's.
    """
    document = {
        "schema_version": 1,
        "run_id": summary.run_id,
        "key": summary.key,
        "sandbox": summary.sandbox,
        "ledger": summary.ledger,
        "status": summary.status,
        "written_at": written_at.isoformat(timespec="seconds"),
        **planned,
        "rows": asdict(summary.rows),
        "requests": asdict(summary.requests),
        "totals": {
            "cost": None if summary.cost is None else money(summary.cost),
            "credited": money(summary.credited),
            "currency": summary.currency,
            "messages": sum(line.messages for line in summary.countries),
            "total_seconds": format(summary.total_seconds, "f"),
            **({"settled_by_callback": summary.settled_by_callback} if summary.settled_by_callback else {}),
            **({} if summary.estimated_cost is None else {"estimated_cost": money(summary.estimated_cost)}),
        },
        "deliveries": {
            name: format(value, "f") if isinstance(value, Decimal) else value
            for name, value in asdict(summary.deliveries).items()
        },
        **({"unknown": list(unknown)} if unknown else {}),
        "checks": list(checks),
    }
    write_bytes(folder / "manifest.json", json.dumps(document, ensure_ascii=False, indent=2).encode())
