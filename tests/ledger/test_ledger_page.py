"""docs/ledger.md: every query on it runs on a real ledger of each kind, and says what the reports of its runs say."""
# ruff: noqa: S608 # the page's own queries, and what is changed to see whether they notice

from __future__ import annotations

import contextlib
import csv
import json
import re
import shlex
import shutil
import sqlite3
import subprocess
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

import voicebatch
from tests.servers import PostgresqlServer
from voicebatch.app import account, resolve, story_of
from voicebatch.app.listening import listening
from voicebatch.ledger import Ledger
from voicebatch.ledger.tables import metadata
from voicebatch.models import MOVES, BatchStatus, CancelOutcome, Delivery, EventKind, Outcome, RunSummary, Verdict
from voicebatch.sandbox import Sandbox, serve

PAGE: Final = (Path(__file__).parents[2] / "docs" / "ledger.md").read_text(encoding="utf-8")
_PART: Final = re.compile(
    r"^#{2,3} (?P<title>[^\n]+)$|^```sql ?(?P<info>[a-z ]*)\n(?P<sql>.*?)^```$", re.MULTILINE | re.DOTALL
)
_HEARD: Final = "Bonjour de {{ ville }}"
_LISTED, _SPLIT, _TOLD = "+33600000021", "+442079460001", "+33600000000"
MARCH: Final = (
    ("Lyon", _TOLD), ("Lyon", "+33600000007"), ("Lyon", "+33600000009"),  # this request's answer is lost
    ("Lyon", "+33600000014"), ("Lyon", "+493012345671"),  # the first of them is refused, and not named
    ("Nice", _SPLIT), ("Nice", "+33600000005"), ("Nice", "+33600000044"),  # the last one is refused, and named
    ("Lyon", _TOLD), ("Nice", _TOLD), ("Nice", "12"), ("Nice", _LISTED),  # twice, again, bad, opted out
)  # fmt: skip
APRIL: Final = (("Lyon", _TOLD), ("Lyon", "+12025550101"), ("Lyon", "+33600000022"))
FEW: Final = tuple(("Lille", f"+3360000010{at}") for at in range(4))

Line = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Block:
    """A block of SQL on the page: where it stands, and for what."""

    title: str
    info: str
    sql: str


def blocks() -> Iterator[Block]:
    title = ""
    for part in _PART.finditer(PAGE):
        title = part["title"] or title
        if part["sql"]:
            yield Block(title=title, info=part["info"].strip(), sql=part["sql"])


QUERIES: Final = [one for one in blocks() if one.info in {"", "sqlite", "postgresql"}]


def statements(info: str) -> list[str]:
    (block,) = (one for one in blocks() if one.info == info)
    return [one.strip() for one in block.sql.split(";") if one.strip()]


@dataclass(frozen=True, kw_only=True)
class Books:
    """A ledger with its runs, by name, and their reports. ``read`` is how an auditor opens it, ``write`` its owner."""

    kind: str
    url: str
    home: Path
    read: Callable[[], Any]
    write: Callable[[], Any]
    runs: dict[str, RunSummary] = field(default_factory=dict)

    def ask(self, title: str, **replaced: str) -> list[Line]:
        """What the query under this heading returns to an auditor."""
        with contextlib.closing(self.read()) as connection:
            return lines(connection, self.query(title, **replaced))

    @contextlib.contextmanager
    def after(self, *changes: str) -> Iterator[Callable[[str], list[Line]]]:
        """Asks as if somebody had changed this in the ledger."""
        with contextlib.closing(self.write()) as connection:
            for change in changes:
                assert connection.execute(change).rowcount > 0
            yield lambda title: lines(connection, self.query(title))
            connection.rollback()

    def query(self, title: str, **replaced: str) -> str:
        (block,) = (one for one in QUERIES if one.title == title and one.info in {"", self.kind})
        sql = block.sql
        for old, new in replaced.items():
            assert sql.count(old) == 1
            sql = sql.replace(old, new)
        return sql

    def report(self, run: str, name: str = "country_report.csv") -> list[dict[str, str]]:
        with (Path(self.runs[run].report_dir) / name).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def of(self, run: str) -> str:
        return self.runs[run].run_id


