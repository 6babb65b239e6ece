"""The sandbox's small account, over real HTTP: credit, recordings, voicemail, and sends that wait for their time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import pytest
import requests

from voicebatch import wire
from voicebatch.models import AudioFile, Cancellation, Credit, RateLimit
from voicebatch.sandbox import Sandbox, serve
from voicebatch.sandbox.rules import SPECIAL_KEYS, prices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOW: Final = datetime(2024, 3, 1, 12, 0, tzinfo=UTC)
LATER: Final = "2024-03-01 14:00:00"  # in Paris: an hour after NOW
FRENCH: Final = prices()["33"].unit_cost
UNLIMITED: Final = RateLimit(requests=1_000_000, seconds=3600)
VOICE: Final[dict[str, Any]] = {"apiKey": "any", "phoneNumbers": "0600000000", "text": "Bonjour"}
VOICEMAIL: Final[dict[str, Any]] = {
    "apiKey": "any",
    "tokenAudio": "sandbox-welcome",
    "phoneNumbers": "0600000000,+32470000001",
    "emailForNotification": "who@example.com",
}


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def move(self, **much: float) -> None:
        self.now += timedelta(**much)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sandbox(clock: Clock) -> Iterator[Sandbox]:
    with serve(clock=clock, rate_limit=UNLIMITED, campaign_limits=[UNLIMITED]) as served:
        yield served


@pytest.fixture
def ask(sandbox: Sandbox) -> Iterator[Callable[..., requests.Response]]:
    """Sends any request to the provider's part of the sandbox."""
    with requests.Session() as session:

        def ask(method: str, path: str, body: object = None) -> requests.Response:
            return session.request(method, sandbox.base_url + path, json=body, timeout=10)

        yield ask


Ask = Any


def listing(sandbox: Sandbox, what: str) -> Any:
    return requests.get(sandbox.base_url.removesuffix("/v1") + f"/sandbox/{what}", timeout=10).json()


def credit(ask: Ask) -> Decimal:
    read = wire.read_credit(ask("GET", "/me/any").content)
    assert isinstance(read, Credit)
    return read.amount


def test_the_credit_is_answered_in_the_documented_form() -> None:
    with serve(credit=Decimal("19.50"), clock=lambda: NOW) as sandbox:
        answer = requests.get(f"{sandbox.base_url}/me/any", timeout=10).json()
    assert (answer["success"], answer["credit"], answer["currency"]) == (True, "19.50", "€")
    assert set(answer["details"]) == {"tts", "tts_fixe", "voice"}
    assert set(answer["details"]["tts"]) == {"h", "m", "s"}
    assert answer["details"]["voice"]["message"] == int(Decimal("19.50") / FRENCH)


@pytest.mark.parametrize("key", ["a", "a/b", "/a//b", "é ?#%2F", "a\n", "\nb"])
def test_a_key_in_a_path_may_hold_anything(ask: Ask, key: str) -> None:
    for form in (wire.CREDIT_PATH, wire.AUDIOS_PATH):
        assert ask("GET", wire.path(form, key=key)).status_code == 200
    assert ask("DELETE", wire.path(wire.CANCEL_PATH, key=key, campaign="none")).json()["code"] == 404


