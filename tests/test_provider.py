"""The client against real sockets: what comes back, row by row of the outcome table, and what goes out."""

from __future__ import annotations

import contextlib
import gzip
import json
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time
import tracemalloc
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, Final

import pytest
import requests
from hypothesis import example, given, settings
from hypothesis import strategies as st

from voicebatch import wire
from voicebatch.errors import UsageError
from voicebatch.models import Batch, Message, Outcome, Reply
from voicebatch.provider import Provider, check_base_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NOW: Final = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
KEY: Final = 'k3y/with"é'  # a slash, a quote and an accent: JSON may write each of them in another way
TIMEOUT: Final = 0.5
SAMPLE: Final = (
    '{"success": true, "campaignId": "Ff1tbu0lax", "cost": 0.1200, "currency": "EUR", "nbSms": 1, "lang": "en", '
    '"duration": 6.3, "detail": {"33": {"nbSms": 1, "cost_unity": 0.12, "cost": 0.1200, "country_code": "fr", '
    '"duration": 6.3}}}'
)


def http(status: int, body: str | bytes = "", *headers: str) -> bytes:
    raw = body.encode() if isinstance(body, str) else body
    head = [f"HTTP/1.1 {status} Reason", f"Content-Length: {len(raw)}", "Connection: close", *headers]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + raw


def send_bytes(*parts: bytes) -> Callable[[socket.socket], None]:
    """What to do when a request was read: write this, and close."""

    def act(connection: socket.socket) -> None:
        for part in parts:
            connection.sendall(part)

    return act


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close() sends RST


def stall(connection: socket.socket) -> None:
    connection.settimeout(5)
    with contextlib.suppress(OSError):
        connection.recv(1)  # until the client has had enough


def drip(start: bytes, drop: bytes, pause: float = 0.02) -> Callable[[socket.socket], None]:
    """An answer that goes on for ten seconds, or until the client has had enough."""

    def act(connection: socket.socket) -> None:
        connection.sendall(start)
        for _ in range(int(10 / pause)):
            connection.sendall(drop)
            time.sleep(pause)

    return act


@dataclass
class RawServer:
    """A TCP server that does ``act`` with every connection, after reading a request unless ``reads`` is false."""

    act: Callable[[socket.socket], None] = field(default=lambda _: None)
    reads: bool = True
    tls: ssl.SSLContext | None = None
    handshake_after: float = 0.0  # seconds
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/v1"

    def answers(self, *parts: bytes) -> None:
        self.act = send_bytes(*parts)

    def body(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.requests[-1].partition(b"\r\n\r\n")[2])
        return parsed

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with contextlib.suppress(OSError), self._secured(connection) as secured:
                if self.reads:
                    self.requests.append(self._request(secured))
                self.act(secured)

    def _secured(self, connection: socket.socket) -> socket.socket:
        if self.tls is None:
            return connection
        with connection:
            time.sleep(self.handshake_after)
            return self.tls.wrap_socket(connection, server_side=True)

    @staticmethod
    def _request(connection: socket.socket) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65536) or b"\r\n\r\n"
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split()[0]) if b"ength:" in head else 0
        while len(body) < length:
            body += connection.recv(65536)
        return head + b"\r\n\r\n" + body


@pytest.fixture
def server() -> Iterator[RawServer]:
    started = RawServer()
    yield started
    started.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for 127.0.0.1 in one file, which vouches for itself."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    made = folder / "both.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=loopback",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "certificate.pem"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    made.write_bytes((folder / "key.pem").read_bytes() + (folder / "certificate.pem").read_bytes())
    return made


@pytest.fixture(params=["plain", "tls"])
def either_server(request: pytest.FixtureRequest) -> Iterator[RawServer]:
    """A server without TLS, and one with it; ``send_to`` trusts it."""
    started = RawServer()
    if request.param == "tls":
        started.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        started.tls.load_cert_chain(request.getfixturevalue("certificate"))
    yield started
    started.close()


@pytest.fixture
def trusting(request: pytest.FixtureRequest, either_server: RawServer) -> Iterator[Callable[[float], Provider]]:
    """Providers that talk to ``either_server``, by their time-out."""
    opened: list[requests.Session] = []

    def trust(timeout: float = TIMEOUT) -> Provider:
        provider = Provider(base_url=either_server.url, api_key=KEY, timeout=timeout, now=lambda: NOW)
        opened.append(provider._connection.session())
        if either_server.tls:
            opened[-1].verify = str(request.getfixturevalue("certificate"))
        return provider

    yield trust
    for session in opened:
        session.close()


def batch_of(message: Message | None = None, *numbers: str) -> Batch:
    heard = message or Message(text="Bonjour")
    return Batch(id="b", run_id="r", ordinal=0, message=heard, numbers=numbers or ("+33600000000",))


def send(
    url: str,
    message: Message | None = None,
    *numbers: str,
    key: str = KEY,
    notify_url: str | None = None,
    timeout: float = TIMEOUT,
) -> Reply:
    provider = Provider(base_url=url, api_key=key, timeout=timeout, now=lambda: NOW)
    try:
        return provider.send(batch_of(message, *numbers), notify_url=notify_url)
    finally:
        provider.close()


def reply_to(server: RawServer, status: int, body: str | bytes = "", *headers: str) -> Reply:
    server.answers(http(status, body, *headers))
    return send(server.url)


# A yes


def test_the_documented_yes_is_accepted_with_the_digits_of_its_json(server: RawServer) -> None:
    reply = reply_to(server, 200, SAMPLE)
    assert reply.outcome is Outcome.ACCEPTED
    assert reply.answer is not None
    assert (reply.answer.campaign_id, str(reply.answer.cost), reply.answer.currency) == ("Ff1tbu0lax", "0.1200", "EUR")
    (charge,) = reply.answer.charges
    assert (charge.calling_code, charge.country_code, charge.messages) == ("33", "FR", 1)
    assert (str(charge.unit_cost), str(charge.cost), charge.seconds) == ("0.12", "0.1200", Decimal("6.3"))
    assert reply.body == SAMPLE


