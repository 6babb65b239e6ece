"""What is answered to whom, over real HTTP: the provider, strangers, and whoever watches."""

from __future__ import annotations

import contextlib
import json
import logging
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.callbacks.calling import (
    ATTEMPT,
    CAMPAIGN,
    NUMBER,
    SECONDS,
    SECRET,
    VOICEMAIL,
    PaperLedger,
    address,
    body,
    connected,
    request,
    status,
)  # fmt: skip
from tests.cli.desk import until
from voicebatch.callbacks import Listener, Result, serve
from voicebatch.errors import UsageError
from voicebatch.models import Channel, Delivery

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

Client = requests.Session


def counted(listener: Listener) -> dict[str, int]:
    """What was counted, without the zeros."""
    return {str(result): count for result, count in listener.counts.items() if count}


def figures(client: Client, listener: Listener) -> str:
    """Prometheus's page."""
    page = client.get(f"{listener.url}/metrics", timeout=SECONDS)
    assert page.headers["Content-Type"].startswith("text/plain; version=")
    return page.text


def post_soon(pool: ThreadPoolExecutor, listener: Listener) -> Future[requests.Response]:
    """A callback on a connection of its own."""
    return pool.submit(requests.post, address(listener.url), json=body(), timeout=SECONDS)


def is_closed(url: str) -> bool:
    """Whether nobody takes a connection there."""
    try:
        with connected(url):
            return False
    except ConnectionError:
        return True


def open_when_closed(paper: PaperLedger, url: str) -> None:
    """Lets the ledger go on when nobody takes a connection there any more."""
    until(lambda: is_closed(url), "it takes nothing new")
    paper.is_open.set()


# The provider


def test_the_documented_callback_of_a_voice_sms_is_kept(client: Client, listener: Listener, paper: PaperLedger) -> None:
    assert client.post(address(listener.url), json=body(), timeout=SECONDS).status_code == 200
    (kept,) = paper.kept
    assert (kept.attempt_id, kept.channel, kept.campaign_id) == (ATTEMPT, Channel.VOICE_SMS, CAMPAIGN)
    assert (kept.number, kept.status, kept.answered) == ("+33465710000", Delivery.DELIVERED, True)
    assert json.loads(kept.body) == body()
    assert counted(listener) == {"kept": 1}


def test_the_documented_callback_of_a_voicemail_is_kept(client: Client, listener: Listener, paper: PaperLedger) -> None:
    assert client.get(address(listener.url), params=VOICEMAIL, timeout=SECONDS).status_code == 200
    (kept,) = paper.kept
    assert (kept.attempt_id, kept.channel, kept.campaign_id) == (ATTEMPT, Channel.VOICEMAIL, CAMPAIGN)
    assert (kept.delivered, kept.total) == (1, 2)


@pytest.mark.parametrize("prefix", ["", "/calls", "/a/b%20c/", "/healthz"])
def test_a_proxy_may_put_any_path_before_it(
    client: Client, listener: Listener, paper: PaperLedger, prefix: str
) -> None:
    headers = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https", "Forwarded": "for=203.0.113.7"}
    answer = client.post(address(listener.url + prefix), json=body(), headers=headers, timeout=SECONDS)
    assert answer.status_code == 200
    assert len(paper.kept) == 1


def test_a_chunked_body_is_read_as_well(client: Client, listener: Listener, paper: PaperLedger) -> None:
    chunks = (piece.encode() for piece in json.dumps(body()).split(" "))
    assert client.post(address(listener.url), data=chunks, timeout=SECONDS).status_code == 200
    assert paper.kept[0].number == "+33465710000"


def test_doubled_and_odd_ones_are_taken_and_counted_as_what_they_are(
    client: Client, listener: Listener, paper: PaperLedger
) -> None:
    paper.problems = {"+33465710001": "nobody in this request has this number"}
    for number in (NUMBER, NUMBER, "0033465710001"):
        assert client.post(address(listener.url), json=body(number), timeout=SECONDS).status_code == 200
    assert counted(listener) == {"kept": 1, "repeated": 1, "odd": 1}


# Strangers