def lines(connection: Any, sql: str) -> list[Line]:
    cursor = connection.execute(sql.strip().rstrip(";"))
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def exact(value: Any) -> Decimal:
    assert not isinstance(value, float)
    return Decimal(value)


def moment(value: Any) -> datetime:
    return datetime.fromisoformat(value).replace(tzinfo=UTC) if isinstance(value, str) else value.astimezone(UTC)


# The runs


def fill(books: Books) -> None:
    """Callbacks, refusals, lost answers, verdicts, a ceiling, and a run that is taken back."""
    book, reports = Ledger(books.url), books.home / "reports"
    with contextlib.closing(book), serve(callback_delay=0.0) as sandbox, listening(book) as listener:
        desk = Desk(books=books, sandbox=sandbox)
        sandbox.set_faults("lost-after:1x")
        (books.home / "list.csv").write_text(f"tel\n{_LISTED}\n")
        desk.send("march", _HEARD, MARCH, batch_size=3, notify_url=listener.url, suppress=[books.home / "list.csv"])
        desk.send("april", _HEARD, APRIL)
        sandbox.set_faults("lost-after:1x", "lost-before:1x", "lost-after:1x")
        lost = desk.send("lost", "Bonjour", FEW, batch_size=1)
        batches = [line["batch_id"] for line in desk.unknown(lost)]
        assert len(batches) == 3
        settle = partial(resolve, lost.run_id, ledger=books.url, out=reports)
        settle(Verdict.SENT, why="campaign 4711", who="anna", batch_ids=batches[:1])
        settle(Verdict.NOT_SENT, why="not there", who="berta", batch_ids=batches[1:2], requeue=True)
        where: dict[str, Any] = {"api_key": "key", "base_url": sandbox.base_url, "ledger": books.url, "out": reports}
        voicebatch.resume(lost.run_id, **where)
        desk.send("ceiling", "Bonsoir", FEW, batch_size=1, max_cost=Decimal("0.1"))
        later = voicebatch.Message(text="Demain", schedule=datetime.now(UTC) + timedelta(days=1))
        run = desk.send("later", later, FEW, batch_size=2, max_cost=Decimal("0.1"))
        account.cancel(run.run_id, who="cleo", **where)
        assert sandbox.wait_for_callbacks(10)
    for name, sent in books.runs.items():
        books.runs[name] = voicebatch.report(sent.run_id, ledger=books.url)


@dataclass(frozen=True, kw_only=True)
class Desk:
    """Who sends runs into a ledger's books."""

    books: Books
    sandbox: Sandbox

    def send(
        self,
        name: str,
        message: str | voicebatch.Message,
        people: Sequence[tuple[str, str]],
        *,
        max_cost: Decimal | None = None,
        **options: Any,
    ) -> RunSummary:
        path = self.books.home / f"{name}.csv"
        path.write_text("ville;tel\n" + "".join(f"{town};{number}\n" for town, number in people))
        plan = voicebatch.plan(
            [path],
            voicebatch.Message(text=message) if isinstance(message, str) else message,
            ledger=self.books.url,
            out=self.books.home / "reports",
            key=f"{name} campaign",
            max_invalid="50%",
            **options,
        )
        sent = voicebatch.send(plan, api_key="key", base_url=self.sandbox.base_url, concurrency=1, max_cost=max_cost)
        self.books.runs[name] = sent
        return sent

    def unknown(self, run: RunSummary) -> list[Line]:
        return list(json.loads((Path(run.report_dir) / "manifest.json").read_text())["unknown"])


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def books(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Books]:
    home = tmp_path_factory.mktemp("audit")
    if request.param == "sqlite":
        yield sqlite_books(home)
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    server.run("CREATE DATABASE audited TEMPLATE migrated")
    server.run("ALTER DATABASE audited SET timezone = 'Asia/Tokyo'")
    server.run(*statements("postgresql setup"), database="audited")
    yield postgresql_books(home, server, "audited")
    server.run("DROP DATABASE audited", "DROP ROLE auditor")


def sqlite_books(home: Path) -> Books:
    made = sqlite_at(home, home / "ledger.sqlite")
    fill(made)
    return made


