"""A provider that answers as a test tells it to: lost answers, garbled answers, answers that are held back."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from voicebatch.sandbox import Arrival, Sandbox
from voicebatch.sandbox.endpoints import SENDS

UNIT_COST: Final = Decimal("0.0412345678")
"""Of every message: more digits than a float keeps through a few hundred additions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as it arrived."""

    at: datetime
    path: str
    body: dict[str, Any]

    @property
    def numbers(self) -> list[str]:
        """Whom it asks to call."""
        numbers: str = self.body["phoneNumbers"]
        return numbers.split(",")


@dataclass(slots=True)
class Answer:
    """What goes back: a status, headers, a body; ``None`` cuts the connection."""

    status: int = 200
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)


Behaviour = Callable[["Provider", Request], Answer | None]


class Provider:
    """Answers the n-th request with the n-th behaviour, and accepts those beyond the last.

    Look-ups and cancellations are no requests of that script: they are in ``asked``, and ``account`` has a behaviour
    for each, by the beginning of its path.
    """

    def __init__(self, base_url: str, script: Sequence[Behaviour]) -> None:
        self.base_url = base_url
        self.asked: list[Request] = []
        self.account: dict[str, Behaviour] = {
            "/v1/me/": has_credit("1000000"),
            "/v1/audios/": has_audios(),
            "/v1/audio-file/rename": renames,
            "/v1/campaign/cancel/": gives_back("1.8"),
        }
        self.release = threading.Event()
        self.together = threading.Barrier(3)
        self._script = list(script)
        self._requests: list[Request] = []
        self._called: list[str] = []
        self._charged: list[Decimal] = []
        self._lock = threading.Lock()

    @property
    def requests(self) -> list[Request]:
        """Every request so far, in order."""
        with self._lock:
            return list(self._requests)

    @property
    def called(self) -> list[str]:
        """Every number that was called, in order, twice if it was called twice."""
        with self._lock:
            return list(self._called)

    @property
    def charged(self) -> Decimal:
        """What it charged for, exactly."""
        with self._lock:
            return sum(self._charged, Decimal(0))

    def answer(self, request: Request) -> Answer | None:
        """Takes a request."""
        with self._lock:
            at = len(self._requests)
            self._requests.append(request)
        behaviour = self._script[at] if at < len(self._script) else accept
        return behaviour(self, request)

    def about_account(self, request: Request) -> Answer | None:
        """Takes a request that calls nobody."""
        with self._lock:
            self.asked.append(request)
        behaviour = next(one for path, one in self.account.items() if request.path.startswith(path))
        return behaviour(self, request)

    def asked_for(self, path: str) -> list[Request]:
        """The look-ups and cancellations with this in their path."""
        with self._lock:
            return [request for request in self.asked if path in request.path]

    def act(self, request: Request, unit_cost: Decimal = UNIT_COST) -> str:
        """Calls everyone and says so, with figures of all their digits."""
        count = len(request.numbers)
        cost = unit_cost * count
        with self._lock:
            self._called.extend(request.numbers)
            self._charged.append(cost)
        line = f'"nbSms": {count}, "cost_unity": {unit_cost:f}, "cost": {cost:f}, "country_code": "fr"'
        return (
            f'{{"success": true, "campaignId": "C{at_least_ten(request)}", "cost": {cost:f}, "currency": "EUR", '
            f'"nbSms": {count}, "lang": "fr", "duration": 6.3, "detail": {{"33": {{{line}, "duration": 6.3}}}}}}'
        )


def sends(sandbox: Sandbox) -> list[Arrival]:
    """The requests that ask a sandbox to call somebody, in order."""
    return [arrival for arrival in sandbox.requests if arrival.endpoint in SENDS.values()]


def at_least_ten(request: Request) -> str:
    """Something like the provider's campaign ids."""
    return f"{abs(hash(tuple(request.numbers))):010d}"[:10]


# Behaviours


def accept(provider: Provider, request: Request) -> Answer:
    """Calls and says yes."""
    return Answer(200, provider.act(request))


def hold(provider: Provider, request: Request) -> Answer:
    """Calls, and says yes only when the test lets it."""
    body = provider.act(request)
    provider.release.wait(60)
    return Answer(200, body)


def meet(provider: Provider, request: Request) -> Answer:
    """Answers when three requests are there at once."""
    provider.together.wait(60)
    return Answer(200, provider.act(request))


