"""What the tests of several modules share: plans for the ledger, ledgers of every kind, replies of the provider."""

from __future__ import annotations

import importlib.metadata
import itertools
import os
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, settings

from tests.servers import PostgresqlServer
from voicebatch.ledger import Ledger, NewBatch, NewRow, NewRun
from voicebatch.models import Answer, Batch, Channel, Charge, Message, Outcome, Reply, RowCounts, RowStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# Properties are about values, not about how long a database or a socket takes.
settings.register_profile(
    "voicebatch",
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize="CI" in os.environ,
)
settings.load_profile("voicebatch")

NOON: Final = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
HELLO: Final = Message(text="Bonjour, votre commande est prête.")
_SERIAL: Final = itertools.count(1)

# Airflow has environments of its own: make airflow. Asked for a module of it, as this folder's name is found too.
collect_ignore = [] if [*importlib.metadata.distributions(name="apache-airflow-core")] else ["airflow"]


@pytest.fixture
def noon() -> datetime:
    """When every story begins."""
    return NOON


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place for a new ledger. Another database is one more parameter here, and has to pass the same suite."""
    if request.param == "sqlite":
        return f"sqlite+pysqlite:///{tmp_path / 'ledger.db'}"
    url: str = request.getfixturevalue("postgresql_url")
    return url


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    """A real server of our own, with a database that has a new ledger's tables."""
    with PostgresqlServer.started() as server:
        server.run("CREATE DATABASE migrated")
        Ledger(server.url("migrated")).close()
        yield server


@pytest.fixture
def postgresql_url(postgresql: PostgresqlServer) -> Iterator[str]:
    """A database of its own, which looks like one where a ledger was just opened."""
    name = f"ledger_{next(_SERIAL)}"
    postgresql.run(f"CREATE DATABASE {name} TEMPLATE migrated")
    yield postgresql.url(name)
    postgresql.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    """A new ledger."""
    opened = Ledger(ledger_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def make_run() -> Callable[..., NewRun]:
    """A sealed plan: ``sizes`` are its batches' numbers of recipients; a rejected and a suppressed row come last."""

    def make(
        *sizes: int,
        run_id: str | None = None,
        key: str | None = None,
        message: Message = HELLO,
        estimate: Decimal | None = None,
        documents: dict[str, bytes] | None = None,
    ) -> NewRun:
        run_id = run_id or f"run{next(_SERIAL):021}"
        serial = itertools.count(1)
        batches = [
            Batch(
                id=f"{ordinal:04}{run_id[-20:]}",
                run_id=run_id,
                ordinal=ordinal,
                message=message,
                numbers=tuple(f"+336{next(serial):08}" for _ in range(size)),
            )
            for ordinal, size in enumerate(sizes)
        ]
        sent = [(number, batch.id) for batch in batches for number in batch.numbers]
        rows = [
            NewRow(file=0, row=row, phone=number, status=None, reason="", batch_id=batch_id)
            for row, (number, batch_id) in enumerate(sent, start=2)
        ]
        rows += [
            NewRow(file=1, row=2, phone=None, status=RowStatus.REJECTED, reason="too short", batch_id=None),
            NewRow(file=1, row=3, phone="+33699", status=RowStatus.SUPPRESSED, reason="opted out", batch_id=None),
        ]
        return NewRun(
            id=run_id,
            key=key or f"key of {run_id}",
            content="content",
            channel=Channel.VOICE_SMS,
            sandbox=False,
            base_url="https://provider.example/v1",
            notify_url=None,
            report_dir="reports",
            planned_at=None,
            manifest={"inputs": [{"name": "a.csv"}, {"name": "b.csv"}]},
            counts=RowCounts(total=len(rows), rejected=1, suppressed=1, queued=len(sent)),
            documents=documents or {},
            batches=[NewBatch(batch, estimate) for batch in batches],
            rows=rows,
        )

    return make


@pytest.fixture(scope="session")
def yes() -> Callable[..., Reply]:
    """The provider's yes to so many messages, with one French charge unless ``charges`` says more."""

    def make(messages: int = 1, unit: str = "0.12", *, charges: tuple[Charge, ...] | None = None) -> Reply:
        if charges is None:
            price = Decimal(unit)
            charges = (
                Charge(
                    calling_code="33",
                    country_code="FR",
                    messages=messages,
                    unit_cost=price,
                    cost=price * messages,
                    seconds=Decimal("6.3"),
                ),
            )
        answer = Answer(
            campaign_id=f"campaign {next(_SERIAL)}",
            cost=sum((charge.cost for charge in charges), Decimal(0)),
            currency="EUR",
            messages=sum(charge.messages for charge in charges),
            seconds=Decimal("6.3"),
            charges=charges,
        )
        return Reply(outcome=Outcome.ACCEPTED, http_status=200, answer=answer)

    return make