def sqlite_at(home: Path, path: Path) -> Books:
    return Books(
        kind="sqlite",
        url=str(path),
        home=home,
        read=lambda: sqlite3.connect(f"file:{path}?mode=ro", uri=True),
        write=lambda: sqlite3.connect(path),
    )


def postgresql_books(home: Path, server: PostgresqlServer, database: str) -> Books:
    made = postgresql_at(home, server, database)
    fill(made)
    return made


def postgresql_at(home: Path, server: PostgresqlServer, database: str) -> Books:
    return Books(
        kind="postgresql",
        url=server.url(database),
        home=home,
        read=lambda: psycopg.connect(server.url(database, user="auditor")),
        write=lambda: psycopg.connect(server.url(database), options="-c timezone=UTC"),
    )


# The queries

FIT: Final = "Amounts that the queries cannot add up"
BY_MONTH: Final = "Cost by month, country and currency"
ADD_UP: Final = "Do the charges add up to what the answers said?"
BY_ROWS: Final = "Nobody was called twice in a run, by rows"
BY_REQUESTS: Final = "Nobody was called twice in a run, by requests"
WHO: Final = "Was this person called, when, with what, in which run, and what did it cost?"


def test_every_query_runs_as_it_stands_for_who_may_only_read(books: Books) -> None:
    for query in QUERIES:
        if query.info in {"", books.kind}:
            books.ask(query.title)


def test_an_auditor_can_change_nothing_and_on_a_server_reads_no_secret(books: Books) -> None:
    with contextlib.closing(books.read()) as connection, pytest.raises((sqlite3.Error, psycopg.Error)):
        connection.execute("DELETE FROM events")
    if books.kind == "postgresql":
        with contextlib.closing(books.read()) as connection:
            assert connection.execute("SHOW timezone").fetchone() == ("UTC",)
        with contextlib.closing(books.read()) as connection, pytest.raises(psycopg.Error, match="permission denied"):
            connection.execute("SELECT * FROM secrets")


def test_cost_by_country_is_that_of_each_country_report_to_the_last_decimal(books: Books) -> None:
    found: dict[str, dict[Any, Any]] = defaultdict(dict)
    for line in books.ask("Cost by run, country and currency"):
        place = line["calling_code"], line["country_code"], line["currency"]
        found[line["run_id"]][place] = (int(line["requests"]), int(line["messages"]), exact(line["cost"]))
    for name in books.runs:
        assert found[books.of(name)] == {
            (line["calling_code"], line["country_code"], line["currency"]): (
                int(line["requests"]), int(line["messages"]), Decimal(line["cost"])
            )
            for line in books.report(name) if line["requests"] != "0"
        }  # fmt: skip
    assert sum(map(len, found.values())) > 5


def test_cost_by_month_is_the_sum_of_the_country_reports(books: Books) -> None:
    expected: Counter[tuple[str, str]] = Counter()
    for name in books.runs:
        for line in books.report(name):
            expected[line["country_code"], line["currency"]] += Decimal(line["cost"])  # type: ignore[assignment] # exact
    found: Counter[tuple[str, str]] = Counter()
    for line in books.ask(BY_MONTH):
        found[line["country_code"], line["currency"]] += exact(line["cost"])  # type: ignore[assignment] # the same
        assert re.fullmatch(r"2\d{3}-\d{2}", line["month"])
    assert found == expected


def test_the_charges_add_up_to_the_answers_and_to_the_reports(books: Books) -> None:
    found = {line["run_id"]: line for line in books.ask(ADD_UP)}
    for summary in books.runs.values():
        line = found[summary.run_id]
        assert exact(line["answers"]) == exact(line["charges"]) == summary.cost
        assert exact(line["difference"]) == line["messages_missing"] == 0
        assert line["requests"] == summary.answered


def test_a_charge_that_does_not_add_up_is_shown_with_its_difference(books: Books) -> None:
    with books.after("UPDATE charges SET cost = '0.073500000001', messages = 3 WHERE calling_code = '49'") as ask:
        found = ask(ADD_UP)
    told = {line["run_id"]: (exact(line["difference"]), line["messages_missing"]) for line in found}
    assert told == {books.of(name): (0, 0) for name in books.runs} | {
        books.of("march"): (Decimal("-0.000000000001"), -2)
    }