@pytest.mark.parametrize(
    ("body", "cost", "messages"),
    [
        ('{"success": true}', "0", 0),
        ('{"success": true, "cost": "1.80", "nbSms": "3"}', "1.80", 3),
        ('{"success": true, "cost": null, "nbSms": null, "detail": null}', "0", 0),
        ('{"success": true, "cost": true, "nbSms": [], "detail": []}', "0", 0),
        ('{"success": true, "cost": "free", "nbSms": "NaN", "detail": {"33": 5}}', "0", 0),
        ('{"success": true, "cost": 0.30000000000000004, "nbSms": 2.0}', "0.30000000000000004", 2),
        ('{"success": true, "cost": 1e999999, "nbSms": 1e999999999}', "0", 0),
        ('{"success": true, "cost": 1e-999999, "nbSms": 99999999999999999999}', "0", 0),
        ('{"success": true, "cost": "Infinity", "nbSms": "1e400"}', "0", 0),
    ],
)
def test_a_yes_without_credible_figures_is_a_yes_and_its_figures_are_zero(
    server: RawServer, body: str, cost: str, messages: int
) -> None:
    reply = reply_to(server, 200, body)
    assert reply.outcome is Outcome.ACCEPTED
    assert reply.answer is not None
    assert (str(reply.answer.cost), reply.answer.messages) == (cost, messages)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ('{"success": true, "code": 11, "message": "no credit"}', "the answer says yes and no"),
        ('{"success": false, "success": true}', "a field of the answer stands there twice"),
        (
            '{"success": true, "detail": {"33": {"cost": 1}, "33": {"cost": 2}}}',
            "a field of the answer stands there twice",
        ),
        (
            '{"success": true, "detail": {"33": {"cost": 1}, "33\\u0000": {"cost": 2}}}',
            "two lines of the answer's detail have one calling code",
        ),
    ],
)
def test_an_answer_that_contradicts_itself_is_unknown(server: RawServer, body: str, why: str) -> None:
    reply = reply_to(server, 200, body)
    assert (reply.outcome, reply.reason) == (Outcome.UNKNOWN, f"{why} (HTTP 200)")


@pytest.mark.parametrize("status", [429, 503])
def test_a_yes_that_asks_to_come_back_later_is_unknown_and_waited_for(server: RawServer, status: int) -> None:
    reply = reply_to(server, status, SAMPLE, "Retry-After: 7")
    assert (reply.outcome, reply.wait_seconds) == (Outcome.UNKNOWN, 7)


@pytest.mark.parametrize("status", [302, 408, 409])
def test_a_code_that_nobody_knows_may_come_after_the_calls(server: RawServer, status: int) -> None:
    reply = reply_to(server, status, f'{{"success": false, "code": {status}, "message": "it took too long"}}')
    assert reply.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("cost", ['"free"', '"0,12"', '"0.12 EUR"', "[0.12]"])
def test_a_cost_that_is_no_figure_leaves_the_yes_a_yes(server: RawServer, cost: str) -> None:
    """0 and not a guess: "0,120" may be a tenth or a hundred and twenty. The report's checks show it."""
    reply = reply_to(server, 200, f'{{"success": true, "campaignId": "C", "cost": {cost}, "nbSms": 1}}')
    assert reply.outcome is Outcome.ACCEPTED
    assert reply.answer is not None
    assert (reply.answer.campaign_id, reply.answer.cost, reply.answer.messages) == ("C", Decimal(0), 1)


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n", b"\n \t"])
@pytest.mark.parametrize(
    ("body", "outcome"), [(SAMPLE, Outcome.ACCEPTED), ('{"success": false, "code": 10}', Outcome.ACCOUNT)]
)
def test_a_byte_order_mark_or_white_space_in_front_is_read_over(
    server: RawServer, before: bytes, body: str, outcome: Outcome
) -> None:
    reply = reply_to(server, 200, before + body.encode())
    assert (reply.outcome, reply.body.strip()) == (outcome, body)


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(SAMPLE.encode())),
        ("X-GZIP", gzip.compress(SAMPLE.encode())),
        ("deflate", zlib.compress(SAMPLE.encode())),
        ("gzip", SAMPLE.encode()),  # its header is wrong
        ("identity", SAMPLE.encode()),
    ],
)
def test_a_packed_answer_is_read_though_nobody_asked_for_it(server: RawServer, encoding: str, packed: bytes) -> None:
    reply = reply_to(server, 200, packed, f"Content-Encoding: {encoding}")
    assert (reply.outcome, reply.body) == (Outcome.ACCEPTED, SAMPLE)
    assert b"\r\nAccept-Encoding: identity\r\n" in server.requests[0]


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ('"success": "true"', Outcome.ACCEPTED),
        ('"success": " TRUE ", "code": 200', Outcome.ACCEPTED),
        ('"success": 1, "code": "200"', Outcome.ACCEPTED),
        ('"code": 200', Outcome.ACCEPTED),
        ('"success": null, "code": 200', Outcome.ACCEPTED),
        ('"success": "true", "code": 10', Outcome.UNKNOWN),
        ('"success": "true", "error": "no credit"', Outcome.UNKNOWN),
        ('"success": false, "code": 200', Outcome.UNKNOWN),
        ('"success": "false"', Outcome.UNKNOWN),
        ('"success": "yes"', Outcome.UNKNOWN),
        ('"success": null', Outcome.UNKNOWN),
        ('"code": 777', Outcome.REFUSED),
        ('"code": 10', Outcome.ACCOUNT),
    ],
)
def test_a_yes_in_other_words_is_a_yes_where_it_names_a_campaign_and_nothing_says_no(
    server: RawServer, said: str, outcome: Outcome
) -> None:
    assert reply_to(server, 200, f'{{{said}, "campaignId": "C", "cost": 0.1, "nbSms": 1}}').outcome is outcome
    without = reply_to(server, 200, f'{{{said}, "cost": 0.1, "nbSms": 1}}').outcome
    assert without is (Outcome.UNKNOWN if outcome is Outcome.ACCEPTED else outcome)


