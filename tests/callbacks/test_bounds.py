"""Who is slow, too long, too many or gone: bounded, and no matter to the others."""

from __future__ import annotations

import contextlib
import json
import resource
import time
from typing import TYPE_CHECKING

import pytest
import requests

from tests.callbacks.calling import SECONDS, PaperLedger, address, body, connected, request, status
from tests.cli.desk import until
from voicebatch.callbacks import Limits, Listener
from voicebatch.callbacks.gate import _connections

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from socket import socket

    Listening = Callable[..., AbstractContextManager[Listener]]

KIB = 1024


def many(stack: contextlib.ExitStack, url: str, count: int) -> list[socket]:
    """Connections that say nothing yet."""
    return [stack.enter_context(connected(url)) for _ in range(count)]


def drip(connection: socket, content: bytes) -> bool:
    """Sends a byte every now and then; whether all of them went."""
    with contextlib.suppress(ConnectionError):
        for at in range(len(content)):
            connection.sendall(content[at : at + 1])
            time.sleep(0.05)
        return True
    return False


# Slow


@pytest.mark.parametrize("share", [0.1, 0.9], ids=["in the head", "in the body"])
def test_slow_clients_hold_nobody_up(listening: Listening, client: requests.Session, share: float) -> None:
    with listening(threads=2) as listener, contextlib.ExitStack() as stack:
        whole = request(listener.url, body())
        for slow in many(stack, listener.url, 50):
            slow.sendall(whole[: int(len(whole) * share)])
        assert client.post(address(listener.url), json=body(), timeout=5).status_code == 200


def test_a_slow_client_that_finishes_in_time_is_answered(listener: Listener) -> None:
    with connected(listener.url) as slow:
        whole = request(listener.url, body())
        slow.sendall(whole[:-5])
        assert drip(slow, whole[-5:])
        assert status(slow) == 200


def test_a_request_that_takes_for_ever_to_arrive_is_cut_off(listening: Listening, paper: PaperLedger) -> None:
    with listening(arrival_seconds=0.5) as listener, connected(listener.url) as slow:
        assert not drip(slow, request(listener.url, body()))
    assert paper.kept == []


def test_a_connection_that_nothing_comes_from_is_closed(listening: Listening) -> None:
    with listening(idle_seconds=1) as listener, connected(listener.url) as used, connected(listener.url) as silent:
        used.sendall(request(listener.url, body()))
        assert status(used) == 200
        assert status(used) is None
        assert status(silent) is None


def test_who_reads_no_answers_holds_nobody_up(listening: Listening, client: requests.Session) -> None:
    with listening(threads=2) as listener, connected(listener.url) as deaf:
        deaf.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            while True:
                deaf.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 1000)
        assert client.post(address(listener.url), json=body(), timeout=5).status_code == 200


# Long


def test_a_body_of_the_limit_is_taken(listener: Listener, paper: PaperLedger) -> None:
    spaces = 64 * KIB - len(json.dumps(body()))
    with connected(listener.url) as connection:
        connection.sendall(request(listener.url, json.dumps(body()).encode() + b" " * spaces))
        assert status(connection) == 200
    assert len(paper.kept) == 1


def test_a_body_beyond_the_limit_is_refused_before_it_arrives(listener: Listener, paper: PaperLedger) -> None:
    with connected(listener.url) as connection:
        head = request(listener.url, b"").replace(b"Length: 0", b"Length: %d" % (64 * KIB + 1))
        connection.sendall(head)
        assert status(connection) == 413
        assert status(connection) is None
    assert paper.kept == []
    assert sum(listener.counts.values()) == 1


def test_a_chunked_body_beyond_the_limit_is_refused_where_it_passes_it(listener: Listener, paper: PaperLedger) -> None:
    head = request(listener.url, b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    with connected(listener.url) as connection:
        connection.sendall(head)
        with contextlib.suppress(ConnectionError):
            for _ in range(65):
                connection.sendall(b"400\r\n" + b" " * KIB + b"\r\n")
        assert status(connection) in {413, None}  # a reset may overtake the answer
    assert paper.kept == []


@pytest.mark.parametrize("line", [b"X: " + b"x" * 16 * KIB, b"X: x\r\n" * 3000], ids=["one long line", "many lines"])
def test_a_head_beyond_the_limit_is_refused(listener: Listener, line: bytes) -> None:
    with connected(listener.url) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(request(listener.url, body()).replace(b"Host: a", line))
        assert status(connection) in {431, None}


def test_a_head_without_an_end_is_refused(listener: Listener, paper: PaperLedger) -> None:
    with connected(listener.url) as connection:
        with contextlib.suppress(ConnectionError):
            while True:
                connection.sendall(b"x" * KIB)
        assert status(connection) in {431, None}
    assert paper.kept == []


# Many


def test_silent_connections_make_room_for_who_has_something_to_say(listening: Listening) -> None:
    with listening(connections=20) as listener, contextlib.ExitStack() as stack:
        for _ in range(10):
            many(stack, listener.url, 30)
            last = stack.enter_context(connected(listener.url))
            last.sendall(request(listener.url, body()))
            assert status(last) == 200


def test_who_waits_for_the_ledger_makes_no_room(listening: Listening, paper: PaperLedger) -> None:
    paper.is_open.clear()
    with listening(connections=20, threads=8) as listener, contextlib.ExitStack() as stack:
        first, *others = waiting = many(stack, listener.url, 8)
        first.sendall(request(listener.url, body()))
        assert paper.is_asked.wait(SECONDS)
        for one in others:
            one.sendall(request(listener.url, body()))
        until(lambda: b"voicebatch_callbacks_waiting 7.0" in listener._metrics.page(), "seven wait")
        many(stack, listener.url, 100)
        paper.is_open.set()
        assert [status(one) for one in waiting] == [200] * 8


def test_requests_on_one_connection_are_answered_in_their_order(listener: Listener, paper: PaperLedger) -> None:
    with connected(listener.url) as connection:
        bad = request(listener.url, b"{")
        good = [request(listener.url, body(f"00334657100{at:02}")) for at in range(50)]
        connection.sendall(b"".join(one + bad for one in good))
        assert [status(connection) for _ in range(100)] == [200, 400] * 50
    assert [callback.number for callback in paper.kept] == [f"+334657100{at:02}" for at in range(50)]


def test_who_leaves_without_waiting_for_the_answer_is_kept(listener: Listener, paper: PaperLedger) -> None:
    paper.is_open.clear()
    for _ in range(20):
        with connected(listener.url) as connection:
            connection.sendall(request(listener.url, body()))
    paper.is_open.set()
    until(lambda: len(paper.kept) == 20, "all are kept")
    assert listener.is_alive


def test_connections_are_fewer_than_the_files_that_the_process_may_open(monkeypatch: pytest.MonkeyPatch) -> None:
    for files, most in [(256, 156), (1024, 924), (65536, 1000), (50, 1), (resource.RLIM_INFINITY, 1000)]:
        monkeypatch.setattr(resource, "getrlimit", lambda _, files=files: (files, files))
        assert _connections(Limits().connections) == most
