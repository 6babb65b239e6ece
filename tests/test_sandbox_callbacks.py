"""The sandbox's callbacks, at a real listener: who is told what, in which order, how often, and who never is."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

import pytest
import requests

from voicebatch import wire
from voicebatch.models import Callback, Channel, Delivery
from voicebatch.sandbox import Sandbox, serve
from voicebatch.sandbox.notices import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOW: Final = datetime(2024, 3, 1, 12, 0, tzinfo=UTC)
PEOPLE: Final = ("+33600000000", "+33600000005", "+33600000007", "+33600000009")
QUICK: Final[dict[str, Any]] = {"callback_delay": 0.0, "callback_retries": (0.02,) * 20}
SOON: Final = 10.0  # seconds within which everything that is going to happen has happened


@dataclass
class Listener:
    """Who is called back: an HTTP server that remembers what came, and answers with ``statuses`` and then with 200."""

    port: int = 0
    statuses: list[int] = field(default_factory=list)
    heard: list[tuple[str, str, str]] = field(default_factory=list)  # method, path with its query, body

    @contextlib.contextmanager
    def listening(self) -> Iterator[Listener]:
        listener = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                listener.heard.append((self.command, self.path, body.decode()))
                self.send_response(listener.statuses.pop(0) if listener.statuses else 200)
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            do_GET = do_POST = answer  # noqa: N815 # http.server's names

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        server.daemon_threads = True
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/notify"

    @property
    def callbacks(self) -> list[Callback]:
        return [wire.read_voice_callback(body, attempt_id="a") for _, _, body in self.heard]

    @property
    def story(self) -> list[tuple[str | None, Delivery | None, bool | None]]:
        return [(one.number, one.status, one.answered) for one in self.callbacks]


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener().listening() as listening:
        yield listening


def send(sandbox: Sandbox, notify_url: str, *numbers: str, path: str = "/tts/send", **fields: object) -> str:
    body = {
        "apiKey": "any",
        "phoneNumbers": ",".join(numbers or PEOPLE),
        "text": "a" * 150,
        "notifyUrl": notify_url,
        **fields,
    }
    answer = requests.post(sandbox.base_url + path, json=body, timeout=10)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["campaignId"])


def until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + SOON
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def listing(sandbox: Sandbox) -> Any:
    return requests.get(sandbox.base_url.removesuffix("/v1") + "/sandbox/callbacks", timeout=10).json()


def test_every_number_of_a_voice_sms_is_called_back_with_its_own_end(listener: Listener) -> None:
    with serve(**QUICK, clock=lambda: NOW) as sandbox:
        campaign = send(sandbox, f"{listener.url}?run=1")
        assert sandbox.wait_for_callbacks(SOON)
    assert {(method, path) for method, path, _ in listener.heard} == {("POST", "/notify?run=1")}
    assert {one.campaign_id for one in listener.callbacks} == {campaign}
    assert sorted(listener.story, key=str) == sorted(
        [
            ("+33600000000", Delivery.DELIVERED, True),
            ("+33600000005", Delivery.PENDING, None),
            ("+33600000005", Delivery.DELIVERED, True),
            ("+33600000007", Delivery.DELIVERED, False),
            ("+33600000009", Delivery.UNDELIVERED, False),
        ],
        key=str,
    )
    of_one = [status for number, status, _ in listener.story if number == "+33600000005"]
    assert of_one == [Delivery.PENDING, Delivery.DELIVERED]


def test_a_callback_has_the_documented_form(listener: Listener) -> None:
    with serve(**QUICK, clock=lambda: NOW) as sandbox:
        campaign = send(sandbox, listener.url, "+33600000000")
        assert sandbox.wait_for_callbacks(SOON)
    assert json.loads(listener.heard[0][2]) == {
        "campaignId": campaign,
        "status": "delivered",
        "additionnal_status": "VOICE_ANSWERED",
        "phoneNumber": "0033600000000",
        "sendAt": "2024-03-01 13:00:00",
        "doneAt": "2024-03-01 13:00:14",
        "duration": 10,
    }


def test_a_callback_about_a_recording_says_that_it_was_left(listener: Listener) -> None:
    with serve(**QUICK) as sandbox:
        send(sandbox, listener.url, "+33600000000", "+33600000009", tokenAudio="sandbox-welcome")
        assert sandbox.wait_for_callbacks(SOON)
    said = {data["status"]: data for data in (json.loads(body) for _, _, body in listener.heard)}
    assert said["delivered"]["audioFileComplementaire"] == {"status": "Deposit"}
    assert said["delivered"]["duration"] == 7
    assert "audioFileComplementaire" not in said["undelivered"]


def test_a_voicemail_campaign_is_called_back_once_with_a_get(listener: Listener) -> None:
    with serve(**QUICK) as sandbox:
        campaign = send(sandbox, listener.url, path="/campaign/send", tokenAudio="sandbox-welcome")
        assert sandbox.wait_for_callbacks(SOON)
    ((method, path, body),) = listener.heard
    query = "campaign_token=sandbox-welcome&campaign_id=" + campaign + "&delivered_quantity=3&total_quantity=4"
    assert (method, path, body) == ("GET", f"/notify?{query}", "")


def test_what_is_scheduled_is_called_back_after_it_left_and_what_is_cancelled_never(listener: Listener) -> None:
    now = [NOW]
    with serve(**QUICK, clock=lambda: now[0]) as sandbox:
        send(sandbox, listener.url, "+33600000000", scheduledDate="2024-03-01 14:00:00")
        other = send(sandbox, listener.url, "+33600000001", scheduledDate="2024-03-01 14:00:00")
        cancel = wire.path(wire.CANCEL_PATH, key="any", campaign=other)
        assert requests.delete(sandbox.base_url + cancel, timeout=10).status_code == 200
        assert sandbox.wait_for_callbacks(SOON)
        assert listener.heard == []
        now[0] += timedelta(hours=1, minutes=5)
        until(lambda: listener.heard)  # nobody looks: its own thread does
        assert sandbox.wait_for_callbacks(SOON)
    assert [one.number for one in listener.callbacks] == ["+33600000000"]
    assert listener.callbacks[0].sent_at == NOW + timedelta(hours=1)


@pytest.mark.parametrize("status", [500, 404, 302])
def test_a_callback_comes_again_until_it_is_answered_with_a_2xx(listener: Listener, status: int) -> None:
    listener.statuses = [status, status, 204]
    with serve(**QUICK) as sandbox:
        send(sandbox, listener.url, "+33600000000")
        assert sandbox.wait_for_callbacks(SOON)
        sent = listing(sandbox)
    assert [(one["attempt"], one["answer"]) for one in sent["sent"]] == [(1, status), (2, status), (3, 204)]
    assert {path for _, path, _ in listener.heard} == {"/notify"}
    assert len({body for _, _, body in listener.heard}) == 1


def test_a_listener_that_was_away_and_comes_back_misses_nothing() -> None:
    with Listener().listening() as first:
        pass
    with serve(callback_delay=0.0, callback_retries=(0.05,) * 400) as sandbox:
        send(sandbox, first.url)
        until(lambda: sandbox.callbacks)
        assert {one.answer for one in sandbox.callbacks} == {0}
        assert sandbox.callbacks[0].error == "ConnectionRefusedError"
        with Listener(port=first.port).listening() as again:
            assert sandbox.wait_for_callbacks(SOON)
    assert Counter(number for number, _, _ in again.story) == {**Counter(PEOPLE), "+33600000005": 2}


def test_a_callback_that_nobody_ever_takes_is_given_up(listener: Listener) -> None:
    listener.statuses = [500] * 9
    with serve(callback_delay=0.0, callback_retries=(0.01, 0.01)) as sandbox:
        send(sandbox, listener.url, "+33600000005")
        assert sandbox.wait_for_callbacks(SOON)
        tries = [(one.status, one.attempt) for one in sandbox.callbacks]
    assert tries == [(status, attempt) for status in ("pending", "delivered") for attempt in (1, 2, 3)]


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/notify", "http://192.0.2.1/", "http://localhost.example.com/", "http://127.0.0.1.example.com",
        "http://127.0.0.1@example.com/", "http://[2001:db8::1]/", "http://0x7f000001/", "http://127.0.0.1:99999/",
    ],
)  # fmt: skip
def test_nobody_on_another_machine_is_ever_contacted(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[object] = []
    monkeypatch.setattr("http.client.HTTPConnection.connect", tried.append)
    with serve(**QUICK) as sandbox:
        response = sandbox.endpoints.send(Channel.VOICE_SMS, wire.SendRequest(
            api_key="any", phone_numbers=PEOPLE, text="Bonjour", notify_url=url).to_json().encode())  # fmt: skip
        assert response.status == 200
        assert sandbox.wait_for_callbacks(SOON)
        assert (sandbox.callbacks, sandbox.skipped_callbacks) == ((), 5)
    assert tried == []


def test_what_was_not_sent_is_counted() -> None:
    with serve(**QUICK) as sandbox:
        send(sandbox, "https://example.com/notify")
        assert listing(sandbox) == {"sent": [], "skipped": 5, "pending": 0}


@pytest.mark.parametrize("url", ["http://localhost:1/", "https://127.8.9.1/", "http://[::1]:80/x", "http://LOCALHOST"])
def test_this_machine_has_several_names(url: str) -> None:
    assert is_loopback(url)


def test_an_address_that_http_cannot_say_is_an_error_in_the_list(listener: Listener) -> None:
    with serve(callback_delay=0.0, callback_retries=()) as sandbox:
        send(sandbox, f"{listener.url}/é", "+33600000000")
        send(sandbox, f"{listener.url}/ b", "+33600000000")
        assert sandbox.wait_for_callbacks(SOON)
        assert [(one.answer, bool(one.error)) for one in sandbox.callbacks] == [(0, True)] * 2


def test_late_callbacks_are_pending_until_they_come(listener: Listener) -> None:
    with serve(**QUICK, faults=["callbacks-late:1x:60s"]) as sandbox:
        send(sandbox, listener.url)
        assert not sandbox.wait_for_callbacks(0.05)
        assert (listing(sandbox)["pending"], listener.heard) == (4, [])
        sandbox.set_faults("callbacks-late:1x:0.1s")
        begun = time.monotonic()
        send(sandbox, listener.url)
        until(lambda: len(listener.heard) == 5)
        assert time.monotonic() - begun >= 0.1


def test_doubled_callbacks_come_twice_and_missing_ones_never(listener: Listener) -> None:
    with serve(**QUICK, faults=["callbacks-doubled:1x", "callbacks-missing:2x"]) as sandbox:
        send(sandbox, listener.url)
        assert sandbox.wait_for_callbacks(SOON)
        assert listener.heard == []
        sandbox.set_faults("callbacks-doubled:1x")
        send(sandbox, listener.url)
        assert sandbox.wait_for_callbacks(SOON)
    assert set(Counter(listener.heard).values()) == {2}
    assert len(listener.heard) == 10


def test_callbacks_out_of_order_say_pending_after_the_end(listener: Listener) -> None:
    with serve(**QUICK, faults=["callbacks-reordered"]) as sandbox:
        send(sandbox, listener.url)
        assert sandbox.wait_for_callbacks(SOON)
    for person in PEOPLE:
        statuses = [status for number, status, _ in listener.story if number == person]
        assert len(statuses) == 2
        assert statuses[1] is Delivery.PENDING


def test_a_request_whose_answer_is_lost_is_called_back_all_the_same(listener: Listener) -> None:
    with serve(**QUICK, faults=["lost-after"]) as sandbox:
        with pytest.raises(requests.ConnectionError):
            send(sandbox, listener.url, "+33600000000")
        assert sandbox.wait_for_callbacks(SOON)
    assert len(listener.heard) == 1


def test_leaving_does_not_wait_for_a_listener_that_says_nothing() -> None:
    before = set(threading.enumerate())
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with serve(**QUICK) as sandbox:
            send(sandbox, f"http://127.0.0.1:{silent.getsockname()[1]}/", *[f"+3361111111{n}" for n in range(8)])
            connections = [silent.accept()[0] for _ in range(4)]
            for connection in connections:
                assert connection.recv(4)
            begun = time.monotonic()
        assert time.monotonic() - begun < 4  # less than the patience of one request
        for connection in connections:
            connection.close()
    assert set(threading.enumerate()) <= before


def test_five_hundred_numbers_are_each_called_back(listener: Listener) -> None:
    numbers = [f"+33612{n:06}" for n in range(500)]
    with serve(**QUICK) as sandbox:
        send(sandbox, listener.url, *numbers)
        assert sandbox.wait_for_callbacks(30)
    final = Counter(number for number, status, _ in listener.story if status is not Delivery.PENDING)
    assert final == Counter(numbers)