def test_the_credit_is_asked_five_times_a_minute_and_no_more(ask: Ask, clock: Clock) -> None:
    answers = [ask("GET", "/me/any") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert answers[-1].headers["Retry-After"] == "60"
    clock.move(seconds=60)
    assert ask("GET", "/me/any").status_code == 200


def test_every_accepted_send_takes_its_exact_cost_from_the_credit(ask: Ask, sandbox: Sandbox) -> None:
    before = credit(ask)
    costs = [
        ask("POST", "/tts/send", {**VOICE, "phoneNumbers": "0600000000,+14155550100"}),
        ask("POST", "/tts/send", {**VOICE, "text": None}),
        ask("POST", "/campaign/send", VOICEMAIL),
    ]
    expected = FRENCH + prices()["1"].unit_cost + FRENCH + prices()["32"].unit_cost
    assert [answer.status_code for answer in costs] == [200, 400, 200]
    assert credit(ask) == sandbox.credit == before - expected


def test_a_send_that_costs_more_than_the_credit_is_refused_and_calls_nobody() -> None:
    with serve(credit=2 * FRENCH) as sandbox:
        three = {**VOICE, "phoneNumbers": "0600000000,0600000001,0600000002"}
        refused = requests.post(f"{sandbox.base_url}/tts/send", json=three, timeout=10)
        assert (refused.status_code, refused.json()["code"], sandbox.calls) == (403, 11, ())
        two = {**VOICE, "phoneNumbers": "0600000000,0600000001"}
        assert requests.post(f"{sandbox.base_url}/tts/send", json=two, timeout=10).status_code == 200
        assert sandbox.credit == 0
        assert requests.post(f"{sandbox.base_url}/tts/send", json=VOICE, timeout=10).json()["code"] == 11


@pytest.mark.parametrize(("key", "code"), sorted(SPECIAL_KEYS.items()))
def test_a_special_key_gives_its_account_error_at_every_endpoint(ask: Ask, key: str, code: str) -> None:
    answers = [
        ask("POST", "/tts/send", {**VOICE, "apiKey": key}),
        ask("POST", "/campaign/send", {**VOICEMAIL, "apiKey": key}),
        ask("GET", wire.path(wire.CREDIT_PATH, key=key)),
        ask("GET", wire.path(wire.AUDIOS_PATH, key=key)),
        ask("DELETE", wire.path(wire.CANCEL_PATH, key=key, campaign="none")),
        ask("POST", "/audio-file/rename", {"apiKey": key, "tokenAudio": "sandbox-welcome", "filename": "Other"}),
    ]
    assert [answer.json()["code"] for answer in answers] == [int(code)] * 6
    assert {answer.status_code for answer in answers} == {401 if code == "10" else 403}
    assert not any(answer.json()["success"] for answer in answers)


def test_the_recordings_are_listed_in_the_documented_form(ask: Ask) -> None:
    answer = ask("GET", "/audios/any")
    assert answer.json()["nb_datas"] == len(answer.json()["datas"]) == 3
    assert answer.json()["datas"][0] == {
        "name": "Bienvenue",
        "token": "sandbox-welcome",
        "size": "160.2Ko",
        "duration": "0:07",
        "created_at": {"date": "2026-01-01 09:00:00.000000", "timezone_type": 3, "timezone": "Europe/Paris"},
    }
    assert all(isinstance(file, AudioFile) for file in wire.read_audios(answer.content))


def test_further_recordings_can_be_given_to_it() -> None:
    with serve(audio_tokens=["mine", "sandbox-welcome"]) as sandbox:
        body = {**VOICE, "tokenAudio": "mine"}
        assert requests.post(f"{sandbox.base_url}/tts/send", json=body, timeout=10).json()["duration"] == 10
        files = requests.get(f"{sandbox.base_url}/audios/x", timeout=10).json()["datas"]
    assert [file["token"] for file in files] == ["sandbox-welcome", "sandbox-reminder", "tokenAudio", "mine"]
    assert files[0]["name"] == "Bienvenue"


def test_a_recording_is_renamed(ask: Ask) -> None:
    body = {"apiKey": "any", "tokenAudio": "sandbox-reminder", "filename": "Rappel du lundi"}
    answer = ask("POST", "/audio-file/rename", body)
    assert answer.json() == {"success": True, "filename": "Rappel du lundi", "tokenAudio": "sandbox-reminder"}
    assert "Rappel du lundi" in [file["name"] for file in ask("GET", "/audios/any").json()["datas"]]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"apiKey": None}, 1),
        ({"tokenAudio": None}, "TOKEN_AUDIO_REQUIRED"),
        ({"tokenAudio": "nobody recorded it"}, "AUDIO_FILE_NOT_FOUND"),
        ({"filename": None}, 90),
        ({"filename": "ab"}, 90),
        ({"filename": "a" * 51}, 90),
    ],
)
def test_a_recording_is_not_renamed_without_what_that_takes(ask: Ask, fields: dict[str, object], code: object) -> None:
    body = {"apiKey": "any", "tokenAudio": "sandbox-reminder", "filename": "abc", **fields}
    assert ask("POST", "/audio-file/rename", body).json()["code"] == code


def test_a_voicemail_campaign_is_answered_in_the_documented_form(ask: Ask, sandbox: Sandbox) -> None:
    answer = ask("POST", "/campaign/send", {**VOICEMAIL, "sender": "+33611111111"}).json(parse_float=Decimal)
    belgian = prices()["32"].unit_cost
    assert answer == {
        "success": True,
        "campaignId": answer["campaignId"],
        "cost": FRENCH + belgian,
        "currency": "EUR",
        "nbSms": 2,
        "audioFile": {"filename": "Bienvenue", "size": "160.2Ko"},
        "detail": {
            "33": {"nbSms": 1, "cost_unity": FRENCH, "cost": FRENCH},
            "32": {"nbSms": 1, "cost_unity": belgian, "cost": belgian},
        },
    }
    assert [(call.number, call.channel, call.token_audio, call.text) for call in sandbox.calls] == [
        ("+33600000000", "voicemail", "sandbox-welcome", None),
        ("+32470000001", "voicemail", "sandbox-welcome", None),
    ]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"apiKey": None}, 1),
        ({"phoneNumbers": None}, 2),
        ({"tokenAudio": None}, "TOKEN_AUDIO_REQUIRED"),
        ({"tokenAudio": "nobody recorded it"}, "AUDIO_FILE_NOT_FOUND"),
        ({"sender": "me"}, "SENDER_INVALID"),
        ({"sender": "+33600000099"}, "SENDER_NOT_AUTHORIZED"),
        ({"scheduledDate": "2024-03-01 12:00:00"}, 45),
        ({"phoneNumbers": "+33600000013"}, 13),
        ({"phoneNumbers": ",".join(["0600000000"] * 501)}, "PHONE_NUMBER_SIZE_ERROR"),
    ],
)
def test_a_voicemail_campaign_is_refused_with_the_documented_code(
    ask: Ask, fields: dict[str, object], code: object
) -> None:
    answer = ask("POST", "/campaign/send", {**VOICEMAIL, **fields})
    assert (answer.json()["success"], answer.json()["code"]) == (False, code)
    assert 400 <= answer.status_code < 500


