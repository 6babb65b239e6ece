"""What goes over the wire: the message's options, a row's own settings, and cells that are data whatever they hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.desk import API_KEY, Desk, Result, number
from tests.cli.provider import Provider, has_audios, provide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A command, and the bodies that arrived by number."""

    desk: Desk
    result: Result
    provider: Provider

    def body(self, at: int) -> dict[str, Any]:
        (body,) = (request.body for request in self.provider.requests if number(at) in request.numbers)
        return {name: value for name, value in body.items() if name not in {"apiKey", "phoneNumbers"}}


OWN_SETTINGS = [
    ("nom", "telephone", "Lang", "Speech rate", "scheduled_date", "AUDIO_TOKEN"),
    ("A", number(2), "", "", "", ""),
    ("B", number(3), "es", "", "", ""),
    ("C", number(4), "", "0.75", "", ""),
    ("D", number(5), "", "", "01/03/2033 09:00", ""),
    ("E", number(6), "", "", "2033-07-01T09:00:00+00:00", ""),
    ("F", number(7), "", "", "", "tok-1"),
    ("G", number(8), "", "3", "", ""),
    ("H", number(9), "", "", "2020-01-01 09:00", ""),
    ("I", number(10), "", "", "2033-02-30 09:00", ""),
    ("J", number(11), "klingon", "", "", ""),
]


@pytest.fixture(scope="module")
def own(new_desk: Callable[..., Desk]) -> Iterator[Sent]:
    desk = new_desk()
    desk.write("people.csv", OWN_SETTINGS)
    desk.write("message.j2", "Bonjour\n{{ nom }} !\n")
    with provide() as provider:
        provider.account["/v1/audios/"] = has_audios("tok-1")
        result = desk.run(
            "send", "people.csv", "--template", "message.j2", "--lang", "en", "--speech-rate", "1.5",
            "--schedule", "2032-03-01 09:00", "--notify-url", "https://example.org/callback", "--max-invalid", "4",
            "--base-url", provider.base_url, "--yes", "--json",
        )  # fmt: skip
        yield Sent(desk=desk, result=result, provider=provider)


def test_the_options_of_the_message_arrive(own: Sent) -> None:
    assert own.result.code == 0
    body = own.body(2)
    assert body.pop("notifyUrl").startswith("https://example.org/callback/")  # each request has its own below it
    assert body == {
        "text": "Bonjour A !",
        "lang": "en",
        "speechRate": 1.5,
        "scheduledDate": "2032-03-01 09:00:00",
    }
    assert {request.path for request in own.provider.requests} == {"/v1/tts/send"}
    assert {request.body["apiKey"] for request in own.provider.requests} == {API_KEY}


def test_a_row_s_own_settings_override_those_of_the_run(own: Sent) -> None:
    assert own.body(3)["lang"] == "es"
    assert own.body(4)["speechRate"] == 0.75
    assert own.body(5)["scheduledDate"] == "2033-03-01 09:00:00"
    assert own.body(6)["scheduledDate"] == "2033-07-01 11:00:00"
    assert own.body(7)["tokenAudio"] == "tok-1"
    assert "text" not in own.body(7)


def test_settings_that_cannot_be_reject_their_row_and_say_why(own: Sent) -> None:
    lines = own.desk.recipients(own.result.json["report_dir"])
    assert [line["status"] for line in lines.values()] == ["accepted"] * 6 + ["rejected"] * 4
    columns = {
        int(line["row"]): line["column"] for line in own.desk.table(own.result.json["report_dir"], "rejected.csv")
    }
    assert columns == {8: "Speech rate", 9: "scheduled_date", 10: "scheduled_date", 11: "Lang"}


