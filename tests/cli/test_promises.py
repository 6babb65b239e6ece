"""What the whole is for: everyone once, exact costs, and nobody called again by a copy, a crash or a second try."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from tests.cli.desk import ROW_KEYS, SUMMARY_KEYS, Desk, Result, number
from tests.cli.provider import sends
from voicebatch.sandbox import Sandbox, serve
from voicebatch.sandbox.rules import prices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


TEXT = "Bonjour à {{ ville }}"
COUNTRY_COLUMNS = [
    "run_id", "calling_code", "country_code", "country", "currency", "requests", "messages", "unit_cost_min",
    "unit_cost_max", "cost", "message_seconds", "total_seconds", "delivered", "undelivered", "pending",
]  # fmt: skip
RECIPIENT_COLUMNS = [
    "file", "row", "phone", "status", "reason", "run_id", "batch_id", "campaign_id", "calling_code", "accepted_at",
    "delivery",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Story:
    """700 rows sent, sent again, sent as a copy with the rows reversed, planned, and reported again."""

    desk: Desk
    sandbox: Sandbox
    numbers: list[str]
    first: Result
    again: Result
    calls_after_first: int
    reversed: Result
    plan: Result
    report: Result
    runs: Result
    show: Result


@pytest.fixture(scope="module")
def story(new_desk: Callable[..., Desk]) -> Iterator[Story]:
    numbers = [number(at) for at in range(600)] + [f"+44113496{at:04d}" for at in range(100)]
    cities = [("Lyon", "Bron")[at % 2] for at in range(700)]
    rows = list(zip(cities, numbers, strict=True))
    desk = new_desk()
    desk.write("people.csv", [("Ville", "Téléphone"), *rows])
    desk.write("copy.csv", [("Ville", "Téléphone"), *reversed(rows)])
    with serve() as sandbox:
        common = ("--text", TEXT, "--base-url", sandbox.base_url, "--json")
        first = desk.run("send", "people.csv", *common, "--yes")
        calls = len(sandbox.calls)
        yield Story(
            desk=desk,
            sandbox=sandbox,
            numbers=numbers,
            first=first,
            calls_after_first=calls,
            again=desk.run("send", "people.csv", *common, "--yes"),
            reversed=desk.run("send", "copy.csv", *common, "--yes"),
            plan=desk.run("plan", "people.csv", *common),
            report=desk.run("report", "latest", "--out", "again", "--json"),
            runs=desk.run("runs", "--json"),
            show=desk.run("runs", "show", first.json["run_id"][:5]),
        )


def test_700_rows_with_two_texts_are_two_requests_and_everyone_is_called_once(story: Story) -> None:
    assert story.first.code == 0
    requests = sends(story.sandbox)
    assert [(request.outcome, request.numbers) for request in requests] == [("accepted", 350)] * 2
    assert Counter(call.number for call in story.sandbox.calls) == Counter(story.numbers)
    texts = {call.number: call.text for call in story.sandbox.calls}
    assert [texts[one] for one in story.numbers[:2]] == ["Bonjour à Lyon", "Bonjour à Bron"]


def test_the_summary_has_every_documented_key_and_counts_what_happened(story: Story) -> None:
    summary = story.first.json
    assert set(summary) == SUMMARY_KEYS
    assert summary["rows"] == dict.fromkeys(ROW_KEYS, 0) | {"total": 700, "accepted": 700}
    assert summary["requests"] == {
        "planned": 2, "sent": 2, "accepted": 2, "refused": 0, "unknown": 0, "retried": 0,
    }  # fmt: skip
    assert summary["status"] == "complete"
    assert [(line["calling_code"], line["country_code"], line["messages"]) for line in summary["countries"]] == [
        ("33", "FR", 600),
        ("44", "GB", 100),
    ]


def test_the_costs_are_those_of_the_server_to_the_last_decimal(story: Story) -> None:
    french, british = (prices()[code].unit_cost for code in ("33", "44"))
    summary = story.first.json
    assert Decimal(summary["cost"]) == 600 * french + 100 * british
    lines = {line["calling_code"]: line for line in _country_report(story)}
    assert Decimal(lines["33"]["cost"]) == 600 * french
    assert Decimal(lines["44"]["cost"]) == 100 * british
    assert {Decimal(lines["33"][name]) for name in ("unit_cost_min", "unit_cost_max")} == {french}


def test_the_country_report_has_its_columns_in_the_order_of_cost(story: Story) -> None:
    lines = _country_report(story)
    assert list(lines[0]) == COUNTRY_COLUMNS
    assert [line["country"] for line in lines] == ["France", "United Kingdom"]
    for line in lines:
        assert line["run_id"] == story.first.json["run_id"]
        assert line["currency"] == "EUR"
        assert line["requests"] == "2"
        assert line["pending"] == line["messages"]
        spoken = Decimal(line["message_seconds"]) * int(line["messages"])
        assert abs(spoken - Decimal(line["total_seconds"])) <= Decimal("0.0005") * int(line["messages"])
    assert Decimal(str(story.first.json["total_seconds"])) == sum(Decimal(line["total_seconds"]) for line in lines)


def test_the_parquet_report_says_the_same_as_the_csv(story: Story) -> None:
    table = pq.read_table(story.desk.home / story.first.json["report_dir"] / "country_report.parquet")
    assert table.column_names == COUNTRY_COLUMNS
    for found, line in zip(table.to_pylist(), _country_report(story), strict=True):
        assert {name: _comparable(value) for name, value in found.items()} == {
            name: _comparable(value) for name, value in line.items()
        }


def test_every_row_of_the_input_is_in_the_recipients_with_its_number_and_campaign(story: Story) -> None:
    lines = story.desk.table(story.first.json["report_dir"], "recipients.csv")
    assert list(lines[0]) == RECIPIENT_COLUMNS
    assert [int(line["row"]) for line in lines] == list(range(2, 702))
    assert [line["phone"] for line in lines] == story.numbers
    assert {line["status"] for line in lines} == {"accepted"}
    assert {line["campaign_id"] for line in lines} == {request.campaign_id for request in sends(story.sandbox)}
    assert {(line["calling_code"], line["delivery"]) for line in lines} == {("33", "pending"), ("44", "pending")}
    assert all(line["accepted_at"] and line["batch_id"] and line["file"] == "people.csv" for line in lines)


def test_the_manifest_has_its_checks_all_true_with_their_figures(story: Story) -> None:
    manifest = story.desk.manifest(story.first.json["report_dir"])
    checks = {check["check"]: check for check in manifest["checks"]}
    assert len(checks) == 5
    assert all(check["ok"] is True for check in checks.values())
    assert checks["rows in = rows out"]["rows_out"] == 700
    assert Decimal(checks["sum of charges = sum of answers' cost"]["charges"]) == Decimal(story.first.json["cost"])
    assert checks["accepted numbers = nbSms"]["nbSms"] == "700"
    assert checks["one currency"]["currencies"] == "EUR"
    assert checks["every answer adds up"]["findings"] == []
    assert "unknown" not in manifest
    assert manifest["inputs"][0]["rows"] == 700
    assert "key-of-the-tests" not in str(manifest)


def test_sending_the_same_file_again_calls_nobody_and_shows_the_run(story: Story) -> None:
    assert story.again.code == 0
    assert story.calls_after_first == len(story.sandbox.calls) == 700
    assert story.again.json == story.first.json


def test_a_copy_with_its_rows_reversed_calls_nobody_and_lists_every_row_as_suppressed(story: Story) -> None:
    assert story.reversed.code == 3
    assert story.reversed.error["kind"] == "input"
    summary = story.reversed.json
    assert summary["rows"] == dict.fromkeys(ROW_KEYS, 0) | {"total": 700, "suppressed": 700}
    assert summary["run_id"] != story.first.json["run_id"]
    lines = story.desk.table(summary["report_dir"], "recipients.csv")
    assert [line["phone"] for line in lines] == story.numbers[::-1]
    assert {line["status"] for line in lines} == {"suppressed"}
    assert all(story.first.json["run_id"] in line["reason"] for line in lines)


def test_a_plan_of_what_was_sent_has_nothing_to_send_and_leaves_the_reports_alone(story: Story) -> None:
    assert story.plan.code == 3
    assert story.first.json["run_id"] in story.plan.error["message"]
    assert story.desk.manifest(story.first.json["report_dir"])["status"] == "complete"


def test_the_reports_written_again_are_the_same(story: Story) -> None:
    assert story.report.code == 0
    for name in ("recipients.csv", "country_report.csv", "rejected.csv"):
        first, again = (
            (story.desk.home / folder / name).read_bytes()
            for folder in (story.first.json["report_dir"], story.report.json["report_dir"])
        )
        assert first == again


def test_the_runs_are_listed_and_shown(story: Story) -> None:
    (run,) = story.runs.json["runs"]
    assert run["run_id"] == story.first.json["run_id"]
    assert story.show.code == 0
    assert run["run_id"] in story.show.out


def _country_report(story: Story) -> list[dict[str, str]]:
    return story.desk.table(story.first.json["report_dir"], "country_report.csv")


def _comparable(value: Any) -> Any:
    try:
        return Decimal(str(value))
    except ArithmeticError:
        return value