def test_a_countrys_line_without_a_duration_takes_the_answers(server: RawServer) -> None:
    reply = reply_to(server, 200, '{"success": true, "duration": 7.5, "detail": {"+32": {"nbSms": 1}}}')
    assert reply.answer is not None
    assert [(charge.calling_code, charge.seconds) for charge in reply.answer.charges] == [("32", Decimal("7.5"))]


def test_no_line_of_an_answer_is_lost_when_codes_are_written_in_two_ways(server: RawServer) -> None:
    body = '{"success": true, "detail": {"33": {"cost": 1}, "+33": {"cost": 2}}}'
    answer = reply_to(server, 200, body).answer
    assert answer is not None
    assert {charge.calling_code: charge.cost for charge in answer.charges} == {"33": 1, "+33": 2}


def test_what_a_database_cannot_keep_is_replaced(server: RawServer) -> None:
    answer = reply_to(server, 200, r'{"success": true, "campaignId": "a\ud800b\u0000", "currency": "\udfff"}').answer
    assert answer is not None
    assert (answer.campaign_id, answer.currency) == ("a?b", "?")


# A no


@pytest.mark.parametrize("spelling", ['"{}"', "{}"])
@pytest.mark.parametrize("field_name", ["message", "error"])
@pytest.mark.parametrize("status", [200, 400, 403])
@pytest.mark.parametrize(
    ("codes", "outcome"),
    [
        (wire.ACCOUNT_CODES, Outcome.ACCOUNT),
        (wire.REQUEST_CODES, Outcome.REFUSED),
        (wire.NUMBER_CODES, Outcome.REFUSED),
    ],
)
def test_every_documented_code_means_what_the_error_page_says(
    codes: dict[str, str], outcome: Outcome, status: int, field_name: str, spelling: str
) -> None:
    from voicebatch.provider import outcomes

    for code, meaning in codes.items():
        written = spelling.format(code) if code.isdigit() else f'"{code}"'
        body = f'{{"success": false, "code": {written}, "{field_name}": "in their words"}}'
        reply = outcomes.read(status, {}, body, now=NOW)
        assert (reply.outcome, reply.code) == (outcome, code)
        assert reply.reason == f"{meaning} (in their words)"
        assert reply.answer is None


def test_a_readable_no_arrives_over_the_wire(server: RawServer) -> None:
    reply = reply_to(server, 200, '{"success": false, "code": 10, "message": "Wrong key"}')
    assert (reply.outcome, reply.code, reply.http_status) == (Outcome.ACCOUNT, "10", 200)


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, '{"success": false}', Outcome.REFUSED),
        (200, '{"success": false, "code": 777}', Outcome.REFUSED),
        (200, '{"code": 10, "message": "no success field"}', Outcome.ACCOUNT),
        (200, '{"success": null, "code": "not_credit"}', Outcome.ACCOUNT),
        (403, '{"success": false, "code": 777}', Outcome.ACCOUNT),
        (404, '{"success": false, "code": 14}', Outcome.REFUSED),
    ],
)
def test_a_no_is_a_no_whatever_its_code(server: RawServer, status: int, body: str, outcome: Outcome) -> None:
    assert reply_to(server, status, body).outcome is outcome


@pytest.mark.parametrize(
    ("body", "about_number"),
    [
        *((f'{{"success": false, "code": "{code}"}}', True) for code in wire.NUMBER_CODES),
        *((f'{{"success": false, "code": "{code}"}}', False) for code in (*wire.REQUEST_CODES, *wire.ACCOUNT_CODES)),
        ('{"success": false, "code": 14}', True),
        ('{"code": "destination_invalid"}', True),
        ('{"success": false, "code": 777, "message": "+33600000000 is no number"}', False),
        ('{"success": false}', False),
        (SAMPLE, False),
    ],
)
def test_only_a_documented_code_says_that_it_is_about_a_number(
    server: RawServer, body: str, *, about_number: bool
) -> None:
    assert reply_to(server, 200, body).about_number == about_number


def test_the_reason_names_the_number_that_the_provider_names(server: RawServer) -> None:
    body = '{"success": false, "code": 14, "message": "+33600000000 is on the STOP list"}'
    assert "+33600000000" in reply_to(server, 400, body).reason


@pytest.mark.parametrize("status", [401, 403, 404, 405, 407, 410])
@pytest.mark.parametrize("body", ["", "<html>no</html>", "{}"])
def test_something_that_refuses_every_request_stops_the_run(server: RawServer, status: int, body: str) -> None:
    reply = reply_to(server, status, body)
    assert (reply.outcome, reply.http_status) == (Outcome.ACCOUNT, status)
    assert f"HTTP {status}" in reply.reason


@pytest.mark.parametrize("status", [400, 411, 413, 414, 415, 422, 431])
@pytest.mark.parametrize("body", ["", "<html>no</html>"])
def test_a_request_that_http_refuses_was_not_acted_on(server: RawServer, status: int, body: str) -> None:
    assert reply_to(server, status, body).outcome is Outcome.REFUSED


# Wait


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ([], 30),
        (["Retry-After: 7"], 7),
        (["Retry-After: 0"], 1),
        ([f"Retry-After: {format_datetime(NOW + timedelta(seconds=90), usegmt=True)}"], 90),
        ([f"Retry-After: {format_datetime(NOW - timedelta(seconds=90), usegmt=True)}"], 1),
        (["Retry-After: soon"], 30),
        (["Retry-After: -5"], 30),
        (["Retry-After: Fri, 31 Dec 9999999999 23:59:59 GMT"], 30),
        ([f"Retry-After: {'9' * 400}"], 86400),
        (["Retry-After: Fri, 31 Dec 9999 23:59:59 GMT"], 86400),
        ([f"X-RateLimit-Reset: {int(NOW.timestamp()) + 12}"], 12),
        ([f"X-RateLimit-Reset: {int(NOW.timestamp()) - 12}"], 30),
        (["X-RateLimit-Reset: 60"], 30),
        ([f"X-RateLimit-Reset: {'9' * 5000}"], 86400),
        (["Retry-After: 7", f"X-RateLimit-Reset: {int(NOW.timestamp()) + 12}"], 7),
    ],
)
def test_a_429_waits_as_long_as_the_provider_says_and_never_forever(
    server: RawServer, headers: list[str], wait: float
) -> None:
    reply = reply_to(server, 429, '{"success": false, "code": 10}', *headers)
    assert (reply.outcome, reply.wait_seconds) == (Outcome.THROTTLED, wait)


