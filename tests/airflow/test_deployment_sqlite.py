"""Airflow as one gets it, on SQLite with LocalExecutor: the examples, and a triggerer that dies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest

from tests.airflow.deployment import Task
from tests.airflow.examples import PEOPLE, SHARDS, SMALL, add_example
from tests.airflow.rehearsal import Rehearsal, everyone_once

if TYPE_CHECKING:
    from pathlib import Path

    from tests.airflow.deployment import Deployment

pytestmark = pytest.mark.airflow

A_RESULT: Final = 1024  # bytes, at most


def test_three_shards_defer_share_the_limit_and_call_everybody_once(on_sqlite: Deployment, tmp_path: Path) -> None:
    add_example(on_sqlite, SHARDS, tmp_path)
    sandbox = Rehearsal.started(on_sqlite, rate="20/8s", connection="voicebatch_default")
    run_id = on_sqlite.trigger(SHARDS)
    assert on_sqlite.run_ends(SHARDS, run_id) == "success"
    assert sandbox.called == everyone_once(PEOPLE)
    assert sandbox.outcomes == {"accepted": PEOPLE}  # no request was made that the limit turned away
    for index in range(3):
        log = on_sqlite.log(Task(SHARDS, run_id, "call", index))
        assert "Pausing task as DEFERRED" in log
        assert "Trigger fired event" in log
        assert len(json.dumps(on_sqlite.result(Task(SHARDS, run_id, "call", index)))) < A_RESULT
    result = on_sqlite.result(Task(SHARDS, run_id, "report"))
    assert (result["status"], result["rows"]["accepted"]) == ("complete", PEOPLE)
    assert (tmp_path / "reports" / result["run_id"] / "country_report.csv").is_file()


@pytest.mark.parametrize("dag_id", [SMALL, SHARDS])
def test_an_example_runs_at_once_with_nothing_but_a_sandbox_connection(on_sqlite: Deployment, dag_id: str) -> None:
    add_example(on_sqlite, dag_id)
    on_sqlite.connect("voicebatch_default", extra={"sandbox": True})
    run_id = on_sqlite.trigger(dag_id)
    assert on_sqlite.run_ends(dag_id, run_id) == "success"
    assert {task["state"] for task in on_sqlite.tasks(dag_id, run_id)} == {"success"}


def test_a_triggerer_that_dies_makes_a_deferred_task_late_and_nothing_else(on_sqlite: Deployment) -> None:
    sandbox = Rehearsal.started(on_sqlite, rate="5/8s")
    run_id = sandbox.call(15)
    task = Task("calls", run_id, "call")
    on_sqlite.task_is(task, "deferred")
    on_sqlite.kill("triggerer")
    on_sqlite.start("triggerer")
    assert on_sqlite.run_ends("calls", run_id) == "success"
    assert sandbox.called == everyone_once(15)
    assert sandbox.outcomes == {"accepted": 15}
    assert on_sqlite.task(task)["try_number"] == 1