WRONG: dict[str, Callable[[str], str]] = {
    "no code": lambda url: f"{url}/{ATTEMPT}",
    "another ledger's code": lambda url: address(url, secret=b"t" * 32),
    "another attempt's code": lambda url: address(url).replace(ATTEMPT, f"{'a' * 24}.2"),
    "a code that goes on": lambda url: f"{address(url)}0",
    "something behind the code": lambda url: f"{address(url)}/more",
    "the root": lambda url: f"{url}/",
    "almost the health": lambda url: f"{url}/calls/healthz",
    "almost the figures": lambda url: f"{url}/metrics/",
}


@pytest.mark.parametrize("url_of", WRONG.values(), ids=WRONG)
def test_without_a_right_code_everybody_gets_the_same_answer(
    client: Client, listener: Listener, paper: PaperLedger, url_of: Callable[[str], str]
) -> None:
    answers = [
        client.post(url_of(listener.url), json=body(), timeout=SECONDS),
        client.post(url_of(listener.url), data=b"{", timeout=SECONDS),
        client.get(url_of(listener.url), params=VOICEMAIL, timeout=SECONDS),
    ]
    assert {(answer.status_code, answer.content) for answer in answers} == {(403, b'{"status":"forbidden"}')}
    assert counted(listener) == {"refused": 3}
    assert paper.kept == []


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["", "/healthz", "/metrics"])
def test_other_methods_are_refused(client: Client, listener: Listener, method: str, path: str) -> None:
    answer = client.request(method, listener.url + path if path else address(listener.url), timeout=SECONDS)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, POST"


@pytest.mark.parametrize("path", ["/healthz", "/metrics"])
def test_nothing_can_be_posted_to_the_pages(client: Client, listener: Listener, path: str) -> None:
    assert client.post(listener.url + path, json=body(), timeout=SECONDS).status_code == 405


# What cannot be read

UNREADABLE: dict[str, bytes] = {
    "nothing": b"",
    "half of it": json.dumps(body()).encode()[:-20],
    "no UTF-8": b'{"campaignId": "\xff\xfe"}',
    "no object": b"[1, 2]",
    "a form": b"campaignId=1&status=delivered",
    "no campaign": json.dumps(body(campaignId=None)).encode(),
    "a field twice": b'{"campaignId": "a", "campaignId": "b"}',
    "very deep": b"[" * 60_000,
    "a very long figure": b'{"campaignId": "a", "duration": ' + b"9" * 60_000 + b"}",
}


@pytest.mark.parametrize("content", UNREADABLE.values(), ids=UNREADABLE)
def test_an_unreadable_body_is_said_to_be_so_and_counted(
    client: Client, listener: Listener, paper: PaperLedger, content: bytes
) -> None:
    assert client.post(address(listener.url), data=content, timeout=SECONDS).status_code == 400
    assert counted(listener) == {"unreadable": 1}
    assert paper.kept == []


@pytest.mark.parametrize("params", [{}, {"campaign_id": ""}, {"a": "b"}])
def test_an_unreadable_query_is_as_well(client: Client, listener: Listener, params: Mapping[str, str]) -> None:
    assert client.get(address(listener.url), params=params, timeout=SECONDS).status_code == 400
    assert counted(listener) == {"unreadable": 1}


STRANGE: list[Any] = [
    None,
    0,
    -1,
    1.5,
    True,
    "",
    "x" * 5000,
    "\x00\ud800",
    [],
    {},
    [[1]],
    "0001-01-01 00:00:00",
    10**300,
]


@pytest.mark.parametrize("value", STRANGE, ids=[str(at) for at in range(len(STRANGE))])
@pytest.mark.parametrize("name", ["status", "additionnal_status", "phoneNumber", "sendAt", "doneAt", "duration"])
def test_a_strange_value_is_kept_as_it_came(
    client: Client, listener: Listener, paper: PaperLedger, name: str, value: Any
) -> None:
    assert client.post(address(listener.url), json=body(**{name: value}), timeout=SECONDS).status_code == 200
    assert len(paper.kept) == 1


# The ledger


def test_nothing_is_answered_before_the_ledger_has_it(listener: Listener, paper: PaperLedger) -> None:
    paper.is_open.clear()
    with connected(listener.url) as connection:
        connection.sendall(request(listener.url, body()))
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        assert paper.kept == []
        connection.settimeout(SECONDS)
        paper.is_open.set()
        assert status(connection) == 200


