"""The description of the provider's API: the sandbox, our requests and the published samples are held against it."""

from __future__ import annotations

import itertools
import json
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests import openapi
from tests.openapi import Undescribed, check_answer, check_request, check_voice_callback, check_voicemail_callback
from voicebatch import wire
from voicebatch.errors import GuardError
from voicebatch.models import Batch, Channel, Message, RateLimit
from voicebatch.provider import Provider
from voicebatch.provider.account import Account
from voicebatch.sandbox import Sandbox, serve
from voicebatch.sandbox.rules import SPECIAL_KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW: Final = datetime(2024, 3, 1, 12, 0, tzinfo=UTC)
UNLIMITED: Final = RateLimit(requests=1_000_000, seconds=3600)
JSON: Final = {"Content-Type": "application/json"}
EXAMPLES: Final = 8
CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
OPERATIONS: Final[dict[str, schemathesis.APIOperation[Any, Any, Any, Any]]] = {
    found.ok().label: found.ok()
    for found in schemathesis.openapi.from_path(openapi.DESCRIPTION).get_all_operations()
    if isinstance(found, Ok)
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """Every look at its clock is an hour after the one before, so that no limit is ever reached."""
    hours = itertools.count()
    with serve(
        rate_limit=UNLIMITED,
        campaign_limits=[UNLIMITED],
        clock=lambda: NOW + timedelta(hours=next(hours)),
        callback_delay=0.0,
    ) as served:
        yield served


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as opened:
        yield opened


@pytest.mark.openapi
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: str(mode.value))
@pytest.mark.parametrize("label", sorted(OPERATIONS))
def test_the_sandbox_answers_anything_as_described(
    sandbox: Sandbox, session: requests.Session, label: str, mode: GenerationMode
) -> None:
    @settings(
        max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=OPERATIONS[label].as_strategy(generation_mode=mode))
    def hold(case: schemathesis.Case[Any]) -> None:
        response = case.call(base_url=sandbox.base_url, session=session)
        case.validate_response(response, checks=CHECKS)

    hold()


# The bodies of the provider's page, as its programs would send them; its own host apart.
MINIMAL: Final = '"apiKey":"YOUR_API_KEY","phoneNumbers":"06XXXXXXXX","text":"Mon premier test"'
PHP: Final = f"{{{MINIMAL}}}"
VB: Final = f"{{{MINIMAL}}}"
PYTHON: Final = '{"apiKey": "YOUR_API_KEY", "phoneNumbers": "06XXXXXXXX", "text": "Mon premier test"}'
NODE: Final = f"{{{MINIMAL}}}"
GO: Final = '{"apiKey":"YOUR_API_KEY","text":"Votre texte ici","phoneNumbers":"06XXXXXXXX"}'
CSHARP: Final = '{"apiKey":"YOUR_API_KEY","text":"Votre texte ici","phoneNumbers":"06XXXXXXXX"}'
JAVA: Final = """{
    "apiKey": "YOUR_API_KEY",
    "phoneNumbers": "06XXXXXXXX",
    "text": "Mon premier test",
    "speechRate": "1",
    "notifyUrl": "http://example.com/notify",
}
"""
CURL: Final = """{
"apiKey":"YOUR-API-KEY",
"phoneNumbers":"06XXXXXXXX",
"speed":"1",
"text":"Mon premier test",
"notifyUrl":"http://..."
}"""
CURL_CAMPAIGN: Final = """{
  "apiKey": "YOUR_API_KEY",
  "tokenAudio": "tokenAudio",
  "phoneNumbers": "06XXXXXXXX",
  "speechRate": 1,
  "notifyUrl": "http://votreurlderetour.com/callback",
  "scheduledDate": "2024-04-10T14:15:00"
}"""
WORKING: Final = {
    "PHP": PHP,
    "VB.net": VB,
    "Python": PYTHON,
    "NodeJS": NODE,
    "Go": GO,
    "C#": CSHARP,
    "Java without its last comma": JAVA.replace('notify",', 'notify"'),
    "cURL with an address": CURL.replace("http://...", "http://example.com/notify"),
}


