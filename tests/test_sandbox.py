"""The sandbox, over real HTTP: POST /tts/send, its refusals, its limit, its figures."""

from __future__ import annotations

import csv
import logging
import socket
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import requests
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import voicebatch.sandbox
from voicebatch import wire
from voicebatch.errors import UsageError
from voicebatch.models import Answer, RateLimit
from voicebatch.sandbox import Sandbox, serve
from voicebatch.sandbox.rules import SPECIAL_KEYS, SPECIAL_NUMBERS, prices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOW: Final = datetime(2024, 3, 1, 12, 0, tzinfo=UTC)
UNLIMITED: Final = RateLimit(requests=1_000_000, seconds=3600)
SAMPLE: Final[dict[str, Any]] = {
    "apiKey": "YOUR_API_KEY",
    "phoneNumbers": "0600000000",
    "text": "Mon premier test",
}
# Properties are about values, not about how long a served request takes.
PROPERTY: Final = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with serve(rate_limit=UNLIMITED, clock=lambda: NOW) as served:
        yield served


@pytest.fixture(scope="module")
def client() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


Post = Any


@pytest.fixture
def post(sandbox: Sandbox, client: requests.Session) -> Callable[..., requests.Response]:
    """Posts the sample with other fields; ``None`` leaves one out."""

    def post(**fields: object) -> requests.Response:
        body = {name: value for name, value in {**SAMPLE, **fields}.items() if value is not None}
        return client.post(f"{sandbox.base_url}/tts/send", json=body, timeout=10)

    return post


def audit(sandbox: Sandbox, client: requests.Session, what: str) -> Any:
    return client.get(sandbox.base_url.removesuffix("/v1") + f"/sandbox/{what}", timeout=10).json()


PHP: Final = '{"apiKey":"YOUR_API_KEY","phoneNumbers":"0600000000","text":"Mon premier test"}'


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"apiKey": None}, 401, "1"),
        ({"apiKey": " "}, 401, "1"),
        ({"apiKey": "sandbox-wrong-key"}, 401, "10"),
        ({"apiKey": "sandbox-no-credit"}, 403, "11"),
        ({"apiKey": "sandbox-disabled"}, 403, "20"),
        ({"apiKey": "sandbox-blocked"}, 403, "30"),
        ({"apiKey": "sandbox-refused"}, 403, "40"),
        ({"apiKey": "sandbox-wrong-ip"}, 403, "96"),
        ({"phoneNumbers": None}, 400, "2"),
        ({"phoneNumbers": " , "}, 400, "2"),
        ({"phoneNumbers": ["0600000000"]}, 400, "90"),
        ({"phoneNumbers": ",".join(["0600000000"] * 501)}, 400, "PHONE_NUMBER_SIZE_ERROR"),
        ({"text": None}, 400, "43"),
        ({"text": ""}, 400, "43"),
        ({"text": "\ud800"}, 400, "90"),
        ({"text": True}, 400, "90"),
        ({"speechRate": "vite"}, 400, "90"),
        ({"speechRate": "NaN"}, 400, "90"),
        ({"scheduledDate": "demain"}, 400, "45"),
        ({"scheduledDate": "2024-02-30 10:00:00"}, 400, "45"),
        ({"scheduledDate": "2024-03-01 13:00:00"}, 400, "45"),
        ({"scheduledDate": "2024-02-02T14:15:00"}, 400, "45"),
        ({"notifyUrl": "http://..."}, 400, "NOTIFY_URL_INVALID"),
        ({"notifyUrl": "ftp://example.com"}, 400, "NOTIFY_URL_INVALID"),
        ({"notifyUrl": "http://[oops"}, 400, "NOTIFY_URL_INVALID"),
        ({"tokenAudio": "nobody recorded it"}, 400, "AUDIO_FILE_NOT_FOUND"),
        ({"phoneNumbers": "+99900000000"}, 400, "13"),
        ({"phoneNumbers": "0600000000,+33600000013"}, 400, "13"),
        ({"phoneNumbers": "0600000000,+33600000014"}, 400, "14"),
        ({"phoneNumbers": "0600000000,+33600000044"}, 400, "DESTINATION_INVALID"),
        ({"phoneNumbers": "0600000000,12"}, 400, "DESTINATION_INVALID"),
        ({"phoneNumbers": "33600000000"}, 400, "DESTINATION_INVALID"),
        ({"phoneNumbers": "0899000000"}, 400, "DESTINATION_INVALID"),
        ({"phoneNumbers": "06 00 00 00 00"}, 400, "DESTINATION_INVALID"),
        ({"phoneNumbers": "+336000000000"}, 400, "DESTINATION_INVALID"),
    ],
)
def test_a_request_is_refused_whole_with_the_documented_code(
    sandbox: Sandbox, post: Post, fields: dict[str, object], status: int, code: str
) -> None:
    before = sandbox.calls
    response = post(**fields)
    assert (response.status_code, wire.read_answer(response.content)) == (
        status,
        (code, response.json()["message"]),
    )
    assert response.json()["message"]
    assert sandbox.calls == before
    assert sandbox.requests[-1].outcome == code


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"apiKey": NaN}', b"\xff", b"[" * 100_000])
def test_what_is_no_json_object_is_malformed(sandbox: Sandbox, client: requests.Session, body: bytes) -> None:
    response = client.post(f"{sandbox.base_url}/tts/send", data=body, timeout=10)
    assert (response.status_code, response.json()["code"]) == (400, 90)