def test_who_comes_while_a_transaction_is_under_way_shares_the_next_one(
    listening: Callable[..., AbstractContextManager[Listener]], paper: PaperLedger
) -> None:
    paper.is_open.clear()
    with listening(threads=20) as listener, ThreadPoolExecutor(20) as pool:
        crowd = [post_soon(pool, listener)]
        assert paper.is_asked.wait(SECONDS)
        crowd += [post_soon(pool, listener) for _ in range(19)]
        until(lambda: b"voicebatch_callbacks_waiting 19.0" in listener._metrics.page(), "all wait")
        paper.is_open.set()
        assert {one.result().status_code for one in crowd} == {200}
    assert [len(group) for group in paper.groups] == [1, 19]


def test_what_the_ledger_refuses_is_to_be_repeated(
    client: Client, listener: Listener, paper: PaperLedger, caplog: pytest.LogCaptureFixture
) -> None:
    paper.is_broken = True
    for _ in range(3):
        answer = client.post(address(listener.url), json=body(), timeout=SECONDS)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    paper.is_broken = False
    assert client.post(address(listener.url), json=body(), timeout=SECONDS).status_code == 200
    assert counted(listener) == {"kept": 1, "failed": 3}
    assert [record.message.split(":")[0] for record in caplog.records if record.name.startswith("voicebatch")] == [
        "Callbacks are answered with 503 until the ledger takes them",
        "The ledger takes callbacks again.",
    ]