CELLS = (
    "Nom,Téléphone ,Note\r\n"
    "Zoé,04 65 71 00 02,x\r\n"
    "\r\n"
    ",,\r\n"
    '"Jean\nPaul",04-65-71-00-05,x\r\n'
    "{{ 7*7 }},(0)4.65.71.00.06,x\r\n"
    ",0465710007,=1+1\r\n"
    "Zoé,+33 4 65 71 00 02,the same in another spelling\r\n"
    "Zoé ter,tel:+33465710002,the same number another message\r\n"
    "Ann,465710010,a zero that Excel ate\r\n"
    'Bob,3.36E+10,"@SUM(A1)"\r\n'
    '"=HYPERLINK(""http://x"")",00 33 4 65 71 00 12,+33600000000\r\n'
    "{% raw %}{{ nom }}{% endraw %},'0465710013,x\r\n"
)


@pytest.fixture(scope="module")
def cells(new_desk: Callable[..., Desk]) -> Iterator[Sent]:
    desk = new_desk()
    desk.write("people.csv", CELLS)
    with provide() as provider:
        result = desk.run("send", "people.csv", "--text", "Bonjour {{ nom }}, {{ row['Nom'] }}", "--max-invalid", "20%",
                          "--base-url", provider.base_url, "--yes", "--json")  # fmt: skip
        yield Sent(desk=desk, result=result, provider=provider)


def test_rows_have_the_numbers_of_the_spreadsheet_and_blank_ones_are_none(cells: Sent) -> None:
    assert cells.result.code == 0
    statuses = {row: line["status"] for row, line in cells.desk.recipients(cells.result.json["report_dir"]).items()}
    assert statuses == {
        2: "accepted", 5: "accepted", 6: "accepted", 7: "rejected", 8: "suppressed", 9: "accepted", 10: "accepted",
        11: "rejected", 12: "accepted", 13: "accepted",
    }  # fmt: skip
    assert cells.result.json["rows"]["total"] == 10


def test_a_duplicate_in_another_spelling_names_the_row_that_is_kept(cells: Sent) -> None:
    assert "row 2" in cells.desk.recipients(cells.result.json["report_dir"])[8]["reason"]


def test_a_number_with_two_messages_is_called_twice(cells: Sent) -> None:
    texts = [request.body["text"] for request in cells.provider.requests if number(2) in request.numbers]
    assert texts == ["Bonjour Zoé, Zoé", "Bonjour Zoé ter, Zoé ter"]
    assert cells.provider.called.count(number(2)) == 2


def test_every_spelling_of_a_number_is_understood(cells: Sent) -> None:
    assert set(cells.provider.called) == {number(at) for at in (2, 5, 6, 10, 12, 13)}


def test_cells_are_data_and_template_syntax_in_them_is_never_run(cells: Sent) -> None:
    assert cells.body(6)["text"] == "Bonjour {{ 7*7 }}, {{ 7*7 }}"
    assert cells.body(12)["text"] == 'Bonjour =HYPERLINK("http://x"), =HYPERLINK("http://x")'
    assert cells.body(13)["text"].startswith("Bonjour {% raw %}{{ nom }}")
    assert cells.body(5)["text"] == "Bonjour Jean Paul, Jean Paul"


def test_without_options_only_what_must_be_is_sent(cells: Sent) -> None:
    assert set(cells.body(10)) <= {"text", "lang"}


def test_rejected_rows_come_back_as_they_were_with_formulas_made_harmless(cells: Sent) -> None:
    lines = cells.desk.table(cells.result.json["report_dir"], "rejected.csv")
    assert list(lines[0]) == ["Nom", "Téléphone ", "Note", "file", "row", "column", "check", "reason"]
    seven, eleven = lines
    assert (seven["row"], seven["column"], seven["Téléphone "], seven["Note"]) == ("7", "Nom", "0465710007", "'=1+1")
    assert (eleven["row"], eleven["Téléphone "], eleven["Note"]) == ("11", "3.36E+10", "'@SUM(A1)")
    assert all(line["reason"] and line["check"] and line["file"] == "people.csv" for line in lines)


def test_numbers_stay_as_they_are_in_the_recipients(cells: Sent) -> None:
    assert cells.desk.recipients(cells.result.json["report_dir"])[12]["phone"] == number(12)