def test_an_invalid_destination_is_named(post: Post) -> None:
    assert "+33600000044" in post(phoneNumbers="0600000000,+33600000044,0600000001").json()["message"]


def test_the_special_keys_and_numbers_have_documented_codes() -> None:
    assert set(SPECIAL_KEYS.values()) <= set(wire.ACCOUNT_CODES)
    assert set(SPECIAL_NUMBERS.values()) <= set(wire.NUMBER_CODES)


def test_a_body_over_a_mebibyte_is_refused(sandbox: Sandbox, client: requests.Session) -> None:
    body = PHP.replace("Mon premier test", "a" * 1024 * 1024)
    response = client.post(f"{sandbox.base_url}/tts/send", data=body, timeout=10)
    assert (response.status_code, response.json()["success"]) == (413, False)


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/v1/tts/send", 405), ("POST", "/v1/elsewhere", 404)])
def test_what_does_not_exist_is_refused_as_json(
    sandbox: Sandbox, client: requests.Session, method: str, path: str, status: int
) -> None:
    response = client.request(method, sandbox.base_url.removesuffix("/v1") + path, timeout=10)
    assert (response.status_code, response.json()["success"]) == (status, False)


@pytest.mark.parametrize("number", ["+33612345678", "0033612345678", "0612345678", " 0612345678 "])
def test_every_documented_way_to_write_a_number_calls_the_same_one(sandbox: Sandbox, post: Post, number: str) -> None:
    assert post(phoneNumbers=number).status_code == 200
    assert sandbox.calls[-1].number == "+33612345678"


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"text": "a" * 150}, "10.0"),
        ({"text": "a" * 150, "speechRate": "2"}, "5.0"),
        ({"text": "a" * 150, "speechRate": 0.1}, "20.0"),
        ({"text": "a" * 150, "speechRate": 7}, "5.0"),
        ({"text": "a" * 150, "speed": "2"}, "5.0"),
        ({"text": "a" * 150 + ",,,"}, "11.5"),
        ({"text": "not taken into account", "tokenAudio": "sandbox-welcome"}, "7"),
        ({"text": None, "tokenAudio": "sandbox-reminder"}, "12"),
    ],
)
def test_the_duration_is_that_of_the_spoken_text(post: Post, fields: dict[str, object], seconds: str) -> None:
    assert Decimal(str(post(**fields).json()["duration"])) == Decimal(seconds)


@pytest.mark.parametrize(("lang", "answered"), [(None, "fr"), ("en", "en")])
def test_the_language_comes_back(post: Post, lang: str | None, answered: str) -> None:
    assert post(lang=lang).json()["lang"] == answered


def test_every_number_called_can_be_audited(sandbox: Sandbox, client: requests.Session, post: Post) -> None:
    accepted = post(phoneNumbers="0611111111,+14155550100", scheduledDate="2024-04-10 14:15:00").json()
    refused = post(phoneNumbers="0611111111", text=None)
    calls, arrivals = audit(sandbox, client, "calls")[-2:], audit(sandbox, client, "requests")[-2:]
    assert refused.status_code == 400
    assert [call["number"] for call in calls] == ["+33611111111", "+14155550100"]
    assert calls[0] == {
        "request": arrivals[0]["request"],
        "campaign_id": accepted["campaignId"],
        "number": "+33611111111",
        "text": "Mon premier test",
        "token_audio": None,
        "lang": "fr",
        "at": NOW.isoformat(),
        "scheduled": "2024-04-10T14:15:00+02:00",
        "channel": "voice-sms",
        "cancelled": False,
        "left_at": None,
    }
    assert [(a["outcome"], a["status"], a["numbers"], a["at"]) for a in arrivals] == [
        ("accepted", 200, 2, NOW.isoformat()),
        ("43", 400, 0, NOW.isoformat()),
    ]
    assert len(audit(sandbox, client, "calls")) == len(sandbox.calls)