@pytest.fixture(scope="module")
def then() -> Iterator[Sandbox]:
    """A sandbox of the time when the samples were written: one of them is scheduled."""
    with serve(rate_limit=UNLIMITED, campaign_limits=[UNLIMITED], clock=lambda: NOW) as served:
        yield served


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8"])
@pytest.mark.parametrize("program", sorted(WORKING))
def test_a_published_sample_gets_the_published_answer(
    then: Sandbox, session: requests.Session, program: str, kind: str
) -> None:
    headers = {"Content-Type": kind, "cache-control": "no-cache"}
    response = session.post(f"{then.base_url}/tts/send", data=WORKING[program], headers=headers, timeout=10)
    answer = response.json(parse_float=Decimal)
    assert response.status_code == 200
    check_answer("POST", "/tts/send", 200, response.headers, response.content)
    assert list(answer) == ["success", "campaignId", "cost", "currency", "nbSms", "lang", "duration", "detail"]
    assert (answer["success"], answer["currency"], answer["nbSms"]) == (True, "EUR", 1)
    assert answer["detail"] == {
        "33": {
            "nbSms": 1,
            "cost_unity": answer["cost"],
            "cost": answer["cost"],
            "country_code": "fr",
            "duration": answer["duration"],
        }
    }


@pytest.mark.parametrize(("path", "fields"), [("/campaign/send", ["audioFile"]), ("/tts/send", ["lang", "duration"])])
def test_the_published_sample_of_a_recording_is_accepted_where_it_is_sent(
    then: Sandbox, session: requests.Session, path: str, fields: list[str]
) -> None:
    response = session.post(then.base_url + path, data=CURL_CAMPAIGN, headers=JSON, timeout=10)
    assert response.status_code == 200
    check_answer("POST", path, 200, response.headers, response.content)
    first, last = ["success", "campaignId", "cost", "currency", "nbSms"], ["detail"]
    assert list(response.json()) == [*first, *fields, *last]
    assert then.calls[-1].left_at is None


@pytest.mark.parametrize(("body", "code"), [(JAVA, 90), (CURL, "NOTIFY_URL_INVALID")])
def test_a_published_sample_that_cannot_work_gets_a_documented_refusal(
    then: Sandbox, session: requests.Session, body: str, code: object
) -> None:
    response = session.post(f"{then.base_url}/tts/send", data=body, headers=JSON, timeout=10)
    assert (response.status_code, response.json()["success"], response.json()["code"]) == (400, False, code)
    check_answer("POST", "/tts/send", 400, response.headers, response.content)


def test_a_campaign_s_whole_life_is_answered_as_described(then: Sandbox, session: requests.Session) -> None:
    def ask(method: str, form: str, path: str, body: object = None) -> requests.Response:
        response = session.request(method, then.base_url + path, json=body, timeout=10)
        check_answer(method, path, response.status_code, response.headers, response.content)
        check_request(method, path, response.request.headers, response.request.body)
        assert form in openapi.description()["paths"]
        return response

    sent = {"apiKey": "k", "phoneNumbers": "0600000000", "text": "Bonjour", "scheduledDate": "2024-04-10 14:15:00"}
    campaign = ask("POST", "/tts/send", "/tts/send", sent).json()["campaignId"]
    cancel = "/campaign/cancel/{apiKey}/{campaignId}"
    assert ask("DELETE", cancel, f"/campaign/cancel/k/{campaign}").status_code == 200
    assert ask("DELETE", cancel, f"/campaign/cancel/k/{campaign}").status_code == 403
    assert ask("DELETE", cancel, "/campaign/cancel/k/none").status_code == 404
    assert ask("GET", "/audios/{apiKey}", "/audios/k").status_code == 200
    assert [ask("GET", "/me/{apiKey}", "/me/k").status_code for _ in range(6)] == [200] * 5 + [429]


@pytest.mark.parametrize("key", sorted(SPECIAL_KEYS))
@pytest.mark.parametrize(("method", "path"), [("GET", "/audios/{}"), ("DELETE", "/campaign/cancel/{}/none")])
def test_every_account_error_is_described(
    then: Sandbox, session: requests.Session, key: str, method: str, path: str
) -> None:
    response = session.request(method, then.base_url + path.format(key), timeout=10)
    check_answer(method, path.format(key), response.status_code, response.headers, response.content)


