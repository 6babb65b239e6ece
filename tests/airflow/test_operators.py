"""The operators on real Airflow, run by its own ``dag.test()`` against a real sandbox."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from upath import UPath

from tests.airflow import dagruns  # first: it says where Airflow's home is
from voicebatch import app
from voicebatch.airflow.hooks.voicebatch import VoicebatchHook
from voicebatch.airflow.operators import waiting
from voicebatch.airflow.operators.voicebatch import VoicebatchSendOperator
from voicebatch.airflow.storage import Stage
from voicebatch.airflow.triggers.voicebatch import VoicebatchTrigger
from voicebatch.errors import NoSuchFileError
from voicebatch.models import RateLimit, Verdict
from voicebatch.sandbox import Sandbox, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.filterwarnings("default"),  # Airflow warns of its own code
]

PEOPLE: Final = "nom,telephone\nZoé,0465710001\nLuc,0465710002\nAda,0465710003\nMax,0465710004\n"
SECRET: Final = "not-to-be-seen"  # noqa: S105 # a key of the sandbox


@pytest.fixture(scope="module", autouse=True)
def database() -> None:
    """One metadata database for all."""
    dagruns.create_database()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a file of four people, a ledger to come, and a place for reports."""
    (tmp_path / "people.csv").write_text(PEOPLE)
    return tmp_path