def test_an_answer_that_counts_other_messages_than_people_is_found(books: Books) -> None:
    title = "Answers that count another number of messages than there were people"
    assert books.ask(title) == []
    first = "id = (SELECT MIN(attempt_id) FROM charges WHERE calling_code = '49')"
    with books.after(f"UPDATE attempts SET messages = messages - 1 WHERE {first}") as ask:
        assert [(line["run_id"], line["people"], line["messages"]) for line in ask(title)] == [
            (books.of("march"), 1, 0)
        ]


def test_sums_are_exact_where_floating_point_is_not(books: Books) -> None:
    amounts = ("0.1", "12", "0.000000000001", "300000.123456789012", "0.0412345678")
    new = [
        "INSERT INTO charges (attempt_id, calling_code, country_code, currency, messages, unit_cost, cost, seconds) "
        f"SELECT MIN(id), '999{at}', 'XX', 'XXX', 1, '1', '{amount}', '1' FROM attempts WHERE outcome = 'accepted'"
        for at, amount in enumerate(amounts)
    ]
    with books.after(*new) as ask:
        apart = [line for line in ask(BY_MONTH) if line["currency"] == "XXX"]
        assert ask(FIT) == []
    assert {exact(line["cost"]) for line in apart} == set(map(Decimal, amounts))
    more = [f"UPDATE charges SET cost = '{amounts[3]}' WHERE calling_code = '33'"]
    with books.after(*more) as ask:
        french = [line for line in ask(BY_MONTH) if line["calling_code"] == "33"]
    assert [exact(line["cost"]) for line in french] == [Decimal(amounts[3]) * line["requests"] for line in french]


@pytest.mark.parametrize("amount", ["0.0000000000001", "-1.5", "1000000"])
def test_an_amount_that_the_queries_cannot_add_up_is_found(books: Books, amount: str) -> None:
    with books.after(f"UPDATE charges SET cost = '{amount}' WHERE calling_code = '49'") as ask:
        assert [line["amount"] for line in ask(FIT)] == [amount]


def test_a_sum_that_is_too_large_is_an_error_and_no_wrong_figure(books: Books) -> None:
    many = [
        "INSERT INTO charges (attempt_id, calling_code, country_code, currency, messages, unit_cost, cost, seconds) "
        f"SELECT MIN(id), '998{at}', 'XX', 'EUR', 1, '1', '999999', '1' FROM attempts WHERE outcome = 'accepted'"
        for at in range(10)
    ]
    with books.after(*many) as ask:
        assert ask(FIT) == []
        with pytest.raises((sqlite3.OperationalError, psycopg.errors.NumericValueOutOfRange)):
            ask(ADD_UP)


def test_what_nobody_here_knows_the_cost_of_is_what_the_summaries_say(books: Books) -> None:
    found: Counter[str] = Counter()
    for line in books.ask("Requests that cost something, and nobody here knows what"):
        found[line["run_id"]] += line["people"]
    assert found == {books.of("march"): books.runs["march"].settled_by_callback, books.of("lost"): 1}
    assert found[books.of("march")] == 3


def test_ceilings_and_what_counts_for_them_are_shown(books: Books) -> None:
    found = {line["run_id"]: line for line in books.ask("What a run's ceiling was, and what was charged")}
    for summary in books.runs.values():
        line = found[summary.run_id]
        assert exact(line["charged"]) == summary.cost
        assert exact(line["committed"]) == exact(line["charged"]) + exact(line["estimated"]) - summary.credited
    ceiling = found[books.of("ceiling")]
    assert (exact(ceiling["ceiling"]), ceiling["currency"], ceiling["stop_kind"]) == (Decimal("0.1"), "EUR", "guard")
    assert found[books.of("march")]["ceiling"] is None


def test_what_was_taken_back_is_shown_with_its_credit(books: Books) -> None:
    found = books.ask("What was taken back, and what came back for it")
    assert {line["run_id"] for line in found} == {books.of("later")}
    by_outcome = {line["outcome"]: line for line in found}
    assert set(by_outcome) == {"cancelled", "left the queue"}
    assert exact(by_outcome["cancelled"]["credit"]) == books.runs["later"].credited == Decimal("0.09")
    assert by_outcome["cancelled"]["who"] == "cleo"
    assert sum(line["people"] for line in found) == books.runs["later"].rows.cancelled == 4


