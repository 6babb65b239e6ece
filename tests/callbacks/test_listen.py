"""``voicebatch listen`` as a real process, on real ledgers: what was answered with 200 is in the ledger."""

from __future__ import annotations

import contextlib
import json
import random
import re
import shutil
import signal
import sqlite3
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import pytest
import requests
from sqlalchemy import select

from tests.callbacks.calling import ATTEMPT, SECONDS, address, body
from tests.cli.desk import Desk, Process, until
from tests.ledger.moves import UNKNOWN, MakeRun, Yes, claim, numbers_of, queued, statuses
from voicebatch.app.listening import listening
from voicebatch.callbacks import Result
from voicebatch.ledger import Claim, Ledger, NewRun
from voicebatch.ledger import engine as databases
from voicebatch.ledger.tables import callbacks
from voicebatch.models import Delivery, RowStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

_PEOPLE: Final = 900
_SENDERS: Final = 8
_KILLS: Final = 3

Call = tuple[str, dict[str, Any]]
"""An attempt's id and the callback about it."""


@contextlib.contextmanager
def started(desk: Desk, ledger: str, *options: str) -> Iterator[tuple[Process, str]]:
    """The command, and where it listens."""
    process = desk.start("listen", "--ledger", ledger, "--json", *(options or ("--port", "0")))
    try:
        until(lambda: process.out.read_text().endswith("\n") or process.popen.poll() is not None, "it listens")
        yield process, str(json.loads(process.out.read_text())["url"])
    finally:
        process.popen.kill()
        process.popen.wait()


def bodies(ledger: Ledger) -> Counter[str]:
    """What the ledger has, as it came."""
    with databases.transaction(ledger._engine, write=False) as connection:
        return Counter(connection.execute(select(callbacks.c.body)).scalars())


@dataclass(kw_only=True)
class Sender:
    """The provider: several connections at once, and what is not answered with 200 is sent again."""

    url: str
    secret: bytes
    calls: Sequence[Call]
    answered: set[str] = field(default_factory=set)
    repeated: int = 0

    @contextlib.contextmanager
    def sending(self) -> Iterator[None]:
        """Sends in the background; the end of the ``with`` waits for the last answer."""
        threads = [threading.Thread(target=self._send, args=(self.calls[at::_SENDERS],)) for at in range(_SENDERS)]
        for thread in threads:
            thread.start()
        yield
        for thread in threads:
            thread.join()

    def _send(self, calls: Sequence[Call]) -> None:
        with requests.Session() as session:
            for attempt_id, content in calls:
                said = json.dumps(content)
                while not self._post(session, address(self.url, attempt_id=attempt_id, secret=self.secret), said):
                    self.repeated += 1
                    time.sleep(0.02)
                self.answered.add(said)

    def _post(self, session: requests.Session, url: str, said: str) -> bool:
        try:
            return session.post(url, data=said, timeout=SECONDS).status_code == 200
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
            return False


def accepted(ledger: Ledger, run: NewRun, yes: Yes, now: datetime) -> list[tuple[Claim, str]]:
    """Every batch of the run as sent and accepted, with its campaign."""
    found = []
    for batch, _ in run.batches:
        claimed, reply = claim(ledger, run, now), yes(len(batch.numbers))
        ledger.record(claimed, reply, now=now)
        found.append((claimed, reply.answer.campaign_id if reply.answer else ""))
    return found


def calls_of(sent: Sequence[tuple[Claim, str]], **more: Any) -> list[Call]:
    """A callback for everybody."""
    return [
        (claimed.attempt_id, body(f"00{number[1:]}", campaignId=campaign, **more))
        for claimed, campaign in sent
        for number in claimed.batch.numbers
    ]


# The command


def test_it_says_where_it_listens_and_what_to_send_with(desk: Desk) -> None:
    process = desk.start("listen", "--port", "0", "--ledger", "book.sqlite")
    until(lambda: "/metrics" in process.out.read_text(), "it is introduced")
    url = re.findall(r"http://127\.0\.0\.1:\d+", process.out.read_text())[0]
    assert requests.get(f"{url}/healthz", timeout=SECONDS).status_code == 200
    assert requests.post(f"{url}/calls", json=body(), timeout=SECONDS).status_code == 403
    process.signal(signal.SIGINT)
    ended = process.end()
    assert ended.code == 0
    assert "--notify-url https://your.domain/calls --ledger book.sqlite" in ended.out
    assert ended.out.splitlines()[-1] == "0 callbacks kept, 1 refused."


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_with_json_it_prints_one_object_and_ends_well_when_it_is_told_to(desk: Desk, number: int) -> None:
    with started(desk, "book.sqlite") as (process, url):
        process.signal(number)
        ended = process.end()
    assert ended.code == 0
    assert ended.json == {"schema_version": 1, "url": url, "ledger": "book.sqlite"}
    assert ended.err.splitlines()[-1] == "0 callbacks kept."


