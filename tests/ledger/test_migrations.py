"""A ledger of every earlier version, with a run in it, is opened by today's and goes on."""

from __future__ import annotations

import itertools
import json
import os
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, inspect, text

import voicebatch.ledger
from tests.ledger.moves import FAR, ME, SECOND, WIDE, Yes, committed
from tests.servers import PostgresqlServer
from voicebatch.ledger import Claim, Ledger
from voicebatch.ledger.engine import REVISIONS, open_engine, parse_url, transaction
from voicebatch.ledger.tables import metadata
from voicebatch.models import Batch, BatchStatus, Message, Outcome, Reply, RequestCounts, RowCounts, RowStatus, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

NOON: Final = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
LATER: Final = NOON + timedelta(seconds=30)
LEASE_END: Final = NOON + timedelta(seconds=60)
MESSAGE: Final = Message(text="Bonjour")
PEOPLE: Final = {
    "accepted": ("+33600000001", "+33600000002"),
    "unknown": ("+33600000003", "+33600000004", "+33600000005"),
    "sending": ("+33600000006", "+33600000007"),
    "refused": ("+33600000008",),
    "queued": ("+33600000009",),
}
"""Each batch is called as it stands."""

SINCE: Final[Mapping[str, Mapping[str, Mapping[str, Any]]]] = {
    "0001": {},
    "0002": {
        "runs": {"max_cost": "5", "max_cost_currency": "EUR"},
        "batches": {"split_from": None, "settled": None},
        "attempts": {"held": None},
        "workers": {"run_id": "run", "name": str(FAR), "joined_at": NOON, "seen_at": NOON, "left_at": LATER},
        "events": {
            "run_id": "run", "at": NOON, "who": str(FAR), "kind": "joined", "batch_id": None, "text": "began",
        },
        "clocks": {"boot": "a boot", "began_at": NOON},
    },
    "0003": {"batches": {"opted_out": None}, "runs": {"dearer": None}},
    "0004": {
        "runs": {"notify_email": None, "sender": None},
        "attempts": {"called_at": None, "delivered": None, "delivered_of": None},
        "secrets": {"name": "callbacks", "value": b"secret"},
        "callbacks": {
            "id": 1, "digest": "d" * 24, "received_at": NOON, "attempt_id": "accepted.1", "channel": "voice-sms",
            "campaign_id": "c1", "number": "+33600000001", "status": "delivered", "problem": None, "body": "{}",
        },
        "deliveries": {
            "batch_id": "accepted", "number": "+33600000001", "calling_code": "33", "status": "delivered",
            "answered": 1, "milliseconds": 6300, "done_at": NOON, "rank": "1" * 30,
        },
        "cancellations": {
            "batch_id": "accepted", "at": NOON, "who": "Zoé", "outcome": "too late", "credit": None, "currency": None,
            "reason": "it has left",
        },
        "lookups": {"id": 1, "limiter": "credit", "started_at": NOON, "ended_at": LATER},
    },
    "0005": {},
}  # fmt: skip
"""What each revision added to what is in every table: columns with their values, or the row of a new table."""