def test_every_call_to_one_number_is_told(books: Books) -> None:
    found = books.ask(WHO)
    assert [(line["key"], line["row"], line["status"], line["outcome"]) for line in found] == [
        ("march campaign", 2, "accepted", "unknown"),
        ("march campaign", 10, "suppressed", None),
        ("march campaign", 11, "accepted", "accepted"),
        ("april campaign", 2, "suppressed", None),
    ]
    lost, twice, nice, april = found
    assert (lost["text"], lost["delivery"], lost["answered"]) == ("Bonjour de Lyon", "delivered", 1)
    assert (lost["called_at"] is not None, lost["unit_cost"]) == (True, None)
    assert "row 2" in twice["reason"]
    assert (nice["text"], exact(nice["unit_cost"]), nice["currency"]) == ("Bonjour de Nice", Decimal("0.045"), "EUR")
    assert books.of("march") in april["reason"]


def test_who_was_in_a_split_request_is_found_in_both_and_charged_once(books: Books) -> None:
    found = books.ask(WHO, **{_TOLD: _SPLIT})
    assert [(line["status"], line["outcome"]) for line in found] == [("split", "refused"), ("accepted", "accepted")]
    assert [line["currency"] for line in found] == [None, "EUR"]


def test_nobody_was_called_twice(books: Books) -> None:
    assert books.ask(BY_ROWS) == books.ask(BY_REQUESTS) == []


def test_a_double_among_the_rows_is_found(books: Books) -> None:
    first = "SELECT batch_id FROM rows AS r WHERE r.row = 2 AND r.run_id = rows.run_id"
    here = f"run_id = '{books.of('march')}' AND row = 10"
    double = f"UPDATE rows SET status = NULL, batch_id = ({first}) WHERE {here}"
    with books.after(double) as ask:
        (line,) = ask(BY_ROWS)
        assert [line["run_id"] for line in ask(BY_REQUESTS)] == [books.of("march")]
    assert (line["run_id"], line["phone"], line["times"]) == (books.of("march"), _TOLD, 2)


@pytest.mark.parametrize("people", [_SPLIT, "+33600000009"])
def test_a_second_yes_to_the_same_people_is_found(books: Books, people: str) -> None:
    """Of a part of a split request, and of one that a callback settled."""
    double = (
        "INSERT INTO attempts (id, batch_id, number, worker, limiter, started_at, lease_until, outcome, counted) "
        "SELECT a.batch_id || '.2', batch_id, 2, worker, limiter, a.started_at, lease_until, 'accepted', 1 "
        "FROM attempts a JOIN batches b ON b.id = a.batch_id "
        f"WHERE b.status = 'accepted' AND b.numbers LIKE '%{people}%'"
    )
    with books.after(double) as ask:
        assert people in {line["phone"] for line in ask(BY_REQUESTS) if line["times"] == 2}
        assert ask(BY_ROWS) == []


def test_what_rests_on_a_persons_word_is_listed(books: Books) -> None:
    (line,) = books.ask("Who would have been called twice if a person was wrong")
    assert (line["run_id"], line["size"], line["outcome"]) == (books.of("lost"), 1, "accepted")
    assert moment(line["first_left_at"]) < moment(line["again_left_at"])


def test_rows_in_are_rows_out(books: Books) -> None:
    found = {line["run_id"]: line for line in books.ask("Rows in = rows out")}
    for name, summary in books.runs.items():
        line, statuses = found[summary.run_id], Counter(row["status"] for row in books.report(name, "recipients.csv"))
        told = {status: line[status] for status in statuses}
        assert (told, line["total"], line["missing"]) == (statuses, sum(statuses.values()), 0)
    assert books.ask("Rows that have not exactly one status") == []