MESSAGES: Final = st.builds(
    Message,
    text=st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip),
    audio=st.none() | st.just("sandbox-welcome"),
    lang=st.sampled_from(wire.LANGUAGES),
    speech_rate=st.decimals("0.5", "2", places=2),
    schedule=st.none() | st.datetimes(datetime(2027, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - strategies take naive bounds
)
NUMBERS: Final = st.lists(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True), min_size=1, max_size=500).map(tuple)
URLS: Final = st.none() | st.just("https://example.com/notify/0123.1/abc?x=1")


@settings(max_examples=50)
@given(message=MESSAGES, numbers=NUMBERS, url=URLS)
def test_every_voice_sms_that_we_write_is_described(
    message: Message, numbers: tuple[str, ...], url: str | None
) -> None:
    body = wire.request_for(message, numbers, api_key="k", notify_url=url).to_json()
    assert check_request("POST", "/tts/send", JSON, body) == "sendVoiceSms"


@settings(max_examples=50)
@given(message=MESSAGES, numbers=NUMBERS, url=URLS, email=st.none() | st.just("who@example.com"),
       sender=st.none() | st.just("+33611111111"))  # fmt: skip
def test_every_voicemail_that_we_write_is_described(
    message: Message, numbers: tuple[str, ...], url: str | None, email: str | None, sender: str | None
) -> None:
    spoken = Message(audio="sandbox-welcome", channel=Channel.VOICEMAIL, schedule=message.schedule)
    request = wire.request_for(spoken, numbers, api_key="k", notify_url=url, email=email, sender=sender)
    assert check_request("POST", "/campaign/send", JSON, request.to_json()) == "sendVoicemail"


def test_every_new_name_that_we_write_is_described() -> None:
    request = wire.RenameRequest(api_key="k", token_audio="t", filename="Rappel")  # noqa: S106 - no secret
    assert check_request("POST", wire.RENAME_PATH, JSON, request.to_json()) == "renameAudio"


