"""The documents of a run: harmless, exact, and read back as they were written."""

from __future__ import annotations

import csv
import json
import os
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebatch.ledger import Claim, Worker
from voicebatch.models import (
    Charge,
    Fault,
    Outcome,
    RateLimit,
    Reply,
    RequestCounts,
    RowCounts,
    RowStatus,
    RunStatus,
    RunSummary,
)
from voicebatch.pipeline.running import summarise
from voicebatch.reports import manifest
from voicebatch.reports.cells import csv_bytes, harmless, make_folder, write_csv
from voicebatch.reports.country import COLUMNS, Place, country_totals, write_country_report
from voicebatch.reports.recipients import Lines, write_recipients
from voicebatch.reports.rejected import RejectedRows, rejected_csv

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from voicebatch.ledger import Ledger, NewRun

NOW = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
RUNS_A_FORMULA = "=+-@\t\r＝＋－＠"
cells = st.text(st.characters(codec="utf-8"), max_size=20)
dangerous = st.builds(
    lambda space, first, rest: space + first + rest,
    st.text(" \n\t\v\xa0\ufeff\u200b\x00", max_size=2),
    st.sampled_from(RUNS_A_FORMULA),
    cells,
)


def table(text: str) -> list[list[str]]:
    return list(csv.reader(StringIO(text, newline="")))


# Cells


@given(st.one_of(cells, dangerous))
def test_no_cell_starts_with_what_a_spreadsheet_would_run(text: str) -> None:
    shown = harmless(text)
    start = shown.lstrip(" \n\v\f\xa0\ufeff\u200b\x00")[:1]
    assert start not in set(RUNS_A_FORMULA) or shown[1:].strip().replace(",", "").replace(".", "").isdecimal()


@given(cells)
def test_a_cell_stays_as_it_is_or_gets_one_apostrophe(text: str) -> None:
    assert harmless(text) in {text, f"'{text}"}


@pytest.mark.parametrize(
    "text", ["+33600000000", "-12.5", "-1,5", "0", "+0", "Jean-Luc", "a=b", "06 00 00 00 00", "", "é"]
)
def test_plain_numbers_and_plain_words_stay_as_they_are(text: str) -> None:
    assert harmless(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "@SUM(A1)",
        "-2+3",
        "+1+1",
        "-1e5",
        " =1",
        "\t=1",
        "\r=1",
        "\n=1",
        "\xa0=1",
        "\ufeff=1",
        "＝1+1",
        "+33 600",
        "\t1",
        "-",
    ],
)
def test_a_formula_gets_an_apostrophe(text: str) -> None:
    assert harmless(text) == f"'{text}"


@given(st.lists(st.lists(cells, min_size=2, max_size=2), max_size=8))
def test_what_is_written_is_read_again(lines: list[list[str]]) -> None:
    text = csv_bytes(["a", "b"], lines).decode()
    assert table(text) == [["a", "b"], *([harmless(cell) for cell in line] for line in lines)]


