"""The sandbox's faults, as a real client meets them."""

from __future__ import annotations

import http.client
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from voicebatch.errors import UsageError
from voicebatch.models import Batch, Message, Outcome
from voicebatch.provider import Provider
from voicebatch.sandbox import FaultKind, Sandbox, serve
from voicebatch.sandbox.faults import AFTER, BEFORE, SECONDS, Fault, Faults, Target

if TYPE_CHECKING:
    from collections.abc import Iterator

BODY: Final[dict[str, Any]] = {"apiKey": "any", "phoneNumbers": "0600000000,0600000001", "text": "Bonjour"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with serve() as served:
        yield served


def post(sandbox: Sandbox, path: str = "/tts/send") -> requests.Response:
    return requests.post(sandbox.base_url + path, json=BODY, timeout=10)


def admin(sandbox: Sandbox, method: str, body: str | None = None) -> requests.Response:
    address = sandbox.base_url.removesuffix("/v1") + "/sandbox/faults"
    return requests.request(method, address, data=body, timeout=10)


@pytest.mark.parametrize(("fault", "called"), [("lost-before:1x", 0), ("lost-after:1x", 2)])
def test_a_lost_answer_is_a_closed_connection_without_a_byte(sandbox: Sandbox, fault: str, called: int) -> None:
    before = len(sandbox.calls)
    sandbox.set_faults(fault)
    connection = http.client.HTTPConnection(urlsplit(sandbox.base_url).netloc, timeout=10)
    connection.request("POST", "/v1/tts/send", requests.Request("POST", "http://x", json=BODY).prepare().body)
    with pytest.raises(http.client.RemoteDisconnected):
        connection.getresponse()
    connection.close()
    assert len(sandbox.calls) - before == called
    assert (sandbox.requests[-1].status, sandbox.requests[-1].fault) == (0, fault.removesuffix(":1x"))
    assert post(sandbox).status_code == 200


@pytest.mark.parametrize(("fault", "status", "called"), [("error-before:1x", 503, 0), ("error-after:1x", 500, 2)])
def test_an_error_of_the_server_is_no_json(sandbox: Sandbox, fault: str, status: int, called: int) -> None:
    before = len(sandbox.calls)
    sandbox.set_faults(fault)
    answer = post(sandbox)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "text/html")
    assert len(sandbox.calls) - before == called


def test_a_garbled_answer_is_a_200_that_nobody_can_read(sandbox: Sandbox) -> None:
    before = len(sandbox.calls)
    sandbox.set_faults("garbled:1x")
    answer = post(sandbox)
    assert answer.status_code == 200
    with pytest.raises(requests.exceptions.JSONDecodeError):
        answer.json()
    assert len(sandbox.calls) - before == 2


def test_a_slow_answer_is_acted_on_and_comes_later(sandbox: Sandbox) -> None:
    before = len(sandbox.calls)
    sandbox.set_faults("slow:1x:30s")
    with pytest.raises(requests.ReadTimeout):
        requests.post(f"{sandbox.base_url}/tts/send", json=BODY, timeout=0.5)
    assert len(sandbox.calls) - before == 2
    sandbox.set_faults("slow:1x:0.1s")
    assert post(sandbox).elapsed.total_seconds() >= 0.1