@pytest.fixture
def connect(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes the connection."""

    def to(base_url: str, **extra: Any) -> None:
        extra = {"ledger": str(folder / "ledger.sqlite")} | extra
        connection = {"conn_type": "voicebatch", "host": base_url, "password": SECRET, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_VOICEBATCH_DEFAULT", json.dumps(connection))

    return to


@pytest.fixture
def sandbox(connect: Callable[..., None]) -> Iterator[Sandbox]:
    """A connection to it is there."""
    with serve() as served:
        connect(served.base_url)
        yield served


def sending(folder: Path, *more: str, text: str = "Bonjour {{ nom }}.") -> str:
    options = ", ".join((f"files={str(folder / 'people.csv')!r}", f"text={text!r}", f"out={str(folder)!r}", *more))
    return f"VoicebatchSendOperator(task_id='call', {options})"


def called(sandbox: Sandbox) -> list[str]:
    return sorted(call.number[-2:] for call in sandbox.calls)


def test_everybody_is_called_once_and_the_result_says_so(sandbox: Sandbox, folder: Path) -> None:
    done = dagruns.run(dagruns.written(sending(folder)))

    result = done.result()
    assert done.state() == "success"
    assert called(sandbox) == ["01", "02", "03", "04"]
    assert {call.text for call in sandbox.calls} == {f"Bonjour {name}." for name in ("Zoé", "Luc", "Ada", "Max")}
    assert result["rows"]["accepted"] == result["requests"]["sent"] == 4
    assert (result["status"], result["cost"], result["currency"]) == ("complete", "0.1800", "EUR")
    assert len(json.dumps(result)) < 1000
    assert "465710001" not in json.dumps(result)
    assert (folder / result["run_id"] / "country_report.csv").exists()
    assert result["report"] == str(folder / result["run_id"])


def test_the_same_run_again_calls_nobody_and_a_run_of_another_date_does(sandbox: Sandbox, folder: Path) -> None:
    dag, day = dagruns.written(sending(folder)), datetime(2027, 1, 1, tzinfo=UTC)

    first, again = dagruns.run(dag, at=day), dagruns.run(dag, at=day)
    assert first.run_id == again.run_id
    assert again.result() == first.result()
    assert len(sandbox.calls) == 4

    other = dagruns.run(dag, at=day + timedelta(days=1))
    assert other.state() == "success"
    assert len(sandbox.calls) == 8


def test_a_key_of_ones_own_holds_over_dates(sandbox: Sandbox, folder: Path) -> None:
    dag, day = dagruns.written(sending(folder, "key='march'")), datetime(2027, 2, 1, tzinfo=UTC)

    for days in range(2):
        assert dagruns.run(dag, at=day + timedelta(days=days)).state() == "success"
    assert len(sandbox.calls) == 4


def test_other_people_in_the_same_run_are_not_called_by_the_old_plan(sandbox: Sandbox, folder: Path) -> None:
    dag, day = dagruns.written(sending(folder)), datetime(2027, 3, 1, tzinfo=UTC)
    dagruns.run(dag, at=day)
    (folder / "people.csv").write_text(PEOPLE + "Léa,0465710005\n")

    again = dagruns.run(dag, at=day)
    assert again.state() == "failed"
    assert "others than when run" in again.said
    assert "nobody is left to be called" in again.said
    assert len(sandbox.calls) == 4


def test_a_run_goes_on_when_its_file_is_gone(sandbox: Sandbox, folder: Path) -> None:
    dag, day = dagruns.written(sending(folder)), datetime(2027, 4, 1, tzinfo=UTC)
    dagruns.run(dag, at=day)
    (folder / "people.csv").unlink()

    assert dagruns.run(dag, at=day).state() == "success"
    assert len(sandbox.calls) == 4


def test_too_many_bad_rows_fail_the_task_and_come_back(sandbox: Sandbox, folder: Path) -> None:
    (folder / "people.csv").write_text(PEOPLE + "Léa,12\n")

    done = dagruns.run(dagruns.written(sending(folder, "max_invalid=0", "annotate=True")))
    assert done.state() == "failed"
    assert "1 of 5 rows are bad, more than max_invalid 0 allows" in done.said
    assert "rejected.csv" in done.said
    assert len([*folder.glob("*/rejected.csv"), *folder.glob("*/people.annotated.csv")]) == 2
    assert not sandbox.calls


@pytest.mark.parametrize("rows", ["", "Zoé,0465710001\n"])
@pytest.mark.parametrize(("if_empty", "state"), [("skip", "skipped"), ("fail", "failed")])
def test_nobody_to_call_is_a_skip_or_a_failure(
    sandbox: Sandbox, folder: Path, rows: str, if_empty: str, state: str
) -> None:
    (folder / "people.csv").write_text(f"nom,telephone\n{rows}")
    (folder / "stop.txt").write_text("0465710001\n")

    options = f"if_empty={if_empty!r}", f"suppress={str(folder / 'stop.txt')!r}"
    done = dagruns.run(dagruns.written(sending(folder, *options)))
    assert done.state() == state
    assert not sandbox.calls


def test_an_old_run_calls_nobody(sandbox: Sandbox, folder: Path) -> None:
    dag = dagruns.written(sending(folder, "max_age=timedelta(days=2)"))

    old = dagruns.run(dag, at=datetime.now(UTC) - timedelta(days=3))
    assert old.state() == "skipped"
    assert "longer ago than max_age" in old.said
    assert not sandbox.calls
    assert dagruns.run(dag, at=datetime.now(UTC) - timedelta(days=1)).state() == "success"


def test_the_ceiling_stops_the_task_and_a_higher_one_goes_on(sandbox: Sandbox, folder: Path) -> None:
    (folder / "prices.csv").write_text("calling_code,unit_cost,currency\n33,0.045,EUR\n")
    dag, day = "ceilings", datetime(2027, 5, 1, tzinfo=UTC)
    prices = f"price_table={str(folder / 'prices.csv')!r}"

    low = dagruns.run(dagruns.written(sending(folder, prices, "max_cost='0.10'"), dag), at=day)
    assert low.state() == "failed"
    assert "voicebatch resume" in low.said
    assert len(sandbox.calls) == 2
    high = dagruns.run(dagruns.written(sending(folder, prices, "max_cost='1'"), dag), at=day)
    assert high.result()["cost"] == "0.1800"
    assert len(sandbox.calls) == 4


def test_a_lost_answer_fails_the_task_unless_it_is_to_be_ignored(connect: Callable[..., None], folder: Path) -> None:
    dag, day = "lost", datetime(2027, 6, 1, tzinfo=UTC)
    with serve(faults=["lost-after:1x"]) as sandbox:
        connect(sandbox.base_url)
        done = dagruns.run(dagruns.written(sending(folder), dag), at=day)
        assert done.state() == "failed"
        assert "the outcome of 1 request with 1 person is unknown" in done.said.lower()
        assert "voicebatch resolve" in done.said
        assert "VOICEBATCH_LEDGER" in done.said
        ignored = dagruns.run(dagruns.written(sending(folder, "on_unknown='ignore'"), dag), at=day)
        assert ignored.result()["rows"]["unknown"] == 1
        assert called(sandbox) == ["01", "02", "03", "04"]


def test_a_task_waits_until_somebody_settles_what_is_unknown(
    connect: Callable[..., None], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_SHORTEST_LOOK", timedelta(seconds=0.5))
    ledger = str(folder / "ledger.sqlite")

    def settle() -> None:
        while True:
            time.sleep(0.2)
            with contextlib.suppress(Exception):
                if app.summary_of("latest", ledger=ledger).rows.unknown:
                    app.resolve("latest", Verdict.SENT, why="it is there", ledger=ledger)
                    return

    with serve(faults=["lost-after:1x"]) as sandbox:
        connect(sandbox.base_url)
        settler = threading.Thread(target=settle)
        settler.start()
        done = dagruns.run(dagruns.written(sending(folder, "on_unknown='wait'")))
        settler.join()
    assert done.state() == "success"
    assert done.result()["rows"]["accepted"] == 4
    assert called(sandbox) == ["01", "02", "03", "04"]


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second is long to wait for."""
    monkeypatch.setattr(waiting, "_PATIENCE", timedelta(seconds=0.5))


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("deferrable", [True, False])
def test_a_full_limit_is_waited_for_and_no_request_is_too_many(
    connect: Callable[..., None], folder: Path, monkeypatch: pytest.MonkeyPatch, *, deferrable: bool
) -> None:
    waited: list[str] = []
    init = VoicebatchTrigger.__init__

    def made(trigger: VoicebatchTrigger, moment: str, since: str, reason: str) -> None:
        waited.append(reason)
        init(trigger, moment, since, reason)

    monkeypatch.setattr(VoicebatchTrigger, "__init__", made)
    with serve(rate_limit=RateLimit(requests=2, seconds=3)) as sandbox:
        connect(sandbox.base_url, rate="2/3s")
        done = dagruns.run(dagruns.written(sending(folder, f"deferrable={deferrable}")))
        assert done.state() == "success", done.said
        assert called(sandbox) == ["01", "02", "03", "04"]
        sends = [arrival for arrival in sandbox.requests if arrival.endpoint == "POST /tts/send"]
        assert [arrival.outcome for arrival in sends] == ["accepted"] * 4
    assert bool(waited) == deferrable


@pytest.mark.usefixtures("hurried")
def test_who_may_not_wait_for_so_long_fails_and_loses_nobody(connect: Callable[..., None], folder: Path) -> None:
    dag, day = "impatient", datetime(2027, 7, 1, tzinfo=UTC)
    with serve(rate_limit=RateLimit(requests=2, seconds=3)) as sandbox:
        connect(sandbox.base_url, rate="2/3s")
        short = dagruns.run(dagruns.written(sending(folder, "max_wait=timedelta(seconds=1)"), dag), at=day)
        assert short.state() == "failed"
        assert "longer than max_wait" in short.said
        assert len(sandbox.calls) == 2
        assert dagruns.run(dagruns.written(sending(folder), dag), at=day).state() == "success"
        assert called(sandbox) == ["01", "02", "03", "04"]


def test_shards_of_a_plan_send_it_together_and_one_task_reports(sandbox: Sandbox, folder: Path) -> None:
    done = dagruns.run(
        dagruns.written(f"""
        plan = VoicebatchPlanOperator(
            task_id="plan", files={str(folder / "people.csv")!r}, text="Bonjour {{{{ nom }}}}.", shards=3,
            out={str(folder)!r},
        )
        calls = VoicebatchSendOperator.partial(task_id="call").expand(shard=plan.output)
        calls >> VoicebatchReportOperator(task_id="report", run=plan.output, out={str(folder)!r})
        """)
    )
    assert done.states == {"plan": ["success"], "call": ["success"] * 3, "report": ["success"]}
    assert called(sandbox) == ["01", "02", "03", "04"]
    report = done.result("report")
    assert report["rows"]["accepted"] == 4
    assert (folder / report["run_id"] / "recipients.csv").exists()


def test_a_plan_of_nobody_skips_all_that_comes_after_it(sandbox: Sandbox, folder: Path) -> None:
    (folder / "people.csv").write_text("nom,telephone\n")
    done = dagruns.run(
        dagruns.written(f"""
        plan = VoicebatchPlanOperator(
            task_id="plan", files={str(folder / "people.csv")!r}, text="Bonjour.", shards=2, out={str(folder)!r}
        )
        calls = VoicebatchSendOperator.partial(task_id="call").expand(shard=plan.output)
        calls >> VoicebatchReportOperator(task_id="report", run=plan.output, out={str(folder)!r})
        """)
    )
    assert done.states == {"plan": ["skipped"], "call": ["skipped"], "report": ["skipped"]}
    assert not sandbox.calls


def test_files_and_reports_may_be_on_object_storage(sandbox: Sandbox) -> None:
    done = dagruns.run(
        dagruns.written("""
        @task
        def export() -> str:
            UPath("memory://exports/people.csv").write_text("nom,telephone\\nZoé,0465710001\\nLuc,12\\n")
            UPath("memory://exports/hello.txt").write_text("Bonjour {{ nom }}.")
            return "memory://exports/people.csv"

        VoicebatchSendOperator(
            task_id="call", files=[export()], template="memory://exports/hello.txt", max_invalid=1, annotate=True,
            out="memory://reports", outlets=[Asset("reports")],
        )
        """)
    )
    assert done.state() == "success", done.said
    report = UPath(done.result()["report"])
    assert str(report) == f"memory://reports/{done.result()['run_id']}"
    assert {file.name for file in report.iterdir()} >= {
        "country_report.csv", "country_report.parquet", "recipients.csv", "rejected.csv", "manifest.json",
        "people.annotated.csv",
    }  # fmt: skip
    assert "memory://exports/people.csv,2,+33465710001,accepted" in (report / "recipients.csv").read_text()
    assert called(sandbox) == ["01"]


def test_a_file_that_is_not_there_is_named_as_it_was_given(sandbox: Sandbox) -> None:
    body = "VoicebatchSendOperator(task_id='call', files='memory://exports/{{ ds }}.csv', text='Bonjour.')"

    done = dagruns.run(dagruns.written(body), at=datetime(2027, 8, 1, tzinfo=UTC))
    assert done.state() == "failed"
    assert "There is no file memory://exports/2027-08-01.csv." in done.said
    assert not sandbox.calls


def test_the_events_of_assets_say_what_was_done(sandbox: Sandbox, folder: Path) -> None:
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select

    done = dagruns.run(dagruns.written(sending(folder, "outlets=[Asset('calls')]")))
    with create_session() as session:
        extra = session.scalars(select(AssetEvent.extra).order_by(AssetEvent.id.desc())).first()
    assert extra == done.result()
    assert len(sandbox.calls) == 4


def test_lineage_names_the_input_and_the_reports(sandbox: Sandbox, folder: Path) -> None:
    dagruns.LINEAGE.unlink(missing_ok=True)
    done = dagruns.run(dagruns.written(sending(folder)))

    events = [json.loads(line) for line in dagruns.LINEAGE.read_text().splitlines()]
    (end,) = [event for event in events if event["eventType"] == "COMPLETE" and event["job"]["name"].endswith(".call")]
    (read,) = end["inputs"]
    assert (read["namespace"], read["name"]) == ("file", str(folder / "people.csv"))
    assert [column["name"] for column in read["facets"]["schema"]["fields"]] == ["nom", "telephone"]
    assert read["inputFacets"]["dataQualityMetrics"]["rowCount"] == 4
    reports = {one["name"]: one["outputFacets"]["outputStatistics"]["rowCount"] for one in end["outputs"]}
    there = folder / done.result()["run_id"]
    assert reports == {str(there / "country_report.csv"): 1, str(there / "recipients.csv"): 4}
    assert len(sandbox.calls) == 4


def test_a_killed_task_ends_after_the_requests_in_flight(
    connect: Callable[..., None], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dag, day = "killed", datetime(2027, 9, 1, tzinfo=UTC)
    running: list[waiting.WaitingOperator] = []
    work = waiting.WaitingOperator._work

    def watched(operator: waiting.WaitingOperator, *args: Any, **kwargs: Any) -> Any:
        running.append(operator)
        return work(operator, *args, **kwargs)

    monkeypatch.setattr(waiting.WaitingOperator, "_work", watched)

    def kill(sandbox: Sandbox) -> None:
        while not sandbox.calls:
            time.sleep(0.05)
        running[0].on_kill()

    with serve(answer_delay=1.0) as sandbox:
        connect(sandbox.base_url)
        killer = threading.Thread(target=kill, args=(sandbox,))
        killer.start()
        done = dagruns.run(dagruns.written(sending(folder, "concurrency=1"), dag), at=day)
        killer.join()
        assert done.state() == "failed"
        assert "A retry or a clear goes on with them" in done.said
        assert app.summary_of("latest", ledger=str(folder / "ledger.sqlite")).rows.unknown == 0
        assert 1 <= len(sandbox.calls) < 4
        assert dagruns.run(dagruns.written(sending(folder), dag), at=day).state() == "success"
        assert called(sandbox) == ["01", "02", "03", "04"]


def test_a_provider_that_is_not_there_fails_the_task_instead_of_being_waited_for(
    connect: Callable[..., None], folder: Path
) -> None:
    with serve() as gone:
        url = gone.base_url
    connect(url)

    done = dagruns.run(dagruns.written(sending(folder)))
    assert done.state() == "failed"
    assert "The provider cannot be reached" in done.said
    assert "a retry or a clear of the task goes on" in done.said


def test_a_rehearsed_run_does_not_pass_for_a_real_one(
    sandbox: Sandbox, connect: Callable[..., None], folder: Path
) -> None:
    dag, day = dagruns.written(sending(folder)), datetime(2027, 10, 1, tzinfo=UTC)
    connect(sandbox.base_url, sandbox=True)
    assert dagruns.run(dag, at=day).result()["sandbox"] is True

    connect(sandbox.base_url)
    real = dagruns.run(dag, at=day)
    assert real.state() == "failed"
    assert "was a rehearsal in the sandbox: nobody was called" in real.said
    assert not sandbox.calls


def test_a_list_of_files_that_grows_calls_nobody_again(sandbox: Sandbox, folder: Path) -> None:
    for name in "ab":
        (folder / f"{name}.csv").write_text(f"nom,telephone\nZoé,046571000{'ab'.index(name) + 1}\n")
    body = """
    VoicebatchSendOperator.partial(task_id="call", text="Bonjour {{{{ nom }}}}.", out={out!r}).expand(files={files!r})
    """
    day = datetime(2027, 11, 1, tzinfo=UTC)

    for names, states in ((["b"], ["success"]), (["a", "b"], ["failed", "skipped"])):
        files = [str(folder / f"{name}.csv") for name in names]
        done = dagruns.run(dagruns.written(body.format(out=str(folder), files=files), "mapped"), at=day)
        assert done.states["call"] == states
        assert called(sandbox) == ["02"]
    assert "others than when run" in done.said


def test_a_mapped_file_that_has_another_name_after_a_clear_calls_nobody_again(sandbox: Sandbox, folder: Path) -> None:
    body = """
    VoicebatchSendOperator.partial(task_id="call", text="Bonjour {{{{ nom }}}}.", out={out!r}).expand(files=[{file!r}])
    """
    day = datetime(2027, 11, 2, tzinfo=UTC)
    for name in ("people.csv", "people-2.csv"):
        (folder / name).write_text(PEOPLE)
        dag = dagruns.written(body.format(out=str(folder), file=str(folder / name)), "renamed")
        assert dagruns.run(dag, at=day).states["call"] == ["success"]
    assert len(sandbox.calls) == 4


def test_a_report_is_of_one_run(sandbox: Sandbox, folder: Path) -> None:
    (folder / "others.csv").write_text(PEOPLE + "Léa,0465710005\n")
    done = dagruns.run(
        dagruns.written(f"""
        plan = VoicebatchPlanOperator.partial(task_id="plan", text="Bonjour.", out={str(folder)!r}).expand(
            files=[{str(folder / "people.csv")!r}, {str(folder / "others.csv")!r}]
        )
        VoicebatchReportOperator(task_id="report", run=plan.output, out={str(folder)!r})
        """)
    )
    assert done.states["report"] == ["failed"]
    assert not sandbox.calls


def test_shards_go_by_the_plans_prices_and_by_their_own_age(sandbox: Sandbox, folder: Path) -> None:
    (folder / "prices.csv").write_text("calling_code,unit_cost,currency\n33,0.045,EUR\n")
    body = f"""
    plan = VoicebatchPlanOperator(
        task_id="plan", files={str(folder / "people.csv")!r}, text="Bonjour {{{{ nom }}}}.", out={str(folder)!r},
        max_cost="0.10", price_table={str(folder / "prices.csv")!r},
    )
    VoicebatchSendOperator.partial(task_id="call", max_age=AGE).expand(shard=plan.output)
    """
    day = datetime.now(UTC) - timedelta(days=3)
    old = dagruns.run(dagruns.written(body.replace("AGE", "timedelta(days=2)"), "aged"), at=day)
    assert "are still queued, and not called any more" in old.said
    assert not sandbox.calls

    dear = dagruns.run(dagruns.written(body.replace("AGE", "None"), "aged"), at=day)
    assert dear.states["call"] == ["failed"]
    assert "above max_cost 0.10" in dear.said
    assert len(sandbox.calls) == 2


def test_an_opt_out_list_that_came_to_nothing_calls_nobody(sandbox: Sandbox, folder: Path) -> None:
    body = f"""
    @task
    def opt_outs() -> None:
        return None

    {sending(folder, "suppress=opt_outs()")}
    """
    done = dagruns.run(dagruns.written(body))
    assert done.state() == "failed"
    assert "would protect nobody" in done.said
    assert not sandbox.calls


@pytest.mark.parametrize("argument", [{"on_unknown": "maybe"}, {"if_empty": "maybe"}])
def test_an_argument_that_is_none_of_the_choices_is_found_when_the_dag_is_read(argument: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="'maybe' is none of"):
        VoicebatchSendOperator(task_id="call", files="people.csv", text="Bonjour.", **argument)


@pytest.mark.parametrize(
    ("option", "words"),
    [("lang='xx'", "lang 'xx' is no language"), ("max_cost='lots'", "is no amount"), ("rate='banana'", "N/PERIOD")],
)
def test_a_wrong_option_is_not_tried_again(sandbox: Sandbox, folder: Path, option: str, words: str) -> None:
    done = dagruns.run(dagruns.written(sending(folder, option, "retries=5")))
    assert done.state() == "failed"
    assert words in done.said
    assert not sandbox.calls


def test_a_plans_wrong_ceiling_is_not_tried_again_either(sandbox: Sandbox, folder: Path) -> None:
    file = str(folder / "people.csv")
    body = f"VoicebatchPlanOperator(task_id='plan', files={file!r}, text='Bonjour.', max_cost='lots', retries=5)"

    done = dagruns.run(dagruns.written(body))
    assert done.state("plan") == "failed"
    assert "is no amount" in done.said
    assert not sandbox.calls


def test_a_file_elsewhere_is_brought_once(tmp_path: Path) -> None:
    UPath("memory://exports/once.csv").write_text(PEOPLE)
    stage = Stage(tmp_path)

    copy = stage.bring("memory://exports/once.csv")
    UPath("memory://exports/once.csv").unlink()
    assert stage.bring("memory://exports/once.csv") == copy
    with pytest.raises(NoSuchFileError):
        stage.bring("memory://exports/never.csv")
    assert stage.names == {str(copy): "memory://exports/once.csv"}


# The connection


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"rate": "banana"}, "N/PERIOD"),
        ({"region": "ZZ"}, "is no country code"),
        ({"ledger": "mysql://db/ledger"}, "an SQLite file or a PostgreSQL database"),
        ({"raet": "2000/h"}, "has an extra 'raet'"),
    ],
)
def test_the_test_of_a_connection_finds_what_no_task_could_use(
    connect: Callable[..., None], extra: dict[str, str], words: str
) -> None:
    for sandbox in (True, False):
        connect("http://127.0.0.1:1/v1", sandbox=sandbox, **extra)
        works, said = VoicebatchHook().test_connection()
        assert not works
        assert words in said