def cut(provider: Provider, request: Request) -> None:
    """Calls, and the answer is lost on the way."""
    provider.act(request)


def lose(_provider: Provider, _request: Request) -> None:
    """Calls nobody, and says nothing."""


def garble(provider: Provider, request: Request) -> Answer:
    """Calls, and something on the way puts its own page in the answer's place."""
    provider.act(request)
    return Answer(200, "<html>It works!</html>")


def miscount(provider: Provider, request: Request) -> Answer:
    """Calls, and counts one message too many."""
    answer = json.loads(provider.act(request))
    return Answer(200, json.dumps({**answer, "nbSms": answer["nbSms"] + 1}))


def fail(provider: Provider, request: Request) -> Answer:
    """Calls, and breaks down over the answer."""
    provider.act(request)
    return Answer(500, "Internal Server Error")


def refuse(code: str | int, message: str = "no") -> Behaviour:
    """Says no, with a code."""
    body = json.dumps({"success": False, "code": code, "message": message})
    return lambda _provider, _request: Answer(400, body)


def wait(status: int, **headers: str) -> Behaviour:
    """Asks to come back later."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _provider, _request: Answer(status, "", named)


# Of the account


def has_credit(amount: str, currency: str = "€") -> Behaviour:
    """As the provider's page shows it."""
    details = {"tts": {"h": 5, "m": 55, "s": 66}, "voice": {"message": 10}}
    body = json.dumps({"success": True, "credit": amount, "currency": currency, "details": details})
    return lambda _provider, _request: Answer(200, body)


def has_audios(*tokens: str) -> Behaviour:
    """Recordings with these tokens."""
    created = {"date": "2018-04-16 13:26:46.000000", "timezone_type": 3, "timezone": "Europe/Paris"}
    files = [
        {"name": f"name of {token}", "token": token, "size": "104.5Ko", "duration": "0:07", "created_at": created}
        for token in tokens
    ]
    return lambda _provider, _request: Answer(200, json.dumps({"nb_datas": len(files), "datas": files}))


def renames(_provider: Provider, request: Request) -> Answer:
    """Says yes to a recording's new name."""
    named = {"filename": request.body["filename"], "tokenAudio": request.body["tokenAudio"]}
    return Answer(200, json.dumps({"success": True, **named}))


def gives_back(credit: str, currency: str = "EUR") -> Behaviour:
    """Takes a campaign back."""

    def cancel(_provider: Provider, request: Request) -> Answer:
        campaign = request.path.rpartition("/")[2]
        body = {"success": True, "campaignId": campaign, "assignedCredit": credit, "currency": currency}
        return Answer(200, json.dumps(body))

    return cancel


def hold_cancel(provider: Provider, _request: Request) -> None:
    """Takes its time, and its answer is lost."""
    provider.release.wait(60)


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """One after the other, the last one for ever."""
    left = list(behaviours)

    def behave(provider: Provider, request: Request) -> Answer | None:
        behaviour = left.pop(0) if len(left) > 1 else left[0]
        return behaviour(provider, request)

    return behave


def say(status: int, body: str, **headers: str) -> Behaviour:
    """Just this."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _provider, _request: Answer(status, body, named)


@contextlib.contextmanager
def provide(*script: Behaviour) -> Iterator[Provider]:
    """Serves a provider on a free port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    provider = Provider(f"http://127.0.0.1:{server.server_address[1]}/v1", script)
    server.provider = provider  # type: ignore[attr-defined] # for the handler, which knows its server only
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        provider.release.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        provider: Provider = self.server.provider  # type: ignore[attr-defined] # see provide
        request = Request(at=datetime.now(UTC), path=self.path, body=json.loads(content))
        about_account = "/audio-file/" in self.path
        self._say(provider.about_account(request) if about_account else provider.answer(request))

    def do_GET(self) -> None:
        self._look_up()

    def do_DELETE(self) -> None:
        self._look_up()

    def _look_up(self) -> None:
        provider: Provider = self.server.provider  # type: ignore[attr-defined] # see provide
        request = Request(at=datetime.now(UTC), path=self.path, body={})
        self._say(provider.about_account(request))

    def _say(self, answer: Answer | None) -> None:
        if answer is None:
            self.close_connection = True
            return
        body = answer.body.encode()
        with contextlib.suppress(OSError):  # the client may have given up
            self.send_response(answer.status)
            for name, value in {**answer.headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""