def tables_of_0001() -> dict[str, list[dict[str, Any]]]:
    """A run in the middle of its work, as that version wrote it. What it committed is 0.24 + 0.36 + 0.24."""
    run = {
        "id": "run", "key": "the key", "content": "c", "created_at": NOON, "channel": "voice-sms", "sandbox": 0,
        "base_url": "https://provider.example/v1", "notify_url": None, "report_dir": "reports",
        "manifest": json.dumps({"inputs": [{"name": "a.csv"}]}), "rows_total": 11, "rows_rejected": 1,
        "rows_suppressed": 1, "committed": "0.84", "resumed_at": NOON, "stop_kind": None, "stop_message": None,
        "stop_hint": None,
    }  # fmt: skip
    message = {
        "id": MESSAGE.id, "text": MESSAGE.text, "audio": None, "lang": "fr", "speech_rate": "1", "schedule": None,
    }  # fmt: skip
    sent = [(row, number, name) for name, people in PEOPLE.items() for row, number in enumerate(people)]
    rows = [
        {"run_id": "run", "file": 0, "row": row, "phone": number, "status": None, "reason": "", "batch_id": name}
        for row, (_, number, name) in enumerate(sent, start=2)
    ]
    rows += [
        {"run_id": "run", "file": 1, "row": at, "phone": None, "status": status, "reason": "why", "batch_id": None}
        for at, status in enumerate(("rejected", "suppressed"), start=2)
    ]
    charge = {
        "attempt_id": "accepted.1", "calling_code": "33", "country_code": "FR", "currency": "EUR", "messages": 2,
        "unit_cost": "0.1200", "cost": "0.2400", "seconds": "6.3",
    }  # fmt: skip
    return {
        "runs": [run],
        "documents": [{"run_id": "run", "name": "rejected.csv", "content": zlib.compress(b"as it came")}],
        "messages": [message],
        "batches": [_batch(at, name) for at, name in enumerate(PEOPLE)],
        "rows": rows,
        "attempts": [_attempt(name) for name in PEOPLE if name != "queued"],
        "charges": [charge],
        "limiters": [{"name": "limiter", "paused_until": NOON + SECOND, "reason": "slow down"}],
    }


def _batch(ordinal: int, name: str) -> dict[str, Any]:
    accepted, people = name == "accepted", PEOPLE[name]
    return {
        "id": name, "run_id": "run", "ordinal": ordinal, "message_id": MESSAGE.id, "size": len(people),
        "numbers": ",".join(people), "status": name, "reason": f"it is {name}", "queued_at": NOON,
        "attempts": int(name != "queued"), "estimate": str(Decimal("0.12") * len(people)),
        "contacted_at": None if name == "queued" else NOON, "campaign_id": "c1" if accepted else None,
        "accepted_at": LATER if accepted else None, "cost": "0.2400" if accepted else None,
    }  # fmt: skip


def _attempt(name: str) -> dict[str, Any]:
    accepted, open_ = name == "accepted", name == "sending"
    return {
        "id": f"{name}.1", "batch_id": name, "number": 1, "worker": str(FAR), "limiter": "limiter",
        "started_at": NOON, "lease_until": LEASE_END, "ended_at": None if open_ else LATER,
        "outcome": None if open_ else name, "counted": 1, "http_status": 200 if accepted else None, "code": "",
        "reason": f"it is {name}", "campaign_id": "c1" if accepted else None, "cost": "0.2400" if accepted else None,
        "currency": "EUR" if accepted else None, "messages": 2 if accepted else None,
        "seconds": "6.3" if accepted else None, "body": "{}",
    }  # fmt: skip


def tables_of(revision: str) -> dict[str, list[dict[str, Any]]]:
    """The same run, as a later version would have written it."""
    tables = tables_of_0001()
    for added in itertools.takewhile(lambda one: one <= revision, SINCE):
        for name, values in SINCE[added].items():
            tables[name] = [{**row, **values} for row in tables.get(name, [{}])]
    if revision >= "0002":
        for attempt in tables["attempts"]:
            attempt["held"] = {"unknown": "0.36", "sending": "0.24"}.get(attempt["batch_id"])
    return tables


@dataclass
class Databases:
    """Makes new databases, without any table."""

    create: Callable[[], str]

    def of_revision(self, revision: str) -> str:
        """One that an earlier version left behind, with that run in every table."""
        url = self.create()
        engine = open_engine(parse_url(url))
        config = Config()
        config.set_main_option("script_location", os.fspath(Path(voicebatch.ledger.__path__[0]) / "migrations"))
        with transaction(engine) as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
            for table, rows in tables_of(revision).items():
                for row in rows:
                    _insert(connection, table, row)
        engine.dispose()
        return url


def _insert(connection: Connection, table: str, row: Mapping[str, Any]) -> None:
    columns, values = ", ".join(f'"{name}"' for name in row), ", ".join(f":{name}" for name in row)
    plain = {name: _plain(value, connection) for name, value in row.items()}
    connection.execute(text(f"INSERT INTO {table} ({columns}) VALUES ({values})"), plain)  # noqa: S608 # our own names


