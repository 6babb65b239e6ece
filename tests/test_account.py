"""The account's endpoints against real sockets: every code of every endpoint, and the key in nothing that is said."""

from __future__ import annotations

import json
import logging
import traceback
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import pytest

from tests.test_provider import KEY, TIMEOUT, RawServer, http, reset, stall
from voicebatch import wire
from voicebatch.errors import AccountError, GuardError, VoicebatchError
from voicebatch.models import Batch, CancelOutcome, Credit, Message, Outcome
from voicebatch.provider import Account, Provider, RefusedLookup, Throttled, Unanswered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CREDIT: Final = '{"success": true, "credit": "19", "currency": "€", "details": {"voice": {"message": 10}}}'
AUDIOS: Final = json.dumps(
    {
        "nb_datas": 1,
        "datas": [
            {
                "name": "Vœux", "token": "tok", "size": "104.5Ko", "duration": "0:07",
                "created_at": {"date": "2018-04-16 13:26:46.000000", "timezone_type": 3, "timezone": "Europe/Paris"},
            }
        ],
    }
)  # fmt: skip
RENAMED: Final = '{"success": true, "filename": "Nouveau", "tokenAudio": "tok"}'
CANCELLED: Final = '{"success": true, "campaignId": "D572M", "assignedCredit": "1.8", "currency": "EUR"}'
QUOTED: Final = quote(KEY, safe="")


@pytest.fixture
def server() -> Iterator[RawServer]:
    started = RawServer()
    yield started
    started.close()


@pytest.fixture
def account(server: RawServer) -> Iterator[Account]:
    opened = Account(base_url=server.url, api_key=KEY, timeout=TIMEOUT)
    yield opened
    opened.close()


LOOKUPS: Final[dict[str, Callable[[Account], Any]]] = {
    "credit": Account.credit,
    "audios": Account.audios,
    "rename": lambda account: account.rename("tok", "Nouveau"),
}
ALL: Final[dict[str, Callable[[Account], Any]]] = {**LOOKUPS, "cancel": lambda account: account.cancel("D572M")}
OF_ACCOUNT: Final = sorted(wire.ACCOUNT_CODES)
OTHERS: Final = sorted({*wire.REQUEST_CODES, *wire.NUMBER_CODES, "404", "777", "NEW_WORD"})


def no(code: str, message: str = "non") -> str:
    return wire.write_error(code, message)


def first_line(server: RawServer) -> bytes:
    return server.requests[-1].splitlines()[0]


# What goes out and comes back


def test_the_credit(server: RawServer, account: Account) -> None:
    server.answers(http(200, CREDIT))
    assert account.credit() == Credit(amount=Decimal(19), currency="EUR", details={"voice": {"message": 10}})
    assert first_line(server) == f"GET /v1/me/{QUOTED} HTTP/1.1".encode()


def test_the_recordings(server: RawServer, account: Account) -> None:
    server.answers(http(200, AUDIOS))
    (file,) = account.audios()
    at = datetime(2018, 4, 16, 11, 26, 46, tzinfo=UTC)
    assert (file.token, file.name, file.size, file.duration) == ("tok", "Vœux", "104.5Ko", "0:07")
    assert file.created_at == at
    assert first_line(server) == f"GET /v1/audios/{QUOTED} HTTP/1.1".encode()


@pytest.mark.parametrize("zone", ["No/Such", "..", "/etc/passwd", ""])
def test_a_time_zone_that_there_is_not_costs_a_recording_nothing_but_its_time(
    server: RawServer, account: Account, zone: str
) -> None:
    server.answers(http(200, AUDIOS.replace("Europe/Paris", zone)))
    (file,) = account.audios()
    assert file.name == "Vœux"


def test_a_new_name(server: RawServer, account: Account) -> None:
    server.answers(http(200, RENAMED))
    assert account.rename("tok", "Nouveau") == "Nouveau"
    assert first_line(server) == b"POST /v1/audio-file/rename HTTP/1.1"
    assert server.body() == {"apiKey": KEY, "tokenAudio": "tok", "filename": "Nouveau"}


def test_a_cancelled_campaign(server: RawServer, account: Account) -> None:
    server.answers(http(200, CANCELLED))
    reply = account.cancel("D572M")
    assert (reply.outcome, reply.credit, reply.currency) == (CancelOutcome.CANCELLED, Decimal("1.8"), "EUR")
    assert first_line(server) == f"DELETE /v1/campaign/cancel/{QUOTED}/D572M HTTP/1.1".encode()