class Recorder:
    """A server that keeps every request and passes none on: its answer is what the sandbox would say."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []

    def __enter__(self) -> Recorder:
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                recorder.requests.append((self.command, self.path, dict(self.headers), body))
                said = json.dumps({"success": False, "code": 90, "message": "none"}).encode()
                self.send_response(400)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            do_GET = do_POST = do_DELETE = answer  # noqa: N815 # http.server's names

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.base_url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def test_what_the_client_really_sends_is_described() -> None:
    messages = [
        Message(text="Bonjour", lang="en", speech_rate=Decimal("1.5"), schedule=NOW + timedelta(days=900)),
        Message(audio="sandbox-welcome"),
        Message(audio="sandbox-welcome", channel=Channel.VOICEMAIL),
    ]
    with Recorder() as recorder:
        provider = Provider(base_url=recorder.base_url, api_key="k/é", timeout=10)
        for message in messages:
            batch = Batch(id="b", run_id="r", ordinal=0, message=message, numbers=("+33600000000", "+32470000000"))
            provider.send(batch, notify_url="https://example.com/notify")
        provider.close()
    assert [check_request(*request) for request in recorder.requests] == ["sendVoiceSms"] * 2 + ["sendVoicemail"]


def test_what_the_client_really_asks_about_the_account_is_described() -> None:
    with Recorder() as recorder:
        account = Account(base_url=recorder.base_url, api_key="k/é", timeout=10)
        for ask in (account.credit, account.audios, lambda: account.rename("token", "Rappel")):
            with pytest.raises(GuardError):  # the recorder refuses everything
                ask()
        account.cancel("Ff1tbu0lax")
        account.close()
    operations = ["readCredit", "listAudios", "renameAudio", "cancelCampaign"]
    assert [check_request(*request) for request in recorder.requests] == operations


@pytest.mark.parametrize(
    ("method", "path", "headers", "body"),
    [
        ("GET", "/tts/send", {}, None),
        ("POST", "/elsewhere", JSON, "{}"),
        ("POST", "/tts/send", {}, '{"apiKey": "k", "phoneNumbers": "+33600000000", "text": "a"}'),
        ("POST", "/tts/send", JSON, "{"),
        ("POST", "/tts/send", JSON, '{"apiKey": "k", "phoneNumbers": "+33600000000"}'),
        ("POST", "/tts/send", JSON, '{"apiKey": "k", "phoneNumbers": "33600000000", "text": "a"}'),
        ("POST", "/tts/send", JSON, '{"apiKey": "k", "phoneNumbers": "+33600000000", "text": "a", "speechRate": 3}'),
        ("POST", "/tts/send", JSON, '{"apiKey": "k", "phoneNumbers": "+33600000000", "text": "a", "speed": "1"}'),
        ("POST", "/tts/send", JSON, '{"apiKey": "k", "phoneNumbers": "+33600000000", "text": "a", "idempotency": 1}'),
        ("POST", "/tts/send", JSON,
         '{"apiKey": "k", "phoneNumbers": "+33600000000", "text": "a", "scheduledDate": "01/03/2027 10:00"}'),
        ("POST", "/tts/send?apiKey=k", JSON, '{"apiKey": "k", "phoneNumbers": "+33600000000", "text": "a"}'),
        ("POST", "/campaign/send", JSON, '{"apiKey": "k", "phoneNumbers": "+33600000000", "text": "a"}'),
        ("POST", "/audio-file/rename", JSON, '{"apiKey": "k", "tokenAudio": "t", "filename": "ab"}'),
        ("GET", "/me/k", JSON, '{"apiKey": "k"}'),
    ],
)  # fmt: skip
def test_a_request_that_nobody_documents_is_told_apart(
    method: str, path: str, headers: dict[str, str], body: str | None
) -> None:
    with pytest.raises(Undescribed):
        check_request(method, path, headers, body)


@pytest.mark.parametrize("status", [204, 404])
def test_an_answer_that_nobody_documents_is_told_apart(status: int) -> None:
    with pytest.raises(Undescribed):
        check_answer("POST", "/tts/send", status, JSON, "{}")


def test_the_sandbox_calls_back_as_described() -> None:
    body = {"apiKey": "k", "phoneNumbers": "+33600000000,+33600000005,+33600000007,+33600000009"}
    with Recorder() as recorder, serve(callback_delay=0.0, callback_retries=(), clock=lambda: NOW) as sandbox:
        told = {"notifyUrl": recorder.base_url}
        voice = {**body, **told, "text": "Bonjour"}
        recorded = {**body, **told, "tokenAudio": "sandbox-welcome"}
        for path, sent in (("/tts/send", voice), ("/tts/send", recorded), ("/campaign/send", recorded)):
            assert requests.post(sandbox.base_url + path, json=sent, timeout=10).status_code == 200
        assert sandbox.wait_for_callbacks(10)
    voices = [said for method, _, _, said in recorder.requests if method == "POST"]
    (asked,) = [path for method, path, _, _ in recorder.requests if method == "GET"]
    assert len(voices) == 10
    for said in voices:
        check_voice_callback(said)
    check_voicemail_callback(dict(parse_qsl(urlsplit(asked).query)))


def test_every_endpoint_code_and_limit_that_we_know_is_described() -> None:
    described = openapi.description()
    forms = {form.replace("{apiKey}", "{key}").replace("{campaignId}", "{campaign}") for form in described["paths"]}
    known = {*wire.PATHS.values(), wire.CREDIT_PATH, wire.AUDIOS_PATH, wire.RENAME_PATH, wire.CANCEL_PATH}
    assert forms == known
    schemas = described["components"]["schemas"]
    for name, codes in {
        "AccountCode": wire.ACCOUNT_CODES,
        "RequestCode": wire.REQUEST_CODES,
        "NumberCode": wire.NUMBER_CODES,
    }.items():
        assert {str(code) for code in schemas[name]["enum"]} == set(codes)
    assert described["servers"][0]["url"] == wire.BASE_URL
    lengths = schemas["RenameRequest"]["properties"]["filename"]
    assert range(lengths["minLength"], lengths["maxLength"] + 1) == wire.AUDIO_NAME_LENGTHS
    assert f"{{0,{wire.NUMBERS_PER_REQUEST - 1}}}" in schemas["PhoneNumbers"]["pattern"]