def test_a_503_with_retry_after_was_not_acted_on_and_without_it_nobody_knows(server: RawServer) -> None:
    reply = reply_to(server, 503, "", "Retry-After: 3")
    assert (reply.outcome, reply.wait_seconds) == (Outcome.THROTTLED, 3)
    assert reply_to(server, 503).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        (["X-RateLimit-Remaining: 0", f"X-RateLimit-Reset: {int(NOW.timestamp()) + 40}"], 40),
        (["X-RateLimit-Remaining: 1", f"X-RateLimit-Reset: {int(NOW.timestamp()) + 40}"], None),
        (["X-RateLimit-Remaining: 0"], None),
        (["X-RateLimit-Remaining: 0", "X-RateLimit-Reset: garbage"], None),
        (["X-RateLimit-Remaining: 0", f"X-RateLimit-Reset: {int(NOW.timestamp()) * 1000}"], 86400),
    ],
)
def test_rate_headers_with_nothing_left_make_everyone_wait(
    server: RawServer, headers: list[str], wait: float | None
) -> None:
    reply = reply_to(server, 200, SAMPLE, *headers)
    assert (reply.outcome, reply.wait_seconds, reply.spent) == (Outcome.ACCEPTED, wait, wait is not None)


@pytest.mark.parametrize(("status", "headers"), [(429, []), (429, ["Retry-After: 7"]), (503, ["Retry-After: 7"])])
def test_a_request_that_was_turned_away_says_nothing_of_a_spent_window(
    server: RawServer, status: int, headers: list[str]
) -> None:
    spent = ["X-RateLimit-Remaining: 0", f"X-RateLimit-Reset: {int(NOW.timestamp()) + 12}"]
    reply = reply_to(server, status, "", *headers, *spent)
    assert (reply.outcome, reply.wait_seconds) == (Outcome.THROTTLED, 7 if headers else 12)
    assert not reply.spent


def as_header(at: datetime) -> str:
    return format_datetime(at, usegmt=True)


@pytest.mark.parametrize("off", [timedelta(hours=-3), timedelta(0), timedelta(hours=3), timedelta(days=20_000)])
@pytest.mark.parametrize("date", ["Date: {}", "date: {}"])
@pytest.mark.parametrize(
    ("status", "wait"),
    [(200, "X-RateLimit-Reset: {epoch}"), (429, "X-RateLimit-Reset: {epoch}"), (429, "Retry-After: {date}")],
)
def test_a_wait_is_counted_on_the_providers_clock(
    server: RawServer, off: timedelta, date: str, status: int, wait: str
) -> None:
    there, until = NOW + off, NOW + off + timedelta(seconds=40)
    headers = [date.format(as_header(there)), wait.format(epoch=int(until.timestamp()), date=as_header(until))]
    assert reply_to(server, status, SAMPLE, *headers, "X-RateLimit-Remaining: 0").wait_seconds == 40


@pytest.mark.parametrize(
    "date", ["", "yesterday", "1 Mar", "Mon, 32 Mar 2027 12:00:00 GMT", "Mon, 01 Mar 99999 12:00:00 GMT", "\xff"]
)
def test_where_no_date_can_be_read_our_own_clock_counts(server: RawServer, date: str) -> None:
    headers = [f"Date: {date}", f"X-RateLimit-Reset: {int(NOW.timestamp()) + 12}"]
    assert reply_to(server, 429, "", *headers).wait_seconds == 12


@pytest.mark.parametrize("zone", ["GMT", "+0000", "-0000", ""])
def test_a_date_is_utc_also_where_it_does_not_say_so(server: RawServer, zone: str) -> None:
    headers = [f"Date: Mon, 01 Mar 2027 13:00:00 {zone}", f"X-RateLimit-Reset: {int(NOW.timestamp()) + 3612}"]
    assert reply_to(server, 429, "", *headers).wait_seconds == 12


# Nobody knows


@pytest.mark.parametrize("status", [500, 501, 502, 504, 508, 599])
@pytest.mark.parametrize("body", ["", '{"success": false, "code": 10}', SAMPLE])
def test_another_5xx_is_unknown_whatever_its_body_says(server: RawServer, status: int, body: str) -> None:
    assert reply_to(server, status, body, "X-A: b").outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{}",
        "[]",
        "null",
        "true",
        "ok",
        "<html><body>Welcome</body></html>",
        SAMPLE[:-1],
        SAMPLE[:60],
        '{"success": "true"}',
        '{"success": "true", "code": 200}',
        '{"success": 1, "code": 10}',
        '{"success": NaN}',
        '{"success": true, "cost": NaN}',
        '{"success": true, "cost": Infinity}',
        '{"success": true, "cost": 1e99999999999999999999}',
        '{"success": true, "cost": ' + "9" * 5000 + "}",
        "[" * 100_000,
        '{"a":' * 100_000,
        b"\xff\xfe\x00",
        b"\x1f\x8b\x08garbage",
    ],
)
def test_a_200_that_cannot_be_read_is_unknown(server: RawServer, body: str | bytes) -> None:
    assert reply_to(server, 200, body).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("status", [200, 400, 403])
@pytest.mark.parametrize("code", ["200", '"200"'])
@pytest.mark.parametrize("success", ["", '"success": null, ', '"success": false, '])
def test_a_code_that_calls_itself_fine_is_never_taken_for_a_no(
    server: RawServer, success: str, code: str, status: int
) -> None:
    """The provider's pages call 200 fine: a no that says so may have called everyone."""
    reply = reply_to(server, status, f'{{{success}"code": {code}, "message": "OK"}}')
    assert (reply.outcome, reply.code) == (Outcome.UNKNOWN, "200")