@pytest.mark.parametrize("campaign", ["a/b c", "é?x=1", "api-key", "a%2Fb"])
def test_a_campaign_s_id_stays_one_part_of_the_path(server: RawServer, account: Account, campaign: str) -> None:
    server.answers(http(200, CANCELLED.replace("D572M", campaign)))
    assert account.cancel(campaign).outcome is CancelOutcome.CANCELLED
    quoted = quote(campaign, safe="")
    assert first_line(server) == f"DELETE /v1/campaign/cancel/{QUOTED}/{quoted} HTTP/1.1".encode()


@pytest.mark.parametrize("campaign", ["..", "."])
def test_a_campaign_s_id_that_would_lead_elsewhere_is_not_asked_for(
    server: RawServer, account: Account, campaign: str
) -> None:
    with pytest.raises(Unanswered):
        account.cancel(campaign)
    assert not any(request.strip() for request in server.requests)


# Every code of every endpoint


@pytest.mark.parametrize("status", [200, 400, 401, 403])
@pytest.mark.parametrize("code", OF_ACCOUNT)
@pytest.mark.parametrize("ask", ALL)
def test_a_code_about_the_account_is_an_error_with_its_meaning(
    server: RawServer, account: Account, ask: str, code: str, status: int
) -> None:
    server.answers(http(status, no(code)))
    if ask == "cancel" and code == "10" and status != 401:
        assert account.cancel("D572M").outcome is CancelOutcome.TOO_LATE
        return
    with pytest.raises(AccountError) as raised:
        ALL[ask](account)
    assert wire.ACCOUNT_CODES[code] in raised.value.message
    assert raised.value.hint


@pytest.mark.parametrize("code", OTHERS)
@pytest.mark.parametrize("ask", LOOKUPS)
def test_another_code_refuses_the_look_up_alone(server: RawServer, account: Account, ask: str, code: str) -> None:
    server.answers(http(400, no(code, "parce que")))
    with pytest.raises(RefusedLookup) as raised:
        LOOKUPS[ask](account)
    assert raised.value.code == code
    assert wire.REQUEST_CODES.get(code, "parce que") in raised.value.message


@pytest.mark.parametrize("code", [*OTHERS, "400"])
@pytest.mark.parametrize("status", [200, 400, 404])
def test_another_code_leaves_a_campaign_where_it_is(
    server: RawServer, account: Account, code: str, status: int
) -> None:
    server.answers(http(status, no(code, "parce que")))
    reply = account.cancel("D572M")
    assert reply.outcome is CancelOutcome.REFUSED
    assert wire.CANCEL_CODES.get(code, "parce que") in reply.reason


def test_a_control_code_may_stand_in_the_status_alone(server: RawServer, account: Account) -> None:
    server.answers(http(404, '{"success": false, "message": "introuvable"}'))
    assert account.cancel("D572M").outcome is CancelOutcome.REFUSED
    server.answers(http(200, '{"code": 200}'))
    assert account.cancel("D572M").outcome is CancelOutcome.UNKNOWN


SEND_CODES: Final = {
    **dict.fromkeys(wire.ACCOUNT_CODES, Outcome.ACCOUNT),
    **dict.fromkeys({**wire.REQUEST_CODES, **wire.NUMBER_CODES}, Outcome.REFUSED),
}


@pytest.mark.parametrize("message", [Message(text="Bonjour"), replace(Message(audio="tok"), channel="voicemail")])  # type: ignore[arg-type]
@pytest.mark.parametrize("code", SEND_CODES)
def test_every_code_of_a_send_says_what_the_run_does(server: RawServer, message: Message, code: str) -> None:
    server.answers(http(400, no(code)))
    provider = Provider(base_url=server.url, api_key=KEY, timeout=TIMEOUT)
    reply = provider.send(Batch(id="b", run_id="r", ordinal=0, message=message, numbers=("+33600000000",)))
    provider.close()
    assert (reply.outcome, reply.code) == (SEND_CODES[code], code)
    assert reply.about_number == (code in wire.NUMBER_CODES)


# What is no answer