def _plain(value: Any, connection: Connection) -> Any:
    """A time as the database wants it written."""
    if not isinstance(value, datetime):
        return value
    written = value.strftime("%Y-%m-%d %H:%M:%S.%f")
    return written if connection.dialect.name == "sqlite" else f"{written}+00"


@pytest.fixture(params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Databases]:
    """Of each kind."""
    serial = itertools.count(1)
    if request.param == "sqlite":
        yield Databases(create=lambda: f"sqlite+pysqlite:///{tmp_path / f'ledger{next(serial)}.db'}")
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    made: list[str] = []

    def create() -> str:
        made.append(f"old_{next(serial)}")
        server.run(f"CREATE DATABASE {made[-1]}")
        return server.url(made[-1])

    yield Databases(create=create)
    for name in made:
        server.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=REVISIONS)
def old_url(request: pytest.FixtureRequest, databases: Databases) -> str:
    """A database of every revision."""
    return databases.of_revision(request.param)


@pytest.fixture
def opened(old_url: str) -> Iterator[Ledger]:
    """That one, opened by today's ledger."""
    ledger = Ledger(old_url)
    yield ledger
    ledger.close()


def test_whoever_adds_a_migration_says_here_what_it_adds() -> None:
    assert tuple(SINCE) == REVISIONS
    assert {name for added in SINCE.values() for name in added} | {*tables_of_0001()} == {*metadata.tables}


# Its tables


def conditions_of(index: Any) -> dict[str, str]:
    return {name: str(value) for name, value in index.get("dialect_options", {}).items()}


def indexes_of(engine: Engine) -> dict[str, Any]:
    """Names, columns and conditions of all indexes."""
    with engine.connect() as connection:
        inspector = inspect(connection)
        return {
            str(index["name"]): (table, index["column_names"], index["unique"], conditions_of(index))
            for table in inspector.get_table_names()
            for index in inspector.get_indexes(table)
        }


def settings_of(engine: Engine) -> dict[str, Any]:
    """Those that PostgreSQL knows for a table of its own."""
    with engine.connect() as connection:
        inspector = inspect(connection)
        return {table: inspector.get_table_options(table).get("postgresql_with") for table in metadata.tables}


def test_it_has_todays_tables_and_indexes(opened: Ledger, databases: Databases) -> None:
    with transaction(opened._engine, write=False) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
        revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    assert revision == REVISIONS[-1]
    new = open_engine(parse_url(databases.create()))
    with transaction(new) as connection:
        metadata.create_all(connection)
    assert indexes_of(opened._engine) == indexes_of(new)
    assert settings_of(opened._engine) == settings_of(new)
    new.dispose()


def test_all_that_was_in_it_still_is(old_url: str) -> None:
    before = contents(old_url)
    assert all(before.values())
    Ledger(old_url).close()
    Ledger(old_url).close()  # and opening it again changes nothing
    after = contents(old_url)
    for table, rows in before.items():
        assert [{name: row[name] for name in rows[0]} for row in after[table]] == rows


def contents(url: str) -> dict[str, list[dict[str, Any]]]:
    engine = open_engine(parse_url(url))
    with transaction(engine, write=False) as connection:
        names = {*inspect(connection).get_table_names()} - {"alembic_version"}
        found = {name: connection.execute(text(f"SELECT * FROM {name}")).mappings().all() for name in names}  # noqa: S608
    engine.dispose()
    return {name: sorted(map(dict, rows), key=lambda row: [*map(str, row.values())]) for name, rows in found.items()}


# What it says