def test_voicemail_has_its_own_limits_and_all_of_them_hold(clock: Clock) -> None:
    with serve(clock=clock, rate_limit=RateLimit(requests=1, seconds=3600)) as sandbox:
        address = sandbox.base_url
        spoken = [requests.post(f"{address}/tts/send", json=VOICE, timeout=10) for _ in range(2)]
        answers = [requests.post(f"{address}/campaign/send", json=VOICEMAIL, timeout=10) for _ in range(6)]
    assert [answer.status_code for answer in spoken] == [200, 429]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert [answers[-1].headers[name] for name in ("X-RateLimit-Limit", "Retry-After")] == ["5", "60"]


def test_the_longer_limit_of_voicemail_holds_when_the_shorter_one_is_over(clock: Clock) -> None:
    limits = [RateLimit(requests=3, seconds=3600), RateLimit(requests=2, seconds=60)]
    with serve(clock=clock, campaign_limits=limits) as sandbox:
        answers = []
        for seconds in (0, 0, 60, 0, 60, 0):
            clock.move(seconds=seconds)
            answers.append(requests.post(f"{sandbox.base_url}/campaign/send", json=VOICEMAIL, timeout=10))
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429, 429]
    assert [answer.headers["X-RateLimit-Limit"] for answer in answers] == ["2", "2", "3", "3", "3", "3"]
    assert answers[3].headers["Retry-After"] == str(3600 - 60)


def test_a_scheduled_send_is_accepted_at_once_and_leaves_at_its_time(ask: Ask, sandbox: Sandbox, clock: Clock) -> None:
    before = sandbox.credit
    assert ask("POST", "/tts/send", {**VOICE, "scheduledDate": LATER}).status_code == 200
    assert sandbox.credit == before - FRENCH
    clock.move(minutes=59)
    assert [call["left_at"] for call in listing(sandbox, "calls")] == [None]
    clock.move(minutes=2)
    assert [call["left_at"] for call in listing(sandbox, "calls")] == ["2024-03-01T14:00:00+01:00"]
    assert sandbox.calls[0].left_at == NOW + timedelta(hours=1)


@pytest.mark.parametrize(("path", "body"), [("/tts/send", VOICE), ("/campaign/send", VOICEMAIL)])
def test_a_scheduled_send_is_cancelled_and_its_cost_comes_back(
    ask: Ask, sandbox: Sandbox, clock: Clock, path: str, body: dict[str, Any]
) -> None:
    before = sandbox.credit
    accepted = ask("POST", path, {**body, "scheduledDate": LATER}).json(parse_float=Decimal)
    cancel = wire.path(wire.CANCEL_PATH, key="any", campaign=accepted["campaignId"])
    answer = ask("DELETE", cancel)
    assert answer.json() == {
        "success": True,
        "campaignId": accepted["campaignId"],
        "assignedCredit": str(accepted["cost"]),
        "currency": "EUR",
    }
    assert isinstance(wire.read_cancellation(answer.content), Cancellation)
    clock.move(hours=2)
    assert {(call["cancelled"], call["left_at"]) for call in listing(sandbox, "calls")} == {(True, None)}
    assert sandbox.credit == before
    again = ask("DELETE", cancel)
    assert (again.status_code, again.json()["code"], sandbox.credit) == (403, 10, before)


def test_what_has_left_and_what_is_not_known_cannot_be_cancelled(ask: Ask, sandbox: Sandbox, clock: Clock) -> None:
    at_once = ask("POST", "/tts/send", VOICE).json()["campaignId"]
    scheduled = ask("POST", "/tts/send", {**VOICE, "scheduledDate": LATER}).json()["campaignId"]
    clock.move(hours=1)
    left = sandbox.credit
    answers = [ask("DELETE", f"/campaign/cancel/any/{campaign}") for campaign in (at_once, scheduled, "none")]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(403, 10), (403, 10), (404, 404)]
    assert sandbox.credit == left
    assert [call.cancelled for call in sandbox.calls] == [False, False]


def test_every_request_is_listed_with_its_endpoint_and_without_its_key(ask: Ask, sandbox: Sandbox) -> None:
    ask("POST", "/campaign/send", VOICEMAIL)
    ask("GET", "/me/s3cret")
    ask("DELETE", "/campaign/cancel/s3cret/none")
    listed = listing(sandbox, "requests")
    assert [(one["endpoint"], one["outcome"], one["status"]) for one in listed] == [
        ("POST /campaign/send", "accepted", 200),
        ("GET /me/{key}", "answered", 200),
        ("DELETE /campaign/cancel/{key}/{campaign}", "404", 404),
    ]
    assert "s3cret" not in str(listed)


def test_the_prices_can_be_looked_at(sandbox: Sandbox) -> None:
    french = next(line for line in listing(sandbox, "prices") if line["calling_code"] == "33")
    assert french == {"calling_code": "33", "country_code": "FR", "unit_cost": str(FRENCH), "since": "2026-01-01"}