@pytest.mark.parametrize(
    "answer",
    [
        http(200, "<html>It works!</html>"),
        http(200, "[]"),
        http(200, '{"success": true, "success": false}'),
        http(302, CREDIT, "Location: /elsewhere"),
        http(404, "<html>Not Found</html>"),
        http(500, CREDIT),
        http(501, ""),
        b"",
        b"nonsense\r\n\r\n",
    ],
)
@pytest.mark.parametrize("ask", ALL)
def test_what_cannot_be_read_is_no_answer(server: RawServer, account: Account, ask: str, answer: bytes) -> None:
    server.answers(answer)
    if ask == "cancel":
        reply = account.cancel("D572M")
        assert reply.outcome is CancelOutcome.UNKNOWN
        assert reply.reason
        return
    with pytest.raises(Unanswered) as raised:
        LOOKUPS[ask](account)
    assert "asking again does no harm" in raised.value.hint


@pytest.mark.parametrize("ask", ALL)
@pytest.mark.parametrize("act", [reset, stall])
def test_a_lost_answer(server: RawServer, account: Account, ask: str, act: Any) -> None:
    server.act = act
    if ask == "cancel":
        assert account.cancel("D572M").outcome is CancelOutcome.UNKNOWN
        return
    with pytest.raises(Unanswered) as raised:
        LOOKUPS[ask](account)
    assert not raised.value.is_over


@pytest.mark.parametrize("ask", ALL)
def test_a_provider_that_cannot_be_reached_was_not_asked(ask: str) -> None:
    gone = RawServer()
    gone.close()
    account = Account(base_url=gone.url, api_key=KEY, timeout=TIMEOUT)
    with pytest.raises(Unanswered) as raised:
        ALL[ask](account)
    assert raised.value.is_over


def test_a_yes_about_another_campaign_is_none(server: RawServer, account: Account) -> None:
    server.answers(http(200, CANCELLED))
    assert account.cancel("other").outcome is CancelOutcome.UNKNOWN


def test_a_look_up_that_stood_still_is_not_written(server: RawServer, account: Account) -> None:
    server.answers(http(200, CREDIT))
    with pytest.raises(Unanswered):
        account.credit(lease_seconds=0.0)
    assert not any(request.strip() for request in server.requests)


@pytest.mark.parametrize("ask", ALL)
@pytest.mark.parametrize(
    ("status", "header", "seconds"), [(429, "Retry-After: 7", 7), (503, "Retry-After: 9", 9), (429, "X-A: b", 30)]
)
def test_a_wait_is_told_with_its_length(
    server: RawServer, account: Account, ask: str, status: int, header: str, seconds: float
) -> None:
    server.answers(http(status, "", header))
    with pytest.raises(Throttled) as raised:
        ALL[ask](account)
    assert raised.value.wait_seconds == seconds


# The key

ECHOES: Final = [
    KEY,
    json.dumps(KEY)[1:-1],
    json.dumps(KEY)[1:-1].replace("/", r"\/"),
    QUOTED,
    QUOTED.lower(),
    quote(KEY),
]


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize("ask", ALL)
def test_an_answer_that_repeats_the_key_tells_nobody(
    server: RawServer, account: Account, ask: str, echo: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said = [ask]
    for status, code in ((401, "10"), (400, "404"), (400, f"x{echo}")):
        server.answers(http(status, no(code, f"/me/{echo} is wrong"), f"Location: /me/{QUOTED}"))
        try:
            said.append(repr(ALL[ask](account)))
        except VoicebatchError as error:
            said += [error.hint, *_chained(error)]
    assert_unsaid(*said, caplog.text, repr(account))


@pytest.mark.parametrize("ask", ALL)
@pytest.mark.parametrize("act", [reset, stall])
def test_what_fails_on_the_way_tells_nobody_the_key(
    server: RawServer, account: Account, ask: str, act: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.act = act
    try:
        ALL[ask](account)
    except GuardError as error:
        assert_unsaid(*_chained(error))
    assert_unsaid(caplog.text)


def _chained(error: BaseException) -> list[str]:
    """All that anybody could print of it, what it came from included."""
    before = error.__cause__ or error.__context__
    own = ["".join(traceback.format_exception(error)), repr(error), repr(error.args)]
    return [*own, *(_chained(before) if before else [])]


def assert_unsaid(*texts: str) -> None:
    for text in texts:
        assert not [spelling for spelling in ECHOES if spelling in text], text