def test_a_fault_of_our_own_ends_neither_the_writer_nor_the_listener(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> list[Any]:
        raise ZeroDivisionError(f"on {NUMBER}")

    with serve(secret=SECRET, take=fail, is_healthy=lambda: True) as listener:
        for _ in range(2):
            assert client.post(address(listener.url), json=body(), timeout=SECONDS).status_code == 503
    assert "ZeroDivisionError in fail, line " in caplog.text
    assert NUMBER not in caplog.text


def test_a_ledger_that_loses_a_receipt_is_not_believed(client: Client) -> None:
    with serve(secret=SECRET, take=lambda _: [], is_healthy=lambda: True) as listener:
        for _ in range(2):
            assert client.post(address(listener.url), json=body(), timeout=SECONDS).status_code == 503


def test_a_ledger_that_hangs_holds_nobody_up_for_long(
    client: Client, listening: Callable[..., AbstractContextManager[Listener]], paper: PaperLedger
) -> None:
    paper.is_open.clear()
    with listening(threads=4, wait_seconds=0.2) as listener, ThreadPoolExecutor(40) as pool:
        assert client.post(address(listener.url), json=body(), timeout=SECONDS).status_code == 503
        crowd = [post_soon(pool, listener) for _ in range(40)]
        assert {one.result().status_code for one in crowd} == {503}
        assert client.get(f"{listener.url}/healthz", timeout=SECONDS).status_code == 503
        paper.is_open.set()
        until(lambda: post_soon(pool, listener).result().status_code == 200, "it takes callbacks again")


def test_what_was_given_up_is_written_when_its_turn_comes(
    client: Client, listening: Callable[..., AbstractContextManager[Listener]], paper: PaperLedger
) -> None:
    paper.is_open.clear()
    with listening(wait_seconds=0.2) as listener:
        assert client.post(address(listener.url), json=body(), timeout=SECONDS).status_code == 503
        paper.is_open.set()
        assert client.post(address(listener.url), json=body(), timeout=SECONDS).status_code == 200
        assert counted(listener) == {"kept": 1, "repeated": 1, "failed": 1}


def test_a_full_queue_is_said_at_once(
    listening: Callable[..., AbstractContextManager[Listener]], paper: PaperLedger
) -> None:
    paper.is_open.clear()
    with listening(threads=8, waiting=2) as listener, ThreadPoolExecutor(8) as pool:
        crowd = [post_soon(pool, listener)]
        assert paper.is_asked.wait(SECONDS)
        crowd += [post_soon(pool, listener) for _ in range(7)]
        until(lambda: listener.counts[Result.FAILED] == 5, "five are turned away")
        paper.is_open.set()
        assert sorted(one.result().status_code for one in crowd) == [200] * 3 + [503] * 5


# Who watches


def test_health_is_the_ledgers(client: Client, listener: Listener) -> None:
    answer = client.get(f"{listener.url}/healthz", timeout=SECONDS)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_a_ledger_that_does_not_answer_is_no_health(client: Client, listener: Listener, paper: PaperLedger) -> None:
    paper.is_well = False
    assert client.get(f"{listener.url}/healthz", timeout=SECONDS).status_code == 503


def test_a_health_that_cannot_be_asked_for_is_none(client: Client) -> None:
    with serve(secret=SECRET, take=PaperLedger().take, is_healthy=lambda: bool(1 / 0)) as listener:
        assert client.get(f"{listener.url}/healthz", timeout=SECONDS).status_code == 500
        assert client.get(f"{listener.url}/metrics", timeout=SECONDS).status_code == 200


def test_figures_are_by_channel_and_result(client: Client, listener: Listener, paper: PaperLedger) -> None:
    assert 'voicebatch_callbacks_total{channel="voicemail",result="odd"} 0.0' in figures(client, listener)
    paper.settles = 500
    client.post(address(listener.url), json=body(), timeout=SECONDS)
    client.get(address(listener.url), params=VOICEMAIL, timeout=SECONDS)
    client.get(listener.url, timeout=SECONDS)
    page = figures(client, listener)
    for line in (
        'voicebatch_callbacks_total{channel="voice-sms",result="kept"} 1.0',
        'voicebatch_callbacks_total{channel="voicemail",result="kept"} 1.0',
        'voicebatch_callbacks_total{channel="voicemail",result="refused"} 1.0',
        "voicebatch_settled_people_total 1000.0",
        "voicebatch_callback_seconds_count 2.0",
        "voicebatch_callbacks_waiting 0.0",
    ):
        assert line in page.splitlines()


def test_neither_figures_nor_log_tell_whom_it_is_about(
    client: Client, listener: Listener, paper: PaperLedger, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client.post(address(listener.url), json=body(), timeout=SECONDS)
    client.post(address(listener.url), data=f'{{"{NUMBER}', timeout=SECONDS)
    client.post(address(listener.url), json=body(NUMBER, campaignId=""), timeout=SECONDS)
    client.get(address(listener.url), params=VOICEMAIL, timeout=SECONDS)
    paper.is_broken = True
    client.post(address(listener.url), json=body(), timeout=SECONDS)
    with connected(listener.url) as connection:
        connection.sendall(request(listener.url, b"", f"X: {NUMBER}").replace(b"HTTP/1.1", b"HTTP/ROT"))
        assert status(connection) == 400
    ours = "\n".join(record.getMessage() for record in caplog.records if not record.name.startswith("urllib3"))
    code = urlsplit(address(listener.url)).path.rsplit("/", 1)[1]
    for said in (ours, figures(client, listener)):
        assert not any(word in said for word in (NUMBER, NUMBER[2:], CAMPAIGN, code, "t0k3n"))
    assert ATTEMPT not in figures(client, listener)
    assert f"attempt {ATTEMPT} is unreadable: the answer is not JSON" in ours


# Where it listens


def test_a_port_that_is_taken_is_a_wrong_option(listener: Listener) -> None:
    port = urlsplit(listener.url).port
    assert port
    with (
        pytest.raises(UsageError, match="The listener cannot be on"),
        serve(secret=SECRET, take=PaperLedger().take, is_healthy=lambda: True, port=port),
    ):
        pass


def test_it_listens_on_ipv6_as_well(client: Client, paper: PaperLedger) -> None:
    with serve(secret=SECRET, take=paper.take, is_healthy=lambda: True, host="::1") as listener:
        assert listener.url.startswith("http://[::1]:")
        assert client.post(address(listener.url), json=body(), timeout=SECONDS).status_code == 200


def test_the_end_answers_what_is_being_written_and_takes_nothing_new(
    listening: Callable[..., AbstractContextManager[Listener]], paper: PaperLedger
) -> None:
    paper.is_open.clear()
    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(1))
        with listening() as listener:
            waiting, silent = (stack.enter_context(connected(listener.url)) for _ in range(2))
            waiting.sendall(request(listener.url, body()))
            assert paper.is_asked.wait(SECONDS)
            pool.submit(open_when_closed, paper, listener.url)
        assert status(waiting) == 200
        assert status(silent) is None
    assert len(paper.kept) == 1
