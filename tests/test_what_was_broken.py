"""Inputs that once called somebody twice, forgot somebody or ended in a traceback; each through the public door."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import openpyxl
import psutil
import pytest

import voicebatch
from voicebatch.app import schemas
from voicebatch.pipeline import rendering
from voicebatch.readers import open_sources

WALK = "{% for name in row %}{{ name }} {{ row[name] }}, {% endfor %}"


@pytest.fixture
def made(tmp_path: Path) -> Any:
    def make(content: str | bytes, text: str = "Bonjour {{ nom }}", name: str = "a.csv", **options: Any) -> Any:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        options = {"sandbox": True, "ledger": str(tmp_path / "l.sqlite"), "out": str(tmp_path), **options}
        return voicebatch.plan([path], voicebatch.Message(text=text), **options)

    return make


def told(plan: Any) -> list[tuple[str, str]]:
    return [(line.status.value, line.reason) for line in plan.lines()]


def test_a_template_that_walks_over_the_row_says_the_same_in_every_process(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("phone;nom;ville;jour\n0123456789;Zoé;Lyon;lundi\n", encoding="utf-8")
    script = (
        "import sys, voicebatch; "
        "message = voicebatch.Message(text=sys.argv[2]); "
        "plan = voicebatch.plan([sys.argv[1]], message, sandbox=True, ledger=sys.argv[3]); "
        "print(next(plan.batches()).message.text)"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", script, tmp_path / "a.csv", WALK, tmp_path / "l.sqlite"],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(voicebatch.__file__).parent.parent)},
            check=True, capture_output=True, text=True, encoding="utf-8",
        ).stdout
        for seed in ("1", "3", "5")
    }  # fmt: skip
    assert said == {"phone 0123456789, nom Zoé, ville Lyon, jour lundi,\n"}


@pytest.mark.parametrize("text", ["Bonjour {{ nom.title }}", "{{ nom | batch(2) }}", "{{ nom | map('upper') }}"])
def test_the_address_of_an_object_is_never_said(made: Any, text: str) -> None:
    ((status, reason),) = told(made("phone;nom\n0123456789;Zoé\n", text, max_invalid="100%"))
    assert (status, "no text" in reason) == ("rejected", True)


@pytest.mark.parametrize(
    "says", ["nom: {nullable: true}", "'{}': {{nullable: true}}", "'{}': {{nullable: true, dtype: float}}"]
)
@pytest.mark.parametrize(
    ("column", "cell"), [("speech_rate", "abc"), ("speech_rate", "3"), ("lang", "klingon"), ("scheduled_date", "soon")]
)
def test_a_rows_own_settings_are_checked_whatever_the_schema(
    made: Any, tmp_path: Path, column: str, cell: str, says: str
) -> None:
    own = says.format(column) if says.startswith("'") else says
    (tmp_path / "own.yaml").write_text(f"columns: {{phone: {{phone_number: true}}, {own}}}")
    content = f"phone;nom;{column}\n0123456789;Zoé;{cell}\n0123456780;Bob;\n"
    plan = made(content, schema=tmp_path / "own.yaml", max_invalid="100%")
    assert [status for status, _ in told(plan)] == ["rejected", "queued"]


@pytest.mark.parametrize("text", ["{{ nom }} " * 800, "{% if nom %}" + "{{ nom }} " * 800 + "{% endif %}"])
def test_an_endless_text_is_a_fault_of_its_row(made: Any, text: str) -> None:
    content = "phone;nom\n" + "".join(f"01234567{at};{'x' * 100_000}\n" for at in range(10, 40)) + "0123456709;Zoé\n"
    plan = made(content, text, max_invalid="100%")
    assert (plan.counts.rejected, plan.counts.queued) == (30, 1)
    assert "longer than" in told(plan)[0][1]


def test_a_ragged_row_of_a_mac_file_is_given_back_once(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicebatch.settings.BATCH_ROWS", 3)
    rows = [f"01234567{at};Zoé" + ";too;many" * (at == 15) for at in range(10, 40)]
    plan = made("\r".join(["phone;nom", *rows, ""]))
    assert [fault.row for fault in plan.intake.faults] == [7]


def test_a_cell_over_two_lines_beside_an_empty_last_one_is_good(made: Any) -> None:
    plan = made('phone;nom;ville\r\n0612345678;"Zoé\nB";Lyon;\r\n0612345679;Bob;Lyon;\r\n')
    assert told(plan) == [("queued", "")] * 2


def test_what_is_hidden_makes_no_other_row_a_repeat(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for cells in (["phone", "nom"], ["0123456789", "Zoé"], ["0123456789", "Zoé"]):
        book.active.append(cells)
    book.active.row_dimensions[2].hidden = True
    book.save(tmp_path / "a.xlsx")
    (tmp_path / "own.yaml").write_text("columns: {phone: {phone_number: true, unique: true}}")
    plan = voicebatch.plan(
        [tmp_path / "a.xlsx"], voicebatch.Message(text="Bonjour"), schema=tmp_path / "own.yaml", sandbox=True,
        ledger=str(tmp_path / "l.sqlite"),
    )  # fmt: skip
    assert told(plan) == [("suppressed", "hidden"), ("queued", "")]


def test_two_rows_without_a_name_are_not_of_the_same_name(made: Any, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(
        "columns: {phone: {phone_number: true}, nom: {nullable: true}, ville: {nullable: true}}\nunique: [nom, ville]"
    )
    plan = made("phone;nom;ville\n0123456789;;Lyon\n0123456780;;Lyon\n", "Bonjour", schema=tmp_path / "own.yaml")
    assert told(plan) == [("queued", "")] * 2


def test_the_first_of_a_file_without_a_header_is_not_forgotten(made: Any) -> None:
    for options in ({}, {"phone_column": "0123456789"}):
        with pytest.raises(voicebatch.InputError, match="no header") as raised:
            made("1;Anne;0123456789\n2;Bob;0123456780\n", "Bonjour", **options)
        assert "0123456789" not in raised.value.message + raised.value.hint


def test_nothing_to_send_says_why(tmp_path: Path, made: Any) -> None:
    (tmp_path / "list.txt").write_text("0123456789\n")
    refusal = made("phone;nom\n01 23 45 67 89;Zoé\n", suppress=[tmp_path / "list.txt"]).refusal
    assert "1 suppressed (1 on an opt-out list)" in refusal.message


def test_a_false_of_a_workbook_is_false_in_a_condition(made: Any) -> None:
    plan = made("phone;vip\n0123456789;FALSE\n0123456780;TRUE\n", "{% if vip %}oui{% else %}non{% endif %} {{ vip }}")
    assert [batch.message.text for batch in plan.batches()] == ["non FALSE", "oui TRUE"]


def test_hidden_sheets_of_an_opt_out_list_count(made: Any, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["Téléphone"])
    book.active.append(["0123456789"])
    for title, state, cells in (
        ("Suite", "hidden", ["0123456780"]),
        ("Notes", "visible", ["Qui ?", "appeler le 01 23 45 67 81", "+33123456782"]),
    ):
        sheet = book.create_sheet(title)
        sheet.sheet_state = state
        sheet.append(cells)
        sheet.append([None, "rien"])
    book.create_sheet("Empty")
    book.save(tmp_path / "list.xlsx")
    rows = "".join(f"01234567{at};Zoé\n" for at in (89, 80, 82, 83))
    plan = made(f"phone;nom\n{rows}", suppress=[tmp_path / "list.xlsx"])
    assert told(plan) == [
        ("suppressed", f"on the opt-out list {tmp_path / 'list.xlsx'}, sheet “Sheet”, row 2"),
        ("suppressed", f"on the opt-out list {tmp_path / 'list.xlsx'}, sheet “Suite”, row 1"),
        ("suppressed", f"on the opt-out list {tmp_path / 'list.xlsx'}, sheet “Notes”, row 1"),
        ("queued", ""),
    ]


def test_what_was_hidden_in_an_old_workbook_stays_hidden_in_its_marked_copy(tmp_path: Path) -> None:
    xlwt = pytest.importorskip("xlwt")
    book = xlwt.Workbook()
    sheet = book.add_sheet("A")
    for at, cells in enumerate([("phone", "nom", "note"), ("012", "Zoé", "x"), ("0123456789", "Bob", "y")]):
        for place, cell in enumerate(cells):
            sheet.write(at, place, cell)
    sheet.row(2).hidden = True
    sheet.col(2).hidden = True
    book.save(tmp_path / "a.xls")
    result = voicebatch.validate([tmp_path / "a.xls"], annotate=True, out=tmp_path, max_invalid="100%")
    (source,) = open_sources(result.annotated[0])
    assert ([*source.hidden.rows], [*source.hidden.columns]) == ([3], [2])
    assert result.rows.suppressed == 1


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a helper ends with its question")
def test_no_helper_survives_who_asked_it() -> None:
    endless = "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}y{{ nom }}"
    script = (
        "import sys; from voicebatch.pipeline import rendering; rendering._WORTH_A_PROCESS = 1; "
        "rendering._cores = lambda: 2; r = rendering.Renderer(sys.argv[1], columns=['nom'], variables={'nom': 'nom'}); "
        "h = r._ready_helpers()[0]; h.ask([('a',)] * 9); print(h._process.pid, flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, endless], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=Path(rendering.__file__).parents[2],
    )  # fmt: skip
    assert parent.stdout is not None
    helper = psutil.Process(int(parent.stdout.readline()))
    while helper.cpu_times().user < 0.3 and parent.poll() is None:  # it is at work
        time.sleep(0.01)
    parent.kill()
    parent.communicate()
    psutil.wait_procs([helper], timeout=10)
    assert not helper.is_running() or helper.status() == psutil.STATUS_ZOMBIE


def test_an_error_ends_the_helpers_in_the_middle_of_their_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "_cores", lambda: 2)
    endless = "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}y{{ nom }}"
    renderer = rendering.Renderer(endless, columns=["nom"], variables={"nom": "nom"})
    (helper,) = renderer._ready_helpers()
    helper.ask([("a",)] * 9)
    renderer.__exit__(KeyboardInterrupt)
    assert helper._process is not None
    assert helper._process.returncode != 0


def test_every_use_of_the_input_checks_settings_but_a_strict_schema_knows_its_own_columns() -> None:
    strict = schemas.read_schema(None).schema
    assert schemas.with_settings(strict) == strict