NUMBERS: Final = st.lists(
    st.sampled_from(sorted(prices())).map(lambda code: f"+{code}" + ("612345678" if code == "33" else "7654321")),
    min_size=1,
    max_size=500,
)


@PROPERTY
@given(numbers=NUMBERS)
@example(numbers=["+33612345678", "+12125550100", "+14165550100", "+33612345678", "+32470000000"])
@example(numbers=["+33612345678"] * 500)
def test_the_countries_add_up_to_the_answer(sandbox: Sandbox, post: Post, numbers: list[str]) -> None:
    answer = wire.read_answer(post(phoneNumbers=",".join(numbers)).content)
    assert isinstance(answer, Answer)
    assert answer.cost == sum(charge.cost for charge in answer.charges)
    assert answer.messages == sum(charge.messages for charge in answer.charges) == len(numbers)
    assert all(charge.cost == charge.messages * charge.unit_cost for charge in answer.charges)
    assert all(charge.unit_cost == prices()[charge.calling_code].unit_cost for charge in answer.charges)
    assert len({charge.calling_code for charge in answer.charges}) == len(answer.charges)
    called = [call.number for call in sandbox.calls if call.campaign_id == answer.campaign_id]
    assert called == numbers


def test_the_price_table_is_data_with_a_date() -> None:
    table = (Path(voicebatch.sandbox.__file__).parent / "prices.csv").read_text(encoding="utf-8")
    lines = list(csv.DictReader(table.splitlines()))
    assert list(lines[0]) == ["calling_code", "country_code", "unit_cost", "currency", "since"]
    assert len({line["calling_code"] for line in lines}) == len(lines) >= 40
    assert len({line["unit_cost"] for line in lines}) == len(lines)
    assert {line["currency"] for line in lines} == {"EUR"}
    assert {len(line["unit_cost"].partition(".")[2]) for line in lines} == {3, 4}
    assert all(date.fromisoformat(line["since"]) for line in lines)
    assert not any(b != a and b.startswith(a) for a in prices() for b in prices())


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@settings(PROPERTY, max_examples=15)
@given(steps=st.lists(st.integers(0, 6000).map(lambda ms: ms / 1000), min_size=1, max_size=25))
@example(steps=[0, 0, 0, 0, 4.999, 0.001, 0, 0, 0])
def test_no_window_of_the_sandbox_takes_more_than_its_limit(client: requests.Session, steps: list[float]) -> None:
    limit, clock = RateLimit(requests=3, seconds=5), Clock()
    opened, used = NOW - timedelta(days=1), 0
    with serve(rate_limit=limit, clock=clock) as sandbox:
        for step in steps:
            clock.now += timedelta(seconds=step)
            if clock.now - opened >= timedelta(seconds=5):
                opened, used = clock.now, 0
            used += 1
            response = client.post(f"{sandbox.base_url}/tts/send", data=PHP, timeout=10)
            assert response.status_code == (200 if used <= 3 else 429)
            assert response.headers["X-RateLimit-Limit"] == "3"
            assert response.headers["X-RateLimit-Remaining"] == str(max(0, 3 - used))
            reset = int(response.headers["X-RateLimit-Reset"])
            assert 0 <= reset - (opened.timestamp() + 5) < 1
            assert ("Retry-After" in response.headers) == (response.status_code == 429)
            over = clock.now.timestamp() + int(response.headers.get("Retry-After", 0))
            assert response.status_code == 200 or 0 <= over - (opened.timestamp() + 5) < 1
        assert len(sandbox.requests) == len(steps)


def test_a_throttled_request_calls_nobody_and_refused_ones_count(client: requests.Session) -> None:
    with serve(rate_limit=RateLimit(requests=2, seconds=60), clock=lambda: NOW) as sandbox:
        bodies = ("{", PHP, PHP)
        answers = [client.post(f"{sandbox.base_url}/tts/send", data=body, timeout=10) for body in bodies]
        assert [answer.status_code for answer in answers] == [400, 200, 429]
        assert wire.read_answer(answers[-1].content) == ("429", answers[-1].json()["message"])
        assert len(sandbox.calls) == 1