def test_a_file_is_rfc_4180_in_utf_8(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", ["é", 'q"'], [["a,b", None], ["line\nbreak", 1]])
    assert (tmp_path / "a.csv").read_bytes() == '\u00e9,"q"""\r\n"a,b",\r\n"line\nbreak",1\r\n'.encode()


def test_a_report_that_fails_half_way_leaves_the_old_one(tmp_path: Path) -> None:
    def broken() -> Any:
        yield ["new"]
        raise OSError("the disk is full")

    path = tmp_path / "a.csv"
    write_csv(path, ["x"], [["old"]])
    with pytest.raises(OSError, match="full"):
        write_csv(path, ["x"], broken())
    assert path.read_text() == "x\nold\n"


def test_what_a_killed_process_left_half_written_is_removed_once_nobody_writes_it(tmp_path: Path) -> None:
    abandoned, growing, other = (tmp_path / name for name in ("a.csv.1.partial", "a.csv.2.partial", "a.csv"))
    for path in (abandoned, growing, other):
        path.touch()
    for path in (abandoned, other):
        os.utime(path, (0, 0))
    make_folder(tmp_path)
    assert sorted(tmp_path.iterdir()) == [other, growing]


# Country report


def charge(code: str, country: str, messages: int, unit: Decimal, cost: Decimal, seconds: Decimal) -> Charge:
    return Charge(
        calling_code=code, country_code=country, messages=messages, unit_cost=unit, cost=cost, seconds=seconds
    )


figures = st.decimals(min_value=0, max_value=10**11, places=12)
charges = st.tuples(
    st.builds(
        charge,
        st.sampled_from(["33", "32"]),
        st.sampled_from(["FR", "BE", ""]),
        st.integers(0, 500),
        figures,
        figures,
        figures,
    ),
    st.sampled_from(["EUR", "USD"]),
)
MAIN = {"33": "FR", "32": "BE"}


def totals_of(charged: list[tuple[Charge, str]]) -> Any:
    placed = [
        (Place(one.calling_code, one.country_code or MAIN[one.calling_code], currency), one)
        for one, currency in charged
    ]
    return country_totals(placed, {}, name_of=lambda code: f"land of {code}")


@given(st.lists(charges, max_size=15))
def test_country_sums_equal_the_charges_to_the_last_digit(charged: list[tuple[Charge, str]]) -> None:
    lines = totals_of(charged)
    for currency in ("EUR", "USD"):
        of_currency = [line for line in lines if line.currency == currency]
        mine = [one for one, its_currency in charged if its_currency == currency]
        assert sum(Fraction(line.cost) for line in of_currency) == sum(Fraction(one.cost) for one in mine)
        assert sum(line.messages for line in of_currency) == sum(one.messages for one in mine)
        assert sum(line.requests for line in of_currency) == len(mine)
        seconds = sum(Fraction(one.seconds) * one.messages for one in mine)
        assert sum(Fraction(line.total_seconds) for line in of_currency) == seconds


@given(st.lists(charges, max_size=15))
def test_there_is_one_line_per_code_country_and_currency_the_dearest_first(charged: list[tuple[Charge, str]]) -> None:
    lines = totals_of(charged)
    keys = [(line.calling_code, line.country_code, line.currency) for line in lines]
    assert set(keys) == {(one.calling_code, one.country_code or MAIN[one.calling_code], its) for one, its in charged}
    assert len(keys) == len(set(keys))
    assert [Fraction(line.cost) for line in lines] == sorted((Fraction(line.cost) for line in lines), reverse=True)


@given(st.lists(charges, min_size=1, max_size=15))
def test_a_line_has_the_lowest_and_the_highest_price(charged: list[tuple[Charge, str]]) -> None:
    for line in totals_of(charged):
        units = [
            one.unit_cost
            for one, its in charged
            if (one.calling_code, one.country_code or MAIN[one.calling_code], its)
            == (line.calling_code, line.country_code, line.currency)
        ]
        assert (line.unit_cost_min, line.unit_cost_max) == (min(units), max(units))
        assert line.country == f"land of {line.country_code}"


@settings(max_examples=40)
@given(st.lists(charges, max_size=8))
def test_the_parquet_file_says_the_same_as_the_csv_file(tmp_path: Path, charged: list[tuple[Charge, str]]) -> None:
    write_country_report(tmp_path, "run", totals_of(charged))
    with (tmp_path / "country_report.csv").open(encoding="utf-8", newline="") as file:
        from_csv = list(csv.DictReader(file))
    from_parquet = pq.read_table(tmp_path / "country_report.parquet").to_pylist()
    assert len(from_csv) == len(from_parquet) == len(totals_of(charged))
    for text, typed in zip(from_csv, from_parquet, strict=True):
        assert list(text) == list(typed) == ["run_id", *(name for name, _, _ in COLUMNS)]
        for name, value in typed.items():
            assert value == (type(value)(text[name]) if not isinstance(value, str) else text[name]), name


def test_the_report_looks_as_the_contract_says(tmp_path: Path) -> None:
    half = charge("33", "FR", 2, Decimal("0.06"), Decimal("0.12"), Decimal("6.3"))
    write_country_report(tmp_path, "r1", totals_of([(half, "EUR"), (half, "EUR")]))
    assert (tmp_path / "country_report.csv").read_text(encoding="utf-8").splitlines() == [
        (
            "run_id,calling_code,country_code,country,currency,requests,messages,unit_cost_min,unit_cost_max,cost,"
            "message_seconds,total_seconds,delivered,undelivered,pending"
        ),
        "r1,33,FR,land of FR,EUR,2,4,0.0600,0.0600,0.2400,6.300,25.2,0,0,4",
    ]


def test_a_run_without_charges_has_a_header_and_the_same_parquet_types(tmp_path: Path) -> None:
    write_country_report(tmp_path, "r1", [])
    assert (tmp_path / "country_report.csv").read_text().count("\n") == 1
    empty = pq.read_schema(tmp_path / "country_report.parquet")
    write_country_report(tmp_path, "r1", totals_of([(charge("33", "", 1, *[Decimal(1)] * 3), "EUR")]))
    assert empty == pq.read_schema(tmp_path / "country_report.parquet")


# Recipients


def test_recipients_have_a_line_for_every_row(tmp_path: Path) -> None:
    columns = (
        (0, 1), (2, 7), ("+33600000000", None), (RowStatus.ACCEPTED, RowStatus.REJECTED), ("", '=cmd, "x"\n'),
        ("b1", None), ("c1", None), ("2027-03-01T12:00:00+00:00", None), ("", ""),
    )  # fmt: skip
    lines = Lines(*map(pa.array, columns))
    codes = pa.array(["33", None])
    written = write_recipients(tmp_path, "r1", ["a.csv", "=b.csv"], [lines], calling_codes=lambda _: codes)
    assert written == {RowStatus.ACCEPTED: 1, RowStatus.REJECTED: 1}
    assert table((tmp_path / "recipients.csv").read_text(encoding="utf-8"))[1:] == [
        ["a.csv", "2", "+33600000000", "accepted", "", "r1", "b1", "c1", "33", "2027-03-01T12:00:00+00:00", "pending"],
        ["'=b.csv", "7", "", "rejected", '\'=cmd, "x"\n', "r1", "", "", "", "", ""],
    ]


# Rejected rows


def rejected(file: str, rows: list[dict[str, str | None]], faults: list[tuple[int, str, str]]) -> RejectedRows:
    told = [Fault(file=file, row=row, column=column, check="check", reason=reason) for row, column, reason in faults]
    return RejectedRows(cells=pa.Table.from_pylist(rows), order=np.arange(len(rows)), faults=told)


def test_a_row_with_several_faults_has_a_line_for_each() -> None:
    rows: list[dict[str, str | None]] = [{"phone": "06", "name": None}, {"phone": "07", "name": "Zoé"}]
    one = rejected("a.csv", rows, [(3, "phone", "too short"), (3, "name", "missing"), (9, "phone", "too short")])
    assert table(b"".join(rejected_csv(["phone", "name"], [one])).decode()) == [
        ["phone", "name", "file", "row", "column", "check", "reason"],
        ["06", "", "a.csv", "3", "phone", "check", "too short"],
        ["06", "", "a.csv", "3", "name", "check", "missing"],
        ["07", "Zoé", "a.csv", "9", "phone", "check", "too short"],
    ]


def test_files_with_other_headers_leave_the_cells_that_they_lack_empty() -> None:
    one = rejected("a.csv", [{"phone": "1"}], [(2, "phone", "bad")])
    other = rejected("b.csv", [{"tel": "2"}], [(2, "tel", "bad")])
    lines = table(b"".join(rejected_csv(["phone", "tel"], [one, other])).decode())
    assert [line[:3] for line in lines[1:]] == [["1", "", "a.csv"], ["", "2", "b.csv"]]


def test_one_file_given_twice_has_its_rows_back_twice() -> None:
    one = rejected("a.csv", [{"phone": "1"}], [(2, "phone", "bad")])
    lines = table(b"".join(rejected_csv(["phone"], [one, one])).decode())
    assert lines[1:] == [["1", "a.csv", "2", "phone", "check", "bad"]] * 2


def test_a_users_own_columns_named_file_and_row_stay_before_the_last_five() -> None:
    one = rejected("a.csv", [{"file": "mine", "row": "own", "reason": "why"}], [(2, "row", "bad")])
    header, line = table(b"".join(rejected_csv(["file", "row", "reason"], [one])).decode())
    assert header == ["file", "row", "reason", "file", "row", "column", "check", "reason"]
    assert line == ["mine", "own", "why", "a.csv", "2", "row", "check", "bad"]


def test_a_rejected_cell_that_is_a_formula_is_harmless() -> None:
    one = rejected("a.csv", [{"=phone": "=1+1"}], [(2, "=phone", "bad")])
    header, line = table(b"".join(rejected_csv(["=phone"], [one])).decode())
    assert (header[0], line[0], line[3]) == ("'=phone", "'=1+1", "'=phone")


# Manifest


def summary(rows: RowCounts) -> RunSummary:
    return RunSummary(
        run_id="r1", key="k", sandbox=False, created_at=datetime(2027, 3, 1, tzinfo=UTC),
        status=RunStatus.COMPLETE, rows=rows, requests=RequestCounts(planned=1),
        cost=Decimal("0.12"), currency="EUR", total_seconds=Decimal("6.3"), earliest_finish=None,
        countries=totals_of([(charge("33", "FR", 2, *[Decimal(1)] * 3), "EUR")]), report_dir="reports", ledger="l",
    )  # fmt: skip


def test_a_check_that_holds_says_so_with_its_figures() -> None:
    checked = manifest.check("sums", ("charges", Decimal("0.120")), ("answers", Decimal("0.12")))
    assert checked == {"check": "sums", "ok": True, "charges": "0.120", "answers": "0.12"}


def test_a_check_that_fails_says_so_with_its_figures() -> None:
    checked = manifest.check("sums", ("charges", Decimal("0.12")), ("answers", Decimal("0.13")))
    assert checked == {"check": "sums", "ok": False, "charges": "0.12", "answers": "0.13"}


@pytest.mark.parametrize(
    ("rows", "written", "ok"),
    [
        (RowCounts(total=3, rejected=1, accepted=2), {RowStatus.REJECTED: 1, RowStatus.ACCEPTED: 2}, True),
        (RowCounts(total=3, rejected=1, accepted=2), {RowStatus.REJECTED: 1, RowStatus.ACCEPTED: 1}, False),
        (RowCounts(total=3, rejected=1, accepted=2), {RowStatus.REJECTED: 2, RowStatus.ACCEPTED: 1}, False),
        (RowCounts(total=3, rejected=1, accepted=1), {RowStatus.REJECTED: 1, RowStatus.ACCEPTED: 2}, False),
        (RowCounts(), {}, True),
    ],
)
def test_rows_in_are_rows_out_each_with_its_status(rows: RowCounts, written: dict[RowStatus, int], *, ok: bool) -> None:
    checked = manifest.row_check(rows, written)
    assert checked["ok"] is ok
    assert (checked["rows_in"], checked["rows_out"]) == (rows.total, sum(written.values()))


def test_the_manifest_is_json_with_the_plan_the_counts_the_totals_and_the_checks(tmp_path: Path) -> None:
    rows = RowCounts(total=2, accepted=2)
    checks = [manifest.row_check(rows, {RowStatus.ACCEPTED: 2})]
    manifest.write_manifest(tmp_path, {"inputs": [{"name": "é.csv"}]}, summary(rows), checks, written_at=NOW)
    document = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
    assert document["run_id"] == "r1"
    assert document["inputs"] == [{"name": "é.csv"}]
    assert document["rows"]["accepted"] == 2
    assert document["totals"] == {
        "cost": "0.1200",
        "currency": "EUR",
        "messages": 2,
        "total_seconds": "6.3",
        "credited": "0.0000",
    }
    assert document["checks"] == checks


def test_versions_name_python_and_what_the_result_depends_on() -> None:
    assert {"python", "voicebatch", "phonenumbers", "pyarrow"} <= manifest.versions().keys()


# The summary


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ([], RunStatus.RUNNING),
        ([Outcome.ACCEPTED], RunStatus.RUNNING),
        ([Outcome.ACCEPTED, Outcome.ACCOUNT], RunStatus.STOPPED),
        ([Outcome.ACCEPTED, Outcome.ACCEPTED], RunStatus.COMPLETE),
    ],
)
def test_a_run_is_under_way_as_long_as_a_worker_is_there_that_may_do_the_rest(
    ledger: Ledger,
    make_run: Callable[..., NewRun],
    yes: Callable[..., Reply],
    answers: list[Outcome],
    status: RunStatus,
) -> None:
    run, limits, worker = make_run(1, 1), [RateLimit(requests=9, seconds=1)], Worker.current()
    ledger.enqueue(run, now=NOW)
    ledger.join(run.id, worker=worker, now=NOW)
    for outcome in answers:
        claim = ledger.claim(run.id, worker=worker, limiter="l", limits=limits, now=NOW, lease_seconds=60)
        assert isinstance(claim, Claim)
        ledger.record(claim, yes() if outcome is Outcome.ACCEPTED else Reply(outcome=outcome), now=NOW)
    assert summarise(ledger.find(run.id), ledger, limits=limits, limiter="l", now=NOW).status is status


def test_what_another_worker_has_under_way_is_never_taken_for_unknown(
    ledger: Ledger,
    make_run: Callable[..., NewRun],
    yes: Callable[..., Reply],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, limits, worker = make_run(2), [RateLimit(requests=9, seconds=1)], Worker.current()
    ledger.enqueue(run, now=NOW)
    claim = ledger.claim(run.id, worker=worker, limiter="l", limits=limits, now=NOW, lease_seconds=60)
    assert isinstance(claim, Claim)
    count = ledger.request_counts

    def meanwhile(run_id: str) -> RequestCounts:
        """The answer is recorded after the rows were counted, and before anything else."""
        ledger.record(claim, yes(2), now=NOW)
        return count(run_id)

    monkeypatch.setattr(ledger, "request_counts", meanwhile)
    summary = summarise(ledger.find(run.id), ledger, limits=limits, limiter="l", now=NOW)
    assert summary.rows.unknown == 2
    assert summary.status is RunStatus.RUNNING