@pytest.mark.parametrize("phone", [_TOLD, _SPLIT])
def test_a_row_without_a_status_is_found(books: Books, phone: str) -> None:
    if phone == _SPLIT:
        parts = "split_from IS NOT NULL AND status <> 'split'"
        lost = f"UPDATE batches SET numbers = replace(numbers, '{phone}', '') WHERE {parts}"
    else:
        lost = f"UPDATE rows SET batch_id = 'nowhere' WHERE row = 2 AND run_id = '{books.of('march')}'"
    with books.after(lost) as ask:
        assert len(ask("Rows that have not exactly one status")) == 1
        assert sum(line["missing"] for line in ask("Rows in = rows out")) == 1


def test_who_was_not_to_be_called_is_told_with_the_reports_reason(books: Books) -> None:
    found = {
        (line["run_id"], line["row"]): (line["phone"], line["reason"])
        for line in books.ask("Who was not to be called, and why")
    }
    assert found == {
        (line["run_id"], int(line["row"])): (line["phone"], line["reason"])
        for name in books.runs
        for line in books.report(name, "recipients.csv")
        if line["status"] == "suppressed"
    }
    assert len(found) == 3


def test_the_names_of_the_inputs_are_those_of_the_report(books: Books) -> None:
    place = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[books.kind]
    found = {(line["run_id"], line["name"]) for line in books.ask(f"The names of the input files ({place})")}
    assert found == {
        (line["run_id"], line["file"]) for name in books.runs for line in books.report(name, "recipients.csv")
    }


def test_what_is_unknown_is_what_the_reports_say(books: Books) -> None:
    found = {
        number: line["batch_id"]
        for line in books.ask("Requests whose outcome is unknown now")
        for number in line["numbers"].split(",")
    }
    assert found == {
        line["phone"]: line["batch_id"]
        for name in books.runs
        for line in books.report(name, "recipients.csv")
        if line["status"] == "unknown"
    }
    assert len(found) == 1


def test_who_settled_what_is_told_with_the_reason(books: Books) -> None:
    found = books.ask("Who settled what, when and why")
    assert [(line["run_id"], line["who"]) for line in found] == [
        (books.of("march"), "callback"), (books.of("lost"), "anna"), (books.of("lost"), "berta"),
    ]  # fmt: skip
    assert [line["verdict_now"] for line in found] == [None, "sent", None]
    assert all(part in line["text"] for part, line in zip(("callback", "4711", "not there"), found, strict=True))
    assert all(moment(line["left_at"]) <= moment(line["at"]) for line in found)


def test_deliveries_are_those_of_the_delivery_report(books: Books) -> None:
    names = ("delivered", "undelivered", "answered", "not_answered")
    found = {
        line["calling_code"]: [*(line[name] for name in names), Decimal(int(line["milliseconds"])) / 1000]
        for line in books.ask("Deliveries and answer rate by country")
    }
    reported = books.report("march", "delivery_report.csv")
    assert found == {
        line["calling_code"]: [*(int(line[name]) for name in names), Decimal(line["spoken_seconds"])]
        for line in reported
    }
    rates = {line["calling_code"]: line["answer_rate"] for line in books.ask("Deliveries and answer rate by country")}
    assert {code: float(rate) for code, rate in rates.items()} == {"33": 75.0, "44": 100.0, "49": 100.0}


def test_odd_callbacks_are_found(books: Books) -> None:
    assert books.ask("Callbacks that are odd") == []
    with books.after("UPDATE callbacks SET problem = 'odd' WHERE id = (SELECT MIN(id) FROM callbacks)") as ask:
        assert [line["run_id"] for line in ask("Callbacks that are odd")] == [books.of("march")]


def test_workers_and_the_story_are_those_of_the_run(books: Books) -> None:
    workers, events = books.ask("Workers"), books.ask("The story of every run")
    for summary in books.runs.values():
        run, story = summary.run_id, story_of(summary.run_id, ledger=books.url)
        assert [
            (moment(line["at"]), line["who"], line["kind"], line["text"]) for line in events if line["run_id"] == run
        ] == [(one.at, one.who, one.kind, one.text) for one in story.events]
        assert [
            (line["name"], moment(line["joined_at"]), moment(line["left_at"]), line["requests"])
            for line in workers
            if line["run_id"] == run
        ] == [(one.name, one.joined_at, one.left_at, one.requests) for one in story.workers]