def test_a_base_url_without_its_path_is_refused(connect: Callable[..., None]) -> None:
    connect("http://127.0.0.1:8765")
    works, said = VoicebatchHook().test_connection()
    assert not works
    assert "like https://HOST/v1" in said


def test_a_connection_without_a_ledger_calls_nobody(
    sandbox: Sandbox, connect: Callable[..., None], folder: Path
) -> None:
    connect(sandbox.base_url, ledger="")

    done = dagruns.run(dagruns.written(sending(folder)))
    assert done.state() == "failed"
    assert "names no ledger" in done.said
    assert not sandbox.calls


def test_the_secrets_of_a_connection_are_masked_in_logs(
    connect: Callable[..., None], capfd: pytest.CaptureFixture[str]
) -> None:
    from airflow.providers.common.compat.sdk import redact

    secret = {"ledger_password": "pass@word"}
    connect("http://127.0.0.1:1/v1", ledger="postgresql+psycopg://auditor@db/ledger", **secret)
    account = VoicebatchHook().get_conn()

    assert (
        redact(f"{SECRET}, {account.ledger} and pass@word") == "***, postgresql+psycopg://auditor:***@db/ledger and ***"
    )
    assert SECRET not in repr(account)
    assert "pass" not in repr(account)
    assert SECRET not in capfd.readouterr().out