def test_requests_from_many_threads_are_each_recorded_once(sandbox: Sandbox) -> None:
    def send(worker: int) -> list[str]:
        with requests.Session() as session:
            return [
                session.post(
                    f"{sandbox.base_url}/tts/send",
                    json={**SAMPLE, "text": f"worker {worker}"},
                    timeout=10,
                ).json()["campaignId"]
                for _ in range(20)
            ]

    with ThreadPoolExecutor(8) as pool:
        campaigns = [campaign for sent in pool.map(send, range(8)) for campaign in sent]
    called = Counter(call.campaign_id for call in sandbox.calls)
    assert len(set(campaigns)) == 160
    assert all(called[campaign] == 1 for campaign in campaigns)
    assert [arrival.request for arrival in sandbox.requests] == list(range(1, len(sandbox.requests) + 1))


def test_a_delayed_answer_is_acted_on_before_and_released_at_the_end() -> None:
    responses: list[requests.Response] = []
    arrived = threading.Event()

    def clock() -> datetime:
        arrived.set()
        return NOW

    with serve(answer_delay=3600, clock=clock) as sandbox:
        url = f"{sandbox.base_url}/tts/send"
        sender = threading.Thread(
            target=lambda: responses.append(requests.post(url, data=PHP, timeout=30)), daemon=True
        )
        sender.start()
        assert arrived.wait(30)
        assert len(sandbox.calls) == 1
        assert not responses
    sender.join(30)
    assert [response.status_code for response in responses] == [200]


def test_it_leaves_no_thread_and_no_listening_port_behind(caplog: pytest.LogCaptureFixture) -> None:
    before = set(threading.enumerate())
    with caplog.at_level(logging.DEBUG, "waitress"), serve() as sandbox, requests.Session() as session:
        assert session.post(f"{sandbox.base_url}/tts/send", data=PHP, timeout=10).status_code == 200
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
    assert set(threading.enumerate()) <= before
    with pytest.raises(requests.ConnectionError):
        requests.post(f"{sandbox.base_url}/tts/send", data=PHP, timeout=10)
    assert not [record for record in caplog.records if record.name.startswith("waitress")]


def test_a_port_that_is_taken_is_a_usage_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=str(port)), serve(port=port):
            pass


def test_an_error_inside_the_with_comes_out_of_it() -> None:
    with pytest.raises(RuntimeError, match="mine"), serve():
        raise RuntimeError("mine")


SESSION: Final = """
import sys, voicebatch.sandbox
assert "flask" not in sys.modules and "waitress" not in sys.modules
import requests
with voicebatch.sandbox.serve() as sandbox:
    for body in ({"text": "x"}, "{", None):
        requests.post(sandbox.base_url + "/tts/send", data=body, timeout=10)
"""


def test_it_imports_lightly_and_writes_nothing_to_the_terminal() -> None:
    root = Path(voicebatch.sandbox.__file__).parents[2]
    command = [sys.executable, "-W", "error", "-X", "dev", "-c", SESSION]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


REQUESTS: Final = st.builds(
    wire.SendRequest,
    api_key=st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip),
    phone_numbers=st.lists(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True), min_size=1, max_size=5).map(tuple),
    text=st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip),
    token_audio=st.none() | st.just("Ff1tbu0lax"),
    lang=st.none() | st.sampled_from(wire.LANGUAGES),
    speech_rate=st.none() | st.decimals("0.5", "2", places=2).filter(lambda rate: rate != 1),
    notify_url=st.none() | st.just("https://example.com/notify?run=1"),
    scheduled_date=st.none()
    | st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)).map(  # noqa: DTZ001 - strategies take naive bounds
        lambda at: at.replace(hour=12, second=0, microsecond=0, tzinfo=wire.TIME_ZONE)
    ),
)


@PROPERTY
@given(request=REQUESTS)
def test_a_request_that_was_written_is_read_back_the_same(request: wire.SendRequest) -> None:
    assert wire.SendRequest.from_json(request.to_json()) == request
    spoken = replace(request, text=None, token_audio="x")  # noqa: S106 - no secret
    assert wire.SendRequest.from_json(spoken.to_json()) == spoken
