"""What stands on the wire, read as the provider writes it: callbacks, their addresses, and the account's answers."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebatch import wire
from voicebatch.models import AudioFile, Callback, Cancellation, Channel, Credit, Delivery

SECRET: Final = b"s" * wire.SECRET_BYTES
ATTEMPT: Final = f"{'0123456789ab' * 2}.1"
SAMPLE: Final = {
    "campaignId": "XHa7GXvhy6zkhQEf4HtHG", "status": "delivered", "additionnal_status": "VOICE_ANSWERED",
    "phoneNumber": "0033600000000", "sendAt": "2026-01-13 11:35:00", "doneAt": "2026-01-13 11:35:12", "duration": 6,
    "audioFileComplementaire": {"status": "Deposit"},
}  # fmt: skip
attempts: Final = st.builds("{}.{}".format, st.from_regex(r"[0-9a-f]{24}", fullmatch=True), st.integers(1, 99_999_999))


def read(**changes: Any) -> Callback:
    return wire.read_voice_callback(json.dumps({**SAMPLE, **changes}), attempt_id=ATTEMPT)


# The address


@given(attempts, st.sampled_from(["https://me.example", "https://me.example/a/b/", "http://127.0.0.1:87/x?token=1"]))
def test_an_address_leads_back_to_its_attempt_whatever_a_proxy_puts_before_it(attempt: str, base: str) -> None:
    url = wire.callback_url(base, attempt, SECRET)
    path = url.partition("://")[2].partition("/")[2].partition("?")[0]
    for came in (f"/{path}", f"/behind/{path}", f"/{path}/"):
        assert wire.attempt_of(came, SECRET) == attempt
    assert url.endswith("?token=1") == base.endswith("?token=1")


@given(attempts, attempts)
def test_a_code_opens_no_other_attempt_and_no_other_ledger(attempt: str, other: str) -> None:
    code = wire.callback_url("https://me.example", attempt, SECRET).rpartition("/")[2]
    assert wire.attempt_of(f"/{attempt}/{code}", b"t" * wire.SECRET_BYTES) is None
    assert (wire.attempt_of(f"/{other}/{code}", SECRET) is None) == (other != attempt)


@pytest.mark.parametrize(
    "path", ["", "/", "/a", "/a/b", f"/{ATTEMPT}", f"/{ATTEMPT}/", f"/{ATTEMPT}/{'0' * 32}", "/é/\0"]
)
def test_what_is_no_address_of_ours_leads_nowhere(path: str) -> None:
    assert wire.attempt_of(path, SECRET) is None


# A voice SMS


def test_the_documented_callback_is_read() -> None:
    assert read() == Callback(
        attempt_id=ATTEMPT,
        channel=Channel.VOICE_SMS,
        campaign_id="XHa7GXvhy6zkhQEf4HtHG",
        number="+33600000000",
        status=Delivery.DELIVERED,
        answered=True,
        sent_at=datetime(2026, 1, 13, 10, 35, tzinfo=UTC),
        done_at=datetime(2026, 1, 13, 10, 35, 12, tzinfo=UTC),
        seconds=Decimal(6),
        body=json.dumps(SAMPLE),
    )


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ("0033600000000", "+33600000000"),
        ("+33600000000", "+33600000000"),
        ("33600000000", "+33600000000"),
        ("0600000000", "+33600000000"),
        ("06 00 00 00 00", "+33600000000"),
        (33600000000, "+33600000000"),
        ("004930123456", "+4930123456"),
        ("", ""),
        (None, ""),
    ],
)
def test_a_number_in_any_form_is_the_same(said: object, number: str) -> None:
    assert read(phoneNumber=said).number == number


@pytest.mark.parametrize(
    ("field", "value", "name", "expected"),
    [
        ("status", "PENDING ", "status", Delivery.PENDING),
        ("status", "lost", "status", None),
        ("status", None, "status", None),
        ("additionnal_status", "VOICE_NOT_ANSWERED", "answered", False),
        ("additionnal_status", "VOICE_MAILBOX", "answered", None),
        ("duration", None, "seconds", None),
        ("duration", "6.3", "seconds", Decimal("6.3")),
        ("doneAt", "", "done_at", None),
        ("doneAt", "0001-01-01 00:00:00", "done_at", None),
        ("doneAt", "9999-12-31 23:59:59-14:00", "done_at", None),
        ("doneAt", "2026-07-13 11:35:12", "done_at", datetime(2026, 7, 13, 9, 35, 12, tzinfo=UTC)),
    ],
)
def test_what_is_missing_or_not_documented_is_left_open(field: str, value: object, name: str, expected: object) -> None:
    assert getattr(read(**{field: value}), name) == expected


@pytest.mark.parametrize(
    "body", ["", "[]", "nonsense", "{}", '{"campaignId": ""}', '{"campaignId": "a", "campaignId": "b"}']
)
def test_what_names_no_campaign_is_no_callback(body: str) -> None:
    with pytest.raises(wire.UnreadableAnswer):
        wire.read_voice_callback(body, attempt_id=ATTEMPT)


def test_a_callback_that_is_written_is_read_again() -> None:
    callback = read(audioFileComplementaire=None)
    written = wire.write_voice_callback(callback)
    again = wire.read_voice_callback(written, attempt_id=ATTEMPT)
    assert replace(again, body="") == replace(callback, body="")


# Voicemail


@pytest.mark.parametrize("base", ["https://me.example/n", "https://me.example/n?token=1"])
def test_a_voicemail_callback_comes_back_as_it_was_written(base: str) -> None:
    told = Callback(attempt_id=ATTEMPT, channel=Channel.VOICEMAIL, campaign_id="C1", delivered=3, total=5)
    url = wire.voicemail_callback_url(wire.callback_url(base, ATTEMPT, SECRET), told, token="a&b")  # noqa: S106
    path, _, query = url.removeprefix("https://me.example").partition("?")
    assert wire.attempt_of(path, SECRET) == ATTEMPT
    again = wire.read_voicemail_callback(query, attempt_id=ATTEMPT)
    assert (again.campaign_id, again.delivered, again.total) == ("C1", 3, 5)


def test_a_provider_that_appends_a_second_question_mark_is_understood() -> None:
    query = "token=1?campaign_token=t&campaign_id=C1&delivered_quantity=1&total_quantity=2"
    again = wire.read_voicemail_callback(query, attempt_id=ATTEMPT)
    assert (again.campaign_id, again.delivered, again.total) == ("C1", 1, 2)


# The account


def test_the_documented_credit_is_read_also_without_success() -> None:
    body = '{"credit": "19", "currency": "€", "details": {"tts": {"h": 5, "m": 55, "s": 66}}}'
    credit = wire.read_credit(body)
    assert credit == Credit(amount=Decimal(19), currency="EUR", details={"tts": {"h": 5, "m": 55, "s": 66}})
    assert wire.read_credit(wire.write_credit(credit)) == credit


@pytest.mark.parametrize("said", ["a lot", "", None, True, [], "1e5000"])
def test_a_credit_that_is_no_figure_is_not_taken_for_none(said: object) -> None:
    with pytest.raises(wire.UnreadableAnswer):
        wire.read_credit(json.dumps({"success": True, "credit": said, "currency": "€"}))


def test_the_documented_recordings_are_read() -> None:
    body = (
        '{"nb_datas": 58, "datas": [{"name": "Accueil", "token": "t1", "size": "104.5Ko", "duration": "0:07", '
        '"created_at": {"date": "2018-04-16 13:26:46.000000", "timezone_type": 3, "timezone": "Europe/Paris"}}]}'
    )
    at = datetime(2018, 4, 16, 11, 26, 46, tzinfo=UTC)
    files: Any = wire.read_audios(body)
    assert files == (AudioFile(token="t1", name="Accueil", size="104.5Ko", duration="0:07", created_at=at),)  # noqa: S106
    assert wire.read_audios(wire.write_audios(files)) == files


def test_the_documented_cancellation_is_read() -> None:
    body = '{"success": true, "campaignId": "D572M", "assignedCredit": "1.8", "currency": "EUR"}'
    cancelled = wire.read_cancellation(body)
    assert cancelled == Cancellation(campaign_id="D572M", credit=Decimal("1.8"), currency="EUR")
    assert wire.read_cancellation(wire.write_cancellation(cancelled)) == cancelled


@pytest.mark.parametrize("read_it", [wire.read_credit, wire.read_audios, wire.read_cancellation, wire.read_renamed])
def test_a_no_is_its_code_and_its_words(read_it: Any) -> None:
    assert read_it('{"success": false, "code": 10, "message": "no"}') == ("10", "no")
    assert read_it('{"success": false, "code": "NOT_CREDIT", "error": "none"}') == ("NOT_CREDIT", "none")
    with pytest.raises(wire.UnreadableAnswer):
        read_it("{}")