def test_a_rehearsal_needs_the_type_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = {"conn_type": "voicebatch", "extra": {"sandbox": True}}
    monkeypatch.setenv("AIRFLOW_CONN_VOICEBATCH_DEFAULT", json.dumps(connection))

    done = dagruns.run(dagruns.written(sending(folder, "callbacks=True")))
    assert done.result()["rows"]["accepted"] == 4


def test_the_test_of_a_connection_tells_the_credit_and_sends_nothing(
    sandbox: Sandbox, connect: Callable[..., None], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    works, said = VoicebatchHook().test_connection()
    assert works
    assert said.startswith("Credit: ")
    assert not sandbox.calls

    connect(sandbox.base_url, ledger="")
    assert VoicebatchHook().test_connection()[0] is False
    monkeypatch.setenv(
        "AIRFLOW_CONN_VOICEBATCH_DEFAULT",
        json.dumps({"conn_type": "voicebatch", "host": sandbox.base_url, "password": "sandbox-wrong-key",
                    "extra": {"ledger": str(folder / "ledger.sqlite")}}),
    )  # fmt: skip
    works, said = VoicebatchHook().test_connection()
    assert not works
    assert "sandbox-wrong-key" not in said


def test_airflow_shows_the_connection_with_its_form() -> None:
    from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService

    (form,) = [one for one in HookMetaService.hook_meta_data() if one.connection_type == "voicebatch"]
    assert form.hook_name == "Voicebatch"
    shown = form.standard_fields
    assert shown is not None
    assert (shown.host.title, shown.password.title) == ("Base URL", "API key")
    assert shown.login.hidden
    assert form.extra_fields is not None
    assert form.extra_fields.keys() == {"ledger", "ledger_password", "rate", "region", "sandbox"}
    assert form.extra_fields["ledger_password"]["schema"]["format"] == "password"
    assert "boolean" in form.extra_fields["sandbox"]["schema"]["type"]


def test_airflow_finds_the_provider() -> None:
    from airflow.providers_manager import ProvidersManager

    assert "voicebatch" in ProvidersManager().providers


# The trigger, and parsing


def test_a_trigger_is_made_again_from_what_it_says_and_holds_no_secret() -> None:
    moment = (datetime.now(UTC) + timedelta(seconds=0.2)).isoformat()
    path, arguments = VoicebatchTrigger(moment=moment, since=moment, reason="the limit is reached").serialize()

    assert path == "voicebatch.airflow.triggers.voicebatch.VoicebatchTrigger"
    assert VoicebatchTrigger(**arguments).serialize() == (path, arguments)
    assert arguments.keys() == {"moment", "since", "reason"}


def test_parsing_a_dag_needs_no_key_no_database_and_no_heavy_library() -> None:
    heavy = "pandas pandera pyarrow phonenumbers voicebatch.app voicebatch.ledger voicebatch.provider flask waitress"
    code = (
        "import sys, airflow.sdk, airflow.providers.common.compat.sdk as compat, airflow.triggers.base\n"
        "compat.BaseHook, compat.BaseOperator, compat.ObjectStoragePath\n"
        "before = set(sys.modules)\n"
        "import voicebatch.airflow.example_dags.example_voicebatch\n"
        "import voicebatch.airflow.example_dags.example_voicebatch_shards\n"
        f"print([name for name in {heavy.split()!r} if name in sys.modules and name not in before])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_dags_of_the_documentation_are_dags() -> None:
    page = (Path(__file__).parents[2] / "docs" / "airflow.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)

    assert len(blocks) == 2
    for block, tasks in zip(blocks, ({"call"}, {"plan", "call", "report"}), strict=True):
        names: dict[str, Any] = {}
        exec(compile(block.replace("):\n    ", ") as dag:\n    ", 1), "airflow.md", "exec"), names)  # noqa: S102 # ours
        assert set(names["dag"].task_ids) == tasks