def test_a_storm_of_429_calls_nobody_and_says_how_long_to_wait(sandbox: Sandbox) -> None:
    before = len(sandbox.calls)
    sandbox.set_faults("throttled:3x:2s")
    answers = [post(sandbox) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [429, 429, 429, 200]
    assert [answer.headers.get("Retry-After") for answer in answers] == ["2", "2", "2", None]
    assert answers[0].json()["code"] == 429
    assert len(sandbox.calls) - before == 2


def test_a_short_count_leaves_the_last_number_out_of_everything(sandbox: Sandbox) -> None:
    credit = sandbox.credit
    sandbox.set_faults("short-count:1x")
    answer = post(sandbox).json(parse_float=Decimal)
    assert (answer["nbSms"], answer["detail"]["33"]["nbSms"]) == (1, 1)
    assert credit - sandbox.credit == answer["cost"] == answer["detail"]["33"]["cost"]
    assert [call.number for call in sandbox.calls][-1] == "+33600000000"


def test_the_first_fault_of_the_list_has_its_turn_first(sandbox: Sandbox) -> None:
    sandbox.set_faults("throttled:2x", "error-after:1x")
    assert [post(sandbox).status_code for _ in range(4)] == [429, 429, 500, 200]
    assert sandbox.faults == ()


@pytest.mark.parametrize("path", ["/me/any", "/audios/any"])
def test_faults_are_kept_for_the_requests_that_call_people(sandbox: Sandbox, path: str) -> None:
    sandbox.set_faults("error-before:1x")
    assert requests.get(sandbox.base_url + path, timeout=10).status_code == 200
    assert sandbox.faults == ("error-before:1x",)


@pytest.mark.parametrize(
    ("method", "path", "target"),
    [
        ("GET", "/me/any", "credit"),
        ("GET", "/audios/any", "audios"),
        ("DELETE", "/campaign/cancel/any/none", "cancel"),
        ("POST", "/audio-file/rename", "rename"),
    ],
)
def test_another_endpoint_has_a_fault_when_it_is_named(sandbox: Sandbox, method: str, path: str, target: str) -> None:
    sandbox.set_faults(f"error-before@{target}:1x")
    assert post(sandbox).status_code == 200
    answers = [requests.request(method, sandbox.base_url + path, json={}, timeout=10) for _ in range(2)]
    assert answers[0].status_code == 503 != answers[1].status_code


def test_a_cancellation_whose_answer_is_lost_was_made(sandbox: Sandbox) -> None:
    scheduled = {**BODY, "scheduledDate": "2099-01-01 10:00:00"}
    campaign = requests.post(f"{sandbox.base_url}/tts/send", json=scheduled, timeout=10).json()["campaignId"]
    sandbox.set_faults("lost-after@cancel:1x")
    with pytest.raises(requests.ConnectionError):
        requests.delete(f"{sandbox.base_url}/campaign/cancel/any/{campaign}", timeout=10)
    assert sandbox.calls[-1].cancelled


def test_faults_are_given_replaced_shown_and_cleared_over_http(sandbox: Sandbox) -> None:
    assert admin(sandbox, "POST", '["throttled:2x", "slow:0.5:3s"]').json() == ["throttled:2x", "slow:0.5:3s"]
    assert post(sandbox).status_code == 429
    assert admin(sandbox, "GET").json() == ["throttled:1x", "slow:0.5:3s"]
    assert admin(sandbox, "POST", '["garbled:1x"]').json() == ["garbled:1x"]
    assert admin(sandbox, "DELETE").json() == list(sandbox.faults) == []
    assert post(sandbox).status_code == 200


@pytest.mark.parametrize("body", ["", "{", "{}", "[1]", '["explosion"]', '["slow:2"]'])
def test_what_is_no_list_of_faults_is_said_and_changes_nothing(sandbox: Sandbox, body: str) -> None:
    sandbox.set_faults("garbled:7x")
    answer = admin(sandbox, "POST", body)
    assert (answer.status_code, answer.json()["success"], bool(answer.json()["message"])) == (400, False, True)
    assert sandbox.faults == ("garbled:7x",)


def test_a_share_strikes_the_same_requests_for_the_same_seed() -> None:
    def struck(seed: int) -> list[int]:
        with serve(faults=["throttled:0.5"], seed=seed) as sandbox:
            return [post(sandbox).status_code for _ in range(20)]

    first = struck(1)
    assert set(first) == {200, 429}
    assert first == struck(1)
    assert first != struck(2)


def test_the_client_takes_every_fault_for_what_it_is(sandbox: Sandbox) -> None:
    patient, impatient = (Provider(base_url=sandbox.base_url, api_key="any", timeout=timeout) for timeout in (10, 0.2))
    batch = Batch(id="b", run_id="r", ordinal=0, message=Message(text="Bonjour"), numbers=("+33600000000",))
    outcomes = {
        "lost-before": Outcome.UNKNOWN,
        "lost-after": Outcome.UNKNOWN,
        "error-before": Outcome.UNKNOWN,
        "error-after": Outcome.UNKNOWN,
        "garbled": Outcome.UNKNOWN,
        "slow": Outcome.UNKNOWN,
        "throttled": Outcome.THROTTLED,
    }
    for fault, outcome in outcomes.items():
        sandbox.set_faults(f"{fault}:1x")
        provider = impatient if fault == "slow" else patient
        assert (fault, provider.send(batch).outcome) == (fault, outcome)
    assert patient.send(batch).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize(
    "text",
    ["", "explosion", "lost-after:", "lost-after:2", "lost-after:-0.1", "lost-after:nan", "throttled:0x",
     "throttled:-1x", "lost-after:1x:3s", "slow:3s:1x", "slow:1x:2:3s", "garbled:0.1:0.2",
     "garbled@", "garbled@moon", "short-count@cancel"],
)  # fmt: skip
def test_what_is_no_fault_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError) as error:
        Fault.parse(text)
    assert error.value.hint


def test_a_fault_may_last_without_saying_how_often() -> None:
    assert Fault.parse("slow:2m") == Fault(kind=FaultKind.SLOW, seconds=120.0)


@given(
    kind=st.sampled_from(FaultKind),
    target=st.sampled_from(Target),
    count=st.none() | st.integers(1, 1000),
    percent=st.integers(0, 100),
    seconds=st.integers(1, 3600),
)
def test_a_fault_that_was_written_is_read_back_the_same(
    kind: FaultKind, target: Target, count: int | None, percent: int, seconds: int
) -> None:
    fault = Fault(
        kind=kind,
        target=target if kind in BEFORE | AFTER else Target.SEND,
        share=percent / 100 if count is None else 1.0,
        count=count,
        seconds=float(seconds) if kind in SECONDS else 0.0,
    )
    assert Fault.parse(str(fault)) == fault


@given(count=st.integers(1, 20), draws=st.integers(0, 40))
def test_a_count_strikes_that_often_and_then_never_again(count: int, draws: int) -> None:
    faults = Faults([Fault(kind=FaultKind.GARBLED, count=count)])
    struck = [faults.first(frozenset({FaultKind.GARBLED})) is not None for _ in range(draws)]
    assert struck == [True] * min(count, draws) + [False] * max(0, draws - count)