def test_the_most_requests_in_an_hour_are_counted_in_every_window(books: Books) -> None:
    title = f"The most requests in any hour ({'SQLite' if books.kind == 'sqlite' else 'PostgreSQL'})"
    sent = sum(summary.requests.sent for summary in books.runs.values())
    (line,) = books.ask(title)
    assert (line["most_in_an_hour"], line["allowed"]) == (sent, 2000)
    long_ago = "UPDATE attempts SET started_at = '2020-01-01 {}' WHERE id = (SELECT {}(id) FROM attempts)"
    for end, most in (("13:00:00.000000", 2), ("13:00:00.000001", 1)):
        others = "UPDATE attempts SET counted = 0 WHERE started_at > '2021-01-01 00:00:00.000000'"
        with books.after(long_ago.format("12:00:00.000000", "MIN"), long_ago.format(end, "MAX"), others) as ask:
            assert [line["most_in_an_hour"] for line in ask(title)] == [most]


def test_sizes_are_counted(books: Books) -> None:
    found = {line["name"]: line["lines"] for line in books.ask("How many lines each table has")}
    with contextlib.closing(books.read()) as connection:
        assert found == {
            name: connection.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0]
            for name in metadata.tables.keys() - ours_alone()
        }
    assert all(count > 0 for count in found.values())
    assert all(
        line["bytes"] > 0
        for line in books.ask(f"How much room it takes ({'SQLite' if books.kind == 'sqlite' else 'PostgreSQL'})")
    )


# The program sqlite3


@pytest.mark.skipif(not shutil.which("sqlite3"), reason="the program sqlite3 is not installed")
@pytest.mark.parametrize("books", ["sqlite"], indirect=True)
def test_the_program_sqlite3_opens_a_ledger_copies_it_and_sums_exactly(books: Books) -> None:
    (sql,) = statements("sqlite cli")
    shell = re.search(r"```sh\n(.*?)```", PAGE[PAGE.index("made like this") :], re.DOTALL)
    assert shell
    for line in shell[1].splitlines():
        command = shlex.split(line, comments=True)
        done = subprocess.run(command, cwd=books.home, input=sql, capture_output=True, text=True, check=True)
        said = done.stdout
    header, cost = said.split()
    assert header == "currency,cost"
    assert Decimal(cost.partition(",")[2]) == sum(summary.cost or 0 for summary in books.runs.values())


# Deleting


@pytest.fixture
def copied(books: Books, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Books]:
    """The same ledger again, to be changed."""
    if books.kind == "sqlite":
        with contextlib.closing(books.read()) as connection:
            connection.execute(f"VACUUM INTO '{tmp_path / 'copy.sqlite'}'")
        copy = sqlite_at(tmp_path, tmp_path / "copy.sqlite")
        copy.runs.update(books.runs)
        yield copy
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    server.run("CREATE DATABASE copied TEMPLATE audited")
    copy = postgresql_at(tmp_path, server, "copied")
    copy.runs.update(books.runs)
    yield copy
    server.run("DROP DATABASE copied WITH (FORCE)")


def test_a_run_is_deleted_whole_the_others_stay_and_its_people_are_called_again(books: Books, copied: Books) -> None:
    with contextlib.closing(copied.write()) as connection:
        if copied.kind == "sqlite":
            connection.isolation_level = None
            connection.execute("PRAGMA foreign_keys = ON")
        for statement in statements("delete"):
            connection.execute(statement.replace("RUN", books.of("march")))
        for name, table in metadata.tables.items():
            for column in set(table.columns.keys()) & {
                "run_id",
                "phone",
                "number",
                "numbers",
                "batch_id",
                "attempt_id",
            }:
                found = connection.execute(f"SELECT {column} FROM {name}").fetchall()
                assert not any("+49" in str(one) or books.of("march") in str(one) for (one,) in found)
    for name in books.runs.keys() - {"march"}:
        again = voicebatch.report(books.of(name), ledger=copied.url, out=copied.home / "again")
        before, after = (Path(one.report_dir) for one in (books.runs[name], again))
        for file in ("country_report.csv", "recipients.csv"):
            assert (after / file).read_bytes() == (before / file).read_bytes()
    with serve() as sandbox:
        desk = Desk(books=copied, sandbox=sandbox)
        assert desk.send("may", _HEARD, MARCH[4:5]).rows.accepted == 1
        again = desk.send("march", _HEARD, MARCH, batch_size=3)
        assert (again.run_id, again.requests.sent > 0) == (books.of("march"), True)
        assert _SPLIT in {call.number for call in sandbox.calls}