def test_it_tells_what_happened(opened: Ledger) -> None:
    run = opened.find("latest")
    assert (run.id, run.key, run.created_at, run.stop) == ("run", "the key", NOON, None)
    assert opened.document("run", "rejected.csv") == b"as it came"
    assert opened.row_counts("run") == RowCounts(
        total=11, rejected=1, suppressed=1, queued=1, accepted=2, refused=1, unknown=5
    )
    assert opened.request_counts("run") == RequestCounts(planned=5, sent=4, accepted=1, refused=1, unknown=2)
    shown = {"sending": RowStatus.UNKNOWN}
    assert [(line.phone, line.batch_id, line.status) for line in opened.rows("run") if line.batch_id] == [
        (number, name, shown.get(name) or RowStatus(name)) for name, people in PEOPLE.items() for number in people
    ]
    assert [(charge.messages, charge.cost) for charge, _ in opened.charges("run")] == [(2, Decimal("0.24"))]
    assert [(answer.batch_id, answer.cost) for answer in opened.answers("run")] == [("accepted", Decimal("0.24"))]
    assert opened.unit_costs(sandbox=False).units == {"33": Decimal("0.12")}
    found = {contact.status for contact in opened.contacts({MESSAGE.id}, since=NOON, sandbox=False)}
    assert found == {BatchStatus.ACCEPTED, BatchStatus.UNKNOWN, BatchStatus.SENDING, BatchStatus.QUEUED}
    attempts = [(one.batch_id, one.outcome, one.started_at) for one in opened.story("run").attempts]
    assert attempts == [
        ("accepted", Outcome.ACCEPTED, NOON), ("refused", Outcome.REFUSED, NOON), ("sending", None, NOON),
        ("unknown", Outcome.UNKNOWN, NOON),
    ]  # fmt: skip


# How it goes on


def take(ledger: Ledger, now: datetime) -> Claim | None:
    found = ledger.claim("run", worker=ME, limiter="limiter", limits=[WIDE], now=now, lease_seconds=60.0)
    assert found is None or isinstance(found, Claim)
    return found


def settle(ledger: Ledger, *names: str, requeue: bool = False) -> int:
    options: dict[str, Any] = {"batch_ids": names, "requeue": requeue, "who": "Zoé", "why": "looked", "now": LATER}
    return ledger.resolve("run", Verdict.NOT_SENT, **options)


def test_what_was_queued_is_sent(opened: Ledger, yes: Yes) -> None:
    opened.join("run", worker=ME, now=LATER)
    claimed = take(opened, LATER)
    assert claimed is not None
    assert claimed.batch == Batch(id="queued", run_id="run", ordinal=4, message=MESSAGE, numbers=PEOPLE["queued"])
    assert opened.record(claimed, yes(1), now=LATER) == 1
    assert take(opened, LATER) is None
    assert opened.row_counts("run").accepted == 3
    assert committed(opened, "run") == Decimal("0.84") + Decimal("0.12")


def test_what_was_under_way_is_given_up_when_its_lease_ends(opened: Ledger) -> None:
    assert opened.give_up_lost(now=LEASE_END - SECOND, is_gone=lambda _: False) == 0
    assert opened.give_up_lost(now=LEASE_END, is_gone=lambda _: False) == 1
    assert opened.row_counts("run").unknown == 5
    assert committed(opened, "run") == Decimal("0.84")


def test_what_was_under_way_may_still_be_answered(opened: Ledger, yes: Yes) -> None:
    batch = Batch(id="sending", run_id="run", ordinal=2, message=MESSAGE, numbers=PEOPLE["sending"])
    opened.record(Claim(batch=batch, attempt_id="sending.1", lease_until=LEASE_END), yes(2, "0.13"), now=LATER)
    assert opened.row_counts("run").accepted == 4
    assert committed(opened, "run") == Decimal("0.84") - Decimal("0.24") + Decimal("0.26")


def test_what_was_unknown_held_its_estimate_and_may_be_settled(opened: Ledger, yes: Yes) -> None:
    assert settle(opened, "unknown") == 1
    assert committed(opened, "run") == Decimal("0.84") - Decimal("0.36")
    assert settle(opened, "unknown", requeue=True) == 1
    opened.join("run", worker=ME, now=LATER, max_cost=Decimal("0.84"), currency="EUR")
    again = take(opened, LATER)
    assert again is not None
    assert (again.batch.id, again.attempt_id) == ("unknown", "unknown.2")
    assert committed(opened, "run") == Decimal("0.84")
    assert take(opened, LATER) is None  # the ceiling
    answer: Reply = yes(3, "0.12")
    opened.record(again, answer, now=LATER)
    assert opened.row_counts("run").accepted == 5