@pytest.mark.parametrize("status", [201, 202, 204, 206, 408, 409, 418])
def test_a_status_that_nobody_documents_is_unknown(server: RawServer, status: int) -> None:
    assert reply_to(server, status, "" if status == 204 else SAMPLE).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["{url}/elsewhere", "http://[no-address", "\xff\xfe", "//"])
def test_a_redirect_is_unknown_and_not_followed(server: RawServer, status: int, location: str) -> None:
    reply = reply_to(server, status, "", f"Location: {location.format(url=server.url)}")
    assert reply.outcome is Outcome.UNKNOWN
    assert server.connections == 1


@pytest.mark.parametrize(
    "act",
    [
        send_bytes(),
        reset,
        send_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + SAMPLE.encode()),
        send_bytes(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"suc'),
        send_bytes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        send_bytes(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd"),
        send_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd"),
        send_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\nabcd"),
        send_bytes(b"HTTP/1.1 2"),
        send_bytes(b"SSH-2.0-OpenSSH_9.2\r\n"),
        send_bytes(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200),
        send_bytes(b"\x00" * 70_000),
    ],
)
def test_an_answer_that_is_cut_garbled_or_missing_is_unknown(
    server: RawServer, act: Callable[[socket.socket], None]
) -> None:
    server.act = act
    assert send(server.url).outcome is Outcome.UNKNOWN
    assert len(server.requests) == 1


@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"])
def test_a_server_that_reads_and_stalls_is_unknown(server: RawServer, before: bytes) -> None:
    def act(connection: socket.socket) -> None:
        connection.sendall(before)
        stall(connection)

    server.act = act
    assert send(server.url).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("act", [send_bytes(), reset])
def test_a_connection_that_closes_before_reading_may_have_been_read(
    server: RawServer, act: Callable[[socket.socket], None]
) -> None:
    def when_something_came(connection: socket.socket) -> None:
        connection.recv(1, socket.MSG_PEEK)
        act(connection)

    server.reads, server.act = False, when_something_came
    assert send(server.url).outcome is Outcome.UNKNOWN


@settings(max_examples=150)
@given(st.one_of(st.binary(max_size=80), st.binary(max_size=80).map(lambda tail: b"HTTP/1.1 200 OK\r\n" + tail)))
@example(b"HTTP/1.1 200 OK\r\n\r\n")
@example(b"HTTP/1.1 302 OK\r\nLocation: http://[::\r\n\r\n")
@example(b"HTTP/1.1 200 OK\r\nSet-Cookie: \xff=\xff; expires=\xff; max-age=x; domain=[\r\n\r\n")
def test_whatever_bytes_come_back_there_is_a_reply_and_it_is_unknown(shared_server: RawServer, answer: bytes) -> None:
    shared_server.answers(answer)
    assert send(shared_server.url).outcome is Outcome.UNKNOWN


@pytest.fixture(scope="module")
def shared_server() -> Iterator[RawServer]:
    started = RawServer()
    yield started
    started.close()


# It takes too long, or is too much

DRIPS: Final = {
    "status line": (b"HTTP/1.1 200 ", b"O"),
    "header": (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"y"),
    "answers before the answer": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "hints before the answer": (b"", b"HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n"),
    "body": (b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n", b" "),
    "body without a length": (b"HTTP/1.1 200 OK\r\n\r\n" + SAMPLE.encode(), b" "),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "chunk size": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
    "trailer": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n"),
    "redirect": (b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 900000\r\n\r\n", b" "),
}
PATIENCE: Final = 5.0  # seconds that a slow machine may take over what is to end after TIMEOUT; what drips takes ten


@contextlib.contextmanager
def ends_in_time() -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < PATIENCE


@pytest.mark.parametrize("what", DRIPS)
def test_an_answer_that_drips_in_is_unknown_when_its_time_is_over(
    either_server: RawServer, trusting: Callable[..., Provider], what: str
) -> None:
    either_server.act = drip(*DRIPS[what])
    with ends_in_time():
        reply = trusting().send(batch_of())
    assert (reply.outcome, reply.reason) == (Outcome.UNKNOWN, f"no complete answer within {TIMEOUT:g} s")


def test_a_request_that_is_taken_drop_by_drop_is_unknown_when_its_time_is_over(
    either_server: RawServer, trusting: Callable[..., Provider]
) -> None:
    enough = threading.Event()

    def sip(connection: socket.socket) -> None:
        while not enough.wait(0.02):
            connection.recv(100)

    either_server.reads, either_server.act = False, sip
    with ends_in_time():
        reply = trusting().send(batch_of(Message(text="x" * 20_000_000)))
    enough.set()
    assert (reply.outcome, reply.reason) == (Outcome.UNKNOWN, f"no complete answer within {TIMEOUT:g} s")


def test_every_request_of_a_kept_connection_has_its_own_time(
    either_server: RawServer, trusting: Callable[..., Provider]
) -> None:
    def thrice(connection: socket.socket) -> None:
        for left in (2, 1, 0):
            time.sleep(0.25)
            connection.sendall(http(200, SAMPLE).replace(b"Connection: close\r\n", b""))
            if left:
                RawServer._request(connection)

    either_server.act = thrice
    provider = trusting(0.6)
    assert [provider.send(batch_of()).outcome for _ in range(3)] == [Outcome.ACCEPTED] * 3
    assert either_server.connections == 1


@pytest.mark.parametrize("either_server", ["tls"], indirect=True)
def test_the_time_for_connecting_is_not_taken_from_the_answers(
    either_server: RawServer, trusting: Callable[..., Provider]
) -> None:
    def slowly(connection: socket.socket) -> None:
        time.sleep(0.35)
        connection.sendall(http(200, SAMPLE))

    either_server.handshake_after, either_server.act = 0.35, slowly
    assert trusting(0.6).send(batch_of()).outcome is Outcome.ACCEPTED


def test_a_kept_connection_works_again_after_what_was_cut_off(server: RawServer) -> None:
    provider = Provider(base_url=server.url, api_key=KEY, timeout=TIMEOUT, now=lambda: NOW)
    server.act = drip(*DRIPS["body"])
    assert provider.send(batch_of()).outcome is Outcome.UNKNOWN
    server.answers(http(200, SAMPLE))
    assert provider.send(batch_of()).outcome is Outcome.ACCEPTED
    provider.close()


@pytest.mark.parametrize("interim", [100, 102, 103, 199])
def test_what_comes_before_the_answer_is_not_the_answer(server: RawServer, interim: int) -> None:
    """Else every later request on the connection would get the answer of the one before."""

    def twice(connection: socket.socket) -> None:
        for number, left in ((1, 1), (2, 0)):
            connection.sendall(f"HTTP/1.1 {interim} Wait\r\nLink: </a>\r\n\r\n".encode())
            time.sleep(0.05)
            answer = http(200, SAMPLE.replace("Ff1tbu0lax", f"C{number}"))
            connection.sendall(answer.replace(b"Connection: close\r\n", b""))
            if left:
                RawServer._request(connection)

    server.act = twice
    provider = Provider(base_url=server.url, api_key=KEY, timeout=1, now=lambda: NOW)
    answers = [provider.send(batch_of()).answer for _ in range(2)]
    provider.close()
    assert [answer and answer.campaign_id for answer in answers] == ["C1", "C2"]
    assert server.connections == 1


def test_what_comes_after_an_answer_that_is_none_is_not_the_next_requests_answer(server: RawServer) -> None:
    enough = threading.Event()

    def late(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        enough.wait(5)
        with contextlib.suppress(OSError):
            connection.sendall(http(200, SAMPLE.replace("Ff1tbu0lax", "of the first")))

    server.act = late
    provider = Provider(base_url=server.url, api_key=KEY, timeout=1, now=lambda: NOW)
    assert provider.send(batch_of()).outcome is Outcome.UNKNOWN
    enough.set()
    server.answers(http(200, SAMPLE))
    answer = provider.send(batch_of()).answer
    provider.close()
    assert answer
    assert (answer.campaign_id, server.connections) == ("Ff1tbu0lax", 2)


def test_what_could_not_end_within_its_lease_is_not_written(
    either_server: RawServer, trusting: Callable[..., Provider]
) -> None:
    """As of a process that stood still while it connected: somebody may have settled the batch, and sent it again."""
    either_server.handshake_after = 0.3 if either_server.tls else 0
    reply = trusting(1.0).send(batch_of(), lease_seconds=1.1 if either_server.tls else 0.9)
    assert (reply.outcome, reply.reason) == (Outcome.NOT_SENT, "this process stood still before it could send")
    assert [request for request in either_server.requests if request.strip()] == []


PACKED_ZEROS: Final = gzip.compress(bytes(50_000_000), 6)
LARGE: Final = {
    "body": http(200, b" " * 1_000_001),
    "body without a length": b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 1_000_001,
    "yes": http(200, SAMPLE.encode() + b" " * 1_000_001),
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + (b"3e8\r\n" + b" " * 1000 + b"\r\n") * 1001,
    "trailer": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + (b"X: " + b"y" * 9000 + b"\r\n") * 120,
    "answers before the answer": (b"HTTP/1.1 100 " + b"y" * 9000 + b"\r\n\r\n") * 120,
    "hints before the answer": (b"HTTP/1.1 103 Early Hints\r\nX: " + b"y" * 9000 + b"\r\n\r\n") * 120,
    "gzip": http(200, PACKED_ZEROS, "Content-Encoding: gzip"),
    "deflate": http(200, zlib.compress(bytes(50_000_000), 6), "Content-Encoding: deflate"),
}


@pytest.mark.parametrize("what", LARGE)
def test_an_answer_of_more_than_a_megabyte_is_unknown_and_not_kept_in_memory(server: RawServer, what: str) -> None:
    server.answers(LARGE[what])
    tracemalloc.start()
    try:
        reply = send(server.url, timeout=PATIENCE)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (reply.outcome, reply.reason) == (
        Outcome.UNKNOWN,
        "an answer of more than 1 MB, which nobody reads to its end",
    )
    assert peak < 10_000_000


def test_a_redirect_is_not_unpacked(server: RawServer) -> None:
    server.answers(http(302, PACKED_ZEROS, "Content-Encoding: gzip", "Location: /"))
    tracemalloc.start()
    try:
        assert send(server.url).outcome is Outcome.UNKNOWN
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_an_answer_just_below_a_megabyte_is_read(server: RawServer) -> None:
    assert reply_to(server, 200, SAMPLE + " " * 990_000).outcome is Outcome.ACCEPTED


# Through a session that is given


@pytest.fixture
def own_session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def send_through(session: requests.Session, url: str) -> Reply:
    adapters = dict(session.adapters)
    reply = Provider(base_url=url, api_key=KEY, timeout=TIMEOUT, session=session, now=lambda: NOW).send(batch_of())
    assert session.adapters == adapters
    return reply


@pytest.mark.parametrize("what", ["body", "body without a length", "chunks"])
def test_a_given_session_bounds_the_time_of_a_body(own_session: requests.Session, server: RawServer, what: str) -> None:
    server.act = drip(*DRIPS[what])
    with ends_in_time():
        reply = send_through(own_session, server.url)
    assert (reply.outcome, reply.reason) == (Outcome.UNKNOWN, f"no complete answer within {TIMEOUT:g} s")


@pytest.mark.parametrize("what", ["body", "body without a length", "yes", "chunks", "gzip", "deflate"])
def test_a_given_session_bounds_the_size_of_a_body(own_session: requests.Session, server: RawServer, what: str) -> None:
    server.answers(LARGE[what])
    reply = send_through(own_session, server.url)
    assert (reply.outcome, reply.reason[:28]) == (Outcome.UNKNOWN, "an answer of more than 1 MB,")


def test_a_given_session_keeps_its_connection(own_session: requests.Session, server: RawServer) -> None:
    kept = http(200, SAMPLE).replace(b"Connection: close\r\n", b"")

    def twice(connection: socket.socket) -> None:
        connection.sendall(kept)
        RawServer._request(connection)
        connection.sendall(kept)

    server.act = twice
    assert [send_through(own_session, server.url).outcome for _ in range(2)] == [Outcome.ACCEPTED] * 2
    assert server.connections == 1


@pytest.mark.parametrize("packed", [False, True])
def test_a_given_session_may_read_the_answer_itself(
    own_session: requests.Session, server: RawServer, *, packed: bool
) -> None:
    seen: list[str] = []
    own_session.hooks["response"].append(lambda response, **_: seen.append(response.text))
    body, headers = (gzip.compress(SAMPLE.encode()), ["Content-Encoding: gzip"]) if packed else (SAMPLE.encode(), [])
    server.answers(http(200, body, *headers))
    assert send_through(own_session, server.url).outcome is Outcome.ACCEPTED
    assert seen == [SAMPLE]


def test_a_given_session_tells_a_refused_connection_from_a_time_out(
    own_session: requests.Session, server: RawServer
) -> None:
    server.act = stall
    assert send_through(own_session, server.url).reason == f"no complete answer within {TIMEOUT:g} s"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert send_through(own_session, f"http://127.0.0.1:{port}").outcome is Outcome.NOT_SENT


# It never arrived


def test_a_refused_connection_never_arrived() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    reply = send(f"http://127.0.0.1:{port}")
    assert reply.outcome is Outcome.NOT_SENT
    assert str(port) not in reply.reason


def test_a_name_that_does_not_exist_never_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    without_proxies(monkeypatch)
    assert send("https://voicebatch.invalid/v1").outcome is Outcome.NOT_SENT


@pytest.mark.parametrize(
    "act",
    [
        send_bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        send_bytes(b"\x15\x03\x03\x00\x02\x02\x28"),
        send_bytes(),
        reset,
        stall,
    ],
)
def test_a_tls_handshake_that_fails_never_arrived(server: RawServer, act: Callable[[socket.socket], None]) -> None:
    def after_its_hello(connection: socket.socket) -> None:
        connection.recv(65536)
        act(connection)

    server.reads, server.act = False, after_its_hello
    assert send(server.url.replace("http:", "https:")).outcome is Outcome.NOT_SENT


def test_a_tls_handshake_that_drips_in_never_arrived(server: RawServer) -> None:
    def after_its_hello(connection: socket.socket) -> None:
        connection.recv(65536)
        drip(b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xfb", b"\x03")(connection)

    server.reads, server.act = False, after_its_hello
    with ends_in_time():
        assert send(server.url.replace("http:", "https:")).outcome is Outcome.NOT_SENT


@contextlib.contextmanager
def never_takes() -> Iterator[int]:
    """The port of a listener whose queue is full, so that the kernel answers no further SYN."""
    with socket.socket() as listener, contextlib.ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(2):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)  # noqa: FBT003 # its only form
            with contextlib.suppress(BlockingIOError):
                client.connect(listener.getsockname())
        yield listener.getsockname()[1]


def test_a_connection_that_is_never_taken_never_arrived() -> None:
    with never_takes() as port:
        assert send(f"http://127.0.0.1:{port}").outcome is Outcome.NOT_SENT


def resolve_localhost(monkeypatch: pytest.MonkeyPatch, *ports: int) -> None:
    """Gives the name several addresses, as a look-up could."""
    look_up = socket.getaddrinfo
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *how: found if host == "localhost" else look_up(host, *how))


def test_an_address_that_takes_nothing_leaves_time_for_the_next(
    monkeypatch: pytest.MonkeyPatch, server: RawServer
) -> None:
    server.answers(http(200, SAMPLE))
    with never_takes() as silent:
        resolve_localhost(monkeypatch, silent, server.port)
        assert send("http://localhost:1").outcome is Outcome.ACCEPTED


def test_a_name_of_many_addresses_has_no_more_time_than_another(monkeypatch: pytest.MonkeyPatch) -> None:
    with never_takes() as silent, ends_in_time():
        resolve_localhost(monkeypatch, *[silent] * 100)
        assert send("http://localhost:1").outcome is Outcome.NOT_SENT


def test_a_name_without_an_address_never_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_localhost(monkeypatch)
    assert send("http://localhost:1").outcome is Outcome.NOT_SENT


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "http://127.0.0.1:1", "http:///"])
def test_a_proxy_that_cannot_be_used_never_took_the_request(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    without_proxies(monkeypatch)
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    assert send("https://voicebatch.invalid/v1").outcome is Outcome.NOT_SENT


@pytest.mark.parametrize("status", [407, 502, 200])
def test_a_proxy_that_opens_no_tunnel_never_took_the_request(
    monkeypatch: pytest.MonkeyPatch, server: RawServer, status: int
) -> None:
    without_proxies(monkeypatch)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.port}")
    server.answers(f"HTTP/1.1 {status} Reason\r\n\r\n".encode())
    assert send("https://voicebatch.invalid/v1").outcome is Outcome.NOT_SENT
    assert server.requests[0].startswith(b"CONNECT voicebatch.invalid:443 ")


@pytest.mark.parametrize(
    "act",
    [
        drip(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        drip(b"HTTP/1.1 200 ", b"O"),
        send_bytes(b"SSH-2.0-OpenSSH_9.2\r\n"),
        send_bytes(),
    ],
)
def test_a_proxy_whose_answer_drips_in_or_is_garbled_never_took_the_request(
    monkeypatch: pytest.MonkeyPatch, server: RawServer, act: Callable[[socket.socket], None]
) -> None:
    without_proxies(monkeypatch)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.port}")
    server.act = act
    with ends_in_time():
        assert send("https://voicebatch.invalid/v1").outcome is Outcome.NOT_SENT


def without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def test_a_proxy_of_the_environment_is_not_asked_for_loopback(
    monkeypatch: pytest.MonkeyPatch, server: RawServer
) -> None:
    without_proxies(monkeypatch)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert reply_to(server, 200, SAMPLE).outcome is Outcome.ACCEPTED


# What goes out


def test_the_request_has_the_documented_address_and_names(server: RawServer) -> None:
    server.answers(http(200, SAMPLE))
    send(server.url, Message(text="Bonjour"), "+33600000000", "+32470000000", notify_url="https://me.example/n")
    head = server.requests[0].partition(b"\r\n\r\n")[0].decode()
    assert head.startswith("POST /v1/tts/send HTTP/1.1\r\n")
    assert "Content-Type: application/json" in head
    assert KEY not in head
    assert server.body() == {
        "apiKey": KEY,
        "phoneNumbers": "+33600000000,+32470000000",
        "text": "Bonjour",
        "lang": "fr",
        "notifyUrl": "https://me.example/n",
    }


@pytest.mark.parametrize(
    ("rate", "written"),
    [("1", None), ("1.0", None), ("0.75", b"0.75"), ("0.5", b"0.5"), ("2", b"2.0"), ("1.1", b"1.1")],
)
def test_a_speech_rate_goes_out_as_the_number_that_it_is_unless_it_is_1(
    server: RawServer, rate: str, written: bytes | None
) -> None:
    server.answers(http(200, SAMPLE))
    send(server.url, Message(text="x", speech_rate=Decimal(rate)))
    assert (b"speechRate" in server.requests[0]) == (written is not None)
    if written:
        assert b'"speechRate": ' + written + b"}" in server.requests[0]


@pytest.mark.parametrize(
    ("utc", "in_paris"),
    [
        ("2027-01-15T08:15", "2027-01-15 09:15:00"),
        ("2027-07-15T08:15", "2027-07-15 10:15:00"),
        ("2027-03-28T00:59", "2027-03-28 01:59:00"),
        ("2027-03-28T01:00", "2027-03-28 03:00:00"),
        ("2027-10-31T00:59", "2027-10-31 02:59:00"),
        ("2027-10-31T01:00", "2027-10-31 02:00:00"),
        ("2027-12-31T23:30", "2028-01-01 00:30:00"),
    ],
)
def test_a_schedule_goes_out_in_the_time_of_paris(server: RawServer, utc: str, in_paris: str) -> None:
    server.answers(http(200, SAMPLE))
    send(server.url, Message(text="x", schedule=datetime.fromisoformat(utc).replace(tzinfo=UTC)))
    assert server.body()["scheduledDate"] == in_paris


def test_audio_takes_the_place_of_text_language_and_rate(server: RawServer) -> None:
    server.answers(http(200, SAMPLE))
    send(server.url, Message(text="x", audio="token", lang="en", speech_rate=Decimal("0.5")))
    assert server.body() == {"apiKey": KEY, "phoneNumbers": "+33600000000", "tokenAudio": "token"}


def test_text_goes_out_as_utf_8(server: RawServer) -> None:
    server.answers(http(200, SAMPLE))
    send(server.url, Message(text="Élodie, 5 € 🎉"))
    assert "Élodie, 5 € 🎉".encode() in server.requests[0]


# One connection, many requests


def test_a_connection_is_used_again_and_a_closed_one_is_not(server: RawServer) -> None:
    def twice(connection: socket.socket) -> None:
        kept = http(200, SAMPLE).replace(b"Connection: close\r\n", b"")
        connection.sendall(kept)
        server.requests.append(RawServer._request(connection))
        connection.sendall(kept)

    server.act = twice
    provider = Provider(base_url=server.url, api_key=KEY, timeout=TIMEOUT, now=lambda: NOW)
    replies = [provider.send(batch_of()) for _ in range(4)]
    provider.close()
    assert [reply.outcome for reply in replies] == [Outcome.ACCEPTED] * 4
    assert (server.connections, len(server.requests)) == (2, 4)


# Secrets


@pytest.mark.parametrize(
    "echo",
    [
        KEY,
        json.dumps(KEY)[1:-1],
        json.dumps(KEY, ensure_ascii=False)[1:-1],
        json.dumps(KEY)[1:-1].replace("/", r"\/"),
        "k3y%2Fwith%22%C3%A9",
    ],
)
@pytest.mark.parametrize(
    "body",
    [
        "<html>{}</html>",
        '{{"success": false, "code": 10, "message": "The key {} is wrong"}}',
        '{{"success": false, "code": "{}"}}',
        '{{"success": true, "campaignId": "{}"}}',
    ],
)
@pytest.mark.parametrize("status", [200, 403, 500])
def test_a_key_that_the_server_repeats_is_in_no_reply(server: RawServer, status: int, body: str, echo: str) -> None:
    reply = reply_to(server, status, body.format(echo))
    assert "k3y" not in repr(reply)
    assert "***" in repr(reply)


def test_a_key_at_the_end_of_what_is_kept_is_not_kept_in_part(server: RawServer) -> None:
    reply = reply_to(server, 500, "x" * 1997 + KEY)
    assert "k3y" not in reply.body
    assert len(reply.body) == 2000


def test_no_repr_shows_a_key_or_a_number(server: RawServer) -> None:
    provider = Provider(base_url=server.url, api_key=KEY, timeout=TIMEOUT)
    request = wire.SendRequest.of(Message(text="x"), ("+33600000000",), api_key=KEY, notify_url=None)
    shown = f"{provider!r} {provider} {request!r} {request}"
    assert "k3y" not in shown
    assert "+336" not in shown


def test_a_key_in_the_address_is_not_in_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    without_proxies(monkeypatch)
    assert "secret" not in repr(send("https://voicebatch.invalid/secret", key="secret"))


@pytest.mark.parametrize(
    "url",
    [
        "https://api.voicepartner.fr/v1/",
        "http://127.0.0.1:80",
        "http://localhost:8000",
        "http://[::1]:1",
        "http://127.5.5.5",
    ],
)
def test_https_and_loopback_addresses_are_taken(url: str) -> None:
    assert check_base_url(url) == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "http://api.voicepartner.fr/v1", "http://10.0.0.1", "http://localhost.evil.example", "ftp://127.0.0.1", "https://",
        "http://", "", "api.voicepartner.fr", "http://127.0.0.1@evil.example", "http://[::", "https://[bad]", "file:///etc",
    ],
)  # fmt: skip
def test_an_address_that_would_show_the_key_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="is not an https address"):
        check_base_url(url)