# The page and the tables


def columns_on_page() -> dict[str, tuple[set[str], set[str]]]:
    """By table, the columns that the page explains, and those that it calls ours alone."""
    found: dict[str, tuple[set[str], set[str]]] = {}
    for part in re.split(r"^### ", PAGE, flags=re.MULTILINE):
        if name := re.match(r"`(\w+)`\n", part):
            cells = re.findall(r"^\| (`.*?`) \|", part.partition("A batch's `status`")[0], re.MULTILINE)
            ours = re.search(r"^Ours alone: (.*)", part, re.MULTILINE)
            found[name[1]] = (
                set(re.findall(r"`(\w+)`", " ".join(cells))),
                set(re.findall(r"`(\w+)`", ours[1] if ours else "")),
            )
    return found


def ours_alone() -> set[str]:
    return {name for name, _ in _their_columns()}


def _their_columns() -> list[tuple[str, set[str]]]:
    part = PAGE[PAGE.index("### Tables that are ours alone") :].partition("\n## ")[0]
    tables = re.findall(r"`(\w+)`\s\(([^)]*?)\)", part)
    return [(name, set(re.findall(r"`(\w+)`", inside)) - {"rejected"}) for name, inside in tables]


def test_every_table_and_column_is_on_the_page_and_every_one_on_the_page_exists() -> None:
    told = {name: kept | ours for name, (kept, ours) in columns_on_page().items()} | dict(_their_columns())
    assert told == {name: set(table.columns.keys()) for name, table in metadata.tables.items()}


def test_no_column_is_both_kept_and_ours() -> None:
    assert not any(kept & ours for kept, ours in columns_on_page().values())


def test_columns_that_are_named_with_their_table_exist() -> None:
    named = re.findall(r"`(\w+)\.(\w+)`", re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL))
    assert all(column in metadata.tables[table].columns for table, column in named if table in metadata.tables)


def test_the_queries_need_nothing_but_what_is_promised(books: Books, request: pytest.FixtureRequest) -> None:
    """A role that may read the kept columns alone can ask them all."""
    if books.kind == "sqlite":
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    grants = [f"GRANT SELECT ({', '.join(kept)}) ON {name} TO reader" for name, (kept, _) in columns_on_page().items()]
    server.run("CREATE ROLE reader LOGIN", "GRANT USAGE ON SCHEMA public TO reader", *grants, database="audited")
    try:
        with psycopg.connect(server.url("audited", user="reader"), autocommit=True) as connection:
            for query in QUERIES:
                if query.info != "sqlite":
                    connection.execute(query.sql.encode())
    finally:
        server.run("DROP OWNED BY reader", "DROP ROLE reader", database="audited")


def test_the_moves_of_a_batch_are_those_that_the_ledger_allows() -> None:
    part = PAGE[PAGE.index("A batch's `status`") :].partition("\n\nTwo things")[0]
    told = {
        start: set(re.findall(r"`([\w-]+)`", to))
        for starts, to in re.findall(r"^\| (`.*?`) \|(.*)\|$", part, re.MULTILINE)
        for start in re.findall(r"`([\w-]+)`", starts)
    }
    assert told == {str(start): set(map(str, to)) for start, to in MOVES.items()}
    assert set(told) == set(map(str, BatchStatus))


@pytest.mark.parametrize(
    ("table", "column", "words"),
    [
        ("attempts", "outcome", Outcome),
        ("batches", "settled", Verdict),
        ("cancellations", "outcome", CancelOutcome),
        ("deliveries", "status", Delivery),
        ("events", "kind", EventKind),
    ],
)
def test_every_word_that_a_column_may_have_is_on_the_page(table: str, column: str, words: Any) -> None:
    part = PAGE[PAGE.index(f"### `{table}`") :]
    line = re.search(rf"^\| `{column}` \|(.*)\|$", part, re.MULTILINE)
    assert line
    assert set(re.findall(r"`([\w -]+)`", line[1])) == set(map(str, words))