def test_a_port_that_is_taken_is_said(desk: Desk) -> None:
    with started(desk, "book.sqlite") as (_, url):
        port = str(urlsplit(url).port)
        failed = desk.run("listen", "--port", port, "--ledger", "book.sqlite", "--json")
    assert (failed.code, failed.error["kind"], failed.error["hint"]) == (2, "usage", "Take another --port, or --host.")


def test_a_host_that_is_not_ours_is_said(desk: Desk) -> None:
    failed = desk.run("listen", "--host", "192.0.2.1", "--port", "0", "--ledger", "book.sqlite")
    assert failed.code == 2
    assert "The listener cannot be on 192.0.2.1:0" in failed.err


def test_rehearsals_have_a_ledger_of_their_own(desk: Desk) -> None:
    process = desk.start("listen", "--port", "0", "--sandbox", "--json")
    until(lambda: process.out.read_text().endswith("\n"), "it listens")
    process.signal(signal.SIGTERM)
    ledger = process.end().json["ledger"]
    assert ledger == str(desk.home / "data" / "voicebatch" / "sandbox.sqlite")


def test_a_code_of_another_ledger_opens_nothing(desk: Desk) -> None:
    with (
        contextlib.closing(Ledger(str(desk.home / "other.sqlite"))) as other,
        started(desk, "book.sqlite") as (_, url),
    ):
        secret = other.callback_secret()
        assert requests.post(address(url, secret=secret), json=body(), timeout=SECONDS).status_code == 403


def test_its_log_has_neither_a_number_nor_a_code(desk: Desk) -> None:
    with contextlib.closing(Ledger(str(desk.home / "book.sqlite"))) as ledger:
        secret = ledger.callback_secret()
    with started(desk, "book.sqlite", "--port", "0", "-vv") as (process, url):
        where = address(url, secret=secret)
        assert requests.post(where, data=json.dumps(body())[:-1], timeout=SECONDS).status_code == 400
        assert requests.get(where, timeout=SECONDS).status_code == 400
        requests.post(where, data="x" * 70_000, timeout=SECONDS)
        for path in desk.home.glob("book.sqlite*"):
            path.unlink()
        assert requests.post(where, json=body(), timeout=SECONDS).status_code == 503
        assert requests.get(f"{url}/healthz", timeout=SECONDS).status_code == 503
        process.signal(signal.SIGTERM)
        ended = process.end()
    assert f"attempt {ATTEMPT} is unreadable" in ended.err
    assert "503 until the ledger takes them: The ledger " in ended.err
    assert urlsplit(where).path.rsplit("/", 1)[1] not in ended.err
    assert ended.err.splitlines()[-1] == "0 callbacks kept, 1 refused, 2 unreadable, 1 failed."


# The ledger


@pytest.mark.crash
@pytest.mark.parametrize("signals", [[signal.SIGKILL] * _KILLS, [signal.SIGTERM]], ids=["kill -9", "told to stop"])
def test_what_was_answered_is_in_the_ledger_however_it_ended(
    desk: Desk, ledger: Ledger, ledger_url: str, make_run: MakeRun, yes: Yes, noon: datetime, signals: list[int]
) -> None:
    run = queued(ledger, make_run(*[100] * (_PEOPLE // 100)), noon)
    calls = calls_of(accepted(ledger, run, yes, noon))
    random.Random(5).shuffle(calls)  # noqa: S311 # no secret
    with contextlib.ExitStack() as stack:
        process, url = stack.enter_context(started(desk, ledger_url))
        sender = Sender(url=url, secret=ledger.callback_secret(), calls=calls)
        stack.enter_context(sender.sending())
        for at, number in enumerate(signals, start=1):
            due = at * len(calls) // (len(signals) + 1)
            until(lambda due=due: len(sender.answered) > due, "some are answered")  # type: ignore[misc]
            process.signal(number)
            process.popen.wait(SECONDS)
            answered = set(sender.answered)
            assert answered <= set(bodies(ledger))
            process, _ = stack.enter_context(started(desk, ledger_url, "--port", str(urlsplit(url).port)))
        until(lambda: len(sender.answered) == len(calls), "all are answered")
    assert sender.repeated > 0
    assert bodies(ledger) == Counter(dict.fromkeys((json.dumps(content) for _, content in calls), 1))
    told = [(line.status, line.people) for line in ledger.deliveries(run.id)]
    assert told == [(Delivery.DELIVERED, 100)] * (_PEOPLE // 100)
    assert ledger.odd_callbacks(run.id) == {}


def test_doubled_late_and_out_of_order_the_last_word_is_the_same(
    ledger: Ledger, make_run: MakeRun, yes: Yes, noon: datetime
) -> None:
    run = queued(ledger, make_run(10, 10), noon)
    sent = accepted(ledger, run, yes, noon)
    calls = [
        *calls_of(sent, status="pending", doneAt=None, additionnal_status=None),
        *calls_of(sent, status="undelivered", doneAt="2026-01-13 11:35:05", additionnal_status="VOICE_NOT_ANSWERED"),
        *calls_of(sent),
    ] * 2
    random.Random(7).shuffle(calls)  # noqa: S311 # no secret
    with listening(ledger) as listener:
        with Sender(url=listener.url, secret=ledger.callback_secret(), calls=calls).sending():
            pass
        assert sum(listener.counts.values()) == len(calls) == 120
        assert listener.counts[Result.KEPT] == listener.counts[Result.REPEATED] == 60
    assert set(bodies(ledger).values()) == {1}
    assert len(bodies(ledger)) == 60
    assert {line.status for line in ledger.deliveries(run.id)} == {Delivery.DELIVERED}


def test_unknown_numbers_and_campaigns_are_kept_and_people_are_settled(
    ledger: Ledger, make_run: MakeRun, noon: datetime
) -> None:
    run = queued(ledger, make_run(5), noon)
    claimed = claim(ledger, run, noon)
    ledger.record(claimed, UNKNOWN, now=noon)
    known, stranger = numbers_of(run)[0], "0033699999999"
    calls = [(claimed.attempt_id, body(known)), (claimed.attempt_id, body(stranger)), (f"{'f' * 24}.1", body())]
    with listening(ledger) as listener:
        for call in calls:
            with Sender(url=listener.url, secret=ledger.callback_secret(), calls=[call]).sending():
                pass
        figures = requests.get(f"{listener.url}/metrics", timeout=SECONDS).text
    assert 'voicebatch_callbacks_total{channel="voice-sms",result="kept"} 1.0' in figures
    assert 'voicebatch_callbacks_total{channel="voice-sms",result="odd"} 2.0' in figures
    assert "voicebatch_settled_people_total 5.0" in figures
    assert statuses(ledger, run) == [RowStatus.ACCEPTED] * 5
    assert len(bodies(ledger)) == 3
    assert sum(ledger.odd_callbacks(run.id).values()) == 1
    assert sum(ledger.odd_callbacks(None).values()) == 1


def test_a_ledger_that_somebody_holds_for_a_while_delays_the_answer(tmp_path: Path) -> None:
    path = tmp_path / "book.sqlite"
    with contextlib.closing(Ledger(str(path))) as ledger, listening(ledger) as listener:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            sender = Sender(url=listener.url, secret=ledger.callback_secret(), calls=[(ATTEMPT, body())])
            other.execute("BEGIN IMMEDIATE")
            with sender.sending():
                time.sleep(0.3)
                assert not sender.answered
                assert requests.get(f"{listener.url}/healthz", timeout=SECONDS).status_code == 200
                other.execute("ROLLBACK")
        assert (len(sender.answered), sender.repeated) == (1, 0)


def test_a_ledger_that_was_lost_is_no_health(tmp_path: Path) -> None:
    (tmp_path / "books").mkdir()
    with (
        contextlib.closing(Ledger(str(tmp_path / "books" / "book.sqlite"))) as ledger,
        listening(ledger) as listener,
    ):
        assert requests.get(f"{listener.url}/healthz", timeout=SECONDS).status_code == 200
        shutil.rmtree(tmp_path / "books")
        until(lambda: requests.get(f"{listener.url}/healthz", timeout=SECONDS).status_code == 503, "it is noticed")
